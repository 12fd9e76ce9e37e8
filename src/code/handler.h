/*
 * handler.h
 *		Functions of users that take and give jsonb: workflow code and activities.
 */
#ifndef AION_HANDLER_H
#define AION_HANDLER_H

#include "access/htup.h"
#include "access/tupdesc.h"
#include "storage/itemptr.h"
#include "utils/jsonb.h"

typedef struct HandlerParameter
{
	char *name;
	Oid type;
	bool is_optional;
} HandlerParameter;

typedef struct Handler
{
	const char *label; /* what messages call it: workflow "x", activity "x" */
	Oid function;
	Oid owner;
	TransactionId xmin; /* of the catalog row it was read from */
	ItemPointerData tid;
	bool is_strict;
	bool returns_set;
	bool security_definer;
	Oid result_type;
	bool whole_input; /* its one parameter gets the input as it is */
	int parameter_count;
	HandlerParameter *parameters;
	TupleDesc parameter_row; /* the parameters as a row type */
} Handler;

/* The fixed reference to a function: what is stored, and how it is found again. */
extern char *aion_handler_signature(Oid function);
extern Oid aion_handler_resolve(const char *signature);

extern HeapTuple aion_handler_function(Oid function);
extern Handler *aion_handler_read(Oid function, const char *label);
extern void aion_handler_check_call(const Handler *handler);
extern bool aion_handler_is_current(const Handler *handler);
extern void aion_handler_check_exists(Oid function);
extern void aion_handler_check(Oid function, Oid role);
extern Jsonb *aion_handler_complete(const Handler *handler, const Jsonb *input);
extern void aion_handler_check_input(const Handler *handler, const Jsonb *input);
extern Jsonb *aion_handler_complete_purely(const Handler *handler, const Jsonb *input, Oid owner);
extern const Jsonb *aion_handler_add_constants(const Handler *handler, const Jsonb *input);
extern const char *aion_handler_misfit(const Handler *handler, const Jsonb *input);
extern bool aion_handler_is_denied(Oid function, Oid role);
extern Jsonb *aion_handler_call(const Handler *handler, const Jsonb *input, bool *entered);
extern Jsonb *aion_handler_call_pair(const Handler *handler, const Jsonb *first,
									 const Jsonb *second);

extern HeapTuple aion_jsonb_to_row(const Jsonb *object, TupleDesc descriptor);

#endif
