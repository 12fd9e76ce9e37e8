/*
 * adoption.c
 *		Copies of a database execute nothing until they are adopted.
 *
 * The first registration or start records where it happened: system identifier, oid of the
 * database, oid of the extension.  A restored dump, a cloned template or an upgraded cluster
 * carries that row to another place, and the engine executes nothing there.  CREATE EXTENSION
 * itself writes nothing, so that a restored row meets an empty table.
 *
 * A byte-for-byte copy (base backup, snapshot) cannot be recognised.
 *
 * An administrator can also pause the engine in any database: a row says so, too.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "code/adoption.h"
#include "guc.h"
#include "shared/wakeup.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/registry.h"
#include "support/statement.h"

static Statement select_adoption = STATEMENT(
	SELECT, "SELECT system_identifier, database, extension, execution FROM aion._adoption");
static Statement select_run = STATEMENT(SELECT, "SELECT FROM aion._run LIMIT 1");
static Statement insert_adoption =
	STATEMENT(INSERT,
			  "INSERT INTO aion._adoption (system_identifier, database, extension, execution)"
			  " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			  TEXTOID, OIDOID, OIDOID, TEXTOID);
static Statement update_adoption =
	STATEMENT(UPDATE,
			  "UPDATE aion._adoption SET system_identifier = $1, database = $2, extension = $3,"
			  " execution = $4, adopted_at = pg_catalog.now()",
			  TEXTOID, OIDOID, OIDOID, TEXTOID);

static Statement select_pause = STATEMENT(SELECT, "SELECT EXISTS (SELECT FROM aion._pause)");
static Statement insert_pause = STATEMENT(
	INSERT, "INSERT INTO aion._pause (paused_by) VALUES ($1) ON CONFLICT DO NOTHING", TEXTOID);
static Statement delete_pause = STATEMENT(DELETE, "DELETE FROM aion._pause");

static Registry pauses = {.table = "_pause"};

/* The generation of the extension that is known to be adopted by a committed row. */
static uint64 adopted_generation = 0;
static TransactionId adopted_by = InvalidTransactionId;
static char *adopted_as = NULL; /* the setting aion.execution at that time */

static char *system_identifier(void);
static void here(NullableDatum *args);
static bool is_adopted_here(void);

void
aion_adoption_init(void)
{
	aion_registry_init(&pauses);
}

/*
 * Tells whether the engine is paused in this database.
 */
bool
aion_engine_is_paused(void)
{
	aion_registry_refresh(&pauses);
	if (pauses.entries == NIL)
	{
		bool paused = aion_row_bool(aion_statement_execute(&select_pause, NULL), 0, 1);
		MemoryContext caller = MemoryContextSwitchTo(pauses.context);

		pauses.entries = list_make1_int(paused);
		MemoryContextSwitchTo(caller);
	}
	return linitial_int(pauses.entries) != 0;
}

/*
 * Discards what is cached of a pause.  A process that is woken by its commit may be woken before
 * the invalidation has reached its cache.
 */
void
aion_engine_forget_pause(void)
{
	pauses.stale = true;
}

/*
 * Tells whether this database is where it was adopted.
 */
AdoptionState
aion_adoption_state(void)
{
	const Extension *ext = aion_extension_of_any_version();
	NullableDatum place[4];
	Rows rows;

	if (adopted_generation == ext->generation)
		return ADOPTION_DONE;
	rows = aion_statement_execute(&select_adoption, NULL);
	if (rows.count == 0)
		return ADOPTION_NEW;
	here(place);
	if (strcmp(aion_row_text(rows, 0, 1), TextDatumGetCString(place[0].value)) != 0 ||
		aion_row_oid(rows, 0, 2) != MyDatabaseId || aion_row_oid(rows, 0, 3) != ext->oid)
		return ADOPTION_COPY;
	if (adopted_as != NULL)
		pfree(adopted_as);
	adopted_as = MemoryContextStrdup(TopMemoryContext, aion_row_text(rows, 0, 4));

	/* A row of this transaction may still be rolled back, so that answer holds for it only. */
	if (!TransactionIdIsValid(adopted_by) || adopted_by != GetTopTransactionIdIfAny())
		adopted_generation = ext->generation;
	return ADOPTION_DONE;
}

/*
 * Adopts a database where nothing was registered or started so far.
 */
void
aion_adopt_if_new(void)
{
	NullableDatum place[4];
	LOCKTAG tag;

	if (aion_adoption_state() != ADOPTION_NEW)
		return;

	/* A transaction that is doing this right now may take long to commit; do not wait for it. */
	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, aion_extension()->oid, 0);
	if (LockAcquire(&tag, ShareUpdateExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return;
	here(place);
	(void) aion_statement_execute(&insert_adoption, place);
	aion_wakeup_scan();
	adopted_by = GetTopTransactionId();
}

/*
 * Refuses to execute anything in a copy.  Returns whether there can be anything to execute.
 */
bool
aion_adoption_require(void)
{
	if (aion_adoption_state() == ADOPTION_NEW &&
		aion_statement_execute(&select_run, NULL).count == 0)
		return false;
	aion_adopt_if_new();
	if (strcmp(aion_execution, "off") == 0)
		ereport(ERROR, (errcode(ERRCODE_ENGINE_NOT_RUNNING), errmsg("execution is off"),
						errhint("See the setting aion.execution.")));
	if (aion_engine_is_paused())
		ereport(ERROR, (errcode(ERRCODE_ENGINE_NOT_RUNNING), errmsg("the engine is paused"),
						errhint("An administrator can use SELECT aion.resume_engine().")));
	if (aion_adoption_state() == ADOPTION_DONE && !is_adopted_here())
		ereport(
			ERROR,
			(errcode(ERRCODE_NOT_ADOPTED),
			 errmsg("this database was adopted with aion.execution = \"%s\", which is \"%s\" here",
					adopted_as, aion_execution),
			 errhint("If it is to execute workflows here, set aion.execution, or use "
					 "SELECT aion.adopt_database().")));
	if (aion_adoption_state() == ADOPTION_COPY)
		ereport(ERROR,
				(errcode(ERRCODE_NOT_ADOPTED),
				 errmsg("this database is a copy and has not been adopted"),
				 errdetail("Starts are recorded, but nothing is executed."),
				 errhint("If the database it was copied from no longer executes workflows, use "
						 "SELECT aion.adopt_database().")));
	return true;
}

/*
 * Tells whether the engine's processes execute runs in this database.
 */
bool
aion_engine_executes(void)
{
	return is_adopted_here() && !aion_engine_is_paused();
}

/*
 * Pauses or resumes the engine in this database.
 */
void
aion_engine_set_paused(bool paused, const char *by)
{
	NullableDatum args[] = {aion_arg_text(by)};

	(void) aion_statement_execute(paused ? &insert_pause : &delete_pause, args);
	aion_registry_changed(&pauses);
	aion_wakeup_scan();
}

/*
 * Tells whether oids of roles in rows of this database are those of this server: it was adopted in
 * the same server, perhaps as another database.
 */
bool
aion_adoption_is_of_this_server(void)
{
	Rows rows;

	if (aion_adoption_state() == ADOPTION_DONE)
		return true;
	rows = aion_statement_execute(&select_adoption, NULL);
	return rows.count > 0 && strcmp(aion_row_text(rows, 0, 1), system_identifier()) == 0;
}

/*
 * Makes this database an adopted one; false if it is already.
 */
bool
aion_adopt(void)
{
	NullableDatum place[4];

	aion_adopt_if_new();
	if (is_adopted_here())
		return false;
	here(place);
	(void) aion_statement_execute(&update_adoption, place);
	adopted_generation = 0;
	adopted_by = GetTopTransactionId();
	return true;
}

static bool
is_adopted_here(void)
{
	if (aion_adoption_state() == ADOPTION_DONE && strcmp(aion_execution, adopted_as) != 0)
		adopted_generation = 0; /* it may have been adopted again */
	return aion_adoption_state() == ADOPTION_DONE && strcmp(aion_execution, adopted_as) == 0;
}

static char *
system_identifier(void)
{
	return psprintf(UINT64_FORMAT, GetSystemIdentifier());
}

static void
here(NullableDatum *args)
{
	args[0] = aion_arg_text(system_identifier());
	args[1] = aion_arg_oid(MyDatabaseId);
	args[2] = aion_arg_oid(aion_extension_of_any_version()->oid);
	args[3] = aion_arg_text(strcmp(aion_execution, "off") == 0 ? "on" : aion_execution);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_guard_history);

/*
 * Refuses to change history through the executor, which the recorder does not use.  Only a
 * superuser's restore passes, and only into a database that is not adopted.
 */
Datum
aion_guard_history(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool restore;
	Authority authority;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
						errmsg("function must be called by a trigger")));
	restore = superuser() && TRIGGER_FIRED_BY_INSERT(trigger->tg_event) &&
			  !TRIGGER_FIRED_INSTEAD(trigger->tg_event);
	if (restore)
	{
		aion_authority_assume_to_read(&authority);
		restore = aion_adoption_state() != ADOPTION_DONE;
		aion_authority_drop(&authority);
	}
	if (!restore)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("history of workflow runs cannot be changed"),
						errdetail("It is append-only, and only the engine appends."),
						errhint("To remove closed runs, use aion.purge_workflows().")));
	PG_RETURN_POINTER(NULL);
}
