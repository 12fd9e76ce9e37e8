/*
 * command.h
 *		Commands of workflow code, and how a primitive describes them.
 */
#ifndef AION_COMMAND_H
#define AION_COMMAND_H

#include "run/run.h"

typedef struct Turn Turn;
typedef struct Command Command;

/* Why a command cannot be carried out yet. */
typedef struct Hindrance
{
	const char *reason; /* why the run is blocked; NULL: no hindrance */
	Jsonb *detail;
	Jsonb *failure; /* the error that the code gets if it made a mistake; else NULL */
	bool is_new;	/* the code has not got that error yet */
} Hindrance;

/* How a primitive describes a kind of command. */
typedef struct CommandClass
{
	CommandKind kind;
	const char *awaiting; /* what pending_await calls it */

	/* Code gets a handle of it and may do anything with that, so it has an answer, a failure and a
	 * cancel. */
	bool has_handle;

	/*
	 * Prepares a new command, if that may execute code of users; without authority.  Returns false
	 * if it cannot be carried out yet; nothing of it is recorded then.
	 */
	bool (*admit)(Run *run, Command *command, Hindrance *hindrance);

	/* Appends the event of a new command and what it implies; with authority. */
	Event *(*record)(Run *run, Command *command);

	/* Gives the code the outcome: returns it (NULL is SQL NULL) or raises it. */
	Jsonb *(*answer)(Turn *turn, Command *command);

	/* What a settled command failed with; NULL: it did not fail. */
	Jsonb *(*failure)(const Command *command);

	/* Gives the command that cancels it, and returns the state it was in. */
	const char *(*cancel)(Turn *turn, Command *command);

	/* What pending_await calls one of them; NULL: by the key of its event. */
	const char *(*key)(const Command *command);

	/*
	 * Gives the command by which it yields to a cancel request that has ended an await of it, if
	 * that does more than cancel it: the event of that command says what becomes of it.
	 */
	Command *(*yield)(Turn *turn, Command *command);

	/* It stays open when an await of it is ended, unless it yields; else it is cancelled. */
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
	bool awaited;			   /* the code has awaited it, alone or among others */
	int known_at;			   /* commands given when the code first knew its outcome, 0: never */
	const void *detail;		   /* the primitive's own */
	struct Mistake *mistake;   /* why it cannot be carried out; NULL: no reason is known */

	/* Of a receiver, which is never recorded: */
	struct Received *received; /* the signals it waits for; NULL: it is a command */
	const Event *offered;	   /* the one it would get, or got; NULL: none yet */
	bool consumed;			   /* it was */
	int round;
};

#endif
