/*
 * guc.c
 *		Every setting of aion, sorted by name.
 *
 * Settings that limit how long the engine waits or the rights of other roles can be set by
 * superusers only.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "support/crash_point.h"

bool aion_allow_definer_start = false;
bool aion_allow_superuser_workflows = false;
bool aion_auto_deploy = true;
int aion_batch_lock_timeout = 5;
int aion_batch_time = 10;
int aion_batch_turns = 100;
int aion_determinism = DETERMINISM_STRICT;
char *aion_execution = "on";
int aion_history_cache = 16 * 1024; /* kB */
int aion_log_incidents = LOG;
int aion_log_incidents_per_second = 10;
int aion_max_history_events = 50000;
int aion_max_payload_size = 16 * 1024;
int aion_max_runners = 4;
int aion_max_runners_per_owner = 0;
bool aion_notify_incidents = false;
bool aion_optimistic_turns = true;
int aion_retention = 90 * SECS_PER_DAY;
int aion_runner_idle_timeout = 5 * 60 * 1000;
int aion_runner_memory = 256 * 1024; /* kB */
int aion_turn_attempts = 8;
int aion_turn_timeout = 10 * 1000;
int aion_verify_turns = VERIFY_TESTS;

static void define_incidents(void);

static const struct config_enum_entry incident_levels[] = {
	{"off", 0, false},			 {"debug", DEBUG1, false}, {"notice", NOTICE, false},
	{"warning", WARNING, false}, {"log", LOG, false},	   {NULL, 0, false}};

static const struct config_enum_entry determinism_levels[] = {{"off", DETERMINISM_OFF, false},
															  {"warn", DETERMINISM_WARN, false},
															  {"strict", DETERMINISM_STRICT, false},
															  {NULL, 0, false}};

static const struct config_enum_entry verify_levels[] = {{"off", VERIFY_OFF, false},
														 {"tests", VERIFY_TESTS, false},
														 {"on", VERIFY_ON, false},
														 {NULL, 0, false}};

void
aion_guc_define(void)
{
	define_incidents();
	DefineCustomBoolVariable(
		"aion.allow_definer_start",
		"Allows starting workflows inside a security-definer function of another role.",
		"The run would belong to the owner of that function.", &aion_allow_definer_start, false,
		PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable(
		"aion.allow_superuser_workflows", "Allows runs that are owned by a superuser.", NULL,
		&aion_allow_superuser_workflows, false, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("aion.auto_deploy",
							 "Makes a replaced handler function the version that new starts use.",
							 NULL, &aion_auto_deploy, true, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.batch_lock_timeout",
							"Sets how long a run that shares its transaction with others may wait "
							"for a lock.",
							"After that it is executed again in a transaction of its own.",
							&aion_batch_lock_timeout, 5, 1, 10000, PGC_SIGHUP, GUC_UNIT_MS, NULL,
							NULL, NULL);
	DefineCustomIntVariable("aion.batch_time",
							"Sets how long the turns, or short activities, of one transaction may "
							"take before it commits.",
							NULL, &aion_batch_time, 10, 1, 10000, PGC_SUSET, GUC_UNIT_MS, NULL,
							NULL, NULL);
	DefineCustomIntVariable("aion.batch_turns",
							"Sets how many runs may share one transaction of a runner.", NULL,
							&aion_batch_turns, 100, 1, 1000, PGC_SIGHUP, 0, NULL, NULL, NULL);
#ifdef AION_CRASH_POINTS
	DefineCustomStringVariable("aion.crash_point", "Names the place where a process dies, once.",
							   "Exists in a test build only.", &aion_crash_at, "", PGC_SUSET, 0,
							   NULL, NULL, NULL);
#endif
	DefineCustomEnumVariable("aion.determinism",
							 "Sets what becomes of workflow code that reads what differs from one "
							 "execution to the next.",
							 "strict blocks its run, warn writes a message, off does not look.",
							 &aion_determinism, DETERMINISM_STRICT, determinism_levels, PGC_USERSET,
							 0, NULL, NULL, NULL);
	DefineCustomStringVariable("aion.execution",
							   "Sets whether runs are executed here: on, off, or the name under "
							   "which the database was adopted.",
							   NULL, &aion_execution, "on", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.history_cache",
							"Sets how much memory a runner keeps long histories in, so that it "
							"reads only what is new of them.",
							"0 keeps none.", &aion_history_cache, 16 * 1024, 0, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"aion.max_history_events", "Sets how many events the history of a run should have at most.",
		"With more there is a warning, and twice as many block the run.", &aion_max_history_events,
		50000, 10, INT_MAX / 2, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.max_payload_size", "Sets the largest input, result or message.",
							NULL, &aion_max_payload_size, 16 * 1024, 1, 200 * 1024, PGC_SUSET,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"aion.max_runners", "Sets the number of background workers that execute runs.",
		"0 leaves all execution to aion.drive().", &aion_max_runners, 4, 0, 1000,
		process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP, 0, NULL, NULL,
		NULL);
	DefineCustomIntVariable("aion.max_runners_per_owner",
							"Sets how many of the background workers may execute turns of one "
							"owner, and how many activities.",
							"0 sets no limit. Can be set for a role; it holds for workers that "
							"begin after that.",
							&aion_max_runners_per_owner, 0, 0, 1000, PGC_SUSET, 0, NULL, NULL,
							NULL);
	DefineCustomBoolVariable("aion.optimistic_turns",
							 "Executes inline activities where workflow code calls them, if all "
							 "of the turn can be kept.",
							 NULL, &aion_optimistic_turns, true, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.retention", "Sets how long runs are kept after they have closed.",
							"-1 keeps them until they are purged.", &aion_retention,
							90 * SECS_PER_DAY, -1, INT_MAX, PGC_SUSET, GUC_UNIT_S, NULL, NULL,
							NULL);
	DefineCustomIntVariable("aion.runner_idle_timeout",
							"Sets how long a runner that has nothing to do stays.", NULL,
							&aion_runner_idle_timeout, 5 * 60 * 1000, 1, INT_MAX, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.runner_memory",
							"Sets how much memory a runner may keep between transactions before "
							"another takes its place.",
							"What it keeps of code that it has executed grows with the number of "
							"versions.  aion.history_cache is not counted.",
							&aion_runner_memory, 256 * 1024, 16 * 1024, MAX_KILOBYTES, PGC_SIGHUP,
							GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.turn_attempts",
							"Sets how often a turn is repeated after a failure of the machine "
							"until its run is blocked.",
							NULL, &aion_turn_attempts, 8, 1, 1000, PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.turn_timeout",
							"Sets how long a turn or an inline activity may take.", NULL,
							&aion_turn_timeout, 10 * 1000, 1, 24 * 60 * 60 * 1000, PGC_SUSET,
							GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomEnumVariable(
		"aion.verify_turns",
		"Sets whether workflow code is executed twice before anything of a turn is recorded.",
		"tests does so in transactions that use aion_test.begin(). A difference blocks the run.",
		&aion_verify_turns, VERIFY_TESTS, verify_levels, PGC_USERSET, 0, NULL, NULL, NULL);
	MarkGUCPrefixReserved("aion");
}

/*
 * Defines what is said of runs that fail.
 */
static void
define_incidents(void)
{
	DefineCustomEnumVariable("aion.log_incidents",
							 "Sets the level of the messages that tell which runs fail, time out, "
							 "are blocked or quarantined, and which schedules pause themselves.",
							 "off writes none.", &aion_log_incidents, LOG, incident_levels,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("aion.log_incidents_per_second",
							"Sets how many of these messages there are per second for each owner.",
							"What is left out is counted in aion.stat_engine.",
							&aion_log_incidents_per_second, 10, 1, 10000, PGC_SUSET, 0, NULL, NULL,
							NULL);
	DefineCustomBoolVariable("aion.notify_incidents",
							 "Sends the same as notifications on channel aion_incident.",
							 "The notification names no run, but its run_key. Commits with "
							 "notifications wait for each other.",
							 &aion_notify_incidents, false, PGC_SUSET, 0, NULL, NULL, NULL);
}
