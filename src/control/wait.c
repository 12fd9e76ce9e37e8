/*
 * wait.c
 *		Clients that wait for the end of a run.
 *
 * A function waits inside its statement, whose snapshot it holds all the time: for short waits.  A
 * procedure commits first and holds nothing while it waits.  Either way the waiter sleeps on its
 * latch and looks with a new snapshot when it is woken.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "code/failure.h"
#include "code/guard.h"
#include "control/wait.h"
#include "history/kinship.h"
#include "run/run.h"
#include "run/start.h"
#include "run/touched.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"

#define HINT_CHILD                                                                                 \
	"A workflow awaits children: use aion.run_child(), or aion.start_child() and aion.await()."

enum
{
	TERMINAL_STATUS = 1,
	TERMINAL_ATTRIBUTES,
	TERMINAL_CLOSED
};

static Statement select_held = STATEMENT(SELECT,
										 "SELECT status, blocked FROM aion._run WHERE run_key = $1"
										 " AND status IN ('blocked', 'paused')",
										 INT8OID);
static Statement select_terminal =
	STATEMENT(SELECT,
			  "SELECT r.status, e.attributes, r.closed_at IS NOT NULL FROM aion._run r"
			  " LEFT JOIN aion._event e ON e.run_key = r.run_key AND e.seq = r.head"
			  " AND r.closed_at IS NOT NULL WHERE r.run_key = $1",
			  INT8OID);

/* How a run ended. */
typedef struct Ending
{
	char *status;
	Jsonb *attributes;
} Ending;

static bool wait_has_ended(int64 run_key, Ending *ending);
static bool has_ended_for_good(int64 *run_key, Ending *ending);
static bool wait_for_end(int64 run_key, const Interval *timeout, bool commit, Ending *ending);
pg_noreturn static void refuse_to_wait(const char *workflow_id, Oid user);
static Jsonb *result_of(const char *workflow_id, const Ending *ending);
static void require_nonatomic(FunctionCallInfo fcinfo, const char *procedure);
static Jsonb *wait_without_snapshot(const char *workflow_id, const Interval *timeout);
static Datum output_row(FunctionCallInfo fcinfo, const Jsonb *result);

/*
 * Refuses to wait, inside a statement, for what its transaction can never see.
 */
void
aion_wait_check_possible(const char *function, int64 run_key)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_NOT_ALLOWED_HERE),
				 errmsg("%s() cannot wait in a transaction whose snapshot does not move", function),
				 errhint("Use isolation level READ COMMITTED, or CALL "
						 "aion.wait_workflow().")));
	if (aion_touched_includes(run_key))
		ereport(
			ERROR,
			(errcode(ERRCODE_NOT_ALLOWED_HERE),
			 errmsg("%s() cannot wait for what this transaction has started or changed", function),
			 errdetail("The engine sees it when the transaction has committed."),
			 errhint(
				 aion_clock_is_virtual()
					 ? "In a test use SELECT aion_test.run_until_idle(), or aion_test.advance()."
					 : "Commit first, or use CALL aion.run_workflow().")));
}

/*
 * Returns how many milliseconds there are until a moment, none if it has passed.
 */
long
aion_wait_time_left(TimestampTz until)
{
	if (until == DT_NOEND)
		return LONG_MAX;
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
}

/*
 * Tells, with a new snapshot, whether a run has ended.
 */
static bool
wait_has_ended(int64 run_key, Ending *ending)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Authority authority;
	Rows rows;
	bool ended;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_terminal, args);
	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_WORKFLOW_NOT_FOUND),
						errmsg("the workflow was purged while it was waited for")));
	ended = aion_row_bool(rows, 0, TERMINAL_CLOSED);
	if (ended)
	{
		ending->status = aion_row_text(rows, 0, TERMINAL_STATUS);
		ending->attributes = aion_row_jsonb(rows, 0, TERMINAL_ATTRIBUTES);
	}
	aion_authority_drop(&authority);
	return ended;
}

/*
 * The same for a run and its successors: run_key becomes that of the run left to wait for.
 */
static bool
has_ended_for_good(int64 *run_key, Ending *ending)
{
	while (wait_has_ended(*run_key, ending))
	{
		ContinuedAsNew next;

		if (strcmp(ending->status, aion_status_name(RUN_CONTINUED)) != 0)
			return true;
		aion_event_read_continued_as_new(ending->attributes, &next);
		*run_key = next.run_key;
	}
	return false;
}

/*
 * Waits until a run, or the last of its successors, has ended, or until the time is up.  With
 * commit it holds no snapshot.
 */
static bool
wait_for_end(int64 run_key, const Interval *timeout, bool commit, Ending *ending)
{
	TimestampTz until = DT_NOEND;
	bool ended;

	if (timeout != NULL)
		until = aion_duration_after(GetCurrentTimestamp(), timeout, "timeout");
	for (;;)
	{
		int64 watched = run_key;

		aion_wakeup_watch(run_key);
		ended = has_ended_for_good(&run_key, ending);
		if (!ended && run_key != watched)
			continue;
		if (ended || aion_wait_time_left(until) == 0)
			break;
		if (commit)
			SPI_commit();
		aion_wakeup_wait(aion_wait_time_left(until));
	}
	aion_wakeup_unwatch();
	return ended;
}

/*
 * Says that the time is up, and what keeps the run from going on.
 */
static void
refuse_to_wait(const char *workflow_id, Oid user)
{
	const char *held = NULL;
	Authority authority;
	NullableDatum args[1];
	Rows rows;

	aion_authority_assume(&authority);
	args[0] = aion_arg_int64(aion_run_find(workflow_id, user));
	rows = aion_statement_execute(&select_held, args);
	if (rows.count > 0 && strcmp(aion_row_text(rows, 0, 1), "blocked") == 0)
		held = psprintf("It is blocked: %s.", aion_row_text(rows, 0, 2));
	else if (rows.count > 0)
		held = "It is paused.";
	held = held != NULL ? MemoryContextStrdup(TopTransactionContext, held) : NULL;
	aion_authority_drop(&authority);
	ereport(ERROR, (errcode(ERRCODE_AWAIT_TIMED_OUT),
					errmsg("workflow \"%s\" has not ended in time", workflow_id),
					held != NULL ? errdetail("%s", held) : 0,
					held != NULL ? errhint("SELECT aion.explain(%s) tells more.",
										   quote_literal_cstr(workflow_id))
								 : 0));
}

/*
 * Returns the result of a run that completed, raises an error for any other end.
 */
static Jsonb *
result_of(const char *workflow_id, const Ending *ending)
{
	Jsonb *failure = aion_json_member(ending->attributes, "error");
	char *reason = aion_json_text(ending->attributes, "reason");

	if (strcmp(ending->status, aion_status_name(RUN_COMPLETED)) == 0)
		return aion_json_member(ending->attributes, "result");
	if (strcmp(ending->status, aion_status_name(RUN_FAILED)) == 0)
		aion_failure_raise(ERRCODE_WORKFLOW_FAILED, failure);
	if (strcmp(ending->status, aion_status_name(RUN_TIMED_OUT)) == 0)
		ereport(ERROR, (errcode(ERRCODE_WORKFLOW_TIMED_OUT),
						errmsg("workflow \"%s\" timed out", workflow_id)));
	ereport(ERROR, (errcode(strcmp(ending->status, aion_status_name(RUN_CANCELLED)) == 0
								? ERRCODE_WORKFLOW_CANCELLED
								: ERRCODE_WORKFLOW_TERMINATED),
					errmsg("workflow \"%s\" was %s", workflow_id, ending->status),
					reason != NULL ? errdetail_internal("%s", reason) : 0));
}

static void
require_nonatomic(FunctionCallInfo fcinfo, const char *procedure)
{
	aion_guard_waiting_call(procedure, HINT_CHILD);
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
						errmsg("%s() commits and cannot be called inside a transaction", procedure),
						errhint("Use CALL outside of BEGIN and of functions, or "
								"aion.await_workflow() for a short wait.")));
}

/*
 * Waits for a run by its workflow id, in a procedure that is connected to SPI.
 */
static Jsonb *
wait_without_snapshot(const char *workflow_id, const Interval *timeout)
{
	Oid user = GetUserId();
	Authority authority;
	Ending ending;
	int64 run_key;

	SPI_commit();
	aion_authority_assume(&authority);
	run_key = aion_run_find(workflow_id, user);
	aion_authority_drop(&authority);
	if (!wait_for_end(run_key, timeout, true, &ending))
		refuse_to_wait(workflow_id, user);
	aion_authority_assume(&authority);
	(void) aion_run_find(workflow_id, user); /* a right may have been revoked meanwhile */
	aion_authority_drop(&authority);
	return result_of(workflow_id, &ending);
}

/*
 * Makes the row of a procedure whose one output is a result.
 */
static Datum
output_row(FunctionCallInfo fcinfo, const Jsonb *result)
{
	TupleDesc descriptor;
	Datum value = JsonbPGetDatum(result);
	bool isnull = result == NULL;

	if (get_call_result_type(fcinfo, NULL, &descriptor) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), &value, &isnull));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_await_workflow);
PG_FUNCTION_INFO_V1(aion_wait_workflow);
PG_FUNCTION_INFO_V1(aion_run_workflow);

/*
 * await_workflow(workflow_id, timeout) -> result
 */
Datum
aion_await_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Interval *timeout = PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1);
	Oid user = GetUserId();
	Authority authority;
	Ending ending;
	int64 run_key;
	Jsonb *result;

	aion_guard_waiting_call("aion.await_workflow", HINT_CHILD);
	if (timeout != NULL)
		aion_duration_check(timeout, true, "timeout");
	aion_authority_assume(&authority);
	run_key = aion_run_find(workflow_id, user);
	aion_authority_drop(&authority);
	if (!has_ended_for_good(&run_key, &ending))
	{
		aion_wait_check_possible("aion.await_workflow", run_key);
		if (!wait_for_end(run_key, timeout, false, &ending))
			refuse_to_wait(workflow_id, user);
	}
	result = result_of(workflow_id, &ending);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}

/*
 * CALL wait_workflow(workflow_id, INOUT result, timeout)
 */
Datum
aion_wait_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Interval *timeout = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	MemoryContext caller = CurrentMemoryContext;
	Jsonb *result;

	require_nonatomic(fcinfo, "aion.wait_workflow");
	if (timeout != NULL)
		aion_duration_check(timeout, true, "timeout");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	MemoryContextSwitchTo(caller);
	result = wait_without_snapshot(workflow_id, timeout);
	SPI_finish();
	return output_row(fcinfo, result);
}

/*
 * CALL run_workflow(workflow_type, input, INOUT result, workflow_id, timeout)
 */
Datum
aion_run_workflow(PG_FUNCTION_ARGS)
{
	StartRequest request = {.if_running = POLICY_ERROR,
							.if_closed = POLICY_ALLOW,
							.start_at = DT_NOEND,
							.owner = GetUserId()};
	Jsonb *input = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	char *workflow_id = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	Interval *timeout = PG_ARGISNULL(4) ? NULL : PG_GETARG_INTERVAL_P(4);
	MemoryContext caller = CurrentMemoryContext;
	Jsonb *result;

	require_nonatomic(fcinfo, "aion.run_workflow");
	if (timeout != NULL)
		aion_duration_check(timeout, true, "timeout");
	request.workflow_type = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	aion_name_check(request.workflow_type, AION_NAME_MAX, "workflow type");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	MemoryContextSwitchTo(caller);
	aion_start_prepare(&request);
	workflow_id = aion_start(&request, input, workflow_id);
	result = wait_without_snapshot(workflow_id, timeout);
	SPI_finish();
	return output_row(fcinfo, result);
}
