/*
 * background.c
 *		Activities in the background: executed in this database, but not in a turn.
 *
 * One transaction claims a task, which makes the claim visible; another one executes it, and holds
 * effect and outcome.  Meanwhile the task's row is not locked: its run may take the activity back
 * at any time, and an attempt that is no longer wanted when it ends is rolled back.  The process
 * that executes a task holds an advisory lock until its transaction ends.  A claim without that
 * lock belongs to a process that is gone: its attempt did not happen.
 *
 * Activities that were short lately need no claim that others see.  Several of them are executed in
 * one transaction, which locks their rows meanwhile.  One that takes longer than expected, or waits
 * for a lock, is undone, and executed like all others.
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
#include "activities/short_activity.h"
#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
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
#include "support/subtransaction.h"

#define LOCK_CLASS 0x6170	   /* of advisory locks; clients' own have 1 and 2 */
#define LOCK_WAIT_MS 2000	   /* an activity may wait for a lock at least so long */
#define SHORT_MOST 32		   /* activities in one transaction */
#define LONG_SHARE 5		   /* times what a batch may take */
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
	"UPDATE aion._task SET state = 'waiting', attempt = $6, token = NULL,"
	" permit = NULL, attempt_by = NULL, look_at = NULL, failures = $3, next_attempt_at = $4,"
	" last_error = coalesce($5, last_error) WHERE run_key = $1 AND ordinal = $2",
	INT8OID, INT4OID, INT4OID, TIMESTAMPTZOID, JSONBOID, INT4OID);
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
static int fitting = 1;			/* how many short activities a transaction is expected to execute */

static bool background_claim(int32 owner_key, const int64 *run_keys, int count, TimestampTz *again);
static void background_execute(void);
static int background_execute_short(int32 owner_key);
static void background_recover(int32 owner_key);
static void mended(Datum owner_keys);
static List *owners_with_work(void);

const Primitive aion_background_primitive = {.name = "background",
											 .claim = background_claim,
											 .execute = background_execute,
											 .execute_short = background_execute_short,
											 .recover = background_recover,
											 .mended = mended,
											 .owners_with_work = owners_with_work};

static List *claim_next(ClaimRequest *request, char **queue, TimestampTz *again);
static List *claim_from(const ClaimRequest *request, const char *queue, TimestampTz *again);
static void remember_queue(const char *queue);
static int execute_until(List *claims, TimestampTz until);
static bool execute_claim(Claim *claim);
static bool batch_must_end(TimestampTz until);
static bool background_is_wanted(void *claim);
static bool is_claimed(const Claim *claim, bool *cancel_requested);
static bool lock_out_others(const Task *task);
static bool attempt(Claim *claim);
static Jsonb *interruption_failure(Interruption cause, const ErrorData *error);
static void background_end_watch(void);
static void confirm(void *claim);
static bool hold_claim(Claim *claim);
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
	ClaimRequest request = {.worker = psprintf("process %d", MyProcPid),
							.most = 1,
							.background_of = owner_key,
							.activities = aion_arg_null(),
							.run_keys = run_keys != NULL ? aion_arg_int64_array(run_keys, count)
														 : aion_arg_null()};
	char *queue;
	List *claims = claim_next(&request, &queue, again);

	claimed = claims != NIL ? linitial(claims) : NULL;
	if (claimed != NULL)
		remember_queue(queue);
	else
		*again = Min(*again, aion_scan_start_queues_again(owner_key));
	return claimed != NULL;
}

/*
 * Executes activities that were short lately, until the batch is full, in the transaction that
 * locks their rows.  Returns how many: none if the next one is no such activity.
 */
static int
background_execute_short(int32 owner_key)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), aion_batch_time);
	bool has_limits = false;
	ClaimRequest request = {.most = fitting,
							.background_of = owner_key,
							.activities = aion_arg_null(),
							.run_keys = aion_arg_null(),
							.only_lock = true,
							.has_limits = &has_limits};
	Authority authority;
	TimestampTz again;
	List *claims;
	char *queue;
	int executed;

	if (!aion_short_activity_exists())
		return 0;
	aion_authority_assume(&authority);
	claims = claim_next(&request, &queue, &again);
	aion_authority_drop(&authority);
	fitting = 1; /* unless this transaction gets to its end */
	executed = execute_until(claims, until);
	if (executed == 0)
		return 0;
	remember_queue(queue);
	fitting = Min(executed < request.most ? executed : executed * 2, SHORT_MOST);
	return executed;
}

/*
 * Claims from the next queue that has something to claim, in rotation.
 */
static List *
claim_next(ClaimRequest *request, char **queue, TimestampTz *again)
{
	Datum owner = Int32GetDatum(request->background_of);
	char *begin = last_queue != NULL ? last_queue : "";
	bool wrapped = false;
	List *claims = NIL;

	if (memory == NULL)
		memory = AllocSetContextCreate(TopMemoryContext, "aion claim", ALLOCSET_DEFAULT_SIZES);
	request->owner_keys =
		PointerGetDatum(construct_array(&owner, 1, INT4OID, sizeof(int32), true, TYPALIGN_INT));
	*queue = begin;
	*again = DT_NOEND;
	while (claims == NIL)
	{
		*queue = aion_scan_start_queue_after(request->background_of, *queue);
		if (*queue == NULL && (wrapped || *begin == '\0'))
			break;
		if (*queue == NULL)
		{
			wrapped = true;
			*queue = "";
			continue;
		}
		claims = claim_from(request, *queue, again);
		if ((wrapped && strcmp(*queue, begin) >= 0) ||
			(request->only_lock && *request->has_limits)) /* it is this queue's turn */
			break;
	}
	return claims;
}

static List *
claim_from(const ClaimRequest *request, const char *queue, TimestampTz *again)
{
	MemoryContext caller = MemoryContextSwitchTo(memory);
	List *claims;

	MemoryContextReset(memory);
	claims = aion_claim(request, queue);
	MemoryContextSwitchTo(caller);
	*again = Min(*again, aion_scan_start_again(queue, request->background_of));
	if (request->only_lock ? list_length(claims) < request->most
						   : !aion_claim_is_due(queue, request->background_of))
		return claims;
	if (claims != NIL)
		aion_wakeup_background(request->background_of); /* another executor may help */
	else
		*again = Min(*again, Min(aion_queue_next_permit(queue), aion_clock_now() + LIMITED));
	return claims;
}

static void
remember_queue(const char *queue)
{
	char *copy = MemoryContextStrdup(TopMemoryContext, queue); /* queue may be last_queue */

	if (last_queue != NULL)
		pfree(last_queue);
	last_queue = copy;
}

/*
 * Executes what was claimed.
 */
static void
background_execute(void)
{
	Claim *claim = claimed;
	bool cancel_requested;

	claimed = NULL;
	if (!is_claimed(claim, &cancel_requested))
		return;
	if (lock_out_others(&claim->task))
		(void) execute_claim(claim);
	else
		give_up(claim, NULL);
}

/*
 * Executes activities as long as they are short and this transaction may go on.  Returns how many.
 */
static int
execute_until(List *claims, TimestampTz until)
{
	ListCell *cell;
	int executed = 0;

	foreach (cell, claims)
	{
		Claim *claim = lfirst(cell);

		if ((executed > 0 && batch_must_end(until)) || claim->task.failures > 0 ||
			!aion_short_activity_is(claim->task.activity) || !lock_out_others(&claim->task))
			break;
		executed++;
		aion_claim_begin_attempt(claim);
		if (!execute_claim(claim))
			break;
	}
	return executed;
}

static bool
batch_must_end(TimestampTz until)
{
	return aion_subtransactions_are_many() || !aion_guard_session_is_clean() ||
		   GetCurrentTimestamp() >= until;
}

/*
 * Executes an activity; false if it was undone because others wait, and nothing was noted.
 */
static bool
execute_claim(Claim *claim)
{
	ErrorContextCallback context = {error_context_stack, background_add_context, claim};
	bool done;

	error_context_stack = &context;
	pgstat_report_activity(STATE_RUNNING, psprintf("executing activity \"%s\" of workflow \"%s\"",
												   claim->task.activity, claim->workflow_id));
	aion_worker_slots_execute(claim->task.run_key);
	aion_worker_slots_begin_task(claim->task.run_key, claim->task.ordinal);
	done = attempt(claim);
	aion_worker_slots_end_task();
	aion_worker_slots_execute(0);
	error_context_stack = context.previous;
	return done;
}

/*
 * Tells whether the workflow still wants the activity, for the answer to its next heartbeat.
 */
static bool
background_is_wanted(void *argument)
{
	const Claim *claim = argument;
	bool cancel_requested = claim->task.cancel_requested;

	if (claim->only_locked)
		return !cancel_requested; /* the lock keeps others from changing that */
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
 * Makes one attempt, and notes what came of it; false if it was undone and nothing was noted.
 */
static bool
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
	TimestampTz began = GetCurrentTimestamp();
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
		return true;
	}
	info.settings = &activity->settings;
	if (claim->only_locked)
		aion_interruption_watch(aion_batch_lock_timeout, LONG_SHARE * aion_batch_time);
	else
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
	if (claim->only_locked && cause != INTERRUPTION_NONE)
	{
		if (cause != INTERRUPTION_FOR_ROOM)
			aion_short_activity_note_long(info.activity);
		return false;
	}
	aion_short_activity_note(info.activity, began);
	if (error == NULL && result.misfit)
		give_up(claim, result.value);
	else if (error == NULL)
		background_note(claim, &info, &result);
	else
		give_up(claim, interruption_failure(cause, error));
	return true;
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
	wanted = hold_claim(claim);
	aion_authority_drop(&authority);
	if (!wanted)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("activity \"%s\" is no longer wanted", claim->task.activity)));
	CRASH_POINT("background activity confirmed");
}

/*
 * Locks the row of a claim; false if its attempt is no longer wanted.
 */
static bool
hold_claim(Claim *claim)
{
	return claim->only_locked || aion_claim_hold(claim->task.run_key, claim->task.ordinal,
												 &claim->token, false, &claim->task);
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
	if (!result->failed)
		aion_task_complete(task, result->value); /* confirm() has locked it */
	else if (hold_claim(claim))
		(void) aion_task_fail(task, result->value, true, -1, info->details);
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
	if (hold_claim(claim))
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
	NullableDatum args[] = {aion_arg_int64(task->run_key),
							aion_arg_int32(task->ordinal),
							aion_arg_int32(task->failures + 1),
							aion_arg_timestamp(next),
							aion_arg_jsonb(error),
							aion_arg_int32(task->attempt - 1)};

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
