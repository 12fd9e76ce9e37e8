/*
 * poll.c
 *		The protocol of workers: claiming activities, and reporting their outcomes.
 *
 * A call without the token that a task has now gets an error and changes nothing.  All calls are
 * plain statements: no session is needed between them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "activities/claim.h"
#include "activities/completion.h"
#include "code/adoption.h"
#include "code/guard.h"
#include "code/owner.h"
#include "shared/pollers.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"

#define MAX_WAIT (5 * USECS_PER_SEC) /* a waiting poll holds a snapshot */
#define MAX_TASKS 1000

static Statement note_heartbeat = STATEMENT(UPDATE,
											"UPDATE aion._task SET heartbeat_by = $3,"
											" heartbeat_details = coalesce($4, heartbeat_details)"
											" WHERE run_key = $1 AND ordinal = $2",
											INT8OID, INT4OID, TIMESTAMPTZOID, JSONBOID);
/* What a poll asks for. */
#define HINT_WORKER "Workers call it, in sessions of their own."

/* Of libpq/libpq.h, which needs the headers of what the server was built with. */
extern bool pq_check_connection(void);

typedef struct Poll
{
	Datum *queues;
	int queue_count;
	ClaimRequest request;
	Oid role;
} Poll;

static void read_queues(FunctionCallInfo fcinfo, Poll *poll);
static void read_poll(FunctionCallInfo fcinfo, Poll *poll);
static int claim_some(FunctionCallInfo fcinfo, Poll *poll);
static void put_claim(FunctionCallInfo fcinfo, const Claim *claim);
static bool is_on_hold(void);
static bool has_tasks(const Poll *poll);
static long wait_at_most(const Poll *poll, TimestampTz until);
static TimestampTz read_wait(const Interval *wait, TimestampTz start, int64 most);
static pg_uuid_t *read_token(FunctionCallInfo fcinfo, int64 *run_key, int32 *ordinal);
static void hold_task(FunctionCallInfo fcinfo, bool even_cancelled, Task *task);
pg_noreturn static void refuse_token(void);
static void require_client(void);

static void
read_queues(FunctionCallInfo fcinfo, Poll *poll)
{
	bool *isnull;

	memset(poll, 0, sizeof(Poll));
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("task_queues must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &poll->queues,
					  &isnull, &poll->queue_count);
	for (int i = 0; i < poll->queue_count; i++)
		aion_name_check(isnull[i] ? NULL : TextDatumGetCString(poll->queues[i]), AION_NAME_MAX,
						"task queue");
	poll->role = GetUserId();
}

static void
read_poll(FunctionCallInfo fcinfo, Poll *poll)
{
	read_queues(fcinfo, poll);
	poll->request.worker = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	aion_name_check(poll->request.worker, AION_NAME_MAX, "worker");
	poll->request.most = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	if (poll->request.most < 1 || poll->request.most > MAX_TASKS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("max_tasks must be between 1 and %d", MAX_TASKS)));
	poll->request.activities = PG_ARGISNULL(4) ? aion_arg_null() : aion_arg(PG_GETARG_DATUM(4));
	poll->request.run_keys = aion_arg_null();
}

/*
 * Tells whether the engine is paused: then a poll finds nothing, and a worker need not know.
 */
static bool
is_on_hold(void)
{
	if (!aion_engine_is_paused())
		return false;
	aion_engine_forget_pause();
	return true;
}

/*
 * Claims the tasks that are available now, from the queues in the order in which they are named.
 * Returns the number of claims.
 */
static int
claim_some(FunctionCallInfo fcinfo, Poll *poll)
{
	Authority authority;
	int count = 0;

	aion_authority_assume(&authority);
	if (is_on_hold())
	{
		aion_authority_drop(&authority);
		return 0;
	}
	(void) aion_adoption_require();
	poll->request.owner_keys = aion_owner_controlled(poll->role);
	for (int i = 0; i < poll->queue_count && poll->request.most > 0; i++)
	{
		List *claims = aion_claim(&poll->request, TextDatumGetCString(poll->queues[i]));
		ListCell *cell;

		foreach (cell, claims)
			put_claim(fcinfo, lfirst(cell));
		poll->request.most -= list_length(claims);
		count += list_length(claims);
	}
	aion_authority_drop(&authority);
	return count;
}

static void
put_claim(FunctionCallInfo fcinfo, const Claim *claim)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	const Task *task = &claim->task;
	char *token = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&claim->token)));
	Datum values[] = {
		CStringGetTextDatum(psprintf(INT64_FORMAT ".%d.%s", task->run_key, task->ordinal, token)),
		CStringGetTextDatum(claim->workflow_id),
		UUIDPGetDatum(&claim->run_id),
		CStringGetTextDatum(task->activity),
		JsonbPGetDatum(claim->input),
		Int32GetDatum(task->attempt),
		CStringGetTextDatum(aion_claim_idempotency_key(claim)),
		JsonbPGetDatum(claim->heartbeat_details),
		TimestampTzGetDatum(task->attempt_by),
		CStringGetTextDatum(claim->owner)};
	bool nulls[lengthof(values)] = {false};

	nulls[4] = claim->input == NULL;
	nulls[7] = claim->heartbeat_details == NULL;
	nulls[8] = task->attempt_by == DT_NOEND;
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/*
 * Tells whether a poll would find something to claim.
 */
static bool
has_tasks(const Poll *poll)
{
	bool found = false;
	bool on_hold;
	Authority authority;

	aion_authority_assume(&authority);
	on_hold = is_on_hold();
	for (int i = 0; i < poll->queue_count && !found && !on_hold; i++)
		found = aion_claim_exists(TextDatumGetCString(poll->queues[i]),
								  aion_owner_controlled(poll->role));
	aion_authority_drop(&authority);
	return found;
}

/*
 * Returns how long a poll may sleep until a task may become claimable without a wakeup: an attempt
 * is due, or the period of a rate limit is over.
 */
static long
wait_at_most(const Poll *poll, TimestampTz until)
{
	Authority authority;

	aion_authority_assume(&authority);
	for (int i = 0; i < poll->queue_count; i++)
	{
		TimestampTz next = aion_claim_next(TextDatumGetCString(poll->queues[i]));

		until = Min(until, next);
	}
	aion_authority_drop(&authority);
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
}

static TimestampTz
read_wait(const Interval *wait, TimestampTz start, int64 most)
{
	TimestampTz until;

	aion_duration_check(wait, true, "wait");
	until = aion_duration_after(start, wait, "wait");
	return most > 0 ? Min(until, start + most) : until;
}

/*
 * Reads a token: which task it is about, and the attempt that holds it.
 */
static pg_uuid_t *
read_token(FunctionCallInfo fcinfo, int64 *run_key, int32 *ordinal)
{
	char *token = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char id[37];
	long long key;
	int length;
	bool is_uuid = true;

	if (token == NULL || strlen(token) > 100 ||
		sscanf(token, "%lld.%d.%36[0-9a-f-]%n", &key, ordinal, id, &length) != 3 ||
		strlen(id) != 36 || token[length] != '\0')
		refuse_token();
	for (int i = 0; i < 36; i++)
		is_uuid = is_uuid && (id[i] == '-') == (i == 8 || i == 13 || i == 18 || i == 23);
	if (!is_uuid)
		refuse_token();
	*run_key = key;
	return DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(id)));
}

/*
 * Locks the task that a token holds; a cancelled task only with even_cancelled: for a heartbeat, or
 * to end the claim.
 */
static void
hold_task(FunctionCallInfo fcinfo, bool even_cancelled, Task *task)
{
	int64 run_key;
	int32 ordinal;
	pg_uuid_t *uuid = read_token(fcinfo, &run_key, &ordinal);

	if (!aion_claim_hold(run_key, ordinal, uuid, even_cancelled, task) || task->background)
		refuse_token();
}

static void
refuse_token(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_TASK_CLOSED), errmsg("the task is not held by this token"),
			 errdetail("It was completed, failed or cancelled, the time of its attempt was up, "
					   "or there is none of this token.")));
}

/*
 * Ends a session whose client is gone: it would claim activities that no worker executes.
 */
static void
require_client(void)
{
	if (MyBackendType == B_BACKEND && !pq_check_connection())
		ClientConnectionLost = InterruptPending = true;
	CHECK_FOR_INTERRUPTS();
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_poll_activities);
PG_FUNCTION_INFO_V1(aion_complete_activity);
PG_FUNCTION_INFO_V1(aion_fail_activity);
PG_FUNCTION_INFO_V1(aion_heartbeat_activity);
PG_FUNCTION_INFO_V1(aion_wait_for_tasks);

/*
 * poll_activities(task_queues, worker, max_tasks, wait, activities) -> tasks
 */
Datum
aion_poll_activities(PG_FUNCTION_ARGS)
{
	TimestampTz until = GetCurrentTimestamp();
	uint64 mask = 0;
	Poll poll;

	aion_guard_waiting_call("aion.poll_activities", HINT_WORKER);
	InitMaterializedSRF(fcinfo, 0);
	read_poll(fcinfo, &poll);
	if (!PG_ARGISNULL(3))
		until = read_wait(PG_GETARG_INTERVAL_P(3), until, MAX_WAIT);
	for (int i = 0; i < poll.queue_count; i++)
		mask |= aion_wakeup_queue_bit(TextDatumGetCString(poll.queues[i]));
	for (;;)
	{
		aion_wakeup_watch_queues(mask);
		aion_pollers_note(poll.role, poll.request.worker, mask, poll.queues, poll.queue_count);
		if (claim_some(fcinfo, &poll) > 0)
			break;
		aion_wakeup_pass_on();
		if (GetCurrentTimestamp() >= until)
			break;
		aion_wakeup_wait(wait_at_most(&poll, until));
		require_client();
	}
	aion_wakeup_unwatch();
	return (Datum) 0;
}

/*
 * complete_activity(task_token, result)
 */
Datum
aion_complete_activity(PG_FUNCTION_ARGS)
{
	Jsonb *result = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Authority authority;
	pg_uuid_t *uuid;
	int64 run_key;
	int32 ordinal;
	Task task;

	aion_guard_client_call("aion.complete_activity");
	aion_payload_check(result, "result");
	uuid = read_token(fcinfo, &run_key, &ordinal);
	aion_authority_assume(&authority);
	if (!aion_claim_take(run_key, ordinal, uuid, &task))
		refuse_token();
	aion_task_send_result(&task, result);
	aion_completion_note(run_key, task.owner_key, ordinal);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * fail_activity(task_token, message, kind, retryable, retry_after, details)
 */
Datum
aion_fail_activity(PG_FUNCTION_ARGS)
{
	Jsonb *details = PG_ARGISNULL(5) ? NULL : PG_GETARG_JSONB_P(5);
	TimestampTz now = GetCurrentTimestamp();
	int64 retry_after = -1;
	Authority authority;
	JsonObject error;
	Task task;

	aion_guard_client_call("aion.fail_activity");
	aion_payload_check(details, "details");
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("message must not be null")));
	aion_payload_check_size(VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(1)), "message");
	if (!PG_ARGISNULL(2))
		aion_payload_check_size(VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(2)), "kind");
	if (!PG_ARGISNULL(4))
	{
		aion_duration_check(PG_GETARG_INTERVAL_P(4), true, "retry_after");
		retry_after = aion_duration_after(now, PG_GETARG_INTERVAL_P(4), "retry_after") - now;
	}
	aion_authority_assume(&authority);
	hold_task(fcinfo, true, &task);
	if (strcmp(task.state, "cancelled") == 0)
	{
		aion_task_delete(&task); /* its worker has stopped: its queue has room again */
		aion_authority_drop(&authority);
		PG_RETURN_VOID();
	}
	aion_object_begin(&error);
	aion_object_text(&error, "kind",
					 PG_ARGISNULL(2) ? "error" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	aion_object_text(&error, "sqlstate", "WA001");
	aion_object_text(&error, "message", text_to_cstring(PG_GETARG_TEXT_PP(1)));
	aion_object_json(&error, "details", details);
	aion_object_text(&error, "activity", task.activity);
	aion_object_int(&error, "attempts", task.attempt);
	(void) aion_task_fail(&task, aion_object_end(&error), PG_ARGISNULL(3) || PG_GETARG_BOOL(3),
						  retry_after, NULL);
	aion_completion_note(task.run_key, task.owner_key, task.ordinal);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * heartbeat_activity(task_token, details) -> whether the workflow no longer wants it
 */
Datum
aion_heartbeat_activity(PG_FUNCTION_ARGS)
{
	Jsonb *details = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Authority authority;
	Task task;
	bool cancelled;

	aion_guard_client_call("aion.heartbeat_activity");
	aion_payload_check(details, "details");
	aion_authority_assume(&authority);
	hold_task(fcinfo, true, &task);
	cancelled = strcmp(task.state, "cancelled") == 0;
	if (!cancelled)
	{
		TimestampTz by =
			task.policy.heartbeat > 0 ? aion_clock_now() + task.policy.heartbeat : DT_NOEND;
		NullableDatum args[] = {aion_arg_int64(task.run_key), aion_arg_int32(task.ordinal),
								aion_arg_timestamp(by), aion_arg_jsonb(details)};

		(void) aion_statement_execute(&note_heartbeat, args);
	}
	aion_authority_drop(&authority);
	PG_RETURN_BOOL(cancelled || task.cancel_requested);
}

/*
 * CALL wait_for_tasks(task_queues, wait)
 */
Datum
aion_wait_for_tasks(PG_FUNCTION_ARGS)
{
	TimestampTz until = DT_NOEND;
	uint64 mask = 0;
	Poll poll;

	aion_guard_waiting_call("aion.wait_for_tasks", HINT_WORKER);
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("aion.wait_for_tasks() commits and cannot be called inside a transaction"),
				 errhint("Use CALL outside of BEGIN and of functions, or the parameter \"wait\" of "
						 "aion.poll_activities().")));
	read_queues(fcinfo, &poll);
	if (!PG_ARGISNULL(1))
		until = read_wait(PG_GETARG_INTERVAL_P(1), GetCurrentTimestamp(), 0);
	for (int i = 0; i < poll.queue_count; i++)
		mask |= aion_wakeup_queue_bit(TextDatumGetCString(poll.queues[i]));
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	for (;;)
	{
		long most;
		bool found;

		aion_wakeup_watch_queues(mask);
		aion_pollers_note(poll.role, NULL, mask, poll.queues, poll.queue_count);
		found = has_tasks(&poll);
		most = wait_at_most(&poll, until);
		SPI_commit(); /* and release the snapshot */
		if (!found)
			aion_wakeup_pass_on();
		if (found || GetCurrentTimestamp() >= until)
			break;
		aion_wakeup_wait(most);
	}
	aion_wakeup_unwatch();
	SPI_finish();
	PG_RETURN_VOID();
}
