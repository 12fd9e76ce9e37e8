/*
 * due.c
 *		The moments at which a run is to be claimed: rows of aion._timer.
 *
 * A row exists exactly while its timer is live, except for rows that only get the run claimed,
 * which are no part of history.  The session that holds the run's lock settles a timer: it deletes
 * the row, and the same transaction appends TimerFired or TimerCancelled.  The two exclude each
 * other, and the first one recorded wins for every reader.  The row says which TimerStarted it
 * belongs to, so a row without a live timer in history fires nothing.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "run/due.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"

static Statement insert_timer =
	STATEMENT(INSERT,
			  "INSERT INTO aion._timer (run_key, name, owner_key, fire_at, started_seq)"
			  " VALUES ($1, $2, $3, $4, $5)",
			  INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID, INT4OID);
static Statement insert_wake =
	STATEMENT(INSERT,
			  "INSERT INTO aion._timer (run_key, name, owner_key, fire_at, started_seq)"
			  " VALUES ($1, $2, $3, $4, 0) ON CONFLICT DO NOTHING",
			  INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID);
static Statement delete_timer =
	STATEMENT(DELETE, "DELETE FROM aion._timer WHERE run_key = $1 AND name = $2", INT8OID, TEXTOID);
static Statement delete_timers =
	STATEMENT(DELETE, "DELETE FROM aion._timer WHERE run_key = $1", INT8OID);
static Statement delete_own = STATEMENT(DELETE,
										"DELETE FROM aion._timer WHERE run_key = $1"
										" AND NOT starts_with(name, '" TIMER_TASK "')",
										INT8OID);
static Statement take_due = STATEMENT(DELETE_RETURNING,
									  "DELETE FROM aion._timer WHERE run_key = $1 AND fire_at <= $2"
									  " RETURNING name, fire_at, started_seq",
									  INT8OID, TIMESTAMPTZOID);
static Statement delete_orphans =
	STATEMENT(DELETE,
			  "DELETE FROM aion._timer t WHERE t.run_key = ANY ($1)"
			  " AND (SELECT true FROM aion._run r WHERE r.run_key = t.run_key) IS NULL"
			  " AND (SELECT true FROM aion._schedule s WHERE s.run_key = t.run_key) IS NULL",
			  INT8ARRAYOID);

static bool is_timer(Relation table, int64 run_key, const char *name, Snapshot snapshot);
static int by_due_moment(const ListCell *a, const ListCell *b);

/*
 * Inserts the row by which a run is claimed when a timer is due.
 */
void
aion_due_arm(const Run *run, const char *name, TimestampTz fire_at, int32 started_seq)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_text(name),
							aion_arg_int32(run->owner_key), aion_arg_timestamp(fire_at),
							aion_arg_int32(started_seq)};

	(void) aion_statement_execute(&insert_timer, args);
	aion_wakeup_timer(run->owner_key, run->run_key, fire_at);
}

void
aion_due_disarm(const Run *run, const char *name)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_text(name)};

	(void) aion_statement_execute(&delete_timer, args);
}

/*
 * Inserts a row by which a run is claimed at a moment, for a reason that is recorded elsewhere.
 */
void
aion_due_wake(int64 run_key, int32 owner_key, const char *name, TimestampTz moment)
{
	NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_text(name), aion_arg_int32(owner_key),
							aion_arg_timestamp(moment)};

	(void) aion_statement_execute(&insert_wake, args);
	if (moment <= aion_clock_now())
		aion_wakeup_run(owner_key, run_key);
	else
		aion_wakeup_timer(owner_key, run_key, moment);
}

/*
 * Tells whether a run has a timer, as of now.  A worker's commit asks, with the rights of its role,
 * so it executes no statement.
 */
bool
aion_due_exists(int64 run_key, const char *name)
{
	Relation table =
		table_open(get_relname_relid("_timer", aion_extension()->schema), AccessShareLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	bool found = is_timer(table, run_key, name, snapshot);

	UnregisterSnapshot(snapshot);
	table_close(table, NoLock);
	return found;
}

static bool
is_timer(Relation table, int64 run_key, const char *name, Snapshot snapshot)
{
	Oid index = get_relname_relid("_timer_pkey", aion_extension()->schema);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&keys[0], get_attnum(RelationGetRelid(table), "run_key"), BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(run_key));
	ScanKeyInit(&keys[1], get_attnum(RelationGetRelid(table), "name"), BTEqualStrategyNumber,
				F_TEXTEQ, CStringGetTextDatum(name));
	keys[1].sk_collation = DEFAULT_COLLATION_OID;
	scan = systable_beginscan(table, index, true, snapshot, lengthof(keys), keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	return found;
}

/*
 * Removes the timers of schedules that were deleted while a transaction that ended one of their
 * runs was open: it has inserted a timer that the deletion could not see.
 */
void
aion_due_sweep(const int64 *keys, int count)
{
	NullableDatum args[] = {aion_arg_int64_array(keys, count)};

	(void) aion_statement_execute(&delete_orphans, args);
}

/*
 * Deletes the timers of a run that ends, except those that watch its tasks.
 */
void
aion_due_end(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_own, args);
}

/*
 * Deletes all timers of a run.
 */
void
aion_due_forget(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_timers, args);
}

/*
 * Cancels every timer of a run that ends.  The code never sees it.
 */
void
aion_due_cancel_all(Run *run)
{
	List *open = aion_history_open_timers(run->history);
	ListCell *cell;

	foreach (cell, open)
		aion_recorder_append(run->history, EVENT_TIMER_CANCELLED, ((Event *) lfirst(cell))->key,
							 aion_event_cancelled(CANCEL_BY_CLOSE));
}

/*
 * Deletes the timers that are due and returns them in the order of their moments.
 */
List *
aion_due_take(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_timestamp(aion_clock_now())};
	List *due = NIL;
	Rows rows;

	if (run->history->open_timers == 0 && !run->claimed_by_timer)
		return NIL;
	rows = aion_statement_execute(&take_due, args);
	for (uint64 row = 0; row < rows.count; row++)
	{
		DueTimer *timer = palloc(sizeof(DueTimer));

		timer->name = aion_row_text(rows, row, 1);
		timer->fire_at = aion_row_timestamp(rows, row, 2);
		timer->started_seq = aion_row_int32(rows, row, 3);
		due = lappend(due, timer);
	}
	list_sort(due, by_due_moment);
	return due;
}

static int
by_due_moment(const ListCell *a, const ListCell *b)
{
	const DueTimer *left = lfirst(a);
	const DueTimer *right = lfirst(b);

	if (left->fire_at != right->fire_at)
		return left->fire_at < right->fire_at ? -1 : 1;
	return left->started_seq - right->started_seq;
}
