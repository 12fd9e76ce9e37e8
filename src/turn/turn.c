/*
 * turn.c
 *		One execution of workflow code against its history, and what the code may ask for.
 *
 * The code runs from its first line in a read-only subtransaction, as the owner, and the
 * subtransaction is rolled back: it decides, it never writes.  What it asked for lives in memory
 * outside of it.  Everything the code can observe is decided by the history as it was when the
 * turn began, which is in memory too, so no SQL of the engine is executed while it runs.
 *
 * Where the code needs an answer that history does not have, the turn suspends: an error unwinds
 * it.  It is recognised by the turn's verdict and never by its SQLSTATE, so code that catches it
 * gains nothing: every further call fails the same way, and the result is discarded.  A difference
 * between code and history unwinds likewise.
 *
 * Begins and ends no transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
#include "run/primitive.h"
#include "shared/stopwatch.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "turn/mistake.h"
#include "turn/optimistic.h"
#include "turn/patch.h"
#include "turn/receive.h"
#include "turn/scope.h"
#include "turn/turn.h"

/* The levels of messages while a turn says again what was said before. */
typedef struct MessageLevels
{
	int client;
	int log;
	CommandDest destination;
} MessageLevels;

static MessageLevels loud;

static RecordedCommand *find_recorded(Turn *turn, const Fingerprint *issued);
static void run_body(Turn *turn, const Handler *handler, const CodeSettings *settings);
static void judge(Turn *turn, bool time_was_up);
static void require_all_commands(Turn *turn, const char *found);
pg_noreturn static void unwind(Turn *turn, TurnVerdict verdict);
pg_noreturn static void fail_too_long(Turn *turn);
static void differ(Turn *turn, Difference *difference);
static void note_difference(Turn *turn, Difference *difference);
static bool is_failure(const Command *command);
static bool is_known(const Command *command);
static bool is_earlier(const Command *a, const Command *b);
static void make_quiet(Turn *turn);
static void make_loud(Turn *turn);

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
 * Executes the code once and judges how that ended.  Raises only what ends the session's own
 * statement.
 */
void
aion_turn_execute(Turn *turn, const Handler *handler, const CodeSettings *settings)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MessageLevels levels = {client_min_messages, log_min_messages, whereToSendOutput};
	GuardState outside;
	bool time_was_up;

	Assert(aion_guard_turn() == NULL);
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(turn->context);
	aion_guard_enter(FRAME_BODY, turn, &outside);
	loud = levels;
	if (turn->run->seen > 0 || turn->run->said > 0)
		make_quiet(turn);
	aion_optimistic_begin(turn);
	PG_TRY();
	{
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
	if (!time_was_up && aion_optimistic_may_keep(turn))
		aion_optimistic_keep(turn);
	else
	{
		RollbackAndReleaseCurrentSubTransaction();
		if (turn->executed > 0)
			turn->verdict = TURN_SPOILED;
	}
	client_min_messages = levels.client; /* after the rollback of what the code set */
	log_min_messages = levels.log;
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;

	if (turn->error != NULL)
	{
		turn->left_as = turn->error->sqlerrcode;
		turn->as_raised = aion_raised_settle(&turn->raised, turn->error);
	}
	if (turn->raised.cancel != NULL && !time_was_up)
		ReThrowError(turn->raised.cancel);
	if (turn->verdict != TURN_SPOILED)
		judge(turn, time_was_up);
	else if (turn->error != NULL && aion_failure_is_cancel(turn->error) && !time_was_up)
		ReThrowError(turn->error);
}

void
aion_turn_free(Turn *turn)
{
	MemoryContextDelete(turn->context);
}

/*
 * Returns the turn that a function was called in; refuses to be called anywhere else.
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
	if (current->verdict != TURN_GOING)
		unwind(current, current->verdict);
	if (current->raised.cancel != NULL)
		ReThrowError(
			current->raised.cancel); /* what code makes of that is no decision of the run */
	if (current->scope_left)
		aion_scope_settle(current);
	return current;
}

/*
 * Returns the turn that is being executed, NULL if there is none.
 */
Turn *
aion_turn_peek(void)
{
	return aion_guard_turn();
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
		unwind(turn, turn->verdict);
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
 * Counts the commands of a kind given so far.
 */
int
aion_turn_ordinal(const Turn *turn, CommandKind kind)
{
	return turn->ordinals[kind];
}

/*
 * Returns the command that history has for the code to give next; NULL if it ends here.
 */
const RecordedCommand *
aion_turn_next_recorded(const Turn *turn)
{
	int position = turn->command_count + turn->ahead;

	return position < turn->known ? turn->run->history->commands[position] : NULL;
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
	unwind(turn, TURN_SUSPENDED);
}

/*
 * Lets the outcome of a command answer an await: time goes on, and what follows is new if it is.
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
	if (turn->quiet && event->seq > Max(turn->run->seen, turn->run->said))
		make_loud(turn);
}

/*
 * Notes that the code is being told the failures among what an await was for.
 */
void
aion_turn_note_failures(Turn *turn, Command **commands, int count)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	List *told = NIL;

	for (int i = 0; i < count; i++)
	{
		if (is_failure(commands[i]))
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
 * Lists the events of the failures that the code was told of last, and of those that it was never
 * told of; first is how many commands it had given when it first knew one of them.
 */
List *
aion_turn_failures(const Turn *turn, int *first)
{
	List *failures = NIL;

	*first = turn->command_count;
	for (int i = 0; i < turn->command_count; i++)
	{
		Command *command = turn->commands[i];

		if (!is_failure(command) || (is_known(command) && !list_member_ptr(turn->told, command)))
			continue;
		failures = lappend_int(failures, aion_turn_outcome(command)->seq);
		if (command->known_at > 0)
			*first = Min(*first, command->known_at);
	}
	return failures;
}

/*
 * Returns who the run was when the code gave the next command: in a forked run the first ones are
 * those of the run it was made from.  NULL: the run itself.
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
 * Leaves the code, which goes on as a new run.
 */
void
aion_turn_continue(Turn *turn)
{
	unwind(turn, turn->difference != NULL ? TURN_MISMATCHED : TURN_CONTINUED);
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
		unwind(turn, TURN_MISMATCHED);
	}
	if (position >= turn->known)
	{
		if (turn->difference != NULL)
			unwind(turn, TURN_MISMATCHED);
		if (history->terminal != NULL)
		{
			if (history->terminal->type == EVENT_WORKFLOW_COMPLETED ||
				history->terminal->type == EVENT_WORKFLOW_FAILED ||
				history->terminal->type == EVENT_WORKFLOW_CONTINUED_AS_NEW ||
				(history->terminal->type == EVENT_WORKFLOW_CANCELLED && turn->heard > 0))
				differ(turn, aion_replay_surplus(issued));
			unwind(turn, TURN_SUSPENDED); /* others ended the run when its code was here */
		}
		aion_turn_require_room(turn);
		return NULL;
	}
	difference = aion_replay_compare(history, position, issued, hash, turn->consumed);
	if (difference == NULL)
		return history->commands[position];
	if (turn->difference != NULL)
		unwind(turn, TURN_MISMATCHED);
	later = aion_replay_find(history, position + 1, issued, hash);
	if (later < 0)
		differ(turn, difference);

	/*
	 * The code has passed over what is recorded here.  It goes on with what history has for it, to
	 * tell from what it gives next whether that moved or is missing; its turn is lost either way.
	 */
	note_difference(turn, difference);
	difference->kind = "missing";
	difference->found =
		psprintf("%s, which is event %d", difference->found, history->commands[later]->event->seq);
	turn->skipped = position;
	turn->ahead += later - position;
	return history->commands[later];
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
	turn->result = aion_handler_call(handler, turn->run->started.input, &turn->entered);
	aion_payload_check(turn->result, "result");
	if (turn->verdict == TURN_GOING)
		turn->verdict = TURN_RETURNED;
	aion_raised_end(&turn->raised);
}

/*
 * Decides how the turn ended.
 */
static void
judge(Turn *turn, bool time_was_up)
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
	else if (turn->error != NULL && aion_failure_is_machine(turn->error))
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
 * Where the code comes to its end, it must have given all commands that are recorded.
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
 * Leaves the code if what it asks for has no room in history.
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
 * Leaves the code because it has given too many commands, which is no error of its own to catch.
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
	unwind(turn, TURN_FAILED);
}

/*
 * Leaves the code.  SQLSTATE P0004 is one that EXCEPTION WHEN OTHERS does not catch.
 */
static void
unwind(Turn *turn, TurnVerdict verdict)
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
		differ(turn, difference);
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
static void
differ(Turn *turn, Difference *difference)
{
	note_difference(turn, difference);
	unwind(turn, TURN_MISMATCHED);
}

static void
note_difference(Turn *turn, Difference *difference)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	difference->context = aion_failure_code_context(GetErrorContextStack());
	turn->difference = difference;
	MemoryContextSwitchTo(caller);
}

/*
 * Tells whether something that the code asked for has failed, other than by its own cancel.
 */
static bool
is_failure(const Command *command)
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
is_known(const Command *command)
{
	return command->known_at > 0 || aion_turn_outcome(command) == command->recorded->event;
}

/*
 * Tells which of two settled commands was first: in history, and after all of that in this turn.
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

/*
 * Withholds messages until the code is where it has not been before.
 */
static void
make_quiet(Turn *turn)
{
	turn->quiet = true;
	whereToSendOutput = DestNone; /* INFO asks for no level */
	client_min_messages = ERROR;
	log_min_messages = Max(log_min_messages, ERROR);
}

static void
make_loud(Turn *turn)
{
	turn->quiet = false;
	whereToSendOutput = loud.destination;
	client_min_messages = loud.client;
	log_min_messages = loud.log;
}
