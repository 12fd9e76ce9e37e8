/*
 * deferred.c
 *		Deferred constraints and triggers, fired or checked when code of users ends.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "nodes/makefuncs.h"

#include "support/clock.h"
#include "support/deferred.h"
#include "support/subtransaction.h"

/*
 * Fires what the code has deferred, so that a violation is an error of the code.  In a test it is
 * only checked.
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
 * Checks deferred constraints without leaving a trace.  Their triggers cannot be fired for good, as
 * is done before a commit, in subtransactions of a test's transaction.
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
