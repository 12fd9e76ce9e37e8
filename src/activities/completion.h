/*
 * completion.h
 *		Outcomes that workers have sent and not yet committed.
 */
#ifndef AION_COMPLETION_H
#define AION_COMPLETION_H

#include "c.h"

extern void aion_completion_init(void);
extern void aion_completion_note(int64 run_key, int32 owner_key, int32 ordinal);
extern void aion_completion_take_over(int64 run_key, int32 owner_key, int32 ordinal);

/* The timer of a run that says that it has cancelled an activity whose task was locked. */
#define CANCELLED_LOCKED "cancelled"

#endif
