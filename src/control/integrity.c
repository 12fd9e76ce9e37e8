/*
 * integrity.c
 *		Checking that everything follows from the histories.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "code/adoption.h"
#include "code/owner.h"
#include "run/run.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/statement.h"

/*
 * Planned for the range of keys: often it is all of the tables.  The function becomes part of the
 * statement.
 */
static const char *const select_violations =
	"SELECT v.violation, r.workflow_id, r.run_id,"
	" pg_catalog.concat_ws(': ', 'run ' OPERATOR(pg_catalog.||) v.run_key, v.detail)"
	" FROM aion._violations($1, $2, $3) v LEFT JOIN aion._run r USING (run_key)";
static Statement select_runs = STATEMENT(
	SELECT, "SELECT run_key FROM aion._run WHERE workflow_id = $1 ORDER BY run_key", TEXTOID);

static void check_range(int64 first_key, int64 last_key, bool whole, Tuplestorestate *result);
static void check_runs(char *workflow_id, Tuplestorestate *result);

/*
 * Checks what has keys in a range, and, if it is all of it, what has no key.
 */
static void
check_range(int64 first_key, int64 last_key, bool whole, Tuplestorestate *result)
{
	Oid types[] = {INT8OID, INT8OID, BOOLOID};
	Datum values[] = {Int64GetDatum(first_key), Int64GetDatum(last_key), BoolGetDatum(whole)};

	if (SPI_execute_with_args(select_violations, 3, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read aion._violations");
	for (uint64 row = 0; row < SPI_processed; row++)
		tuplestore_puttuple(result, SPI_tuptable->vals[row]);
}

/*
 * Checks all runs of a workflow id.
 */
static void
check_runs(char *workflow_id, Tuplestorestate *result)
{
	NullableDatum args[] = {aion_arg_text(workflow_id)};
	Rows rows = aion_statement_execute(&select_runs, args);
	int64 *keys = palloc(Max(rows.count, 1) * sizeof(int64));
	uint64 count = rows.count;

	if (count == 0)
		aion_run_not_found(workflow_id);
	for (uint64 i = 0; i < count; i++)
		keys[i] = aion_row_int64(rows, i, 1);
	for (uint64 i = 0; i < count; i++)
		check_range(keys[i], keys[i], false, result);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_check_integrity);

/*
 * check_integrity(workflow_id, first_run_key, last_run_key)
 * -> (violation, workflow_id, run_id, detail)
 */
Datum
aion_check_integrity(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid user = GetUserId();
	Authority authority;
	bool is_copy;
	int64 first_key;
	int64 last_key;

	InitMaterializedSRF(fcinfo, 0);
	aion_authority_assume(&authority);
	if (aion_owner_access(user) < ACCESS_MONITOR)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only administrators and monitors of aion can check its integrity")));
	is_copy = aion_adoption_state() == ADOPTION_COPY; /* a dump of 0.1.0 has no counts */
	first_key = PG_ARGISNULL(1) ? PG_INT64_MIN : PG_GETARG_INT64(1);
	last_key = PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2);
	if (PG_ARGISNULL(0))
		check_range(first_key, last_key, PG_ARGISNULL(1) && PG_ARGISNULL(2) && !is_copy,
					set->setResult);
	else if (PG_ARGISNULL(1) && PG_ARGISNULL(2))
		check_runs(text_to_cstring(PG_GETARG_TEXT_PP(0)), set->setResult);
	else
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a workflow id and a range of runs cannot be given together")));
	aion_authority_drop(&authority);
	return (Datum) 0;
}
