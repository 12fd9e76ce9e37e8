/*
 * optimistic.c
 *		Turns that execute activities where the code calls them, and keep their effects.
 *
 * The code's subtransaction is then released instead of rolled back, if nothing went wrong: no
 * activity failed, none was called under settings of the code, and no subtransaction of the code in
 * which one was called (a block with handlers) was rolled back.  The code may have ended, or wait
 * for something, or the time is up: a turn lasts a slice of time, and ends where the code calls the
 * next activity.  What it has done is kept and commits, the next one replays it and goes on from
 * there.
 *
 * Where the code is left in the middle, by the error that suspends it, the subtransaction is
 * released although an error was raised in it.  All of the code's frames are gone, and the
 * resources they held are released here, as by a rollback of the subtransaction: the code has a
 * resource owner of its own for that, while activities use the subtransaction's.  That is done only
 * where the code has executed no query that reads a relation, so there are no scans, no trigger
 * queues and no foreign servers among what was left.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "storage/condition_variable.h"
#include "storage/fd.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "code/cursors.h"
#include "code/guard.h"
#include "guc.h"
#include "shared/stopwatch.h"
#include "turn/optimistic.h"
#include "turn/patch.h"
#include "turn/scope.h"

static Turn *current = NULL; /* the optimistic turn whose code is on the stack */

static void optimistic_subtransaction_ends(SubXactEvent event, SubTransactionId id,
										   SubTransactionId parent, void *argument);
static bool was_left(const Turn *turn);
static void optimistic_give_back(Turn *turn);
static bool is_out_of_time(const Turn *turn);

/*
 * Prepares a turn whose subtransaction has just begun.
 */
void
aion_optimistic_begin(Turn *turn)
{
	static bool is_followed = false;

	if (!turn->optimistic)
		return;
	if (!is_followed)
		RegisterSubXactCallback(optimistic_subtransaction_ends, NULL);
	is_followed = true;
	current = turn;
	aion_code_capture_settings(InvalidOid, &turn->outside);
	turn->user = GetUserId();
	turn->open_queries = aion_guard_open_queries();
	turn->nest_level = GetCurrentTransactionNestLevel();
	turn->effects = CurrentResourceOwner;
	turn->resources = ResourceOwnerCreate(turn->effects, "aion workflow code");
	CurrentResourceOwner = turn->resources;
}

/*
 * Ends that, when the code is no longer on the stack.
 */
void
aion_optimistic_end(void)
{
	current = NULL;
}

/*
 * Follows the subtransactions of the code: what was executed in one that is released belongs to the
 * one around it, and in one that is rolled back it is lost.
 */
static void
optimistic_subtransaction_ends(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
							   void *argument)
{
	int level = GetCurrentTransactionNestLevel();

	if (current == NULL || level <= current->nest_level || level > current->executed_level)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		current->spoiled = true;
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		current->executed_level = level - 1;
}

/*
 * Tells whether what the turn has executed may be kept, now that the code is no longer on the
 * stack.
 */
bool
aion_optimistic_may_keep(const Turn *turn)
{
	if (turn->executed == 0 || turn->executing || turn->spoiled)
		return false;
	if (turn->verdict == TURN_RETURNED)
		return aion_guard_open_queries() <= turn->open_queries;
	return was_left(turn) && !aion_guard_relations_read() &&
		   GetCurrentTransactionNestLevel() == turn->nest_level;
}

/*
 * Releases the code's subtransaction.
 */
void
aion_optimistic_keep(Turn *turn)
{
	aion_code_leave_settings(turn->settings_level);
	if (turn->verdict == TURN_RETURNED)
		PopActiveSnapshot();
	else
		optimistic_give_back(turn);
	CurrentResourceOwner = turn->effects;
	ReleaseCurrentSubTransaction();
}

/*
 * Tells whether the code was left by the turn's own error and no other.
 */
static bool
was_left(const Turn *turn)
{
	return (turn->verdict == TURN_SUSPENDED || turn->verdict == TURN_CONTINUED) &&
		   turn->error != NULL && turn->error->sqlerrcode == ERRCODE_ASSERT_FAILURE;
}

/*
 * Releases the resources that the code held when it was left, in the order of
 * AbortSubTransaction().  An interrupt would leave the subtransaction open, so interrupts are held
 * off.
 */
static void
optimistic_give_back(Turn *turn)
{
	SubTransactionId subtransaction = GetCurrentSubTransactionId();

	HOLD_INTERRUPTS();
	LWLockReleaseAll();
	pgstat_report_wait_end();
	UnlockBuffers();
	ConditionVariableCancelSleep();
	LockErrorCleanup();
	CurrentResourceOwner = turn->effects;
	ResourceOwnerRelease(turn->resources, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
	ResourceOwnerRelease(turn->resources, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(turn->resources, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
	ResourceOwnerDelete(turn->resources);
	AtEOSubXact_SPI(false, subtransaction);
	AtEOSubXact_Files(false, subtransaction, InvalidSubTransactionId);
	AtEOSubXact_HashTables(false, turn->nest_level);
	AtSubAbort_Snapshot(turn->nest_level);
	if (aion_guard_open_queries() > turn->open_queries)
		aion_cursors_close();
	RESUME_INTERRUPTS();
}

/*
 * Tells whether a new command is an activity that can be executed right where it is called: in an
 * optimistic turn, under no settings but the version's, with no command before it that is not yet
 * in history, and unless its await would be ended at once.
 */
bool
aion_optimistic_may_execute(Turn *turn, const Command *command)
{
	int level;

	if (!turn->optimistic || turn->spoiled || command->recorded != NULL ||
		turn->difference != NULL || turn->run->status != RUN_RUNNING ||
		aion_guard_settings_changed() || GetUserId() != turn->user || aion_scope_is_cut(turn))
		return false;
	if (turn->command_count - 1 > turn->known &&
		turn->commands[turn->command_count - 2]->recorded == NULL)
		return false;
	level = NewGUCNestLevel();
	AtEOXact_GUC(true, level);
	/* A subtransaction is a level, too. */
	if (level != turn->settings_level + 1 + GetCurrentTransactionNestLevel() - turn->nest_level)
		return false;
	turn->out_of_time = is_out_of_time(turn);
	return !turn->out_of_time;
}

/*
 * Tells whether the turn is to end here: its time is up, its share has made progress, and it has
 * spent at least as long with activities as it took to reach them, by replaying what earlier ones
 * have done.
 */
static bool
is_out_of_time(const Turn *turn)
{
	TimestampTz now;
	int64 spent = turn->spent;

	if (turn->until == DT_NOEND || (turn->executed == 0 && spent == 0))
		return false;
	now = GetCurrentTimestamp();
	if (turn->executed > 0)
		spent += now - turn->went_on;
	return now >= turn->until && 2 * spent >= now - turn->began;
}

/*
 * Switches from the code to an activity: its command is in history, it may write, and it sees its
 * own settings and not the code's.  On error the code's subtransaction is rolled back with all that
 * was done.
 */
void
aion_optimistic_begin_activity(Turn *turn, const CodeSettings *settings)
{
	Command *command = turn->commands[turn->command_count - 1];
	History *history = turn->run->history;

	if (turn->executed == 0)
		turn->went_on = GetCurrentTimestamp();
	turn->executing = true;
	turn->executed++;
	turn->executed_level = GetCurrentTransactionNestLevel();
	turn->caller = CurrentResourceOwner;
	CurrentResourceOwner = CurTransactionResourceOwner;
	aion_patches_record(turn, turn->command_count - 1);
	(void) command->class->record(turn->run, command);
	command->recorded = history->commands[history->command_count - 1];
	XactReadOnly = false;
	turn->activity_level = aion_code_enter_settings_over(&turn->outside, settings);
}

void
aion_optimistic_end_activity(Turn *turn, bool is_clean)
{
	aion_code_leave_settings(turn->activity_level);
	XactReadOnly = true;
	CurrentResourceOwner = turn->caller;
	turn->executing = false;
	if (aion_stopwatch_stop() || !is_clean)
		turn->spoiled = true;
	aion_stopwatch_start(aion_turn_timeout);
}
