/*
 * stopwatch.c
 *		A limit on how long code of a user may take.
 *
 * When the time is up the statement is cancelled, as statement_timeout would do, which a
 * background worker does not have.  Code that swallows the cancel is cancelled again every second.
 * Code that has not noticed it yet is cancelled again when the same span has passed, or ten
 * seconds.  In the end the process is terminated: nothing else can stop it.
 *
 * The watch ticks more often than that, to see whether a session wants the run that is executed.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "shared/interruption.h"
#include "shared/stopwatch.h"

#define STRIKES_UNTIL_TERMINATED 5
#define STRIKE_MS 10000
#define SWALLOWED_MS 1000
#define TICK_MS 50

static TimeoutId timeout_id = MAX_TIMEOUTS; /* until registered */
static volatile sig_atomic_t strikes = 0;
static volatile TimestampTz up_at;
static volatile TimestampTz struck_at;
static volatile int repeat; /* ms */

static void stopwatch_tick(void);
static bool is_up(TimestampTz now);

void
aion_stopwatch_start(long milliseconds)
{
	TimestampTz now = GetCurrentTimestamp();
	int period = (int) Min(milliseconds, TICK_MS);

	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, stopwatch_tick);
	strikes = 0;
	repeat = Min(milliseconds, STRIKE_MS);
	up_at = TimestampTzPlusMilliseconds(now, milliseconds);
	enable_timeout_every(timeout_id, TimestampTzPlusMilliseconds(now, period), period);
}

/*
 * Stops, and tells whether the time was up before.  A cancel of the watch that was not processed
 * yet is taken back.
 */
bool
aion_stopwatch_stop(void)
{
	bool was_up;

	if (timeout_id != MAX_TIMEOUTS)
		disable_timeout(timeout_id, false);
	was_up = strikes > 0;
	strikes = 0;
	if (was_up || aion_interruption_noticed())
		QueryCancelPending = false;
	return was_up;
}

/*
 * Tells whether code that is being executed has a limit; what it calls gets no other one.
 */
bool
aion_stopwatch_is_running(void)
{
	return timeout_id != MAX_TIMEOUTS && get_timeout_active(timeout_id);
}

/*
 * Tells whether the time was up and the code was cancelled for it.
 */
bool
aion_stopwatch_has_struck(void)
{
	return strikes > 0;
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
stopwatch_tick(void)
{
	TimestampTz now = GetCurrentTimestamp();
	bool strike = is_up(now);

	if (!aion_interruption_look() && !strike)
		return;
	if (strike)
	{
		struck_at = now;
		if (++strikes > STRIKES_UNTIL_TERMINATED)
			ProcDiePending = true;
	}
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/*
 * Tells whether it is time to cancel the code: again, if it was cancelled before.
 */
static bool
is_up(TimestampTz now)
{
	int span = QueryCancelPending ? repeat : Min(repeat, SWALLOWED_MS);

	return strikes == 0 ? now >= up_at : now >= TimestampTzPlusMilliseconds(struck_at, span);
}
