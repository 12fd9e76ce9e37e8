/*
 * failure.h
 *		Errors as outcomes: kept as jsonb, classified by their cause, raised again.
 */
#ifndef AION_FAILURE_H
#define AION_FAILURE_H

#include "utils/elog.h"
#include "utils/jsonb.h"

#include "support/pg_compat.h"

/* Ends the context of code in a turn: the lines that follow are of what executed the turn. */
#define AION_TURN_CONTEXT "workflow \"%s\", run %s"

extern bool aion_failure_is_cancel(const ErrorData *error);
extern bool aion_failure_is_contention(const ErrorData *error);
extern bool aion_failure_is_infrastructure(const ErrorData *error);
extern bool aion_failure_is_of_session(const ErrorData *error);
extern void aion_failure_end_test(ErrorData *error);
extern Jsonb *aion_failure_of(const ErrorData *error, const Jsonb *details);
extern Jsonb *aion_failure_make(const char *sqlstate, const char *message, const char *hint);
extern int aion_failure_errcode(const Jsonb *failure);
pg_noreturn extern void aion_failure_raise(int sqlerrcode, const Jsonb *failure);
extern char *aion_failure_code_context(const char *context);

#endif
