/*
 * scope.c
 *		What ends an await of workflow code before its answer comes, and where in the code.
 *
 * A scope is a stretch of code with a deadline, which is a timer in history.  Every await is
 * decided by what was recorded first: its answer, or the firing of a scope around it.  Neither what
 * else a turn can already see nor how often the code is executed has a part in that, so it is the
 * same in every replay; and an answer that comes second is not consumed.
 *
 * A scope ends where the code says so, or when the subtransaction it was begun in is rolled back:
 * the callback only marks it.  Its timer is cancelled by a command that the code's next call gives
 * on its behalf, which is at the same place in every replay.
 */
#include "postgres.h"

#include "access/xact.h"

#include "engine/failure.h"
#include "engine/scope.h"
#include "support/errors.h"
#include "support/payload.h"

static void follow_subtransaction(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
								  void *argument);
static const Scope *expired(const Turn *turn);
static void abandon(Turn *turn, Command **commands, int count, int32 seq);
pg_noreturn static void raise_expired(Turn *turn, const Scope *scope);
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
 * Ends the scope of a command, with what was begun within; nothing if it has ended.
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
 * Notes that the code has left a scope, and with it those within; raises nothing.
 */
void
aion_scope_leave(Turn *turn, Scope *left)
{
	if (left->left)
		return; /* with the one around it */
	for (Scope *scope = turn->scope; scope != left; scope = scope->outer)
		scope->left = true;
	left->left = turn->scope_left = true;
}

/*
 * Cancels the deadlines of scopes that have been left, from within.
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
		if (!has_fired(scope->command))
			(void) scope->command->class->cancel(turn, scope->command);
	}
}

/*
 * Tells whether an await whose answer is not in history would be ended.
 */
bool
aion_scope_is_cut(const Turn *turn)
{
	return expired(turn) != NULL;
}

/*
 * Raises what ended an await of some commands, if that was recorded before its answer.
 */
void
aion_scope_check(Turn *turn, Command **commands, int count, int32 answered_at)
{
	const Scope *scope = expired(turn);
	const Event *fired;

	if (scope == NULL)
		return;
	fired = aion_turn_outcome(scope->command);
	if (answered_at < fired->seq)
		return;
	aion_turn_consume_event(turn, fired);
	abandon(turn, commands, count, fired->seq);
	raise_expired(turn, scope);
}

/*
 * Lets scopes end with the subtransaction they were begun in, or go over to the one around it.
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
 * Finds the scope around the code whose deadline was recorded first; NULL if none has expired.
 *
 * A timer within another one that is due at the same moment is recorded after it, so of scopes that
 * expire together the outermost is the one that is reported.
 */
static const Scope *
expired(const Turn *turn)
{
	const Scope *first = NULL;

	for (const Scope *scope = turn->scope; scope != NULL; scope = scope->outer)
	{
		if (!scope->left && has_fired(scope->command) &&
			(first == NULL ||
			 aion_turn_settled_at(scope->command) < aion_turn_settled_at(first->command)))
			first = scope;
	}
	return first;
}

/*
 * Cancels what an await was waiting for when an event ended it.  What was settled by then is not
 * touched, nor what was settled since in another way than by this.
 */
static void
abandon(Turn *turn, Command **commands, int count, int32 seq)
{
	for (int i = 0; i < count; i++)
	{
		Command *command = commands[i];
		const Event *outcome = aion_turn_outcome(command);

		if (command->cancelled_by != NULL || command->class->cancel == NULL ||
			command->class->outlives_await)
			continue;
		if (outcome == NULL || (outcome->seq > seq && aion_event_is_cancelled(outcome)))
			(void) command->class->cancel(turn, command);
	}
}

static void
raise_expired(Turn *turn, const Scope *scope)
{
	const Command *command = scope->command;
	char *duration = aion_json_text(command->recorded->event->attributes, "duration");
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	JsonObject failure;

	aion_object_begin(&failure);
	aion_object_text(&failure, "kind", "deadline");
	aion_object_text(&failure, "sqlstate", "WF026");
	aion_object_text(&failure, "message", psprintf("deadline of %s has expired", duration));
	aion_object_text(&failure, "detail",
					 psprintf("It is that of %s.", command->recorded->event->key));
	turn->failure = aion_object_end(&failure);
	MemoryContextSwitchTo(caller);
	aion_failure_raise(ERRCODE_DEADLINE_EXPIRED, turn->failure);
}

static bool
has_fired(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	return outcome != NULL && outcome->type == EVENT_TIMER_FIRED;
}
