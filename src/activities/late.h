/*
 * late.h
 *		Attempts that may be late.
 */
#ifndef AION_LATE_H
#define AION_LATE_H

#include "activities/task.h"

/* All require the engine's authority. */
extern TimestampTz aion_late_tell(const int64 *run_keys, int count);
extern void aion_late_excuse(void);
extern void aion_late_end(Run *run);

#endif
