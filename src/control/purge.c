/*
 * purge.c
 *		Removing runs that ended long ago, each whole or not at all.
 *
 * A purge waits for no lock: a run that is locked, that has an arrival not yet recorded, or that a
 * primitive still needs, stays until the next time.  Everything of the other runs is removed in one
 * transaction, so a crash leaves no part of a run.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "code/guard.h"
#include "code/owner.h"
#include "control/purge.h"
#include "guc.h"
#include "run/count.h"
#include "run/due.h"
#include "run/inbox.h"
#include "run/primitive.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"

static Statement select_closed =
	STATEMENT(SELECT,
			  "SELECT run_key, head, closed_at, chain_key, owner_key, version_key, status FROM "
			  "aion._run r WHERE closed_at BETWEEN $6 AND $1"
			  " AND ($2 IS NULL OR owner_key = ANY ($2))"
			  " AND ($3 IS NULL OR version_key IN"
			  " (SELECT version_key FROM aion._version WHERE workflow_type = $3))"
			  " AND ($4 IS NULL OR status = ANY ($4))"
			  " AND (SELECT true FROM aion._inbox i WHERE i.run_key = r.run_key"
			  " AND i.kind <> 'activity' LIMIT 1) IS NULL" /* an outcome is of no use to it */
			  " ORDER BY closed_at LIMIT $5 FOR UPDATE SKIP LOCKED",
			  TIMESTAMPTZOID, INT4ARRAYOID, TEXTOID, TEXTARRAYOID, INT8OID, TIMESTAMPTZOID);
static Statement select_oldest =
	STATEMENT(SELECT, "SELECT closed_at FROM aion._run WHERE closed_at IS NOT NULL"
					  " ORDER BY closed_at LIMIT 1");
static Statement delete_run =
	STATEMENT(DELETE, "DELETE FROM aion._run WHERE run_key = $1", INT8OID);
static Statement delete_attributes =
	STATEMENT(DELETE, "DELETE FROM aion._attribute WHERE run_key = $1", INT8OID);

typedef struct Closed
{
	int64 run_key;
	int32 head;
	TimestampTz closed_at;
	int64 chain_key; /* 0: none */
	int32 owner_key;
	int32 version_key;
	char *status;
} Closed;

static void purge(int64 run_key);
static void purge_chain(int64 chain_key);
static void check_statuses(ArrayType *array);

/*
 * Removes the runs that closed first, as many as were asked for; returns how many.
 */
int64
aion_purge(PurgeRequest *request)
{
	NullableDatum args[] = {aion_arg_timestamp(request->closed_by),
							request->owners,
							request->workflow_type,
							request->statuses,
							aion_arg_int64(request->max_runs),
							aion_arg_timestamp(request->closed_from)};
	Rows rows = aion_statement_execute(&select_closed, args);
	int64 count = rows.count;
	Closed *closed = palloc(Max(count, 1) * sizeof(Closed));
	int64 events = 0;
	int64 purged = 0;

	for (int64 i = 0; i < count; i++)
		closed[i] = (Closed){aion_row_int64(rows, i, 1),
							 aion_row_int32(rows, i, 2),
							 aion_row_timestamp(rows, i, 3),
							 aion_row_isnull(rows, i, 4) ? 0 : aion_row_int64(rows, i, 4),
							 aion_row_int32(rows, i, 5),
							 aion_row_int32(rows, i, 6),
							 aion_row_text(rows, i, 7)};
	request->more = count == request->max_runs;
	for (int64 i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		request->closed_from = closed[i].closed_at;
		if (events >= request->max_events)
		{
			request->more = true;
			break;
		}
		if (aion_primitives_keep(closed[i].run_key))
			continue;
		purge(closed[i].run_key);
		aion_count_note(closed[i].owner_key, closed[i].version_key, closed[i].status, -1);
		if (closed[i].chain_key != 0)
			purge_chain(closed[i].chain_key);
		events += closed[i].head;
		purged++;
	}
	return purged;
}

/*
 * Returns when the first of the closed runs closed; DT_NOEND if none is closed.
 */
TimestampTz
aion_purge_oldest(void)
{
	Rows rows = aion_statement_execute(&select_oldest, NULL);

	return rows.count > 0 ? aion_row_timestamp(rows, 0, 1) : DT_NOEND;
}

/*
 * Removes everything of a run whose lock is held.
 */
static void
purge(int64 run_key)
{
	NullableDatum key[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_run, key);
	(void) aion_statement_execute(&delete_attributes, key);
	aion_primitives_purge(run_key);
	aion_due_forget(run_key);
	aion_inbox_forget(run_key);
	aion_recorder_erase(run_key);
}

/*
 * Deletes what all runs of a chain have in common, if the first of them, under whose key that is
 * kept, has been purged.
 */
static void
purge_chain(int64 chain_key)
{
	FoundRun first;

	if (!aion_run_look_up_key(chain_key, &first))
		aion_primitives_purge(chain_key);
}

static void
check_statuses(ArrayType *array)
{
	Datum *names;
	bool *nulls;
	int count;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
		aion_status_check(nulls[i] ? "NULL" : TextDatumGetCString(names[i]));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_purge_workflows);

/*
 * purge_workflows(older_than, workflow_type, status, max_runs) -> number of runs
 */
Datum
aion_purge_workflows(PG_FUNCTION_ARGS)
{
	PurgeRequest request = {.closed_from = DT_NOBEGIN, .max_events = PG_INT64_MAX};
	Oid user = GetUserId();
	Authority authority;
	int64 count = 0;

	aion_guard_client_call("aion.purge_workflows");
	request.max_runs = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3);
	if (request.max_runs < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("max_runs must not be negative")));
	if (PG_ARGISNULL(0))
		request.closed_by = aion_clock_now() - (TimestampTz) aion_retention * USECS_PER_SEC;
	else
	{
		Interval *older_than = PG_GETARG_INTERVAL_P(0);

		aion_duration_check(older_than, true, "older_than");
		request.closed_by = DatumGetTimestampTz(
			DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(aion_clock_now()),
								IntervalPGetDatum(older_than)));
	}
	request.workflow_type =
		(NullableDatum){PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
	request.statuses =
		(NullableDatum){PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2), PG_ARGISNULL(2)};
	if (!PG_ARGISNULL(2))
		check_statuses(PG_GETARG_ARRAYTYPE_P(2));

	aion_authority_assume(&authority);
	request.owners = aion_arg(aion_owner_controlled(user));
	if (!PG_ARGISNULL(0) || aion_retention >= 0)
		count = aion_purge(&request);
	aion_authority_drop(&authority);
	PG_RETURN_INT64(count);
}
