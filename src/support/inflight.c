/*
 * inflight.c
 *		Which runs were being executed when the server crashed.
 *
 * Shared memory does not survive a crash, so each runner notes in a small file, mapped into memory,
 * which run it is about to execute.  A process that is told to quit because another one has
 * crashed, or ends in an orderly way in the middle of a run, takes its note back first: what is
 * left names the run that brought the server down, or whose process was killed, and no bystander.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file_perm.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/ipc.h"

#include "support/inflight.h"

/* Where base backups leave out what is there. */
#define INFLIGHT_FILE "pg_stat_tmp/aion.inflight"

static volatile InflightRun *own = NULL;

static void forget(int code, Datum argument);
static void quit(SIGNAL_ARGS);

/*
 * Reads what an earlier life of the server has left, and clears it.  Called by the postmaster when
 * shared memory is made, when nobody is alive who could have noted anything.
 */
void
aion_inflight_collect(InflightRun *runs)
{
	Size size = INFLIGHT_SLOTS * sizeof(InflightRun);
	int fd = open(INFLIGHT_FILE, O_RDWR | O_CREAT | PG_BINARY, pg_file_create_mode);

	memset(runs, 0, size);
	if (fd < 0 || (read(fd, runs, size) != (ssize_t) size && ftruncate(fd, 0) != 0) ||
		ftruncate(fd, 0) != 0 || ftruncate(fd, size) != 0)
		ereport(LOG, (errcode_for_file_access(),
					  errmsg("could not prepare file \"%s\": %m", INFLIGHT_FILE)));
	if (fd >= 0)
		close(fd);
}

/*
 * Lets this process note what it executes, in a slot that nobody else has.
 */
void
aion_inflight_attach(int slot)
{
	Size size = INFLIGHT_SLOTS * sizeof(InflightRun);
	InflightRun *runs;
	int fd;

	if (slot >= INFLIGHT_SLOTS)
		return;
	fd = OpenTransientFile(INFLIGHT_FILE, O_RDWR | PG_BINARY);
	if (fd < 0)
		return;
	runs = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CloseTransientFile(fd);
	if (runs == MAP_FAILED)
		return;
	own = &runs[slot];
	own->run_key = 0;
	own->database = MyDatabaseId;
	before_shmem_exit(forget, (Datum) 0);
	pqsignal(SIGQUIT, quit);
}

/*
 * Notes the run that is about to be executed, 0 when it is done.
 */
void
aion_inflight_note(int64 run_key)
{
	if (own != NULL)
		own->run_key = run_key;
}

/*
 * This process was told to stop, whatever it is doing.
 */
static void
forget(int code, Datum argument)
{
	own->run_key = 0;
}

/*
 * Another process has crashed: we are a bystander.
 */
static void
quit(SIGNAL_ARGS)
{
	if (own != NULL)
		own->run_key = 0;
	_exit(2);
}
