/*
 * fanout.c
 *		Waiting for several things at once, and asking for many.
 *
 * The result of a wait for several commands is decided by the order in which outcomes were
 * recorded, never by how many of them exist when the code looks: so it is the same in every replay.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "activities/activity.h"
#include "activities/policy.h"
#include "activities/registration.h"
#include "primitives/query.h"
#include "primitives/timer.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/mistake.h"
#include "turn/receive.h"
#include "turn/scope.h"
#include "turn/turn.h"

#define MAP_PROGRESS "aion.map" /* the name under which it is published */

static Command **read_handles(FunctionCallInfo fcinfo, Turn *turn, int *count);
static Command *read_handle(FunctionCallInfo fcinfo, Turn *turn);
static void wait_for_all(Turn *turn, Command **commands, int count);
static Jsonb *all(Turn *turn, Command **commands, int count);
static Command *first_failure(Command **commands, int count);
static void cancel_after(Turn *turn, Command **commands, int count, const Command *decisive);
static Jsonb *settled(Turn *turn, Command **commands, int count);
static bool is_mistaken(const Command *command);
static Command **start_many(Turn *turn, FunctionCallInfo fcinfo, bool all_wanted, int *count);
static bool any_is_settled(Command **commands, int count);
static int concurrency_of(const Jsonb *options, int count);
static void publish_progress(Turn *turn, Command **commands, int count, int total);

/*
 * Waits until all of some commands are settled.
 */
static void
wait_for_all(Turn *turn, Command **commands, int count)
{
	Command **open = palloc(count * sizeof(Command *));
	int32 settled_at = 0;
	int left = 0;

	for (int i = 0; i < count; i++)
	{
		if (!aion_turn_is_settled(commands[i]))
			open[left++] = commands[i];
		settled_at = Max(settled_at, aion_turn_settled_at(commands[i]));
	}
	aion_scope_check(turn, commands, count, settled_at);
	if (left > 0)
		(void) aion_turn_wait(turn, open, left);
	for (int i = 0; i < count; i++)
		aion_turn_consume(turn, commands[i]);
	pfree(open);
}

/*
 * Returns the results in the order of the commands.  The failure recorded first is raised as soon
 * as it is recorded, and commands that were not settled by then are cancelled.  A mistake is to be
 * mended: after that the code gets what it has asked for, so the rest goes on.
 */
static Jsonb *
all(Turn *turn, Command **commands, int count)
{
	Command *failed = first_failure(commands, count);
	Jsonb **results = palloc(count * sizeof(Jsonb *));

	if (failed != NULL)
	{
		aion_scope_check(turn, commands, count, aion_turn_settled_at(failed));
		aion_turn_consume(turn, failed);
		if (!is_mistaken(failed))
			cancel_after(turn, commands, count, failed);
		(void) failed->class->answer(turn, failed); /* raises it */
	}
	wait_for_all(turn, commands, count);
	for (int i = 0; i < count; i++)
		results[i] = commands[i]->class->answer(turn, commands[i]);
	return aion_json_array(results, count);
}

/*
 * Finds the command whose failure was recorded first; NULL if none failed.
 */
static Command *
first_failure(Command **commands, int count)
{
	Command **failed = palloc(count * sizeof(Command *));
	int failures = 0;
	Command *first = NULL;

	for (int i = 0; i < count; i++)
	{
		if (aion_turn_is_settled(commands[i]) && commands[i]->class->failure(commands[i]) != NULL)
			failed[failures++] = commands[i];
	}
	if (failures > 0)
		first = failed[aion_turn_first(failed, failures)];
	pfree(failed);
	return first;
}

/*
 * Cancels the commands that were not settled when a decisive outcome was recorded.
 */
static void
cancel_after(Turn *turn, Command **commands, int count, const Command *decisive)
{
	const Event *event = aion_turn_outcome(decisive);

	for (int i = 0; i < count; i++)
	{
		const Event *outcome = aion_turn_outcome(commands[i]);

		if (commands[i] == decisive || commands[i]->cancelled_by != NULL ||
			(outcome != NULL && (event == NULL || outcome->seq < event->seq)))
			continue;
		(void) commands[i]->class->cancel(turn, commands[i]);
	}
}

/*
 * Returns what became of each command, once all are settled.  A mistake is no outcome: it is
 * raised.
 */
static Jsonb *
settled(Turn *turn, Command **commands, int count)
{
	Jsonb **outcomes = palloc(count * sizeof(Jsonb *));
	Command *mistaken = NULL;

	for (int i = 0; i < count; i++)
	{
		if (is_mistaken(commands[i]) && mistaken == NULL)
			mistaken = commands[i];
	}
	if (mistaken != NULL)
		(void) aion_turn_await(turn, mistaken);
	wait_for_all(turn, commands, count);
	aion_turn_note_failures(turn, commands, count);
	for (int i = 0; i < count; i++)
	{
		Jsonb *failure = commands[i]->class->failure(commands[i]);
		JsonObject object;

		aion_object_begin(&object);
		if (failure != NULL)
			aion_object_json(&object, "error", failure);
		else
		{
			Jsonb *result = commands[i]->class->answer(turn, commands[i]);

			aion_object_json(&object, "ok", result != NULL ? result : aion_json_null());
		}
		outcomes[i] = aion_object_end(&object);
	}
	return aion_json_array(outcomes, count);
}

/*
 * Tells whether a command cannot be carried out.
 */
static bool
is_mistaken(const Command *command)
{
	Jsonb *failure = aion_turn_is_settled(command) && command->class->failure != NULL
						 ? command->class->failure(command)
						 : NULL;
	const char *kind = failure != NULL ? aion_json_text(failure, "kind") : NULL;

	return kind != NULL && strcmp(kind, KIND_MISTAKE) == 0;
}

/*
 * Asks for an activity for each element of an array, at most as many at a time as the options say.
 * If all have to succeed, it stops once one has failed: count is how many were asked for.
 */
static Command **
start_many(Turn *turn, FunctionCallInfo fcinfo, bool all_wanted, int *count)
{
	char *name = aion_activity_name(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	Jsonb *inputs = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	Jsonb *options = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	Command **commands;
	Command **going;
	int concurrency;
	int left = 0;

	if (inputs == NULL || !JB_ROOT_IS_ARRAY(inputs) || JB_ROOT_IS_SCALAR(inputs))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("inputs must be an array"),
						errhint("Where jsonb_agg() may find no rows, use coalesce(jsonb_agg(...), "
								"'[]').")));
	*count = JB_ROOT_COUNT(inputs);
	concurrency = concurrency_of(options, *count);
	commands = palloc(Max(*count, 1) * sizeof(Command *));
	going = palloc(Max(concurrency, 1) * sizeof(Command *));
	for (int i = 0; i < *count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&inputs->root, i);

		if (left == concurrency)
		{
			int first;

			if (!any_is_settled(going, left))
				publish_progress(turn, commands, i, *count);
			first = aion_turn_wait(turn, going, left);
			aion_turn_consume(turn, going[first]);
			if (!all_wanted && is_mistaken(going[first]))
				(void) aion_turn_await(turn, going[first]);
			if (all_wanted && going[first]->class->failure(going[first]) != NULL)
			{
				*count = i;
				break;
			}
			going[first] = going[--left];
		}
		commands[i] = aion_activity_start(turn, name, JsonbValueToJsonb(element), options);
		going[left++] = commands[i];
	}
	if (*count > 0)
		publish_progress(turn, commands, *count, JB_ROOT_COUNT(inputs));
	return commands;
}

static bool
any_is_settled(Command **commands, int count)
{
	for (int i = 0; i < count; i++)
	{
		if (aion_turn_is_settled(commands[i]))
			return true;
	}
	return false;
}

/*
 * Publishes how much of a map is done, for clients that query the run while it waits.
 */
static void
publish_progress(Turn *turn, Command **commands, int count, int total)
{
	int done = 0;
	int failed = 0;
	JsonObject progress;

	for (int i = 0; i < count; i++)
	{
		if (!aion_turn_is_settled(commands[i]))
			continue;
		done++;
		failed += commands[i]->class->failure(commands[i]) != NULL;
	}
	aion_object_begin(&progress);
	aion_object_text(&progress, "activity", commands[0]->fingerprint.name);
	aion_object_int(&progress, "total", total);
	aion_object_int(&progress, "done", done);
	aion_object_int(&progress, "failed", failed);
	aion_query_progress(turn, MAP_PROGRESS, aion_object_end(&progress), done == total);
}

static int
concurrency_of(const Jsonb *options, int count)
{
	Policy policy;

	if (options == NULL)
		return count;
	aion_policy_read(options, false, &policy);
	return policy.concurrency > 0 ? Min(policy.concurrency, count) : count;
}

static Command *
read_handle(FunctionCallInfo fcinfo, Turn *turn)
{
	char *handle = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Command *command = aion_turn_command_of(turn, handle);

	aion_receivers_offer(turn, &command, 1);
	return command;
}

static Command **
read_handles(FunctionCallInfo fcinfo, Turn *turn, int *count)
{
	Command **commands;
	ArrayType *array;
	Datum *handles;
	bool *isnull;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handles must not be null")));
	array = PG_GETARG_ARRAYTYPE_P(0);
	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_INT, &handles, &isnull,
					  count); /* a domain over text */
	commands = palloc(Max(*count, 1) * sizeof(Command *));
	for (int i = 0; i < *count; i++)
		commands[i] =
			aion_turn_command_of(turn, isnull[i] ? NULL : TextDatumGetCString(handles[i]));
	aion_receivers_offer(turn, commands, *count);
	return commands;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_await);
PG_FUNCTION_INFO_V1(aion_await_all);
PG_FUNCTION_INFO_V1(aion_await_settled);
PG_FUNCTION_INFO_V1(aion_await_first);
PG_FUNCTION_INFO_V1(aion_cancel);
PG_FUNCTION_INFO_V1(aion_map);
PG_FUNCTION_INFO_V1(aion_map_settled);

/*
 * await(handle, timeout) -> value
 */
Datum
aion_await(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.await");
	Command *either[2] = {read_handle(fcinfo, turn), NULL};
	Jsonb *value;

	if (!PG_ARGISNULL(1))
	{
		either[1] = aion_timer_start_timeout(turn, PG_GETARG_INTERVAL_P(1), 0);
		if (aion_turn_wait(turn, either, 2) == 1)
		{
			aion_turn_consume(turn, either[1]);
			ereport(ERROR, (errcode(ERRCODE_AWAIT_TIMED_OUT),
							errmsg("waiting for %s \"%s\" timed out", either[0]->class->awaiting,
								   either[0]->fingerprint.name),
							errhint("The handle can be awaited again.")));
		}
		aion_turn_consume(turn, either[0]);
		(void) either[1]->class->cancel(turn, either[1]);
	}
	value = aion_turn_await(turn, either[0]);
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(value);
}

/*
 * await_all(handles) -> array of values
 */
Datum
aion_await_all(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.await_all");
	int count;
	Command **commands = read_handles(fcinfo, turn, &count);

	PG_RETURN_JSONB_P(all(turn, commands, count));
}

/*
 * await_settled(handles) -> array of {"ok": ...} or {"error": ...}
 */
Datum
aion_await_settled(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.await_settled");
	int count;
	Command **commands = read_handles(fcinfo, turn, &count);

	PG_RETURN_JSONB_P(settled(turn, commands, count));
}

/*
 * await_first(handles, cancel_rest) -> (index, name, value)
 */
Datum
aion_await_first(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.await_first");
	bool cancel_rest = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	int count;
	Command **commands = read_handles(fcinfo, turn, &count);
	Datum values[3];
	bool nulls[3] = {false};
	TupleDesc row;
	Jsonb *value;
	int first;

	if (get_call_result_type(fcinfo, NULL, &row) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (count == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("aion.await_first() needs at least one handle")));
	first = aion_turn_wait(turn, commands, count);
	aion_turn_consume(turn, commands[first]);
	if (cancel_rest && !is_mistaken(commands[first]))
		cancel_after(turn, commands, count, commands[first]);
	value = commands[first]->class->answer(turn, commands[first]);
	values[0] = Int32GetDatum(first + 1);
	values[1] = CStringGetTextDatum(commands[first]->fingerprint.name);
	values[2] = JsonbPGetDatum(value);
	nulls[2] = value == NULL;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(row), values, nulls)));
}

/*
 * cancel(handle) -> the state it was in: pending, completed, failed, fired or cancelled
 */
Datum
aion_cancel(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.cancel");
	Command *command = read_handle(fcinfo, turn);

	PG_RETURN_TEXT_P(cstring_to_text(command->class->cancel(turn, command)));
}

/*
 * map(activity, inputs, options) -> array of results
 */
Datum
aion_map(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.map");
	int count;
	Command **commands = start_many(turn, fcinfo, true, &count);

	PG_RETURN_JSONB_P(all(turn, commands, count));
}

/*
 * map_settled(activity, inputs, options) -> array of {"ok": ...} or {"error": ...}
 */
Datum
aion_map_settled(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.map_settled");
	int count;
	Command **commands = start_many(turn, fcinfo, false, &count);

	PG_RETURN_JSONB_P(settled(turn, commands, count));
}
