/*
 * registration.c
 *		Registered activities: the owner of each, how it is executed, and whether it can be.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "activities/policy.h"
#include "activities/registration.h"
#include "code/adoption.h"
#include "code/guard.h"
#include "code/owner.h"
#include "run/deploy.h"
#include "run/run.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/registry.h"
#include "support/statement.h"

static Statement select_activity = STATEMENT(
	SELECT, "SELECT owner_key, handler, mode, policy, settings FROM aion._activity WHERE name = $1",
	TEXTOID);
static Statement insert_activity =
	STATEMENT(INSERT,
			  "INSERT INTO aion._activity (name, owner_key, handler, mode, task_queue, policy,"
			  " settings) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING",
			  TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID);
static Statement lock_activity =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._activity WHERE name = $1 FOR UPDATE", TEXTOID);
static Statement update_activity =
	STATEMENT(UPDATE,
			  "UPDATE aion._activity SET owner_key = $2, handler = $3, mode = $4, task_queue = $5,"
			  " policy = $6, settings = $7 WHERE name = $1",
			  TEXTOID, INT4OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID);
static Statement delete_activity =
	STATEMENT(DELETE, "DELETE FROM aion._activity WHERE name = $1", TEXTOID);

static const char *const mode_words[] = {
	[MODE_INLINE] = "inline", [MODE_BACKGROUND] = "background", [MODE_EXTERNAL] = "external"};

static Registry registrations = {.table = "_activity"};

static Registration *registration_find(const char *name);
static const Handler *callable(Registration *activity);
static bool is_obstructed(const Handler *handler, Oid owner, Obstacle *obstacle);
static ActivityMode mode_of(const char *word);
static Jsonb *registration_policy_of(FunctionCallInfo fcinfo, const char *task_queue,
									 ActivityMode mode);
static void check_policy(const Policy *policy, ActivityMode mode);
static void report_settings(const Registration *last, const CodeSettings *settings);

void
aion_registration_init(void)
{
	aion_registry_init(&registrations);
}

/*
 * Finds an activity by name; NULL if it is not registered.
 */
static Registration *
registration_find(const char *name)
{
	NullableDatum args[] = {aion_arg_text(name)};
	MemoryContext caller;
	Registration *activity;
	ListCell *cell;
	Rows rows;

	aion_registry_refresh(&registrations);
	foreach (cell, registrations.entries)
	{
		activity = lfirst(cell);
		if (strcmp(activity->name, name) == 0)
			return activity;
	}
	rows = aion_statement_execute(&select_activity, args);
	if (rows.count == 0)
		return NULL;
	caller = MemoryContextSwitchTo(registrations.context);
	activity = palloc0(sizeof(Registration));
	activity->name = pstrdup(name);
	activity->owner_key = aion_row_int32(rows, 0, 1);
	activity->signature = aion_row_text(rows, 0, 2);
	activity->mode = mode_of(aion_row_text(rows, 0, 3));
	activity->policy = aion_row_jsonb(rows, 0, 4);
	aion_code_settings_from_json(aion_row_jsonb(rows, 0, 5), &activity->settings);
	registrations.entries = lappend(registrations.entries, activity);
	MemoryContextSwitchTo(caller);
	return activity;
}

/*
 * Returns the function of an activity as it is now.
 */
static const Handler *
callable(Registration *activity)
{
	Oid function;
	MemoryContext caller;

	if (activity->checked_epoch == aion_registry_function_epoch())
		return activity->handler;
	if (activity->handler == NULL || !aion_handler_is_current(activity->handler))
	{
		activity->handler = NULL;
		function = aion_handler_resolve(activity->signature);
		if (OidIsValid(function))
		{
			caller = MemoryContextSwitchTo(registrations.context);
			activity->handler =
				aion_handler_read(function, psprintf("activity \"%s\"", activity->name));
			MemoryContextSwitchTo(caller);
		}
	}
	activity->checked_epoch = aion_registry_function_epoch();
	return activity->handler;
}

/*
 * Finds an activity and, unless it is external, its function; NULL and the obstacle if it cannot be
 * executed for the current user.  An obstacle is no failure of the activity: it can be fixed.
 */
const Registration *
aion_registration_find(const char *name, const Handler **handler, Obstacle *obstacle)
{
	Oid owner = GetUserId();
	Authority authority;
	Registration *activity;
	bool obstructed = true;

	*obstacle = (Obstacle){BLOCKED_MISSING_CODE, NULL, NULL};
	aion_authority_assume(&authority);
	activity = registration_find(name);
	if (activity == NULL || !aion_registered_for(activity->owner_key, owner))
		obstacle->message = "the activity is not registered";
	else if (activity->mode == MODE_EXTERNAL)
		obstructed = false;
	else
	{
		obstacle->signature = activity->signature;
		*handler = callable(activity);
		obstructed = is_obstructed(*handler, owner, obstacle);
	}
	aion_authority_drop(&authority);
	return obstructed ? NULL : activity;
}

static bool
is_obstructed(const Handler *handler, Oid owner, Obstacle *obstacle)
{
	if (handler == NULL)
		obstacle->message = "the function does not exist";
	else
	{
		obstacle->reason = BLOCKED_MISSING_RIGHT;
		if (!aion_owner_trusts(owner, handler->owner))
			obstacle->message =
				"the function belongs to a role that the owner of the run is no member of";
		else if (!aion_compat_may_execute(handler->function, owner))
			obstacle->message = "the owner of the run may not execute the function";
		else if (handler->security_definer)
			obstacle->message = "the function is SECURITY DEFINER";
	}
	return obstacle->message != NULL;
}

/*
 * Reads the name of an activity that code asks for.
 */
char *
aion_activity_name(text *argument)
{
	char *name = argument == NULL ? NULL : text_to_cstring(argument);

	aion_name_check(name, AION_NAME_MAX, "activity name");
	if (strcmp(name, ACTIVITY_RUN_SQL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("activity name \"%s\" is reserved", name),
				 errhint("Use aion.run_sql().")));
	return name;
}

static ActivityMode
mode_of(const char *word)
{
	for (size_t i = 0; word != NULL && i < lengthof(mode_words); i++)
	{
		if (strcmp(word, mode_words[i]) == 0)
			return (ActivityMode) i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("invalid mode: \"%s\"", word != NULL ? word : "NULL"),
					errhint("Possible values are: inline, background, external.")));
}

/*
 * Makes the policy of a registration from its arguments, and checks it.
 */
static Jsonb *
registration_policy_of(FunctionCallInfo fcinfo, const char *task_queue, ActivityMode mode)
{
	static const char *const timeouts[] = {"start_to_close_timeout", "schedule_to_start_timeout",
										   "schedule_to_close_timeout", "heartbeat_timeout"};
	JsonObject object;
	Policy policy;
	char *on_cancel = PG_ARGISNULL(9) ? "try" : text_to_cstring(PG_GETARG_TEXT_PP(9));
	Jsonb *json;

	aion_object_begin(&object);
	if (strcmp(task_queue, "default") != 0)
		aion_object_text(&object, "task_queue", task_queue);
	aion_object_json(&object, "retry", PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4));
	for (size_t i = 0; i < lengthof(timeouts); i++)
	{
		if (!PG_ARGISNULL(5 + i))
			aion_object_text(&object, timeouts[i], aion_duration_text(PG_GETARG_INTERVAL_P(5 + i)));
	}
	if (strcmp(on_cancel, "try") != 0)
		aion_object_text(&object, "on_cancel", on_cancel);
	json = aion_object_end(&object);
	aion_policy_read(json, mode != MODE_EXTERNAL, &policy);
	check_policy(&policy, mode);
	return json;
}

/*
 * Refuses a policy that does not fit the mode of the activity.
 */
static void
check_policy(const Policy *policy, ActivityMode mode)
{
	if (mode == MODE_INLINE && (policy->heartbeat > 0 || policy->schedule_to_start > 0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("an inline activity has no heartbeat_timeout and no "
							   "schedule_to_start_timeout"),
						errdetail("It is executed in the turn that asks for it."),
						errhint("Use mode => 'background'.")));
	if (mode == MODE_EXTERNAL && policy->start_to_close == 0 && policy->heartbeat == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("an external activity needs a start_to_close_timeout or a "
							   "heartbeat_timeout"),
						errdetail("Without either the loss of its worker would not be noticed.")));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_register_activity);
PG_FUNCTION_INFO_V1(aion_unregister_activity);

/*
 * register_activity(name, handler, mode, task_queue, ...)
 */
Datum
aion_register_activity(PG_FUNCTION_ARGS)
{
	char *name = aion_activity_name(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	Oid function = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	char *task_queue = PG_ARGISNULL(3) ? "default" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	ActivityMode mode = mode_of(PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	bool has_handler = mode != MODE_EXTERNAL;
	Oid role = GetUserId();
	Authority authority;
	char *signature = NULL;
	Jsonb *policy;
	CodeSettings settings;
	Jsonb *settings_json = NULL;

	aion_guard_client_call("aion.register_activity");
	aion_name_check(task_queue, AION_NAME_MAX, "task queue");
	if (has_handler && !OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null"),
						errhint("Name a function with the types of its parameters, or use mode => "
								"'external'.")));
	if (!has_handler && OidIsValid(function))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("an external activity has no handler"),
				 errdetail("Workers that poll its task queue execute it."),
				 errhint("Leave out the handler.")));
	policy = registration_policy_of(fcinfo, task_queue, mode);
	if (has_handler)
	{
		aion_handler_check(function, role);
		signature = aion_handler_signature(function);
		aion_code_capture_settings(function, &settings);
		settings_json = aion_code_settings_to_json(&settings);
	}
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	{
		NullableDatum row[] = {aion_arg_text(name),			 aion_arg_int32(aion_owner_key(role)),
							   aion_arg_text(signature),	 aion_arg_text(mode_words[mode]),
							   aion_arg_text(task_queue),	 aion_arg_jsonb(policy),
							   aion_arg_jsonb(settings_json)};
		Rows rows;

		(void) aion_statement_execute(&insert_activity, row);
		rows = aion_statement_execute(&lock_activity, row);
		row[1] =
			aion_arg_int32(aion_owner_of_name(role, aion_row_int32(rows, 0, 1), "activity", name));
		if (has_handler)
			report_settings(registration_find(name), &settings);
		(void) aion_statement_execute(&update_activity, row);
	}
	aion_registry_changed(&registrations);
	aion_deploy_wake_blocked(role, true);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * Says that an activity will be executed under other settings, since that may be an accident.
 */
static void
report_settings(const Registration *last, const CodeSettings *settings)
{
	const char *differences = aion_code_compare_settings(&last->settings, settings);

	if (*differences != '\0')
		ereport(NOTICE, (errmsg("the settings differ from those of the last registration of "
								"activity \"%s\"",
								last->name),
						 errdetail("%s.", differences)));
}

/*
 * unregister_activity(name)
 *
 * What was handed over stays in its queue: workers execute it, and executors do when it is
 * registered again.
 */
Datum
aion_unregister_activity(PG_FUNCTION_ARGS)
{
	char *name = aion_activity_name(PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0));
	NullableDatum args[] = {aion_arg_text(name)};
	Oid role = GetUserId();
	Authority authority;
	Rows rows;

	aion_guard_client_call("aion.unregister_activity");
	aion_authority_assume(&authority);
	rows = aion_statement_execute(&lock_activity, args);
	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_ACTIVITY),
						errmsg("activity \"%s\" is not registered", name)));
	(void) aion_owner_of_name(role, aion_row_int32(rows, 0, 1), "activity", name);
	(void) aion_statement_execute(&delete_activity, args);
	aion_registry_changed(&registrations);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}
