/*
 * poll.c
 *		The protocol of workers: claiming activities, and saying what came of them.
 *
 * A claim is a token.  It counts when the claiming transaction commits, so an attempt is known
 * before its effects; whoever does not hold the token that the task has now is told so and changes
 * nothing.  All of it is plain statements: no session is needed between them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "aion.h"
#include "engine/fence.h"
#include "engine/guard.h"
#include "engine/owner.h"
#include "primitives/task.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"
#include "support/wakeup.h"

#define MAX_WAIT (5 * USECS_PER_SEC) /* a waiting poll holds a snapshot */
#define MAX_TASKS 1000

static Statement select_queue = STATEMENT(
	SELECT,
	"SELECT coalesce((SELECT q.paused FROM aion._queue q WHERE q.name = $1), false), EXISTS"
	" (SELECT FROM aion._queue_grant g WHERE g.name = $1 AND g.owner_key = ANY ($2))",
	TEXTOID, INT4ARRAYOID);
static Statement lock_waiting = STATEMENT(
	SELECT,
	"SELECT t.run_key, t.ordinal, t.owner_key, t.activity, t.state, t.attempt, t.policy, "
	"t.start_by,"
	" t.close_by, t.attempt_by, t.heartbeat_by, t.cancel_requested, r.workflow_id, r.run_id,"
	" (SELECT e.attributes -> 'input' FROM aion._event e"
	" WHERE e.run_key = t.run_key AND e.seq = t.scheduled_seq), t.heartbeat_details"
	" FROM aion._task t JOIN aion._run r USING (run_key)"
	" WHERE t.task_queue = $1 AND t.state = 'waiting' AND t.next_attempt_at <= $2"
	" AND ($4 OR t.owner_key = ANY ($3)) AND ($5 IS NULL OR t.activity = ANY ($5))"
	" AND (t.close_by IS NULL OR t.close_by > $2)"
	" AND (t.start_by IS NULL OR t.start_by > $2 OR t.attempt > 0)"
	" ORDER BY t.priority DESC, t.next_attempt_at, t.run_key, t.ordinal"
	" LIMIT $6 FOR UPDATE OF t SKIP LOCKED",
	TEXTOID, TIMESTAMPTZOID, INT4ARRAYOID, BOOLOID, TEXTARRAYOID, INT4OID);
static Statement claim_task =
	STATEMENT(UPDATE,
			  "UPDATE aion._task SET state = 'claimed', attempt = attempt + 1, worker = $3,"
			  " token = $4, attempt_by = $5, heartbeat_by = $6, last_error = NULL"
			  " WHERE run_key = $1 AND ordinal = $2",
			  INT8OID, INT4OID, TEXTOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID);
static Statement select_next =
	STATEMENT(SELECT,
			  "SELECT min(next_attempt_at) FROM aion._task"
			  " WHERE task_queue = $1 AND state = 'waiting' AND next_attempt_at > $2",
			  TEXTOID, TIMESTAMPTZOID);
static Statement lock_claimed =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task WHERE run_key = $1 AND ordinal = $2"
			  " AND token = $3 AND state IN ('claimed', 'cancelled', 'abandoned') FOR UPDATE",
			  INT8OID, INT4OID, UUIDOID);
static Statement note_heartbeat = STATEMENT(UPDATE,
											"UPDATE aion._task SET heartbeat_by = $3,"
											" heartbeat_details = coalesce($4, heartbeat_details)"
											" WHERE run_key = $1 AND ordinal = $2",
											INT8OID, INT4OID, TIMESTAMPTZOID, JSONBOID);
static Statement grant_queue =
	STATEMENT(INSERT, "INSERT INTO aion._queue_grant VALUES ($1, $2) ON CONFLICT DO NOTHING",
			  TEXTOID, INT4OID);
static Statement set_paused = STATEMENT(
	INSERT, "INSERT INTO aion._queue VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET paused = $2",
	TEXTOID, BOOLOID);

/* What a poll asks for. */
typedef struct Poll
{
	Datum *queues;
	int queue_count;
	char *worker;
	int left; /* tasks it still wants */
	NullableDatum activities;
	Oid role;
} Poll;

static void read_poll(FunctionCallInfo fcinfo, Poll *poll);
static void claim_some(FunctionCallInfo fcinfo, Poll *poll);
static void claim_from(FunctionCallInfo fcinfo, Poll *poll, Datum queue);
static void claim_one(FunctionCallInfo fcinfo, Poll *poll, Rows rows, uint64 row);
static long wait_at_most(const Poll *poll, TimestampTz until);
static void hold_task(FunctionCallInfo fcinfo, bool even_cancelled, Task *task);
pg_noreturn static void refuse_token(void);
static char *queue_name(FunctionCallInfo fcinfo, int argument);
static void pause_queue(FunctionCallInfo fcinfo, bool paused);

static void
read_poll(FunctionCallInfo fcinfo, Poll *poll)
{
	bool *isnull;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("task_queues must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &poll->queues,
					  &isnull, &poll->queue_count);
	for (int i = 0; i < poll->queue_count; i++)
		aion_name_check(isnull[i] ? NULL : TextDatumGetCString(poll->queues[i]), AION_NAME_MAX,
						"task queue");
	poll->worker = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	aion_name_check(poll->worker, AION_NAME_MAX, "worker");
	poll->left = PG_ARGISNULL(2) ? 0 : PG_GETARG_INT32(2);
	if (poll->left < 1 || poll->left > MAX_TASKS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("max_tasks must be between 1 and %d", MAX_TASKS)));
	poll->activities = PG_ARGISNULL(4) ? aion_arg_null() : aion_arg(PG_GETARG_DATUM(4));
	poll->role = GetUserId();
}

/*
 * Claims what there is now, from the queues in the order in which they are named.
 */
static void
claim_some(FunctionCallInfo fcinfo, Poll *poll)
{
	Authority authority;

	aion_authority_assume(&authority);
	(void) aion_fence_require_adopted();
	for (int i = 0; i < poll->queue_count && poll->left > 0; i++)
		claim_from(fcinfo, poll, poll->queues[i]);
	aion_authority_drop(&authority);
}

static void
claim_from(FunctionCallInfo fcinfo, Poll *poll, Datum queue)
{
	Datum controlled = aion_owner_controlled(poll->role);
	NullableDatum about[] = {aion_arg(queue), aion_arg(controlled)};
	Rows rows = aion_statement_execute(&select_queue, about);
	bool granted = aion_row_bool(rows, 0, 2);
	NullableDatum args[] = {aion_arg(queue),	  aion_arg_timestamp(aion_clock_now()),
							aion_arg(controlled), aion_arg(BoolGetDatum(granted)),
							poll->activities,	  aion_arg_int32(poll->left)};

	if (aion_row_bool(rows, 0, 1))
		return;
	rows = aion_statement_execute(&lock_waiting, args);
	for (uint64 row = 0; row < rows.count; row++)
		claim_one(fcinfo, poll, rows, row);
	poll->left -= (int) rows.count;
}

static void
claim_one(FunctionCallInfo fcinfo, Poll *poll, Rows rows, uint64 row)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = aion_clock_now();
	Datum token = DirectFunctionCall1(gen_random_uuid, (Datum) 0);
	pg_uuid_t run_id = aion_row_uuid(rows, row, TASK_COLUMN_COUNT + 2);
	Jsonb *input = aion_row_jsonb(rows, row, TASK_COLUMN_COUNT + 3);
	Jsonb *details = aion_row_jsonb(rows, row, TASK_COLUMN_COUNT + 4);
	Datum values[9];
	bool nulls[9] = {false};
	Task task;

	aion_task_read(rows, row, &task);
	task.attempt++;
	task.state = "claimed";
	task.attempt_by = task.policy.start_to_close > 0 ? now + task.policy.start_to_close : DT_NOEND;
	task.attempt_by = Min(task.attempt_by, task.close_by);
	task.heartbeat_by = task.policy.heartbeat > 0 ? now + task.policy.heartbeat : DT_NOEND;
	{
		NullableDatum args[] = {
			aion_arg_int64(task.run_key),		 aion_arg_int32(task.ordinal),
			aion_arg_text(poll->worker),		 aion_arg(token),
			aion_arg_timestamp(task.attempt_by), aion_arg_timestamp(task.heartbeat_by)};

		(void) aion_statement_execute(&claim_task, args);
	}
	aion_task_watch(&task, now);
	values[0] =
		CStringGetTextDatum(psprintf(INT64_FORMAT ".%d.%s", task.run_key, task.ordinal,
									 DatumGetCString(DirectFunctionCall1(uuid_out, token))));
	values[1] = CStringGetTextDatum(aion_row_text(rows, row, TASK_COLUMN_COUNT + 1));
	values[2] = UUIDPGetDatum(&run_id);
	values[3] = CStringGetTextDatum(task.activity);
	values[4] = JsonbPGetDatum(input);
	nulls[4] = input == NULL;
	values[5] = Int32GetDatum(task.attempt);
	values[6] = CStringGetTextDatum(
		psprintf("%s/%d", DatumGetCString(DirectFunctionCall1(uuid_out, values[2])), task.ordinal));
	values[7] = JsonbPGetDatum(details);
	nulls[7] = details == NULL;
	values[8] = TimestampTzGetDatum(task.attempt_by);
	nulls[8] = task.attempt_by == DT_NOEND;
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/*
 * Returns how long a poll may sleep until there may be something that nobody tells: an attempt that
 * is to be made later.
 */
static long
wait_at_most(const Poll *poll, TimestampTz until)
{
	Authority authority;

	aion_authority_assume(&authority);
	for (int i = 0; i < poll->queue_count; i++)
	{
		NullableDatum args[] = {aion_arg(poll->queues[i]), aion_arg_timestamp(aion_clock_now())};
		Rows rows = aion_statement_execute(&select_next, args);

		until = Min(until, aion_row_timestamp(rows, 0, 1));
	}
	aion_authority_drop(&authority);
	return TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
}

/*
 * Locks the task that a token holds; one that its workflow no longer wants is held by no token but
 * to be told so.
 */
static void
hold_task(FunctionCallInfo fcinfo, bool even_cancelled, Task *task)
{
	char *token = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char id[37];
	long long run_key;
	int ordinal;
	int length;
	Rows rows;

	if (token == NULL || strlen(token) > 100 ||
		sscanf(token, "%lld.%d.%36[0-9a-f-]%n", &run_key, &ordinal, id, &length) != 3 ||
		strlen(id) != 36 || token[length] != '\0')
		refuse_token();
	{
		NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_int32(ordinal),
								aion_arg(DirectFunctionCall1(uuid_in, CStringGetDatum(id)))};

		rows = aion_statement_execute(&lock_claimed, args);
	}
	if (rows.count == 0)
		refuse_token();
	aion_task_read(rows, 0, task);
	if (!even_cancelled && strcmp(task->state, "cancelled") == 0)
		refuse_token();
}

static void
refuse_token(void)
{
	ereport(ERROR, (errcode(ERRCODE_TASK_CLOSED), errmsg("the task is not held by this token"),
					errdetail("It was completed, failed, cancelled, or given to another worker.")));
}

static char *
queue_name(FunctionCallInfo fcinfo, int argument)
{
	char *name = PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	aion_name_check(name, AION_NAME_MAX, "task queue");
	return name;
}

static void
pause_queue(FunctionCallInfo fcinfo, bool paused)
{
	char *name = queue_name(fcinfo, 0);
	NullableDatum args[] = {aion_arg_text(name), aion_arg(BoolGetDatum(paused))};
	Authority authority;

	aion_guard_client_call(paused ? "aion.pause_task_queue" : "aion.resume_task_queue");
	aion_authority_assume(&authority);
	aion_fence_settle();
	(void) aion_statement_execute(&set_paused, args);
	if (!paused)
		aion_wakeup_queue(name);
	aion_authority_drop(&authority);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_poll_activities);
PG_FUNCTION_INFO_V1(aion_complete_activity);
PG_FUNCTION_INFO_V1(aion_fail_activity);
PG_FUNCTION_INFO_V1(aion_heartbeat_activity);
PG_FUNCTION_INFO_V1(aion_grant_task_queue);
PG_FUNCTION_INFO_V1(aion_pause_task_queue);
PG_FUNCTION_INFO_V1(aion_resume_task_queue);

/*
 * poll_activities(task_queues, worker, max_tasks, wait, activities) -> tasks
 */
Datum
aion_poll_activities(PG_FUNCTION_ARGS)
{
	TimestampTz until = GetCurrentTimestamp();
	uint64 mask = 0;
	Poll poll;
	int wanted;

	aion_guard_waiting_call("aion.poll_activities");
	InitMaterializedSRF(fcinfo, 0);
	read_poll(fcinfo, &poll);
	wanted = poll.left;
	if (!PG_ARGISNULL(3))
	{
		Interval *wait = PG_GETARG_INTERVAL_P(3);

		aion_duration_check(wait, true, "wait");
		until = Min(until + MAX_WAIT, aion_duration_after(until, wait, "wait"));
	}
	for (int i = 0; i < poll.queue_count; i++)
		mask |= aion_wakeup_queue_bit(TextDatumGetCString(poll.queues[i]));
	for (;;)
	{
		aion_wakeup_watch_queues(mask);
		claim_some(fcinfo, &poll);
		if (poll.left < wanted || GetCurrentTimestamp() >= until)
			break;
		aion_wakeup_wait(wait_at_most(&poll, until));
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
	JsonObject outcome;
	Task task;

	aion_guard_client_call("aion.complete_activity");
	aion_payload_check(result, "result");
	aion_object_begin(&outcome);
	if (result != NULL)
		aion_object_json(&outcome, "ok", result);
	aion_authority_assume(&authority);
	hold_task(fcinfo, false, &task);
	aion_task_settle(&task, aion_object_end(&outcome));
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
	if (!PG_ARGISNULL(4))
	{
		aion_duration_check(PG_GETARG_INTERVAL_P(4), true, "retry_after");
		retry_after = aion_duration_after(now, PG_GETARG_INTERVAL_P(4), "retry_after") - now;
	}
	aion_authority_assume(&authority);
	hold_task(fcinfo, false, &task);
	aion_object_begin(&error);
	aion_object_text(&error, "kind",
					 PG_ARGISNULL(2) ? "error" : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	aion_object_text(&error, "sqlstate", "WA001");
	aion_object_text(&error, "message", text_to_cstring(PG_GETARG_TEXT_PP(1)));
	aion_object_json(&error, "details", details);
	aion_object_text(&error, "activity", task.activity);
	aion_object_int(&error, "attempts", task.attempt);
	aion_task_fail(&task, aion_object_end(&error), PG_ARGISNULL(3) || PG_GETARG_BOOL(3),
				   retry_after);
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
 * grant_task_queue(role, name)
 */
Datum
aion_grant_task_queue(PG_FUNCTION_ARGS)
{
	char *name = queue_name(fcinfo, 1);
	Authority authority;

	if (PG_ARGISNULL(0) || !OidIsValid(PG_GETARG_OID(0)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("role must not be null")));
	aion_guard_client_call("aion.grant_task_queue");
	aion_authority_assume(&authority);
	aion_fence_settle();
	{
		NullableDatum args[] = {aion_arg_text(name),
								aion_arg_int32(aion_owner_key(PG_GETARG_OID(0)))};

		(void) aion_statement_execute(&grant_queue, args);
	}
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * pause_task_queue(name), resume_task_queue(name)
 */
Datum
aion_pause_task_queue(PG_FUNCTION_ARGS)
{
	pause_queue(fcinfo, true);
	PG_RETURN_VOID();
}

Datum
aion_resume_task_queue(PG_FUNCTION_ARGS)
{
	pause_queue(fcinfo, false);
	PG_RETURN_VOID();
}
