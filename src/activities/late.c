/*
 * late.c
 *		Attempts that may be late: no outcome or heartbeat has come in time.
 *
 * A claim writes into its task when the attempt may be late.  Nearly all attempts end before, so
 * that moment is no timer of the run, which would be a row to insert and delete.  The scheduler
 * looks at the tasks whose moment has come.  One that had a heartbeat gets a later moment.  For the
 * others it arms a timer that is due at once, by which their run is claimed; the run decides.
 *
 * A worker that has not committed has locked its task.  Then all look again a second later.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/timestamp.h"

#include "activities/late.h"
#include "run/due.h"
#include "shared/wakeup.h"
#include "support/clock.h"

#define TELL_MOST 1000				   /* runs at once */
#define LATE_AGAIN (1 * USECS_PER_SEC) /* at a locked task */

/* What a look at some runs ($2), or at all, is about. */
#define TO_BE_LOOKED_AT "look_at <= $1 AND ($2 IS NULL OR run_key = ANY ($2))"

static Statement put_off_looks = STATEMENT(
	UPDATE,
	"UPDATE aion._task SET look_at = least(attempt_by, heartbeat_by) WHERE (run_key, ordinal) IN"
	" (SELECT run_key, ordinal FROM aion._task WHERE " TO_BE_LOOKED_AT
	" AND least(attempt_by, heartbeat_by) > $1 FOR UPDATE SKIP LOCKED)",
	TIMESTAMPTZOID, INT8ARRAYOID);
static Statement take_looks =
	STATEMENT(UPDATE_RETURNING,
			  "UPDATE aion._task SET look_at = NULL WHERE (run_key, ordinal) IN"
			  " (SELECT run_key, ordinal FROM aion._task WHERE " TO_BE_LOOKED_AT
			  " LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING run_key, ordinal, owner_key, attempt",
			  TIMESTAMPTZOID, INT8ARRAYOID, INT4OID);
static Statement select_next_look =
	STATEMENT(SELECT,
			  "SELECT min(look_at) FROM aion._task WHERE look_at IS NOT NULL"
			  " AND ($1 IS NULL OR run_key = ANY ($1))",
			  INT8ARRAYOID);
static Statement lock_late =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1 AND (attempt_by <= $2"
			  " OR heartbeat_by <= $2 OR close_by <= $2 OR (start_by <= $2 AND state = 'waiting'))"
			  " ORDER BY ordinal FOR UPDATE SKIP LOCKED",
			  INT8OID, TIMESTAMPTZOID);
static Statement watch_again =
	STATEMENT(UPDATE_RETURNING,
			  "UPDATE aion._task SET look_at = least(attempt_by, heartbeat_by)"
			  " WHERE (run_key, ordinal) IN (SELECT run_key, ordinal FROM aion._task"
			  " WHERE run_key = $1 AND state IN ('claimed', 'cancelled', 'abandoned')"
			  " AND look_at IS NULL FOR UPDATE SKIP LOCKED) RETURNING look_at",
			  INT8OID);
static Statement select_unwatched =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1"
			  " AND (state IN ('claimed', 'cancelled', 'abandoned') AND look_at IS NULL"
			  " AND least(attempt_by, heartbeat_by) IS NOT NULL OR close_by <= $2"
			  " OR state = 'waiting' AND start_by <= $2 AND attempt = 0)",
			  INT8OID, TIMESTAMPTZOID);
static Statement lock_silent =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE state = 'claimed'"
			  " AND NOT background AND heartbeat_by <= $1 FOR UPDATE SKIP LOCKED",
			  TIMESTAMPTZOID);
static Statement expect_heartbeat =
	STATEMENT(UPDATE,
			  "UPDATE aion._task SET heartbeat_by = $3, look_at = least(attempt_by, $3)"
			  " WHERE run_key = $1 AND ordinal = $2",
			  INT8OID, INT4OID, TIMESTAMPTZOID);

static void expire(const Task *task);

/*
 * Tells runs, or those of some keys, that an attempt may be late.  Returns when to look again.
 */
TimestampTz
aion_late_tell(const int64 *run_keys, int count)
{
	TimestampTz now = aion_clock_now();
	NullableDatum keys = run_keys != NULL ? aion_arg_int64_array(run_keys, count) : aion_arg_null();
	NullableDatum args[] = {aion_arg_timestamp(now), keys, aion_arg_int32(TELL_MOST)};
	TimestampTz next;
	Rows rows;

	(void) aion_statement_execute(&put_off_looks, args);
	rows = aion_statement_execute(&take_looks, args);
	for (uint64 row = 0; row < rows.count; row++)
		aion_due_wake(aion_row_int64(rows, row, 1), aion_row_int32(rows, row, 3),
					  psprintf(TIMER_TASK "%d late %d", aion_row_int32(rows, row, 2),
							   aion_row_int32(rows, row, 4)),
					  now);
	next = aion_row_timestamp(aion_statement_execute(&select_next_look, &keys), 0, 1);
	return next > now || rows.count == TELL_MOST ? next : now + LATE_AGAIN;
}

/*
 * Lets workers that could send no heartbeat while the engine was not at work send the next one in
 * time.
 */
void
aion_late_excuse(void)
{
	TimestampTz now = aion_clock_now();
	NullableDatum silent[] = {aion_arg_timestamp(now)};
	Rows rows = aion_statement_execute(&lock_silent, silent);
	Task task;

	for (uint64 row = 0; row < rows.count; row++)
	{
		NullableDatum args[3];

		aion_task_read(rows, row, &task);
		args[0] = aion_arg_int64(task.run_key);
		args[1] = aion_arg_int32(task.ordinal);
		args[2] = aion_arg_timestamp(now + task.policy.heartbeat);
		(void) aion_statement_execute(&expect_heartbeat, args);
	}
}

/*
 * Ends what is late in a run, or watches it further.
 */
void
aion_late_end(Run *run)
{
	TimestampTz now = aion_clock_now();
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_timestamp(now)};
	Rows rows = aion_statement_execute(&lock_late, args);
	Task task;

	for (uint64 row = 0; row < rows.count; row++)
	{
		aion_task_read(rows, row, &task);
		if (aion_run_is_closed(run) || strcmp(task.state, "cancelled") == 0 ||
			strcmp(task.state, "abandoned") == 0)
			aion_task_delete(&task);
		else
			expire(&task);
	}

	rows = aion_statement_execute(&watch_again, args);
	for (uint64 row = 0; row < rows.count; row++)
		aion_wakeup_look(aion_row_timestamp(rows, row, 1));
	/* What is locked may be left as it is, or be tried again. */
	rows = aion_statement_execute(&select_unwatched, args);
	for (uint64 row = 0; row < rows.count; row++)
	{
		aion_task_read(rows, row, &task);
		aion_task_wake(&task, "locked", now + LATE_AGAIN);
	}
}

/*
 * Ends an attempt, or a task, whose time is up.
 */
static void
expire(const Task *task)
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
