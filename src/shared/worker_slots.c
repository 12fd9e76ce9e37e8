/*
 * worker_slots.c
 *		Slots of the board for runners and executors, taken and given back.
 *
 * The scheduler reserves a slot (room.c).  The process takes it when it begins, and gives it back
 * in a callback, however it ends.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#include "shared/board_memory.h"
#include "shared/hold.h"
#include "shared/room.h"
#include "shared/worker_slots.h"
#include "support/pg_compat.h"

static RunnerSlot *own_runner = NULL;

/* A run that may have something to do, and its position among the hints. */
typedef struct Hint
{
	int64 key;
	int position;
	bool is_first; /* of its key */
} Hint;

static int remove_duplicates(int64 *keys, int count);
static int compare_hints(const void *a, const void *b);
static int compare_positions(const void *a, const void *b);
static bool must_leave(void);
static bool others_must_scan(void);
static bool give_away(RunnerSlot *from, const int64 *run_keys, int count);
static void leave_runner(int code, Datum argument);

/*
 * Frees the slot of a runner that has not begun, and will not; false if it has.
 */
bool
aion_worker_slots_free_runner(int slot, uint32 generation)
{
	Board *board = aion_board_memory();
	RunnerSlot *runner = &board->runners[slot];
	bool was_reserved;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	was_reserved =
		runner->generation == generation && OidIsValid(runner->database) && runner->process < 0;
	if (was_reserved)
	{
		runner->database = InvalidOid;
		aion_board_reshare(MyDatabaseId, runner->owner_key);
	}
	LWLockRelease(board->lock);
	return was_reserved;
}

/*
 * Lets all runners of this database end when they are done with what they execute.
 */
void
aion_worker_slots_dismiss(void)
{
	Board *board = aion_board_memory();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (runner->database != MyDatabaseId)
			continue;
		runner->dismissed = true;
		if (runner->process >= 0)
			aion_board_set_latch(runner->process);
		else
			runner->database = InvalidOid; /* it will find that it is not wanted */
	}
	LWLockRelease(board->lock);
}

/*
 * Tells whether this process of the engine must leave its database.
 */
bool
aion_worker_slots_must_leave(void)
{
	Board *board = aion_board_memory();
	bool leave;

	LWLockAcquire(board->lock, LW_SHARED);
	leave = must_leave();
	LWLockRelease(board->lock);
	return leave;
}

static bool
must_leave(void)
{
	return aion_hold_is_on(MyDatabaseId) || (own_runner != NULL && own_runner->dismissed);
}

/*
 * Makes this process a runner; false if it is no longer wanted.  Called before it is connected.
 */
bool
aion_worker_slots_runner_begin(int slot, uint32 generation, WorkerSlot *runner)
{
	Board *board = aion_board_memory();
	RunnerSlot *own = &board->runners[slot];
	bool wanted;

	before_shmem_exit(leave_runner, (Datum) 0);
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	wanted = own->generation == generation && OidIsValid(own->database) &&
			 !aion_hold_is_on(own->database) && aion_board_database(own->database) != NULL;
	if (wanted)
	{
		own_runner = own;
		own->process = AION_COMPAT_MY_PROC_NUMBER;
		runner->database = own->database;
		runner->role = own->role;
		runner->owner_key = own->owner_key;
	}
	LWLockRelease(board->lock);
	return wanted;
}

/*
 * Takes hints, of those about the same run one; scan says that the runner must look in the table
 * for ready runs of its part.
 */
int
aion_worker_slots_take_runs(int64 *run_keys, int most, bool *scan, WorkerSlot *runner)
{
	Board *board = aion_board_memory();
	int count = 0;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (; count < most && own_runner->run_count > 0; own_runner->run_count--)
		run_keys[count++] = own_runner->runs[own_runner->first_run++ % RUNS];
	*scan = own_runner->scan;
	own_runner->scan = false;
	runner->count = 0;
	for (int i = 0; i < board->runner_count; i++)
	{
		if (&board->runners[i] == own_runner)
			runner->index = runner->count;
		runner->count += aion_board_serves(&board->runners[i], runner->database, runner->owner_key);
	}
	LWLockRelease(board->lock);
	return remove_duplicates(run_keys, count); /* not under the lock, which every commit takes */
}

/*
 * Keeps the first of equal keys, in their order; returns how many are left.
 */
static int
remove_duplicates(int64 *keys, int count)
{
	Hint *hints = palloc(Max(count, 1) * sizeof(Hint));
	int kept = 0;

	for (int i = 0; i < count; i++)
		hints[i] = (Hint){keys[i], i, false};
	qsort(hints, count, sizeof(Hint), compare_hints);
	for (int i = 0; i < count; i++)
		hints[i].is_first = i == 0 || hints[i].key != hints[i - 1].key;
	qsort(hints, count, sizeof(Hint), compare_positions);
	for (int i = 0; i < count; i++)
	{
		if (hints[i].is_first)
			keys[kept++] = hints[i].key;
	}
	pfree(hints);
	return kept;
}

static int
compare_hints(const void *a, const void *b)
{
	const Hint *left = a;
	const Hint *right = b;

	if (left->key != right->key)
		return left->key < right->key ? -1 : 1;
	return left->position - right->position;
}

static int
compare_positions(const void *a, const void *b)
{
	return ((const Hint *) a)->position - ((const Hint *) b)->position;
}

/*
 * Says that there is more to do than one runner should do alone.
 */
void
aion_worker_slots_want_another(void)
{
	Board *board = aion_board_memory();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	aion_board_want(aion_board_database(MyDatabaseId),
					(BoardOwner){own_runner->owner_key, own_runner->executor});
	LWLockRelease(board->lock);
}

void
aion_worker_slots_end_idle(void)
{
	own_runner->idle = false; /* read as a hint */
}

/*
 * Says that this runner will be busy with one run for an unknown time, and gives all that it has to
 * do to the other runners of its owner.  The last runner that is free for the owner's runs stays
 * free, or all of them might wait for the same lock; where there is no other and will be none, the
 * caller insists.
 */
WorkerEngagement
aion_worker_slots_engage(const int64 *run_keys, int count, bool scanning, bool insist)
{
	Board *board = aion_board_memory();
	WorkerEngagement engagement = ENGAGED_FREELY;
	DatabaseSlot *slot;
	int all = 0;
	int others = 0;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	own_runner->engaged = true;
	for (int i = 0; i < board->runner_count; i++)
	{
		const RunnerSlot *runner = &board->runners[i];

		others += aion_board_serves(runner, MyDatabaseId, own_runner->owner_key);
		all += runner->database == MyDatabaseId && runner->owner_key == own_runner->owner_key &&
			   !runner->dismissed && !runner->executor;
	}
	slot = aion_board_database(MyDatabaseId);
	if (others == 0 && slot != NULL)
		aion_board_want(slot, (BoardOwner){own_runner->owner_key, false});
	if (others == 0)
		engagement = all > 1 || !insist ? ENGAGED_NOT : ENGAGED_ALONE;
	own_runner->engaged = engagement != ENGAGED_NOT;
	own_runner->since = GetCurrentTimestamp();
	if (engagement == ENGAGED_FREELY)
	{
		if (own_runner->scan || scanning || others_must_scan())
			aion_board_reshare(MyDatabaseId, own_runner->owner_key);
		if (give_away(own_runner, run_keys, count) && slot != NULL)
			aion_board_want(slot, (BoardOwner){own_runner->owner_key, false});
	}
	LWLockRelease(board->lock);
	return engagement;
}

/*
 * Gives runs, and the hints that a runner has not taken, to other runners; with the lock.  Tells
 * whether one of them now has so many that another runner is wanted.
 */
static bool
give_away(RunnerSlot *from, const int64 *run_keys, int count)
{
	bool crowded = false;

	for (int i = 0; i < count; i++)
		crowded |= aion_board_give(MyDatabaseId, from->owner_key, run_keys[i]) == CROWD;
	for (; from->run_count > 0; from->run_count--)
	{
		int64 run_key = from->runs[from->first_run++ % RUNS];

		crowded |= aion_board_give(MyDatabaseId, from->owner_key, run_key) == CROWD;
	}
	return crowded;
}

/*
 * Tells whether another runner of the owner has to scan.  Its part of the runs is another one now
 * than that of which it has missed something.
 */
static bool
others_must_scan(void)
{
	const Board *board = aion_board_memory();

	for (int i = 0; i < board->runner_count; i++)
	{
		const RunnerSlot *runner = &board->runners[i];

		if (runner != own_runner && runner->scan &&
			aion_board_serves(runner, MyDatabaseId, own_runner->owner_key))
			return true;
	}
	return false;
}

/*
 * Says that this runner is free again.  It scans for what the other runners have not reached.
 */
void
aion_worker_slots_disengage(void)
{
	Board *board = aion_board_memory();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	own_runner->engaged = own_runner->relieved = false;
	own_runner->scan = true;
	if (others_must_scan())
		aion_board_reshare(MyDatabaseId, own_runner->owner_key);
	own_runner->since = GetCurrentTimestamp();
	LWLockRelease(board->lock);
}

/*
 * Lets all runners of the owner scan, because this one has left its part of the runs unfinished.
 */
void
aion_worker_slots_reshare(void)
{
	Board *board = aion_board_memory();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	aion_board_reshare(MyDatabaseId, own_runner->owner_key);
	LWLockRelease(board->lock);
}

/*
 * Says how many processes of its kind the owner of this one may have; 0: no limit.
 */
void
aion_worker_slots_set_limit(int limit)
{
	own_runner->limit = limit; /* read as a hint */
}

/*
 * Tells whether another owner waits for the slot of this process.  For signal handlers, too.
 */
bool
aion_worker_slots_must_make_room(void)
{
	return own_runner != NULL && own_runner->make_room;
}

/*
 * Says whether what this process executes cannot be interrupted.  For signal handlers, too.
 */
void
aion_worker_slots_set_deaf(bool is_deaf)
{
	const DatabaseSlot *slot;

	if (own_runner == NULL)
		return;
	own_runner->deaf = is_deaf;
	slot = is_deaf ? aion_board_database(own_runner->database) : NULL;
	if (slot != NULL)
		aion_board_set_latch(slot->scheduler);
}

/*
 * Lets other runners execute what runners of this database that are deaf were told of.
 */
void
aion_worker_slots_relieve(void)
{
	Board *board = aion_board_memory();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (!aion_board_must_relieve(runner, MyDatabaseId))
			continue;
		runner->engaged = runner->relieved = true;
		runner->since = GetCurrentTimestamp();
		aion_board_reshare(MyDatabaseId, runner->owner_key);
		(void) give_away(runner, NULL, 0);
		aion_board_want(aion_board_database(MyDatabaseId), (BoardOwner){runner->owner_key, false});
	}
	LWLockRelease(board->lock);
}

/*
 * Tells whether other runners do what this one was told of.
 */
bool
aion_worker_slots_was_relieved(void)
{
	return own_runner->relieved;
}

/*
 * Tells whether the task that this process executes is to be stopped.  For signal handlers, too.
 */
bool
aion_worker_slots_task_is_stopped(void)
{
	return own_runner != NULL && own_runner->task_run != 0 && own_runner->task_stopped;
}

void
aion_worker_slots_count_batch(int runs)
{
	own_runner->batches++; /* read as a hint */
	own_runner->runs_executed += runs;
}

/*
 * Gives up the slot of a runner that has nothing to do; false if there is something after all.
 */
bool
aion_worker_slots_retire(void)
{
	Board *board = aion_board_memory();
	bool retired;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	retired = own_runner->run_count == 0 && !own_runner->scan;
	if (retired)
	{
		own_runner->database = InvalidOid;
		aion_board_reshare(MyDatabaseId, own_runner->owner_key);
		own_runner = NULL;
	}
	LWLockRelease(board->lock);
	return retired;
}

/*
 * Tells an executor whether there may be something for it since it looked last; recover says that a
 * process may have left a claim behind.
 */
bool
aion_worker_slots_look(bool *recover)
{
	Board *board = aion_board_memory();
	bool look;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	look = own_runner->scan;
	*recover = own_runner->recover;
	own_runner->scan = own_runner->recover = own_runner->limited = own_runner->idle = false;
	LWLockRelease(board->lock);
	return look;
}

/*
 * Says that this process has found nothing, or nothing that there is room for; false if there is
 * something new.
 */
bool
aion_worker_slots_begin_idle(bool limited)
{
	Board *board = aion_board_memory();
	bool rest;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	rest =
		!own_runner->scan && own_runner->run_count == 0 && !own_runner->relieved && !must_leave();
	own_runner->idle = rest;
	own_runner->limited = rest && limited;
	LWLockRelease(board->lock);
	return rest;
}

/*
 * Notes which run or errand this process executes, also for the time after a crash.
 */
void
aion_worker_slots_execute(int64 key)
{
	if (own_runner != NULL)
		own_runner->executing = key;
	aion_inflight_note(key);
}

/*
 * Says which task this process executes, so that it can be stopped.
 */
void
aion_worker_slots_begin_task(int64 run_key, int32 ordinal)
{
	Board *board = aion_board_memory();

	if (own_runner == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	own_runner->task_stopped = false;
	own_runner->task_run = run_key;
	own_runner->task_ordinal = ordinal;
	own_runner->since = GetCurrentTimestamp();
	LWLockRelease(board->lock);
}

/*
 * Says that this process executes the task no longer.  A cancel that was sent to stop the task came
 * before this, and must not stop anything else.
 */
void
aion_worker_slots_end_task(void)
{
	Board *board = aion_board_memory();

	if (own_runner == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	own_runner->task_run = 0;
	LWLockRelease(board->lock);
	QueryCancelPending = false;
}

/*
 * Describes the runner in a slot; false past the last one.  A free slot has no database.
 */
bool
aion_worker_slots_runner(int slot, WorkerSlotView *runner)
{
	Board *board = aion_board_memory();
	const RunnerSlot *found;

	if (board == NULL || slot >= board->runner_count)
		return false;
	found = &board->runners[slot];
	LWLockAcquire(board->lock, LW_SHARED);
	*runner = (WorkerSlotView){.pid = aion_board_pid(found->process),
							   .database = found->database,
							   .owner_key = found->owner_key,
							   .since = found->since,
							   .queued = (int) found->run_count,
							   .executing = found->executing,
							   .batches = found->batches,
							   .runs = found->runs_executed};
	runner->state = found->process < 0						   ? "starting"
					: found->deaf || aion_room_is_stuck(found) ? "stuck"
					: found->dismissed						   ? "leaving"
					: found->task_run != 0					   ? "executing"
					: found->engaged						   ? "engaged"
					: found->idle							   ? "idle"
															   : "active";
	LWLockRelease(board->lock);
	return true;
}

/*
 * A runner that ends otherwise than by aion_worker_slots_retire() may leave something undone.
 */
static void
leave_runner(int code, Datum argument)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;
	Oid database;

	if (own_runner == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	database = own_runner->database;
	own_runner->database = InvalidOid;
	aion_board_reshare(database, own_runner->owner_key);
	slot = OidIsValid(database) ? aion_board_database(database) : NULL;
	if (slot != NULL)
		aion_board_ask_scan(slot);
	LWLockRelease(board->lock);
}
