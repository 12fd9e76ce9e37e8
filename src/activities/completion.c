/*
 * completion.c
 *		Outcomes that workers have sent and not yet committed.
 *
 * A worker may keep its transaction open after it has completed or failed an activity.  A run that
 * cancels the activity meanwhile does not wait for it, but arms a timer that says so.  The worker
 * looks for that timer right before it commits, and its commit fails if there is one: otherwise
 * what it has written would stay, and its outcome would not be history.  Both hold a lock from then
 * on until they have committed, so one of them is the first.
 *
 * A worker may complete very many activities at once, so their locks are few and shared, by a hash.
 * They belong to an owner, since the transaction that cancels may stay open for long.
 * A transaction that is prepared keeps its locks for as long as it likes, so it has one for each
 * activity, and is in the way of no other.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "activities/completion.h"
#include "run/due.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/extension.h"

/* Classes of advisory locks; clients' own have 1 and 2. */
#define COMMIT_LOCK 0x6172
#define PREPARE_LOCK 0x6173

#define COMMIT_LOCKS 64

typedef struct Completion
{
	int64 run_key;
	int32 owner_key;
	int32 ordinal;
	SubTransactionId made_in;
} Completion;

/* Of this transaction, in the order in which they were sent. */
static Completion *completions = NULL;
static int completion_count = 0;
static int completion_room = 0;

static void completion_transaction_ends(XactEvent event, void *argument);
static void completion_subtransaction_ends(SubXactEvent event, SubTransactionId sub,
										   SubTransactionId parent, void *argument);
static void check_completions(bool is_prepared);
static void lock_commit(int64 run_key, int32 owner_key, LOCKMODE mode);
static void lock_prepare(int64 run_key, int32 ordinal);

void
aion_completion_init(void)
{
	RegisterXactCallback(completion_transaction_ends, NULL);
	RegisterSubXactCallback(completion_subtransaction_ends, NULL);
}

/*
 * Notes that this transaction has sent the outcome of an activity.
 */
void
aion_completion_note(int64 run_key, int32 owner_key, int32 ordinal)
{
	if (completion_count == completion_room)
	{
		completion_room = Max(16, completion_room * 2);
		completions =
			completions == NULL
				? MemoryContextAlloc(TopTransactionContext, completion_room * sizeof(Completion))
				: repalloc_huge(completions, completion_room * sizeof(Completion));
	}
	completions[completion_count++] =
		(Completion){run_key, owner_key, ordinal, GetCurrentSubTransactionId()};
}

/*
 * Lets the commit of a worker that has locked a task fail, if the caller arms the timer that says
 * so.  If the worker commits at this moment, waits until it has.
 */
void
aion_completion_take_over(int64 run_key, int32 owner_key, int32 ordinal)
{
	if (max_prepared_xacts > 0)
		lock_prepare(run_key, ordinal);
	lock_commit(run_key, owner_key, ExclusiveLock);
}

static void
completion_transaction_ends(XactEvent event, void *argument)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && completion_count > 0)
		check_completions(event == XACT_EVENT_PRE_PREPARE);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		completions = NULL; /* it was in the transaction's memory */
		completion_count = completion_room = 0;
	}
}

/*
 * Removes the entries of a subtransaction that is rolled back: the end of the list, from its own id
 * on, since ids of subtransactions only grow.
 */
static void
completion_subtransaction_ends(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
							   void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (completion_count > 0 && completions[completion_count - 1].made_in >= sub)
		completion_count--;
}

static void
check_completions(bool is_prepared)
{
	if (!aion_extension_exists())
		return; /* this transaction has dropped it */
	for (int i = 0; i < completion_count; i++)
	{
		if (is_prepared)
			lock_prepare(completions[i].run_key, completions[i].ordinal);
		else
			lock_commit(completions[i].run_key, completions[i].owner_key, ShareLock);
	}
	for (int i = 0; i < completion_count; i++)
	{
		char name[64];

		snprintf(name, sizeof(name), TIMER_TASK "%d " CANCELLED_LOCKED, completions[i].ordinal);
		if (aion_due_exists(completions[i].run_key, name))
			ereport(ERROR, (errcode(ERRCODE_TASK_CLOSED),
							errmsg("the workflow has cancelled activity %d before this transaction "
								   "committed",
								   completions[i].ordinal),
							errdetail("The transaction is rolled back with all that it has "
									  "written.")));
	}
	CRASH_POINT("completion checked, not committed");
}

/*
 * Takes the lock that orders the commits of workers, who share it, and of a run.
 */
static void
lock_commit(int64 run_key, int32 owner_key, LOCKMODE mode)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) owner_key,
						 murmurhash32((uint32) run_key) % COMMIT_LOCKS, COMMIT_LOCK);
	(void) LockAcquire(&tag, mode, false, false);
}

/*
 * The same for a transaction that is about to be prepared.
 */
static void
lock_prepare(int64 run_key, int32 ordinal)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) run_key,
						 (uint32) (run_key >> 32) ^ (uint32) ordinal, PREPARE_LOCK);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}
