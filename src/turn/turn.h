/*
 * turn.h
 *		One execution of workflow code against its history, and what the code may ask for.
 */
#ifndef AION_TURN_H
#define AION_TURN_H

#include "utils/resowner.h"

#include "run/command.h"
#include "run/run.h"
#include "turn/raised.h"

typedef struct ReceivedState ReceivedState;

typedef enum TurnVerdict
{
	TURN_GOING,
	TURN_RETURNED,
	TURN_RAISED,	/* the code failed */
	TURN_CONTINUED, /* the code goes on as a new run */
	TURN_SUSPENDED,
	TURN_MISMATCHED,
	TURN_TIMED_OUT,
	TURN_SPOILED, /* an optimistic turn did not go through; nothing of it has happened */
	TURN_FAILED	  /* the machine failed */
} TurnVerdict;

struct Scope;

struct Turn
{
	Run *run;
	MemoryContext context; /* what a turn leaves behind, outside of its subtransaction */
	int known;			   /* commands that were recorded when it began */
	Command **commands;
	int command_count;
	int command_room;
	Command *latest[COMMAND_KINDS];
	int ordinals[COMMAND_KINDS];
	int32 consumed; /* seq of the latest event that answered an await */
	TimestampTz now;
	int draws;						/* of chance */
	bool quiet;						/* says again what it said in an earlier turn */
	const Jsonb *failure;			/* the outcome raised last */
	RaisedErrors raised;			/* in the code */
	List *told;						/* the commands whose failures the code was told of last */
	bool told_last;					/* and of nothing since */
	List *origins;					/* whose its first commands are, in a forked run */
	const Event *received;			/* the signal consumed last */
	List *receivers;				/* that have handles */
	List *patches;					/* the changes it has asked about, see patch.c */
	ReceivedState *received_states; /* by the index of each name */
	int received_room;
	int rounds;
	struct Scope *scope; /* the innermost one; NULL: none */
	int heard;			 /* cancel requests that were raised */
	int heard_at;		 /* commands given before the last of them was */
	int asked_at;		 /* the same, and one, when the code was first told that there is one */
	bool scope_left;	 /* the code has left one whose timer is not settled yet */
	Command **awaited;	 /* what it suspended on */
	int awaited_count;
	TurnVerdict verdict;
	Difference *difference; /* once there is one, the turn is lost */
	int skipped;			/* the recorded command that the code passed over first */
	int ahead;				/* how many it has passed over */
	Jsonb *result;
	ErrorData *error;			/* what ended it, with the SQLSTATE it was raised with */
	const ErrorData *as_raised; /* the same, as it was raised */
	int left_as;				/* the SQLSTATE that the code's language has made of that */
	ErrorData *too_long;		/* NULL: there is room for what the code asks for */
	bool entered;				/* the input fit, and the code began */

	struct Published *published;	   /* what queries get to see; NULL: nothing */
	struct Continuation *continuation; /* how the code goes on as a new run; NULL: it does not */
	Jsonb *search_attributes;		   /* as the code has changed them; NULL: it has not */

	/* Of an optimistic turn, whose activities are executed where they are called: */
	bool optimistic;
	bool executing;			 /* one of them, at this moment */
	bool spoiled;			 /* one of them has left what cannot be kept */
	int executed;			 /* how many have been */
	int settings_level;		 /* of the code's outermost function */
	CodeSettings outside;	 /* the session's, for activities that have none of their own */
	Oid user;				 /* as whom */
	TimestampTz began;		 /* its share */
	TimestampTz went_on;	 /* its first activity began */
	TimestampTz until;		 /* when it is to end at the next activity; DT_NOEND: not for that */
	int64 spent;			 /* in its share with activities before it, us */
	bool out_of_time;		 /* it has ended so: nothing else is done in its share */
	int open_queries;		 /* when it began */
	int nest_level;			 /* of transactions, the code's */
	ResourceOwner effects;	 /* owns what activities use */
	ResourceOwner resources; /* owns what the code uses */
	ResourceOwner caller;	 /* of the activity that is being executed */
};

/* One turn; without authority. */
extern Turn *aion_turn_create(Run *run);
extern void aion_turn_execute(Turn *turn, const Handler *handler, const CodeSettings *settings);
extern void aion_turn_free(Turn *turn);

/* For functions that are called by workflow code. */
extern Turn *aion_turn_current(const char *function);
extern Turn *aion_turn_peek(void);
extern Command *aion_turn_command(Turn *turn, const CommandClass *class, const char *name,
								  const Jsonb *input, const void *detail);
extern void aion_turn_require_room(Turn *turn);
extern int aion_turn_ordinal(const Turn *turn, CommandKind kind);
extern const RecordedCommand *aion_turn_next_recorded(const Turn *turn);
extern const Event *aion_turn_outcome(const Command *command);
extern bool aion_turn_is_settled(const Command *command);
extern int32 aion_turn_settled_at(const Command *command);
extern int aion_turn_first(Command **commands, int count);
pg_noreturn extern void aion_turn_suspend(Turn *turn, Command **commands, int count);
extern int aion_turn_wait(Turn *turn, Command **commands, int count);
extern void aion_turn_consume(Turn *turn, Command *command);
extern void aion_turn_consume_event(Turn *turn, const Event *event);
extern void aion_turn_note_failures(Turn *turn, Command **commands, int count);
extern List *aion_turn_failures(const Turn *turn, int *first);
extern const Origin *aion_turn_origin(const Turn *turn);
extern const Origin *aion_turn_origin_at(const Turn *turn, int commands);
extern Jsonb *aion_turn_await(Turn *turn, Command *command);
pg_noreturn extern void aion_turn_continue(Turn *turn);
extern char *aion_turn_handle(const Command *command);
extern Command *aion_turn_command_of(Turn *turn, const char *handle);

#endif
