/*
 * clock.h
 *		The one clock of the engine, replaceable for the length of a test's transaction.
 */
#ifndef AION_CLOCK_H
#define AION_CLOCK_H

#include "datatype/timestamp.h"

extern TimestampTz aion_clock_now(void);
extern bool aion_clock_is_virtual(void);
extern void aion_clock_set(TimestampTz moment);
extern void aion_clock_reset(void);

#endif
