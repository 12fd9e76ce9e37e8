/*
 * activity.c
 *		Activities: registering them, asking for them, executing the inline ones.
 *
 * An inline activity is executed between two turns of the same transaction, in a subtransaction of
 * its own, as the run's owner: read-write, under the session's settings, with none of what the
 * workflow code has set.  Its deferred triggers fire before the subtransaction ends, so a violation
 * is its own failure.  Effect, outcome and the workflow's next step are one commit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "support/crash_point.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "aion.h"
#include "engine/deploy.h"
#include "engine/failure.h"
#include "engine/fence.h"
#include "engine/guard.h"
#include "engine/owner.h"
#include "engine/primitive.h"
#include "engine/testing.h"
#include "engine/turn.h"
#include "guc.h"
#include "primitives/activity.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/registry.h"
#include "support/statement.h"
#include "support/stopwatch.h"

/* A registered name. */
typedef struct Activity
{
	char *name;
	int32 owner_key;
	char *signature;
	uint64 checked_epoch; /* state of the functions that handler holds for */
	Handler *handler;	  /* NULL: there is no such function */
} Activity;

/* Why an activity cannot be executed; a registration or a grant can mend it. */
typedef struct Obstacle
{
	const char *reason;
	const char *message;
	const char *signature;
} Obstacle;

static Statement select_activity =
	STATEMENT(SELECT, "SELECT owner_key, handler FROM aion._activity WHERE name = $1", TEXTOID);
static Statement insert_activity =
	STATEMENT(INSERT,
			  "INSERT INTO aion._activity (name, owner_key, handler, mode, task_queue)"
			  " VALUES ($1, $2, $3, 'inline', $4) ON CONFLICT (name) DO NOTHING",
			  TEXTOID, INT4OID, TEXTOID, TEXTOID);
static Statement lock_activity =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._activity WHERE name = $1 FOR UPDATE", TEXTOID);
static Statement update_activity =
	STATEMENT(UPDATE,
			  "UPDATE aion._activity SET owner_key = $2, handler = $3, task_queue = $4"
			  " WHERE name = $1",
			  TEXTOID, INT4OID, TEXTOID, TEXTOID);

static Statement select_cursors = STATEMENT(SELECT, "SELECT name FROM pg_catalog.pg_cursors");

static Event *record(Run *run, Command *command);
static Jsonb *answer(Turn *turn, Command *command);
static void init(void);
static Progress perform(Run *run);
static void cancel_open(Run *run);

static const CommandClass class = {COMMAND_ACTIVITY, "activity", record, answer};
static Primitive primitive = {
	.name = "activity", .init = init, .perform = perform, .close = cancel_open};
static Registry activities = {.table = "_activity"};

AION_REGISTER_PRIMITIVE(primitive);

static Activity *find(const char *name);
static const Handler *callable(Activity *activity);
static bool find_callable(const char *name, const Handler **handler, Obstacle *obstacle);
static bool is_obstructed(const Handler *handler, Oid owner, Obstacle *obstacle);
static void block(Run *run, const char *name, const Obstacle *obstacle);
static void attempt(const char *name, const Handler *handler, const Jsonb *input, Attempt *result);
static Jsonb *call(const Handler *handler, const Jsonb *input);
static void close_portals(void);
static void judge(const char *name, ErrorData *error, bool time_was_up, Attempt *result);
static Jsonb *failure_details(const char *name);
static void check_unsupported(FunctionCallInfo fcinfo);
static void execute_now(Turn *turn, Command *command);
static Jsonb *run_and_await(FunctionCallInfo fcinfo, Turn *turn, const char *name,
							const Jsonb *input);

static void
init(void)
{
	aion_registry_init(&activities);
	aion_mock_init();
}

/*
 * Executes the next inline activity that has no outcome.
 */
static Progress
perform(Run *run)
{
	History *history = run->history;
	RecordedCommand *command = NULL;
	const Handler *handler = NULL;
	Attempt result = {0};
	Obstacle obstacle;
	Authority authority;
	char *name;

	for (; run->performed < history->command_count; run->performed++)
	{
		command = history->commands[run->performed];
		if (command->kind == COMMAND_ACTIVITY && command->outcome == NULL)
			break;
	}
	if (run->performed == history->command_count)
		return PROGRESS_NONE;

	name = pstrdup(command->name);
	if (!aion_mock_attempt(name, &result))
	{
		if (strcmp(name, ACTIVITY_RUN_SQL) != 0 && !find_callable(name, &handler, &obstacle))
		{
			block(run, name, &obstacle);
			return PROGRESS_BLOCKED;
		}
		attempt(name, handler, aion_event_read_activity_input(command->event), &result);
	}

	aion_authority_assume(&authority);
	aion_run_unblock(run);
	aion_recorder_append(history, result.failed ? EVENT_ACTIVITY_FAILED : EVENT_ACTIVITY_COMPLETED,
						 command->event->key,
						 result.failed ? aion_event_error(result.value)
									   : aion_event_result(result.value));
	aion_authority_drop(&authority);
	CRASH_POINT("outcome recorded");
	return PROGRESS_MADE;
}

/*
 * Settles what nobody will execute any more.
 */
static void
cancel_open(Run *run)
{
	History *history = run->history;
	int count = history->command_count;

	for (int i = run->performed; i < count; i++)
	{
		RecordedCommand *command = history->commands[i];

		if (command->kind == COMMAND_ACTIVITY && command->outcome == NULL)
			aion_recorder_append(history, EVENT_ACTIVITY_CANCELLED, command->event->key, NULL);
	}
}

static Event *
record(Run *run, Command *command)
{
	const int *ordinal = command->detail;
	char key[12];

	snprintf(key, sizeof(key), "%d", *ordinal);
	return aion_recorder_append(
		run->history, EVENT_ACTIVITY_SCHEDULED, key,
		aion_event_activity_scheduled(command->fingerprint.name, command->fingerprint.input));
}

/*
 * Returns the result of an activity to the code, or raises its failure there.
 */
static Jsonb *
answer(Turn *turn, Command *command)
{
	const Event *outcome = command->recorded->outcome;

	if (outcome->type == EVENT_ACTIVITY_COMPLETED)
		return aion_event_read_result(outcome);
	{
		MemoryContext caller = MemoryContextSwitchTo(turn->context);
		Jsonb *failure = aion_event_read_error(outcome);
		char *kind = aion_json_text(failure, "kind");

		turn->failure = failure;
		MemoryContextSwitchTo(caller);
		aion_failure_raise(kind != NULL && strcmp(kind, "timeout") == 0 ? ERRCODE_ACTIVITY_TIMED_OUT
																		: ERRCODE_ACTIVITY_FAILED,
						   failure);
	}
}

/*
 * Finds an activity by name; NULL if nobody registered it.
 */
static Activity *
find(const char *name)
{
	NullableDatum args[] = {aion_arg_text(name)};
	MemoryContext caller;
	Activity *activity;
	ListCell *cell;
	Rows rows;

	aion_registry_refresh(&activities);
	foreach (cell, activities.entries)
	{
		activity = lfirst(cell);
		if (strcmp(activity->name, name) == 0)
			return activity;
	}
	rows = aion_statement_execute(&select_activity, args);
	if (rows.count == 0)
		return NULL;
	caller = MemoryContextSwitchTo(activities.context);
	activity = palloc0(sizeof(Activity));
	activity->name = pstrdup(name);
	activity->owner_key = aion_row_int32(rows, 0, 1);
	activity->signature = aion_row_text(rows, 0, 2);
	activities.entries = lappend(activities.entries, activity);
	MemoryContextSwitchTo(caller);
	return activity;
}

/*
 * Returns the function of an activity as it is now.
 */
static const Handler *
callable(Activity *activity)
{
	Oid function;
	MemoryContext caller;

	if (activity->checked_epoch == aion_registry_function_epoch())
		return activity->handler;
	if (activity->handler == NULL || !aion_handler_is_current(activity->handler))
	{
		activity->handler = NULL;
		function = aion_handler_resolve(activity->signature);
		if (OidIsValid(function))
		{
			caller = MemoryContextSwitchTo(activities.context);
			activity->handler =
				aion_handler_read(function, psprintf("activity \"%s\"", activity->name));
			MemoryContextSwitchTo(caller);
		}
	}
	activity->checked_epoch = aion_registry_function_epoch();
	return activity->handler;
}

/*
 * Finds the function of an activity, or what is in the way of calling it for the current user.
 * That is never told to the code: it can be mended.
 */
static bool
find_callable(const char *name, const Handler **handler, Obstacle *obstacle)
{
	Oid owner = GetUserId();
	Authority authority;
	Activity *activity;
	bool obstructed = true;

	*obstacle = (Obstacle){BLOCKED_MISSING_CODE, NULL, NULL};
	aion_authority_assume(&authority);
	activity = find(name);
	if (activity == NULL || !aion_registered_for(activity->owner_key, owner))
		obstacle->message = "the activity is not registered";
	else
	{
		obstacle->signature = activity->signature;
		*handler = callable(activity);
		obstructed = is_obstructed(*handler, owner, obstacle);
	}
	aion_authority_drop(&authority);
	return !obstructed;
}

static bool
is_obstructed(const Handler *handler, Oid owner, Obstacle *obstacle)
{
	if (handler == NULL)
		obstacle->message = "the function does not exist";
	else
	{
		obstacle->reason = BLOCKED_MISSING_RIGHT;
		if (!superuser_arg(handler->owner) && !aion_owner_has_role(owner, handler->owner))
			obstacle->message =
				"the function belongs to a role that the owner of the run is no member of";
		else if (!aion_compat_may_execute(handler->function, owner))
			obstacle->message = "the owner of the run may not execute the function";
		else if (handler->security_definer)
			obstacle->message = "the function is SECURITY DEFINER";
	}
	return obstacle->message != NULL;
}

static void
block(Run *run, const char *name, const Obstacle *obstacle)
{
	Authority authority;
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", name);
	aion_object_text(&object, "function", obstacle->signature);
	aion_object_text(&object, "message", obstacle->message);
	aion_authority_assume(&authority);
	aion_run_block(run, obstacle->reason, aion_object_end(&object));
	aion_authority_drop(&authority);
}

/*
 * Executes an activity once.  Raises only what is not its own failure.
 */
static void
attempt(const char *name, const Handler *handler, const Jsonb *input, Attempt *result)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;
	GuardState outside;
	bool time_was_up;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	aion_guard_enter(FRAME_ACTIVITY, &outside);
	PG_TRY();
	{
		int open_queries = aion_guard_open_queries();

		result->value = call(handler, input);
		if (aion_guard_open_queries() > open_queries)
			close_portals();
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error != NULL)
		judge(name, error, time_was_up, result);
}

/*
 * Calls the function, inside of the subtransaction, and lets everything it left for later happen
 * now, while it can still be blamed for it.
 */
static Jsonb *
call(const Handler *handler, const Jsonb *input)
{
	int level = NewGUCNestLevel();
	Jsonb *result;
	bool entered;

	aion_guard_apply_settings();
	PushActiveSnapshot(GetTransactionSnapshot());
	aion_stopwatch_start(aion_turn_timeout);
	if (handler != NULL)
		result = aion_handler_call(handler, aion_handler_complete(handler, input), &entered);
	else
		result = aion_sql_execute(input);
	aion_payload_check(result, "result");
	CRASH_POINT("activity executed");
	PopActiveSnapshot();
	CommandCounterIncrement();
	if (aion_testing_is_active())
		aion_testing_check_deferred();
	else
		AfterTriggerFireDeferred();
	AtEOXact_GUC(false, level);
	return result;
}

/*
 * Closes what the activity left open, inside of its subtransaction.
 */
static void
close_portals(void)
{
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_cursors, NULL);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Portal portal = SPI_cursor_find(aion_row_text(rows, row, 1));

		if (portal != NULL && portal->createSubid >= GetCurrentSubTransactionId() &&
			portal->status == PORTAL_READY)
			SPI_cursor_close(portal);
	}
	aion_authority_drop(&authority);
}

/*
 * Decides whose failure an error was.
 */
static void
judge(const char *name, ErrorData *error, bool time_was_up, Attempt *result)
{
	Jsonb *details = failure_details(name);

	if (time_was_up)
	{
		JsonObject object;

		aion_object_begin(&object);
		aion_object_text(&object, "kind", "timeout");
		aion_object_text(&object, "sqlstate", "57014");
		aion_object_text(&object, "message",
						 psprintf("activity \"%s\" took longer than aion.turn_timeout", name));
		aion_object_text(&object, "hint", "Register it with mode => 'background'.");
		aion_object_text(&object, "activity", name);
		aion_object_int(&object, "attempts", 1);
		result->value = aion_object_end(&object);
	}
	else if (aion_failure_is_cancel(error) || aion_failure_is_machine(error))
		ReThrowError(error); /* it did not happen; the whole share is made again */
	else
		result->value = aion_failure_of(error, details);
	result->failed = true;
}

static Jsonb *
failure_details(const char *name)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", name);
	aion_object_int(&object, "attempts", 1);
	return aion_object_end(&object);
}

/*
 * Refuses what register_activity() will offer and does not do yet.
 */
static void
check_unsupported(FunctionCallInfo fcinfo)
{
	char *mode = PG_ARGISNULL(2) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(2));

	if (strcmp(mode, "background") == 0 || strcmp(mode, "external") == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("activities of mode \"%s\" are not supported yet", mode)));
	if (strcmp(mode, "inline") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("invalid mode: \"%s\"", mode),
						errhint("Possible values are: inline, background, external.")));
	for (int i = 4; i <= 8; i++)
	{
		if (!PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("retry policies and timeouts of activities are not supported "
								   "yet")));
	}
	if (PG_ARGISNULL(9) || strcmp(text_to_cstring(PG_GETARG_TEXT_PP(9)), "try") != 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("on_cancel other than \"try\" is not supported yet")));
}

/*
 * Executes an activity where it is called, in an optimistic turn.  If it fails, the whole turn is
 * rolled back and made again step by step, so it needs no subtransaction of its own.
 */
static void
execute_now(Turn *turn, Command *command)
{
	const char *name = command->fingerprint.name;
	const Handler *handler = NULL;
	Obstacle obstacle;
	Jsonb *result;
	MemoryContext caller;
	GuardState outside;
	int open_queries;

	if (aion_testing_is_active() && aion_mock_exists(name))
		return;
	if (strcmp(name, ACTIVITY_RUN_SQL) != 0 && !find_callable(name, &handler, &obstacle))
		return;
	aion_turn_begin_activity(turn);
	aion_guard_enter(FRAME_ACTIVITY, &outside);
	open_queries = aion_guard_open_queries();
	result = call(handler, command->fingerprint.input);
	aion_guard_leave(&outside);
	caller = MemoryContextSwitchTo(turn->run->context);
	aion_recorder_append(turn->run->history, EVENT_ACTIVITY_COMPLETED,
						 command->recorded->event->key, aion_event_result(result));
	MemoryContextSwitchTo(caller);
	CRASH_POINT("optimistic outcome recorded");
	aion_turn_end_activity(turn, aion_guard_open_queries() <= open_queries);
}

/*
 * Asks for an activity and waits for its outcome.
 */
static Jsonb *
run_and_await(FunctionCallInfo fcinfo, Turn *turn, const char *name, const Jsonb *input)
{
	int *ordinal = MemoryContextAlloc(turn->context, sizeof(int));
	Command *command;

	aion_payload_check(input, "input");
	*ordinal = aion_turn_ordinal(turn, COMMAND_ACTIVITY) + 1;
	command = aion_turn_command(turn, &class, name, input, ordinal);
	if (aion_turn_may_execute(turn, command))
		execute_now(turn, command);
	return aion_turn_await(turn, &command, 1, NULL);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_register_activity);
PG_FUNCTION_INFO_V1(aion_run);
PG_FUNCTION_INFO_V1(aion_run_sql);

/*
 * register_activity(name, handler, mode, task_queue, ...)
 */
Datum
aion_register_activity(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid function = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	char *task_queue = PG_ARGISNULL(3) ? "default" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	Oid role = GetUserId();
	Authority authority;
	char *signature;

	aion_guard_client_call("aion.register_activity");
	aion_name_check(name, AION_NAME_MAX, "activity name");
	aion_name_check(task_queue, AION_NAME_MAX, "task queue");
	check_unsupported(fcinfo);
	if (strcmp(name, ACTIVITY_RUN_SQL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("activity name \"%s\" is reserved", name)));
	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null")));
	aion_handler_check(function, role);
	signature = aion_handler_signature(function);

	aion_authority_assume(&authority);
	aion_fence_settle();
	{
		NullableDatum row[] = {aion_arg_text(name), aion_arg_int32(aion_owner_key(role)),
							   aion_arg_text(signature), aion_arg_text(task_queue)};
		Rows rows;

		(void) aion_statement_execute(&insert_activity, row);
		rows = aion_statement_execute(&lock_activity, row);
		row[1] =
			aion_arg_int32(aion_owner_of_name(role, aion_row_int32(rows, 0, 1), "activity", name));
		(void) aion_statement_execute(&update_activity, row);
	}
	aion_registry_changed(&activities);
	aion_deploy_wake_blocked(role);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * run(activity, input, options) -> result
 */
Datum
aion_run(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.run");
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Jsonb *input = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Jsonb *result;

	aion_name_check(name, AION_NAME_MAX, "activity name");
	if (strcmp(name, ACTIVITY_RUN_SQL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("activity name \"%s\" is reserved", name),
				 errhint("Use aion.run_sql().")));
	if (!PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("options of activities are not supported yet")));
	result = run_and_await(fcinfo, turn, name, input);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}

/*
 * run_sql(query, args) -> rows
 */
Datum
aion_run_sql(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.run_sql");
	Jsonb *args = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	JsonObject input;
	Jsonb *result;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("query must not be null")));
	aion_object_begin(&input);
	aion_object_text(&input, "query", text_to_cstring(PG_GETARG_TEXT_PP(0)));
	aion_object_json(&input, "args", args);
	result = run_and_await(fcinfo, turn, ACTIVITY_RUN_SQL, aion_object_end(&input));
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
