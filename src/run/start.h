/*
 * start.h
 *		Starting runs.
 */
#ifndef AION_START_H
#define AION_START_H

#include "fmgr.h"

#include "run/run.h"

/* What to do about a run of the same workflow id. */
typedef enum StartPolicy
{
	POLICY_ERROR,
	POLICY_USE_EXISTING,
	POLICY_TERMINATE_EXISTING, /* of an open one */
	POLICY_ALLOW,			   /* of a closed one */
	POLICY_ALLOW_FAILED_ONLY
} StartPolicy;

typedef struct StartRequest
{
	const char *workflow_type;
	StartPolicy if_running;
	StartPolicy if_closed;
	TimestampTz start_at;	/* DT_NOEND: at once */
	Interval *timeout;		/* NULL: that of the registration */
	const char *task_queue; /* NULL: that of the registration */
	Jsonb *search_attributes;
	Jsonb *memo;
	const char *version; /* NULL: the routed one */
	Oid owner;
	bool may_be_granted;  /* the owner may be a role that has granted this start */
	Jsonb *parents;		  /* of a child; else NULL */
	const char *schedule; /* of which this is a tick; NULL: of none */
	TimestampTz scheduled_for;
	int id_wait_ms; /* for a transaction that holds the workflow id; 0: as long as it takes */

	/* Filled by aion_start_prepare(). */
	Version *code;
	const Handler *handler;
	TimestampTz deadline;
} StartRequest;

/* The result of a start. */
typedef struct Started
{
	int64 run_key;
	char *workflow_id;
	pg_uuid_t run_id;
	bool is_new; /* else an existing one, as the policy says */
} Started;

/* Why a start is refused. */
typedef struct StartRefusal
{
	int sqlerrcode;
	const char *message;
	const char *hint;
} StartRefusal;

extern const char *aion_start_read_options(const Jsonb *options, bool of_child,
										   StartRequest *request);
extern void aion_start_read_request(FunctionCallInfo fcinfo, int first, bool may_be_granted,
									StartRequest *request);
extern void aion_start_choose_owner(const char *role, StartRequest *request);
extern void aion_start_prepare(StartRequest *request);
extern Jsonb *aion_start_check(StartRequest *request, const Jsonb *input);

/* For other functions that make runs; with the engine's authority. */
extern Run *aion_start_blank(const char *workflow_id, int32 owner_key, int32 version_key);
extern bool aion_start_insert(const Run *run);
extern void aion_start_write(Run *run);

/* For starts that workflow code asks for; the second one with the engine's authority. */
extern void aion_start_resolve(StartRequest *request);
extern bool aion_start_attempt(const StartRequest *request, const Jsonb *input,
							   const char *workflow_id, Started *started, StartRefusal *refusal);

extern char *aion_start(const StartRequest *request, const Jsonb *input, const char *workflow_id);

#endif
