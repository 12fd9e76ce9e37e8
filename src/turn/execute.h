/*
 * execute.h
 *		One execution of workflow code against its history.
 */
#ifndef AION_EXECUTE_H
#define AION_EXECUTE_H

#include "turn/state.h"

/* Without authority. */
extern Turn *aion_turn_create(Run *run);
extern void aion_turn_execute(Turn *turn, const Handler *handler, const CodeSettings *settings);
extern void aion_turn_free(Turn *turn);

#endif
