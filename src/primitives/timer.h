/*
 * timer.h
 *		Timers that other primitives use.
 */
#ifndef AION_TIMER_H
#define AION_TIMER_H

#include "engine/turn.h"
#include "utils/timestamp.h"

extern Command *aion_timer_start_timeout(Turn *turn, const Interval *duration, TimestampTz until);

#endif
