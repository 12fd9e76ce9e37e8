/*
 * schedule.c
 *		Schedules: what they start, and when.
 *
 * A schedule stores the first tick that is not decided.  Deciding it, starting its run and moving
 * on to the next tick are one transaction under the lock of the schedule's row (see tick.c), so no
 * tick is decided twice and none is skipped.  The functions here change the definition, under the
 * same lock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "code/guard.h"
#include "code/owner.h"
#include "run/due.h"
#include "run/touched.h"
#include "schedules/schedule.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "turn/turn.h"

#define MOST_TICKS 10000 /* that are shown */

static Statement insert_schedule = STATEMENT(
	INSERT,
	"INSERT INTO aion._schedule (run_key, owner_key, name, workflow_type, cron, every, anchor,"
	" timezone, overlap, catch_up, jitter, start_at, end_at, max_runs, input, options)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
	" ON CONFLICT (name) DO NOTHING",
	INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INTERVALOID, TIMESTAMPTZOID, TEXTOID, TEXTOID,
	TEXTOID, INTERVALOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, JSONBOID, JSONBOID);
static Statement update_schedule = STATEMENT(
	UPDATE,
	"UPDATE aion._schedule SET workflow_type = $4, cron = $5, every = $6, anchor = $7,"
	" timezone = $8, overlap = $9, catch_up = $10, jitter = $11, start_at = $12, end_at = $13,"
	" max_runs = $14, input = $15, options = $16 WHERE run_key = $1 AND owner_key = $2"
	" AND name = $3",
	INT8OID, INT4OID, TEXTOID, TEXTOID, TEXTOID, INTERVALOID, TIMESTAMPTZOID, TEXTOID, TEXTOID,
	TEXTOID, INTERVALOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, JSONBOID, JSONBOID);
static Statement move_schedule = STATEMENT(
	UPDATE,
	"UPDATE aion._schedule SET state = $2, next_at = $3, due_at = $4, runs = $5, reason = $6,"
	" crashes = 0 WHERE run_key = $1",
	INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TEXTOID);
static Statement select_schedule = STATEMENT(
	SELECT,
	"SELECT run_key, owner_key, name, workflow_type, cron, every, anchor, timezone, overlap,"
	" catch_up, jitter, start_at, end_at, max_runs, input, options, state, next_at, due_at, runs,"
	" reason FROM aion._schedule WHERE run_key = $1",
	INT8OID);
static Statement find_schedule = STATEMENT(
	SELECT, "SELECT run_key, owner_key FROM aion._schedule WHERE name = $1 FOR UPDATE", TEXTOID);
static Statement see_schedule =
	STATEMENT(SELECT, "SELECT run_key, owner_key FROM aion._schedule WHERE name = $1", TEXTOID);
static Statement try_lock_schedule = STATEMENT(
	SELECT, "SELECT FROM aion._schedule WHERE run_key = $1 FOR UPDATE SKIP LOCKED", INT8OID);
static Statement delete_schedule =
	STATEMENT(DELETE, "DELETE FROM aion._schedule WHERE run_key = $1", INT8OID);
static Statement delete_ticks =
	STATEMENT(DELETE, "DELETE FROM aion._schedule_tick WHERE run_key = $1", INT8OID);
static Statement disarm = STATEMENT(
	DELETE, "DELETE FROM aion._timer WHERE run_key = $1 AND name = '" TIMER_NEXT_TICK "'", INT8OID);

/* Which arguments of create_schedule() and update_schedule() were given, after the name. */
enum
{
	ARG_NAME,
	ARG_WORKFLOW_TYPE,
	ARG_CRON,
	ARG_EVERY,
	ARG_INPUT,
	ARG_OVERLAP,
	ARG_CATCH_UP,
	ARG_TIMEZONE,
	ARG_JITTER,
	ARG_START_AT,
	ARG_END_AT,
	ARG_MAX_RUNS,
	ARG_OPTIONS
};

static Schedule *schedule_find(Statement *statement, const char *name, Oid user);
static void read_definition(FunctionCallInfo fcinfo, Schedule *schedule);
static void read_limits(FunctionCallInfo fcinfo, Schedule *schedule);
static char *choice(FunctionCallInfo fcinfo, int argument, const char *what,
					const char *const *choices, int count);
static TimestampTz anchor_of(const Schedule *schedule);
static bool ticks_otherwise(const Schedule *before, const Schedule *schedule);
static void make_table(Schedule *schedule);
static void check(const Schedule *schedule, Oid owner);
static bool schedule_save(Statement *statement, const Schedule *schedule);
static char *schedule_name(FunctionCallInfo fcinfo);
static char *change_state(FunctionCallInfo fcinfo, const char *function, const char *from,
						  const char *to);

/*
 * Reads a schedule; NULL if it is gone.
 */
Schedule *
aion_schedule_read(int64 key)
{
	NullableDatum args[] = {aion_arg_int64(key)};
	Rows rows = aion_statement_execute(&select_schedule, args);
	Schedule *schedule = palloc0(sizeof(Schedule));

	if (rows.count == 0)
		return NULL;
	schedule->key = aion_row_int64(rows, 0, 1);
	schedule->owner_key = aion_row_int32(rows, 0, 2);
	schedule->name = aion_row_text(rows, 0, 3);
	schedule->workflow_type = aion_row_text(rows, 0, 4);
	schedule->cron = aion_row_text(rows, 0, 5);
	schedule->every = aion_row_interval(rows, 0, 6);
	schedule->anchor = aion_row_timestamp(rows, 0, 7);
	schedule->timezone = aion_row_text(rows, 0, 8);
	schedule->overlap = aion_row_text(rows, 0, 9);
	schedule->catch_up = aion_row_text(rows, 0, 10);
	schedule->jitter = aion_row_interval(rows, 0, 11);
	schedule->start_at =
		aion_row_isnull(rows, 0, 12) ? DT_NOBEGIN : aion_row_timestamp(rows, 0, 12);
	schedule->end_at = aion_row_timestamp(rows, 0, 13);
	schedule->max_runs = aion_row_int32(rows, 0, 14);
	schedule->input = aion_row_jsonb(rows, 0, 15);
	schedule->options = aion_row_jsonb(rows, 0, 16);
	schedule->state = aion_row_text(rows, 0, 17);
	schedule->next_at = aion_row_timestamp(rows, 0, 18);
	schedule->due_at = aion_row_timestamp(rows, 0, 19);
	schedule->runs = aion_row_int64(rows, 0, 20);
	schedule->reason = aion_row_text(rows, 0, 21);
	make_table(schedule);
	return schedule;
}

/*
 * Finds a schedule that a user may control, and takes its lock.  The error is the same for one that
 * does not exist and one that the user may not control.
 */
Schedule *
aion_schedule_lock(const char *name, Oid user)
{
	return schedule_find(&find_schedule, name, user);
}

/*
 * The same without waiting for a session that holds the lock; it is not taken then.
 */
Schedule *
aion_schedule_lock_if_free(const char *name, Oid user, bool *is_locked)
{
	Schedule *schedule = schedule_find(&see_schedule, name, user);
	NullableDatum args[] = {aion_arg_int64(schedule->key)};

	*is_locked = aion_statement_execute(&try_lock_schedule, args).count > 0;
	return *is_locked ? aion_schedule_read(schedule->key) : schedule;
}

static Schedule *
schedule_find(Statement *statement, const char *name, Oid user)
{
	NullableDatum args[] = {aion_arg_text(name)};
	Rows rows = aion_statement_execute(statement, args);

	if (rows.count == 0 || !aion_owner_controls(user, aion_row_int32(rows, 0, 2)))
		ereport(ERROR, (errcode(ERRCODE_WORKFLOW_NOT_FOUND),
						errmsg("schedule \"%s\" does not exist", name)));
	if (aion_guard_run() == aion_row_int64(rows, 0, 1))
		ereport(ERROR, (errcode(ERRCODE_NOT_ALLOWED_HERE),
						errmsg("code that a schedule calls cannot change that schedule")));
	return aion_schedule_read(aion_row_int64(rows, 0, 1));
}

/*
 * Moves a schedule to the next tick that is to be decided, if it may have any more, and arms its
 * timer.  Timers of cron expressions are armed by aion.ring_schedule(), except in a test, where no
 * job calls it, and for a tick that is due already.
 */
void
aion_schedule_move(Schedule *schedule, TimestampTz next)
{
	TimestampTz now = aion_clock_now();

	if (schedule->max_runs > 0 && schedule->runs >= schedule->max_runs)
		next = DT_NOEND;
	schedule->next_at = next;
	schedule->due_at = aion_timetable_due(&schedule->table, next);
	if (next == DT_NOEND)
		schedule->state = SCHEDULE_ENDED;
	else if (aion_schedule_is(schedule, SCHEDULE_ENDED))
		schedule->state = schedule->reason == NULL ? SCHEDULE_ACTIVE : SCHEDULE_PAUSED;
	{
		NullableDatum args[] = {
			aion_arg_int64(schedule->key),	aion_arg_text(schedule->state),
			aion_arg_timestamp(next),		aion_arg_timestamp(schedule->due_at),
			aion_arg_int64(schedule->runs), aion_arg_text(schedule->reason)};

		(void) aion_statement_execute(&move_schedule, args);
		(void) aion_statement_execute(&disarm, args);
	}
	if (aion_schedule_is(schedule, SCHEDULE_ACTIVE) &&
		(schedule->cron == NULL || aion_clock_is_virtual() || next <= now))
		aion_due_wake(schedule->key, schedule->owner_key, TIMER_NEXT_TICK, schedule->due_at);
}

bool
aion_schedule_is(const Schedule *schedule, const char *state)
{
	return strcmp(schedule->state, state) == 0;
}

/*
 * Prepares the start of a schedule's run.  Each tick has a workflow id of its own, so a run that
 * has this id already is the run of the tick, unless the options say something else.
 */
void
aion_schedule_prepare(const Schedule *schedule, Oid owner, StartRequest *request)
{
	memset(request, 0, sizeof(StartRequest));
	request->workflow_type = schedule->workflow_type;
	request->if_running = POLICY_USE_EXISTING;
	request->if_closed = POLICY_USE_EXISTING;
	request->start_at = DT_NOEND;
	request->owner = owner;
	request->schedule = schedule->name;
	(void) aion_start_read_options(schedule->options, false, request);
	aion_start_prepare(request);
}

/*
 * Reads the arguments that define a schedule; what they do not give stays as it is.
 */
static void
read_definition(FunctionCallInfo fcinfo, Schedule *schedule)
{
	static const char *const overlaps[] = {"skip", "buffer_one", "cancel_previous", "allow_all"};
	static const char *const catch_ups[] = {"skip", "one", "all"};

	if (!PG_ARGISNULL(ARG_WORKFLOW_TYPE))
		schedule->workflow_type = text_to_cstring(PG_GETARG_TEXT_PP(ARG_WORKFLOW_TYPE));
	aion_name_check(schedule->workflow_type, AION_NAME_MAX, "workflow type");
	if (!PG_ARGISNULL(ARG_CRON) && !PG_ARGISNULL(ARG_EVERY))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a schedule has either a cron expression or an interval"),
						errhint("Pass one of cron and every.")));
	if (!PG_ARGISNULL(ARG_CRON))
	{
		schedule->cron = text_to_cstring(PG_GETARG_TEXT_PP(ARG_CRON));
		schedule->every = NULL;
	}
	if (!PG_ARGISNULL(ARG_EVERY))
	{
		schedule->every = PG_GETARG_INTERVAL_P(ARG_EVERY);
		schedule->cron = NULL;
		aion_timetable_check_every(schedule->every);
	}
	if (schedule->cron == NULL && schedule->every == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a schedule needs a cron expression or an interval"),
						errhint("Pass one of cron and every.")));
	if (!PG_ARGISNULL(ARG_INPUT))
		schedule->input = PG_GETARG_JSONB_P(ARG_INPUT);
	if (!PG_ARGISNULL(ARG_OVERLAP) || schedule->overlap == NULL)
		schedule->overlap = choice(fcinfo, ARG_OVERLAP, "overlap", overlaps, lengthof(overlaps));
	if (!PG_ARGISNULL(ARG_CATCH_UP) || schedule->catch_up == NULL)
		schedule->catch_up =
			choice(fcinfo, ARG_CATCH_UP, "catch_up", catch_ups, lengthof(catch_ups));
	if (!PG_ARGISNULL(ARG_TIMEZONE) || schedule->timezone == NULL)
		schedule->timezone =
			PG_ARGISNULL(ARG_TIMEZONE) ? "UTC" : text_to_cstring(PG_GETARG_TEXT_PP(ARG_TIMEZONE));
	if (!PG_ARGISNULL(ARG_OPTIONS))
		schedule->options = PG_GETARG_JSONB_P(ARG_OPTIONS);
	read_limits(fcinfo, schedule);
}

/*
 * Reads the arguments that limit the ticks.
 */
static void
read_limits(FunctionCallInfo fcinfo, Schedule *schedule)
{
	if (!PG_ARGISNULL(ARG_JITTER))
	{
		schedule->jitter = PG_GETARG_INTERVAL_P(ARG_JITTER);
		aion_duration_check(schedule->jitter, true, "jitter");
		(void) aion_duration_after(0, schedule->jitter, "jitter");
	}
	if (schedule->jitter != NULL && schedule->every != NULL &&
		aion_duration_after(0, schedule->jitter, "jitter") >
			aion_duration_after(0, schedule->every, "every"))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("jitter must not be longer than every")));
	if (!PG_ARGISNULL(ARG_START_AT))
		schedule->start_at = PG_GETARG_TIMESTAMPTZ(ARG_START_AT);
	if (schedule->start_at == DT_NOEND)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("start_at must not be infinity")));
	if (!PG_ARGISNULL(ARG_END_AT))
		schedule->end_at = PG_GETARG_TIMESTAMPTZ(ARG_END_AT);
	if (schedule->end_at == DT_NOBEGIN || schedule->end_at < schedule->start_at)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("end_at is before the beginning")));
	if (!PG_ARGISNULL(ARG_MAX_RUNS))
		schedule->max_runs = PG_GETARG_INT32(ARG_MAX_RUNS);
	if (schedule->max_runs < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("max_runs must not be negative")));
}

static char *
choice(FunctionCallInfo fcinfo, int argument, const char *what, const char *const *choices,
	   int count)
{
	char *value = PG_ARGISNULL(argument) ? "NULL" : text_to_cstring(PG_GETARG_TEXT_PP(argument));
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < count; i++)
	{
		if (strcmp(value, choices[i]) == 0)
			return value;
		appendStringInfo(&list, i == 0 ? "%s" : ", %s", choices[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_INPUT), errmsg("invalid value for %s: \"%s\"", what, value),
			 errhint("Possible values are: %s.", list.data)));
}

/*
 * Returns the moment that intervals are counted from: start_at, else the current second.
 */
static TimestampTz
anchor_of(const Schedule *schedule)
{
	TimestampTz now = aion_clock_now();

	if (schedule->start_at != DT_NOBEGIN)
		return schedule->start_at;
	return now - (now % USECS_PER_SEC + USECS_PER_SEC) % USECS_PER_SEC;
}

/*
 * Tells whether a changed schedule ticks at other moments than before.
 */
static bool
ticks_otherwise(const Schedule *before, const Schedule *schedule)
{
	if ((before->cron == NULL) != (schedule->cron == NULL) ||
		aion_schedule_is(schedule, SCHEDULE_ENDED))
		return true;
	if (schedule->cron != NULL ? strcmp(before->cron, schedule->cron) != 0
							   : memcmp(before->every, schedule->every, sizeof(Interval)) != 0)
		return true;
	return strcmp(before->timezone, schedule->timezone) != 0 ||
		   before->start_at != schedule->start_at || before->end_at != schedule->end_at;
}

/*
 * Makes the timetable of a definition, and refuses an invalid one.
 */
static void
make_table(Schedule *schedule)
{
	Timetable *table = &schedule->table;

	memset(table, 0, sizeof(Timetable));
	table->expression = schedule->cron;
	if (schedule->cron != NULL)
		aion_cron_parse(schedule->cron, &table->cron);
	else
		table->every = *schedule->every;
	table->zone = aion_zone_find(schedule->timezone);
	table->anchor = schedule->anchor;
	table->start_at = schedule->start_at;
	table->end_at = schedule->end_at;
	if (schedule->jitter != NULL)
		table->jitter = aion_duration_after(0, schedule->jitter, "jitter");
	table->name = schedule->name;
}

/*
 * Refuses a definition whose runs the owner could not start.
 */
static void
check(const Schedule *schedule, Oid owner)
{
	StartRequest request;

	aion_schedule_prepare(schedule, owner, &request);
	(void) aion_start_check(&request, schedule->input);
}

/*
 * Writes the definition; false if the name is taken.
 */
static bool
schedule_save(Statement *statement, const Schedule *schedule)
{
	NullableDatum args[] = {
		aion_arg_int64(schedule->key),
		aion_arg_int32(schedule->owner_key),
		aion_arg_text(schedule->name),
		aion_arg_text(schedule->workflow_type),
		aion_arg_text(schedule->cron),
		aion_arg_interval(schedule->every),
		aion_arg_timestamp(schedule->anchor),
		aion_arg_text(schedule->timezone),
		aion_arg_text(schedule->overlap),
		aion_arg_text(schedule->catch_up),
		aion_arg_interval(schedule->jitter),
		aion_arg_timestamp(schedule->start_at == DT_NOBEGIN ? DT_NOEND : schedule->start_at),
		aion_arg_timestamp(schedule->end_at),
		schedule->max_runs > 0 ? aion_arg_int32(schedule->max_runs) : aion_arg_null(),
		aion_arg_jsonb(schedule->input),
		aion_arg_jsonb(schedule->options)};

	return aion_statement_execute(statement, args).count == 1;
}

static char *
schedule_name(FunctionCallInfo fcinfo)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));

	aion_name_check(name, AION_NAME_MAX, "schedule name");
	return name;
}

/*
 * Pauses or resumes.  The next process that looks at the schedule does what catch_up says, since
 * the first tick that is not decided stays the same.
 */
static char *
change_state(FunctionCallInfo fcinfo, const char *function, const char *from, const char *to)
{
	char *name = schedule_name(fcinfo);
	Oid user = GetUserId();
	Authority authority;
	Schedule *schedule;
	char *state;

	aion_guard_client_call(function);
	aion_authority_assume(&authority);
	schedule = aion_schedule_lock(name, user);
	if (aion_schedule_is(schedule, from))
		schedule->state = unconstify(char *, to);
	if (strcmp(to, SCHEDULE_ACTIVE) == 0)
		schedule->reason = NULL;
	aion_schedule_move(schedule, schedule->next_at);
	aion_cron_job_set(schedule);
	if (strcmp(to, SCHEDULE_ACTIVE) == 0)
		aion_due_wake(schedule->key, schedule->owner_key, TIMER_ASKED_TICK, aion_clock_now());
	state = pstrdup(schedule->state);
	aion_authority_drop(&authority);
	return state;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_create_schedule);
PG_FUNCTION_INFO_V1(aion_update_schedule);
PG_FUNCTION_INFO_V1(aion_pause_schedule);
PG_FUNCTION_INFO_V1(aion_resume_schedule);
PG_FUNCTION_INFO_V1(aion_delete_schedule);
PG_FUNCTION_INFO_V1(aion_next_ticks);
PG_FUNCTION_INFO_V1(aion_scheduled_for);
PG_FUNCTION_INFO_V1(aion_cron_ticks);

/*
 * create_schedule(name, workflow_type, cron, every, input, ...)
 */
Datum
aion_create_schedule(PG_FUNCTION_ARGS)
{
	Schedule schedule = {.start_at = DT_NOBEGIN, .end_at = DT_NOEND, .state = SCHEDULE_ACTIVE};
	TimestampTz now = aion_clock_now();
	Oid user = GetUserId();
	Authority authority;
	TimestampTz first;

	aion_guard_client_call("aion.create_schedule");
	schedule.name = schedule_name(fcinfo);
	schedule.options = aion_json_empty();
	read_definition(fcinfo, &schedule);
	schedule.anchor = anchor_of(&schedule);
	make_table(&schedule);
	first = aion_timetable_next(&schedule.table, now);
	if (first == DT_NOEND)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("schedule \"%s\" would never tick", schedule.name),
						errhint("See the parameters start_at and end_at.")));
	check(&schedule, user);

	aion_authority_assume(&authority);
	if (schedule.cron != NULL && !aion_clock_is_virtual())
		aion_cron_job_require();
	schedule.owner_key = aion_owner_key(user);
	schedule.key =
		nextval_internal(get_relname_relid("_run_run_key_seq", aion_extension()->schema), false);
	if (!schedule_save(&insert_schedule, &schedule))
		ereport(ERROR, (errcode(ERRCODE_NAME_IN_USE),
						errmsg("schedule \"%s\" exists already", schedule.name),
						errhint("Choose another name, or use aion.update_schedule().")));
	aion_schedule_move(&schedule, first);
	aion_cron_job_set(&schedule);
	if (aion_clock_is_virtual())
		aion_touched_note_started(schedule.key); /* by this a test knows its own schedules */
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * update_schedule(name, workflow_type, cron, every, input, ...)
 *
 * A new timetable applies from now on: the next tick is the first one from now.  One that is given
 * as it was changes nothing, so a deploy may repeat what it says.
 */
Datum
aion_update_schedule(PG_FUNCTION_ARGS)
{
	char *name = schedule_name(fcinfo);
	Oid user = GetUserId();
	Authority authority;
	GuardState outside;
	Schedule *schedule;
	Schedule before;
	bool retimed;
	Oid owner;

	aion_guard_client_call("aion.update_schedule");
	aion_authority_assume(&authority);
	schedule = aion_schedule_lock(name, user);
	owner = aion_owner_role(schedule->owner_key);
	aion_authority_drop(&authority);
	if (!OidIsValid(owner) || !has_privs_of_role(user, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must have the privileges of the owner to update schedule \"%s\"", name)));
	before = *schedule;
	read_definition(fcinfo, schedule);
	retimed = ticks_otherwise(&before, schedule);
	if (retimed && (!PG_ARGISNULL(ARG_START_AT) || !PG_ARGISNULL(ARG_EVERY)))
		schedule->anchor = anchor_of(schedule);
	make_table(schedule);
	aion_guard_begin_run(schedule->key, &outside);
	check(schedule, owner);
	aion_guard_leave(&outside);

	aion_authority_assume(&authority);
	if (schedule->cron != NULL && !aion_clock_is_virtual())
		aion_cron_job_require();
	(void) schedule_save(&update_schedule, schedule);
	aion_schedule_move(schedule, retimed ? aion_timetable_next(&schedule->table, aion_clock_now())
										 : schedule->next_at);
	aion_cron_job_set(schedule);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

Datum
aion_pause_schedule(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(
		change_state(fcinfo, "aion.pause_schedule", SCHEDULE_ACTIVE, SCHEDULE_PAUSED)));
}

Datum
aion_resume_schedule(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(
		change_state(fcinfo, "aion.resume_schedule", SCHEDULE_PAUSED, SCHEDULE_ACTIVE)));
}

Datum
aion_delete_schedule(PG_FUNCTION_ARGS)
{
	char *name = schedule_name(fcinfo);
	Oid user = GetUserId();
	Authority authority;
	Schedule *schedule;

	aion_guard_client_call("aion.delete_schedule");
	aion_authority_assume(&authority);
	schedule = aion_schedule_lock(name, user);
	schedule->state = SCHEDULE_ENDED;
	aion_cron_job_set(schedule);
	{
		NullableDatum args[] = {aion_arg_int64(schedule->key)};

		(void) aion_statement_execute(&delete_schedule, args);
		(void) aion_statement_execute(&delete_ticks, args);
	}
	aion_due_forget(schedule->key);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * next_ticks(name, n) -> set of moments
 */
Datum
aion_next_ticks(PG_FUNCTION_ARGS)
{
	char *name = schedule_name(fcinfo);
	int64 n = PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1);
	Oid user = GetUserId();
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Authority authority;
	Schedule *schedule;
	TimestampTz tick;

	aion_guard_client_call("aion.next_ticks");
	if (n < 0 || n > MOST_TICKS)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("n must be a number from 0 to %d", MOST_TICKS)));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	aion_authority_assume(&authority);
	schedule = aion_schedule_lock(name, user);
	if (schedule->max_runs > 0)
		n = Min(n, schedule->max_runs - schedule->runs);
	tick = schedule->next_at;
	if (tick != DT_NOEND && tick <= aion_clock_now())
		tick = aion_timetable_next(&schedule->table, aion_clock_now());
	for (; n > 0 && tick != DT_NOEND; n--)
	{
		Datum value = TimestampTzGetDatum(tick);
		bool isnull = false;

		tuplestore_putvalues(set->setResult, set->setDesc, &value, &isnull);
		tick = aion_timetable_next(&schedule->table, tick);
	}
	aion_authority_drop(&authority);
	return (Datum) 0;
}

Datum
aion_scheduled_for(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.scheduled_for");

	if (turn->run->started.scheduled_for == DT_NOEND)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(turn->run->started.scheduled_for);
}

/*
 * _cron_ticks(cron, timezone, after, n) -> set of moments
 */
Datum
aion_cron_ticks(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	int n = PG_ARGISNULL(3) ? 0 : Min(PG_GETARG_INT32(3), MOST_TICKS);
	TimestampTz tick;
	pg_tz *zone;
	Cron cron;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) ||
		TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(2)))
		return (Datum) 0;
	aion_cron_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &cron);
	zone = aion_zone_find(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	tick = PG_GETARG_TIMESTAMPTZ(2);
	for (int i = 0; i < n && (tick = aion_cron_next(&cron, zone, tick)) != DT_NOEND; i++)
	{
		Datum value = TimestampTzGetDatum(tick);
		bool isnull = false;

		tuplestore_putvalues(set->setResult, set->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}
