/*
 * pure.c
 *		What can be evaluated without calling code of users.
 *
 * Types whose conversion is the server's or in C, which only a superuser can make; expressions of
 * constants and functions of the server, but for those that execute a query.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/tupdesc.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "engine/pure.h"

static bool is_impure(Node *node, void *context);
static bool calls_code(Oid function, void *context);
static bool has_pure_columns(Oid type);

/*
 * Tells whether values of a type can be made of jsonb without code of users.
 */
bool
aion_pure_type(Oid type)
{
	Oid element = get_element_type(type);

	if (OidIsValid(element))
		return aion_pure_type(element);
	switch (get_typtype(type))
	{
		case TYPTYPE_BASE:
		case TYPTYPE_ENUM:
			return true;
		case TYPTYPE_COMPOSITE:
			return has_pure_columns(type);
		case TYPTYPE_RANGE:
		case TYPTYPE_MULTIRANGE:
			return type < FirstUnpinnedObjectId;
		default:
			return false;
	}
}

/*
 * Tells whether an expression, a default, can be evaluated so.
 */
bool
aion_pure_expression(Node *expression)
{
	return !is_impure(expression, NULL);
}

static bool
has_pure_columns(Oid type)
{
	TupleDesc row = lookup_rowtype_tupdesc(type, -1);
	bool pure = true;

	for (int i = 0; i < row->natts && pure; i++)
	{
		Form_pg_attribute column = TupleDescAttr(row, i);

		pure = column->attisdropped || aion_pure_type(column->atttypid);
	}
	ReleaseTupleDesc(row);
	return pure;
}

static bool
is_impure(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, List))
		return expression_tree_walker(node, is_impure, context);
	if (IsA(node, CoerceToDomain) || check_functions_in_node(node, calls_code, context))
		return true;
	if (!IsA(node, CaseWhen) && exprType(node) >= FirstUnpinnedObjectId &&
		get_typtype(exprType(node)) != TYPTYPE_ENUM)
		return true;
	return expression_tree_walker(node, is_impure, context);
}

static bool
calls_code(Oid function, void *context)
{
	static const char *const volatile_ones[] = {"clock_timestamp", "gen_random_uuid", "random"};
	char *name = get_func_name(function);

	if (function >= FirstUnpinnedObjectId || name == NULL || strstr(name, "_to_xml") != NULL)
		return true;
	for (size_t i = 0; i < lengthof(volatile_ones); i++)
	{
		if (strcmp(name, volatile_ones[i]) == 0)
			return false;
	}
	return func_volatile(function) == PROVOLATILE_VOLATILE;
}
