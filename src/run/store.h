/*
 * store.h
 *		Writing the row of a run.
 */
#ifndef AION_STORE_H
#define AION_STORE_H

/* The columns of aion._run. */
enum
{
	RUN_COLUMN_RUN_KEY = 1,
	RUN_COLUMN_RUN_ID,
	RUN_COLUMN_STARTED_AT,
	RUN_COLUMN_CLOSED_AT,
	RUN_COLUMN_READY_AT,
	RUN_COLUMN_RETRY_AT,
	RUN_COLUMN_AWAITING_SINCE,
	RUN_COLUMN_OWNER_KEY,
	RUN_COLUMN_VERSION_KEY,
	RUN_COLUMN_HEAD,
	RUN_COLUMN_SEEN,
	RUN_COLUMN_FAILURES,
	RUN_COLUMN_CRASHES,
	RUN_COLUMN_STATUS,
	RUN_COLUMN_CHAIN_KEY,
	RUN_COLUMN_BLOCKED,
	RUN_COLUMN_WORKFLOW_ID,
	RUN_COLUMN_AWAITING,
	RUN_COLUMN_UNREAD
};

/* The values that a row is to have: of those columns that are replaced. */
typedef struct NewRow
{
	Datum values[RUN_COLUMN_UNREAD];
	bool nulls[RUN_COLUMN_UNREAD];
	bool replaced[RUN_COLUMN_UNREAD];
} NewRow;

extern void aion_store_put(NewRow *row, int column, NullableDatum value);
extern void aion_store_row(int64 run_key, NewRow *row);

#endif
