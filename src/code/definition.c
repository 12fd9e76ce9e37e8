/*
 * definition.c
 *		Registered workflows and their versions.
 *
 * A name belongs to the role that registered it.  A version is the digest of the function's
 * definition and of the settings it reads under; its row never changes.  Which version new starts
 * use is a column of the workflow's row: one update routes, and concurrent starts see the old or
 * the new one.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"

#include "code/definition.h"
#include "code/owner.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/registry.h"
#include "support/statement.h"

#define VERSION_COLUMNS                                                                            \
	"version_key, workflow_type, version, handler, code, copied, digest, settings, registered,"    \
	" owner_key"

static Statement select_workflow =
	STATEMENT(SELECT,
			  "SELECT owner_key, handler, digest, version_key, timeout, task_queue"
			  " FROM aion._workflow WHERE name = $1",
			  TEXTOID);
static Statement select_version = STATEMENT(
	SELECT, "SELECT " VERSION_COLUMNS " FROM aion._version WHERE version_key = $1", INT4OID);
static Statement select_version_by_name = STATEMENT(
	SELECT,
	"SELECT " VERSION_COLUMNS " FROM aion._version WHERE workflow_type = $1 AND version = $2",
	TEXTOID, TEXTOID);
static Statement share_version = STATEMENT(
	SELECT, "SELECT registered FROM aion._version WHERE version_key = $1 FOR SHARE", INT4OID);
static Registry workflows = {.table = "_workflow"};
static Registry versions = {.table = "_version"};

static void version_lock_tag(LOCKTAG *tag, int32 version_key);
static Version *read_version(Rows rows);

void
aion_definition_init(void)
{
	aion_registry_init(&workflows);
	aion_registry_init(&versions);
}

/*
 * Finds a workflow by name; NULL if it is not registered.
 */
Workflow *
aion_workflow_find(const char *name)
{
	ListCell *cell;
	NullableDatum args[1];
	MemoryContext caller;
	Workflow *workflow = NULL;
	Rows rows;
	bool isnull;

	aion_registry_refresh(&workflows);
	foreach (cell, workflows.entries)
	{
		workflow = lfirst(cell);
		if (strcmp(workflow->name, name) == 0)
			return workflow;
	}
	args[0] = aion_arg_text(name);
	rows = aion_statement_execute(&select_workflow, args);
	if (rows.count == 0)
		return NULL;
	caller = MemoryContextSwitchTo(workflows.context);
	workflow = palloc0(sizeof(Workflow));
	workflow->name = pstrdup(name);
	workflow->owner_key = aion_row_int32(rows, 0, 1);
	workflow->handler = aion_row_text(rows, 0, 2);
	workflow->digest = aion_row_text(rows, 0, 3);
	workflow->version_key = aion_row_int32(rows, 0, 4);
	if (!aion_row_isnull(rows, 0, 5))
	{
		workflow->timeout = palloc(sizeof(Interval));
		*workflow->timeout =
			*DatumGetIntervalP(SPI_getbinval(rows.table->vals[0], rows.table->tupdesc, 5, &isnull));
	}
	workflow->task_queue = aion_row_text(rows, 0, 6);
	workflows.entries = lappend(workflows.entries, workflow);
	MemoryContextSwitchTo(caller);
	return workflow;
}

/*
 * Returns a version by its key.
 */
Version *
aion_version_get(int32 version_key)
{
	ListCell *cell;
	NullableDatum args[] = {aion_arg_int32(version_key)};
	Rows rows;

	aion_registry_refresh(&versions);
	foreach (cell, versions.entries)
	{
		Version *version = lfirst(cell);

		if (version->version_key == version_key)
			return version;
	}
	rows = aion_statement_execute(&select_version, args);
	if (rows.count == 0)
		elog(ERROR, "version %d does not exist", version_key);
	return read_version(rows);
}

/*
 * Finds a version of a workflow by its name; NULL if there is none.
 */
Version *
aion_version_find(const char *workflow_type, const char *version)
{
	Version *found = aion_version_recall(workflow_type, version);

	return found != NULL && found->registered ? found : NULL;
}

/*
 * The same, also if it has been unregistered.
 */
Version *
aion_version_recall(const char *workflow_type, const char *version)
{
	NullableDatum args[] = {aion_arg_text(workflow_type), aion_arg_text(version)};
	Rows rows;

	aion_registry_refresh(&versions);
	rows = aion_statement_execute(&select_version_by_name, args);
	if (rows.count == 0)
		return NULL;
	return aion_version_get(aion_row_int32(rows, 0, 1));
}

/*
 * Keeps a version registered until this transaction ends, which makes a run of it or moves one to
 * it.  Waits for a transaction that is unregistering it; false if it has been unregistered.
 */
bool
aion_version_pin(int32 version_key)
{
	NullableDatum args[] = {aion_arg_int32(version_key)};
	LOCKTAG tag;

	version_lock_tag(&tag, version_key);
	(void) LockAcquire(&tag, AccessShareLock, false, false);
	AcceptInvalidationMessages();
	if (IsolationUsesXactSnapshot()) /* an old snapshot does not show it */
		return aion_row_bool(aion_statement_execute(&share_version, args), 0, 1);
	return aion_version_get(version_key)->registered;
}

/*
 * Keeps other transactions from pinning a version until this one ends; false if one that has not
 * ended has pinned it.
 */
bool
aion_version_claim(int32 version_key)
{
	LOCKTAG tag;

	version_lock_tag(&tag, version_key);
	return LockAcquire(&tag, AccessExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Tells every backend that registrations changed, once this transaction commits.
 */
void
aion_definition_changed(void)
{
	aion_registry_changed(&workflows);
	aion_registry_changed(&versions);
}

/*
 * Remembers a handler that was found to be as it was deployed, so that it is not read again.
 */
void
aion_workflow_remember(Workflow *workflow, Oid function)
{
	MemoryContext caller = MemoryContextSwitchTo(workflows.context);

	workflow->seen = aion_handler_read(function, workflow->name);
	MemoryContextSwitchTo(caller);
}

/*
 * Returns the function of a version, checked to be what was registered; NULL if it is gone or has
 * changed.
 */
const Handler *
aion_version_callable(Version *version)
{
	Oid function;
	MemoryContext caller;

	if (version->checked_epoch == aion_registry_function_epoch())
		return version->callable;
	if (version->callable == NULL || !aion_handler_is_current(version->callable))
	{
		version->callable = NULL;
		function = aion_code_resolve(version->code, version->copied);
		if (OidIsValid(function) && strcmp(aion_code_digest(function), version->digest) == 0)
		{
			caller = MemoryContextSwitchTo(versions.context);
			version->callable =
				aion_handler_read(function, psprintf("workflow \"%s\"", version->workflow_type));
			MemoryContextSwitchTo(caller);
			if (version->callable->security_definer)
				version->callable = NULL; /* since it was registered */
		}
	}
	version->checked_epoch = aion_registry_function_epoch();
	return version->callable;
}

/*
 * Tells whether a role may execute the function that a version was made from.  A function that no
 * longer exists forbids nothing.  One that is executed itself, not a copy of it, may have been made
 * again by another role.
 */
bool
aion_version_may_execute(const Version *version, Oid role)
{
	Oid function = aion_handler_resolve(version->handler);

	if (!version->copied && version->callable != NULL &&
		!aion_owner_trusts(role, version->callable->owner))
		return false;
	return !OidIsValid(function) || !aion_handler_is_denied(function, role);
}

/*
 * Tells whether runs of a role may use what another one registered: code is not executed as a role
 * that does not trust the role that registered it.
 */
bool
aion_registered_for(int32 registered_by, Oid role)
{
	Oid registrant = aion_owner_role(registered_by);

	return OidIsValid(registrant) && aion_owner_trusts(role, registrant);
}

/*
 * Versions are locked by key, beside the places for copies in code.c.
 */
static void
version_lock_tag(LOCKTAG *tag, int32 version_key)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, ExtensionRelationId, aion_extension()->oid, 60002);
	tag->locktag_field2 = version_key;
}

/*
 * Adds the row that select_version read to the registry.
 */
static Version *
read_version(Rows rows)
{
	MemoryContext caller = MemoryContextSwitchTo(versions.context);
	Version *version = palloc0(sizeof(Version));

	version->version_key = aion_row_int32(rows, 0, 1);
	version->workflow_type = aion_row_text(rows, 0, 2);
	version->version = aion_row_text(rows, 0, 3);
	version->handler = aion_row_text(rows, 0, 4);
	version->code = aion_row_text(rows, 0, 5);
	version->copied = aion_row_bool(rows, 0, 6);
	version->digest = aion_row_text(rows, 0, 7);
	aion_code_settings_from_json(aion_row_jsonb(rows, 0, 8), &version->settings);
	version->registered = aion_row_bool(rows, 0, 9);
	version->owner_key = aion_row_int32(rows, 0, 10);
	versions.entries = lappend(versions.entries, version);
	MemoryContextSwitchTo(caller);
	return version;
}
