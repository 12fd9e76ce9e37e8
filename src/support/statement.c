/*
 * statement.c
 *		The engine's own SQL: fixed text, typed parameters, prepared once per backend.
 *
 * Executed between aion_authority_assume() and aion_authority_drop().  Each statement sees a new
 * snapshot where the isolation level gives one.  Rows stay in SPI's memory until the drop; the
 * functions that read them copy into the current memory context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "optimizer/plancat.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/resowner.h"
#include "utils/selfuncs.h"
#include "utils/snapmgr.h"

#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/statement.h"

/* What the planner is told of every table. */
#define TABLE_PAGES 20000
#define TABLE_ROWS 1000000
#define INDEX_PAGES 4000

static bool planning = false;
static AION_COMPAT_TABLE_HOOK_TYPE next_table_info = NULL;
static get_relation_stats_hook_type next_relation_stats = NULL;

static int statement_execute(Statement *statement, Datum *values, const char *nulls);
static void lock_as_writer(const Statement *statement);
static void note_tables(Statement *statement);
static void tell_size(AION_COMPAT_TABLE_PARAMETERS);
static bool withhold_stats(PlannerInfo *root, RangeTblEntry *entry, AttrNumber column,
						   VariableStatData *stats);
static void prepare(Statement *statement);
static void make_plan(Statement *statement);
static Datum row_datum(Rows rows, uint64 row, int column, bool *isnull);

void
aion_statement_init(void)
{
	next_table_info = AION_COMPAT_TABLE_HOOK;
	AION_COMPAT_TABLE_HOOK = tell_size;
	next_relation_stats = get_relation_stats_hook;
	get_relation_stats_hook = withhold_stats;
}

/*
 * Executes a statement.
 */
Rows
aion_statement_execute(Statement *statement, const NullableDatum *args)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum values[STATEMENT_MAX_ARGS];
	char nulls[STATEMENT_MAX_ARGS];
	int result;

	if (statement->plan == NULL)
		prepare(statement);
	else if (!SPI_plan_is_valid(statement->plan))
		make_plan(statement);
	if (statement->expected == SPI_OK_SELECT && !XactReadOnly)
		lock_as_writer(statement);
	for (int i = 0; i < statement->nargs; i++)
	{
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	result = statement_execute(statement, values, nulls);
	if (result != statement->expected)
		elog(ERROR, "\"%s\" returned %s", statement->text, SPI_result_code_string(result));
	MemoryContextSwitchTo(caller);
	return (Rows){SPI_processed, SPI_tuptable};
}

static int
statement_execute(Statement *statement, Datum *values, const char *nulls)
{
	Snapshot snapshot;
	int result;

	if (IsInParallelMode()) /* which allows no other snapshot, and no new command */
		return SPI_execute_plan(statement->plan, values, nulls, true, 0);
	if (!statement->latest)
		return SPI_execute_plan(statement->plan, values, nulls, false, 0);
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	result = SPI_execute_snapshot(statement->plan, values, nulls, snapshot, InvalidSnapshot, false,
								  true, 0);
	UnregisterSnapshot(snapshot);
	return result;
}

/*
 * Locks the tables that a statement reads as if it wrote them, since the transaction is likely to
 * write them later.  A REINDEX that came in between would deadlock with it: it locks a table
 * against writing and then an index against reading.
 */
static void
lock_as_writer(const Statement *statement)
{
	for (int i = 0; i < statement->table_count; i++)
		LockRelationOid(statement->tables[i], RowExclusiveLock);
}

/*
 * Notes which tables of the engine a statement reads.
 */
static void
note_tables(Statement *statement)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(statement->plan));
	ListCell *cell;

	statement->table_count = 0;
	foreach (cell, source->relationOids)
	{
		Oid table = lfirst_oid(cell);

		if (get_rel_relkind(table) == RELKIND_RELATION &&
			get_rel_namespace(table) == aion_extension_of_any_version()->schema &&
			statement->table_count < STATEMENT_MAX_TABLES)
			statement->tables[statement->table_count++] = table;
	}
}

static void
prepare(Statement *statement)
{
	SPIPlanPtr plan;

	for (statement->nargs = 0; OidIsValid(statement->argtypes[statement->nargs]);)
		statement->nargs++;
	plan = SPI_prepare_cursor(statement->text, statement->nargs, statement->argtypes,
							  CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", statement->text,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	statement->plan = plan;
	make_plan(statement);
}

/*
 * Makes the plan that a statement keeps.  Tables grow by orders of magnitude under a plan, and a
 * condition that one row in a million meets today may be met by all tomorrow.  So a plan depends on
 * the schema alone: the planner is told that every table is large, and nothing of what is in it.
 */
static void
make_plan(Statement *statement)
{
	int level = NewGUCNestLevel();
	CachedPlan *plan;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (!statement->by_bitmap)
		(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	else
		(void) set_config_option("enable_bitmapscan", "on", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	planning = true;
	PG_TRY();
	{
		plan = SPI_plan_get_cached_plan(statement->plan);
	}
	PG_FINALLY();
	{
		planning = false;
	}
	PG_END_TRY();
	if (plan != NULL)
		ReleaseCachedPlan(plan, CurrentResourceOwner);
	AtEOXact_GUC(true, level);
	note_tables(statement);
}

static void
tell_size(AION_COMPAT_TABLE_PARAMETERS)
{
	ListCell *cell;

	if (next_table_info != NULL)
		next_table_info(AION_COMPAT_TABLE_ARGUMENTS);
	if (!planning || info->rtekind != RTE_RELATION)
		return;
	info->pages = TABLE_PAGES;
	info->tuples = TABLE_ROWS;
	info->allvisfrac = 0;
	foreach (cell, info->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		index->pages = INDEX_PAGES;
		index->tuples = TABLE_ROWS;
		index->tree_height = -1; /* not known */
	}
}

static bool
withhold_stats(PlannerInfo *root, RangeTblEntry *entry, AttrNumber column, VariableStatData *stats)
{
	if (planning)
	{
		/* The first column of every table, a key, has few rows for each value. */
		stats->isunique = stats->isunique || column == 1;
		return true;
	}
	return next_relation_stats != NULL && next_relation_stats(root, entry, column, stats);
}

bool
aion_row_isnull(Rows rows, uint64 row, int column)
{
	bool isnull;

	(void) row_datum(rows, row, column, &isnull);
	return isnull;
}

int64
aion_row_int64(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

int32
aion_row_int32(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
aion_row_bool(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

double
aion_row_float8(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? 0 : DatumGetFloat8(value);
}

Oid
aion_row_oid(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

TimestampTz
aion_row_timestamp(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? DT_NOEND : DatumGetTimestampTz(value);
}

char *
aion_row_text(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Interval *
aion_row_interval(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);
	Interval *copy;

	if (isnull)
		return NULL;
	copy = palloc(sizeof(Interval));
	*copy = *DatumGetIntervalP(value);
	return copy;
}

Jsonb *
aion_row_jsonb(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

pg_uuid_t
aion_row_uuid(Rows rows, uint64 row, int column)
{
	bool isnull;
	Datum value = row_datum(rows, row, column, &isnull);

	Assert(!isnull);
	return *DatumGetUUIDP(value);
}

NullableDatum
aion_arg_key(int64 key)
{
	return key != 0 ? aion_arg_int64(key) : aion_arg_null();
}

NullableDatum
aion_arg_text(const char *value)
{
	return value ? aion_arg(CStringGetTextDatum(value)) : aion_arg_null();
}

NullableDatum
aion_arg_int64_array(const int64 *values, int count)
{
	Datum *elements = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(values[i]);
	return aion_arg(PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64),
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
}

NullableDatum
aion_arg_jsonb(const Jsonb *value)
{
	return value ? aion_arg(JsonbPGetDatum(value)) : aion_arg_null();
}

NullableDatum
aion_arg_interval(const Interval *value)
{
	return value ? aion_arg(IntervalPGetDatum(value)) : aion_arg_null();
}

NullableDatum
aion_arg_timestamp(TimestampTz value)
{
	return value != DT_NOEND ? aion_arg(TimestampTzGetDatum(value)) : aion_arg_null();
}

static Datum
row_datum(Rows rows, uint64 row, int column, bool *isnull)
{
	Assert(rows.table != NULL && row < rows.count);
	return SPI_getbinval(rows.table->vals[row], rows.table->tupdesc, column, isnull);
}
