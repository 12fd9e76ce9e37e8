/*
 * attributes.c
 *		What a run can be searched by: an object, whose members its code can change.
 *
 * A run begins with the attributes it was started with, and each SearchAttributesUpdated replaces
 * members or adds some.  So they follow from the history, and the row that searches look into can
 * be computed again at any time.
 */
#include "postgres.h"

#include "history/attributes.h"
#include "history/event.h"
#include "support/errors.h"
#include "support/payload.h"

/*
 * Refuses what a run cannot be searched by; NULL is nothing and allowed.
 */
void
aion_search_attributes_check(const Jsonb *attributes)
{
	if (attributes == NULL)
		return;
	if (!aion_json_is_object(attributes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("search_attributes must be an object"),
				 errhint("Give each attribute a name, as in {\"customer\": 7}.")));
	aion_payload_check(attributes, "search_attributes");
}

/*
 * Returns what a run can be searched by after all events of its history; NULL: they set nothing.
 */
Jsonb *
aion_history_search_attributes(const History *history)
{
	Jsonb *attributes = aion_event_read_search_attributes(history->events[0]);

	for (int i = 0; i < history->command_count; i++)
	{
		const RecordedCommand *command = history->commands[i];

		if (command->kind == COMMAND_UPSERT_SEARCH_ATTRIBUTES)
			attributes =
				aion_json_merged(attributes, aion_event_read_search_attributes(command->event));
	}
	return attributes;
}
