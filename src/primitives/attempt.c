/*
 * attempt.c
 *		Executing an activity of this database once.
 *
 * In a subtransaction of its own, as the run's owner: read-write, under the session's settings,
 * with none of what workflow code has set.  Its deferred triggers fire before the subtransaction
 * ends, so a violation is its own failure.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "engine/failure.h"
#include "engine/guard.h"
#include "engine/testing.h"
#include "guc.h"
#include "primitives/activity.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "support/stopwatch.h"

static Statement select_cursors = STATEMENT(SELECT, "SELECT name FROM pg_catalog.pg_cursors");

static void close_portals(void);
static void judge(const char *name, ErrorData *error, bool time_was_up, Attempt *result);
static Jsonb *failure_details(const char *name);

/*
 * Executes an activity once.  Raises only what is not its own failure.
 */
void
aion_attempt_make(const char *name, const Handler *handler, const Jsonb *input, Attempt *result)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;
	GuardState outside;
	bool time_was_up;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	aion_guard_enter(FRAME_ACTIVITY, &outside);
	PG_TRY();
	{
		int open_queries = aion_guard_open_queries();

		result->value = aion_attempt_call(handler, input);
		if (aion_guard_open_queries() > open_queries)
			close_portals();
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error != NULL)
		judge(name, error, time_was_up, result);
}

/*
 * Calls the function, inside of the subtransaction, and lets everything it left for later happen
 * now, while it can still be blamed for it.
 */
Jsonb *
aion_attempt_call(const Handler *handler, const Jsonb *input)
{
	int level = NewGUCNestLevel();
	Jsonb *result;
	bool entered;

	aion_guard_apply_settings();
	PushActiveSnapshot(GetTransactionSnapshot());
	aion_stopwatch_start(aion_turn_timeout);
	if (handler != NULL)
		result = aion_handler_call(handler, aion_handler_complete(handler, input), &entered);
	else
		result = aion_sql_execute(input);
	aion_payload_check(result, "result");
	CRASH_POINT("activity executed");
	PopActiveSnapshot();
	CommandCounterIncrement();
	if (aion_testing_is_active())
		aion_testing_check_deferred();
	else
		AfterTriggerFireDeferred();
	AtEOXact_GUC(false, level);
	return result;
}

/*
 * Closes what the activity left open, inside of its subtransaction.
 */
static void
close_portals(void)
{
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_cursors, NULL);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Portal portal = SPI_cursor_find(aion_row_text(rows, row, 1));

		if (portal != NULL && portal->createSubid >= GetCurrentSubTransactionId() &&
			portal->status == PORTAL_READY)
			SPI_cursor_close(portal);
	}
	aion_authority_drop(&authority);
}

/*
 * Decides whose failure an error was.
 */
static void
judge(const char *name, ErrorData *error, bool time_was_up, Attempt *result)
{
	Jsonb *details = failure_details(name);

	if (time_was_up)
	{
		JsonObject object;

		aion_object_begin(&object);
		aion_object_text(&object, "kind", "timeout");
		aion_object_text(&object, "sqlstate", "57014");
		aion_object_text(&object, "message",
						 psprintf("activity \"%s\" took longer than aion.turn_timeout", name));
		aion_object_text(&object, "hint", "Register it with mode => 'background'.");
		aion_object_text(&object, "activity", name);
		aion_object_int(&object, "attempts", 1);
		result->value = aion_object_end(&object);
	}
	else if (aion_failure_is_cancel(error) || aion_failure_is_machine(error))
		ReThrowError(error); /* it did not happen; the whole share is made again */
	else
		result->value = aion_failure_of(error, details);
	result->failed = true;
}

static Jsonb *
failure_details(const char *name)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", name);
	aion_object_int(&object, "attempts", 1);
	return aion_object_end(&object);
}
