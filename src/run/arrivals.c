/*
 * arrivals.c
 *		Records what has arrived for a run since its last share: due timers, and rows of its inbox.
 */
#include "postgres.h"

#include "run/arrivals.h"
#include "run/due.h"
#include "run/inbox.h"
#include "run/primitive.h"
#include "run/transition.h"
#include "support/clock.h"

static bool is_of_task(const char *timer);
static void fire(Run *run, const DueTimer *timer);

/*
 * Moves the timers that are due, and the rows of the inbox, into history, in the order of their
 * moments.
 */
void
aion_arrivals_record(Run *run)
{
	List *due;
	ListCell *cell;

	run->looked_at = aion_clock_now();
	due = aion_due_take(run);
	aion_inbox_take(run);
	foreach (cell, due)
	{
		const DueTimer *timer = lfirst(cell);

		aion_primitives_receive(run, timer->fire_at);
		if (is_of_task(timer->name))
			aion_primitives_due(run, timer->name);
		else if (!aion_run_is_closed(run))
		{
			run->woken = true;
			fire(run, timer);
		}
	}
	aion_primitives_receive(run, DT_NOEND);
}

/*
 * Tells whether a timer makes the run look at its activities outside of turns.  0.1.0 said by a
 * timer that is due at once, and not by an arrival, that such an activity is settled.  An update
 * makes arrivals of these timers.  A dump of 0.1.0 that is restored into this schema has them
 * still, and no outcome must be lost by that.
 */
static bool
is_of_task(const char *timer)
{
	return strncmp(timer, TIMER_TASK, strlen(TIMER_TASK)) == 0 ||
		   strncmp(timer, TIMER_SETTLED, strlen(TIMER_SETTLED)) == 0;
}

/*
 * Lets one timer, whose row was just deleted, take effect.
 */
static void
fire(Run *run, const DueTimer *timer)
{
	RecordedCommand *started;

	if (strcmp(timer->name, TIMER_RETRY) == 0)
		return; /* its only purpose was to get the run claimed */
	started = aion_history_open(run->history, FAMILY_TIMER, timer->name);
	if (started == NULL || started->event->seq != timer->started_seq)
	{
		ereport(WARNING, (errmsg("timer \"%s\" of workflow \"%s\" is not live and was dropped",
								 timer->name, run->workflow_id)));
		return;
	}
	if (strcmp(timer->name, TIMER_DEADLINE) == 0)
	{
		aion_run_close(run, EVENT_WORKFLOW_TIMED_OUT, aion_event_reason("workflow timeout", NULL));
		return;
	}
	aion_recorder_append(run->history, EVENT_TIMER_FIRED, timer->name, NULL);
	if (strcmp(timer->name, TIMER_START) == 0 && run->status == RUN_SCHEDULED)
		aion_run_begin(run);
}

/*
 * Forwards the arrivals of purged runs to their successors, and has the primitives answer the
 * senders of the rest.
 */
void
aion_arrivals_sweep(const int64 *run_keys, int count)
{
	List *orphans = aion_inbox_take_orphans(run_keys, count);
	ListCell *cell;

	foreach (cell, orphans)
		aion_primitive_return(lfirst(cell));
	if (orphans != NIL)
		ereport(LOG, (errmsg("aion has dropped %d arrivals of runs that were purged before their "
							 "senders committed",
							 list_length(orphans))));
}
