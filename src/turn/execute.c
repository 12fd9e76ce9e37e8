/*
 * execute.c
 *		One execution of workflow code against its history.
 *
 * The code runs from its first line in a read-only subtransaction, as the owner, and the
 * subtransaction is rolled back: it decides, it never writes.  Its commands are kept in memory,
 * outside of the subtransaction.  Everything the code can observe is determined by the history as
 * it was when the turn began, which is in memory too, so no SQL of the engine is executed while it
 * runs.
 *
 * Begins and ends no transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "code/divergence.h"
#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
#include "shared/stopwatch.h"
#include "support/payload.h"
#include "turn/execute.h"
#include "turn/mistake.h"
#include "turn/optimistic.h"

static void run_body(Turn *turn, const Handler *handler, const CodeSettings *settings);
static void execute_judge(Turn *turn, bool time_was_up);
static void require_all_commands(Turn *turn, const char *found);
static void make_quiet(Turn *turn);
static void make_loud(ErrorData *error, const MessageLevels *levels);

/*
 * Prepares a turn of a run whose history is loaded.
 */
Turn *
aion_turn_create(Run *run)
{
	MemoryContext context =
		AllocSetContextCreate(run->context, "aion turn", ALLOCSET_DEFAULT_SIZES);
	Turn *turn = MemoryContextAllocZero(context, sizeof(Turn));
	const Event *started = run->history->events[0];

	turn->context = context;
	turn->run = run;
	turn->known = run->history->command_count;
	turn->now = started->recorded_at;
	aion_mistakes_begin(run);
	if (run->started.origins != NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(context);

		turn->origins = aion_event_read_origins(&run->started);
		MemoryContextSwitchTo(caller);
	}
	if (run->started.start_at != DT_NOEND && run->started.start_at > turn->now)
		turn->now = run->started.start_at;
	return turn;
}

/*
 * Executes the code once and decides how that ended.  Raises only what ends the session's own
 * statement.
 */
void
aion_turn_execute(Turn *turn, const Handler *handler, const CodeSettings *settings)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MessageLevels levels = {client_min_messages, AION_COMPAT_LOG_MIN_MESSAGES, whereToSendOutput};
	GuardState outside;
	bool time_was_up;

	Assert(aion_guard_turn() == NULL);
	aion_divergence_watch();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(turn->context);
	turn->loud = levels;
	PG_TRY();
	{
		aion_guard_enter(FRAME_BODY, turn, &outside);
		if (turn->probing || turn->run->seen > 0 || turn->run->messages_sent_to > 0)
			make_quiet(turn);
		aion_optimistic_begin(turn);
		run_body(turn, handler, settings);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(turn->context);
		turn->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	whereToSendOutput = levels.destination;
	time_was_up = aion_stopwatch_stop();
	aion_guard_leave(&outside);
	aion_optimistic_end();
	if (!time_was_up && aion_optimistic_may_keep(turn))
		aion_optimistic_keep(turn);
	else
	{
		RollbackAndReleaseCurrentSubTransaction();
		if (turn->executed > 0)
			turn->verdict = TURN_SPOILED;
	}
	client_min_messages = levels.client; /* after the rollback of what the code set */
	AION_COMPAT_LOG_MIN_MESSAGES = levels.log;
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	make_loud(turn->raised.cancel, &levels);
	make_loud(turn->error, &levels);
	if (turn->error != NULL)
	{
		turn->left_as = turn->error->sqlerrcode;
		turn->as_raised = aion_raised_settle(&turn->raised, turn->error);
	}
	if (turn->raised.cancel != NULL && !time_was_up)
		ReThrowError(turn->raised.cancel);
	if (turn->verdict != TURN_SPOILED)
		execute_judge(turn, time_was_up);
	else if (turn->error != NULL && aion_failure_is_cancel(turn->error) && !time_was_up)
		ReThrowError(turn->error);
}

void
aion_turn_free(Turn *turn)
{
	MemoryContextDelete(turn->context);
}

/*
 * Calls the code, inside of the subtransaction that aion_turn_execute() began.
 */
static void
run_body(Turn *turn, const Handler *handler, const CodeSettings *settings)
{
	aion_raised_begin(&turn->raised, turn->context, turn);
	XactReadOnly = true;
	turn->settings_level = aion_code_enter_settings(settings);
	aion_guard_apply_settings();
	PushActiveSnapshot(GetTransactionSnapshot());
	aion_stopwatch_start(aion_turn_timeout);
	turn->result = aion_handler_call(
		handler, aion_handler_add_constants(handler, turn->run->started.input), &turn->entered);
	aion_payload_check(turn->result, "result");
	if (turn->verdict == TURN_GOING)
		turn->verdict = TURN_RETURNED;
	aion_raised_end(&turn->raised);
}

/*
 * Decides how the turn ended.
 */
static void
execute_judge(Turn *turn, bool time_was_up)
{
	if (turn->error != NULL && aion_failure_is_cancel(turn->error) && !time_was_up)
		ReThrowError(turn->error);
	if (turn->too_long != NULL)
		turn->error = turn->too_long; /* whatever the code made of it */
	else if ((turn->verdict == TURN_SUSPENDED || turn->verdict == TURN_MISMATCHED) && !time_was_up)
		return;
	else if (turn->verdict == TURN_CONTINUED && !time_was_up)
	{
		require_all_commands(turn, "the code continued as new");
		return;
	}
	if (time_was_up)
		turn->verdict = TURN_TIMED_OUT;
	else if (turn->error != NULL && aion_failure_is_infrastructure(turn->error))
		turn->verdict = TURN_FAILED;
	else if (turn->error != NULL && !turn->entered)
	{
		turn->difference = aion_replay_misfit(turn->error->message);
		turn->verdict = TURN_MISMATCHED;
	}
	else if (turn->error != NULL)
		turn->verdict = TURN_RAISED;
	if (turn->verdict == TURN_RETURNED || turn->verdict == TURN_RAISED)
	{
		const char *found = "the code returned";

		if (turn->verdict == TURN_RAISED)
			found = psprintf("the code raised: %s", turn->error->message);
		require_all_commands(turn, found);
	}
}

/*
 * When the code ends, it must have given all commands that are recorded.
 */
static void
require_all_commands(Turn *turn, const char *found)
{
	if (turn->difference == NULL && turn->command_count < turn->known)
		turn->difference = aion_replay_missing(turn->run->history, turn->command_count, found);
	if (turn->difference != NULL)
		turn->verdict = TURN_MISMATCHED;
}

/*
 * Suppresses messages until the code gets further than before.
 */
static void
make_quiet(Turn *turn)
{
	turn->quiet = true;
	whereToSendOutput = DestNone; /* INFO ignores the levels */
	client_min_messages = ERROR;
	AION_COMPAT_LOG_MIN_MESSAGES = Max(AION_COMPAT_LOG_MIN_MESSAGES, ERROR);
}

/*
 * Lets an error that was raised while messages were suppressed reach the client, if it is raised
 * again.
 */
static void
make_loud(ErrorData *error, const MessageLevels *levels)
{
	if (error != NULL)
		error->output_to_client = levels->destination == DestRemote;
}
