/*
 * crash_point.c
 *		Named places where the tests let a process die.
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "support/crash_point.h"

#ifdef AION_CRASH_POINTS

#define MARK "aion.crashed" /* in the data directory; the test removes it */

char *aion_crash_at = "";

void
aion_crash_point(const char *name)
{
	int fd;

	if (aion_crash_at[0] == '\0' || strcmp(aion_crash_at, name) != 0)
		return;
	fd = open(MARK, O_CREAT | O_EXCL | O_WRONLY, 0600);
	if (fd < 0)
		return;
	if (write(fd, name, strlen(name)) < 0)
		return; /* the test will not find what it waits for */
	close(fd);
	kill(getpid(), SIGKILL);
	pause();
}

#endif
