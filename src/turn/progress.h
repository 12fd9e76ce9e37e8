/*
 * progress.h
 *		How far a turn has come: what is settled, what the code knows, where it was left.
 */
#ifndef AION_PROGRESS_H
#define AION_PROGRESS_H

#include "turn/state.h"

extern Turn *aion_turn_peek(void);
extern int aion_turn_ordinal(const Turn *turn, CommandKind kind);
extern const Event *aion_turn_outcome(const Command *command);
extern void aion_turn_diverge(void *subject, const char *what, const char *hint);
extern bool aion_turn_is_settled(const Command *command);
extern int32 aion_turn_settled_at(const Command *command);
extern int aion_turn_first(Command **commands, int count);
pg_noreturn extern void aion_turn_suspend(Turn *turn, Command **commands, int count);
extern void aion_turn_consume(Turn *turn, Command *command);
extern void aion_turn_consume_event(Turn *turn, const Event *event);
extern void aion_turn_note_failures(Turn *turn, Command **commands, int count);
extern List *aion_turn_failures(const Turn *turn, int *first);
extern const Origin *aion_turn_origin(const Turn *turn);
extern const Origin *aion_turn_origin_at(const Turn *turn, int commands);
extern void aion_turn_require_room(Turn *turn);

/* Leave the code. */
pg_noreturn extern void aion_turn_unwind(Turn *turn, TurnVerdict verdict);
pg_noreturn extern void aion_turn_differ(Turn *turn, Difference *difference);
extern void aion_turn_note_difference(Turn *turn, Difference *difference);

#endif
