/*
 * pollers.c
 *		Who polls the task queues.
 *
 * A queue that no worker polls looks like one that is slow, so each poll is noted in shared memory,
 * in the slot of its process.  A waiting poll looks again every second, and is noted again then.
 * Workers are told apart by role and name, because a pooler gives one worker many processes.  Like
 * the pace of queues this is a statistic: it begins anew with the server.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "support/pg_compat.h"
#include "support/pollers.h"
#include "support/wakeup.h"

#define SPAN_MS (60 * 1000) /* a poll counts for so long */
#define QUEUES_MAX 16		/* that are told apart of one poll; of more, by their bits */

typedef struct PollerSlot
{
	Oid database;
	Poller poller;
	TimestampTz polled_at;
	uint64 mask;
	int count;
	uint32 queues[QUEUES_MAX]; /* hashes of their names */
} PollerSlot;

typedef struct PollerSlots
{
	LWLock *lock;
	int count;
	PollerSlot slots[FLEXIBLE_ARRAY_MEMBER]; /* by number of the process */
} PollerSlots;

static PollerSlots *memory = NULL; /* shared, if we were preloaded */

static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static Size memory_size(void);
static void request_memory(void);
static void attach_memory(void);
static uint32 hash_of(const char *name);
static bool polls(const PollerSlot *slot, const char *queue, TimestampTz now);
static List *add_poller(List *pollers, const Poller *poller);

void
aion_pollers_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_memory;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = attach_memory;
}

/*
 * Notes that this process polls some queues, for a worker or, without a name, for itself.
 */
void
aion_pollers_note(Oid role, const char *worker, uint64 mask, const Datum *queues, int count)
{
	PollerSlot slot = {.database = MyDatabaseId,
					   .poller = {role, worker != NULL ? hash_of(worker) : (uint32) MyProcPid},
					   .polled_at = GetCurrentTimestamp(),
					   .mask = mask,
					   .count = count};

	if (memory == NULL)
		return;
	for (int i = 0; i < Min(count, QUEUES_MAX); i++)
		slot.queues[i] = hash_of(TextDatumGetCString(queues[i]));
	LWLockAcquire(memory->lock, LW_EXCLUSIVE);
	memory->slots[AION_COMPAT_MY_PROC_NUMBER] = slot;
	LWLockRelease(memory->lock);
}

/*
 * Tells whether polls are noted here at all.
 */
bool
aion_pollers_are_known(void)
{
	return memory != NULL;
}

/*
 * Returns the workers that have polled a queue of this database lately, each once.
 */
List *
aion_pollers_of(const char *queue)
{
	TimestampTz now = GetCurrentTimestamp();
	PollerSlot *copy;
	List *found = NIL;
	int count;

	if (memory == NULL)
		return NIL;
	count = memory->count;
	copy = palloc(count * sizeof(PollerSlot));
	LWLockAcquire(memory->lock, LW_SHARED);
	memcpy(copy, memory->slots, count * sizeof(PollerSlot));
	LWLockRelease(memory->lock);
	for (int i = 0; i < count; i++)
	{
		if (polls(&copy[i], queue, now))
			found = add_poller(found, &copy[i].poller);
	}
	return found;
}

static Size
memory_size(void)
{
	return add_size(offsetof(PollerSlots, slots), mul_size(MaxBackends, sizeof(PollerSlot)));
}

static void
request_memory(void)
{
	if (next_shmem_request != NULL)
		next_shmem_request();
	RequestAddinShmemSpace(memory_size());
	RequestNamedLWLockTranche("aion_pollers", 1);
}

static void
attach_memory(void)
{
	bool found;

	if (next_shmem_startup != NULL)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	memory = ShmemInitStruct("aion pollers", memory_size(), &found);
	if (!found)
	{
		memset(memory, 0, memory_size());
		memory->count = MaxBackends;
		memory->lock = &GetNamedLWLockTranche("aion_pollers")->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

static uint32
hash_of(const char *name)
{
	return hash_bytes((const unsigned char *) name, strlen(name));
}

static bool
polls(const PollerSlot *slot, const char *queue, TimestampTz now)
{
	uint32 hash = hash_of(queue);

	if (slot->database != MyDatabaseId || TimestampDifferenceExceeds(slot->polled_at, now, SPAN_MS))
		return false;
	if (slot->count > QUEUES_MAX)
		return (slot->mask & aion_wakeup_queue_bit(queue)) != 0;
	for (int i = 0; i < slot->count; i++)
	{
		if (slot->queues[i] == hash)
			return true;
	}
	return false;
}

static List *
add_poller(List *pollers, const Poller *poller)
{
	ListCell *cell;
	Poller *added;

	foreach (cell, pollers)
	{
		const Poller *known = lfirst(cell);

		if (known->role == poller->role && known->worker == poller->worker)
			return pollers;
	}
	added = palloc(sizeof(Poller));
	*added = *poller;
	return lappend(pollers, added);
}
