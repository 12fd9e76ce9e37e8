/*
 * task.c
 *		Activities that are executed outside of a turn: their rows, and how they reach history.
 *
 * A row is made by the turn that asks for the activity and deleted by the one that records what
 * came of it.  In between it belongs to whoever has locked it: a worker that claims, completes or
 * fails it, or the run, which skips what is locked.  A worker never touches the run's row; what it
 * has to say is in the task's row, and a timer that is due at once says that there is something to
 * read.
 *
 *		waiting -> claimed -> settled			deleted when it is recorded
 *		   ^          |  \-> cancelled			deleted when the time of the attempt is up
 *		   |          |   '-> abandoned			the same, or it is settled as if nothing had been
 *		   '----------'  (an attempt failed, and there will be another)
 *
 * What becomes of a claimed one that its workflow no longer wants is for on_cancel to say: its
 * worker is told by a heartbeat (try, wait) or not (abandon), and if a cancel request is the
 * reason, the workflow goes on at once (try, abandon) or with the outcome (wait).
 *
 * One in the background is deleted when it is cancelled: whoever executes it commits only what is
 * still wanted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "activities/queue.h"
#include "activities/task.h"
#include "run/due.h"
#include "shared/pace.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/payload.h"

#define LOOK_AGAIN USECS_PER_SEC /* at what somebody has locked */

static Statement insert_task = STATEMENT(
	INSERT,
	"INSERT INTO aion._task (run_key, ordinal, owner_key, scheduled_seq, activity, background,"
	" task_queue, key, state, attempt, priority, next_attempt_at, start_by, close_by, policy,"
	" last_error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $10, $11, $12, $13, $14,"
	" $15)",
	INT8OID, INT4OID, INT4OID, INT4OID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, INT4OID, INT4OID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, JSONBOID);
static Statement select_ordinals =
	STATEMENT(SELECT, "SELECT ordinal, state FROM aion._task WHERE run_key = $1", INT8OID);
static Statement take_settled =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._task WHERE run_key = $1 AND state = 'settled'"
			  " RETURNING ordinal, outcome, attempt, NOT background OR policy <> '{}'",
			  INT8OID);
static Statement lock_late =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1 AND (attempt_by <= $2"
			  " OR heartbeat_by <= $2 OR close_by <= $2 OR (start_by <= $2 AND state = 'waiting'))"
			  " ORDER BY ordinal FOR UPDATE SKIP LOCKED",
			  INT8OID, TIMESTAMPTZOID);
static Statement select_unwatched = STATEMENT(
	SELECT,
	"SELECT " TASK_COLUMNS
	" FROM aion._task t WHERE run_key = $1 AND state IN ('claimed', 'cancelled', 'abandoned')"
	" AND NOT EXISTS (SELECT FROM aion._timer m WHERE m.run_key = t.run_key"
	" AND m.name = '" TIMER_TASK "' || t.ordinal || ' attempt ' || t.attempt)",
	INT8OID);
static Statement lock_external =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1 AND ordinal = $2"
			  " AND NOT background FOR UPDATE SKIP LOCKED",
			  INT8OID, INT4OID);
static Statement lock_background =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1 AND ordinal = $2"
			  " AND background FOR UPDATE",
			  INT8OID, INT4OID);
static Statement delete_task = STATEMENT(
	DELETE, "DELETE FROM aion._task WHERE run_key = $1 AND ordinal = $2", INT8OID, INT4OID);
static Statement select_all =
	STATEMENT(SELECT, "SELECT FROM aion._task WHERE run_key = $1", INT8OID);
static Statement lock_all =
	STATEMENT(SELECT, "SELECT FROM aion._task WHERE run_key = $1 FOR UPDATE SKIP LOCKED", INT8OID);
static Statement delete_tasks =
	STATEMENT(DELETE, "DELETE FROM aion._task WHERE run_key = $1", INT8OID);
static Statement lock_cancelled =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1"
			  " AND state IN ('cancelled', 'abandoned') FOR UPDATE",
			  INT8OID);
static Statement select_queues = STATEMENT(
	SELECT, "SELECT DISTINCT task_queue FROM aion._task WHERE run_key = $1 AND state = 'waiting'",
	INT8OID);
static Statement delete_watches =
	STATEMENT(DELETE,
			  "DELETE FROM aion._timer m WHERE run_key = $1 AND starts_with(name, '" TIMER_TASK "')"
			  " AND NOT EXISTS (SELECT FROM aion._task t WHERE t.run_key = $1"
			  " AND starts_with(m.name, '" TIMER_TASK "' || t.ordinal || ' '))",
			  INT8OID);
static Statement lock_any = STATEMENT(
	SELECT, "SELECT FROM aion._task WHERE run_key = $1 AND ordinal = $2 FOR UPDATE SKIP LOCKED",
	INT8OID, INT4OID);
static Statement mark_cancelled =
	STATEMENT(UPDATE, "UPDATE aion._task SET state = $3 WHERE run_key = $1 AND ordinal = $2",
			  INT8OID, INT4OID, TEXTOID);
static Statement request_cancel = STATEMENT(
	UPDATE, "UPDATE aion._task SET cancel_requested = true WHERE run_key = $1 AND ordinal = $2",
	INT8OID, INT4OID);
static Statement select_task = STATEMENT(
	SELECT, "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1 AND ordinal = $2",
	INT8OID, INT4OID);
static Statement settle_task =
	STATEMENT(UPDATE,
			  "UPDATE aion._task SET state = 'settled', outcome = $3, start_by = NULL,"
			  " close_by = NULL, attempt_by = NULL, heartbeat_by = NULL, permit = NULL"
			  " WHERE run_key = $1 AND ordinal = $2",
			  INT8OID, INT4OID, JSONBOID);
static Statement retry_task = STATEMENT(
	UPDATE,
	"UPDATE aion._task SET state = 'waiting', next_attempt_at = $3, last_error = $4,"
	" heartbeat_details = coalesce($5, heartbeat_details), attempt_by = NULL, heartbeat_by = NULL,"
	" token = NULL, permit = NULL, failures = 0 WHERE run_key = $1 AND ordinal = $2",
	INT8OID, INT4OID, TIMESTAMPTZOID, JSONBOID, JSONBOID);

/* What came of an activity. */
typedef struct Outcome
{
	int32 ordinal;
	Jsonb *outcome;
	int32 attempts;
	bool watched; /* timers are live that make the run look at it */
	bool recorded;
} Outcome;

static void take_outcomes(Run *run);
static int by_ordinal(const ListCell *a, const ListCell *b);
static void record(Run *run, Outcome *taken);
static void delete_one(const Task *task);
static bool cancel_background(Run *run, int32 ordinal, bool *found);
static void record_settled(Run *run);
static void cancel_again(Run *run);
static void tell_unwanted(Run *run, int32 ordinal);
static void tell_again(Run *run);
static void end_late(Run *run);
static void expire(Task *task);
static void wake(const Task *task, const char *why, TimestampTz moment);
static void tell(const Task *task, const char *queue, TimestampTz next);
static TimestampTz deadline(TimestampTz start, int64 duration);

/*
 * Finds out which activities have been handed over already.
 */
void
aion_task_know(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	MemoryContext caller;
	Rows rows;

	if (run->knows_tasks)
		return;
	rows = aion_statement_execute(&select_ordinals, args);
	caller = MemoryContextSwitchTo(run->context);
	for (uint64 row = 0; row < rows.count; row++)
		run->tasks = bms_add_member(run->tasks, aion_row_int32(rows, row, 1));
	run->knows_tasks = true;
	MemoryContextSwitchTo(caller);
}

/*
 * Hands an activity over; error is what its first attempt failed with, if one was made in the turn.
 */
void
aion_task_dispatch(Run *run, const RecordedCommand *command, const Jsonb *policy_json,
				   bool background, const Jsonb *error)
{
	int32 ordinal = atoi(command->event->key);
	TimestampTz now = aion_clock_now();
	TimestampTz next = now;
	Task task = {.run_key = run->run_key,
				 .ordinal = ordinal,
				 .owner_key = run->owner_key,
				 .background = background,
				 .attempt = error != NULL ? 1 : 0};
	MemoryContext caller;
	const char *queue;

	aion_policy_read(policy_json, background, &task.policy);
	queue = task.policy.task_queue != NULL ? task.policy.task_queue : run->started.task_queue;
	if (queue == NULL)
		queue = "default";
	if (error != NULL)
		next = now + aion_policy_backoff(&task.policy, 1);
	task.start_by = deadline(now, error != NULL ? 0 : task.policy.schedule_to_start);
	task.close_by = deadline(command->event->recorded_at, task.policy.schedule_to_close);
	{
		NullableDatum args[] = {aion_arg_int64(run->run_key),
								aion_arg_int32(ordinal),
								aion_arg_int32(run->owner_key),
								aion_arg_int32(command->event->seq),
								aion_arg_text(command->name),
								aion_arg_bool(background),
								aion_arg_text(queue),
								aion_arg_text(task.policy.key),
								aion_arg_int32(task.attempt),
								aion_arg_int32(task.policy.priority),
								aion_arg_timestamp(next),
								aion_arg_timestamp(task.start_by),
								aion_arg_timestamp(task.close_by),
								aion_arg_jsonb(policy_json),
								aion_arg_jsonb(error)};

		(void) aion_statement_execute(&insert_task, args);
	}
	wake(&task, "start", task.start_by);
	wake(&task, "close", task.close_by);
	tell(&task, queue, next);
	caller = MemoryContextSwitchTo(run->context);
	run->tasks = bms_add_member(run->tasks, ordinal);
	MemoryContextSwitchTo(caller);
}

/*
 * Ends attempts that took too long, and moves what came of activities into history.
 */
void
aion_task_arrive(Run *run)
{
	if (run->tasks_due)
	{
		cancel_again(run);
		tell_again(run);
		end_late(run);
		aion_wakeup_background(run->owner_key); /* another attempt may be due */
		take_outcomes(run);
	}
	record_settled(run);
}

static void
record_settled(Run *run)
{
	ListCell *cell;

	foreach (cell, run->outcomes)
		record(run, lfirst(cell));
	run->outcomes = NIL;
}

/*
 * Moves the outcome that a timer stands for into history, in its place among timers that are due.
 */
void
aion_task_due(Run *run, const char *timer)
{
	int32 ordinal = atoi(timer + strlen(TIMER_SETTLED));
	int low = 0;
	int high;

	if (run->outcomes == NIL)
		take_outcomes(run);
	high = list_length(run->outcomes);
	while (low < high)
	{
		int middle = (low + high) / 2;
		Outcome *taken = list_nth(run->outcomes, middle);

		if (taken->ordinal == ordinal)
		{
			record(run, taken);
			return;
		}
		if (taken->ordinal < ordinal)
			low = middle + 1;
		else
			high = middle;
	}
}

/*
 * Takes what came of activities, to be recorded in the same transaction.
 */
static void
take_outcomes(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&take_settled, args);
	MemoryContext caller = MemoryContextSwitchTo(run->context);

	for (uint64 row = 0; row < rows.count; row++)
	{
		Outcome *taken = palloc0(sizeof(Outcome));

		taken->ordinal = aion_row_int32(rows, row, 1);
		taken->outcome = aion_row_jsonb(rows, row, 2);
		taken->attempts = aion_row_int32(rows, row, 3);
		taken->watched = aion_row_bool(rows, row, 4);
		run->outcomes = lappend(run->outcomes, taken);
	}
	list_sort(run->outcomes, by_ordinal);
	MemoryContextSwitchTo(caller);
}

static int
by_ordinal(const ListCell *a, const ListCell *b)
{
	return ((const Outcome *) lfirst(a))->ordinal - ((const Outcome *) lfirst(b))->ordinal;
}

/*
 * Takes back what was locked when it was cancelled.
 */
static void
cancel_again(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&select_ordinals, args);

	for (uint64 row = 0; row < rows.count; row++)
	{
		int32 ordinal = aion_row_int32(rows, row, 1);
		const char *state = aion_row_text(rows, row, 2);

		if ((strcmp(state, "waiting") == 0 || strcmp(state, "claimed") == 0) &&
			aion_history_open(run->history, FAMILY_ACTIVITY, psprintf("%d", ordinal)) == NULL)
			aion_task_cancel(run, ordinal);
	}
}

/*
 * Ends what is late, and watches on where a heartbeat came in time.
 */
static void
end_late(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_timestamp(aion_clock_now())};
	Rows rows = aion_statement_execute(&lock_late, args);
	Task task;

	for (uint64 row = 0; row < rows.count; row++)
	{
		aion_task_read(rows, row, &task);
		if (aion_run_is_closed(run) || strcmp(task.state, "cancelled") == 0 ||
			strcmp(task.state, "abandoned") == 0)
			delete_one(&task);
		else
			expire(&task);
	}

	/* What is late and locked is with a worker who has not committed: it is looked at again. */
	rows = aion_statement_execute(&select_unwatched, args);
	for (uint64 row = 0; row < rows.count; row++)
	{
		aion_task_read(rows, row, &task);
		aion_task_watch(&task, aion_clock_now() + LOOK_AGAIN);
	}
}

/*
 * Takes back an activity that its workflow has cancelled.  What a worker is just about to complete
 * is left to him; what he says then is not recorded any more.  What was done in the background is
 * done: false if its outcome has arrived meanwhile.
 */
bool
aion_task_cancel(Run *run, int32 ordinal)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	bool found;
	bool cancelled = cancel_background(run, ordinal, &found);
	Rows rows;
	Task task;

	if (found)
		return cancelled;
	rows = aion_statement_execute(&lock_external, args);
	if (rows.count == 0)
	{
		Task locked = {.run_key = run->run_key, .ordinal = ordinal, .owner_key = run->owner_key};

		aion_task_know(run);
		if (bms_is_member(ordinal, run->tasks))
			wake(&locked, "locked", aion_clock_now() + LOOK_AGAIN);
		return true;
	}
	aion_task_read(rows, 0, &task);
	if (strcmp(task.state, "claimed") == 0)
	{
		NullableDatum mark[] = {args[0], args[1],
								aion_arg_text(strcmp(task.policy.on_cancel, "abandon") == 0
												  ? "abandoned"
												  : "cancelled")};

		(void) aion_statement_execute(&mark_cancelled, mark);
		aion_task_watch(&task, aion_clock_now());
	}
	else if (strcmp(task.state, "cancelled") != 0 && strcmp(task.state, "abandoned") != 0)
		delete_one(&task);
	return true;
}

/*
 * Takes back an activity in the background.  Its statement is cancelled; should it come to its end
 * all the same, it finds that it is not wanted and is rolled back.
 */
static bool
cancel_background(Run *run, int32 ordinal, bool *found)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	Rows rows = aion_statement_execute(&lock_background, args);
	Task task;

	*found = rows.count > 0;
	if (!*found)
		return false;
	aion_task_read(rows, 0, &task);
	if (strcmp(task.state, "settled") == 0)
		return false;
	delete_one(&task);
	return true;
}

/*
 * Tells whoever is at an activity that its workflow is to be cancelled, if he shall be waited for.
 * Returns whether that is so; else it is to be cancelled.
 */
bool
aion_task_waits(Run *run, int32 ordinal)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	Rows rows = aion_statement_execute(&select_task, args);
	Task task;

	if (rows.count == 0)
		return false;
	aion_task_read(rows, 0, &task);
	if (strcmp(task.policy.on_cancel, "wait") != 0 || strcmp(task.state, "waiting") == 0)
		return false;
	tell_unwanted(run, ordinal);
	return true;
}

/*
 * Lets the next heartbeat of an activity say that its workflow no longer wants it.  What is locked
 * is looked at again: it is being completed, or that was a heartbeat.
 */
static void
tell_unwanted(Run *run, int32 ordinal)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	Task locked = {.run_key = run->run_key, .ordinal = ordinal, .owner_key = run->owner_key};

	if (aion_statement_execute(&lock_any, args).count > 0)
		(void) aion_statement_execute(&request_cancel, args);
	else
		wake(&locked, "locked", aion_clock_now() + LOOK_AGAIN);
}

/*
 * Tells again who could not be told.
 */
static void
tell_again(Run *run)
{
	History *history = run->history;

	for (int i = 0; history->cancel_requests != NIL && i < history->command_count; i++)
	{
		const Event *event = history->commands[i]->event;

		if (event->type == EVENT_ACTIVITY_CANCEL_REQUESTED &&
			aion_history_open(history, FAMILY_ACTIVITY, event->key) != NULL)
			tell_unwanted(run, atoi(event->key));
	}
}

/*
 * The same for all activities of a run that ends; outcomes that have arrived are recorded.
 */
void
aion_task_cancel_all(Run *run)
{
	int ordinal = -1;
	bool arrived = false;

	if (run->history->open_activities == 0)
		return;
	aion_task_know(run);
	while ((ordinal = bms_next_member(run->tasks, ordinal)) >= 0)
		arrived = !aion_task_cancel(run, ordinal) || arrived;
	if (arrived)
	{
		take_outcomes(run);
		record_settled(run);
	}
}

/*
 * Offers again what a pause has held.
 */
void
aion_task_offer(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&select_queues, args);

	for (uint64 row = 0; row < rows.count; row++)
		aion_wakeup_queue(aion_row_text(rows, row, 1));
	aion_wakeup_background(run->owner_key);
}

/*
 * Forgets the tasks that the end of a run has cancelled and that it wants again: it will hand them
 * over anew, and who still holds one is told so.  What a worker had locked at the end goes on.
 */
void
aion_task_reopen(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&lock_cancelled, args);

	for (uint64 row = 0; row < rows.count; row++)
	{
		Task task;

		aion_task_read(rows, row, &task);
		if (aion_history_open(run->history, FAMILY_ACTIVITY, psprintf("%d", task.ordinal)) != NULL)
			delete_one(&task);
	}
	(void) aion_statement_execute(&delete_watches, args);
}

/*
 * Tells whether a worker has the lock of a task of a run; takes the others.
 */
bool
aion_task_is_held(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	uint64 count = aion_statement_execute(&select_all, args).count;

	return count > 0 && aion_statement_execute(&lock_all, args).count < count;
}

void
aion_task_purge(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	aion_queue_release_all(run_key);
	(void) aion_statement_execute(&delete_tasks, args);
}

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
}

/*
 * Notes what came of an activity: {"ok": result} or {"error": failure}.
 */
void
aion_task_settle(const Task *task, const Jsonb *outcome)
{
	NullableDatum args[] = {aion_arg_int64(task->run_key), aion_arg_int32(task->ordinal),
							aion_arg_jsonb(outcome)};

	(void) aion_statement_execute(&settle_task, args);
	aion_queue_release(task->task_queue, task->permit, task->key);
	aion_pace_end(task->owner_key, task->task_queue);
	aion_due_wake(task->run_key, task->owner_key, psprintf(TIMER_SETTLED "%d", task->ordinal),
				  aion_clock_now());
}

/*
 * Notes that an attempt did not happen, and that no other will be made because the workflow is to
 * be cancelled.
 */
void
aion_task_settle_cancelled(const Task *task)
{
	JsonObject outcome;

	aion_object_begin(&outcome);
	aion_object_json(&outcome, "error", aion_task_cancelled(task->activity));
	aion_task_settle(task, aion_object_end(&outcome));
}

/*
 * What is known about an activity that was cancelled.
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
 * Notes that an attempt failed: there will be another, which is returned, or that was the last.
 */
bool
aion_task_fail(const Task *task, const Jsonb *error, bool retryable, int64 retry_after,
			   const Jsonb *details)
{
	TimestampTz now = aion_clock_now();
	TimestampTz next;
	JsonObject object;

	next =
		now + (retry_after >= 0 ? retry_after : aion_policy_backoff(&task->policy, task->attempt));
	if (retryable && !task->cancel_requested && strcmp(task->state, "abandoned") != 0 &&
		aion_policy_retries(&task->policy, task->attempt, error) && next < task->close_by)
	{
		NullableDatum args[] = {aion_arg_int64(task->run_key), aion_arg_int32(task->ordinal),
								aion_arg_timestamp(next), aion_arg_jsonb(error),
								aion_arg_jsonb(details)};

		(void) aion_statement_execute(&retry_task, args);
		aion_queue_release(task->task_queue, task->permit, task->key);
		tell(task, task->task_queue, next);
		return true;
	}
	aion_object_begin(&object);
	aion_object_json(&object, "error", error);
	aion_task_settle(task, aion_object_end(&object));
	return false;
}

/*
 * Lets the run look at a task when the time of its attempt may be up.
 */
void
aion_task_watch(const Task *task, TimestampTz not_before)
{
	wake(task, psprintf("attempt %d", task->attempt),
		 Max(Min(task->attempt_by, task->heartbeat_by), not_before));
}

/*
 * Records an outcome, unless the activity was cancelled meanwhile.
 */
static void
record(Run *run, Outcome *taken)
{
	int32 ordinal = taken->ordinal;
	Jsonb *outcome = taken->outcome;
	char *key = psprintf("%d", ordinal);
	Jsonb *error = aion_json_member(outcome, "error");

	if (taken->recorded)
		return;
	taken->recorded = true;
	if (aion_run_is_closed(run) || aion_history_open(run->history, FAMILY_ACTIVITY, key) == NULL)
		return;
	aion_recorder_append(run->history,
						 error != NULL ? EVENT_ACTIVITY_FAILED : EVENT_ACTIVITY_COMPLETED, key,
						 error != NULL ? aion_event_error(error)
									   : aion_event_result(aion_json_member(outcome, "ok")));
	aion_due_disarm(run, psprintf(TIMER_SETTLED "%d", ordinal));
	if (!taken->watched)
		return;
	aion_due_disarm(run, psprintf(TIMER_TASK "%d start", ordinal));
	aion_due_disarm(run, psprintf(TIMER_TASK "%d close", ordinal));
	for (int i = 1; i <= taken->attempts; i++)
		aion_due_disarm(run, psprintf(TIMER_TASK "%d attempt %d", ordinal, i));
}

/*
 * Forgets a task; whoever executes it in the background is told to stop.
 */
static void
delete_one(const Task *task)
{
	NullableDatum args[] = {aion_arg_int64(task->run_key), aion_arg_int32(task->ordinal)};

	(void) aion_statement_execute(&delete_task, args);
	aion_queue_release(task->task_queue, task->permit, task->key);
	if (task->background && strcmp(task->state, "claimed") == 0)
		aion_wakeup_stop(task->run_key, task->ordinal);
}

/*
 * Ends an attempt, or a task, whose time is up.
 */
static void
expire(Task *task)
{
	TimestampTz now = aion_clock_now();

	if (task->close_by <= now)
		(void) aion_task_fail(
			task, aion_task_timeout(task->activity, task->attempt, "schedule_to_close_timeout"),
			false, 0, NULL);
	else if (task->start_by <= now && strcmp(task->state, "waiting") == 0 && task->attempt == 0)
		(void) aion_task_fail(
			task, aion_task_timeout(task->activity, task->attempt, "schedule_to_start_timeout"),
			false, 0, NULL);
	else if (strcmp(task->state, "claimed") == 0)
		(void) aion_task_fail(task,
							  aion_task_timeout(task->activity, task->attempt,
												task->attempt_by <= now ? "start_to_close_timeout"
																		: "heartbeat_timeout"),
							  true, -1, NULL);
	else
		return;
	if (task->background && strcmp(task->state, "claimed") == 0)
		aion_wakeup_stop(task->run_key, task->ordinal);
}

/*
 * What is known about an attempt, or an activity, that took too long.
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
 * Lets the run be looked at, for a reason that has not been given yet.
 */
static void
wake(const Task *task, const char *why, TimestampTz moment)
{
	if (moment != DT_NOEND)
		aion_due_wake(task->run_key, task->owner_key,
					  psprintf(TIMER_TASK "%d %s", task->ordinal, why), moment);
}

/*
 * Tells whoever executes such tasks that there is another.
 */
static void
tell(const Task *task, const char *queue, TimestampTz next)
{
	if (!task->background)
		aion_wakeup_queue(queue);
	else if (next <= aion_clock_now())
		aion_wakeup_background(task->owner_key);
	else
		wake(task, psprintf("retry %d", task->attempt), next);
}

static TimestampTz
deadline(TimestampTz start, int64 duration)
{
	return duration > 0 ? start + duration : DT_NOEND;
}
