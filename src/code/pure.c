/*
 * pure.c
 *		What can be evaluated without calling code of users.
 *
 * Types qualify if their conversion is the server's or in C, which only a superuser can create.
 * Expressions qualify if they consist of constants and functions of the server, but for those that
 * execute a query or look at the session, and have no type of users: the server makes jsonb of
 * those by their casts to json.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/tupdesc.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "code/pure.h"

static bool is_impure(Node *node, void *context);
static bool calls_code(Oid function, void *context);
static bool is_of_time(Oid function);
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
 * Tells whether an expression, a default, can be evaluated without code of users.
 */
bool
aion_pure_expression(Node *expression)
{
	return !is_impure(expression, NULL);
}

/*
 * The columns must stay what they are until the value has been made.
 */
static bool
has_pure_columns(Oid type)
{
	TupleDesc row;
	bool pure = true;

	if (!ConditionalLockRelationOid(get_typ_typrelid(type), AccessShareLock))
		return false;
	row = lookup_rowtype_tupdesc(type, -1);
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
	if (!IsA(node, CaseWhen) && exprType(node) >= FirstUnpinnedObjectId)
		return true;
	return expression_tree_walker(node, is_impure, context);
}

/*
 * A function of the server that is not immutable must be known: others return what the session has
 * set, executes or can see, and the session may be that of another role.
 */
static bool
calls_code(Oid function, void *context)
{
	static const char *const known[] = {"anytextcat",
										"array_to_json",
										"array_to_string",
										"clock_timestamp",
										"concat",
										"concat_ws",
										"format",
										"gen_random_uuid",
										"json_build_array",
										"json_build_object",
										"jsonb_build_array",
										"jsonb_build_object",
										"random",
										"row_to_json",
										"textanycat",
										"to_char",
										"to_json",
										"to_jsonb",
										"to_number"};
	char *name = get_func_name(function);

	if (function >= FirstUnpinnedObjectId || name == NULL || strstr(name, "_to_xml") != NULL)
		return true;
	for (size_t i = 0; i < lengthof(known); i++)
	{
		if (strcmp(name, known[i]) == 0)
			return false;
	}
	switch (func_volatile(function))
	{
		case PROVOLATILE_IMMUTABLE:
			return false;
		case PROVOLATILE_STABLE:
			return !is_of_time(function) || strncmp(name, "pg_", 3) == 0;
		default:
			return true;
	}
}

/*
 * Tells whether a function takes or returns a date or a time, as those do that depend on the clock
 * of the transaction or on a time zone.
 */
static bool
is_of_time(Oid function)
{
	Oid *types;
	int count;
	bool found = TypeCategory(get_func_signature(function, &types, &count)) == TYPCATEGORY_DATETIME;

	for (int i = 0; i < count && !found; i++)
		found = TypeCategory(types[i]) == TYPCATEGORY_DATETIME;
	return found;
}
