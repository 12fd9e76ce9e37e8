/*
 * verify.c
 *		Executing code twice before anything of a turn is recorded.
 *
 * What code reads by means of its own language differs from one execution to the next, and the
 * guard does not see it.  So the code can be executed once more, before the turn: what it asks for
 * then must be what it asks for in the turn.  This is for tests.
 */
#include "postgres.h"

#include "guc.h"
#include "history/likeness.h"
#include "history/replay.h"
#include "support/clock.h"
#include "support/payload.h"
#include "turn/execute.h"
#include "turn/verify.h"

static const char *describe_command(const Turn *turn, int number);
static bool is_same_command(const Command *a, const Command *b);
static const char *describe_outcome(const Turn *turn);
static void note(Turn *turn, const char *first, const char *second, const char *hint);

/*
 * Tells whether turns are verified.
 */
bool
aion_verify_is_on(void)
{
	return aion_verify_turns == VERIFY_ON ||
		   (aion_verify_turns == VERIFY_TESTS && aion_clock_is_virtual());
}

/*
 * Executes the code in a turn of which nothing is kept, and whose messages are suppressed.
 */
Turn *
aion_verify_probe(Run *run, const Handler *handler, const CodeSettings *settings)
{
	Turn *probe = aion_turn_create(run);

	probe->probing = true;
	aion_turn_execute(probe, handler, settings);
	return probe;
}

/*
 * Compares what the code asked for in a turn and in its probe, and how both ended.
 */
void
aion_verify_compare(Turn *turn, Turn *probe)
{
	const char *first;
	const char *second;

	if (turn->difference != NULL || probe->verdict == TURN_FAILED ||
		probe->verdict == TURN_TIMED_OUT || turn->verdict == TURN_FAILED ||
		turn->verdict == TURN_TIMED_OUT)
		return;
	for (int i = turn->known; i < Max(turn->command_count, probe->command_count); i++)
	{
		const Command *a = i < probe->command_count ? probe->commands[i] : NULL;
		const Command *b = i < turn->command_count ? turn->commands[i] : NULL;

		if (a != NULL && b != NULL && is_same_command(a, b))
			continue;
		note(turn, describe_command(probe, i), describe_command(turn, i),
			 a != NULL && b != NULL ? aion_likeness_hint(a->fingerprint.input, b->fingerprint.input)
									: NULL);
		return;
	}
	first = describe_outcome(probe);
	second = describe_outcome(turn);
	if (strcmp(first, second) != 0)
		note(turn, first, second, aion_likeness_hint(probe->result, turn->result));
}

/*
 * Says what the code gave as a command, or how it ended instead.
 */
static const char *
describe_command(const Turn *turn, int number)
{
	return number < turn->command_count ? aion_replay_describe(&turn->commands[number]->fingerprint)
										: describe_outcome(turn);
}

static bool
is_same_command(const Command *a, const Command *b)
{
	return a->class == b->class && strcmp(a->fingerprint.name, b->fingerprint.name) == 0 &&
		   aion_json_hash(a->fingerprint.input) == aion_json_hash(b->fingerprint.input);
}

static const char *
describe_outcome(const Turn *turn)
{
	switch (turn->verdict)
	{
		case TURN_RETURNED:
			return psprintf("returned %s",
							turn->result != NULL ? aion_json_cstring(turn->result) : "nothing");
		case TURN_RAISED:
			return psprintf("raised %s: %s", unpack_sql_state(turn->error->sqlerrcode),
							turn->error->message);
		case TURN_CONTINUED:
			return "continued as new";
		default:
			return "waits";
	}
}

static void
note(Turn *turn, const char *first, const char *second, const char *hint)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	turn->difference = palloc0(sizeof(Difference));
	turn->difference->kind = DIFFERENCE_NONDETERMINISTIC;
	turn->difference->expected = pstrdup(first);
	turn->difference->found = pstrdup(second);
	turn->difference->hint = pstrdup(
		hint != NULL ? hint
					 : "Take what differs from aion.now(), aion.random(), aion.uuid() or an "
					   "activity.");
	turn->verdict = TURN_MISMATCHED;
	MemoryContextSwitchTo(caller);
}
