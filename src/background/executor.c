/*
 * executor.c
 *		A process that executes the activities in the background of one owner, as that owner.
 *
 * Like a runner it is connected as the owner.  It executes no turns, so no run is delayed, however
 * long an activity takes.  One transaction claims a task and another one executes it; a claim that
 * is lost when the server crashes was never made, so its commit does not wait for the disk.  Short
 * activities are claimed and executed in one transaction, several at a time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "background/executor.h"
#include "background/process.h"
#include "background/runner.h"
#include "code/adoption.h"
#include "guc.h"
#include "run/primitive.h"
#include "shared/board.h"
#include "shared/worker_slots.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "support/pg_compat.h"

#define FAILED_MS 1000

static WorkerSlot self;

static bool executor_work(bool recover, TimestampTz *again);
static int execute_short(bool recover);
static const Primitive *executor_claim(TimestampTz *again);
static void rest(TimestampTz idle_since, TimestampTz again);

pg_noreturn PGDLLEXPORT void aion_executor_main(Datum argument);

void
aion_executor_describe(BackgroundWorker *worker, int slot, uint32 generation)
{
	aion_runner_describe(worker, slot, generation);
	strlcpy(worker->bgw_function_name, EXECUTOR_MAIN, BGW_MAXLEN);
	strlcpy(worker->bgw_type, "aion executor", BGW_MAXLEN);
	strlcpy(worker->bgw_name, "aion executor", BGW_MAXLEN);
}

void
aion_executor_main(Datum argument)
{
	TimestampTz idle_since;
	bool recover = true;
	char *execution;

	aion_runner_begin(DatumGetInt32(argument), "aion executor", &self);
	execution = pstrdup(aion_execution);
	idle_since = GetCurrentTimestamp();
	for (;;)
	{
		TimestampTz again = DT_NOEND;
		bool left_over;

		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (aion_process_reload())
			aion_worker_slots_set_limit(aion_max_runners_per_owner);
		if (aion_worker_slots_must_leave() || strcmp(aion_execution, execution) != 0)
			proc_exit(0); /* the scheduler decides whether to start another */
		(void) aion_worker_slots_look(&left_over);
		if (executor_work(recover || left_over, &again))
			idle_since = GetCurrentTimestamp();
		else
			rest(idle_since, again);
		recover = false;
	}
}

/*
 * Executes the next piece of work; false if there is none.
 */
static bool
executor_work(bool recover, TimestampTz *again)
{
	const Primitive *volatile found = NULL;
	volatile int executed = 0;
	volatile bool failed = false;

	PG_TRY();
	{
		executed = execute_short(recover);
		if (executed == 0)
			found = executor_claim(again);
		if (found != NULL)
		{
			CRASH_POINT("activity claimed");
			aion_process_begin_work("executing an activity");
			found->execute();
			CRASH_POINT("activity executed, not committed");
			aion_process_end_work();
			CRASH_POINT("activity executed, committed");
			aion_worker_slots_count_batch(1);
		}
	}
	PG_CATCH();
	{
		failed = true;
		aion_worker_slots_end_task();
		aion_worker_slots_execute(0);
		aion_process_fail_work(NULL);
	}
	PG_END_TRY();
	if (failed)
	{
		aion_process_wait(FAILED_MS);
		aion_board_scan_owner((BoardOwner){self.owner_key, true}); /* what it has claimed is free */
	}
	return found != NULL || executed > 0 || failed;
}

/*
 * Executes in one transaction what is known to be short.  Returns how much.
 */
static int
execute_short(bool recover)
{
	Authority authority;
	int executed = 0;
	bool executes;

	aion_process_begin_work("looking for short activities");
	aion_authority_assume(&authority);
	executes = aion_engine_executes();
	if (executes && recover)
		aion_primitives_recover(self.owner_key);
	aion_authority_drop(&authority);
	if (executes)
		executed = aion_primitives_execute_short(self.owner_key);
	if (executed > 0)
		CRASH_POINT("short activities executed, not committed");
	aion_process_end_work();
	if (executed == 0)
		return 0;
	CRASH_POINT("short activities executed, committed");
	aion_worker_slots_count_batch(executed);
	return executed;
}

static const Primitive *
executor_claim(TimestampTz *again)
{
	Authority authority;
	const Primitive *found = NULL;

	aion_process_begin_work("looking for activities");
	(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
	aion_authority_assume(&authority);
	if (aion_engine_executes())
		found = aion_primitives_claim(self.owner_key, NULL, 0, again);
	aion_authority_drop(&authority);
	CRASH_POINT("activity claimed, not committed");
	aion_process_end_work();
	return found;
}

/*
 * Waits until there may be work; ends the process if that takes long.
 */
static void
rest(TimestampTz idle_since, TimestampTz again)
{
	TimestampTz wake = TimestampTzPlusMilliseconds(idle_since, aion_runner_idle_timeout);

	if (again == DT_NOEND && GetCurrentTimestamp() >= wake && aion_worker_slots_retire())
		proc_exit(0);
	CRASH_POINT("executor about to rest");
	if (aion_worker_slots_begin_idle(again != DT_NOEND))
		(void) aion_process_wait_until(again != DT_NOEND ? again : wake);
}
