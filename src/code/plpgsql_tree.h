/*
 * plpgsql_tree.h
 *		What a PL/pgSQL function consists of: its statements, and their expressions.
 */
#ifndef AION_PLPGSQL_TREE_H
#define AION_PLPGSQL_TREE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "plpgsql.h"

typedef void (*PlpgsqlVisit)(PLpgSQL_expr *expression, void *argument);
typedef void (*PlpgsqlVisitBody)(List *statements, void *argument);

extern PLpgSQL_function *aion_plpgsql_parse(Oid function);
extern void aion_plpgsql_expressions(PLpgSQL_datum **variables, PLpgSQL_stmt *statement,
									 PlpgsqlVisit visit, void *argument);
extern void aion_plpgsql_bodies(PLpgSQL_stmt *statement, PlpgsqlVisitBody visit, void *argument);

#endif
