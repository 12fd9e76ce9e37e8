/*
 * verify.h
 *		Executing code twice before anything of a turn is recorded.
 */
#ifndef AION_VERIFY_H
#define AION_VERIFY_H

#include "turn/state.h"

extern bool aion_verify_is_on(void);
extern Turn *aion_verify_probe(Run *run, const Handler *handler, const CodeSettings *settings);
extern void aion_verify_compare(Turn *turn, Turn *probe);

#endif
