/*
 * launcher.c
 *		One process per server: keeps a scheduler running in every database with aion.
 *
 * It is connected to no database, so it cannot see where the extension is.  At first it starts a
 * scheduler in every database, one after the other, to find out; afterwards sessions tell it where
 * an extension was created or dropped.  A scheduler that ends although its database has the
 * extension is started again, with exponential backoff.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "background/launcher.h"
#include "background/process.h"
#include "background/scheduler.h"
#include "guc.h"
#include "shared/board.h"
#include "shared/service.h"
#include "support/pg_compat.h"

#define AGAIN_FIRST_MS 1000
#define AGAIN_MAX_MS (60 * 1000)
#define NEXT_PROBE_MS 2000		   /* whatever becomes of this one */
#define BEGIN_MS (10 * 1000)	   /* a scheduler that has not begun then is ended */
#define NO_ROOM_MAX_MS (10 * 1000) /* a free worker slot is not announced */
#define COMPLAIN_MS (60 * 1000)

/* A database that has a scheduler, or is to get one again. */
typedef struct Served
{
	Oid database;
	BackgroundWorkerHandle *handle; /* NULL: none at the moment */
	TimestampTz started_at;
	TimestampTz again_at;
	int delay;	  /* ms */
	bool no_room; /* no worker slot for a scheduler, which it may need */
	bool has_served;
	bool asked; /* while it had one: look again if that finds nothing to serve */
} Served;

static List *served = NIL;

static List *list_databases(void);
static void look_into(Oid database);
static void start_scheduler(Served *database);
static void report_unserved(void);
static TimestampTz look_after(void);
static TimestampTz launcher_end_late(Served *database);
static bool exists(Oid database);
static bool launcher_has_ended(const Served *database);

pg_noreturn PGDLLEXPORT void aion_launcher_main(Datum argument);

/*
 * Lets the postmaster start the launcher, and start it again whenever it ends.
 */
void
aion_launcher_register(void)
{
	BackgroundWorker worker;

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade || aion_max_runners == 0)
		return;
	aion_process_describe(&worker, "aion launcher", LAUNCHER_MAIN);
	worker.bgw_restart_time = 1;
	RegisterBackgroundWorker(&worker);
}

void
aion_launcher_main(Datum argument)
{
	aion_process_begin();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("aion launcher");
	aion_service_launcher_begin();
	MemoryContextSwitchTo(TopMemoryContext);
	for (;;)
	{
		List *databases;
		ListCell *cell;
		bool all;

		QueryCancelPending = false;
		CHECK_FOR_INTERRUPTS();
		databases = aion_board_take_databases(&all);
		if (all)
			databases = list_concat_unique_oid(databases, list_databases());
		foreach (cell, databases)
			look_into(lfirst_oid(cell));
		list_free(databases);
		aion_process_wait_until(look_after());
	}
}

/*
 * Returns the databases that processes can connect to.
 */
static List *
list_databases(void)
{
	List *databases = NIL;
	Relation catalog;
	TableScanDesc scan;
	HeapTuple tuple;

	aion_process_begin_work("listing databases");
	catalog = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(catalog, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext caller;

		if (!form->datallowconn || form->datistemplate || AION_COMPAT_DATABASE_IS_INVALID(form))
			continue;
		caller = MemoryContextSwitchTo(TopMemoryContext);
		databases = lappend_oid(databases, form->oid);
		MemoryContextSwitchTo(caller);
	}
	table_endscan(scan);
	table_close(catalog, AccessShareLock);
	aion_process_end_work();
	SetLatch(MyLatch); /* a wait for a lock or a buffer may have reset it */
	MemoryContextSwitchTo(TopMemoryContext);
	return databases;
}

/*
 * Starts a scheduler that looks whether a database has the extension, unless one is running.
 */
static void
look_into(Oid database)
{
	Served *entry;
	ListCell *cell;
	TimestampTz began = GetCurrentTimestamp();

	foreach (cell, served)
	{
		entry = lfirst(cell);
		if (entry->database == database)
		{
			entry->again_at = began;
			entry->asked = entry->handle != NULL; /* which may be just leaving */
			return;
		}
	}
	entry = palloc0(sizeof(Served));
	entry->database = database;
	entry->delay = AGAIN_FIRST_MS;
	served = lappend(served, entry);
	start_scheduler(entry);

	/* One at a time: a server with many databases has no room for all to be looked into at once. */
	while (entry->handle != NULL && !aion_service_is_served(database) &&
		   !launcher_has_ended(entry) &&
		   !TimestampDifferenceExceeds(began, GetCurrentTimestamp(), NEXT_PROBE_MS))
		aion_process_wait(10);
	SetLatch(MyLatch); /* the waits have reset it */
	(void) look_after();
}

static void
start_scheduler(Served *database)
{
	BackgroundWorker worker;
	Offer offer;

	database->started_at = GetCurrentTimestamp();
	database->again_at = TimestampTzPlusMilliseconds(database->started_at, database->delay);
	if (database->no_room && !aion_service_has_room())
		return;
	offer = aion_service_offer(database->database);
	database->no_room = offer == OFFER_NO_ROOM;
	if (offer != OFFER_MADE)
		return;
	aion_scheduler_describe(&worker, database->database);
	if (RegisterDynamicBackgroundWorker(&worker, &database->handle))
		return;
	(void) aion_service_withdraw(database->database, &database->no_room);
	database->no_room = true;
	database->handle = NULL;
	database->delay = Min(database->delay * 2, NO_ROOM_MAX_MS);
}

/*
 * Publishes which databases have no worker slot for a scheduler, and logs how many at intervals.
 */
static void
report_unserved(void)
{
	static TimestampTz complained_at = 0;
	List *unserved = NIL;
	ListCell *cell;

	foreach (cell, served)
	{
		const Served *database = lfirst(cell);

		if (database->no_room)
			unserved = lappend_oid(unserved, database->database);
	}
	aion_service_set_unserved(unserved);
	if (unserved != NIL &&
		aion_process_is_due(complained_at + COMPLAIN_MS * INT64CONST(1000), COMPLAIN_MS))
	{
		complained_at = GetCurrentTimestamp();
		ereport(LOG, (errmsg_plural(
						  "could not start aion scheduler of %d database: no free worker slot",
						  "could not start aion schedulers of %d databases: no free worker slot",
						  list_length(unserved), list_length(unserved)),
					  errdetail("The function aion.health() of any database with aion names them."),
					  errhint("You might need to increase max_worker_processes.")));
	}
	list_free(unserved);
}

/*
 * Finds out which schedulers have ended, and starts those that are due.  Returns when the next one
 * is due.
 */
static TimestampTz
look_after(void)
{
	TimestampTz next = DT_NOEND;
	ListCell *cell;

	foreach (cell, served)
	{
		Served *database = lfirst(cell);

		if (database->handle != NULL && launcher_has_ended(database))
		{
			pfree(database->handle);
			database->handle = NULL;
			if (!aion_service_withdraw(database->database, &database->no_room) && !database->asked)
			{
				pfree(database);
				served = foreach_delete_current(served, cell);
				continue;
			}
			database->asked = false;
			if (database->has_served)
				database->delay = AGAIN_FIRST_MS; /* it was able to begin, so it need not wait */
			database->has_served = false;
			database->again_at =
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(), database->delay);
			database->delay = Min(database->delay * 2, AGAIN_MAX_MS);
		}
		if (aion_service_is_served(database->database))
		{
			database->has_served = true;
			continue; /* perhaps by one of an earlier launcher: it tells when it ends */
		}
		if (database->handle != NULL)
		{
			next = Min(next, launcher_end_late(database));
			continue;
		}
		if (aion_process_is_due(database->again_at, AGAIN_MAX_MS))
		{
			if (!exists(database->database))
			{
				pfree(database);
				served = foreach_delete_current(served, cell);
				continue;
			}
			start_scheduler(database);
		}
		if (database->handle == NULL)
			next = Min(next, database->again_at);
	}
	report_unserved();
	return next;
}

/*
 * Ends a scheduler that waits for the lock of its database for too long, since it occupies a worker
 * slot; it is started again later.  Returns when to look again.
 */
static TimestampTz
launcher_end_late(Served *database)
{
	if (TimestampDifferenceExceeds(database->started_at, GetCurrentTimestamp(), BEGIN_MS))
	{
		TerminateBackgroundWorker(database->handle);
		database->started_at = GetCurrentTimestamp();
	}
	return TimestampTzPlusMilliseconds(database->started_at, BEGIN_MS);
}

static bool
exists(Oid database)
{
	List *databases = list_databases();
	bool found = list_member_oid(databases, database);

	list_free(databases);
	return found;
}

static bool
launcher_has_ended(const Served *database)
{
	pid_t pid;

	return GetBackgroundWorkerPid(database->handle, &pid) == BGWH_STOPPED;
}
