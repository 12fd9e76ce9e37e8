/*
 * cron.h
 *		Cron expressions: what they say, and when they tick in a time zone.
 */
#ifndef AION_CRON_H
#define AION_CRON_H

#include "datatype/timestamp.h"
#include "pgtime.h"

/* Sets of what each field allows, as bits. */
typedef struct Cron
{
	uint64 minutes;
	uint32 hours;
	uint32 days; /* of the month, from bit 1 */
	uint16 months;
	uint8 weekdays;	  /* Sunday is bit 0 */
	bool any_day;	  /* the field begins with an asterisk */
	bool any_weekday; /* likewise */
} Cron;

#define CRON_HOURS 0xffffff

extern void aion_cron_parse(const char *expression, Cron *cron);
extern TimestampTz aion_cron_next(const Cron *cron, pg_tz *zone, TimestampTz after);

/* Time zones: both count seconds since 1970, local ones as if they were UTC. */
extern pg_tz *aion_zone_find(const char *name);
extern pg_time_t aion_zone_moment(int64 local, pg_tz *zone);
extern int64 aion_zone_local(pg_time_t moment, pg_tz *zone);

#endif
