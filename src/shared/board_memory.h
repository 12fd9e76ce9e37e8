/*
 * board_memory.h
 *		The board in shared memory, for the other files that keep it.
 */
#ifndef AION_BOARD_MEMORY_H
#define AION_BOARD_MEMORY_H

#include "storage/lwlock.h"

#include "shared/hint.h"
#include "shared/inflight.h"

#define ASKED 32	/* databases that the launcher is told of at once */
#define OWNERS 64	/* of one database that want a runner */
#define TIMERS 1024 /* a power of 2, as the next one */
#define RUNS 4096
#define CROWD 64 /* hints of one runner at which another is wanted */
#define HOLDERS 8
#define SLOW_OWNERS 128

typedef struct DatabaseSlot
{
	Oid database;  /* InvalidOid: free */
	int scheduler; /* number of its process, -1: none */
	bool absent;   /* there is no extension */
	bool crowded;  /* there is no room for its scheduler */
	bool scan;
	TimestampTz horizon;	/* the scheduler knows the timers before it */
	TimestampTz look_at;	/* at tasks that may be late; DT_NOEND: the scheduler knows when */
	TimestampTz next_wake;	/* until when it rests; DT_NOBEGIN: it works */
	TimestampTz refused_at; /* the server had no process for a runner or executor; 0: never */
	int owner_count;
	BoardOwner owners[OWNERS]; /* that want a process */
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
	TimestampTz dismissed_at;
	TimestampTz stuck_at; /* when it does not react any more, if it is there still; 0: not known */
	bool make_room;		  /* at once: the turn it executes is interrupted */
	int limit;			  /* how many processes of its kind its owner may have; 0: no limit */
	bool executor;		  /* of activities in the background, else of turns */
	bool recover;		  /* a process may have left a claim behind */
	bool limited;		  /* there is something, but no room for it */
	int64 task_run;		  /* what it executes; 0: nothing */
	int32 task_ordinal;
	bool task_stopped; /* it is not wanted any more */
	bool engaged;	   /* with a run that may take long: other runners take the rest */
	bool deaf;		   /* what it executes cannot be interrupted; read as a hint */
	bool relieved;	   /* engaged by the scheduler, because it is deaf */
	bool scan;		   /* it must look at the table, or has not seen the latest */
	int64 executing;   /* a run, or an errand; read as a hint */
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

/* The owner that room was made for. */
typedef struct Call
{
	Oid database;
	BoardOwner owner;
	int has;		   /* processes of that kind */
	TimestampTz until; /* owners that have more leave the room to it */
} Call;

/* An owner whose process was told to leave and took its time. */
typedef struct Slow
{
	Oid database;
	BoardOwner owner;
	TimestampTz until; /* others that want a process come first */
} Slow;

typedef struct Board
{
	LWLock *lock;
	int launcher; /* number of its process, -1: none */
	bool ask_all;
	int asked_count;
	Oid asked[ASKED]; /* databases where the extension may have come or gone */
	Hold holds[HOLDERS];
	int unserved_count; /* of databases for whose scheduler there is no room */
	Oid unserved[ASKED];
	int database_count;
	DatabaseSlot *databases;				/* behind the runners */
	InflightRun casualties[INFLIGHT_SLOTS]; /* executed when the server crashed before this start */
	Call call;
	Slow slow[SLOW_OWNERS]; /* a ring */
	int slow_next;
	int runner_count; /* of slots: those of stuck processes are replaced */
	RunnerSlot runners[FLEXIBLE_ARRAY_MEMBER];
} Board;

extern Board *aion_board_memory(void);	/* NULL: not preloaded */
extern int aion_board_pid(int process); /* 0: there is none */

/* For holders of the lock. */
extern void aion_board_set_latch(int process);
extern DatabaseSlot *aion_board_database(Oid database); /* of no database: a free slot */
extern void aion_board_ask_scan(DatabaseSlot *slot);
extern bool aion_board_serves(const RunnerSlot *runner, Oid database, int32 owner_key);
extern int aion_board_give(Oid database, int32 owner_key, int64 run_key);
extern void aion_board_want(DatabaseSlot *slot, BoardOwner owner);
extern bool aion_board_executes(const RunnerSlot *runner, Oid database, int32 owner_key);
extern bool aion_board_must_relieve(const RunnerSlot *runner, Oid database);
extern void aion_board_stop(RunnerSlot *runner);
extern void aion_board_reshare(Oid database, int32 owner_key);

#endif
