/*
 * run_sql.c
 *		The activity without a name: one statement, its parameters typed by their use.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "parser/analyze.h"
#include "parser/parser.h"

#include "activities/activity.h"
#include "code/handler.h"
#include "support/errors.h"
#include "support/payload.h"

/* The parameters of a statement. */
typedef struct Parameters
{
	int count;
	Oid *types;
	Datum *values;
	char *nulls;
} Parameters;

static void find_types(const char *query, Parameters *parameters);
static void run_sql_convert(const Jsonb *args, Parameters *parameters);
static Jsonb *rows(void);

/*
 * Executes a statement as the current user and returns its rows as an array of objects.  Until it
 * is entered an error means that the arguments do not fit.
 */
Jsonb *
aion_sql_execute(const Jsonb *input, bool *entered)
{
	MemoryContext caller = CurrentMemoryContext;
	char *query = aion_json_text(input, "query");
	Parameters parameters = {0};
	SPIPlanPtr plan;
	int status;
	Jsonb *result;

	*entered = true;
	find_types(query, &parameters);
	*entered = false;
	run_sql_convert(aion_json_member(input, "args"), &parameters);
	*entered = true;
	SPI_connect();
	plan = SPI_prepare(query, parameters.count, parameters.types);
	if (plan == NULL)
		elog(ERROR, "could not prepare the statement: %s", SPI_result_code_string(SPI_result));
	status = SPI_execute_plan(plan, parameters.values, parameters.nulls, false, 0);
	if (status < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("aion.run_sql() cannot execute such a statement"),
						errdetail("It ended with %s.", SPI_result_code_string(status))));
	MemoryContextSwitchTo(caller);
	result = rows();
	SPI_finish();
	return result;
}

/*
 * Finds how many parameters a statement has, and of which types.
 */
static void
find_types(const char *query, Parameters *parameters)
{
	List *statements = raw_parser(query, RAW_PARSE_DEFAULT);

	if (list_length(statements) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("aion.run_sql() takes exactly one statement")));
	(void) parse_analyze_varparams(linitial(statements), query, &parameters->types,
								   &parameters->count, NULL);
	for (int i = 0; i < parameters->count; i++)
	{
		if (!OidIsValid(parameters->types[i]))
			parameters->types[i] = TEXTOID; /* skipped by the statement */
	}
}

/*
 * Converts an array into the values of parameters.
 */
static void
run_sql_convert(const Jsonb *args, Parameters *parameters)
{
	int count = parameters->count;
	TupleDesc descriptor = CreateTemplateTupleDesc(count);
	JsonObject object;
	HeapTuple row;
	bool *isnull;

	if (args == NULL)
		args = aion_json_array(NULL, 0);
	if (!JB_ROOT_IS_ARRAY(args) || JB_ROOT_IS_SCALAR(args) || (int) JB_ROOT_COUNT(args) != count)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg_plural("args must be an array of %d element",
									  "args must be an array of %d elements", count, count),
						errdetail("They are the values of the parameters of the statement.")));
	if (count == 0)
		return;
	aion_object_begin(&object);
	for (int i = 0; i < count; i++)
	{
		char *name = psprintf("%d", i + 1);

		TupleDescInitEntry(descriptor, i + 1, name, parameters->types[i], -1, 0);
		aion_object_json(&object, name,
						 JsonbValueToJsonb(getIthJsonbValueFromContainer(
							 unconstify(JsonbContainer *, &args->root), i)));
	}
	row = aion_jsonb_to_row(aion_object_end(&object), BlessTupleDesc(descriptor));
	parameters->values = palloc(count * sizeof(Datum));
	parameters->nulls = palloc(count);
	isnull = palloc(count * sizeof(bool));
	heap_deform_tuple(row, descriptor, parameters->values, isnull);
	for (int i = 0; i < count; i++)
		parameters->nulls[i] = isnull[i] ? 'n' : ' ';
}

/*
 * Makes an array of the rows that SPI holds.
 */
static Jsonb *
rows(void)
{
	uint64 count = SPI_tuptable != NULL ? SPI_processed : 0;
	Jsonb **elements = palloc_extended(Max(count, 1) * sizeof(Jsonb *), MCXT_ALLOC_HUGE);

	for (uint64 i = 0; i < count; i++)
	{
		HeapTupleHeader row = SPI_returntuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc);

		elements[i] = aion_to_jsonb(HeapTupleHeaderGetDatum(row), RECORDOID);
	}
	return aion_json_array(elements, (int) count);
}
