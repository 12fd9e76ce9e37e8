/*
 * lifecycle.c
 *		Hooks for commands that concern databases, extensions and names of roles.
 *
 * Commands that need a database for themselves would fail because of the engine's processes in it,
 * and commands that lock all tables of the extension would deadlock with them.  Before such a
 * command the engine is kept out of the database, and let in again when the transaction has ended
 * and its effects are visible to all sessions.  When an extension was created or dropped, the
 * launcher is told at the commit.  COMMIT PREPARED calls no transaction callbacks, so the engine
 * has to scan for what such a transaction made ready.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "background/lifecycle.h"
#include "guc.h"
#include "schedules/schedule.h"
#include "shared/board.h"
#include "shared/hold.h"
#include "shared/service.h"
#include "shared/wakeup.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/subtransaction.h"

/* In this transaction: */
static bool holding = false; /* a database */
static bool renamed =
	false; /* some role, or a new one has a name: those of owners may be out of date */
static bool appearing = false; /* one, by CREATE or because it can be connected to again */

static ProcessUtility_hook_type next_process_utility = NULL;
static object_access_hook_type next_object_access = NULL;

static void watch_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
								  ProcessUtilityContext context, ParamListInfo parameters,
								  QueryEnvironment *environment, DestReceiver *receiver,
								  QueryCompletion *completion);
static void watch_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg);
static const char *wanted_database(Node *statement);
static const char *template_of(const CreatedbStmt *statement);
static bool lets_in(Node *statement);
static bool evicts(const AlterDatabaseStmt *statement);
static bool has_option(const AlterDatabaseStmt *statement, const char *name, bool value);
static bool locks_extension(Node *statement);
static bool drops_any_of(const DropStmt *drop, List *required);
static bool owns_any_of(List *roles, List *required);
static bool may_drop(Oid class, Oid object);
static List *add_required(List *required, Oid class, Oid object);
static bool is_among(List *required, Oid class, Oid object);
static Oid owner_of(const ObjectAddress *object);
static void remove_cron_jobs(void);
static void warn_of_workers(void);
static void lifecycle_transaction_ended(XactEvent event, void *argument);
static bool may_have(Node *statement, Oid database);
static bool lifecycle_is_template(Oid database);
static void wait_for_lock(Node *statement, Oid database);

void
aion_lifecycle_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	RegisterXactCallback(lifecycle_transaction_ended, NULL);
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = watch_process_utility;
	next_object_access = object_access_hook;
	object_access_hook = watch_object_access;
}

static void
watch_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo parameters,
					  QueryEnvironment *environment, DestReceiver *receiver,
					  QueryCompletion *completion)
{
	Node *node = statement->utilityStmt;
	const char *name = wanted_database(node);
	Oid database = name != NULL ? get_database_oid(name, true) : InvalidOid;
	bool locks = locks_extension(node);

	if (!may_have(node, database))
		database = InvalidOid; /* the command will be refused */

	if (OidIsValid(database) || locks)
	{
		bool already = holding;

		holding = true; /* also if it fails half-way */
		if (!already && OidIsValid(database))
			wait_for_lock(node, database);
		if (!already)
			(void) aion_hold_take(OidIsValid(database) ? database : MyDatabaseId);
	}
	if (locks && (IsA(node, DropStmt) || IsA(node, DropOwnedStmt)))
		remove_cron_jobs();
	appearing = appearing || lets_in(node);
	if (next_process_utility != NULL)
		next_process_utility(statement, text, read_only_tree, context, parameters, environment,
							 receiver, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context, parameters, environment,
								receiver, completion);
	if (IsA(node, CreateExtensionStmt) &&
		strcmp(((CreateExtensionStmt *) node)->extname, "aion") == 0)
		warn_of_workers();
	if ((IsA(node, RenameStmt) && ((RenameStmt *) node)->renameType == OBJECT_ROLE) ||
		IsA(node, CreateRoleStmt))
		renamed = true;
	if (IsA(node, TransactionStmt) &&
		((TransactionStmt *) node)->kind == TRANS_STMT_COMMIT_PREPARED)
	{
		/* Whatever it did, it has posted no hint and woken no session. */
		aion_board_post_extension(MyDatabaseId);
		aion_wakeup_everybody();
	}
}

static void
watch_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	if (next_object_access != NULL)
		next_object_access(access, class, object, sub, arg);
	if (class == ExtensionRelationId && (access == OAT_POST_CREATE || access == OAT_DROP))
		aion_wakeup_extension();
	else if (class == ExtensionRelationId && access == OAT_POST_ALTER &&
			 object == get_extension_oid("aion", true))
	{
		aion_extension_changed(); /* perhaps to another version */
		aion_wakeup_scan();
	}
}

/*
 * Returns the name of the database that a command needs for itself; NULL for any other command.
 */
static const char *
wanted_database(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((DropdbStmt *) statement)->dbname;
		case T_CreatedbStmt:
			return template_of((CreatedbStmt *) statement);
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				return ((RenameStmt *) statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:
			return evicts((AlterDatabaseStmt *) statement)
					   ? ((AlterDatabaseStmt *) statement)->dbname
					   : NULL;
		default:
			return NULL;
	}
}

static const char *
template_of(const CreatedbStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return NULL;
}

/*
 * Tells whether the user may execute such a command.
 */
static bool
may_have(Node *statement, Oid database)
{
	HeapTuple tuple;
	bool createdb;

	if (!OidIsValid(database))
		return false; /* and in a failed transaction nothing can be looked up */
	if (!IsA(statement, CreatedbStmt))
		return aion_compat_owns_database(database, GetUserId());
	if (!aion_compat_owns_database(database, GetUserId()) && !lifecycle_is_template(database))
		return false;
	createdb = superuser();
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		createdb = createdb || ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return createdb;
}

static bool
lifecycle_is_template(Oid database)
{
	HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	bool result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Waits until the command gets the lock of the database, so that it does not keep the engine out
 * while it waits for another session.
 */
static void
wait_for_lock(Node *statement, Oid database)
{
	LOCKMODE mode = IsA(statement, CreatedbStmt) ? ShareLock : AccessExclusiveLock;

	LockSharedObject(DatabaseRelationId, database, 0, mode);
	UnlockSharedObject(DatabaseRelationId, database, 0, mode);
}

/*
 * Tells whether there may be a database to connect to that could not be connected to before.
 */
static bool
lets_in(Node *statement)
{
	const AlterDatabaseStmt *alter = (AlterDatabaseStmt *) statement;

	return IsA(statement, CreatedbStmt) ||
		   (IsA(statement, AlterDatabaseStmt) && (has_option(alter, "allow_connections", true) ||
												  has_option(alter, "is_template", false)));
}

/*
 * Tells whether ALTER DATABASE sets what is incompatible with sessions in the database.
 */
static bool
evicts(const AlterDatabaseStmt *statement)
{
	ListCell *cell;

	foreach (cell, statement->options)
	{
		if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
			return true;
	}
	return has_option(statement, "allow_connections", false) ||
		   has_option(statement, "is_template", true);
}

static bool
has_option(const AlterDatabaseStmt *statement, const char *name, bool value)
{
	ListCell *cell;

	foreach (cell, statement->options)
	{
		DefElem *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0 && option->arg != NULL)
			return defGetBoolean(option) == value;
	}
	return false;
}

/*
 * Tells whether a command locks the tables of aion one after the other, and may: one that drops the
 * extension, also by what it requires or by its owner, and one that changes all of it.
 */
static bool
locks_extension(Node *statement)
{
	List *required;
	Oid extension;

	if (!IsA(statement, DropStmt) && !IsA(statement, DropOwnedStmt) &&
		!IsA(statement, ReassignOwnedStmt) && !IsA(statement, AlterExtensionStmt))
		return false;
	if (IsAbortedTransactionBlockState())
		return false; /* nothing can be looked up, and the command will be refused */
	extension = get_extension_oid("aion", true);
	if (!OidIsValid(extension))
		return false;
	required = add_required(NIL, ExtensionRelationId, extension);
	switch (nodeTag(statement))
	{
		case T_DropStmt:
			return drops_any_of((DropStmt *) statement, required);
		case T_DropOwnedStmt:
			return owns_any_of(((DropOwnedStmt *) statement)->roles, required);
		case T_ReassignOwnedStmt:
			return owns_any_of(((ReassignOwnedStmt *) statement)->roles, required);
		default:
			return strcmp(((AlterExtensionStmt *) statement)->extname, "aion") == 0 &&
				   may_drop(ExtensionRelationId, extension);
	}
}

/*
 * Tells whether a command drops an extension or a schema that aion requires, or aion itself.
 * Without CASCADE, too: what it locks is the same, before it is refused.
 */
static bool
drops_any_of(const DropStmt *drop, List *required)
{
	ListCell *cell;

	foreach (cell, drop->objects)
	{
		Oid class = InvalidOid;
		Oid object = InvalidOid;

		if (drop->removeType == OBJECT_EXTENSION)
		{
			class = ExtensionRelationId;
			object = get_extension_oid(strVal(lfirst(cell)), true);
		}
		else if (drop->removeType == OBJECT_SCHEMA)
		{
			class = NamespaceRelationId;
			object = get_namespace_oid(strVal(lfirst(cell)), true);
		}
		if (OidIsValid(object) && is_among(required, class, object) && may_drop(class, object))
			return true;
	}
	return false;
}

/*
 * Tells whether one of some roles owns one of some objects, and the user has its privileges.
 */
static bool
owns_any_of(List *roles, List *required)
{
	ListCell *role_cell;
	ListCell *cell;

	foreach (role_cell, roles)
	{
		Oid role = get_rolespec_oid(lfirst_node(RoleSpec, role_cell), true);

		foreach (cell, required)
		{
			if (OidIsValid(role) && owner_of(lfirst(cell)) == role &&
				has_privs_of_role(GetUserId(), role))
				return true;
		}
	}
	return false;
}

static bool
may_drop(Oid class, Oid object)
{
	return class == ExtensionRelationId ? aion_compat_owns_extension(object, GetUserId())
										: aion_compat_owns_schema(object, GetUserId());
}

/*
 * Adds an object to a list, and all that it depends on, so that it is dropped with them.
 */
static List *
add_required(List *required, Oid class, Oid object)
{
	ObjectAddress *added;
	Relation catalog;
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple tuple;

	if (is_among(required, class, object))
		return required;
	added = palloc(sizeof(ObjectAddress));
	ObjectAddressSet(*added, class, object);
	required = lappend(required, added);
	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(class));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(catalog, DependDependerIndexId, true, NULL, lengthof(keys), keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		required = add_required(required, depend->refclassid, depend->refobjid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return required;
}

static bool
is_among(List *required, Oid class, Oid object)
{
	ListCell *cell;

	foreach (cell, required)
	{
		const ObjectAddress *known = lfirst(cell);

		if (known->classId == class && known->objectId == object)
			return true;
	}
	return false;
}

/*
 * Returns the owner of an object; InvalidOid if it is gone, or of a class without owners.
 */
static Oid
owner_of(const ObjectAddress *object)
{
	AttrNumber column = get_object_attnum_owner(object->classId);
	Relation catalog;
	HeapTuple tuple;
	Oid owner = InvalidOid;
	bool isnull;

	if (column == InvalidAttrNumber)
		return InvalidOid;
	catalog = table_open(object->classId, AccessShareLock);
	tuple = get_catalog_object_by_oid(catalog, get_object_attnum_oid(object->classId),
									  object->objectId);
	if (HeapTupleIsValid(tuple))
		owner = DatumGetObjectId(heap_getattr(tuple, column, RelationGetDescr(catalog), &isnull));
	table_close(catalog, AccessShareLock);
	return owner;
}

/*
 * Removes the jobs of pg_cron for schedules that will be gone.  An error, as in an extension of
 * another version, must not prevent the drop.
 */
static void
remove_cron_jobs(void)
{
	Authority authority;
	Subtransaction sub;

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		aion_authority_assume(&authority);
		aion_cron_job_remove_all();
		aion_authority_drop(&authority);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		ErrorData *error = aion_subtransaction_abort(&sub);

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(WARNING, (errmsg("jobs of pg_cron that belong to aion were not removed: %s",
								 error->message)));
	}
	PG_END_TRY();
}

/*
 * Warns, where an extension is created, that the server has too few processes for all databases
 * that have it.
 */
static void
warn_of_workers(void)
{
	WorkerNeeds needs = aion_service_worker_needs();

	if (needs.processes <= max_worker_processes)
		return;
	ereport(
		WARNING,
		(errmsg("max_worker_processes is %d, but %d are needed", max_worker_processes,
				needs.processes),
		 errdetail("Databases with aion: %d; each has a scheduler, and they share %d runners.",
				   needs.databases, aion_max_runners),
		 errhint("Increase max_worker_processes and restart the server, or see aion.health().")));
}

static void
lifecycle_transaction_ended(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (holding)
		aion_hold_let_go();
	if (renamed && event == XACT_EVENT_COMMIT)
		aion_board_post_scan_everywhere();
	if (appearing && event == XACT_EVENT_COMMIT)
		aion_board_post_databases();
	holding = appearing = renamed = false;
}
