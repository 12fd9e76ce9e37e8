/*
 * mistake.c
 *		Mistakes of workflow code: commands that cannot be carried out.
 *
 * A mistake is an activity or a workflow type that does not exist, one that the owner may not use,
 * or an input that does not fit.  It is no outcome of a command.  The code gets an error, of a
 * class that handlers of failures do not catch.  If the code goes on after that, the error becomes
 * history, before what the code decides then.  If it does not, nothing is recorded and the run is
 * blocked: it goes on automatically when a deploy, a registration or a grant has removed the cause.
 * So no mistake fails a run, and no code has to handle one.
 *
 * Mistakes are kept in memory while a run is executed.  They are found anew each time.
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
 * Makes the error that the code gets for an error that its input has caused: WF014, unless the
 * latter has a meaning of its own.
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
 * Notes that a command cannot be carried out: the code gets an outcome of this type.  Returns
 * whether that is new, and not what the run is blocked for.
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
 * Puts the mistakes at the end of history, for a turn that begins.
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
 * Returns what serves as the outcome of a command that cannot be carried out; NULL: it can.
 */
const Event *
aion_mistake_tell(const Command *command)
{
	Mistake *mistake = command->mistake;
	const Turn *turn = aion_guard_turn();

	if (mistake == NULL)
		return NULL;
	if (turn != NULL)
	{
		mistake->told = true;
		mistake->told_at = turn->command_count;
	}
	return &mistake->outcome;
}

/*
 * Returns the mistake by which the code ended: its error left the code, which gave no command after
 * it.  NULL: it ended in another way.
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
 * Appends the mistakes that the code got and went on after: not the one that it has not caught, nor
 * those that it got together with that one.  New commands record their own.
 */
void
aion_mistakes_record(Run *run, const Mistake *uncaught)
{
	ListCell *cell;

	foreach (cell, run->mistakes)
	{
		const Mistake *mistake = lfirst(cell);

		if (!mistake->told || (uncaught != NULL && mistake->told_at >= uncaught->told_at))
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
 * Blocks a run that has nothing to do but commands that cannot be carried out.
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
