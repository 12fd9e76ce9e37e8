/*
 * kept.c
 *		Histories that a runner keeps in memory between the shares of their runs.
 *
 * A run that waits often has its long history read once by each runner, and afterwards only what is
 * new.  Events are never changed and only the end of a history grows, so what was kept is right as
 * long as its last event stands in the table; the reader compares that.  It is complete, since
 * histories are kept only when they are written, and only if that has committed.
 *
 * Short histories are not kept: to read them costs little more than to look for what is new.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "guc.h"
#include "history/kept.h"

#ifdef USE_ASSERT_CHECKING
#define SHORT 2 /* so that all tests keep histories */
#else
#define SHORT 20 /* events */
#endif

typedef struct Kept
{
	int64 run_key; /* must be first */
	dlist_node node;
	History *history;
	Size size;
	bool committed;
} Kept;

static HTAB *kept = NULL;
static dlist_head by_use = DLIST_STATIC_INIT(by_use); /* the latest first */
static Size kept_size = 0;
static bool any_uncommitted = false;

static void kept_transaction_ended(XactEvent event, void *argument);
static void forget(Kept *entry);

/*
 * Lets this process keep histories from now on.
 */
void
aion_kept_begin(void)
{
	HASHCTL control = {.keysize = sizeof(int64),
					   .entrysize = sizeof(Kept),
					   .hcxt = AllocSetContextCreate(TopMemoryContext, "aion kept histories",
													 ALLOCSET_DEFAULT_SIZES)};

	kept = hash_create("aion kept histories", 256, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	RegisterXactCallback(kept_transaction_ended, NULL);
}

/*
 * Keeps a history that this transaction has written, if it commits.  If it returns true the history
 * belongs to this module, which may have freed it already.
 */
bool
aion_kept_add(History *history)
{
	Kept *entry;
	bool found;

	if (kept == NULL || history->count < SHORT || history->written != history->count ||
		GetCurrentTransactionNestLevel() > 1)
		return false;
	entry = hash_search(kept, &history->run_key, HASH_ENTER, &found);
	if (found)
		MemoryContextDelete(entry->history->context);
	else
		dlist_push_head(&by_use, &entry->node);
	kept_size -= found ? entry->size : 0;
	MemoryContextSetParent(history->context, TopMemoryContext);
	history->stamp = 0;
	entry->history = history;
	entry->size = MemoryContextMemAllocated(history->context, true);
	entry->committed = false;
	any_uncommitted = true;
	dlist_move_head(&by_use, &entry->node);
	kept_size += entry->size;
	while (kept_size > (Size) aion_history_cache * 1024)
		forget(dlist_tail_element(Kept, node, &by_use));
	return true;
}

/*
 * Takes a history back, as it was when it was kept; NULL if there is none.
 */
History *
aion_kept_take(int64 run_key, MemoryContext parent)
{
	Kept *entry = kept != NULL ? hash_search(kept, &run_key, HASH_FIND, NULL) : NULL;
	History *history;

	if (entry == NULL)
		return NULL;
	history = entry->history;
	MemoryContextSetParent(history->context, parent);
	entry->history = NULL;
	forget(entry);
	return history;
}

static void
kept_transaction_ended(XactEvent event, void *argument)
{
	dlist_mutable_iter i;

	if (!any_uncommitted || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	dlist_foreach_modify(i, &by_use)
	{
		Kept *entry = dlist_container(Kept, node, i.cur);

		if (entry->committed)
			break; /* those of this transaction are the latest */
		if (event == XACT_EVENT_COMMIT)
			entry->committed = true;
		else
			forget(entry);
	}
	any_uncommitted = false;
}

static void
forget(Kept *entry)
{
	kept_size -= entry->size;
	if (entry->history != NULL)
		MemoryContextDelete(entry->history->context);
	dlist_delete(&entry->node);
	(void) hash_search(kept, &entry->run_key, HASH_REMOVE, NULL);
}
