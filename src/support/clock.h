/*
 * clock.h
 *		The one clock of the engine, replaceable for the length of a test's transaction.
 */
#ifndef AION_CLOCK_H
#define AION_CLOCK_H

#include "datatype/timestamp.h"
#include "nodes/parsenodes.h"

extern void aion_clock_init(void);
extern TimestampTz aion_clock_now(void);
extern bool aion_clock_is_virtual(void);
extern void aion_clock_stop(TimestampTz moment);
extern void aion_clock_set(TimestampTz moment);
extern int64 aion_clock_stops(void);
extern void aion_clock_check_commit(const TransactionStmt *statement);

#endif
