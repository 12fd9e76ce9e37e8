/*
 * guard.c
 *		Whose code is on the stack, and what it must not do there.
 *
 * Workflow code is executed any number of times and its subtransaction is rolled back, or, if all
 * went well, released.  Either way it must leave nothing behind, and a read-only transaction lets
 * a few things through: temporary tables, NOTIFY, large objects, advisory locks, settings of the
 * session, prepared statements.  The hooks below refuse those while workflow code is on the stack
 * and cost a comparison at any other time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "engine/guard.h"
#include "support/errors.h"

#define HINT_ACTIVITY "Do it in an activity: aion.run() or aion.run_sql()."
#define HINT_QUERY "It answers from what it is given and what it reads."
#define HINT (current_frame == FRAME_BODY ? HINT_ACTIVITY : HINT_QUERY)

/* Functions of the server whose effects outlive a rolled back or released subtransaction. */
static const char *const forbidden_prefixes[] = {"lo_",
												 "loread",
												 "lowrite",
												 "pg_advisory_",
												 "pg_create_",
												 "pg_drop_",
												 "pg_export_snapshot",
												 "pg_logical_emit_message",
												 "pg_notify",
												 "pg_replication_",
												 "pg_try_advisory_",
												 "set_config"};

/* What a role has set for its sessions, where the engine does without. */
typedef struct KeptSetting
{
	char *name;
	char *value;
} KeptSetting;

static UserFrame current_frame = FRAME_NONE;
static int patience = 0;			  /* ms */
static List *kept_settings = NIL;	  /* KeptSetting: of the role, and not of the engine */
static bool settings_changed = false; /* by the workflow code that is being executed */

static int open_queries = 0; /* executed by users' code and not ended: cursors, or failed */

static ExecutorStart_hook_type next_executor_start = NULL;
static ExecutorEnd_hook_type next_executor_end = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;
static object_access_hook_type next_object_access = NULL;

static void forget_frame(XactEvent event, void *argument);
static void guard_executor_start(QueryDesc *query, int flags);
static void guard_executor_end(QueryDesc *query);
static void guard_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
								  ProcessUtilityContext context, ParamListInfo parameters,
								  QueryEnvironment *environment, DestReceiver *receiver,
								  QueryCompletion *completion);
static void guard_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg);
static bool only_reads(UserFrame frame);
static const char *frame_name(UserFrame frame);
static bool is_allowed_in_body(Node *statement);
static bool is_forbidden_function(Oid function);

void
aion_guard_init(void)
{
	RegisterXactCallback(forget_frame, NULL);
	next_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = guard_executor_start;
	next_executor_end = ExecutorEnd_hook;
	ExecutorEnd_hook = guard_executor_end;
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = guard_process_utility;
	next_object_access = object_access_hook;
	object_access_hook = guard_object_access;
}

/*
 * Notes that code of a user is entered; aion_guard_leave() follows, also after an error.
 *
 * The current user is the owner of the run.  The code must not find the way to whoever drives, or
 * has logged in: SET ROLE and the like are refused as in a security-definer function.
 */
void
aion_guard_enter(UserFrame frame, GuardState *outside)
{
	outside->frame = current_frame;
	if (frame == FRAME_BODY)
		settings_changed = false;
	GetUserIdAndSecContext(&outside->userid, &outside->security_context);
	SetUserIdAndSecContext(outside->userid,
						   outside->security_context | SECURITY_LOCAL_USERID_CHANGE);
	current_frame = frame;
}

void
aion_guard_leave(const GuardState *outside)
{
	SetUserIdAndSecContext(outside->userid, outside->security_context);
	current_frame = outside->frame;
}

/*
 * Sets how long code of users may wait for a lock, 0 for as long as it likes; returns what it was.
 */
int
aion_guard_set_patience(int milliseconds)
{
	int previous = patience;

	patience = milliseconds;
	return previous;
}

/*
 * Keeps aside what the role has set, from before the engine set it otherwise for itself.
 */
void
aion_guard_keep_setting(const char *name, const char *value)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	KeptSetting *setting = palloc(sizeof(KeptSetting));

	*setting = (KeptSetting){pstrdup(name), pstrdup(value)};
	kept_settings = lappend(kept_settings, setting);
	MemoryContextSwitchTo(caller);
}

/*
 * Gives code that is about to be entered, on a level of settings of its own, what its role has set,
 * but no more patience with locks than the engine has.
 */
void
aion_guard_apply_settings(void)
{
	char value[32];
	ListCell *cell;

	foreach (cell, kept_settings)
	{
		const KeptSetting *setting = lfirst(cell);

		(void) set_config_option(setting->name, setting->value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	if (patience == 0 || (LockTimeout > 0 && LockTimeout < patience))
		return;
	snprintf(value, sizeof(value), "%d", patience);
	(void) set_config_option("lock_timeout", value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/*
 * Returns a number that is larger after an activity than before it if it may have left a cursor.
 */
int
aion_guard_open_queries(void)
{
	return open_queries;
}

bool
aion_guard_settings_changed(void)
{
	return settings_changed;
}

UserFrame
aion_guard_frame(void)
{
	return current_frame;
}

/*
 * Refuses a client's function in workflow code.
 */
void
aion_guard_client_call(const char *function)
{
	if (only_reads(current_frame))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("%s() cannot be called in %s", function, frame_name(current_frame)),
						errhint(HINT)));
}

/*
 * Refuses a function that waits in workflow and activity code.
 */
void
aion_guard_waiting_call(const char *function)
{
	aion_guard_client_call(function);
	if (current_frame == FRAME_ACTIVITY)
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("%s() cannot be called in an activity", function),
						errdetail("The activity is part of a turn, and what it waits for may need "
								  "that turn to end.")));
}

static void
forget_frame(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		current_frame = FRAME_NONE;
		open_queries = 0; /* those that an error ended were never counted down */
	}
}

static void
guard_executor_start(QueryDesc *query, int flags)
{
	if (only_reads(current_frame) &&
		(query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE))
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("%s cannot change data", frame_name(current_frame)), errhint(HINT)));
	if (next_executor_start != NULL)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (current_frame != FRAME_NONE)
		open_queries++;
}

static void
guard_executor_end(QueryDesc *query)
{
	if (current_frame != FRAME_NONE)
		open_queries--;
	if (next_executor_end != NULL)
		next_executor_end(query);
	else
		standard_ExecutorEnd(query);
}

static void
guard_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo parameters,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	if (only_reads(current_frame) && !is_allowed_in_body(statement->utilityStmt))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("%s cannot execute %s", frame_name(current_frame),
							   CreateCommandName(statement->utilityStmt)),
						errhint(HINT)));
	if (current_frame == FRAME_BODY && IsA(statement->utilityStmt, VariableSetStmt))
		settings_changed = true;
	if (current_frame == FRAME_ACTIVITY && IsA(statement->utilityStmt, DeclareCursorStmt) &&
		(((DeclareCursorStmt *) statement->utilityStmt)->options & CURSOR_OPT_HOLD))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("an activity cannot declare a cursor WITH HOLD"),
						errdetail("It would be executed after the activity, with other rights.")));
	if (next_process_utility != NULL)
		next_process_utility(statement, text, read_only_tree, context, parameters, environment,
							 receiver, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context, parameters, environment,
								receiver, completion);
}

static void
guard_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	if (next_object_access != NULL)
		next_object_access(access, class, object, sub, arg);
	if (only_reads(current_frame) && access == OAT_FUNCTION_EXECUTE &&
		class == ProcedureRelationId && is_forbidden_function(object))
		ereport(ERROR,
				(errcode(ERRCODE_NOT_ALLOWED_HERE),
				 errmsg("%s cannot call %s()", frame_name(current_frame), get_func_name(object)),
				 errhint(HINT)));
}

/*
 * Tells whether code in a frame is executed for what it says, and must leave nothing.
 */
static bool
only_reads(UserFrame frame)
{
	return frame == FRAME_BODY || frame == FRAME_QUERY;
}

static const char *
frame_name(UserFrame frame)
{
	return frame == FRAME_BODY ? "workflow code" : "a query handler";
}

/*
 * Statements that leave nothing behind when the settings level of the body ends.
 */
static bool
is_allowed_in_body(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_VariableSetStmt:
			return ((VariableSetStmt *) statement)->is_local;
		case T_VariableShowStmt:
		case T_ExplainStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
			return true;
		default:
			return false;
	}
}

static bool
is_forbidden_function(Oid function)
{
	char *name;

	if (get_func_namespace(function) != PG_CATALOG_NAMESPACE)
		return false;
	name = get_func_name(function);
	for (size_t i = 0; i < lengthof(forbidden_prefixes); i++)
	{
		if (strncmp(name, forbidden_prefixes[i], strlen(forbidden_prefixes[i])) == 0)
			return true;
	}
	return false;
}
