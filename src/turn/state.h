/*
 * state.h
 *		What one turn keeps in memory.
 */
#ifndef AION_TURN_STATE_H
#define AION_TURN_STATE_H

#include "tcop/dest.h"
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
	TURN_CONTINUED, /* the code continues as a new run */
	TURN_SUSPENDED,
	TURN_MISMATCHED,
	TURN_TIMED_OUT,
	TURN_SPOILED, /* an optimistic turn was discarded; nothing of it has happened */
	TURN_FAILED	  /* the infrastructure failed */
} TurnVerdict;

/* The levels of messages of a session. */
typedef struct MessageLevels
{
	int client;
	int log;
	CommandDest destination;
} MessageLevels;

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
	int draws;						/* of random numbers */
	bool probing;					/* nothing of it is kept */
	bool quiet;						/* suppresses messages, which an earlier turn has emitted */
	MessageLevels loud;				/* the levels when it does not */
	const Jsonb *failure;			/* the outcome raised last */
	RaisedErrors raised;			/* in the code */
	List *told;						/* the commands whose failures the code got last */
	bool told_last;					/* and has got nothing since */
	List *origins;					/* the runs that gave its first commands, in a forked run */
	const Event *received;			/* the signal consumed last */
	List *receivers;				/* that have handles */
	List *patches;					/* the changes it has asked about, see patch.c */
	ReceivedState *received_states; /* by the index of each name */
	int received_room;
	int rounds;
	struct Scope *scope; /* the innermost one; NULL: none */
	int heard;			 /* cancel requests that were raised */
	int heard_at;		 /* commands given before the last of them was */
	int asked_at;		 /* the same plus one, when the code first learned that there is one */
	bool scope_left;	 /* the code has left one whose timer is not settled yet */
	Command **awaited;	 /* what it suspended on */
	int awaited_count;
	TurnVerdict verdict;
	Difference *difference; /* once there is one, the turn is lost */
	List *divergences;		/* Difference: that are only reported */
	int skipped;			/* the recorded command that the code passed over first */
	int ahead;				/* how many it has passed over */
	Jsonb *result;
	ErrorData *error;			/* what ended it, with the SQLSTATE it was raised with */
	const ErrorData *as_raised; /* the same, as it was raised */
	int left_as;				/* the SQLSTATE that the code's language has made of that */
	ErrorData *too_long;		/* NULL: there is room for what the code asks for */
	bool entered;				/* the input fit, and the code began */

	struct Published *published;	   /* what queries get to see; NULL: nothing */
	struct Continuation *continuation; /* how the code continues as a new run; NULL: it does not */
	Jsonb *search_attributes;		   /* as the code has changed them; NULL: it has not */

	/* Of an optimistic turn, whose activities are executed where they are called: */
	bool optimistic;
	bool executing;			 /* one of them, at this moment */
	bool spoiled;			 /* one of them has left what cannot be kept */
	int executed;			 /* how many have been */
	int executed_level;		 /* of the innermost subtransaction that one was executed in */
	int settings_level;		 /* of the code's outermost function */
	int activity_level;		 /* of the settings of the one that is being executed */
	CodeSettings outside;	 /* the session's, for activities that have none of their own */
	Oid user;				 /* the role it is executed as */
	TimestampTz began;		 /* when its share began */
	TimestampTz went_on;	 /* when its first activity began */
	TimestampTz until;		 /* when it is to end at the next activity; DT_NOEND: no limit */
	int64 spent;			 /* in its share with activities before it, us */
	bool out_of_time;		 /* it has ended for that: nothing else is done in its share */
	int open_queries;		 /* when it began */
	int nest_level;			 /* of transactions, the code's */
	ResourceOwner effects;	 /* owns what activities use */
	ResourceOwner resources; /* owns what the code uses */
	ResourceOwner caller;	 /* of the activity that is being executed */
};

/*
 * Returns the recorded command that the code has to give next; NULL if history ends here.
 */
static inline const RecordedCommand *
aion_turn_next_recorded(const Turn *turn)
{
	int position = turn->command_count + turn->ahead;

	return position < turn->known ? turn->run->history->commands[position] : NULL;
}

#endif
