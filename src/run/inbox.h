/*
 * inbox.h
 *		What has been sent to runs and is not yet history: rows of aion._inbox.
 */
#ifndef AION_INBOX_H
#define AION_INBOX_H

#include "run/run.h"

/* Something that came from outside; kind says which primitive it is for. */
typedef struct Arrival
{
	int64 number; /* greater than that of any arrival that was committed for its sender to see */
	const char *kind;
	const char *name;	  /* NULL: none */
	const Jsonb *payload; /* NULL: none */
	const char *dedup_id; /* NULL: none */
	const char *sender;	  /* role */
	TimestampTz sent_at;
	int64 chain_key; /* where the run that it was sent to is gone: of its chain */
} Arrival;

/* For senders: without the run's lock.  All of these require the engine's authority. */
extern void aion_inbox_send(const FoundRun *to, const Arrival *arrival);

/* With the run's lock. */
extern void aion_inbox_take(Run *run);
extern List *aion_inbox_take_kind(const Run *run, const char *kind);
extern void aion_inbox_forget(int64 run_key);

/* For runs that were purged after a sender found them, but before it committed. */
extern List *aion_inbox_take_orphans(const int64 *run_keys, int count);

#endif
