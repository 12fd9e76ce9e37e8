/*
 * board_memory.h
 *		The board as it lies in shared memory; for board.c and roster.c alone.
 */
#ifndef AION_BOARD_MEMORY_H
#define AION_BOARD_MEMORY_H

#include "storage/lwlock.h"
#include "support/board.h"
#include "support/inflight.h"

#define DATABASES 32 /* with the extension, in one server */
#define OWNERS 64	 /* of one database that want a runner */
#define TIMERS 1024	 /* a power of 2, as the next one */
#define RUNS 4096
#define HOLDERS 8

typedef struct DatabaseSlot
{
	Oid database;  /* InvalidOid: free */
	int scheduler; /* number of its process, -1: none */
	bool absent;   /* there is no extension */
	bool scan;
	TimestampTz horizon; /* the scheduler knows the timers before it */
	TimestampTz next_wake;
	int owner_count;
	int32 owners[OWNERS]; /* that want a runner */
	uint32 first_timer;
	uint32 timer_count;
	BoardTimer timers[TIMERS];
} DatabaseSlot;

typedef struct RunnerSlot
{
	Oid database; /* InvalidOid: free */
	Oid role;
	int32 owner_key;
	uint32 generation; /* of the use of this slot */
	int process;	   /* -1: has not begun */
	TimestampTz since;
	bool idle;
	bool dismissed;
	bool engaged; /* with a run that may take long: others take over the rest */
	bool scan;
	uint64 batches;
	uint64 runs_executed;
	uint32 first_run;
	uint32 run_count;
	int64 runs[RUNS];
} RunnerSlot;

typedef struct Hold
{
	Oid database;
	int process;
} Hold;

typedef struct Board
{
	LWLock *lock;
	int launcher; /* number of its process, -1: none */
	bool ask_all;
	int asked_count;
	Oid asked[DATABASES]; /* databases where the extension may have come or gone */
	Hold holds[HOLDERS];
	DatabaseSlot databases[DATABASES];
	InflightRun casualties[INFLIGHT_SLOTS]; /* what the server crashed on before it started */
	int runner_count;
	RunnerSlot runners[FLEXIBLE_ARRAY_MEMBER];
} Board;

extern Board *aion_board_memory(void); /* NULL: not preloaded */

/* For holders of the lock. */
extern void aion_board_set_latch(int process);
extern DatabaseSlot *aion_board_database(Oid database); /* of no database: a free slot */
extern void aion_board_ask_scan(DatabaseSlot *slot);
extern bool aion_board_serves(const RunnerSlot *runner, Oid database, int32 owner_key);
extern void aion_board_want_runner(DatabaseSlot *slot, int32 owner_key);
extern void aion_board_reshare(Oid database, int32 owner_key);

#endif
