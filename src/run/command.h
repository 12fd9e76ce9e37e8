/*
 * command.h
 *		What workflow code asks for, and what a primitive says about it.
 */
#ifndef AION_COMMAND_H
#define AION_COMMAND_H

#include "run/run.h"

typedef struct Turn Turn;
typedef struct Command Command;

/* Why something cannot be had yet. */
typedef struct Hindrance
{
	const char *reason; /* what the run is blocked for; NULL: it can */
	Jsonb *detail;
	Jsonb *failure; /* what the code is told if that is a mistake of its own; else NULL */
	bool is_new;	/* the code has not been told yet */
} Hindrance;

/* What a primitive says about a kind of command. */
typedef struct CommandClass
{
	CommandKind kind;
	const char *awaiting; /* what pending_await calls it */

	/* Code gets a handle of it: so it has an answer, a failure and a cancel, whatever is done to
	 * it. */
	bool has_handle;

	/*
	 * Prepares a new command, where code of users has a say in that; without authority.  False: it
	 * cannot be had yet and nothing of it is recorded.
	 */
	bool (*admit)(Run *run, Command *command, Hindrance *hindrance);

	/* Appends the event of a new command and what it implies; with authority. */
	Event *(*record)(Run *run, Command *command);

	/* Gives the code the outcome: returns it (NULL is SQL NULL) or raises it. */
	Jsonb *(*answer)(Turn *turn, Command *command);

	/* What a settled command failed with; NULL: it did not fail. */
	Jsonb *(*failure)(const Command *command);

	/* Gives the command that cancels it, and returns how it stood. */
	const char *(*cancel)(Turn *turn, Command *command);

	/* What pending_await calls one of them; NULL: by the key of its event. */
	const char *(*key)(const Command *command);

	/*
	 * Gives the command by which it yields to a cancel request that has ended an await of it, where
	 * that is not simply cancelling it: then that command's event says what becomes of it.
	 */
	Command *(*yield)(Turn *turn, Command *command);

	/* It stays as it is when an await of it is ended, unless it yields; else it is cancelled. */
	bool outlives_await;

	/* The turn that asks for it answers it, so nothing ends an await of it. */
	bool is_prompt;
} CommandClass;

/* One command of this turn, replayed or new. */
struct Command
{
	const CommandClass *class;
	int number; /* among all commands of the run, from 1 */
	Fingerprint fingerprint;
	RecordedCommand *recorded; /* NULL: new */
	Command *cancelled_by;	   /* NULL: nothing in this turn */
	Command *yielded_by;	   /* the same, to a cancel request */
	Command *previous;		   /* of the same kind */
	bool awaited;			   /* the code has come to wait for it, alone or among others */
	int known_at;			   /* commands given when the code first knew its outcome, 0: never */
	const void *detail;		   /* the primitive's own */
	struct Mistake *mistake;   /* it cannot be had; NULL: as far as is known it can */

	/* Of a receiver, which is never recorded: */
	struct Received *received; /* the signals it waits for; NULL: it is a command */
	const Event *offered;	   /* the one it would be given, or was; NULL: none yet */
	bool consumed;			   /* it was */
	int round;
};

#endif
