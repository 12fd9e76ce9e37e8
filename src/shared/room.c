/*
 * room.c
 *		Which owner gets a process when there are not enough slots for all.
 *
 * All databases share the slots.  What a role has in several of them counts together where others
 * want a slot of it.  An owner that has no process gets one before another gets one
 * more.  An idle process ends first, else one of the owner that has most, when it is done with what
 * it executes.  A turn that an owner without any process waits for is interrupted at once; in the
 * last process of an owner a moment later, if another owner has a runner, and of several turns the
 * one that was begun last: so those that were begun before it complete.  An activity in the
 * background is interrupted after a while, in the last executors of owners later, and likewise the
 * one that was begun last.
 *
 * Activities in the background may take for ever.  So one slot is left to runners, and of the rest
 * one to owners that have no executor.  Where the only runner executes a turn that takes long,
 * there is room for one more.
 *
 * Code in some languages, or one long expression, cannot be interrupted.  A process that executes
 * such code, or was told to leave and does not react, is stuck where its slot is wanted: another
 * one takes its place, for an owner that has fewer processes than the server may have, stuck ones
 * included.  An owner that has no other gets the slot of an idle process, or one more than there
 * should be while the server has processes to spare; others' code is not interrupted for it.  No
 * owner with such code gets more than half of the processes that the server can have, together with
 * all that are stuck.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/logicallauncher.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "shared/board_memory.h"
#include "shared/room.h"

#define ACTIVITY_GRACE_MS 5000 /* from when its process should leave until it is stopped */
#define LAST_GRACE_TURNS 6	   /* the same of an owner's last one, times aion.turn_timeout */
#define LAST_TURN_MS 250	   /* the same until the turn in an owner's last one is interrupted */
#define CALL_MS 500			   /* how long a freed slot is kept for the owner it was freed for */
#define LEAVE_MS 300		   /* the same until another one is told to leave, too */
#define SLOW_MS 60000		   /* how long its owner then comes after others */
#define FRESH_MS 500		   /* from when a process is started until it may be told to end */
#define STUCK_MS 10000		   /* from when a process is interrupted until it is taken for stuck */

/* What an owner has of one kind. */
typedef struct Standing
{
	int all;
	int of_role; /* what its role has in all databases, if it has one here */
	Oid role;
	int stuck;	 /* of both kinds; they are not among all */
	int alike;	 /* all, and the stuck ones of this kind */
	int able;	 /* all that are not deaf */
	int deaf;	 /* of both kinds, and those that are stuck */
	int sound;	 /* of both kinds, all others that are not to leave */
	int free;	 /* to take work */
	int limit;	 /* 0: none */
	bool is_new; /* one has not posted its limit */
} Standing;

static bool is_like(const RunnerSlot *runner, Oid database, BoardOwner owner);
static bool is_room(bool executor);
static Standing standing_of(Oid database, BoardOwner owner);
static void note_slow_owner(const RunnerSlot *runner);
static bool is_held_back(const Standing *mine);
static int most_processes(void);
static int count_of_role(const RunnerSlot *like);
static bool may_have_more(BoardOwner owner, const Standing *mine);
static int count_processes(bool executor);
static bool is_welcome(const RunnerSlot *runner, BoardOwner owner, const Standing *mine);
static bool is_fresh(const RunnerSlot *runner);
static bool is_oldest(const RunnerSlot *runner);
static int price(const RunnerSlot *runner);
static bool is_cheaper(const RunnerSlot *runner, const RunnerSlot *victim);
static void hurry(RunnerSlot *runner, const Standing *mine);
static bool may_interrupt(const RunnerSlot *runner, bool is_last);
static RunnerSlot *own_deaf(BoardOwner owner);

/*
 * Counts the processes of an owner that take work.
 */
int
aion_room_count(BoardOwner owner)
{
	Board *board = aion_board_memory();
	int count = 0;

	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < board->runner_count; i++)
		count += owner.executor
					 ? aion_board_executes(&board->runners[i], MyDatabaseId, owner.owner_key)
					 : aion_board_serves(&board->runners[i], MyDatabaseId, owner.owner_key);
	LWLockRelease(board->lock);
	return count;
}

/*
 * Takes a slot for a process; -1 if there is none for this owner.
 */
int
aion_room_reserve(BoardOwner owner, Oid role, uint32 *generation)
{
	Board *board = aion_board_memory();
	Standing mine;
	int found = -1;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	mine = standing_of(MyDatabaseId, owner);
	for (int i = 0; i < board->runner_count && found < 0 && may_have_more(owner, &mine); i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (OidIsValid(runner->database))
			continue;
		*generation = runner->generation + 1;
		memset(runner, 0, offsetof(RunnerSlot, runs));
		runner->database = MyDatabaseId;
		runner->role = role;
		runner->owner_key = owner.owner_key;
		runner->executor = owner.executor;
		runner->generation = *generation;
		runner->process = -1;
		runner->limit = -1;
		runner->since = GetCurrentTimestamp();
		found = i;
	}
	if (found >= 0 && board->call.database == MyDatabaseId &&
		is_like(&board->runners[found], MyDatabaseId, board->call.owner))
		board->call.until = 0;
	if (found >= 0 && !owner.executor)
		aion_board_reshare(MyDatabaseId, owner.owner_key);
	LWLockRelease(board->lock);
	return found;
}

/*
 * Notes the owner of a process that is to leave and takes its time.
 */
static void
note_slow_owner(const RunnerSlot *runner)
{
	Board *board = aion_board_memory();
	Slow *found = NULL;

	for (int i = 0; i < SLOW_OWNERS && found == NULL; i++)
	{
		if (is_like(runner, board->slow[i].database, board->slow[i].owner))
			found = &board->slow[i];
	}
	if (found == NULL)
		found = &board->slow[board->slow_next++ % SLOW_OWNERS];
	*found = (Slow){runner->database,
					{runner->owner_key, runner->executor},
					TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SLOW_MS)};
}

/*
 * Returns as of when an owner that wants a process now is to be served: later if what its last one
 * did took long, so that the work of others which does not is done in between.
 */
TimestampTz
aion_room_rank(BoardOwner owner)
{
	Board *board = aion_board_memory();
	TimestampTz rank = GetCurrentTimestamp();

	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < SLOW_OWNERS; i++)
	{
		const Slow *slow = &board->slow[i];

		if (slow->database == MyDatabaseId && slow->owner.owner_key == owner.owner_key &&
			slow->owner.executor == owner.executor)
			rank = Max(rank, slow->until);
	}
	LWLockRelease(board->lock);
	return rank;
}

/*
 * Tells whether there is a slot that an owner may take.
 */
bool
aion_room_is_there(BoardOwner owner)
{
	Board *board = aion_board_memory();
	Standing mine;
	bool is_there;

	LWLockAcquire(board->lock, LW_SHARED);
	mine = standing_of(MyDatabaseId, owner);
	is_there = may_have_more(owner, &mine);
	LWLockRelease(board->lock);
	return is_there;
}

/*
 * Lets a process end so that an owner gets one, or one more, if it has too few of them.  Returns
 * whether there may be room soon.
 */
bool
aion_room_make(BoardOwner owner)
{
	Board *board = aion_board_memory();
	TimestampTz now = GetCurrentTimestamp();
	RunnerSlot *victim = NULL;
	bool leaving = false;
	int slowly = 0;
	Standing mine;
	bool held_back;
	bool soon;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	mine = standing_of(MyDatabaseId, owner);
	held_back = is_held_back(&mine);
	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (!OidIsValid(runner->database) || runner->process < 0 ||
			(owner.executor && !runner->executor &&
			 count_processes(true) >= Max(aion_max_runners - 1, 1)))
			continue;
		if (runner->dismissed)
		{
			bool is_slow = TimestampDifferenceExceeds(runner->dismissed_at, now, LEAVE_MS);

			if (is_slow && (runner->executing != 0 || runner->task_run != 0))
				note_slow_owner(runner); /* else the process itself takes its time to end */
			if (runner->executor && owner.executor)
				is_slow = false; /* it may well take long, and one of its kind is enough */
			slowly +=
				is_slow && !runner->executor && !is_oldest(runner) && !aion_room_is_stuck(runner);
			leaving = leaving || !(is_slow || aion_room_is_stuck(runner));
			hurry(runner, &mine);
		}
		else if (is_welcome(runner, owner, &mine) && (victim == NULL || is_cheaper(runner, victim)))
			victim = runner;
	}
	if (victim == NULL && mine.able == 0)
		victim = own_deaf(owner);
	leaving = leaving || slowly >= Max(aion_max_runners / 2, 1);
	if (mine.is_new || held_back || (mine.limit > 0 && mine.all >= mine.limit) ||
		(leaving && victim != NULL && !victim->idle))
		victim = NULL;
	leaving = leaving || slowly > 0;
	if (victim != NULL)
	{
		victim->dismissed = true;
		victim->dismissed_at = now;
		aion_board_reshare(victim->database, victim->owner_key);
		aion_board_set_latch(victim->process);
		hurry(victim, &mine);
	}
	soon =
		mine.is_new || held_back || mine.able == 0 || victim != NULL || (leaving && mine.free == 0);
	if (!mine.is_new && !held_back && (mine.able == 0 || victim != NULL))
		board->call =
			(Call){MyDatabaseId, owner, mine.alike, TimestampTzPlusMilliseconds(now, CALL_MS)};
	LWLockRelease(board->lock);
	return soon && (mine.limit <= 0 || mine.all < mine.limit);
}

static bool
is_like(const RunnerSlot *runner, Oid database, BoardOwner owner)
{
	return runner->database == database && runner->owner_key == owner.owner_key &&
		   runner->executor == owner.executor;
}

/*
 * Tells whether a process was told to leave and does not react.
 */
bool
aion_room_is_stuck(const RunnerSlot *runner)
{
	return runner->stuck_at != 0 && runner->stuck_at <= GetCurrentTimestamp();
}

/*
 * Tells whether there are fewer processes than there may be.
 */
static bool
is_room(bool executor)
{
	const Board *board = aion_board_memory();
	int runners = count_processes(false);
	int engaged = 0;

	for (int i = 0; i < board->runner_count; i++)
		engaged += OidIsValid(board->runners[i].database) && board->runners[i].engaged &&
				   !aion_room_is_stuck(&board->runners[i]);
	return runners + count_processes(true) <
		   aion_max_runners + (!executor && aion_max_runners > 1 && runners == 1 && engaged == 1);
}

static Standing
standing_of(Oid database, BoardOwner owner)
{
	const Board *board = aion_board_memory();
	Standing standing = {0};

	for (int i = 0; i < board->runner_count; i++)
	{
		const RunnerSlot *runner = &board->runners[i];

		if (runner->database == database && runner->owner_key == owner.owner_key)
		{
			standing.stuck += aion_room_is_stuck(runner);
			standing.deaf += runner->deaf || aion_room_is_stuck(runner);
			standing.sound += !(runner->deaf || runner->dismissed || aion_room_is_stuck(runner));
		}
		if (!is_like(runner, database, owner))
			continue;
		standing.alike += !runner->dismissed || aion_room_is_stuck(runner);
		if (runner->dismissed)
			continue;
		standing.all++;
		standing.able += !runner->deaf;
		standing.of_role = count_of_role(runner);
		standing.role = runner->role;
		standing.free += runner->executor ? runner->idle : !runner->engaged;
		standing.limit = Max(standing.limit, runner->limit);
		standing.is_new |= runner->limit < 0;
	}
	return standing;
}

/*
 * Counts the processes of a kind that a role has in all databases, without those that are to leave.
 */
static int
count_of_role(const RunnerSlot *like)
{
	const Board *board = aion_board_memory();
	int count = 0;

	for (int i = 0; i < board->runner_count; i++)
	{
		const RunnerSlot *runner = &board->runners[i];

		count += OidIsValid(runner->database) && runner->role == like->role &&
				 runner->executor == like->executor && !runner->dismissed;
	}
	return count;
}

/*
 * Tells whether an owner may take one more slot: a slot may be kept for an owner that waits.
 */
static bool
may_have_more(BoardOwner owner, const Standing *mine)
{
	const Board *board = aion_board_memory();
	int most = Max(aion_max_runners - 1, 1);

	if (!is_room(owner.executor) || mine->all + mine->stuck >= Max(aion_max_runners, 2))
		return false;
	if (mine->is_new || is_held_back(mine) || (mine->limit > 0 && mine->all >= mine->limit))
		return false;
	if (board->call.until > GetCurrentTimestamp() && mine->all > board->call.has)
		return false;
	if (owner.executor && mine->all > 0 && most > 2)
		most--;
	return !owner.executor || count_processes(true) < most;
}

/*
 * Tells whether an owner has code that cannot be interrupted, and its processes would, together
 * with all that are stuck, be more than half of those that there can be: what it starts may become
 * like that, too.
 */
static bool
is_held_back(const Standing *mine)
{
	const Board *board = aion_board_memory();
	int deaf = 0;

	if (mine->deaf == 0)
		return false;
	for (int i = 0; i < board->runner_count; i++)
		deaf += OidIsValid(board->runners[i].database) &&
				(board->runners[i].deaf || aion_room_is_stuck(&board->runners[i]));
	return deaf + mine->sound >= (most_processes() + 1) / 2;
}

/*
 * Returns how many runners and executors the server can have, stuck ones included.
 */
static int
most_processes(void)
{
	const Board *board = aion_board_memory();
	int most = max_worker_processes - 1 - (max_logical_replication_workers > 0);

	for (int i = 0; i < board->database_count; i++)
		most -= board->databases[i].scheduler >= 0;
	return most;
}

/*
 * Counts the runners or the executors of all owners, without those that are stuck.
 */
static int
count_processes(bool executor)
{
	const Board *board = aion_board_memory();
	int count = 0;

	for (int i = 0; i < board->runner_count; i++)
		count += OidIsValid(board->runners[i].database) && board->runners[i].executor == executor &&
				 !aion_room_is_stuck(&board->runners[i]);
	return count;
}

/*
 * Tells whether an owner should get the slot of another process.
 */
static bool
is_welcome(const RunnerSlot *runner, BoardOwner owner, const Standing *mine)
{
	int theirs =
		standing_of(runner->database, (BoardOwner){runner->owner_key, runner->executor}).all;

	if (is_like(runner, MyDatabaseId, owner) || is_fresh(runner))
		return false;
	if (mine->alike == 0)
		return true;
	if (runner->idle)
		return mine->able == 0 || theirs > 1;
	if (runner->role != mine->role)
		return mine->free == 0 && count_of_role(runner) > mine->of_role + 1;
	return mine->free == 0 && theirs > mine->all + 1;
}

/*
 * Tells whether a process was just started and has done nothing yet.  If it ended now its owner
 * would wait for its turn again, and the start was in vain.
 */
static bool
is_fresh(const RunnerSlot *runner)
{
	return runner->batches == 0 && !runner->idle && !runner->engaged && runner->task_run == 0 &&
		   !TimestampDifferenceExceeds(runner->since, GetCurrentTimestamp(), FRESH_MS);
}

/*
 * Tells whether what a runner does was begun before what all others do that are in the way.
 */
static bool
is_oldest(const RunnerSlot *runner)
{
	const Board *board = aion_board_memory();

	if (runner->executor)
		return false;
	for (int i = 0; i < board->runner_count; i++)
	{
		const RunnerSlot *other = &board->runners[i];

		if (OidIsValid(other->database) && !other->executor && !other->idle && !other->deaf &&
			(other->engaged || other->dismissed) && other->since < runner->since)
			return false;
	}
	return true;
}

/*
 * Tells what it costs to let a process end: of one that is deaf only the slot is taken, one that is
 * idle costs nothing, the last of an owner much, and one that executes an activity may take long to
 * end.
 */
static int
price(const RunnerSlot *runner)
{
	int work = runner->executor ? 3 : runner->engaged ? 2 : 1;

	if (runner->deaf)
		return -1;
	return runner->idle ? 0 : count_of_role(runner) > 1 ? work : work + 3;
}

/*
 * At the same price, the process that has been there longest; of activities and of turns that take
 * long, the one that was begun last.
 */
static bool
is_cheaper(const RunnerSlot *runner, const RunnerSlot *victim)
{
	int difference = price(runner) - price(victim);

	if (difference == 0)
		difference = count_of_role(victim) - count_of_role(runner);
	if (difference == 0)
		return (runner->since < victim->since) !=
			   (!runner->idle && (runner->executor || runner->engaged));
	return difference < 0;
}

/*
 * Interrupts what a process that should leave executes, for an owner that has none.  What cannot be
 * interrupted may end: the slot is free without that.
 */
static void
hurry(RunnerSlot *runner, const Standing *mine)
{
	bool is_last = count_of_role(runner) == 0;
	int grace = Max(ACTIVITY_GRACE_MS, is_last ? LAST_GRACE_TURNS * aion_turn_timeout : 0);
	TimestampTz interrupted_at = GetCurrentTimestamp();

	if (runner->deaf && (runner->stuck_at == 0 || runner->stuck_at > interrupted_at))
		runner->stuck_at = interrupted_at;
	if (mine->alike > 0 || runner->deaf)
		return;
	if (!runner->executor && may_interrupt(runner, is_last))
		runner->make_room = true;
	else if (!runner->executor)
		interrupted_at = TimestampTzPlusMilliseconds(runner->dismissed_at, aion_turn_timeout);
	else if (TimestampDifferenceExceeds(runner->dismissed_at, interrupted_at, grace))
		aion_board_stop(runner);
	else
		return;
	if (runner->stuck_at == 0)
		runner->stuck_at = TimestampTzPlusMilliseconds(interrupted_at, STUCK_MS);
}

/*
 * Tells whether the turn in a runner may be interrupted: an older one goes on.  If the runner is
 * the last one of its owner it has a moment more.
 */
static bool
may_interrupt(const RunnerSlot *runner, bool is_last)
{
	return count_processes(false) > 1 && !is_oldest(runner) &&
		   (!is_last ||
			TimestampDifferenceExceeds(runner->dismissed_at, GetCurrentTimestamp(), LAST_TURN_MS));
}

/*
 * Finds a process of an owner that is deaf and may be replaced for it.  Half of the processes that
 * the server has to spare are left to owners that have none.
 */
static RunnerSlot *
own_deaf(BoardOwner owner)
{
	Board *board = aion_board_memory();
	int spare = most_processes() - aion_max_runners;
	RunnerSlot *found = NULL;
	int stuck = 0;

	for (int i = 0; i < board->runner_count; i++)
	{
		RunnerSlot *runner = &board->runners[i];

		if (!OidIsValid(runner->database))
			continue;
		stuck += aion_room_is_stuck(runner);
		if (is_like(runner, MyDatabaseId, owner) && runner->deaf && !runner->dismissed)
			found = runner;
	}
	return stuck < spare / 2 ? found : NULL;
}
