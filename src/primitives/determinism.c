/*
 * determinism.c
 *		What workflow code may know: its identity, the time, and repeatable random numbers.
 *
 * A random number is a digest of workflow id, run id and the number of the draw, so every replay
 * draws the same, a new run draws anew, and no release or platform changes it.  In a forked run the
 * code gets what it got in the run that it was forked from, until it has given all recorded
 * commands.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "support/digest.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/turn.h"

static const char *determinism_workflow_id_of(const Turn *turn);
static const char *run_id_of(const Turn *turn);
static void draw(Turn *turn, uint8 *bytes);
static uint64 first_bits(const uint8 *bytes);

/*
 * Returns the workflow id of the run, or the one under which the code gave what is recorded.
 */
static const char *
determinism_workflow_id_of(const Turn *turn)
{
	const Origin *origin = aion_turn_origin(turn);

	return origin != NULL ? origin->workflow_id : turn->run->workflow_id;
}

static const char *
run_id_of(const Turn *turn)
{
	const Origin *origin = aion_turn_origin(turn);

	if (origin != NULL)
		return origin->run_id;
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&turn->run->run_id)));
}

/*
 * Draws AION_DIGEST_LENGTH bytes.
 */
static void
draw(Turn *turn, uint8 *bytes)
{
	char *text = psprintf("aion chance %d %s %s", ++turn->draws, run_id_of(turn),
						  determinism_workflow_id_of(turn));

	aion_digest(text, strlen(text), bytes);
}

static uint64
first_bits(const uint8 *bytes)
{
	uint64 bits = 0;

	for (int i = 0; i < 8; i++)
		bits = bits << 8 | bytes[i];
	return bits;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_workflow_id);
PG_FUNCTION_INFO_V1(aion_run_id);
PG_FUNCTION_INFO_V1(aion_now);
PG_FUNCTION_INFO_V1(aion_random);
PG_FUNCTION_INFO_V1(aion_random_int);
PG_FUNCTION_INFO_V1(aion_uuid);
PG_FUNCTION_INFO_V1(aion_failure);
PG_FUNCTION_INFO_V1(aion_raised);

Datum
aion_workflow_id(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.workflow_id");

	PG_RETURN_TEXT_P(cstring_to_text(determinism_workflow_id_of(turn)));
}

Datum
aion_run_id(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.run_id");

	PG_RETURN_DATUM(DirectFunctionCall1(uuid_in, CStringGetDatum(run_id_of(turn))));
}

Datum
aion_now(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(aion_turn_current("aion.now")->now);
}

/*
 * random() -> [0, 1), with the 53 bits a float8 has room for
 */
Datum
aion_random(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.random");
	uint8 bytes[AION_DIGEST_LENGTH];

	draw(turn, bytes);
	PG_RETURN_FLOAT8((float8) (first_bits(bytes) >> 11) / (float8) (UINT64CONST(1) << 53));
}

/*
 * random_int(low, high) -> low to high, each as likely as the others
 */
Datum
aion_random_int(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.random_int");
	int64 low;
	int64 high;
	uint64 span;
	uint64 bits;
	uint8 bytes[AION_DIGEST_LENGTH];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_GETARG_INT64(0) > PG_GETARG_INT64(1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("low must not be greater than high, and neither null")));
	low = PG_GETARG_INT64(0);
	high = PG_GETARG_INT64(1);
	span = (uint64) high - (uint64) low + 1; /* 0: all of them */
	do
	{
		draw(turn, bytes);
		bits = first_bits(bytes);
	} while (span != 0 && bits >= PG_UINT64_MAX - PG_UINT64_MAX % span);
	PG_RETURN_INT64((int64) ((uint64) low + (span != 0 ? bits % span : bits)));
}

/*
 * uuid() -> a version 4 uuid
 */
Datum
aion_uuid(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.uuid");
	uint8 bytes[AION_DIGEST_LENGTH];
	pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));

	draw(turn, bytes);
	memcpy(uuid->data, bytes, UUID_LEN);
	uuid->data[6] = (uuid->data[6] & 0x0f) | 0x40;
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;
	PG_RETURN_UUID_P(uuid);
}

/*
 * failure() -> what is known about the outcome that was raised last
 */
Datum
aion_failure(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.failure");

	if (turn->failure == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(unconstify(Jsonb *, turn->failure));
}

/*
 * raised() -> the SQLSTATE of the error that was raised last, for languages that do not expose it
 */
Datum
aion_raised(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.raised");

	if (turn->raised.sqlerrcode == 0)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(unpack_sql_state(turn->raised.sqlerrcode)));
}
