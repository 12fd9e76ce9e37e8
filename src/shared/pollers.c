/*
 * pollers.c
 *		Which workers poll the task queues.
 *
 * A queue that no worker polls looks like one that is slow, so each poll is noted in shared memory,
 * in the slot of its process.  A waiting poll looks again every second, and is noted again then.
 * Workers are distinguished by role and name, because a pooler gives one worker many processes.
 * Like the pace of queues this is a statistic: it begins anew with the server.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "shared/pollers.h"
#include "shared/shmem.h"
#include "shared/wakeup.h"
#include "support/pg_compat.h"

#define SPAN_MS (60 * 1000) /* a poll counts for so long */
#define QUEUES_MAX 16		/* noted by name of one poll; if it has more, by their bits */

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

static PollerSlots *shared = NULL; /* in shared memory, if the library was preloaded */

static Size pollers_memory_size(void);
static void pollers_attach(void *memory, bool is_new, LWLock *lock);
static uint32 hash_of(const char *name);
static bool polls(const PollerSlot *slot, const char *queue, TimestampTz now);
static List *add_poller(List *pollers, const Poller *poller);

static const SharedPart part = {"aion pollers", "aion_pollers", pollers_memory_size,
								pollers_attach};

void
aion_pollers_init(void)
{
	aion_shmem_add(&part);
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

	if (shared == NULL)
		return;
	for (int i = 0; i < Min(count, QUEUES_MAX); i++)
		slot.queues[i] = hash_of(TextDatumGetCString(queues[i]));
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->slots[AION_COMPAT_MY_PROC_NUMBER] = slot;
	LWLockRelease(shared->lock);
}

/*
 * Tells whether polls are noted here at all.
 */
bool
aion_pollers_are_known(void)
{
	return shared != NULL;
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

	if (shared == NULL)
		return NIL;
	count = shared->count;
	copy = palloc(count * sizeof(PollerSlot));
	LWLockAcquire(shared->lock, LW_SHARED);
	memcpy(copy, shared->slots, count * sizeof(PollerSlot));
	LWLockRelease(shared->lock);
	for (int i = 0; i < count; i++)
	{
		if (polls(&copy[i], queue, now))
			found = add_poller(found, &copy[i].poller);
	}
	return found;
}

static Size
pollers_memory_size(void)
{
	return add_size(offsetof(PollerSlots, slots), mul_size(MaxBackends, sizeof(PollerSlot)));
}

static void
pollers_attach(void *memory, bool is_new, LWLock *lock)
{
	shared = memory;
	if (!is_new)
		return;
	shared->count = MaxBackends;
	shared->lock = lock;
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
