/*
 * due.h
 *		The moments at which a run is to be claimed: rows of aion._timer.
 */
#ifndef AION_DUE_H
#define AION_DUE_H

#include "run/run.h"

/* A timer whose moment has come. */
typedef struct DueTimer
{
	char *name;
	TimestampTz fire_at;
	int32 started_seq;
} DueTimer;

/* All require the engine's authority and the run's lock. */
extern void aion_due_arm(const Run *run, const char *name, TimestampTz fire_at, int32 started_seq);
extern void aion_due_disarm(const Run *run, const char *name);
extern void aion_due_end(int64 run_key);
extern void aion_due_forget(int64 run_key);
extern List *aion_due_take(Run *run);
extern void aion_due_cancel_all(Run *run);

/* Without the lock: no other caller uses the name. */
extern bool aion_due_exists(int64 run_key, const char *name);
extern void aion_due_wake(int64 run_key, int32 owner_key, const char *name, TimestampTz moment);
extern void aion_due_sweep(const int64 *keys, int count);

#endif
