/*
 * cursors.c
 *		The cursors of a session, while code of users is executed in it.
 *
 * Code of one role in the session of another must use none that the session has opened, and leave
 * none that the session would fetch from later.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/portal.h"

#include "code/cursors.h"
#include "support/extension.h"
#include "support/statement.h"

typedef struct HiddenCursor
{
	char *name;
	PortalStrategy strategy;
	bool pinned;
} HiddenCursor;

static Statement select_cursors = STATEMENT(SELECT, "SELECT name FROM pg_catalog.pg_cursors");

static bool engine_reads = false; /* their names, which code must not */

static Rows read_cursors(void);

/*
 * Tells whether the engine is reading the names of the cursors.
 */
bool
aion_cursors_are_read(void)
{
	return engine_reads;
}

/*
 * Lists the cursors of the session.  Needs the engine's authority.
 */
static Rows
read_cursors(void)
{
	Rows rows;

	engine_reads = true;
	PG_TRY();
	{
		rows = aion_statement_execute(&select_cursors, NULL);
	}
	PG_FINALLY();
	{
		engine_reads = false;
	}
	PG_END_TRY();
	return rows;
}

/*
 * Makes the cursors that are open unusable, loops of the session over queries among them: their
 * rights were checked when they were opened, as the session's.  The server refuses to fetch from,
 * move or close a cursor that it takes for active, and CURRENT OF one that it takes for a utility
 * statement.
 */
List *
aion_cursors_hide(void)
{
	List *hidden = NIL;
	MemoryContext caller = CurrentMemoryContext;
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = read_cursors();
	for (uint64 row = 0; row < rows.count; row++)
	{
		Portal portal = SPI_cursor_find(aion_row_text(rows, row, 1));
		HiddenCursor *cursor;

		if (portal == NULL || portal->status != PORTAL_READY)
			continue;
		MemoryContextSwitchTo(TopMemoryContext);
		cursor = palloc(sizeof(HiddenCursor));
		*cursor = (HiddenCursor){pstrdup(portal->name), portal->strategy, portal->portalPinned};
		hidden = lappend(hidden, cursor);
		MemoryContextSwitchTo(caller);
		portal->status = PORTAL_ACTIVE;
		portal->strategy = PORTAL_UTIL_SELECT;
	}
	aion_authority_drop(&authority);
	return hidden;
}

/*
 * Makes them usable again.  PL/Perl unpins a cursor that it is told to close before it is refused.
 */
void
aion_cursors_show(List *hidden)
{
	ListCell *cell;

	foreach (cell, hidden)
	{
		HiddenCursor *cursor = lfirst(cell);
		Portal portal = GetPortalByName(cursor->name);

		if (portal != NULL && portal->strategy == PORTAL_UTIL_SELECT)
			portal->strategy = cursor->strategy;
		if (portal != NULL && portal->status == PORTAL_ACTIVE)
		{
			portal->status = PORTAL_READY;
			portal->portalPinned = cursor->pinned;
		}
		pfree(cursor->name);
	}
	list_free_deep(hidden);
}

/*
 * Closes the cursors that were opened in this subtransaction.
 */
void
aion_cursors_close(void)
{
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = read_cursors();
	for (uint64 row = 0; row < rows.count; row++)
	{
		Portal portal = SPI_cursor_find(aion_row_text(rows, row, 1));

		if (portal == NULL || portal->createSubid < GetCurrentSubTransactionId() ||
			(portal->status != PORTAL_READY && portal->status != PORTAL_FAILED))
			continue;
		if (portal->portalPinned)
			UnpinPortal(portal); /* an error has left the loop over it */
		SPI_cursor_close(portal);
	}
	aion_authority_drop(&authority);
}
