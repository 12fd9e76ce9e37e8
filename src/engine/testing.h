/*
 * testing.h
 *		Tests of workflows inside one transaction that is rolled back.
 */
#ifndef AION_TESTING_H
#define AION_TESTING_H

#include "nodes/parsenodes.h"
#include "utils/uuid.h"

extern void aion_testing_init(void);
extern pg_uuid_t aion_testing_uuid(const char *workflow_id);
extern bool aion_testing_is_active(void);
extern void aion_testing_check_deferred(void);
extern void aion_testing_check_session(ErrorData *error);
extern void aion_testing_check_commit(const TransactionStmt *statement);
extern void aion_testing_require(const char *function);

#endif
