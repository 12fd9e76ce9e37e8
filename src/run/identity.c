/*
 * identity.c
 *		Generates the ids of workflows and runs.
 *
 * Ids are random; in a test they are the same every time the test runs.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgroids.h"

#include "run/identity.h"
#include "support/clock.h"
#include "support/digest.h"
#include "support/statement.h"

static Statement count_runs =
	STATEMENT(SELECT, "SELECT count(*) FROM aion._run WHERE workflow_id = $1", TEXTOID);

static pg_uuid_t digest_of(int64 number, const char *workflow_id);
static int64 workflow_of_test(void);

/*
 * Makes the id of the next run of a workflow.  Requires the engine's authority.
 */
pg_uuid_t
aion_identity_of_run(const char *workflow_id)
{
	NullableDatum args[] = {aion_arg_text(workflow_id)};

	if (!aion_clock_is_virtual())
		return *DatumGetUUIDP(OidFunctionCall0(F_GEN_RANDOM_UUID));
	return digest_of(aion_row_int64(aion_statement_execute(&count_runs, args), 0, 1), workflow_id);
}

/*
 * Makes the id of a workflow for which the caller gives none.
 */
char *
aion_identity_of_workflow(void)
{
	pg_uuid_t uuid = aion_clock_is_virtual() ? digest_of(workflow_of_test(), "")
											 : *DatumGetUUIDP(OidFunctionCall0(F_GEN_RANDOM_UUID));

	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid)));
}

static pg_uuid_t
digest_of(int64 number, const char *workflow_id)
{
	char *text = psprintf("test " INT64_FORMAT " %s", number, workflow_id);
	uint8 digest[AION_DIGEST_LENGTH];
	pg_uuid_t uuid;

	aion_digest(text, strlen(text), digest);
	memcpy(uuid.data, digest, UUID_LEN);
	return uuid;
}

/*
 * Counts the workflows of a test that were started without an id.
 */
static int64
workflow_of_test(void)
{
	static int64 test = 0;
	static int64 count = 0;

	if (test != aion_clock_stops())
		count = 0;
	test = aion_clock_stops();
	return ++count;
}
