/*
 * lint_call.c
 *		What can be said of a call in workflow code without executing it.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "code/divergence.h"
#include "code/guard.h"
#include "code/lint.h"
#include "code/owner.h"
#include "code/server_function.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/statement.h"
#include "support/subtransaction.h"

#define CALL_DEPTH 50
#define MISSPELT 3 /* changes of a name that are taken for mistakes */

/* The functions of aion that are for workflow code. */
typedef struct AionFunction
{
	const char *name;
	int calls;
} AionFunction;

/* A function of users that was looked into, and what was found. */
typedef struct Callee
{
	Oid function;
	const char *name;
	int calls;
	List *findings; /* of LintFinding */
} Callee;

static const AionFunction of_workflows[] = {
	{"await", CALLS_WAIT | CALLS_COMMAND},
	{"await_all", CALLS_WAIT | CALLS_COMMAND},
	{"await_first", CALLS_WAIT | CALLS_COMMAND},
	{"await_settled", CALLS_WAIT | CALLS_COMMAND},
	{"begin_timeout", CALLS_COMMAND},
	{"cancel", CALLS_COMMAND | CALLS_CANCEL},
	{"cancel_requested", 0},
	{"cancel_timer", CALLS_COMMAND | CALLS_CANCEL},
	{"continue_as_new", CALLS_CONTINUE},
	{"continue_suggested", 0},
	{"end_timeout", CALLS_COMMAND},
	{"failure", CALLS_CLASSIFIER},
	{"map", CALLS_WAIT | CALLS_COMMAND},
	{"map_settled", CALLS_WAIT | CALLS_COMMAND},
	{"next_signal", CALLS_HANDLE},
	{"now", 0},
	{"on_query", CALLS_COMMAND},
	{"patched", 0},
	{"publish", 0},
	{"raised", CALLS_CLASSIFIER},
	{"random", 0},
	{"random_int", 0},
	{"receive", CALLS_WAIT | CALLS_COMMAND},
	{"request_cancel", CALLS_COMMAND},
	{"run", CALLS_WAIT | CALLS_COMMAND},
	{"run_child", CALLS_WAIT | CALLS_COMMAND},
	{"run_id", 0},
	{"run_sql", CALLS_WAIT | CALLS_COMMAND},
	{"scheduled_for", 0},
	{"send_signal", CALLS_COMMAND},
	{"shield", 0},
	{"signal_info", 0},
	{"sleep", CALLS_WAIT | CALLS_COMMAND},
	{"sleep_until", CALLS_WAIT | CALLS_COMMAND},
	{"start_activity", CALLS_COMMAND | CALLS_HANDLE},
	{"start_child", CALLS_COMMAND | CALLS_CHILD_HANDLE},
	{"start_timer", CALLS_COMMAND | CALLS_HANDLE | CALLS_TIMER},
	{"try_receive", CALLS_COMMAND},
	{"upsert_search_attributes", CALLS_COMMAND},
	{"uuid", 0},
	{"value", 0},
	{"with_timeout", CALLS_WAIT | CALLS_COMMAND | CALLS_UNKNOWN},
	{"workflow_id", 0}};

/* Functions whose first parameter names something that is registered. */
static const struct
{
	const char *function;
	bool names_workflow; /* else an activity */
} naming[] = {{"map", false},	   {"map_settled", false},	  {"run", false},
			  {"run_child", true}, {"start_activity", false}, {"start_child", true}};

static Statement find_activity =
	STATEMENT(SELECT, "SELECT FROM aion._activity WHERE name = $1", TEXTOID);
static Statement find_workflow_type =
	STATEMENT(SELECT, "SELECT FROM aion._workflow WHERE name = $1", TEXTOID);
static Statement find_names_of =
	STATEMENT(SELECT,
			  "SELECT name FROM aion._activity WHERE owner_key = $1 AND NOT $2"
			  " UNION ALL SELECT name FROM aion._workflow WHERE owner_key = $1 AND $2 ORDER BY 1",
			  INT4OID, BOOLOID);

static void look_at_aion_function(Lint *lint, const char *name, const AionFunction *function);
static void look_at_aion_call(Lint *lint, const char *name, const FuncCall *call);
static void look_at_name(Lint *lint, const char *function, const FuncCall *call);
static const char *similar_name(const char *name, bool of_workflow, int32 owner_key);
static void look_at_user_call(Lint *lint, Oid function);
static Callee *add_callee(Lint *lint, Oid function);
static void look_into(Lint *lint, Callee *callee);
static void look_at_server_call(Lint *lint, Oid function, LintSeverity severity);
static const AionFunction *find_aion_function(const char *name);
static const char *name_given(const FuncCall *call, const char *parameter);
static const char *literal_of(Node *argument);
static bool is_aion_schema(Oid schema);

/*
 * Returns what the function that gives the value of an expression, or of a statement that selects
 * one value, does; 0 if it is none of aion.
 */
int
aion_lint_root(Lint *lint, const char *text, RawParseMode mode)
{
	Node *node = linitial_node(RawStmt, raw_parser(text, mode))->stmt;
	const AionFunction *function = NULL;
	FuncCandidateList candidates;

	if (IsA(node, PLAssignStmt))
		node = (Node *) ((PLAssignStmt *) node)->val;
	if (!IsA(node, SelectStmt) || list_length(((SelectStmt *) node)->targetList) != 1)
		return 0;
	node = linitial_node(ResTarget, ((SelectStmt *) node)->targetList)->val;
	candidates = IsA(node, FuncCall) ? aion_lint_candidates((FuncCall *) node, false) : NULL;
	if (candidates != NULL && is_aion_schema(get_func_namespace(candidates->oid)))
		function = find_aion_function(get_func_name(candidates->oid));
	return function != NULL ? function->calls : 0;
}

/*
 * Looks at a call.  A name that may mean several functions is judged by all of them.
 */
void
aion_lint_call(Lint *lint, const FuncCall *call, bool is_procedure)
{
	FuncCandidateList candidates = aion_lint_candidates(call, is_procedure);
	bool all_differ = true;
	Oid differing = InvalidOid;

	if (candidates == NULL)
	{
		lint->calls |= CALLS_UNKNOWN;
		return;
	}
	aion_lint_place(lint, call->location);
	if (is_aion_schema(get_func_namespace(candidates->oid)))
	{
		look_at_aion_call(lint, get_func_name(candidates->oid), call);
		return;
	}
	for (FuncCandidateList c = candidates; c != NULL; c = c->next)
	{
		bool differs = aion_divergence_hint(c->oid) != NULL ||
					   (aion_server_function_flags(c->oid, true, false) & FUNCTION_FORBIDDEN) != 0;

		all_differ &= differs;
		if (differs)
			differing = c->oid;
	}
	if (OidIsValid(differing))
		look_at_server_call(lint, differing, all_differ ? LINT_ERROR : LINT_WARNING);
	else if (candidates->next == NULL)
		look_at_user_call(lint, candidates->oid);
	else if (candidates->oid >= FirstNormalObjectId)
		lint->calls |= CALLS_UNKNOWN;
}

bool
aion_lint_function_call(Oid function, void *argument)
{
	Lint *lint = argument;

	if (is_aion_schema(get_func_namespace(function)))
	{
		const char *name = get_func_name(function);

		look_at_aion_function(lint, name, find_aion_function(name));
	}
	else if (aion_divergence_hint(function) != NULL ||
			 (aion_server_function_flags(function, true, false) & FUNCTION_FORBIDDEN) != 0)
		look_at_server_call(lint, function, LINT_ERROR);
	else
		look_at_user_call(lint, function);
	return false;
}

static void
look_at_server_call(Lint *lint, Oid function, LintSeverity severity)
{
	if ((aion_server_function_flags(function, true, false) & FUNCTION_FORBIDDEN) != 0)
		aion_lint_add(lint, severity, LINT_CHANGE, "Do it in an activity.",
					  psprintf("workflow code cannot call %s()", get_func_name(function)));
	else
		aion_lint_difference(lint, severity, aion_divergence_hint(function),
							 psprintf("call %s()", get_func_name(function)));
}

static void
look_at_aion_function(Lint *lint, const char *name, const AionFunction *function)
{
	const char *instead;

	if (function != NULL)
	{
		lint->calls |= function->calls;
		return;
	}
	instead = aion_guard_instead_of(psprintf("aion.%s", name));
	aion_lint_add(lint, LINT_ERROR, "client_call",
				  instead != NULL ? psprintf("Use %s().", instead) : "Do it in an activity.",
				  psprintf("aion.%s() cannot be called in workflow code", name));
}

static void
look_at_aion_call(Lint *lint, const char *name, const FuncCall *call)
{
	const AionFunction *function = find_aion_function(name);
	const char *timer;

	look_at_aion_function(lint, name, function);
	if (function == NULL)
		return;
	if (lint->rows > 0 && (function->calls & (CALLS_COMMAND | CALLS_HANDLE)) != 0)
		aion_lint_add(
			lint, LINT_WARNING, "call_over_rows",
			"Call it in a loop, or use aion.map() for activities.",
			psprintf("a query over rows decides how often and in which order aion.%s() is "
					 "called",
					 name));
	if (lint->conditional > 0 && strcmp(name, "patched") == 0)
		aion_lint_add(lint, LINT_WARNING, "conditional_patch",
					  "Assign its answer to a variable before the expression.",
					  pstrdup("whether aion.patched() is called depends on other parts of the "
							  "expression"));
	timer = call->args != NIL ? literal_of(linitial(call->args)) : NULL;
	if (timer != NULL && strcmp(name, "start_timer") == 0)
		lint->timers = lappend(lint->timers, pstrdup(timer));
	if (timer != NULL && strcmp(name, "cancel_timer") == 0)
		lint->cancelled = lappend(lint->cancelled, pstrdup(timer));
	if (timer == NULL && strcmp(name, "cancel_timer") == 0)
		lint->cancels_any = true;
	look_at_name(lint, name, call);
}

/*
 * Looks whether an activity or a workflow type that the call names is registered.  It may be later.
 */
static void
look_at_name(Lint *lint, const char *function, const FuncCall *call)
{
	for (size_t i = 0; i < lengthof(naming); i++)
	{
		bool of_workflow = naming[i].names_workflow;
		Oid user = GetUserId();
		const char *similar = NULL;
		const char *name;
		NullableDatum args[1];
		Authority authority;
		Rows rows;

		if (strcmp(naming[i].function, function) != 0)
			continue;
		name = name_given(call, of_workflow ? "workflow_type" : "activity");
		if (name == NULL)
			return;
		args[0] = aion_arg_text(name);
		aion_authority_assume(&authority);
		rows = aion_statement_execute(of_workflow ? &find_workflow_type : &find_activity, args);
		if (rows.count == 0)
			similar = similar_name(name, of_workflow, aion_owner_known_key(user));
		aion_authority_drop(&authority);
		if (rows.count == 0)
			aion_lint_add(lint, similar != NULL ? LINT_WARNING : LINT_NOTICE, "not_registered",
						  similar != NULL ? psprintf("Did you mean \"%s\"?", similar)
						  : of_workflow
							  ? "Use aion.register_workflow() before the code comes by here."
							  : "Use aion.register_activity() before the code comes by here.",
						  psprintf("%s \"%s\" is not registered",
								   of_workflow ? "workflow type" : "activity", name));
		return;
	}
}

/*
 * Returns a name that the owner has registered and that is spelt almost alike; NULL: there is none.
 */
static const char *
similar_name(const char *name, bool of_workflow, int32 owner_key)
{
	NullableDatum args[] = {aion_arg_int32(owner_key), aion_arg_bool(of_workflow)};
	Rows rows = aion_statement_execute(&find_names_of, args);
	int most = Min((int) strlen(name) / 3, MISSPELT);
	const char *similar = NULL;

	for (uint64 row = 0; row < rows.count; row++)
	{
		const char *other = aion_row_text(rows, row, 1);
		int distance = varstr_levenshtein_less_equal(name, (int) strlen(name), other,
													 (int) strlen(other), 1, 1, 1, most, true);

		if (distance > most)
			continue;
		most = distance - 1;
		similar = other;
	}
	return similar;
}

/*
 * Returns the name that a call gives as its first parameter, NULL if that is no text in the source.
 */
static const char *
name_given(const FuncCall *call, const char *parameter)
{
	ListCell *cell;

	foreach (cell, call->args)
	{
		if (IsA(lfirst(cell), NamedArgExpr)
				? strcmp(lfirst_node(NamedArgExpr, cell)->name, parameter) == 0
				: foreach_current_index(cell) == 0)
			return literal_of(lfirst(cell));
	}
	return NULL;
}

/*
 * Begins with a function, so that it is not looked into where it calls itself: PL/pgSQL would free
 * what it has parsed of it.
 */
void
aion_lint_begin(Lint *lint, Oid function)
{
	(void) add_callee(lint, function);
}

static Callee *
add_callee(Lint *lint, Oid function)
{
	Callee *callee = palloc0(sizeof(Callee));

	callee->function = function;
	callee->name = psprintf("%s()", get_func_name(function));
	callee->calls = CALLS_UNKNOWN; /* until it has been looked into */
	lint->callees = lappend(lint->callees, callee);
	return callee;
}

/*
 * Looks into a function that the code calls, which is part of the code.  That is done once; other
 * calls are told what it has found.
 */
static void
look_at_user_call(Lint *lint, Oid function)
{
	Callee *callee = NULL;
	ListCell *cell;

	if (function < FirstNormalObjectId)
		return;
	foreach (cell, lint->callees)
	{
		if (((Callee *) lfirst(cell))->function == function)
			callee = lfirst(cell);
	}
	if (callee == NULL && lint->depth < CALL_DEPTH)
	{
		callee = add_callee(lint, function);
		look_into(lint, callee);
	}
	lint->calls |= callee != NULL ? callee->calls : CALLS_UNKNOWN;
	foreach (cell, callee != NULL ? callee->findings : NIL)
	{
		LintFinding finding = *(LintFinding *) lfirst(cell);

		finding.severity = Min(finding.severity, LINT_WARNING); /* it may not come by there */
		if (finding.called == NULL)
		{
			finding.called = callee->name;
			finding.message = psprintf("%s, as %s does", finding.message, callee->name);
		}
		aion_lint_note(lint, &finding);
	}
}

/*
 * Looks into a function in a subtransaction, since it may not be possible to parse it.
 */
static void
look_into(Lint *lint, Callee *callee)
{
	Lint inner = {.line = 1,
				  .called = callee->name,
				  .callees = lint->callees,
				  .names = lint->names,
				  .depth = lint->depth + 1};
	Subtransaction sub;

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		aion_lint_function(&inner, callee->function);
		aion_subtransaction_release(&sub);
		callee->calls = inner.calls;
		callee->findings = inner.findings;
	}
	PG_CATCH();
	{
		ErrorData *error = aion_subtransaction_abort(&sub);

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		aion_lint_add(lint, LINT_NOTICE, "opaque_function", NULL,
					  psprintf("%s cannot be looked at: %s", callee->name, error->message));
	}
	PG_END_TRY();
	lint->callees = inner.callees;
}

/*
 * Returns the functions that a call may mean; none if it is not for this role to look.
 */
FuncCandidateList
aion_lint_candidates(const FuncCall *call, bool is_procedure)
{
	List *names = NIL;
	ListCell *cell;

	foreach (cell, call->args)
	{
		if (IsA(lfirst(cell), NamedArgExpr))
			names = lappend(names, lfirst_node(NamedArgExpr, cell)->name);
	}
	if (list_length(call->funcname) > 2)
		return NULL;
	if (list_length(call->funcname) == 2)
	{
		Oid schema = get_namespace_oid(strVal(linitial(call->funcname)), true);

		if (!OidIsValid(schema) || !aion_compat_may_use(schema, GetUserId()))
			return NULL;
	}
	return aion_compat_function_candidates(call->funcname, list_length(call->args), names,
										   is_procedure);
}

static bool
is_aion_schema(Oid schema)
{
	char *name = get_namespace_name(schema);

	return name != NULL && strcmp(name, "aion") == 0;
}

static const AionFunction *
find_aion_function(const char *name)
{
	for (size_t i = 0; i < lengthof(of_workflows); i++)
	{
		if (strcmp(of_workflows[i].name, name) == 0)
			return &of_workflows[i];
	}
	return NULL;
}

/*
 * Returns an argument that is a text in the source, NULL if it is none.
 */
static const char *
literal_of(Node *argument)
{
	if (IsA(argument, NamedArgExpr))
		argument = (Node *) ((NamedArgExpr *) argument)->arg;
	if (!IsA(argument, A_Const) || ((A_Const *) argument)->isnull ||
		!IsA(&((A_Const *) argument)->val, String))
		return NULL;
	return strVal(&((A_Const *) argument)->val);
}
