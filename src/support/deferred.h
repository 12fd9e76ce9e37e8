/*
 * deferred.h
 *		Deferred constraints and triggers at the end of code that is executed for itself.
 */
#ifndef AION_DEFERRED_H
#define AION_DEFERRED_H

extern void aion_deferred_fire(void);
extern void aion_deferred_check(void);

#endif
