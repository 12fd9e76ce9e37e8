/*
 * inflight.c
 *		Which runs, or errands, were being executed when the server crashed.
 *
 * Shared memory does not survive a crash, so each runner notes in a small file which run it is
 * about to execute.  A process that is told to quit because another one has crashed, or ends in an
 * orderly way in the middle of a run, takes its note back first: a note that is left names the run
 * that crashed the server, or whose process was killed, and no other run.  A process that leads
 * parallel workers leaves its note, since the one that has crashed may be one of these.
 *
 * Notes are written and not stored through a mapping: a write to a full or broken disk fails, a
 * store is SIGBUS.  The room for all notes is written when the server starts.  Where there is none,
 * nothing is noted: then no run is quarantined, but every run is executed.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "access/parallel.h"
#include "access/xact.h"
#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#include "shared/inflight.h"

/* In a directory whose contents base backups leave out. */
#define INFLIGHT_FILE "pg_stat_tmp/aion.inflight"

static int own_file = -1; /* where this process notes what it executes; -1: nowhere */
static off_t own_offset;
static InflightRun own_note;

static bool clear(int fd);
static void write_note(int64 run_key);
static void inflight_forget(int code, Datum argument);
static void quit(SIGNAL_ARGS);

/*
 * Reads the notes that were left before this start of the server, and clears them.  Called by the
 * postmaster when it creates shared memory, when no other process can write notes.
 */
void
aion_inflight_collect(InflightRun *runs)
{
	Size size = INFLIGHT_SLOTS * sizeof(InflightRun);
	int fd = open(INFLIGHT_FILE, O_RDWR | O_CREAT | PG_BINARY, pg_file_create_mode);

	if (fd < 0 || read(fd, runs, size) != (ssize_t) size)
		memset(runs, 0, size);
	if (fd < 0 || !clear(fd))
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not prepare file \"%s\": %m", INFLIGHT_FILE),
					  errdetail("Runs that crash the server are not noticed.")));
	if (fd >= 0)
		close(fd);
}

/*
 * Makes room for all notes; without it, the file is left empty.
 */
static bool
clear(int fd)
{
	InflightRun none[INFLIGHT_SLOTS];
	int saved_errno;

	memset(none, 0, sizeof(none));
	if (ftruncate(fd, 0) != 0)
		return false;
	errno = ENOSPC;
	if (pwrite(fd, none, sizeof(none), 0) == (ssize_t) sizeof(none))
		return true;
	saved_errno = errno;
	(void) !ftruncate(fd, 0);
	errno = saved_errno;
	return false;
}

/*
 * Lets this process note what it executes, in a slot that no other process has.
 */
void
aion_inflight_attach(int slot)
{
	struct stat status;
	int fd;

	if (slot >= INFLIGHT_SLOTS)
		return;
	fd = BasicOpenFile(INFLIGHT_FILE, O_RDWR | PG_BINARY);
	if (fd < 0)
		return;
	if (fstat(fd, &status) != 0 || status.st_size < INFLIGHT_SLOTS * (off_t) sizeof(InflightRun))
	{
		close(fd);
		return;
	}
	ReserveExternalFD();
	own_file = fd;
	own_offset = slot * (off_t) sizeof(InflightRun);
	memset(&own_note, 0, sizeof(own_note));
	own_note.database = MyDatabaseId;
	before_shmem_exit(inflight_forget, (Datum) 0);
	pqsignal(SIGQUIT, quit);
}

/*
 * Notes the run that is about to be executed, 0 when it is done.
 */
void
aion_inflight_note(int64 run_key)
{
	if (own_note.run_key != run_key)
		write_note(run_key);
}

/*
 * Also called by a signal handler, which may have interrupted this function.
 */
static void
write_note(int64 run_key)
{
	int saved_errno = errno;

	own_note.run_key = run_key;
	if (own_file >= 0)
		(void) !pwrite(own_file, &own_note, sizeof(own_note), own_offset);
	errno = saved_errno;
}

/*
 * This process was told to stop, whatever it is executing.
 */
static void
inflight_forget(int code, Datum argument)
{
	write_note(0);
}

/*
 * Another process has crashed, not this one.  An error ends parallel mode only when the workers
 * have ended, and has forgotten their context before.
 */
static void
quit(SIGNAL_ARGS)
{
	if (!ParallelContextActive() && !IsInParallelMode())
		write_note(0);
	_exit(2);
}
