/*
 * tick.c
 *		What becomes of the ticks of schedules.
 *
 * A schedule with a tick that is due is an errand of its owner: executed by a runner of the owner,
 * by drive() or by a test, never by the session that calls aion.ring_schedule().  Under the lock of
 * the schedule's row the ticks are decided in their order, each once: a tick starts a run, or is
 * recorded in another state.  The run, the tick's row and the move to the next tick are one commit,
 * so a crash leaves none of it or all.
 *
 *		pending ---> started, failed		asked for by trigger and backfill
 *		buffered --> started, failed		while an earlier run of the schedule is open
 *		started, skipped, missed, failed	decided; a backfill may ask for the latter three again
 *
 * A transaction that closes a run takes no lock here: it inserts a timer of the schedule, which
 * lets a runner check whether a buffered tick can start.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"

#include "code/adoption.h"
#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "guc.h"
#include "primitives/cancel.h"
#include "primitives/primitives.h"
#include "run/due.h"
#include "schedules/schedule.h"
#include "shared/incident.h"
#include "shared/stopwatch.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "support/subtransaction.h"

#define ID_WAIT_MS 100 /* for a transaction that is about to use the id of a tick */
#define CRASHES_ALLOWED 3
#define TICKS_AT_ONCE 100 /* in one transaction */
#define TIMELY USECS_PER_MINUTE
#define TICKS_KEPT 1000
#define TRIM_EVERY 100
#define MOST_BACKFILLED 10000

#define HAS_DUE_TIMER                                                                              \
	"(SELECT true FROM aion._timer t WHERE t.run_key = s.run_key AND (t.fire_at <= $2) IS TRUE "   \
	"LIMIT 1)"

static Statement select_due =
	STATEMENT(SELECT,
			  "SELECT s.run_key FROM aion._schedule s WHERE s.run_key = ANY ($1)"
			  " AND " HAS_DUE_TIMER,
			  INT8ARRAYOID, TIMESTAMPTZOID);
static Statement claim_of =
	STATEMENT(SELECT,
			  "SELECT s.run_key FROM aion._schedule s WHERE s.run_key = ANY ($1)"
			  " AND ($3 = 0 OR s.owner_key = $3) AND " HAS_DUE_TIMER
			  " ORDER BY s.due_at, s.run_key LIMIT 1 FOR UPDATE SKIP LOCKED",
			  INT8ARRAYOID, TIMESTAMPTZOID, INT4OID);
static Statement claim_any =
	STATEMENT(SELECT,
			  "SELECT s.run_key FROM aion._timer t JOIN aion._schedule s USING (run_key)"
			  " WHERE t.owner_key = $1 AND t.fire_at <= $2 AND t.run_key <> ALL ($3)"
			  " ORDER BY t.fire_at LIMIT 1 FOR UPDATE OF s SKIP LOCKED",
			  INT4OID, TIMESTAMPTZOID, INT8ARRAYOID);
static Statement take_due =
	STATEMENT(DELETE, "DELETE FROM aion._timer WHERE run_key = $1 AND fire_at <= $2", INT8OID,
			  TIMESTAMPTZOID);
static Statement put_tick = STATEMENT(
	INSERT,
	"INSERT INTO aion._schedule_tick AS t (run_key, nominal_at, owner_key, state, open, decided_at,"
	" until_at, workflow_id, error) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
	" ON CONFLICT (run_key, nominal_at) DO UPDATE SET state = excluded.state, open = excluded.open,"
	" decided_at = excluded.decided_at, until_at = excluded.until_at, error = excluded.error,"
	" workflow_id = excluded.workflow_id"
	" WHERE $10 OR t.state IN ('skipped', 'missed', 'failed')",
	INT8OID, TIMESTAMPTZOID, INT4OID, TEXTOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID,
	JSONBOID, BOOLOID);
static Statement select_tick =
	STATEMENT(SELECT, "SELECT FROM aion._schedule_tick WHERE run_key = $1 AND nominal_at = $2",
			  INT8OID, TIMESTAMPTZOID);
static Statement select_holder = STATEMENT(
	SELECT,
	"SELECT r.owner_key, e.attributes ->> 'schedule', e.attributes ->> 'started_by'"
	" FROM aion._run r JOIN aion._event e USING (run_key) WHERE r.workflow_id = $1 AND e.seq = 1"
	" ORDER BY r.closed_at IS NULL DESC, r.run_key DESC LIMIT 1",
	TEXTOID);
static Statement select_waiting =
	STATEMENT(SELECT,
			  "SELECT nominal_at FROM aion._schedule_tick WHERE run_key = $1 AND state = $2"
			  " AND state IN ('pending', 'buffered') ORDER BY nominal_at LIMIT $3",
			  INT8OID, TEXTOID, INT4OID);
/* A run r that has the id of a tick t is that of the tick, unless another role was let start it. */
#define IS_OF_TICK                                                                                 \
	"r.owner_key = t.owner_key AND (SELECT e.attributes ? 'scheduled_for'"                         \
	" OR e.attributes ->> 'started_by' = o.name FROM aion._event e JOIN aion._owner o"             \
	" ON o.owner_key = r.owner_key WHERE e.run_key = r.run_key AND e.seq = 1)"

static Statement note_closed = STATEMENT(
	UPDATE,
	"UPDATE aion._schedule_tick t SET open = false WHERE t.run_key = $1 AND t.open AND NOT EXISTS"
	" (SELECT FROM aion._run r WHERE r.workflow_id = t.workflow_id AND r.closed_at IS NULL"
	" AND " IS_OF_TICK ")",
	INT8OID);
static Statement select_open =
	STATEMENT(SELECT,
			  "SELECT r.run_key FROM aion._schedule_tick t JOIN aion._run r USING (workflow_id)"
			  " WHERE t.run_key = $1 AND t.open AND r.closed_at IS NULL"
			  " AND " IS_OF_TICK,
			  INT8OID);
static Statement select_unasked =
	STATEMENT(SELECT,
			  "SELECT r.run_key, r.owner_key, r.chain_key"
			  " FROM aion._schedule_tick t JOIN aion._run r USING (workflow_id)"
			  " WHERE t.run_key = $1 AND t.open AND r.closed_at IS NULL"
			  " AND " IS_OF_TICK " AND (SELECT true FROM aion._inbox i WHERE i.run_key = r.run_key"
			  " AND i.kind = 'cancel' LIMIT 1) IS NULL"
			  " AND (SELECT true FROM aion._event e WHERE e.run_key = r.run_key"
			  " AND e.event_type = 'WorkflowCancelRequested' LIMIT 1) IS NULL",
			  INT8OID);
static Statement trim_ticks =
	STATEMENT(DELETE,
			  "DELETE FROM aion._schedule_tick WHERE run_key = $1 AND NOT open"
			  " AND state NOT IN ('pending', 'buffered') AND nominal_at < (SELECT l.nominal_at"
			  " FROM aion._schedule_tick l WHERE l.run_key = $1 ORDER BY l.nominal_at DESC LIMIT 1 "
			  "OFFSET $2)",
			  INT8OID, INT4OID);
static Statement select_buffering =
	STATEMENT(SELECT,
			  "SELECT run_key, owner_key FROM aion._schedule WHERE name = $1"
			  " AND overlap = 'buffer_one'",
			  TEXTOID);
static Statement select_unrung =
	STATEMENT(SELECT,
			  "SELECT run_key FROM aion._schedule WHERE cron IS NOT NULL"
			  " AND state = 'active' AND next_at <= $1",
			  TIMESTAMPTZOID);
static Statement lock_unrung =
	STATEMENT(SELECT,
			  "SELECT owner_key, due_at FROM aion._schedule WHERE run_key = $1"
			  " FOR UPDATE SKIP LOCKED",
			  INT8OID);

static Statement count_crash =
	STATEMENT(UPDATE_RETURNING,
			  "UPDATE aion._schedule SET crashes = crashes + 1 WHERE run_key = (SELECT run_key"
			  " FROM aion._schedule WHERE run_key = $1 FOR UPDATE SKIP LOCKED)"
			  " RETURNING crashes, name, owner_key",
			  INT8OID);
static Statement quarantine =
	STATEMENT(UPDATE,
			  "UPDATE aion._schedule SET reason = '" REASON_QUARANTINED "', state = CASE state"
			  " WHEN '" SCHEDULE_ENDED "' THEN state ELSE '" SCHEDULE_PAUSED "' END"
			  " WHERE run_key = $1",
			  INT8OID);

static int select_errands(const int64 *keys, int count, int64 *due);
static int64 claim_errand(int32 owner_key, const int64 *keys, int count, const int64 *except,
						  int except_count);
static void run_errand(int64 key);
static void note_crash(int64 key);
static bool find_errands(void);
static void close_run(Run *run);

static void serve_waiting(Schedule *schedule, const char *state, int *budget);
static void serve_due(Schedule *schedule, int *budget);
static bool is_used_up(const Schedule *schedule);
static TimestampTz decide_latest(Schedule *schedule, TimestampTz now);
static void decide(Schedule *schedule, TimestampTz tick);
static int count_open(const Schedule *schedule);
static void cancel_previous(const Schedule *schedule);
static void tick_start(Schedule *schedule, TimestampTz tick);
static bool is_taken(const Schedule *schedule, const char *workflow_id);
static Jsonb *try_to_start(const Schedule *schedule, TimestampTz tick, const char *workflow_id,
						   int id_wait_ms);
static bool put_as(const Schedule *schedule, TimestampTz tick, const char *state, TimestampTz until,
				   bool always);
static bool put(const Schedule *schedule, TimestampTz tick, const char *workflow_id,
				const char *state, TimestampTz until, const Jsonb *error, bool always);
static bool tick_is_known(const Schedule *schedule, TimestampTz tick);
static char *tick_workflow_id_of(const Schedule *schedule, TimestampTz tick);
static NullableDatum key_array(const int64 *keys, int count);
static Schedule *lock_for(FunctionCallInfo fcinfo);

const Primitive aion_schedule_primitive = {.name = "schedule",
										   .close = close_run,
										   .select_errands = select_errands,
										   .claim_errand = claim_errand,
										   .run_errand = run_errand,
										   .note_crash = note_crash,
										   .find_errands = find_errands};
static int
select_errands(const int64 *keys, int count, int64 *due)
{
	NullableDatum args[] = {key_array(keys, count), aion_arg_timestamp(aion_clock_now())};
	Rows rows = aion_statement_execute(&select_due, args);

	for (uint64 row = 0; row < rows.count; row++)
		due[row] = aion_row_int64(rows, row, 1);
	return (int) rows.count;
}

static int64
claim_errand(int32 owner_key, const int64 *keys, int count, const int64 *except, int except_count)
{
	NullableDatum now = aion_arg_timestamp(aion_clock_now());
	Rows rows;

	if (keys != NULL)
	{
		NullableDatum args[] = {key_array(keys, count), now, aion_arg_int32(owner_key)};

		rows = aion_statement_execute(&claim_of, args);
	}
	else
	{
		NullableDatum args[] = {aion_arg_int32(owner_key), now, key_array(except, except_count)};

		rows = aion_statement_execute(&claim_any, args);
	}
	return rows.count > 0 ? aion_row_int64(rows, 0, 1) : 0;
}

/*
 * Decides the ticks of a schedule that are due, up to the limit of one transaction.
 */
static void
run_errand(int64 key)
{
	static uint32 served = 0;
	NullableDatum args[] = {aion_arg_int64(key), aion_arg_timestamp(aion_clock_now())};
	int budget = TICKS_AT_ONCE;
	GuardState outside;
	Authority authority;
	Schedule *schedule;

	aion_authority_assume(&authority);
	(void) aion_statement_execute(&take_due, args);
	schedule = aion_schedule_read(key);
	aion_authority_drop(&authority);

	aion_guard_begin_run(key, &outside);
	if (!aion_schedule_is(schedule, SCHEDULE_PAUSED) && schedule->reason == NULL)
		serve_due(schedule, &budget);
	if (schedule->reason == NULL)
		serve_waiting(schedule, "pending", &budget); /* last, since these overlap with anything */
	aion_guard_leave(&outside);

	aion_authority_assume(&authority);
	aion_schedule_move(schedule, schedule->next_at);
	if (budget <= 0)
		aion_due_wake(key, schedule->owner_key, TIMER_ASKED_TICK, aion_clock_now());
	if (++served % TRIM_EVERY == 0)
	{
		NullableDatum kept[] = {aion_arg_int64(key), aion_arg_int32(TICKS_KEPT)};

		(void) aion_statement_execute(&trim_ticks, kept);
	}
	aion_authority_drop(&authority);
}

/*
 * Counts that a process ended while it decided ticks of a schedule.  The count is reset when ticks
 * are decided; after too many crashes the schedule is paused, and does not start what it is asked
 * for either, until it is resumed.
 */
static void
note_crash(int64 key)
{
	NullableDatum args[] = {aion_arg_int64(key)};
	Rows rows = aion_statement_execute(&count_crash, args);
	char *name;

	if (rows.count == 0 || aion_row_int32(rows, 0, 1) < CRASHES_ALLOWED)
		return;
	name = aion_row_text(rows, 0, 2);
	(void) aion_statement_execute(&quarantine, args);
	aion_due_forget(key); /* resuming looks at everything again */
	aion_incident_note(
		aion_row_int32(rows, 0, 3), key, SCHEDULE_PAUSED,
		psprintf("schedule %s is paused: " REASON_QUARANTINED, aion_incident_quote(name)));
}

/*
 * Arms the timers of schedules that are overdue, after the server was down or where pg_cron failed.
 * A session that has locked a schedule may be about to arm its timer; nothing waits for it.
 */
static bool
find_errands(void)
{
	NullableDatum args[] = {aion_arg_timestamp(aion_clock_now())};
	Rows rows = aion_statement_execute(&select_unrung, args);
	bool all = true;

	for (uint64 row = 0; row < rows.count; row++)
	{
		int64 key = aion_row_int64(rows, row, 1);
		NullableDatum one[] = {aion_arg_int64(key)};
		Rows locked = aion_statement_execute(&lock_unrung, one);

		if (locked.count > 0)
			aion_due_wake(key, aion_row_int32(locked, 0, 1), TIMER_NEXT_TICK,
						  aion_row_timestamp(locked, 0, 2));
		else
			all = false;
	}
	return all;
}

/*
 * Lets the schedule of a run that ends look at its buffered tick.  No other transaction inserts a
 * timer of this name, so the insertion waits for none.
 */
static void
close_run(Run *run)
{
	NullableDatum args[] = {aion_arg_text(run->started.schedule)};
	Rows rows;

	if (run->started.schedule == NULL)
		return;
	rows = aion_statement_execute(&select_buffering, args);
	if (rows.count == 1)
		aion_due_wake(aion_row_int64(rows, 0, 1), aion_row_int32(rows, 0, 2),
					  psprintf(TIMER_SCHEDULE "closed " INT64_FORMAT, run->run_key),
					  aion_clock_now());
}

/*
 * Starts the ticks that wait in a state, in the order of their times.
 */
static void
serve_waiting(Schedule *schedule, const char *state, int *budget)
{
	NullableDatum args[] = {aion_arg_int64(schedule->key), aion_arg_text(state),
							aion_arg_int32(*budget)};
	TimestampTz ticks[TICKS_AT_ONCE];
	Authority authority;
	int count;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_waiting, args);
	count = (int) rows.count;
	for (int i = 0; i < count; i++)
		ticks[i] = aion_row_timestamp(rows, i, 1);
	aion_authority_drop(&authority);
	for (int i = 0; i < count; i++)
	{
		if (strcmp(state, "buffered") == 0 && is_used_up(schedule))
			(void) put_as(schedule, ticks[i], "skipped", DT_NOEND, true);
		else
			tick_start(schedule, ticks[i]);
	}
	*budget -= count;
}

/*
 * Decides the ticks that are due by the timetable.
 */
static void
serve_due(Schedule *schedule, int *budget)
{
	TimestampTz now = aion_clock_now();

	if (strcmp(schedule->overlap, "buffer_one") != 0 || count_open(schedule) == 0)
		serve_waiting(schedule, "buffered", budget);
	while (schedule->next_at != DT_NOEND && schedule->due_at <= now && *budget > 0 &&
		   !is_used_up(schedule))
	{
		TimestampTz tick = schedule->next_at;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(schedule->catch_up, "all") == 0)
			decide(schedule, tick);
		else
			tick = decide_latest(schedule, now);
		schedule->next_at = aion_timetable_next(&schedule->table, tick);
		schedule->due_at = aion_timetable_due(&schedule->table, schedule->next_at);
		(*budget)--;
	}
}

/*
 * Decides the latest of the ticks that are due, and records those before it as missed.  If catch_up
 * is 'skip' the latest must be on time, too.  Returns it.
 */
static TimestampTz
decide_latest(Schedule *schedule, TimestampTz now)
{
	const Timetable *table = &schedule->table;
	TimestampTz first = schedule->next_at;
	TimestampTz last = aion_timetable_latest(table, first, now);

	if (aion_timetable_due(table, last) > now)
		last = aion_timetable_latest(table, first, last - 1);
	if (strcmp(schedule->catch_up, "skip") == 0 && aion_timetable_due(table, last) < now - TIMELY)
	{
		(void) put_as(schedule, first, "missed", last, false);
		return last;
	}
	if (last > first)
		(void) put_as(schedule, first, "missed", aion_timetable_latest(table, first, last - 1),
					  false);
	decide(schedule, last);
	return last;
}

/*
 * Decides a tick by the schedule's policy for runs that overlap.  A tick that was asked for before
 * its time has been decided.
 */
static void
decide(Schedule *schedule, TimestampTz tick)
{
	const char *overlap = schedule->overlap;
	int open;

	if (tick_is_known(schedule, tick))
		return;
	open = strcmp(overlap, "allow_all") == 0 ? 0 : count_open(schedule);
	if (open > 0 && strcmp(overlap, "cancel_previous") == 0)
		cancel_previous(schedule);
	else if (open > 0)
	{
		NullableDatum args[] = {aion_arg_int64(schedule->key), aion_arg_text("buffered"),
								aion_arg_int32(1)};
		bool buffers = strcmp(overlap, "buffer_one") == 0;
		Authority authority;

		aion_authority_assume(&authority);
		buffers = buffers && aion_statement_execute(&select_waiting, args).count == 0;
		aion_authority_drop(&authority);
		(void) put_as(schedule, tick, buffers ? "buffered" : "skipped", DT_NOEND, true);
		return;
	}
	tick_start(schedule, tick);
}

/*
 * Counts the open runs of earlier ticks, and marks ticks whose run has closed.
 */
static int
count_open(const Schedule *schedule)
{
	NullableDatum args[] = {aion_arg_int64(schedule->key)};
	Authority authority;
	int count;

	aion_authority_assume(&authority);
	(void) aion_statement_execute(&note_closed, args);
	count = (int) aion_statement_execute(&select_open, args).count;
	aion_authority_drop(&authority);
	return count;
}

/*
 * Sends a cancel request to the runs of earlier ticks, once to each: a run that takes long to clean
 * up does not get another one with every tick.
 */
static void
cancel_previous(const Schedule *schedule)
{
	NullableDatum args[] = {aion_arg_int64(schedule->key)};
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_unasked, args);
	for (uint64 row = 0; row < rows.count; row++)
	{
		FoundRun previous = {.run_key = aion_row_int64(rows, row, 1),
							 .owner_key = aion_row_int32(rows, row, 2)};

		if (!aion_row_isnull(rows, row, 3))
			previous.chain_key = aion_row_int64(rows, row, 3);
		aion_cancel_send(&previous, "replaced by the next tick");
	}
	aion_authority_drop(&authority);
}

/*
 * Starts the run of a tick, and records that or why it failed.  Workflow ids of ticks are known in
 * advance, so a run that another role or session has started under the id, or is about to, must not
 * keep the schedule from starting its run: then the run gets an id that cannot be known.
 */
static void
tick_start(Schedule *schedule, TimestampTz tick)
{
	char *workflow_id = tick_workflow_id_of(schedule, tick);
	Jsonb *error = try_to_start(schedule, tick, workflow_id, ID_WAIT_MS);

	if ((error != NULL && aion_failure_errcode(error) == ERRCODE_LOCK_NOT_AVAILABLE) ||
		is_taken(schedule, workflow_id))
	{
		uint64 chance;

		if (!pg_strong_random(&chance, sizeof(chance)))
			ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not get random bytes")));
		workflow_id = psprintf("%s/" UINT64_FORMAT, workflow_id, chance);
		error = try_to_start(schedule, tick, workflow_id, 0);
	}
	(void) put(schedule, tick, workflow_id, error == NULL ? "started" : "failed", DT_NOEND, error,
			   true);
	if (error == NULL)
		schedule->runs++;
	else
		aion_incident_note(schedule->owner_key, schedule->key, "failed",
						   psprintf("schedule %s could not start a run: %s",
									aion_incident_quote(schedule->name),
									unpack_sql_state(aion_failure_errcode(error))));
}

/*
 * Tells whether the run of a workflow id, the open one or the latest, belongs to a role that the
 * owner of a schedule does not control, or was started by one that does not control this owner.
 */
static bool
is_taken(const Schedule *schedule, const char *workflow_id)
{
	NullableDatum args[] = {aion_arg_text(workflow_id)};
	Authority authority;
	bool taken = false;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_holder, args);
	if (rows.count > 0)
	{
		bool by_schedule =
			!aion_row_isnull(rows, 0, 2) && strcmp(aion_row_text(rows, 0, 2), schedule->name) == 0;
		Oid role = aion_owner_role(schedule->owner_key);
		Oid starter = by_schedule || aion_row_isnull(rows, 0, 3)
						  ? role
						  : get_role_oid(aion_row_text(rows, 0, 3), true);

		taken = !OidIsValid(role) || !aion_owner_controls(role, aion_row_int32(rows, 0, 1)) ||
				!OidIsValid(starter) || !aion_owner_controls(starter, schedule->owner_key);
	}
	aion_authority_drop(&authority);
	return taken;
}

/*
 * Tells whether a schedule has started as many runs as it may.
 */
static bool
is_used_up(const Schedule *schedule)
{
	return schedule->max_runs > 0 && schedule->runs >= schedule->max_runs;
}

/*
 * Starts a run; returns why that failed, NULL if it did not.  If the wait for the workflow id has a
 * limit, exceeding it is a reason, too.
 */
static Jsonb *
try_to_start(const Schedule *schedule, TimestampTz tick, const char *workflow_id, int id_wait_ms)
{
	ErrorData *volatile error = NULL;
	Subtransaction sub;
	bool timed = !aion_stopwatch_is_running(); /* else a limit of its caller */
	volatile bool time_was_up = false;
	Authority authority;
	Oid role;

	aion_authority_assume(&authority);
	role = aion_owner_role(schedule->owner_key);
	aion_authority_drop(&authority);
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		StartRequest request;

		if (timed)
			aion_stopwatch_start(aion_turn_timeout); /* of what types and defaults call */
		aion_schedule_prepare(schedule, role, &request);
		request.scheduled_for = tick;
		request.id_wait_ms = id_wait_ms;
		(void) aion_start(&request, schedule->input, workflow_id);
		if (timed)
			(void) aion_stopwatch_stop();
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		time_was_up = timed && aion_stopwatch_stop();
		error = aion_subtransaction_abort(&sub);
	}
	PG_END_TRY();
	if (error == NULL)
		return NULL;
	if (id_wait_ms > 0 && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE)
		return aion_failure_of(error, NULL);
	if (!time_was_up && (aion_failure_is_infrastructure(error) || aion_failure_is_cancel(error)))
		ReThrowError(error);
	return aion_failure_of(error, NULL);
}

/*
 * Records what became of a tick that starts no run, or none yet.
 */
static bool
put_as(const Schedule *schedule, TimestampTz tick, const char *state, TimestampTz until,
	   bool always)
{
	return put(schedule, tick, tick_workflow_id_of(schedule, tick), state, until, NULL, always);
}

/*
 * Records what became of a tick; returns whether it did.  Without always it does not change a tick
 * that has started a run or will.
 */
static bool
put(const Schedule *schedule, TimestampTz tick, const char *workflow_id, const char *state,
	TimestampTz until, const Jsonb *error, bool always)
{
	NullableDatum args[] = {aion_arg_int64(schedule->key),
							aion_arg_timestamp(tick),
							aion_arg_int32(schedule->owner_key),
							aion_arg_text(state),
							aion_arg_bool(strcmp(state, "started") == 0),
							aion_arg_timestamp(aion_clock_now()),
							aion_arg_timestamp(until),
							aion_arg_text(workflow_id),
							aion_arg_jsonb(error),
							aion_arg_bool(always)};
	Authority authority;
	bool done;

	aion_authority_assume(&authority);
	done = aion_statement_execute(&put_tick, args).count == 1;
	aion_authority_drop(&authority);
	return done;
}

static bool
tick_is_known(const Schedule *schedule, TimestampTz tick)
{
	NullableDatum args[] = {aion_arg_int64(schedule->key), aion_arg_timestamp(tick)};
	Authority authority;
	bool known;

	aion_authority_assume(&authority);
	known = aion_statement_execute(&select_tick, args).count > 0;
	aion_authority_drop(&authority);
	return known;
}

/*
 * Names the workflow of a tick: the schedule, and the time in UTC.
 */
static char *
tick_workflow_id_of(const Schedule *schedule, TimestampTz tick)
{
	struct pg_tm tm;
	fsec_t fraction;
	char text[MAXDATELEN + 1];

	if (timestamp2tm(tick, NULL, &tm, &fraction, NULL, NULL) != 0)
		elog(ERROR, "tick is out of range");
	EncodeDateTime(&tm, fraction, false, 0, NULL, USE_XSD_DATES, text);
	return psprintf("%s/%sZ", schedule->name, text);
}

static NullableDatum
key_array(const int64 *keys, int count)
{
	Datum *elements = palloc(Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = Int64GetDatum(keys[i]);
	return aion_arg(PointerGetDatum(construct_array(elements, count, INT8OID, sizeof(int64),
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)));
}

/*
 * Finds the schedule that a function is called for, and takes its lock; with the engine's
 * authority.
 */
static Schedule *
lock_for(FunctionCallInfo fcinfo)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid user = GetUserId();
	Authority authority;
	Schedule *schedule;

	aion_name_check(name, AION_NAME_MAX, "schedule name");
	aion_authority_assume(&authority);
	schedule = aion_schedule_lock(name, user);
	aion_authority_drop(&authority);
	return schedule;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_trigger_schedule);
PG_FUNCTION_INFO_V1(aion_backfill_schedule);
PG_FUNCTION_INFO_V1(aion_ring_schedule);

/*
 * trigger_schedule(name) -> workflow id
 */
Datum
aion_trigger_schedule(PG_FUNCTION_ARGS)
{
	TimestampTz tick = aion_clock_now();
	Authority authority;
	Schedule *schedule;

	aion_guard_client_call("aion.trigger_schedule");
	schedule = lock_for(fcinfo);
	while (tick_is_known(schedule, tick))
		tick++;
	(void) put_as(schedule, tick, "pending", DT_NOEND, false);
	aion_authority_assume(&authority);
	aion_due_wake(schedule->key, schedule->owner_key, TIMER_ASKED_TICK, aion_clock_now());
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(tick_workflow_id_of(schedule, tick)));
}

/*
 * backfill_schedule(name, since, until) -> number of ticks that will start
 */
Datum
aion_backfill_schedule(PG_FUNCTION_ARGS)
{
	TimestampTz tick = PG_ARGISNULL(1) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz until = PG_ARGISNULL(2) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(2);
	Authority authority;
	Schedule *schedule;
	Timetable table;
	int64 asked = 0;

	aion_guard_client_call("aion.backfill_schedule");
	schedule = lock_for(fcinfo);
	if (TIMESTAMP_NOT_FINITE(tick) || TIMESTAMP_NOT_FINITE(until) || tick > until ||
		until > aion_clock_now())
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("since and until must be moments in the past, in this order")));
	table = aion_timetable_unlimited(&schedule->table);
	for (int count = 0; (tick = aion_timetable_next(&table, count == 0 ? tick - 1 : tick)) <= until;
		 count++)
	{
		CHECK_FOR_INTERRUPTS();
		if (count >= MOST_BACKFILLED)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_INPUT), errmsg("there are too many ticks to backfill"),
					 errhint("Do it in parts of at most %d ticks.", MOST_BACKFILLED)));
		asked += put_as(schedule, tick, "pending", DT_NOEND, false);
	}
	aion_authority_assume(&authority);
	if (asked > 0)
		aion_due_wake(schedule->key, schedule->owner_key, TIMER_ASKED_TICK, aion_clock_now());
	aion_authority_drop(&authority);
	PG_RETURN_INT64(asked);
}

/*
 * ring_schedule(name) -> whether a tick is due
 *
 * Executes nothing, and waits for no session that has locked the schedule: pg_cron executes few
 * jobs at once.  Then the scheduler looks until that session has ended.
 */
Datum
aion_ring_schedule(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid user = GetUserId();
	Authority authority;
	Schedule *schedule;
	bool is_locked;
	bool due = false;

	aion_guard_client_call("aion.ring_schedule");
	aion_name_check(name, AION_NAME_MAX, "schedule name");
	aion_authority_assume(&authority);
	schedule = aion_schedule_lock_if_free(name, user, &is_locked);
	if (aion_engine_executes())
	{
		if (is_locked)
			aion_cron_job_set(schedule);
		due = aion_schedule_is(schedule, SCHEDULE_ACTIVE) && schedule->next_at <= aion_clock_now();
		if (due && !is_locked)
			aion_wakeup_scan();
		else if (due)
			aion_due_wake(schedule->key, schedule->owner_key, TIMER_NEXT_TICK, schedule->due_at);
	}
	aion_authority_drop(&authority);
	PG_RETURN_BOOL(due);
}
