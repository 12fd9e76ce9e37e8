/*
 * cron_job.c
 *		Jobs of pg_cron, which let the engine look at schedules that tick by a cron expression.
 *
 * A job does not say when the schedule ticks: its command makes the engine look, and the expression
 * in the schedule's own time zone decides.  So a job that runs too often, twice or late does no
 * harm.  pg_cron counts in UTC; the job runs at every time of day at which the schedule could tick
 * under any offset its time zone will have in the next years, and where the clocks are put forward
 * over a tick.
 *
 * The job belongs to the owner of the extension and executes no code of users: ticks that are due
 * are decided in a process of the schedule's owner.  So no other role needs a right on pg_cron, or
 * to be able to connect the way that pg_cron does.  The functions of pg_cron are called directly,
 * and only if they are members of its extension: any role may own a schema of that name.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "code/guard.h"
#include "code/owner.h"
#include "schedules/schedule.h"
#include "support/clock.h"
#include "support/extension.h"
#include "support/statement.h"

#define MINUTES_PER_DAY (24 * 60)
#define HORIZON (5 * 366 * (pg_time_t) SECS_PER_DAY)
#define JOB_PREFIX "aion:"
#define COMMAND "SELECT aion.ring_schedule(%s)"

static Statement select_job =
	STATEMENT(SELECT,
			  "SELECT jobid, schedule, command, active, jobname::text FROM cron.job"
			  " WHERE (jobname = $1 OR starts_with(jobname, '" JOB_PREFIX "') AND command = $2)"
			  " AND database = pg_catalog.current_database() AND username = CURRENT_USER",
			  TEXTOID, TEXTOID);
static Statement select_jobs =
	STATEMENT(SELECT, "SELECT jobid FROM cron.job WHERE starts_with(jobname, '" JOB_PREFIX "')"
					  " AND starts_with(command, 'SELECT aion.ring_schedule(')"
					  " AND database = pg_catalog.current_database()");
static Statement select_wanted =
	STATEMENT(SELECT, "SELECT run_key, owner_key, name FROM aion._schedule"
					  " WHERE cron IS NOT NULL AND state = 'active' ORDER BY name");
static const char *problem(char **hint);
static Oid cron_function(const char *name, const Oid *types, int count);
static Oid schedule_function(void);
static Rows jobs_of(int64 key, const char *schedule);
static bool has_job(int64 key, const char *schedule);
static char *job_name(int64 key);
static char *command_of(const char *schedule);
static void remove_job(int64 job);
static bool set(const Schedule *schedule);
static char *pattern(const Timetable *table);
static void mark_times(const Cron *cron, long offset, bool *times);
static void mark_gap(const Cron *cron, pg_time_t boundary, long before, long after, bool *times);
static char *list(const bool *values, int count);

/*
 * Refuses to go on where pg_cron would not call aion.ring_schedule().
 */
void
aion_cron_job_require(void)
{
	char *hint;
	const char *what = problem(&hint);

	if (what != NULL)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("a schedule with a cron expression needs pg_cron, which %s", what),
						errhint("%s Or use the parameter every.", hint)));
}

/*
 * Makes, replaces or removes the job of a schedule: it has one if it ticks by an expression and is
 * active.
 */
void
aion_cron_job_set(const Schedule *schedule)
{
	if (!aion_clock_is_virtual())
		(void) set(schedule);
}

/*
 * Removes every job, before the extension is dropped.
 */
void
aion_cron_job_remove_all(void)
{
	char *hint;
	Rows rows;

	if (problem(&hint) != NULL)
		return;
	rows = aion_statement_execute(&select_jobs, NULL);
	for (uint64 row = 0; row < rows.count; row++)
		remove_job(aion_row_int64(rows, row, 1));
}

/*
 * The same; returns whether a job was made.
 */
static bool
set(const Schedule *schedule)
{
	bool wanted = schedule->cron != NULL && aion_schedule_is(schedule, SCHEDULE_ACTIVE);
	char *name = job_name(schedule->key);
	char *command = command_of(schedule->name);
	bool there = false;
	char *times = NULL;
	char *hint;
	Rows rows;

	if (wanted)
	{
		aion_cron_job_require();
		times = pattern(&schedule->table);
	}
	else if (problem(&hint) != NULL)
		return false; /* nor is there a job */
	rows = jobs_of(schedule->key, schedule->name);
	for (uint64 row = 0; row < rows.count; row++)
	{
		if (wanted && strcmp(aion_row_text(rows, row, 2), times) == 0 &&
			strcmp(aion_row_text(rows, row, 3), command) == 0 && aion_row_bool(rows, row, 4) &&
			strcmp(aion_row_text(rows, row, 5), name) == 0)
			there = true;
		else
			remove_job(aion_row_int64(rows, row, 1));
	}
	if (there)
		return false;
	if (wanted)
		(void) OidFunctionCall6(
			schedule_function(), CStringGetTextDatum(name), CStringGetTextDatum(times),
			CStringGetTextDatum(command), CStringGetTextDatum(get_database_name(MyDatabaseId)),
			CStringGetTextDatum(GetUserNameFromId(GetUserId(), false)), BoolGetDatum(true));
	return wanted;
}

/*
 * Tells what is wrong with pg_cron, and what to do about it; NULL if nothing is.
 */
static const char *
problem(char **hint)
{
	const char *database = get_database_name(MyDatabaseId);
	const char *configured;

	if (strstr(shared_preload_libraries_string, "pg_cron") == NULL)
	{
		*hint = psprintf("Install pg_cron (the package postgresql-%d-cron), add pg_cron to "
						 "shared_preload_libraries, set cron.database_name to %s, restart the "
						 "server, and use CREATE EXTENSION pg_cron.",
						 PG_MAJORVERSION_NUM, quote_literal_cstr(database));
		return "is not preloaded";
	}
	configured = GetConfigOption("cron.database_name", true, false);
	if (configured == NULL || strcmp(configured, database) != 0)
	{
		*hint = psprintf("Set cron.database_name to %s, restart the server, and use "
						 "CREATE EXTENSION pg_cron.",
						 quote_literal_cstr(database));
		return psprintf("is configured for database \"%s\"", configured != NULL ? configured : "");
	}
	if (!OidIsValid(get_extension_oid("pg_cron", true)))
	{
		*hint = "Use CREATE EXTENSION pg_cron.";
		return "is not installed in this database";
	}
	if (!OidIsValid(schedule_function()))
	{
		*hint = "Install version 1.4 or a later one, and use ALTER EXTENSION pg_cron UPDATE.";
		return "is too old";
	}
	return NULL;
}

/*
 * Finds a function of pg_cron; InvalidOid if there is none that is a member of the extension.
 */
static Oid
cron_function(const char *name, const Oid *types, int count)
{
	Oid schema = get_namespace_oid("cron", true);
	Oid extension = get_extension_oid("pg_cron", true);
	Oid table = OidIsValid(schema) ? get_relname_relid("job", schema) : InvalidOid;
	Oid function;

	if (!OidIsValid(table) || !OidIsValid(extension))
		return InvalidOid;
	function =
		GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name),
						PointerGetDatum(buildoidvector(types, count)), ObjectIdGetDatum(schema));
	if (!OidIsValid(function) || getExtensionOfObject(ProcedureRelationId, function) != extension ||
		getExtensionOfObject(RelationRelationId, table) != extension)
		return InvalidOid;
	return function;
}

static Oid
schedule_function(void)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, BOOLOID};

	return cron_function("schedule_in_database", types, lengthof(types));
}

/*
 * Finds the job of a schedule.  One that 0.1 has made has the name of the schedule, which may be
 * longer than that of a job.
 */
static Rows
jobs_of(int64 key, const char *schedule)
{
	NullableDatum args[] = {aion_arg_text(job_name(key)), aion_arg_text(command_of(schedule))};

	return aion_statement_execute(&select_job, args);
}

/*
 * Tells whether a schedule has an active job with its command.
 */
static bool
has_job(int64 key, const char *schedule)
{
	Rows rows = jobs_of(key, schedule);

	return rows.count > 0 && aion_row_bool(rows, 0, 4) &&
		   strcmp(aion_row_text(rows, 0, 3), command_of(schedule)) == 0;
}

static char *
job_name(int64 key)
{
	return psprintf(JOB_PREFIX INT64_FORMAT, key);
}

static char *
command_of(const char *schedule)
{
	return psprintf(COMMAND, quote_literal_cstr(schedule));
}

static void
remove_job(int64 job)
{
	static const Oid types[] = {INT8OID};

	(void) OidFunctionCall1(cron_function("unschedule", types, lengthof(types)),
							Int64GetDatum(job));
}

/*
 * Makes the expression of a job: at which minutes of which hours, in UTC, a tick may be due.
 */
static char *
pattern(const Timetable *table)
{
	pg_time_t at = timestamptz_to_time_t(aion_clock_now());
	pg_time_t end = at + HORIZON;
	bool times[MINUTES_PER_DAY] = {false};
	bool minutes[60] = {false};
	bool hours[24] = {false};
	int found;

	do
	{
		pg_time_t boundary = end;
		long before = 0;
		long after = 0;
		int dst_before;
		int dst_after;

		found = pg_next_dst_boundary(&at, &before, &dst_before, &boundary, &after, &dst_after,
									 table->zone);
		mark_times(&table->cron, before, times);
		if (found > 0 && after > before && table->cron.hours != CRON_HOURS)
			mark_gap(&table->cron, boundary, before, after, times);
		at = boundary;
	} while (found > 0 && at < end);
	for (int i = 0; i < MINUTES_PER_DAY; i++)
	{
		minutes[i % 60] = minutes[i % 60] || times[i];
		hours[i / 60] = hours[i / 60] || times[i];
	}
	return psprintf("%s %s * * *", list(minutes, lengthof(minutes)), list(hours, lengthof(hours)));
}

/*
 * Marks the times of a UTC day at which an expression matches local time under an offset.
 */
static void
mark_times(const Cron *cron, long offset, bool *times)
{
	for (int local = 0; local < MINUTES_PER_DAY; local++)
	{
		long utc = local - offset / 60;

		if ((cron->hours >> local / 60 & 1) != 0 && (cron->minutes >> local % 60 & 1) != 0)
			times[(utc % MINUTES_PER_DAY + MINUTES_PER_DAY) % MINUTES_PER_DAY] = true;
	}
}

/*
 * Marks the end of a gap in local time, if the expression matches in it.
 */
static void
mark_gap(const Cron *cron, pg_time_t boundary, long before, long after, bool *times)
{
	for (pg_time_t local = boundary + before; local < boundary + after; local += 60)
	{
		int minute = (int) (local / 60 % MINUTES_PER_DAY);

		if ((cron->hours >> minute / 60 & 1) != 0 && (cron->minutes >> minute % 60 & 1) != 0)
			times[boundary / 60 % MINUTES_PER_DAY] = true;
	}
}

static char *
list(const bool *values, int count)
{
	StringInfoData text;
	bool all = true;

	initStringInfo(&text);
	for (int i = 0; i < count; i++)
	{
		if (values[i])
			appendStringInfo(&text, text.len == 0 ? "%d" : ",%d", i);
		all = all && values[i];
	}
	return all ? "*" : text.data;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_repair_schedules);
PG_FUNCTION_INFO_V1(aion_missing_bells);

/*
 * repair_schedules() -> number of jobs made
 */
Datum
aion_repair_schedules(PG_FUNCTION_ARGS)
{
	Oid user = GetUserId();
	Authority authority;
	Rows rows;
	int64 made = 0;

	aion_guard_client_call("aion.repair_schedules");
	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_wanted, NULL);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Schedule *schedule;
		bool is_locked;

		if (!aion_owner_controls(user, aion_row_int32(rows, row, 2)))
			continue;
		schedule = aion_schedule_lock_if_free(aion_row_text(rows, row, 3), user, &is_locked);
		if (is_locked &&
			!aion_clock_is_virtual()) /* else its next ring, or another call, makes it */
			made += set(schedule);
	}
	aion_authority_drop(&authority);
	PG_RETURN_INT64(made);
}

/*
 * _missing_bells() -> (bells, missing, problem)
 */
Datum
aion_missing_bells(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set_info = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum values[3];
	bool nulls[3] = {false};
	Oid user = GetUserId();
	Authority authority;
	const char *what;
	char *hint;
	int64 wanted = 0;
	int64 missing = 0;
	bool all;
	Rows rows;

	InitMaterializedSRF(fcinfo, 0);
	aion_authority_assume_to_read(&authority);
	what = problem(&hint);
	all = aion_owner_access(user) >= ACCESS_MONITOR;
	rows = aion_statement_execute(&select_wanted, NULL);
	for (uint64 row = 0; row < rows.count; row++)
	{
		if (!all && !aion_owner_controls(user, aion_row_int32(rows, row, 2)))
			continue;
		wanted++;
		missing +=
			what != NULL || !has_job(aion_row_int64(rows, row, 1), aion_row_text(rows, row, 3));
	}
	values[0] = Int64GetDatum(wanted);
	values[1] = Int64GetDatum(missing);
	nulls[2] = what == NULL;
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(psprintf("pg_cron %s", what));
	aion_authority_drop(&authority);
	tuplestore_putvalues(set_info->setResult, set_info->setDesc, values, nulls);
	return (Datum) 0;
}
