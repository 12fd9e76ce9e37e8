/*
 * fork.c
 *		New runs from a prefix of a history.
 *
 * The new run has a beginning of its own, which says where it comes from, and then the commands,
 * outcomes and signals that the prefix holds, at their original times.  What only happened to the
 * old run (marks, its end and what that cancelled, its own timeout) is left out.  What is open at
 * the end of the prefix is open in the new run: activities are executed again, timers are live, and
 * a command that the code gives next is new.
 *
 * The old run is only read, without its lock: it may be open, and no session waits.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "code/guard.h"
#include "control/control.h"
#include "run/primitive.h"
#include "run/start.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"

static Run *read_origin(const char *workflow_id, Oid user);
static History *prefix_of(const Run *origin, int32 seq);
static bool is_for_code(const History *prefix, const Event *event);
static Jsonb *origins_of(const Run *origin, int32 commands);
static void fork_begin(Run *run, const Run *origin, const History *prefix, const Version *version);

static Run *
read_origin(const char *workflow_id, Oid user)
{
	Run *origin = aion_run_view(aion_run_find(workflow_id, user), CurrentMemoryContext);

	if (origin == NULL)
		aion_run_not_found(workflow_id);
	return origin;
}

/*
 * Returns the history as it was when it had so many events.
 */
static History *
prefix_of(const Run *origin, int32 seq)
{
	const History *history = origin->history;
	History *prefix;

	if (seq < 1 || seq > history->count)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("workflow \"%s\" has no event %d", origin->workflow_id, seq),
						errdetail("Its history has events 1 to %d.", history->count)));
	prefix = aion_history_create(history->run_key, history->owner_key, origin->context);
	for (int i = 0; i < seq; i++)
		aion_history_add(prefix, history->events[i]);
	return prefix;
}

/*
 * Tells whether an event is one that code has seen or made, and is still valid.  A cancel request
 * counts if the code gave a command after it; else the new run is not asked.
 */
static bool
is_for_code(const History *prefix, const Event *event)
{
	EventRole role = aion_event_role(event);

	if (aion_history_is_superseded(prefix, event))
		return false;
	if (role == ROLE_REQUEST)
		return prefix->command_count > 0 &&
			   event->seq < prefix->commands[prefix->command_count - 1]->event->seq;
	return role == ROLE_SIGNAL || role == ROLE_PATCH ||
		   ((role == ROLE_COMMAND || role == ROLE_OUTCOME) && !aion_event_is_own_timer(event) &&
			!aion_event_is_by_close(event));
}

/*
 * Returns the identities under which the first commands of the new run were given: those of the old
 * run, or of one that it was forked from.
 */
static Jsonb *
origins_of(const Run *origin, int32 commands)
{
	Origin *own = palloc(sizeof(Origin));
	List *older = aion_event_read_origins(&origin->started);
	List *origins = NIL;
	int32 covered = 0;
	ListCell *cell;

	foreach (cell, older)
	{
		Origin *ancestor = lfirst(cell);

		ancestor->commands = Min(ancestor->commands, commands);
		if (ancestor->commands <= covered)
			continue;
		covered = ancestor->commands;
		origins = lappend(origins, ancestor);
	}
	own->workflow_id = origin->workflow_id;
	own->run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&origin->run_id)));
	own->commands = commands;
	if (commands > covered)
		origins = lappend(origins, own);
	return aion_event_origins(origins);
}

/*
 * Gives a new run its history.  Its timeout, if it has one, begins anew.
 */
static void
fork_begin(Run *run, const Run *origin, const History *prefix, const Version *version)
{
	WorkflowStarted *started = &run->started;
	const Event *first = prefix->events[0];
	TimestampTz now = aion_clock_now();
	TimestampTz begun = first->recorded_at;
	char *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&origin->run_id)));
	bool is_early;

	*started = origin->started;
	is_early =
		prefix->command_count == 0 && started->start_at != DT_NOEND && started->start_at > now;
	if (started->start_at != DT_NOEND)
		begun = Max(begun, started->start_at);
	if (started->deadline != DT_NOEND)
		started->deadline = (is_early ? started->start_at : now) + (started->deadline - begun);
	started->version = version->version;
	started->started_by = GetUserNameFromId(aion_guard_actor(), false);
	started->forked_from = aion_event_forked_from(origin->workflow_id, run_id, prefix->count);
	started->origins = origins_of(origin, prefix->command_count);
	started->parents = started->continues = NULL; /* they belong to the old run */
	run->history->stamp = first->recorded_at;
	aion_recorder_append(run->history, EVENT_WORKFLOW_STARTED, NULL,
						 aion_event_workflow_started(started));
	for (int i = 1; i < prefix->count; i++)
	{
		const Event *event = prefix->events[i];

		if (!is_for_code(prefix, event))
			continue;
		run->history->stamp = event->recorded_at;
		aion_recorder_append(run->history, event->type, event->key, event->attributes);
	}
	run->status = is_early ? RUN_SCHEDULED : RUN_RUNNING;
	run->ready_at = is_early ? DT_NOEND : now;
	if (is_early)
		aion_recorder_append(run->history, EVENT_TIMER_STARTED, TIMER_START,
							 aion_event_timer_started(started->start_at, NULL));
	if (started->deadline != DT_NOEND)
		aion_recorder_append(run->history, EVENT_TIMER_STARTED, TIMER_DEADLINE,
							 aion_event_timer_started(started->deadline, NULL));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_fork_workflow);

/*
 * fork_workflow(workflow_id, seq, new_workflow_id, version) -> workflow id
 */
Datum
aion_fork_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *new_id = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	char *wanted = PG_ARGISNULL(3) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(3));
	Oid user = GetUserId();
	Authority authority;
	Version *version;
	Run *origin;
	Run *run;
	text *result;

	aion_guard_client_call("aion.fork_workflow");
	if (PG_ARGISNULL(1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("seq must not be null")));
	if (new_id != NULL)
		aion_name_check(new_id, AION_WORKFLOW_ID_MAX, "workflow id");
	aion_authority_assume(&authority);
	origin = read_origin(workflow_id, user);
	version = wanted != NULL ? aion_control_find_version(origin, wanted)
							 : aion_control_keep_version(origin);
	run = aion_start_blank(new_id, origin->owner_key, version->version_key);
	fork_begin(run, origin, prefix_of(origin, PG_GETARG_INT32(1)), version);
	if (!aion_start_insert(run))
		ereport(ERROR, (errcode(ERRCODE_WORKFLOW_RUNNING),
						errmsg("workflow \"%s\" is already running", run->workflow_id),
						errhint("Choose another workflow id.")));
	aion_start_write(run);
	aion_primitives_fork(run);
	if (run->history->received_names > 0)
		aion_run_save(run); /* the code has consumed none of them yet */
	result = cstring_to_text(run->workflow_id);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(result);
}
