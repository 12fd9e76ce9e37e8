/*
 * count.c
 *		How many runs there are of each owner, version and status.
 *
 * A transaction that starts, changes or removes runs collects by how many the counts change, and
 * writes that before it commits, as rows of aion._run_count that no other transaction writes: so
 * none waits for another, and the sum of all rows is exact in every snapshot.  The scheduler
 * replaces many rows by their sums.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "funcapi.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

#include "run/count.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "support/statement.h"

#define STATUS_ROOM 21	 /* as in the table */
#define ROWS_TO_SUM 1000 /* beyond twice as many as there are sums */
#define ROWS_AT_ONCE 50000

/* The columns of aion._run_count. */
enum
{
	COUNT_OWNER_KEY = 1,
	COUNT_VERSION_KEY,
	COUNT_STATUS,
	COUNT_RUNS
};

typedef struct Change
{
	int32 owner_key;
	int32 version_key;
	char status[STATUS_ROOM];
	int64 runs;
	Oid extension;
	SubTransactionId made_in;
} Change;

/* One for all runs that are alike in each subtransaction, the innermost last. */
static Change *changes = NULL;
static int change_count = 0;
static int change_room = 0;

static int64 sums_kept = 0; /* rows that were left when rows were last summed up */

static Statement count_rows = STATEMENT(SELECT, "SELECT pg_catalog.count(*) FROM aion._run_count");
static Statement sum_up =
	STATEMENT(INSERT,
			  "WITH summed AS (DELETE FROM aion._run_count WHERE ctid = ANY"
			  " (ARRAY(SELECT ctid FROM aion._run_count LIMIT $1)) RETURNING *)"
			  " INSERT INTO aion._run_count (owner_key, version_key, status, runs)"
			  " SELECT owner_key, version_key, status, pg_catalog.sum(runs) FROM summed"
			  " GROUP BY owner_key, version_key, status HAVING pg_catalog.sum(runs) <> 0",
			  INT8OID);

static Statement delete_rows = {
	.expected = SPI_OK_DELETE, .text = "DELETE FROM aion._run_count", .latest = true};
static Statement count_runs = {
	.expected = SPI_OK_INSERT,
	.text = "INSERT INTO aion._run_count (owner_key, version_key, status, runs)"
			" SELECT owner_key, version_key, status, pg_catalog.count(*) FROM aion._run"
			" GROUP BY owner_key, version_key, status",
	.latest = true};

static void count_transaction_ends(XactEvent event, void *argument);
static void count_subtransaction_ends(SubXactEvent event, SubTransactionId sub,
									  SubTransactionId parent, void *argument);
static void add_change(const Change *added);
static void take_back(void);
static Oid count_table(void);
static void forget_dropped(void);
static void write_changes(void);
static void write_change(Relation table, const Change *change);
static void fill_row(const Change *change, Datum *values);

void
aion_count_init(void)
{
	RegisterXactCallback(count_transaction_ends, NULL);
	RegisterSubXactCallback(count_subtransaction_ends, NULL);
}

/*
 * Notes that this transaction changes the number of runs that are alike.
 */
void
aion_count_note(int32 owner_key, int32 version_key, const char *status, int runs)
{
	Change change = {.owner_key = owner_key,
					 .version_key = version_key,
					 .runs = runs,
					 .extension = aion_extension()->oid,
					 .made_in = GetCurrentSubTransactionId()};

	strlcpy(change.status, status, STATUS_ROOM);
	if (change_count == change_room)
	{
		change_room = Max(16, change_room * 2);
		changes = changes == NULL
					  ? MemoryContextAlloc(TopTransactionContext, change_room * sizeof(Change))
					  : repalloc_huge(changes, change_room * sizeof(Change));
	}
	add_change(&change);
}

/*
 * Adds a change to the entry about runs that are alike, or as a new one, for which there is room.
 * The entries of the innermost subtransaction are at the end.
 */
static void
add_change(const Change *added)
{
	for (int i = change_count - 1; i >= 0 && changes[i].made_in == added->made_in; i--)
	{
		Change *change = &changes[i];

		if (change->version_key != added->version_key || change->owner_key != added->owner_key ||
			change->extension != added->extension || strcmp(change->status, added->status) != 0)
			continue;
		change->runs += added->runs;
		return;
	}
	changes[change_count++] = *added;
}

/*
 * Replaces rows by their sums if there are many.
 */
void
aion_count_sum_up(void)
{
	NullableDatum most[] = {aion_arg_int64(ROWS_AT_ONCE + sums_kept)};
	Rows rows = aion_statement_execute(&count_rows, NULL);

	if (aion_row_int64(rows, 0, 1) < ROWS_TO_SUM + 2 * sums_kept)
		return;
	sums_kept = aion_statement_execute(&sum_up, most).count;
	CRASH_POINT("counts summed up, not committed");
}

/*
 * Counts the runs themselves.  A transaction that has written its changes holds a lock on the table
 * until its runs are to be seen; one that has not will write them later.
 */
void
aion_count_again(void)
{
	LockRelationOid(count_table(), ShareRowExclusiveLock);
	(void) aion_statement_execute(&delete_rows, NULL);
	(void) aion_statement_execute(&count_runs, NULL);
	take_back();
}

/*
 * Notes the opposite of all that was noted.  Should the current subtransaction be rolled back, this
 * is, too.
 */
static void
take_back(void)
{
	for (int i = change_count - 1; i >= 0; i--)
	{
		Change change = changes[i];

		if (change.runs != 0 && change.extension == aion_extension()->oid)
			aion_count_note(change.owner_key, change.version_key, change.status, -change.runs);
	}
}

static void
count_transaction_ends(XactEvent event, void *argument)
{
	if ((event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) && change_count > 0)
		write_changes();
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
	{
		changes = NULL; /* it was in the transaction's memory */
		change_count = change_room = 0;
	}
}

/*
 * Removes the entries of a subtransaction that is rolled back, and makes those of one that is
 * released entries of the one around it.  They are at the end of the list, since ids of
 * subtransactions only grow.
 */
static void
count_subtransaction_ends(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
						  void *argument)
{
	int end = change_count;

	if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB)
		return;
	while (change_count > 0 && changes[change_count - 1].made_in >= sub)
		change_count--;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = change_count; i < end; i++)
	{
		Change change = changes[i];

		change.made_in = parent;
		add_change(&change);
	}
}

static Oid
count_table(void)
{
	return get_relname_relid("_run_count", aion_extension()->schema);
}

/*
 * Forgets what is about an extension that this transaction has dropped, perhaps to create it anew.
 */
static void
forget_dropped(void)
{
	Oid extension = aion_extension_exists() ? aion_extension_of_any_version()->oid : InvalidOid;
	int kept = 0;

	for (int i = 0; i < change_count; i++)
	{
		if (changes[i].extension == extension)
			changes[kept++] = changes[i];
	}
	change_count = kept;
}

/*
 * Writes a row for each entry, at the end of the transaction.
 */
static void
write_changes(void)
{
	Relation table;

	forget_dropped();
	if (change_count == 0)
		return;
	table = table_open(count_table(), RowExclusiveLock);
	for (int i = 0; i < change_count; i++)
	{
		if (changes[i].runs != 0)
			write_change(table, &changes[i]);
	}
	table_close(table, NoLock);
}

static void
write_change(Relation table, const Change *change)
{
	Datum values[COUNT_RUNS];
	bool nulls[COUNT_RUNS] = {false};
	HeapTuple tuple;

	fill_row(change, values);
	tuple = heap_form_tuple(RelationGetDescr(table), values, nulls);
	simple_heap_insert(table, tuple);
	heap_freetuple(tuple);
}

static void
fill_row(const Change *change, Datum *values)
{
	values[COUNT_OWNER_KEY - 1] = Int32GetDatum(change->owner_key);
	values[COUNT_VERSION_KEY - 1] = Int32GetDatum(change->version_key);
	values[COUNT_STATUS - 1] = CStringGetTextDatum(change->status);
	values[COUNT_RUNS - 1] = Int64GetDatum(change->runs);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_count_changes);

/*
 * _count_changes() -> (owner_key, version_key, status, runs): what is written at the commit
 */
Datum
aion_count_changes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < change_count; i++)
	{
		Datum values[COUNT_RUNS];
		bool nulls[COUNT_RUNS] = {false};

		if (changes[i].extension != aion_extension()->oid)
			continue; /* of one that this transaction has dropped */
		fill_row(&changes[i], values);
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}
