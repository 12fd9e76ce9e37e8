/*
 * interruption.c
 *		Ending a turn that is in the way of somebody who wants its run at once.
 *
 * Whoever waits for the lock of a run writes the run's key into its own slot of shared memory.  An
 * executor that has claimed the run then lets it go before it begins a turn, or the waiting might
 * never end.  If the run is to be ended, a turn that has begun need not go on either: executors
 * look at the slots at every tick of the stopwatch that runs while code of users does.  Nothing is
 * sent, so nothing can reach a process that is busy with something else by then.  What a tick finds
 * cancels the code from within, and whoever executes it takes the cancel back.
 *
 * Without shared memory (no shared_preload_libraries) who waits has to wait for the turn's end.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"

#include "support/interruption.h"
#include "support/pg_compat.h"

#define AT_ONCE (UINT64CONST(1) << 63) /* beside the key */

typedef struct WantedSlots
{
	int count;
	pg_atomic_uint64 wanted[FLEXIBLE_ARRAY_MEMBER]; /* by number of the process; 0: nothing */
} WantedSlots;

static WantedSlots *slots = NULL;
static const int64 *held = NULL; /* read by a signal handler: count is set last and reset first */
static volatile int held_count = 0;
static volatile int64 current = 0;
static volatile sig_atomic_t noticed = false;

static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static Size slots_size(void);
static void request_memory(void);
static void attach_memory(void);
static void leave(int code, Datum argument);
static bool is_held(int64 run_key);

void
aion_interruption_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = attach_memory;
}

/*
 * Says that this session waits for a run; at once, if nobody needs the turn that it may be in.
 */
void
aion_interruption_want(int64 run_key, bool at_once)
{
	static bool registered = false;

	if (slots == NULL || AION_COMPAT_MY_PROC_NUMBER >= slots->count)
		return;
	if (!registered)
		before_shmem_exit(leave, (Datum) 0);
	registered = true;
	pg_atomic_exchange_u64(&slots->wanted[AION_COMPAT_MY_PROC_NUMBER],
						   (uint64) run_key | (at_once ? AT_ONCE : 0));
}

void
aion_interruption_want_nothing(void)
{
	if (slots != NULL && AION_COMPAT_MY_PROC_NUMBER < slots->count)
		pg_atomic_write_u64(&slots->wanted[AION_COMPAT_MY_PROC_NUMBER], 0);
}

/*
 * Notes the runs whose locks this transaction has taken, besides the one that is executed.  The
 * array is the caller's, who calls again with none before it is gone.
 */
void
aion_interruption_hold(const int64 *run_keys, int count)
{
	held_count = 0;
	held = run_keys;
	pg_compiler_barrier();
	held_count = count;
}

/*
 * Notes the run that is executed from now on, 0 for none; returns what it was before.
 */
int64
aion_interruption_begin(int64 run_key)
{
	int64 previous = current;

	noticed = false;
	current = run_key;
	return previous;
}

/*
 * Tells whether somebody waits for a run.
 */
bool
aion_interruption_is_wanted(int64 run_key)
{
	for (int i = 0; slots != NULL && i < slots->count; i++)
	{
		if ((pg_atomic_read_u64(&slots->wanted[i]) & ~AT_ONCE) == (uint64) run_key &&
			ProcGlobal->allProcs[i].databaseId == MyDatabaseId)
			return true;
	}
	return false;
}

/*
 * Looks whether somebody waits to end what this process has.  For signal handlers, too.
 */
bool
aion_interruption_look(void)
{
	for (int i = 0; slots != NULL && current != 0 && i < slots->count; i++)
	{
		uint64 wanted = pg_atomic_read_u64(&slots->wanted[i]);

		if ((wanted & AT_ONCE) != 0 && ProcGlobal->allProcs[i].databaseId == MyDatabaseId &&
			is_held((int64) (wanted & ~AT_ONCE)))
			noticed = true;
	}
	return noticed;
}

bool
aion_interruption_noticed(void)
{
	return noticed;
}

/*
 * Leaves a turn that somebody is waiting for the end of, whatever its code made of the cancel.
 */
void
aion_interruption_check(void)
{
	if (noticed)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
						errmsg("turn was interrupted by who ends a run")));
}

static bool
is_held(int64 run_key)
{
	if (run_key == current)
		return true;
	for (int i = 0; i < held_count; i++)
	{
		if (held[i] == run_key)
			return true;
	}
	return false;
}

static Size
slots_size(void)
{
	return add_size(offsetof(WantedSlots, wanted), mul_size(MaxBackends, sizeof(pg_atomic_uint64)));
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
	slots = ShmemInitStruct("aion interruptions", slots_size(), &found);
	if (!found)
	{
		slots->count = MaxBackends;
		for (int i = 0; i < slots->count; i++)
			pg_atomic_init_u64(&slots->wanted[i], 0);
	}
	LWLockRelease(AddinShmemInitLock);
}

static void
leave(int code, Datum argument)
{
	aion_interruption_want_nothing();
}
