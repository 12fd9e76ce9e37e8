/*
 * interruption.h
 *		Ending a turn that is in the way of somebody who wants its run at once.
 */
#ifndef AION_INTERRUPTION_H
#define AION_INTERRUPTION_H

extern void aion_interruption_init(void);

/* For who waits for the lock of a run: in order to end it, or else. */
extern void aion_interruption_want(int64 run_key, bool at_once);
extern void aion_interruption_want_nothing(void);

/* For who executes runs: those whose locks it has, and the one that it executes now. */
extern void aion_interruption_hold(const int64 *run_keys, int count);
extern int64 aion_interruption_begin(int64 run_key);
extern bool aion_interruption_is_wanted(int64 run_key);
extern bool aion_interruption_look(void);
extern bool aion_interruption_noticed(void);
extern void aion_interruption_check(void);

#endif
