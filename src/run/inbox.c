/*
 * inbox.c
 *		What has been sent to runs and is not yet history: rows of aion._inbox.
 *
 * A sender finds the open run by plain MVCC, inserts a row and locks nothing, so no session ever
 * waits for a sender that has not committed.  The session that holds the run's lock deletes the
 * rows it sees and records them, in one transaction.  It finds rows by their existence, never by a
 * number beyond the last one seen: a commit can come late.  An arrival that commits after its run
 * has ended is late: its commit wakes the engine all the same, and the primitive that it is for
 * handles it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "code/guard.h"
#include "history/kinship.h"
#include "run/inbox.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/statement.h"

/* Arrivals taken at once: bounds the memory and the time of a turn; the next one takes the rest. */
#define TAKE_MOST 5000

/* The kinds that are of no use to a successor of the run they were sent to. */
#define ONE_RUN_ALONE "('child', 'activity')"

enum
{
	ARRIVAL_NUMBER = 1,
	ARRIVAL_KIND,
	ARRIVAL_NAME,
	ARRIVAL_PAYLOAD,
	ARRIVAL_DEDUP_ID,
	ARRIVAL_SENDER,
	ARRIVAL_SENT_AT,
	ARRIVAL_CHAIN_KEY /* of orphans */
};

static Statement insert_arrival = STATEMENT(
	INSERT,
	"INSERT INTO aion._inbox (run_key, owner_key, kind, name, payload, dedup_id, sender, sent_at,"
	" chain_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	INT8OID, INT4OID, TEXTOID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID);
static Statement take_arrivals =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._inbox WHERE ctid = ANY (ARRAY(SELECT ctid FROM aion._inbox"
			  " WHERE run_key = $1 ORDER BY arrival LIMIT $2))"
			  " RETURNING arrival, kind, name, payload, dedup_id, sender, sent_at",
			  INT8OID, INT4OID);

static Statement take_kind =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._inbox WHERE run_key = $1 AND kind = $2"
			  " RETURNING arrival, kind, name, payload, dedup_id, sender, sent_at",
			  INT8OID, TEXTOID);

/* What was sent to any of a chain of runs: to the first one, or to one of its successors. */
static Statement lock_first_arrivals = STATEMENT(
	SELECT, "SELECT FROM aion._inbox WHERE run_key = $1 ORDER BY arrival FOR UPDATE", INT8OID);
static Statement lock_chain_arrivals = STATEMENT(
	SELECT, "SELECT FROM aion._inbox WHERE chain_key = $1 ORDER BY arrival FOR UPDATE", INT8OID);
static Statement take_chain_arrivals = STATEMENT(
	DELETE_RETURNING,
	"DELETE FROM aion._inbox WHERE ctid = ANY (ARRAY(SELECT x.row FROM ("
	"SELECT ctid AS row, arrival FROM aion._inbox WHERE run_key = $2 AND kind NOT IN " ONE_RUN_ALONE
	" UNION ALL SELECT ctid, arrival FROM aion._inbox WHERE chain_key = $2"
	" AND (run_key = $1 OR kind NOT IN " ONE_RUN_ALONE ")"
	" UNION ALL SELECT ctid, arrival FROM aion._inbox WHERE run_key = $1 AND chain_key IS NULL"
	") x ORDER BY x.arrival LIMIT $3))"
	" RETURNING arrival, kind, name, payload, dedup_id, sender, sent_at",
	INT8OID, INT8OID, INT4OID);
static Statement forward_arrivals =
	STATEMENT(UPDATE,
			  "UPDATE aion._inbox SET run_key = $2, chain_key = $3 WHERE run_key = $1"
			  " AND kind NOT IN " ONE_RUN_ALONE,
			  INT8OID, INT8OID, INT8OID);
static Statement delete_arrivals =
	STATEMENT(DELETE, "DELETE FROM aion._inbox WHERE run_key = $1", INT8OID);
static Statement forward_orphans = STATEMENT(
	UPDATE_RETURNING,
	"UPDATE aion._inbox i SET run_key = r.run_key, chain_key = r.chain_key FROM aion._run r"
	" WHERE i.run_key = ANY ($1) AND i.kind NOT IN " ONE_RUN_ALONE
	" AND r.chain_key = coalesce(i.chain_key, i.run_key) AND r.status <> 'continued_as_new'"
	" AND (SELECT true FROM aion._run g WHERE g.run_key = i.run_key) IS NULL"
	" RETURNING r.run_key, r.owner_key",
	INT8ARRAYOID);
static Statement delete_orphans =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._inbox i WHERE i.run_key = ANY ($1) AND"
			  " (SELECT true FROM aion._run r WHERE r.run_key = i.run_key) IS NULL"
			  " RETURNING arrival, kind, name, payload, dedup_id, sender, sent_at,"
			  " coalesce(chain_key, run_key)",
			  INT8ARRAYOID);

static void read_arrival(Rows rows, uint64 row, Arrival *arrival);
static Rows inbox_take(const Run *run);
static Rows take_of_chain(const Run *run);
static void forward(Run *run);
static bool has_arrivals(const char *index, const char *column, int64 key);
static int by_number(const ListCell *a, const ListCell *b);

/*
 * Sends something to a run, as the current user, now; it arrives when this transaction commits.
 */
void
aion_inbox_send(const FoundRun *to, const Arrival *arrival)
{
	NullableDatum args[] = {aion_arg_int64(to->run_key),
							aion_arg_int32(to->owner_key),
							aion_arg_text(arrival->kind),
							aion_arg_text(arrival->name),
							aion_arg_jsonb(arrival->payload),
							aion_arg_text(arrival->dedup_id),
							aion_arg_text(GetUserNameFromId(aion_guard_actor(), false)),
							aion_arg_timestamp(aion_clock_now()),
							aion_arg_key(to->chain_key)};

	(void) aion_statement_execute(&insert_arrival, args);
	aion_wakeup_run(to->owner_key, to->run_key);
}

/*
 * Takes out of the inbox what has arrived for a run, to be recorded in the same transaction.
 */
void
aion_inbox_take(Run *run)
{
	MemoryContext caller;
	List *taken = NIL;
	Rows rows;

	if (run->chain_key == 0 && !has_arrivals("_inbox_pkey", "run_key", run->run_key))
		return;
	if (run->status == RUN_CONTINUED)
		forward(run);
	rows =
		run->chain_key != 0 && run->status != RUN_CONTINUED ? take_of_chain(run) : inbox_take(run);
	caller = MemoryContextSwitchTo(run->context);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Arrival *arrival = palloc(sizeof(Arrival));

		read_arrival(rows, row, arrival);
		taken = lappend(taken, arrival);
	}
	list_sort(taken, by_number);
	run->arrivals = list_concat(run->arrivals, taken);
	MemoryContextSwitchTo(caller);
	if (rows.count == TAKE_MOST)
		aion_wakeup_run(run->owner_key, run->run_key); /* there may be more */
}

/*
 * Takes what has arrived since of one kind, and returns it.
 */
List *
aion_inbox_take_kind(const Run *run, const char *kind)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_text(kind)};
	Rows rows = aion_statement_execute(&take_kind, args);
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	List *taken = NIL;

	for (uint64 row = 0; row < rows.count; row++)
	{
		Arrival *arrival = palloc(sizeof(Arrival));

		read_arrival(rows, row, arrival);
		taken = lappend(taken, arrival);
	}
	list_sort(taken, by_number);
	MemoryContextSwitchTo(caller);
	return taken;
}

static void
read_arrival(Rows rows, uint64 row, Arrival *arrival)
{
	arrival->number = aion_row_int64(rows, row, ARRIVAL_NUMBER);
	arrival->kind = aion_row_text(rows, row, ARRIVAL_KIND);
	arrival->name = aion_row_text(rows, row, ARRIVAL_NAME);
	arrival->payload = aion_row_jsonb(rows, row, ARRIVAL_PAYLOAD);
	arrival->dedup_id = aion_row_text(rows, row, ARRIVAL_DEDUP_ID);
	arrival->sender = aion_row_text(rows, row, ARRIVAL_SENDER);
	arrival->sent_at = aion_row_timestamp(rows, row, ARRIVAL_SENT_AT);
}

static Rows
inbox_take(const Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(TAKE_MOST)};

	return aion_statement_execute(&take_arrivals, args);
}

/*
 * Takes also what was sent to the earlier runs of the chain, by senders that found one of those
 * open: otherwise what was sent since to this one would overtake it.
 */
static Rows
take_of_chain(const Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int64(run->chain_key),
							aion_arg_int32(TAKE_MOST)};

	NullableDatum chain[] = {aion_arg_int64(run->chain_key)};

	if (!has_arrivals("_inbox_pkey", "run_key", run->run_key) &&
		!has_arrivals("_inbox_pkey", "run_key", run->chain_key) &&
		!has_arrivals("_inbox_chain_idx", "chain_key", run->chain_key))
		return (Rows){0};

	/* Another session may be about to forward them. */
	(void) aion_statement_execute(&lock_first_arrivals, chain);
	(void) aion_statement_execute(&lock_chain_arrivals, chain);
	return aion_statement_execute(&take_chain_arrivals, args);
}

/*
 * Forwards the arrivals of a run that was continued as new to its successor.
 */
static void
forward(Run *run)
{
	ContinuedAsNew next;
	FoundRun to;

	aion_event_read_continued_as_new(run->history->terminal->attributes, &next);
	if (!aion_run_look_up_key(next.run_key, &to))
		return; /* purged: no run continues this one */
	{
		NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int64(to.run_key),
								aion_arg_key(to.chain_key)};

		if (aion_statement_execute(&forward_arrivals, args).count > 0)
			aion_wakeup_run(to.owner_key, to.run_key);
	}
}

/*
 * Deletes what has arrived for a run that is purged.
 */
void
aion_inbox_forget(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_arrivals, args);
}

/*
 * Forwards the arrivals of purged runs to their successors; deletes and returns the rest.
 */
List *
aion_inbox_take_orphans(const int64 *run_keys, int count)
{
	NullableDatum args[] = {aion_arg_int64_array(run_keys, count)};
	Rows rows = aion_statement_execute(&forward_orphans, args);
	List *orphans = NIL;

	for (uint64 row = 0; row < rows.count; row++)
		aion_wakeup_run(aion_row_int32(rows, row, 2), aion_row_int64(rows, row, 1));
	rows = aion_statement_execute(&delete_orphans, args);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Arrival *arrival = palloc(sizeof(Arrival));

		read_arrival(rows, row, arrival);
		arrival->chain_key = aion_row_int64(rows, row, ARRIVAL_CHAIN_KEY);
		orphans = lappend(orphans, arrival);
	}
	return orphans;
}

/*
 * Tells whether there is any row under a key, as of now.  Called for every share of every run, so
 * it executes no statement.
 */
static bool
has_arrivals(const char *index, const char *column, int64 key)
{
	Oid schema = aion_extension()->schema;
	Relation table = table_open(get_relname_relid("_inbox", schema), RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData condition;
	SysScanDesc scan;
	bool found;

	ScanKeyInit(&condition, get_attnum(RelationGetRelid(table), column), BTEqualStrategyNumber,
				F_INT8EQ, Int64GetDatum(key));
	scan =
		systable_beginscan(table, get_relname_relid(index, schema), true, snapshot, 1, &condition);
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
