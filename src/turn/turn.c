/*
 * turn.c
 *		Commands of workflow code, and answers to them.
 *
 * A command is found in history or noted as new.  An await is answered from history, or suspends
 * the turn.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/guard.h"
#include "run/primitive.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/mistake.h"
#include "turn/scope.h"
#include "turn/turn.h"

static RecordedCommand *find_recorded(Turn *turn, const Fingerprint *issued);

/*
 * Returns the turn that a function was called in; raises an error outside of one.
 */
Turn *
aion_turn_current(const char *function)
{
	Turn *current = aion_guard_turn();

	if (current == NULL || aion_guard_frame() != FRAME_BODY)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_IN_WORKFLOW),
				 errmsg("%s() can only be called in workflow code", function),
				 errhint("Call it in a function that was registered with "
						 "aion.register_workflow() and started with aion.start_workflow().")));
	if (GetUserId() != aion_guard_user())
		ereport(ERROR,
				(errcode(ERRCODE_NOT_ALLOWED_HERE),
				 errmsg("%s() cannot be called in a SECURITY DEFINER function of another role",
						function),
				 errdetail("It would act as the owner of the run.")));
	if (current->verdict != TURN_GOING)
		aion_turn_unwind(current, current->verdict);
	if (current->raised.cancel != NULL)
		ReThrowError(
			current->raised.cancel); /* what code makes of that is no decision of the run */
	if (current->scope_left)
		aion_scope_settle(current);
	return current;
}

/*
 * Gives a command: finds it in history, or notes it as new.
 */
Command *
aion_turn_command(Turn *turn, const CommandClass *class, const char *name, const Jsonb *input,
				  const void *detail)
{
	MemoryContext caller;
	Fingerprint issued = {class->kind, name, input};
	Command *command;

	Assert(aion_primitive_has_class(class));
	if (turn->verdict != TURN_GOING)
		aion_turn_unwind(turn, turn->verdict);
	caller = MemoryContextSwitchTo(turn->context);
	command = palloc0(sizeof(Command));
	command->recorded = find_recorded(turn, &issued);
	command->fingerprint = (Fingerprint){class->kind, NULL, NULL};
	if (command->recorded != NULL)
		command->fingerprint.name = command->recorded->name;
	else
	{
		command->fingerprint.name = pstrdup(name);
		if (input != NULL)
			command->fingerprint.input = DatumGetJsonbPCopy(JsonbPGetDatum(input));
		command->detail = detail;
	}
	command->class = class;
	command->number = turn->command_count + 1;
	command->mistake = aion_mistake_of(turn->run, command->number);
	command->previous = turn->latest[class->kind];
	turn->latest[class->kind] = command;
	turn->ordinals[class->kind]++;
	if (turn->command_count == turn->command_room)
	{
		Size size;

		turn->command_room = Max(16, turn->command_room * 2);
		size = turn->command_room * sizeof(Command *);
		turn->commands = turn->commands == NULL ? palloc(size) : repalloc(turn->commands, size);
	}
	turn->commands[turn->command_count++] = command;
	MemoryContextSwitchTo(caller);
	return command;
}

/*
 * Returns which of some commands was settled first, or suspends the turn if none is.  Raises what
 * ended the wait before that.
 */
int
aion_turn_wait(Turn *turn, Command **commands, int count)
{
	int first = aion_turn_first(commands, count);

	for (int i = 0; i < count; i++)
		commands[i]->awaited = true;
	aion_scope_check(turn, commands, count,
					 first >= 0 ? aion_turn_settled_at(commands[first]) : PG_INT32_MAX);
	if (first < 0)
		aion_turn_suspend(turn, commands, count);
	return first;
}

/*
 * Answers with the outcome of a command, or suspends the turn if it has none.
 */
Jsonb *
aion_turn_await(Turn *turn, Command *command)
{
	(void) aion_turn_wait(turn, &command, 1);
	aion_turn_consume(turn, command);
	return command->class->answer(turn, command);
}

/*
 * Leaves the code, which continues as a new run.
 */
void
aion_turn_continue(Turn *turn)
{
	aion_turn_unwind(turn, turn->difference != NULL ? TURN_MISMATCHED : TURN_CONTINUED);
}

/*
 * Finds the command of the history that the code gives now; NULL at the end of what is recorded.
 */
static RecordedCommand *
find_recorded(Turn *turn, const Fingerprint *issued)
{
	History *history = turn->run->history;
	int position = turn->command_count + turn->ahead;
	uint64 hash = aion_json_hash(issued->input);
	Difference *difference;
	int later;

	if (turn->difference != NULL &&
		aion_replay_find(history, turn->skipped, issued, hash) == turn->skipped)
	{
		turn->difference->kind = "order";
		aion_turn_unwind(turn, TURN_MISMATCHED);
	}
	if (position >= turn->known)
	{
		if (turn->difference != NULL)
			aion_turn_unwind(turn, TURN_MISMATCHED);
		if (history->terminal != NULL)
		{
			if (history->terminal->type == EVENT_WORKFLOW_COMPLETED ||
				history->terminal->type == EVENT_WORKFLOW_FAILED ||
				history->terminal->type == EVENT_WORKFLOW_CONTINUED_AS_NEW ||
				(history->terminal->type == EVENT_WORKFLOW_CANCELLED && turn->heard > 0))
				aion_turn_differ(turn, aion_replay_surplus(issued));
			aion_turn_unwind(turn,
							 TURN_SUSPENDED); /* the run was ended while its code waited here */
		}
		aion_turn_require_room(turn);
		return NULL;
	}
	difference = aion_replay_compare(history, position, issued, hash, turn->consumed);
	if (difference == NULL)
		return history->commands[position];
	if (turn->difference != NULL)
		aion_turn_unwind(turn, TURN_MISMATCHED);
	later = aion_replay_find(history, position + 1, issued, hash);
	if (later < 0)
		aion_turn_differ(turn, difference);

	/*
	 * The code has skipped the command recorded here.  It goes on with the later one that matches,
	 * so that its next commands tell whether the skipped one moved or is missing; the turn is lost
	 * either way.
	 */
	aion_turn_note_difference(turn, difference);
	difference->kind = "missing";
	difference->found =
		psprintf("%s, which is event %d", difference->found, history->commands[later]->event->seq);
	turn->skipped = position;
	turn->ahead += later - position;
	return history->commands[later];
}
