/*
 * extension.c
 *		The extension as it is installed in this database, and the right to work on its tables.
 *
 * A backend may see several installations in its life: DROP EXTENSION and CREATE EXTENSION give
 * every object a new oid.  All that a backend caches from the catalogs is therefore tagged with a
 * generation, which changes with the oid of aion._run, a cheap lookup in the system caches.
 *
 * All entry points are SECURITY INVOKER.  For its own statements, and for nothing else, the engine
 * becomes the owner of the extension, as a SECURITY DEFINER function would.  On error the enclosing
 * (sub)transaction restores user and settings, so callers need not catch it.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "support/extension.h"

#define ENGINE_SEARCH_PATH "pg_catalog, pg_temp"

static Extension extension;
static Oid known_as = InvalidOid; /* oid of aion._run when extension was read */

static Oid sentinel(void);
static char *read_extension(Extension *found);
static void know_extension(Oid run_table);

/*
 * Tells whether the extension is installed in this database.
 */
bool
aion_extension_exists(void)
{
	return OidIsValid(sentinel());
}

/*
 * Returns the extension of this database.
 */
const Extension *
aion_extension(void)
{
	Oid run_table = sentinel();

	if (run_table != known_as || !OidIsValid(run_table))
	{
		known_as = InvalidOid;
		if (!OidIsValid(run_table))
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
							errmsg("extension \"aion\" is not installed in this database"),
							errhint("Use CREATE EXTENSION aion.")));
		know_extension(run_table);
		known_as = run_table;
	}
	return &extension;
}

/*
 * Becomes the engine: the owner of the extension, with a search path in which no other role can
 * plant objects, and connected to SPI.  The current memory context stays the caller's.
 */
void
aion_authority_assume(Authority *authority)
{
	const Extension *ext = aion_extension();
	MemoryContext caller = CurrentMemoryContext;

	GetUserIdAndSecContext(&authority->userid, &authority->security_context);
	SetUserIdAndSecContext(ext->owner, authority->security_context | SECURITY_LOCAL_USERID_CHANGE);
	authority->guc_level = 0;
	if (strcmp(namespace_search_path, ENGINE_SEARCH_PATH) != 0)
	{
		authority->guc_level = NewGUCNestLevel();
		(void) set_config_option("search_path", ENGINE_SEARCH_PATH, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	SPI_connect();
	MemoryContextSwitchTo(caller);
}

/*
 * Restores what aion_authority_assume() found.  Rows still held by SPI are gone.
 */
void
aion_authority_drop(Authority *authority)
{
	MemoryContext caller = CurrentMemoryContext;

	SPI_finish();
	MemoryContextSwitchTo(caller);
	if (authority->guc_level > 0)
		AtEOXact_GUC(true, authority->guc_level);
	SetUserIdAndSecContext(authority->userid, authority->security_context);
}

static Oid
sentinel(void)
{
	Oid schema = get_namespace_oid("aion", true);

	return OidIsValid(schema) ? get_relname_relid("_run", schema) : InvalidOid;
}

/*
 * Reads the row of the extension; returns its version, NULL if there is no such row.
 */
static char *
read_extension(Extension *found)
{
	Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	char *version = NULL;
	bool isnull;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("aion"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);

		found->oid = form->oid;
		found->owner = form->extowner;
		version = TextDatumGetCString(
			heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(catalog), &isnull));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return version;
}

/*
 * Tells whether the installed extension is of the version of this library: else what the catalog
 * describes may not be there.
 */
bool
aion_extension_is_current(void)
{
	Extension found;
	char *version = read_extension(&found);

	return version != NULL && strcmp(version, AION_VERSION) == 0;
}

/*
 * Reads the extension, and refuses one that this library cannot serve.
 */
static void
know_extension(Oid run_table)
{
	char *version = read_extension(&extension);

	if (version == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("extension \"aion\" is not installed in this database"),
						errhint("Use CREATE EXTENSION aion.")));
	if (strcmp(version, AION_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"aion\" is version %s, but its library is version %s", version,
						AION_VERSION),
				 errhint("Use ALTER EXTENSION aion UPDATE, or restart the server if the library "
						 "is the older one.")));
	extension.schema = get_rel_namespace(run_table);
	extension.generation++;
}
