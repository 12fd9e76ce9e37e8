/*
 * search.c
 *		Search attributes: changing those of a run, and searching by them.
 *
 * A change is a command, since runs are found by it from its commit on.  The row of aion._attribute
 * holds the result of all changes, and is written once for all turns of a share.
 *
 * A policy stands between a user and that row, and @> on jsonb is not leakproof: in the user's own
 * query the policy comes first, and no index on attributes is used.  So the search is a statement
 * of the engine, which names the owners whose attributes the user may see.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/guard.h"
#include "code/owner.h"
#include "history/attributes.h"
#include "primitives/primitives.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "turn/turn.h"

static Statement replace_attributes =
	STATEMENT(INSERT,
			  "INSERT INTO aion._attribute (run_key, owner_key, search_attributes)"
			  " VALUES ($1, $2, $3) ON CONFLICT (run_key)"
			  " DO UPDATE SET search_attributes = excluded.search_attributes",
			  INT8OID, INT4OID, JSONBOID);

/* The search comes first and alone, whatever the other conditions are. */
static Statement find_runs = {
	.expected = SPI_OK_SELECT,
	.text = "WITH found AS MATERIALIZED (SELECT run_key FROM aion._attribute"
			" WHERE search_attributes OPERATOR(pg_catalog.@>) $1 AND owner_key = ANY ($2))"
			" SELECT r.run_key FROM found JOIN aion._run r USING (run_key)"
			" JOIN aion._version v USING (version_key)"
			" WHERE ($3 IS NULL OR v.workflow_type = $3) AND ($4 IS NULL OR r.status = ANY ($4))"
			" ORDER BY r.run_key DESC LIMIT $5",
	.argtypes = {JSONBOID, INT4ARRAYOID, TEXTOID, TEXTARRAYOID, INT8OID},
	.by_bitmap = true};

static Event *search_record(Run *run, Command *command);
static void search_apply(Run *run, Turn *turn);
static Jsonb *merged_until(const Run *run, const Turn *turn);
static void search_save(Run *run);

static const CommandClass upsert_class = {.kind = COMMAND_UPSERT_SEARCH_ATTRIBUTES,
										  .record = search_record};
static const CommandClass *const classes[] = {&upsert_class, NULL};
static int slot; /* Jsonb: the attributes as the turns of this share have changed them */
const Primitive aion_search_primitive = {.name = "search",
										 .classes = classes,
										 .slot = &slot,
										 .apply = search_apply,
										 .save = search_save};

static void check_statuses(ArrayType *statuses);

static Event *
search_record(Run *run, Command *command)
{
	return aion_recorder_append(run->history, EVENT_SEARCH_ATTRIBUTES_UPDATED, NULL,
								aion_event_search_attributes_updated(command->fingerprint.input));
}

/*
 * Takes over what a turn has changed; what it only repeated is written already.
 */
static void
search_apply(Run *run, Turn *turn)
{
	const Command *latest = turn->latest[COMMAND_UPSERT_SEARCH_ATTRIBUTES];
	MemoryContext caller;

	while (latest != NULL && latest->number > turn->command_count)
		latest = latest->previous; /* it was left out of the turn */
	if (latest == NULL || latest->number <= turn->known)
		return;
	caller = MemoryContextSwitchTo(run->context);
	if (run->slots[slot] != NULL)
		pfree(run->slots[slot]);
	run->slots[slot] = DatumGetJsonbPCopy(JsonbPGetDatum(
		latest == turn->latest[COMMAND_UPSERT_SEARCH_ATTRIBUTES] ? turn->search_attributes
																 : merged_until(run, turn)));
	MemoryContextSwitchTo(caller);
}

/*
 * Returns the attributes after those commands of a turn that are recorded.
 */
static Jsonb *
merged_until(const Run *run, const Turn *turn)
{
	Jsonb *merged = run->started.search_attributes;

	for (int i = 0; i < turn->command_count; i++)
	{
		const Event *event = turn->commands[i]->recorded->event;

		if (event->type == EVENT_SEARCH_ATTRIBUTES_UPDATED)
			merged = aion_json_merged(merged, aion_event_read_search_attributes(event));
	}
	return merged;
}

static void
search_save(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(run->owner_key),
							aion_arg_jsonb(run->slots[slot])};

	if (run->slots[slot] != NULL)
		(void) aion_statement_execute(&replace_attributes, args);
}

static void
check_statuses(ArrayType *statuses)
{
	Datum *names;
	bool *nulls;
	int count;

	deconstruct_array(statuses, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
		aion_status_check(nulls[i] ? "NULL" : TextDatumGetCString(names[i]));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_upsert_search_attributes);
PG_FUNCTION_INFO_V1(aion_search);

/*
 * upsert_search_attributes(attributes)
 */
Datum
aion_upsert_search_attributes(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.upsert_search_attributes");
	Jsonb *attributes = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	MemoryContext caller;
	Jsonb *before;
	Jsonb *merged;

	if (attributes == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("attributes must not be null"),
						errhint("An attribute without a value is json null.")));
	aion_search_attributes_check(attributes);
	before = turn->search_attributes != NULL ? turn->search_attributes
											 : turn->run->started.search_attributes;
	caller = MemoryContextSwitchTo(turn->context);
	merged = aion_json_merged(before, attributes);
	MemoryContextSwitchTo(caller);
	aion_payload_check(merged, "search_attributes");
	(void) aion_turn_command(turn, &upsert_class, "", attributes, NULL);
	if (turn->search_attributes != NULL)
		pfree(turn->search_attributes);
	turn->search_attributes = merged;
	PG_RETURN_VOID();
}

/*
 * _search(filter, workflow_type, status, max_runs) -> keys of runs, the latest first
 */
Datum
aion_search(PG_FUNCTION_ARGS)
{
	Jsonb *filter = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	NullableDatum args[5];
	Authority authority;
	Datum *keys;
	Rows rows;
	Oid user = GetUserId();
	ArrayType *result;

	aion_guard_client_call("aion.find_workflows");
	if (filter == NULL || !aion_json_is_object(filter))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("filter must be an object"),
						errhint("Name the attributes that runs shall have, as in "
								"{\"customer\": 7}.")));
	if (!PG_ARGISNULL(2))
		check_statuses(PG_GETARG_ARRAYTYPE_P(2));
	if (!PG_ARGISNULL(3) && PG_GETARG_INT64(3) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("max_runs must not be negative")));
	args[0] = aion_arg_jsonb(filter);
	for (int i = 1; i <= 3; i++)
		args[i + 1] =
			(NullableDatum){PG_ARGISNULL(i) ? (Datum) 0 : PG_GETARG_DATUM(i), PG_ARGISNULL(i)};
	aion_authority_assume(&authority);
	args[1] = aion_arg(aion_owner_controlled(user));
	rows = aion_statement_execute(&find_runs, args);
	keys = palloc(Max(rows.count, 1) * sizeof(Datum));
	for (uint64 row = 0; row < rows.count; row++)
		keys[row] = Int64GetDatum(aion_row_int64(rows, row, 1));
	result = construct_array(keys, (int) rows.count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
							 TYPALIGN_DOUBLE);
	aion_authority_drop(&authority);
	PG_RETURN_ARRAYTYPE_P(result);
}
