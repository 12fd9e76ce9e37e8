/*
 * scope.h
 *		What ends an await of workflow code before its answer comes, and where in the code.
 */
#ifndef AION_SCOPE_H
#define AION_SCOPE_H

#include "turn/progress.h"

/* A section of code that has not been left. */
typedef struct Scope
{
	Command *command; /* its firing ends awaits within; NULL: a shield against cancel requests */
	SubTransactionId begun_in;
	bool left;
	struct Scope *outer;
} Scope;

extern Scope *aion_scope_begin(Turn *turn, Command *command);
extern void aion_scope_end(Turn *turn, const Command *command);
extern void aion_scope_shield(Turn *turn, bool enabled);
extern void aion_scope_leave(Turn *turn, Scope *scope);
extern void aion_scope_settle(Turn *turn);
extern bool aion_scope_is_cut(const Turn *turn);
extern void aion_scope_check(Turn *turn, Command **commands, int count, int32 answered_at);

#endif
