/*
 * handover.c
 *		Activities that a run has handed over to workers or executors, as the run sees them.
 *
 * The option on_cancel decides what becomes of a claimed task that its workflow no longer wants: a
 * heartbeat tells its worker (try, wait) or does not (abandon), and if a cancel request is the
 * reason, the workflow goes on at once (try, abandon) or with the outcome (wait).
 *
 * A task in the background is deleted when it is cancelled: an executor commits only what is still
 * wanted.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "activities/completion.h"
#include "activities/handover.h"
#include "activities/late.h"
#include "activities/queue.h"
#include "activities/task.h"
#include "run/due.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/payload.h"

#define LOOK_AGAIN USECS_PER_SEC /* at a locked task */

static Statement insert_task = STATEMENT(
	INSERT,
	"INSERT INTO aion._task (run_key, ordinal, owner_key, scheduled_seq, activity, background,"
	" task_queue, key, state, attempt, priority, next_attempt_at, start_by, close_by, policy,"
	" last_error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'waiting', $9, $10, $11, $12, $13, $14,"
	" $15)",
	INT8OID, INT4OID, INT4OID, INT4OID, TEXTOID, BOOLOID, TEXTOID, TEXTOID, INT4OID, INT4OID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, JSONBOID);
static Statement select_tasks =
	STATEMENT(SELECT, "SELECT ordinal, state FROM aion._task WHERE run_key = $1", INT8OID);

/* One statement: an outcome may be sent, and its task deleted, at any time. */
static Statement select_handed_over =
	STATEMENT(SELECT,
			  "SELECT ordinal FROM aion._task WHERE run_key = $1 UNION ALL SELECT name::int"
			  " FROM aion._inbox WHERE run_key = $1 AND kind = '" ARRIVAL_OUTCOME "'",
			  INT8OID);

/* What a dump of 0.1.0 has instead of an arrival. */
static Statement take_settled =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._task WHERE run_key = $1 AND state = 'settled'"
			  " RETURNING ordinal, outcome || jsonb_build_object('" OUTCOME_ATTEMPTS
			  "', attempt, '" OUTCOME_TIMERS "', 2)",
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

/* What a run keeps in memory of its activities outside of turns. */
typedef struct RunTasks
{
	bool known;				/* which have been handed over before this share */
	Bitmapset *handed_over; /* their ordinals */
	bool time_is_up;		/* perhaps, of some attempt */
} RunTasks;

int aion_handover_slot;

static RunTasks *tasks_of(Run *run);
static void know(Run *run);
static void note_handed_over(Run *run, int32 ordinal);
static void handover_record(Run *run, int32 ordinal, const Jsonb *outcome);
static bool cancel_locked(Run *run, int32 ordinal);
static bool is_known(Run *run, int32 ordinal);
static void receive_outcomes(Run *run, List *arrivals);
static void allow_completions(Run *run);
static void cancel_again(Run *run);
static void tell_unwanted(Run *run, int32 ordinal);
static void tell_again(Run *run);

static RunTasks *
tasks_of(Run *run)
{
	if (run->slots[aion_handover_slot] == NULL)
		run->slots[aion_handover_slot] = MemoryContextAllocZero(run->context, sizeof(RunTasks));
	return run->slots[aion_handover_slot];
}

/*
 * Tells whether an activity has been handed over already.  An activity that this share has asked
 * for can only have been handed over by the share itself.
 */
bool
aion_handover_is_made(Run *run, const RecordedCommand *command)
{
	RunTasks *tasks = tasks_of(run);
	Authority authority;

	if (command->event->seq <= run->loaded && !tasks->known)
	{
		aion_authority_assume(&authority);
		know(run);
		aion_authority_drop(&authority);
	}
	return bms_is_member(atoi(command->event->key), tasks->handed_over);
}

/*
 * Finds out which activities have been handed over already.
 */
static void
know(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	RunTasks *tasks = tasks_of(run);
	Rows rows;

	if (tasks->known)
		return;
	rows = aion_statement_execute(&select_handed_over, args);
	for (uint64 row = 0; row < rows.count; row++)
		note_handed_over(run, aion_row_int32(rows, row, 1));
	tasks->known = true;
}

static void
note_handed_over(Run *run, int32 ordinal)
{
	RunTasks *tasks = tasks_of(run);
	MemoryContext caller = MemoryContextSwitchTo(run->context);

	tasks->handed_over = bms_add_member(tasks->handed_over, ordinal);
	MemoryContextSwitchTo(caller);
}

/*
 * Hands an activity over; error is what its first attempt failed with, if one was made in the turn.
 */
void
aion_handover_make(Run *run, const RecordedCommand *command, const Jsonb *policy_json,
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
	const char *queue;

	aion_policy_read(policy_json, background, &task.policy);
	queue = task.policy.task_queue != NULL ? task.policy.task_queue : run->started.task_queue;
	if (queue == NULL)
		queue = "default";
	if (error != NULL)
		next = now + aion_policy_backoff(&task.policy, 1);
	task.start_by = aion_task_deadline(now, error != NULL ? 0 : task.policy.schedule_to_start);
	task.close_by = aion_task_deadline(command->event->recorded_at, task.policy.schedule_to_close);
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
	aion_task_wake(&task, "start", task.start_by);
	aion_task_wake(&task, "close", task.close_by);
	aion_task_tell(&task, queue, next);
	note_handed_over(run, ordinal);
}

/*
 * Ends attempts that took too long, and moves outcomes of activities into history.
 */
void
aion_handover_arrive(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows;

	if (!tasks_of(run)->time_is_up)
		return;
	cancel_again(run);
	tell_again(run);
	aion_late_end(run);
	aion_wakeup_background(run->owner_key); /* another attempt may be due */
	receive_outcomes(run, aion_inbox_take_kind(run, ARRIVAL_OUTCOME));
	rows = aion_statement_execute(&take_settled, args);
	for (uint64 row = 0; row < rows.count; row++)
		handover_record(run, aion_row_int32(rows, row, 1), aion_row_jsonb(rows, row, 2));
}

/*
 * Notes that the time of some attempt may be up.
 */
void
aion_handover_due(Run *run, const char *timer)
{
	tasks_of(run)->time_is_up = true;
}

/*
 * Moves the outcome of an activity into history.
 */
void
aion_handover_receive(Run *run, const Arrival *arrival)
{
	if (arrival->payload != NULL)
		handover_record(run, atoi(arrival->name), arrival->payload);
}

/*
 * Takes back the tasks that were locked when they were cancelled.
 */
static void
cancel_again(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&select_tasks, args);

	for (uint64 row = 0; row < rows.count; row++)
	{
		int32 ordinal = aion_row_int32(rows, row, 1);
		const char *state = aion_row_text(rows, row, 2);

		if ((strcmp(state, "waiting") == 0 || strcmp(state, "claimed") == 0) &&
			aion_history_open(run->history, FAMILY_ACTIVITY, psprintf("%d", ordinal)) == NULL)
			aion_handover_cancel(run, ordinal);
	}
}

/*
 * Takes back an activity that its workflow has cancelled; false if its outcome has arrived
 * meanwhile.  A task that a worker has locked to complete it is left alone until later.  An attempt
 * that commits at this moment is waited for.
 */
bool
aion_handover_cancel(Run *run, int32 ordinal)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	Rows rows = aion_statement_execute(&lock_background, args);
	Task task;

	if (rows.count == 0)
		rows = aion_statement_execute(&lock_external, args);
	if (rows.count == 0 && !is_known(run, ordinal))
		return true;
	if (rows.count == 0 && aion_statement_execute(&select_task, args).count == 0)
		return false;
	if (rows.count == 0)
	{
		aion_completion_take_over(run->run_key, run->owner_key, ordinal);
		rows = aion_statement_execute(&lock_external, args);
	}
	if (rows.count == 0)
		return cancel_locked(run, ordinal);
	aion_task_read(rows, 0, &task);
	if (!task.background && strcmp(task.state, "claimed") == 0)
	{
		NullableDatum mark[] = {args[0], args[1],
								aion_arg_text(strcmp(task.policy.on_cancel, "abandon") == 0
												  ? "abandoned"
												  : "cancelled")};

		(void) aion_statement_execute(&mark_cancelled, mark);
	}
	else if (strcmp(task.state, "cancelled") != 0 && strcmp(task.state, "abandoned") != 0)
		aion_task_delete(&task);
	return true;
}

/*
 * Takes back an activity whose task a worker has locked: its commit fails, unless the worker may
 * complete what is abandoned.  False if there is no task any more.
 */
static bool
cancel_locked(Run *run, int32 ordinal)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	Rows rows = aion_statement_execute(&select_task, args);
	Task task;

	if (rows.count == 0)
		return false;
	aion_task_read(rows, 0, &task);
	aion_task_wake(&task,
				   strcmp(task.policy.on_cancel, "abandon") == 0 ? "locked" : CANCELLED_LOCKED,
				   aion_clock_now() + LOOK_AGAIN);
	return true;
}

/*
 * Tells whether an activity has been handed over, by this share or before.
 */
static bool
is_known(Run *run, int32 ordinal)
{
	know(run);
	return bms_is_member(ordinal, tasks_of(run)->handed_over);
}

/*
 * If the workflow waits for the outcome of an activity that is being executed (on_cancel), passes
 * the cancel request to its worker or executor and returns true; else the activity is to be
 * cancelled.
 */
bool
aion_handover_waits(Run *run, int32 ordinal)
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
 * Lets the next heartbeat of an activity say that its workflow no longer wants it.  A locked task
 * is looked at again: its worker completes it, or sends a heartbeat.
 */
static void
tell_unwanted(Run *run, int32 ordinal)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(ordinal)};
	Task locked = {.run_key = run->run_key, .ordinal = ordinal, .owner_key = run->owner_key};

	if (aion_statement_execute(&lock_any, args).count > 0)
		(void) aion_statement_execute(&request_cancel, args);
	else
		aion_task_wake(&locked, "locked", aion_clock_now() + LOOK_AGAIN);
}

/*
 * The same again for activities whose task was locked.
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
 * Takes back all activities of a run that ends; outcomes that have arrived are recorded.
 */
void
aion_handover_cancel_all(Run *run)
{
	int ordinal = -1;
	bool arrived = false;

	if (run->history->open_activities == 0)
		return;
	receive_outcomes(run, run->arrivals);
	know(run);
	while ((ordinal = bms_next_member(tasks_of(run)->handed_over, ordinal)) >= 0)
		arrived = !aion_handover_cancel(run, ordinal) || arrived;
	if (arrived)
		receive_outcomes(run, aion_inbox_take_kind(run, ARRIVAL_OUTCOME));
}

static void
receive_outcomes(Run *run, List *arrivals)
{
	ListCell *cell;

	foreach (cell, arrivals)
	{
		const Arrival *arrival = lfirst(cell);

		if (strcmp(arrival->kind, ARRIVAL_OUTCOME) == 0)
			aion_handover_receive(run, arrival);
	}
}

/*
 * Wakes workers and executors for the tasks that a pause has held.
 */
void
aion_handover_offer(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&select_queues, args);

	for (uint64 row = 0; row < rows.count; row++)
		aion_wakeup_queue(aion_row_text(rows, row, 1));
	aion_wakeup_background(run->owner_key);
}

/*
 * Deletes the tasks that the end of a run has cancelled and that it wants again: it will hand them
 * over anew, and a worker with an old token is refused.  A task that a worker had locked at the end
 * goes on.
 */
void
aion_handover_reopen(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows = aion_statement_execute(&lock_cancelled, args);

	for (uint64 row = 0; row < rows.count; row++)
	{
		Task task;

		aion_task_read(rows, row, &task);
		if (aion_history_open(run->history, FAMILY_ACTIVITY, psprintf("%d", task.ordinal)) != NULL)
			aion_task_delete(&task);
	}
	allow_completions(run);
	(void) aion_statement_execute(&delete_watches, args);
}

/*
 * Lets workers that have locked a task commit again, where the run is open to its outcome.
 */
static void
allow_completions(Run *run)
{
	int ordinal = -1;

	know(run);
	while ((ordinal = bms_next_member(tasks_of(run)->handed_over, ordinal)) >= 0)
	{
		if (aion_history_open(run->history, FAMILY_ACTIVITY, psprintf("%d", ordinal)) != NULL)
			aion_due_disarm(run, psprintf(TIMER_TASK "%d " CANCELLED_LOCKED, ordinal));
	}
}

/*
 * Tells whether a worker holds the lock of a task of a run, or a session that of a permit that such
 * a task has; locks the others.
 */
bool
aion_handover_is_held(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	uint64 count = aion_statement_execute(&select_all, args).count;

	return count > 0 && (aion_statement_execute(&lock_all, args).count < count ||
						 aion_queue_permits_are_held(run_key));
}

void
aion_handover_purge(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	aion_queue_release_all(run_key);
	(void) aion_statement_execute(&delete_tasks, args);
}

/*
 * Records an outcome, unless the activity was cancelled meanwhile.
 */
static void
handover_record(Run *run, int32 ordinal, const Jsonb *outcome)
{
	char *key = psprintf("%d", ordinal);
	Jsonb *error;

	if (aion_run_is_closed(run) || aion_history_open(run->history, FAMILY_ACTIVITY, key) == NULL)
		return;
	error = aion_json_member(outcome, OUTCOME_ERROR);
	if (error != NULL)
		aion_recorder_append(run->history, EVENT_ACTIVITY_FAILED, key, aion_event_error(error));
	else
		aion_recorder_append(run->history, EVENT_ACTIVITY_COMPLETED, key,
							 aion_event_attempted(aion_json_member(outcome, OUTCOME_RESULT),
												  aion_json_int(outcome, OUTCOME_ATTEMPTS, 1),
												  aion_json_member(outcome, OUTCOME_LAST_ERROR)));
	if (aion_json_int(outcome, OUTCOME_TIMERS, 0) == 0)
		return;
	aion_due_disarm(run, psprintf(TIMER_TASK "%d start", ordinal));
	aion_due_disarm(run, psprintf(TIMER_TASK "%d close", ordinal));
}
