/*
 * patch.c
 *		Lets the code of runs in flight ask which of its changes apply.
 *
 * patched('x') tells code whether to take the path that it has since a change, or the one on which
 * the history was made.  Where history ends, the code takes the new path, and a mark in history
 * says so; where a command of code without the change is recorded, it takes the old path.  The
 * first answer holds for the whole run.
 *
 * The mark is no command: a later version that no longer asks, because no run needs the old path
 * any more, replays all the same.  It stands before the command that the code gave next, so that a
 * fork has both or none.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "support/payload.h"
#include "turn/patch.h"

/* A change that the code of this turn has asked about. */
typedef struct Patch
{
	const char *change_id;
	bool answer;
	bool is_recorded;
	int position; /* commands the code had given */
} Patch;

static const Patch *patch_ask(Turn *turn, const char *change_id);
static bool is_at_edge(const Turn *turn);

/*
 * Appends the marks of changes that the code asked about before a command, or after its last one.
 */
void
aion_patches_record(Turn *turn, int position)
{
	ListCell *cell;

	foreach (cell, turn->patches)
	{
		Patch *patch = lfirst(cell);

		if (!patch->answer || patch->is_recorded || patch->position > position)
			continue;
		(void) aion_recorder_append(turn->run->history, EVENT_VERSION_MARKED, patch->change_id,
									NULL);
		patch->is_recorded = true;
	}
}

/*
 * Returns the answer that this run has for a change, deciding it if there is none yet.
 */
static const Patch *
patch_ask(Turn *turn, const char *change_id)
{
	MemoryContext caller;
	Patch *patch;
	ListCell *cell;

	foreach (cell, turn->patches)
	{
		patch = lfirst(cell);
		if (strcmp(patch->change_id, change_id) == 0)
			return patch;
	}
	aion_turn_require_room(turn);
	caller = MemoryContextSwitchTo(turn->context);
	patch = palloc0(sizeof(Patch));
	patch->change_id = pstrdup(change_id);
	patch->is_recorded = aion_history_is_patched(turn->run->history, change_id);
	patch->answer = patch->is_recorded || is_at_edge(turn);
	patch->position = turn->command_count;
	turn->patches = lappend(turn->patches, patch);
	MemoryContextSwitchTo(caller);
	return patch;
}

/*
 * Tells whether history has no command of the code from here on, and is open.
 */
static bool
is_at_edge(const Turn *turn)
{
	return aion_turn_next_recorded(turn) == NULL && turn->run->history->terminal == NULL;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_patched);

/*
 * patched(change_id) -> whether the run is one of code with the change
 */
Datum
aion_patched(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.patched");
	char *change_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));

	aion_name_check(change_id, AION_NAME_MAX, "change id");
	PG_RETURN_BOOL(patch_ask(turn, change_id)->answer);
}
