/*
 * clock.c
 *		The one clock of the engine, replaceable for the length of a test's transaction.
 *
 * Whatever the engine compares with a due moment or writes into history comes from here.  A
 * virtual clock stands still until a test moves it; whoever sets it resets it when the
 * transaction ends.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "support/clock.h"

static TimestampTz virtual_now = DT_NOBEGIN; /* DT_NOBEGIN: the clock of the machine */

TimestampTz
aion_clock_now(void)
{
	return aion_clock_is_virtual() ? virtual_now : GetCurrentTimestamp();
}

bool
aion_clock_is_virtual(void)
{
	return virtual_now != DT_NOBEGIN;
}

void
aion_clock_set(TimestampTz moment)
{
	Assert(!TIMESTAMP_NOT_FINITE(moment));
	virtual_now = moment;
}

void
aion_clock_reset(void)
{
	virtual_now = DT_NOBEGIN;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_clock);

/*
 * _clock() -> now, as the engine sees it
 */
Datum
aion_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(aion_clock_now());
}
