/*
 * wakeup.h
 *		Waking sessions and processes that wait for something, when it has committed.
 */
#ifndef AION_WAKEUP_H
#define AION_WAKEUP_H

#include "datatype/timestamp.h"

extern void aion_wakeup_init(void);

/* What this transaction has done, told when it commits. */
extern void aion_wakeup_waiters(int64 run_key);				 /* a run has ended */
extern void aion_wakeup_published(int64 run_key);			 /* has published a new name */
extern void aion_wakeup_run(int32 owner_key, int64 run_key); /* is ready */
extern void aion_wakeup_timer(int32 owner_key, int64 run_key, TimestampTz fire_at); /* armed */
extern void aion_wakeup_look(TimestampTz moment); /* at tasks, since one may be late */
extern void aion_wakeup_scan(void);				  /* anything may be ready */
extern void aion_wakeup_extension(void);		  /* the extension came or went */

extern void aion_wakeup_queue(const char *name); /* a task queue has something */

extern void aion_wakeup_background(int32 owner_key);		/* so has an owner, in the background */
extern void aion_wakeup_stop(int64 run_key, int32 ordinal); /* such a task is not wanted any more */

/* For what has committed without a callback. */
extern void aion_wakeup_everybody(void);

/* Sessions that wait for the end of a run, for what it publishes, or for a task. */
extern void aion_wakeup_watch(int64 run_key);
extern void aion_wakeup_watch_published(int64 run_key);
extern uint64 aion_wakeup_queue_bit(const char *name);
extern void aion_wakeup_watch_queues(uint64 mask);
extern void aion_wakeup_unwatch(void);
extern void aion_wakeup_pass_on(void);
extern void aion_wakeup_wait(long milliseconds);

#endif
