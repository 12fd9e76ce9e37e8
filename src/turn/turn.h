/*
 * turn.h
 *		Commands of workflow code, and answers to them.
 */
#ifndef AION_TURN_H
#define AION_TURN_H

#include "turn/progress.h"

/* For functions that are called by workflow code. */
extern Turn *aion_turn_current(const char *function);
extern Command *aion_turn_command(Turn *turn, const CommandClass *class, const char *name,
								  const Jsonb *input, const void *detail);
extern int aion_turn_wait(Turn *turn, Command **commands, int count);
extern Jsonb *aion_turn_await(Turn *turn, Command *command);
pg_noreturn extern void aion_turn_continue(Turn *turn);
extern char *aion_turn_handle(const Command *command);
extern Command *aion_turn_command_of(Turn *turn, const char *handle);

#endif
