/*
 * run.h
 *		One run: its row and its history.
 */
#ifndef AION_RUN_H
#define AION_RUN_H

#include "utils/uuid.h"

#include "code/definition.h"
#include "history/recorder.h"
#include "support/pg_compat.h"
#include "support/statement.h"

typedef enum RunStatus
{
	RUN_SCHEDULED,	/* next: RUNNING, BLOCKED, PAUSED, any closed */
	RUN_RUNNING,	/* next: BLOCKED, PAUSED, any closed */
	RUN_BLOCKED,	/* next: RUNNING, PAUSED, any closed */
	RUN_PAUSED,		/* next: SCHEDULED, RUNNING, BLOCKED, any closed */
	RUN_COMPLETED,	/* from here on: closed */
	RUN_FAILED,		/* next: SCHEDULED, RUNNING */
	RUN_CANCELLED,	/* next: SCHEDULED, RUNNING */
	RUN_TERMINATED, /* next: SCHEDULED, RUNNING */
	RUN_TIMED_OUT,
	RUN_CONTINUED /* as a new one */
} RunStatus;

#define RUN_SLOTS 4 /* primitives that keep something with a run in memory */

typedef struct Run
{
	MemoryContext context;
	int64 run_key;
	char *workflow_id;
	pg_uuid_t run_id;
	int32 owner_key;
	int32 version_key;
	RunStatus status;
	char *blocked;			/* why; NULL unless it is blocked, or was when it was paused */
	int32 seen;				/* number of events when the code last ran */
	int32 messages_sent_to; /* events up to which a discarded turn has emitted messages */
	int32 failures;			/* of the infrastructure, since the last turn that succeeded */
	TimestampTz ready_at;	/* needs a turn since then; DT_NOEND: needs none */
	TimestampTz retry_at;	/* timers wake it not before then; DT_NOEND: no such limit */
	Jsonb *awaiting;		/* what the code waits for; NULL: nothing */
	TimestampTz awaiting_since;
	TimestampTz closed_at; /* DT_NOEND: open */
	Jsonb *unread;		   /* by name, the first signal that the code has not consumed; or NULL */
	int64 chain_key;	   /* first run of its chain; 0: it is the first */

	History *history; /* once loaded */
	int32 loaded;	  /* number of events then */
	WorkflowStarted started;
	const CodeSettings *settings; /* of its version, once its code was found */
	TimestampTz looked_at;		  /* when its arrivals were taken; 0: they were not */
	bool claimed_by_timer;		  /* some row of aion._timer said that it was due */
	List *arrivals;				  /* taken out of the inbox and not yet recorded */
	struct List *mistakes;		  /* commands that cannot be carried out, see mistake.c */
	int performed;				  /* commands before this one have nothing left to do */
	bool woken;					  /* the code must be executed; else only if there are new events */
	int heard;			   /* cancel requests raised in the code before it continued as a new run */
	struct Run *successor; /* the run that continues it, once it has ended; NULL: none */
	void *slots[RUN_SLOTS]; /* what primitives keep with it, each in its own */
} Run;

/* A run as its senders see it. */
typedef struct FoundRun
{
	int64 run_key;
	int32 owner_key;
	int64 chain_key; /* 0: none */
	bool is_closed;
	bool is_continued; /* as a new one */
} FoundRun;

/* Why a run is blocked. */
#define BLOCKED_ERROR "error"
#define BLOCKED_INVALID_INPUT "invalid input"
#define BLOCKED_MISMATCH "mismatch"
#define BLOCKED_NONDETERMINISTIC "nondeterministic"
#define BLOCKED_MISSING_CODE "missing code"
#define BLOCKED_MISSING_RIGHT "missing right"
#define BLOCKED_QUARANTINED "quarantined" /* until it is released */
#define BLOCKED_TURN_TIMEOUT "turn_timeout"

#define RUN_COLUMNS                                                                                \
	"run_key, workflow_id, run_id, owner_key, version_key, status, blocked, seen, failures,"       \
	" ready_at, retry_at, awaiting, awaiting_since, closed_at, unread, chain_key"

extern const char *aion_status_name(RunStatus status);
extern void aion_status_check(const char *name);
extern bool aion_run_is_executing(int64 run_key);
extern bool aion_run_is_closed(const Run *run);

/* All require the engine's authority, and those that change a run its lock. */
extern Run *aion_run_read(Rows rows, uint64 row, MemoryContext parent);
extern Run *aion_run_peek(int64 run_key, MemoryContext parent);
extern Run *aion_run_view(int64 run_key, MemoryContext parent);
extern Run *aion_run_lock(int64 run_key, MemoryContext parent);
extern Run *aion_run_lock_if_free(int64 run_key, MemoryContext parent);
extern Run *aion_run_lock_at_once(int64 run_key, MemoryContext parent);
extern Run *aion_run_lock_named(const char *workflow_id, Oid user);
extern int64 aion_run_find(const char *workflow_id, Oid user);
extern bool aion_run_look_up(const char *workflow_id, Oid user, FoundRun *found);
extern bool aion_run_look_up_key(int64 run_key, FoundRun *found);
pg_noreturn extern void aion_run_not_found(const char *workflow_id);
extern void aion_run_load(Run *run);
extern void aion_run_warn_if_long(const Run *run);
extern void aion_run_save(Run *run);
extern void aion_run_save_history(Run *run);
extern void aion_run_save_row(Run *run);

#endif
