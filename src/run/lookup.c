/*
 * lookup.c
 *		Which run a workflow id means to a user.
 *
 * Workflow ids are shared by all owners of a database, so the answer is the same for a run that
 * does not exist and for one that the user may not see.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "code/owner.h"
#include "run/run.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/statement.h"

static Statement find_run =
	STATEMENT(SELECT,
			  "SELECT run_key, owner_key, closed_at IS NOT NULL, chain_key, status FROM aion._run"
			  " WHERE workflow_id = $1 AND ($2 IS NULL OR run_id = $2) ORDER BY closed_at DESC, "
			  "run_key DESC LIMIT 1",
			  TEXTOID, UUIDOID);
static Statement find_run_of =
	STATEMENT(SELECT,
			  "SELECT run_key, owner_key, closed_at IS NOT NULL, chain_key, status FROM aion._run"
			  " WHERE workflow_id = $1 AND ($2 IS NULL OR run_id = $2) AND owner_key = ANY ($3)"
			  " ORDER BY closed_at DESC, run_key DESC LIMIT 1",
			  TEXTOID, UUIDOID, INT4ARRAYOID);
static Statement find_run_by_key =
	STATEMENT(SELECT,
			  "SELECT run_key, owner_key, closed_at IS NOT NULL, chain_key, status FROM aion._run"
			  " WHERE run_key = $1",
			  INT8OID);
static int64 lookup_find(const char *workflow_id, NullableDatum run_id, Oid user, bool only_see);
static bool look_up(const char *workflow_id, NullableDatum run_id, Oid user, bool only_see,
					FoundRun *found);
static void read_found(Rows rows, FoundRun *found);

/*
 * Finds the run that a workflow id means to a user, and waits for its lock.  If that run was
 * continued as new by then, locks its successor instead.
 */
Run *
aion_run_lock_named(const char *workflow_id, Oid user)
{
	int64 found = aion_run_find(workflow_id, user);

	for (;;)
	{
		Run *run = aion_run_lock(found, CurrentMemoryContext);
		int64 now;

		if (run == NULL)
			aion_run_not_found(workflow_id);
		if (run->status != RUN_CONTINUED)
			return run;
		now = aion_run_find(workflow_id, user);
		if (now == found)
			return run;
		found = now;
	}
}

/*
 * Finds the run that a workflow id means to a user for control: the open one, else the latest.  The
 * error is the same for a run that does not exist and for one that the user does not control.
 */
int64
aion_run_find(const char *workflow_id, Oid user)
{
	return lookup_find(workflow_id, aion_arg_null(), user, false);
}

/*
 * The same for senders; false if there is none.
 */
bool
aion_run_look_up(const char *workflow_id, Oid user, FoundRun *found)
{
	return look_up(workflow_id, aion_arg_null(), user, false, found);
}

/*
 * Finds a run by its key, without a check of rights; false if it is gone.
 */
bool
aion_run_look_up_key(int64 run_key, FoundRun *found)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Rows rows = aion_statement_execute(&find_run_by_key, args);

	if (rows.count == 0)
		return false;
	read_found(rows, found);
	return true;
}

void
aion_run_not_found(const char *workflow_id)
{
	ereport(ERROR, (errcode(ERRCODE_WORKFLOW_NOT_FOUND),
					errmsg("workflow \"%s\" does not exist", workflow_id)));
}

static int64
lookup_find(const char *workflow_id, NullableDatum run_id, Oid user, bool only_see)
{
	FoundRun found;

	if (!look_up(workflow_id, run_id, user, only_see, &found))
		aion_run_not_found(workflow_id);
	return found.run_key;
}

/*
 * Other owners may have runs of the same workflow id, which this user does not see.
 */
static bool
look_up(const char *workflow_id, NullableDatum run_id, Oid user, bool only_see, FoundRun *found)
{
	NullableDatum args[3] = {aion_arg_text(workflow_id), run_id};
	Rows rows;

	if (workflow_id == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("workflow id must not be null")));
	rows = aion_statement_execute(&find_run, args);
	if (rows.count > 0 && !aion_owner_controls(user, aion_row_int32(rows, 0, 2)) &&
		!(only_see && aion_owner_access(user) >= ACCESS_MONITOR))
	{
		args[2] = aion_arg(aion_owner_controlled(user));
		rows = aion_statement_execute(&find_run_of, args);
	}
	if (rows.count == 0)
		return false;
	read_found(rows, found);
	return true;
}

static void
read_found(Rows rows, FoundRun *found)
{
	found->run_key = aion_row_int64(rows, 0, 1);
	found->owner_key = aion_row_int32(rows, 0, 2);
	found->is_closed = aion_row_bool(rows, 0, 3);
	found->chain_key = aion_row_isnull(rows, 0, 4) ? 0 : aion_row_int64(rows, 0, 4);
	found->is_continued = strcmp(aion_row_text(rows, 0, 5), aion_status_name(RUN_CONTINUED)) == 0;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_find_run);

/*
 * _find_run(workflow_id, run_id) -> run_key, of a run that the current user may see
 */
Datum
aion_find_run(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	NullableDatum run_id = {PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
	Oid user = GetUserId();
	Authority authority;
	int64 run_key;

	aion_authority_assume(&authority);
	run_key = lookup_find(workflow_id, run_id, user, true);
	aion_authority_drop(&authority);
	PG_RETURN_INT64(run_key);
}
