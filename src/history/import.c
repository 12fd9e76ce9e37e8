/*
 * import.c
 *		Histories that come from elsewhere.
 *
 * What reads the engine's own events trusts them.  An exported history may have been edited, or
 * made up, so every event is checked here to carry what its type promises, in the type that readers
 * expect.  What it lacks otherwise reads as in old rows.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "history/import.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/pg_compat.h"

#define EXPORT_FORMAT 1

typedef enum MemberType
{
	MEMBER_TEXT,
	MEMBER_OBJECT,
	MEMBER_FAILURE,
	MEMBER_NUMBERS, /* an array of them */
	MEMBER_ORIGINS,
	MEMBER_ANY
} MemberType;

typedef struct Member
{
	EventType event;
	const char *name;
	MemberType type;
	bool required;
} Member;

/* What readers of events rely on: an event that says something new has its say here. */
static const Member members[] = {
	{EVENT_WORKFLOW_STARTED, "workflow_type", MEMBER_TEXT, true},
	{EVENT_WORKFLOW_STARTED, "version", MEMBER_TEXT, true},
	{EVENT_WORKFLOW_STARTED, "search_attributes", MEMBER_OBJECT, false},
	{EVENT_WORKFLOW_STARTED, "origins", MEMBER_ORIGINS, false},
	{EVENT_WORKFLOW_FAILED, "error", MEMBER_FAILURE, true},
	{EVENT_WORKFLOW_FAILED, "ended_on", MEMBER_NUMBERS, false},
	{EVENT_WORKFLOW_REOPENED, "supersedes", MEMBER_NUMBERS, true},
	{EVENT_COMMAND_ANSWERED, "command", MEMBER_TEXT, true},
	{EVENT_COMMAND_ANSWERED, "error", MEMBER_FAILURE, false},
	{EVENT_ACTIVITY_SCHEDULED, "activity", MEMBER_TEXT, true},
	{EVENT_ACTIVITY_FAILED, "error", MEMBER_FAILURE, true},
	{EVENT_TIMER_STARTED, "fire_at", MEMBER_TEXT, true},
	{EVENT_SIGNAL_RECEIVED, "payload", MEMBER_ANY, true},
	{EVENT_SIGNAL_SENT, "workflow_id", MEMBER_TEXT, true},
	{EVENT_SEARCH_ATTRIBUTES_UPDATED, "search_attributes", MEMBER_OBJECT, true},
};

static Event *read_event(const Jsonb *exported, int32 seq);
static EventType type_of_label(const char *label, int32 seq);
static bool has_key(const Event *event);
static void check_attributes(const Event *event);
static bool fits(const Jsonb *value, MemberType type);
static bool is_array_of(const Jsonb *value, MemberType element);
pg_noreturn static void refuse(int32 seq, const char *what);

/*
 * Makes a history of an exported one, below a context.
 */
History *
aion_history_import(const Jsonb *exported, MemoryContext parent)
{
	History *history = aion_history_create(0, 0, parent);
	Jsonb *events = aion_json_member(exported, "events");
	MemoryContext caller = MemoryContextSwitchTo(history->context);

	if (aion_json_int(exported, "format", 0) != EXPORT_FORMAT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("not an exported history"),
						errhint("Use what aion.export_history() returns.")));
	if (events == NULL || !JB_ROOT_IS_ARRAY(events) || JB_ROOT_IS_SCALAR(events) ||
		JB_ROOT_COUNT(events) == 0)
		refuse(0, "has no events");
	for (uint32 i = 0; i < JB_ROOT_COUNT(events); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&events->root, i);
		Event *event = read_event(JsonbValueToJsonb(element), i + 1);

		if (i > 0 && event->recorded_at < aion_history_last(history)->recorded_at)
			refuse(event->seq, "is recorded before the one before it");
		aion_history_add(history, event);
	}
	MemoryContextSwitchTo(caller);
	history->written = history->count;
	return history;
}

static Event *
read_event(const Jsonb *exported, int32 seq)
{
	Event *event = palloc0(sizeof(Event));

	if (aion_json_int(exported, "seq", 0) != seq)
		refuse(seq, "is missing, or has another number");
	event->seq = seq;
	event->type = type_of_label(aion_json_text(exported, "event_type"), seq);
	event->recorded_at = aion_json_timestamp(exported, "recorded_at");
	event->key = aion_json_text(exported, "key");
	event->attributes = aion_json_member(exported, "attributes");
	if ((seq == 1) != (event->type == EVENT_WORKFLOW_STARTED))
		refuse(seq, "is not WorkflowStarted, or not the first");
	if (TIMESTAMP_NOT_FINITE(event->recorded_at))
		refuse(seq, "has no time");
	if (has_key(event) && event->key == NULL)
		refuse(seq, "has no key");
	check_attributes(event);
	return event;
}

static EventType
type_of_label(const char *label, int32 seq)
{
	for (int i = 0; label != NULL && i < EVENT_TYPES; i++)
	{
		if (strcmp(label, aion_event_label((EventType) i)) == 0)
			return (EventType) i;
	}
	refuse(seq, "is of no known type");
}

/*
 * Tells whether an event is about something that has a name.
 */
static bool
has_key(const Event *event)
{
	EventRole role = aion_event_role(event);

	if (event->type == EVENT_SEARCH_ATTRIBUTES_UPDATED)
		return false;
	return role == ROLE_COMMAND || role == ROLE_OUTCOME || role == ROLE_SIGNAL ||
		   role == ROLE_PATCH;
}

static void
check_attributes(const Event *event)
{
	Fingerprint fingerprint;

	if (event->attributes != NULL && !aion_json_is_object(event->attributes))
		refuse(event->seq, "has attributes that are no object");
	for (size_t i = 0; i < lengthof(members); i++)
	{
		const Member *member = &members[i];
		Jsonb *value;

		if (member->event != event->type)
			continue;
		value = aion_json_member(event->attributes, member->name);
		if (value == NULL ? member->required : !fits(value, member->type))
			refuse(event->seq, psprintf("has no valid attribute \"%s\"", member->name));
	}
	if (event->type == EVENT_COMMAND_ANSWERED && aion_event_fingerprint(event, &fingerprint) &&
		aion_event_is_cancel_command(event) && aion_event_read_answer(event) == NULL)
		refuse(event->seq, "has no valid attribute \"answer\"");
}

static bool
fits(const Jsonb *value, MemberType type)
{
	JsonbValue scalar;
	bool is_scalar = JB_ROOT_IS_SCALAR(value) &&
					 JsonbExtractScalar(unconstify(JsonbContainer *, &value->root), &scalar);

	switch (type)
	{
		case MEMBER_TEXT:
			return is_scalar && scalar.type == jbvString;
		case MEMBER_OBJECT:
			return aion_json_is_object(value);
		case MEMBER_FAILURE:
			return aion_json_text(value, "sqlstate") != NULL &&
				   aion_json_text(value, "message") != NULL;
		case MEMBER_NUMBERS:
		case MEMBER_ORIGINS:
			return !is_scalar && JB_ROOT_IS_ARRAY(value) && is_array_of(value, type);
		case MEMBER_ANY:
			break;
	}
	return true;
}

static bool
is_array_of(const Jsonb *value, MemberType element)
{
	for (uint32 i = 0; i < JB_ROOT_COUNT(value); i++)
	{
		JsonbValue *item =
			getIthJsonbValueFromContainer(unconstify(JsonbContainer *, &value->root), i);
		Jsonb *origin;

		if (element == MEMBER_NUMBERS && item->type != jbvNumeric)
			return false;
		if (element == MEMBER_NUMBERS)
			continue;
		origin = JsonbValueToJsonb(item);
		if (aion_json_text(origin, "workflow_id") == NULL ||
			aion_json_text(origin, "run_id") == NULL)
			return false;
	}
	return true;
}

static void
refuse(int32 seq, const char *what)
{
	if (seq == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("the exported history %s", what)));
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("event %d of the exported history %s", seq, what)));
}
