/*
 * parent.c
 *		Being a child: what a run and the parents that wait for its end send each other.
 *
 * A child knows its parent from its first event.  Other parents may come to wait later: one that
 * was reopened, or forked, sends a watch to the children that it asks for their outcome.  An open
 * child records the sender of the watch; a child that has ended answers at once, however late the
 * watch commits.  So a child that ends while its parent is closed sends nothing.  A child that
 * continues as a new run leaves all of that to its successor: what was sent to it is forwarded, and
 * the last run of the chain sends its outcome.
 *
 * The request to end a child goes through its inbox as well: a share locks no run but its own.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/uuid.h"

#include "code/failure.h"
#include "code/owner.h"
#include "history/kinship.h"
#include "primitives/parent.h"
#include "primitives/primitives.h"
#include "run/transition.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/payload.h"

/* What a parent sends: kind and names. */
#define ARRIVAL_PARENT "parent"
#define NAME_END "end"
#define NAME_WATCH "watch"

static void parent_receive(Run *run, const Arrival *arrival);
static void receive_late(Run *run, const Arrival *arrival);
static void answer_for_purged(const Arrival *arrival);
static void parent_terminate(Run *run);
static void tell_all(Run *run);

static int slot; /* Jsonb: the reason for which its parent ends it */
const Primitive aion_parent_primitive = {.name = "parent",
										 .slot = &slot,
										 .receives = ARRIVAL_PARENT,
										 .receive = parent_receive,
										 .receive_late = receive_late,
										 .return_to_sender = answer_for_purged,
										 .arrive = parent_terminate,
										 .ended = tell_all};

static bool parent_is_known(const Run *run, const ParentLink *link);
static void parent_tell(const Run *run, const ParentLink *link, const Jsonb *outcome);
static Jsonb *outcome_of(const Run *run);
static Jsonb *outcome_json(const char *status, const Jsonb *result, const Jsonb *error);
static Jsonb *error_of(const Run *run);
static void send_unknown(const FoundRun *to, const char *key, const Jsonb *error);

/*
 * Handles what a parent has sent to a run that is open.
 */
static void
parent_receive(Run *run, const Arrival *arrival)
{
	ParentLink link;

	if (strcmp(arrival->name, NAME_END) == 0)
	{
		run->slots[slot] =
			aion_event_reason(aion_json_text(arrival->payload, "reason"), arrival->sender);
		return;
	}
	aion_event_read_parent_link(arrival->payload, &link);
	if (!parent_is_known(run, &link))
		aion_recorder_append(run->history, EVENT_WORKFLOW_WATCHED, NULL, arrival->payload);
}

/*
 * Answers a watch that arrives after the end of the run.
 */
static void
receive_late(Run *run, const Arrival *arrival)
{
	ParentLink link;

	if (strcmp(arrival->name, NAME_WATCH) != 0)
		return;
	aion_event_read_parent_link(arrival->payload, &link);
	parent_tell(run, &link, outcome_of(run));
}

/*
 * Answers a watch that was sent to a run, but committed after the run was purged.
 */
static void
answer_for_purged(const Arrival *arrival)
{
	ParentLink link;
	FoundRun to;

	if (strcmp(arrival->name, NAME_WATCH) != 0)
		return;
	aion_event_read_parent_link(arrival->payload, &link);
	if (aion_run_look_up_key(link.run_key, &to) && !to.is_closed)
		aion_parent_send_purged(&to, link.child, NULL);
}

/*
 * Ends a run if its parent has requested that.
 */
static void
parent_terminate(Run *run)
{
	if (run->slots[slot] != NULL && !aion_run_is_closed(run))
		aion_run_close(run, EVENT_WORKFLOW_TERMINATED, run->slots[slot]);
}

/*
 * Sends the outcome of a run to all parents that wait for its end.
 */
static void
tell_all(Run *run)
{
	List *parents = aion_event_read_parents(&run->started);
	Jsonb *outcome;
	ListCell *cell;

	if (run->status == RUN_CONTINUED || (parents == NIL && run->history->watchers == NIL))
		return;
	outcome = outcome_of(run);
	foreach (cell, parents)
		parent_tell(run, lfirst(cell), outcome);
	foreach (cell, run->history->watchers)
	{
		ParentLink link;

		aion_event_read_parent_link(((const Event *) lfirst(cell))->attributes, &link);
		parent_tell(run, &link, outcome);
	}
}

/*
 * Tells whether a parent gets the outcome of the run anyway.
 */
static bool
parent_is_known(const Run *run, const ParentLink *link)
{
	List *parents = aion_event_read_parents(&run->started);
	ListCell *cell;

	foreach (cell, run->history->watchers)
	{
		ParentLink *watcher = palloc(sizeof(ParentLink));

		aion_event_read_parent_link(((const Event *) lfirst(cell))->attributes, watcher);
		parents = lappend(parents, watcher);
	}
	foreach (cell, parents)
	{
		const ParentLink *known = lfirst(cell);

		if (known->run_key == link->run_key && strcmp(known->child, link->child) == 0)
			return true;
	}
	return false;
}

/*
 * Sends the outcome of a run to a parent, unless the parent has ended itself.
 */
static void
parent_tell(const Run *run, const ParentLink *link, const Jsonb *outcome)
{
	Arrival arrival = {.kind = ARRIVAL_OUTCOME, .name = link->child, .payload = outcome};
	FoundRun to;

	if (!aion_run_look_up_key(link->run_key, &to) || to.is_closed)
		return;
	if (aion_parent_controls(to.owner_key, run->owner_key))
		aion_inbox_send(&to, &arrival);
	else
		aion_parent_send_denied(&to, link->child, run->workflow_id);
	CRASH_POINT("parent told");
}

/*
 * Returns how a run ended.
 */
static Jsonb *
outcome_of(const Run *run)
{
	if (run->status == RUN_COMPLETED)
		return outcome_json(aion_status_name(run->status),
							aion_event_read_result(run->history->terminal), NULL);
	return outcome_json(aion_status_name(run->status), NULL, error_of(run));
}

static Jsonb *
outcome_json(const char *status, const Jsonb *result, const Jsonb *error)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "status", status);
	aion_object_json(&object, "result", result);
	aion_object_json(&object, "error", error);
	return aion_object_end(&object);
}

/*
 * Makes the error that the code of a parent gets: for a failure, the original one.
 */
static Jsonb *
error_of(const Run *run)
{
	const Event *terminal = run->history->terminal;
	char *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->run_id)));
	const char *status = aion_status_name(run->status);
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_type", run->started.workflow_type);
	aion_object_text(&object, "workflow_id", run->workflow_id);
	aion_object_text(&object, "run_id", run_id);
	if (run->status == RUN_FAILED)
		return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat,
												  JsonbPGetDatum(aion_event_read_error(terminal)),
												  JsonbPGetDatum(aion_object_end(&object))));
	aion_object_text(&object, "kind", run->status == RUN_TIMED_OUT ? "timeout" : status);
	aion_object_text(&object, "sqlstate", unpack_sql_state(aion_parent_errcode(status)));
	if (run->status == RUN_TIMED_OUT)
		aion_object_text(&object, "message",
						 psprintf("workflow \"%s\" timed out", run->workflow_id));
	else
	{
		aion_object_text(&object, "message",
						 psprintf("workflow \"%s\" was %s", run->workflow_id, status));
		aion_object_text(&object, "detail", aion_json_text(terminal->attributes, "reason"));
	}
	return aion_object_end(&object);
}

int
aion_parent_errcode(const char *status)
{
	if (strcmp(status, aion_status_name(RUN_CANCELLED)) == 0)
		return ERRCODE_WORKFLOW_CANCELLED;
	if (strcmp(status, aion_status_name(RUN_TERMINATED)) == 0)
		return ERRCODE_WORKFLOW_TERMINATED;
	if (strcmp(status, aion_status_name(RUN_TIMED_OUT)) == 0)
		return ERRCODE_WORKFLOW_TIMED_OUT;
	return ERRCODE_WORKFLOW_FAILED;
}

/*
 * Tells whether the owner of a parent controls runs of the owner of its child.  It did when it
 * started the child; a membership may have been revoked since.
 */
bool
aion_parent_controls(int32 parent_owner, int32 child_owner)
{
	Oid role;

	if (parent_owner == child_owner)
		return true;
	role = aion_owner_role(parent_owner);
	return OidIsValid(role) && aion_owner_controls(role, child_owner);
}

/*
 * Requests the end of a child.
 */
void
aion_parent_send_end(const FoundRun *to, const char *reason)
{
	Arrival arrival = {
		.kind = ARRIVAL_PARENT, .name = NAME_END, .payload = aion_event_reason(reason, NULL)};

	aion_inbox_send(to, &arrival);
}

/*
 * Asks a run, open or not, for its outcome.
 */
void
aion_parent_send_watch(const FoundRun *to, const Jsonb *link)
{
	Arrival arrival = {.kind = ARRIVAL_PARENT, .name = NAME_WATCH, .payload = link};

	aion_inbox_send(to, &arrival);
}

/*
 * Tells a parent, in place of a child that is gone, that the child's outcome is no longer known.
 */
void
aion_parent_send_purged(const FoundRun *to, const char *key, const char *workflow_id)
{
	const char *whose =
		workflow_id != NULL ? psprintf("workflow \"%s\"", workflow_id) : psprintf("child %s", key);

	send_unknown(to, key,
				 aion_failure_make(
					 "WF001", psprintf("%s was purged before it told how it ended", whose), NULL));
}

/*
 * Tells a parent that its owner may not know the outcome of a child.
 */
void
aion_parent_send_denied(const FoundRun *to, const char *key, const char *workflow_id)
{
	send_unknown(
		to, key,
		aion_failure_make("42501", psprintf("permission denied for workflow \"%s\"", workflow_id),
						  "The owner of a parent must be a member of the role that owns the child "
						  "until the child has ended."));
}

static void
send_unknown(const FoundRun *to, const char *key, const Jsonb *error)
{
	Arrival arrival = {.kind = ARRIVAL_OUTCOME,
					   .name = key,
					   .payload = outcome_json(aion_status_name(RUN_FAILED), NULL, error)};

	aion_inbox_send(to, &arrival);
}
