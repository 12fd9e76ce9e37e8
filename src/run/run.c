/*
 * run.c
 *		One run: its row, its history, and the transitions between its states.
 *
 * The row is what is needed to find and claim a run; everything in it follows from the history and
 * is written in the same transaction.  Whoever changes a run holds the lock on its row, taken by a
 * statement before the one that reads the history, so that it sees all that earlier holders wrote.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "guc.h"
#include "history/received.h"
#include "run/due.h"
#include "run/inbox.h"
#include "run/primitive.h"
#include "run/run.h"
#include "shared/incident.h"
#include "shared/interruption.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"

/* Of a blocked run that is looked at again by itself, and of a turn that failed. */
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS (60 * 1000)
#define RECHECK_MAX_MS (10 * 60 * 1000)

#define CRASHES_ALLOWED 3

static const char *const status_names[] = {
	[RUN_SCHEDULED] = "scheduled", [RUN_RUNNING] = "running",
	[RUN_BLOCKED] = "blocked",	   [RUN_PAUSED] = "paused",
	[RUN_COMPLETED] = "completed", [RUN_FAILED] = "failed",
	[RUN_CANCELLED] = "cancelled", [RUN_TERMINATED] = "terminated",
	[RUN_TIMED_OUT] = "timed_out", [RUN_CONTINUED] = "continued_as_new"};

static Statement lock_run = STATEMENT(
	SELECT, "SELECT " RUN_COLUMNS " FROM aion._run WHERE run_key = $1 FOR UPDATE", INT8OID);
static Statement try_lock_run = STATEMENT(
	SELECT, "SELECT " RUN_COLUMNS " FROM aion._run WHERE run_key = $1 FOR UPDATE SKIP LOCKED",
	INT8OID);
static Statement select_run =
	STATEMENT(SELECT, "SELECT " RUN_COLUMNS " FROM aion._run WHERE run_key = $1", INT8OID);
static Statement select_head =
	STATEMENT(SELECT, "SELECT head FROM aion._run WHERE run_key = $1", INT8OID);
static Statement update_run = STATEMENT(
	UPDATE,
	"UPDATE aion._run SET version_key = $2, status = $3, blocked = $4, seen = $5, failures = $6,"
	" ready_at = $7, retry_at = $8, awaiting = $9, awaiting_since = $10, closed_at = $11,"
	" head = $12, unread = $13, crashes = 0 WHERE run_key = $1",
	INT8OID, INT4OID, TEXTOID, TEXTOID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, JSONBOID);

static Statement count_crash =
	STATEMENT(UPDATE_RETURNING,
			  "UPDATE aion._run SET crashes = crashes + 1 WHERE run_key = $1"
			  " AND closed_at IS NULL RETURNING crashes",
			  INT8OID);
static Statement postpone_run = STATEMENT(
	UPDATE, "UPDATE aion._run SET failures = $2, retry_at = $3, ready_at = NULL WHERE run_key = $1",
	INT8OID, INT4OID, TIMESTAMPTZOID);

static Run *lock(int64 run_key, bool at_once, MemoryContext parent);
static void retry_later(Run *run);
static void note_incident(const Run *run, const char *status, const char *what);
static const char *reason_of(const Jsonb *error);

static void read_start(Run *run);
static RunStatus begun_status(const Run *run);
static RunStatus status_of_name(const char *name);
static const Jsonb *lasting(const Jsonb *detail);
static void set_status(Run *run, RunStatus to);

const char *
aion_status_name(RunStatus status)
{
	return status_names[status];
}

/*
 * Refuses what is no status.
 */
void
aion_status_check(const char *name)
{
	StringInfoData names;

	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(status_names); i++)
	{
		if (strcmp(name, status_names[i]) == 0)
			return;
		appendStringInfo(&names, "%s%s", i > 0 ? ", " : "", status_names[i]);
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("invalid status: \"%s\"", name),
					errhint("Possible values are: %s.", names.data)));
}

bool
aion_run_is_closed(const Run *run)
{
	return run->status >= RUN_COMPLETED;
}

/*
 * Tells whether this backend is in a turn of a run.
 */
bool
aion_run_is_executing(int64 run_key)
{
	return run_key == aion_guard_run();
}

/*
 * Makes a run of a row of RUN_COLUMNS.
 */
Run *
aion_run_read(Rows rows, uint64 row, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "aion run", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Run *run = palloc0(sizeof(Run));

	run->context = context;
	run->run_key = aion_row_int64(rows, row, 1);
	run->workflow_id = aion_row_text(rows, row, 2);
	run->run_id = aion_row_uuid(rows, row, 3);
	run->owner_key = aion_row_int32(rows, row, 4);
	run->version_key = aion_row_int32(rows, row, 5);
	run->status = status_of_name(aion_row_text(rows, row, 6));
	run->blocked = aion_row_text(rows, row, 7);
	run->seen = aion_row_int32(rows, row, 8);
	run->failures = aion_row_int32(rows, row, 9);
	run->ready_at = aion_row_timestamp(rows, row, 10);
	run->woken = run->ready_at != DT_NOEND;
	run->retry_at = aion_row_timestamp(rows, row, 11);
	run->awaiting = aion_row_jsonb(rows, row, 12);
	run->awaiting_since = aion_row_timestamp(rows, row, 13);
	run->closed_at = aion_row_timestamp(rows, row, 14);
	run->unread = aion_row_jsonb(rows, row, 15);
	run->chain_key = aion_row_isnull(rows, row, 16) ? 0 : aion_row_int64(rows, row, 16);
	MemoryContextSwitchTo(caller);
	return run;
}

/*
 * Waits for the lock of a run and reads its row.  NULL if it is gone.  An activity cannot have its
 * own run: the turn it is part of holds in memory what would be changed.
 */
Run *
aion_run_lock(int64 run_key, MemoryContext parent)
{
	return lock(run_key, false, parent);
}

/*
 * Reads the row of a run if its lock can be had at once; else NULL.
 */
Run *
aion_run_lock_if_free(int64 run_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Rows rows = aion_statement_execute(&try_lock_run, args);

	return rows.count == 1 ? aion_run_read(rows, 0, parent) : NULL;
}

/*
 * The same for who ends the run: a turn that is in the way is interrupted, not waited for.
 */
Run *
aion_run_lock_at_once(int64 run_key, MemoryContext parent)
{
	return lock(run_key, true, parent);
}

/*
 * Reads the row of a run without its lock.  NULL if it is gone.
 */
Run *
aion_run_peek(int64 run_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Rows rows = aion_statement_execute(&select_run, args);

	return rows.count == 1 ? aion_run_read(rows, 0, parent) : NULL;
}

/*
 * Reads the history of a run whose lock is held.
 */
void
aion_run_load(Run *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	History *earlier = run->history;

	if (earlier != NULL)
		run->unread = aion_received_unread(run->history); /* it knows more than the row */
	MemoryContextSwitchTo(caller);
	run->history = aion_history_load(run->run_key, run->owner_key, run->context);
	aion_received_resume(run->history, run->unread);
	if (earlier != NULL)
		MemoryContextDelete(earlier->context);
	read_start(run);
}

/*
 * Takes over what a loaded history begins with.
 */
static void
read_start(Run *run)
{
	MemoryContext caller;

	run->loaded = run->history->count;
	if (run->history->count == 0 || run->history->events[0]->type != EVENT_WORKFLOW_STARTED)
		ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
						errmsg("history of run " INT64_FORMAT " does not begin with its start",
							   run->run_key)));
	caller = MemoryContextSwitchTo(run->context);
	aion_event_read_workflow_started(run->history->events[0], &run->started);
	MemoryContextSwitchTo(caller);
}

/*
 * Reads a run and its history without its lock, as they are at some moment; NULL if it is gone.
 */
Run *
aion_run_view(int64 run_key, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	for (;;)
	{
		Rows before = aion_statement_execute(&select_head, args);
		int32 head = before.count > 0 ? aion_row_int32(before, 0, 1) : 0;
		Run *run = aion_run_peek(run_key, parent);
		Rows after;

		CHECK_FOR_INTERRUPTS();
		if (before.count == 0 || run == NULL)
			return NULL;
		run->history = aion_history_load(run_key, run->owner_key, run->context);
		after = aion_statement_execute(&select_head, args);
		if (run->history->count == head && after.count > 0 && aion_row_int32(after, 0, 1) == head)
		{
			read_start(run);
			return run;
		}
		MemoryContextDelete(run->context); /* it has gone on meanwhile */
	}
}

/*
 * Lets a run that was scheduled for later begin.
 */
void
aion_run_begin(Run *run)
{
	if (run->status == RUN_BLOCKED)
		aion_run_unblock(run);
	else
		set_status(run, RUN_RUNNING);
}

/*
 * Blocks a run until what is in its way is gone; it is looked at again by itself, ever more rarely.
 */
void
aion_run_block(Run *run, const char *reason, const Jsonb *detail)
{
	if (!aion_run_is_blocked_so(run, reason, detail))
	{
		aion_recorder_append(run->history, EVENT_WORKFLOW_BLOCKED, NULL,
							 aion_event_blocked(reason, detail));
		if (run->status != RUN_PAUSED)
			set_status(run, RUN_BLOCKED);
		run->blocked = MemoryContextStrdup(run->context, reason);
		if (strcmp(reason, BLOCKED_QUARANTINED) == 0)
			note_incident(run, reason, "is quarantined");
		else
			note_incident(run, "blocked", psprintf("is blocked: %s", reason));
	}
	if (run->status != RUN_PAUSED)
		retry_later(run);
}

/*
 * Counts that a process died while it executed a run.  After too many times the run is not executed
 * again until somebody releases it.  Returns whether that is so.
 */
bool
aion_run_note_crash(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Rows rows = aion_statement_execute(&count_crash, args);
	Run *run;
	Jsonb *detail;

	if (rows.count == 0 || aion_row_int32(rows, 0, 1) < CRASHES_ALLOWED)
		return false;
	run = aion_run_lock(run_key, CurrentMemoryContext);
	aion_run_load(run);
	detail = aion_failure_make("57P02", "the server crashed while it executed this run",
							   "Mend what it calls, then use aion.set_workflow_version().");
	aion_run_block(run, BLOCKED_QUARANTINED, detail);
	aion_run_forget_failures(run);
	aion_run_save(run);
	return true;
}

/*
 * Lets a blocked run go on; does nothing to any other.
 */
void
aion_run_unblock(Run *run)
{
	if (run->status != RUN_BLOCKED)
		return;
	aion_recorder_append(run->history, EVENT_WORKFLOW_UNBLOCKED, NULL, NULL);
	set_status(run, RUN_RUNNING);
	run->blocked = NULL;
}

/*
 * Pauses a run: it takes no turn, and what arrives is recorded.  Why it is blocked is not
 * forgotten.
 */
void
aion_run_pause(Run *run, const Jsonb *attributes)
{
	aion_recorder_append(run->history, EVENT_WORKFLOW_PAUSED, NULL, attributes);
	aion_run_forget_failures(run);
	set_status(run, RUN_PAUSED);
	run->ready_at = DT_NOEND;
}

/*
 * Lets a paused run go on: it is what it was, with everything that has happened meanwhile.
 */
void
aion_run_resume(Run *run, const Jsonb *attributes)
{
	aion_recorder_append(run->history, EVENT_WORKFLOW_RESUMED, NULL, attributes);
	set_status(run, run->blocked != NULL ? RUN_BLOCKED : begun_status(run));
	if (run->status == RUN_RUNNING ||
		(run->status == RUN_BLOCKED && strcmp(run->blocked, BLOCKED_QUARANTINED) != 0))
		run->ready_at = aion_clock_now();
}

/*
 * Lets a run that has ended go on, without the events that are taken back.
 */
void
aion_run_reopen(Run *run, const Jsonb *attributes)
{
	aion_recorder_append(run->history, EVENT_WORKFLOW_REOPENED, NULL, attributes);
	set_status(run, begun_status(run));
	run->closed_at = DT_NOEND;
	if (run->status == RUN_RUNNING)
		run->ready_at = aion_clock_now();
}

/*
 * Ends a run: records what has arrived, cancels what is open and appends the terminal event, which
 * is the last one.
 */
void
aion_run_close(Run *run, EventType terminal, const Jsonb *attributes)
{
	static const RunStatus status_of[] = {[EVENT_WORKFLOW_COMPLETED] = RUN_COMPLETED,
										  [EVENT_WORKFLOW_FAILED] = RUN_FAILED,
										  [EVENT_WORKFLOW_CANCELLED] = RUN_CANCELLED,
										  [EVENT_WORKFLOW_TERMINATED] = RUN_TERMINATED,
										  [EVENT_WORKFLOW_TIMED_OUT] = RUN_TIMED_OUT,
										  [EVENT_WORKFLOW_CONTINUED_AS_NEW] = RUN_CONTINUED};
	Event *event;

	aion_inbox_take(run);
	aion_inbox_record(run, DT_NOEND);
	if (run->history->open_timers > 0 || run->history->open_activities > 0)
		aion_due_end(run->run_key);
	aion_primitives_close(run);
	aion_due_cancel_all(run);
	aion_run_forget_failures(run);
	event = aion_recorder_append(run->history, terminal, NULL, attributes);
	set_status(run, status_of[terminal]);
	run->blocked = NULL;
	run->closed_at = event->recorded_at;
	run->ready_at = run->awaiting_since = DT_NOEND;
	run->awaiting = NULL;
	aion_primitives_ended(run);
	aion_wakeup_waiters(run->run_key);
	if (run->status == RUN_FAILED)
		note_incident(run, aion_status_name(run->status),
					  psprintf("failed: %s", reason_of(aion_event_read_error(event))));
	else if (run->status == RUN_TIMED_OUT)
		note_incident(run, aion_status_name(run->status), "timed out");
}

/*
 * Warns once of a history that has become longer than it should.
 */
void
aion_run_warn_if_long(const Run *run)
{
	if (run->loaded > aion_max_history_events || run->history->count <= aion_max_history_events ||
		aion_run_is_closed(run))
		return;
	ereport(
		WARNING,
		(errmsg("history of workflow \"%s\" has %d events", run->workflow_id, run->history->count),
		 errdetail("aion.max_history_events is %d; with twice as many the run is blocked.",
				   aion_max_history_events),
		 errhint("Let it use aion.continue_as_new() where aion.continue_suggested() says so.")));
}

/*
 * Writes the history appended so far, and the row.
 */
void
aion_run_save(Run *run)
{
	aion_run_save_history(run);
	aion_run_save_row(run);
}

void
aion_run_save_history(Run *run)
{
	aion_recorder_write(run->history);
}

void
aion_run_save_row(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key),
							aion_arg_int32(run->version_key),
							aion_arg_text(aion_status_name(run->status)),
							aion_arg_text(run->blocked),
							aion_arg_int32(run->seen),
							aion_arg_int32(run->failures),
							aion_arg_timestamp(run->ready_at),
							aion_arg_timestamp(run->retry_at),
							aion_arg_jsonb(run->awaiting),
							aion_arg_timestamp(run->awaiting_since),
							aion_arg_timestamp(run->closed_at),
							aion_arg_int32(run->history->count),
							aion_arg_jsonb(aion_received_unread(run->history))};

	(void) aion_statement_execute(&update_run, args);
	if (run->ready_at != DT_NOEND)
		aion_wakeup_run(run->owner_key, run->run_key);
}

/*
 * Puts the next turn of a run off, in its row alone: its history may be what cannot be read.
 */
void
aion_run_postpone(Run *run)
{
	retry_later(run);
	{
		NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(run->failures),
								aion_arg_timestamp(run->retry_at)};

		(void) aion_statement_execute(&postpone_run, args);
	}
}

/*
 * Notes that a turn went through.
 */
void
aion_run_forget_failures(Run *run)
{
	if (run->retry_at != DT_NOEND)
		aion_due_disarm(run, TIMER_RETRY);
	run->retry_at = DT_NOEND;
	run->failures = 0;
}

/*
 * Lets the run be looked at again later, the later the more often that was in vain.
 */
static void
retry_later(Run *run)
{
	int64 delay = RETRY_FIRST_MS;
	int64 most = run->status == RUN_BLOCKED ? RECHECK_MAX_MS : RETRY_MAX_MS;

	for (int i = 0; i < run->failures && delay < most; i++)
		delay *= 2;
	run->failures++;
	run->ready_at = DT_NOEND;
	run->retry_at = TimestampTzPlusMilliseconds(aion_clock_now(), Min(delay, most));
	aion_due_disarm(run, TIMER_RETRY);
	aion_due_arm(run, TIMER_RETRY, run->retry_at, 0);
}

/*
 * Lets operators know what has become of a run.
 */
static void
note_incident(const Run *run, const char *status, const char *what)
{
	aion_incident_note(run->owner_key, run->run_key, status,
					   psprintf("workflow %s of type %s %s", aion_incident_quote(run->workflow_id),
								aion_incident_quote(run->started.workflow_type), what));
}

/*
 * Says what a run failed with, without its message, which may quote data of users.
 */
static const char *
reason_of(const Jsonb *error)
{
	const char *state = unpack_sql_state(aion_failure_errcode(error));
	Jsonb *cause = aion_json_member(error, "cause");
	const char *activity = cause != NULL ? aion_json_text(cause, "activity") : NULL;

	if (activity == NULL)
		return pstrdup(state);
	return psprintf("%s, activity %s", pstrdup(state), aion_incident_quote(activity));
}

/*
 * Takes the lock of a run; where somebody has it, he is told that it is waited for.
 */
static Run *
lock(int64 run_key, bool at_once, MemoryContext parent)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	Run *run;
	Rows rows;

	if (aion_run_is_executing(run_key))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("an activity cannot control the run it belongs to")));
	run = aion_run_lock_if_free(run_key, parent);
	if (run != NULL)
		return run;
	aion_interruption_want(run_key, at_once);
	PG_TRY();
	{
		rows = aion_statement_execute(&lock_run, args);
	}
	PG_FINALLY();
	{
		aion_interruption_want_nothing();
	}
	PG_END_TRY();
	return rows.count == 1 ? aion_run_read(rows, 0, parent) : NULL;
}

/*
 * Tells whether the time at which a run was to begin has come.
 */
static RunStatus
begun_status(const Run *run)
{
	return aion_history_open(run->history, FAMILY_TIMER, TIMER_START) != NULL ? RUN_SCHEDULED
																			  : RUN_RUNNING;
}

static RunStatus
status_of_name(const char *name)
{
	for (size_t i = 0; i < lengthof(status_names); i++)
	{
		if (strcmp(name, status_names[i]) == 0)
			return (RunStatus) i;
	}
	elog(ERROR, "unknown status \"%s\"", name);
}

/*
 * The one place where a run changes its state; the diagram is in src/README.md.
 */
static void
set_status(Run *run, RunStatus to)
{
	bool legal = false;

	switch (run->status)
	{
		case RUN_SCHEDULED:
			legal = to == RUN_RUNNING || to == RUN_BLOCKED || to >= RUN_PAUSED;
			break;
		case RUN_RUNNING:
			legal = to == RUN_BLOCKED || to >= RUN_PAUSED;
			break;
		case RUN_BLOCKED:
			legal = to == RUN_RUNNING || to == RUN_BLOCKED || to >= RUN_PAUSED;
			break;
		case RUN_PAUSED:
			legal = to != RUN_PAUSED;
			break;
		case RUN_FAILED:
		case RUN_CANCELLED:
		case RUN_TERMINATED:
			legal = to == RUN_RUNNING || to == RUN_SCHEDULED;
			break;
		default:
			break;
	}
	if (!legal)
		elog(ERROR, "run " INT64_FORMAT " cannot become %s, it is %s", run->run_key,
			 aion_status_name(to), aion_status_name(run->status));
	run->status = to;
}

/*
 * Returns what stays the same of a detail when the same is met again: not its context, nor a value
 * that is known to differ each time.
 */
static const Jsonb *
lasting(const Jsonb *detail)
{
	if (aion_json_has_member(detail, "difference") && aion_json_has_member(detail, "hint"))
		detail = aion_json_without(detail, "found");
	return aion_json_without(detail, "context");
}

/*
 * Tells whether the history says already that the run is blocked, and by exactly this.
 */
bool
aion_run_is_blocked_so(const Run *run, const char *reason, const Jsonb *detail)
{
	if (run->blocked == NULL || strcmp(run->blocked, reason) != 0)
		return false;
	for (int i = run->history->count - 1; i >= 0; i--)
	{
		const Event *event = run->history->events[i];

		if (event->type == EVENT_WORKFLOW_BLOCKED)
			return aion_json_equal(lasting(aion_json_member(event->attributes, "detail")),
								   lasting(detail));
	}
	return false;
}
