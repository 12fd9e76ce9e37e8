/*
 * crash_point.c
 *		Named places where the tests let a process die or wait.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"

#include "support/crash_point.h"

#ifdef AION_CRASH_POINTS

#define MARK "aion.crashed" /* in the data directory; the test removes it */
#define WAIT_AT "wait at "

char *aion_crash_at = "";

static void wait_here(void);

void
aion_crash_point(const char *name)
{
	static bool has_waited = false;
	bool waits = strncmp(aion_crash_at, WAIT_AT, strlen(WAIT_AT)) == 0;
	int fd;

	if (strcmp(aion_crash_at + (waits ? strlen(WAIT_AT) : 0), name) != 0 || has_waited)
		return;
	fd = open(MARK, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd < 0)
		return;
	if (write(fd, name, strlen(name)) < 0)
		return; /* the test will not find what it waits for */
	close(fd);
	if ((has_waited = waits))
	{
		wait_here();
		return;
	}
	kill(getpid(), SIGKILL);
	pause();
}

/*
 * Until the test removes the file.  As any wait within the server may do, it resets the latch.
 */
static void
wait_here(void)
{
	while (access(MARK, F_OK) == 0 && PostmasterIsAlive())
		pg_usleep(1000);
	ResetLatch(MyLatch);
}

#endif
