/*
 * inbox.c
 *		What has been sent to runs and is not yet history: rows of aion._inbox.
 *
 * A sender finds the open run by plain MVCC, inserts a row and locks nothing, so nobody ever waits
 * for one who has not committed.  Whoever has the run's lock deletes what he sees and records it,
 * in one transaction.  Rows are seen by being there, never by a number that was reached: a commit
 * can come late.  What commits when its run has ended is late mail: its commit wakes the engine all
 * the same, and the primitive that it is for puts it away.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "engine/inbox.h"
#include "engine/primitive.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/statement.h"
#include "support/wakeup.h"

/* Taken at once: bounds the memory and the time of a turn; the next one goes on. */
#define TAKE_MOST 5000

enum
{
	ARRIVAL_NUMBER = 1,
	ARRIVAL_KIND,
	ARRIVAL_NAME,
	ARRIVAL_PAYLOAD,
	ARRIVAL_DEDUP_ID,
	ARRIVAL_SENDER,
	ARRIVAL_SENT_AT
};

static Statement insert_arrival = STATEMENT(
	INSERT,
	"INSERT INTO aion._inbox (run_key, owner_key, kind, name, payload, dedup_id, sender, sent_at)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
	INT8OID, INT4OID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
static Statement take_arrivals =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM aion._inbox"
			  " WHERE run_key = $1 ORDER BY arrival LIMIT $2))"
			  " RETURNING arrival, kind, name, payload, dedup_id, sender, sent_at",
			  INT8OID, INT4OID);
static Statement delete_arrivals =
	STATEMENT(DELETE, "DELETE FROM aion._inbox WHERE run_key = $1", INT8OID);
static Statement delete_orphans =
	STATEMENT(DELETE,
			  "DELETE FROM aion._inbox i WHERE i.run_key = ANY ($1) AND"
			  " (SELECT true FROM aion._run r WHERE r.run_key = i.run_key) IS NULL",
			  INT8ARRAYOID);

static bool has_arrivals(int64 run_key);
static int by_number(const ListCell *a, const ListCell *b);

/*
 * Sends something to a run, as the current user, now; it arrives when this transaction commits.
 */
void
aion_inbox_send(int64 run_key, int32 owner_key, const Arrival *arrival)
{
	NullableDatum args[] = {aion_arg_int64(run_key),
							aion_arg_int32(owner_key),
							aion_arg_text(arrival->kind),
							aion_arg_text(arrival->name),
							aion_arg_jsonb(arrival->payload),
							aion_arg_text(arrival->dedup_id),
							aion_arg_text(GetUserNameFromId(GetOuterUserId(), false)),
							aion_arg_timestamp(aion_clock_now())};

	(void) aion_statement_execute(&insert_arrival, args);
	aion_wakeup_run(owner_key, run_key);
}

/*
 * Takes out of the inbox what has arrived for a run, to be recorded in the same transaction.
 */
void
aion_inbox_take(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(TAKE_MOST)};
	MemoryContext caller;
	List *taken = NIL;
	Rows rows;

	if (!has_arrivals(run->run_key))
		return;
	rows = aion_statement_execute(&take_arrivals, args);
	caller = MemoryContextSwitchTo(run->context);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Arrival *arrival = palloc(sizeof(Arrival));

		arrival->number = aion_row_int64(rows, row, ARRIVAL_NUMBER);
		arrival->kind = aion_row_text(rows, row, ARRIVAL_KIND);
		arrival->name = aion_row_text(rows, row, ARRIVAL_NAME);
		arrival->payload = aion_row_jsonb(rows, row, ARRIVAL_PAYLOAD);
		arrival->dedup_id = aion_row_text(rows, row, ARRIVAL_DEDUP_ID);
		arrival->sender = aion_row_text(rows, row, ARRIVAL_SENDER);
		arrival->sent_at = aion_row_timestamp(rows, row, ARRIVAL_SENT_AT);
		taken = lappend(taken, arrival);
	}
	list_sort(taken, by_number);
	run->arrivals = list_concat(run->arrivals, taken);
	MemoryContextSwitchTo(caller);
	if (rows.count == TAKE_MOST)
		aion_wakeup_run(run->owner_key, run->run_key); /* there may be more */
}

/*
 * Records what was taken, in its order, as far as it was sent before a moment.
 */
void
aion_inbox_record(Run *run, TimestampTz before)
{
	int count = 0;
	ListCell *cell;

	foreach (cell, run->arrivals)
	{
		const Arrival *arrival = lfirst(cell);

		if (before != DT_NOEND && arrival->sent_at >= before)
			break;
		aion_primitive_receive(run, arrival);
		count++;
	}
	run->arrivals = list_delete_first_n(run->arrivals, count);
}

/*
 * Forgets what has arrived for a run that is purged.
 */
void
aion_inbox_forget(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_arrivals, args);
}

/*
 * Forgets what was sent to runs that are gone.
 */
void
aion_inbox_sweep(const int64 *run_keys, int count)
{
	Datum *keys = palloc(Max(count, 1) * sizeof(Datum));
	NullableDatum args[1];
	Rows rows;

	for (int i = 0; i < count; i++)
		keys[i] = Int64GetDatum(run_keys[i]);
	args[0] = aion_arg(PointerGetDatum(
		construct_array(keys, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	rows = aion_statement_execute(&delete_orphans, args);
	if (rows.count > 0)
		ereport(LOG, (errmsg("aion has dropped " UINT64_FORMAT
							 " arrivals of runs that were purged before their senders committed",
							 rows.count)));
}

/*
 * Tells whether there is anything for a run, as of now.  Asked for every share of every run, so it
 * is not a statement.
 */
static bool
has_arrivals(int64 run_key)
{
	Oid schema = aion_extension()->schema;
	Relation table = table_open(get_relname_relid("_inbox", schema), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_key));
	scan = systable_beginscan(table, get_relname_relid("_inbox_pkey", schema), true, snapshot, 1,
							  &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, NoLock);
	return found;
}

static int
by_number(const ListCell *a, const ListCell *b)
{
	int64 left = ((const Arrival *) lfirst(a))->number;
	int64 right = ((const Arrival *) lfirst(b))->number;

	return left < right ? -1 : left > right;
}
