/*
 * search.c
 *		Search attributes: changing those of a run, and searching by them.
 *
 * A change is a command, since runs are found by it from its commit on.  The row of aion._attribute
 * holds the result of all changes, and is written once for all turns of a share.
 *
 * A policy stands between a user and that row, and @> on jsonb is not leakproof: in the user's own
 * query the policy comes first, and no index on attributes is used.  Nor does a view that hides
 * rows pass on the order of an index.  So the search is a statement of the engine, which names the
 * owners whose runs, or attributes, the user may see.
 *
 * Runs that many others resemble are found among the first ones in the order of keys.  Where these
 * do not suffice, what is asked for is rare, and an index of its own leads there.
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

#define FIRST_RUNS "5000" /* are looked at before all others */

/* Parameters: owners, versions, statuses, attributes, how many, the key to begin after. */
#define ARGTYPES INT4ARRAYOID, INT4ARRAYOID, TEXTARRAYOID, JSONBOID, INT8OID, INT8OID
#define CONDITION                                                                                  \
	" r.owner_key = ANY ($1) AND ($2 IS NULL OR r.version_key = ANY ($2))"                         \
	" AND ($3 IS NULL OR r.status = ANY ($3)) AND ($4 IS NULL OR EXISTS"                           \
	" (SELECT FROM aion._attribute a WHERE a.run_key = r.run_key"                                  \
	" AND a.search_attributes OPERATOR(pg_catalog.@>) $4)) "
#define AMONG_FIRST(after, order)                                                                  \
	STATEMENT(SELECT,                                                                              \
			  "SELECT r.run_key FROM (SELECT * FROM aion._run WHERE run_key " after                \
			  " $6 ORDER BY run_key " order " LIMIT " FIRST_RUNS ") r WHERE" CONDITION             \
			  "ORDER BY r.run_key " order " LIMIT $5",                                             \
			  ARGTYPES)
#define BY_ATTRIBUTES(after, order)                                                                \
	{                                                                                              \
		.expected = SPI_OK_SELECT,                                                                 \
		.text = "WITH found AS MATERIALIZED (SELECT run_key FROM aion._attribute"                  \
				" WHERE search_attributes OPERATOR(pg_catalog.@>) $4 AND owner_key = ANY ($1))"    \
				" SELECT r.run_key FROM found JOIN aion._run r USING (run_key)"                    \
				" WHERE r.run_key " after " $6 AND ($2 IS NULL OR r.version_key = ANY ($2))"       \
				" AND ($3 IS NULL OR r.status = ANY ($3)) ORDER BY r.run_key " order " LIMIT $5",  \
		.argtypes = {ARGTYPES}, .by_bitmap = true                                                  \
	}

/* Runs that are open, or did not complete: of each owner and status the first ones. */
#define BY_STATUS(after, order)                                                                    \
	STATEMENT(SELECT,                                                                              \
			  "SELECT c.run_key FROM unnest($1) o (owner_key) CROSS JOIN unnest($3) s (status)"    \
			  " CROSS JOIN LATERAL (SELECT r.run_key FROM aion._run r"                             \
			  " WHERE r.owner_key = o.owner_key AND r.status = s.status"                           \
			  " AND r.status <> 'completed' AND r.run_key " after " $6 AND" CONDITION              \
			  "ORDER BY r.run_key " order " LIMIT $5) c ORDER BY c.run_key " order " LIMIT $5",    \
			  ARGTYPES)

/* Runs that have ended: of each owner and version the first ones. */
#define BY_VERSION(after, order)                                                                   \
	STATEMENT(SELECT,                                                                              \
			  "WITH RECURSIVE pair AS ("                                                           \
			  "SELECT p.* FROM unnest($1) o (owner_key) CROSS JOIN LATERAL ("                      \
			  "SELECT r.owner_key, r.version_key FROM aion._run r"                                 \
			  " WHERE r.closed_at IS NOT NULL AND r.owner_key = o.owner_key"                       \
			  " ORDER BY r.version_key LIMIT 1) p"                                                 \
			  " UNION ALL SELECT n.* FROM pair CROSS JOIN LATERAL ("                               \
			  "SELECT r.owner_key, r.version_key FROM aion._run r"                                 \
			  " WHERE r.closed_at IS NOT NULL AND r.owner_key = pair.owner_key"                    \
			  " AND r.version_key > pair.version_key ORDER BY r.version_key LIMIT 1) n)"           \
			  " SELECT c.run_key FROM pair CROSS JOIN LATERAL ("                                   \
			  "SELECT r.run_key FROM aion._run r WHERE r.closed_at IS NOT NULL"                    \
			  " AND r.owner_key = pair.owner_key AND r.version_key = pair.version_key"             \
			  " AND r.run_key " after " $6 AND" CONDITION "ORDER BY r.run_key " order " LIMIT $5"  \
			  ") c WHERE $2 IS NULL OR pair.version_key = ANY ($2)"                                \
			  " ORDER BY c.run_key " order " LIMIT $5",                                            \
			  ARGTYPES)

/* The latest first, and the oldest first. */
static Statement among_first[] = {AMONG_FIRST("<", "DESC"), AMONG_FIRST(">", "ASC")};
static Statement by_attributes[] = {BY_ATTRIBUTES("<", "DESC"), BY_ATTRIBUTES(">", "ASC")};
static Statement by_status[] = {BY_STATUS("<", "DESC"), BY_STATUS(">", "ASC")};
static Statement by_version[] = {BY_VERSION("<", "DESC"), BY_VERSION(">", "ASC")};

static Statement select_named_owner = STATEMENT(
	SELECT, "SELECT array_agg(owner_key) FROM aion._owner WHERE owner_key = ANY ($1) AND name = $2",
	INT4ARRAYOID, TEXTOID);
static Statement select_versions = STATEMENT(
	SELECT, "SELECT array_agg(version_key) FROM aion._version WHERE workflow_type = $1", TEXTOID);

/* Keys of runs. */
typedef struct FoundKeys
{
	Datum *keys;
	int count;
} FoundKeys;

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

static void check_search(FunctionCallInfo fcinfo);
static NullableDatum keys_of(Statement *statement, const NullableDatum *args);
static void find_runs(FoundKeys *found, NullableDatum *args, bool oldest_first, int64 most);
static void add_keys(FoundKeys *found, Statement *statement, const NullableDatum *args);
static bool includes_status(NullableDatum statuses, RunStatus status);
static NullableDatum statuses_left(NullableDatum statuses);
static int compare_keys(const void *a, const void *b);

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

/*
 * Refuses what cannot be searched for.
 */
static void
check_search(FunctionCallInfo fcinfo)
{
	if (!PG_ARGISNULL(0) && !aion_json_is_object(PG_GETARG_JSONB_P(0)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("filter must be an object"),
						errhint("Name the attributes that runs shall have, as in "
								"{\"customer\": 7}.")));
	if (!PG_ARGISNULL(2))
	{
		Datum *names;
		bool *nulls;
		int count;

		deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &names,
						  &nulls, &count);
		for (int i = 0; i < count; i++)
			aion_status_check(nulls[i] ? "NULL" : TextDatumGetCString(names[i]));
	}
	if (!PG_ARGISNULL(3) && PG_GETARG_INT64(3) < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("max_runs must not be negative")));
}

/*
 * Returns the array of keys that a statement makes; NULL if there are none.
 */
static NullableDatum
keys_of(Statement *statement, const NullableDatum *args)
{
	Rows rows = aion_statement_execute(statement, args);
	bool isnull;
	Datum array = SPI_getbinval(rows.table->vals[0], rows.table->tupdesc, 1, &isnull);

	return isnull ? aion_arg_null() : aion_arg(PointerGetDatum(DatumGetArrayTypePCopy(array)));
}

/*
 * Finds runs, by the statements that have the least to look at.
 */
static void
find_runs(FoundKeys *found, NullableDatum *args, bool oldest_first, int64 most)
{
	bool completed = includes_status(args[2], RUN_COMPLETED);

	if (most < PG_INT64_MAX)
		add_keys(found, &among_first[oldest_first], args);
	if (found->count == most)
		return;
	found->count = 0;
	if (completed && !args[3].isnull)
	{
		add_keys(found, &by_attributes[oldest_first], args);
		return;
	}
	if (completed)
	{
		add_keys(found, &by_version[oldest_first], args);
		args[2] = statuses_left(args[2]);
	}
	add_keys(found, &by_status[oldest_first], args);
	qsort(found->keys, found->count, sizeof(Datum), compare_keys);
	for (int i = 0, j = found->count - 1; i < j && !oldest_first; i++, j--)
	{
		Datum key = found->keys[i];

		found->keys[i] = found->keys[j];
		found->keys[j] = key;
	}
	found->count = (int) Min(most, found->count);
}

static void
add_keys(FoundKeys *found, Statement *statement, const NullableDatum *args)
{
	Rows rows = aion_statement_execute(statement, args);
	Size size = (found->count + rows.count + 1) * sizeof(Datum);

	found->keys = found->keys == NULL ? MemoryContextAllocHuge(CurrentMemoryContext, size)
									  : repalloc_huge(found->keys, size);
	for (uint64 row = 0; row < rows.count; row++)
		found->keys[found->count++] = Int64GetDatum(aion_row_int64(rows, row, 1));
}

/*
 * Tells whether a status is asked for: without a list all are.
 */
static bool
includes_status(NullableDatum statuses, RunStatus status)
{
	Datum *names;
	int count;

	if (statuses.isnull)
		return true;
	deconstruct_array(DatumGetArrayTypeP(statuses.value), TEXTOID, -1, false, TYPALIGN_INT, &names,
					  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		if (strcmp(TextDatumGetCString(names[i]), aion_status_name(status)) == 0)
			return true;
	}
	return false;
}

/*
 * Returns those statuses which are asked for that runs have before they end.
 */
static NullableDatum
statuses_left(NullableDatum statuses)
{
	Datum names[RUN_COMPLETED];
	int count = 0;

	for (int status = 0; status < RUN_COMPLETED; status++)
	{
		if (includes_status(statuses, status))
			names[count++] = CStringGetTextDatum(aion_status_name(status));
	}
	return aion_arg(
		PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT)));
}

static int
compare_keys(const void *a, const void *b)
{
	int64 left = DatumGetInt64(*(const Datum *) a);
	int64 right = DatumGetInt64(*(const Datum *) b);

	return left < right ? -1 : left > right;
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
 * _search(filter, workflow_type, status, max_runs, owner, oldest_first, after) -> keys of runs
 */
Datum
aion_search(PG_FUNCTION_ARGS)
{
	bool oldest_first = !PG_ARGISNULL(5) && PG_GETARG_BOOL(5);
	int64 most = PG_ARGISNULL(3) ? PG_INT64_MAX : PG_GETARG_INT64(3);
	int64 after = oldest_first ? PG_INT64_MIN : PG_INT64_MAX;
	NullableDatum args[6];
	NullableDatum type = {PG_GETARG_DATUM(1), PG_ARGISNULL(1)};
	Authority authority;
	Oid user = GetUserId();
	FoundKeys found = {NULL, 0};

	aion_guard_client_call("aion.find_workflows");
	check_search(fcinfo);
	args[2] = (NullableDatum){PG_GETARG_DATUM(2), PG_ARGISNULL(2)};
	args[3] = (NullableDatum){PG_GETARG_DATUM(0), PG_ARGISNULL(0)};
	args[4] = aion_arg_int64(most);
	args[5] = aion_arg_int64(PG_ARGISNULL(6) ? after : PG_GETARG_INT64(6));
	aion_authority_assume(&authority);
	/* Attributes are payload, which monitors do not see. */
	args[0] =
		aion_arg(PG_ARGISNULL(0) ? aion_owner_visible(user, false) : aion_owner_controlled(user));
	if (!PG_ARGISNULL(4))
	{
		NullableDatum named[] = {args[0], aion_arg_text(NameStr(*PG_GETARG_NAME(4)))};

		args[0] = keys_of(&select_named_owner, named);
	}
	args[1] = type.isnull ? type : keys_of(&select_versions, &type);
	if (!args[0].isnull && type.isnull == args[1].isnull)
		find_runs(&found, args, oldest_first, most);
	aion_authority_drop(&authority);
	PG_RETURN_ARRAYTYPE_P(construct_array(found.keys, found.count, INT8OID, sizeof(int64),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
