/*
 * registry.c
 *		A backend's cache of the tables that say which code there is.
 *
 * Registrations change rarely and are looked at in every turn.  A transaction that changes one of
 * their tables sends a relcache invalidation of it, which reaches every backend after the commit,
 * as one of a catalog does.  The callbacks only set flags: they may be called at any time and must
 * not look up anything.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "support/extension.h"
#include "support/registry.h"

static List *registries = NIL;
static uint64 function_epoch = 1;
static uint64 transactions = 1; /* that this backend has ended */

static void table_changed(Datum argument, Oid table);
static void registry_transaction_ended(XactEvent event, void *argument);
static void function_changed(Datum argument, int cache, uint32 hash);

/*
 * Makes a registry known.  Called once per backend, when the library is loaded.
 */
void
aion_registry_init(Registry *registry)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);

	if (registries == NIL)
	{
		RegisterXactCallback(registry_transaction_ended, NULL);
		CacheRegisterRelcacheCallback(table_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(PROCOID, function_changed, (Datum) 0);
	}
	registries = lappend(registries, registry);
	MemoryContextSwitchTo(caller);
}

/*
 * Discards entries that are out of date.  Callers may still point to them, so they live until the
 * transaction ends.
 */
void
aion_registry_refresh(Registry *registry)
{
	const Extension *ext = aion_extension_of_any_version();

	if (registry->context != NULL && !registry->stale && registry->generation == ext->generation &&
		(registry->read_in == 0 || registry->read_in == transactions))
		return;
	if (registry->context != NULL)
		MemoryContextSetParent(registry->context, TopTransactionContext);
	registry->context =
		AllocSetContextCreate(TopMemoryContext, "aion registry", ALLOCSET_SMALL_SIZES);
	registry->entries = NIL;
	registry->generation = ext->generation;
	registry->table_oid = get_relname_relid(registry->table, ext->schema);

	/* What an old snapshot shows must not be remembered for longer than it lives. */
	registry->read_in = IsolationUsesXactSnapshot() ? transactions : 0;
	registry->stale = false;
}

/*
 * Tells every backend that rows changed, once this transaction commits.
 */
void
aion_registry_changed(Registry *registry)
{
	aion_registry_refresh(registry);
	CacheInvalidateRelcacheByRelid(registry->table_oid);
	registry->stale = true;
}

/*
 * Returns a number that changes whenever some function may have changed.
 */
uint64
aion_registry_function_epoch(void)
{
	return function_epoch;
}

static void
table_changed(Datum argument, Oid table)
{
	ListCell *cell;

	foreach (cell, registries)
	{
		Registry *registry = lfirst(cell);

		if (!OidIsValid(table) || table == registry->table_oid)
			registry->stale = true;
	}
}

static void
registry_transaction_ended(XactEvent event, void *argument)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		transactions++;
}

static void
function_changed(Datum argument, int cache, uint32 hash)
{
	function_epoch++;
}
