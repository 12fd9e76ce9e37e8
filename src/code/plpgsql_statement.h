/*
 * plpgsql_statement.h
 *		The expressions of a PL/pgSQL statement, before it is executed.
 */
#ifndef AION_PLPGSQL_STATEMENT_H
#define AION_PLPGSQL_STATEMENT_H

#include "nodes/plannodes.h"

/* Is given the plan of each. */
typedef void (*PlpgsqlLook)(const PlannedStmt *statement);

extern void aion_plpgsql_statement_watch(bool (*wanted)(void), PlpgsqlLook look);

#endif
