/*
 * subtransaction.h
 *		Subtransactions whose errors are caught.
 *
 * If an error left it open, the code that catches the error would go on within it, and with the
 * rights of the engine.  So nothing comes between begin and PG_TRY, and a caller that only
 * re-throws the error needs both as well.
 *
 *		aion_subtransaction_begin(&sub);
 *		PG_TRY();
 *		{
 *			...
 *			aion_subtransaction_release(&sub);
 *		}
 *		PG_CATCH();
 *		{
 *			error = aion_subtransaction_abort(&sub);
 *		}
 *		PG_END_TRY();
 */
#ifndef AION_SUBTRANSACTION_H
#define AION_SUBTRANSACTION_H

#include "utils/palloc.h"
#include "utils/resowner.h"

#include "support/pg_compat.h"

/* What the caller goes on with when the subtransaction has ended. */
typedef struct Subtransaction
{
	MemoryContext context;
	ResourceOwner owner;
	int level;
} Subtransaction;

extern void aion_subtransaction_begin(Subtransaction *sub);
extern void aion_subtransaction_release(const Subtransaction *sub);
extern void aion_subtransaction_undo(const Subtransaction *sub);
extern ErrorData *aion_subtransaction_abort(const Subtransaction *sub);
pg_noreturn extern void aion_subtransaction_fail(const Subtransaction *sub);
extern bool aion_subtransactions_are_many(void);

#endif
