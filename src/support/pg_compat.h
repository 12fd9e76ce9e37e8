/*
 * pg_compat.h
 *		Differences between the supported majors of PostgreSQL, 15 to 18: the only place that
 *		looks at PG_VERSION_NUM.
 */
#ifndef AION_PG_COMPAT_H
#define AION_PG_COMPAT_H

#include "catalog/pg_database.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/acl.h"

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
#else
#define aion_compat_owns_database(db, role) pg_database_ownercheck((db), (role))
#define aion_compat_owns_extension(ext, role) pg_extension_ownercheck((ext), (role))
#define aion_compat_owns_schema(schema, role) pg_namespace_ownercheck((schema), (role))
#define aion_compat_may_execute(fn, role)                                                          \
	(pg_proc_aclcheck((fn), (role), ACL_EXECUTE) == ACLCHECK_OK)
#define aion_compat_may_connect(db, role)                                                          \
	(pg_database_aclcheck((db), (role), ACL_CONNECT) == ACLCHECK_OK)
#endif

/* 16 can let a member inherit from a role without becoming it. */
#if PG_VERSION_NUM >= 160000
#define aion_compat_may_become(member, role) member_can_set_role((member), (role))
#else
#define aion_compat_may_become(member, role) is_member_of_role((member), (role))
#endif

/* 16 can insert into summarizing indexes alone. */
#if PG_VERSION_NUM >= 160000
#define aion_compat_insert_index_tuples(target, slot, estate)                                      \
	ExecInsertIndexTuples((target), (slot), (estate), false, false, NULL, NIL, false)
#else
#define aion_compat_insert_index_tuples(target, slot, estate)                                      \
	ExecInsertIndexTuples((target), (slot), (estate), false, false, NULL, NIL)
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

#endif
