/*
 * plpgsql_statement.c
 *		The expressions of a PL/pgSQL statement, before it is executed.
 *
 * PL/pgSQL evaluates an expression that is simple enough without the executor, by a plan that it
 * keeps.  So the plans of a statement are looked at when it begins.  An expression that has no plan
 * yet is planned while the statement is executed, and looked at then.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/plancache.h"

#include "code/plpgsql_statement.h"
#include "code/plpgsql_tree.h"

static bool (*is_wanted)(void) = NULL;
static PlpgsqlLook look = NULL;
static PLpgSQL_plugin *next = NULL; /* of another library */

static void function_setup(PLpgSQL_execstate *estate, PLpgSQL_function *function);
static void function_begins(PLpgSQL_execstate *estate, PLpgSQL_function *function);
static void function_ends(PLpgSQL_execstate *estate, PLpgSQL_function *function);
static void statement_begins(PLpgSQL_execstate *estate, PLpgSQL_stmt *statement);
static void statement_ends(PLpgSQL_execstate *estate, PLpgSQL_stmt *statement);
static void look_at(PLpgSQL_expr *expression, void *argument);

static PLpgSQL_plugin plugin = {.func_setup = function_setup,
								.func_beg = function_begins,
								.func_end = function_ends,
								.stmt_beg = statement_begins,
								.stmt_end = statement_ends};

/*
 * Lets plans be looked at from now on, in this process, where that is wanted.
 */
void
aion_plpgsql_statement_watch(bool (*wanted)(void), PlpgsqlLook at)
{
	PLpgSQL_plugin **used = (PLpgSQL_plugin **) find_rendezvous_variable("PLpgSQL_plugin");

	is_wanted = wanted;
	look = at;
	if (*used == &plugin)
		return;
	next = *used;
	*used = &plugin;
}

static void
function_setup(PLpgSQL_execstate *estate, PLpgSQL_function *function)
{
	if (next == NULL)
		return;
	next->error_callback = plugin.error_callback;
	next->assign_expr = plugin.assign_expr;
	next->assign_value = plugin.assign_value;
	next->eval_datum = plugin.eval_datum;
	next->cast_value = plugin.cast_value;
	if (next->func_setup != NULL)
		next->func_setup(estate, function);
}

static void
function_begins(PLpgSQL_execstate *estate, PLpgSQL_function *function)
{
	if (next != NULL && next->func_beg != NULL)
		next->func_beg(estate, function);
}

static void
function_ends(PLpgSQL_execstate *estate, PLpgSQL_function *function)
{
	if (next != NULL && next->func_end != NULL)
		next->func_end(estate, function);
}

static void
statement_begins(PLpgSQL_execstate *estate, PLpgSQL_stmt *statement)
{
	if (is_wanted())
		aion_plpgsql_expressions(estate->datums, statement, look_at, NULL);
	if (next != NULL && next->stmt_beg != NULL)
		next->stmt_beg(estate, statement);
}

static void
statement_ends(PLpgSQL_execstate *estate, PLpgSQL_stmt *statement)
{
	if (next != NULL && next->stmt_end != NULL)
		next->stmt_end(estate, statement);
}

static void
look_at(PLpgSQL_expr *expression, void *argument)
{
	const CachedPlanSource *source;

	if (expression->expr_simple_expr == NULL)
		return;
	source = expression->expr_simple_plansource;
	if (source != NULL && source->gplan != NULL && source->gplan->is_valid)
		look(linitial_node(PlannedStmt, source->gplan->stmt_list));
}
