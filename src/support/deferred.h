/*
 * deferred.h
 *		Deferred constraints and triggers, fired or checked when code of users ends.
 */
#ifndef AION_DEFERRED_H
#define AION_DEFERRED_H

extern void aion_deferred_fire(void);
extern void aion_deferred_check(void);

#endif
