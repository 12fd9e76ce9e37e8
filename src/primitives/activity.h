/*
 * activity.h
 *		Registered activities, and the stand-ins that tests put in their place.
 */
#ifndef AION_ACTIVITY_H
#define AION_ACTIVITY_H

#include "engine/handler.h"
#include "engine/run.h"
#include "engine/turn.h"

/* The activity without a name, whose input is a statement. */
#define ACTIVITY_RUN_SQL "run_sql"

/* How an attempt ended. */
typedef struct Attempt
{
	bool failed;
	Jsonb *value; /* result, or what is known about the failure */
} Attempt;

extern Command *aion_activity_start(Turn *turn, const char *name, const Jsonb *input,
									const Jsonb *options);
extern void aion_attempt_make(const char *name, const Handler *handler, const Jsonb *input,
							  Attempt *result);
extern Jsonb *aion_attempt_call(const Handler *handler, const Jsonb *input);
extern bool aion_mock_exists(const char *activity);
extern bool aion_mock_attempt(const char *activity, Attempt *attempt);
extern void aion_mock_init(void);
extern Jsonb *aion_sql_execute(const Jsonb *input);

#endif
