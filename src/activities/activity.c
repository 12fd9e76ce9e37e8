/*
 * activity.c
 *		Activities: the command that asks for one, and one attempt to execute it.
 *
 * An inline activity is executed between two turns of the same transaction: effect, outcome and the
 * workflow's next step are one commit.  Other activities are handed over as tasks, and so is an
 * inline one that failed and will be retried.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"

#include "activities/activity.h"
#include "activities/completion.h"
#include "activities/handover.h"
#include "activities/late.h"
#include "activities/policy.h"
#include "activities/registration.h"
#include "activities/task.h"
#include "code/failure.h"
#include "code/guard.h"
#include "primitives/primitives.h"
#include "run/transition.h"
#include "support/clock.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "turn/mistake.h"
#include "turn/optimistic.h"
#include "turn/turn.h"

/* How code asked for a new activity. */
typedef struct ActivityRequest
{
	int ordinal;
	Jsonb *options; /* NULL: none */
} ActivityRequest;

static Event *activity_record(Run *run, Command *command);
static Jsonb *activity_answer(Turn *turn, Command *command);
static Jsonb *activity_failure_of(const Command *command);
static bool is_a(const Command *command, EventType type);
static const char *activity_cancel(Turn *turn, Command *activity);
static Command *activity_yield(Turn *turn, Command *activity);
static Command *activity_give_cancel(Turn *turn, Command *activity, const CommandClass *by);
static Event *activity_record_cancel(Run *run, Command *command);
static Event *record_yield(Run *run, Command *command);
static void activity_key_of(const Command *command, char key[12]);
static void init(void);
static Progress activity_perform(Run *run);
static void arrive(Run *run);
static void cancel_open(Run *run);
static void reopen(Run *run);

static const CommandClass class = {.kind = COMMAND_ACTIVITY,
								   .awaiting = "activity",
								   .has_handle = true,
								   .record = activity_record,
								   .answer = activity_answer,
								   .failure = activity_failure_of,
								   .cancel = activity_cancel,
								   .yield = activity_yield};
static const CommandClass cancel_class = {.kind = COMMAND_CANCEL_ACTIVITY,
										  .record = activity_record_cancel};
static const CommandClass yield_class = {
	.kind = COMMAND_CANCEL_ACTIVITY, .awaiting = "cancel", .record = record_yield};
static const CommandClass *const classes[] = {&class, &cancel_class, &yield_class, NULL};
const Primitive aion_activity_primitive = {.name = "activity",
										   .classes = classes,
										   .slot = &aion_handover_slot,
										   .init = init,
										   .perform = activity_perform,
										   .arrive = arrive,
										   .due = aion_handover_due,
										   .receives = ARRIVAL_OUTCOME,
										   .receive = aion_handover_receive,
										   .receive_late = aion_handover_receive,
										   .keep = aion_handover_is_held,
										   .purge = aion_handover_purge,
										   .close = cancel_open,
										   .tell_late = aion_late_tell,
										   .excuse_late = aion_late_excuse,
										   .resume = aion_handover_offer,
										   .reopen = reopen};

static bool note_obstacle(Run *run, const RecordedCommand *command, int position,
						  const Obstacle *obstacle);
static bool note_misfit(Run *run, const RecordedCommand *command, int position, Jsonb *failure);
static void execute_now(Turn *turn, Command *command);
static Jsonb *run_and_await(Turn *turn, const char *name, const Jsonb *input, const Jsonb *options);
static bool perform_one(Run *run, RecordedCommand *command, int position);
static void hand_over_if_fits(Run *run, const RecordedCommand *command,
							  const Registration *activity, const Handler *handler,
							  Attempt *result);
static bool execute_here(Run *run, const RecordedCommand *command, const Registration *activity,
						 const Handler *handler, Attempt *result);
static Jsonb *call_now(Turn *turn, AttemptInfo *info, const Handler *handler, const Jsonb *input);
static AttemptInfo info_of(const Run *run, const RecordedCommand *command,
						   const Registration *activity);
static Jsonb *activity_policy_of(const RecordedCommand *command, const Registration *activity);
static bool is_unwanted(const Run *run, const RecordedCommand *command, int position);
static void hand_over(Run *run, const RecordedCommand *command, const Jsonb *policy,
					  bool background, const Jsonb *error);

static void
init(void)
{
	aion_registration_init();
	aion_mock_init();
	aion_completion_init();
}

/*
 * Executes the next inline activity that has no outcome.  Hands over the activities before it that
 * are not inline.
 */
static Progress
activity_perform(Run *run)
{
	History *history = run->history;

	for (int i = run->performed; i < history->command_count; i++)
	{
		RecordedCommand *command = history->commands[i];

		if (command->kind == COMMAND_ACTIVITY && command->outcome == NULL &&
			!aion_handover_is_made(run, command))
		{
			if (aion_mistake_of(run, i + 1) != NULL)
				continue;
			if (perform_one(run, command, i))
				return PROGRESS_MADE;
		}
		if (i == run->performed)
			run->performed++;
	}
	return PROGRESS_NONE;
}

/*
 * Executes an activity, or hands it over.  Returns whether there is a new outcome or mistake to
 * show to the code.
 */
static bool
perform_one(Run *run, RecordedCommand *command, int position)
{
	const Handler *handler = NULL;
	Attempt result = {0};
	const Registration *activity = NULL;
	Obstacle obstacle;
	Authority authority;
	char *name = pstrdup(command->name);

	if (is_unwanted(run, command, position))
	{
		result.failed = true;
		result.value = aion_task_cancelled(name);
	}
	else if (!aion_mock_attempt(name, &result))
	{
		if (strcmp(name, ACTIVITY_RUN_SQL) != 0)
		{
			activity = aion_registration_find(name, &handler, &obstacle);
			if (activity == NULL)
				return note_obstacle(run, command, position, &obstacle);
		}
		if (activity != NULL && activity->mode != MODE_INLINE)
		{
			hand_over_if_fits(run, command, activity, handler, &result);
			if (!result.misfit)
				return false;
		}
		else if (!execute_here(run, command, activity, handler, &result))
			return false;
		if (result.misfit)
			return note_misfit(run, command, position, result.value);
	}

	aion_authority_assume(&authority);
	aion_run_unblock(run);
	aion_recorder_append(
		run->history, result.failed ? EVENT_ACTIVITY_FAILED : EVENT_ACTIVITY_COMPLETED,
		command->event->key,
		result.failed ? aion_event_error(result.value) : aion_event_result(result.value));
	aion_authority_drop(&authority);
	CRASH_POINT("outcome recorded");
	return true;
}

/*
 * Hands over an activity that is not inline, unless its input does not fit.
 */
static void
hand_over_if_fits(Run *run, const RecordedCommand *command, const Registration *activity,
				  const Handler *handler, Attempt *result)
{
	AttemptInfo info = info_of(run, command, activity);
	bool background = activity->mode == MODE_BACKGROUND;

	info.only_fits = true;
	if (background)
		aion_attempt_make(&info, handler, aion_event_read_activity_input(command->event), result);
	if (!result->misfit)
		hand_over(run, command, activity_policy_of(command, activity), background, NULL);
}

/*
 * Executes an inline activity.  Returns false if it failed and will be retried: it is handed over,
 * so that the turn does not wait for the retry.
 */
static bool
execute_here(Run *run, const RecordedCommand *command, const Registration *activity,
			 const Handler *handler, Attempt *result)
{
	AttemptInfo info = info_of(run, command, activity);
	Jsonb *json = activity != NULL ? activity_policy_of(command, activity) : NULL;
	bool has_policy = json != NULL && JB_ROOT_COUNT(json) > 0;
	Policy policy;

	if (has_policy)
	{
		aion_policy_read(json, true, &policy);
		if (policy.start_to_close > 0)
			info.deadline = aion_clock_now() + policy.start_to_close;
	}
	aion_attempt_make(&info, handler, aion_event_read_activity_input(command->event), result);
	if (!result->failed || result->misfit || !has_policy ||
		!aion_policy_retries(&policy, 1, result->value))
		return true;
	hand_over(run, command, json, true, result->value);
	return false;
}

static AttemptInfo
info_of(const Run *run, const RecordedCommand *command, const Registration *activity)
{
	return (AttemptInfo){.workflow_id = run->workflow_id,
						 .run_id = run->run_id,
						 .ordinal = atoi(command->event->key),
						 .activity = command->name,
						 .settings = activity != NULL ? &activity->settings : run->settings,
						 .attempt = 1,
						 .deadline = DT_NOEND};
}

static Jsonb *
activity_policy_of(const RecordedCommand *command, const Registration *activity)
{
	return aion_policy_merge(activity->policy, aion_event_read_activity_options(command->event));
}

/*
 * Tells whether history holds a cancel request for an activity that is not being executed.  The
 * attempt that the request was meant for belonged to the run that this one was forked from, or to
 * this run before its end.
 */
static bool
is_unwanted(const Run *run, const RecordedCommand *command, int position)
{
	const History *history = run->history;

	if (history->cancel_requests == NIL || command->event->seq > run->loaded)
		return false;
	for (int i = position + 1; i < history->command_count; i++)
	{
		const Event *event = history->commands[i]->event;

		if (event->type == EVENT_ACTIVITY_CANCEL_REQUESTED &&
			strcmp(event->key, command->event->key) == 0)
			return true;
	}
	return false;
}

static void
hand_over(Run *run, const RecordedCommand *command, const Jsonb *policy, bool background,
		  const Jsonb *error)
{
	Authority authority;

	aion_authority_assume(&authority);
	aion_handover_make(run, command, policy, background, error);
	aion_authority_drop(&authority);
}

/*
 * Ends late attempts and records outcomes of tasks.
 */
static void
arrive(Run *run)
{
	if (run->slots[aion_handover_slot] != NULL)
		aion_handover_arrive(run);
}

/*
 * Records that activities without an outcome are cancelled, when the run ends.
 */
static void
cancel_open(Run *run)
{
	History *history = run->history;
	int count = history->command_count;

	aion_handover_cancel_all(run);
	for (int i = 0; i < count && history->open_activities > 0; i++)
	{
		RecordedCommand *command = history->commands[i];

		if (command->kind == COMMAND_ACTIVITY && command->outcome == NULL)
			aion_recorder_append(
				history, EVENT_ACTIVITY_CANCELLED, command->event->key,
				aion_event_cancelled(command->unawaited ? CANCEL_UNAWAITED : CANCEL_BY_CLOSE));
	}
}

/*
 * Lets the activities that the end of the run took back from workers be handed over again.
 */
static void
reopen(Run *run)
{
	if (run->history->open_activities > 0)
		aion_handover_reopen(run);
}

static Event *
activity_record(Run *run, Command *command)
{
	char key[12];

	activity_key_of(command, key);
	return aion_recorder_append(
		run->history, EVENT_ACTIVITY_SCHEDULED, key,
		aion_event_activity_scheduled(command->fingerprint.name, command->fingerprint.input,
									  ((const ActivityRequest *) command->detail)->options));
}

/*
 * Returns the result of an activity to the code, or raises its failure there.
 */
static Jsonb *
activity_answer(Turn *turn, Command *command)
{
	MemoryContext caller;
	Jsonb *failure = activity_failure_of(command);
	const char *kind;
	int sqlerrcode = ERRCODE_ACTIVITY_FAILED;

	if (failure == NULL)
		return aion_event_read_result(aion_turn_outcome(command));
	aion_turn_note_failures(turn, &command, 1);
	caller = MemoryContextSwitchTo(turn->context);
	turn->failure = DatumGetJsonbPCopy(JsonbPGetDatum(failure));
	MemoryContextSwitchTo(caller);
	kind = aion_json_text(failure, "kind");
	if (kind != NULL && strcmp(kind, "timeout") == 0)
		sqlerrcode = ERRCODE_ACTIVITY_TIMED_OUT;
	else if (kind != NULL && strcmp(kind, "cancelled") == 0)
		sqlerrcode = ERRCODE_ACTIVITY_CANCELLED;
	else if (kind != NULL && strcmp(kind, KIND_MISTAKE) == 0)
		sqlerrcode = aion_failure_errcode(failure);
	aion_failure_raise(sqlerrcode, failure);
}

static Jsonb *
activity_failure_of(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	if (outcome != NULL && outcome->type == EVENT_ACTIVITY_COMPLETED)
		return NULL;
	if (outcome != NULL && outcome->type == EVENT_ACTIVITY_FAILED)
		return aion_event_read_error(outcome);
	return aion_task_cancelled(command->fingerprint.name);
}

static bool
is_a(const Command *command, EventType type)
{
	return command->recorded->event->type == type;
}

/*
 * Issues the command that cancels an activity; returns the state that the activity was in.
 */
static const char *
activity_cancel(Turn *turn, Command *activity)
{
	Command *command = activity_give_cancel(turn, activity, &cancel_class);
	const char *found = command->detail;
	bool cancelled = command->recorded == NULL ? strcmp(found, "pending") == 0
											   : is_a(command, EVENT_ACTIVITY_CANCELLED);

	/* Where an earlier version of the code yielded to a request, the activity was pending, too. */
	if (cancelled || (command->recorded != NULL && is_a(command, EVENT_ACTIVITY_CANCEL_REQUESTED)))
		found = "pending";
	else if (command->recorded != NULL)
		found = aion_event_read_answer(command->recorded->event);
	if (cancelled)
		activity->cancelled_by = command;
	return found;
}

/*
 * Issues the command by which an activity yields to a cancel request.  Whether the activity is
 * cancelled or its outcome is awaited depends on whether its task is claimed, which the turn does
 * not know.
 */
static Command *
activity_yield(Turn *turn, Command *activity)
{
	Command *command = activity_give_cancel(turn, activity, &yield_class);

	if (command->recorded != NULL && is_a(command, EVENT_ACTIVITY_CANCELLED))
		activity->cancelled_by = command;
	return command;
}

static Command *
activity_give_cancel(Turn *turn, Command *activity, const CommandClass *by)
{
	const Event *outcome = aion_turn_outcome(activity);
	const char *found = "pending";
	char key[12];

	if (activity->cancelled_by != NULL ||
		(outcome != NULL && outcome->type == EVENT_ACTIVITY_CANCELLED))
		found = "cancelled";
	else if (outcome != NULL)
		found = outcome->type == EVENT_ACTIVITY_COMPLETED ? "completed" : "failed";
	activity_key_of(activity, key);
	return aion_turn_command(turn, by, key, NULL, found);
}

static Event *
activity_record_cancel(Run *run, Command *command)
{
	const char *key = command->fingerprint.name;

	if (strcmp(command->detail, "pending") != 0)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, key,
			aion_event_command_answered(&command->fingerprint, command->detail, NULL));
	if (!aion_handover_cancel(run, atoi(key)))
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("activity %s came to its end while the workflow cancelled it", key),
						errhint("The turn is repeated.")));
	return aion_recorder_append(run->history, EVENT_ACTIVITY_CANCELLED, key,
								aion_event_cancelled(CANCEL_BY_WORKFLOW));
}

/*
 * Appends what becomes of an activity whose workflow is to be cancelled.  An activity in the
 * background has a task like an external one, and yields in the same cases.
 */
static Event *
record_yield(Run *run, Command *command)
{
	const char *key = command->fingerprint.name;

	if (strcmp(command->detail, "pending") == 0 && aion_handover_waits(run, atoi(key)))
		return aion_recorder_append(run->history, EVENT_ACTIVITY_CANCEL_REQUESTED, key, NULL);
	return activity_record_cancel(run, command);
}

/*
 * Writes the key of an activity's events: its number among the activities of the run.
 */
static void
activity_key_of(const Command *command, char key[12])
{
	if (command->recorded != NULL)
		strlcpy(key, command->recorded->event->key, 12);
	else
		snprintf(key, 12, "%d", ((const ActivityRequest *) command->detail)->ordinal);
}

/*
 * Notes that an activity does not exist for the run, or that its owner may not execute it.  Returns
 * whether that is new.
 */
static bool
note_obstacle(Run *run, const RecordedCommand *command, int position, const Obstacle *obstacle)
{
	bool is_right = strcmp(obstacle->reason, BLOCKED_MISSING_RIGHT) == 0;
	Hindrance hindrance = {.reason = obstacle->reason};
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", command->name);
	aion_object_text(&object, "function", obstacle->signature);
	aion_object_text(&object, "message", obstacle->message);
	hindrance.detail = aion_object_end(&object);
	aion_object_begin(&object);
	aion_object_text(&object, "kind", KIND_MISTAKE);
	aion_object_text(&object, "activity", command->name);
	aion_object_text(
		&object, "sqlstate",
		unpack_sql_state(is_right ? ERRCODE_INSUFFICIENT_PRIVILEGE : ERRCODE_UNKNOWN_ACTIVITY));
	aion_object_text(
		&object, "message",
		psprintf("activity \"%s\" cannot be executed: %s", command->name, obstacle->message));
	aion_object_text(&object, "hint", "Use aion.register_activity(), or make its function again.");
	hindrance.failure = aion_object_end(&object);
	return aion_mistake_note(run, position + 1, EVENT_ACTIVITY_FAILED, command->event->key,
							 &hindrance);
}

/*
 * Notes that the input does not fit the activity.  Returns whether that is new.
 */
static bool
note_misfit(Run *run, const RecordedCommand *command, int position, Jsonb *failure)
{
	Hindrance hindrance = {.reason = BLOCKED_INVALID_INPUT, .failure = failure};
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", command->name);
	aion_object_text(&object, "message", aion_json_text(failure, "message"));
	aion_object_text(&object, "hint", aion_json_text(failure, "hint"));
	hindrance.detail = aion_object_end(&object);
	return aion_mistake_note(run, position + 1, EVENT_ACTIVITY_FAILED, command->event->key,
							 &hindrance);
}

/*
 * Executes an activity where it is called, in an optimistic turn.  If it fails, the whole turn is
 * rolled back and executed again step by step, so it needs no subtransaction of its own.
 */
static void
execute_now(Turn *turn, Command *command)
{
	const char *name = command->fingerprint.name;
	const Registration *activity = NULL;
	const Handler *handler = NULL;
	Obstacle obstacle;
	MemoryContext caller;
	GuardState outside;
	int open_queries;
	Jsonb *result;
	AttemptInfo info = {.workflow_id = turn->run->workflow_id,
						.run_id = turn->run->run_id,
						.ordinal = ((const ActivityRequest *) command->detail)->ordinal,
						.activity = name,
						.attempt = 1,
						.deadline = DT_NOEND};

	if ((aion_clock_is_virtual() && aion_mock_exists(name)) ||
		((const ActivityRequest *) command->detail)->options != NULL)
		return;
	if (strcmp(name, ACTIVITY_RUN_SQL) != 0)
	{
		aion_guard_enter(FRAME_ACTIVITY, &info, &outside); /* what the code itself reads is noted */
		activity = aion_registration_find(name, &handler, &obstacle);
		aion_guard_leave(&outside);
		if (activity == NULL || activity->mode != MODE_INLINE ||
			JB_ROOT_COUNT(activity->policy) > 0)
			return;
	}
	aion_optimistic_begin_activity(turn,
								   activity != NULL ? &activity->settings : turn->run->settings);
	aion_guard_enter(FRAME_ACTIVITY, &info, &outside);
	open_queries = aion_guard_open_queries();
	result = call_now(turn, &info, handler, command->fingerprint.input);
	aion_guard_leave(&outside);
	caller = MemoryContextSwitchTo(turn->run->context);
	aion_recorder_append(turn->run->history, EVENT_ACTIVITY_COMPLETED,
						 command->recorded->event->key, aion_event_result(result));
	MemoryContextSwitchTo(caller);
	CRASH_POINT("optimistic outcome recorded");
	aion_optimistic_end_activity(turn, aion_guard_open_queries() <= open_queries);
}

/*
 * Calls the activity's function.  The code may have a handler around the activity, which must not
 * see how it fails here, but only what will be recorded: so the code is left.
 */
static Jsonb *
call_now(Turn *turn, AttemptInfo *info, const Handler *handler, const Jsonb *input)
{
	Jsonb *volatile result = NULL;

	PG_TRY();
	{
		result = aion_attempt_call(info, handler, input);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(turn->context);
		FlushErrorState();
		turn->spoiled = true;
		aion_turn_unwind(turn, TURN_SPOILED);
	}
	PG_END_TRY();
	return result;
}

/*
 * Asks for an activity.
 */
Command *
aion_activity_start(Turn *turn, const char *name, const Jsonb *input, const Jsonb *options)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	ActivityRequest *asked = palloc0(sizeof(ActivityRequest));
	Policy policy;

	aion_payload_check(input, "input");
	asked->ordinal = aion_turn_ordinal(turn, COMMAND_ACTIVITY) + 1;
	if (options != NULL)
	{
		aion_policy_read(options, false, &policy);
		asked->options = DatumGetJsonbPCopy(JsonbPGetDatum(options));
	}
	MemoryContextSwitchTo(caller);
	return aion_turn_command(turn, &class, name, input, asked);
}

/*
 * Asks for an activity and waits for its outcome.
 */
static Jsonb *
run_and_await(Turn *turn, const char *name, const Jsonb *input, const Jsonb *options)
{
	Command *command = aion_activity_start(turn, name, input, options);

	if (aion_optimistic_may_execute(turn, command))
		execute_now(turn, command);
	return aion_turn_await(turn, command);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_run);
PG_FUNCTION_INFO_V1(aion_run_sql);
PG_FUNCTION_INFO_V1(aion_start_activity);

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
