/*
 * ready.h
 *		Finds and claims runs that need a turn.
 */
#ifndef AION_READY_H
#define AION_READY_H

#include "run/run.h"

/* The position of a scan for ready runs. */
typedef struct ReadyScan
{
	enum
	{
		SCAN_READY,	 /* by themselves */
		SCAN_TIMERS, /* because timers are due */
		SCAN_INBOX	 /* because something was sent to them */
	} phase;
	TimestampTz moment;
	int64 run_key;
	int index; /* of count equal parts */
	int count;
} ReadyScan;

/* When what had arrived for a blocked run r was last taken, computed from when it is to be checked
 * again. */
#define AION_LAST_LOOK                                                                             \
	"CASE r.status WHEN 'blocked' THEN r.retry_at - least(interval '10 minutes', interval '100 "   \
	"ms'"                                                                                          \
	" * power(2, least(r.failures, 20) - 1)) ELSE 'infinity' END"

/* All require the engine's authority; NULL if no ready run is free. */
extern Run *aion_ready_claim(int32 owner_key, const int64 *except, int except_count,
							 MemoryContext parent);
extern Run *aion_ready_claim_one_of(const int64 *run_keys, int count, MemoryContext parent);
extern List *aion_ready_claim_all_of(int32 owner_key, const int64 *run_keys, int count,
									 MemoryContext parent);
extern bool aion_ready_lock_tables(bool wait);
extern bool aion_ready_is_taken(int64 run_key);
extern void aion_ready_scan_begin(ReadyScan *scan, int index, int count);
extern int aion_ready_scan(ReadyScan *scan, int32 owner_key, int64 *run_keys, int most);

#endif
