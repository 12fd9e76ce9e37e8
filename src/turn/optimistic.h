/*
 * optimistic.h
 *		Turns that execute activities where the code calls them, and keep their effects.
 */
#ifndef AION_OPTIMISTIC_H
#define AION_OPTIMISTIC_H

#include "turn/turn.h"

/* Around the code's subtransaction. */
extern void aion_optimistic_begin(Turn *turn);
extern void aion_optimistic_end(void);
extern bool aion_optimistic_may_keep(const Turn *turn);
extern void aion_optimistic_keep(Turn *turn);

/* Where the code calls an activity. */
extern bool aion_optimistic_may_execute(Turn *turn, const Command *command);
extern void aion_optimistic_begin_activity(Turn *turn, const CodeSettings *settings);
extern void aion_optimistic_end_activity(Turn *turn, bool is_clean);

#endif
