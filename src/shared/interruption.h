/*
 * interruption.h
 *		Ending a turn that is in the way of others.
 */
#ifndef AION_INTERRUPTION_H
#define AION_INTERRUPTION_H

/* Why a turn does not go on. */
typedef enum Interruption
{
	INTERRUPTION_NONE,
	INTERRUPTION_BY_END,   /* somebody ends a run whose lock this transaction has */
	INTERRUPTION_FOR_ROOM, /* its process is to make room for another owner's */
	INTERRUPTION_AT_LOCK,  /* it waits too long for a lock */
	INTERRUPTION_AS_SLOW   /* it takes too long for what waits behind it */
} Interruption;

#define INTERRUPTION_NO_RUN (-1) /* something else is executed */

extern void aion_interruption_init(void);

/* For who waits for the lock of a run: in order to end it, or else. */
extern void aion_interruption_want(int64 run_key, bool at_once);
extern void aion_interruption_want_nothing(void);

/* For who executes runs: those whose locks it has, and the one that it executes now. */
extern void aion_interruption_hold(const int64 *run_keys, int count);
extern void aion_interruption_watch(int lock_ms, int share_ms);
extern int64 aion_interruption_begin(int64 run_key);
extern bool aion_interruption_is_wanted(int64 run_key);
extern bool aion_interruption_look(void);
extern bool aion_interruption_noticed(void);
extern Interruption aion_interruption_cause(void);
extern void aion_interruption_check(void);

#endif
