/*
 * raised.h
 *		Errors that are raised in code, and the origin of an error that leaves it.
 */
#ifndef AION_RAISED_H
#define AION_RAISED_H

#include "utils/elog.h"

#define MAX_RAISED 8

/* An error, as it was raised first and as it was passed on last. */
typedef struct Raised
{
	ErrorData *origin;
	int sqlerrcode;
	char *message;
} Raised;

/* What was raised in code that is being executed. */
typedef struct RaisedErrors
{
	MemoryContext context;
	void *turn;				   /* the Turn whose code it is; NULL: of an activity or a query */
	int sqlerrcode;			   /* of the error raised last, 0: none */
	Raised raised[MAX_RAISED]; /* the last ones, the latest first */
	int count;
	ErrorData *cancel; /* of the statement, whatever the code made of it; NULL: none */
	ErrorContextCallback callback;
} RaisedErrors;

extern void aion_raised_begin(RaisedErrors *errors, MemoryContext context, void *turn);
extern void aion_raised_end(const RaisedErrors *errors);
extern const ErrorData *aion_raised_settle(const RaisedErrors *errors, ErrorData *error);

#endif
