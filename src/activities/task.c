/*
 * task.c
 *		Tasks: rows of activities that workers or executors execute outside of turns.
 *
 * A row is made by the turn that asks for the activity (activities/handover.c).  It belongs to the
 * session that has locked it: a worker that claims, completes or fails it, or the run, which skips
 * what is locked.  A worker never touches the run's row: it deletes the task and sends the outcome
 * to the inbox of the run.
 *
 *		waiting -> claimed -> deleted			the outcome is sent
 *		   ^          |  \-> cancelled			deleted when the time of the attempt is up
 *		   |          |   '-> abandoned			the same, or its outcome is sent as usual
 *		   '----------'  (an attempt failed, and there will be another)
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "activities/queue.h"
#include "activities/task.h"
#include "run/due.h"
#include "run/inbox.h"
#include "shared/pace.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/payload.h"

static Statement delete_task = STATEMENT(
	DELETE, "DELETE FROM aion._task WHERE run_key = $1 AND ordinal = $2", INT8OID, INT4OID);
static Statement retry_task = STATEMENT(
	UPDATE,
	"UPDATE aion._task SET state = 'waiting', next_attempt_at = $3, last_error = $4,"
	" heartbeat_details = coalesce($5, heartbeat_details), attempt_by = NULL, heartbeat_by = NULL,"
	" look_at = NULL, token = NULL, permit = NULL, failures = 0, attempt = $6"
	" WHERE run_key = $1 AND ordinal = $2",
	INT8OID, INT4OID, TIMESTAMPTZOID, JSONBOID, JSONBOID, INT4OID);

static void send_outcome(const Task *task, JsonObject *outcome);

void
aion_task_read(Rows rows, uint64 row, Task *task)
{
	task->run_key = aion_row_int64(rows, row, 1);
	task->ordinal = aion_row_int32(rows, row, 2);
	task->owner_key = aion_row_int32(rows, row, 3);
	task->activity = aion_row_text(rows, row, 4);
	task->background = aion_row_bool(rows, row, 5);
	task->task_queue = aion_row_text(rows, row, 6);
	task->key = aion_row_text(rows, row, 7);
	task->state = aion_row_text(rows, row, 8);
	task->attempt = aion_row_int32(rows, row, 9);
	task->permit = aion_row_isnull(rows, row, 10) ? 0 : aion_row_int32(rows, row, 10);
	task->failures = aion_row_int32(rows, row, 11);
	aion_policy_read(aion_row_jsonb(rows, row, 12), task->background, &task->policy);
	task->start_by = aion_row_timestamp(rows, row, 13);
	task->close_by = aion_row_timestamp(rows, row, 14);
	task->attempt_by = aion_row_timestamp(rows, row, 15);
	task->heartbeat_by = aion_row_timestamp(rows, row, 16);
	task->cancel_requested = aion_row_bool(rows, row, 17);
	task->last_error = aion_row_jsonb(rows, row, 18);
}

/*
 * Ends a task, whose lock is held, with the result of its activity; NULL: SQL NULL.
 */
void
aion_task_complete(const Task *task, const Jsonb *result)
{
	aion_task_remove(task);
	aion_task_send_result(task, result);
}

/*
 * Sends the result of an activity whose task was deleted to its run.
 */
void
aion_task_send_result(const Task *task, const Jsonb *result)
{
	JsonObject outcome;

	aion_object_begin(&outcome);
	aion_object_json(&outcome, OUTCOME_RESULT, result);
	if (task->attempt > 1)
		aion_object_json(&outcome, OUTCOME_LAST_ERROR, task->last_error);
	send_outcome(task, &outcome);
}

/*
 * Ends a task with a failure.
 */
void
aion_task_end_failed(const Task *task, const Jsonb *error)
{
	JsonObject outcome;

	aion_task_remove(task);
	aion_object_begin(&outcome);
	aion_object_json(&outcome, OUTCOME_ERROR, error);
	send_outcome(task, &outcome);
}

static void
send_outcome(const Task *task, JsonObject *outcome)
{
	FoundRun to = {.run_key = task->run_key, .owner_key = task->owner_key};
	Arrival arrival = {.kind = ARRIVAL_OUTCOME, .name = psprintf("%d", task->ordinal)};

	if (task->attempt != 1)
		aion_object_int(outcome, OUTCOME_ATTEMPTS, task->attempt);
	if (task->start_by != DT_NOEND || task->close_by != DT_NOEND)
		aion_object_int(outcome, OUTCOME_TIMERS,
						(task->start_by != DT_NOEND) + (task->close_by != DT_NOEND));
	arrival.payload = aion_object_end(outcome);
	aion_queue_release(task->task_queue, task->permit, task->key);
	aion_pace_end(task->owner_key, task->task_queue);
	aion_inbox_send(&to, &arrival);
}

void
aion_task_remove(const Task *task)
{
	NullableDatum args[] = {aion_arg_int64(task->run_key), aion_arg_int32(task->ordinal)};

	(void) aion_statement_execute(&delete_task, args);
}

/*
 * Deletes a task that has no outcome; an executor that executes it is told to stop.
 */
void
aion_task_delete(const Task *task)
{
	aion_task_remove(task);
	aion_queue_release(task->task_queue, task->permit, task->key);
	if (task->background && strcmp(task->state, "claimed") == 0)
		aion_wakeup_stop(task->run_key, task->ordinal);
}

/*
 * Returns the failure of an activity that was cancelled.
 */
Jsonb *
aion_task_cancelled(const char *activity)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "kind", "cancelled");
	aion_object_text(&object, "sqlstate", "WA003");
	aion_object_text(&object, "message", psprintf("activity \"%s\" was cancelled", activity));
	aion_object_text(&object, "activity", activity);
	return aion_object_end(&object);
}

/*
 * Notes that an attempt failed.  Returns whether there will be another.
 */
bool
aion_task_fail(const Task *task, const Jsonb *error, bool retryable, int64 retry_after,
			   const Jsonb *details)
{
	TimestampTz now = aion_clock_now();
	TimestampTz next;

	next =
		now + (retry_after >= 0 ? retry_after : aion_policy_backoff(&task->policy, task->attempt));
	if (retryable && !task->cancel_requested && strcmp(task->state, "abandoned") != 0 &&
		aion_policy_retries(&task->policy, task->attempt, error) && next < task->close_by)
	{
		NullableDatum args[] = {aion_arg_int64(task->run_key), aion_arg_int32(task->ordinal),
								aion_arg_timestamp(next),	   aion_arg_jsonb(error),
								aion_arg_jsonb(details),	   aion_arg_int32(task->attempt)};

		(void) aion_statement_execute(&retry_task, args);
		aion_queue_release(task->task_queue, task->permit, task->key);
		aion_task_tell(task, task->task_queue, next);
		return true;
	}
	aion_task_end_failed(task, error);
	return false;
}

/*
 * Returns the failure of an attempt, or an activity, that took too long.
 */
Jsonb *
aion_task_timeout(const char *activity, int32 attempts, const char *which)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "kind", "timeout");
	aion_object_text(&object, "sqlstate", "WA002");
	aion_object_text(&object, "message",
					 psprintf("activity \"%s\" exceeded its %s", activity, which));
	aion_object_text(&object, "timeout", which);
	aion_object_text(&object, "activity", activity);
	aion_object_int(&object, "attempts", attempts);
	return aion_object_end(&object);
}

/*
 * Arms a timer by which the run is claimed at a moment, unless it has one for the same reason.
 */
void
aion_task_wake(const Task *task, const char *why, TimestampTz moment)
{
	if (moment != DT_NOEND)
		aion_due_wake(task->run_key, task->owner_key,
					  psprintf(TIMER_TASK "%d %s", task->ordinal, why), moment);
}

/*
 * Wakes workers or executors that may execute the task; for a later retry in the background, arms a
 * timer that does.
 */
void
aion_task_tell(const Task *task, const char *queue, TimestampTz next)
{
	if (!task->background)
		aion_wakeup_queue(queue);
	else if (next <= aion_clock_now())
		aion_wakeup_background(task->owner_key);
	else
		aion_task_wake(task, psprintf("retry %d", task->attempt), next);
}

TimestampTz
aion_task_deadline(TimestampTz start, int64 duration)
{
	return duration > 0 ? start + duration : DT_NOEND;
}
