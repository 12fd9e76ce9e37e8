/*
 * activity.c
 *		Activities: registering them, asking for them, and when they are executed.
 *
 * An inline activity is executed between two turns of the same transaction: effect, outcome and the
 * workflow's next step are one commit.  Others are handed over to workers.
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
#include "primitives/policy.h"
#include "primitives/task.h"
#include "support/crash_point.h"
#include "support/duration.h"
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
	bool is_inline;
	Jsonb *policy;
	char *signature;	  /* NULL: there is no function */
	uint64 checked_epoch; /* state of the functions that handler holds for */
	Handler *handler;	  /* NULL: there is no such function */
} Activity;

/* How a new activity was asked for. */
typedef struct Wish
{
	int ordinal;
	Jsonb *options; /* NULL: none */
} Wish;

/* Why an activity cannot be executed; a registration or a grant can mend it. */
typedef struct Obstacle
{
	const char *reason;
	const char *message;
	const char *signature;
} Obstacle;

static Statement select_activity = STATEMENT(
	SELECT,
	"SELECT owner_key, handler, mode = 'inline', policy FROM aion._activity WHERE name = $1",
	TEXTOID);
static Statement insert_activity =
	STATEMENT(INSERT,
			  "INSERT INTO aion._activity (name, owner_key, handler, mode, task_queue, policy)"
			  " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
			  TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID);
static Statement lock_activity =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._activity WHERE name = $1 FOR UPDATE", TEXTOID);
static Statement update_activity =
	STATEMENT(UPDATE,
			  "UPDATE aion._activity SET owner_key = $2, handler = $3, mode = $4, task_queue = $5,"
			  " policy = $6 WHERE name = $1",
			  TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID);

static Event *record(Run *run, Command *command);
static Jsonb *answer(Turn *turn, Command *command);
static Jsonb *failure_of(const Command *command);
static const char *cancel(Turn *turn, Command *activity);
static Event *record_cancel(Run *run, Command *command);
static void key_of(const Command *command, char key[12]);
static void init(void);
static Progress perform(Run *run);
static void arrive(Run *run);
static void purge(int64 run_key);
static void cancel_open(Run *run);

static const CommandClass class = {.kind = COMMAND_ACTIVITY,
								   .awaiting = "activity",
								   .record = record,
								   .answer = answer,
								   .failure = failure_of,
								   .cancel = cancel};
static const CommandClass cancel_class = {.kind = COMMAND_CANCEL_ACTIVITY, .record = record_cancel};
static Primitive primitive = {.name = "activity",
							  .init = init,
							  .perform = perform,
							  .arrive = arrive,
							  .purge = purge,
							  .close = cancel_open};
static Registry activities = {.table = "_activity"};

AION_REGISTER_PRIMITIVE(primitive);

static Activity *find(const char *name);
static const Handler *callable(Activity *activity);
static Activity *find_callable(const char *name, const Handler **handler, Obstacle *obstacle);
static bool is_obstructed(const Handler *handler, Oid owner, Obstacle *obstacle);
static void block(Run *run, const char *name, const Obstacle *obstacle);
static char *mode_of(FunctionCallInfo fcinfo);
static Jsonb *policy_of(FunctionCallInfo fcinfo, const char *task_queue, bool is_inline);
static void execute_now(Turn *turn, Command *command);
static Jsonb *run_and_await(Turn *turn, const char *name, const Jsonb *input, const Jsonb *options);
static Progress perform_one(Run *run, RecordedCommand *command);
static bool refuse_policy(const RecordedCommand *command, Attempt *result);
static bool is_handed_over(Run *run, const RecordedCommand *command);
static bool hand_over(Run *run, const RecordedCommand *command, const Activity *activity);

static void
init(void)
{
	aion_registry_init(&activities);
	aion_mock_init();
}

/*
 * Executes the next inline activity that has no outcome, and hands over the others on the way.
 */
static Progress
perform(Run *run)
{
	History *history = run->history;

	for (; run->performed < history->command_count; run->performed++)
	{
		RecordedCommand *command = history->commands[run->performed];
		Progress progress;

		if (command->kind != COMMAND_ACTIVITY || command->outcome != NULL)
			continue;
		progress = perform_one(run, command);
		if (progress != PROGRESS_NONE)
			return progress;
	}
	return PROGRESS_NONE;
}

static Progress
perform_one(Run *run, RecordedCommand *command)
{
	const Handler *handler = NULL;
	Attempt result = {0};
	Activity *activity = NULL;
	Obstacle obstacle;
	Authority authority;
	char *name = pstrdup(command->name);

	if (!aion_mock_attempt(name, &result))
	{
		if (strcmp(name, ACTIVITY_RUN_SQL) != 0)
			activity = find_callable(name, &handler, &obstacle);
		if (activity == NULL && strcmp(name, ACTIVITY_RUN_SQL) != 0)
		{
			if (is_handed_over(run, command))
				return PROGRESS_NONE; /* it was not always so */
			block(run, name, &obstacle);
			return PROGRESS_BLOCKED;
		}
		if (activity != NULL && hand_over(run, command, activity))
			return PROGRESS_NONE;
		if (!refuse_policy(command, &result))
			aion_attempt_make(name, handler, aion_event_read_activity_input(command->event),
							  &result);
	}

	aion_authority_assume(&authority);
	aion_run_unblock(run);
	aion_recorder_append(
		run->history, result.failed ? EVENT_ACTIVITY_FAILED : EVENT_ACTIVITY_COMPLETED,
		command->event->key,
		result.failed ? aion_event_error(result.value) : aion_event_result(result.value));
	aion_authority_drop(&authority);
	CRASH_POINT("outcome recorded");
	return PROGRESS_MADE;
}

/*
 * Lets an inline activity fail that was asked for with what inline activities do not have yet.
 */
static bool
refuse_policy(const RecordedCommand *command, Attempt *result)
{
	Jsonb *options = aion_event_read_activity_options(command->event);

	if (!aion_policy_tries(options))
		return false;
	result->failed = true;
	result->value = aion_failure_make(
		"0A000", "retry policies and timeouts of inline activities are not supported yet", NULL);
	return true;
}

/*
 * Tells whether an activity is with workers already.
 */
static bool
is_handed_over(Run *run, const RecordedCommand *command)
{
	Authority authority;
	bool handed_over;

	aion_authority_assume(&authority);
	handed_over = aion_task_is_dispatched(run, atoi(command->event->key));
	aion_authority_drop(&authority);
	return handed_over;
}

/*
 * Hands an activity over to workers; false if it is to be executed here and now.
 */
static bool
hand_over(Run *run, const RecordedCommand *command, const Activity *activity)
{
	Jsonb *policy;
	Authority authority;

	if (activity->is_inline && run->history->open_activities == 1 && !run->knows_tasks)
		return false;
	if (is_handed_over(run, command))
		return true;
	if (activity->is_inline)
		return false;
	policy = aion_policy_merge(activity->policy, aion_event_read_activity_options(command->event));
	aion_authority_assume(&authority);
	aion_task_dispatch(run, command, policy);
	aion_authority_drop(&authority);
	return true;
}

/*
 * Takes in what workers have to say.
 */
static void
arrive(Run *run)
{
	if (run->tasks_settled || run->tasks_due)
		aion_task_arrive(run);
}

static void
purge(int64 run_key)
{
	aion_task_purge(run_key);
}

/*
 * Settles what nobody will execute any more.
 */
static void
cancel_open(Run *run)
{
	History *history = run->history;
	int count = history->command_count;

	aion_task_cancel_all(run);
	for (int i = 0; i < count && history->open_activities > 0; i++)
	{
		RecordedCommand *command = history->commands[i];

		if (command->kind == COMMAND_ACTIVITY && command->outcome == NULL)
			aion_recorder_append(history, EVENT_ACTIVITY_CANCELLED, command->event->key,
								 aion_event_cancelled(CANCEL_BY_CLOSE));
	}
}

static Event *
record(Run *run, Command *command)
{
	char key[12];

	key_of(command, key);
	return aion_recorder_append(
		run->history, EVENT_ACTIVITY_SCHEDULED, key,
		aion_event_activity_scheduled(command->fingerprint.name, command->fingerprint.input,
									  ((const Wish *) command->detail)->options));
}

/*
 * Returns the result of an activity to the code, or raises its failure there.
 */
static Jsonb *
answer(Turn *turn, Command *command)
{
	MemoryContext caller;
	Jsonb *failure = failure_of(command);
	const char *kind;
	int sqlerrcode = ERRCODE_ACTIVITY_FAILED;

	if (failure == NULL)
		return aion_event_read_result(aion_turn_outcome(command));
	caller = MemoryContextSwitchTo(turn->context);
	turn->failure = DatumGetJsonbPCopy(JsonbPGetDatum(failure));
	MemoryContextSwitchTo(caller);
	kind = aion_json_text(failure, "kind");
	if (kind != NULL && strcmp(kind, "timeout") == 0)
		sqlerrcode = ERRCODE_ACTIVITY_TIMED_OUT;
	else if (kind != NULL && strcmp(kind, "cancelled") == 0)
		sqlerrcode = ERRCODE_ACTIVITY_CANCELLED;
	aion_failure_raise(sqlerrcode, failure);
}

static Jsonb *
failure_of(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);
	JsonObject object;

	if (outcome != NULL && outcome->type == EVENT_ACTIVITY_COMPLETED)
		return NULL;
	if (outcome != NULL && outcome->type == EVENT_ACTIVITY_FAILED)
		return aion_event_read_error(outcome);
	aion_object_begin(&object);
	aion_object_text(&object, "kind", "cancelled");
	aion_object_text(&object, "sqlstate", "WA003");
	aion_object_text(&object, "message",
					 psprintf("activity \"%s\" was cancelled", command->fingerprint.name));
	aion_object_text(&object, "activity", command->fingerprint.name);
	return aion_object_end(&object);
}

/*
 * Gives the command that cancels an activity; returns how the activity stood.
 */
static const char *
cancel(Turn *turn, Command *activity)
{
	const Event *outcome = aion_turn_outcome(activity);
	const char *found = "pending";
	char key[12];
	Command *command;

	if (activity->cancelled_by != NULL ||
		(outcome != NULL && outcome->type == EVENT_ACTIVITY_CANCELLED))
		found = "cancelled";
	else if (outcome != NULL)
		found = outcome->type == EVENT_ACTIVITY_COMPLETED ? "completed" : "failed";
	key_of(activity, key);
	command = aion_turn_command(turn, &cancel_class, key, NULL, found);
	if (command->recorded != NULL)
		found = command->recorded->event->type == EVENT_ACTIVITY_CANCELLED
					? "pending"
					: aion_event_read_answer(command->recorded->event);
	if (strcmp(found, "pending") == 0)
		activity->cancelled_by = command;
	return found;
}

static Event *
record_cancel(Run *run, Command *command)
{
	const char *key = command->fingerprint.name;

	if (strcmp(command->detail, "pending") != 0)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, key,
			aion_event_command_answered(&command->fingerprint, command->detail, NULL));
	aion_task_cancel(run, atoi(key));
	return aion_recorder_append(run->history, EVENT_ACTIVITY_CANCELLED, key,
								aion_event_cancelled(CANCEL_BY_WORKFLOW));
}

/*
 * Writes the key of an activity's events: its number among the activities of the run.
 */
static void
key_of(const Command *command, char key[12])
{
	if (command->recorded != NULL)
		strlcpy(key, command->recorded->event->key, 12);
	else
		snprintf(key, 12, "%d", ((const Wish *) command->detail)->ordinal);
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
	activity->is_inline = aion_row_bool(rows, 0, 3);
	activity->policy = aion_row_jsonb(rows, 0, 4);
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
 * Finds an activity and, for who executes it here, its function; NULL if something is in the way of
 * calling it for the current user.  That is never told to the code: it can be mended.
 */
static Activity *
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
	else if (!activity->is_inline)
		obstructed = false;
	else
	{
		obstacle->signature = activity->signature;
		*handler = callable(activity);
		obstructed = is_obstructed(*handler, owner, obstacle);
	}
	aion_authority_drop(&authority);
	return obstructed ? NULL : activity;
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
 * Reads and checks the mode of a registration.
 */
static char *
mode_of(FunctionCallInfo fcinfo)
{
	char *mode = PG_ARGISNULL(2) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(2));

	if (strcmp(mode, "background") == 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("activities of mode \"%s\" are not supported yet", mode)));
	if (strcmp(mode, "inline") != 0 && strcmp(mode, "external") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("invalid mode: \"%s\"", mode),
						errhint("Possible values are: inline, background, external.")));
	if (PG_ARGISNULL(9) || strcmp(text_to_cstring(PG_GETARG_TEXT_PP(9)), "try") != 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("on_cancel other than \"try\" is not supported yet")));
	return mode;
}

/*
 * Makes the policy of a registration from its arguments, and checks it.
 */
static Jsonb *
policy_of(FunctionCallInfo fcinfo, const char *task_queue, bool is_inline)
{
	static const char *const timeouts[] = {"start_to_close_timeout", "schedule_to_start_timeout",
										   "schedule_to_close_timeout", "heartbeat_timeout"};
	JsonObject object;
	Policy policy;
	Jsonb *json;
	bool any = !PG_ARGISNULL(4);

	aion_object_begin(&object);
	if (strcmp(task_queue, "default") != 0)
		aion_object_text(&object, "task_queue", task_queue);
	aion_object_json(&object, "retry", PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	for (size_t i = 0; i < lengthof(timeouts); i++)
	{
		if (PG_ARGISNULL(5 + i))
			continue;
		any = true;
		aion_object_text(&object, timeouts[i], aion_duration_text(PG_GETARG_INTERVAL_P(5 + i)));
	}
	json = aion_object_end(&object);
	aion_policy_read(json, &policy);
	if (is_inline && any)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("retry policies and timeouts of inline activities are not "
							   "supported yet")));
	if (!is_inline && policy.start_to_close == 0 && policy.heartbeat == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("an external activity needs a start_to_close_timeout or a "
							   "heartbeat_timeout"),
						errdetail("Without either nobody would notice that its worker is gone.")));
	return json;
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

	if ((aion_testing_is_active() && aion_mock_exists(name)) ||
		((const Wish *) command->detail)->options != NULL)
		return;
	if (strcmp(name, ACTIVITY_RUN_SQL) != 0 &&
		(find_callable(name, &handler, &obstacle) == NULL || handler == NULL))
		return;
	aion_turn_begin_activity(turn);
	aion_guard_enter(FRAME_ACTIVITY, &outside);
	open_queries = aion_guard_open_queries();
	result = aion_attempt_call(handler, command->fingerprint.input);
	aion_guard_leave(&outside);
	caller = MemoryContextSwitchTo(turn->run->context);
	aion_recorder_append(turn->run->history, EVENT_ACTIVITY_COMPLETED,
						 command->recorded->event->key, aion_event_result(result));
	MemoryContextSwitchTo(caller);
	CRASH_POINT("optimistic outcome recorded");
	aion_turn_end_activity(turn, aion_guard_open_queries() <= open_queries);
}

/*
 * Asks for an activity.
 */
Command *
aion_activity_start(Turn *turn, const char *name, const Jsonb *input, const Jsonb *options)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	Wish *wish = palloc0(sizeof(Wish));
	Policy policy;

	aion_payload_check(input, "input");
	wish->ordinal = aion_turn_ordinal(turn, COMMAND_ACTIVITY) + 1;
	if (options != NULL)
	{
		aion_policy_read(options, &policy);
		wish->options = DatumGetJsonbPCopy(JsonbPGetDatum(options));
	}
	MemoryContextSwitchTo(caller);
	return aion_turn_command(turn, &class, name, input, wish);
}

/*
 * Asks for an activity and waits for its outcome.
 */
static Jsonb *
run_and_await(Turn *turn, const char *name, const Jsonb *input, const Jsonb *options)
{
	Command *command = aion_activity_start(turn, name, input, options);

	if (aion_turn_may_execute(turn, command))
		execute_now(turn, command);
	return aion_turn_await(turn, command);
}

/*
 * Reads the name of an activity that code asks for.
 */
char *
aion_activity_name(text *argument)
{
	char *name = argument == NULL ? NULL : text_to_cstring(argument);

	aion_name_check(name, AION_NAME_MAX, "activity name");
	if (strcmp(name, ACTIVITY_RUN_SQL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("activity name \"%s\" is reserved", name),
				 errhint("Use aion.run_sql().")));
	return name;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_register_activity);
PG_FUNCTION_INFO_V1(aion_run);
PG_FUNCTION_INFO_V1(aion_run_sql);
PG_FUNCTION_INFO_V1(aion_start_activity);

/*
 * register_activity(name, handler, mode, task_queue, ...)
 */
Datum
aion_register_activity(PG_FUNCTION_ARGS)
{
	char *name = aion_activity_name(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	Oid function = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	char *task_queue = PG_ARGISNULL(3) ? "default" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	char *mode = mode_of(fcinfo);
	bool is_inline = strcmp(mode, "inline") == 0;
	Oid role = GetUserId();
	Authority authority;
	char *signature = NULL;
	Jsonb *policy;

	aion_guard_client_call("aion.register_activity");
	aion_name_check(task_queue, AION_NAME_MAX, "task queue");
	if (is_inline && !OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null")));
	if (!is_inline && OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("an external activity has no handler"),
				 errdetail("Workers that poll its task queue execute it.")));
	policy = policy_of(fcinfo, task_queue, is_inline);
	if (is_inline)
	{
		aion_handler_check(function, role);
		signature = aion_handler_signature(function);
	}
	aion_authority_assume(&authority);
	aion_fence_settle();
	{
		NullableDatum row[] = {aion_arg_text(name),		  aion_arg_int32(aion_owner_key(role)),
							   aion_arg_text(signature),  aion_arg_text(mode),
							   aion_arg_text(task_queue), aion_arg_jsonb(policy)};
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
	char *name = aion_activity_name(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	Jsonb *input = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Jsonb *result;

	result = run_and_await(turn, name, input, PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}

/*
 * start_activity(activity, input, options) -> handle
 */
Datum
aion_start_activity(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.start_activity");
	char *name = aion_activity_name(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	Jsonb *input = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);

	PG_RETURN_TEXT_P(cstring_to_text(aion_turn_handle(
		aion_activity_start(turn, name, input, PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2)))));
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
	result = run_and_await(turn, ACTIVITY_RUN_SQL, aion_object_end(&input), NULL);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
