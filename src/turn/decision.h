/*
 * decision.h
 *		Applies what a turn decided: records commands, and the run waits, ends or is blocked.
 */
#ifndef AION_DECISION_H
#define AION_DECISION_H

#include "turn/turn.h"

#define MESSAGE_TIMED_OUT "the turn took longer than aion.turn_timeout"

extern void aion_decision_admit(Run *run, Turn *turn, Hindrance *hindrance);
extern bool aion_decision_apply(Run *run, Turn *turn);
extern bool aion_decision_stop_short(Run *run, Turn *turn, const Hindrance *hindrance,
									 const struct Mistake *uncaught);

#endif
