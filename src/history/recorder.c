/*
 * recorder.c
 *		The only writer of history.
 *
 * Caller holds the run's lock (or has created the run in this transaction), so sequence numbers
 * follow each other without gaps, and "has this run ended?" is asked in the same critical section
 * as the append.  The primary key of aion._event is the backstop.
 *
 * Events are collected in memory and written together, below the executor: table and indexes
 * directly.  That is why the trigger on aion._event can refuse whatever comes through the
 * executor, without an exception that could be forged.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "history/recorder.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/pg_compat.h"

/* The columns of aion._event. */
enum
{
	COLUMN_RUN_KEY = 1,
	COLUMN_SEQ,
	COLUMN_OWNER_KEY,
	COLUMN_RECORDED_AT,
	COLUMN_EVENT_TYPE,
	COLUMN_KEY,
	COLUMN_ATTRIBUTES
};

/* Written at once: bounds the memory of a turn that gives very many commands. */
#define WRITE_CHUNK 1000

static Relation open_table(LOCKMODE lock);
static void fill_slot(TupleTableSlot *slot, const History *history, const Event *event);
static void write_chunk(Relation table, const History *history, int first, int count);

/*
 * Appends an event to the history in memory; aion_recorder_write() puts it into the table.
 *
 * recorded_at is the clock's time, never earlier than the event before.
 */
Event *
aion_recorder_append(History *history, EventType type, const char *key, const Jsonb *attributes)
{
	MemoryContext caller = MemoryContextSwitchTo(history->context);
	Event *event = palloc(sizeof(Event));

	if (history->terminal != NULL && type != EVENT_WORKFLOW_REOPENED)
		elog(ERROR, "cannot append %s to the history of run " INT64_FORMAT ", which has ended",
			 aion_event_label(type), history->run_key);

	event->seq = history->count + 1;
	event->recorded_at = history->stamp != 0 ? history->stamp : aion_recorder_stamp(history);
	history->stamp = 0;
	event->type = type;
	event->key = key != NULL ? pstrdup(key) : NULL;
	event->attributes = NULL;
	if (attributes != NULL)
	{
		event->attributes = palloc(VARSIZE(attributes));
		memcpy(event->attributes, attributes, VARSIZE(attributes));
	}
	aion_history_add(history, event);
	MemoryContextSwitchTo(caller);
	return event;
}

/*
 * Fixes when the next event is recorded, for callers that need the time before they append it.
 */
TimestampTz
aion_recorder_stamp(History *history)
{
	history->stamp = aion_clock_now();
	if (history->count > 0 && history->stamp < aion_history_last(history)->recorded_at)
		history->stamp = aion_history_last(history)->recorded_at;
	return history->stamp;
}

/*
 * Writes the events appended since the last time.
 */
void
aion_recorder_write(History *history)
{
	Relation table;

	if (history->written == history->count)
		return;
	table = open_table(RowExclusiveLock);
	while (history->written < history->count)
	{
		int count = Min(history->count - history->written, WRITE_CHUNK);

		write_chunk(table, history, history->written, count);
		history->written += count;
	}
	table_close(table, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * Erases the history of a run whose row the caller has locked and deletes.
 */
void
aion_recorder_erase(int64 run_key)
{
	Relation table = open_table(RowExclusiveLock);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, COLUMN_RUN_KEY, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_key));
	scan = systable_beginscan(table, get_relname_relid("_event_pkey", aion_extension()->schema),
							  true, snapshot, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		simple_heap_delete(table, &tuple->t_self);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	table_close(table, RowExclusiveLock);
	CommandCounterIncrement();
}

static Relation
open_table(LOCKMODE lock)
{
	return table_open(get_relname_relid("_event", aion_extension()->schema), lock);
}

static void
write_chunk(Relation table, const History *history, int first, int count)
{
	EState *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot **slots = palloc(count * sizeof(TupleTableSlot *));

	InitResultRelInfo(target, table, 1, NULL, 0);
	ExecOpenIndices(target, false);
	for (int i = 0; i < count; i++)
	{
		slots[i] = table_slot_create(table, &estate->es_tupleTable);
		fill_slot(slots[i], history, history->events[first + i]);
	}
	table_multi_insert(table, slots, count, GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < count; i++)
	{
		(void) aion_compat_insert_index_tuples(target, slots[i], estate);
		ResetPerTupleExprContext(estate);
	}
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseIndices(target);
	MemoryContextSwitchTo(caller);
	FreeExecutorState(estate);
}

static void
fill_slot(TupleTableSlot *slot, const History *history, const Event *event)
{
	Datum *values = slot->tts_values;
	bool *isnull = slot->tts_isnull;

	values[COLUMN_RUN_KEY - 1] = Int64GetDatum(history->run_key);
	values[COLUMN_SEQ - 1] = Int32GetDatum(event->seq);
	values[COLUMN_OWNER_KEY - 1] = Int32GetDatum(history->owner_key);
	values[COLUMN_RECORDED_AT - 1] = TimestampTzGetDatum(event->recorded_at);
	values[COLUMN_EVENT_TYPE - 1] = ObjectIdGetDatum(aion_event_label_oid(event->type));
	values[COLUMN_KEY - 1] = event->key != NULL ? CStringGetTextDatum(event->key) : (Datum) 0;
	values[COLUMN_ATTRIBUTES - 1] = JsonbPGetDatum(event->attributes);
	memset(isnull, 0, slot->tts_tupleDescriptor->natts * sizeof(bool));
	isnull[COLUMN_KEY - 1] = event->key == NULL;
	isnull[COLUMN_ATTRIBUTES - 1] = event->attributes == NULL;
	ExecStoreVirtualTuple(slot);
}
