/*
 * scheduler.c
 *		One process per database: wakes runners for due timers, and starts runners and executors.
 *
 * It executes no code of users.  It keeps the next timers in memory: those it read from the table,
 * up to a horizon, and those that were armed before the horizon since, which arrive as hints.  The
 * part of the table that it has read, where dead rows are, is not read again, except when a hint
 * may have been lost; and nothing is read while nothing is due.  The run of a timer that is due is
 * only posted to a runner; the turn that this wakes deletes the timer and records that it fired.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "lib/pairingheap.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "background/executor.h"
#include "background/process.h"
#include "background/retention.h"
#include "background/runner.h"
#include "background/scheduler.h"
#include "background/serving.h"
#include "code/adoption.h"
#include "code/failure.h"
#include "code/owner.h"
#include "guc.h"
#include "run/count.h"
#include "run/primitive.h"
#include "run/ready.h"
#include "run/transition.h"
#include "shared/board.h"
#include "shared/room.h"
#include "shared/service.h"
#include "shared/worker_slots.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "turn/advance.h"

#define TIMERS_READ 5000
#define TIMERS_MAX (10 * TIMERS_READ)
#define NAMES_WAIT "50ms"
#define ERRANDS_AGAIN_MS (10 * 1000)
#define NAMES_AGAIN_MS (30 * 1000)
#define VERSION_AGAIN_MS (10 * 1000)
#define COUNTS_AGAIN_MS 5000
#define COUNTS_SHARE 50 /* of the time of this process, at most one in so many */

typedef struct KnownTimer
{
	pairingheap_node node;
	BoardTimer timer;
} KnownTimer;

static Statement scan_owners =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._run WHERE ready_at IS NOT NULL"
					  " UNION SELECT owner_key FROM aion._inbox");
static Statement scan_timers =
	STATEMENT(SELECT,
			  "SELECT fire_at, run_key, owner_key FROM aion._timer"
			  " WHERE (fire_at, run_key) > ($1, $2) ORDER BY fire_at, run_key LIMIT $3",
			  TIMESTAMPTZOID, INT8OID, INT4OID);

static MemoryContext memory;	   /* of the scheduler's state */
static MemoryContext timer_memory; /* of that, the timers */
static pairingheap *timers;
static bool executing = false; /* this database is adopted, and not paused */
static bool outdated = false;  /* its schema is of another version than the library */
static int timer_count = 0;
static TimestampTz horizon = DT_NOBEGIN; /* the table was read up to this timer */
static int64 horizon_run = 0;
static bool more = false;				   /* there may be later ones */
static TimestampTz errands_at = DT_NOEND;  /* when to scan again for errands that were locked */
static TimestampTz look_at = DT_NOEND;	   /* when tasks may be late */
static TimestampTz names_at = DT_NOEND;	   /* when the names of owners are to be looked at */
static TimestampTz counts_at = DT_NOBEGIN; /* not before then the counts of runs are summed up */

static bool scheduler_is_wanted(void);
static bool scheduler_is_template(void);
static void note_version(void);
static void note_crashes(void);
static bool scheduler_look(void);
static void look_at_timers(void);
static void look_at_tasks(void);
static void sum_up_counts(void);
static void scan(void);
static void execute_nothing(void);
static void scheduler_refresh_names(void);
static void read_timers(void);
static void hear_timers(void);
static void know_timer(const BoardTimer *timer);
static void point_out_due(TimestampTz now);
static const BoardTimer *first_timer(void);
static void read_again_from(TimestampTz moment);
static TimestampTz next_wake(void);
static int scheduler_compare(const pairingheap_node *a, const pairingheap_node *b, void *argument);

pg_noreturn PGDLLEXPORT void aion_scheduler_main(Datum argument);

void
aion_scheduler_describe(BackgroundWorker *worker, Oid database)
{
	aion_process_describe(worker, "aion scheduler", SCHEDULER_MAIN);
	worker->bgw_main_arg = ObjectIdGetDatum(database);
	worker->bgw_notify_pid = MyProcPid;
}

void
aion_scheduler_main(Datum argument)
{
	aion_process_begin();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(argument), InvalidOid, 0);
	pgstat_report_appname("aion scheduler");
	aion_process_pin_settings();
	memory = AllocSetContextCreate(TopMemoryContext, "aion scheduler", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(memory);
	timer_memory = AllocSetContextCreate(memory, "aion timers", ALLOCSET_DEFAULT_SIZES);
	timers = pairingheap_allocate(scheduler_compare, NULL);
	aion_serving_begin();
	if (!scheduler_is_wanted() || !aion_service_scheduler_begin())
		proc_exit(0);
	for (;;)
	{
		TimestampTz wake;

		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		if (aion_worker_slots_must_leave())
			proc_exit(0);
		MemoryContextSwitchTo(memory);
		if (!scheduler_look())
			proc_exit(0);
		wake = next_wake();
		CRASH_POINT("scheduler about to rest");
		if (!aion_board_begin_rest(wake, executing))
			continue;
		if (aion_process_wait_until(wake))
			aion_board_post_scan(MyDatabaseId); /* aion.execution may have changed */
		aion_board_end_rest();
	}
}

/*
 * Tells whether there is an extension in this database.
 */
static bool
scheduler_is_wanted(void)
{
	bool exists;

	aion_process_begin_work("looking for the extension");
	aion_extension_forget();
	exists = !scheduler_is_template() && aion_extension_exists();
	note_version();
	aion_process_end_work();
	if (!exists)
		aion_service_scheduler_absent();
	return exists;
}

/*
 * Notes whether the schema is of the version of this library.  If it is not, one line of the log
 * says so, however long that lasts.
 */
static void
note_version(void)
{
	const char *mismatch = aion_extension_mismatch();

	if (mismatch != NULL && !outdated)
		ereport(LOG, (errmsg("aion executes nothing in database \"%s\": %s",
							 get_database_name(MyDatabaseId), mismatch)));
	outdated = mismatch != NULL;
}

/*
 * A template is not served: copying it fails while a process is connected to it.
 */
static bool
scheduler_is_template(void)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	bool result = true;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Notes which runs and errands were being executed by processes that died, before any is executed
 * again.
 */
static void
note_crashes(void)
{
	int64 run_key;

	while ((run_key = aion_board_take_casualty()) != 0)
	{
		Authority authority;

		PG_TRY();
		{
			aion_process_begin_work("noting a crash");
			aion_authority_assume(&authority);
			aion_primitives_note_crash(run_key);
			if (aion_run_note_crash(run_key))
				ereport(LOG, (errmsg("aion has quarantined run " INT64_FORMAT, run_key)));
			aion_authority_drop(&authority);
			CRASH_POINT("crash noted, not committed");
			aion_process_end_work();
			CRASH_POINT("crash noted");
		}
		PG_CATCH();
		{
			aion_process_fail_work(NULL);
		}
		PG_END_TRY();
	}
	MemoryContextSwitchTo(memory);
}

/*
 * Does what there is to do now; false if the extension is gone.
 */
static bool
scheduler_look(void)
{
	volatile bool wanted = true;

	PG_TRY();
	{
		if (aion_board_take_scan() || outdated || errands_at <= GetCurrentTimestamp())
		{
			wanted = scheduler_is_wanted();
			if (wanted && outdated)
				execute_nothing();
			else if (wanted)
			{
				note_crashes();
				scan();
			}
		}
		if (wanted && !outdated)
		{
			look_at_tasks();
			look_at_timers();
			if (executing)
				aion_retention_serve();
			sum_up_counts();
			aion_worker_slots_relieve();
			if (executing)
				aion_serving_serve(); /* else they stay on the board, and wake this process no more
									   */
			if (names_at <= GetCurrentTimestamp())
				scheduler_refresh_names();
		}
		aion_serving_check(executing); /* last: a wait for a lock hides that a process has ended */
	}
	PG_CATCH();
	{
		aion_process_fail_work(NULL);
		aion_process_wait(1000);
		aion_board_post_scan(MyDatabaseId); /* begin again; this sets the latch, so it comes last */
	}
	PG_END_TRY();
	return wanted;
}

/*
 * Posts the runs of timers that are due, and reads the next timers.
 */
static void
look_at_timers(void)
{
	TimestampTz now = GetCurrentTimestamp();

	hear_timers();
	point_out_due(now);
	if (timer_count > TIMERS_MAX)
		read_again_from(now);
	while (more && (first_timer() == NULL || first_timer()->fire_at >= horizon))
	{
		read_timers();
		point_out_due(GetCurrentTimestamp());
	}
}

/*
 * Tells runs that tasks may be late, by timers that are due at once.
 */
static void
look_at_tasks(void)
{
	TimestampTz posted = aion_board_take_look();
	Authority authority;

	look_at = Min(look_at, posted);
	if (!executing || look_at > GetCurrentTimestamp())
		return;
	aion_process_begin_work("looking for late activities");
	aion_authority_assume(&authority);
	look_at = aion_primitives_tell_late(NULL, 0);
	aion_authority_drop(&authority);
	aion_process_end_work();
	MemoryContextSwitchTo(memory);
}

/*
 * Sets the names of owners to the names that their roles have now.  A transaction of any of those
 * roles may have locked their names; the wait for it is short, because all else would wait, too.
 */
static void
scheduler_refresh_names(void)
{
	bool refreshed = false;

	names_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), NAMES_AGAIN_MS);
	PG_TRY();
	{
		Authority authority;

		aion_process_begin_work("refreshing names of owners");
		(void) set_config_option("lock_timeout", NAMES_WAIT, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
		aion_authority_assume(&authority);
		refreshed = aion_owner_refresh_names();
		aion_authority_drop(&authority);
		aion_process_end_work();
		if (refreshed)
			names_at = DT_NOEND;
	}
	PG_CATCH();
	{
		aion_process_fail_work(NULL);
	}
	PG_END_TRY();
}

/*
 * Reads the tables: hints may have been lost, or a change cannot be expressed as a hint.
 */
static void
scan(void)
{
	MemoryContext caller = CurrentMemoryContext;
	Authority authority;
	List *runners = NIL;
	List *executors = NIL;
	List *found;
	ListCell *cell;
	Rows rows;
	bool was_executing = executing;

	aion_process_begin_work("looking for ready runs");
	aion_authority_assume(&authority);
	aion_engine_forget_pause();
	executing = aion_engine_executes();
	names_at = aion_adoption_state() == ADOPTION_DONE ? DT_NOBEGIN : DT_NOEND;
	if (executing && !was_executing)
		aion_primitives_excuse_late();
	if (executing)
	{
		errands_at = aion_primitives_find_errands()
						 ? DT_NOEND
						 : TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ERRANDS_AGAIN_MS);
		rows = aion_statement_execute(&scan_owners, NULL);
		found = aion_primitives_owners_with_work();
		MemoryContextSwitchTo(memory);
		for (uint64 row = 0; row < rows.count; row++)
			runners = lappend_int(runners, aion_row_int32(rows, row, 1));
		executors = list_copy(found);
		MemoryContextSwitchTo(caller);
	}
	aion_authority_drop(&authority);
	aion_process_end_work();
	aion_retention_reset();
	MemoryContextSwitchTo(memory);
	foreach (cell, runners)
		aion_board_scan_owner((BoardOwner){lfirst_int(cell), false});
	foreach (cell, executors)
		aion_board_scan_owner((BoardOwner){lfirst_int(cell), true});
	list_free(runners);
	list_free(executors);

	look_at = DT_NOBEGIN;
	if (executing)
		read_again_from(DT_NOBEGIN);
	else
		execute_nothing();
}

/*
 * Where nothing is executed no timer is due, and no owner waits.
 */
static void
execute_nothing(void)
{
	if (outdated)
		names_at = DT_NOEND;
	executing = false;
	errands_at = DT_NOEND;
	aion_board_set_horizon(DT_NOBEGIN);
	hear_timers();
	read_again_from(DT_NOBEGIN);
	more = false;
	aion_worker_slots_dismiss();
	aion_serving_forget();
}

/*
 * Forgets the timers and reads them again, from a moment on; those before it have been posted.
 */
static void
read_again_from(TimestampTz moment)
{
	pairingheap_reset(timers);
	MemoryContextReset(timer_memory);
	timer_count = 0;
	horizon = moment;
	horizon_run = 0;
	more = true;
}

/*
 * Reads the next timers.  A timer that is armed before the horizon from now on arrives as a hint;
 * one that was armed earlier is in the table.
 */
static void
read_timers(void)
{
	Authority authority;
	Rows rows;

	aion_board_set_horizon(DT_NOEND);
	aion_process_begin_work("reading timers");
	aion_authority_assume(&authority);
	{
		NullableDatum args[] = {aion_arg(TimestampTzGetDatum(horizon)), aion_arg_int64(horizon_run),
								aion_arg_int32(TIMERS_READ)};

		rows = aion_statement_execute(&scan_timers, args);
		for (uint64 row = 0; row < rows.count; row++)
		{
			BoardTimer timer = {aion_row_timestamp(rows, row, 1), aion_row_int64(rows, row, 2),
								aion_row_int32(rows, row, 3)};

			know_timer(&timer);
			horizon = timer.fire_at;
			horizon_run = timer.run_key;
		}
		more = rows.count == TIMERS_READ;
	}
	aion_authority_drop(&authority);
	aion_process_end_work();
	MemoryContextSwitchTo(memory);
	if (more)
		aion_board_set_horizon(horizon);
}

/*
 * Takes the hints about timers that were armed before the horizon.
 */
static void
hear_timers(void)
{
	BoardTimer heard[100];
	int count;

	do
	{
		count = aion_board_take_timers(heard, lengthof(heard));
		for (int i = 0; i < count; i++)
			know_timer(&heard[i]);
	} while (count > 0);
}

static void
know_timer(const BoardTimer *timer)
{
	KnownTimer *known = MemoryContextAlloc(timer_memory, sizeof(KnownTimer));

	known->timer = *timer;
	pairingheap_add(timers, &known->node);
	timer_count++;
}

/*
 * Returns the timer that is due next of those it knows; NULL if it knows none.
 */
static const BoardTimer *
first_timer(void)
{
	if (pairingheap_is_empty(timers))
		return NULL;
	return &pairingheap_container(KnownTimer, node, pairingheap_first(timers))->timer;
}

static void
point_out_due(TimestampTz now)
{
	while (first_timer() != NULL && first_timer()->fire_at <= now)
	{
		KnownTimer *first =
			pairingheap_container(KnownTimer, node, pairingheap_remove_first(timers));

		aion_board_post_run(first->timer.owner_key, first->timer.run_key);
		pfree(first);
		timer_count--;
		CRASH_POINT("due timer pointed out");
	}
}

/*
 * Sums up the counts of runs, if they were not summed up lately.  This process does not wake for
 * that alone.  While a snapshot is held there are dead rows to step over, so it may take longer.
 * An error keeps it from nothing else.
 */
static void
sum_up_counts(void)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext caller = CurrentMemoryContext;
	Authority authority;
	int64 took;

	if (counts_at > now)
		return;
	PG_TRY();
	{
		aion_process_begin_work("summing up how many runs there are");
		aion_authority_assume(&authority);
		aion_count_sum_up();
		aion_authority_drop(&authority);
		aion_process_end_work();
	}
	PG_CATCH();
	{
		aion_process_fail_work(NULL);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	took = TimestampDifferenceMilliseconds(now, GetCurrentTimestamp());
	counts_at = TimestampTzPlusMilliseconds(now, Max(COUNTS_AGAIN_MS, COUNTS_SHARE * took));
}

/*
 * Returns when there will be work that no hint announces.
 */
static TimestampTz
next_wake(void)
{
	TimestampTz wake = aion_serving_next();

	if (outdated)
		return TimestampTzPlusMilliseconds(GetCurrentTimestamp(), VERSION_AGAIN_MS);
	if (first_timer() != NULL)
		wake = Min(wake, first_timer()->fire_at);
	wake = Min(wake, names_at);
	wake = Min(wake, errands_at);
	if (executing)
		wake = Min(wake, look_at);
	return executing ? Min(wake, aion_retention_next()) : wake;
}

static int
scheduler_compare(const pairingheap_node *a, const pairingheap_node *b, void *argument)
{
	TimestampTz left = pairingheap_const_container(KnownTimer, node, a)->timer.fire_at;
	TimestampTz right = pairingheap_const_container(KnownTimer, node, b)->timer.fire_at;

	return left < right ? 1 : left > right ? -1 : 0; /* the earliest is first */
}
