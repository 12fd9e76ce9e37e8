/*
 * control.c
 *		Ending runs, moving them to other versions, and purging them.
 *
 * Each takes the run's lock, so it is decided before or after a turn in progress, never in the
 * middle.  It waits for the turn's end, except to end the run: then nobody needs the turn, which is
 * interrupted and leaves nothing.  A refused request leaves the history as it was.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "engine/control.h"
#include "engine/due.h"
#include "engine/guard.h"
#include "engine/inbox.h"
#include "engine/owner.h"
#include "engine/primitive.h"
#include "engine/wait.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"

static Statement delete_closed =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._run WHERE run_key IN ("
			  "SELECT run_key FROM aion._run r WHERE closed_at <= $1 AND owner_key = ANY ($2)"
			  " AND ($3 IS NULL OR version_key IN"
			  " (SELECT version_key FROM aion._version WHERE workflow_type = $3))"
			  " AND ($4 IS NULL OR status = ANY ($4))"
			  " AND (SELECT true FROM aion._inbox i WHERE i.run_key = r.run_key LIMIT 1) IS NULL"
			  " ORDER BY closed_at LIMIT $5 FOR UPDATE SKIP LOCKED) RETURNING run_key, chain_key",
			  TIMESTAMPTZOID, INT4ARRAYOID, TEXTOID, TEXTARRAYOID, INT8OID);
static Statement delete_attributes =
	STATEMENT(DELETE, "DELETE FROM aion._attribute WHERE run_key = $1", INT8OID);

static RunStatus terminate_named(const char *workflow_id, Oid user, const char *reason);
static void purge_chain(int64 chain_key);

/*
 * Ends a run at once, without a turn; returns the status it has then.
 */
RunStatus
aion_control_terminate(int64 run_key, const char *reason)
{
	Run *run = aion_run_lock_at_once(run_key, CurrentMemoryContext);

	if (run == NULL)
		return RUN_TERMINATED; /* purged in this moment */
	if (!aion_run_is_closed(run))
	{
		aion_run_load(run);
		aion_run_close(run, EVENT_WORKFLOW_TERMINATED,
					   aion_event_reason(reason, GetUserNameFromId(GetOuterUserId(), false)));
		aion_run_save(run);
		aion_wait_note_touched(run_key);
	}
	return run->status;
}

/*
 * Finds the version that a run is to be moved to; NULL means the one that new starts use.
 */
Version *
aion_control_find_version(const Run *run, const char *wanted)
{
	const char *type = pstrdup(aion_version_get(run->version_key)->workflow_type);
	Version *version;

	if (wanted == NULL)
		return aion_version_get(aion_workflow_find(type)->version_key);
	version = aion_version_find(type, wanted);
	if (version == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" has no version \"%s\"", type, wanted),
						errhint("See aion.workflow_version.")));
	return version;
}

/*
 * Moves a run whose history is loaded to another version.
 */
void
aion_control_move(Run *run, const Version *version)
{
	const Version *old = aion_version_get(run->version_key);

	if (version->version_key != old->version_key)
		aion_recorder_append(run->history, EVENT_VERSION_CHANGED, NULL,
							 aion_event_version_changed(old->version, version->version));
	run->version_key = version->version_key;
}

/*
 * Forgets what all runs of a chain have in common, if the first of them, by whose key that is kept,
 * has been purged.
 */
static void
purge_chain(int64 chain_key)
{
	FoundRun first;

	if (!aion_run_look_up_key(chain_key, &first))
		aion_primitives_purge(chain_key);
}

/*
 * Ends the run that a workflow id means, or the one that it means by then because that goes on.
 */
static RunStatus
terminate_named(const char *workflow_id, Oid user, const char *reason)
{
	int64 found = aion_run_find(workflow_id, user);

	for (;;)
	{
		RunStatus status = aion_control_terminate(found, reason);
		int64 now = status == RUN_CONTINUED ? aion_run_find(workflow_id, user) : found;

		if (now == found)
			return status;
		found = now;
	}
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_terminate_workflow);
PG_FUNCTION_INFO_V1(aion_set_workflow_version);
PG_FUNCTION_INFO_V1(aion_purge_workflows);

/*
 * terminate_workflow(workflow_id, reason) -> status
 */
Datum
aion_terminate_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *reason = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	RunStatus status;

	aion_guard_client_call("aion.terminate_workflow");
	aion_payload_check_size(reason != NULL ? strlen(reason) : 0, "reason");
	aion_authority_assume(&authority);
	status = terminate_named(workflow_id, user, reason);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(aion_status_name(status)));
}

/*
 * set_workflow_version(workflow_id, version) -> version
 */
Datum
aion_set_workflow_version(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	Run *run;
	Version *version;
	char *name;

	aion_guard_client_call("aion.set_workflow_version");
	aion_authority_assume(&authority);
	run = aion_run_lock_named(workflow_id, user);
	if (aion_run_is_closed(run))
		ereport(ERROR, (errcode(ERRCODE_INVALID_WORKFLOW_STATE),
						errmsg("workflow \"%s\" is %s and has no version to change", workflow_id,
							   aion_status_name(run->status))));
	version = aion_control_find_version(run, wanted);
	aion_run_load(run);
	aion_control_move(run, version);
	aion_run_forget_failures(run);
	if (run->status != RUN_SCHEDULED && run->status != RUN_PAUSED)
		run->ready_at = aion_clock_now();
	aion_run_save(run);
	aion_wait_note_touched(run->run_key);
	name = pstrdup(version->version);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * purge_workflows(older_than, workflow_type, status, max_runs) -> number of runs
 */
Datum
aion_purge_workflows(PG_FUNCTION_ARGS)
{
	Interval *older_than = PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0);
	int64 most = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3);
	Oid user = GetUserId();
	Authority authority;
	NullableDatum args[5];
	Rows rows;
	int64 *keys;

	aion_guard_client_call("aion.purge_workflows");
	aion_duration_check(older_than, true, "older_than");
	if (most < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("max_runs must not be negative")));
	args[0] =
		aion_arg(DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(aion_clock_now()),
									 IntervalPGetDatum(older_than)));
	args[2] = (NullableDatum){PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
	args[3] = (NullableDatum){PG_ARGISNULL(2) ? (Datum) 0 : PG_GETARG_DATUM(2), PG_ARGISNULL(2)};
	args[4] = aion_arg_int64(most);

	aion_authority_assume(&authority);
	args[1] = aion_arg(aion_owner_controlled(user));
	rows = aion_statement_execute(&delete_closed, args);
	keys = palloc(Max(rows.count, 1) * sizeof(int64));
	for (uint64 row = 0; row < rows.count; row++)
		keys[row] = aion_row_int64(rows, row, 1);
	for (uint64 row = 0; row < rows.count; row++)
	{
		if (!aion_row_isnull(rows, row, 2))
			purge_chain(aion_row_int64(rows, row, 2));
	}
	for (uint64 row = 0; row < rows.count; row++)
	{
		NullableDatum key[] = {aion_arg_int64(keys[row])};

		(void) aion_statement_execute(&delete_attributes, key);
		aion_primitives_purge(keys[row]);
		aion_due_forget(keys[row]);
		aion_inbox_forget(keys[row]);
		aion_recorder_erase(keys[row]);
	}
	aion_authority_drop(&authority);
	PG_RETURN_INT64((int64) rows.count);
}
