/*
 * handler.c
 *		Functions of users that take and give jsonb: workflow code and activities.
 *
 * A handler with exactly one parameter of type jsonb gets the whole input.  Any other gets its
 * parameters by name, converted as jsonb_populate_record() does, because it is that function which
 * converts them.  Conversions, defaults and the call itself execute code of users, so they are
 * never done with the engine's authority.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "code/handler.h"
#include "code/owner.h"
#include "code/pure.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/pg_compat.h"

#define LISTED_MAX 200 /* of the names of parameters, in a message */

static void read_parameters(Handler *handler, HeapTuple tuple);
static bool has_parameter(const Handler *handler, const JsonbValue *key);
static char *list_parameters(const Handler *handler);
static char *surplus_member(const Handler *handler, const Jsonb *input);
static void handler_check_keys(const Handler *handler, const Jsonb *input);
static Jsonb *default_value(Node *written, Oid type);
static Jsonb *handler_complete(const Handler *handler, const Jsonb *input, Oid without_code_of);
static void add_input_context(void *label);
static List *read_defaults(const Handler *handler);
pg_noreturn static void refuse_code(const Handler *handler, Oid owner, const char *detail);
static void handler_convert(const Handler *handler, const Jsonb *input, FunctionCallInfo fcinfo);
static bool has_types(Form_pg_proc form);
static Jsonb *invoke(const Handler *handler, FunctionCallInfo fcinfo);
static Jsonb *call_for_set(const Handler *handler, FunctionCallInfo fcinfo);
static Jsonb *row_of_set(const Handler *handler, TupleTableSlot *slot);

/*
 * Returns the name and parameter types of a function, all schema-qualified.
 */
char *
aion_handler_signature(Oid function)
{
	bool quote_all = quote_all_identifiers;
	char *signature;

	quote_all_identifiers = false;
	PG_TRY();
	{
		signature = format_procedure_qualified(function);
	}
	PG_FINALLY();
	{
		quote_all_identifiers = quote_all;
	}
	PG_END_TRY();
	return signature;
}

/*
 * Finds a function by its signature; InvalidOid if there is none.  Compares texts rather than
 * parsing types, so that a type which is gone is no error.
 */
Oid
aion_handler_resolve(const char *signature)
{
	char *name = pstrdup(signature);
	bool quoted = false;
	List *names;
	char *schema;
	char *function;
	Oid schema_oid;
	Oid found = InvalidOid;
	CatCList *candidates;

	for (char *p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			quoted = !quoted;
		else if (*p == '(' && !quoted)
			*p = '\0';
		if (*p == '\0')
			break;
	}
	names = stringToQualifiedNameList(name AION_COMPAT_HARD_ERRORS);
	DeconstructQualifiedName(names, &schema, &function);
	schema_oid = schema != NULL ? get_namespace_oid(schema, true) : InvalidOid;
	if (!OidIsValid(schema_oid))
		return InvalidOid;
	candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(function));
	for (int i = 0; i < candidates->n_members && !OidIsValid(found); i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&candidates->members[i]->tuple);

		if (form->pronamespace == schema_oid && has_types(form) &&
			strcmp(aion_handler_signature(form->oid), signature) == 0)
			found = form->oid;
	}
	ReleaseSysCacheList(candidates);
	return found;
}

/*
 * Tells whether the types of a function's arguments exist.  A type may be dropped while a function
 * that uses it is created: that function has no signature, and cannot be called by one.
 */
static bool
has_types(Form_pg_proc form)
{
	for (int i = 0; i < form->pronargs; i++)
	{
		if (!SearchSysCacheExists1(TYPEOID, ObjectIdGetDatum(form->proargtypes.values[i])))
			return false;
	}
	return true;
}

/*
 * Reads what is needed to call a function, into the current memory context.
 */
Handler *
aion_handler_read(Oid function, const char *label)
{
	HeapTuple tuple = aion_handler_function(function);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	Handler *handler = palloc0(sizeof(Handler));

	handler->label = pstrdup(label);
	handler->function = function;
	handler->owner = form->proowner;
	handler->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
	handler->tid = tuple->t_self;
	handler->is_strict = form->proisstrict;
	handler->returns_set = form->proretset;
	handler->security_definer = form->prosecdef;
	handler->result_type = form->prorettype;
	read_parameters(handler, tuple);
	handler->whole_input = handler->parameter_count == 1 && handler->parameters[0].type == JSONBOID;
	ReleaseSysCache(tuple);
	return handler;
}

/*
 * Tells whether the function is still as it was when the handler was read.
 */
bool
aion_handler_is_current(const Handler *handler)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(handler->function));
	bool current;

	if (!HeapTupleIsValid(tuple))
		return false;
	current = handler->xmin == HeapTupleHeaderGetRawXmin(tuple->t_data) &&
			  ItemPointerEquals((ItemPointer) &handler->tid, &tuple->t_self);
	ReleaseSysCache(tuple);
	return current;
}

/*
 * Refuses a function that code was planned with and that was dropped since.  It may have been made
 * again, but a plan keeps the oid that it had, so the code is to be planned anew: the turn is
 * repeated.
 */
void
aion_handler_check_exists(Oid function)
{
	if (SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
		return;
	ResetPlanCache();
	ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					errmsg("a function was dropped since this code was planned")));
}

/*
 * Refuses to let workflow code call a function that its owner may not execute, or that belongs to a
 * role which it is not a member of.
 */
void
aion_handler_check_call(const Handler *handler)
{
	Oid user = GetUserId();

	if (aion_compat_may_execute(handler->function, user) && aion_owner_trusts(user, handler->owner))
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
		 errmsg("permission denied for function %s", aion_handler_signature(handler->function)),
		 aion_owner_trusts(user, handler->owner)
			 ? 0
			 : errdetail("It belongs to role \"%s\", which role \"%s\" is not a member of.",
						 GetUserNameFromId(handler->owner, true), GetUserNameFromId(user, true))));
}

/*
 * Refuses functions that cannot be handlers, or, if a role is given, not of that role.
 */
void
aion_handler_check(Oid function, Oid role)
{
	HeapTuple tuple = aion_handler_function(function);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	const char *signature = format_procedure(function);
	Handler *handler;

	if (form->prokind != PROKIND_FUNCTION)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is not a plain function", signature),
						errhint("Procedures, aggregates and window functions cannot be "
								"workflows or activities.")));
	if (OidIsValid(role) && !aion_owner_has_role(role, form->proowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of function %s", signature),
				 superuser_arg(role)
					 ? errdetail("A role that can replace it would be trusted like a superuser.")
					 : 0,
				 superuser_arg(role)
					 ? errhint("Register it as its owner: SET ROLE %s.",
							   quote_identifier(GetUserNameFromId(form->proowner, false)))
					 : 0));
	if (form->prosecdef)
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
						errmsg("function %s is SECURITY DEFINER", signature),
						errdetail("Workflows and activities run with the rights of the run's "
								  "owner."),
						errhint("Use ALTER FUNCTION ... SECURITY INVOKER.")));
	if (IsPolymorphicType(form->prorettype) || form->prorettype == TRIGGEROID ||
		form->prorettype == EVENT_TRIGGEROID || form->prorettype == INTERNALOID)
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
						errmsg("function %s cannot return type %s here", signature,
							   format_type_be(form->prorettype))));
	ReleaseSysCache(tuple);

	handler = aion_handler_read(function, signature);
	for (int i = 0; i < handler->parameter_count; i++)
	{
		HandlerParameter *parameter = &handler->parameters[i];

		if (IsPolymorphicType(parameter->type) || parameter->type == INTERNALOID)
			ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
							errmsg("function %s cannot have a parameter of type %s here", signature,
								   format_type_be(parameter->type))));
		if (parameter->name[0] == '\0' && !handler->whole_input)
			ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
							errmsg("parameter %d of function %s has no name", i + 1, signature),
							errhint("Parameters get their values by name, except for a single "
									"one of type jsonb.")));
	}
}

/*
 * Completes an input by the defaults of parameters it does not name; refuses what is no parameter.
 * What it returns can be passed to aion_handler_call() at any later time.
 */
Jsonb *
aion_handler_complete(const Handler *handler, const Jsonb *input)
{
	return handler_complete(handler, input, InvalidOid);
}

/*
 * The same without calling functions of users, which an owner may define: in a session of another
 * role, they could misuse the session, and the session could misuse them.
 */
Jsonb *
aion_handler_complete_purely(const Handler *handler, const Jsonb *input, Oid owner)
{
	for (int i = 0; i < handler->parameter_count && !handler->whole_input; i++)
	{
		if (!aion_pure_type(handler->parameters[i].type))
			refuse_code(handler, owner,
						psprintf("The type of parameter \"%s\" has checks or a conversion of "
								 "its own.",
								 handler->parameters[i].name));
	}
	return handler_complete(handler, input, owner);
}

/*
 * The defaults that are evaluated are those that were looked at: the function may be replaced at
 * any moment.
 */
static Jsonb *
handler_complete(const Handler *handler, const Jsonb *input, Oid without_code_of)
{
	Jsonb *complete;
	JsonObject empty;
	List *defaults = NIL;

	if (handler->whole_input)
		return unconstify(Jsonb *, input);
	aion_object_begin(&empty);
	if (input == NULL)
		input = aion_object_end(&empty);
	if (!aion_json_is_object(input))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("input of %s must be an object", handler->label),
						errdetail("Its members are the parameters by name.")));
	handler_check_keys(handler, input);

	complete = unconstify(Jsonb *, input);
	for (int i = 0; i < handler->parameter_count; i++)
	{
		HandlerParameter *parameter = &handler->parameters[i];
		JsonObject addition;
		Node *value;

		if (aion_json_has_member(input, parameter->name))
			continue;
		if (!parameter->is_optional)
			ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
							errmsg("input of %s lacks \"%s\"", handler->label, parameter->name)));
		if (defaults == NIL)
			defaults = read_defaults(handler);
		value = list_nth(defaults, i - handler->parameter_count + list_length(defaults));
		if (OidIsValid(without_code_of) && !aion_pure_expression(value))
			refuse_code(
				handler, without_code_of,
				psprintf(
					"The default of parameter \"%s\" uses a function or type of users, or looks "
					"at the session.",
					parameter->name));
		aion_object_begin(&addition);
		aion_object_json(&addition, parameter->name, default_value(value, parameter->type));
		complete = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(complete),
													  JsonbPGetDatum(aion_object_end(&addition))));
	}
	return complete;
}

/*
 * Refuses a complete input whose values the parameters cannot take.
 */
void
aion_handler_check_input(const Handler *handler, const Jsonb *input)
{
	ErrorContextCallback context = {error_context_stack, add_input_context,
									unconstify(char *, handler->label)};

	if (handler->whole_input)
		return;
	error_context_stack = &context;
	(void) aion_jsonb_to_row(input, handler->parameter_row);
	error_context_stack = context.previous;
}

/*
 * Adds parameters that the function has got since the start of a run, if their defaults are
 * constants: these are the same in every replay.
 */
const Jsonb *
aion_handler_add_constants(const Handler *handler, const Jsonb *input)
{
	JsonObject object;
	List *defaults;
	int first;

	if (handler->whole_input ||
		(input != NULL && (!aion_json_is_object(input) ||
						   JB_ROOT_COUNT(input) >= (uint32) handler->parameter_count)))
		return input;
	defaults = read_defaults(handler);
	first = handler->parameter_count - list_length(defaults);
	aion_object_begin(&object);
	for (int i = first; i < handler->parameter_count; i++)
	{
		const HandlerParameter *parameter = &handler->parameters[i];
		Node *value = list_nth(defaults, i - first);

		if (input != NULL && aion_json_has_member(input, parameter->name))
			continue;
		if (!aion_pure_expression(value) || contain_mutable_functions(value))
			return input;
		aion_object_json(&object, parameter->name, default_value(value, parameter->type));
	}
	if (input == NULL)
		return aion_object_end(&object);
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(input),
											  JsonbPGetDatum(aion_object_end(&object))));
}

static void
refuse_code(const Handler *handler, Oid owner, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("input of %s needs code of role \"%s\", which is not executed in a session "
					"of another role",
					handler->label, GetUserNameFromId(owner, true)),
			 errdetail_internal("%s", detail),
			 errhint("Give the parameter a value, a simple default or a simple type, or start it "
					 "in a session of that role.")));
}

/*
 * Tells why a complete input is not one for this function; NULL if it can be.
 */
const char *
aion_handler_misfit(const Handler *handler, const Jsonb *input)
{
	if (handler->whole_input || (handler->parameter_count == 0 && input == NULL))
		return NULL;
	if (input == NULL || !aion_json_is_object(input))
		return psprintf("input of %s must be an object", handler->label);
	for (int i = 0; i < handler->parameter_count; i++)
	{
		if (!aion_json_has_member(input, handler->parameters[i].name))
			return psprintf("input of %s lacks \"%s\"", handler->label,
							handler->parameters[i].name);
	}
	if (JB_ROOT_COUNT(input) != (uint32) handler->parameter_count)
		return surplus_member(handler, input);
	return NULL;
}

/*
 * Names the parameters of a handler, as far as there is room in a message.
 */
static char *
list_parameters(const Handler *handler)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < handler->parameter_count; i++)
	{
		if (names.len > LISTED_MAX)
		{
			appendStringInfoString(&names, ", ...");
			break;
		}
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "it has ", handler->parameters[i].name);
	}
	return names.len > 0 ? names.data : pstrdup("it has none");
}

/*
 * Names a member of an input that is no parameter; NULL if there is none.
 */
static char *
surplus_member(const Handler *handler, const Jsonb *input)
{
	JsonbIterator *iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &input->root));
	JsonbIteratorToken token;
	JsonbValue value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY && !has_parameter(handler, &value))
			return psprintf("input has \"%.*s\", which is no parameter of %s (%s)",
							value.val.string.len, value.val.string.val, handler->label,
							list_parameters(handler));
	}
	return NULL;
}

/*
 * Tells whether a role is kept from executing the function that code was copied from.  A function
 * that another role has made under its name since does not count.
 */
bool
aion_handler_is_denied(Oid function, Oid role)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		return false;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return aion_owner_trusts(role, owner) && !aion_compat_may_execute(function, role);
}

/*
 * Calls a function with an input and returns its result as jsonb: a row gives an object, a set an
 * array, NULL and void give NULL.  Notes when the input was converted and the function is entered.
 */
Jsonb *
aion_handler_call(const Handler *handler, const Jsonb *input, bool *entered)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	FmgrInfo flinfo;

	InitFunctionCallInfoData(*fcinfo, &flinfo, handler->parameter_count, InvalidOid, NULL, NULL);
	handler_convert(handler, input, fcinfo);
	*entered = true;
	return invoke(handler, fcinfo);
}

/*
 * Calls a function of two parameters of type jsonb, likewise.
 */
Jsonb *
aion_handler_call_pair(const Handler *handler, const Jsonb *first, const Jsonb *second)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo flinfo;

	InitFunctionCallInfoData(*fcinfo, &flinfo, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){JsonbPGetDatum(first), first == NULL};
	fcinfo->args[1] = (NullableDatum){JsonbPGetDatum(second), second == NULL};
	return invoke(handler, fcinfo);
}

/*
 * Calls a function whose arguments are in place.  What evaluated them may have dropped it.
 */
static Jsonb *
invoke(const Handler *handler, FunctionCallInfo fcinfo)
{
	PgStat_FunctionCallUsage usage;
	Jsonb *result = NULL;

	aion_handler_check_exists(handler->function);
	fmgr_info(handler->function, fcinfo->flinfo);
	InvokeFunctionExecuteHook(handler->function); /* the guard's, too */
	if (handler->is_strict)
	{
		for (int i = 0; i < handler->parameter_count; i++)
		{
			if (fcinfo->args[i].isnull)
				return handler->returns_set ? aion_json_array(NULL, 0) : NULL;
		}
	}
	pgstat_init_function_usage(fcinfo, &usage);
	if (handler->returns_set)
		result = call_for_set(handler, fcinfo);
	else
	{
		Datum value = FunctionCallInvoke(fcinfo);

		if (!fcinfo->isnull && handler->result_type != VOIDOID)
			result = aion_to_jsonb(value, handler->result_type);
	}
	pgstat_end_function_usage(&usage, true);
	return result;
}

/*
 * Converts an object into a row, as jsonb_populate_record() does.
 */
HeapTuple
aion_jsonb_to_row(const Jsonb *object, TupleDesc descriptor)
{
	LOCAL_FCINFO(fcinfo, 2);
	FmgrInfo flinfo;
	Const *base;
	Datum *values = palloc0(descriptor->natts * sizeof(Datum));
	bool *nulls = palloc(descriptor->natts * sizeof(bool));
	Datum row;
	HeapTuple tuple = palloc(HEAPTUPLESIZE);

	memset(nulls, true, descriptor->natts * sizeof(bool));
	base = makeConst(RECORDOID, descriptor->tdtypmod, InvalidOid, -1,
					 HeapTupleGetDatum(heap_form_tuple(descriptor, values, nulls)), false, false);
	fmgr_info(F_JSONB_POPULATE_RECORD, &flinfo);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_JSONB_POPULATE_RECORD, RECORDOID,
											 list_make2(base, makeNullConst(JSONBOID, -1, 0)),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){base->constvalue, false};
	fcinfo->args[1] = (NullableDatum){JsonbPGetDatum(object), false};
	row = FunctionCallInvoke(fcinfo);

	tuple->t_data = DatumGetHeapTupleHeader(row);
	tuple->t_len = HeapTupleHeaderGetDatumLength(tuple->t_data);
	ItemPointerSetInvalid(&tuple->t_self);
	tuple->t_tableOid = InvalidOid;
	return tuple;
}

/*
 * Finds the row of a function, which another session may have dropped since it was named.
 */
HeapTuple
aion_handler_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function with OID %u does not exist", function)));
	return tuple;
}

static void
read_parameters(Handler *handler, HeapTuple tuple)
{
	Oid *types;
	char **names;
	char *modes;
	int count = get_func_arg_info(tuple, &types, &names, &modes);
	int optional = ((Form_pg_proc) GETSTRUCT(tuple))->pronargdefaults;
	int n = 0;

	handler->parameters = palloc0(Max(count, 1) * sizeof(HandlerParameter));
	for (int i = 0; i < count; i++)
	{
		if (modes != NULL && (modes[i] == PROARGMODE_OUT || modes[i] == PROARGMODE_TABLE))
			continue;
		handler->parameters[n].type = types[i];
		handler->parameters[n].name = names != NULL ? names[i] : "";
		n++;
	}
	handler->parameter_count = n;
	for (int i = Max(n - optional, 0); i < n; i++)
		handler->parameters[i].is_optional = true;

	handler->parameter_row = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
		TupleDescInitEntry(handler->parameter_row, i + 1, handler->parameters[i].name,
						   handler->parameters[i].type, -1, 0);
	BlessTupleDesc(handler->parameter_row);
}

static bool
has_parameter(const Handler *handler, const JsonbValue *key)
{
	for (int i = 0; i < handler->parameter_count; i++)
	{
		const char *name = handler->parameters[i].name;

		if (strlen(name) == (size_t) key->val.string.len &&
			memcmp(name, key->val.string.val, key->val.string.len) == 0)
			return true;
	}
	return false;
}

static void
add_input_context(void *label)
{
	int class = ERRCODE_TO_CATEGORY(geterrcode());

	/* Whatever a type says about a bad value, it is the input that is invalid. */
	if (class == ERRCODE_DATA_EXCEPTION || class == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION)
		errcode(ERRCODE_INVALID_INPUT);
	errcontext("input of %s", (const char *) label);
}

static void
handler_check_keys(const Handler *handler, const Jsonb *input)
{
	char *surplus = surplus_member(handler, input);

	if (surplus != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s", surplus)));
}

static List *
read_defaults(const Handler *handler)
{
	HeapTuple tuple = aion_handler_function(handler->function);
	bool isnull;
	Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proargdefaults, &isnull);
	List *defaults = NIL;

	if (!isnull)
		defaults = castNode(List, stringToNode(TextDatumGetCString(source)));
	ReleaseSysCache(tuple);
	return defaults;
}

/*
 * Evaluates the default of a parameter; json null stands for NULL.
 */
static Jsonb *
default_value(Node *written, Oid type)
{
	Expr *expression = expression_planner((Expr *) written);
	EState *estate = CreateExecutorState();
	ExprContext *econtext = GetPerTupleExprContext(estate);
	bool isnull;
	Datum value;
	Jsonb *json;

	value = ExecEvalExprSwitchContext(ExecInitExpr(expression, NULL), econtext, &isnull);
	if (isnull)
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("null")));
	else
		json = aion_to_jsonb(value, type);
	FreeExecutorState(estate);
	return json;
}

static void
handler_convert(const Handler *handler, const Jsonb *input, FunctionCallInfo fcinfo)
{
	HeapTuple row;
	const char *misfit;

	if (handler->parameter_count == 0)
		return;
	if (handler->whole_input)
	{
		fcinfo->args[0] = (NullableDatum){JsonbPGetDatum(input), input == NULL};
		return;
	}
	misfit = aion_handler_misfit(handler, input);
	if (misfit != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s", misfit)));
	row = aion_jsonb_to_row(input, handler->parameter_row);
	for (int i = 0; i < handler->parameter_count; i++)
		fcinfo->args[i].value =
			heap_getattr(row, i + 1, handler->parameter_row, &fcinfo->args[i].isnull);
}

/*
 * Calls a function that returns a set, in the one of the two modes that it uses.
 */
static Jsonb *
call_for_set(const Handler *handler, FunctionCallInfo fcinfo)
{
	ReturnSetInfo set = {.type = T_ReturnSetInfo};
	EState *estate = CreateExecutorState();
	TupleDesc descriptor = NULL;
	Oid result_type;
	TupleTableSlot *slot;
	List *rows = NIL;
	Jsonb **elements;

	if (get_func_result_type(handler->function, &result_type, &descriptor) == TYPEFUNC_SCALAR)
	{
		descriptor = CreateTemplateTupleDesc(1);
		TupleDescInitEntry(descriptor, 1, "value", handler->result_type, -1, 0);
	}
	set.econtext = GetPerTupleExprContext(estate);
	set.expectedDesc = descriptor;
	set.allowedModes = SFRM_ValuePerCall | SFRM_Materialize | SFRM_Materialize_Preferred;
	fcinfo->resultinfo = (Node *) &set;
	for (;;)
	{
		Datum value;

		fcinfo->isnull = false;
		set.returnMode = SFRM_ValuePerCall;
		set.isDone = ExprSingleResult;
		value = FunctionCallInvoke(fcinfo);
		if (set.returnMode == SFRM_Materialize || set.isDone == ExprEndResult)
			break;
		rows = lappend(rows, fcinfo->isnull ? NULL : aion_to_jsonb(value, handler->result_type));
		if (set.isDone == ExprSingleResult)
			break;
	}
	if (set.returnMode == SFRM_Materialize && set.setResult != NULL)
	{
		if (set.setDesc == NULL)
			set.setDesc = descriptor;
		slot = MakeSingleTupleTableSlot(BlessTupleDesc(set.setDesc), &TTSOpsMinimalTuple);
		while (tuplestore_gettupleslot(set.setResult, true, false, slot))
			rows = lappend(rows, row_of_set(handler, slot));
		ExecDropSingleTupleTableSlot(slot);
		tuplestore_end(set.setResult);
	}
	elements = palloc(Max(list_length(rows), 1) * sizeof(Jsonb *));
	for (int i = 0; i < list_length(rows); i++)
		elements[i] = list_nth(rows, i);
	FreeExecutorState(estate);
	return aion_json_array(elements, list_length(rows));
}

static Jsonb *
row_of_set(const Handler *handler, TupleTableSlot *slot)
{
	bool isnull;
	Datum value;

	if (type_is_rowtype(handler->result_type))
		return aion_to_jsonb(ExecFetchSlotHeapTupleDatum(slot), RECORDOID);
	value = slot_getattr(slot, 1, &isnull);
	return isnull ? NULL : aion_to_jsonb(value, handler->result_type);
}
