/*
 * stopwatch.h
 *		A limit on how long code of a user may take.
 */
#ifndef AION_STOPWATCH_H
#define AION_STOPWATCH_H

extern void aion_stopwatch_start(long milliseconds);
extern bool aion_stopwatch_stop(void);
extern bool aion_stopwatch_is_running(void);
extern bool aion_stopwatch_has_struck(void);
extern bool aion_stopwatch_gave_up(void);

#endif
