/*
 * hold.h
 *		Keeping the engine out of a database that a command needs for itself.
 */
#ifndef AION_HOLD_H
#define AION_HOLD_H

/* False if the engine's processes do not leave in time. */
extern bool aion_hold_take(Oid database);
extern void aion_hold_let_go(void);
extern bool aion_hold_is_on(Oid database);

#endif
