/*
 * short_activity.h
 *		Which activities in the background end within a few milliseconds.
 */
#ifndef AION_SHORT_ACTIVITY_H
#define AION_SHORT_ACTIVITY_H

#include "utils/timestamp.h"

extern bool aion_short_activity_exists(void);
extern bool aion_short_activity_is(const char *name);
extern void aion_short_activity_note(const char *name, TimestampTz began);
extern void aion_short_activity_note_long(const char *name);

#endif
