/*
 * lint_statement.c
 *		What can be said of a statement of SQL in workflow code without executing it.
 *
 * The statement is parsed, and names are looked up.  It is not analyzed any further, since that
 * executes code of users: input functions of types, checks of domains.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "code/divergence.h"
#include "code/guard.h"
#include "code/lint.h"
#include "code/moment.h"
#include "support/pg_compat.h"

static int beginning_of(const char *text, int location);
static void look_at_statement(Lint *lint, Node *statement);
static bool look_at_node(Node *node, void *argument);
static void look_at_choice(Lint *lint, List *expressions);
static void look_at_case(Lint *lint, const CaseExpr *expression);
static void look_at_select(Lint *lint, SelectStmt *select);
static void look_at_common(Lint *lint, const WithClause *with);
static bool has_aggregate(Node *node, void *argument);
static void look_at_relation(Lint *lint, const RangeVar *relation);
static void look_at_name(Lint *lint, const ColumnRef *column);
static void look_at_cast(Lint *lint, const TypeCast *cast);
static void look_at_clock(Lint *lint, int operation);
static bool query_walker(Node *node, void *argument);

/*
 * Looks at statements that are given as text.
 */
void
aion_lint_text(Lint *lint, const char *text, RawParseMode mode)
{
	List *statements = raw_parser(text, mode);
	ListCell *cell;

	lint->text = text;
	lint->place = lint->offset = 0;
	foreach (cell, statements)
	{
		RawStmt *raw = lfirst_node(RawStmt, cell);

		CHECK_FOR_INTERRUPTS();
		aion_lint_place(lint, beginning_of(text, raw->stmt_location));
		look_at_statement(lint, raw->stmt);
	}
	lint->offset = 0;
}

/*
 * Returns where a statement begins, after blanks and comments.
 */
static int
beginning_of(const char *text, int location)
{
	int at = Max(location, 0);

	for (;;)
	{
		const char *end = NULL;

		at += strspn(text + at, " \t\r\n");
		if (strncmp(text + at, "--", 2) == 0)
			end = strchr(text + at, '\n');
		else if (strncmp(text + at, "/*", 2) == 0)
			end = strstr(text + at, "*/") != NULL ? strstr(text + at, "*/") + 2 : NULL;
		if (end == NULL)
			return at;
		at = end - text;
	}
}

/*
 * From here on it is about what is at some place of the text; -1: where that is not known.
 */
void
aion_lint_place(Lint *lint, int location)
{
	if (location < 0 || lint->text == NULL)
		return;
	if (location < lint->place)
		lint->place = lint->offset = 0;
	for (; lint->place < location; lint->place++)
		lint->offset += lint->text[lint->place] == '\n';
}

static void
look_at_statement(Lint *lint, Node *statement)
{
	if (statement == NULL)
		return;
	switch (nodeTag(statement))
	{
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
		case T_PLAssignStmt:
			(void) look_at_node(statement, lint);
			break;
		case T_CallStmt:
			aion_lint_call(lint, ((CallStmt *) statement)->funccall, true);
			(void) raw_expression_tree_walker((Node *) ((CallStmt *) statement)->funccall,
											  look_at_node, lint);
			break;
		case T_ExplainStmt:
			look_at_statement(lint, ((ExplainStmt *) statement)->query);
			break;
		case T_DoStmt:
			aion_lint_add(lint, LINT_NOTICE, "dynamic_statement", NULL,
						  pstrdup("the code of DO cannot be looked at before it is executed"));
			break;
		default:
			if (!aion_guard_allows_in_body(statement))
				aion_lint_add(
					lint, LINT_ERROR, LINT_CHANGE, "Do it in an activity.",
					psprintf("workflow code cannot execute %s", CreateCommandName(statement)));
			break;
	}
}

static bool
look_at_node(Node *node, void *argument)
{
	Lint *lint = argument;

	if (node == NULL)
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			aion_lint_add(lint, LINT_ERROR, LINT_CHANGE,
						  "Do it in an activity: aion.run() or aion.run_sql().",
						  pstrdup("workflow code cannot change data"));
			return false;
		case T_SelectStmt:
			look_at_select(lint, (SelectStmt *) node);
			return false;
		case T_RangeVar:
			look_at_relation(lint, (RangeVar *) node);
			return false;
		case T_ColumnRef:
			look_at_name(lint, (ColumnRef *) node);
			return false;
		case T_SQLValueFunction:
			aion_lint_place(lint, ((SQLValueFunction *) node)->location);
			look_at_clock(lint, ((SQLValueFunction *) node)->op);
			return false;
		case T_TypeCast:
			look_at_cast(lint, (TypeCast *) node);
			return raw_expression_tree_walker(node, look_at_node, lint);
		case T_FuncCall:
			aion_lint_call(lint, (FuncCall *) node, false);
			return raw_expression_tree_walker(node, look_at_node, lint);
		case T_BoolExpr:
			look_at_choice(lint, ((BoolExpr *) node)->args);
			return false;
		case T_CoalesceExpr:
			look_at_choice(lint, ((CoalesceExpr *) node)->args);
			return false;
		case T_CaseExpr:
			look_at_case(lint, (CaseExpr *) node);
			return false;
		default:
			return raw_expression_tree_walker(node, look_at_node, lint);
	}
}

/*
 * Looks at expressions of which the first decides whether the others are evaluated.
 */
static void
look_at_choice(Lint *lint, List *expressions)
{
	ListCell *cell;

	foreach (cell, expressions)
	{
		bool conditional = foreach_current_index(cell) > 0;

		lint->conditional += conditional;
		(void) look_at_node(lfirst(cell), lint);
		lint->conditional -= conditional;
	}
}

static void
look_at_case(Lint *lint, const CaseExpr *expression)
{
	List *parts = NIL;
	ListCell *cell;

	if (expression->arg != NULL)
		parts = list_make1(expression->arg);
	foreach (cell, expression->args)
		parts = lappend(lappend(parts, lfirst_node(CaseWhen, cell)->expr),
						lfirst_node(CaseWhen, cell)->result);
	look_at_choice(lint, lappend(parts, expression->defresult));
}

/*
 * Looks at a SELECT.  What it calls beside its FROM clause is called once for each row, unless it
 * makes one row of all.
 */
static void
look_at_select(Lint *lint, SelectStmt *select)
{
	List *common = lint->common;
	List *from = select->fromClause;
	WithClause *with = select->withClause;
	bool has_rows = from != NIL && (select->groupClause != NIL ||
									!has_aggregate((Node *) select->targetList, lint));

	if (with != NULL)
		look_at_common(lint, with);
	(void) look_at_node((Node *) from, lint);
	select->fromClause = NIL;
	select->withClause = NULL;
	lint->rows += has_rows;
	(void) raw_expression_tree_walker((Node *) select, look_at_node, lint);
	lint->rows -= has_rows;
	select->fromClause = from;
	select->withClause = with;
	lint->common = common;
}

/*
 * Looks at WITH queries, of which each can use those before it.
 */
static void
look_at_common(Lint *lint, const WithClause *with)
{
	ListCell *cell;

	lint->common = list_copy(lint->common);
	foreach (cell, with->recursive ? with->ctes : NIL)
		lint->common = lappend(lint->common, lfirst_node(CommonTableExpr, cell)->ctename);
	foreach (cell, with->ctes)
	{
		CommonTableExpr *query = lfirst_node(CommonTableExpr, cell);

		(void) look_at_node(query->ctequery, lint);
		if (!with->recursive)
			lint->common = lappend(lint->common, query->ctename);
	}
}

static bool
has_aggregate(Node *node, void *argument)
{
	if (node == NULL || IsA(node, SelectStmt))
		return false;
	if (IsA(node, FuncCall) && ((FuncCall *) node)->over == NULL)
	{
		FuncCandidateList candidates = aion_lint_candidates((FuncCall *) node, false);

		if (((FuncCall *) node)->agg_star ||
			(candidates != NULL && get_func_prokind(candidates->oid) == PROKIND_AGGREGATE))
			return true;
	}
	return raw_expression_tree_walker(node, has_aggregate, argument);
}

static void
look_at_relation(Lint *lint, const RangeVar *relation)
{
	ListCell *cell;

	foreach (cell, relation->schemaname == NULL ? lint->common : NIL)
	{
		if (strcmp(lfirst(cell), relation->relname) == 0)
			return;
	}
	aion_lint_place(lint, relation->location);
	aion_lint_difference(lint, LINT_ERROR, aion_divergence_hint_for_tables(),
						 psprintf("read table or view \"%s\"", relation->relname));
}

static void
look_at_name(Lint *lint, const ColumnRef *column)
{
	ListCell *cell;

	foreach (cell, column->fields)
	{
		if (IsA(lfirst(cell), String) && lint->called == NULL)
			(void) hash_search(lint->names, strVal(lfirst(cell)), HASH_ENTER, NULL);
	}
}

static void
look_at_clock(Lint *lint, int operation)
{
	const char *name = aion_divergence_clock(operation);

	if (name != NULL)
		aion_lint_difference(lint, LINT_ERROR, "Use aion.now().", psprintf("call %s", name));
}

/*
 * Looks at a constant that is read as a date or time.
 */
static void
look_at_cast(Lint *lint, const TypeCast *cast)
{
	static const char *const types[] = {"timestamptz", "timestamp", "date", "timetz", "time"};
	const char *type = strVal(llast(cast->typeName->names));
	A_Const *constant = IsA(cast->arg, A_Const) ? (A_Const *) cast->arg : NULL;
	const char *text = NULL;

	if (constant != NULL && !constant->isnull && IsA(&constant->val, String))
		text = strVal(&constant->val);
	for (size_t i = 0; text != NULL && i < lengthof(types); i++)
	{
		if (strcmp(type, types[i]) != 0 || !aion_moment_is_moving(text))
			continue;
		aion_lint_place(lint, cast->location);
		aion_lint_difference(lint, LINT_ERROR, "Use aion.now().",
							 psprintf("read '%s' as a moment", text));
	}
}

/*
 * Looks at statements that are stored in analyzed form.
 */
void
aion_lint_queries(Lint *lint, Node *queries)
{
	(void) query_walker(queries, lint);
}

static bool
query_walker(Node *node, void *argument)
{
	Lint *lint = argument;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		if (query->commandType != CMD_SELECT)
		{
			aion_lint_add(lint, LINT_ERROR, LINT_CHANGE,
						  "Do it in an activity: aion.run() or aion.run_sql().",
						  pstrdup("workflow code cannot change data"));
			return false;
		}
		return query_tree_walker(query, query_walker, lint, QTW_EXAMINE_RTES_BEFORE);
	}
	if (IsA(node, RangeTblEntry))
	{
		if (((RangeTblEntry *) node)->rtekind == RTE_RELATION)
			aion_lint_difference(lint, LINT_ERROR, aion_divergence_hint_for_tables(),
								 psprintf("read table or view \"%s\"",
										  get_rel_name(((RangeTblEntry *) node)->relid)));
		return false;
	}
	if (IsA(node, SQLValueFunction))
		look_at_clock(lint, ((SQLValueFunction *) node)->op);
	(void) check_functions_in_node(node, aion_lint_function_call, lint);
	return expression_tree_walker(node, query_walker, lint);
}

/*
 * Notes that code has another answer each time.
 */
void
aion_lint_difference(Lint *lint, LintSeverity severity, const char *hint, char *what)
{
	aion_lint_add(lint, severity, LINT_NONDETERMINISTIC, hint,
				  psprintf("workflow code cannot %s", what));
}
