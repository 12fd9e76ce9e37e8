/*
 * replay.c
 *		A run's history in memory: its events, the commands among them, and how each was settled.
 *
 * Loaded once by the transaction that holds the run's lock.  What the recorder appends is added as
 * it is appended, so that memory and table agree until the transaction ends.
 *
 * Commands are matched strictly: the n-th command of the code is the n-th command of the history,
 * of the same kind, name and input.  An outcome settles the command of its family and key that is
 * open; the first one recorded wins, for every reader.  A reopen supersedes events: they stay where
 * they are and are ignored.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "history/event.h"
#include "history/kept.h"
#include "history/likeness.h"
#include "history/received.h"
#include "history/replay.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"

typedef struct OpenKey
{
	EventFamily family;
	const char *key;
} OpenKey;

typedef struct OpenEntry
{
	OpenKey key;
	RecordedCommand *command;
	char status;
} OpenEntry;

static inline uint32
open_hash(OpenKey key)
{
	return hash_bytes((const unsigned char *) key.key, strlen(key.key)) + key.family;
}

static inline bool
open_equal(OpenKey a, OpenKey b)
{
	return a.family == b.family && strcmp(a.key, b.key) == 0;
}

#define SH_PREFIX openset
#define SH_ELEMENT_TYPE OpenEntry
#define SH_KEY_TYPE OpenKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) open_hash(key)
#define SH_EQUAL(tb, a, b) open_equal(a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

enum
{
	EVENT_SEQ = 1,
	EVENT_RECORDED_AT,
	EVENT_TYPE,
	EVENT_KEY,
	EVENT_ATTRIBUTES
};

static Statement select_events = STATEMENT(SELECT,
										   "SELECT seq, recorded_at, event_type, key, attributes"
										   " FROM aion._event WHERE run_key = $1 AND seq >= $2"
										   " ORDER BY seq",
										   INT8OID, INT4OID);

static void assert_is_complete(const History *kept);
static Rows read_events(int64 run_key, int32 first);
static void add_rows(History *history, Rows rows, uint64 first);
static bool is_row(const Event *event, Rows rows, uint64 row);
static void take_in(History *history, Event *event);
static void take_back(History *history, Event *reopened);
static void open_command(History *history, Event *event);
static void settle(History *history, Event *event);
static int *count_of(History *history, EventFamily family);
static RecordedCommand *add_command(History *history, Event *event);
static bool matches(const RecordedCommand *recorded, const Fingerprint *issued, uint64 input_hash);
static Difference *make_difference(const char *kind, const RecordedCommand *recorded,
								   const Fingerprint *issued);

/*
 * Makes the history of a run that has none yet.
 */
History *
aion_history_create(int64 run_key, int32 owner_key, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "aion history", ALLOCSET_DEFAULT_SIZES);
	History *history = MemoryContextAllocZero(context, sizeof(History));

	history->context = context;
	history->run_key = run_key;
	history->owner_key = owner_key;
	history->open = openset_create(context, 16, NULL);
	return history;
}

/*
 * Reads the history of a run.  Caller holds the run's lock, taken by an earlier statement, and the
 * engine's authority.
 */
History *
aion_history_load(int64 run_key, int32 owner_key, MemoryContext parent)
{
	History *history = aion_history_create(run_key, owner_key, parent);

	add_rows(history, read_events(run_key, 1), 0);
	return history;
}

/*
 * The same, if this process may have kept the history: then only what is new is read.
 */
History *
aion_history_load_kept(int64 run_key, int32 owner_key, MemoryContext parent)
{
	History *history = aion_kept_take(run_key, parent);
	Rows rows;

	if (history == NULL)
		return aion_history_load(run_key, owner_key, parent);
	rows = read_events(run_key, history->count);
	if (rows.count > 0 && is_row(aion_history_last(history), rows, 0))
	{
		add_rows(history, rows, 1);
		assert_is_complete(history);
		return history;
	}
	MemoryContextDelete(history->context); /* the run is another one, of an extension made anew */
	return aion_history_load(run_key, owner_key, parent);
}

/*
 * Compares a history that was kept with what the table says.
 */
static void
assert_is_complete(const History *kept)
{
#ifdef USE_ASSERT_CHECKING
	History *read = aion_history_load(kept->run_key, kept->owner_key, CurrentMemoryContext);

	Assert(kept->count == read->count && kept->command_count == read->command_count);
	for (int i = 0; i < read->count; i++)
	{
		const Event *a = kept->events[i];
		const Event *b = read->events[i];

		Assert(a->seq == b->seq && a->type == b->type && a->recorded_at == b->recorded_at);
		Assert((a->key == NULL) == (b->key == NULL) &&
			   (a->key == NULL || strcmp(a->key, b->key) == 0));
		Assert(aion_json_hash(a->attributes) == aion_json_hash(b->attributes));
	}
	for (int i = 0; i < read->command_count; i++)
	{
		const Event *a = kept->commands[i]->outcome;
		const Event *b = read->commands[i]->outcome;

		Assert((a == NULL) == (b == NULL) && (a == NULL || a->seq == b->seq));
		Assert(kept->commands[i]->input_hash == read->commands[i]->input_hash);
	}
	Assert((kept->terminal == NULL) == (read->terminal == NULL));
	Assert(kept->open_timers == read->open_timers && kept->open_children == read->open_children);
	Assert(kept->open_activities == read->open_activities);
	Assert(list_length(kept->watchers) == list_length(read->watchers));
	Assert(list_length(kept->cancel_requests) == list_length(read->cancel_requests));
	Assert(list_length(kept->patches) == list_length(read->patches));
	Assert(bms_equal(kept->superseded, read->superseded));
	MemoryContextDelete(read->context);
#endif
}

static Rows
read_events(int64 run_key, int32 first)
{
	NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_int32(first)};

	return aion_statement_execute(&select_events, args);
}

/*
 * Adds the events of rows that were read.
 */
static void
add_rows(History *history, Rows rows, uint64 first)
{
	MemoryContext caller = MemoryContextSwitchTo(history->context);

	for (uint64 row = first; row < rows.count; row++)
	{
		Event *event = palloc(sizeof(Event));

		event->seq = aion_row_int32(rows, row, EVENT_SEQ);
		event->recorded_at = aion_row_timestamp(rows, row, EVENT_RECORDED_AT);
		event->type = aion_event_type(aion_row_oid(rows, row, EVENT_TYPE));
		event->key = aion_row_text(rows, row, EVENT_KEY);
		event->attributes = aion_row_jsonb(rows, row, EVENT_ATTRIBUTES);
		if (event->seq != history->count + 1)
			ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
							errmsg("history of run " INT64_FORMAT " has event %d where %d belongs",
								   history->run_key, event->seq, history->count + 1)));
		aion_history_add(history, event);
	}
	MemoryContextSwitchTo(caller);
	history->written = history->count;
}

/*
 * Tells whether an event is the one of a row.
 */
static bool
is_row(const Event *event, Rows rows, uint64 row)
{
	return aion_row_int32(rows, row, EVENT_SEQ) == event->seq &&
		   aion_row_timestamp(rows, row, EVENT_RECORDED_AT) == event->recorded_at &&
		   aion_event_type(aion_row_oid(rows, row, EVENT_TYPE)) == event->type;
}

/*
 * Adds the next event, which lives as long as the history.
 */
void
aion_history_add(History *history, Event *event)
{
	MemoryContext caller = MemoryContextSwitchTo(history->context);

	if (history->count == history->room)
	{
		history->room = Max(16, history->room * 2);
		history->events = history->events == NULL
							  ? palloc(history->room * sizeof(Event *))
							  : repalloc(history->events, history->room * sizeof(Event *));
	}
	history->events[history->count++] = event;
	take_in(history, event);
	MemoryContextSwitchTo(caller);
}

/*
 * Applies an event to the commands, timers and end of the history.
 */
static void
take_in(History *history, Event *event)
{
	switch (aion_event_role(event))
	{
		case ROLE_START:
			history->terminal = NULL;
			break;
		case ROLE_TERMINAL:
			history->terminal = event;
			break;
		case ROLE_COMMAND:
			open_command(history, event);
			break;
		case ROLE_OUTCOME:
			settle(history, event);
			break;
		case ROLE_SIGNAL:
			aion_received_add(history, event);
			break;
		case ROLE_REQUEST:
			history->cancel_requests = lappend(history->cancel_requests, event);
			break;
		case ROLE_MARK:
			if (event->type == EVENT_WORKFLOW_WATCHED)
				history->watchers = lappend(history->watchers, event);
			break;
		case ROLE_PATCH:
			history->patches = lappend(history->patches, event->key);
			break;
		case ROLE_REOPEN:
			take_back(history, event);
			break;
	}
}

/*
 * Begins a lease: from here on the history means what it would mean without the events that are
 * superseded, those of earlier reopens included.
 */
static void
take_back(History *history, Event *reopened)
{
	List *seqs = aion_event_read_superseded(reopened);
	ListCell *cell;

	foreach (cell, seqs)
	{
		if (lfirst_int(cell) < 1 || lfirst_int(cell) >= reopened->seq)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("history of run " INT64_FORMAT " takes back event %d in event %d",
							history->run_key, lfirst_int(cell), reopened->seq)));
		history->superseded = bms_add_member(history->superseded, lfirst_int(cell));
	}
	history->command_count = 0;
	history->open_timers = history->open_activities = history->open_children = 0;
	history->watchers = NIL;
	aion_received_clear(history);
	history->terminal = NULL;
	history->cancel_requests = NIL;
	history->patches = NIL;
	openset_reset(history->open);
	for (int i = 0; i < reopened->seq - 1; i++)
	{
		Event *event = history->events[i];

		if (aion_event_role(event) != ROLE_REOPEN && !aion_history_is_superseded(history, event))
			take_in(history, event);
	}
}

/*
 * Tells whether a reopen has taken an event back.
 */
bool
aion_history_is_superseded(const History *history, const Event *event)
{
	return bms_is_member(event->seq, history->superseded);
}

/*
 * Lists the cancel requests after those that the code was told.
 */
List *
aion_history_pending_requests(const History *history, int heard)
{
	List *seqs = NIL;

	for (int i = heard; i < list_length(history->cancel_requests); i++)
		seqs = lappend_int(seqs, ((const Event *) list_nth(history->cancel_requests, i))->seq);
	return seqs;
}

/*
 * Tells whether the code that made the history had a certain change.
 */
bool
aion_history_is_patched(const History *history, const char *change_id)
{
	ListCell *cell;

	foreach (cell, history->patches)
	{
		if (strcmp(lfirst(cell), change_id) == 0)
			return true;
	}
	return false;
}

Event *
aion_history_last(const History *history)
{
	Assert(history->count > 0);
	return history->events[history->count - 1];
}

/*
 * Finds what is open under a key: a command that has no outcome yet, or one of the engine's own
 * timers.
 */
RecordedCommand *
aion_history_open(const History *history, EventFamily family, const char *key)
{
	OpenEntry *entry = openset_lookup(history->open, (OpenKey){family, key});

	return entry != NULL ? entry->command : NULL;
}

/*
 * Lists the events of all timers that are live, in the order they were started.
 */
List *
aion_history_open_timers(const History *history)
{
	List *timers = NIL;

	if (history->open_timers == 0)
		return NIL;
	for (int i = 0; i < history->count; i++)
	{
		Event *event = history->events[i];
		RecordedCommand *open;

		if (event->type != EVENT_TIMER_STARTED)
			continue;
		open = aion_history_open(history, FAMILY_TIMER, event->key);
		if (open != NULL && open->event == event)
			timers = lappend(timers, event);
	}
	return timers;
}

/*
 * Compares the command the code gives at a position with the recorded one; NULL if they agree.
 *
 * consumed is the seq of the latest event that answered an await of this turn: a command recorded
 * before it cannot have been given after it, so something moved.
 */
Difference *
aion_replay_compare(const History *history, int position, const Fingerprint *issued,
					uint64 input_hash, int32 consumed)
{
	const RecordedCommand *recorded = history->commands[position];
	Difference *difference;

	if (!matches(recorded, issued, input_hash))
	{
		if (recorded->kind != issued->kind)
			return make_difference("kind", recorded, issued);
		if (strcmp(recorded->name, issued->name) != 0)
			return make_difference("name", recorded, issued);
		return make_difference("input", recorded, issued);
	}
	if (recorded->event->seq > consumed)
		return NULL;
	difference = make_difference("order", recorded, issued);
	difference->found = psprintf("%s, after the answer of event %d", difference->found, consumed);
	return difference;
}

/*
 * Finds the position, from a given one on, at which history has a command; -1 if it has not.
 */
int
aion_replay_find(const History *history, int from, const Fingerprint *issued, uint64 input_hash)
{
	for (int i = from; i < history->command_count; i++)
	{
		if (matches(history->commands[i], issued, input_hash))
			return i;
	}
	return -1;
}

/*
 * Describes commands of the history that the code did not give before it ended or waited.
 */
Difference *
aion_replay_missing(const History *history, int position, const char *found)
{
	Difference *difference = make_difference("missing", history->commands[position], NULL);

	difference->found = pstrdup(found);
	return difference;
}

/*
 * Describes a command that the code gives although its history had ended.
 */
Difference *
aion_replay_surplus(const Fingerprint *issued)
{
	return make_difference("surplus", NULL, issued);
}

/*
 * Describes an input that does not fit the parameters which the code has now.
 */
Difference *
aion_replay_misfit(const char *found)
{
	Difference *difference = make_difference("input", NULL, NULL);

	difference->seq = 1;
	difference->found = pstrdup(found);
	return difference;
}

Jsonb *
aion_replay_difference(const Difference *difference)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "difference", difference->kind);
	if (difference->seq > 0)
		aion_object_int(&object, "event", difference->seq);
	aion_object_text(&object, "expected", difference->expected);
	aion_object_text(&object, "found", difference->found);
	aion_object_text(&object, "hint", difference->hint);
	aion_object_text(&object, "context", difference->context);
	return aion_object_end(&object);
}

/*
 * Takes in an event that the code asked for, or a timer of the engine's own.
 */
static void
open_command(History *history, Event *event)
{
	RecordedCommand *command = add_command(history, event);
	EventFamily family = aion_event_family(event);
	OpenEntry *entry;
	bool found;

	if (family == FAMILY_NONE)
	{
		command->outcome = event;
		return;
	}
	entry = openset_insert(history->open, (OpenKey){family, event->key}, &found);
	entry->command = command;
	(*count_of(history, family))++;
}

/*
 * Lets an outcome settle what is open under its key; an outcome that comes second settles nothing.
 */
static void
settle(History *history, Event *event)
{
	EventFamily family = aion_event_family(event);
	RecordedCommand *command = aion_history_open(history, family, event->key);

	if (command != NULL)
	{
		command->outcome = event;
		openset_delete(history->open, (OpenKey){family, event->key});
		(*count_of(history, family))--;
	}
	add_command(history, event)->outcome = event; /* cancelling is a command, too */
}

/*
 * Returns the count of what is open of a family.
 */
static int *
count_of(History *history, EventFamily family)
{
	switch (family)
	{
		case FAMILY_TIMER:
			return &history->open_timers;
		case FAMILY_CHILD:
			return &history->open_children;
		default:
			return &history->open_activities;
	}
}

/*
 * Appends to the commands of the code, if the event is one of them.
 */
static RecordedCommand *
add_command(History *history, Event *event)
{
	RecordedCommand *recorded = palloc0(sizeof(RecordedCommand));
	Fingerprint fingerprint;

	recorded->event = event;
	if (!aion_event_fingerprint(event, &fingerprint))
		return recorded;
	recorded->kind = fingerprint.kind;
	recorded->name = fingerprint.name;
	recorded->input_hash = aion_json_hash(fingerprint.input);
	if (fingerprint.input != NULL)
		pfree(unconstify(Jsonb *, fingerprint.input)); /* the event has it */
	if (history->command_count == history->command_room)
	{
		Size size;

		history->command_room = Max(16, history->command_room * 2);
		size = history->command_room * sizeof(RecordedCommand *);
		history->commands =
			history->commands == NULL ? palloc(size) : repalloc(history->commands, size);
	}
	history->commands[history->command_count++] = recorded;
	return recorded;
}

/*
 * Tells whether the code asks again for what it asked for when history was made.
 */
static bool
matches(const RecordedCommand *recorded, const Fingerprint *issued, uint64 input_hash)
{
	return recorded->kind == issued->kind && recorded->input_hash == input_hash &&
		   strcmp(recorded->name, issued->name) == 0;
}

static Difference *
make_difference(const char *kind, const RecordedCommand *recorded, const Fingerprint *issued)
{
	Difference *difference = palloc0(sizeof(Difference));
	Fingerprint expected;

	difference->kind = kind;
	if (recorded != NULL && aion_event_fingerprint(recorded->event, &expected))
	{
		difference->seq = recorded->event->seq;
		difference->expected = aion_replay_describe(&expected);
		if (issued != NULL)
			difference->hint = aion_likeness_hint(expected.input, issued->input);
	}
	if (issued != NULL)
		difference->found = aion_replay_describe(issued);
	return difference;
}

/*
 * Says what code asks for.
 */
char *
aion_replay_describe(const Fingerprint *fingerprint)
{
	const char *input = "";

	if (fingerprint->input != NULL)
		input = psprintf(" %s", aion_json_abbreviated(fingerprint->input));
	if (fingerprint->name[0] == '\0')
		return psprintf("%s%s", aion_command_word(fingerprint->kind), input);
	return psprintf("%s \"%s\"%s", aion_command_word(fingerprint->kind), fingerprint->name, input);
}
