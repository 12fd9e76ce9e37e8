/*
 * rehearsal.c
 *		Executing code against a history only to see whether they agree.
 *
 * Nothing is locked, appended, executed or written, so it can be done to any run at any time, on a
 * standby too, and to a history that was exported elsewhere: before code is deployed, this shows
 * what it would do in existing runs.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "history/import.h"
#include "run/primitive.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "turn/continue.h"
#include "turn/execute.h"
#include "turn/turn.h"

static Version *find_version(const char *workflow_type, const char *wanted, Oid user);
static Run *import(const Jsonb *exported);
static char *rehearse(Run *run, Version *version, bool went_as_far);
static void rehearsal_add_context(void *run);
static bool went_as_far(const Run *run);
static char *compare_end(const Run *run, const Turn *turn);
static char *describe_end(const Turn *turn);
static text *verdict_line(const char *workflow_id, const char *difference);

/*
 * Finds the code: that of a version, or what new starts use.  It will be executed as the user's
 * role, which has to trust it.
 */
static Version *
find_version(const char *workflow_type, const char *wanted, Oid user)
{
	Workflow *workflow = aion_workflow_find(workflow_type);
	Version *version;

	if (workflow == NULL || !aion_registered_for(workflow->owner_key, user))
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" does not exist", workflow_type),
						errhint("Use aion.register_workflow().")));
	version = wanted != NULL ? aion_version_find(workflow_type, wanted)
							 : aion_version_get(workflow->version_key);
	if (version == NULL || !aion_registered_for(version->owner_key, user))
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" has no version \"%s\"", workflow_type,
							   version != NULL ? version->version : wanted),
						errhint("See aion.workflow_version.")));
	if (aion_version_callable(version) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("code of workflow type \"%s\", version \"%s\", is gone or was changed",
						workflow_type, version->version),
				 errhint("Register the workflow again.")));
	if (!aion_version_may_execute(version, user))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for function %s", version->handler)));
	return version;
}

/*
 * Makes a run in memory from an exported history.
 */
static Run *
import(const Jsonb *exported)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "aion run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Run *run = palloc0(sizeof(Run));
	char *run_id;

	run->context = context;
	run->history = aion_history_import(exported, context);
	run->workflow_id = aion_json_text(exported, "workflow_id");
	run_id = aion_json_text(exported, "run_id");
	if (run->workflow_id == NULL || run_id == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("the exported history does not say whose it is")));
	run->run_id = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(run_id)));
	run->status = RUN_RUNNING;
	aion_event_read_workflow_started(run->history->events[0], &run->started);
	MemoryContextSwitchTo(caller);
	return run;
}

/*
 * Executes code once against a history.  Returns how they differ, NULL if they agree.
 */
static char *
rehearse(Run *run, Version *version, bool compare_all)
{
	ErrorContextCallback context = {error_context_stack, rehearsal_add_context, run};
	Authority authority;
	Turn *turn;
	Difference *difference;

	run->seen = run->history->count; /* messages have been emitted */
	run->version_key = version->version_key;
	turn = aion_turn_create(run);
	error_context_stack = &context;
	aion_turn_execute(turn, aion_version_callable(version), &version->settings);
	error_context_stack = context.previous;
	if (turn->verdict == TURN_TIMED_OUT)
		ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED),
						errmsg("the turn took longer than aion.turn_timeout")));
	if (turn->verdict == TURN_FAILED)
		ReThrowError(turn->error);
	difference = turn->difference;
	if (difference == NULL && compare_all)
	{
		aion_authority_assume(&authority);
		difference = aion_primitives_compare(run, turn);
		aion_authority_drop(&authority);
	}
	return difference != NULL ? aion_json_cstring(aion_replay_difference(difference))
							  : compare_end(run, turn);
}

static void
rehearsal_add_context(void *run)
{
	errcontext(AION_TURN_CONTEXT, ((Run *) run)->workflow_id, "(replay)");
}

/*
 * Tells whether code that is executed against the history now goes exactly as far as it did before:
 * false if events were recorded since its last turn, which it has not seen yet or never will.
 */
static bool
went_as_far(const Run *run)
{
	if (run->status == RUN_RUNNING)
		return run->ready_at == DT_NOEND && run->retry_at == DT_NOEND;
	return run->status == RUN_COMPLETED || run->status == RUN_FAILED ||
		   run->status == RUN_CONTINUED;
}

/*
 * Compares how the code ends with how it has ended, if it has: the run may have been ended from
 * outside.
 */
static char *
compare_end(const Run *run, const Turn *turn)
{
	const Event *end = run->history->terminal;
	bool differs;
	char *was;

	if (end == NULL)
		return NULL;
	if (end->type == EVENT_WORKFLOW_CONTINUED_AS_NEW || turn->verdict == TURN_CONTINUED)
		return aion_continue_compare(run, turn);
	if (end->type == EVENT_WORKFLOW_COMPLETED)
	{
		Jsonb *result = aion_event_read_result(end);

		if (turn->verdict == TURN_RETURNED)
			return aion_json_equal(result, turn->result)
					   ? NULL
					   : psprintf("the result was %s, now it is %s", aion_json_abbreviated(result),
								  aion_json_abbreviated(turn->result));
		differs = true;
		was = psprintf("the code returned %s", aion_json_abbreviated(result));
	}
	else if (end->type == EVENT_WORKFLOW_FAILED)
	{
		Jsonb *error = aion_event_read_error(end);
		char *sqlstate = aion_json_text(error, "sqlstate");

		/* Before 0.2.0 it was recorded as the language had made it. */
		differs = turn->verdict != TURN_RAISED || sqlstate == NULL ||
				  (strcmp(sqlstate, unpack_sql_state(turn->error->sqlerrcode)) != 0 &&
				   strcmp(sqlstate, unpack_sql_state(turn->left_as)) != 0);
		was = psprintf("the code failed with SQLSTATE %s", sqlstate != NULL ? sqlstate : "?????");
	}
	else
		return NULL;
	return differs ? psprintf("%s, now it %s", was, describe_end(turn)) : NULL;
}

static char *
describe_end(const Turn *turn)
{
	switch (turn->verdict)
	{
		case TURN_RETURNED:
			return psprintf("returns %s", aion_json_abbreviated(turn->result));
		case TURN_RAISED:
			return psprintf("fails with SQLSTATE %s: %s", unpack_sql_state(turn->error->sqlerrcode),
							turn->error->message);
		default:
			return "waits";
	}
}

/*
 * Makes the line of TAP.
 */
static text *
verdict_line(const char *workflow_id, const char *difference)
{
	if (difference == NULL)
		return cstring_to_text(psprintf("ok - replay of %s agrees with its history", workflow_id));
	return cstring_to_text(
		psprintf("not ok - replay of %s agrees with its history\n# %s", workflow_id, difference));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_test_replay);
PG_FUNCTION_INFO_V1(aion_test_replay_exported);

/*
 * replay(workflow_id, version) -> a line of TAP
 *
 * Works on any run of the current user, also outside of a test.
 */
Datum
aion_test_replay(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	Version *version;
	Run *run;

	aion_guard_waiting_call("aion_test.replay", NULL);
	aion_authority_assume(&authority);
	run = aion_run_view(aion_run_find(workflow_id, user), CurrentMemoryContext);
	if (run == NULL)
		aion_run_not_found(workflow_id);
	if (aion_owner_role(run->owner_key) != user)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only its owner can replay workflow \"%s\"", workflow_id),
						errdetail("The code would run with the rights of the current user."),
						errhint("Use SET ROLE.")));
	version = find_version(run->started.workflow_type, wanted, user);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(verdict_line(workflow_id, rehearse(run, version, went_as_far(run))));
}

/*
 * replay(history, version) -> a line of TAP
 */
Datum
aion_test_replay_exported(PG_FUNCTION_ARGS)
{
	Jsonb *exported = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	char *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	Version *version;
	Run *run;

	aion_guard_waiting_call("aion_test.replay", NULL);
	run = import(exported);
	aion_authority_assume(&authority);
	version = find_version(run->started.workflow_type, wanted, user);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(verdict_line(run->workflow_id, rehearse(run, version, false)));
}
