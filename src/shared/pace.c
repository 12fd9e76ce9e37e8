/*
 * pace.c
 *		Throughput of the task queues.
 *
 * What is begun and ended is counted in shared memory when its transaction has committed, for each
 * queue and owner, and fades: what happened a minute ago counts about a third.  So the sum, divided
 * by a minute, is about what happened per second in the last minute or so.  It is a statistic: it
 * begins anew with the server, of very many queues those that were idle longest are dropped, and
 * what was rolled back to a savepoint is counted all the same.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"

#include "shared/pace.h"
#include "shared/shmem.h"
#include "support/extension.h"

#define ENTRIES 256
#define PENDING 16
#define SPAN 60.0 /* seconds */

typedef struct Entry
{
	Oid database;  /* InvalidOid: free */
	Oid extension; /* as it is installed there: another one has other owners */
	uint32 hash;   /* of the pace's key */
	Pace pace;	   /* sums, as they were then */
	TimestampTz at;
} Entry;

typedef struct Paces
{
	LWLock *lock;
	Entry entries[ENTRIES];
} Paces;

static Paces *paces = NULL; /* in shared memory, if the library was preloaded */
static Pace pending[PENDING];
static int pending_count = 0;
static Oid pending_extension = InvalidOid;

static Size pace_memory_size(void);
static void pace_attach(void *memory, bool is_new, LWLock *lock);
static Pace *pending_of(int32 owner_key, const char *queue);
static void pace_transaction_ended(XactEvent event, void *argument);
static Entry *pace_find(const Pace *pace);
static void fade(Entry *entry, TimestampTz now);

static const SharedPart part = {"aion paces", "aion_pace", pace_memory_size, pace_attach};

void
aion_pace_init(void)
{
	RegisterXactCallback(pace_transaction_ended, NULL);
	aion_shmem_add(&part);
}

/*
 * Counts an attempt that begins.
 */
void
aion_pace_begin(int32 owner_key, const char *queue)
{
	Pace *pace = pending_of(owner_key, queue);

	if (pace != NULL)
		pace->begun++;
}

/*
 * Counts an activity that has come to its end.
 */
void
aion_pace_end(int32 owner_key, const char *queue)
{
	Pace *pace = pending_of(owner_key, queue);

	if (pace != NULL)
		pace->ended++;
}

/*
 * Returns how fast the queues of this database go, and how many there are.
 */
int
aion_pace_read(Pace **found)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid extension = aion_extension_of_any_version()->oid;
	int count = 0;

	*found = palloc(ENTRIES * sizeof(Pace));
	if (paces == NULL)
		return 0;
	LWLockAcquire(paces->lock, LW_EXCLUSIVE);
	for (int i = 0; i < ENTRIES; i++)
	{
		Entry *entry = &paces->entries[i];

		if (entry->database != MyDatabaseId || entry->extension != extension)
			continue;
		fade(entry, now);
		(*found)[count] = entry->pace;
		(*found)[count].begun /= SPAN;
		(*found)[count++].ended /= SPAN;
	}
	LWLockRelease(paces->lock);
	return count;
}

static Size
pace_memory_size(void)
{
	return sizeof(Paces);
}

static void
pace_attach(void *memory, bool is_new, LWLock *lock)
{
	paces = memory;
	if (is_new)
		paces->lock = lock;
}

/*
 * Returns what this transaction has to count of a queue; NULL: it has touched too many.
 */
static Pace *
pending_of(int32 owner_key, const char *queue)
{
	for (int i = 0; i < pending_count; i++)
		if (pending[i].owner_key == owner_key && strcmp(pending[i].queue, queue) == 0)
			return &pending[i];
	if (paces == NULL || pending_count == PENDING)
		return NULL;
	pending_extension = aion_extension()->oid; /* cannot be looked up after the commit */
	pending[pending_count] = (Pace){.owner_key = owner_key};
	strlcpy(pending[pending_count].queue, queue, sizeof(pending[pending_count].queue));
	return &pending[pending_count++];
}

static void
pace_transaction_ended(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT && pending_count > 0)
	{
		TimestampTz now = GetCurrentTimestamp();

		LWLockAcquire(paces->lock, LW_EXCLUSIVE);
		for (int i = 0; i < pending_count; i++)
		{
			Entry *entry = pace_find(&pending[i]);

			fade(entry, now);
			entry->pace.begun += pending[i].begun;
			entry->pace.ended += pending[i].ended;
		}
		LWLockRelease(paces->lock);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		pending_count = 0;
}

/*
 * Returns the entry of a queue; a new one replaces the one that was idle longest.
 */
static Entry *
pace_find(const Pace *pace)
{
	uint32 hash =
		hash_bytes((const unsigned char *) pace->queue, strlen(pace->queue)) ^ pace->owner_key;
	Entry *oldest = &paces->entries[0];

	for (int i = 0; i < ENTRIES; i++)
	{
		Entry *entry = &paces->entries[i];

		if (entry->database == MyDatabaseId && entry->extension == pending_extension &&
			entry->hash == hash && entry->pace.owner_key == pace->owner_key &&
			strcmp(entry->pace.queue, pace->queue) == 0)
			return entry;
		if (entry->at < oldest->at)
			oldest = entry;
	}
	*oldest = (Entry){
		.database = MyDatabaseId, .extension = pending_extension, .hash = hash, .pace = *pace};
	oldest->pace.begun = oldest->pace.ended = 0;
	return oldest;
}

static void
fade(Entry *entry, TimestampTz now)
{
	double part = exp(-(double) Max(now - entry->at, 0) / (SPAN * USECS_PER_SEC));

	entry->pace.begun *= part;
	entry->pace.ended *= part;
	entry->at = now;
}
