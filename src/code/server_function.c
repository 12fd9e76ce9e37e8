/*
 * server_function.c
 *		Functions of the server that code must not call everywhere.
 *
 * The server knows them by name only.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_namespace.h"
#include "utils/lsyscache.h"

#include "code/server_function.h"

/* Functions of the server whose effects outlive a rolled back or released subtransaction. */
static const char *const forbidden_prefixes[] = {"lo_",
												 "loread",
												 "lowrite",
												 "pg_advisory_",
												 "pg_create_",
												 "pg_drop_",
												 "pg_export_snapshot",
												 "pg_logical_emit_message",
												 "pg_notify",
												 "pg_replication_",
												 "pg_try_advisory_",
												 "set_config"};

/* Those of them that are no part of the transaction, and locks that the session keeps. */
static const char *const untransactional_prefixes[] = {"pg_advisory_",	  "pg_create_",
													   "pg_drop_",		  "pg_logical_emit_message",
													   "pg_replication_", "pg_try_advisory_"};
static const char *const lock_prefixes[] = {"pg_advisory_lock", "pg_advisory_unlock",
											"pg_try_advisory_lock"};

/* Those that reach what the session has opened or prepared; so do EXECUTE and CURRENT OF. */
static const char *const session_prefixes[] = {"lo_", "loread", "lowrite"};
static const char *const prepared_prefixes[] = {"cursor_to_xml", "pg_cursor",
												"pg_listening_channels", "pg_prepared_statement"};
static const char *const session_extension_prefixes[] = {"dblink"}; /* by named connections */

static uint8 functions[FirstUnpinnedObjectId]; /* what is known of each */

static bool begins_with(const char *name, const char *const *prefixes, size_t count);

/*
 * Returns the flags of a function that is about to be called by code that only reads, or is that of
 * another role than the session's; 0 for almost all.
 */
uint8
aion_server_function_flags(Oid function, bool only_reads, bool foreign)
{
	uint8 known = function < FirstUnpinnedObjectId ? functions[function] : 0;
	char *name;

	if (known != 0)
		return known & ~FUNCTION_KNOWN;
	if (function >= FirstUnpinnedObjectId && !only_reads && !foreign)
		return 0;
	if (get_func_namespace(function) == PG_CATALOG_NAMESPACE)
	{
		name = get_func_name(function);
		if (begins_with(name, forbidden_prefixes, lengthof(forbidden_prefixes)))
			known |= FUNCTION_FORBIDDEN;
		if (begins_with(name, untransactional_prefixes, lengthof(untransactional_prefixes)))
			known |= FUNCTION_UNTRANSACTIONAL;
		if (begins_with(name, lock_prefixes, lengthof(lock_prefixes)))
			known |= FUNCTION_LOCKS;
		if (begins_with(name, session_prefixes, lengthof(session_prefixes)))
			known |= FUNCTION_USES_SESSION;
		if (begins_with(name, prepared_prefixes, lengthof(prepared_prefixes)))
			known |= FUNCTION_LISTS_PREPARED;
	}
	else if (foreign && begins_with(get_func_name(function), session_extension_prefixes,
									lengthof(session_extension_prefixes)))
		known |= FUNCTION_USES_SESSION;
	if (function < FirstUnpinnedObjectId)
		functions[function] = known | FUNCTION_KNOWN;
	return known;
}

static bool
begins_with(const char *name, const char *const *prefixes, size_t count)
{
	for (size_t i = 0; name != NULL && i < count; i++)
	{
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}
