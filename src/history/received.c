/*
 * received.c
 *		The signals of a history, by name, in the order they were recorded.
 *
 * The code consumes the signals of a name one after the other, so how far it came is a number for
 * each name.  That it consumed one is no event: it follows from the history whenever the code runs.
 * What it has not consumed is kept beside the history, as the first such signal of each name, for
 * functions that read it without executing the code.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "history/received.h"
#include "support/payload.h"

typedef struct NameEntry
{
	const char *name;
	Received *received;
	char status;
} NameEntry;

#define SH_PREFIX nameset
#define SH_ELEMENT_TYPE NameEntry
#define SH_KEY_TYPE const char *
#define SH_KEY name
#define SH_HASH_KEY(tb, key) hash_bytes((const unsigned char *) (key), strlen(key))
#define SH_EQUAL(tb, a, b) (strcmp(a, b) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/*
 * Returns the signals of a name, of which there may be none.
 */
Received *
aion_received(History *history, const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(history->context);
	NameEntry *entry;
	bool found;

	if (history->received == NULL)
		history->received = nameset_create(history->context, 16, NULL);
	entry = nameset_lookup(history->received, name);
	if (entry == NULL)
	{
		Received *received = palloc0(sizeof(Received));

		received->name = pstrdup(name);
		received->index = history->received_names++;
		entry = nameset_insert(history->received, received->name, &found);
		entry->received = received;
	}
	MemoryContextSwitchTo(caller);
	return entry->received;
}

/*
 * Adds the next signal, which the code has not consumed.
 */
void
aion_received_add(History *history, const Event *event)
{
	Received *received = aion_received(history, event->key);
	MemoryContext caller = MemoryContextSwitchTo(history->context);

	if (received->count == received->room)
	{
		Size size;

		received->room = Max(4, received->room * 2);
		size = received->room * sizeof(Event *);
		received->events = received->events == NULL ? palloc_extended(size, MCXT_ALLOC_HUGE)
													: repalloc_huge(received->events, size);
	}
	received->events[received->count++] = event;
	MemoryContextSwitchTo(caller);
}

/*
 * Removes all signals, to be added again.  How far the code came stays as it is.
 */
void
aion_received_clear(History *history)
{
	nameset_iterator i;
	NameEntry *entry;

	if (history->received == NULL)
		return;
	nameset_start_iterate(history->received, &i);
	while ((entry = nameset_iterate(history->received, &i)) != NULL)
		entry->received->count = 0;
}

/*
 * Restores, for a history that was just loaded, how far the code came: it has consumed all signals
 * but those from a certain event of their name on.
 */
void
aion_received_resume(History *history, const Jsonb *unread)
{
	nameset_iterator i;
	NameEntry *entry;

	if (history->received == NULL)
		return;
	nameset_start_iterate(history->received, &i);
	while ((entry = nameset_iterate(history->received, &i)) != NULL)
	{
		Received *received = entry->received;
		int32 first = aion_json_int(unread, received->name, PG_INT32_MAX);

		received->read = received->count;
		while (received->read > 0 && received->events[received->read - 1]->seq >= first)
			received->read--;
	}
}

/*
 * Returns the first signal of each name that the code has not consumed; NULL if there is none.
 */
Jsonb *
aion_received_unread(const History *history)
{
	nameset_iterator i;
	NameEntry *entry;
	JsonObject object;
	bool any = false;

	if (history->received == NULL)
		return NULL;
	aion_object_begin(&object);
	nameset_start_iterate(history->received, &i);
	while ((entry = nameset_iterate(history->received, &i)) != NULL)
	{
		const Received *received = entry->received;

		if (received->read == received->count)
			continue;
		aion_object_int(&object, received->name, received->events[received->read]->seq);
		any = true;
	}
	return any ? aion_object_end(&object) : NULL;
}
