/*
 * hold.c
 *		Keeping the engine out of a database that a command needs for itself.
 *
 * While a database is held, no process of the engine begins there, and those that are there leave.
 * A hold ends with the process that took it.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"

#include "shared/board_memory.h"
#include "shared/hold.h"
#include "support/pg_compat.h"

#define ASK_MS 3000	   /* a turn may take long, and code may catch the cancel */
#define LEAVE_MS 30000 /* then the command that wants the database fails */

static bool own_hold = false;

static void terminate_processes(Oid database);
static void hold_terminate(int pid);
static int count_processes(Oid database);
static void leave_hold(int code, Datum argument);

/*
 * Keeps the engine out of a database, asks its processes to leave, terminates those that do not,
 * and waits until they have gone; false if they do not.
 */
bool
aion_hold_take(Oid database)
{
	Board *board = aion_board_memory();
	static bool registered = false;
	Hold *hold = NULL;
	int left = 1;

	if (board == NULL)
		return true;
	if (!registered)
		before_shmem_exit(leave_hold, (Datum) 0);
	registered = true;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; hold == NULL && i < HOLDERS; i++)
	{
		if (!OidIsValid(board->holds[i].database))
			hold = &board->holds[i];
	}
	if (hold != NULL)
	{
		own_hold = true;
		hold->database = database;
		hold->process = AION_COMPAT_MY_PROC_NUMBER;
		for (int i = 0; i < board->runner_count; i++)
		{
			if (board->runners[i].database != database)
				continue;
			aion_board_set_latch(board->runners[i].process);
			aion_board_stop(&board->runners[i]);
		}
		if (aion_board_database(database) != NULL)
			aion_board_set_latch(aion_board_database(database)->scheduler);
	}
	LWLockRelease(board->lock);
	for (int waited = 0; hold != NULL && left > 0 && waited < LEAVE_MS; waited += 10)
	{
		if (waited == ASK_MS)
			terminate_processes(database);
		left = count_processes(database);
		if (left > 0)
		{
			(void) WaitLatch(MyLatch, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, PG_WAIT_EXTENSION);
			CHECK_FOR_INTERRUPTS();
		}
	}
	return hold != NULL && left == 0;
}

/*
 * Lets the engine back into the databases that this process has held.
 */
void
aion_hold_let_go(void)
{
	Board *board = aion_board_memory();

	if (!own_hold)
		return;
	own_hold = false;
	LWLockAcquire(board->lock, LW_EXCLUSIVE);
	for (int i = 0; i < HOLDERS; i++)
	{
		if (board->holds[i].process == AION_COMPAT_MY_PROC_NUMBER)
			board->holds[i].database = InvalidOid;
	}
	board->ask_all = true;
	aion_board_set_latch(board->launcher);
	LWLockRelease(board->lock);
}

/*
 * Tells whether the engine is kept out of a database; with the board's lock.
 */
bool
aion_hold_is_on(Oid database)
{
	const Board *board = aion_board_memory();

	for (int i = 0; i < HOLDERS; i++)
	{
		if (OidIsValid(database) && board->holds[i].database == database)
			return true;
	}
	return false;
}

/*
 * Terminates the processes of the engine in a database.  What they execute is rolled back, and is
 * executed again if the database is still there.
 */
static void
terminate_processes(Oid database)
{
	Board *board = aion_board_memory();
	const DatabaseSlot *slot;

	LWLockAcquire(board->lock, LW_SHARED);
	slot = aion_board_database(database);
	for (int i = 0; i < board->runner_count; i++)
	{
		if (board->runners[i].database == database)
			hold_terminate(aion_board_pid(board->runners[i].process));
	}
	if (slot != NULL)
		hold_terminate(aion_board_pid(slot->scheduler));
	LWLockRelease(board->lock);
}

static void
hold_terminate(int pid)
{
	if (pid > 0)
		(void) kill(pid, SIGTERM);
}

/*
 * Counts the processes of the engine in a database.  One that is about to connect counts, too.
 */
static int
count_processes(Oid database)
{
	Board *board = aion_board_memory();
	int count = 0;

	LWLockAcquire(board->lock, LW_SHARED);
	for (int i = 0; i < board->database_count; i++)
		count += board->databases[i].database == database;
	for (int i = 0; i < board->runner_count; i++)
		count += board->runners[i].database == database;
	LWLockRelease(board->lock);
	return count;
}

static void
leave_hold(int code, Datum argument)
{
	aion_hold_let_go();
}
