/*
 * deploy.c
 *		Registering workflows and deploying new versions of their code.
 *
 * Replacing a handler function deploys: every start compares the function's catalog row with the
 * one that was deployed last.  An event trigger does the same when the function is replaced, so
 * that the new version can be seen at once, and wakes runs that are blocked because their code is
 * missing.  The trigger is only an optimization, and an error in it never fails the command that
 * fired it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "code/adoption.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "code/guard.h"
#include "code/lint.h"
#include "code/owner.h"
#include "guc.h"
#include "run/deploy.h"
#include "run/primitive.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/digest.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "support/subtransaction.h"

#define VERSION_DIGITS 16
#define WAKE_MOST 1000
#define WAKE_TRIES 50
#define WAKE_AGAIN_MS 10

static Statement lock_workflow =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._workflow WHERE name = $1 FOR UPDATE", TEXTOID);
static Statement try_lock_workflow = STATEMENT(
	SELECT, "SELECT owner_key FROM aion._workflow WHERE name = $1 FOR UPDATE SKIP LOCKED", TEXTOID);
static Statement insert_workflow = STATEMENT(
	INSERT,
	"INSERT INTO aion._workflow (name, owner_key, handler, digest, version_key, task_queue)"
	" VALUES ($1, $2, '', '', 0, '') ON CONFLICT (name) DO NOTHING",
	TEXTOID, INT4OID);
static Statement update_workflow =
	STATEMENT(UPDATE,
			  "UPDATE aion._workflow SET handler = $2, digest = $3, version_key = $4, timeout = $5,"
			  " task_queue = $6, owner_key = $7 WHERE name = $1",
			  TEXTOID, TEXTOID, TEXTOID, INT4OID, INTERVALOID, TEXTOID, INT4OID);
static Statement insert_version =
	STATEMENT(INSERT_RETURNING,
			  "INSERT INTO aion._version"
			  " (workflow_type, version, owner_key, handler, code, copied, digest, settings)"
			  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING version_key",
			  TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, BOOLOID, TEXTOID, JSONBOID);
static Statement renew_version =
	STATEMENT(UPDATE,
			  "UPDATE aion._version SET handler = $2, code = $3, registered = true,"
			  " owner_key = $4 WHERE version_key = $1",
			  INT4OID, TEXTOID, TEXTOID, INT4OID);
static Statement unregister_version = STATEMENT(
	UPDATE, "UPDATE aion._version SET registered = false WHERE version_key = $1", INT4OID);
static Statement update_route = STATEMENT(
	UPDATE, "UPDATE aion._workflow SET version_key = $2 WHERE name = $1", TEXTOID, INT4OID);
static Statement select_holders =
	STATEMENT(SELECT,
			  "SELECT workflow_id, owner_key FROM aion._run"
			  " WHERE version_key = $1 AND closed_at IS NULL ORDER BY run_key",
			  INT4OID);
/* So many of each owner at once, and the rest when they are looked at again by themselves. */
#define BLOCKED_RUNS                                                                               \
	"(SELECT run_key FROM aion._run WHERE owner_key = o AND status = 'blocked'"                    \
	" AND ready_at IS DISTINCT FROM $1 AND blocked IN ('mismatch', 'missing code',"                \
	" 'missing right', 'invalid input', 'nondeterministic') LIMIT " CppAsString2(WAKE_MOST)
static Statement wake_blocked =
	STATEMENT(UPDATE,
			  "UPDATE aion._run SET ready_at = $1 WHERE run_key IN"
			  " (SELECT r.run_key FROM unnest($2) AS o CROSS JOIN LATERAL " BLOCKED_RUNS
			  " FOR UPDATE SKIP LOCKED) AS r)",
			  TIMESTAMPTZOID, INT4ARRAYOID);
static Statement select_left = STATEMENT(
	SELECT, "SELECT FROM unnest($2) AS o CROSS JOIN LATERAL " BLOCKED_RUNS ") AS r LIMIT 1",
	TIMESTAMPTZOID, INT4ARRAYOID);
static Statement select_deployed =
	STATEMENT(SELECT, "SELECT name FROM aion._workflow WHERE handler = $1", TEXTOID);
static Statement select_changed =
	STATEMENT(SELECT, "SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands()"
					  " WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass");

static Version *deploy(const char *name, int32 owner_key, Oid function,
					   const CodeSettings *settings);
static void report_changes(const char *name, Oid function, const CodeSettings *settings);
static void renew(const Version *version, int32 owner_key, Oid function, const char *signature);
static void route(const char *name, int32 owner_key, const Version *version,
				  const Interval *timeout, const char *task_queue);
static int32 claim_name(const char *name, Oid role);
static Version *lock_version(const char *name, const char *version_name, Oid role);
static void refuse_if_held(const Version *version, Oid role);
static char *name_version(const char *digest, const Jsonb *settings);
static List *react_to_ddl(Oid role, MemoryContext context);
static bool deploy_function(Oid function);
static void report_on(List *functions);

/*
 * Deploys a new version if the handler of a workflow was replaced since the last deploy.  A caller
 * that is not patient leaves a locked workflow to the session that holds the lock, and to the next
 * start.
 */
void
aion_workflow_deploy_if_changed(Workflow *workflow, bool patient)
{
	Oid function;
	char *digest;
	Version *version;
	Handler *handler;
	Oid registrant;

	if (workflow->seen != NULL && aion_handler_is_current(workflow->seen))
		return;
	function = aion_handler_resolve(workflow->handler);
	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
						errmsg("function %s of workflow \"%s\" does not exist", workflow->handler,
							   workflow->name),
						errdetail("Runs that have started are not affected."),
						errhint("Register the workflow again with the function it has now.")));
	handler = aion_handler_read(function, workflow->name);
	digest = aion_code_digest(function);
	if (strcmp(digest, workflow->digest) == 0)
	{
		aion_workflow_remember(workflow, function);
		return;
	}
	if (!aion_auto_deploy)
		return;
	{
		NullableDatum args[] = {aion_arg_text(workflow->name)};

		/* Another session may be deploying it, or may just have done so. */
		if (aion_statement_execute(patient ? &lock_workflow : &try_lock_workflow, args).count == 0)
			return;
		AcceptInvalidationMessages();
		workflow = aion_workflow_find(workflow->name);
		if (workflow == NULL || strcmp(digest, workflow->digest) == 0)
			return;
	}
	registrant = aion_owner_role(workflow->owner_key);
	if (!OidIsValid(registrant) || !has_privs_of_role(handler->owner, registrant))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("function %s of workflow \"%s\" was changed and now belongs to role "
						"\"%s\"",
						workflow->handler, workflow->name, GetUserNameFromId(handler->owner, true)),
				 errhint("Register the workflow again to use it.")));
	aion_handler_check(function, handler->owner);
	version = aion_version_get(workflow->version_key);
	version = deploy(workflow->name, workflow->owner_key, function, &version->settings);
	route(workflow->name, workflow->owner_key, version, workflow->timeout, workflow->task_queue);
}

/*
 * Wakes runs that are blocked for a reason that a deploy or a grant of a role may have removed:
 * runs that the role controls, and runs of its members, which use what it registers.  No other run
 * is woken.  A run that is just being tried again, without what this transaction has not committed,
 * is waited for where the caller says so, but not for long: a transaction of many commands waits at
 * one of them only, since a session may keep such a run locked.
 */
void
aion_deploy_wake_blocked(Oid role, bool wait)
{
	static TimestampTz waited_in = 0; /* when the transaction began */
	/* The same moment throughout a transaction, so that it wakes no run twice. */
	TimestampTz moment =
		aion_clock_is_virtual() ? aion_clock_now() : GetCurrentTransactionStartTimestamp();
	NullableDatum args[] = {aion_arg_timestamp(moment), aion_arg(aion_owner_affected(role))};

	wait =
		wait && !IsolationUsesXactSnapshot() && waited_in != GetCurrentTransactionStartTimestamp();
	for (int i = 0; i < WAKE_TRIES; i++)
	{
		uint64 woken = aion_statement_execute(&wake_blocked, args).count;

		if (woken > 0)
			aion_wakeup_scan();
		if (!wait || woken >= WAKE_MOST || aion_statement_execute(&select_left, args).count == 0)
			break;
		waited_in = GetCurrentTransactionStartTimestamp();
		CHECK_FOR_INTERRUPTS();
		pg_usleep(WAKE_AGAIN_MS * 1000);
	}
	aion_primitives_mended(args[1].value);
}

/*
 * Makes the version of a function as it is now, or finds it if it was deployed before.
 */
static Version *
deploy(const char *name, int32 owner_key, Oid function, const CodeSettings *settings)
{
	char *digest = aion_code_digest(function);
	Jsonb *settings_json = aion_code_settings_to_json(settings);
	char *version_name = name_version(digest, settings_json);
	bool copied = aion_code_is_copyable(function);
	Version *version = aion_version_recall(name, version_name);
	char *signature = aion_handler_signature(function);
	char *code;

	if (version != NULL)
	{
		renew(version, owner_key, function, signature);
		return aion_version_recall(name, version_name);
	}
	if (!copied)
		ereport(NOTICE, (errmsg("function %s cannot be copied and is referenced", signature),
						 errdetail("Runs in flight block when its definition changes.")));
	code = copied ? aion_code_copy(function, digest) : signature;
	{
		NullableDatum row[] = {aion_arg_text(name),		  aion_arg_text(version_name),
							   aion_arg_int32(owner_key), aion_arg_text(signature),
							   aion_arg_text(code),		  aion_arg_bool(copied),
							   aion_arg_text(digest),	  aion_arg_jsonb(settings_json)};

		Rows rows = aion_statement_execute(&insert_version, row);

		version = aion_version_get(aion_row_int32(rows, 0, 1));
	}
	aion_definition_changed();
	return version;
}

/*
 * Says what is not as it was when a name was registered last, since that may be an accident:
 * another function, or other settings, which make another version of the same code.
 */
static void
report_changes(const char *name, Oid function, const CodeSettings *settings)
{
	const Workflow *workflow = aion_workflow_find(name);
	const CodeSettings *last;
	const char *differences;

	if (workflow == NULL || workflow->version_key == 0)
		return;
	if (strcmp(workflow->handler, aion_handler_signature(function)) != 0)
		ereport(NOTICE, (errmsg("workflow \"%s\" was registered with function %s before", name,
								workflow->handler)));
	last = &aion_version_get(workflow->version_key)->settings;
	differences = aion_code_compare_settings(last, settings);
	if (*differences != '\0')
		ereport(NOTICE, (errmsg("the settings differ from those of the last registration of "
								"workflow \"%s\"",
								name),
						 errdetail("%s.", differences)));
}

/*
 * Restores a version that was deployed before: it refers to the function that has this signature
 * now, is registered, and has a copy that exists.
 */
static void
renew(const Version *version, int32 owner_key, Oid function, const char *signature)
{
	NullableDatum row[4];
	const char *code = version->code;

	if (!version->copied)
		code = signature;
	else if (aion_version_callable(unconstify(Version *, version)) == NULL)
		code = aion_code_copy(function, version->digest);
	if (version->registered && version->owner_key == owner_key &&
		strcmp(version->handler, signature) == 0 && strcmp(version->code, code) == 0)
		return;
	row[0] = aion_arg_int32(version->version_key);
	row[1] = aion_arg_text(signature);
	row[2] = aion_arg_text(code);
	row[3] = aion_arg_int32(owner_key);
	(void) aion_statement_execute(&renew_version, row);
	aion_definition_changed();
}

/*
 * Lets new starts of a workflow use a version of the function it is deployed from.
 */
static void
route(const char *name, int32 owner_key, const Version *version, const Interval *timeout,
	  const char *task_queue)
{
	NullableDatum args[] = {aion_arg_text(name),
							aion_arg_text(version->handler),
							aion_arg_text(version->digest),
							aion_arg_int32(version->version_key),
							{IntervalPGetDatum(timeout), timeout == NULL},
							aion_arg_text(task_queue),
							aion_arg_int32(owner_key)};

	(void) aion_statement_execute(&update_workflow, args);
	aion_definition_changed();
}

/*
 * Takes the lock on a name, registering it for a role if it is free; returns the key of its owner.
 */
static int32
claim_name(const char *name, Oid role)
{
	NullableDatum args[] = {aion_arg_text(name), aion_arg_int32(aion_owner_key(role))};
	Rows rows;

	(void) aion_statement_execute(&insert_workflow, args);
	rows = aion_statement_execute(&lock_workflow, args);
	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
						errmsg("workflow \"%s\" was registered concurrently", name)));
	return aion_owner_of_name(role, aion_row_int32(rows, 0, 1), "workflow", name);
}

/*
 * Takes the lock on a workflow that a role may change, and finds a version of it.
 */
static Version *
lock_version(const char *name, const char *version_name, Oid role)
{
	NullableDatum args[] = {aion_arg_text(name)};
	Rows rows = aion_statement_execute(&lock_workflow, args);
	Version *version;

	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" does not exist", name)));
	(void) aion_owner_of_name(role, aion_row_int32(rows, 0, 1), "workflow", name);
	AcceptInvalidationMessages();
	version = aion_version_find(name, version_name);
	if (version == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" has no version \"%s\"", name, version_name),
						errhint("See aion.workflow_version.")));
	return version;
}

/*
 * Refuses to unregister a version that is in use, and says by what.  From here on no other
 * transaction can begin to use it before this one ends.
 */
static void
refuse_if_held(const Version *version, Oid role)
{
	NullableDatum args[] = {aion_arg_int32(version->version_key)};
	const char *holder = "a run that a transaction which has not ended starts or changes";
	const char *hint = "Try again when it has ended.";
	Rows rows;

	if (aion_workflow_find(version->workflow_type)->version_key == version->version_key)
	{
		holder = "new starts";
		hint = "Use aion.route_workflow() with another version first.";
	}
	else if (aion_version_claim(version->version_key))
	{
		rows = aion_statement_execute(&select_holders, args);
		if (rows.count == 0)
			return;
		holder = aion_owner_controls(role, aion_row_int32(rows, 0, 2))
					 ? psprintf("workflow \"%s\"", aion_row_text(rows, 0, 1))
					 : "a workflow of another role";
		if (rows.count > 1)
			holder = psprintf("%s, and " UINT64_FORMAT " more", holder, rows.count - 1);
		hint = "Wait for the end of its runs, or move them with aion.set_workflow_version().";
	}
	ereport(ERROR, (errcode(ERRCODE_NAME_IN_USE),
					errmsg("version \"%s\" of workflow type \"%s\" is in use", version->version,
						   version->workflow_type),
					errdetail("It is used by %s.", holder), errhint("%s", hint)));
}

/*
 * Deploys what the current DDL command changed; returns the functions whose code is new, in a
 * context.
 */
static List *
react_to_ddl(Oid role, MemoryContext context)
{
	Rows rows = aion_statement_execute(&select_changed, NULL);
	List *functions = NIL;
	List *deployed = NIL;
	ListCell *cell;

	for (uint64 row = 0; row < rows.count; row++)
		functions = lappend_oid(functions, aion_row_oid(rows, row, 1));
	foreach (cell, aion_auto_deploy ? functions : NIL)
	{
		if (deploy_function(lfirst_oid(cell)))
			deployed = lappend_oid(deployed, lfirst_oid(cell));
	}
	aion_deploy_wake_blocked(role, deployed != NIL);
	context = MemoryContextSwitchTo(context);
	deployed = list_copy(deployed);
	MemoryContextSwitchTo(context);
	return deployed;
}

/*
 * Deploys a function for the workflows that it is registered for; tells whether it is new to any.
 */
static bool
deploy_function(Oid function)
{
	NullableDatum args[] = {aion_arg_text(aion_handler_signature(function))};
	Rows rows = aion_statement_execute(&select_deployed, args);
	List *names = NIL;
	bool is_new = false;
	ListCell *cell;

	for (uint64 row = 0; row < rows.count; row++)
		names = lappend(names, aion_row_text(rows, row, 1));
	foreach (cell, names)
	{
		Workflow *workflow = aion_workflow_find(lfirst(cell));
		int32 before = workflow->version_key;

		aion_workflow_deploy_if_changed(workflow, false);
		is_new |= aion_workflow_find(lfirst(cell))->version_key != before;
	}
	return is_new;
}

/*
 * Says what can be said of code that a command has deployed.
 */
static void
report_on(List *functions)
{
	Subtransaction sub;
	ListCell *cell;

	if (functions == NIL)
		return;
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		foreach (cell, functions)
			aion_lint_report(lfirst_oid(cell), false);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		ErrorData *error = aion_subtransaction_abort(&sub);

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(WARNING, (errcode(error->sqlerrcode),
						  errmsg("aion could not look at a function: %s", error->message)));
	}
	PG_END_TRY();
}

static char *
name_version(const char *digest, const Jsonb *settings)
{
	char *text = psprintf("%s %s", digest, aion_json_cstring(settings));

	return aion_digest_hex(text, strlen(text), VERSION_DIGITS);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_register_workflow);
PG_FUNCTION_INFO_V1(aion_route_workflow);
PG_FUNCTION_INFO_V1(aion_unregister_workflow);
PG_FUNCTION_INFO_V1(aion_on_ddl);

/*
 * register_workflow(name, handler, timeout, task_queue) -> version
 */
Datum
aion_register_workflow(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid function = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	Interval *timeout = PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2);
	char *task_queue = PG_ARGISNULL(3) ? "default" : text_to_cstring(PG_GETARG_TEXT_PP(3));
	Oid role = GetUserId();
	CodeSettings settings;
	Authority authority;
	int32 owner_key;
	Version *version;
	char *version_name;

	aion_guard_client_call("aion.register_workflow");
	aion_name_check(name, AION_NAME_MAX, "workflow name");
	aion_name_check(task_queue, AION_NAME_MAX, "task queue");
	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null")));
	if (timeout != NULL)
		aion_duration_check(timeout, false, "timeout");
	aion_handler_check(function, role);
	aion_code_capture_settings(function, &settings);
	aion_lint_report(function, true);

	aion_authority_assume(&authority);
	aion_adopt_if_new();
	owner_key = claim_name(name, role);
	report_changes(name, function, &settings);
	version = deploy(name, owner_key, function, &settings);
	route(name, owner_key, version, timeout, task_queue);
	aion_deploy_wake_blocked(role, true);
	version_name = pstrdup(version->version);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(version_name));
}

/*
 * route_workflow(name, version)
 *
 * The function that the workflow is deployed from stays what it is: replacing it deploys again.
 */
Datum
aion_route_workflow(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid role = GetUserId();
	Authority authority;
	Version *version;
	NullableDatum args[2];

	aion_guard_client_call("aion.route_workflow");
	aion_name_check(name, AION_NAME_MAX, "workflow name");
	aion_name_check(wanted, AION_NAME_MAX, "version");
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	version = lock_version(name, wanted, role);
	if (aion_version_callable(version) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("code of workflow type \"%s\", version \"%s\", is gone or was changed",
						name, wanted),
				 errhint("Register the workflow again.")));
	if (!aion_registered_for(version->owner_key,
							 aion_owner_role(aion_workflow_find(name)->owner_key)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("new starts of workflow type \"%s\" cannot use version \"%s\"", name,
							   wanted),
						errdetail("Another role registered it before the name was taken over."),
						errhint("Register its function again.")));
	args[0] = aion_arg_text(name);
	args[1] = aion_arg_int32(version->version_key);
	(void) aion_statement_execute(&update_route, args);
	aion_definition_changed();
	aion_deploy_wake_blocked(role, true);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * unregister_workflow(name, version)
 *
 * Its row and its copy stay, for the histories that were made by it.
 */
Datum
aion_unregister_workflow(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid role = GetUserId();
	Authority authority;
	Version *version;
	NullableDatum args[1];

	aion_guard_client_call("aion.unregister_workflow");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
						errmsg("aion.unregister_workflow() cannot look for runs in a repeatable "
							   "read transaction"),
						errhint("Use READ COMMITTED.")));
	aion_name_check(name, AION_NAME_MAX, "workflow name");
	aion_name_check(wanted, AION_NAME_MAX, "version");
	aion_authority_assume(&authority);
	version = lock_version(name, wanted, role);
	refuse_if_held(version, role);
	args[0] = aion_arg_int32(version->version_key);
	(void) aion_statement_execute(&unregister_version, args);
	aion_definition_changed();
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * Event trigger at the end of commands that change functions or what may be done with them.
 */
Datum
aion_on_ddl(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	List *volatile deployed = NIL;
	Subtransaction sub;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function must be called by an event trigger")));
	if (creating_extension || !aion_extension_is_current())
		PG_RETURN_NULL(); /* a start that is concerned looks again when it is current */
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		Oid role = GetUserId();
		Authority authority;

		aion_authority_assume(&authority);
		deployed = react_to_ddl(role, caller);
		aion_authority_drop(&authority);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		ErrorData *error = aion_subtransaction_abort(&sub);

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("aion could not react to this command: %s", error->message),
				 errdetail("The next start of a workflow that is concerned looks again.")));
	}
	PG_END_TRY();
	report_on(deployed);
	PG_RETURN_NULL();
}
