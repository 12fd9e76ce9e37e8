/*
 * testing.c
 *		Tests of workflows inside one transaction that is rolled back.
 *
 * aion_test.begin() makes the engine's clock stand still for the rest of the transaction; advance()
 * moves it from one due moment to the next.  The loop is the one of aion.drive() without its
 * commits, and it touches only runs that this transaction has started: no other session can see
 * those.  What was done under a virtual clock must not be kept, so such a transaction cannot
 * commit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "code/adoption.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "control/testing.h"
#include "run/primitive.h"
#include "run/ready.h"
#include "run/touched.h"
#include "support/clock.h"
#include "support/deferred.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/statement.h"
#include "turn/advance.h"

static Statement next_due =
	STATEMENT(SELECT,
			  "SELECT min(CASE WHEN t.fire_at >= " AION_LAST_LOOK
			  " THEN t.fire_at ELSE greatest(t.fire_at, r.retry_at) END) FROM "
			  "aion._timer t LEFT JOIN aion._run r USING (run_key)"
			  " WHERE t.run_key = ANY ($1)",
			  INT8ARRAYOID);

static Statement select_owners = STATEMENT(
	SELECT, "SELECT DISTINCT owner_key FROM aion._run WHERE run_key = ANY ($1) ORDER BY 1",
	INT8ARRAYOID);

static void check_pending(void);
static void fire_pending(void);
static bool take_step(Budget *budget, MemoryContext scratch);
static const Primitive *claim_work(const int64 *keys, int count, Oid *role);
static int64 run_until_idle(int64 max_turns);
static TimestampTz next_moment(void);
static TimestampTz tell_late(void);

/*
 * Refuses a function that only makes sense in a test.
 */
void
aion_testing_require(const char *function)
{
	aion_guard_waiting_call(function, NULL);
	if (!aion_clock_is_virtual())
		ereport(ERROR, (errcode(ERRCODE_INVALID_WORKFLOW_STATE),
						errmsg("%s() can only be used in a test", function),
						errhint("Use SELECT aion_test.begin() first.")));
	/* What the session has deferred would be fired with the rights of the definer. */
	if (InLocalUserIdChange() && GetUserId() != GetOuterUserId())
		ereport(ERROR,
				(errcode(ERRCODE_NOT_ALLOWED_HERE),
				 errmsg("%s() cannot be called in a SECURITY DEFINER function of another role",
						function)));
}

/*
 * Checks what is deferred before code is executed: a failure is the test's, and no activity's.
 */
static void
check_pending(void)
{
	GuardState outside;

	aion_guard_become(GetUserId(), &outside);
	aion_deferred_check();
	aion_guard_leave(&outside);
}

/*
 * Fires for good what code has deferred in a session that can become another role's again: there it
 * would be fired with the rights of that role.
 */
static void
fire_pending(void)
{
	GuardState outside;

	if (GetSessionUserId() == GetAuthenticatedUserId())
		return;
	aion_guard_become(GetUserId(), &outside);
	AfterTriggerSetState(makeNode(ConstraintsSetStmt));
	aion_guard_leave(&outside);
}

/*
 * Claims work outside of turns of the owners of some runs.  Requires the engine's authority.
 */
static const Primitive *
claim_work(const int64 *keys, int count, Oid *role)
{
	NullableDatum args[] = {aion_arg_int64_array(keys, count)};
	Rows rows = aion_statement_execute(&select_owners, args);
	int32 *owners = palloc(Max(rows.count, 1) * sizeof(int32));
	int owner_count = (int) rows.count;
	const Primitive *work = NULL;
	TimestampTz again;

	for (int i = 0; i < owner_count; i++)
		owners[i] = aion_row_int32(rows, i, 1);
	for (int i = 0; i < owner_count && work == NULL; i++)
	{
		*role = aion_owner_role(owners[i]);
		if (OidIsValid(*role))
			work = aion_primitives_claim(owners[i], keys, count, &again);
	}
	return work;
}

/*
 * Executes one turn, or one piece of work, as the owner of the run that it is for; false if there
 * is none.
 */
static bool
take_step(Budget *budget, MemoryContext scratch)
{
	Authority authority;
	GuardState outside;
	int count;
	const int64 *keys = aion_touched_started(&count);
	Oid role = InvalidOid;
	const Primitive *work = NULL;
	const Primitive *errands = NULL;
	Run *run = NULL;
	int64 errand = 0;

	aion_authority_assume(&authority);
	(void) aion_adoption_require();
	if (budget->turns > 0)
		run = aion_ready_claim_one_of(keys, count, scratch);
	if (run != NULL)
		role = aion_owner_role(run->owner_key);
	else if (budget->turns > 0)
		work = claim_work(keys, count, &role);
	if (budget->turns > 0 && run == NULL && work == NULL)
		errand = aion_primitives_claim_errand(0, keys, count, NULL, 0, &errands);
	aion_authority_drop(&authority);
	if (errand != 0)
		errands->run_errand(errand);
	if (run == NULL && work == NULL)
		return errand != 0;
	if (OidIsValid(role) && !aion_owner_has_role(GetUserId(), role))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("code of role \"%s\" is not executed in a session of role \"%s\"",
							   GetUserNameFromId(role, true), GetUserNameFromId(GetUserId(), true)),
						errhint("Test in a session of that role, or of a member.")));
	aion_guard_become(OidIsValid(role) ? role : GetUserId(), &outside);
	if (run != NULL)
		aion_run_advance(run, budget);
	else
		work->execute();
	aion_guard_leave(&outside);
	return true;
}

/*
 * Executes turns of the test's runs until none is ready; returns how many that were.
 */
static int64
run_until_idle(int64 max_turns)
{
	Budget budget = {.turns = max_turns, .until = DT_NOEND};
	MemoryContext scratch =
		AllocSetContextCreate(CurrentMemoryContext, "aion test", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(scratch);
	bool more;

	check_pending();
	(void) tell_late();
	do
	{
		MemoryContextReset(scratch);
		more = take_step(&budget, scratch);
		CHECK_FOR_INTERRUPTS();
	} while (more);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scratch);
	if (budget.turns < max_turns)
		fire_pending();
	return max_turns - budget.turns;
}

/*
 * Returns the next moment at which something of the test is due, DT_NOEND if nothing ever is.
 */
static TimestampTz
next_moment(void)
{
	Authority authority;
	int count;
	const int64 *keys = aion_touched_started(&count);
	NullableDatum args[] = {aion_arg_int64_array(keys, count)};
	TimestampTz late = tell_late();
	TimestampTz moment;

	aion_authority_assume(&authority);
	moment = aion_row_timestamp(aion_statement_execute(&next_due, args), 0, 1);
	aion_authority_drop(&authority);
	return Min(moment, late);
}

/*
 * Tells runs of the test that an activity may be late.  Returns when the next one may be.
 */
static TimestampTz
tell_late(void)
{
	Authority authority;
	int count;
	const int64 *keys = aion_touched_started(&count);
	TimestampTz next;

	if (count == 0)
		return DT_NOEND;
	aion_authority_assume(&authority);
	next = aion_primitives_tell_late(keys, count);
	aion_authority_drop(&authority);
	return next;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_test_begin);
PG_FUNCTION_INFO_V1(aion_test_now);
PG_FUNCTION_INFO_V1(aion_test_run_until_idle);
PG_FUNCTION_INFO_V1(aion_test_advance);

/*
 * begin(at) -> the moment at which the virtual clock stands
 */
Datum
aion_test_begin(PG_FUNCTION_ARGS)
{
	TimestampTz at = PG_ARGISNULL(0) ? GetCurrentTimestamp() : PG_GETARG_TIMESTAMPTZ(0);

	aion_guard_waiting_call("aion_test.begin", NULL);
	if (InSecurityRestrictedOperation()) /* the caller could not commit */
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("cannot begin a test within security-restricted operation")));
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("a test must begin at a finite time")));
	if (aion_clock_is_virtual())
		ereport(ERROR, (errcode(ERRCODE_INVALID_WORKFLOW_STATE),
						errmsg("a test has begun in this transaction already")));
	if (!IsTransactionBlock())
		ereport(ERROR, (errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
						errmsg("aion_test.begin() must be called in a transaction block"),
						errhint("Use BEGIN before and ROLLBACK after the test.")));
	aion_clock_stop(at);
	PG_RETURN_TIMESTAMPTZ(at);
}

Datum
aion_test_now(PG_FUNCTION_ARGS)
{
	aion_testing_require("aion_test.now");
	PG_RETURN_TIMESTAMPTZ(aion_clock_now());
}

/*
 * run_until_idle(max_turns) -> number of turns executed
 */
Datum
aion_test_run_until_idle(PG_FUNCTION_ARGS)
{
	aion_testing_require("aion_test.run_until_idle");
	PG_RETURN_INT64(run_until_idle(PG_ARGISNULL(0) ? PG_INT64_MAX : PG_GETARG_INT64(0)));
}

/*
 * advance(duration, max_turns) -> number of turns executed
 *
 * Whatever falls due on the way happens at its own moment, and so does what follows from it.
 */
Datum
aion_test_advance(PG_FUNCTION_ARGS)
{
	Interval *duration = PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0);
	int64 max_turns = PG_ARGISNULL(1) ? PG_INT64_MAX : PG_GETARG_INT64(1);
	TimestampTz end;
	TimestampTz next;
	int64 turns;

	aion_testing_require("aion_test.advance");
	aion_duration_check(duration, true, "duration");
	end = aion_duration_after(aion_clock_now(), duration, "duration");
	turns = run_until_idle(max_turns);
	while (turns < max_turns && (next = next_moment()) <= end)
	{
		aion_clock_set(Max(next, aion_clock_now()));
		turns += run_until_idle(max_turns - turns);
	}
	if (turns < max_turns)
		aion_clock_set(end);
	PG_RETURN_INT64(turns);
}
