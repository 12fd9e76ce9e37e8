/*
 * wakeup.c
 *		Waking sessions when what they wait for has committed.
 *
 * A session that waits writes into its own slot of shared memory what it waits for, looks once
 * more, and sleeps on its latch.  Whoever makes that happen sets the latch from a transaction
 * callback, when the commit is visible to everybody.  A wake-up carries nothing: the waiter looks
 * again.  A spurious one costs a look, a lost one (COMMIT PREPARED runs no callback, and without
 * shared_preload_libraries there is no shared memory) a second at most.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"

#include "support/pg_compat.h"
#include "support/wakeup.h"

#define LOOK_AGAIN_MS 1000 /* when nobody woke us */
#define POLL_MS 20		   /* when nobody can */

typedef struct WaiterSlots
{
	int count;
	pg_atomic_uint64 run_key[FLEXIBLE_ARRAY_MEMBER]; /* by number of the process; 0: none */
} WaiterSlots;

static WaiterSlots *slots = NULL; /* in shared memory, if we were preloaded */
static int64 *pending = NULL;	  /* runs this transaction ended */
static int pending_count = 0;
static int pending_room = 0;

static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static Size slots_size(void);
static void request_memory(void);
static void attach_memory(void);
static void transaction_ended(XactEvent event, void *argument);
static void set_latches(int64 run_key);

void
aion_wakeup_init(void)
{
	RegisterXactCallback(transaction_ended, NULL);
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = attach_memory;
}

/*
 * Wakes the sessions that wait for a run, once this transaction commits.
 */
void
aion_wakeup_waiters(int64 run_key)
{
	if (slots == NULL)
		return;
	if (pending_count == pending_room)
	{
		pending_room = Max(64, pending_room * 2);
		pending = pending == NULL
					  ? MemoryContextAlloc(TopMemoryContext, pending_room * sizeof(int64))
					  : repalloc(pending, pending_room * sizeof(int64));
	}
	pending[pending_count++] = run_key;
}

/*
 * Asks to be woken when a run ends.  Caller looks once more before it waits.
 */
void
aion_wakeup_watch(int64 run_key)
{
	if (slots != NULL && AION_COMPAT_MY_PROC_NUMBER < slots->count)
		pg_atomic_exchange_u64(&slots->run_key[AION_COMPAT_MY_PROC_NUMBER], run_key);
}

void
aion_wakeup_unwatch(void)
{
	aion_wakeup_watch(0);
}

/*
 * Waits to be woken, at most so long.
 */
void
aion_wakeup_wait(long milliseconds)
{
	long most = slots != NULL ? LOOK_AGAIN_MS : POLL_MS;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Min(milliseconds, most), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static Size
slots_size(void)
{
	return add_size(offsetof(WaiterSlots, run_key),
					mul_size(MaxBackends, sizeof(pg_atomic_uint64)));
}

static void
request_memory(void)
{
	if (next_shmem_request != NULL)
		next_shmem_request();
	RequestAddinShmemSpace(slots_size());
}

static void
attach_memory(void)
{
	bool found;

	if (next_shmem_startup != NULL)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	slots = ShmemInitStruct("aion waiters", slots_size(), &found);
	if (!found)
	{
		slots->count = MaxBackends;
		for (int i = 0; i < slots->count; i++)
			pg_atomic_init_u64(&slots->run_key[i], 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

static void
transaction_ended(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT)
	{
		for (int i = 0; i < pending_count; i++)
			set_latches(pending[i]);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		pending_count = 0;
	if (event == XACT_EVENT_ABORT)
		aion_wakeup_unwatch();
}

static void
set_latches(int64 run_key)
{
	for (int i = 0; i < slots->count; i++)
	{
		if (pg_atomic_read_u64(&slots->run_key[i]) == (uint64) run_key)
			SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}
