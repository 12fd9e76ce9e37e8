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

#include "run/store.h"
#include "support/extension.h"
#include "support/pg_compat.h"

static HeapTuple change(Relation table, int64 run_key, NewRow *row, bool *indexed);
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
	systable_endscan(scan);
	UnregisterSnapshot(snapshot);
	return tuple;
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
