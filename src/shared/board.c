/*
 * board.c
 *		Hints of what there is to do: posted after a commit, taken by the engine's processes.
 *
 * Everything here is a hint.  The tables say what is to be done; the board only saves scanning
 * them.  A superfluous hint costs a lookup.  A lost hint would leave a run unexecuted, so where
 * there is no room for one, or no process to take it, a flag requests a scan of the tables.  Every
 * process begins with such a scan.
 *
 * One lock guards it all, held for a few instructions.  Hints are posted after commit and taken
 * before the snapshot in which the taker looks.
 *
 * A hint wakes a process that rests.  One that works is not woken: a wait for a lock or a buffer
 * would reset its latch.  It asks under the lock, when it is about to rest, whether there is
 * something new.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "replication/logicallauncher.h"
#include "storage/latch.h"
#include "storage/proc.h"

#include "guc.h"
#include "shared/board.h"
#include "shared/board_memory.h"
#include "shared/hold.h"
#include "shared/shmem.h"

static Board *board = NULL;

static int count_slots(void);
static int count_runner_slots(void);
static Size runners_size(void);
static Size board_memory_size(void);
static void board_attach(void *memory, bool is_new, LWLock *lock);
static void wake_scheduler(const DatabaseSlot *slot);
static void push_run(RunnerSlot *runner, int64 run_key);

static const SharedPart part = {"aion board", "aion_board", board_memory_size, board_attach};

void
aion_board_init(void)
{
	aion_shmem_add(&part);
}

bool
aion_board_exists(void)
{
	return board != NULL;
}

Board *
aion_board_memory(void)
{
	return board;
}

/*
 * Says that a run of this database may have something to do.
 */
void
aion_board_post_run(int32 owner_key, int64 run_key)
{
	DatabaseSlot *database;

	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	database = aion_board_database(MyDatabaseId);
	if (database != NULL)
	{
		int hints = aion_board_give(MyDatabaseId, owner_key, run_key);

		if (hints == 0 || hints == CROWD)
			aion_board_want(database, (BoardOwner){owner_key, false});
	}
	LWLockRelease(board->lock);
}

/*
 * Says that an owner has an activity for the background.  An idle executor is woken.  If there is
 * none, busy executors look when they are done, and another one is started if there is room.
 */
void
aion_board_post_task(int32 owner_key)
{
	DatabaseSlot *database;
	bool found = false;

	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	database = aion_board_database(MyDatabaseId);
	for (int i = 0; database != NULL && i < board->runner_count && !found; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (!aion_board_executes(runner, MyDatabaseId, owner_key))
			continue;
		found = runner->idle && !runner->scan;
		runner->scan = true;
		if (found)
			aion_board_set_latch(runner->process);
	}
	if (!found)
		aion_board_want(database, (BoardOwner){owner_key, true});
	LWLockRelease(board->lock);
}

/*
 * Says that a queue of this database may have room again.
 */
void
aion_board_post_room(void)
{
	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (runner->database != MyDatabaseId || !runner->limited)
			continue;
		runner->limited = false;
		runner->scan = true;
		aion_board_set_latch(runner->process);
	}
	LWLockRelease(board->lock);
}

/*
 * Says that a task is not wanted any more: the statement of the executor that executes it is
 * cancelled.  An executor ends its task under the lock, so no other statement of it is cancelled.
 */
void
aion_board_post_stop(int64 run_key, int32 ordinal)
{
	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (runner->database == MyDatabaseId && runner->task_run == run_key &&
			runner->task_ordinal == ordinal)
			aion_board_stop(runner);
	}
	LWLockRelease(board->lock);
}

/*
 * Says that a timer was armed in this database.
 */
void
aion_board_post_timer(const BoardTimer *timer)
{
	DatabaseSlot *slot;

	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	if (slot != NULL && timer->fire_at <= slot->horizon)
	{
		if (slot->timer_count == TIMERS)
			aion_board_ask_scan(slot);
		else
			slot->timers[(slot->first_timer + slot->timer_count++) % TIMERS] = *timer;
		if (timer->fire_at < slot->next_wake || slot->timer_count == TIMERS / 2)
			wake_scheduler(slot);
	}
	LWLockRelease(board->lock);
}

/*
 * Says that from a moment on a task of this database may be late.
 */
void
aion_board_post_look(TimestampTz moment)
{
	DatabaseSlot *slot;

	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	if (slot != NULL && moment < slot->look_at)
	{
		slot->look_at = moment;
		if (moment < slot->next_wake)
			wake_scheduler(slot);
	}
	LWLockRelease(board->lock);
}

/*
 * Says that the tables of a database must be scanned: it is not known what has changed in them.
 */
void
aion_board_post_scan(Oid database)
{
	DatabaseSlot *slot;

	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(database);
	if (slot != NULL)
		aion_board_ask_scan(slot);
	LWLockRelease(board->lock);
}

/*
 * Asks all schedulers to scan their tables.
 */
void
aion_board_post_scan_everywhere(void)
{
	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < board->database_count; i++)
	{
		DatabaseSlot *slot = &board->databases[i];

		if (OidIsValid(slot->database))
			aion_board_ask_scan(slot);
	}
	LWLockRelease(board->lock);
}

/*
 * Says that the extension may have come to a database, or gone from it.
 */
void
aion_board_post_extension(Oid database)
{
	DatabaseSlot *slot;

	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	if (board->asked_count == ASKED)
		board->ask_all = true;
	else
		board->asked[board->asked_count++] = database;
	aion_board_set_latch(board->launcher);
	slot = aion_board_database(database);
	if (slot != NULL)
		aion_board_ask_scan(slot);
	LWLockRelease(board->lock);
}

/*
 * Says that there may be other databases than before.
 */
void
aion_board_post_databases(void)
{
	if (board == NULL)
		return;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	board->ask_all = true;
	aion_board_set_latch(board->launcher);
	LWLockRelease(board->lock);
}

/*
 * Returns the databases where the launcher must look whether there is an extension.
 */
List *
aion_board_take_databases(bool *all)
{
	List *databases = NIL;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	*all = board->ask_all;
	for (int i = 0; i < board->asked_count; i++)
		databases = list_append_unique_oid(databases, board->asked[i]);
	board->ask_all = false;
	board->asked_count = 0;
	LWLockRelease(board->lock);
	return databases;
}

/*
 * Returns a run of this database that was being executed by a process that died; 0: no more.
 */
int64
aion_board_take_casualty(void)
{
	int64 run_key = 0;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < INFLIGHT_SLOTS && run_key == 0; i++)
	{
		if (board->casualties[i].database != MyDatabaseId)
			continue;
		run_key = board->casualties[i].run_key;
		board->casualties[i].run_key = 0;
	}
	LWLockRelease(board->lock);
	return run_key;
}

bool
aion_board_take_scan(void)
{
	DatabaseSlot *slot;
	bool scan;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	scan = slot->scan;
	slot->scan = false;
	LWLockRelease(board->lock);
	return scan;
}

/*
 * Returns the owners for which a process, or one more, is wanted.
 */
int
aion_board_take_owners(BoardOwner *owners, int most)
{
	DatabaseSlot *slot;
	int count;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	count = Min(slot->owner_count, most);
	memcpy(owners, slot->owners, count * sizeof(BoardOwner));
	slot->owner_count -= count;
	memmove(slot->owners, slot->owners + count, slot->owner_count * sizeof(BoardOwner));
	LWLockRelease(board->lock);
	return count;
}

/*
 * Returns the earliest moment that was posted since the last call; DT_NOEND: none was.
 */
TimestampTz
aion_board_take_look(void)
{
	DatabaseSlot *slot;
	TimestampTz moment;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	moment = slot->look_at;
	slot->look_at = DT_NOEND;
	LWLockRelease(board->lock);
	return moment;
}

int
aion_board_take_timers(BoardTimer *timers, int most)
{
	DatabaseSlot *slot;
	int count = 0;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	for (; count < most && slot->timer_count > 0; slot->timer_count--)
		timers[count++] = slot->timers[slot->first_timer++ % TIMERS];
	LWLockRelease(board->lock);
	return count;
}

/*
 * Says up to which moment the scheduler is about to know the timers.  From now on, a transaction
 * that arms an earlier one posts it.
 */
void
aion_board_set_horizon(TimestampTz horizon)
{
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	aion_board_database(MyDatabaseId)->horizon = horizon;
	LWLockRelease(board->lock);
}

/*
 * Says until when the scheduler is about to rest; false if there is something new.
 */
bool
aion_board_begin_rest(TimestampTz until, bool serves_owners)
{
	DatabaseSlot *slot;
	bool rest;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	rest = !slot->scan && slot->timer_count == 0 && slot->look_at >= until &&
		   (slot->owner_count == 0 || !serves_owners) && !aion_hold_is_on(MyDatabaseId);
	for (int i = 0; i < board->runner_count; i++)
		rest = rest && !aion_board_must_relieve(&board->runners[i], MyDatabaseId);
	if (rest)
		slot->next_wake = until;
	LWLockRelease(board->lock);
	return rest;
}

/*
 * Says that the scheduler works: nothing that is posted from now on wakes it.
 */
void
aion_board_end_rest(void)
{
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	aion_board_database(MyDatabaseId)->next_wake = DT_NOBEGIN;
	LWLockRelease(board->lock);
}

/*
 * Lets the processes of an owner scan the tables, or asks for one.
 */
void
aion_board_scan_owner(BoardOwner owner)
{
	bool found = false;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (!(owner.executor ? aion_board_executes(runner, MyDatabaseId, owner.owner_key)
							 : aion_board_serves(runner, MyDatabaseId, owner.owner_key)))
			continue;
		found = runner->scan = true;
		runner->recover = owner.executor;
		aion_board_set_latch(runner->process);
	}
	if (!found)
		aion_board_want(aion_board_database(MyDatabaseId), owner);
	LWLockRelease(board->lock);
}

/*
 * Each database that is served has a scheduler.  Besides these there are the launcher, PostgreSQL's
 * launcher of logical replication, and one runner at least, without which nothing would be
 * executed. One slot more is for looking into databases.
 */
static int
count_slots(void)
{
	return Max(max_worker_processes - 2 - (max_logical_replication_workers > 0), 1) + 1;
}

/*
 * Processes whose code cannot be interrupted are replaced, as long as the server has any left.
 */
static int
count_runner_slots(void)
{
	return aion_max_runners == 0
			   ? 0
			   : Max(2 * aion_max_runners, Min(max_worker_processes, INFLIGHT_SLOTS));
}

static Size
runners_size(void)
{
	return MAXALIGN(
		add_size(offsetof(Board, runners), mul_size(count_runner_slots(), sizeof(RunnerSlot))));
}

static Size
board_memory_size(void)
{
	return add_size(runners_size(), mul_size(count_slots(), sizeof(DatabaseSlot)));
}

static void
board_attach(void *memory, bool is_new, LWLock *lock)
{
	board = memory;
	if (!is_new)
		return;
	board->lock = lock;
	board->launcher = -1;
	board->runner_count = count_runner_slots();
	board->database_count = count_slots();
	board->databases = (DatabaseSlot *) ((char *) board + runners_size());
	if (aion_max_runners > 0)
		aion_inflight_collect(board->casualties);
	for (int i = 0; i < board->database_count; i++)
		board->databases[i].scheduler = -1;
}

int
aion_board_pid(int process)
{
	return process >= 0 ? ProcGlobal->allProcs[process].pid : 0;
}

void
aion_board_set_latch(int process)
{
	if (process >= 0)
		SetLatch(&ProcGlobal->allProcs[process].procLatch);
}

/*
 * The slot of a database, of no database a free one; NULL if there is none.
 */
DatabaseSlot *
aion_board_database(Oid database)
{
	for (int i = 0; i < board->database_count; i++)
	{
		if (board->databases[i].database == database)
			return &board->databases[i];
	}
	return NULL;
}

void
aion_board_ask_scan(DatabaseSlot *slot)
{
	slot->scan = true;
	wake_scheduler(slot);
}

static void
wake_scheduler(const DatabaseSlot *slot)
{
	if (slot->next_wake != DT_NOBEGIN)
		aion_board_set_latch(slot->scheduler);
}

bool
aion_board_serves(const RunnerSlot *runner, Oid database, int32 owner_key)
{
	return runner->database == database && runner->owner_key == owner_key && !runner->dismissed &&
		   !runner->engaged && !runner->executor;
}

bool
aion_board_executes(const RunnerSlot *runner, Oid database, int32 owner_key)
{
	return runner->database == database && runner->owner_key == owner_key && !runner->dismissed &&
		   runner->executor;
}

/*
 * Tells whether a runner cannot be interrupted, and holds up what it was told of.
 */
bool
aion_board_must_relieve(const RunnerSlot *runner, Oid database)
{
	return runner->database == database && runner->deaf && !runner->engaged && !runner->executor;
}

/*
 * Cancels the task that an executor executes; with the lock.
 */
void
aion_board_stop(RunnerSlot *runner)
{
	if (runner->process < 0 || runner->task_run == 0)
		return;
	runner->task_stopped = true;
	(void) kill(ProcGlobal->allProcs[runner->process].pid, SIGINT);
}

/*
 * Gives a hint to one of an owner's runners that are free to take it.  Returns how many hints that
 * runner has now; 0: there is no such runner.
 */
int
aion_board_give(Oid database, int32 owner_key, int64 run_key)
{
	int count = 0;
	int index;

	for (int i = 0; i < board->runner_count; i++)
		count += aion_board_serves(&board->runners[i], database, owner_key);
	if (count == 0)
		return 0;
	index = (int) ((uint64) run_key % count);
	for (int i = 0;; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (!aion_board_serves(runner, database, owner_key) || index-- > 0)
			continue;
		push_run(runner, run_key);
		return (int) runner->run_count;
	}
}

/*
 * Asks the scheduler of a database for a process of an owner; with the lock.  Without a scheduler
 * (NULL) there is nothing to do: the next one begins with a scan.
 */
void
aion_board_want(DatabaseSlot *slot, BoardOwner owner)
{
	if (slot == NULL)
		return;
	for (int i = 0; i < slot->owner_count; i++)
	{
		if (slot->owners[i].owner_key == owner.owner_key &&
			slot->owners[i].executor == owner.executor)
			return;
	}
	if (slot->owner_count == OWNERS)
		slot->scan = true;
	else
		slot->owners[slot->owner_count++] = owner;
	wake_scheduler(slot);
}

static void
push_run(RunnerSlot *runner, int64 run_key)
{
	if (runner->run_count == RUNS)
		runner->scan = true;
	else
		runner->runs[(runner->first_run + runner->run_count++) % RUNS] = run_key;
	if (runner->idle && (runner->run_count == 1 || runner->scan))
		aion_board_set_latch(runner->process);
}

/*
 * The number of an owner's runners has changed, and with it the part of the runs that belongs to
 * each: all scan the table.
 */
void
aion_board_reshare(Oid database, int32 owner_key)
{
	for (int i = 0; i < board->runner_count; i++)
	{
		if (aion_board_serves(&board->runners[i], database, owner_key))
		{
			board->runners[i].scan = true;
			aion_board_set_latch(board->runners[i].process);
		}
	}
}
