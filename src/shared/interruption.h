/*
 * interruption.h
 *		Interrupting a turn that other sessions or processes wait for.
 */
#ifndef AION_INTERRUPTION_H
#define AION_INTERRUPTION_H

/* Why a turn does not go on. */
typedef enum Interruption
{
	INTERRUPTION_NONE,
	INTERRUPTION_BY_END,   /* a session ends a run whose lock this transaction has */
	INTERRUPTION_FOR_ROOM, /* its process is to make room for one of another owner */
	INTERRUPTION_AT_LOCK,  /* it waits too long for a lock */
	INTERRUPTION_AS_SLOW   /* it takes too long for the runs that wait behind it */
} Interruption;

#define INTERRUPTION_NO_RUN (-1) /* something else is executed */

extern void aion_interruption_init(void);

/* For sessions that wait for the lock of a run: at once in order to end it. */
extern void aion_interruption_want(int64 run_key, bool at_once);
extern void aion_interruption_want_nothing(void);

/* For processes that execute runs: those whose locks they have, and the one being executed. */
extern void aion_interruption_hold(const int64 *run_keys, int count);
extern void aion_interruption_watch(int lock_ms, int share_ms);
extern int64 aion_interruption_begin(int64 run_key);
extern bool aion_interruption_is_wanted(int64 run_key);
extern bool aion_interruption_look(void);
extern bool aion_interruption_noticed(void);
extern Interruption aion_interruption_cause(void);
extern void aion_interruption_check(void);

#endif
