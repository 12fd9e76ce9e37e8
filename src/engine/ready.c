/*
 * ready.c
 *		Runs that want a turn.
 *
 * A run wants one when its row says so (it was started, its budget ended, its version changed) or
 * when one of its timers is due.  Claiming is taking the lock on its row and skipping what others
 * have; the lock ends with the transaction, so a claim cannot outlive a crash.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "engine/ready.h"
#include "support/clock.h"
#include "support/statement.h"

#define RUN_COLUMNS_OF_R                                                                           \
	"r.run_key, r.workflow_id, r.run_id, r.owner_key, r.version_key, r.status, r.blocked,"         \
	" r.seen, r.failures, r.ready_at, r.retry_at, r.awaiting, r.awaiting_since, r.closed_at"

static Statement claim_ready =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS " FROM aion._run WHERE owner_key = $1 AND ready_at <= $2"
			  " ORDER BY ready_at LIMIT 1 FOR UPDATE SKIP LOCKED",
			  INT4OID, TIMESTAMPTZOID);
static Statement claim_due =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS_OF_R " FROM aion._timer t JOIN aion._run r USING (run_key)"
			  " WHERE t.owner_key = $1 AND t.fire_at <= $2 AND r.closed_at IS NULL"
			  " AND (r.retry_at IS NULL OR r.retry_at <= $2)"
			  " ORDER BY t.fire_at LIMIT 1 FOR UPDATE OF r SKIP LOCKED",
			  INT4OID, TIMESTAMPTZOID);
static Statement claim_one_of =
	STATEMENT(SELECT,
			  "SELECT " RUN_COLUMNS_OF_R " FROM aion._run r"
			  " WHERE r.run_key = ANY ($1) AND r.closed_at IS NULL AND (r.ready_at <= $2"
			  " OR (r.retry_at IS NULL OR r.retry_at <= $2) AND EXISTS"
			  " (SELECT FROM aion._timer t WHERE t.run_key = r.run_key AND t.fire_at <= $2))"
			  " ORDER BY r.ready_at, r.run_key LIMIT 1 FOR UPDATE SKIP LOCKED",
			  INT8ARRAYOID, TIMESTAMPTZOID);

/* Which of the two kinds of work goes first next time, so that neither starves. */
static bool timers_first = false;

static Run *claim(Statement *statement, const NullableDatum *args, MemoryContext parent);

/*
 * Claims a run of an owner.
 */
Run *
aion_ready_claim(int32 owner_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int32(owner_key), aion_arg_timestamp(aion_clock_now())};
	Run *run;

	timers_first = !timers_first;
	run = claim(timers_first ? &claim_due : &claim_ready, args, parent);
	if (run == NULL)
		run = claim(timers_first ? &claim_ready : &claim_due, args, parent);
	return run;
}

/*
 * Claims one of some runs.
 */
Run *
aion_ready_claim_one_of(const int64 *run_keys, int count, MemoryContext parent)
{
	Datum *keys = palloc(Max(count, 1) * sizeof(Datum));
	NullableDatum args[2];

	for (int i = 0; i < count; i++)
		keys[i] = Int64GetDatum(run_keys[i]);
	args[0] = aion_arg(PointerGetDatum(
		construct_array(keys, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
	args[1] = aion_arg_timestamp(aion_clock_now());
	return claim(&claim_one_of, args, parent);
}

static Run *
claim(Statement *statement, const NullableDatum *args, MemoryContext parent)
{
	Rows rows = aion_statement_execute(statement, args);
	Run *run;

	if (rows.count == 0)
		return NULL;
	run = aion_run_read(rows, 0, parent);
	run->claimed_by_timer = statement != &claim_ready;
	return run;
}
