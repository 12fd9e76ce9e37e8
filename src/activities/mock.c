/*
 * mock.c
 *		Stand-ins for activities in tests.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "activities/activity.h"
#include "activities/registration.h"
#include "code/failure.h"
#include "control/testing.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/payload.h"

/* The stand-in of an activity: one outcome for each call, the last one again and again. */
typedef struct Mock
{
	char *activity;
	Jsonb *outcomes; /* array of {"ok": ...} and {"error": ...} */
	int next;
	SubTransactionId made_in;
} Mock;

#define HINT_RESULTS "Its elements are {\"ok\": ...} or {\"error\": ...}."

static List *mocks = NIL; /* of this transaction, in its memory, the latest first */

static void forget_mocks(XactEvent event, void *argument);
static void forget_rolled_back(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
							   void *argument);
static Mock *mock_find(const char *activity);
static bool is_external(const char *activity);
static Jsonb *mock_failure_of(const char *activity, const Jsonb *error);
static void check_outcomes(const Jsonb *results);
static Jsonb *outcomes_of(FunctionCallInfo fcinfo);

void
aion_mock_init(void)
{
	RegisterXactCallback(forget_mocks, NULL);
	RegisterSubXactCallback(forget_rolled_back, NULL);
}

/*
 * Makes an attempt of an activity that has a stand-in in this test; false if it has none.
 */
bool
aion_mock_attempt(const char *activity, Attempt *attempt)
{
	Mock *mock = aion_clock_is_virtual() ? mock_find(activity) : NULL;
	JsonbContainer *outcomes;
	JsonbValue *outcome;
	Jsonb *error;

	if (mock == NULL)
		return false;
	outcomes = &mock->outcomes->root;
	outcome = getIthJsonbValueFromContainer(outcomes,
											Min(mock->next, (int) JsonContainerSize(outcomes) - 1));
	mock->next++;
	error = aion_json_member(JsonbValueToJsonb(outcome), "error");
	attempt->failed = error != NULL;
	attempt->value = error != NULL ? mock_failure_of(activity, error)
								   : aion_json_member(JsonbValueToJsonb(outcome), "ok");
	return true;
}

static void
forget_mocks(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		mocks = NIL;
}

static void
forget_rolled_back(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
				   void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (mocks != NIL && ((Mock *) linitial(mocks))->made_in >= sub)
		mocks = list_delete_first(mocks);
}

bool
aion_mock_exists(const char *activity)
{
	return mock_find(activity) != NULL;
}

static Mock *
mock_find(const char *activity)
{
	ListCell *cell;

	foreach (cell, mocks)
	{
		Mock *mock = lfirst(cell);

		if (strcmp(mock->activity, activity) == 0)
			return mock;
	}
	return NULL;
}

/*
 * Tells whether workers would execute an activity: then it fails as by fail_activity().
 */
static bool
is_external(const char *activity)
{
	const Handler *handler;
	Obstacle obstacle;
	const Registration *registered = aion_registration_find(activity, &handler, &obstacle);

	return registered != NULL && registered->mode == MODE_EXTERNAL;
}

/*
 * Makes a failure from what the test has given: a message, or an object that may have more members.
 */
static Jsonb *
mock_failure_of(const char *activity, const Jsonb *error)
{
	JsonObject object;
	Jsonb *base;
	JsonbValue scalar;
	char *message = "mocked failure";

	if (JB_ROOT_IS_SCALAR(error) &&
		JsonbExtractScalar(unconstify(JsonbContainer *, &error->root), &scalar) &&
		scalar.type == jbvString)
		message = pnstrdup(scalar.val.string.val, scalar.val.string.len);
	aion_object_begin(&object);
	if (is_external(activity))
		aion_object_text(&object, "kind", "error");
	aion_object_text(&object, "sqlstate", is_external(activity) ? "WA001" : "P0001");
	aion_object_text(&object, "message", message);
	aion_object_text(&object, "activity", activity);
	aion_object_int(&object, "attempts", 1);
	base = aion_object_end(&object);
	if (!aion_json_is_object(error))
		return base;
	return DatumGetJsonbP(
		DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(base), JsonbPGetDatum(error)));
}

/*
 * Refuses what an activity could not have raised.
 */
static void
check_error(const Jsonb *error)
{
	const char *sqlstate;

	if (error == NULL || !aion_json_is_object(error) || !aion_json_has_member(error, "sqlstate"))
		return;
	sqlstate = aion_json_text(error, "sqlstate");
	if (sqlstate == NULL || strlen(sqlstate) != 5 ||
		strspn(sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("sqlstate must be a text of five digits or upper-case letters")));
}

static void
check_outcomes(const Jsonb *results)
{
	for (uint32 i = 0; i < JB_ROOT_COUNT(results); i++)
	{
		Jsonb *outcome = DatumGetJsonbP(DirectFunctionCall2(
			jsonb_array_element, JsonbPGetDatum(results), Int32GetDatum((int32) i)));

		if (!aion_json_is_object(outcome) || JB_ROOT_COUNT(outcome) > 1 ||
			(JB_ROOT_COUNT(outcome) == 1 && !aion_json_has_member(outcome, "ok") &&
			 !aion_json_has_member(outcome, "error")))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_INPUT),
					 errmsg("element %u of results is no outcome", i + 1), errhint(HINT_RESULTS)));
		check_error(aion_json_member(outcome, "error"));
	}
}

/*
 * Reads the outcomes of a stand-in from the arguments, as an array.
 */
static Jsonb *
outcomes_of(FunctionCallInfo fcinfo)
{
	JsonObject object;
	Jsonb *outcome;

	if (!PG_ARGISNULL(3))
	{
		Jsonb *results = PG_GETARG_JSONB_P(3);

		if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2) || !JB_ROOT_IS_ARRAY(results) ||
			JB_ROOT_IS_SCALAR(results) || JB_ROOT_COUNT(results) == 0)
			ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
							errmsg("results must be an array that is not empty, and stands alone"),
							errhint(HINT_RESULTS)));
		check_outcomes(results);
		return results;
	}
	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a stand-in has a result or an error, not both"),
						errhint("For several calls, use results.")));
	aion_object_begin(&object);
	if (!PG_ARGISNULL(2))
	{
		check_error(PG_GETARG_JSONB_P(2));
		aion_object_json(&object, "error", PG_GETARG_JSONB_P(2));
	}
	else if (!PG_ARGISNULL(1))
		aion_object_json(&object, "ok", PG_GETARG_JSONB_P(1));
	outcome = aion_object_end(&object);
	return aion_json_array(&outcome, 1);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_test_mock_activity);

/*
 * mock_activity(activity, result, error, results)
 */
Datum
aion_test_mock_activity(PG_FUNCTION_ARGS)
{
	char *activity = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	MemoryContext caller;
	Mock *mock;

	aion_testing_require("aion_test.mock_activity");
	aion_name_check(activity, AION_NAME_MAX, "activity name");
	caller = MemoryContextSwitchTo(TopTransactionContext);
	mock = palloc0(sizeof(Mock));
	mock->activity = pstrdup(activity);
	mock->outcomes = DatumGetJsonbPCopy(JsonbPGetDatum(outcomes_of(fcinfo)));
	mock->made_in = GetCurrentSubTransactionId();
	mocks = lcons(mock, mocks);
	MemoryContextSwitchTo(caller);
	PG_RETURN_VOID();
}
