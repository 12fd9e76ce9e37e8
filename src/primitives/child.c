/*
 * child.c
 *		Children: starting them from workflow code, and their outcomes.
 *
 * A child is a run of its own.  It is started by the turn that asks for it, in the same commit that
 * records it here; if it cannot be started, nothing of it is recorded.  Its outcome is sent to the
 * inbox of this run (primitives/parent.c), so however many children end at once, no session waits
 * for another.  A second outcome, or one of a child that is not open any more, is dropped: the
 * first outcome recorded counts.
 *
 * When this run ends, what is to become of its children is sent to their inboxes.  When it is
 * reopened or forked, it asks the children whose outcome it does not know.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "code/failure.h"
#include "code/owner.h"
#include "history/kinship.h"
#include "primitives/cancel.h"
#include "primitives/parent.h"
#include "primitives/primitives.h"
#include "run/inbox.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "turn/admit.h"
#include "turn/mistake.h"

#define ABANDON "abandon"
#define REQUEST_CANCEL "request_cancel"
#define TERMINATE "terminate"

/* The parameters of a new child. */
typedef struct ChildRequest
{
	char key[12]; /* its number among the children of the run */
	char *workflow_id;
	const char *parent_close;
	bool has_options;
	WantedStart wanted;
} ChildRequest;

static void child_receive(Run *run, const Arrival *arrival);
static void notify_children(Run *run);
static void ask_again(Run *run);
static bool admit(Run *run, Command *command, Hindrance *hindrance);
static Event *child_record(Run *run, Command *command);
static Jsonb *child_answer(Turn *turn, Command *command);
static Jsonb *child_failure_of(const Command *command);
static const char *child_cancel(Turn *turn, Command *child);
static Command *child_give_cancel(Turn *turn, Command *child);
static const char *child_key_of(const Turn *turn, const Command *child);
static const char *child_workflow_id_of(const Command *command);
static Event *child_record_cancel(Run *run, Command *command);

static const CommandClass class = {.kind = COMMAND_CHILD,
								   .awaiting = "child",
								   .has_handle = true,
								   .admit = admit,
								   .record = child_record,
								   .answer = child_answer,
								   .failure = child_failure_of,
								   .cancel = child_cancel,
								   .yield = child_give_cancel,
								   .outlives_await = true,
								   .key = child_workflow_id_of};
static const CommandClass cancel_class = {
	.kind = COMMAND_CANCEL_CHILD, .awaiting = "cancel", .record = child_record_cancel};
static const CommandClass *const classes[] = {&class, &cancel_class, NULL};
const Primitive aion_child_primitive = {.name = "child",
										.classes = classes,
										.receives = ARRIVAL_OUTCOME,
										.receive = child_receive,
										.ended = notify_children,
										.fork = ask_again,
										.reopen = ask_again};

static bool resolve_like_previous(ChildRequest *asked, const Command *previous);
static Event *child_refuse(Run *run, Command *command, const Jsonb *error);
static Jsonb *link_to(const Run *run, const char *key);
static bool is_open_child(const RecordedCommand *command);
static void send_fate(const Run *run, const ChildStarted *child);
static bool find_child(const Run *run, const ChildStarted *child, FoundRun *to);
static void child_ask(const Run *run, const Event *started);
static Command *start_child(FunctionCallInfo fcinfo, Turn *turn);
static const char *read_parent_close(const char *name);

/*
 * Moves the outcome of a child from the inbox into history, unless one is known.
 */
static void
child_receive(Run *run, const Arrival *arrival)
{
	char *status = aion_json_text(arrival->payload, "status");
	bool completed = strcmp(status, aion_status_name(RUN_COMPLETED)) == 0;

	if (aion_history_open(run->history, FAMILY_CHILD, arrival->name) == NULL)
		return;
	aion_recorder_append(
		run->history, completed ? EVENT_CHILD_WORKFLOW_COMPLETED : EVENT_CHILD_WORKFLOW_FAILED,
		arrival->name,
		completed ? aion_event_result(aion_json_member(arrival->payload, "result"))
				  : aion_event_child_failed(status, aion_json_member(arrival->payload, "error")));
}

/*
 * Sends the children of a run that has ended what is to become of them.  Children that a forked run
 * has not started itself are not its own.
 */
static void
notify_children(Run *run)
{
	const History *history = run->history;
	List *origins = aion_event_read_origins(&run->started);
	int first = origins != NIL ? ((Origin *) llast(origins))->commands : 0;

	if (history->open_children == 0 || run->status == RUN_CONTINUED)
		return;
	for (int i = first; i < history->command_count; i++)
	{
		ChildStarted child;

		if (!is_open_child(history->commands[i]))
			continue;
		aion_event_read_child_started(history->commands[i]->event, &child);
		if (child.parent_close != NULL)
			send_fate(run, &child);
	}
}

static bool
is_open_child(const RecordedCommand *command)
{
	return command->kind == COMMAND_CHILD && command->outcome == NULL;
}

static void
send_fate(const Run *run, const ChildStarted *child)
{
	char *reason = psprintf("parent workflow \"%s\" has ended", run->workflow_id);
	FoundRun to;

	if (!find_child(run, child, &to))
		return;
	if (strcmp(child->parent_close, TERMINATE) == 0)
		aion_parent_send_end(&to, reason);
	else
		aion_cancel_send(&to, reason);
}

/*
 * Finds a child that this run can still send something to: it has not ended, or was continued as a
 * new run, and the owner of this run still controls it.
 */
static bool
find_child(const Run *run, const ChildStarted *child, FoundRun *to)
{
	if (!aion_run_look_up_key(child->run_key, to) || (to->is_closed && !to->is_continued))
		return false;
	if (aion_parent_controls(run->owner_key, to->owner_key))
		return true;
	ereport(LOG,
			(errmsg("workflow \"%s\" does not reach its child \"%s\"", run->workflow_id,
					child->workflow_id),
			 errdetail("The role of its owner no longer controls runs of the child's owner.")));
	return false;
}

/*
 * Asks the children whose outcome is not known, or no longer known, how they ended: in a run that
 * was reopened or forked.
 */
static void
ask_again(Run *run)
{
	for (int i = 0; run->history->open_children > 0 && i < run->history->command_count; i++)
	{
		if (is_open_child(run->history->commands[i]))
			child_ask(run, run->history->commands[i]->event);
	}
}

static void
child_ask(const Run *run, const Event *started)
{
	FoundRun self = {
		.run_key = run->run_key, .owner_key = run->owner_key, .chain_key = run->chain_key};
	ChildStarted child;
	FoundRun to;

	aion_event_read_child_started(started, &child);
	if (!aion_run_look_up_key(child.run_key, &to))
		aion_parent_send_purged(&self, started->key, child.workflow_id);
	else if (aion_parent_controls(run->owner_key, to.owner_key))
		aion_parent_send_watch(&to, link_to(run, started->key));
	else
		aion_parent_send_denied(&self, started->key, child.workflow_id);
}

/*
 * Finds out whether a child can be started, and completes its input.
 */
static bool
admit(Run *run, Command *command, Hindrance *hindrance)
{
	ChildRequest *asked = unconstify(void *, command->detail);

	asked->wanted.is_resolved = resolve_like_previous(asked, command->previous);
	return aion_admit(&asked->wanted, hindrance);
}

/*
 * Tells whether a child is of the same workflow as the one before, so that its code is known.
 */
static bool
resolve_like_previous(ChildRequest *asked, const Command *previous)
{
	const ChildRequest *other;

	if (previous == NULL || previous->recorded != NULL || asked->has_options)
		return false;
	other = previous->detail;
	if (other->has_options || previous->mistake != NULL ||
		strcmp(other->wanted.request.workflow_type, asked->wanted.request.workflow_type) != 0)
		return false;
	asked->wanted.request = other->wanted.request;
	return true;
}

/*
 * Starts a child and appends that, or why not.
 */
static Event *
child_record(Run *run, Command *command)
{
	ChildRequest *asked = unconstify(void *, command->detail);
	StartRequest *request = &asked->wanted.request;
	ChildStarted child = {.workflow_type = command->fingerprint.name,
						  .input = aion_json_member(command->fingerprint.input, "input"),
						  .id_was_given = asked->workflow_id != NULL,
						  .parent_close = asked->parent_close};
	Jsonb *link = link_to(run, asked->key);
	StartRefusal refusal;
	Started started;

	if (command->mistake != NULL)
		return child_refuse(run, command, command->mistake->hindrance.failure);
	request->parents = aion_json_array(&link, 1);
	if (!aion_start_attempt(request, asked->wanted.input, asked->workflow_id, &started, &refusal))
	{
		if (refusal.sqlerrcode == ERRCODE_WORKFLOW_RUNNING)
			refusal.hint = "Choose another workflow id, or see the option if_running.";
		else if (refusal.sqlerrcode == ERRCODE_WORKFLOW_CLOSED)
			refusal.hint = "Choose another workflow id, or see the option if_closed.";
		return child_refuse(
			run, command,
			aion_failure_make(unpack_sql_state(refusal.sqlerrcode), refusal.message, refusal.hint));
	}
	CRASH_POINT("child started, not recorded");
	child.version = request->code->version;
	child.workflow_id = started.workflow_id;
	child.run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&started.run_id)));
	child.run_key = started.run_key;
	return aion_recorder_append(run->history, EVENT_CHILD_WORKFLOW_STARTED, asked->key,
								aion_event_child_started(&child));
}

static Event *
child_refuse(Run *run, Command *command, const Jsonb *error)
{
	return aion_recorder_append(run->history, EVENT_COMMAND_ANSWERED, command->fingerprint.name,
								aion_event_command_answered(&command->fingerprint, NULL, error));
}

/*
 * Makes the link that names this run to a child as its parent.
 */
static Jsonb *
link_to(const Run *run, const char *key)
{
	ParentLink link = {
		.run_key = run->run_key,
		.workflow_id = run->workflow_id,
		.run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->run_id))),
		.child = key};

	return aion_event_parent_link(&link);
}

/*
 * Returns the result of a child to the code, or raises an error there for any other end.
 */
static Jsonb *
child_answer(Turn *turn, Command *command)
{
	const Event *outcome = aion_turn_outcome(command);
	Jsonb *failure = child_failure_of(command);
	MemoryContext caller;

	if (failure == NULL)
		return aion_event_read_result(outcome);
	aion_turn_note_failures(turn, &command, 1);
	caller = MemoryContextSwitchTo(turn->context);
	turn->failure = DatumGetJsonbPCopy(JsonbPGetDatum(failure));
	MemoryContextSwitchTo(caller);
	if (outcome->type == EVENT_CHILD_WORKFLOW_FAILED)
		aion_failure_raise(aion_parent_errcode(aion_json_text(outcome->attributes, "status")),
						   failure);
	aion_failure_raise(aion_failure_errcode(failure), failure);
}

static Jsonb *
child_failure_of(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	return outcome->type == EVENT_CHILD_WORKFLOW_COMPLETED ? NULL : aion_event_read_error(outcome);
}

static const char *
child_workflow_id_of(const Command *command)
{
	return aion_json_text(command->recorded->event->attributes, "workflow_id");
}

/*
 * Gives the command that asks a child to cancel; returns the state the child was in.  It is awaited
 * as before: how it ends is up to its code.
 */
static const char *
child_cancel(Turn *turn, Command *child)
{
	const Command *command = child_give_cancel(turn, child);

	if (command->recorded == NULL)
		return command->detail;
	return command->recorded->event->type == EVENT_CHILD_CANCEL_REQUESTED
			   ? "pending"
			   : aion_event_read_answer(command->recorded->event);
}

static Command *
child_give_cancel(Turn *turn, Command *child)
{
	const Event *outcome = aion_turn_outcome(child);
	const char *found = "pending";

	if (outcome != NULL)
		found = outcome->type == EVENT_CHILD_WORKFLOW_COMPLETED ? "completed" : "failed";
	return aion_turn_command(turn, &cancel_class, child_key_of(turn, child), NULL, found);
}

/*
 * Returns the key under which a child is cancelled: its number.  A child that was refused has no
 * event with the number; for it 0.1 took the name of the workflow, if the code knew of the refusal
 * already.
 */
static const char *
child_key_of(const Turn *turn, const Command *child)
{
	const Event *recorded = child->recorded != NULL ? child->recorded->event : NULL;
	const RecordedCommand *next = aion_turn_next_recorded(turn);
	int number = 0;

	if (recorded == NULL)
		return ((const ChildRequest *) child->detail)->key;
	if (recorded->type == EVENT_CHILD_WORKFLOW_STARTED ||
		(next != NULL && next->kind == COMMAND_CANCEL_CHILD &&
		 strcmp(next->event->key, recorded->key) == 0))
		return recorded->key;
	for (int i = 0; i < child->number; i++)
		number += turn->commands[i]->class->kind == COMMAND_CHILD;
	return psprintf("%d", number);
}

static Event *
child_record_cancel(Run *run, Command *command)
{
	const char *key = command->fingerprint.name;
	RecordedCommand *started = aion_history_open(run->history, FAMILY_CHILD, key);
	ChildStarted child;
	FoundRun to;

	if (strcmp(command->detail, "pending") != 0)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, key,
			aion_event_command_answered(&command->fingerprint, command->detail, NULL));
	if (started == NULL) /* asked for and refused in this very turn */
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, key,
			aion_event_command_answered(&command->fingerprint, "failed", NULL));
	aion_event_read_child_started(started->event, &child);
	if (find_child(run, &child, &to))
		aion_cancel_send(&to,
						 psprintf("parent workflow \"%s\" does not want it", run->workflow_id));
	return aion_recorder_append(run->history, EVENT_CHILD_CANCEL_REQUESTED, key, NULL);
}

/*
 * Asks for a child.
 */
static Command *
start_child(FunctionCallInfo fcinfo, Turn *turn)
{
	char *workflow_type = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Jsonb *input = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	char *workflow_id = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	char *parent_close = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	MemoryContext caller = MemoryContextSwitchTo(turn->context);
	ChildRequest *asked = palloc0(sizeof(ChildRequest));
	StartRequest *request = &asked->wanted.request;

	aion_name_check(workflow_type, AION_NAME_MAX, "workflow type");
	aion_payload_check(input, "input");
	if (workflow_id != NULL)
		aion_name_check(workflow_id, AION_WORKFLOW_ID_MAX, "workflow id");
	request->workflow_type = pstrdup(workflow_type);
	request->start_at = DT_NOEND;
	request->if_closed = POLICY_ALLOW;
	if (!PG_ARGISNULL(4))
	{
		asked->wanted.run_as = aion_start_read_options(PG_GETARG_JSONB_P(4), true, request);
		asked->has_options = true;
	}
	if (request->if_running == POLICY_USE_EXISTING || request->if_closed == POLICY_USE_EXISTING)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a child cannot be a run that exists already"),
						errhint("Use error, or choose another workflow id.")));
	asked->parent_close = read_parent_close(parent_close);
	asked->workflow_id = workflow_id != NULL ? pstrdup(workflow_id) : NULL;
	if (input != NULL)
		asked->wanted.input = DatumGetJsonbPCopy(JsonbPGetDatum(input));
	snprintf(asked->key, sizeof(asked->key), "%d", aion_turn_ordinal(turn, COMMAND_CHILD) + 1);
	MemoryContextSwitchTo(caller);
	return aion_turn_command(turn, &class, workflow_type, aion_event_child_wish(input, workflow_id),
							 asked);
}

/*
 * Reads what becomes of a child when this run ends; NULL: nothing.
 */
static const char *
read_parent_close(const char *name)
{
	if (name != NULL && strcmp(name, ABANDON) == 0)
		return NULL;
	if (name != NULL && strcmp(name, REQUEST_CANCEL) == 0)
		return REQUEST_CANCEL;
	if (name != NULL && strcmp(name, TERMINATE) == 0)
		return TERMINATE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_INPUT),
			 errmsg("invalid value for parent_close: \"%s\"", name != NULL ? name : "NULL"),
			 errhint("Possible values are: %s, %s, %s.", ABANDON, REQUEST_CANCEL, TERMINATE)));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_start_child);
PG_FUNCTION_INFO_V1(aion_run_child);

/*
 * start_child(workflow_type, input, workflow_id, parent_close, options) -> handle
 */
Datum
aion_start_child(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.start_child");

	PG_RETURN_TEXT_P(cstring_to_text(aion_turn_handle(start_child(fcinfo, turn))));
}

/*
 * run_child(workflow_type, input, workflow_id, parent_close, options) -> result
 */
Datum
aion_run_child(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.run_child");
	Jsonb *result = aion_turn_await(turn, start_child(fcinfo, turn));

	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
