/*
 * queue.c
 *		Task queues: which roles may claim from one, and how many activities at once.
 *
 * A limited queue has permits, rows that a claim takes: one for each activity that may run at once,
 * free again when that activity is done, and one for each activity that may begin within a period,
 * free again after it.  A claim skips a permit that another transaction has locked to take or
 * return it, so a claim that does not commit delays no other, and the limits still hold.
 *
 * A queue belongs to administrators, or to the role that configured it while no runs of other roles
 * used it.  What such an owner configures and grants applies to the owner's own runs: a queue is a
 * name, and activities that other owners put there are claimed as if it were not configured.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "activities/queue.h"
#include "code/adoption.h"
#include "code/guard.h"
#include "code/owner.h"
#include "shared/pace.h"
#include "shared/pollers.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/digest.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/statement.h"

#define PERMITS_MAX 10000
#define LOCK_CLASS 0x6169 /* of advisory locks; clients' own have 1 and 2 */

static Statement select_queue = STATEMENT(
	SELECT,
	"SELECT coalesce(q.paused, false), EXISTS (SELECT FROM aion._queue_grant g"
	" WHERE g.name = $1 AND g.owner_key = ANY ($2)), q.max_running, q.max_per_key, q.rate::float8,"
	" q.owner_key"
	" FROM (SELECT 1) AS one LEFT JOIN aion._queue q ON q.name = $1",
	TEXTOID, INT4ARRAYOID);
static Statement hold_permits =
	STATEMENT(SELECT,
			  "SELECT number FROM aion._queue_permit WHERE name = $1 AND kind = $2"
			  " AND free_at <= $3 LIMIT $4 FOR UPDATE SKIP LOCKED",
			  TEXTOID, TEXTOID, TIMESTAMPTZOID, INT4OID);
static Statement use_permit = STATEMENT(UPDATE,
										"UPDATE aion._queue_permit SET free_at = $4"
										" WHERE name = $1 AND kind = $2 AND number = $3",
										TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID);
static Statement release_all =
	STATEMENT(UPDATE,
			  "UPDATE aion._queue_permit p SET free_at = '-infinity' FROM aion._task t"
			  " WHERE t.run_key = $1 AND p.name = t.task_queue AND p.kind = 'running'"
			  " AND p.number = t.permit",
			  INT8OID);
#define PERMITS_OF                                                                                 \
	"SELECT FROM aion._queue_permit p JOIN aion._task t ON p.name = t.task_queue"                  \
	" AND p.number = t.permit WHERE t.run_key = $1 AND p.kind = 'running'"
static Statement select_permits_of = STATEMENT(SELECT, PERMITS_OF, INT8OID);
static Statement lock_permits_of =
	STATEMENT(SELECT, PERMITS_OF " FOR UPDATE OF p SKIP LOCKED", INT8OID);
static Statement next_permit = STATEMENT(SELECT,
										 "SELECT min(free_at) FROM aion._queue_permit"
										 " WHERE name = $1 AND kind = 'rate' AND free_at > $2",
										 TEXTOID, TIMESTAMPTZOID);
static Statement count_key =
	STATEMENT(SELECT,
			  "SELECT count(*) FROM aion._task WHERE task_queue = $1 AND key = $2"
			  " AND state IN ('claimed', 'cancelled', 'abandoned')"
			  " AND ($3 IS NULL OR owner_key = ANY ($3))",
			  TEXTOID, TEXTOID, INT4ARRAYOID);
static Statement select_control = STATEMENT(
	SELECT,
	"SELECT q.owner_key, q.name IS NOT NULL OR"
	" EXISTS (SELECT FROM aion._queue_grant g WHERE g.name = $1) OR"
	" EXISTS (SELECT FROM aion._activity a WHERE a.task_queue = $1 AND a.owner_key <> ALL ($2)) OR"
	" EXISTS (SELECT FROM aion._workflow w WHERE w.task_queue = $1 AND w.owner_key <> ALL ($2)) OR"
	" EXISTS (SELECT FROM aion._task t WHERE t.task_queue = $1 AND t.state = 'waiting'"
	" AND NOT t.background AND t.owner_key <> ALL ($2)) OR"
	" EXISTS (SELECT FROM aion._task t WHERE t.task_queue = $1"
	" AND t.state IN ('claimed', 'cancelled', 'abandoned') AND t.owner_key <> ALL ($2))"
	" FROM (SELECT 1) AS one LEFT JOIN aion._queue q ON q.name = $1",
	TEXTOID, INT4ARRAYOID);
static Statement own_queue = STATEMENT(INSERT,
									   "INSERT INTO aion._queue (name, owner_key) VALUES ($1, $2)"
									   " ON CONFLICT (name) DO NOTHING",
									   TEXTOID, INT4OID);
static Statement disown_queue = STATEMENT(UPDATE,
										  "UPDATE aion._queue SET owner_key = NULL, paused = false "
										  "WHERE name = $1 AND owner_key IS NOT NULL",
										  TEXTOID);
static Statement lock_queue =
	STATEMENT(SELECT, "SELECT FROM aion._queue WHERE name = $1 FOR UPDATE", TEXTOID);
static Statement forget_grants =
	STATEMENT(DELETE, "DELETE FROM aion._queue_grant WHERE name = $1", TEXTOID);
static Statement set_limits =
	STATEMENT(INSERT,
			  "INSERT INTO aion._queue (name, max_running, max_per_key, rate)"
			  " VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE"
			  " SET max_running = $2, max_per_key = $3, rate = $4",
			  TEXTOID, INT4OID, INT4OID, FLOAT4OID);
static Statement remove_permits = STATEMENT(
	DELETE, "DELETE FROM aion._queue_permit WHERE name = $1 AND kind = $2 AND number > $3", TEXTOID,
	TEXTOID, INT4OID);
static Statement make_permits =
	STATEMENT(INSERT,
			  "INSERT INTO aion._queue_permit (name, kind, number)"
			  " SELECT $1, $2, n FROM generate_series(1, $3) AS n ON CONFLICT DO NOTHING",
			  TEXTOID, TEXTOID, INT4OID);
static Statement set_paused =
	STATEMENT(INSERT,
			  "INSERT INTO aion._queue (name, paused) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE"
			  " SET paused = $2",
			  TEXTOID, BOOLOID);
static Statement grant_queue =
	STATEMENT(INSERT, "INSERT INTO aion._queue_grant VALUES ($1, $2) ON CONFLICT DO NOTHING",
			  TEXTOID, INT4OID);
static Statement revoke_queue = STATEMENT(
	DELETE, "DELETE FROM aion._queue_grant WHERE name = $1 AND owner_key = $2", TEXTOID, INT4OID);

static void rule(Queue *queue, int32 owner_key, Datum controlled);
static Datum select_common(Datum keys, Datum of, bool common);
static bool may_claim(Oid role, const char *name, Datum owners);
static void require_control(Oid role, const char *name);
static int hold(const Queue *queue, const char *kind, int wanted, int32 **numbers);
static void set_free_at(const char *queue, const char *kind, int32 number, TimestampTz free_at);
static void provide_permits(const char *name, const char *kind, int count);
static char *queue_name(FunctionCallInfo fcinfo, int argument);
static int32 limit(FunctionCallInfo fcinfo, int argument, const char *what);
static void pause_queue(FunctionCallInfo fcinfo, bool paused);
static void change_grant(FunctionCallInfo fcinfo, bool grant);

/*
 * Reads a queue, for a role that controls the owners with the given keys.
 */
void
aion_queue_read(const char *name, Datum controlled, Queue *queue)
{
	NullableDatum args[] = {aion_arg_text(name), aion_arg(controlled)};
	Rows rows = aion_statement_execute(&select_queue, args);

	*queue = (Queue){.name = pstrdup(name),
					 .paused = aion_row_bool(rows, 0, 1),
					 .granted = aion_row_bool(rows, 0, 2),
					 .ruled = aion_arg_null(),
					 .claimable = controlled};
	if (!aion_row_isnull(rows, 0, 3))
		queue->running = palloc0(sizeof(int32));
	if (!aion_row_isnull(rows, 0, 4))
		queue->max_per_key = aion_row_int32(rows, 0, 4);
	if (!aion_row_isnull(rows, 0, 5))
	{
		queue->rate = aion_row_float8(rows, 0, 5);
		queue->rating = palloc0(sizeof(int32));
	}
	queue->is_limited = queue->running != NULL || queue->rating != NULL;
	if (!aion_row_isnull(rows, 0, 6))
		rule(queue, aion_row_int32(rows, 0, 6), controlled);
}

/*
 * Divides what may be claimed of a queue into activities that its owner rules and others.
 */
static void
rule(Queue *queue, int32 owner_key, Datum controlled)
{
	Oid owner = aion_owner_role(owner_key);
	Datum ruled = OidIsValid(owner) ? aion_owner_subjects(owner)
									: PointerGetDatum(construct_empty_array(INT4OID));

	queue->ruled = aion_arg(ruled);
	queue->claimable = queue->granted ? ruled : select_common(controlled, ruled, true);
	queue->unruled = select_common(controlled, ruled, false);
	queue->granted = false;
}

/*
 * Returns the keys that are also, or are not, among other keys.
 */
static Datum
select_common(Datum keys, Datum of, bool common)
{
	Datum *all;
	Datum *others;
	int count;
	int other_count;
	int kept = 0;

	deconstruct_array(DatumGetArrayTypeP(keys), INT4OID, sizeof(int32), true, TYPALIGN_INT, &all,
					  NULL, &count);
	deconstruct_array(DatumGetArrayTypeP(of), INT4OID, sizeof(int32), true, TYPALIGN_INT, &others,
					  NULL, &other_count);
	for (int i = 0; i < count; i++)
	{
		bool found = false;

		for (int k = 0; k < other_count && !found; k++)
			found = DatumGetInt32(all[i]) == DatumGetInt32(others[k]);
		if (found == common)
			all[kept++] = all[i];
	}
	return PointerGetDatum(construct_array(all, kept, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/*
 * Tells whether a role may claim activities of one of some owners from a queue.
 */
static bool
may_claim(Oid role, const char *name, Datum owners)
{
	Datum controlled = aion_owner_controlled(role);
	Datum claimable;
	Queue queue;

	aion_queue_read(name, controlled, &queue);
	if (queue.granted)
		return ARR_NDIM(DatumGetArrayTypeP(owners)) > 0;
	claimable = select_common(owners, queue.claimable, true);
	if (ARR_NDIM(DatumGetArrayTypeP(claimable)) > 0 || queue.ruled.isnull)
		return ARR_NDIM(DatumGetArrayTypeP(claimable)) > 0;
	return ARR_NDIM(DatumGetArrayTypeP(select_common(owners, queue.unruled, true))) > 0;
}

/*
 * Refuses a role that does not control a queue.  A queue that only runs of this role use belongs to
 * it from this call on.
 */
static void
require_control(Oid role, const char *name)
{
	NullableDatum args[] = {aion_arg_text(name), aion_arg(aion_owner_subjects(role))};
	Rows rows;

	if (aion_owner_access(role) == ACCESS_ADMIN)
		return;
	/* Until this transaction ends no administrator takes over the queue. */
	(void) aion_statement_execute(&lock_queue, args);
	rows = aion_statement_execute(&select_control, args);
	if (aion_row_isnull(rows, 0, 1) && !aion_row_bool(rows, 0, 2))
	{
		NullableDatum row[] = {aion_arg_text(name), aion_arg_int32(aion_owner_key(role))};

		(void) aion_statement_execute(&own_queue, row);
		(void) aion_statement_execute(&lock_queue, args);
		args[1] = aion_arg(aion_owner_subjects(role));
		rows = aion_statement_execute(&select_control, args);
	}
	if (aion_row_isnull(rows, 0, 1) || !aion_owner_controls(role, aion_row_int32(rows, 0, 1)))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for task queue \"%s\"", name),
						errhint("A role controls the queues that only its own runs use; other "
								"queues need the level \"admin\" of aion.grant_usage().")));
}

/*
 * Returns how many of the wanted activities may be claimed, and locks the permits for those.
 */
int
aion_queue_hold_permits(Queue *queue, int wanted)
{
	int running = wanted;

	if (queue->running != NULL)
		running = wanted = hold(queue, "running", wanted, &queue->running);
	if (queue->rating != NULL && wanted > 0)
		wanted = hold(queue, "rate", wanted, &queue->rating);
	queue->permit_count = wanted;
	queue->in_vain = queue->running != NULL && running > wanted;
	return wanted;
}

/*
 * Uses up the permits of one claim; returns the one that the activity keeps while it runs, 0: none.
 */
int32
aion_queue_use_permit(Queue *queue)
{
	int32 permit = 0;

	if (!queue->is_limited)
		return 0;
	Assert(queue->permit_count > 0);
	queue->permit_count--;
	if (queue->running != NULL)
	{
		permit = queue->running[queue->permit_count];
		set_free_at(queue->name, "running", permit, DT_NOEND);
	}
	if (queue->rating != NULL)
		set_free_at(queue->name, "rate", queue->rating[queue->permit_count],
					aion_clock_now() +
						(TimestampTz) (ceil(queue->rate) / queue->rate * USECS_PER_SEC));
	return permit;
}

/*
 * Tells whether one more activity with a key may run.  Until this transaction ends no other one
 * claims an activity with that key, since it could not see this claim.
 */
bool
aion_queue_has_room_for(const Queue *queue, const char *key)
{
	NullableDatum args[] = {aion_arg_text(queue->name), aion_arg_text(key), queue->ruled};
	uint32 hash[AION_DIGEST_LENGTH / sizeof(uint32)]; /* no collision can be chosen */
	char *text;
	LOCKTAG tag;

	if (queue->max_per_key == 0 || key == NULL)
		return true;
	text = psprintf("%zu %s %s", strlen(queue->name), queue->name, key);
	aion_digest(text, strlen(text), (uint8 *) hash);
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, hash[0], hash[1], LOCK_CLASS);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	return aion_row_int64(aion_statement_execute(&count_key, args), 0, 1) < queue->max_per_key;
}

/*
 * Frees the permit of an activity that no longer runs, and wakes claimers, since another one may.
 */
void
aion_queue_release(const char *name, int32 permit, const char *key)
{
	if (permit > 0)
		set_free_at(name, "running", permit, DT_NOBEGIN);
	if (permit > 0 || key != NULL)
		aion_wakeup_queue(name);
}

/*
 * Tells whether a session holds the lock of a permit that tasks of a run have; locks the others.
 */
bool
aion_queue_permits_are_held(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};
	uint64 count = aion_statement_execute(&select_permits_of, args).count;

	return count > 0 && aion_statement_execute(&lock_permits_of, args).count < count;
}

void
aion_queue_release_all(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&release_all, args);
}

/*
 * Returns when a permit of the kind 'rate' will be free; DT_NOEND: there is none in use.
 */
TimestampTz
aion_queue_next_permit(const char *name)
{
	NullableDatum args[] = {aion_arg_text(name), aion_arg_timestamp(aion_clock_now())};

	return aion_row_timestamp(aion_statement_execute(&next_permit, args), 0, 1);
}

static int
hold(const Queue *queue, const char *kind, int wanted, int32 **numbers)
{
	NullableDatum args[] = {aion_arg_text(queue->name), aion_arg_text(kind),
							aion_arg_timestamp(aion_clock_now()), aion_arg_int32(wanted)};
	Rows rows = aion_statement_execute(&hold_permits, args);

	*numbers = palloc(Max(rows.count, 1) * sizeof(int32));
	for (uint64 row = 0; row < rows.count; row++)
		(*numbers)[row] = aion_row_int32(rows, row, 1);
	return (int) rows.count;
}

static void
set_free_at(const char *queue, const char *kind, int32 number, TimestampTz free_at)
{
	NullableDatum args[] = {aion_arg_text(queue), aion_arg_text(kind), aion_arg_int32(number),
							aion_arg(TimestampTzGetDatum(free_at))};

	(void) aion_statement_execute(&use_permit, args);
}

/*
 * Adds or removes permits until there are count; those that remain keep their state.
 */
static void
provide_permits(const char *name, const char *kind, int count)
{
	NullableDatum args[] = {aion_arg_text(name), aion_arg_text(kind), aion_arg_int32(count)};

	(void) aion_statement_execute(&remove_permits, args);
	(void) aion_statement_execute(&make_permits, args);
}

static char *
queue_name(FunctionCallInfo fcinfo, int argument)
{
	char *name = PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	aion_name_check(name, AION_NAME_MAX, "task queue");
	return name;
}

static int32
limit(FunctionCallInfo fcinfo, int argument, const char *what)
{
	int32 value = PG_ARGISNULL(argument) ? 1 : PG_GETARG_INT32(argument);

	if (value < 1 || value > PERMITS_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("%s must be between 1 and %d", what, PERMITS_MAX),
						errhint("Use NULL for no limit, or aion.pause_task_queue().")));
	return value;
}

static void
pause_queue(FunctionCallInfo fcinfo, bool paused)
{
	char *name = queue_name(fcinfo, 0);
	NullableDatum args[] = {aion_arg_text(name), aion_arg_bool(paused)};
	Oid user = GetUserId();
	Authority authority;

	aion_guard_client_call(paused ? "aion.pause_task_queue" : "aion.resume_task_queue");
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	require_control(user, name);
	(void) aion_statement_execute(&set_paused, args);
	if (!paused)
		aion_wakeup_queue(name);
	aion_authority_drop(&authority);
}

/*
 * Grants or revokes the right of a role to claim activities of a queue.
 */
static void
change_grant(FunctionCallInfo fcinfo, bool grant)
{
	char *name = queue_name(fcinfo, 1);
	Oid user = GetUserId();
	NullableDatum args[] = {aion_arg_text(name), aion_arg_null()};
	Authority authority;
	Oid role;

	if (PG_ARGISNULL(0) || !OidIsValid(PG_GETARG_OID(0)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("role must not be null")));
	role = PG_GETARG_OID(0);
	aion_guard_client_call(grant ? "aion.grant_task_queue" : "aion.revoke_task_queue");
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	require_control(user, name);
	args[1] =
		aion_arg_int32(grant ? aion_owner_key_of_other(role, user) : aion_owner_known_key(role));
	(void) aion_statement_execute(grant ? &grant_queue : &revoke_queue, args);
	aion_authority_drop(&authority);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_configure_task_queue);
PG_FUNCTION_INFO_V1(aion_grant_task_queue);
PG_FUNCTION_INFO_V1(aion_revoke_task_queue);
PG_FUNCTION_INFO_V1(aion_pause_task_queue);
PG_FUNCTION_INFO_V1(aion_resume_task_queue);
PG_FUNCTION_INFO_V1(aion_queue_pace);
PG_FUNCTION_INFO_V1(aion_queue_pollers);

/*
 * configure_task_queue(name, max_running, max_per_key, rate)
 */
Datum
aion_configure_task_queue(PG_FUNCTION_ARGS)
{
	char *name = queue_name(fcinfo, 0);
	int32 max_running = limit(fcinfo, 1, "max_running");
	int32 max_per_key = limit(fcinfo, 2, "max_per_key");
	float4 rate = PG_ARGISNULL(3) ? 1 : PG_GETARG_FLOAT4(3);
	NullableDatum args[] = {aion_arg_text(name),
							PG_ARGISNULL(1) ? aion_arg_null() : aion_arg_int32(max_running),
							PG_ARGISNULL(2) ? aion_arg_null() : aion_arg_int32(max_per_key),
							PG_ARGISNULL(3) ? aion_arg_null() : aion_arg(Float4GetDatum(rate))};
	Oid user = GetUserId();
	Authority authority;

	aion_guard_client_call("aion.configure_task_queue");
	if (!(rate >= 0.0001 && rate <= PERMITS_MAX))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("rate must be between 0.0001 and %d per second", PERMITS_MAX)));
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	require_control(user, name);
	(void) aion_statement_execute(&set_limits, args); /* and lock the row, also of a new queue */
	/* Limits of an administrator apply to all owners, grants of the former owner must not. */
	if (aion_owner_access(user) == ACCESS_ADMIN &&
		aion_statement_execute(&disown_queue, args).count > 0)
	{
		(void) aion_statement_execute(&forget_grants, args);
		ereport(NOTICE,
				(errmsg("task queue \"%s\" is controlled by administrators now", name),
				 errdetail("What its former owner has granted to workers has ended."),
				 errhint("Use aion.grant_task_queue() for workers that are to claim from it.")));
	}
	provide_permits(name, "running", PG_ARGISNULL(1) ? 0 : max_running);
	provide_permits(name, "rate", PG_ARGISNULL(3) ? 0 : (int) ceil(rate));
	aion_wakeup_queue(name);
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}

/*
 * grant_task_queue(role, name), revoke_task_queue(role, name)
 */
Datum
aion_grant_task_queue(PG_FUNCTION_ARGS)
{
	change_grant(fcinfo, true);
	PG_RETURN_VOID();
}

Datum
aion_revoke_task_queue(PG_FUNCTION_ARGS)
{
	change_grant(fcinfo, false);
	PG_RETURN_VOID();
}

/*
 * pause_task_queue(name), resume_task_queue(name)
 */
Datum
aion_pause_task_queue(PG_FUNCTION_ARGS)
{
	pause_queue(fcinfo, true);
	PG_RETURN_VOID();
}

Datum
aion_resume_task_queue(PG_FUNCTION_ARGS)
{
	pause_queue(fcinfo, false);
	PG_RETURN_VOID();
}

/*
 * _queue_pace() -> set of (owner_key, task_queue, started, finished), of visible owners
 */
Datum
aion_queue_pace(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid user = GetUserId();
	Authority authority;
	Datum *owners;
	Pace *paces;
	int owner_count;
	int count;

	InitMaterializedSRF(fcinfo, 0);
	aion_authority_assume_to_read(&authority);
	deconstruct_array(DatumGetArrayTypeP(aion_owner_visible(user, false)), INT4OID, sizeof(int32),
					  true, TYPALIGN_INT, &owners, NULL, &owner_count);
	aion_authority_drop(&authority);
	count = aion_pace_read(&paces);
	for (int i = 0; i < count; i++)
	{
		Datum values[] = {Int32GetDatum(paces[i].owner_key), CStringGetTextDatum(paces[i].queue),
						  Float8GetDatum(paces[i].begun), Float8GetDatum(paces[i].ended)};
		bool nulls[lengthof(values)] = {false};
		bool seen = false;

		for (int k = 0; k < owner_count; k++)
			seen = seen || DatumGetInt32(owners[k]) == paces[i].owner_key;
		if (seen)
			tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * _queue_pollers(task_queue, owner_key) -> how many workers that may claim activities of an owner,
 *		or of any that the caller may see, have polled a queue lately; null: it is not known
 */
Datum
aion_queue_pollers(PG_FUNCTION_ARGS)
{
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid user = GetUserId();
	Authority authority;
	Datum owners;
	List *pollers;
	ListCell *cell;
	int count = 0;

	if (name == NULL || !aion_pollers_are_known())
		PG_RETURN_NULL();
	pollers = aion_pollers_of(name);
	if (pollers == NIL)
		PG_RETURN_INT32(0);
	aion_authority_assume(&authority);
	owners = aion_owner_visible(user, false);
	if (!PG_ARGISNULL(1))
	{
		Datum owner = PG_GETARG_DATUM(1);

		owners = select_common(
			PointerGetDatum(construct_array(&owner, 1, INT4OID, sizeof(int32), true, TYPALIGN_INT)),
			owners, true);
	}
	foreach (cell, pollers)
		count += may_claim(((Poller *) lfirst(cell))->role, name, owners);
	aion_authority_drop(&authority);
	PG_RETURN_INT32(count);
}
