/*
 * ready.c
 *		Finds and claims runs that need a turn.
 *
 * A run needs one when its row says so (it was started, its budget ended, its version changed),
 * when one of its timers is due, or when there is something in its inbox.  A claim takes the lock
 * on its row, and skips rows that other sessions have locked; the lock ends with the transaction,
 * so a claim cannot outlive a crash.  A run that has ended may still have something to clean up,
 * for which it has a timer.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "run/ready.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/statement.h"

#define RUN_COLUMNS_OF_R                                                                           \
	"r.run_key, r.workflow_id, r.run_id, r.owner_key, r.version_key, r.status, r.blocked,"         \
	" r.seen, r.failures, r.ready_at, r.retry_at, r.awaiting, r.awaiting_since, r.closed_at,"      \
	" r.unread, r.chain_key"

/*
 * A run that is to be retried later is not woken, nor one that crashed the server.  But a blocked
 * run is woken by what has arrived since it was last checked: its code may react to that.
 */
#define MAY_BE_WOKEN_BY(moment)                                                                    \
	"(r.retry_at IS NULL OR r.retry_at <= $2 OR " moment " >= " AION_LAST_LOOK                     \
	") AND r.blocked IS DISTINCT FROM 'quarantined'"

/* Something has been sent to it. */
#define HAS_ARRIVAL                                                                                \
	"(SELECT true FROM aion._inbox i WHERE i.run_key = r.run_key AND " MAY_BE_WOKEN_BY(            \
		"i.sent_at") " LIMIT 1)"

/* By key: neither by a scan of all due timers, nor by a hash of them, however few the planner
 * expects. */
#define HAS_DUE_TIMER                                                                              \
	"(SELECT true FROM aion._timer t WHERE t.run_key = r.run_key AND (t.fire_at <= $2) IS TRUE"    \
	" AND " MAY_BE_WOKEN_BY("t.fire_at") " LIMIT 1)"

#define HAS_REASON "(" HAS_DUE_TIMER " OR " HAS_ARRIVAL ")"

static Statement claim_ready =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS " FROM aion._run WHERE owner_key = $1 AND ready_at <= $2"
			  " AND run_key <> ALL ($3) ORDER BY ready_at LIMIT 1 FOR UPDATE SKIP LOCKED",
			  INT4OID, TIMESTAMPTZOID, INT8ARRAYOID);
static Statement claim_due = STATEMENT(
	SELECT,
	"SELECT " RUN_COLUMNS_OF_R " FROM aion._timer t JOIN aion._run r USING (run_key)"
	" WHERE t.owner_key = $1 AND t.fire_at <= $2 AND t.run_key <> ALL ($3) AND " MAY_BE_WOKEN_BY(
		"t.fire_at") " ORDER BY t.fire_at LIMIT 1 FOR UPDATE OF r SKIP LOCKED",
	INT4OID, TIMESTAMPTZOID, INT8ARRAYOID);
static Statement claim_sent =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS_OF_R " FROM aion._inbox i JOIN aion._run r USING (run_key)"
			  " WHERE i.owner_key = $1 AND i.run_key <> ALL ($3) AND " MAY_BE_WOKEN_BY(
				  "i.sent_at") " ORDER BY i.run_key, i.arrival LIMIT 1 FOR UPDATE OF r SKIP LOCKED",
			  INT4OID, TIMESTAMPTZOID, INT8ARRAYOID);
static Statement claim_one_of =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS_OF_R " FROM aion._run r"
			  " WHERE r.run_key = ANY ($1) AND (r.ready_at <= $2"
			  " OR " HAS_REASON ")"
			  " ORDER BY r.ready_at, r.run_key LIMIT 1 FOR UPDATE SKIP LOCKED",
			  INT8ARRAYOID, TIMESTAMPTZOID);

static Statement claim_all_of =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS_OF_R " FROM aion._run r"
			  " WHERE r.run_key = ANY ($1) AND r.owner_key = $3 AND (r.ready_at <= $2"
			  " OR " HAS_REASON ")"
			  " FOR UPDATE SKIP LOCKED",
			  INT8ARRAYOID, TIMESTAMPTZOID, INT4OID);
static Statement select_ready =
	STATEMENT(SELECT,
			  "SELECT FROM aion._run r WHERE r.run_key = $1 AND (r.ready_at <= $2"
			  " OR " HAS_REASON ")",
			  INT8OID, TIMESTAMPTZOID);
static Statement scan_ready = STATEMENT(
	SELECT,
	"SELECT run_key, ready_at FROM aion._run WHERE owner_key = $1 AND ready_at IS NOT NULL"
	" AND (ready_at, run_key) > ($2, $3) AND ready_at <= $4 AND run_key % $5 = $6"
	" ORDER BY ready_at, run_key LIMIT $7",
	INT4OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID);
static Statement scan_inbox = STATEMENT(
	SELECT,
	"SELECT DISTINCT run_key, '-infinity'::timestamptz FROM aion._inbox WHERE owner_key = $1"
	" AND $2 < $4 AND run_key > $3 AND run_key % $5 = $6 ORDER BY run_key LIMIT $7",
	INT4OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID);
static Statement scan_due =
	STATEMENT(SELECT,
			  "SELECT run_key, fire_at FROM aion._timer WHERE owner_key = $1"
			  " AND (fire_at, run_key) > ($2, $3) AND fire_at <= $4 AND run_key % $5 = $6"
			  " ORDER BY fire_at, run_key LIMIT $7",
			  INT4OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT4OID, INT4OID, INT4OID);

/* The kinds of work; each goes first in turn, so that none starves. */
static Statement *const claims[] = {&claim_ready, &claim_due, &claim_sent};
static int last_claim = 0;

static Run *ready_claim(Statement *statement, const NullableDatum *args, MemoryContext parent);

/*
 * Claims a run of an owner, except some.
 */
Run *
aion_ready_claim(int32 owner_key, const int64 *except, int except_count, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int32(owner_key), aion_arg_timestamp(aion_clock_now()),
							aion_arg_int64_array(except, except_count)};
	Run *run = NULL;

	(void) aion_ready_lock_tables(true);
	for (size_t i = 0; run == NULL && i < lengthof(claims); i++)
	{
		last_claim = (last_claim + 1) % lengthof(claims);
		run = ready_claim(claims[last_claim], args, parent);
	}
	return run;
}

/*
 * Claims one of some runs.
 */
Run *
aion_ready_claim_one_of(const int64 *run_keys, int count, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64_array(run_keys, count),
							aion_arg_timestamp(aion_clock_now())};

	return ready_claim(&claim_one_of, args, parent);
}

/*
 * Claims all of some runs that are ready and not locked by other sessions.
 */
List *
aion_ready_claim_all_of(int32 owner_key, const int64 *run_keys, int count, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64_array(run_keys, count),
							aion_arg_timestamp(aion_clock_now()), aion_arg_int32(owner_key)};
	List *runs = NIL;
	Rows rows;

	(void) aion_ready_lock_tables(true);
	rows = aion_statement_execute(&claim_all_of, args);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Run *run = aion_run_read(rows, row, parent);

		run->claimed_by_timer = true;
		runs = lappend(runs, run);
	}
	return runs;
}

/*
 * Tells whether a run that could not be claimed is ready all the same: another session has locked
 * it.
 */
bool
aion_ready_is_taken(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_timestamp(aion_clock_now())};

	return aion_statement_execute(&select_ready, args).count > 0;
}

void
aion_ready_scan_begin(ReadyScan *scan, int index, int count)
{
	*scan = (ReadyScan){SCAN_READY, DT_NOBEGIN, 0, index, Max(count, 1)};
}

/*
 * Looks for ready runs among one of count parts of all, from where the last call ended.  It never
 * goes back, so what has been done costs nothing; a hint names what becomes ready behind it.
 * Returns how many it found, 0 at the end.
 */
int
aion_ready_scan(ReadyScan *scan, int32 owner_key, int64 *run_keys, int most)
{
	static Statement *const scans[] = {&scan_ready, &scan_due, &scan_inbox};

	for (;;)
	{
		NullableDatum args[] = {
			aion_arg_int32(owner_key),	   aion_arg(TimestampTzGetDatum(scan->moment)),
			aion_arg_int64(scan->run_key), aion_arg_timestamp(aion_clock_now()),
			aion_arg_int32(scan->count),   aion_arg_int32(scan->index),
			aion_arg_int32(most)};
		Rows rows = aion_statement_execute(scans[scan->phase], args);

		for (uint64 row = 0; row < rows.count; row++)
		{
			run_keys[row] = scan->run_key = aion_row_int64(rows, row, 1);
			scan->moment = aion_row_timestamp(rows, row, 2);
		}
		if (rows.count > 0 || scan->phase == SCAN_INBOX)
			return (int) rows.count;
		*scan = (ReadyScan){scan->phase + 1, DT_NOBEGIN, 0, scan->index, scan->count};
	}
}

/*
 * Takes at once the locks on tables that executing a run will need.  Otherwise reading them first
 * and writing them later would deadlock with REINDEX and the like in between.  Unless wait is set,
 * it does not wait, but returns false if one of them is not free.
 */
bool
aion_ready_lock_tables(bool wait)
{
	static const char *const names[] = {"_run", "_event", "_timer", "_task", "_inbox"};
	static Oid tables[lengthof(names)];
	static uint64 generation = 0;
	const Extension *ext = aion_extension();

	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (generation != ext->generation)
			tables[i] = get_relname_relid(names[i], ext->schema);
		if (wait)
			LockRelationOid(tables[i], RowExclusiveLock);
		else if (!ConditionalLockRelationOid(tables[i], RowExclusiveLock))
			return false;
	}
	generation = ext->generation;
	return true;
}

static Run *
ready_claim(Statement *statement, const NullableDatum *args, MemoryContext parent)
{
	Rows rows = aion_statement_execute(statement, args);
	Run *run;

	if (rows.count == 0)
		return NULL;
	run = aion_run_read(rows, 0, parent);
	run->claimed_by_timer = statement != &claim_ready;
	return run;
}
