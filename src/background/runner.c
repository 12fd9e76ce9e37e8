/*
 * runner.c
 *		A process that executes the runs of one owner, as that owner.
 *
 * It is connected as the owner, so there is no other role that code could switch back to.  Many
 * runs share a transaction and its commit: a batch.  The runner learns which runs are ready from
 * hints on the board, and when it begins or too many hints came, by scanning the tables for its
 * part: the runners of one owner divide the runs by their keys, so that they seldom meet.  A run
 * that another session has locked is looked at again soon, since the release of its lock is not
 * announced.
 *
 * A slow run does not delay others.  A run that waits for a lock, or takes long, leaves its batch
 * and is executed alone; before that the runner gives all its other runs to the other runners of
 * its owner.  A run that waits too long even then is tried again later, with exponential backoff.
 *
 * A crash at any point leaves what the last commit left.  A batch that cannot commit is repeated
 * one run at a time, so that the run that is the cause is found.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "background/process.h"
#include "background/runner.h"
#include "background/taken.h"
#include "code/adoption.h"
#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
#include "history/kept.h"
#include "run/arrivals.h"
#include "run/due.h"
#include "run/primitive.h"
#include "run/ready.h"
#include "run/touched.h"
#include "shared/inflight.h"
#include "shared/interruption.h"
#include "shared/worker_slots.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/subtransaction.h"
#include "turn/advance.h"

#define QUEUE 1000
#define SCAN_AGAIN_MS 1000	 /* after an error */
#define SCAN_CROWD 64		 /* ready runs found at once at which another runner is wanted */
#define LONG_SHARE 5		 /* times what a batch may take */
#define LOCK_WAIT_AGAIN_MS 1 /* of a run in a batch, when another has waited lately */
#define WAITS_LATELY_MS 1000
#define LOCK_WAIT_MS 300	 /* of a run that is executed alone, if other runners take the rest */
#define LOCK_WAIT_ONLY_MS 20 /* if there are no other runners */
#define SLOW_VERSIONS 32
#define SLOW_FOR_MS 60000
#define MEASURED_MS 1000 /* between two looks at how large this process is */

/* A run that has left its batch. */
typedef struct Alone
{
	int64 run_key;
	bool slow; /* else it waited for a lock */
} Alone;

/* A version of which a run took long lately. */
typedef struct SlowVersion
{
	int32 version_key;
	TimestampTz until;
} SlowVersion;

static WorkerSlot self;
static int64 queue[QUEUE];
static int queued = 0;
static int fitting = QUEUE; /* how many runs a batch is expected to execute */
static Alone alone[QUEUE];	/* to be executed in a transaction of their own */
static int alone_count = 0;
static SlowVersion slow_versions[SLOW_VERSIONS]; /* in a circle */
static int slow_count = 0;
static int64 errands[QUEUE]; /* that are due; each in a transaction of its own, too */
static int errand_count = 0;
static TimestampTz gave_up_at = 0; /* waiting for a lock */
static int64 alone_run = 0;		   /* that this runner executes alone; 0: none */
static ReadyScan scan;
static bool scanning = false;
static TimestampTz scan_again_at = DT_NOEND; /* after an error */
static bool scan_is_new = false;
static bool scan_is_due = false; /* another one, when this one ends */

static bool is_too_large(void);
static bool fill_queue(void);
static void scan_from_start(void);
static bool scan_more(void);
static TimestampTz requeue_taken(void);
static void note_taken(int64 run_key);
static void execute_batch(void);
static void execute_alone(void);
static void run_errands(void);
static bool try_errand(int64 key);
static void note_alone(int64 run_key, bool slow);
static WorkerEngagement engage(const Alone *run);
static void forget_given(const Alone *run);
static void note_slow(int32 version_key, bool slow);
static bool took_long(const Budget *budget);
static bool is_slow(int32 version_key);
static void runner_execute_one(int64 run_key, int lock_wait, MemoryContext context);
static ErrorData *try_to_execute(const int64 *run_keys, int count, int lock_wait,
								 MemoryContext context);
static void runner_execute(const int64 *run_keys, int count, int lock_wait, MemoryContext context);
static void watch_share(int lock_wait);
static bool waits_lately(void);
static void expect(int asked, int left);
static void runner_end_watch(void);
static void execute_share(Run *run, Budget *budget);
static bool batch_is_full(TimestampTz until);
static void note_errands(const int64 *run_keys, int count);
static void runner_give_back(const int64 *run_keys, int count, List *runs);
static void runner_note_failure(int64 run_key, const ErrorData *error);

pg_noreturn PGDLLEXPORT void aion_runner_main(Datum argument);

/*
 * Describes a runner that serves the owner of a runner slot.
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
 * Begins a process that serves the owner of a runner slot, connected as that owner.
 */
void
aion_runner_begin(int slot, const char *name, WorkerSlot *entry)
{
	uint32 generation;

	memcpy(&generation, MyBgworkerEntry->bgw_extra, sizeof(generation));
	aion_process_begin();
	if (!aion_worker_slots_runner_begin(slot, generation, entry))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(entry->database, entry->role,
											  AION_COMPAT_BYPASS_ROLE_LOGIN);
	pgstat_report_appname(name);
	aion_process_pin_settings();
	aion_process_serve_one_version();
	aion_worker_slots_set_limit(aion_max_runners_per_owner);
	aion_inflight_attach(slot);
}

void
aion_runner_main(Datum argument)
{
	TimestampTz idle_since;
	char *execution;

	aion_runner_begin(DatumGetInt32(argument), "aion runner", &self);
	aion_kept_begin();
	execution = pstrdup(aion_execution);
	idle_since = GetCurrentTimestamp();
	for (;;)
	{
		TimestampTz wake = TimestampTzPlusMilliseconds(idle_since, aion_runner_idle_timeout);
		TimestampTz again;

		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (aion_process_reload())
			aion_worker_slots_set_limit(aion_max_runners_per_owner);
		if (aion_worker_slots_must_leave() || strcmp(aion_execution, execution) != 0 ||
			is_too_large())
			proc_exit(0); /* the scheduler decides whether to start another */
		if (aion_worker_slots_was_relieved())
			aion_worker_slots_disengage();
		again = requeue_taken();
		if (fill_queue() || alone_count > 0)
		{
			execute_batch();
			execute_alone();
			run_errands();
			idle_since = GetCurrentTimestamp();
			continue;
		}
		if (aion_taken_is_empty() && GetCurrentTimestamp() >= wake && aion_worker_slots_retire())
			proc_exit(0);
		CRASH_POINT("runner about to rest");
		if (!aion_worker_slots_begin_idle(false))
			continue;
		(void) aion_process_wait_until(Min(wake, Min(again, scan_again_at)));
		aion_worker_slots_end_idle();
	}
}

/*
 * Tells, now and then, whether this process keeps so much memory that a new one is better.  Nothing
 * else gives up what the server and its languages keep of each function that was ever executed.
 */
static bool
is_too_large(void)
{
	static TimestampTz measured_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(measured_at, now, MEASURED_MS))
		return false;
	measured_at = now;
	return MemoryContextMemAllocated(TopMemoryContext, true) / 1024 >
		   (Size) aion_runner_memory + aion_history_cache;
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
		queued += aion_worker_slots_take_runs(queue + queued, QUEUE - queued, &must_scan, &self);
		if (must_scan)
			scan_from_start();
		if (scanning && queued < QUEUE / 2 &&
			(scan_again_at == DT_NOEND || aion_process_is_due(scan_again_at, SCAN_AGAIN_MS)))
			while (scan_more() && queued == 0)
				continue;
	}
	return queued > 0;
}

/*
 * Begins to look for the runs of this runner's part.  If the parts have changed while it looked,
 * the rest of the earlier one belongs to others, which look again, too.
 */
static void
scan_from_start(void)
{
	if (scanning && scan.index == self.index && scan.count == self.count)
	{
		scan_is_due = true; /* one that always begins anew would not come to its end */
		return;
	}
	if (scanning)
		aion_worker_slots_reshare();
	scan_is_due = false;
	aion_ready_scan_begin(&scan, self.index, self.count);
	scanning = scan_is_new = true;
}

/*
 * Looks for more runs; false if there are none, and no reason to look again now.
 */
static bool
scan_more(void)
{
	Authority authority;
	volatile int found = 0;
	volatile bool executes = false;
	volatile bool failed = false;

	PG_TRY();
	{
		aion_process_begin_work("looking for ready runs");
		aion_authority_assume(&authority);
		executes = aion_engine_executes();
		if (executes)
			found = aion_ready_scan(&scan, self.owner_key, queue + queued, QUEUE - queued);
		aion_authority_drop(&authority);
		aion_process_end_work();
	}
	PG_CATCH();
	{
		failed = true;
		aion_process_fail_work(NULL);
	}
	PG_END_TRY();
	scan_again_at =
		failed ? TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SCAN_AGAIN_MS) : DT_NOEND;
	for (int i = 0, first = queued; i < found; i++)
	{
		if (!aion_taken_waits(queue[first + i])) /* else it is queued when its time comes */
			queue[queued++] = queue[first + i];
	}
	if (found >= SCAN_CROWD && scan_is_new)
		aion_worker_slots_want_another();
	scan_is_new = false;
	if (found == 0 && executes && !failed)
		scanning = false; /* else it goes on when this process knows that it may execute */
	if (!scanning && scan_is_due)
	{
		scan_from_start();
		return true;
	}
	return found > 0;
}

/*
 * Queues the runs that were locked when it is time to look again.  Returns the next such moment.
 */
static TimestampTz
requeue_taken(void)
{
	TimestampTz next;

	queued += aion_taken_take_due(queue + queued, QUEUE - queued, &next);
	return next;
}

static void
note_taken(int64 run_key)
{
	if (!aion_taken_note(run_key))
		scan_from_start(); /* and find it again */
}

/*
 * Executes what is queued in one transaction or, if that cannot commit, in one for each run.
 */
static void
execute_batch(void)
{
	int64 run_keys[QUEUE];
	int count = Min(queued, Min(aion_batch_turns, fitting));
	ErrorData *error;
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "aion batch", ALLOCSET_DEFAULT_SIZES);

	memcpy(run_keys, queue, count * sizeof(int64));
	queued -= count;
	memmove(queue, queue + count, queued * sizeof(int64));
	error = count == 0 ? NULL : try_to_execute(run_keys, count, aion_batch_lock_timeout, context);
	if (error != NULL)
	{
		bool locked = aion_failure_is_contention(error);

		FreeErrorData(error);
		for (int i = 0; i < count; i++)
		{
			if (locked)
				note_alone(run_keys[i], false);
			else
				runner_execute_one(run_keys[i], aion_batch_lock_timeout, context);
		}
	}
	MemoryContextDelete(context);
}

static void
note_alone(int64 run_key, bool slow)
{
	if (alone_count < QUEUE)
		alone[alone_count++] = (Alone){run_key, slow};
	else
		note_taken(run_key);
}

/*
 * Executes one of the runs that have left their batch in its own transaction, where it may take
 * long.
 */
static void
execute_alone(void)
{
	MemoryContext context;
	WorkerEngagement engagement;
	Alone run;

	if (alone_count == 0)
		return;
	run = alone[0];
	memmove(alone, alone + 1, --alone_count * sizeof(Alone));
	engagement = engage(&run);
	if (engagement == ENGAGED_NOT)
	{
		note_taken(run.run_key);
		return;
	}
	context = AllocSetContextCreate(TopMemoryContext, "aion run alone", ALLOCSET_DEFAULT_SIZES);
	alone_run = run.run_key;
	runner_execute_one(run.run_key, engagement == ENGAGED_FREELY ? LOCK_WAIT_MS : LOCK_WAIT_ONLY_MS,
					   context);
	alone_run = 0;
	MemoryContextDelete(context);
	aion_worker_slots_disengage();
}

/*
 * Reserves this runner for one run, and gives the rest to other runners.  Runs that wait for a lock
 * as well are given only if the run is slow: else this runner is back soon, and each runner would
 * wait for them anew.
 */
static WorkerEngagement
engage(const Alone *run)
{
	int64 *others = palloc((QUEUE * 2 + TAKEN_MAX) * sizeof(int64));
	WorkerEngagement engagement;
	int count = 0;

	for (int i = 0; i < queued; i++)
	{
		if (run->slow || !aion_taken_has(queue[i]))
			others[count++] = queue[i];
	}
	for (int i = 0; i < alone_count; i++)
	{
		if (run->slow || alone[i].slow)
			others[count++] = alone[i].run_key;
	}
	if (run->slow)
		count += aion_taken_list(others + count);
	engagement = aion_worker_slots_engage(others, count, scanning, aion_taken_has(run->run_key));
	pfree(others);
	if (engagement == ENGAGED_FREELY)
		forget_given(run);
	return engagement;
}

/*
 * Forgets what other runners have to do now, but keeps the backoff of the run.
 */
static void
forget_given(const Alone *run)
{
	scanning = scan_is_due = false;
	for (int i = 0; i < queued && !run->slow; i++)
	{
		if (aion_taken_has(queue[i]))
			note_taken(queue[i]);
	}
	for (int i = 0; i < alone_count && !run->slow; i++)
	{
		if (!alone[i].slow)
			note_taken(alone[i].run_key);
	}
	queued = alone_count = 0;
	if (run->slow)
		aion_taken_forget_but(run->run_key);
}

/*
 * Notes for a version whether a run of it took long.
 */
static void
note_slow(int32 version_key, bool slow)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), SLOW_FOR_MS);

	for (int i = 0; i < SLOW_VERSIONS; i++)
	{
		if (slow_versions[i].version_key != version_key)
			continue;
		slow_versions[i].until = slow ? until : 0;
		return;
	}
	if (slow)
		slow_versions[slow_count++ % SLOW_VERSIONS] = (SlowVersion){version_key, until};
}

static bool
took_long(const Budget *budget)
{
	return TimestampDifferenceExceeds(budget->began, GetCurrentTimestamp(),
									  LONG_SHARE * aion_batch_time);
}

static bool
is_slow(int32 version_key)
{
	for (int i = 0; i < SLOW_VERSIONS && i < slow_count; i++)
	{
		if (slow_versions[i].version_key == version_key)
			return slow_versions[i].until > GetCurrentTimestamp();
	}
	return false;
}

/*
 * Executes the errands that are due, each in its own transaction, since it may start and end runs.
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
 * Executes one errand; false if that failed, or if another session executes it.
 */
static bool
try_errand(int64 key)
{
	volatile bool done = false;

	PG_TRY();
	{
		Authority authority;
		const Primitive *errands;
		int64 claimed = 0;

		aion_process_begin_work("running an errand");
		aion_authority_assume(&authority);
		done = !aion_engine_executes();
		if (!done)
			claimed = aion_primitives_claim_errand(self.owner_key, &key, 1, NULL, 0, &errands);
		aion_authority_drop(&authority);
		aion_worker_slots_execute(key);
		aion_advance_watch_exit();
		aion_interruption_watch(LOCK_WAIT_MS, 0);
		(void) aion_interruption_begin(INTERRUPTION_NO_RUN);
		if (claimed != 0)
			errands->run_errand(claimed);
		aion_interruption_check();
		runner_end_watch();
		done = done || claimed != 0;
		CRASH_POINT("errand, not committed");
		aion_process_end_work();
		CRASH_POINT("errand, committed");
	}
	PG_CATCH();
	{
		runner_end_watch();
		aion_process_fail_work(NULL);
		done = false;
	}
	PG_END_TRY();
	return done;
}

/*
 * Executes one run in a transaction of its own.  An error there is a failure of that run.
 */
static void
runner_execute_one(int64 run_key, int lock_wait, MemoryContext context)
{
	ErrorData *error = try_to_execute(&run_key, 1, lock_wait, context);

	if (error == NULL)
		return;
	if (aion_failure_is_contention(error))
		note_taken(run_key);
	else
		runner_note_failure(run_key, error);
	FreeErrorData(error);
}

/*
 * Executes runs in one transaction.  Returns why it was rolled back; NULL if it was committed.
 */
static ErrorData *
try_to_execute(const int64 *run_keys, int count, int lock_wait, MemoryContext context)
{
	ErrorData *error = NULL;

	MemoryContextReset(context);
	PG_TRY();
	{
		runner_execute(run_keys, count, lock_wait, context);
	}
	PG_CATCH();
	{
		runner_end_watch();
		aion_process_fail_work(&error);
	}
	PG_END_TRY();
	return error;
}

/*
 * Ends the watch that was begun for the runs, or the errand, of a transaction.
 */
static void
runner_end_watch(void)
{
	(void) aion_interruption_begin(0);
	aion_interruption_watch(0, 0);
	aion_interruption_hold(NULL, 0);
	aion_worker_slots_execute(0);
}

/*
 * Executes runs until the batch is full, and commits.  Runs that are left are queued again.
 */
static void
runner_execute(const int64 *run_keys, int count, int lock_wait, MemoryContext context)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), aion_batch_time);
	Authority authority;
	Budget budget = {.turns = PG_INT64_MAX, .until = until, .sharing = alone_run == 0};
	int64 *held;
	List *runs = NIL;
	ListCell *cell;
	int left = 0;

	aion_process_begin_work("executing runs");
	MemoryContextSwitchTo(context);
	aion_authority_assume(&authority);
	if (aion_engine_executes())
		runs = aion_ready_claim_all_of(self.owner_key, run_keys, count, context);
	runner_give_back(run_keys, count, runs);
	aion_authority_drop(&authority);
	CRASH_POINT("runs claimed");
	held = palloc(Max(list_length(runs), 1) * sizeof(int64));
	foreach (cell, runs)
		held[foreach_current_index(cell)] = ((Run *) lfirst(cell))->run_key;
	aion_interruption_hold(held, list_length(runs));
	if (budget.sharing)
		watch_share(waits_lately() ? LOCK_WAIT_AGAIN_MS : lock_wait);
	else
		aion_interruption_watch(lock_wait, 0);
	foreach (cell, runs)
	{
		Run *run = lfirst(cell);

		if (aion_touched_was_locked(run->run_key))
			queue[queued++] = run->run_key; /* an activity of this batch may have changed it */
		else if (budget.interrupted || (batch_is_full(until) && foreach_current_index(cell) > 0))
		{
			Assert(queued < QUEUE);
			queue[queued++] = run->run_key;
			left++;
		}
		else if (budget.sharing && is_slow(run->version_key))
			note_alone(run->run_key, true);
		else
			execute_share(run, &budget);
	}
	runner_end_watch();
	CRASH_POINT("batch, not committed");
	aion_process_end_work();
	CRASH_POINT("batch, committed");
	aion_worker_slots_count_batch(list_length(runs) - left);
	if (budget.sharing)
		expect(count, left);
}

/*
 * Limits the shares of a batch.
 */
static void
watch_share(int lock_wait)
{
	aion_interruption_watch(Min(lock_wait, aion_batch_lock_timeout), LONG_SHARE * aion_batch_time);
}

/*
 * Tells whether a run has given up waiting for a lock lately: then there may be many that would,
 * one after the other, each in a batch of others.
 */
static bool
waits_lately(void)
{
	return gave_up_at > TimestampTzPlusMilliseconds(GetCurrentTimestamp(), -WAITS_LATELY_MS);
}

/*
 * Learns from a batch how many runs to ask for in the next: runs that were claimed and not executed
 * were locked and read for nothing, and kept from other runners meanwhile.  Of those asked for some
 * may be gone.
 */
static void
expect(int asked, int left)
{
	if (left > 0)
		fitting = asked - left + 1;
	else if (asked >= fitting)
		fitting = Min(fitting + fitting / 4 + 1, QUEUE);
}

/*
 * Executes a share of a run, and notes that the run has to be tried again if it was given up.
 */
static void
execute_share(Run *run, Budget *budget)
{
	budget->gave_up_waiting = budget->was_slow = false;
	aion_worker_slots_execute(run->run_key);
	aion_run_advance(run, budget);
	aion_worker_slots_execute(0);
	if (budget->was_slow || (!budget->sharing && !budget->gave_up_waiting))
		note_slow(run->version_key, budget->was_slow || took_long(budget));
	if (budget->gave_up_waiting && !budget->was_slow)
		gave_up_at = GetCurrentTimestamp();
	if (budget->gave_up_waiting && budget->sharing)
	{
		note_alone(run->run_key, budget->was_slow);
		if (!budget->was_slow)
			watch_share(LOCK_WAIT_AGAIN_MS);
	}
	else if (budget->gave_up_waiting || budget->interrupted)
		note_taken(run->run_key);
	MemoryContextDelete(run->context);
}

static bool
batch_is_full(TimestampTz until)
{
	return aion_subtransactions_are_many() || !aion_guard_session_is_clean() ||
		   GetCurrentTimestamp() >= until;
}

/*
 * Notes which runs could not be claimed because another session has locked them, and which keys are
 * errands; removes what was sent to keys that are gone.
 */
static void
runner_give_back(const int64 *run_keys, int count, List *runs)
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
	{
		aion_arrivals_sweep(gone, gone_count);
		aion_due_sweep(gone, gone_count);
	}
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
runner_note_failure(int64 run_key, const ErrorData *error)
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
