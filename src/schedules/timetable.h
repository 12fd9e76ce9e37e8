/*
 * timetable.h
 *		When a schedule ticks.
 */
#ifndef AION_TIMETABLE_H
#define AION_TIMETABLE_H

#include "support/cron.h"

typedef struct Timetable
{
	const char *expression; /* NULL: by an interval */
	Cron cron;
	Interval every;
	TimestampTz anchor; /* of that: a moment at which it ticks */
	pg_tz *zone;
	TimestampTz start_at; /* no tick before; DT_NOBEGIN: no limit */
	TimestampTz end_at;	  /* no tick after; DT_NOEND: no limit */
	int64 jitter;		  /* microseconds by which a tick may be late on purpose */
	const char *name;	  /* makes the jitter differ between schedules */
} Timetable;

extern void aion_timetable_check_every(const Interval *every);
extern TimestampTz aion_timetable_next(const Timetable *table, TimestampTz after);
extern TimestampTz aion_timetable_latest(const Timetable *table, TimestampTz first,
										 TimestampTz until);
extern TimestampTz aion_timetable_due(const Timetable *table, TimestampTz tick);
extern Timetable aion_timetable_unlimited(const Timetable *table);

#endif
