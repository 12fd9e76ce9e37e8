/*
 * touched.c
 *		Which runs the current transaction has started, changed or locked.
 *
 * The engine sees these runs only after the commit, so the transaction itself cannot wait for them;
 * a test executes just those it has started.  A run that an activity has locked may be another than
 * the runner has read when it claimed its batch.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "run/touched.h"

/* In the order in which they were noted. */
typedef struct Touched
{
	int64 *keys;
	SubTransactionId *made_in;
	int count;
	int room;
} Touched;

static Touched started;
static Touched touched;
static Touched locked;

static void touched_transaction_ended(XactEvent event, void *argument);
static void touched_subtransaction_ended(SubXactEvent event, SubTransactionId sub,
										 SubTransactionId parent, void *argument);
static void touched_note(Touched *list, int64 run_key);
static bool includes(const Touched *list, int64 run_key);

void
aion_touched_init(void)
{
	RegisterXactCallback(touched_transaction_ended, NULL);
	RegisterSubXactCallback(touched_subtransaction_ended, NULL);
}

void
aion_touched_note_started(int64 run_key)
{
	touched_note(&started, run_key);
}

void
aion_touched_note(int64 run_key)
{
	touched_note(&touched, run_key);
}

void
aion_touched_note_locked(int64 run_key)
{
	touched_note(&locked, run_key);
}

bool
aion_touched_was_locked(int64 run_key)
{
	return includes(&locked, run_key);
}

/*
 * Returns the runs that this transaction has started.
 */
const int64 *
aion_touched_started(int *count)
{
	*count = started.count;
	return started.keys;
}

bool
aion_touched_includes(int64 run_key)
{
	return includes(&started, run_key) || includes(&touched, run_key);
}

static void
touched_transaction_ended(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		started = touched = locked = (Touched){0}; /* they were in the transaction's memory */
}

/*
 * Removes the entries of a subtransaction that is rolled back.  Ids of subtransactions only grow,
 * so these are the end of the list, from its own id on.
 */
static void
touched_subtransaction_ended(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
							 void *argument)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (started.count > 0 && started.made_in[started.count - 1] >= sub)
		started.count--;
	while (touched.count > 0 && touched.made_in[touched.count - 1] >= sub)
		touched.count--;
	while (locked.count > 0 && locked.made_in[locked.count - 1] >= sub)
		locked.count--;
}

static void
touched_note(Touched *list, int64 run_key)
{
	if (list->count == list->room)
	{
		int room = Max(64, list->room * 2);

		if (list->room == 0)
		{
			list->keys = MemoryContextAlloc(TopTransactionContext, room * sizeof(int64));
			list->made_in =
				MemoryContextAlloc(TopTransactionContext, room * sizeof(SubTransactionId));
		}
		else
		{
			list->keys = repalloc_huge(list->keys, room * sizeof(int64));
			list->made_in = repalloc_huge(list->made_in, room * sizeof(SubTransactionId));
		}
		list->room = room;
	}
	list->keys[list->count] = run_key;
	list->made_in[list->count++] = GetCurrentSubTransactionId();
}

static bool
includes(const Touched *list, int64 run_key)
{
	for (int i = 0; i < list->count; i++)
	{
		if (list->keys[i] == run_key)
			return true;
	}
	return false;
}
