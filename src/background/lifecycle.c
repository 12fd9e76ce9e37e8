/*
 * lifecycle.c
 *		What happens to databases and extensions, noticed where it happens.
 *
 * Commands that need a database for themselves would fail for the engine's processes in it, and
 * dropping the extension would deadlock with them.  Before such a command the engine is kept out of
 * the database, and let in again when the transaction has ended and everybody can see what it did.
 * An extension that comes or goes is told to the launcher when that commits.  COMMIT PREPARED calls
 * no transaction callbacks, so what such a transaction made ready has to be looked for.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "background/lifecycle.h"
#include "primitives/bell.h"
#include "support/board.h"
#include "support/extension.h"
#include "support/hold.h"
#include "support/pg_compat.h"
#include "support/wakeup.h"

/* In this transaction: */
static bool holding = false;  /* a database */
static bool creating = false; /* one, which may have the extension from its template */

static ProcessUtility_hook_type next_process_utility = NULL;
static object_access_hook_type next_object_access = NULL;

static void watch_process_utility(PlannedStmt *statement, const char *text, bool read_only_tree,
								  ProcessUtilityContext context, ParamListInfo parameters,
								  QueryEnvironment *environment, DestReceiver *receiver,
								  QueryCompletion *completion);
static void watch_object_access(ObjectAccessType access, Oid class, Oid object, int sub, void *arg);
static const char *wanted_database(Node *statement);
static const char *template_of(const CreatedbStmt *statement);
static bool drops_extension(Node *statement);
static void remove_bells(void);
static void transaction_ended(XactEvent event, void *argument);
static bool may_have(Node *statement, Oid database);
static bool is_template(Oid database);

void
aion_lifecycle_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	RegisterXactCallback(transaction_ended, NULL);
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

	if (!may_have(node, database))
		database = InvalidOid; /* the command will be refused */

	if (OidIsValid(database) || drops_extension(node))
	{
		bool already = holding;

		holding = true; /* also if it fails half-way */
		if (!already)
			(void) aion_hold_take(OidIsValid(database) ? database : MyDatabaseId);
	}
	if (drops_extension(node))
		remove_bells();
	creating = creating || IsA(node, CreatedbStmt);
	if (next_process_utility != NULL)
		next_process_utility(statement, text, read_only_tree, context, parameters, environment,
							 receiver, completion);
	else
		standard_ProcessUtility(statement, text, read_only_tree, context, parameters, environment,
								receiver, completion);
	if (IsA(node, TransactionStmt) &&
		((TransactionStmt *) node)->kind == TRANS_STMT_COMMIT_PREPARED)
	{
		/* Whatever it was: it has told nobody. */
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
			return ((AlterDatabaseStmt *) statement)->dbname;
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
 * Tells whether the user can have any success with such a command.
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
	if (!aion_compat_owns_database(database, GetUserId()) && !is_template(database))
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
is_template(Oid database)
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
 * Tells whether a command drops aion from this database, and may.
 */
static bool
drops_extension(Node *statement)
{
	DropStmt *drop = (DropStmt *) statement;
	ListCell *cell;

	if (!IsA(statement, DropStmt) || drop->removeType != OBJECT_EXTENSION)
		return false;
	foreach (cell, drop->objects)
	{
		if (strcmp(strVal(lfirst(cell)), "aion") == 0)
		{
			Oid extension = get_extension_oid("aion", true);

			return OidIsValid(extension) && aion_compat_owns_extension(extension, GetUserId());
		}
	}
	return false;
}

/*
 * Lets nobody ring for schedules that will be gone.  An extension of another version, or anything
 * else that is wrong, is no reason not to drop it.
 */
static void
remove_bells(void)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Authority authority;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		aion_authority_assume(&authority);
		aion_bell_remove_all();
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
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		ereport(WARNING, (errmsg("jobs of pg_cron that belong to aion were not removed: %s",
								 error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
}

static void
transaction_ended(XactEvent event, void *argument)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (holding)
		aion_hold_let_go();
	else if (creating && event == XACT_EVENT_COMMIT)
		aion_board_post_databases();
	holding = creating = false;
}
