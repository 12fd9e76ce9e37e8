/*
 * wakeup.h
 *		Waking sessions when what they wait for has committed.
 */
#ifndef AION_WAKEUP_H
#define AION_WAKEUP_H

extern void aion_wakeup_init(void);

/* Sessions that wait for the end of a run. */
extern void aion_wakeup_waiters(int64 run_key);
extern void aion_wakeup_watch(int64 run_key);
extern void aion_wakeup_unwatch(void);
extern void aion_wakeup_wait(long milliseconds);

#endif
