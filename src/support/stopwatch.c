/*
 * stopwatch.c
 *		A limit on how long code of a user may take.
 *
 * When the time is up the statement is cancelled, as statement_timeout would do, which a
 * background worker does not have.  Code that swallows the cancel is cancelled again when the same
 * span has passed, or ten seconds, and in the end its process is terminated: nothing else can stop
 * it.
 *
 * The watch ticks more often than that, to see whether somebody wants the run that is executed.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "support/interruption.h"
#include "support/stopwatch.h"

#define STRIKES_UNTIL_TERMINATED 5
#define STRIKE_MS 10000
#define TICK_MS 50

static TimeoutId timeout_id = MAX_TIMEOUTS; /* until registered */
static volatile sig_atomic_t strikes = 0;
static volatile TimestampTz strikes_at;
static volatile int repeat; /* ms */

static void tick(void);

void
aion_stopwatch_start(long milliseconds)
{
	TimestampTz now = GetCurrentTimestamp();
	int period = (int) Min(milliseconds, TICK_MS);

	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, tick);
	strikes = 0;
	repeat = Min(milliseconds, STRIKE_MS);
	strikes_at = TimestampTzPlusMilliseconds(now, milliseconds);
	enable_timeout_every(timeout_id, TimestampTzPlusMilliseconds(now, period), period);
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
	if (was_up || aion_interruption_noticed())
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
tick(void)
{
	bool is_up = GetCurrentTimestamp() >= strikes_at;

	if (!aion_interruption_look() && !is_up)
		return;
	if (is_up)
	{
		strikes_at = TimestampTzPlusMilliseconds(strikes_at, repeat);
		if (++strikes > STRIKES_UNTIL_TERMINATED)
			ProcDiePending = true;
	}
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}
