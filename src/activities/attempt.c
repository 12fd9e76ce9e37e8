/*
 * attempt.c
 *		Executing an activity of this database once.
 *
 * An attempt has a subtransaction of its own, in which the run's owner is the current user:
 * read-write, under the settings of the registration, or of the workflow for run_sql, and with none
 * that workflow code has made.  Deferred triggers fire before the subtransaction ends, so a
 * violation is a failure of the activity.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "activities/activity.h"
#include "activities/registration.h"
#include "activities/task.h"
#include "code/cursors.h"
#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
#include "shared/stopwatch.h"
#include "support/clock.h"
#include "support/crash_point.h"
#include "support/deferred.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/subtransaction.h"
#include "turn/mistake.h"
#include "turn/raised.h"

static void start_stopwatch(AttemptInfo *info);
static void attempt_judge(const AttemptInfo *info, ErrorData *error, bool time_was_up,
						  Attempt *result);
static AttemptInfo *current_attempt(const char *function);

/*
 * Executes an activity once.  Raises only errors that are not failures of the activity.
 */
void
aion_attempt_make(AttemptInfo *info, const Handler *handler, const Jsonb *input, Attempt *result)
{
	ErrorData *volatile error = NULL;
	Subtransaction sub;
	RaisedErrors raised = {0};
	GuardState outside;
	bool time_was_up;

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		int open_queries;

		aion_guard_enter(FRAME_ACTIVITY, info, &outside);
		open_queries = aion_guard_open_queries();
		aion_raised_begin(&raised, sub.context, NULL);
		result->value = aion_attempt_call(info, handler, input);
		if (aion_guard_open_queries() > open_queries || aion_guard_session_is_of_another())
			aion_cursors_close();
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
		aion_raised_end(&raised);
		if (info->confirm != NULL)
			info->confirm(info->argument);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		error = aion_subtransaction_abort(&sub);
		(void) aion_raised_settle(&raised, error);
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
	}
	PG_END_TRY();
	if (error != NULL && raised.cancel != NULL && !time_was_up)
		error = raised.cancel; /* even if the code has replaced it */
	if (error != NULL)
		attempt_judge(info, error, time_was_up, result);
}

/*
 * Calls the function, inside of the subtransaction, and fires the triggers it has deferred, so that
 * their errors are failures of the activity.
 */
Jsonb *
aion_attempt_call(AttemptInfo *info, const Handler *handler, const Jsonb *input)
{
	int level = NewGUCNestLevel();
	Jsonb *result = NULL;

	aion_guard_apply_settings();
	if (info->settings != NULL)
		(void) aion_code_enter_settings(info->settings);
	PushActiveSnapshot(GetTransactionSnapshot());
	start_stopwatch(info);
	if (handler == NULL)
		result = aion_sql_execute(input, &info->entered);
	else if (info->only_fits)
		aion_handler_check_input(handler, aion_handler_complete(handler, input));
	else
		result = aion_handler_call(handler, aion_handler_complete(handler, input), &info->entered);
	aion_payload_check(result, "result");
	CRASH_POINT("activity executed");
	PopActiveSnapshot();
	CommandCounterIncrement();
	aion_deferred_fire();
	AtEOXact_GUC(false, level);
	return result;
}

/*
 * Limits the time of the attempt: in a turn at most to that of a turn, in the background to its
 * deadline or its next heartbeat.
 */
static void
start_stopwatch(AttemptInfo *info)
{
	TimestampTz now = aion_clock_now();
	int64 most = info->background ? PG_INT64_MAX : (int64) aion_turn_timeout * 1000;

	info->limit = NULL;
	if (info->background && info->heartbeat > 0)
	{
		most = info->heartbeat;
		info->limit = "heartbeat_timeout";
	}
	if (info->deadline != DT_NOEND && info->deadline - now < most)
	{
		most = info->deadline - now;
		info->limit =
			info->deadline_is_last ? "schedule_to_close_timeout" : "start_to_close_timeout";
	}
	if (most < PG_INT64_MAX)
		aion_stopwatch_start(Max(most / 1000, 1));
}

/*
 * Decides what an error was: a timeout, an infrastructure error, a misfit or a failure of the
 * activity.
 */
static void
attempt_judge(const AttemptInfo *info, ErrorData *error, bool time_was_up, Attempt *result)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", info->activity);
	aion_object_int(&object, "attempts", info->attempt);
	if (time_was_up && info->limit != NULL)
		result->value = aion_task_timeout(info->activity, info->attempt, info->limit);
	else if (time_was_up)
	{
		aion_object_text(&object, "kind", "timeout");
		aion_object_text(&object, "sqlstate", "57014");
		aion_object_text(
			&object, "message",
			psprintf("activity \"%s\" took longer than aion.turn_timeout", info->activity));
		aion_object_text(&object, "hint",
						 strcmp(info->activity, ACTIVITY_RUN_SQL) == 0
							 ? "Make a function of it, and register that with mode => 'background'."
							 : "Register it with mode => 'background'.");
		result->value = aion_object_end(&object);
	}
	else if (aion_failure_is_cancel(error) || aion_failure_is_infrastructure(error))
		ReThrowError(error); /* the attempt does not count; it is repeated */
	else if (!info->entered)
	{
		result->misfit = true;
		result->value = aion_mistake_failure(error);
	}
	else
		result->value = aion_failure_of(error, aion_object_end(&object));
	result->failed = true;
}

/*
 * Returns the current attempt, for a function that is called in it.
 */
static AttemptInfo *
current_attempt(const char *function)
{
	AttemptInfo *info = aion_guard_attempt();

	if (info == NULL)
		ereport(ERROR, (errcode(ERRCODE_NOT_IN_WORKFLOW),
						errmsg("%s() can only be called in an activity", function)));
	if (GetUserId() != aion_guard_user())
		ereport(ERROR,
				(errcode(ERRCODE_NOT_ALLOWED_HERE),
				 errmsg("%s() cannot be called in a SECURITY DEFINER function of another role",
						function)));
	return info;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_activity_info);
PG_FUNCTION_INFO_V1(aion_heartbeat);

/*
 * activity_info() -> object
 */
Datum
aion_activity_info(PG_FUNCTION_ARGS)
{
	const AttemptInfo *info = current_attempt("aion.activity_info");
	char *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&info->run_id)));
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_id", info->workflow_id);
	aion_object_text(&object, "run_id", run_id);
	aion_object_text(&object, "activity", info->activity);
	aion_object_int(&object, "attempt", info->attempt);
	aion_object_text(&object, "idempotency_key", psprintf("%s/%d", run_id, info->ordinal));
	aion_object_timestamp(&object, "deadline", info->deadline);
	aion_object_json(&object, "heartbeat_details", info->heartbeat_details);
	PG_RETURN_JSONB_P(aion_object_end(&object));
}

/*
 * heartbeat(details) -> whether the workflow no longer wants the activity
 *
 * In a turn the answer is always false: the turn holds the run.  Details are kept until the attempt
 * ends, and passed to the next one.
 */
Datum
aion_heartbeat(PG_FUNCTION_ARGS)
{
	AttemptInfo *info = current_attempt("aion.heartbeat");
	Jsonb *details = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	MemoryContext caller;

	aion_payload_check(details, "details");
	if (!info->background)
		PG_RETURN_BOOL(false);
	if (details != NULL)
	{
		caller = MemoryContextSwitchTo(TopTransactionContext);
		if (info->details != NULL)
			pfree(info->details);
		info->details = DatumGetJsonbPCopy(JsonbPGetDatum(details));
		MemoryContextSwitchTo(caller);
	}
	if (info->heartbeat > 0)
		start_stopwatch(info);
	PG_RETURN_BOOL(!info->wanted(info->argument));
}
