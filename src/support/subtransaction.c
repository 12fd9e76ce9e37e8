/*
 * subtransaction.c
 *		Subtransactions whose errors are caught.
 */
#include "postgres.h"

#include "access/xact.h"
#include "storage/proc.h"

#include "support/subtransaction.h"

#define MANY 50 /* more than 64 overflow what other backends' snapshots hold */

static void restore(const Subtransaction *sub);

/*
 * Begins a subtransaction.  The memory context stays the caller's.
 */
void
aion_subtransaction_begin(Subtransaction *sub)
{
	sub->context = CurrentMemoryContext;
	sub->owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	sub->level = GetCurrentTransactionNestLevel();
	MemoryContextSwitchTo(sub->context);
}

/*
 * Ends it and keeps what it has done.
 */
void
aion_subtransaction_release(const Subtransaction *sub)
{
	ReleaseCurrentSubTransaction();
	restore(sub);
}

/*
 * Rolls it back, with the subtransactions that code has begun in it and not ended.
 */
void
aion_subtransaction_undo(const Subtransaction *sub)
{
	while (GetCurrentTransactionNestLevel() >= sub->level)
		RollbackAndReleaseCurrentSubTransaction();
	restore(sub);
}

/*
 * The same after an error, which is caught.  Returns it, in the caller's memory context.
 */
ErrorData *
aion_subtransaction_abort(const Subtransaction *sub)
{
	ErrorData *error;

	MemoryContextSwitchTo(sub->context);
	error = CopyErrorData();
	FlushErrorState();
	aion_subtransaction_undo(sub);
	return error;
}

/*
 * The same, and raises the error again.
 */
void
aion_subtransaction_fail(const Subtransaction *sub)
{
	ReThrowError(aion_subtransaction_abort(sub));
}

static void
restore(const Subtransaction *sub)
{
	MemoryContextSwitchTo(sub->context);
	CurrentResourceOwner = sub->owner;
}

/*
 * Tells whether this transaction has so many subtransactions that it should end.
 */
bool
aion_subtransactions_are_many(void)
{
	return MyProc->subxidStatus.count >= MANY || MyProc->subxidStatus.overflowed;
}
