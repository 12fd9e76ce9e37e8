/*
 * drive.c
 *		The engine as a function: CALL aion.drive() executes what is ready of the caller's runs.
 *
 * It has the loop of all processes that execute turns: claim, advance, commit.  It needs no
 * background process and can be called by hand or by pg_cron.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "code/adoption.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "guc.h"
#include "run/primitive.h"
#include "run/ready.h"
#include "shared/interruption.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/subtransaction.h"
#include "turn/advance.h"

#define GIVE_WAY_US 1000
#define PUT_OFF_MOST 1000
#define LOCK_WAIT_MS 300 /* of the first run that waits; the more runs wait, the less */
#define LOCK_WAIT_MIN_MS 10

/* Runs that wait for locks and are not tried again in this call. */
typedef struct PutOff
{
	int count;
	int64 run_keys[PUT_OFF_MOST];
} PutOff;

static void begin_transaction(Oid user);
static bool drive_one(Oid user, Budget *budget, PutOff *put_off, MemoryContext parent);
static bool drive_errand(int32 owner_key, PutOff *put_off, MemoryContext caller);
static bool drive_execute_one(Oid user, Budget *budget);
static void drive_recover(Oid user);
static ErrorData *advance(Run *run, Budget *budget, int lock_wait, MemoryContext caller);
static void commit_turns(Oid user, int64 run_key);

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_drive);

/*
 * CALL drive(max_turns)
 */
Datum
aion_drive(PG_FUNCTION_ARGS)
{
	Budget budget = {.turns = PG_ARGISNULL(0) ? PG_INT64_MAX : PG_GETARG_INT64(0),
					 .until = DT_NOEND};
	MemoryContext scratch;
	PutOff *put_off;
	Oid user = GetUserId();

	aion_guard_waiting_call("aion.drive", NULL);
	PreventCommandDuringRecovery("aion.drive()");
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
						errmsg("aion.drive() commits and cannot be called inside a transaction"),
						errhint("Use CALL outside of BEGIN and of functions.")));

	scratch = AllocSetContextCreate(CurrentMemoryContext, "aion drive", ALLOCSET_DEFAULT_SIZES);
	put_off = palloc0(sizeof(PutOff));
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit(); /* what the caller's transaction has done so far */
	begin_transaction(user);
	drive_recover(user);
	while (budget.turns > 0 && put_off->count < PUT_OFF_MOST &&
		   (drive_one(user, &budget, put_off, scratch) || drive_execute_one(user, &budget)))
		MemoryContextReset(scratch);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Sets what the engine needs in the transaction that has just begun, whatever the session's
 * defaults are.  Code of a user is executed only while the session has that user's role.
 */
static void
begin_transaction(Oid user)
{
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
	if (GetUserId() != user)
		ereport(ERROR, (errcode(ERRCODE_INVALID_ROLE_SPECIFICATION),
						errmsg("the role of the session has changed"),
						errdetail("SET LOCAL ROLE has ended with a commit of aion.drive()."),
						errhint("Use SET ROLE.")));
}

/*
 * Advances one run of a user as far as it goes within the time of a batch, and commits.  A run that
 * waits for a lock is put off: it stays ready for the next process that executes turns.
 */
static bool
drive_one(Oid user, Budget *budget, PutOff *put_off, MemoryContext parent)
{
	MemoryContext caller = MemoryContextSwitchTo(parent);
	Authority authority;
	Run *run = NULL;
	ErrorData *cancel = NULL;
	int64 run_key = 0;
	int32 owner_key = 0;
	bool errand = false;

	CHECK_FOR_INTERRUPTS();
	aion_authority_assume(&authority);
	if (aion_adoption_require())
	{
		owner_key = aion_owner_key(user);
		run = aion_ready_claim(owner_key, put_off->run_keys, put_off->count, parent);
	}
	aion_authority_drop(&authority);
	if (run != NULL)
	{
		run_key = run->run_key;
		budget->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), aion_batch_time);
		cancel = advance(run, budget, Max(LOCK_WAIT_MS / (put_off->count + 1), LOCK_WAIT_MIN_MS),
						 caller);
		if (budget->gave_up_waiting)
			put_off->run_keys[put_off->count++] = run_key;
	}
	else if (owner_key != 0)
		errand = drive_errand(owner_key, put_off, caller);
	MemoryContextSwitchTo(caller);
	commit_turns(user, run_key);
	if (cancel != NULL)
		ReThrowError(cancel);
	if (budget->interrupted)
		pg_usleep(GIVE_WAY_US); /* the session that waits gets the lock before this one again */
	budget->interrupted = budget->gave_up_waiting = false;
	return run != NULL || errand;
}

/*
 * Does one errand of an owner; one that waits for a lock is put off, too.
 */
static bool
drive_errand(int32 owner_key, PutOff *put_off, MemoryContext caller)
{
	volatile int64 key = 0;
	volatile bool late = false;
	ErrorData *volatile error = NULL;
	Subtransaction sub;

	aion_interruption_watch(LOCK_WAIT_MS, 0);
	(void) aion_interruption_begin(INTERRUPTION_NO_RUN);
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		Authority authority;
		const Primitive *errands;

		aion_authority_assume(&authority);
		key = aion_primitives_claim_errand(owner_key, NULL, 0, put_off->run_keys, put_off->count,
										   &errands);
		aion_authority_drop(&authority);
		if (key != 0)
			errands->run_errand(key);
		aion_interruption_check();
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		late = aion_interruption_noticed() && key != 0;
		error = aion_subtransaction_abort(&sub);
	}
	PG_END_TRY();
	(void) aion_interruption_begin(0);
	aion_interruption_watch(0, 0);
	if (error != NULL && !late)
		ReThrowError(error); /* the session is as it was */
	if (late)
		put_off->run_keys[put_off->count++] = key;
	return key != 0;
}

/*
 * Executes one piece of a user's work outside of turns, in a transaction of its own.
 */
static bool
drive_execute_one(Oid user, Budget *budget)
{
	Authority authority;
	const Primitive *found = NULL;
	TimestampTz again;

	aion_authority_assume(&authority);
	if (aion_adoption_require())
		found = aion_primitives_claim(aion_owner_key(user), NULL, 0, &again);
	aion_authority_drop(&authority);
	if (found == NULL)
		return false;
	commit_turns(user, 0);
	found->execute();
	commit_turns(user, 0);
	budget->turns--;
	return true;
}

/*
 * Puts back what earlier calls have claimed and not finished, and finds what may be late.
 */
static void
drive_recover(Oid user)
{
	Authority authority;

	aion_authority_assume(&authority);
	if (aion_adoption_require())
	{
		aion_primitives_recover(aion_owner_key(user));
		(void) aion_primitives_tell_late(NULL, 0);
	}
	aion_authority_drop(&authority);
	commit_turns(user, 0);
}

/*
 * Executes a run.  If this statement is cancelled meanwhile, the error is returned.  It is noted
 * like a failure of the infrastructure, so that code which cancels itself is not always executed
 * first.
 */
static ErrorData *
advance(Run *run, Budget *budget, int lock_wait, MemoryContext caller)
{
	ErrorData *volatile cancel = NULL;

	aion_interruption_watch(lock_wait, 0);
	PG_TRY();
	{
		aion_run_advance(run, budget);
		aion_interruption_watch(0, 0);
	}
	PG_CATCH();
	{
		aion_interruption_watch(0, 0);
		MemoryContextSwitchTo(caller);
		cancel = CopyErrorData();
		if (!aion_failure_is_cancel(cancel))
			PG_RE_THROW();
		FlushErrorState();
		aion_run_note_failure(run->run_key, cancel);
	}
	PG_END_TRY();
	return cancel;
}

/*
 * Commits.  If that fails, the run has caused it (by a cursor WITH HOLD, say), and the next
 * transaction notes the failure.
 */
static void
commit_turns(Oid user, int64 run_key)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData *volatile error = NULL;

	PG_TRY();
	{
		CRASH_POINT("drive, not committed");
		SPI_commit();
		CRASH_POINT("drive, committed");
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	begin_transaction(user);
	if (error == NULL)
		return;
	if (run_key == 0 || aion_failure_is_cancel(error))
		ReThrowError(error);
	aion_run_note_failure(run_key, error);
	SPI_commit();
	begin_transaction(user);
}
