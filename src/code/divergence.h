/*
 * divergence.h
 *		What workflow code must not read, because it differs from one execution to the next.
 */
#ifndef AION_DIVERGENCE_H
#define AION_DIVERGENCE_H

/* Takes what code of a Turn reads, and what to use instead.  Returns if that is only reported. */
typedef void (*DivergenceReport)(void *turn, const char *what, const char *hint);

extern void aion_divergence_init(DivergenceReport report);
extern void aion_divergence_watch(void);

/* What is known of functions and tables, for code that is not executed. */
extern const char *aion_divergence_hint(Oid function);
extern const char *aion_divergence_hint_for_tables(void);
extern const char *aion_divergence_clock(int operation);

#endif
