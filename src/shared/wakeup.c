/*
 * wakeup.c
 *		Waking sessions and processes that wait for something, when it has committed.
 *
 * The engine's processes are told through the board what has become ready.  A session that waits
 * writes into its own slot of shared memory what it waits for, looks once more, and sleeps on its
 * latch until the slot is empty.  The backend that makes that happen empties the slot and sets the
 * latch, at the end of the commit, when it is visible to all.  It is the slot that
 * counts: the latch is set for other reasons too, and reset by any other wait while the waiter
 * looks.  A wake-up carries nothing: the waiter looks again, and a spurious one costs a look.
 *
 * COMMIT PREPARED runs no callback, so the utility hook wakes all waiters in that database.  Where
 * no callback can wake a waiter, it looks again by itself: without shared_preload_libraries there
 * is no shared memory, and what a standby replays runs no callbacks either.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "shared/board.h"
#include "shared/shmem.h"
#include "shared/wakeup.h"
#include "support/crash_point.h"
#include "support/pg_compat.h"

#define LOOK_AGAIN_MS 1000 /* for tasks, and on a standby */
#define POLL_MS 20		   /* without shared memory */

/*
 * Mark a set of queues, what a run publishes, and the queue that a waiter was woken for, among what
 * is watched: no key is that large.
 */
#define QUEUE_BITS 61
#define QUEUES (UINT64CONST(1) << 63)
#define PUBLISHED (UINT64CONST(1) << 62)
#define WOKEN (UINT64CONST(1) << QUEUE_BITS)

typedef struct WaiterSlots
{
	int count;
	/* By number of the process: a run, a set of task queues, or the one of them that it was woken
	 * for; 0: nothing, or it was woken. */
	pg_atomic_uint64 watched[FLEXIBLE_ARRAY_MEMBER];
} WaiterSlots;

/* Something to tell when this transaction commits. */
typedef struct News
{
	enum
	{
		NEWS_ENDED,
		NEWS_PUBLISHED,
		NEWS_READY,
		NEWS_TIMER,
		NEWS_TASK,
		NEWS_BACKGROUND,
		NEWS_STOP
	} kind;
	BoardTimer about; /* fire_at only of a timer; owner_key is the ordinal of a task to stop */
} News;

static WaiterSlots *slots = NULL; /* in shared memory, if the library was preloaded */
static News *pending = NULL;
static int pending_count = 0;
static int pending_room = 0;
static bool pending_scan = false;
static TimestampTz pending_look = DT_NOEND; /* the earliest */
static bool pending_extension = false;
static bool committed = false; /* what is pending is to be told when others can see it */
static uint64 woken_for = 0;   /* a queue in which this session has found nothing yet */

static Size wakeup_memory_size(void);
static void wakeup_attach(void *memory, bool is_new, LWLock *lock);
static void wakeup_transaction_ended(XactEvent event, void *argument);
static void wakeup_resources_released(ResourceReleasePhase phase, bool is_commit, bool is_top,
									  void *argument);
static void forget_news(void);
static bool is_here(int process);
static void wake_worker(uint64 bit, int first);
static void wake_waiters(uint64 key, bool ended);
static long look_again_after(void);
static bool is_watching(void);
static void add_news(News news);
static void wakeup_tell(void);

static const SharedPart part = {"aion waiters", NULL, wakeup_memory_size, wakeup_attach};

void
aion_wakeup_init(void)
{
	RegisterXactCallback(wakeup_transaction_ended, NULL);
	RegisterResourceReleaseCallback(wakeup_resources_released, NULL);
	aion_shmem_add(&part);
}

void
aion_wakeup_waiters(int64 run_key)
{
	add_news((News){NEWS_ENDED, {0, run_key, 0}});
}

void
aion_wakeup_published(int64 run_key)
{
	add_news((News){NEWS_PUBLISHED, {0, run_key, 0}});
}

void
aion_wakeup_run(int32 owner_key, int64 run_key)
{
	add_news((News){NEWS_READY, {0, run_key, owner_key}});
}

void
aion_wakeup_timer(int32 owner_key, int64 run_key, TimestampTz fire_at)
{
	add_news((News){NEWS_TIMER, {fire_at, run_key, owner_key}});
}

void
aion_wakeup_queue(const char *name)
{
	add_news((News){NEWS_TASK, {0, (int64) aion_wakeup_queue_bit(name), 0}});
}

void
aion_wakeup_background(int32 owner_key)
{
	add_news((News){NEWS_BACKGROUND, {0, 0, owner_key}});
}

void
aion_wakeup_stop(int64 run_key, int32 ordinal)
{
	add_news((News){NEWS_STOP, {0, run_key, ordinal}});
}

void
aion_wakeup_look(TimestampTz moment)
{
	pending_look = Min(pending_look, moment);
}

void
aion_wakeup_scan(void)
{
	pending_scan = true;
}

void
aion_wakeup_extension(void)
{
	pending_extension = true;
}

/*
 * Wakes all that wait in this database, so that each looks again.
 */
void
aion_wakeup_everybody(void)
{
	for (int i = 0; slots != NULL && i < slots->count; i++)
	{
		PGPROC *process = &ProcGlobal->allProcs[i];

		if (pg_atomic_read_u64(&slots->watched[i]) == 0 || process->databaseId != MyDatabaseId)
			continue;
		pg_atomic_write_u64(&slots->watched[i], 0);
		SetLatch(&process->procLatch);
	}
}

/*
 * Asks to be woken when a run ends.  Caller looks once more before it waits, and asks again before
 * it looks again.
 */
void
aion_wakeup_watch(int64 run_key)
{
	if (slots != NULL)
		pg_atomic_exchange_u64(&slots->watched[AION_COMPAT_MY_PROC_NUMBER], run_key);
}

/*
 * Asks to be woken when a run ends or publishes a name that it has not published before.
 */
void
aion_wakeup_watch_published(int64 run_key)
{
	aion_wakeup_watch((int64) ((uint64) run_key | PUBLISHED));
}

/*
 * Returns the bit that stands for a task queue; others may share it.
 */
uint64
aion_wakeup_queue_bit(const char *name)
{
	return UINT64CONST(1) << hash_bytes((const unsigned char *) name, strlen(name)) % QUEUE_BITS;
}

/*
 * Asks to be woken when one of some task queues has something.  Caller looks once more before it
 * waits.
 */
void
aion_wakeup_watch_queues(uint64 mask)
{
	uint64 watched;

	if (slots == NULL)
		return;
	watched = pg_atomic_exchange_u64(&slots->watched[AION_COMPAT_MY_PROC_NUMBER], mask | QUEUES);
	if ((watched & WOKEN) != 0)
		woken_for = watched & ~WOKEN;
}

/*
 * Says that this session waits no more.  If it was woken for a queue meanwhile, another one looks.
 */
void
aion_wakeup_unwatch(void)
{
	uint64 watched;

	woken_for = 0;
	if (slots == NULL)
		return;
	watched = pg_atomic_exchange_u64(&slots->watched[AION_COMPAT_MY_PROC_NUMBER], 0);
	if ((watched & WOKEN) != 0)
		wake_worker(watched & ~WOKEN, 0);
}

/*
 * Says that this session has found nothing in the queue that it was woken for: it may not claim
 * what is there, or another one was faster.  The next session that waits for the queue looks.
 */
void
aion_wakeup_pass_on(void)
{
	if (woken_for != 0)
		wake_worker(woken_for, AION_COMPAT_MY_PROC_NUMBER + 1);
	woken_for = 0;
}

/*
 * Waits until woken, at most so long, or until it is time to look again.
 */
void
aion_wakeup_wait(long milliseconds)
{
	TimestampTz now = GetCurrentTimestamp();
	long most = Min(milliseconds, look_again_after());
	TimestampTz until = most == LONG_MAX ? DT_NOEND : TimestampTzPlusMilliseconds(now, most);

	while (is_watching() && now < until)
	{
		long left = until == DT_NOEND ? INT_MAX : TimestampDifferenceMilliseconds(now, until);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, INT_MAX), PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		now = GetCurrentTimestamp();
	}
	CHECK_FOR_INTERRUPTS();
}

/*
 * Returns after how long a waiter that is not woken looks all the same.
 */
static long
look_again_after(void)
{
	if (slots == NULL)
		return POLL_MS;
	if ((pg_atomic_read_u64(&slots->watched[AION_COMPAT_MY_PROC_NUMBER]) & QUEUES) != 0 ||
		RecoveryInProgress())
		return LOOK_AGAIN_MS;
	return LONG_MAX;
}

/*
 * Tells whether this session still waits to be woken; without shared memory always.
 */
static bool
is_watching(void)
{
	uint64 watched = 0;

	if (slots != NULL)
		watched = pg_atomic_read_u64(&slots->watched[AION_COMPAT_MY_PROC_NUMBER]);
	return slots == NULL || (watched != 0 && (watched & WOKEN) == 0);
}

static Size
wakeup_memory_size(void)
{
	return add_size(offsetof(WaiterSlots, watched),
					mul_size(MaxBackends, sizeof(pg_atomic_uint64)));
}

static void
wakeup_attach(void *memory, bool is_new, LWLock *lock)
{
	slots = memory;
	if (!is_new)
		return;
	slots->count = MaxBackends;
	for (int i = 0; i < slots->count; i++)
		pg_atomic_init_u64(&slots->watched[i], 0);
}

/*
 * A session whose wait has ended by an error has nothing to be woken for.
 */
static void
wakeup_transaction_ended(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_PRE_COMMIT && pending_count > 0)
		CRASH_POINT("news, not committed");
	if (event == XACT_EVENT_COMMIT)
		committed = true;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		forget_news();
	if (event == XACT_EVENT_ABORT)
	{
		aion_wakeup_pass_on();
		aion_wakeup_unwatch();
	}
}

/*
 * Tells the news at the end of a commit: before that, processes that look would still have what
 * they remember of catalogs that the transaction has changed.
 */
static void
wakeup_resources_released(ResourceReleasePhase phase, bool is_commit, bool is_top, void *argument)
{
	if (!committed || !is_top || phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;
	committed = false;
	if (pending_count > 0)
		CRASH_POINT("news, committed and not told");
	wakeup_tell();
	if (pending_count > 0)
		CRASH_POINT("news, told");
	forget_news();
}

static void
forget_news(void)
{
	pending_count = 0;
	pending_room = 0; /* it was in the transaction's memory */
	pending_scan = pending_extension = false;
	pending_look = DT_NOEND;
}

static void
wakeup_tell(void)
{
	if (pending_count > 0)
		pg_memory_barrier(); /* a session that is not seen waiting sees the commit */
	for (int i = 0; i < pending_count; i++)
	{
		const BoardTimer *about = &pending[i].about;

		switch (pending[i].kind)
		{
			case NEWS_ENDED:
				wake_waiters((uint64) about->run_key, true);
				break;
			case NEWS_PUBLISHED:
				wake_waiters((uint64) about->run_key, false);
				break;
			case NEWS_READY:
				aion_board_post_run(about->owner_key, about->run_key);
				break;
			case NEWS_TIMER:
				aion_board_post_timer(about);
				break;
			case NEWS_TASK:
				wake_worker((uint64) about->run_key, 0);
				aion_board_post_room();
				break;
			case NEWS_BACKGROUND:
				aion_board_post_task(about->owner_key);
				break;
			case NEWS_STOP:
				aion_board_post_stop(about->run_key, about->owner_key);
				break;
		}
	}
	if (pending_look != DT_NOEND)
		aion_board_post_look(pending_look);
	if (pending_scan)
		aion_board_post_scan(MyDatabaseId);
	if (pending_extension)
	{
		aion_board_post_extension(MyDatabaseId);
		aion_wakeup_everybody(); /* what they wait for may be gone */
	}
}

static void
add_news(News news)
{
	if (slots == NULL)
		return;
	if (pending_count == pending_room)
	{
		pending_room = Max(64, pending_room * 2);
		pending = pending_room == 64
					  ? MemoryContextAlloc(TopTransactionContext, pending_room * sizeof(News))
					  : repalloc_huge(pending, pending_room * sizeof(News));
	}
	pending[pending_count++] = news;
}

/*
 * Tells whether a process is connected to this database: keys of runs and names of queues are the
 * same in others.
 */
static bool
is_here(int process)
{
	return ProcGlobal->allProcs[process].databaseId == MyDatabaseId;
}

/*
 * Wakes one of the sessions that wait for a queue, from one on, which then waits no more: as many
 * tasks, as many workers.
 */
static void
wake_worker(uint64 bit, int first)
{
	for (int i = first; i < slots->count; i++)
	{
		uint64 watched = pg_atomic_read_u64(&slots->watched[i]);

		if ((watched & QUEUES) == 0 || (watched & bit) == 0 || !is_here(i) ||
			!pg_atomic_compare_exchange_u64(&slots->watched[i], &watched, WOKEN | bit))
			continue;
		SetLatch(&ProcGlobal->allProcs[i].procLatch);
		return;
	}
}

/*
 * Wakes the sessions that wait for what a run publishes and, when it has ended, for its end.
 */
static void
wake_waiters(uint64 key, bool ended)
{
	for (int i = 0; i < slots->count; i++)
	{
		uint64 watched = pg_atomic_read_u64(&slots->watched[i]);

		if ((watched != (key | PUBLISHED) && (!ended || watched != key)) || !is_here(i) ||
			!pg_atomic_compare_exchange_u64(&slots->watched[i], &watched, 0))
			continue;
		SetLatch(&ProcGlobal->allProcs[i].procLatch);
	}
}
