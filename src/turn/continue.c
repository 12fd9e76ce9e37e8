/*
 * continue.c
 *		Runs that continue as new ones.
 *
 * The code leaves its turn as it does when it suspends, so it cannot catch that.  The end of the
 * run and the beginning of its successor are one commit: no session ever sees both open, or
 * neither.  The successor takes over the workflow id, the owner and the parents that wait for the
 * end of the run; what else it gets is up to the primitives.
 *
 * The key of the first run of a chain is its chain_key: by that a successor finds what was sent to
 * earlier runs of the chain by senders that had not committed then.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "code/owner.h"
#include "guc.h"
#include "history/attributes.h"
#include "history/kinship.h"
#include "run/primitive.h"
#include "run/transition.h"
#include "support/clock.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/admit.h"
#include "turn/continue.h"

/* How the code continues. */
typedef struct Continuation
{
	WantedStart wanted;
	const Jsonb *input; /* as the code gave it */
} Continuation;

static Run *make_successor(const Run *run, const StartRequest *request, const Jsonb *input);
static Jsonb *all_parents(const Run *run);
static TimestampTz next_deadline(const Run *run, TimestampTz now);

/*
 * Finds the code that the run continues with, and completes its input.  If the input does not fit,
 * the code has failed.
 */
void
aion_continue_admit(Run *run, Turn *turn, Hindrance *hindrance)
{
	WantedStart *wanted = &turn->continuation->wanted;

	if (wanted->request.workflow_type == NULL)
		wanted->request.workflow_type = run->started.workflow_type;
	(void) aion_admit(wanted, hindrance);
}

/*
 * Ends a run that continues as a new one, which is started when the row of this one is written.
 */
void
aion_continue_close(Run *run, Turn *turn)
{
	const Continuation *continuation = turn->continuation;
	const WantedStart *wanted = &continuation->wanted;
	Run *successor = make_successor(run, &wanted->request, wanted->input);
	ContinuedAsNew next = {
		.workflow_type = wanted->request.workflow_type,
		.version = wanted->request.code->version,
		.input = unconstify(Jsonb *, continuation->input),
		.run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&successor->run_id))),
		.run_key = successor->run_key};

	aion_run_close(run, EVENT_WORKFLOW_CONTINUED_AS_NEW, aion_event_continued_as_new(&next));
	run->successor = successor;
	run->heard = turn->heard;
}

/*
 * Starts the successor of a run whose row says already that it has ended.
 */
void
aion_continue_start(Run *successor)
{
	CRASH_POINT("continued, successor not started");
	if (!aion_start_insert(successor))
		elog(ERROR, "workflow \"%s\" cannot go on, another run of it is open",
			 successor->workflow_id);
	aion_start_write(successor);
	CRASH_POINT("continued, successor started");
}

/*
 * Compares how a replay ended with how the run did, where one of them continued as new; NULL if
 * they agree.
 */
char *
aion_continue_compare(const Run *run, const Turn *turn)
{
	const Event *terminal = run->history->terminal;
	const Continuation *now = turn->continuation;
	const char *type;
	ContinuedAsNew was;

	if (terminal->type == EVENT_WORKFLOW_COMPLETED)
		return pstrdup("the code returned, now it goes on as a new run");
	if (terminal->type != EVENT_WORKFLOW_CONTINUED_AS_NEW)
		return NULL; /* it was ended from outside, or failed because it could not continue */
	if (turn->verdict != TURN_CONTINUED)
		return pstrdup("the code went on as a new run, now it does not");
	aion_event_read_continued_as_new(terminal->attributes, &was);
	type = now->wanted.request.workflow_type != NULL ? now->wanted.request.workflow_type
													 : run->started.workflow_type;
	if (strcmp(type, was.workflow_type) == 0 && aion_json_equal(now->input, was.input))
		return NULL;
	return psprintf("the code went on as %s %s, now as %s %s", was.workflow_type,
					aion_json_abbreviated(was.input), type, aion_json_abbreviated(now->input));
}

/*
 * Makes the successor in memory, with the events it begins with.
 */
static Run *
make_successor(const Run *run, const StartRequest *request, const Jsonb *input)
{
	Run *successor = aion_start_blank(run->workflow_id, run->owner_key, request->code->version_key);
	char *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->run_id)));
	WorkflowStarted *started = &successor->started;
	TimestampTz now = aion_clock_now();

	successor->chain_key = run->chain_key != 0 ? run->chain_key : run->run_key;
	started->workflow_type = request->workflow_type;
	started->version = request->code->version;
	started->input = unconstify(Jsonb *, input);
	started->task_queue =
		run->started.task_queue != NULL ? run->started.task_queue : request->task_queue;
	started->started_by = run->started.started_by;
	started->start_at = DT_NOEND;
	started->schedule = run->started.schedule;
	started->scheduled_for = run->started.scheduled_for;
	started->deadline = next_deadline(run, now);
	started->search_attributes = aion_history_search_attributes(run->history);
	started->memo = run->started.memo;
	started->parents = all_parents(run);
	started->continues = aion_event_continues(run->run_key, run_id, successor->chain_key);
	started->most_events = aion_max_history_events;
	aion_recorder_append(successor->history, EVENT_WORKFLOW_STARTED, NULL,
						 aion_event_workflow_started(started));
	if (started->deadline != DT_NOEND)
		aion_recorder_append(successor->history, EVENT_TIMER_STARTED, TIMER_DEADLINE,
							 aion_event_timer_started(started->deadline, NULL));
	successor->status = RUN_RUNNING;
	successor->ready_at = now;
	return successor;
}

/*
 * Returns all parents that wait for the end of a run; NULL if there are none.
 */
static Jsonb *
all_parents(const Run *run)
{
	List *parents = aion_event_read_parents(&run->started);
	int count = list_length(parents) + list_length(run->history->watchers);
	Jsonb **links = palloc(Max(count, 1) * sizeof(Jsonb *));
	ListCell *cell;
	int n = 0;

	foreach (cell, parents)
		links[n++] = aion_event_parent_link(lfirst(cell));
	foreach (cell, run->history->watchers)
		links[n++] = ((const Event *) lfirst(cell))->attributes;
	return count > 0 ? aion_json_array(links, count) : NULL;
}

/*
 * Returns when the successor times out: as long after its beginning as the run that it continues.
 */
static TimestampTz
next_deadline(const Run *run, TimestampTz now)
{
	const WorkflowStarted *started = &run->started;
	TimestampTz began = run->history->events[0]->recorded_at;

	if (started->deadline == DT_NOEND)
		return DT_NOEND;
	if (started->start_at != DT_NOEND)
		began = Max(began, started->start_at);
	return now + (started->deadline - began);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_continue_as_new);
PG_FUNCTION_INFO_V1(aion_continue_suggested);

/*
 * continue_as_new(input, workflow_type) does not return
 */
Datum
aion_continue_as_new(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.continue_as_new");
	Jsonb *input = PG_ARGISNULL(0) ? NULL : PG_GETARG_JSONB_P(0);
	char *workflow_type = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	MemoryContext caller;
	Continuation *continuation;

	aion_payload_check(input, "input");
	if (workflow_type != NULL)
		aion_name_check(workflow_type, AION_NAME_MAX, "workflow type");
	caller = MemoryContextSwitchTo(turn->context);
	continuation = palloc0(sizeof(Continuation));
	if (input != NULL)
		continuation->input = DatumGetJsonbPCopy(JsonbPGetDatum(input));
	continuation->wanted.input = continuation->input;
	continuation->wanted.request.start_at = DT_NOEND;
	if (workflow_type != NULL)
		continuation->wanted.request.workflow_type = pstrdup(workflow_type);
	turn->continuation = continuation;
	MemoryContextSwitchTo(caller);
	aion_turn_continue(turn);
}

/*
 * continue_suggested() -> whether the history that the code knows has half of the length it should
 * have at most
 */
Datum
aion_continue_suggested(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.continue_suggested");

	PG_RETURN_BOOL(turn->consumed >= turn->run->started.most_events / 2);
}
