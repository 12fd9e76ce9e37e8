/*
 * plpgsql_tree.c
 *		What a PL/pgSQL function consists of: its statements, and their expressions.
 */
#include "postgres.h"

#include "fmgr.h"

#include "code/plpgsql_tree.h"
#include "support/pg_compat.h"

/* Who visits the expressions of a statement, and where its variables are. */
typedef struct Visitor
{
	PLpgSQL_datum **variables;
	PlpgsqlVisit visit;
	void *argument;
} Visitor;

static void visit_simple(const Visitor *visitor, PLpgSQL_stmt *statement);
static void visit_query(const Visitor *visitor, PLpgSQL_stmt *statement);
static void visit_block(const Visitor *visitor, PLpgSQL_stmt_block *block);
static void visit_if(const Visitor *visitor, PLpgSQL_stmt_if *statement);
static void visit_case(const Visitor *visitor, PLpgSQL_stmt_case *statement);
static void visit_raise(const Visitor *visitor, PLpgSQL_stmt_raise *statement);
static void visit_open(const Visitor *visitor, PLpgSQL_stmt_open *statement);
static void visit_cursor(const Visitor *visitor, int variable);
static void visit_all(const Visitor *visitor, List *expressions);
static void visit(const Visitor *visitor, PLpgSQL_expr *expression);

/*
 * Parses a function as its validator does.  Nothing is executed.
 *
 * PL/pgSQL keeps what it has parsed, with names of types looked up as they are here.  A later call
 * may be another role's, under another search path, so what is kept is made invalid at once, unless
 * it is being executed: then it is what it should be.  It is freed when the function is parsed
 * again.
 */
PLpgSQL_function *
aion_plpgsql_parse(Oid function)
{
	LOCAL_FCINFO(call, 0);
	FmgrInfo info = {.fn_oid = function, .fn_mcxt = CurrentMemoryContext};
	PLpgSQL_function *(*compile)(FunctionCallInfo, bool) =
		load_external_function("$libdir/plpgsql", "plpgsql_compile", true, NULL);
	PLpgSQL_function *parsed;

	MemSet(call, 0, SizeForFunctionCallInfo(0));
	call->flinfo = &info;
	parsed = compile(call, true);
	if (AION_COMPAT_PLPGSQL_CACHED(parsed)->use_count == 0)
		AION_COMPAT_PLPGSQL_CACHED(parsed)->fn_xmin = InvalidTransactionId;
	return parsed;
}

/*
 * Visits the expressions that a statement evaluates itself; statements within it follow.
 */
void
aion_plpgsql_expressions(PLpgSQL_datum **variables, PLpgSQL_stmt *statement, PlpgsqlVisit to,
						 void *argument)
{
	Visitor visitor = {variables, to, argument};

	switch (statement->cmd_type)
	{
		case PLPGSQL_STMT_BLOCK:
			visit_block(&visitor, (PLpgSQL_stmt_block *) statement);
			break;
		case PLPGSQL_STMT_IF:
			visit_if(&visitor, (PLpgSQL_stmt_if *) statement);
			break;
		case PLPGSQL_STMT_CASE:
			visit_case(&visitor, (PLpgSQL_stmt_case *) statement);
			break;
		case PLPGSQL_STMT_RAISE:
			visit_raise(&visitor, (PLpgSQL_stmt_raise *) statement);
			break;
		case PLPGSQL_STMT_OPEN:
			visit_open(&visitor, (PLpgSQL_stmt_open *) statement);
			break;
		default:
			visit_simple(&visitor, statement);
			visit_query(&visitor, statement);
			break;
	}
}

/*
 * Visits each list of statements within a statement.
 */
void
aion_plpgsql_bodies(PLpgSQL_stmt *statement, PlpgsqlVisitBody to, void *argument)
{
	PLpgSQL_exception_block *handlers = NULL;
	ListCell *cell;

	switch (statement->cmd_type)
	{
		case PLPGSQL_STMT_BLOCK:
			to(((PLpgSQL_stmt_block *) statement)->body, argument);
			handlers = ((PLpgSQL_stmt_block *) statement)->exceptions;
			foreach (cell, handlers != NULL ? handlers->exc_list : NIL)
				to(((PLpgSQL_exception *) lfirst(cell))->action, argument);
			break;
		case PLPGSQL_STMT_IF:
			to(((PLpgSQL_stmt_if *) statement)->then_body, argument);
			foreach (cell, ((PLpgSQL_stmt_if *) statement)->elsif_list)
				to(((PLpgSQL_if_elsif *) lfirst(cell))->stmts, argument);
			to(((PLpgSQL_stmt_if *) statement)->else_body, argument);
			break;
		case PLPGSQL_STMT_CASE:
			foreach (cell, ((PLpgSQL_stmt_case *) statement)->case_when_list)
				to(((PLpgSQL_case_when *) lfirst(cell))->stmts, argument);
			to(((PLpgSQL_stmt_case *) statement)->else_stmts, argument);
			break;
		case PLPGSQL_STMT_LOOP:
			to(((PLpgSQL_stmt_loop *) statement)->body, argument);
			break;
		case PLPGSQL_STMT_WHILE:
			to(((PLpgSQL_stmt_while *) statement)->body, argument);
			break;
		case PLPGSQL_STMT_FORI:
			to(((PLpgSQL_stmt_fori *) statement)->body, argument);
			break;
		case PLPGSQL_STMT_FORS:
		case PLPGSQL_STMT_FORC:
		case PLPGSQL_STMT_DYNFORS:
			to(((PLpgSQL_stmt_forq *) statement)->body, argument);
			break;
		case PLPGSQL_STMT_FOREACH_A:
			to(((PLpgSQL_stmt_foreach_a *) statement)->body, argument);
			break;
		default:
			break;
	}
}

/*
 * Statements that evaluate expressions one by one.
 */
static void
visit_simple(const Visitor *visitor, PLpgSQL_stmt *statement)
{
	switch (statement->cmd_type)
	{
		case PLPGSQL_STMT_ASSIGN:
			visit(visitor, ((PLpgSQL_stmt_assign *) statement)->expr);
			break;
		case PLPGSQL_STMT_WHILE:
			visit(visitor, ((PLpgSQL_stmt_while *) statement)->cond);
			break;
		case PLPGSQL_STMT_FORI:
			visit(visitor, ((PLpgSQL_stmt_fori *) statement)->lower);
			visit(visitor, ((PLpgSQL_stmt_fori *) statement)->upper);
			visit(visitor, ((PLpgSQL_stmt_fori *) statement)->step);
			break;
		case PLPGSQL_STMT_FOREACH_A:
			visit(visitor, ((PLpgSQL_stmt_foreach_a *) statement)->expr);
			break;
		case PLPGSQL_STMT_EXIT:
			visit(visitor, ((PLpgSQL_stmt_exit *) statement)->cond);
			break;
		case PLPGSQL_STMT_RETURN:
			visit(visitor, ((PLpgSQL_stmt_return *) statement)->expr);
			break;
		case PLPGSQL_STMT_RETURN_NEXT:
			visit(visitor, ((PLpgSQL_stmt_return_next *) statement)->expr);
			break;
		case PLPGSQL_STMT_ASSERT:
			visit(visitor, ((PLpgSQL_stmt_assert *) statement)->cond);
			visit(visitor, ((PLpgSQL_stmt_assert *) statement)->message);
			break;
		case PLPGSQL_STMT_FETCH:
			visit(visitor, ((PLpgSQL_stmt_fetch *) statement)->expr);
			break;
		default:
			break;
	}
}

/*
 * Statements that execute a statement of SQL.
 */
static void
visit_query(const Visitor *visitor, PLpgSQL_stmt *statement)
{
	switch (statement->cmd_type)
	{
		case PLPGSQL_STMT_PERFORM:
			visit(visitor, ((PLpgSQL_stmt_perform *) statement)->expr);
			break;
		case PLPGSQL_STMT_CALL:
			visit(visitor, ((PLpgSQL_stmt_call *) statement)->expr);
			break;
		case PLPGSQL_STMT_EXECSQL:
			visit(visitor, ((PLpgSQL_stmt_execsql *) statement)->sqlstmt);
			break;
		case PLPGSQL_STMT_FORS:
			visit(visitor, ((PLpgSQL_stmt_fors *) statement)->query);
			break;
		case PLPGSQL_STMT_FORC:
			visit_cursor(visitor, ((PLpgSQL_stmt_forc *) statement)->curvar);
			visit(visitor, ((PLpgSQL_stmt_forc *) statement)->argquery);
			break;
		case PLPGSQL_STMT_RETURN_QUERY:
			visit(visitor, ((PLpgSQL_stmt_return_query *) statement)->query);
			visit(visitor, ((PLpgSQL_stmt_return_query *) statement)->dynquery);
			visit_all(visitor, ((PLpgSQL_stmt_return_query *) statement)->params);
			break;
		case PLPGSQL_STMT_DYNEXECUTE:
			visit(visitor, ((PLpgSQL_stmt_dynexecute *) statement)->query);
			visit_all(visitor, ((PLpgSQL_stmt_dynexecute *) statement)->params);
			break;
		case PLPGSQL_STMT_DYNFORS:
			visit(visitor, ((PLpgSQL_stmt_dynfors *) statement)->query);
			visit_all(visitor, ((PLpgSQL_stmt_dynfors *) statement)->params);
			break;
		default:
			break;
	}
}

static void
visit_block(const Visitor *visitor, PLpgSQL_stmt_block *block)
{
	for (int i = 0; i < block->n_initvars; i++)
	{
		PLpgSQL_datum *variable = visitor->variables[block->initvarnos[i]];

		if (variable->dtype == PLPGSQL_DTYPE_VAR || variable->dtype == PLPGSQL_DTYPE_REC)
			visit(visitor, ((PLpgSQL_variable *) variable)->default_val);
	}
}

static void
visit_if(const Visitor *visitor, PLpgSQL_stmt_if *statement)
{
	ListCell *cell;

	visit(visitor, statement->cond);
	foreach (cell, statement->elsif_list)
		visit(visitor, ((PLpgSQL_if_elsif *) lfirst(cell))->cond);
}

static void
visit_case(const Visitor *visitor, PLpgSQL_stmt_case *statement)
{
	ListCell *cell;

	visit(visitor, statement->t_expr);
	foreach (cell, statement->case_when_list)
		visit(visitor, ((PLpgSQL_case_when *) lfirst(cell))->expr);
}

static void
visit_raise(const Visitor *visitor, PLpgSQL_stmt_raise *statement)
{
	ListCell *cell;

	visit_all(visitor, statement->params);
	foreach (cell, statement->options)
		visit(visitor, ((PLpgSQL_raise_option *) lfirst(cell))->expr);
}

static void
visit_open(const Visitor *visitor, PLpgSQL_stmt_open *statement)
{
	visit_cursor(visitor, statement->curvar);
	visit(visitor, statement->argquery);
	visit(visitor, statement->query);
	visit(visitor, statement->dynquery);
	visit_all(visitor, statement->params);
}

static void
visit_cursor(const Visitor *visitor, int variable)
{
	visit(visitor, ((PLpgSQL_var *) visitor->variables[variable])->cursor_explicit_expr);
}

static void
visit_all(const Visitor *visitor, List *expressions)
{
	ListCell *cell;

	foreach (cell, expressions)
		visit(visitor, lfirst(cell));
}

static void
visit(const Visitor *visitor, PLpgSQL_expr *expression)
{
	if (expression != NULL)
		visitor->visit(expression, visitor->argument);
}
