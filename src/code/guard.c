/*
 * guard.c
 *		Which code of users is on the stack, and what it must not do there.
 *
 * Workflow code is executed any number of times and its subtransaction is rolled back, or, if all
 * went well, released.  Either way it must leave nothing behind, and a read-only transaction lets
 * a few things through: temporary tables, NOTIFY, large objects, advisory locks, settings of the
 * session, prepared statements.  The hooks below refuse those while workflow code is on the stack
 * and cost a comparison at any other time.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "code/cursors.h"
#include "code/guard.h"
#include "code/server_function.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/statement.h"

#define HINT_ACTIVITY "Do it in an activity: aion.run() or aion.run_sql()."
#define HINT_QUERY "It answers from what it is given and what it reads."
#define HINT (top->kind == FRAME_BODY ? HINT_ACTIVITY : HINT_QUERY)

/* A setting of a role for its sessions, which the engine overrides for itself. */
typedef struct KeptSetting
{
	char *name;
	char *value;
} KeptSetting;

/*
 * What this backend is executing.  A frame ends when it is left, at the latest with the
 * (sub)transaction that it was entered in, so nothing here outlives what it points to.
 */
typedef struct Frame
{
	UserFrame kind;
	int level;	   /* of the (sub)transaction */
	int64 run_key; /* the run that is being advanced, 0 if there is none */
	Oid user;	   /* whose rights its code has; InvalidOid: those of the session's statement */
	void *turn;	   /* Turn: that is on the stack */
	void *attempt; /* AttemptInfo: of the activity that the frame is */
	bool foreign;  /* its code is that of another role than the session's */
	bool borrows_session; /* RESET SESSION AUTHORIZATION leads back to another role */
	List *hidden;		  /* cursors of the session that its code must not use */
} Frame;

static Frame outermost = {.kind = FRAME_NONE};
static Frame *frames = NULL; /* from the outermost but one */
static int depth = 0;
static int room = 0;
static Frame *top = &outermost;

static List *kept_settings = NIL;	  /* KeptSetting: of the role, and not of the engine */
static bool settings_changed = false; /* by the workflow code that is being executed */
static bool relations_read = false;	  /* by it */

static uint8 initialised = 0;	  /* what expressions of this transaction have in them */
static bool session_clean = true; /* code has left nothing in this session */

static int open_queries = 0; /* executed by users' code and not ended: cursors, or failed */

static ExecutorStart_hook_type next_executor_start = NULL;
static ExecutorEnd_hook_type next_executor_end = NULL;
static ProcessUtility_hook_type next_process_utility = NULL;
static object_access_hook_type next_object_access = NULL;

static Frame *push(GuardState *outside);
static void set_depth(int to);
static void enter_user(Oid role, const GuardState *outside);
static void end_frames(XactEvent event, void *argument);
static void end_inner_frames(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
							 void *argument);
static void guard_executor_start(QueryDesc *query, int flags);
static void guard_executor_end(QueryDesc *query);
static void guard_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
								  ProcessUtilityContext context, ParamListInfo parameters,
								  QueryEnvironment *environment, DestReceiver *receiver,
								  QueryCompletion *completion);
static void guard_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg);
static bool only_reads(UserFrame frame);
static const char *frame_name(UserFrame frame);
static Node *inner_statement(Node *statement);
static bool executes_prepared(Node *statement);
static void renew_expressions(void);
static bool is_temporary(Oid class, Oid object);
static void check_settings_of(Oid function);
static void refuse_to_end_session(const char *setting);

void
aion_guard_init(void)
{
	RegisterXactCallback(end_frames, NULL);
	RegisterSubXactCallback(end_inner_frames, NULL);
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
 * Notes that code of a user is entered; aion_guard_leave() follows, also after an error.  The
 * subject is the Turn of workflow code, the AttemptInfo of an activity.
 *
 * The current user is the owner of the run.  The code must not become the role that drives the run,
 * or has logged in: SET ROLE and the like are refused as in a security-definer function.
 */
void
aion_guard_enter(UserFrame kind, void *subject, GuardState *outside)
{
	Frame *frame = push(outside);

	frame->kind = kind;
	frame->attempt = kind == FRAME_ACTIVITY ? subject : NULL;
	if (kind == FRAME_BODY)
	{
		frame->turn = subject;
		settings_changed = relations_read = false;
	}
	renew_expressions();
	enter_user(outside->userid, outside);
}

/*
 * Lets what follows be executed as another role, in a frame of the same kind.
 */
void
aion_guard_become(Oid role, GuardState *outside)
{
	(void) push(outside);
	enter_user(role, outside);
}

/*
 * Notes that this backend advances a run.
 */
void
aion_guard_begin_run(int64 run_key, GuardState *outside)
{
	push(outside)->run_key = run_key;
}

void
aion_guard_leave(const GuardState *outside)
{
	SetUserIdAndSecContext(outside->userid, outside->security_context);
	set_depth(Min(depth, outside->depth));
	renew_expressions();
}

/*
 * Adds a frame that is like the one around it, but no activity of its own.
 */
static Frame *
push(GuardState *outside)
{
	Frame frame = *top;

	outside->depth = depth;
	GetUserIdAndSecContext(&outside->userid, &outside->security_context);
	if (depth == room)
	{
		int more = Max(8, room * 2);

		frames = frames == NULL ? MemoryContextAlloc(TopMemoryContext, more * sizeof(Frame))
								: repalloc(frames, more * sizeof(Frame));
		room = more;
	}
	frame.level = GetCurrentTransactionNestLevel();
	frame.hidden = NIL;
	frames[depth] = frame;
	set_depth(depth + 1);
	return top;
}

static void
set_depth(int to)
{
	for (int i = to; i < depth; i++)
	{
		aion_cursors_show(frames[i].hidden);
		frames[i].hidden = NIL;
	}
	depth = to;
	top = depth > 0 ? &frames[depth - 1] : &outermost;
}

/*
 * Gives the innermost frame the rights of a role.  In a session of another one, code of this role
 * must leave nothing that would be executed later with the rights of the session: neither deferred
 * triggers nor cursors, prepared statements or temporary objects.  Nor must it use what the session
 * has opened with its rights.
 */
static void
enter_user(Oid role, const GuardState *outside)
{
	int security_context = outside->security_context | SECURITY_LOCAL_USERID_CHANGE;

	if (role != outside->userid || role != GetSessionUserId())
	{
		security_context |= SECURITY_RESTRICTED_OPERATION;
		top->foreign = true;
	}
	top->user = role;
	top->borrows_session = GetSessionUserId() != GetAuthenticatedUserId();
	if (top->foreign || top->borrows_session)
		top->hidden = aion_cursors_hide();
	SetUserIdAndSecContext(role, security_context);
}

/*
 * Keeps a setting of the role, from before the engine overrode it for itself.
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
 * Applies the kept settings of the role for code that is about to be entered, on a level of
 * settings of its own.
 */
void
aion_guard_apply_settings(void)
{
	ListCell *cell;

	foreach (cell, kept_settings)
	{
		const KeptSetting *setting = lfirst(cell);

		(void) set_config_option(setting->name, setting->value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
}

/*
 * Returns a number that is larger after an activity than before it if it may have left a cursor.
 */
int
aion_guard_open_queries(void)
{
	return open_queries;
}

/*
 * Tells whether what code leaves in this session could be used later with the rights of another
 * role.
 */
bool
aion_guard_session_is_of_another(void)
{
	return InSecurityRestrictedOperation() || GetSessionUserId() != GetAuthenticatedUserId();
}

/*
 * Tells whether activities have left nothing in this session that a later one would meet.
 */
bool
aion_guard_session_is_clean(void)
{
	return session_clean && (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE) == 0;
}

void
aion_guard_session_cleaned(void)
{
	session_clean = true;
}

bool
aion_guard_settings_changed(void)
{
	return settings_changed;
}

/*
 * Tells whether the workflow code has begun a query that reads or locks a relation.
 */
bool
aion_guard_relations_read(void)
{
	return relations_read;
}

UserFrame
aion_guard_frame(void)
{
	return top->kind;
}

/*
 * Returns the Turn that is being executed, also while an activity or a query is executed in it;
 * NULL if there is none.
 */
void *
aion_guard_turn(void)
{
	return top->turn;
}

/*
 * Returns the AttemptInfo of the activity whose code called, NULL if no activity did.
 */
void *
aion_guard_attempt(void)
{
	return top->kind == FRAME_ACTIVITY ? top->attempt : NULL;
}

/*
 * Returns the key of the run that this backend advances, 0 if it advances none.
 */
int64
aion_guard_run(void)
{
	return top->run_key;
}

/*
 * Returns the role whose code the engine has entered, InvalidOid if it has entered none.
 */
Oid
aion_guard_user(void)
{
	return top->user;
}

/*
 * Returns the role that acts: whose code the engine has entered, else that of the session.
 */
Oid
aion_guard_actor(void)
{
	if (OidIsValid(top->user))
		return top->user;
	if (InSecurityRestrictedOperation()) /* of an unknown role: an index function in ANALYZE */
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot do this to workflows within security-restricted operation")));
	return GetOuterUserId();
}

/*
 * Refuses a client's function in workflow code.
 */
void
aion_guard_client_call(const char *function)
{
	const char *instead = top->kind == FRAME_BODY ? aion_guard_instead_of(function) : NULL;

	if (only_reads(top->kind))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("%s() cannot be called in %s", function, frame_name(top->kind)),
						instead != NULL ? errhint("Use %s().", instead) : errhint(HINT)));
	PreventCommandIfParallelMode(function);
	(void) aion_extension(); /* refused before anything else if it is of another version */
}

/*
 * Returns the function of workflow code for what a client's function does, NULL if there is none.
 */
const char *
aion_guard_instead_of(const char *function)
{
	static const char *const pairs[][2] = {{"aion.cancel_workflow", "aion.request_cancel"},
										   {"aion.signal_workflow", "aion.send_signal"},
										   {"aion.start_workflow", "aion.start_child"}};

	for (size_t i = 0; i < lengthof(pairs); i++)
	{
		if (strcmp(function, pairs[i][0]) == 0)
			return pairs[i][1];
	}
	return NULL;
}

/*
 * Refuses a function that waits in workflow and activity code; instead is a hint, or NULL.
 */
void
aion_guard_waiting_call(const char *function, const char *instead)
{
	if (!only_reads(top->kind) && top->kind != FRAME_ACTIVITY)
	{
		PreventCommandIfParallelMode(function);
		(void) aion_extension();
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_NOT_ALLOWED_HERE),
			 errmsg("%s() cannot be called in %s", function, frame_name(top->kind)),
			 top->kind == FRAME_ACTIVITY ? errdetail("The activity is part of a turn, and what it "
													 "waits for may need that turn to end.")
										 : 0,
			 instead != NULL ? errhint("%s", instead) : 0));
}

static void
end_frames(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		set_depth(0);
		initialised = 0;
		open_queries = 0; /* those that an error ended were never counted down */
	}
}

static void
end_inner_frames(SubXactEvent event, SubTransactionId sub, SubTransactionId parent, void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	while (depth > 0 && top->level >= GetCurrentTransactionNestLevel())
		set_depth(depth - 1);
}

static void
guard_executor_start(QueryDesc *query, int flags)
{
	if (only_reads(top->kind) &&
		(query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE))
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("%s cannot change data", frame_name(top->kind)), errhint(HINT)));
	if (top->kind == FRAME_BODY && query->plannedstmt->relationOids != NIL &&
		!aion_cursors_are_read())
		relations_read = true;
	if (next_executor_start != NULL)
		next_executor_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
	if (OidIsValid(top->user))
		open_queries++;
}

static void
guard_executor_end(QueryDesc *query)
{
	if (OidIsValid(top->user))
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
	if (only_reads(top->kind) && !aion_guard_allows_in_body(statement->utilityStmt))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("%s cannot execute %s", frame_name(top->kind),
							   CreateCommandName(statement->utilityStmt)),
						errhint(HINT)));
	if ((top->foreign && IsA(statement->utilityStmt, ConstraintsSetStmt)) ||
		((top->foreign || top->borrows_session) && executes_prepared(statement->utilityStmt)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot execute %s within security-restricted operation",
							   CreateCommandName(statement->utilityStmt))));
	if (top->foreign && IsA(statement->utilityStmt, VariableSetStmt))
		refuse_to_end_session(((VariableSetStmt *) statement->utilityStmt)->name);
	if (top->borrows_session && IsA(statement->utilityStmt, PrepareStmt))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot execute PREPARE within security-restricted operation")));
	if (IsA(statement->utilityStmt, TransactionStmt))
		aion_clock_check_commit((TransactionStmt *) statement->utilityStmt);
	if (top->kind == FRAME_BODY && IsA(statement->utilityStmt, VariableSetStmt))
		settings_changed = true;
	if (top->kind == FRAME_ACTIVITY &&
		(IsA(statement->utilityStmt, PrepareStmt) || IsA(statement->utilityStmt, ListenStmt)))
		session_clean = false;
	if (top->kind == FRAME_ACTIVITY && IsA(statement->utilityStmt, DeclareCursorStmt) &&
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
	uint8 known = 0;

	if (next_object_access != NULL)
		next_object_access(access, class, object, sub, arg);
	if (access == OAT_FUNCTION_EXECUTE && class == ProcedureRelationId)
		known = aion_server_function_flags(object, only_reads(top->kind), top->foreign);
	if (only_reads(top->kind) && (known & FUNCTION_FORBIDDEN) != 0)
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("%s cannot call %s()", frame_name(top->kind), get_func_name(object)),
						errhint(HINT)));
	if (((top->foreign && (known & (FUNCTION_LOCKS | FUNCTION_USES_SESSION)) != 0) ||
		 ((top->foreign || top->borrows_session) && (known & FUNCTION_LISTS_PREPARED) != 0)) &&
		!aion_cursors_are_read())
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot call %s() within security-restricted operation",
							   get_func_name(object))));
	if (top->foreign && access == OAT_FUNCTION_EXECUTE && object >= FirstNormalObjectId)
		check_settings_of(object);
	if (!only_reads(top->kind))
		initialised |= known;
	if (top->kind == FRAME_ACTIVITY && (known & FUNCTION_LOCKS) != 0)
		session_clean = false;
	/* Not by what the server restricts by itself: REFRESH MATERIALIZED VIEW CONCURRENTLY makes
	 * some. */
	if (access == OAT_POST_CREATE &&
		(top->foreign || top->borrows_session || only_reads(top->kind)) &&
		is_temporary(class, object))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot create a temporary object within security-restricted "
							   "operation")));
}

/*
 * Tells whether code in a frame is executed only for its answer, and must leave nothing.
 */
static bool
only_reads(UserFrame frame)
{
	return frame == FRAME_BODY || frame == FRAME_QUERY;
}

static const char *
frame_name(UserFrame frame)
{
	return frame == FRAME_BODY		 ? "workflow code"
		   : frame == FRAME_ACTIVITY ? "an activity"
									 : "a query handler";
}

/*
 * Statements that leave nothing behind when the settings level of the body ends.
 */
bool
aion_guard_allows_in_body(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_VariableSetStmt:
			return ((VariableSetStmt *) statement)->is_local;
		case T_ExplainStmt:
			return inner_statement(statement) == NULL; /* EXPLAIN ANALYZE executes it */
		case T_VariableShowStmt:
		case T_DoStmt:
		case T_CallStmt:
		case T_FetchStmt:
		case T_ClosePortalStmt:
			return true;
		default:
			return false;
	}
}

/*
 * Returns the utility statement that EXPLAIN or CREATE TABLE AS is about, NULL if there is none.
 */
static Node *
inner_statement(Node *statement)
{
	Node *query = IsA(statement, ExplainStmt)		  ? ((ExplainStmt *) statement)->query
				  : IsA(statement, CreateTableAsStmt) ? ((CreateTableAsStmt *) statement)->query
													  : NULL;

	return query != NULL && IsA(query, Query) ? ((Query *) query)->utilityStmt : NULL;
}

static bool
executes_prepared(Node *statement)
{
	while (statement != NULL && !IsA(statement, ExecuteStmt))
		statement = inner_statement(statement);
	return statement != NULL;
}

/*
 * Lets code that must leave nothing initialise its expressions again if any that was initialised
 * before, in the same transaction, calls what is refused: a function is looked at only then.
 */
static void
renew_expressions(void)
{
	uint8 refused = top->kind == FRAME_BODY ? FUNCTION_FORBIDDEN : FUNCTION_UNTRANSACTIONAL;

	if (!only_reads(top->kind) || (initialised & refused) == 0)
		return;
	ResetPlanCache();
	initialised = 0;
}

/*
 * Tells whether a relation, type or function that has just been created is in the session's
 * temporary schema, where the session would find the one before its own.  In a security-restricted
 * operation the server itself refuses relations there, and nothing else.
 */
static bool
is_temporary(Oid class, Oid object)
{
	static const struct
	{
		Oid class;
		Oid index;
		AttrNumber key;
		AttrNumber schema;
	} catalogs[] = {
		{RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, Anum_pg_class_relnamespace},
		{TypeRelationId, TypeOidIndexId, Anum_pg_type_oid, Anum_pg_type_typnamespace},
		{ProcedureRelationId, ProcedureOidIndexId, Anum_pg_proc_oid, Anum_pg_proc_pronamespace}};
	bool temporary = false;

	for (size_t i = 0; i < lengthof(catalogs); i++)
	{
		Relation catalog;
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple tuple;
		bool isnull;

		if (class != catalogs[i].class)
			continue;
		catalog = table_open(class, AccessShareLock);
		ScanKeyInit(&key, catalogs[i].key, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(object));
		scan = systable_beginscan(catalog, catalogs[i].index, true, SnapshotSelf, 1, &key);
		tuple = systable_getnext(scan);
		temporary = HeapTupleIsValid(tuple) &&
					isAnyTempNamespace(DatumGetObjectId(heap_getattr(
						tuple, catalogs[i].schema, RelationGetDescr(catalog), &isnull)));
		systable_endscan(scan);
		table_close(catalog, AccessShareLock);
	}
	return temporary;
}

/*
 * Refuses a function of another role that sets what would end the session.
 */
static void
check_settings_of(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool isnull = true;
	Datum settings = 0;
	Datum *pairs;
	int count;

	if (!HeapTupleIsValid(tuple))
		return;
	settings = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	if (!isnull)
	{
		deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT, &pairs,
						  NULL, &count);
		for (int i = 0; i < count; i++)
		{
			char *pair = TextDatumGetCString(pairs[i]);

			refuse_to_end_session(pnstrdup(pair, strcspn(pair, "=")));
		}
	}
	ReleaseSysCache(tuple);
}

/*
 * Refuses the setting with which an error ends the session.
 */
static void
refuse_to_end_session(const char *setting)
{
	if (setting != NULL && pg_strcasecmp(setting, "exit_on_error") == 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot set parameter \"%s\" within security-restricted operation",
							   setting)));
}
