/*
 * integrity.c
 *		Checking that everything follows from the histories.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"

#include "support/extension.h"
#include "support/statement.h"

static Statement select_violations =
	STATEMENT(SELECT, "SELECT v.violation, r.workflow_id, r.run_id,"
					  " pg_catalog.concat('run ', v.run_key, ': ', v.detail)"
					  " FROM aion._violation v LEFT JOIN aion._run r USING (run_key)");

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_check_integrity);

/*
 * check_integrity() -> (violation, workflow_id, run_id, detail)
 */
Datum
aion_check_integrity(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Authority authority;
	Rows rows;

	InitMaterializedSRF(fcinfo, 0);
	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_violations, NULL);
	for (uint64 row = 0; row < rows.count; row++)
		tuplestore_puttuple(set->setResult, rows.table->vals[row]);
	aion_authority_drop(&authority);
	return (Datum) 0;
}
