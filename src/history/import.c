/*
 * import.c
 *		Imported histories, and the checks of what they contain.
 *
 * Functions that read the engine's own events trust them.  An exported history may have been
 * edited, or made up, so every event is checked here to carry what its type promises
 * (history/event_type.c).  Other attributes that it lacks read as in old rows.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "history/import.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/pg_compat.h"

#define EXPORT_FORMAT 1

/* Which event is being read, for errors of PostgreSQL about a value that it cannot read. */
typedef struct Position
{
	int32 seq;
} Position;

static Event *read_event(const Jsonb *exported, int32 seq);
static EventType type_of_label(const char *label, int32 seq);
static bool has_key(const Event *event);
static void import_check_attributes(const Event *event);
static bool fits(const Jsonb *value, MemberType type, int32 seq);
static TimestampTz read_moment(const JsonbValue *string);
static bool import_is_failure(const Jsonb *value);
static bool is_integer(const JsonbValue *value, int64 least, int64 most);
static bool is_array_of(const Jsonb *value, MemberType element, int32 seq);
static void blame_event(void *position);
pg_noreturn static void import_refuse(int32 seq, const char *what);

/*
 * Makes a history of an exported one, below a context.
 */
History *
aion_history_import(const Jsonb *exported, MemoryContext parent)
{
	History *history = aion_history_create(0, 0, parent);
	Jsonb *events = aion_json_member(exported, "events");
	char *run_id = aion_json_text(exported, "run_id");
	MemoryContext caller = MemoryContextSwitchTo(history->context);
	Position position = {0};
	ErrorContextCallback context = {error_context_stack, blame_event, &position};

	error_context_stack = &context;
	if (aion_json_int(exported, "format", 0) != EXPORT_FORMAT)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("not an exported history"),
						errhint("Use what aion.export_history() returns.")));
	if (events == NULL || !JB_ROOT_IS_ARRAY(events) || JB_ROOT_IS_SCALAR(events) ||
		JB_ROOT_COUNT(events) == 0)
		import_refuse(0, "has no events");
	for (uint32 i = 0; i < JB_ROOT_COUNT(events); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(&events->root, i);
		Event *event;

		position.seq = i + 1;
		event = read_event(JsonbValueToJsonb(element), position.seq);

		if (i > 0 && event->recorded_at < aion_history_last(history)->recorded_at)
			import_refuse(event->seq, "is recorded before the one before it");
		aion_history_add(history, event);
	}
	position.seq = 0;
	if (run_id != NULL)
		(void) DirectFunctionCall1(uuid_in, CStringGetDatum(run_id));
	error_context_stack = context.previous;
	MemoryContextSwitchTo(caller);
	history->written = history->count;
	return history;
}

static Event *
read_event(const Jsonb *exported, int32 seq)
{
	Event *event = palloc0(sizeof(Event));

	if (aion_json_int(exported, "seq", 0) != seq)
		import_refuse(seq, "is missing, or has another number");
	event->seq = seq;
	event->type = type_of_label(aion_json_text(exported, "event_type"), seq);
	event->recorded_at = aion_json_timestamp(exported, "recorded_at");
	event->key = aion_json_text(exported, "key");
	event->attributes = aion_json_member(exported, "attributes");
	if ((seq == 1) != (event->type == EVENT_WORKFLOW_STARTED))
		import_refuse(seq, "is not WorkflowStarted, or not the first");
	if (TIMESTAMP_NOT_FINITE(event->recorded_at))
		import_refuse(seq, "has no time");
	if (has_key(event) && event->key == NULL)
		import_refuse(seq, "has no key");
	import_check_attributes(event);
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
	import_refuse(seq, "is of no known type");
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
import_check_attributes(const Event *event)
{
	Fingerprint fingerprint;

	if (event->attributes != NULL && !aion_json_is_object(event->attributes))
		import_refuse(event->seq, "has attributes that are no object");
	for (const EventMember *member = aion_event_members(event->type); member->name != NULL;
		 member++)
	{
		Jsonb *value = aion_json_member(event->attributes, member->name);

		if (value == NULL ? member->required : !fits(value, member->type, event->seq))
			import_refuse(event->seq, psprintf("has no valid attribute \"%s\"", member->name));
	}
	if (event->type == EVENT_COMMAND_ANSWERED && aion_event_fingerprint(event, &fingerprint) &&
		aion_event_is_cancel_command(event) && aion_event_read_answer(event) == NULL)
		import_refuse(event->seq, "has no valid attribute \"answer\"");
}

static bool
fits(const Jsonb *value, MemberType type, int32 seq)
{
	JsonbValue scalar;
	bool is_scalar = JB_ROOT_IS_SCALAR(value) &&
					 JsonbExtractScalar(unconstify(JsonbContainer *, &value->root), &scalar);

	switch (type)
	{
		case MEMBER_TEXT:
			return is_scalar && scalar.type == jbvString;
		case MEMBER_INT:
			return is_scalar && is_integer(&scalar, PG_INT64_MIN, PG_INT64_MAX);
		case MEMBER_MOMENT:
			return is_scalar && scalar.type == jbvString &&
				   !TIMESTAMP_NOT_FINITE(read_moment(&scalar));
		case MEMBER_OBJECT:
			return aion_json_is_object(value);
		case MEMBER_FAILURE:
			return import_is_failure(value);
		case MEMBER_EVENTS:
		case MEMBER_OBJECTS:
		case MEMBER_ORIGINS:
			return !is_scalar && JB_ROOT_IS_ARRAY(value) && is_array_of(value, type, seq);
		case MEMBER_ANY:
			break;
	}
	return true;
}

static TimestampTz
read_moment(const JsonbValue *string)
{
	char *text = pnstrdup(string->val.string.val, string->val.string.len);

	return DatumGetTimestampTz(DirectFunctionCall3(
		timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * Tells whether a value has the form of a recorded failure: SQLSTATEs have five letters or digits.
 */
static bool
import_is_failure(const Jsonb *value)
{
	char *sqlstate = aion_json_text(value, "sqlstate");

	return sqlstate != NULL && strlen(sqlstate) == 5 &&
		   strspn(sqlstate, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 &&
		   aion_json_text(value, "message") != NULL;
}

static bool
is_integer(const JsonbValue *value, int64 least, int64 most)
{
	int64 number;

	if (value->type != jbvNumeric || numeric_is_nan(value->val.numeric) ||
		numeric_is_inf(value->val.numeric))
		return false;
	number = DatumGetInt64(
		DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric))); /* or 22003 */
	return number >= least && number <= most;
}

static bool
is_array_of(const Jsonb *value, MemberType element, int32 seq)
{
	for (uint32 i = 0; i < JB_ROOT_COUNT(value); i++)
	{
		JsonbValue *item =
			getIthJsonbValueFromContainer(unconstify(JsonbContainer *, &value->root), i);
		Jsonb *object;

		if (element == MEMBER_EVENTS && !is_integer(item, 1, seq - 1))
			return false;
		if (element == MEMBER_EVENTS)
			continue;
		object = JsonbValueToJsonb(item);
		if (!aion_json_is_object(object) ||
			(element == MEMBER_ORIGINS && (aion_json_text(object, "workflow_id") == NULL ||
										   aion_json_text(object, "run_id") == NULL)))
			return false;
	}
	return true;
}

/*
 * Turns an error about a value that cannot be read into one about the history that has it.
 */
static void
blame_event(void *position)
{
	int code = geterrcode();

	if (ERRCODE_TO_CATEGORY(code) == ERRCODE_DATA_EXCEPTION ||
		ERRCODE_TO_CATEGORY(code) == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		errcode(ERRCODE_INVALID_INPUT);
	if (((Position *) position)->seq > 0)
		errcontext("event %d of the exported history", ((Position *) position)->seq);
}

static void
import_refuse(int32 seq, const char *what)
{
	if (seq == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("the exported history %s", what)));
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("event %d of the exported history %s", seq, what)));
}
