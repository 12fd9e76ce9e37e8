/*
 * claim.h
 *		Claiming activities in order to execute them.
 */
#ifndef AION_CLAIM_H
#define AION_CLAIM_H

#include "nodes/pg_list.h"

#include "activities/queue.h"
#include "activities/task.h"

/* An activity that was claimed: a token holds it. */
typedef struct Claim
{
	Task task;
	pg_uuid_t token;
	char *workflow_id;
	pg_uuid_t run_id;
	Jsonb *input;
	Jsonb *heartbeat_details;
	const char *owner; /* of the run */
	bool only_locked;  /* by this transaction; its row does not show the attempt */
} Claim;

/* What a worker or an executor wants to claim. */
typedef struct ClaimRequest
{
	const char *worker;
	int most;
	Datum owner_keys;		  /* int4[]: of these owners */
	int32 background_of;	  /* of this owner, in the background; 0: for workers */
	NullableDatum activities; /* text[]: which, null: any */
	NullableDatum run_keys;	  /* int8[]: of which runs, null: of any */
	bool only_lock;			  /* of queues without limits; does not begin attempts */
	bool *has_limits;		  /* with only_lock, out: so nothing was locked */
} ClaimRequest;

/* All require the engine's authority. */
extern List *aion_claim(const ClaimRequest *request, const char *queue_name);
extern void aion_claim_begin_attempt(Claim *claim);
extern bool aion_claim_exists(const char *queue_name, Datum owner_keys);
extern bool aion_claim_is_due(const char *queue_name, int32 background_of);
extern TimestampTz aion_claim_next(const char *queue);
extern bool aion_claim_hold(int64 run_key, int32 ordinal, const pg_uuid_t *token,
							bool even_cancelled, Task *task);
extern bool aion_claim_take(int64 run_key, int32 ordinal, const pg_uuid_t *token, Task *task);
extern char *aion_claim_idempotency_key(const Claim *claim);

#endif
