/*
 * event.c
 *		The events a history is made of: the only encoder and decoder of what each carries.
 *
 * Encoding is additive: an attribute that an old row lacks reads as a default that means what was
 * true when such rows were written.  Attributes that say nothing are left out, and an event
 * without any has no attributes at all.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "history/event.h"
#include "support/payload.h"

#define MOST_EVENTS 50000 /* of a run whose first event says nothing else */

/* What commands are called in messages and in CommandAnswered. */
static const char *const command_words[COMMAND_KINDS] = {
	[COMMAND_NONE] = "nothing",
	[COMMAND_ACTIVITY] = "run",
	[COMMAND_SLEEP] = "sleep",
	[COMMAND_TIMER] = "start_timer",
	[COMMAND_TIMEOUT] = "timeout",
	[COMMAND_CANCEL_TIMER] = "cancel_timer",
	[COMMAND_CANCEL_ACTIVITY] = "cancel",
	[COMMAND_ON_QUERY] = "on_query",
	[COMMAND_TRY_RECEIVE] = "try_receive",
	[COMMAND_SEND_SIGNAL] = "send_signal",
	[COMMAND_UPSERT_SEARCH_ATTRIBUTES] = "upsert_search_attributes",
	[COMMAND_DEADLINE] = "timeout scope",
	[COMMAND_REQUEST_CANCEL] = "request_cancel",
	[COMMAND_CHILD] = "start_child",
	[COMMAND_CANCEL_CHILD] = "cancel_child",
};

static bool has_prefix(const char *text, const char *prefix);
static Jsonb *timer_wish(const Event *event);
static Jsonb *child_wish(const Event *event);
static CommandKind command_of_word(const char *word);
static void put_end(JsonObject *object, List *ended_on, bool went_on);
static Jsonb *numbers(List *values);
static List *read_numbers(const Jsonb *array);

/*
 * Tells whether an event records something the code asked for, and what that was.
 */
bool
aion_event_fingerprint(const Event *event, Fingerprint *fingerprint)
{
	fingerprint->kind = COMMAND_NONE;
	fingerprint->name = event->key;
	fingerprint->input = NULL;
	switch (event->type)
	{
		case EVENT_ACTIVITY_SCHEDULED:
			fingerprint->kind = COMMAND_ACTIVITY;
			fingerprint->name = aion_event_read_activity(event);
			fingerprint->input = aion_event_read_activity_input(event);
			break;
		case EVENT_TIMER_STARTED:
			if (aion_event_is_own_timer(event))
				break;
			fingerprint->kind = has_prefix(event->key, TIMER_SLEEP)		? COMMAND_SLEEP
								: has_prefix(event->key, TIMER_TIMEOUT) ? COMMAND_TIMEOUT
								: has_prefix(event->key, TIMER_SCOPE)	? COMMAND_DEADLINE
																		: COMMAND_TIMER;
			fingerprint->input = timer_wish(event);
			break;
		case EVENT_TIMER_CANCELLED:
			if (aion_event_read_cancel_cause(event) == CANCEL_BY_WORKFLOW)
				fingerprint->kind = COMMAND_CANCEL_TIMER;
			break;
		case EVENT_ACTIVITY_CANCELLED:
			if (aion_event_read_cancel_cause(event) == CANCEL_BY_WORKFLOW)
				fingerprint->kind = COMMAND_CANCEL_ACTIVITY;
			break;
		case EVENT_ACTIVITY_CANCEL_REQUESTED:
			fingerprint->kind = COMMAND_CANCEL_ACTIVITY;
			break;
		case EVENT_CANCEL_REQUEST_SENT:
			fingerprint->kind = COMMAND_REQUEST_CANCEL;
			fingerprint->input = aion_json_member(event->attributes, "input");
			break;
		case EVENT_SIGNAL_SENT:
			fingerprint->kind = COMMAND_SEND_SIGNAL;
			fingerprint->input = DatumGetJsonbPCopy(JsonbPGetDatum(event->attributes));
			break;
		case EVENT_CHILD_WORKFLOW_STARTED:
			fingerprint->kind = COMMAND_CHILD;
			fingerprint->name = aion_json_text(event->attributes, "workflow_type");
			fingerprint->input = child_wish(event);
			break;
		case EVENT_CHILD_CANCEL_REQUESTED:
			fingerprint->kind = COMMAND_CANCEL_CHILD;
			break;
		case EVENT_SEARCH_ATTRIBUTES_UPDATED:
			fingerprint->kind = COMMAND_UPSERT_SEARCH_ATTRIBUTES;
			fingerprint->name = ""; /* a run has but one set of them */
			fingerprint->input = aion_event_read_search_attributes(event);
			break;
		case EVENT_COMMAND_ANSWERED:
			fingerprint->kind = command_of_word(aion_json_text(event->attributes, "command"));
			fingerprint->input = aion_json_member(event->attributes, "input");
			break;
		default:
			break;
	}
	return fingerprint->kind != COMMAND_NONE;
}

/*
 * Tells whether an event may end an await of something else.
 */
bool
aion_event_is_interruption(const Event *event)
{
	return aion_event_role(event) == ROLE_REQUEST ||
		   (event->type == EVENT_TIMER_FIRED && has_prefix(event->key, TIMER_SCOPE));
}

/*
 * Tells whether an event records what the end of a run has cancelled.
 */
bool
aion_event_is_by_close(const Event *event)
{
	return (event->type == EVENT_TIMER_CANCELLED || event->type == EVENT_ACTIVITY_CANCELLED) &&
		   aion_event_read_cancel_cause(event) == CANCEL_BY_CLOSE;
}

/*
 * Tells whether an event is about a timer of the engine's own, which the code never sees.
 */
bool
aion_event_is_own_timer(const Event *event)
{
	return aion_event_family(event) == FAMILY_TIMER &&
		   (has_prefix(event->key, TIMER_START) || has_prefix(event->key, TIMER_DEADLINE));
}

/*
 * Tells whether an event records that the code cancelled something, or found nothing to cancel.
 */
bool
aion_event_is_cancel_command(const Event *event)
{
	Fingerprint fingerprint;

	return aion_event_fingerprint(event, &fingerprint) &&
		   (fingerprint.kind == COMMAND_CANCEL_TIMER ||
			fingerprint.kind == COMMAND_CANCEL_ACTIVITY ||
			fingerprint.kind == COMMAND_CANCEL_CHILD);
}

const char *
aion_command_word(CommandKind kind)
{
	return command_words[kind];
}

Jsonb *
aion_event_workflow_started(const WorkflowStarted *started)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_type", started->workflow_type);
	aion_object_text(&object, "version", started->version);
	aion_object_json(&object, "input", started->input);
	aion_object_text(&object, "task_queue", started->task_queue);
	aion_object_text(&object, "started_by", started->started_by);
	aion_object_timestamp(&object, "start_at", started->start_at);
	aion_object_timestamp(&object, "deadline", started->deadline);
	aion_object_json(&object, "search_attributes", started->search_attributes);
	aion_object_json(&object, "memo", started->memo);
	aion_object_json(&object, "forked_from", started->forked_from);
	aion_object_json(&object, "origins", started->origins);
	aion_object_json(&object, "parents", started->parents);
	aion_object_json(&object, "continues", started->continues);
	if (started->most_events != MOST_EVENTS)
		aion_object_int(&object, "most_events", started->most_events);
	aion_object_text(&object, "schedule", started->schedule);
	aion_object_timestamp(&object, "scheduled_for", started->scheduled_for);
	return aion_object_end(&object);
}

void
aion_event_read_workflow_started(const Event *event, WorkflowStarted *started)
{
	const Jsonb *attributes = event->attributes;

	started->workflow_type = aion_json_text(attributes, "workflow_type");
	started->version = aion_json_text(attributes, "version");
	started->input = aion_json_member(attributes, "input");
	started->task_queue = aion_json_text(attributes, "task_queue");
	started->started_by = aion_json_text(attributes, "started_by");
	started->start_at = aion_json_timestamp(attributes, "start_at");
	started->deadline = aion_json_timestamp(attributes, "deadline");
	started->search_attributes = aion_json_member(attributes, "search_attributes");
	started->memo = aion_json_member(attributes, "memo");
	started->forked_from = aion_json_member(attributes, "forked_from");
	started->origins = aion_json_member(attributes, "origins");
	started->parents = aion_json_member(attributes, "parents");
	started->continues = aion_json_member(attributes, "continues");
	started->most_events = aion_json_int(attributes, "most_events", MOST_EVENTS);
	started->schedule = aion_json_text(attributes, "schedule");
	started->scheduled_for = aion_json_timestamp(attributes, "scheduled_for");
}

/*
 * Encodes a result: without the attribute it is SQL NULL, json null is a value.
 */
Jsonb *
aion_event_result(const Jsonb *result)
{
	return aion_event_attempted(result, 1, NULL);
}

/*
 * The same of an activity, with the number of attempts if there were several, and why the last but
 * one failed.
 */
Jsonb *
aion_event_attempted(const Jsonb *result, int32 attempts, const Jsonb *last_error)
{
	JsonObject object;

	if (result == NULL && attempts <= 1)
		return NULL;
	aion_object_begin(&object);
	if (result != NULL)
		aion_object_json(&object, "result", result);
	if (attempts > 1)
		aion_object_int(&object, "attempts", attempts);
	aion_object_json(&object, "last_error", last_error);
	return aion_object_end(&object);
}

Jsonb *
aion_event_read_result(const Event *event)
{
	return aion_json_member(event->attributes, "result");
}

Jsonb *
aion_event_error(const Jsonb *error)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_json(&object, "error", error);
	return aion_object_end(&object);
}

Jsonb *
aion_event_read_error(const Event *event)
{
	return aion_json_member(event->attributes, "error");
}

/*
 * Encodes the failure of a run: with it the events that it ended on, which a reopen takes back, and
 * whether the code asked for something after it knew of them.
 */
Jsonb *
aion_event_failed(const Jsonb *error, List *ended_on, bool went_on)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_json(&object, "error", error);
	put_end(&object, ended_on, went_on);
	return aion_object_end(&object);
}

/*
 * The same for a run that ended by a cancel request, which it names.
 */
Jsonb *
aion_event_workflow_cancelled(const Event *request, List *ended_on, bool went_on)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "reason", aion_json_text(request->attributes, "reason"));
	aion_object_text(&object, "by", aion_json_text(request->attributes, "by"));
	put_end(&object, ended_on, went_on);
	return aion_object_end(&object);
}

static void
put_end(JsonObject *object, List *ended_on, bool went_on)
{
	if (ended_on != NIL)
		aion_object_json(object, "ended_on", numbers(ended_on));
	if (went_on)
		aion_object_text(object, "went_on", "true");
}

List *
aion_event_read_ended_on(const Event *event)
{
	return read_numbers(aion_json_member(event->attributes, "ended_on"));
}

bool
aion_event_read_went_on(const Event *event)
{
	return aion_json_has_member(event->attributes, "went_on");
}

/*
 * Encodes which role reopened a run and why, and the events that are superseded from there on.
 */
Jsonb *
aion_event_reopened(const char *reason, const char *by, List *superseded)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "reason", reason);
	aion_object_text(&object, "by", by);
	aion_object_json(&object, "supersedes", numbers(superseded));
	return aion_object_end(&object);
}

List *
aion_event_read_superseded(const Event *event)
{
	return read_numbers(aion_json_member(event->attributes, "supersedes"));
}

/*
 * Encodes which run a forked one was made from, and up to which event.
 */
Jsonb *
aion_event_forked_from(const char *workflow_id, const char *run_id, int32 seq)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_id", workflow_id);
	aion_object_text(&object, "run_id", run_id);
	aion_object_int(&object, "seq", seq);
	return aion_object_end(&object);
}

/*
 * Encodes under which identities the first commands of a forked run were given.
 */
Jsonb *
aion_event_origins(List *origins)
{
	Jsonb **elements = palloc(Max(list_length(origins), 1) * sizeof(Jsonb *));
	ListCell *cell;

	foreach (cell, origins)
	{
		const Origin *origin = lfirst(cell);
		JsonObject object;

		aion_object_begin(&object);
		aion_object_text(&object, "workflow_id", origin->workflow_id);
		aion_object_text(&object, "run_id", origin->run_id);
		aion_object_int(&object, "commands", origin->commands);
		elements[foreach_current_index(cell)] = aion_object_end(&object);
	}
	return origins != NIL ? aion_json_array(elements, list_length(origins)) : NULL;
}

List *
aion_event_read_origins(const WorkflowStarted *started)
{
	List *origins = NIL;

	for (uint32 i = 0; started->origins != NULL && i < JB_ROOT_COUNT(started->origins); i++)
	{
		Jsonb *element =
			JsonbValueToJsonb(getIthJsonbValueFromContainer(&started->origins->root, i));
		Origin *origin = palloc(sizeof(Origin));

		origin->workflow_id = aion_json_text(element, "workflow_id");
		origin->run_id = aion_json_text(element, "run_id");
		origin->commands = aion_json_int(element, "commands", 0);
		origins = lappend(origins, origin);
	}
	return origins;
}

/*
 * Encodes why a run was ended, paused or resumed from outside, and by which role.
 */
Jsonb *
aion_event_reason(const char *reason, const char *by)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "reason", reason);
	aion_object_text(&object, "by", by);
	return aion_object_end(&object);
}

Jsonb *
aion_event_blocked(const char *reason, const Jsonb *difference)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "reason", reason);
	aion_object_json(&object, "detail", difference);
	return aion_object_end(&object);
}

Jsonb *
aion_event_version_changed(const char *from, const char *to)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "from", from);
	aion_object_text(&object, "to", to);
	return aion_object_end(&object);
}

/*
 * Encodes the answer to a command that changed nothing, because what it was about did not exist.
 */
Jsonb *
aion_event_command_answered(const Fingerprint *command, const char *answer, const Jsonb *error)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "command", aion_command_word(command->kind));
	aion_object_json(&object, "input", command->input);
	aion_object_text(&object, "answer", answer);
	aion_object_json(&object, "error", error);
	return aion_object_end(&object);
}

char *
aion_event_read_answer(const Event *event)
{
	return aion_json_text(event->attributes, "answer");
}

Jsonb *
aion_event_activity_scheduled(const char *activity, const Jsonb *input, const Jsonb *options)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "activity", activity);
	aion_object_json(&object, "input", input);
	aion_object_json(&object, "options", options);
	return aion_object_end(&object);
}

Jsonb *
aion_event_read_activity_options(const Event *event)
{
	return aion_json_member(event->attributes, "options");
}

char *
aion_event_read_activity(const Event *event)
{
	return aion_json_text(event->attributes, "activity");
}

Jsonb *
aion_event_read_activity_input(const Event *event)
{
	return aion_json_member(event->attributes, "input");
}

/*
 * Encodes a timer: when it is due, and what the code asked for: a duration or a moment, and of a
 * deadline the function it is for.
 */
Jsonb *
aion_event_timer_started(TimestampTz fire_at, const Jsonb *wish)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_timestamp(&object, "fire_at", fire_at);
	aion_object_json(&object, "duration", aion_json_member(wish, "duration"));
	aion_object_json(&object, "until", aion_json_member(wish, "until"));
	aion_object_json(&object, "handler", aion_json_member(wish, "handler"));
	aion_object_json(&object, "digest", aion_json_member(wish, "digest"));
	return aion_object_end(&object);
}

TimestampTz
aion_event_read_fire_at(const Event *event)
{
	return aion_json_timestamp(event->attributes, "fire_at");
}

/*
 * Encodes why a timer or an activity was cancelled.
 */
Jsonb *
aion_event_cancelled(CancelCause cause)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "cause", cause == CANCEL_BY_WORKFLOW ? "workflow" : "close");
	if (cause == CANCEL_UNAWAITED)
		aion_object_text(&object, "unawaited", "true");
	return aion_object_end(&object);
}

bool
aion_event_is_cancelled(const Event *event)
{
	return event->type == EVENT_TIMER_CANCELLED || event->type == EVENT_ACTIVITY_CANCELLED;
}

/*
 * Reads why something was cancelled.  Without the attribute it was what could cancel it when such
 * rows were written: the workflow for a timer, the close of the run for an activity.
 */
CancelCause
aion_event_read_cancel_cause(const Event *event)
{
	char *cause = aion_json_text(event->attributes, "cause");

	if (cause == NULL)
		return event->type == EVENT_TIMER_CANCELLED ? CANCEL_BY_WORKFLOW : CANCEL_BY_CLOSE;
	return strcmp(cause, "close") == 0 ? CANCEL_BY_CLOSE : CANCEL_BY_WORKFLOW;
}

Jsonb *
aion_event_signal_received(const SignalReceived *signal)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_json(&object, "payload", signal->payload);
	aion_object_text(&object, "sender", signal->sender);
	aion_object_timestamp(&object, "sent_at", signal->sent_at);
	aion_object_text(&object, "dedup_id", signal->dedup_id);
	aion_object_text(&object, "carried_from", signal->carried_from);
	return aion_object_end(&object);
}

void
aion_event_read_signal_received(const Event *event, SignalReceived *signal)
{
	signal->payload = aion_json_member(event->attributes, "payload");
	signal->sender = aion_json_text(event->attributes, "sender");
	signal->sent_at = aion_json_timestamp(event->attributes, "sent_at");
	signal->dedup_id = aion_json_text(event->attributes, "dedup_id");
	signal->carried_from = aion_json_text(event->attributes, "carried_from");
}

/*
 * Encodes the workflow id and the payload of a signal, which is what the code asked for.
 */
Jsonb *
aion_event_signal_sent(const char *workflow_id, const Jsonb *payload)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_id", workflow_id);
	aion_object_json(&object, "payload", payload);
	return aion_object_end(&object);
}

/*
 * Encodes attributes that a run can be searched by from here on, besides those it has.
 */
Jsonb *
aion_event_search_attributes_updated(const Jsonb *attributes)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_json(&object, "search_attributes", attributes);
	return aion_object_end(&object);
}

/*
 * Reads those that a run began with, too.
 */
Jsonb *
aion_event_read_search_attributes(const Event *event)
{
	return aion_json_member(event->attributes, "search_attributes");
}

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static Jsonb *
timer_wish(const Event *event)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_json(&object, "duration", aion_json_member(event->attributes, "duration"));
	aion_object_json(&object, "until", aion_json_member(event->attributes, "until"));
	aion_object_json(&object, "handler", aion_json_member(event->attributes, "handler"));
	aion_object_json(&object, "digest", aion_json_member(event->attributes, "digest"));
	return aion_object_end(&object);
}

/*
 * Encodes what the code said when it asked for a child.
 */
Jsonb *
aion_event_child_wish(const Jsonb *input, const char *workflow_id)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_json(&object, "input", input);
	aion_object_text(&object, "workflow_id", workflow_id);
	return aion_object_end(&object);
}

static Jsonb *
child_wish(const Event *event)
{
	bool id_was_given = !aion_json_has_member(event->attributes, "id_by_chance");

	return aion_event_child_wish(aion_json_member(event->attributes, "input"),
								 id_was_given ? aion_json_text(event->attributes, "workflow_id")
											  : NULL);
}

static CommandKind
command_of_word(const char *word)
{
	for (int i = 0; word != NULL && i < COMMAND_KINDS; i++)
	{
		if (strcmp(word, command_words[i]) == 0)
			return (CommandKind) i;
	}
	return COMMAND_NONE;
}

static Jsonb *
numbers(List *values)
{
	Jsonb **elements = palloc(Max(list_length(values), 1) * sizeof(Jsonb *));
	ListCell *cell;

	foreach (cell, values)
	{
		JsonbValue value = {.type = jbvNumeric};

		value.val.numeric = int64_to_numeric(lfirst_int(cell));
		elements[foreach_current_index(cell)] = JsonbValueToJsonb(&value);
	}
	return aion_json_array(elements, list_length(values));
}

static List *
read_numbers(const Jsonb *array)
{
	List *values = NIL;

	for (uint32 i = 0; array != NULL && i < JB_ROOT_COUNT(array); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(&unconstify(Jsonb *, array)->root, i);

		values = lappend_int(values, DatumGetInt32(DirectFunctionCall1(
										 numeric_int4, NumericGetDatum(value->val.numeric))));
	}
	return values;
}
