/*
 * run.c
 *		One run: its row and its history.
 *
 * The row is what is needed to find and claim a run; everything in it follows from the history and
 * is written in the same transaction.  A session that changes a run holds the lock on its row,
 * taken by a statement before the one that reads the history, so that the latter sees all that
 * earlier holders wrote.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/guard.h"
#include "code/owner.h"
#include "guc.h"
#include "history/received.h"
#include "run/run.h"
#include "run/store.h"
#include "run/touched.h"
#include "shared/interruption.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"

static const char *const status_names[] = {
	[RUN_SCHEDULED] = "scheduled", [RUN_RUNNING] = "running",
	[RUN_BLOCKED] = "blocked",	   [RUN_PAUSED] = "paused",
	[RUN_COMPLETED] = "completed", [RUN_FAILED] = "failed",
	[RUN_CANCELLED] = "cancelled", [RUN_TERMINATED] = "terminated",
	[RUN_TIMED_OUT] = "timed_out", [RUN_CONTINUED] = "continued_as_new"};

static Statement lock_run = STATEMENT(
	SELECT, "SELECT " RUN_COLUMNS " FROM aion._run WHERE run_key = $1 FOR UPDATE", INT8OID);
static Statement try_lock_run = STATEMENT(
	SELECT, "SELECT " RUN_COLUMNS " FROM aion._run WHERE run_key = $1 FOR UPDATE SKIP LOCKED",
	INT8OID);
static Statement select_run =
	STATEMENT(SELECT, "SELECT " RUN_COLUMNS " FROM aion._run WHERE run_key = $1", INT8OID);
static Statement select_head =
	STATEMENT(SELECT, "SELECT head FROM aion._run WHERE run_key = $1", INT8OID);
static Run *lock(int64 run_key, bool at_once, MemoryContext parent);

static void read_start(Run *run);
static RunStatus status_of_name(const char *name);

const char *
aion_status_name(RunStatus status)
{
	return status_names[status];
}

/*
 * Refuses a name that is no status.
 */
void
aion_status_check(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(status_names); i++)
	{
		if (strcmp(name, status_names[i]) == 0)
			return;
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", status_names[i]);
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("invalid status: \"%s\"", name),
					errhint("Possible values are: %s.", names.data)));
}

bool
aion_run_is_closed(const Run *run)
{
	return run->status >= RUN_COMPLETED;
}

/*
 * Tells whether this backend is in a turn of a run.
 */
bool
aion_run_is_executing(int64 run_key)
{
	return run_key == aion_guard_run();
}

/*
 * Makes a run of a row of RUN_COLUMNS.
 */
Run *
aion_run_read(Rows rows, uint64 row, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "aion run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Run *run = palloc0(sizeof(Run));

	run->context = context;
	run->run_key = aion_row_int64(rows, row, 1);
	run->workflow_id = aion_row_text(rows, row, 2);
	run->run_id = aion_row_uuid(rows, row, 3);
	run->owner_key = aion_row_int32(rows, row, 4);
	run->version_key = aion_row_int32(rows, row, 5);
	run->status = status_of_name(aion_row_text(rows, row, 6));
	run->blocked = aion_row_text(rows, row, 7);
	run->seen = aion_row_int32(rows, row, 8);
	run->failures = aion_row_int32(rows, row, 9);
	run->ready_at = aion_row_timestamp(rows, row, 10);
	run->woken = run->ready_at != DT_NOEND;
	run->retry_at = aion_row_timestamp(rows, row, 11);
	run->awaiting = aion_row_jsonb(rows, row, 12);
	run->awaiting_since = aion_row_timestamp(rows, row, 13);
	run->closed_at = aion_row_timestamp(rows, row, 14);
	run->unread = aion_row_jsonb(rows, row, 15);
	run->chain_key = aion_row_isnull(rows, row, 16) ? 0 : aion_row_int64(rows, row, 16);
	MemoryContextSwitchTo(caller);
	return run;
}

/*
 * Waits for the lock of a run and reads its row.  NULL if it is gone.  An activity cannot lock its
 * own run: the turn it is part of holds in memory what would be changed.
 */
Run *
aion_run_lock(int64 run_key, MemoryContext parent)
{
	return lock(run_key, false, parent);
}

/*
 * Locks a run and reads its row, if the lock is free; else NULL.
 */
Run *
aion_run_lock_if_free(int64 run_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Rows rows = aion_statement_execute(&try_lock_run, args);

	aion_touched_note_locked(run_key);
	return rows.count == 1 ? aion_run_read(rows, 0, parent) : NULL;
}

/*
 * Like aion_run_lock(), to end the run: a turn in progress is interrupted, not waited for.
 */
Run *
aion_run_lock_at_once(int64 run_key, MemoryContext parent)
{
	return lock(run_key, true, parent);
}

/*
 * Reads the row of a run without its lock.  NULL if it is gone.
 */
Run *
aion_run_peek(int64 run_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Rows rows = aion_statement_execute(&select_run, args);

	return rows.count == 1 ? aion_run_read(rows, 0, parent) : NULL;
}

/*
 * Reads the history of a run whose lock is held.
 */
void
aion_run_load(Run *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	History *earlier = run->history;

	if (earlier != NULL)
		run->unread = aion_received_unread(run->history); /* it knows more than the row */
	MemoryContextSwitchTo(caller);
	if (earlier == NULL)
		run->history = aion_history_load_kept(run->run_key, run->owner_key, run->context);
	else
		run->history = aion_history_load(run->run_key, run->owner_key, run->context);
	aion_received_resume(run->history, run->unread);
	if (earlier != NULL)
		MemoryContextDelete(earlier->context);
	read_start(run);
}

/*
 * Reads the first event of a loaded history.
 */
static void
read_start(Run *run)
{
	MemoryContext caller;

	run->loaded = run->history->count;
	if (run->history->count == 0 || run->history->events[0]->type != EVENT_WORKFLOW_STARTED)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("history of run " INT64_FORMAT " does not begin with its start",
							   run->run_key)));
	caller = MemoryContextSwitchTo(run->context);
	aion_event_read_workflow_started(run->history->events[0], &run->started);
	MemoryContextSwitchTo(caller);
}

/*
 * Reads a run and its history without its lock, as they are at some moment; NULL if it is gone.
 */
Run *
aion_run_view(int64 run_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	if (aion_run_is_executing(run_key))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("an activity cannot fork or replay the run it belongs to"),
						errdetail("Part of the history of that run is not recorded yet.")));
	for (;;)
	{
		Rows before = aion_statement_execute(&select_head, args);
		int32 head = before.count > 0 ? aion_row_int32(before, 0, 1) : 0;
		Run *run = aion_run_peek(run_key, parent);
		Rows after;

		CHECK_FOR_INTERRUPTS();
		if (before.count == 0 || run == NULL)
			return NULL;
		run->history = aion_history_load(run_key, run->owner_key, run->context);
		after = aion_statement_execute(&select_head, args);
		if (run->history->count == head && after.count > 0 && aion_row_int32(after, 0, 1) == head)
		{
			read_start(run);
			return run;
		}
		MemoryContextDelete(run->context); /* it has changed meanwhile */
	}
}

/*
 * Warns once of a history that has become longer than it should.
 */
void
aion_run_warn_if_long(const Run *run)
{
	if (run->loaded > aion_max_history_events || run->history->count <= aion_max_history_events ||
		aion_run_is_closed(run))
		return;
	ereport(
		WARNING,
		(errmsg("history of workflow \"%s\" has %d events", run->workflow_id, run->history->count),
		 errdetail("aion.max_history_events is %d; with twice as many the run is blocked.",
				   aion_max_history_events),
		 errhint("Let it use aion.continue_as_new() where aion.continue_suggested() says so.")));
}

/*
 * Writes the history appended so far, and the row.
 */
void
aion_run_save(Run *run)
{
	aion_run_save_history(run);
	aion_run_save_row(run);
}

void
aion_run_save_history(Run *run)
{
	aion_recorder_write(run->history);
}

void
aion_run_save_row(Run *run)
{
	NewRow row = {0};

	Assert(run->status == RUN_PAUSED || (run->status == RUN_BLOCKED) == (run->blocked != NULL));
	aion_store_put(&row, RUN_COLUMN_CLOSED_AT, aion_arg_timestamp(run->closed_at));
	aion_store_put(&row, RUN_COLUMN_READY_AT, aion_arg_timestamp(run->ready_at));
	aion_store_put(&row, RUN_COLUMN_RETRY_AT, aion_arg_timestamp(run->retry_at));
	aion_store_put(&row, RUN_COLUMN_AWAITING_SINCE, aion_arg_timestamp(run->awaiting_since));
	aion_store_put(&row, RUN_COLUMN_VERSION_KEY, aion_arg_int32(run->version_key));
	aion_store_put(&row, RUN_COLUMN_HEAD, aion_arg_int32(run->history->count));
	aion_store_put(&row, RUN_COLUMN_SEEN, aion_arg_int32(run->seen));
	aion_store_put(&row, RUN_COLUMN_FAILURES, aion_arg_int32(run->failures));
	aion_store_put(&row, RUN_COLUMN_CRASHES, aion_arg_int32(0));
	aion_store_put(&row, RUN_COLUMN_STATUS, aion_arg_text(aion_status_name(run->status)));
	aion_store_put(&row, RUN_COLUMN_BLOCKED, aion_arg_text(run->blocked));
	aion_store_put(&row, RUN_COLUMN_AWAITING, aion_arg_jsonb(run->awaiting));
	aion_store_put(&row, RUN_COLUMN_UNREAD, aion_arg_jsonb(aion_received_unread(run->history)));
	aion_store_row(run->run_key, &row);
	if (run->ready_at != DT_NOEND)
		aion_wakeup_run(run->owner_key, run->run_key);
}

/*
 * Takes the lock of a run; a session that holds it is told that this one waits.
 */
static Run *
lock(int64 run_key, bool at_once, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Run *run;
	Rows rows;

	if (aion_run_is_executing(run_key))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("an activity cannot control the run it belongs to")));
	run = aion_run_lock_if_free(run_key, parent);
	if (run != NULL)
		return run;
	aion_interruption_want(run_key, at_once);
	PG_TRY();
	{
		rows = aion_statement_execute(&lock_run, args);
	}
	PG_FINALLY();
	{
		aion_interruption_want_nothing();
	}
	PG_END_TRY();
	return rows.count == 1 ? aion_run_read(rows, 0, parent) : NULL;
}

static RunStatus
status_of_name(const char *name)
{
	for (size_t i = 0; i < lengthof(status_names); i++)
	{
		if (strcmp(name, status_names[i]) == 0)
			return (RunStatus) i;
	}
	elog(ERROR, "unknown status \"%s\"", name);
}
