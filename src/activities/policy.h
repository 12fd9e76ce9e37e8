/*
 * policy.h
 *		Policies of activities: how often they are tried, how soon again, and for how long.
 */
#ifndef AION_POLICY_H
#define AION_POLICY_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

typedef struct Policy
{
	char *task_queue; /* NULL: that of the run */
	char *key;		  /* NULL: none; its queue may limit how many run at once */
	int32 priority;
	int32 concurrency; /* 0: no limit; of a map */

	/* Microseconds; 0: none. */
	int64 start_to_close;
	int64 schedule_to_start;
	int64 schedule_to_close;
	int64 heartbeat;

	int32 max_attempts;
	int64 initial_interval;
	int64 max_interval;
	double coefficient;
	char *backoff;
	char *on_cancel;
	Jsonb *non_retryable; /* NULL: everything is retryable */
} Policy;

extern Jsonb *aion_policy_merge(const Jsonb *registered, const Jsonb *options);
extern void aion_policy_read(const Jsonb *json, bool in_database, Policy *policy);
extern bool aion_policy_retries(const Policy *policy, int attempt, const Jsonb *error);
extern int64 aion_policy_backoff(const Policy *policy, int attempt);

#endif
