/*
 * lint_plpgsql.c
 *		What can be said of workflow code in PL/pgSQL without executing it.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "code/lint.h"
#include "code/plpgsql_tree.h"
#include "support/errors.h"

/* A list of statements, while it is looked at. */
typedef struct Body
{
	Lint *lint;
	PLpgSQL_function *function;
	List *handles; /* of Handle: variables that are given one */
} Body;

/* A handle that was given to a variable. */
typedef struct Handle
{
	const char *variable; /* NULL if it is none */
	bool is_timer;
	const char *timer; /* its name, if that is known */
	int line;
} Handle;

/* Whether a loop can be left. */
typedef struct Exits
{
	bool found;
	int depth; /* of loops within it */
	const char *label;
} Exits;

static void look_at_body(List *statements, void *argument);
static void look_at_part(Body *body, PLpgSQL_stmt *statement);
static void look_at_expression(PLpgSQL_expr *expression, void *argument);
static void look_at_handle(Body *body, PLpgSQL_stmt *statement);
static void look_at_defaults(Body *body, const PLpgSQL_stmt_block *block);
static void note_handle(Body *body, const PLpgSQL_datum *variable, PLpgSQL_expr *expression);
static void look_at_returned(Body *body, PLpgSQL_stmt *statement);
static void look_at_timers(Lint *lint, List **live);
static void look_at_loop(Body *body, PLpgSQL_stmt *statement);
static void look_at_handlers(Body *body, const PLpgSQL_stmt_block *block);
static void look_at_condition(Lint *lint, int sqlstate);
static bool catches_all(const PLpgSQL_exception *handler);
static void find_raise(List *statements, void *found);
static bool is_raise(const PLpgSQL_stmt *statement);
static bool is_endless(PLpgSQL_stmt *statement);
static bool is_loop(const PLpgSQL_stmt *statement);
static bool leaves_loop(const PLpgSQL_stmt_exit *statement, const Exits *exits);
static void find_exits(List *statements, void *argument);
static void look_at_dynamic(Lint *lint, PLpgSQL_stmt *statement);
static void report_handles(const Body *body);
static bool is_named(List *names, const char *name);

/*
 * Looks at a function.  How it uses aion is looked at in the code itself only.
 */
void
aion_lint_plpgsql(Lint *lint, Oid function)
{
	Body body = {lint, aion_plpgsql_parse(function), NIL};

	look_at_body(list_make1(body.function->action), &body);
	if (lint->called == NULL)
		report_handles(&body);
}

static void
look_at_body(List *statements, void *argument)
{
	Body *body = argument;
	List *live = NIL;
	ListCell *cell;

	foreach (cell, statements)
	{
		PLpgSQL_stmt *statement = lfirst(cell);
		int before = body->lint->calls;

		check_stack_depth();
		CHECK_FOR_INTERRUPTS();
		body->lint->calls = 0;
		body->lint->timers = NIL;
		look_at_part(body, statement);
		look_at_timers(body->lint, &live);
		body->lint->calls |= before;
	}
}

static void
look_at_part(Body *body, PLpgSQL_stmt *statement)
{
	Lint *lint = body->lint;

	lint->line = statement->lineno;
	if (statement->cmd_type == PLPGSQL_STMT_BLOCK)
		look_at_defaults(body, (PLpgSQL_stmt_block *) statement);
	else
		aion_plpgsql_expressions(body->function->datums, statement, look_at_expression, lint);
	look_at_dynamic(lint, statement);
	if (lint->called != NULL && is_raise(statement))
		lint->calls |= CALLS_UNKNOWN; /* the code may be left here */
	if (statement->cmd_type == PLPGSQL_STMT_COMMIT || statement->cmd_type == PLPGSQL_STMT_ROLLBACK)
		aion_lint_add(lint, LINT_ERROR, "change", NULL,
					  pstrdup("workflow code cannot end the transaction"));
	look_at_returned(body, statement);
	look_at_handle(body, statement);
	if (is_loop(statement) || statement->cmd_type == PLPGSQL_STMT_BLOCK ||
		statement->cmd_type == PLPGSQL_STMT_IF || statement->cmd_type == PLPGSQL_STMT_CASE)
	{
		aion_plpgsql_bodies(statement, look_at_body, body);
		lint->timers = NIL;
	}
	lint->line = statement->lineno;
	if (lint->called != NULL)
		return;
	if (is_endless(statement))
		look_at_loop(body, statement);
	if (statement->cmd_type == PLPGSQL_STMT_BLOCK)
		look_at_handlers(body, (PLpgSQL_stmt_block *) statement);
}

static void
look_at_expression(PLpgSQL_expr *expression, void *argument)
{
	aion_lint_text(argument, expression->query, expression->parseMode);
}

/*
 * Notes where a handle is given to a variable, or to nothing.
 */
static void
look_at_handle(Body *body, PLpgSQL_stmt *statement)
{
	if (body->lint->called != NULL)
		return;
	if (statement->cmd_type == PLPGSQL_STMT_ASSIGN)
	{
		const PLpgSQL_stmt_assign *assign = (PLpgSQL_stmt_assign *) statement;

		note_handle(body, body->function->datums[assign->varno], assign->expr);
	}
	else if (statement->cmd_type == PLPGSQL_STMT_PERFORM)
		note_handle(body, NULL, ((PLpgSQL_stmt_perform *) statement)->expr);
}

/*
 * Looks at variables where they are declared, not where their block begins.
 */
static void
look_at_defaults(Body *body, const PLpgSQL_stmt_block *block)
{
	for (int i = 0; i < block->n_initvars; i++)
	{
		PLpgSQL_datum *variable = body->function->datums[block->initvarnos[i]];
		PLpgSQL_expr *value;

		if (variable->dtype != PLPGSQL_DTYPE_VAR && variable->dtype != PLPGSQL_DTYPE_REC)
			continue;
		value = ((PLpgSQL_variable *) variable)->default_val;
		body->lint->line = ((PLpgSQL_variable *) variable)->lineno;
		if (value == NULL)
			continue;
		look_at_expression(value, body->lint);
		if (body->lint->called == NULL)
			note_handle(body, variable, value);
	}
}

static void
note_handle(Body *body, const PLpgSQL_datum *variable, PLpgSQL_expr *expression)
{
	int calls = aion_lint_root(body->lint, expression->query, expression->parseMode);
	Handle *handle;

	if ((calls & CALLS_HANDLE) == 0 || (variable != NULL && variable->dtype != PLPGSQL_DTYPE_VAR))
		return;
	handle = palloc(sizeof(Handle));
	handle->variable = variable != NULL ? ((const PLpgSQL_variable *) variable)->refname : NULL;
	handle->timer = body->lint->timers != NIL ? llast(body->lint->timers) : NULL;
	handle->is_timer = (calls & CALLS_TIMER) != 0;
	handle->line = body->lint->line;
	body->handles = lappend(body->handles, handle);
}

/*
 * A variable that is returned by its name alone is no expression.
 */
static void
look_at_returned(Body *body, PLpgSQL_stmt *statement)
{
	int number = -1;

	if (statement->cmd_type == PLPGSQL_STMT_RETURN)
		number = ((PLpgSQL_stmt_return *) statement)->retvarno;
	else if (statement->cmd_type == PLPGSQL_STMT_RETURN_NEXT)
		number = ((PLpgSQL_stmt_return_next *) statement)->retvarno;
	if (number >= 0 && body->lint->called == NULL &&
		body->function->datums[number]->dtype == PLPGSQL_DTYPE_VAR)
		(void) hash_search(body->lint->names,
						   ((PLpgSQL_variable *) body->function->datums[number])->refname,
						   HASH_ENTER, NULL);
}

/*
 * Says which handles no statement uses.  A timer can also be cancelled by its name.
 */
static void
report_handles(const Body *body)
{
	ListCell *cell;

	foreach (cell, body->handles)
	{
		const Handle *handle = lfirst(cell);

		if (handle->variable != NULL &&
			hash_search(body->lint->names, handle->variable, HASH_FIND, NULL) != NULL)
			continue;
		if (handle->is_timer &&
			(body->lint->cancels_any || is_named(body->lint->cancelled, handle->timer) ||
			 (handle->timer == NULL && body->lint->cancelled != NIL)))
			continue;
		body->lint->line = handle->line;
		if (handle->variable != NULL)
			aion_lint_add(body->lint, LINT_WARNING, "unused_handle", "Await it, or cancel it.",
						  psprintf("the handle in \"%s\" is not used", handle->variable));
		else
			aion_lint_add(body->lint, LINT_WARNING, "unused_handle",
						  "Assign it to a variable, and await or cancel it.",
						  pstrdup("the handle that is returned here is not used"));
	}
}

static bool
is_named(List *names, const char *name)
{
	ListCell *cell;

	foreach (cell, name != NULL ? names : NIL)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	return false;
}

/*
 * Says where a timer is started while one of its name may be live, in a list of statements.
 */
static void
look_at_timers(Lint *lint, List **live)
{
	ListCell *cell;

	foreach (cell, lint->called == NULL ? lint->timers : NIL)
	{
		if (is_named(*live, lfirst(cell)))
			aion_lint_add(lint, LINT_WARNING, "timer_twice",
						  "Give it a name of its own, or cancel the other before.",
						  psprintf("timer \"%s\" is started a second time while it is live",
								   (char *) lfirst(cell)));
		else
			*live = lappend(*live, lfirst(cell));
	}
	if ((lint->calls & (CALLS_WAIT | CALLS_CANCEL | CALLS_UNKNOWN)) != 0)
		*live = NIL;
	lint->timers = NIL;
}

/*
 * Looks at a loop that is not left, by what was called in it.
 */
static void
look_at_loop(Body *body, PLpgSQL_stmt *statement)
{
	int calls = body->lint->calls;

	if ((calls & (CALLS_CONTINUE | CALLS_UNKNOWN)) != 0)
		return;
	if ((calls & CALLS_WAIT) == 0)
		aion_lint_add(body->lint, LINT_WARNING, "loop_without_wait",
					  "Wait in it, by aion.sleep() or aion.receive().",
					  pstrdup("the loop is never left and never waits"));
	else
		aion_lint_add(body->lint, LINT_WARNING, "endless_history",
					  "Call aion.continue_as_new() when aion.continue_suggested() says so.",
					  pstrdup("the loop is never left, so the history grows for ever"));
}

/*
 * Looks at the handlers of a block, by what was called in it.
 */
static void
look_at_handlers(Body *body, const PLpgSQL_stmt_block *block)
{
	bool classifies = (body->lint->calls & CALLS_CLASSIFIER) != 0;
	ListCell *cell;

	if (block->exceptions == NULL || (body->lint->calls & CALLS_COMMAND) == 0)
		return;
	foreach (cell, block->exceptions->exc_list)
	{
		const PLpgSQL_exception *handler = lfirst(cell);
		bool raises = false;

		find_raise(handler->action, &raises);
		body->lint->line = handler->lineno;
		for (const PLpgSQL_condition *c = handler->conditions; c != NULL; c = c->next)
			look_at_condition(body->lint, c->sqlerrstate);
		if (catches_all(handler) && !raises && !classifies)
			aion_lint_add(body->lint, LINT_WARNING, "catch_all",
						  "Name the errors that are meant, such as SQLSTATE 'WA000', or RAISE it "
						  "again.",
						  pstrdup("WHEN OTHERS also catches a request to cancel, a deadline and "
								  "mistakes of the program"));
	}
}

/*
 * Looks whether aion raises the error that a handler is for, if it is of one of its classes.
 */
static void
look_at_condition(Lint *lint, int sqlstate)
{
	static const int classes[] = {MAKE_SQLSTATE('W', 'A', '0', '0', '0'),
								  MAKE_SQLSTATE('W', 'C', '0', '0', '0'),
								  MAKE_SQLSTATE('W', 'F', '0', '0', '0')};
	static const int raised[] = {ERRCODES_OF_AION};
	bool is_of_aion = false;
	bool is_known = false;

	for (size_t i = 0; i < lengthof(classes); i++)
	{
		is_of_aion = is_of_aion || ERRCODE_TO_CATEGORY(sqlstate) == classes[i];
		is_known = is_known || sqlstate == classes[i];
	}
	for (size_t i = 0; i < lengthof(raised); i++)
		is_known = is_known || sqlstate == raised[i];
	if (is_of_aion && !is_known)
		aion_lint_add(lint, LINT_WARNING, "unknown_sqlstate",
					  "A request to cancel is WF028, a deadline WF026; activities fail with class "
					  "WA000, children with WC000.",
					  psprintf("aion raises no error of SQLSTATE %s", unpack_sql_state(sqlstate)));
}

static bool
catches_all(const PLpgSQL_exception *handler)
{
	for (const PLpgSQL_condition *c = handler->conditions; c != NULL; c = c->next)
	{
		if (strcmp(c->condname, "others") == 0)
			return true;
	}
	return false;
}

/*
 * Finds out whether statements raise an error, at least in some cases.
 */
static void
find_raise(List *statements, void *found)
{
	ListCell *cell;

	foreach (cell, statements)
	{
		check_stack_depth();
		if (is_raise(lfirst(cell)))
			*(bool *) found = true;
		aion_plpgsql_bodies(lfirst(cell), find_raise, found);
	}
}

static bool
is_raise(const PLpgSQL_stmt *statement)
{
	return statement->cmd_type == PLPGSQL_STMT_RAISE &&
		   ((const PLpgSQL_stmt_raise *) statement)->elog_level >= ERROR;
}

/*
 * Tells whether a statement is a loop that no statement within it leaves.
 */
static bool
is_endless(PLpgSQL_stmt *statement)
{
	Exits exits = {
		false, 0,
		statement->cmd_type == PLPGSQL_STMT_LOOP ? ((PLpgSQL_stmt_loop *) statement)->label : NULL};

	if (statement->cmd_type == PLPGSQL_STMT_WHILE)
	{
		if (pg_strcasecmp(((PLpgSQL_stmt_while *) statement)->cond->query, "true") != 0)
			return false;
	}
	else if (statement->cmd_type != PLPGSQL_STMT_LOOP)
		return false;
	aion_plpgsql_bodies(statement, find_exits, &exits);
	return !exits.found;
}

static bool
is_loop(const PLpgSQL_stmt *statement)
{
	switch (statement->cmd_type)
	{
		case PLPGSQL_STMT_LOOP:
		case PLPGSQL_STMT_WHILE:
		case PLPGSQL_STMT_FORI:
		case PLPGSQL_STMT_FORS:
		case PLPGSQL_STMT_FORC:
		case PLPGSQL_STMT_FOREACH_A:
		case PLPGSQL_STMT_DYNFORS:
			return true;
		default:
			return false;
	}
}

/*
 * Tells whether an EXIT or a CONTINUE leaves the loop that it is about, or may do so.
 */
static bool
leaves_loop(const PLpgSQL_stmt_exit *statement, const Exits *exits)
{
	if (statement->label == NULL)
		return statement->is_exit && exits->depth == 0;
	return statement->is_exit || exits->label == NULL ||
		   strcmp(statement->label, exits->label) != 0;
}

static void
find_exits(List *statements, void *argument)
{
	Exits *exits = argument;
	ListCell *cell;

	foreach (cell, statements)
	{
		PLpgSQL_stmt *statement = lfirst(cell);
		const PLpgSQL_stmt_exit *leaves = (PLpgSQL_stmt_exit *) statement;

		check_stack_depth();
		if (statement->cmd_type == PLPGSQL_STMT_RETURN || is_raise(statement) ||
			(statement->cmd_type == PLPGSQL_STMT_EXIT && leaves_loop(leaves, exits)))
			exits->found = true;
		exits->depth += is_loop(statement);
		aion_plpgsql_bodies(statement, find_exits, exits);
		exits->depth -= is_loop(statement);
	}
}

static void
look_at_dynamic(Lint *lint, PLpgSQL_stmt *statement)
{
	bool is_dynamic = statement->cmd_type == PLPGSQL_STMT_DYNEXECUTE ||
					  statement->cmd_type == PLPGSQL_STMT_DYNFORS ||
					  (statement->cmd_type == PLPGSQL_STMT_OPEN &&
					   ((PLpgSQL_stmt_open *) statement)->dynquery != NULL) ||
					  (statement->cmd_type == PLPGSQL_STMT_RETURN_QUERY &&
					   ((PLpgSQL_stmt_return_query *) statement)->dynquery != NULL);

	if (!is_dynamic)
		return;
	lint->calls |= CALLS_UNKNOWN;
	aion_lint_add(lint, LINT_NOTICE, "dynamic_statement", NULL,
				  pstrdup("what EXECUTE executes cannot be looked at before"));
}
