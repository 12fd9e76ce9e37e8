/*
 * retention.c
 *		Removing runs that closed longer ago than aion.retention; the scheduler does it.
 *
 * The scheduler is told of no run that closes: a run that closes from now on is not removed before
 * all of the retention has passed, so it is enough to look again then, or when the oldest closed
 * run has been kept so long.  An idle database costs one look in all that time.  The scheduler
 * removes a few runs at a time, in transactions of their own that skip what other sessions have
 * locked, and does its other work in between; a crash leaves the runs that have not been removed.
 */
#include "postgres.h"

#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "background/process.h"
#include "background/retention.h"
#include "code/adoption.h"
#include "control/purge.h"
#include "guc.h"
#include "support/crash_point.h"
#include "support/extension.h"

#define RUNS_AT_ONCE 100
#define EVENTS_AT_ONCE 10000
#define PATIENCE "1s"	  /* for locks that no other session has a reason to hold */
#define LONGEST_REST 3600 /* s, while there is something to remove */

static TimestampTz look_at = DT_NOBEGIN;
static TimestampTz from = DT_NOBEGIN; /* runs that closed before it are done, this time */

static TimestampTz remove_some(TimestampTz now);
static TimestampTz after_rest(TimestampTz now);

/*
 * Looks again from the start: closed runs, or the setting, may have changed.
 */
void
aion_retention_reset(void)
{
	look_at = from = DT_NOBEGIN;
}

/*
 * Removes some of the runs that are to be removed, if it is time to look.
 */
void
aion_retention_serve(void)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext caller = CurrentMemoryContext;

	if (aion_retention_next() > now)
		return;
	PG_TRY();
	{
		look_at = after_rest(now); /* should it fail */
		look_at = remove_some(now);
	}
	PG_CATCH();
	{
		aion_process_fail_work(NULL);
		from = DT_NOBEGIN;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
}

/*
 * Returns when to look next.
 */
TimestampTz
aion_retention_next(void)
{
	return aion_retention < 0 ? DT_NOEND : look_at;
}

/*
 * Removes some; returns when to look again.
 */
static TimestampTz
remove_some(TimestampTz now)
{
	TimestampTz retention = (TimestampTz) aion_retention * USECS_PER_SEC;
	PurgeRequest request = {.closed_from = from,
							.closed_by = now - retention,
							.owners = aion_arg_null(),
							.workflow_type = aion_arg_null(),
							.statuses = aion_arg_null(),
							.max_runs = RUNS_AT_ONCE,
							.max_events = EVENTS_AT_ONCE};
	TimestampTz oldest = DT_NOEND;
	Authority authority;
	int64 count = 0;
	bool more;

	aion_process_begin_work("removing old runs");
	(void) set_config_option("lock_timeout", PATIENCE, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
							 true, 0, false);
	aion_authority_assume(&authority);
	if (aion_engine_executes())
		count = aion_purge(&request);
	more = request.more && (count > 0 || request.closed_from > from);
	if (!more)
		oldest = aion_purge_oldest();
	aion_authority_drop(&authority);
	if (count > 0)
		CRASH_POINT("old runs removed, not committed");
	aion_process_end_work();
	if (count > 0)
		CRASH_POINT("old runs removed, committed");
	from = more ? request.closed_from : DT_NOBEGIN;
	return more ? now : Max(after_rest(now), Min(oldest, now) + retention);
}

/*
 * Returns when to look again where nothing else says so: runs that closed together are removed
 * together, and those that could not be are tried again.
 */
static TimestampTz
after_rest(TimestampTz now)
{
	int rest = Max(Min(aion_retention / 100, LONGEST_REST), 1);

	return now + rest * USECS_PER_SEC;
}
