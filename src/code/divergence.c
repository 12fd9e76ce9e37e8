/*
 * divergence.c
 *		What workflow code must not read, because it differs from one execution to the next.
 *
 * Workflow code is executed again and must do the same each time.  So it reads no table and calls
 * no function that has another answer later: a clock, chance, a sequence, the state of the server.
 * This is looked at where the code is about to do so, not in the outcome:
 *
 * - A function is looked at when the expression that calls it is initialised, a table when the
 *   statement that reads it is started.
 * - CURRENT_DATE and the like are no functions, so they are looked for in plans.
 * - PL/pgSQL evaluates simple expressions itself, and may have planned and initialised them for
 *   other code.  A plan that must not be used in workflow code is marked when it is made;
 *   plpgsql_statement.c looks for the mark when a statement begins.
 *
 * A process begins to look when it is about to execute workflow code for the first time.  Other
 * processes compare a flag.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/planner.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/syscache.h"

#include "code/cursors.h"
#include "code/divergence.h"
#include "code/guard.h"
#include "code/plpgsql_statement.h"
#include "code/server_function.h"
#include "guc.h"
#include "support/pg_compat.h"

#define USE_NOW "Use aion.now()."
#define USE_RANDOM "Use aion.random()."
#define USE_UUID "Use aion.uuid()."
#define USE_SLEEP "Use aion.sleep()."
#define USE_INPUT "Pass the value in the input, or read it in an activity."
#define USE_ACTIVITY "Do it in an activity: aion.run() or aion.run_sql()."
#define USE_RUN_SQL "Read it in an activity: aion.run_sql('SELECT ...') or aion.run()."
#define DECLARE_STABLE                                                                             \
	"If it returns the same each time, declare it STABLE or IMMUTABLE; else call it in an "        \
	"activity."

/* Functions, by name or by prefix; and what to use instead. */
typedef struct Differing
{
	const char *name;
	const char *hint;
} Differing;

/* Those of the server that are not VOLATILE, and those for which there is a replacement. */
static const Differing of_server[] = {{"age", USE_ACTIVITY},
									  {"clock_timestamp", USE_NOW},
									  {"now", USE_NOW},
									  {"statement_timestamp", USE_NOW},
									  {"timeofday", USE_NOW},
									  {"transaction_timestamp", USE_NOW},
									  {"random*", USE_RANDOM},
									  {"gen_random_uuid", USE_UUID},
									  {"uuidv4", USE_UUID},
									  {"uuidv7", USE_UUID},
									  {"pg_sleep*", USE_SLEEP},
									  {"current_setting", USE_INPUT},
									  {"has_*_privilege", USE_ACTIVITY},
									  {"inet_client_*", USE_ACTIVITY},
									  {"inet_server_*", USE_ACTIVITY},
									  {"mxid_age", USE_ACTIVITY},
									  {"pg_backend_pid", USE_ACTIVITY},
									  {"pg_conf_load_time", USE_ACTIVITY},
									  {"pg_current_snapshot", USE_ACTIVITY},
									  {"pg_current_xact_id*", USE_ACTIVITY},
									  {"pg_cursor", USE_ACTIVITY},
									  {"pg_get_replication_slots", USE_ACTIVITY},
									  {"pg_has_role", USE_ACTIVITY},
									  {"pg_is_other_temp_schema", USE_ACTIVITY},
									  {"pg_listening_channels", USE_ACTIVITY},
									  {"pg_my_temp_schema", USE_ACTIVITY},
									  {"pg_postmaster_start_time", USE_ACTIVITY},
									  {"pg_prepared_statement", USE_ACTIVITY},
									  {"pg_show_all_settings", USE_ACTIVITY},
									  {"pg_stat_get_*", USE_ACTIVITY},
									  {"pg_timezone_*", USE_ACTIVITY},
									  {"row_security_active", USE_ACTIVITY},
									  {"txid_current*", USE_ACTIVITY}};

/* Those that are VOLATILE because of the statement that they are given, which is looked at. */
static const Differing executing[] = {
	{"cursor_to_xml*", NULL}, {"query_to_xml*", NULL}, {"ts_rewrite", NULL}, {"ts_stat", NULL}};

/* Those of extensions. */
static const Differing of_extensions[] = {
	{"gen_random_bytes", USE_RANDOM}, {"gen_random_uuid", USE_UUID}, {"uuid_generate_*", USE_UUID}};

/* What differs in a plan. */
typedef struct Finding
{
	const char *what;
	const char *hint;
} Finding;

static const Differing any_of_server = {NULL, USE_ACTIVITY};
static const Differing any_of_extensions = {NULL, DECLARE_STABLE};

/* The functions of the server that were looked up: 0 not yet, 1 the same each time, 2 differs. */
static uint8 known[FirstUnpinnedObjectId];

static bool watching = false;
static DivergenceReport report = NULL;

static ExecutorStart_hook_type next_executor_start = NULL;
static planner_hook_type next_planner = NULL;
static object_access_hook_type next_object_access = NULL;

static bool is_looking(void);
static void look_at_plan(const PlannedStmt *statement);
static void divergence_object_access(ObjectAccessType access, Oid class, Oid object, int sub,
									 void *argument);
static void divergence_executor_start(QueryDesc *query, int flags);
static PlannedStmt *divergence_planner AION_COMPAT_PLANNER_PARAMETERS;
static void look_at_function(Oid function);
static const Differing *differs(Oid function);
static const Differing *judge_differing(Oid function);
static bool is_own_schema(Oid schema);
static const Differing *find_differing(const char *name, const Differing *names, size_t count);
static bool matches(const char *name, const char *pattern);
static bool only_selects(const PlannedStmt *statement);
static const RangeTblEntry *first_relation(const PlannedStmt *statement);
static bool find_in_plan(const PlannedStmt *statement, Finding *finding);
static bool find_in_expression(Node *node, void *finding);
static bool find_function(Oid function, void *finding);
static void mark_plan(PlannedStmt *statement);
static bool is_marked(const PlannedStmt *statement);

/*
 * Installs the hooks, and keeps what is to be called when code reads what differs.
 */
void
aion_divergence_init(DivergenceReport to)
{
	report = to;
	next_object_access = object_access_hook;
	object_access_hook = divergence_object_access;
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = divergence_executor_start;
	next_planner = planner_hook;
	planner_hook = divergence_planner;
}

/*
 * Begins to look in this process, before workflow code is executed.  Plans from before have no
 * marks, so they are made again.
 */
void
aion_divergence_watch(void)
{
	if (watching || aion_determinism == DETERMINISM_OFF)
		return;
	watching = true;
	aion_plpgsql_statement_watch(is_looking, look_at_plan);
	ResetPlanCache();
}

/*
 * Tells whether the code on the stack must be the same each time.
 */
static bool
is_looking(void)
{
	return watching && aion_determinism != DETERMINISM_OFF && aion_guard_frame() == FRAME_BODY &&
		   !aion_cursors_are_read();
}

/*
 * Looks at a plan that workflow code is about to use.
 */
static void
look_at_plan(const PlannedStmt *statement)
{
	Finding finding;

	if (is_marked(statement) && find_in_plan(statement, &finding))
		report(aion_guard_turn(), psprintf("workflow code cannot call %s", finding.what),
			   finding.hint);
}

static void
divergence_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *argument)
{
	if (next_object_access != NULL)
		next_object_access(access, class, object, sub, argument);
	if (access == OAT_FUNCTION_EXECUTE && class == ProcedureRelationId && is_looking())
		look_at_function(object);
}

static void
divergence_executor_start(QueryDesc *query, int flags)
{
	if (is_looking())
	{
		const PlannedStmt *statement = query->plannedstmt;
		const RangeTblEntry *relation = first_relation(statement);

		if (relation != NULL && only_selects(statement))
			report(aion_guard_turn(),
				   psprintf("workflow code cannot read %s \"%s\"",
							relation->relkind == RELKIND_VIEW ? "view" : "table",
							get_rel_name(relation->relid)),
				   USE_RUN_SQL);
		look_at_plan(statement);
	}
	if (next_executor_start != NULL)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

/*
 * Marks plans that workflow code must not use.  Those that read a relation need no mark.
 */
static PlannedStmt *divergence_planner AION_COMPAT_PLANNER_PARAMETERS
{
	PlannedStmt *statement = next_planner != NULL ? next_planner AION_COMPAT_PLANNER_ARGUMENTS
												  : standard_planner AION_COMPAT_PLANNER_ARGUMENTS;
	Finding finding;

	if (!watching || first_relation(statement) != NULL || !find_in_plan(statement, &finding))
		return statement;
	mark_plan(statement);
	if (is_looking())
		look_at_plan(statement);
	return statement;
}

static void
look_at_function(Oid function)
{
	const Differing *differing = differs(function);

	if (differing != NULL)
		report(aion_guard_turn(),
			   psprintf("workflow code cannot call %s()", get_func_name(function)),
			   differing->hint);
}

/*
 * Returns what to use instead of a function whose answers differ; NULL if they do not.
 */
const char *
aion_divergence_hint(Oid function)
{
	const Differing *differing = differs(function);

	return differing != NULL ? differing->hint : NULL;
}

/*
 * Returns what to do instead of reading a table.
 */
const char *
aion_divergence_hint_for_tables(void)
{
	return USE_RUN_SQL;
}

/*
 * Returns what is known of a function whose answers differ; NULL if they do not.
 */
static const Differing *
differs(Oid function)
{
	const Differing *differing;

	if (function < FirstUnpinnedObjectId && known[function] == 1)
		return NULL;
	differing = judge_differing(function);
	if (function < FirstUnpinnedObjectId)
		known[function] = differing == NULL ? 1 : 2;
	return differing;
}

static const Differing *
judge_differing(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	const Differing *differing = NULL;
	Form_pg_proc form;
	const char *name;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	name = NameStr(form->proname);
	if (form->provolatile == PROVOLATILE_IMMUTABLE ||
		(aion_server_function_flags(function, true, false) & FUNCTION_FORBIDDEN) != 0)
		differing = NULL;
	else if (form->pronamespace == PG_CATALOG_NAMESPACE)
	{
		differing = find_differing(name, of_server, lengthof(of_server));
		if (differing == NULL && form->provolatile == PROVOLATILE_VOLATILE &&
			form->prokind == PROKIND_FUNCTION &&
			find_differing(name, executing, lengthof(executing)) == NULL)
			differing = &any_of_server;
	}
	else if ((form->prolang == ClanguageId || form->prolang == INTERNALlanguageId) &&
			 form->provolatile == PROVOLATILE_VOLATILE && !is_own_schema(form->pronamespace))
	{
		differing = find_differing(name, of_extensions, lengthof(of_extensions));
		if (differing == NULL)
			differing = &any_of_extensions;
	}
	ReleaseSysCache(tuple);
	return differing;
}

/*
 * Tells whether a schema has the functions of aion, which look after themselves.
 */
static bool
is_own_schema(Oid schema)
{
	char *name = get_namespace_name(schema);

	return name != NULL && (strcmp(name, "aion") == 0 || strcmp(name, "aion_test") == 0);
}

static const Differing *
find_differing(const char *name, const Differing *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
	{
		if (matches(name, names[i].name))
			return &names[i];
	}
	return NULL;
}

/*
 * Compares a name with a pattern that may have one star.
 */
static bool
matches(const char *name, const char *pattern)
{
	const char *star = strchr(pattern, '*');
	size_t before;
	size_t after;

	if (star == NULL)
		return strcmp(name, pattern) == 0;
	before = star - pattern;
	after = strlen(star + 1);
	return strlen(name) >= before + after && strncmp(name, pattern, before) == 0 &&
		   strcmp(name + strlen(name) - after, star + 1) == 0;
}

/*
 * Tells whether a statement neither changes nor locks anything: those that do are refused anyway.
 */
static bool
only_selects(const PlannedStmt *statement)
{
	return statement->commandType == CMD_SELECT && !statement->hasModifyingCTE &&
		   statement->rowMarks == NIL;
}

/*
 * Returns the first table or view that a statement reads; NULL if there is none.  From 16 on a view
 * is a subquery that still knows it.
 */
static const RangeTblEntry *
first_relation(const PlannedStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->rtable)
	{
		const RangeTblEntry *entry = lfirst(cell);

		if (entry->rtekind == RTE_RELATION ||
			(entry->rtekind == RTE_SUBQUERY && OidIsValid(entry->relid)))
			return entry;
	}
	return NULL;
}

/*
 * Looks for what differs and would not be looked at otherwise: in an expression, anything; in the
 * plan of a statement, CURRENT_DATE and the like, which have no function.
 */
static bool
find_in_plan(const PlannedStmt *statement, Finding *finding)
{
	static const char name[] = "{SQLVALUEFUNCTION :op ";
	const Plan *plan = statement->planTree;
	const char *text;

	finding->what = NULL;
	if (statement->commandType != CMD_SELECT || plan == NULL)
		return false;
	if (IsA(plan, Result) && plan->lefttree == NULL && statement->subplans == NIL)
		return find_in_expression((Node *) plan->targetlist, finding);
	text = strstr(nodeToString(statement), name);
	while (text != NULL && finding->what == NULL)
	{
		finding->what = aion_divergence_clock(atoi(text + sizeof(name) - 1));
		text = strstr(text + 1, name);
	}
	finding->hint = USE_NOW;
	return finding->what != NULL;
}

static bool
find_in_expression(Node *node, void *finding)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction))
	{
		const char *clock = aion_divergence_clock(((SQLValueFunction *) node)->op);

		if (clock != NULL)
			*(Finding *) finding = (Finding){clock, USE_NOW};
		return clock != NULL;
	}
	return check_functions_in_node(node, find_function, finding) ||
		   expression_tree_walker(node, find_in_expression, finding);
}

static bool
find_function(Oid function, void *finding)
{
	const Differing *differing = differs(function);

	if (differing != NULL)
		*(Finding *) finding =
			(Finding){psprintf("%s()", get_func_name(function)), differing->hint};
	return differing != NULL;
}

/*
 * Names a function that SQL writes without parentheses; NULL if it is the same each time.
 */
const char *
aion_divergence_clock(int operation)
{
	switch (operation)
	{
		case SVFOP_CURRENT_DATE:
			return "CURRENT_DATE";
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			return "CURRENT_TIME";
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
			return "CURRENT_TIMESTAMP";
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			return "LOCALTIME";
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			return "LOCALTIMESTAMP";
		default:
			return NULL;
	}
}

/*
 * Marks a plan, by a dependency that the server notes for no plan: on a function of its own.
 */
static void
mark_plan(PlannedStmt *statement)
{
	PlanInvalItem *item = makeNode(PlanInvalItem);

	item->cacheId = PROCOID;
	item->hashValue = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(F_NOW));
	statement->invalItems = lappend(statement->invalItems, item);
}

static bool
is_marked(const PlannedStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->invalItems)
	{
		const PlanInvalItem *item = lfirst(cell);

		if (item->cacheId == PROCOID &&
			item->hashValue == GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(F_NOW)))
			return true;
	}
	return false;
}
