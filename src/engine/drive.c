/*
 * drive.c
 *		The engine as a function: CALL aion.drive() executes what is ready of the caller's runs.
 *
 * The loop that any executor of turns has: claim, advance, commit.  It needs no background process
 * and can be called by hand or by pg_cron.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "engine/advance.h"
#include "engine/failure.h"
#include "engine/fence.h"
#include "engine/guard.h"
#include "engine/owner.h"
#include "engine/primitive.h"
#include "engine/ready.h"
#include "guc.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/extension.h"

#define GIVE_WAY_US 1000

static void begin_transaction(void);
static bool drive_one(Oid user, Budget *budget, MemoryContext parent);
static bool execute_one(Oid user, Budget *budget);
static void recover(Oid user);
static ErrorData *advance(Run *run, Budget *budget, MemoryContext caller);
static void commit_turns(int64 run_key);

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
	Oid user = GetUserId();

	aion_guard_waiting_call("aion.drive");
	PreventCommandDuringRecovery("aion.drive()");
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		((CallContext *) fcinfo->context)->atomic)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
						errmsg("aion.drive() commits and cannot be called inside a transaction"),
						errhint("Use CALL outside of BEGIN and of functions.")));

	scratch = AllocSetContextCreate(CurrentMemoryContext, "aion drive", ALLOCSET_DEFAULT_SIZES);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	SPI_commit(); /* what the caller's transaction has done so far */
	begin_transaction();
	recover(user);
	while (budget.turns > 0 && (drive_one(user, &budget, scratch) || execute_one(user, &budget)))
		MemoryContextReset(scratch);
	SPI_finish();
	PG_RETURN_VOID();
}

/*
 * Makes the transaction that has just begun what the engine needs, whatever the session's defaults
 * are.
 */
static void
begin_transaction(void)
{
	XactIsoLevel = XACT_READ_COMMITTED;
	XactReadOnly = false;
}

/*
 * Takes one run of a user as far as it goes within the time of a batch, and commits.
 */
static bool
drive_one(Oid user, Budget *budget, MemoryContext parent)
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
	if (aion_fence_require_adopted())
	{
		owner_key = aion_owner_key(user);
		run = aion_ready_claim(owner_key, parent);
	}
	aion_authority_drop(&authority);
	if (run != NULL)
	{
		run_key = run->run_key;
		budget->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), aion_batch_time);
		cancel = advance(run, budget, caller);
	}
	else if (owner_key != 0)
		errand = aion_primitives_run_errand(owner_key, NULL, 0);
	MemoryContextSwitchTo(caller);
	commit_turns(run_key);
	if (cancel != NULL)
		ReThrowError(cancel);
	if (budget->interrupted)
		pg_usleep(GIVE_WAY_US); /* or this session had the lock again before who waits for it */
	budget->interrupted = false;
	return run != NULL || errand;
}

/*
 * Executes one piece of a user's work outside of turns, in a transaction of its own.
 */
static bool
execute_one(Oid user, Budget *budget)
{
	Authority authority;
	Primitive *found = NULL;
	TimestampTz again;

	aion_authority_assume(&authority);
	if (aion_fence_require_adopted())
		found = aion_primitives_claim(aion_owner_key(user), NULL, 0, &again);
	aion_authority_drop(&authority);
	if (found == NULL)
		return false;
	commit_turns(0);
	found->execute();
	commit_turns(0);
	budget->turns--;
	return true;
}

/*
 * Puts back what earlier calls have claimed that came to no end.
 */
static void
recover(Oid user)
{
	Authority authority;

	aion_authority_assume(&authority);
	if (aion_fence_require_adopted())
		aion_primitives_recover(aion_owner_key(user));
	aion_authority_drop(&authority);
	commit_turns(0);
}

/*
 * Executes a run.  If this statement is cancelled meanwhile, that is noted like a failure of the
 * machine, so that code which cancels itself does not come first for ever, and returned.
 */
static ErrorData *
advance(Run *run, Budget *budget, MemoryContext caller)
{
	ErrorData *volatile cancel = NULL;

	PG_TRY();
	{
		aion_run_advance(run, budget);
	}
	PG_CATCH();
	{
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
 * Commits.  If that fails, what made it fail (a cursor WITH HOLD, say) is the run's, and the next
 * transaction notes it.
 */
static void
commit_turns(int64 run_key)
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
	begin_transaction();
	if (error == NULL)
		return;
	if (run_key == 0 || aion_failure_is_cancel(error))
		ReThrowError(error);
	aion_run_note_failure(run_key, error);
	SPI_commit();
	begin_transaction();
}
