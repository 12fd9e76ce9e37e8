/*
 * store.c
 *		Writing the row of a run.
 *
 * Every share writes it, so it is written below the executor, as histories are: an UPDATE would
 * take half as much time again, most of it to read the constraints of the table.  These hold by the
 * way a Run is changed (transition.c), and stay for rows that come from elsewhere.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "run/count.h"
#include "run/store.h"
#include "support/extension.h"
#include "support/pg_compat.h"

static HeapTuple change(Relation table, int64 run_key, NewRow *row, bool *indexed);
static void note_change(Relation table, HeapTuple old, HeapTuple tuple);
static void insert_into_indexes(Relation table, HeapTuple tuple);

/*
 * Sets a column of a new row.
 */
void
aion_store_put(NewRow *row, int column, NullableDatum value)
{
	row->values[column - 1] = value.value;
	row->nulls[column - 1] = value.isnull;
	row->replaced[column - 1] = true;
}

/*
 * Replaces the row of a run whose lock is held; columns that were not set stay as they are.
 */
void
aion_store_row(int64 run_key, NewRow *row)
{
	Relation table =
		table_open(get_relname_relid("_run", aion_extension()->schema), RowExclusiveLock);
	HeapTuple tuple;
	bool indexed;

	tuple = change(table, run_key, row, &indexed);
	if (indexed)
		insert_into_indexes(table, tuple);
	table_close(table, NoLock);
	CommandCounterIncrement();
}

/*
 * Replaces a row in the table.  The new one is indexed unless it stays in the chain of the old one.
 */
static HeapTuple
change(Relation table, int64 run_key, NewRow *row, bool *indexed)
{
	Oid index = get_relname_relid("_run_pkey", aion_extension()->schema);
	Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple old;
	HeapTuple tuple;

	ScanKeyInit(&key, RUN_COLUMN_RUN_KEY, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_key));
	scan = systable_beginscan(table, index, true, snapshot, 1, &key);
	old = systable_getnext(scan);
	if (!HeapTupleIsValid(old))
		elog(ERROR, "run " INT64_FORMAT " does not exist", run_key);
	tuple = heap_modify_tuple(old, RelationGetDescr(table), row->values, row->nulls, row->replaced);
	*indexed = aion_compat_heap_update(table, &old->t_self, tuple);
	note_change(table, old, tuple);
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return tuple;
}

/*
 * Notes that there is one run less of what it was before, and one more of what it is now.
 */
static void
note_change(Relation table, HeapTuple old, HeapTuple tuple)
{
	TupleDesc description = RelationGetDescr(table);
	HeapTuple tuples[] = {old, tuple};
	int32 versions[2];
	char *statuses[2];
	int32 owner_key = 0;

	for (int i = 0; i < 2; i++)
	{
		bool isnull;

		owner_key =
			DatumGetInt32(heap_getattr(tuples[i], RUN_COLUMN_OWNER_KEY, description, &isnull));
		versions[i] =
			DatumGetInt32(heap_getattr(tuples[i], RUN_COLUMN_VERSION_KEY, description, &isnull));
		statuses[i] =
			TextDatumGetCString(heap_getattr(tuples[i], RUN_COLUMN_STATUS, description, &isnull));
	}
	if (versions[0] == versions[1] && strcmp(statuses[0], statuses[1]) == 0)
		return;
	aion_count_note(owner_key, versions[0], statuses[0], -1);
	aion_count_note(owner_key, versions[1], statuses[1], 1);
}

static void
insert_into_indexes(Relation table, HeapTuple tuple)
{
	EState *estate = CreateExecutorState();
	MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot =
		ExecInitExtraTupleSlot(estate, RelationGetDescr(table), &TTSOpsHeapTuple);

	InitResultRelInfo(target, table, 1, NULL, 0);
	ExecOpenIndices(target, false);
	ExecStoreHeapTuple(tuple, slot, false);
	(void) aion_compat_insert_index_tuples(target, slot, estate);
	ExecResetTupleTable(estate->es_tupleTable, false);
	ExecCloseIndices(target);
	MemoryContextSwitchTo(caller);
	FreeExecutorState(estate);
}
