/*
 * replay.h
 *		A run's history in memory: its events, the commands among them, and how each was settled.
 */
#ifndef AION_REPLAY_H
#define AION_REPLAY_H

#include "history/history.h"

/* The kind of a difference that lies in the code alone: it reads what differs each time. */
#define DIFFERENCE_NONDETERMINISTIC "nondeterministic"

/* How code and history differ; users see it as jsonb. */
typedef struct Difference
{
	const char *kind; /* kind, name, input, order, missing, surplus */
	int32 seq;		  /* of the recorded event, 0 where there is none */
	const char *expected;
	const char *found;
	const char *hint;	 /* what to use instead; NULL: not known */
	const char *context; /* where in the code */
} Difference;

extern History *aion_history_create(int64 run_key, int32 owner_key, MemoryContext parent);
extern History *aion_history_load(int64 run_key, int32 owner_key, MemoryContext parent);
extern History *aion_history_load_kept(int64 run_key, int32 owner_key, MemoryContext parent);
extern void aion_history_add(History *history, Event *event);
extern List *aion_history_pending_requests(const History *history, int heard);
extern bool aion_history_is_superseded(const History *history, const Event *event);
extern bool aion_history_is_patched(const History *history, const char *change_id);
extern Event *aion_history_last(const History *history);
extern RecordedCommand *aion_history_open(const History *history, EventFamily family,
										  const char *key);
extern List *aion_history_open_timers(const History *history);

extern Difference *aion_replay_compare(const History *history, int position,
									   const Fingerprint *issued, uint64 input_hash,
									   int32 consumed);
extern int aion_replay_find(const History *history, int from, const Fingerprint *issued,
							uint64 input_hash);
extern Difference *aion_replay_missing(const History *history, int position, const char *found);
extern Difference *aion_replay_surplus(const Fingerprint *issued);
extern Difference *aion_replay_misfit(const char *found);
extern char *aion_replay_describe(const Fingerprint *fingerprint);
extern Jsonb *aion_replay_difference(const Difference *difference);

#endif
