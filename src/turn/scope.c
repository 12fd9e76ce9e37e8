/*
 * scope.c
 *		What ends an await of workflow code before its answer comes, and where in the code.
 *
 * A scope is a section of code with a deadline, which is a timer in history, or one that cancel
 * requests do not reach.  Every await is decided by what was recorded first: its answer, the firing
 * of a deadline around it, or a cancel request that was not raised in the code yet.  Neither what
 * else a turn can already see nor how often the code is executed matters, so the decision is the
 * same in every replay; and an answer that comes second is not consumed.
 *
 * A scope ends where the code says so, or when the subtransaction it was begun in is rolled back:
 * the callback only marks it.  Its timer is cancelled by a command that the code's next call gives
 * on its behalf, which is at the same place in every replay.
 */
#include "postgres.h"

#include "access/xact.h"

#include "code/failure.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/scope.h"

static void follow_subtransaction(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
								  void *argument);
/* What ends an await. */
typedef struct Cut
{
	const Event *event;
	const Scope *scope; /* NULL: a cancel request */
} Cut;

static bool find_cut(const Turn *turn, Cut *cut);
static bool is_to_be_told(const Command *command, int32 seq);
static void abandon(Turn *turn, Command **commands, int count, int32 seq);
static void scope_yield(Turn *turn, Command **commands, int count, int32 seq);
static void wait_for_yielding(Turn *turn, Command **commands, int count);
pg_noreturn static void raise_expired(Turn *turn, const Scope *scope);
pg_noreturn static void raise_requested(Turn *turn, const Event *request);
static void scope_note_failure(Turn *turn, JsonObject *failure, const char *sqlstate, char *message,
							   const char *detail);
static bool has_fired(const Command *command);

/*
 * Begins a scope where the code is now.
 */
Scope *
aion_scope_begin(Turn *turn, Command *command)
{
	static bool registered = false;
	Scope *scope = MemoryContextAllocZero(turn->context, sizeof(Scope));

	if (!registered)
		RegisterSubXactCallback(follow_subtransaction, NULL);
	registered = true;
	scope->command = command;
	scope->begun_in = GetCurrentSubTransactionId();
	scope->outer = turn->scope;
	turn->scope = scope;
	return scope;
}

/*
 * Ends the scope of a command, with what was begun within; does nothing if it has ended.
 */
void
aion_scope_end(Turn *turn, const Command *command)
{
	Scope *scope = turn->scope;

	while (scope != NULL && scope->command != command)
		scope = scope->outer;
	if (scope == NULL)
		return;
	aion_scope_leave(turn, scope);
	aion_scope_settle(turn);
}

/*
 * Begins or ends a shield of the code against cancel requests.
 */
void
aion_scope_shield(Turn *turn, bool enabled)
{
	bool shielded = false;

	for (Scope *scope = turn->scope; scope != NULL; scope = scope->outer)
	{
		if (scope->command == NULL && !enabled)
			scope->left = true;
		shielded = shielded || (scope->command == NULL && !scope->left);
	}
	if (enabled && !shielded)
		(void) aion_scope_begin(turn, NULL);
	aion_scope_settle(turn);
}

/*
 * Notes that the code has left a scope, and with it those within; raises nothing.
 */
void
aion_scope_leave(Turn *turn, Scope *left)
{
	if (left->left)
		return; /* with the one around it */
	for (Scope *scope = turn->scope; scope != left; scope = scope->outer)
		scope->left = scope->left || scope->command != NULL;
	left->left = turn->scope_left = true;
}

/*
 * Cancels the deadlines of scopes that have been left, the innermost first.
 */
void
aion_scope_settle(Turn *turn)
{
	Scope **link = &turn->scope;

	turn->scope_left = false;
	while (*link != NULL)
	{
		Scope *scope = *link;

		if (!scope->left)
		{
			link = &scope->outer;
			continue;
		}
		*link = scope->outer;
		if (scope->command != NULL && !has_fired(scope->command))
			(void) scope->command->class->cancel(turn, scope->command);
	}
}

/*
 * Tells whether an await whose answer is not in history would be ended.
 */
bool
aion_scope_is_cut(const Turn *turn)
{
	Cut cut;

	return find_cut(turn, &cut);
}

/*
 * Raises what ended an await of some commands, if that was recorded before its answer.
 */
void
aion_scope_check(Turn *turn, Command **commands, int count, int32 answered_at)
{
	Cut cut;

	if (!find_cut(turn, &cut) || answered_at < cut.event->seq ||
		(count > 0 && commands[0]->class->is_prompt))
		return;
	aion_turn_consume_event(turn, cut.event);
	turn->told_last = false;
	if (cut.scope != NULL)
	{
		abandon(turn, commands, count, cut.event->seq);
		raise_expired(turn, cut.scope);
	}
	turn->heard_at = turn->command_count;
	scope_yield(turn, commands, count, cut.event->seq);
	turn->heard++;
	raise_requested(turn, cut.event);
}

/*
 * Ends the scopes that were begun in a subtransaction that is rolled back; if it is released, they
 * belong to its parent.
 */
static void
follow_subtransaction(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
					  void *argument)
{
	Turn *turn = aion_turn_peek();

	if (turn == NULL || (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB))
		return;
	for (Scope *scope = turn->scope; scope != NULL; scope = scope->outer)
	{
		if (scope->begun_in != sub)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			scope->begun_in = parent;
		else
			scope->left = turn->scope_left = true;
	}
}

/*
 * Finds the event that was recorded first among those that end awaits where the code is now.
 *
 * The deadline of a scope within another one that is due at the same moment is recorded after it,
 * so of scopes that expire together the outermost is reported.
 */
static bool
find_cut(const Turn *turn, Cut *cut)
{
	const List *requests = turn->run->history->cancel_requests;
	bool shielded = false;

	*cut = (Cut){NULL, NULL};
	for (const Scope *scope = turn->scope; scope != NULL; scope = scope->outer)
	{
		if (scope->left)
			continue;
		shielded = shielded || scope->command == NULL;
		if (scope->command != NULL && has_fired(scope->command) &&
			(cut->event == NULL || aion_turn_settled_at(scope->command) < cut->event->seq))
			*cut = (Cut){aion_turn_outcome(scope->command), scope};
	}
	if (!shielded && turn->heard < list_length(requests))
	{
		const Event *request = list_nth(requests, turn->heard);

		if (cut->event == NULL || request->seq < cut->event->seq)
			*cut = (Cut){request, NULL};
	}
	return cut->event != NULL;
}

/*
 * Tells whether a command is to be cancelled, or to yield, when an event ends its await.  What was
 * settled by then is not touched.
 */
static bool
is_to_be_told(const Command *command, int32 seq)
{
	const Event *outcome = aion_turn_outcome(command);

	return command->cancelled_by == NULL && command->class->cancel != NULL &&
		   (outcome == NULL || outcome->seq > seq);
}

/*
 * Cancels what an await was waiting for when an event ended it.  What was settled since in another
 * way than by this is not touched either.
 */
static void
abandon(Turn *turn, Command **commands, int count, int32 seq)
{
	for (int i = 0; i < count; i++)
	{
		const Event *outcome = aion_turn_outcome(commands[i]);

		if (!commands[i]->class->outlives_await && is_to_be_told(commands[i], seq) &&
			(outcome == NULL || aion_event_is_cancelled(outcome)))
			(void) commands[i]->class->cancel(turn, commands[i]);
	}
}

/*
 * The same for a cancel request, to which some kinds of commands yield in a way of their own.
 */
static void
scope_yield(Turn *turn, Command **commands, int count, int32 seq)
{
	Command **asked = palloc(Max(count, 1) * sizeof(Command *));
	bool is_new = false;
	int n = 0;

	for (int i = 0; i < count; i++)
	{
		Command *command = commands[i];

		if (command->class->yield == NULL)
			abandon(turn, &command, 1, seq);
		else if (is_to_be_told(command, seq) && command->yielded_by == NULL)
		{
			command->yielded_by = command->class->yield(turn, command);
			is_new = is_new || command->yielded_by->recorded == NULL;
			asked[n++] = command;
		}
	}
	if (is_new)
	{
		for (int i = 0; i < n; i++)
			asked[i] = asked[i]->yielded_by;
		aion_turn_suspend(turn, asked, n); /* until their answers are recorded, which is at once */
	}
	wait_for_yielding(turn, asked, n);
	pfree(asked);
}

/*
 * Waits for the outcomes of the commands that answered the request by asking to be waited for.
 */
static void
wait_for_yielding(Turn *turn, Command **commands, int count)
{
	int left = 0;

	for (int i = 0; i < count; i++)
	{
		Command *command = commands[i];

		if (command->yielded_by->recorded->event->type != EVENT_ACTIVITY_CANCEL_REQUESTED)
			continue;
		if (aion_turn_outcome(command) != NULL)
			aion_turn_consume(turn, command);
		else
			commands[left++] = command;
	}
	if (left > 0)
		aion_turn_suspend(turn, commands, left);
}

static void
raise_expired(Turn *turn, const Scope *scope)
{
	const Event *started = scope->command->recorded->event;
	char *duration = aion_json_text(started->attributes, "duration");
	JsonObject failure;

	aion_object_begin(&failure);
	aion_object_text(&failure, "kind", "deadline");
	scope_note_failure(turn, &failure, "WF026", psprintf("deadline of %s has expired", duration),
					   psprintf("It is that of %s.", started->key));
	aion_failure_raise(ERRCODE_DEADLINE_EXPIRED, turn->failure);
}

static void
raise_requested(Turn *turn, const Event *request)
{
	const Origin *origin = aion_turn_origin(turn);
	JsonObject failure;

	aion_object_begin(&failure);
	aion_object_text(&failure, "kind", "cancel");
	aion_object_text(&failure, "by", aion_json_text(request->attributes, "by"));
	scope_note_failure(turn, &failure, "WF028",
					   psprintf("workflow \"%s\" was asked to cancel",
								origin != NULL ? origin->workflow_id : turn->run->workflow_id),
					   aion_json_text(request->attributes, "reason"));
	aion_failure_raise(ERRCODE_CANCEL_REQUESTED, turn->failure);
}

/*
 * Makes what aion.failure() returns then.
 */
static void
scope_note_failure(Turn *turn, JsonObject *failure, const char *sqlstate, char *message,
				   const char *detail)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->context);

	aion_object_text(failure, "sqlstate", sqlstate);
	aion_object_text(failure, "message", message);
	aion_object_text(failure, "detail", detail);
	turn->failure = aion_object_end(failure);
	MemoryContextSwitchTo(caller);
}

static bool
has_fired(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	return outcome != NULL && outcome->type == EVENT_TIMER_FIRED;
}
