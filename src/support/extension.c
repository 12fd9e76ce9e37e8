/*
 * extension.c
 *		The extension as it is installed in this database, and the right to work on its tables.
 *
 * A backend may see several installations in its life: DROP EXTENSION and CREATE EXTENSION give
 * every object a new oid.  All that a backend caches from the catalogs is therefore tagged with a
 * generation, which changes with the oid of aion._run, a cheap lookup in the system caches.
 *
 * The schema may also be older than the library (the package was updated, and the server restarted)
 * or newer (the server still has the library it was started with).  Then the engine executes
 * nothing and refuses every call, but what was recorded can be read, dumped and restored.  The
 * version is read once per backend: a transaction that changes the extension sends a relcache
 * invalidation of aion._run.
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
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "support/extension.h"

#define ENGINE_SEARCH_PATH "pg_catalog, pg_temp"

static Extension extension;
static Oid known_as = InvalidOid; /* oid of aion._run when extension was read */
static bool stale = true;		  /* it may have changed since */
static bool watching = false;	  /* for that */
static char *version = NULL;	  /* of the schema; NULL: the extension is not installed */

static void authority_begin(Authority *authority, const Extension *ext);
static Oid sentinel(void);
static bool know_extension(void);
static void read_extension(void);
static void table_may_have_changed(Datum argument, Oid table);
static void refuse_version(void);
static const char *describe_versions(void);
static int compare_versions(const char *left, const char *right);

/*
 * Tells whether the extension is installed in this database.
 */
bool
aion_extension_exists(void)
{
	return OidIsValid(sentinel());
}

/*
 * Returns the extension of this database, if this library can serve it.
 */
const Extension *
aion_extension(void)
{
	const Extension *ext = aion_extension_of_any_version();

	if (!ext->is_current)
		refuse_version();
	return ext;
}

/*
 * Returns the extension of this database.  What every version of the schema has can be read then,
 * and nothing else.
 */
const Extension *
aion_extension_of_any_version(void)
{
	if (!know_extension())
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("extension \"aion\" is not installed in this database"),
						errhint("Use CREATE EXTENSION aion.")));
	return &extension;
}

/*
 * Tells whether the installed extension is of the version of this library: else what the catalog
 * describes may not be there.
 */
bool
aion_extension_is_current(void)
{
	return know_extension() && extension.is_current;
}

/*
 * Tells in words which version is which, for the server's log; NULL if there is nothing amiss.
 */
const char *
aion_extension_mismatch(void)
{
	return know_extension() && !extension.is_current ? describe_versions() : NULL;
}

/*
 * Reads the extension again at the next opportunity: a superuser may have changed its row by hand,
 * which no invalidation tells.
 */
void
aion_extension_forget(void)
{
	stale = true;
}

/*
 * Tells every backend that the extension may be of another version once this transaction commits.
 */
void
aion_extension_changed(void)
{
	Oid run_table = sentinel();

	if (OidIsValid(run_table))
		CacheInvalidateRelcacheByRelid(run_table);
}

/*
 * Becomes the engine: the owner of the extension, with a search path in which no other role can
 * plant objects, and connected to SPI.  The current memory context stays the caller's.
 */
void
aion_authority_assume(Authority *authority)
{
	authority_begin(authority, aion_extension());
}

/*
 * Becomes the engine of an extension of any version, to read what every version has.
 */
void
aion_authority_assume_to_read(Authority *authority)
{
	authority_begin(authority, aion_extension_of_any_version());
}

static void
authority_begin(Authority *authority, const Extension *ext)
{
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
 * Reads the extension unless it is known; false if there is none.
 */
static bool
know_extension(void)
{
	Oid run_table = sentinel();

	if (stale || run_table != known_as)
	{
		char *before = version;
		bool same = run_table == known_as;

		if (!watching)
			CacheRegisterRelcacheCallback(table_may_have_changed, (Datum) 0);
		watching = true;
		stale = false; /* what comes while it is read counts */
		known_as = InvalidOid;
		version = NULL;
		if (OidIsValid(run_table))
			read_extension();
		if (!same || before == NULL || version == NULL || strcmp(before, version) != 0)
			extension.generation++;
		if (before != NULL)
			pfree(before);
		if (version == NULL)
			return false;
		extension.schema = get_rel_namespace(run_table);
		extension.is_current = strcmp(version, AION_VERSION) == 0;
		known_as = run_table;
	}
	return OidIsValid(known_as);
}

static void
read_extension(void)
{
	Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	bool isnull;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("aion"));
	scan = systable_beginscan(catalog, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_extension form = (Form_pg_extension) GETSTRUCT(tuple);
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

		extension.oid = form->oid;
		extension.owner = form->extowner;
		version = TextDatumGetCString(
			heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(catalog), &isnull));
		MemoryContextSwitchTo(caller);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

static void
table_may_have_changed(Datum argument, Oid table)
{
	if (!OidIsValid(table) || table == known_as)
		stale = true;
}

/*
 * Refuses a version of the schema that this library cannot serve.
 */
static void
refuse_version(void)
{
	bool older = compare_versions(version, AION_VERSION) < 0;

	stale = true; /* without an invalidation, too, it is looked at again */
	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg_internal("%s", describe_versions()),
					older ? errhint("Use ALTER EXTENSION aion UPDATE.")
						  : errhint("Restart the server, so that it loads the library of version "
									"%s, whose package must be installed.",
									version)));
}

static const char *
describe_versions(void)
{
	return psprintf(_("extension \"aion\" is version %s, but its library is version %s"), version,
					AION_VERSION);
}

/*
 * Compares versions number by number.
 */
static int
compare_versions(const char *left, const char *right)
{
	while (*left != '\0' || *right != '\0')
	{
		char *left_end;
		char *right_end;
		unsigned long a = strtoul(left, &left_end, 10);
		unsigned long b = strtoul(right, &right_end, 10);

		if (a != b)
			return a < b ? -1 : 1;
		left = *left_end == '\0' ? left_end : left_end + 1;
		right = *right_end == '\0' ? right_end : right_end + 1;
	}
	return 0;
}
