/*
 * service.c
 *		Which databases are served: slots of the board for the launcher and the schedulers.
 *
 * The launcher reserves the slot of a database.  Its scheduler takes the slot when it begins, and
 * gives it back in a callback, however it ends.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "replication/logicallauncher.h"
#include "storage/ipc.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "shared/board_memory.h"
#include "shared/hold.h"
#include "shared/service.h"
#include "shared/worker_slots.h"
#include "support/pg_compat.h"

#define REFUSED_MS 60000 /* how long a refusal is reported */

static bool own_scheduler = false;

static bool has_room(const Board *board);
static void leave_launcher(int code, Datum argument);
static void leave_scheduler(int code, Datum argument);

void
aion_service_launcher_begin(void)
{
	Board *board = aion_board_memory();

	before_shmem_exit(leave_launcher, (Datum) 0);
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	board->launcher = AION_COMPAT_MY_PROC_NUMBER;
	board->ask_all = true;
	LWLockRelease(board->lock);
}

/*
 * Reserves a slot for the scheduler of a database, unless there is none, or the database is held.
 */
Offer
aion_service_offer(Oid database)
{
	Board *board = aion_board_memory();
	Offer offer = OFFER_NOT_NEEDED;
	DatabaseSlot *slot;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(database);
	if (slot == NULL)
		slot = aion_board_database(InvalidOid);
	if (aion_hold_is_on(database))
		offer = OFFER_NOT_NEEDED;
	else if (slot == NULL)
		offer = OFFER_NO_ROOM;
	else if (slot->scheduler < 0) /* else an earlier launcher has started it */
	{
		offer = OFFER_MADE;
		memset(slot, 0, sizeof(DatabaseSlot));
		slot->database = database;
		slot->scheduler = -1;
		slot->scan = true;
		slot->horizon = DT_NOBEGIN;
		slot->next_wake = DT_NOBEGIN;
		slot->look_at = DT_NOEND;
	}
	LWLockRelease(board->lock);
	return offer;
}

/*
 * Tells whether one more database can be served.
 */
bool
aion_service_has_room(void)
{
	Board *board = aion_board_memory();
	bool room;

	LWLockAcquire(board->lock, LW_SHARED);
	room = has_room(board);
	LWLockRelease(board->lock);
	return room;
}

static bool
has_room(const Board *board)
{
	int schedulers = 0;

	for (int i = 0; i < board->database_count; i++)
		schedulers +=
			OidIsValid(board->databases[i].database) && board->databases[i].scheduler >= 0;
	return schedulers < board->database_count - 1;
}

/*
 * Notes for which databases there is no room.
 */
void
aion_service_set_unserved(List *databases)
{
	Board *board = aion_board_memory();
	ListCell *cell;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	board->unserved_count = list_length(databases);
	foreach (cell, databases)
	{
		if (foreach_current_index(cell) < ASKED)
			board->unserved[foreach_current_index(cell)] = lfirst_oid(cell);
	}
	LWLockRelease(board->lock);
}

/*
 * Tells whether the scheduler of a database has begun: so there is an extension.
 */
bool
aion_service_is_served(Oid database)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;
	bool served;

	LWLockAcquire(board->lock, LW_SHARED);
	slot = aion_board_database(database);
	served = slot != NULL && slot->scheduler >= 0;
	LWLockRelease(board->lock);
	return served;
}

/*
 * Frees the slot of a database whose scheduler has ended.  Returns whether it should have another
 * one: it ended for some other reason than that there is nothing to serve.
 */
bool
aion_service_withdraw(Oid database, bool *no_room)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;
	bool again;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(database);
	again = (slot == NULL || !slot->absent) && !aion_hold_is_on(database);
	*no_room = slot != NULL && slot->crowded;
	if (slot != NULL && slot->scheduler < 0)
		slot->database = InvalidOid;
	LWLockRelease(board->lock);
	return again;
}

/*
 * Makes this process the scheduler of its database; false if the database has one, or is held, or
 * there is no room for one more.
 */
bool
aion_service_scheduler_begin(void)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;

	before_shmem_exit(leave_scheduler, (Datum) 0);
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	own_scheduler = slot != NULL && slot->scheduler < 0 && !aion_hold_is_on(MyDatabaseId);
	if (own_scheduler && !has_room(board))
	{
		slot->crowded = true;
		own_scheduler = false;
	}
	if (own_scheduler)
	{
		slot->scheduler = AION_COMPAT_MY_PROC_NUMBER;
		aion_board_set_latch(board->launcher); /* which starts one that has begun again at once */
	}
	LWLockRelease(board->lock);
	return own_scheduler;
}

/*
 * Says that this database has no extension, so that its scheduler is not started again.
 */
void
aion_service_scheduler_absent(void)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	if (slot != NULL)
		slot->absent = true;
	LWLockRelease(board->lock);
}

/*
 * Returns the process of the launcher; 0 if there is none.
 */
int
aion_service_launcher_pid(void)
{
	Board *board = aion_board_memory();

	return board != NULL ? aion_board_pid(board->launcher) : 0;
}

/*
 * Returns the process of this database's scheduler; 0 if there is none.
 */
int
aion_service_scheduler_pid(void)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;
	int pid = 0;

	if (board == NULL)
		return 0;
	LWLockAcquire(board->lock, LW_SHARED);
	slot = aion_board_database(MyDatabaseId);
	if (slot != NULL)
		pid = aion_board_pid(slot->scheduler);
	LWLockRelease(board->lock);
	return pid;
}

/*
 * Returns how many processes the engine needs for the databases that have the extension, as this
 * one has, or is about to.
 */
WorkerNeeds
aion_service_worker_needs(void)
{
	Board *board = aion_board_memory();
	WorkerNeeds needs = {0};
	bool counted = false;

	if (board == NULL || board->runner_count == 0)
		return needs;
	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < board->database_count; i++)
	{
		const DatabaseSlot *slot = &board->databases[i];

		if (!OidIsValid(slot->database) || slot->scheduler < 0)
			continue;
		needs.databases++;
		if (slot->database != MyDatabaseId)
			continue;
		counted = true;
		needs.refused =
			slot->refused_at != 0 &&
			!TimestampDifferenceExceeds(slot->refused_at, GetCurrentTimestamp(), REFUSED_MS);
	}
	needs.unserved_count = board->unserved_count;
	for (int i = 0; i < Min(needs.unserved_count, ASKED); i++)
		needs.unserved = lappend_oid(needs.unserved, board->unserved[i]);
	LWLockRelease(board->lock);
	counted = counted || list_member_oid(needs.unserved, MyDatabaseId);
	needs.databases += needs.unserved_count + (counted ? 0 : 1);
	needs.processes =
		1 + needs.databases + aion_max_runners + (max_logical_replication_workers > 0);
	return needs;
}

/*
 * Notes that the server had no process for this database.
 */
void
aion_service_note_refusal(void)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	if (slot != NULL)
		slot->refused_at = GetCurrentTimestamp();
	LWLockRelease(board->lock);
}

static void
leave_launcher(int code, Datum argument)
{
	Board *board = aion_board_memory();

	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	board->launcher = -1;
	LWLockRelease(board->lock);
}

/*
 * A scheduler that ends frees its slot; its runners end, too.
 */
static void
leave_scheduler(int code, Datum argument)
{
	Board *board = aion_board_memory();
	DatabaseSlot *slot;

	if (!own_scheduler)
		return;
	aion_worker_slots_dismiss();
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	slot = aion_board_database(MyDatabaseId);
	if (slot != NULL)
	{
		slot->scheduler = -1;
		slot->database = InvalidOid;
	}
	aion_board_set_latch(board->launcher);
	LWLockRelease(board->lock);
}
