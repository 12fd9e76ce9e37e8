/*
 * interruption.c
 *		Interrupting a turn that other sessions or processes wait for.
 *
 * A session that waits for the lock of a run writes the run's key into its own slot of shared
 * memory.  The process that has claimed the run then releases it before it begins a turn, or the
 * session might wait for ever.  If the run is to be ended, a turn that has begun need not go on
 * either: the process looks at the slots at every tick of the stopwatch that runs while code of
 * users does.  No signal is sent, so none can reach a process that is busy with something else by
 * then.  A tick that finds the run cancels the code from within its process, and the function that
 * executes the code takes the cancel back.
 *
 * The process also sets how long a share may wait for a lock, and how long it may take, because
 * other runs wait behind it: a watch of its own, which ticks in the engine's statements, too.  It
 * is no lock_timeout: code could take that error for an answer, and could change the setting.
 *
 * Code that reaches no place where PostgreSQL lets itself be interrupted is deaf: nothing can end
 * it.  Each tick asks for such a place, and the next one sees whether there was one.
 *
 * Without shared memory (no shared_preload_libraries) the session waits for the turn's end.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "shared/interruption.h"
#include "shared/shmem.h"
#include "shared/worker_slots.h"
#include "support/pg_compat.h"

#define AT_ONCE (UINT64CONST(1) << 63) /* beside the key */
#define TICK_MS 20
#define TICKS 8			/* at least, while it waits for a lock */
#define GIVE_UP_MS 1000 /* after which a process of the engine ends */
#define DEAF_MS 1000	/* after which the process is called deaf */

typedef struct WantedSlots
{
	int count;
	pg_atomic_uint64 wanted[FLEXIBLE_ARRAY_MEMBER]; /* by number of the process; 0: nothing */
} WantedSlots;

static WantedSlots *slots = NULL;
static const int64 *held = NULL; /* read by a signal handler: count is set last and reset first */
static volatile int held_count = 0;
static volatile int64 current = 0;
static volatile sig_atomic_t noticed = INTERRUPTION_NONE;
static TimeoutId timeout_id = MAX_TIMEOUTS; /* until registered */
static volatile int most_waiting = 0;		/* ms for a lock, 0: no limit */
static volatile int most_taking = 0;		/* ms for a share, 0: no limit */
static volatile TimestampTz began = 0;
static volatile TimestampTz noticed_at = 0;
static volatile TimestampTz asked_at = 0; /* 0: nothing was asked */
static volatile bool deaf = false;

static Size interruption_memory_size(void);
static void interruption_attach(void *memory, bool is_new, LWLock *lock);
static void leave(int code, Datum argument);
static bool is_held(int64 run_key);
static void interruption_tick(void);
static void listen(void);
static void set_deaf(bool is_deaf);
static Interruption find_cause(void);
static bool waits_too_long(TimestampTz since);
static bool is_over(TimestampTz since, int milliseconds);

static const SharedPart part = {"aion interruptions", NULL, interruption_memory_size,
								interruption_attach};

void
aion_interruption_init(void)
{
	aion_shmem_add(&part);
}

/*
 * Says that this session waits for a run; at once, if the turn that it may be in is not needed.
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
 * array belongs to the caller, which calls again with none before it is gone.
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
 * Limits the shares that are executed from now on; no limits end the watch.  It does not tick more
 * often than a wait for a lock needs: with log_lock_waits the server writes a line at each tick.
 */
void
aion_interruption_watch(int lock_ms, int share_ms)
{
	int period = lock_ms > 0 ? Max(Min(lock_ms, TICK_MS), lock_ms / TICKS) : TICK_MS;

	most_waiting = lock_ms;
	most_taking = share_ms;
	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, interruption_tick);
	if (lock_ms > 0 || share_ms > 0)
		enable_timeout_every(timeout_id, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), period),
							 period);
	else
		disable_timeout(timeout_id, false);
}

/*
 * Notes the run that is executed from now on, 0 for none; returns what it was before.  A cancel
 * that has not been processed before that is taken back.
 */
int64
aion_interruption_begin(int64 run_key)
{
	int64 previous = current;

	current = 0;
	pg_compiler_barrier();
	if (noticed != INTERRUPTION_NONE)
		QueryCancelPending = false;
	noticed = INTERRUPTION_NONE;
	noticed_at = asked_at = 0;
	set_deaf(false);
	began = GetCurrentTimestamp();
	pg_compiler_barrier();
	current = run_key;
	return previous;
}

/*
 * Tells whether a session waits for a run.
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
 * Looks whether a session waits to end a run that this process has locked.  For signal handlers,
 * too.
 */
bool
aion_interruption_look(void)
{
	for (int i = 0;
		 slots != NULL && current != 0 && noticed == INTERRUPTION_NONE && i < slots->count; i++)
	{
		uint64 wanted = pg_atomic_read_u64(&slots->wanted[i]);

		if ((wanted & AT_ONCE) != 0 && ProcGlobal->allProcs[i].databaseId == MyDatabaseId &&
			is_held((int64) (wanted & ~AT_ONCE)))
			noticed = INTERRUPTION_BY_END;
	}
	return noticed != INTERRUPTION_NONE;
}

bool
aion_interruption_noticed(void)
{
	return noticed != INTERRUPTION_NONE;
}

Interruption
aion_interruption_cause(void)
{
	return (Interruption) noticed;
}

/*
 * Raises an error in a turn that is to end, whether or not its code has caught the cancel.
 */
void
aion_interruption_check(void)
{
	if (noticed != INTERRUPTION_NONE)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
						errmsg("turn was interrupted because others wait for it")));
}

static void
interruption_tick(void)
{
	if (current == 0 || proc_exit_inprogress)
		return;
	listen();
	if (!aion_interruption_look())
		noticed = find_cause();
	if (noticed == INTERRUPTION_NONE)
		return;
	if (noticed_at == 0)
		noticed_at = GetCurrentTimestamp();
	else if (!QueryCancelPending && is_over(noticed_at, GIVE_UP_MS) && MyBackendType == B_BG_WORKER)
		ProcDiePending = true; /* code that catches each cancel; deaf code has not met one */
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * Looks whether interrupts were processed since the last tick.
 */
static void
listen(void)
{
	if (asked_at != 0 && InterruptPending)
	{
		if (is_over(asked_at, DEAF_MS))
			set_deaf(true);
		return;
	}
	set_deaf(false);
	asked_at = GetCurrentTimestamp();
	InterruptPending = true;
}

static void
set_deaf(bool is_deaf)
{
	if (deaf != is_deaf)
		aion_worker_slots_set_deaf(is_deaf);
	deaf = is_deaf;
}

/*
 * Tells which limit the share has passed.
 */
static Interruption
find_cause(void)
{
	if (aion_worker_slots_must_make_room())
		return INTERRUPTION_FOR_ROOM;
	if (aion_worker_slots_task_is_stopped())
		return INTERRUPTION_BY_END;
	if (MyProc->waitLock != NULL && waits_too_long(pg_atomic_read_u64(&MyProc->waitStart)))
		return INTERRUPTION_AT_LOCK;
	return is_over(began, most_taking) ? INTERRUPTION_AS_SLOW : INTERRUPTION_NONE;
}

/*
 * Tells whether a wait for a lock is too long.  A run that no other waits behind may wait as long
 * as it has worked: that work would be lost.
 */
static bool
waits_too_long(TimestampTz since)
{
	if (most_taking == 0 && GetCurrentTimestamp() - since < since - began)
		return false;
	return is_over(since, most_waiting);
}

static bool
is_over(TimestampTz since, int milliseconds)
{
	return milliseconds > 0 && since != 0 &&
		   GetCurrentTimestamp() - since >= (TimestampTz) milliseconds * 1000;
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
interruption_memory_size(void)
{
	return add_size(offsetof(WantedSlots, wanted), mul_size(MaxBackends, sizeof(pg_atomic_uint64)));
}

static void
interruption_attach(void *memory, bool is_new, LWLock *lock)
{
	slots = memory;
	if (!is_new)
		return;
	slots->count = MaxBackends;
	for (int i = 0; i < slots->count; i++)
		pg_atomic_init_u64(&slots->wanted[i], 0);
}

static void
leave(int code, Datum argument)
{
	aion_interruption_want_nothing();
}
