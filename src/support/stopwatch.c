/*
 * stopwatch.c
 *		A limit on how long code of a user may take.
 *
 * When the time is up the statement is cancelled, as statement_timeout would do, which a
 * background worker does not have.  Code that swallows the cancel is cancelled again when the same
 * span has passed, or ten seconds, and in the end its process is terminated: nothing else can stop
 * it.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "support/stopwatch.h"

#define STRIKES_UNTIL_TERMINATED 5
#define STRIKE_MS 10000

static TimeoutId timeout_id = MAX_TIMEOUTS; /* until registered */
static volatile sig_atomic_t strikes = 0;

static void time_is_up(void);

void
aion_stopwatch_start(long milliseconds)
{
	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, time_is_up);
	strikes = 0;
	enable_timeout_every(timeout_id,
						 TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds),
						 Min(milliseconds, STRIKE_MS));
}

/*
 * Stops, and tells whether the time was up before.  A cancel of ours that nobody noticed yet is
 * taken back.
 */
bool
aion_stopwatch_stop(void)
{
	bool was_up;

	if (timeout_id != MAX_TIMEOUTS)
		disable_timeout(timeout_id, false);
	was_up = strikes > 0;
	strikes = 0;
	if (was_up)
		QueryCancelPending = false;
	return was_up;
}

/*
 * Tells whether this process ends because code does not let itself be cancelled.
 */
bool
aion_stopwatch_gave_up(void)
{
	return strikes > STRIKES_UNTIL_TERMINATED;
}

static void
time_is_up(void)
{
	if (++strikes > STRIKES_UNTIL_TERMINATED)
		ProcDiePending = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}
