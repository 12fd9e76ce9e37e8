/*
 * clock.c
 *		The one clock of the engine, replaceable for the length of a test's transaction.
 *
 * All moments that the engine compares or writes into history come from here.  A virtual clock
 * stands still until a test moves it.  What is done under it must not be kept, so the transaction
 * cannot commit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/timestamp.h"

#include "support/clock.h"
#include "support/errors.h"
#include "support/pg_compat.h"

static TimestampTz virtual_now = DT_NOBEGIN; /* DT_NOBEGIN: the clock of the machine */
static SubTransactionId stopped_in;			 /* if it is virtual */
static int64 stops = 0;

static void transaction_ends(XactEvent event, void *argument);
static void subtransaction_ends(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
								void *argument);
pg_noreturn static void refuse_commit(void);

void
aion_clock_init(void)
{
	RegisterXactCallback(transaction_ends, NULL);
	RegisterSubXactCallback(subtransaction_ends, NULL);
}

TimestampTz
aion_clock_now(void)
{
	return aion_clock_is_virtual() ? virtual_now : GetCurrentTimestamp();
}

bool
aion_clock_is_virtual(void)
{
	return virtual_now != DT_NOBEGIN;
}

/*
 * Stops the clock for the rest of the transaction.
 */
void
aion_clock_stop(TimestampTz moment)
{
	aion_clock_set(moment);
	stopped_in = GetCurrentSubTransactionId();
	stops++;
}

void
aion_clock_set(TimestampTz moment)
{
	Assert(!TIMESTAMP_NOT_FINITE(moment));
	virtual_now = moment;
}

/*
 * Returns how often this process has stopped the clock: the number is the same throughout a test,
 * and differs between tests.
 */
int64
aion_clock_stops(void)
{
	return stops;
}

/*
 * Refuses COMMIT before it fires deferred triggers: code of other roles may have queued them.
 */
void
aion_clock_check_commit(const TransactionStmt *statement)
{
	if (aion_clock_is_virtual() &&
		(statement->kind == TRANS_STMT_COMMIT || statement->kind == TRANS_STMT_PREPARE))
	{
		UserAbortTransactionBlock(false); /* the error ends it, as one of COMMIT itself does */
		refuse_commit();
	}
}

static void
transaction_ends(XactEvent event, void *argument)
{
	if (!aion_clock_is_virtual())
		return;
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		refuse_commit();
	if (event == XACT_EVENT_ABORT)
		virtual_now = DT_NOBEGIN;
}

static void
refuse_commit(void)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
					errmsg("a transaction that used aion_test.begin() cannot be committed"),
					errdetail("What happened in it happened under a virtual clock."),
					errhint("Use ROLLBACK.")));
}

/*
 * Ends the virtual clock if its stop is rolled back.
 */
static void
subtransaction_ends(SubXactEvent event, SubTransactionId sub, SubTransactionId parent,
					void *argument)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && aion_clock_is_virtual() && stopped_in >= sub)
		virtual_now = DT_NOBEGIN;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_clock);

/*
 * _clock() -> now, as the engine sees it
 */
Datum
aion_clock(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(aion_clock_now());
}
