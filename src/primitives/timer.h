/*
 * timer.h
 *		Timers of workflow code: sleeps, named timers, and those of other primitives.
 */
#ifndef AION_TIMER_H
#define AION_TIMER_H

#include "utils/timestamp.h"

#include "turn/turn.h"

extern Command *aion_timer_start_timeout(Turn *turn, const Interval *duration, TimestampTz until);
extern Command *aion_timer_start_deadline(Turn *turn, const CommandClass *class,
										  const Interval *duration, const char *handler,
										  const char *digest);

/* Callbacks of the classes of timers. */
extern Event *aion_timer_record(Run *run, Command *command);
extern const char *aion_timer_cancel(Turn *turn, Command *timer);

#endif
