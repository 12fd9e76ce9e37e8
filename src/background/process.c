/*
 * process.c
 *		What the engine's processes have in common: how they begin, wait, and use transactions.
 */
#include "postgres.h"

#include <unistd.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/prepare.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "background/process.h"
#include "code/guard.h"
#include "shared/board.h"
#include "support/extension.h"
#include "support/pg_compat.h"

#define CLOCK_MS 10000	  /* after which a wait looks whether the clock was set */
#define EXIT_WAIT_MS 1000 /* for locks, in callbacks of a process that ends */

/* Settings that a role or a database may have, and that the engine's statements must not use. */
static const struct
{
	const char *name;
	const char *value;
	bool is_codes; /* code of users gets the original value */
} pinned[] = {{"default_transaction_deferrable", "off", true},
			  {"default_transaction_isolation", "read committed", true},
			  {"default_transaction_read_only", "off", true},
			  {"exit_on_error", "off", false},
			  {"idle_in_transaction_session_timeout", "0", true},
			  {"lock_timeout", "1s", true},
			  {"role", "none", false},
			  AION_COMPAT_PINNED_SETTINGS{"statement_timeout", "0", true}};

static bool one_version = false; /* that of the library, or the process exits */

static bool wait_for_latch(long milliseconds);
static void wait_for_no_standby(int code, Datum argument);
static void limit_waits(int code, Datum argument);
static void interrupt_exit(void);
static void hold_interrupts(int code, Datum argument);
static void leave_at_once(int code, Datum argument);
static void watch_temporary_schema(void);
static void clean_session(void);

/*
 * Fills in what is the same for all processes.
 */
void
aion_process_describe(BackgroundWorker *worker, const char *type, const char *main)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "aion", BGW_MAXLEN);
	strlcpy(worker->bgw_function_name, main, BGW_MAXLEN);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	strlcpy(worker->bgw_name, type, BGW_MAXLEN);
}

void
aion_process_begin(void)
{
	before_shmem_exit(hold_interrupts, (Datum) 0);
	before_shmem_exit(wait_for_no_standby, (Datum) 0);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
}

/*
 * Keeps settings of a role or a database from changing what the engine's statements do.
 */
void
aion_process_pin_settings(void)
{
	for (size_t i = 0; i < lengthof(pinned); i++)
	{
		const char *value = GetConfigOption(pinned[i].name, false, false);

		if (pinned[i].is_codes && strcmp(value, pinned[i].value) != 0)
			aion_guard_keep_setting(pinned[i].name, value);
		SetConfigOption(pinned[i].name, pinned[i].value, PGC_SUSET, PGC_S_OVERRIDE);
	}
}

/*
 * From now on the process exits when the extension is no longer of the version of its library.  The
 * scheduler starts another one when it is again.
 */
void
aion_process_serve_one_version(void)
{
	one_version = true;
}

void
aion_process_begin_work(const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (one_version && !aion_extension_is_current())
	{
		aion_board_post_scan(MyDatabaseId); /* so that the scheduler looks, too */
		proc_exit(0);
	}
	PushActiveSnapshot(GetTransactionSnapshot()); /* statements take newer ones */
	pgstat_report_activity(STATE_RUNNING, activity);
}

void
aion_process_end_work(void)
{
	bool clean = aion_guard_session_is_clean();

	PopActiveSnapshot();
	CommitTransactionCommand();
	watch_temporary_schema();
	if (!clean)
		clean_session();
	(void) pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Gives up the transaction in a PG_CATCH block; what went wrong is logged and, if asked for, kept
 * in memory of the process.
 */
void
aion_process_fail_work(ErrorData **error)
{
	HOLD_INTERRUPTS();
	EmitErrorReport();
	MemoryContextSwitchTo(TopMemoryContext);
	if (error != NULL)
		*error = CopyErrorData();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	(void) pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	RESUME_INTERRUPTS();
	if (!aion_guard_session_is_clean())
		clean_session();
}

/*
 * Removes what activities have left in this session and later ones would meet: prepared statements,
 * locks, temporary objects.  A process that cannot remove them exits, and a new one takes its
 * place.
 */
static void
clean_session(void)
{
	PG_TRY();
	{
		DropAllPreparedStatements();
		LockReleaseAll(USER_LOCKMETHOD, true);
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		ResetTempTableNamespace();
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		EmitErrorReport();
		proc_exit(1);
	}
	PG_END_TRY();
	aion_guard_session_cleaned();
}

/*
 * Reads the settings again if they have changed; tells whether it did.
 */
bool
aion_process_reload(void)
{
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}

/*
 * Waits for the latch, at most so many milliseconds; -1: without a limit.
 */
bool
aion_process_wait(long milliseconds)
{
	(void) wait_for_latch(milliseconds);
	return aion_process_reload();
}

/*
 * Waits for the latch, at most until a moment.  The timeout of a latch does not follow the clock,
 * which may be put forward, or go on while the machine is suspended: so the clock is read at
 * intervals.  If it was put back, the wait ends, and the caller decides what that means.
 */
bool
aion_process_wait_until(TimestampTz moment)
{
	TimestampTz now = GetCurrentTimestamp();

	for (;;)
	{
		TimestampTz before = now;
		long left = moment == DT_NOEND ? -1 : TimestampDifferenceMilliseconds(now, moment);

		if (wait_for_latch(Min(left, CLOCK_MS)) || left <= CLOCK_MS)
			break;
		now = GetCurrentTimestamp();
		if (now < before)
			break;
	}
	return aion_process_reload();
}

/*
 * Tells whether a moment has come that was at most so many milliseconds away when it was chosen.
 * If it is farther away now, the clock was put back.
 */
bool
aion_process_is_due(TimestampTz moment, int milliseconds)
{
	TimestampTz now = GetCurrentTimestamp();

	return moment <= now || moment > TimestampTzPlusMilliseconds(now, milliseconds);
}

/*
 * Waits for the latch, at most so many milliseconds; tells whether it was set.
 */
static bool
wait_for_latch(long milliseconds)
{
	int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (milliseconds >= 0 ? WL_TIMEOUT : 0);

	if (ConfigReloadPending)
		return true; /* a wait for a lock or a buffer since then may have reset the latch */
	events = WaitLatch(MyLatch, events, milliseconds, PG_WAIT_EXTENSION);
	if ((events & WL_LATCH_SET) != 0) /* else it may have been set since, and the caller waits on */
		ResetLatch(MyLatch);
	QueryCancelPending = false; /* there is no statement to cancel */
	CHECK_FOR_INTERRUPTS();
	return (events & WL_LATCH_SET) != 0;
}

/*
 * What commits while a process ends waits for no synchronous standby: nothing could end that wait,
 * neither SIGTERM nor a cancel.
 */
static void
wait_for_no_standby(int code, Datum argument)
{
	SetConfigOption("synchronous_commit", "local", PGC_SUSET, PGC_S_OVERRIDE);
}

/*
 * The same, and limits the wait for the lock of the temporary schema, which a transaction of any
 * role can hold: the objects then stay for the next process that has this one's number.  An exit
 * ignores all signals unless it enables interrupts; then the error ends the callback and the exit
 * goes on.
 */
static void
limit_waits(int code, Datum argument)
{
	wait_for_no_standby(code, argument);
	QueryCancelPending = false;
	InterruptHoldoffCount = 0;
	enable_timeout_after(RegisterTimeout(USER_TIMEOUT, interrupt_exit), EXIT_WAIT_MS);
}

static void
interrupt_exit(void)
{
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static void
hold_interrupts(int code, Datum argument)
{
	InterruptHoldoffCount = Max(InterruptHoldoffCount, 1);
	on_proc_exit(leave_at_once, (Datum) 0); /* before those that languages have registered */
}

/*
 * Languages may execute code when the process ends, as PL/Perl does with END blocks.  That code
 * would have no limit, in a process that has no session any more and that no view shows.
 */
static void
leave_at_once(int code, Datum argument)
{
	_exit(code);
}

/*
 * PostgreSQL removes temporary objects in a callback that it registers when the first is committed.
 * Callbacks are called in reverse order, so ours has to be registered after that one.
 */
static void
watch_temporary_schema(void)
{
	static bool registered = false;
	Oid schema;
	Oid toast_schema;

	if (registered)
		return;
	GetTempNamespaceState(&schema, &toast_schema);
	if (!OidIsValid(schema))
		return;
	before_shmem_exit(limit_waits, (Datum) 0);
	registered = true;
}
