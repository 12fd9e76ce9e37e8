/*
 * wait.h
 *		Clients that wait for the end of a run.
 */
#ifndef AION_WAIT_H
#define AION_WAIT_H

#include "datatype/timestamp.h"

extern void aion_wait_init(void);

/* Notes that this transaction started a run, or did something that its next turn waits for. */
extern void aion_wait_note_started(int64 run_key);
extern void aion_wait_note_touched(int64 run_key);
extern const int64 *aion_wait_started(int *count);

/* For functions that wait. */
extern void aion_wait_check_possible(const char *function, int64 run_key);
extern long aion_wait_time_left(TimestampTz until);

#endif
