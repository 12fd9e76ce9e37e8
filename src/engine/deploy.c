/*
 * deploy.c
 *		Registering workflows and deploying new versions of their code.
 *
 * Replacing a handler function deploys: every start compares the function's catalog row with the
 * one that was deployed last.  An event trigger does the same when the function is replaced, so
 * that the new version can be seen at once, and wakes runs that are blocked for want of code; it
 * only accelerates, and an error in it never fails the command that fired it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "aion.h"
#include "engine/deploy.h"
#include "engine/fence.h"
#include "engine/guard.h"
#include "engine/owner.h"
#include "guc.h"
#include "support/clock.h"
#include "support/digest.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"
#include "support/wakeup.h"

#define VERSION_DIGITS 16

static Statement lock_workflow =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._workflow WHERE name = $1 FOR UPDATE", TEXTOID);
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
static Statement move_version =
	STATEMENT(UPDATE,
			  "UPDATE aion._version SET handler = $2,"
			  " code = CASE WHEN copied THEN code ELSE $2 END WHERE version_key = $1",
			  INT4OID, TEXTOID);
static Statement wake_blocked = STATEMENT(
	UPDATE,
	"UPDATE aion._run SET ready_at = $1 WHERE run_key IN"
	" (SELECT run_key FROM aion._run"
	" WHERE blocked IN ('mismatch', 'missing code', 'missing right') AND status = 'blocked'"
	" AND owner_key = ANY ($2)"
	" FOR UPDATE SKIP LOCKED)",
	TIMESTAMPTZOID, INT4ARRAYOID);
static Statement select_deployed =
	STATEMENT(SELECT, "SELECT name FROM aion._workflow WHERE handler = $1", TEXTOID);
static Statement select_changed =
	STATEMENT(SELECT, "SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands()"
					  " WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass");

static Version *deploy(const char *name, int32 owner_key, Oid function,
					   const CodeSettings *settings);
static void route(const char *name, int32 owner_key, const Version *version,
				  const Interval *timeout, const char *task_queue);
static int32 claim_name(const char *name, Oid role);
static char *name_version(const char *digest, const Jsonb *settings);
static void react_to_ddl(Oid role);

/*
 * Deploys a new version if the handler of a workflow was replaced since the last deploy.
 */
void
aion_workflow_deploy_if_changed(Workflow *workflow)
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

		/* Somebody else may be deploying it, and may just have done so. */
		(void) aion_statement_execute(&lock_workflow, args);
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
 * Wakes runs that are blocked by what a deploy or a grant of a role may have mended: runs that the
 * role controls, and those of its members, who use what it registers.  Nobody else is disturbed.
 */
void
aion_deploy_wake_blocked(Oid role)
{
	NullableDatum args[] = {aion_arg_timestamp(aion_clock_now()),
							aion_arg(aion_owner_affected(role))};

	if (aion_statement_execute(&wake_blocked, args).count > 0)
		aion_wakeup_scan();
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
	Version *version = aion_version_find(name, version_name);
	char *signature = aion_handler_signature(function);
	char *code;

	if (version != NULL)
	{
		if (strcmp(version->handler, signature) != 0)
		{
			NullableDatum row[] = {aion_arg_int32(version->version_key), aion_arg_text(signature)};

			(void) aion_statement_execute(&move_version, row);
			aion_definition_changed();
			version = aion_version_find(name, version_name);
		}
		return version;
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
 * Lets new starts of a workflow use a version, and wakes runs that may have been waiting for code.
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
 * Deploys what the current DDL command changed.
 */
static void
react_to_ddl(Oid role)
{
	Rows rows = aion_statement_execute(&select_changed, NULL);
	List *functions = NIL;
	List *names = NIL;
	ListCell *cell;

	for (uint64 row = 0; row < rows.count; row++)
		functions = lappend_oid(functions, aion_row_oid(rows, row, 1));
	foreach (cell, functions)
	{
		NullableDatum args[] = {aion_arg_text(aion_handler_signature(lfirst_oid(cell)))};

		rows = aion_statement_execute(&select_deployed, args);
		for (uint64 row = 0; row < rows.count; row++)
			names = lappend(names, aion_row_text(rows, row, 1));
	}
	if (aion_auto_deploy)
	{
		foreach (cell, names)
			aion_workflow_deploy_if_changed(aion_workflow_find(lfirst(cell)));
	}
	aion_deploy_wake_blocked(role);
}

static char *
name_version(const char *digest, const Jsonb *settings)
{
	char *text = psprintf("%s %s", digest, aion_json_cstring(settings));

	return aion_digest_hex(text, strlen(text), VERSION_DIGITS);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_register_workflow);
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

	aion_authority_assume(&authority);
	aion_fence_settle();
	owner_key = claim_name(name, role);
	version = deploy(name, owner_key, function, &settings);
	route(name, owner_key, version, timeout, task_queue);
	aion_deploy_wake_blocked(role);
	version_name = pstrdup(version->version);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(version_name));
}

/*
 * Event trigger at the end of commands that change functions or what may be done with them.
 */
Datum
aion_on_ddl(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function must be called by an event trigger")));
	if (creating_extension || !aion_extension_exists())
		PG_RETURN_NULL();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		Oid role = GetUserId();
		Authority authority;

		aion_authority_assume(&authority);
		react_to_ddl(role);
		aion_authority_drop(&authority);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(WARNING,
				(errcode(error->sqlerrcode),
				 errmsg("aion could not react to this command: %s", error->message),
				 errdetail("The next start of a workflow that is concerned looks again.")));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	PG_RETURN_NULL();
}
