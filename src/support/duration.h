/*
 * duration.h
 *		Intervals of users: which are allowed, and where they end.
 */
#ifndef AION_DURATION_H
#define AION_DURATION_H

#include "datatype/timestamp.h"

extern void aion_duration_check(const Interval *duration, bool zero_allowed, const char *what);
extern TimestampTz aion_duration_after(TimestampTz start, const Interval *duration,
									   const char *what);
extern Interval *aion_duration_parse(const char *text, const char *what);
extern char *aion_duration_text(const Interval *duration);

#endif
