/*
 * background.c
 *		Activities in the background: executed in this database, but not in a turn.
 *
 * One transaction claims a task, which makes the claim visible; another one executes it, and holds
 * effect and outcome.  Meanwhile the task's row is not locked: its run may take the activity back
 * at any time, and an attempt that is no longer wanted when it ends is rolled back.  The process
 * that executes a task holds an advisory lock until its transaction ends.  A claim without that
 * lock belongs to a process that is gone: its attempt did not happen.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "activities/activity.h"
#include "activities/claim.h"
#include "activities/registration.h"
#include "activities/scan_start.h"
#include "code/failure.h"
#include "primitives/primitives.h"
#include "run/due.h"
#include "shared/interruption.h"
#include "shared/wakeup.h"
#include "shared/worker_slots.h"
#include "support/clock.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"

#define LOCK_CLASS 0x6170	   /* of advisory locks; clients' own have 1 and 2 */
#define LOCK_WAIT_MS 2000	   /* an activity may wait for a lock at least so long */
#define LIMITED USECS_PER_SEC  /* until a queue at its limit is looked at again */
#define RETRY_FIRST_MS 200	   /* after an infrastructure error */
#define RETRY_MAX_MS 60 * 1000 /* after many */

static Statement find_claimed =
	STATEMENT(SELECT,
			  "SELECT cancel_requested FROM aion._task WHERE run_key = $1 AND ordinal = $2"
			  " AND token = $3 AND state = 'claimed'",
			  INT8OID, INT4OID, UUIDOID);
static Statement select_claimed =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE owner_key = $1 AND background"
			  " AND state = 'claimed' FOR UPDATE SKIP LOCKED",
			  INT4OID);
static Statement put_task_back = STATEMENT(
	UPDATE,
	"UPDATE aion._task SET state = 'waiting', attempt = attempt - 1, token = NULL,"
	" permit = NULL, attempt_by = NULL, look_at = NULL, failures = $3, next_attempt_at = $4,"
	" last_error = coalesce($5, last_error) WHERE run_key = $1 AND ordinal = $2",
	INT8OID, INT4OID, INT4OID, TIMESTAMPTZOID, JSONBOID);
static Statement hasten_tasks =
	STATEMENT(UPDATE_RETURNING,
			  "UPDATE aion._task SET next_attempt_at = $2 WHERE (run_key, ordinal) IN"
			  " (SELECT run_key, ordinal FROM aion._task WHERE owner_key = ANY ($1) AND background"
			  " AND state = 'waiting' AND failures > 0 AND next_attempt_at > $2"
			  " FOR UPDATE SKIP LOCKED) RETURNING owner_key",
			  INT4ARRAYOID, TIMESTAMPTZOID);
static Statement select_owners = STATEMENT(
	SELECT, "SELECT DISTINCT owner_key FROM aion._task WHERE background AND state IN ('waiting', "
			"'claimed')");

static MemoryContext memory = NULL; /* of what is claimed */
static Claim *claimed = NULL;
static char *last_queue = NULL; /* from which a task was claimed */

static bool background_claim(int32 owner_key, const int64 *run_keys, int count, TimestampTz *again);
static void background_execute(void);
static void background_recover(int32 owner_key);
static void mended(Datum owner_keys);
static List *owners_with_work(void);

const Primitive aion_background_primitive = {.name = "background",
											 .claim = background_claim,
											 .execute = background_execute,
											 .recover = background_recover,
											 .mended = mended,
											 .owners_with_work = owners_with_work};

static Claim *claim_from(const ClaimRequest *request, const char *queue, TimestampTz *again);
static bool background_is_wanted(void *claim);
static bool is_claimed(const Claim *claim, bool *cancel_requested);
static bool lock_out_others(const Task *task);
static void attempt(Claim *claim);
static Jsonb *interruption_failure(Interruption cause, const ErrorData *error);
static void background_end_watch(void);
static void confirm(void *claim);
static void background_note(Claim *claim, const AttemptInfo *info, const Attempt *result);
static void give_up(Claim *claim, const Jsonb *error);
static void put_back(Task *task, int64 delay, const Jsonb *error);
static int64 backoff(const Task *task);
static void background_add_context(void *claim);

/*
 * Claims an activity of an owner, from its queues in rotation.  If there is none, again is when
 * there may be one without a wakeup.
 */
static bool
background_claim(int32 owner_key, const int64 *run_keys, int count, TimestampTz *again)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum owner = Int32GetDatum(owner_key);
	ClaimRequest request = {.worker = psprintf("process %d", MyProcPid),
							.most = 1,
							.background_of = owner_key,
							.activities = aion_arg_null(),
							.run_keys = run_keys != NULL ? aion_arg_int64_array(run_keys, count)
														 : aion_arg_null()};
	char *begin = last_queue != NULL ? last_queue : "";
	bool wrapped = false;
	char *queue = begin;

	if (memory == NULL)
		memory = AllocSetContextCreate(TopMemoryContext, "aion claim", ALLOCSET_DEFAULT_SIZES);
	request.owner_keys =
		PointerGetDatum(construct_array(&owner, 1, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	claimed = NULL;
	*again = DT_NOEND;
	while (claimed == NULL)
	{
		queue = aion_scan_start_queue_after(owner_key, queue);
		if (queue == NULL && (wrapped || *begin == '\0'))
			break;
		if (queue == NULL)
		{
			wrapped = true;
			queue = "";
			continue;
		}
		claimed = claim_from(&request, queue, again);
		if (wrapped && claimed == NULL && strcmp(queue, begin) >= 0)
			break;
	}
	if (claimed == NULL)
	{
		*again = Min(*again, aion_scan_start_queues_again(owner_key));
		return false;
	}
	if (last_queue != NULL)
		pfree(last_queue);
	last_queue = MemoryContextStrdup(TopMemoryContext, queue);
	MemoryContextSwitchTo(caller);
	return true;
}

static Claim *
claim_from(const ClaimRequest *request, const char *queue, TimestampTz *again)
{
	MemoryContext caller = MemoryContextSwitchTo(memory);
	List *claims;

	MemoryContextReset(memory);
	claims = aion_claim(request, queue);
	MemoryContextSwitchTo(caller);
	*again = Min(*again, aion_scan_start_again(queue, request->background_of));
	if (!aion_claim_is_due(queue, request->background_of))
		return claims != NIL ? linitial(claims) : NULL;
	if (claims != NIL)
	{
		aion_wakeup_background(request->background_of); /* another executor may help */
		return linitial(claims);
	}
	*again = Min(*again, Min(aion_queue_next_permit(queue), aion_clock_now() + LIMITED));
	return NULL;
}

/*
 * Executes what was claimed.
 */
static void
background_execute(void)
{
	Claim *claim = claimed;
	ErrorContextCallback context = {error_context_stack, background_add_context, claim};
	bool cancel_requested;

	claimed = NULL;
	if (!is_claimed(claim, &cancel_requested))
		return;
	if (!lock_out_others(&claim->task))
	{
		give_up(claim, NULL);
		return;
	}
	error_context_stack = &context;
	pgstat_report_activity(STATE_RUNNING, psprintf("executing activity \"%s\" of workflow \"%s\"",
												   claim->task.activity, claim->workflow_id));
	aion_worker_slots_execute(claim->task.run_key);
	aion_worker_slots_begin_task(claim->task.run_key, claim->task.ordinal);
	attempt(claim);
	aion_worker_slots_end_task();
	aion_worker_slots_execute(0);
	error_context_stack = context.previous;
}

/*
 * Tells whether the workflow still wants the activity, for the answer to its next heartbeat.
 */
static bool
background_is_wanted(void *claim)
{
	bool cancel_requested;

	return is_claimed(claim, &cancel_requested) && !cancel_requested;
}

static bool
is_claimed(const Claim *claim, bool *cancel_requested)
{
	NullableDatum args[] = {aion_arg_int64(claim->task.run_key),
							aion_arg_int32(claim->task.ordinal),
							aion_arg(UUIDPGetDatum(&claim->token))};
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&find_claimed, args);
	*cancel_requested = rows.count > 0 && aion_row_bool(rows, 0, 1);
	aion_authority_drop(&authority);
	return rows.count > 0;
}

/*
 * Takes the lock that shows, until this transaction ends, that the task is being executed; false if
 * another process still executes an earlier attempt.
 */
static bool
lock_out_others(const Task *task)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) task->run_key,
						 (uint32) (task->run_key >> 32) ^ (uint32) task->ordinal, LOCK_CLASS);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Makes one attempt, and notes what came of it.
 */
static void
attempt(Claim *claim)
{
	MemoryContext caller = CurrentMemoryContext;
	AttemptInfo info = {.workflow_id = claim->workflow_id,
						.run_id = claim->run_id,
						.ordinal = claim->task.ordinal,
						.activity = claim->task.activity,
						.attempt = claim->task.attempt,
						.deadline = claim->task.attempt_by,
						.deadline_is_last = claim->task.attempt_by == claim->task.close_by,
						.heartbeat = claim->task.policy.heartbeat,
						.heartbeat_details = claim->heartbeat_details,
						.background = true,
						.wanted = background_is_wanted,
						.confirm = confirm,
						.argument = claim};
	ErrorData *volatile error = NULL;
	const Handler *handler = NULL;
	const Registration *activity;
	Attempt result = {0};
	volatile Interruption cause = INTERRUPTION_NONE;
	Obstacle obstacle;

	activity = aion_registration_find(info.activity, &handler, &obstacle);
	if (activity == NULL || handler == NULL)
	{
		give_up(claim, aion_failure_make("55000",
										 activity == NULL ? obstacle.message
														  : "the activity has no function",
										 NULL));
		return;
	}
	info.settings = &activity->settings;
	aion_interruption_watch(LOCK_WAIT_MS, 0);
	(void) aion_interruption_begin(INTERRUPTION_NO_RUN);
	PG_TRY();
	{
		aion_attempt_make(&info, handler, claim->input, &result);
		background_end_watch();
	}
	PG_CATCH();
	{
		cause = aion_interruption_cause();
		background_end_watch();
		MemoryContextSwitchTo(caller);
		error = CopyErrorData(); /* its subtransaction has been rolled back */
		FlushErrorState();
	}
	PG_END_TRY();
	if (error != NULL)
		aion_failure_end_test(error);
	if (error == NULL && result.misfit)
		give_up(claim, result.value);
	else if (error == NULL)
		background_note(claim, &info, &result);
	else
		give_up(claim, interruption_failure(cause, error));
}

/*
 * Says why an attempt does not count.
 */
static Jsonb *
interruption_failure(Interruption cause, const ErrorData *error)
{
	if (cause == INTERRUPTION_NONE)
		return aion_failure_of(error, NULL);
	if (cause == INTERRUPTION_AT_LOCK)
		return aion_failure_make("55P03", "the activity has waited too long for a lock",
								 "It is begun again, each time later.");
	return aion_failure_make("57014", "the activity was interrupted because others wait",
							 "It is begun again.");
}

static void
background_end_watch(void)
{
	(void) aion_interruption_begin(0);
	aion_interruption_watch(0, 0);
}

/*
 * Lets the attempt fail before it is over, if its outcome is no longer wanted.
 */
static void
confirm(void *argument)
{
	Claim *claim = argument;
	Authority authority;
	bool wanted;

	aion_interruption_check(); /* an interruption that the code has caught undoes its effects */
	aion_authority_assume(&authority);
	wanted = aion_claim_hold(claim->task.run_key, claim->task.ordinal, &claim->token, false,
							 &claim->task);
	aion_authority_drop(&authority);
	if (!wanted)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("activity \"%s\" is no longer wanted", claim->task.activity)));
	CRASH_POINT("background activity confirmed");
}

/*
 * Notes how an attempt ended, unless it is no longer wanted.
 */
static void
background_note(Claim *claim, const AttemptInfo *info, const Attempt *result)
{
	Task *task = &claim->task;
	Authority authority;

	aion_authority_assume(&authority);
	if (aion_claim_hold(task->run_key, task->ordinal, &claim->token, false, task))
	{
		if (result->failed)
			(void) aion_task_fail(task, result->value, true, -1, info->details);
		else
			aion_task_complete(task, result->value);
	}
	aion_authority_drop(&authority);
}

/*
 * Puts back a task whose attempt does not count: after an infrastructure error, or if its statement
 * was cancelled.
 */
static void
give_up(Claim *claim, const Jsonb *error)
{
	Task *task = &claim->task;
	Authority authority;

	aion_authority_assume(&authority);
	if (aion_claim_hold(task->run_key, task->ordinal, &claim->token, false, task))
		put_back(task, backoff(task), error);
	aion_authority_drop(&authority);
}

/*
 * Lets tasks that were put back be retried at once: what they lacked may exist now.
 */
static void
mended(Datum owner_keys)
{
	NullableDatum args[] = {aion_arg(owner_keys), aion_arg_timestamp(aion_clock_now())};
	Rows rows = aion_statement_execute(&hasten_tasks, args);

	for (uint64 row = 0; row < rows.count; row++)
		aion_wakeup_background(aion_row_int32(rows, row, 1));
}

/*
 * Lets a task be retried after a delay in milliseconds; ends it as cancelled if its workflow has
 * requested that.
 */
static void
put_back(Task *task, int64 delay, const Jsonb *error)
{
	TimestampTz next = TimestampTzPlusMilliseconds(aion_clock_now(), delay);
	NullableDatum args[] = {aion_arg_int64(task->run_key), aion_arg_int32(task->ordinal),
							aion_arg_int32(task->failures + 1), aion_arg_timestamp(next),
							aion_arg_jsonb(error)};

	if (task->cancel_requested)
	{
		aion_task_end_failed(task, aion_task_cancelled(task->activity));
		return;
	}
	(void) aion_statement_execute(&put_task_back, args);
	aion_queue_release(task->task_queue, task->permit, task->key);
	aion_due_wake(task->run_key, task->owner_key,
				  psprintf(TIMER_TASK "%d again %d", task->ordinal, task->failures), next);
}

static int64
backoff(const Task *task)
{
	return Min(RETRY_FIRST_MS * (INT64CONST(1) << Min(task->failures, 20)), RETRY_MAX_MS);
}

/*
 * Puts back the tasks of an owner that are claimed by processes which have ended.  The activity
 * itself may be what ended them.
 */
static void
background_recover(int32 owner_key)
{
	NullableDatum args[] = {aion_arg_int32(owner_key)};
	Rows rows = aion_statement_execute(&select_claimed, args);
	Task task;

	for (uint64 row = 0; row < rows.count; row++)
	{
		aion_task_read(rows, row, &task);
		if (lock_out_others(&task))
			put_back(&task, task.failures > 0 ? backoff(&task) : 0, NULL);
	}
}

/*
 * Returns the owners that have tasks in the background.
 */
static List *
owners_with_work(void)
{
	Rows rows = aion_statement_execute(&select_owners, NULL);
	List *owners = NIL;

	for (uint64 row = 0; row < rows.count; row++)
		owners = lappend_int(owners, aion_row_int32(rows, row, 1));
	return owners;
}

static void
background_add_context(void *claim)
{
	errcontext("activity \"%s\" of workflow \"%s\"", ((Claim *) claim)->task.activity,
			   ((Claim *) claim)->workflow_id);
}
