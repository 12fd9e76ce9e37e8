/*
 * cancel.c
 *		Cancel requests: sending them to runs, and recording them.
 *
 * A request is a row in the inbox of the run until its next share records it; what it does to the
 * code is in turn/scope.c.  The sender of one waits for no turn.  A run that has not begun has
 * nothing to clean up and ends when the request is recorded.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "primitives/cancel.h"
#include "primitives/primitives.h"
#include "run/inbox.h"
#include "run/touched.h"
#include "run/transition.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "turn/advance.h"
#include "turn/scope.h"
#include "turn/turn.h"

static Statement select_status =
	STATEMENT(SELECT, "SELECT status FROM aion._run WHERE run_key = $1", INT8OID);

static void cancel_receive(Run *run, const Arrival *arrival);
static void end_unbegun(Run *run);
static void cancel_carry_over(Run *run, Run *successor);
static Event *cancel_record_sent(Run *run, Command *command);
static Jsonb *cancel_answer_sent(Turn *turn, Command *command);

static const CommandClass class = {.kind = COMMAND_REQUEST_CANCEL,
								   .awaiting = "sending",
								   .record = cancel_record_sent,
								   .answer = cancel_answer_sent,
								   .is_prompt = true};
static const CommandClass *const classes[] = {&class, NULL};
const Primitive aion_cancel_primitive = {.name = "cancel",
										 .classes = classes,
										 .receives = "cancel",
										 .receive = cancel_receive,
										 .arrive = end_unbegun,
										 .resume = end_unbegun,
										 .carry_over = cancel_carry_over};

static char *read_reason(FunctionCallInfo fcinfo, int argument);
static Jsonb *reason_json(const char *reason);
static const char *cancel_unbegun(int64 run_key);

/*
 * Moves a request from the inbox into history.
 */
static void
cancel_receive(Run *run, const Arrival *arrival)
{
	aion_recorder_append(
		run->history, EVENT_WORKFLOW_CANCEL_REQUESTED, NULL,
		aion_event_reason(aion_json_text(arrival->payload, "reason"), arrival->sender));
}

/*
 * Ends a run that was asked to cancel before it began.
 */
static void
end_unbegun(Run *run)
{
	const List *requests = run->history->cancel_requests;

	if (run->status == RUN_SCHEDULED && requests != NIL)
		aion_run_close(run, EVENT_WORKFLOW_CANCELLED,
					   aion_event_workflow_cancelled(linitial(requests),
													 aion_history_pending_requests(run->history, 0),
													 false));
}

/*
 * Passes the requests that were not raised in the code to the successor.
 */
static void
cancel_carry_over(Run *run, Run *successor)
{
	const List *requests = run->history->cancel_requests;

	for (int i = run->heard; i < list_length(requests); i++)
		aion_recorder_append(successor->history, EVENT_WORKFLOW_CANCEL_REQUESTED, NULL,
							 ((const Event *) list_nth(requests, i))->attributes);
}

/*
 * Asks a run to cancel, with the engine's authority.
 */
void
aion_cancel_send(const FoundRun *to, const char *reason)
{
	Arrival arrival = {.kind = aion_cancel_primitive.receives, .payload = reason_json(reason)};

	aion_inbox_send(to, &arrival);
	aion_touched_note(to->run_key);
}

/*
 * Asks another run to cancel and appends that, or that there is none; a run that has ended need not
 * be asked.
 */
static Event *
cancel_record_sent(Run *run, Command *command)
{
	const char *workflow_id = command->fingerprint.name;
	const Jsonb *input = command->fingerprint.input;
	JsonObject attributes;
	FoundRun to;

	if (!aion_run_look_up(workflow_id, aion_owner_role(run->owner_key), &to))
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, workflow_id,
			aion_event_command_answered(
				&command->fingerprint, NULL,
				aion_failure_make("WF001", psprintf("workflow \"%s\" does not exist", workflow_id),
								  NULL)));
	if (to.is_closed)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, workflow_id,
			aion_event_command_answered(&command->fingerprint, "closed", NULL));
	aion_cancel_send(&to, aion_json_text(input, "reason"));
	aion_object_begin(&attributes);
	aion_object_json(&attributes, "input", input);
	return aion_recorder_append(run->history, EVENT_CANCEL_REQUEST_SENT, workflow_id,
								aion_object_end(&attributes));
}

static Jsonb *
cancel_answer_sent(Turn *turn, Command *command)
{
	Jsonb *failure = aion_event_read_error(command->recorded->event);

	if (failure != NULL)
		aion_failure_raise(ERRCODE_WORKFLOW_NOT_FOUND, failure);
	return NULL;
}

static char *
read_reason(FunctionCallInfo fcinfo, int argument)
{
	char *reason = PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	aion_payload_check_size(reason != NULL ? strlen(reason) : 0, "reason");
	return reason;
}

static Jsonb *
reason_json(const char *reason)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "reason", reason);
	return aion_object_end(&object);
}

/*
 * Ends a run that was asked to cancel and has not begun, unless another session has locked it: then
 * that session ends it, or it has begun.  Returns the status it has.
 */
static const char *
cancel_unbegun(int64 run_key)
{
	Run *run = aion_run_lock_if_free(run_key, CurrentMemoryContext);

	if (run != NULL && run->status == RUN_SCHEDULED)
	{
		aion_run_take_arrivals(run);
		if (!aion_run_is_closed(run))
			run->ready_at = aion_clock_now(); /* its start was due: it is asked like any other */
		aion_run_save(run);
	}
	return aion_status_name(run != NULL ? run->status : RUN_SCHEDULED);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_cancel_workflow);
PG_FUNCTION_INFO_V1(aion_request_cancel);
PG_FUNCTION_INFO_V1(aion_shield);
PG_FUNCTION_INFO_V1(aion_cancel_requested);

/*
 * cancel_workflow(workflow_id, reason) -> status it was found in, or cancelled if it had not begun
 */
Datum
aion_cancel_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *reason = read_reason(fcinfo, 1);
	Oid user = GetUserId();
	Authority authority;
	FoundRun to;
	Rows rows;
	const char *status;

	aion_guard_client_call("aion.cancel_workflow");
	aion_authority_assume(&authority);
	if (!aion_run_look_up(workflow_id, user, &to))
		aion_run_not_found(workflow_id);
	if (!to.is_closed)
		aion_cancel_send(&to, reason);
	{
		NullableDatum args[] = {aion_arg_int64(to.run_key)};

		rows = aion_statement_execute(&select_status, args);
	}
	if (rows.count == 0)
		aion_run_not_found(workflow_id); /* it was just purged */
	status = aion_row_text(rows, 0, 1);
	if (!to.is_closed && strcmp(status, aion_status_name(RUN_SCHEDULED)) == 0 &&
		!aion_run_is_executing(to.run_key))
		status = cancel_unbegun(to.run_key);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(status));
}

/*
 * request_cancel(workflow_id, reason)
 */
Datum
aion_request_cancel(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.request_cancel");
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *reason = read_reason(fcinfo, 1);

	aion_name_check(workflow_id, AION_WORKFLOW_ID_MAX, "workflow id");
	(void) aion_turn_await(turn,
						   aion_turn_command(turn, &class, workflow_id, reason_json(reason), NULL));
	PG_RETURN_VOID();
}

/*
 * shield(enabled)
 */
Datum
aion_shield(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.shield");

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("enabled must not be null")));
	aion_scope_shield(turn, PG_GETARG_BOOL(0));
	PG_RETURN_VOID();
}

/*
 * cancel_requested() -> whether a request was recorded before the last event that the code knows
 */
Datum
aion_cancel_requested(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.cancel_requested");
	const List *requests = turn->run->history->cancel_requests;

	if (requests == NIL || ((const Event *) linitial(requests))->seq > turn->consumed)
		PG_RETURN_BOOL(false);
	if (turn->asked_at == 0)
		turn->asked_at = turn->command_count + 1;
	PG_RETURN_BOOL(true);
}
