/*
 * taken.h
 *		The runs that a runner could not execute because of a lock.
 */
#ifndef AION_TAKEN_H
#define AION_TAKEN_H

#include "datatype/timestamp.h"

#define TAKEN_MAX 1000

extern bool aion_taken_note(int64 run_key);
extern int aion_taken_take_due(int64 *run_keys, int most, TimestampTz *next);
extern bool aion_taken_has(int64 run_key);
extern bool aion_taken_waits(int64 run_key);
extern bool aion_taken_is_empty(void);
extern int aion_taken_list(int64 *run_keys);
extern void aion_taken_forget_but(int64 run_key);

#endif
