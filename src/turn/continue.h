/*
 * continue.h
 *		Runs that continue as new ones.
 */
#ifndef AION_CONTINUE_H
#define AION_CONTINUE_H

#include "turn/turn.h"

/* Without authority. */
extern void aion_continue_admit(Run *run, Turn *turn, Hindrance *hindrance);
extern char *aion_continue_compare(const Run *run, const Turn *turn);

/* With the engine's authority. */
extern void aion_continue_close(Run *run, Turn *turn);
extern void aion_continue_start(Run *successor);

#endif
