/*
 * statement.c
 *		The engine's own SQL: fixed text, typed parameters, prepared once per backend.
 *
 * Executed between aion_authority_assume() and aion_authority_drop().  Each statement sees a new
 * snapshot where the isolation level gives one.  Rows stay in SPI's memory until the drop; what
 * reads them copies into the current memory context.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/plancache.h"
#include "utils/resowner.h"

#include "support/statement.h"

static void prepare(Statement *statement);
static void make_plan(Statement *statement);
static Datum row_datum(Rows rows, uint64 row, int column, bool *isnull);

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
	for (int i = 0; i < statement->nargs; i++)
	{
		values[i] = args[i].value;
		nulls[i] = args[i].isnull ? 'n' : ' ';
	}
	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result != statement->expected)
		elog(ERROR, "\"%s\" returned %s", statement->text, SPI_result_code_string(result));
	MemoryContextSwitchTo(caller);
	return (Rows){SPI_processed, SPI_tuptable};
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
 * Makes the plan that a statement keeps.  Tables grow by orders of magnitude under a plan, so it
 * must be the one that is right for large ones: by index, whatever the statistics say today.
 */
static void
make_plan(Statement *statement)
{
	int level = NewGUCNestLevel();
	CachedPlan *plan;

	(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	(void) set_config_option("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);
	plan = SPI_plan_get_cached_plan(statement->plan);
	if (plan != NULL)
		ReleaseCachedPlan(plan, CurrentResourceOwner);
	AtEOXact_GUC(true, level);
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
aion_arg_text(const char *value)
{
	return value ? aion_arg(CStringGetTextDatum(value)) : aion_arg_null();
}

NullableDatum
aion_arg_jsonb(const Jsonb *value)
{
	return value ? aion_arg(JsonbPGetDatum(value)) : aion_arg_null();
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
