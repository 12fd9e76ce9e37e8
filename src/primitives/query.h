/*
 * query.h
 *		What workflow code publishes: values, and functions that answer queries.
 */
#ifndef AION_QUERY_H
#define AION_QUERY_H

#include "code/handler.h"
#include "run/run.h"
#include "turn/turn.h"

/* A function that answers, as it is now. */
typedef struct QueryFunction
{
	const Handler *handler;
	const char *signature;
	const char *digest;
} QueryFunction;

extern const QueryFunction *aion_query_function(Oid function);
extern void aion_query_progress(Turn *turn, const char *name, const Jsonb *value, bool is_over);

#endif
