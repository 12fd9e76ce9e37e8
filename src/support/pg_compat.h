/*
 * pg_compat.h
 *		Differences between the supported majors of PostgreSQL, 15 to 19: the only place that
 *		looks at PG_VERSION_NUM.
 */
#ifndef AION_PG_COMPAT_H
#define AION_PG_COMPAT_H

#include "access/heapam.h"
#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#if PG_VERSION_NUM >= 190000
#include "nodes/miscnodes.h"
#include "optimizer/pathnode.h"
#endif

#if PG_VERSION_NUM < 150000
#error "aion needs PostgreSQL 15 or newer"
#endif

/* 16 replaced the check of each kind of object by one of all. */
#if PG_VERSION_NUM >= 160000
#define aion_compat_owns_database(db, role) object_ownercheck(DatabaseRelationId, (db), (role))
#define aion_compat_owns_extension(ext, role) object_ownercheck(ExtensionRelationId, (ext), (role))
#define aion_compat_owns_schema(schema, role)                                                      \
	object_ownercheck(NamespaceRelationId, (schema), (role))
#define aion_compat_may_execute(fn, role)                                                          \
	(object_aclcheck(ProcedureRelationId, (fn), (role), ACL_EXECUTE) == ACLCHECK_OK)
#define aion_compat_may_connect(db, role)                                                          \
	(object_aclcheck(DatabaseRelationId, (db), (role), ACL_CONNECT) == ACLCHECK_OK)
#define aion_compat_may_use(schema, role)                                                          \
	(object_aclcheck(NamespaceRelationId, (schema), (role), ACL_USAGE) == ACLCHECK_OK)
#else
#define aion_compat_owns_database(db, role) pg_database_ownercheck((db), (role))
#define aion_compat_owns_extension(ext, role) pg_extension_ownercheck((ext), (role))
#define aion_compat_owns_schema(schema, role) pg_namespace_ownercheck((schema), (role))
#define aion_compat_may_execute(fn, role)                                                          \
	(pg_proc_aclcheck((fn), (role), ACL_EXECUTE) == ACLCHECK_OK)
#define aion_compat_may_connect(db, role)                                                          \
	(pg_database_aclcheck((db), (role), ACL_CONNECT) == ACLCHECK_OK)
#define aion_compat_may_use(schema, role)                                                          \
	(pg_namespace_aclcheck((schema), (role), ACL_USAGE) == ACLCHECK_OK)
#endif

/* 16 can let a member inherit from a role without becoming it. */
#if PG_VERSION_NUM >= 160000
#define aion_compat_may_become(member, role) member_can_set_role((member), (role))
#else
#define aion_compat_may_become(member, role) is_member_of_role((member), (role))
#endif

/* 16 can insert into summarizing indexes alone; 19 takes flags. */
#if PG_VERSION_NUM >= 190000
#define aion_compat_insert_index_tuples(target, slot, estate)                                      \
	ExecInsertIndexTuples((target), (estate), 0, (slot), NIL, NULL)
#elif PG_VERSION_NUM >= 160000
#define aion_compat_insert_index_tuples(target, slot, estate)                                      \
	ExecInsertIndexTuples((target), (slot), (estate), false, false, NULL, NIL, false)
#else
#define aion_compat_insert_index_tuples(target, slot, estate)                                      \
	ExecInsertIndexTuples((target), (slot), (estate), false, false, NULL, NIL)
#endif

/* Updates a row; tells whether the indexes need the new one. 16 tells which of them. */
static inline bool
aion_compat_heap_update(Relation table, ItemPointer old, HeapTuple tuple)
{
#if PG_VERSION_NUM >= 160000
	TU_UpdateIndexes indexes;

	simple_heap_update(table, old, tuple, &indexes);
	return indexes != TU_None;
#else
	simple_heap_update(table, old, tuple);
	return !HeapTupleIsHeapOnly(tuple);
#endif
}

/* 19 tells the planner about EXPLAIN. */
#if PG_VERSION_NUM >= 190000
#define AION_COMPAT_PLANNER_PARAMETERS                                                             \
	(Query * query, const char *text, int options, ParamListInfo parameters,                       \
	 struct ExplainState *explain)
#define AION_COMPAT_PLANNER_ARGUMENTS (query, text, options, parameters, explain)
#else
#define AION_COMPAT_PLANNER_PARAMETERS                                                             \
	(Query * query, const char *text, int options, ParamListInfo parameters)
#define AION_COMPAT_PLANNER_ARGUMENTS (query, text, options, parameters)
#endif

/* 19 says more about names that mean no function. */
#if PG_VERSION_NUM >= 190000
#define aion_compat_function_candidates(name, nargs, names, out)                                   \
	FuncnameGetCandidates((name), (nargs), (names), true, true, (out), true, &(int){0})
#else
#define aion_compat_function_candidates(name, nargs, names, out)                                   \
	FuncnameGetCandidates((name), (nargs), (names), true, true, (out), true)
#endif

/* 18 keeps functions of several languages alike. */
#if PG_VERSION_NUM >= 180000
#define AION_COMPAT_PLPGSQL_CACHED(function) (&(function)->cfunc)
#else
#define AION_COMPAT_PLPGSQL_CACHED(function) (function)
#endif

/* 16 can report bad names softly. */
#if PG_VERSION_NUM >= 160000
#define AION_COMPAT_HARD_ERRORS , NULL
#else
#define AION_COMPAT_HARD_ERRORS
#endif

/* 17 lets a background worker connect as a role without LOGIN. */
#if PG_VERSION_NUM >= 170000
#define AION_COMPAT_WORKER_NEEDS_LOGIN false
#else
#define AION_COMPAT_WORKER_NEEDS_LOGIN true
#endif

#if PG_VERSION_NUM >= 170000
#define AION_COMPAT_BYPASS_ROLE_LOGIN BGWORKER_BYPASS_ROLELOGINCHECK
#else
#define AION_COMPAT_BYPASS_ROLE_LOGIN 0
#endif

/* 16 marks databases whose DROP was interrupted, as do later minor releases of 15. */
#define AION_COMPAT_DATABASE_IS_INVALID(form) ((form)->datconnlimit == -2)

/* 17 limits how long a transaction may take. */
#if PG_VERSION_NUM >= 170000
#define AION_COMPAT_PINNED_SETTINGS {"transaction_timeout", "0", false},
#else
#define AION_COMPAT_PINNED_SETTINGS
#endif

/* 17 has infinite intervals. */
#if PG_VERSION_NUM >= 170000
#define aion_compat_interval_is_finite(i) (!INTERVAL_NOT_FINITE(i))
#else
#define aion_compat_interval_is_finite(i) true
#endif

/* 18 has pg_noreturn, which comes before the declaration. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* 18 records the types of TRANSFORM clauses as dependencies. */
#if PG_VERSION_NUM >= 180000
#define AION_COMPAT_TRANSFORM_DEPENDENCIES NIL,
#else
#define AION_COMPAT_TRANSFORM_DEPENDENCIES
#endif

/* 17 numbers backends from 0 and renamed the number of MyProc. */
#if PG_VERSION_NUM >= 170000
#define AION_COMPAT_MY_PROC_NUMBER MyProcNumber
#else
#define AION_COMPAT_MY_PROC_NUMBER MyProc->pgprocno
#endif

/* 19 has a struct for json that is being made, and returns none of it. */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState AionJsonState;
#define aion_compat_push_json(state, token, value) pushJsonbValue((state), (token), (value))
#else
typedef struct AionJsonState
{
	JsonbParseState *parse_state;
	JsonbValue *result;
} AionJsonState;
#define aion_compat_push_json(state, token, value)                                                 \
	((void) ((state)->result = pushJsonbValue(&(state)->parse_state, (token), (value))))
#endif

/* 19 reports numbers that are out of range softly. */
#if PG_VERSION_NUM >= 190000
static inline int32
aion_compat_numeric_int4(Numeric number, bool *is_out_of_range)
{
	ErrorSaveContext context = {.type = T_ErrorSaveContext};
	int32 result = numeric_int4_safe(number, (Node *) &context);

	*is_out_of_range = context.error_occurred;
	return result;
}
#else
#define aion_compat_numeric_int4(number, is_out_of_range)                                          \
	numeric_int4_opt_error((number), (is_out_of_range))
#endif

/* 19 has a level for each type of process. */
#if PG_VERSION_NUM >= 190000
#define AION_COMPAT_LOG_MIN_MESSAGES log_min_messages[MyBackendType]
#else
#define AION_COMPAT_LOG_MIN_MESSAGES log_min_messages
#endif

/* 19 calls another hook when it has read what the planner knows of a table. */
#if PG_VERSION_NUM >= 190000
#define AION_COMPAT_TABLE_HOOK build_simple_rel_hook
#define AION_COMPAT_TABLE_HOOK_TYPE build_simple_rel_hook_type
#define AION_COMPAT_TABLE_PARAMETERS PlannerInfo *root, RelOptInfo *info, RangeTblEntry *entry
#define AION_COMPAT_TABLE_ARGUMENTS root, info, entry
#else
#define AION_COMPAT_TABLE_HOOK get_relation_info_hook
#define AION_COMPAT_TABLE_HOOK_TYPE get_relation_info_hook_type
#define AION_COMPAT_TABLE_PARAMETERS                                                               \
	PlannerInfo *root, Oid relation, bool is_parent, RelOptInfo *info
#define AION_COMPAT_TABLE_ARGUMENTS root, relation, is_parent, info
#endif

#endif
