/*
 * activity.h
 *		Activities: the command that asks for one, and one attempt to execute it.
 */
#ifndef AION_ACTIVITY_H
#define AION_ACTIVITY_H

#include "code/code.h"
#include "code/handler.h"
#include "run/run.h"
#include "turn/turn.h"

/* An attempt that is about to be made. */
typedef struct AttemptInfo
{
	const char *workflow_id;
	pg_uuid_t run_id;
	int32 ordinal;
	const char *activity;
	int32 attempt;
	const CodeSettings *settings; /* that are not in force yet; NULL: none */
	TimestampTz deadline;		  /* DT_NOEND: none */
	bool deadline_is_last;		  /* of all attempts */
	int64 heartbeat;			  /* microseconds; 0: none is expected */
	const Jsonb *heartbeat_details;
	bool background;		 /* else in a turn */
	bool (*wanted)(void *);	 /* whether the run still wants it; background only */
	void (*confirm)(void *); /* called at the end, before the subtransaction is released; or NULL */
	void *argument;
	bool only_fits; /* only check whether the input fits */
	bool entered;	/* out: the input fit, and the function began */
	const char
		*limit;		/* out: what its time was limited by the last time; NULL: aion.turn_timeout */
	Jsonb *details; /* out: details of its last heartbeat; NULL: none */
} AttemptInfo;

/* How an attempt ended. */
typedef struct Attempt
{
	bool failed;
	bool misfit;  /* the input does not fit the function */
	Jsonb *value; /* result, or what is known about the failure */
} Attempt;

extern Command *aion_activity_start(Turn *turn, const char *name, const Jsonb *input,
									const Jsonb *options);
extern void aion_attempt_make(AttemptInfo *info, const Handler *handler, const Jsonb *input,
							  Attempt *result);
extern Jsonb *aion_attempt_call(AttemptInfo *info, const Handler *handler, const Jsonb *input);
extern bool aion_mock_exists(const char *activity);
extern bool aion_mock_attempt(const char *activity, Attempt *attempt);
extern void aion_mock_init(void);
extern Jsonb *aion_sql_execute(const Jsonb *input, bool *entered);

#endif
