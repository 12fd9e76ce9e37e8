/*
 * receive.h
 *		Waiting for the next signal of a name, which is no command.
 */
#ifndef AION_RECEIVE_H
#define AION_RECEIVE_H

#include "turn/state.h"

extern Command *aion_receiver_create(Turn *turn, const CommandClass *class, const char *name,
									 bool has_handle);
extern void aion_receivers_offer(Turn *turn, Command **commands, int count);
extern bool aion_receiver_is_first(const Turn *turn, const Command *receiver);
extern void aion_receiver_consume(Turn *turn, Command *receiver);
extern const char *aion_receiver_cancel(Command *receiver);
extern bool aion_receiver_is_cancelled(const Command *receiver);
extern void aion_receivers_keep(const Turn *turn);

#endif
