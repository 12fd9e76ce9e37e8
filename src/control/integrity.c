/*
 * integrity.c
 *		Checking that everything follows from the histories.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/tuplestore.h"

#include "code/owner.h"
#include "support/extension.h"

/* Planned for the tables as they are, which it reads as a whole. */
static const char *const select_violations =
	"SELECT v.violation, r.workflow_id, r.run_id,"
	" pg_catalog.concat('run ', v.run_key, ': ', v.detail)"
	" FROM aion._violation v LEFT JOIN aion._run r USING (run_key)";

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_check_integrity);

/*
 * check_integrity() -> (violation, workflow_id, run_id, detail)
 */
Datum
aion_check_integrity(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid user = GetUserId();
	Authority authority;

	InitMaterializedSRF(fcinfo, 0);
	aion_authority_assume(&authority);
	if (aion_owner_access(user) < ACCESS_MONITOR)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only administrators and monitors of aion can check its integrity")));
	if (SPI_execute(select_violations, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read aion._violation");
	for (uint64 row = 0; row < SPI_processed; row++)
		tuplestore_puttuple(set->setResult, SPI_tuptable->vals[row]);
	aion_authority_drop(&authority);
	return (Datum) 0;
}
