/*
 * history.h
 *		A run's history in memory.
 */
#ifndef AION_HISTORY_H
#define AION_HISTORY_H

#include "nodes/pg_list.h"

#include "history/event.h"

/* A command as it stands in history. */
typedef struct RecordedCommand
{
	Event *event;
	Event *outcome; /* what settled it first, itself if nothing has to; NULL while it is open */
	CommandKind kind;
	const char *name;
	uint64 input_hash;
	bool unawaited; /* the code has ended and has never waited for it */
} RecordedCommand;

struct openset_hash;
struct nameset_hash;

typedef struct History
{
	MemoryContext context;
	int64 run_key;
	int32 owner_key;
	Event **events;
	int count;
	int room;
	int written;				/* how many of them are in the table */
	TimestampTz stamp;			/* of the next event, 0 until it is asked for */
	RecordedCommand **commands; /* in the order the code gave them */
	int command_count;
	int command_room;
	Event *terminal;			  /* of the current lease; NULL while the run is open */
	int open_timers;			  /* started and not settled, the engine's own included */
	int open_activities;		  /* asked for and not settled */
	int open_children;			  /* the same */
	List *watchers;				  /* Event: of runs that have begun to wait for its end */
	struct Bitmapset *superseded; /* seq of events that a reopen has taken back */
	int received_names;			  /* of signals, those asked for included */
	struct nameset_hash *received;
	List *cancel_requests;	   /* Event: those that the run got */
	List *patches;			   /* ids of the changes that the code which made it had */
	struct openset_hash *open; /* (family, key) -> the command or timer that is open */
} History;

#endif
