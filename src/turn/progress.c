/*
 * progress.c
 *		How far a turn has come: what is settled, what the code knows, where it was left.
 *
 * Where the code needs an answer that history does not have, the turn suspends: an error unwinds
 * it.  It is recognised by the turn's verdict and never by its SQLSTATE, so code that catches it
 * gains nothing: every further call fails the same way, and the result is discarded.  A difference
 * between code and history unwinds likewise.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
#include "support/errors.h"
#include "support/pg_compat.h"
#include "turn/mistake.h"
#include "turn/progress.h"
#include "turn/receive.h"

pg_noreturn static void fail_too_long(Turn *turn);
static bool progress_is_failure(const Command *command);
static bool progress_is_known(const Command *command);
static bool is_earlier(const Command *a, const Command *b);
static void make_loud(Turn *turn);

/*
 * Returns the turn that is being executed, NULL if there is none.
 */
Turn *
aion_turn_peek(void)
{
	return aion_guard_turn();
}

/*
 * Counts the commands of a kind given so far.
 */
int
aion_turn_ordinal(const Turn *turn, CommandKind kind)
{
	return turn->ordinals[kind];
}

/*
 * Returns what settled a command in history; NULL if nothing has.
 */
const Event *
aion_turn_outcome(const Command *command)
{
	if (command->received != NULL)
		return command->offered;
	if (command->recorded != NULL && command->recorded->outcome != NULL)
		return command->recorded->outcome;
	return aion_mistake_tell(command);
}

bool
aion_turn_is_settled(const Command *command)
{
	return aion_turn_outcome(command) != NULL || command->cancelled_by != NULL;
}

/*
 * Returns the event at which a command was settled: after all of history if in this turn.
 */
int32
aion_turn_settled_at(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	return outcome != NULL ? outcome->seq : PG_INT32_MAX;
}

/*
 * Returns which of some commands was settled first; -1: none is.
 */
int
aion_turn_first(Command **commands, int count)
{
	int first = -1;

	for (int i = 0; i < count; i++)
	{
		if (aion_turn_is_settled(commands[i]) &&
			(first < 0 || is_earlier(commands[i], commands[first])))
			first = i;
	}
	return first;
}

/*
 * Leaves the code until one of some commands is settled.
 */
void
aion_turn_suspend(Turn *turn, Command **commands, int count)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	turn->awaited = palloc(count * sizeof(Command *));
	memcpy(turn->awaited, commands, count * sizeof(Command *));
	turn->awaited_count = count;
	MemoryContextSwitchTo(caller);
	aion_turn_unwind(turn, TURN_SUSPENDED);
}

/*
 * Lets the outcome of a command answer an await: advances the time that the code sees, and ends the
 * suppression of messages if the outcome is new.
 */
void
aion_turn_consume(Turn *turn, Command *command)
{
	const Event *event = aion_turn_outcome(command);

	turn->told_last = false;
	if (command->known_at == 0)
		command->known_at = turn->command_count;
	if (event == NULL)
		return; /* cancelled in this very turn */
	if (command->received != NULL)
		aion_receiver_consume(turn, command);
	aion_turn_consume_event(turn, event);
}

void
aion_turn_consume_event(Turn *turn, const Event *event)
{
	if (event->seq > turn->consumed)
		turn->consumed = event->seq;
	if (event->recorded_at > turn->now && event->type != EVENT_TIMER_CANCELLED)
		turn->now = event->recorded_at;
	if (turn->quiet && !turn->probing &&
		event->seq > Max(turn->run->seen, turn->run->messages_sent_to))
		make_loud(turn);
}

/*
 * Notes that the code gets the failures among the commands of an await.
 */
void
aion_turn_note_failures(Turn *turn, Command **commands, int count)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	List *told = NIL;

	for (int i = 0; i < count; i++)
	{
		if (progress_is_failure(commands[i]))
			told = lappend(told, commands[i]);
	}
	if (told != NIL)
	{
		turn->told = told;
		turn->told_last = true;
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Lists the events of the failures that the code got last, and of those that it never got; first is
 * how many commands it had given when it first knew one of them.
 */
List *
aion_turn_failures(const Turn *turn, int *first)
{
	List *failures = NIL;

	*first = turn->command_count;
	for (int i = 0; i < turn->command_count; i++)
	{
		Command *command = turn->commands[i];

		if (!progress_is_failure(command) ||
			(progress_is_known(command) && !list_member_ptr(turn->told, command)))
			continue;
		failures = lappend_int(failures, aion_turn_outcome(command)->seq);
		if (command->known_at > 0)
			*first = Min(*first, command->known_at);
	}
	return failures;
}

/*
 * Returns the identity of the run when the code gave the next command: in a forked run the first
 * commands are those of the run it was forked from.  NULL: the run itself.
 */
const Origin *
aion_turn_origin(const Turn *turn)
{
	return aion_turn_origin_at(turn, turn->command_count);
}

/*
 * The same for when it had given so many commands.
 */
const Origin *
aion_turn_origin_at(const Turn *turn, int commands)
{
	ListCell *cell;

	foreach (cell, turn->origins)
	{
		const Origin *origin = lfirst(cell);

		if (commands < origin->commands)
			return origin;
	}
	return NULL;
}

/*
 * Leaves the code if history has no room for what it asks for.
 */
void
aion_turn_require_room(Turn *turn)
{
	int count = turn->run->history->count + turn->command_count - turn->executed - turn->known +
				list_length(turn->patches);

	if (count >= 2 * aion_max_history_events)
		fail_too_long(turn);
}

/*
 * Leaves the code because it has given too many commands, by an error that it cannot catch.
 */
static void
fail_too_long(Turn *turn)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	turn->too_long = palloc0(sizeof(ErrorData));
	turn->too_long->elevel = ERROR;
	turn->too_long->sqlerrcode = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	turn->too_long->message =
		psprintf("history of workflow \"%s\" is too long", turn->run->workflow_id);
	turn->too_long->detail = psprintf("It has twice as many events as aion.max_history_events, %d.",
									  aion_max_history_events);
	turn->too_long->hint = pstrdup("Use aion.continue_as_new().");
	turn->too_long->assoc_context = turn->context;
	MemoryContextSwitchTo(caller);
	aion_turn_unwind(turn, TURN_FAILED);
}

/*
 * Leaves the code.  SQLSTATE P0004 is one that EXCEPTION WHEN OTHERS does not catch.
 */
void
aion_turn_unwind(Turn *turn, TurnVerdict verdict)
{
	if (verdict == TURN_SUSPENDED && turn->difference != NULL)
		verdict = TURN_MISMATCHED;
	else if (verdict == TURN_SUSPENDED && turn->command_count < turn->known)
	{
		const Command *awaited = turn->awaited[0];
		MemoryContext caller = MemoryContextSwitchTo(turn->context);
		Difference *difference =
			aion_replay_missing(turn->run->history, turn->command_count,
								psprintf("the code waits for %s \"%s\"", awaited->class->awaiting,
										 awaited->fingerprint.name));

		MemoryContextSwitchTo(caller);
		aion_turn_differ(turn, difference);
	}
	turn->verdict = verdict;
	ereport(ERROR, (errcode(ERRCODE_ASSERT_FAILURE), errmsg("workflow turn has ended"),
					errdetail("The engine executes the code again when there is something new."),
					errhint("Do not catch this error; nothing after it has an effect.")));
	pg_unreachable();
}

/*
 * Notes a difference between code and history, and leaves the code.
 */
void
aion_turn_differ(Turn *turn, Difference *difference)
{
	aion_turn_note_difference(turn, difference);
	aion_turn_unwind(turn, TURN_MISMATCHED);
}

void
aion_turn_note_difference(Turn *turn, Difference *difference)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	difference->context = aion_failure_code_context(GetErrorContextStack());
	turn->difference = difference;
	MemoryContextSwitchTo(caller);
}

/*
 * Takes what the code reads and must not, because it differs from one execution to the next: leaves
 * the code, by an error that it cannot catch, or only notes that.
 */
void
aion_turn_diverge(void *subject, const char *what, const char *hint)
{
	Turn *turn = subject;
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	Difference *difference = palloc0(sizeof(Difference));
	const Difference *last = turn->divergences != NIL ? llast(turn->divergences) : NULL;

	difference->kind = DIFFERENCE_NONDETERMINISTIC;
	difference->found = pstrdup(what);
	difference->hint = pstrdup(hint);
	difference->context = aion_failure_code_context(GetErrorContextStack());
	/* It may be looked at when it is planned, and when it is initialised. */
	if (aion_determinism == DETERMINISM_WARN && (last == NULL || strcmp(last->found, what) != 0))
		turn->divergences = lappend(turn->divergences, difference);
	MemoryContextSwitchTo(caller);
	if (aion_determinism == DETERMINISM_WARN)
		return;
	if (turn->verdict != TURN_GOING)
		aion_turn_unwind(turn, turn->verdict);
	turn->difference = difference;
	turn->verdict = TURN_MISMATCHED;
	ereport(ERROR, (errcode(ERRCODE_ASSERT_FAILURE), errmsg("%s", what), errhint("%s", hint)));
}

/*
 * Tells whether a command has failed, other than by a cancel of the code.
 */
static bool
progress_is_failure(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	return outcome != NULL && command->class->failure != NULL &&
		   command->class->failure(command) != NULL && !aion_event_is_cancel_command(outcome);
}

/*
 * Tells whether the code knows the outcome of a command: it does at once where the command's event
 * is the outcome.
 */
static bool
progress_is_known(const Command *command)
{
	return command->known_at > 0 || aion_turn_outcome(command) == command->recorded->event;
}

/*
 * Tells whether a was settled before b: events of history come before cancels in this turn.
 */
static bool
is_earlier(const Command *a, const Command *b)
{
	const Event *outcome_a = aion_turn_outcome(a);
	const Event *outcome_b = aion_turn_outcome(b);

	if (outcome_a != NULL && outcome_b != NULL)
		return outcome_a->seq < outcome_b->seq;
	if (outcome_a != NULL || outcome_b != NULL)
		return outcome_a != NULL;
	return a->cancelled_by->number < b->cancelled_by->number;
}

static void
make_loud(Turn *turn)
{
	turn->quiet = false;
	whereToSendOutput = turn->loud.destination;
	client_min_messages = turn->loud.client;
	AION_COMPAT_LOG_MIN_MESSAGES = turn->loud.log;
}
