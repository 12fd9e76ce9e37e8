/*
 * mistake.c
 *		What workflow code asks for and cannot have: an activity or a workflow type that does not
 *		exist, one it may not use, an input that does not fit.
 *
 * Such a mistake of the program is no outcome of a command.  The code is told by an error, of a
 * class that handlers of failures do not catch.  If it goes on after that it has decided, and what
 * it was told becomes history, before what it decides.  If it does not, nothing is recorded and the
 * run is blocked: it goes on by itself when a deploy, a registration or a grant has mended it.  So
 * no mistake fails a run, and no code has to handle one.
 *
 * Mistakes live in memory while a run is executed.  They are found anew each time.
 */
#include "postgres.h"

#include "code/failure.h"
#include "code/guard.h"
#include "run/transition.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/mistake.h"

/*
 * Makes what the code is told of an error that its input has met: WF014, unless the error has a
 * meaning of its own.
 */
Jsonb *
aion_mistake_failure(const ErrorData *error)
{
	JsonObject object;
	bool has_meaning =
		error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE ||
		error->sqlerrcode == ERRCODE_UNDEFINED_OBJECT ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TO_CATEGORY(ERRCODE_INVALID_INPUT);

	aion_object_begin(&object);
	aion_object_text(&object, "kind", KIND_MISTAKE);
	if (!has_meaning)
		aion_object_text(&object, "sqlstate", unpack_sql_state(ERRCODE_INVALID_INPUT));
	return aion_failure_of(error, aion_object_end(&object));
}

/*
 * Notes that a command cannot be had: the code is to be told by an outcome of this type.  Returns
 * whether that is news, and not what the run is blocked for.
 */
bool
aion_mistake_note(Run *run, int number, EventType type, const char *key, const Hindrance *hindrance)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	Mistake *mistake = palloc0(sizeof(Mistake));

	mistake->number = number;
	mistake->hindrance = *hindrance;
	mistake->outcome.type = type;
	mistake->outcome.key = key != NULL ? pstrdup(key) : NULL;
	mistake->outcome.attributes = aion_event_error(hindrance->failure);
	run->mistakes = lappend(run->mistakes, mistake);
	MemoryContextSwitchTo(caller);
	return !aion_run_is_blocked_so(run, hindrance->reason, hindrance->detail);
}

/*
 * Puts the mistakes where history ends, for a turn that begins.
 */
void
aion_mistakes_begin(Run *run)
{
	ListCell *cell;

	foreach (cell, run->mistakes)
	{
		Mistake *mistake = lfirst(cell);

		mistake->told = false;
		mistake->outcome.seq = run->history->count + 1 + foreach_current_index(cell);
		mistake->outcome.recorded_at =
			Max(aion_clock_now(), aion_history_last(run->history)->recorded_at);
	}
}

Mistake *
aion_mistake_of(const Run *run, int number)
{
	ListCell *cell;

	foreach (cell, run->mistakes)
	{
		Mistake *mistake = lfirst(cell);

		if (mistake->number == number)
			return mistake;
	}
	return NULL;
}

/*
 * Returns what stands for the outcome of a command that has none because it cannot be had; NULL: it
 * can.
 */
const Event *
aion_mistake_tell(const Command *command)
{
	Mistake *mistake = command->mistake;
	const Turn *turn = aion_guard_turn();

	if (mistake == NULL)
		return NULL;
	if (turn != NULL && !mistake->told)
	{
		mistake->told = true;
		mistake->told_at = turn->command_count;
	}
	return &mistake->outcome;
}

/*
 * Returns the mistake by which the code ended: its error came out of the code, which asked for
 * nothing after it.  NULL: it ended otherwise.
 */
const Mistake *
aion_mistake_uncaught(const Turn *turn)
{
	ListCell *cell;

	if (turn->verdict != TURN_RAISED)
		return NULL;
	foreach (cell, turn->run->mistakes)
	{
		const Mistake *mistake = lfirst(cell);
		const char *message = aion_json_text(mistake->hindrance.failure, "message");

		if (mistake->told && mistake->told_at == turn->command_count &&
			aion_failure_errcode(mistake->hindrance.failure) == turn->error->sqlerrcode &&
			turn->as_raised->message != NULL && strcmp(message, turn->as_raised->message) == 0)
			return mistake;
	}
	return NULL;
}

/*
 * Makes history of the mistakes that the code was told of, but for the one that it has not caught.
 * What it has newly asked for records its own.
 */
void
aion_mistakes_record(Run *run, const Mistake *uncaught)
{
	ListCell *cell;

	foreach (cell, run->mistakes)
	{
		const Mistake *mistake = lfirst(cell);

		if (!mistake->told || mistake == uncaught)
			continue;
		if (mistake->number <= run->history->command_count)
		{
			run->history->stamp = mistake->outcome.recorded_at;
			aion_recorder_append(run->history, mistake->outcome.type, mistake->outcome.key,
								 mistake->outcome.attributes);
		}
		run->mistakes = foreach_delete_current(run->mistakes, cell);
	}
}

/*
 * Blocks a run that has nothing else to do than what cannot be had.
 */
void
aion_mistakes_block(Run *run)
{
	const Mistake *mistake;

	if (run->mistakes == NIL)
		return;
	mistake = linitial(run->mistakes);
	aion_run_block(run, mistake->hindrance.reason, mistake->hindrance.detail);
}
