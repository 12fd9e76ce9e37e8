/*
 * transition.c
 *		The transitions between the states of a run, and what each implies.
 *
 * Each appends its event, sets the status by set_status() and says when the run is to be claimed
 * next.  The caller holds the lock of the run, has loaded its history, and saves it.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/failure.h"
#include "run/due.h"
#include "run/inbox.h"
#include "run/primitive.h"
#include "run/transition.h"
#include "shared/incident.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/statement.h"

/* Delays until a blocked run is checked again, and until a failed turn is repeated. */
#define RETRY_FIRST_MS 100
#define RETRY_MAX_MS (60 * 1000)
#define RECHECK_MAX_MS (10 * 60 * 1000)

#define CRASHES_ALLOWED 3

static Statement count_crash =
	STATEMENT(UPDATE_RETURNING,
			  "UPDATE aion._run SET crashes = crashes + 1 WHERE run_key = $1"
			  " AND closed_at IS NULL RETURNING crashes",
			  INT8OID);
static Statement postpone_run = STATEMENT(
	UPDATE, "UPDATE aion._run SET failures = $2, retry_at = $3, ready_at = NULL WHERE run_key = $1",
	INT8OID, INT4OID, TIMESTAMPTZOID);

static TimestampTz last_look(Run *run);
static void retry_later(Run *run, TimestampTz since);
static void note_incident(const Run *run, const char *status, const char *what);
static const char *transition_reason_of(const Jsonb *error);
static RunStatus begun_status(const Run *run);
static bool is_early(const Run *run);
static const Jsonb *lasting(const Jsonb *detail);
static void set_status(Run *run, RunStatus to);

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
 * Blocks a run until the reason is gone; it is checked again automatically, with exponential
 * backoff.
 */
void
aion_run_block(Run *run, const char *reason, const Jsonb *detail)
{
	if (is_early(run) && strcmp(reason, BLOCKED_QUARANTINED) != 0)
	{
		retry_later(run, last_look(run)); /* unblocked, it would begin before its time */
		return;
	}
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
		retry_later(run, last_look(run));
}

/*
 * Counts that a process died while it executed a run.  After too many times the run is not executed
 * again until it is released.  Returns whether that is so.
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
 * Unblocks a run; does nothing to one that is not blocked.
 */
void
aion_run_unblock(Run *run)
{
	bool was_quarantined;

	if (run->status != RUN_BLOCKED)
		return;
	was_quarantined = strcmp(run->blocked, BLOCKED_QUARANTINED) == 0;
	aion_recorder_append(run->history, EVENT_WORKFLOW_UNBLOCKED, NULL, NULL);
	set_status(run, RUN_RUNNING);
	run->blocked = NULL;
	if (was_quarantined)
		aion_primitives_resume(run);
}

/*
 * Pauses a run: it takes no turn, and what arrives is recorded.  The reason why it is blocked is
 * kept.
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
 * Resumes a paused run: it returns to the state it had, with everything that has happened
 * meanwhile.
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
 * Reopens a run that has ended, without the events that are taken back.
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
	aion_primitives_receive(run, DT_NOEND);
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
					  psprintf("failed: %s", transition_reason_of(aion_event_read_error(event))));
	else if (run->status == RUN_TIMED_OUT)
		note_incident(run, aion_status_name(run->status), "timed out");
}

/*
 * Postpones the next turn of a run, in its row alone: its history may be unreadable.
 */
void
aion_run_postpone(Run *run)
{
	retry_later(run, aion_clock_now());
	{
		NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(run->failures),
								aion_arg_timestamp(run->retry_at)};

		(void) aion_statement_execute(&postpone_run, args);
	}
}

/*
 * Notes that a turn succeeded.
 */
void
aion_run_forget_failures(Run *run)
{
	aion_run_forget_retry(run);
	run->failures = 0;
}

/*
 * Lets a run be claimed whenever it is ready.
 */
void
aion_run_forget_retry(Run *run)
{
	if (run->retry_at != DT_NOEND)
		aion_due_disarm(run, TIMER_RETRY);
	run->retry_at = DT_NOEND;
}

/*
 * Returns the moment up to which everything has been taken that had arrived for the run.  A timer
 * that its code has armed since then may be due earlier.
 */
static TimestampTz
last_look(Run *run)
{
	TimestampTz since = run->looked_at;
	ListCell *cell;

	if (since == 0)
		return aion_clock_now();
	foreach (cell, aion_history_open_timers(run->history))
		since = Min(since, aion_event_read_fire_at(lfirst(cell)));
	return since;
}

/*
 * Lets the run be claimed again later, with exponential backoff.  What arrives after since wakes a
 * blocked run before that.
 */
static void
retry_later(Run *run, TimestampTz since)
{
	int64 delay = RETRY_FIRST_MS;
	int64 most = run->status == RUN_BLOCKED ? RECHECK_MAX_MS : RETRY_MAX_MS;

	for (int i = 0; i < run->failures && delay < most; i++)
		delay *= 2;
	run->failures++;
	run->ready_at = DT_NOEND;
	run->retry_at = TimestampTzPlusMilliseconds(since, Min(delay, most));
	aion_due_disarm(run, TIMER_RETRY);
	aion_due_arm(run, TIMER_RETRY, run->retry_at, 0);
}

/*
 * Reports to operators what has become of a run.
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
transition_reason_of(const Jsonb *error)
{
	const char *state = unpack_sql_state(aion_failure_errcode(error));
	Jsonb *cause = aion_json_member(error, "cause");
	const char *activity = cause != NULL ? aion_json_text(cause, "activity") : NULL;

	if (activity == NULL)
		return pstrdup(state);
	return psprintf("%s, activity %s", pstrdup(state), aion_incident_quote(activity));
}

/*
 * Returns the status of an open run: scheduled, or running if the time at which it begins has come.
 */
static RunStatus
begun_status(const Run *run)
{
	return aion_history_open(run->history, FAMILY_TIMER, TIMER_START) != NULL ? RUN_SCHEDULED
																			  : RUN_RUNNING;
}

/*
 * Tells whether the time at which a run begins has not come.
 */
static bool
is_early(const Run *run)
{
	RecordedCommand *start = run->status == RUN_SCHEDULED
								 ? aion_history_open(run->history, FAMILY_TIMER, TIMER_START)
								 : NULL;

	return start != NULL && aion_event_read_fire_at(start->event) > aion_clock_now();
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
 * Returns the part of a detail that stays the same when the same problem occurs again: not its
 * context, nor a value that is known to differ each time.
 */
static const Jsonb *
lasting(const Jsonb *detail)
{
	if (aion_json_has_member(detail, "difference") && aion_json_has_member(detail, "hint"))
		detail = aion_json_without(detail, "found");
	detail = aion_json_without(aion_json_without(detail, "first"), "second");
	return aion_json_without(detail, "context");
}

/*
 * Tells whether the history says already that the run is blocked for exactly this reason.
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
