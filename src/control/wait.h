/*
 * wait.h
 *		Clients that wait for the end of a run.
 */
#ifndef AION_WAIT_H
#define AION_WAIT_H

#include "datatype/timestamp.h"

/* For functions that wait. */
extern void aion_wait_check_possible(const char *function, int64 run_key);
extern long aion_wait_time_left(TimestampTz until);

#endif
