/*
 * runner.c
 *		A process that executes the runs of one owner, as that owner.
 *
 * It is connected as the owner, so there is no other role that code could find the way back to.
 * Many runs share a transaction and its commit: a batch.  Which runs those are it learns from hints
 * on the board, and when it begins or too many hints came, by scanning the tables for its share:
 * the runners of one owner divide the runs by their keys, so that they seldom meet.  A run that
 * somebody else has locked is looked at again soon, since nobody tells when he lets go.
 *
 * A crash at any point leaves what the last commit left.  A batch that cannot commit is repeated
 * one run at a time, so that the one that is to blame is found.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "background/process.h"
#include "background/runner.h"
#include "engine/advance.h"
#include "engine/failure.h"
#include "engine/fence.h"
#include "engine/guard.h"
#include "engine/inbox.h"
#include "engine/primitive.h"
#include "engine/ready.h"
#include "guc.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "support/inflight.h"
#include "support/interruption.h"
#include "support/pg_compat.h"
#include "support/roster.h"

#define QUEUE 1000
#define SCAN_CROWD 64 /* ready runs found at once at which another runner is wanted */
#define TAKEN_FIRST_MS 5
#define TAKEN_MAX_MS 1000
#define SUBTRANSACTIONS 50 /* more than 64 overflow what other backends' snapshots hold */

/* A run that somebody else had. */
typedef struct Taken
{
	int64 run_key;
	TimestampTz again_at;
	int delay;	  /* ms */
	bool waiting; /* else it is only remembered, so that the delay grows */
} Taken;

static RosterEntry self;
static int64 queue[QUEUE];
static int queued = 0;
static Taken taken[QUEUE];
static int taken_count = 0;
static int64 alone[QUEUE]; /* to be executed in a transaction of their own */
static int alone_count = 0;
static int64 errands[QUEUE]; /* that are no runs; each in a transaction of its own, too */
static int errand_count = 0;
static ReadyScan scan;
static bool scanning = false;
static bool scan_is_new = false;

static bool fill_queue(void);
static void scan_from_start(void);
static void scan_more(void);
static TimestampTz requeue_taken(void);
static void note_taken(int64 run_key);
static void execute_batch(void);
static void execute_alone(void);
static void run_errands(void);
static bool try_errand(int64 key);
static void execute_one(int64 run_key, MemoryContext context);
static ErrorData *try_to_execute(const int64 *run_keys, int count, int patience,
								 MemoryContext context);
static void execute(const int64 *run_keys, int count, int patience, MemoryContext context);
static bool batch_is_full(TimestampTz until);
static void note_errands(const int64 *run_keys, int count);
static void give_back(const int64 *run_keys, int count, List *runs);
static void note_failure(int64 run_key, const ErrorData *error);

pg_noreturn PGDLLEXPORT void aion_runner_main(Datum argument);

/*
 * Describes a runner that serves what a slot of the board says.
 */
void
aion_runner_describe(BackgroundWorker *worker, int slot, uint32 generation)
{
	aion_process_describe(worker, "aion runner", RUNNER_MAIN);
	worker->bgw_main_arg = Int32GetDatum(slot);
	memcpy(worker->bgw_extra, &generation, sizeof(generation));
	worker->bgw_notify_pid = MyProcPid;
}

/*
 * Begins a process that serves what a slot of the board says, as the owner it names.
 */
void
aion_runner_begin(int slot, const char *name, RosterEntry *entry)
{
	uint32 generation;

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	aion_process_begin();
	if (!aion_roster_runner_begin(slot, generation, entry))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(entry->database, entry->role,
											  AION_COMPAT_BYPASS_ROLE_LOGIN);
	pgstat_report_appname(name);
	aion_process_pin_settings();
	aion_inflight_attach(slot);
}

void
aion_runner_main(Datum argument)
{
	TimestampTz idle_since;
	char *execution;

	aion_runner_begin(DatumGetInt32(argument), "aion runner", &self);
	execution = pstrdup(aion_execution);
	idle_since = GetCurrentTimestamp();
	for (;;)
	{
		TimestampTz wake = TimestampTzPlusMilliseconds(idle_since, aion_runner_idle_timeout);
		TimestampTz again;

		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		(void) aion_process_reload();
		if (aion_roster_must_leave() || strcmp(aion_execution, execution) != 0)
			proc_exit(0); /* the scheduler knows whether there shall be another */
		again = requeue_taken();
		if (fill_queue())
		{
			execute_batch();
			execute_alone();
			run_errands();
			idle_since = GetCurrentTimestamp();
			continue;
		}
		if (taken_count == 0 && GetCurrentTimestamp() >= wake && aion_roster_retire())
			proc_exit(0);
		aion_roster_set_idle(true);
		(void) aion_process_wait_until(Min(wake, again));
		aion_roster_set_idle(false);
	}
}

/*
 * Takes hints, and scans if it must; false if there is nothing to do.
 */
static bool
fill_queue(void)
{
	bool must_scan = false;

	if (queued < QUEUE / 2)
	{
		queued += aion_roster_take_runs(queue + queued, QUEUE - queued, &must_scan, &self);
		if (must_scan)
			scan_from_start();
		if (scanning && queued < QUEUE / 2)
			scan_more();
	}
	return queued > 0;
}

static void
scan_from_start(void)
{
	aion_ready_scan_begin(&scan, self.index, self.count);
	scanning = scan_is_new = true;
}

static void
scan_more(void)
{
	Authority authority;
	volatile int found = 0;
	volatile bool failed = false;

	PG_TRY();
	{
		aion_process_begin_work("looking for ready runs");
		aion_authority_assume(&authority);
		if (aion_fence_executes())
			found = aion_ready_scan(&scan, self.owner_key, queue + queued, QUEUE - queued);
		aion_authority_drop(&authority);
		aion_process_end_work();
	}
	PG_CATCH();
	{
		failed = true;
		aion_process_fail_work(NULL);
		aion_process_wait(1000);
	}
	PG_END_TRY();
	queued += found;
	if (found >= SCAN_CROWD && scan_is_new)
		aion_roster_want_another();
	scan_is_new = false;
	if (found == 0 && !failed)
		scanning = false;
}

/*
 * Queues the runs that somebody else had when it is time to look again.  Returns when that is next.
 */
static TimestampTz
requeue_taken(void)
{
	TimestampTz next = DT_NOEND;
	TimestampTz now = GetCurrentTimestamp();
	int kept = 0;

	for (int i = 0; i < taken_count; i++)
	{
		if (taken[i].waiting && taken[i].again_at <= now && queued < QUEUE)
		{
			queue[queued++] = taken[i].run_key;
			taken[i].waiting = false;
		}
		if (taken[i].waiting)
			next = Min(next, taken[i].again_at);
		if (taken[i].waiting || taken[i].again_at > now - (TimestampTz) TAKEN_MAX_MS * 1000)
			taken[kept++] = taken[i];
	}
	taken_count = kept;
	return next;
}

static void
note_taken(int64 run_key)
{
	int i = 0;

	while (i < taken_count && taken[i].run_key != run_key)
		i++;
	if (i == QUEUE)
	{
		scan_from_start();
		return;
	}
	if (i == taken_count)
		taken[taken_count++] = (Taken){run_key, 0, TAKEN_FIRST_MS / 2, false};
	taken[i].delay = Min(taken[i].delay * 2, TAKEN_MAX_MS);
	taken[i].waiting = true;
	taken[i].again_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), taken[i].delay);
}

/*
 * Executes what is queued in one transaction or, if that cannot commit, in one for each run.
 */
static void
execute_batch(void)
{
	int64 run_keys[QUEUE];
	int count = Min(queued, aion_batch_turns);
	ErrorData *error;
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "aion batch", ALLOCSET_DEFAULT_SIZES);

	memcpy(run_keys, queue, count * sizeof(int64));
	queued -= count;
	memmove(queue, queue + count, queued * sizeof(int64));
	error = try_to_execute(run_keys, count, aion_batch_lock_timeout, context);
	if (error != NULL)
	{
		FreeErrorData(error);
		for (int i = 0; i < count; i++)
			execute_one(run_keys[i], context);
	}
	MemoryContextDelete(context);
}

/*
 * Executes the runs that did not get through in a batch, each in its own transaction, where it may
 * wait for locks: nobody else's work is held up by that.
 */
static void
execute_alone(void)
{
	MemoryContext context;

	if (alone_count == 0)
		return;
	context = AllocSetContextCreate(TopMemoryContext, "aion run alone", ALLOCSET_DEFAULT_SIZES);
	aion_roster_set_engaged(true);
	for (int i = 0; i < alone_count; i++)
	{
		execute_one(alone[i], context);
		if (aion_roster_must_leave())
			break;
	}
	alone_count = 0;
	aion_roster_set_engaged(false);
	MemoryContextDelete(context);
}

/*
 * Does what is due and no run, each in its own transaction, since it may start and end runs.
 */
static void
run_errands(void)
{
	int count = errand_count;

	errand_count = 0;
	for (int i = 0; i < count; i++)
	{
		if (!try_errand(errands[i]))
			note_taken(errands[i]); /* if it is still due then */
	}
}

/*
 * Does one of these; false if that failed, or if somebody else is at it.
 */
static bool
try_errand(int64 key)
{
	volatile bool done = false;

	PG_TRY();
	{
		Authority authority;
		bool executes;

		aion_process_begin_work("running an errand");
		aion_authority_assume(&authority);
		executes = aion_fence_executes();
		aion_authority_drop(&authority);
		aion_inflight_note(key);
		done = !executes || aion_primitives_run_errand(self.owner_key, &key, 1);
		aion_inflight_note(0);
		CRASH_POINT("errand, not committed");
		aion_process_end_work();
		CRASH_POINT("errand, committed");
	}
	PG_CATCH();
	{
		aion_inflight_note(0);
		aion_process_fail_work(NULL);
		done = false;
	}
	PG_END_TRY();
	return done;
}

/*
 * Executes one run in a transaction of its own.  What goes wrong there is its own failure.
 */
static void
execute_one(int64 run_key, MemoryContext context)
{
	ErrorData *error = try_to_execute(&run_key, 1, 0, context);

	if (error == NULL)
		return;
	note_failure(run_key, error);
	FreeErrorData(error);
}

/*
 * Executes runs in one transaction.  Returns why it was rolled back; NULL if it was committed.
 */
static ErrorData *
try_to_execute(const int64 *run_keys, int count, int patience, MemoryContext context)
{
	ErrorData *error = NULL;

	MemoryContextReset(context);
	PG_TRY();
	{
		execute(run_keys, count, patience, context);
	}
	PG_CATCH();
	{
		aion_interruption_hold(NULL, 0);
		aion_inflight_note(0);
		aion_process_fail_work(&error);
	}
	PG_END_TRY();
	return error;
}

/*
 * Executes runs until the batch is full, and commits.  What is left is queued again.
 */
static void
execute(const int64 *run_keys, int count, int patience, MemoryContext context)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), aion_batch_time);
	Authority authority;
	bool interrupted = false;
	int64 *held;
	List *runs = NIL;
	ListCell *cell;

	aion_process_begin_work("executing runs");
	MemoryContextSwitchTo(context);
	aion_authority_assume(&authority);
	if (aion_fence_executes())
		runs = aion_ready_claim_all_of(self.owner_key, run_keys, count, context);
	give_back(run_keys, count, runs);
	aion_authority_drop(&authority);
	CRASH_POINT("runs claimed");
	held = palloc(Max(list_length(runs), 1) * sizeof(int64));
	foreach (cell, runs)
		held[foreach_current_index(cell)] = ((Run *) lfirst(cell))->run_key;
	aion_interruption_hold(held, list_length(runs));
	foreach (cell, runs)
	{
		Run *run = lfirst(cell);
		Budget budget = {.turns = PG_INT64_MAX, .until = until, .patience = patience};

		if (interrupted || (batch_is_full(until) && foreach_current_index(cell) > 0))
		{
			Assert(queued < QUEUE);
			queue[queued++] = run->run_key;
			continue;
		}
		aion_inflight_note(run->run_key);
		aion_run_advance(run, &budget);
		aion_inflight_note(0);
		interrupted = budget.interrupted; /* who waits shall have the lock that this batch has */
		if (budget.lost_patience && alone_count < QUEUE)
			alone[alone_count++] = run->run_key;
		else if (interrupted)
			note_taken(run->run_key);
		MemoryContextDelete(run->context);
	}
	aion_interruption_hold(NULL, 0);
	CRASH_POINT("batch, not committed");
	aion_process_end_work();
	CRASH_POINT("batch, committed");
	aion_roster_count_batch(list_length(runs));
}

static bool
batch_is_full(TimestampTz until)
{
	return MyProc->subxidStatus.count >= SUBTRANSACTIONS || MyProc->subxidStatus.overflowed ||
		   !aion_guard_session_is_clean() || GetCurrentTimestamp() >= until;
}

/*
 * Notes which runs could not be claimed because somebody else has them, and what is no run; drops
 * what was sent to runs that are gone.
 */
static void
give_back(const int64 *run_keys, int count, List *runs)
{
	int64 *gone = palloc(count * sizeof(int64));
	int gone_count = 0;

	if (list_length(runs) < count)
		note_errands(run_keys, count);
	for (int i = 0; i < count && list_length(runs) < count; i++)
	{
		ListCell *cell;
		bool claimed = false;

		foreach (cell, runs)
			claimed = claimed || ((Run *) lfirst(cell))->run_key == run_keys[i];
		if (!claimed && aion_ready_is_taken(run_keys[i]))
			note_taken(run_keys[i]);
		else if (!claimed)
			gone[gone_count++] = run_keys[i];
	}
	if (gone_count > 0)
		aion_inbox_sweep(gone, gone_count);
}

/*
 * Notes which of some keys are errands.
 */
static void
note_errands(const int64 *run_keys, int count)
{
	int64 due[QUEUE];
	int found = aion_primitives_select_errands(run_keys, count, due);

	for (int i = 0; i < found; i++)
	{
		int known = 0;

		while (known < errand_count && errands[known] != due[i])
			known++;
		if (known == QUEUE)
			scan_from_start(); /* and find it again */
		else if (known == errand_count)
			errands[errand_count++] = due[i];
	}
}

/*
 * Notes that a run could not even be committed alone.
 */
static void
note_failure(int64 run_key, const ErrorData *error)
{
	PG_TRY();
	{
		aion_process_begin_work("noting a failure");
		aion_run_note_failure(run_key, error);
		CRASH_POINT("failure noted, not committed");
		aion_process_end_work();
		CRASH_POINT("failure noted");
	}
	PG_CATCH();
	{
		aion_process_fail_work(NULL);
		note_taken(run_key);
	}
	PG_END_TRY();
}
