/*
 * mistake.h
 *		Mistakes of workflow code: commands that cannot be carried out.
 */
#ifndef AION_MISTAKE_H
#define AION_MISTAKE_H

#include "turn/state.h"

/* The kind of the failures that mistakes become, once the code has gone on after one. */
#define KIND_MISTAKE "mistake"

typedef struct Mistake
{
	int number; /* of the command, among all commands of the run */
	Hindrance hindrance;
	Event outcome; /* what the code gets; recorded only if the code goes on */
	bool told;
	int told_at; /* commands that the code had given then */
} Mistake;

extern Jsonb *aion_mistake_failure(const ErrorData *error);
extern bool aion_mistake_note(Run *run, int number, EventType type, const char *key,
							  const Hindrance *hindrance);
extern void aion_mistakes_begin(Run *run);
extern Mistake *aion_mistake_of(const Run *run, int number);
extern const Event *aion_mistake_tell(const Command *command);
extern const Mistake *aion_mistake_uncaught(const Turn *turn);

/* These require the engine's authority. */
extern void aion_mistakes_record(Run *run, const Mistake *uncaught);
extern void aion_mistakes_block(Run *run);

#endif
