/*
 * deferred.c
 *		Deferred constraints and triggers at the end of code that is executed for itself.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/makefuncs.h"

#include "support/clock.h"
#include "support/deferred.h"
#include "support/subtransaction.h"

/*
 * Fires what the code has deferred, so that a violation is its own.  In a test it is only checked.
 */
void
aion_deferred_fire(void)
{
	if (aion_clock_is_virtual())
		aion_deferred_check();
	else
		AfterTriggerFireDeferred();
}

/*
 * Checks deferred constraints without leaving a trace.  Firing their triggers for good, as is done
 * where a commit follows, is not possible in subtransactions of a transaction that is the test's.
 */
void
aion_deferred_check(void)
{
	ConstraintsSetStmt *immediate = makeNode(ConstraintsSetStmt);
	Subtransaction sub;

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		AfterTriggerSetState(immediate);
		aion_subtransaction_undo(&sub);
	}
	PG_CATCH();
	{
		aion_subtransaction_fail(&sub);
	}
	PG_END_TRY();
}
