/*
 * taken.c
 *		The runs that a runner could not execute because of a lock.
 *
 * Another session has locked the run, or the run waited too long for a lock.  The release of a lock
 * is not announced, so the runner looks again, with a delay that doubles each time.  It also grows
 * with the number of these runs, or looking at them would leave no time for others.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/timestamp.h"

#include "background/process.h"
#include "background/taken.h"

#define FIRST_MS 5
#define LAST_MS 1000
#define LAST_EACH_MS 5 /* more for each run */

typedef struct Taken
{
	int64 run_key;
	TimestampTz again_at;
	int delay;	  /* ms */
	bool waiting; /* else it is only remembered, so that the delay grows */
} Taken;

static Taken taken[TAKEN_MAX];
static int taken_count = 0;

static int find(int64 run_key);
static int longest_delay(int count);

/*
 * Notes a run that is to be looked at again; false if there are too many.
 */
bool
aion_taken_note(int64 run_key)
{
	int i = find(run_key);

	if (i == TAKEN_MAX)
		return false;
	if (i == taken_count)
		taken[taken_count++] = (Taken){run_key, 0, FIRST_MS / 2, false};
	taken[i].delay = Min(taken[i].delay * 2, longest_delay(taken_count));
	taken[i].waiting = true;
	taken[i].again_at = TimestampTzPlusMilliseconds(
		GetCurrentTimestamp(),
		taken[i].delay / 2 + pg_prng_uint64_range(&pg_global_prng_state, 0, taken[i].delay));
	return true;
}

/*
 * Takes the runs that are to be looked at now; returns how many.  The next one is due later.
 */
int
aion_taken_take_due(int64 *run_keys, int most, TimestampTz *next)
{
	TimestampTz now = GetCurrentTimestamp();
	int due = 0;
	int kept = 0;

	*next = DT_NOEND;
	for (int i = 0; i < taken_count; i++)
	{
		if (taken[i].waiting && due < most &&
			aion_process_is_due(taken[i].again_at, longest_delay(TAKEN_MAX) * 2))
		{
			run_keys[due++] = taken[i].run_key;
			taken[i].waiting = false;
		}
		if (taken[i].waiting)
			*next = Min(*next, taken[i].again_at);
		if (taken[i].waiting || taken[i].again_at > now - (TimestampTz) LAST_MS * 1000)
			taken[kept++] = taken[i];
	}
	taken_count = kept;
	return due;
}

bool
aion_taken_has(int64 run_key)
{
	return find(run_key) < taken_count;
}

/*
 * Tells whether a run is to be looked at later, and not before.
 */
bool
aion_taken_waits(int64 run_key)
{
	int i = find(run_key);

	return i < taken_count && taken[i].waiting;
}

bool
aion_taken_is_empty(void)
{
	return taken_count == 0;
}

/*
 * Lists the runs that are to be looked at again.
 */
int
aion_taken_list(int64 *run_keys)
{
	int count = 0;

	for (int i = 0; i < taken_count; i++)
	{
		if (taken[i].waiting)
			run_keys[count++] = taken[i].run_key;
	}
	return count;
}

/*
 * Forgets these runs, which other runners look at now, but keeps the backoff of one run.
 */
void
aion_taken_forget_but(int64 run_key)
{
	int i = find(run_key);

	if (i < taken_count)
		taken[0] = taken[i];
	taken_count = i < taken_count;
}

static int
find(int64 run_key)
{
	int i = 0;

	while (i < taken_count && taken[i].run_key != run_key)
		i++;
	return i;
}

static int
longest_delay(int count)
{
	return LAST_MS + count * LAST_EACH_MS;
}
