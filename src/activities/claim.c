/*
 * claim.c
 *		Claiming activities in order to execute them.
 *
 * A claim is a token.  It takes effect when the claiming transaction commits, so an attempt is
 * recorded before its effects.  It holds until the task has an outcome, is retried or taken back:
 * from then on no task has that token.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "activities/claim.h"
#include "activities/scan_start.h"
#include "code/owner.h"
#include "shared/pace.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/pg_compat.h"
#include "support/subtransaction.h"

/* $5: how many tasks of those owners may run at once with the same key. */
#define ROOM_FOR_KEY(owners)                                                                       \
	" AND ($5 IS NULL OR t.key IS NULL OR (SELECT count(*) FROM aion._task c WHERE c.task_queue "  \
	"= $1"                                                                                         \
	" AND c.key = t.key AND c.state IN ('claimed', 'cancelled', 'abandoned')"                      \
	" AND (" owners " IS NULL OR c.owner_key = ANY (" owners "))) < $5)"

/* The part of a queue that is read. */
#define LEVEL(first, last) "t.priority = " first " AND t.next_attempt_at >= " last
#define RANGE(first, last) "t.priority BETWEEN " first " AND " last

/* What may be claimed now; owners: the parameter that ROOM_FOR_KEY counts by. */
#define CLAIMABLE(whose, range, owners)                                                            \
	" FROM aion._task t JOIN aion._run r USING (run_key)"                                          \
	" WHERE t.task_queue = $1 AND t.state = 'waiting' AND t.next_attempt_at <= $2 AND " whose      \
	" AND " range " AND (t.close_by IS NULL OR t.close_by > $2)"                                   \
	" AND (t.start_by IS NULL OR t.start_by > $2 OR t.attempt > 0)" ROOM_FOR_KEY(                  \
		owners) " AND r.blocked IS DISTINCT FROM 'quarantined' AND r.status <> 'paused'"

#define LOCK_WAITING(whose, range)                                                                 \
	"SELECT " TASK_COLUMNS ", r.workflow_id, r.run_id,"                                            \
	" (SELECT e.attributes -> 'input' FROM aion._event e"                                          \
	" WHERE e.run_key = t.run_key AND e.seq = t.scheduled_seq), t.heartbeat_details" CLAIMABLE(    \
		whose, range, "$12") " AND ($8 IS NULL OR t.activity = ANY ($8))"                          \
							 " AND ($7 IS NULL OR t.run_key = ANY ($7))"                           \
							 " ORDER BY t.priority DESC, t.next_attempt_at, t.run_key, t.ordinal"  \
							 " LIMIT $6 FOR UPDATE OF t SKIP LOCKED"

#define FIND_WAITING(whose, range) "SELECT" CLAIMABLE(whose, range, "$9") " LIMIT 1"

#define WORKERS "NOT t.background AND ($4 OR t.owner_key = ANY ($3))"
#define BACKGROUND(owner)                                                                          \
	"t.background AND t.owner_key = " owner " AND $3 IS NOT NULL AND $4 IS NOT NULL"
#define CLAIM_TYPES TEXTOID, TIMESTAMPTZOID, INT4ARRAYOID, BOOLOID, INT4OID
#define LOCK_TYPES CLAIM_TYPES, INT4OID, INT8ARRAYOID, TEXTARRAYOID, INT4OID, INT4OID

/* Each for a range of priorities, and for a level: one priority. */
static Statement lock_for_worker[] = {
	STATEMENT(SELECT, LOCK_WAITING(WORKERS " AND $9 = 0", RANGE("$10", "$11")), LOCK_TYPES, INT4OID,
			  INT4ARRAYOID),
	STATEMENT(SELECT, LOCK_WAITING(WORKERS " AND $9 = 0", LEVEL("$10", "$11")), LOCK_TYPES,
			  TIMESTAMPTZOID, INT4ARRAYOID)};
static Statement lock_for_background[] = {
	STATEMENT(SELECT, LOCK_WAITING(BACKGROUND("$9"), RANGE("$10", "$11")), LOCK_TYPES, INT4OID,
			  INT4ARRAYOID),
	STATEMENT(SELECT, LOCK_WAITING(BACKGROUND("$9"), LEVEL("$10", "$11")), LOCK_TYPES,
			  TIMESTAMPTZOID, INT4ARRAYOID)};
static Statement find_for_worker[] = {
	STATEMENT(SELECT, FIND_WAITING(WORKERS " AND $6 = 0", RANGE("$7", "$8")), CLAIM_TYPES, INT4OID,
			  INT4OID, INT4OID, INT4ARRAYOID),
	STATEMENT(SELECT, FIND_WAITING(WORKERS " AND $6 = 0", LEVEL("$7", "$8")), CLAIM_TYPES, INT4OID,
			  INT4OID, TIMESTAMPTZOID, INT4ARRAYOID)};
static Statement find_for_background[] = {
	STATEMENT(SELECT, FIND_WAITING(BACKGROUND("$6"), RANGE("$7", "$8")), CLAIM_TYPES, INT4OID,
			  INT4OID, INT4OID, INT4ARRAYOID),
	STATEMENT(SELECT, FIND_WAITING(BACKGROUND("$6"), LEVEL("$7", "$8")), CLAIM_TYPES, INT4OID,
			  INT4OID, TIMESTAMPTZOID, INT4ARRAYOID)};
static Statement claim_task =
	STATEMENT(UPDATE,
			  "UPDATE aion._task SET state = 'claimed', attempt = $3, worker = $4, token = $5,"
			  " attempt_by = $6, heartbeat_by = $7, permit = $8, look_at = least($6, $7)"
			  " WHERE run_key = $1 AND ordinal = $2",
			  INT8OID, INT4OID, INT4OID, TEXTOID, UUIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID);
static Statement select_next =
	STATEMENT(SELECT,
			  "SELECT min(next_attempt_at) FROM aion._task WHERE task_queue = $1"
			  " AND state = 'waiting' AND NOT background AND next_attempt_at > $2",
			  TEXTOID, TIMESTAMPTZOID);
static Statement lock_claimed =
	STATEMENT(SELECT,
			  "SELECT " TASK_COLUMNS " FROM aion._task t WHERE run_key = $1 AND ordinal = $2"
			  " AND token = $3 AND state IN ('claimed', 'cancelled', 'abandoned') FOR UPDATE",
			  INT8OID, INT4OID, UUIDOID);
static Statement take_claimed =
	STATEMENT(DELETE_RETURNING,
			  "DELETE FROM aion._task t WHERE run_key = $1 AND ordinal = $2 AND token = $3"
			  " AND state IN ('claimed', 'abandoned') AND NOT background RETURNING " TASK_COLUMNS,
			  INT8OID, INT4OID, UUIDOID);

static List *claim_ruled(const ClaimRequest *request, Queue *queue, int most);
static List *claim_limited(const ClaimRequest *request, Queue *queue, int most);
static List *claim_any(const ClaimRequest *request, Queue *queue, int most);
static List *claim_range(const ClaimRequest *request, Queue *queue, int most, ScanStart *start,
						 const PriorityRange *range);
static bool claim_held(const ClaimRequest *request, Queue *queue, int most, List **claims);
static bool may_exist(Queue *queue);
static bool claim_find(const Queue *queue, int32 background_of);
static bool has_keys(const Queue *queue);
static Queue unruled_of(const Queue *queue);
static Claim *read_claim(Rows rows, uint64 row);
static void claim_take(const ClaimRequest *request, Claim *claim);

/*
 * Claims the tasks of a queue that may be executed now.
 */
List *
aion_claim(const ClaimRequest *request, const char *queue_name)
{
	List *claims;
	Queue unruled;
	Queue queue;

	aion_queue_read(queue_name, request->owner_keys, &queue);
	claims = claim_ruled(request, &queue, request->most);
	if (queue.ruled.isnull)
		return claims;
	unruled = unruled_of(&queue);
	return list_concat(claims, claim_ruled(request, &unruled, request->most - list_length(claims)));
}

/*
 * Claims from a queue as it is configured.
 */
static List *
claim_ruled(const ClaimRequest *request, Queue *queue, int most)
{
	if (queue->paused || most == 0 || !has_keys(queue))
		return NIL;
	if (request->only_lock && (queue->is_limited || queue->max_per_key > 0))
	{
		*request->has_limits = true;
		return NIL;
	}
	return queue->is_limited ? claim_limited(request, queue, most)
							 : claim_any(request, queue, most);
}

/*
 * Claims as many tasks as there are permits for.  The transaction may last long, so it keeps no
 * permit that it does not use: if it has locked too many it starts over with the number that it can
 * use.
 */
static List *
claim_limited(const ClaimRequest *request, Queue *queue, int most)
{
	List *claims = NIL;

	while (!claim_held(request, queue, most, &claims) && claims != NIL)
		most = list_length(claims);
	return claims;
}

/*
 * Claims with a number of permits.  If not all of them were needed, undoes that and returns false.
 */
static bool
claim_held(const ClaimRequest *request, Queue *queue, int most, List **claims)
{
	Subtransaction sub;
	volatile bool done = false;

	*claims = NIL;
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		int held = aion_queue_hold_permits(queue, most);

		if (held > 0)
			*claims = claim_any(request, queue, held);
		done = *claims != NIL && queue->permit_count == 0 && !queue->in_vain;
		if (done)
			aion_subtransaction_release(&sub);
		else
			aion_subtransaction_undo(&sub);
	}
	PG_CATCH();
	{
		aion_subtransaction_fail(&sub);
	}
	PG_END_TRY();
	return done;
}

static List *
claim_any(const ClaimRequest *request, Queue *queue, int most)
{
	List *claims = NIL;
	PriorityRange range;
	ScanStart *start = aion_scan_start_begin(queue->name, request->background_of);

	while (list_length(claims) < most && aion_scan_start_next(start, &range))
		claims = list_concat(
			claims, claim_range(request, queue, most - list_length(claims), start, &range));
	return claims;
}

static List *
claim_range(const ClaimRequest *request, Queue *queue, int most, ScanStart *start,
			const PriorityRange *range)
{
	Statement *lock = request->background_of > 0 ? lock_for_background : lock_for_worker;
	List *claims = NIL;
	NullableDatum args[] = {aion_arg_text(queue->name),
							aion_arg_timestamp(aion_clock_now()),
							aion_arg(queue->claimable),
							aion_arg_bool(queue->granted),
							queue->max_per_key > 0 ? aion_arg_int32(queue->max_per_key)
												   : aion_arg_null(),
							aion_arg_int32(most),
							request->run_keys,
							request->activities,
							aion_arg_int32(request->background_of),
							range->first,
							range->last,
							queue->ruled};
	Rows rows = aion_statement_execute(&lock[range->is_level], args);

	aion_scan_start_end(start, rows.count);
	for (uint64 row = 0; row < rows.count; row++)
	{
		Claim *claim = read_claim(rows, row);

		aion_scan_start_met(start, claim->task.policy.priority);
		claim->only_locked = request->only_lock;
		if (!claim->only_locked)
		{
			if (!aion_queue_has_room_for(queue, claim->task.key))
				continue;
			claim->task.permit = aion_queue_use_permit(queue);
			claim_take(request, claim);
		}
		claims = lappend(claims, claim);
	}
	return claims;
}

/*
 * Tells whether there is something in a queue that a worker might claim.
 */
bool
aion_claim_exists(const char *queue_name, Datum owner_keys)
{
	Queue unruled;
	Queue queue;

	aion_queue_read(queue_name, owner_keys, &queue);
	if (may_exist(&queue))
		return true;
	unruled = unruled_of(&queue);
	return !queue.ruled.isnull && may_exist(&unruled);
}

static bool
may_exist(Queue *queue)
{
	Subtransaction sub;
	volatile bool has_permit = false;

	if (queue->paused || !has_keys(queue) || !claim_find(queue, 0))
		return false;
	if (!queue->is_limited)
		return true;
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		has_permit = aion_queue_hold_permits(queue, 1) > 0;
		aion_subtransaction_undo(&sub);
	}
	PG_CATCH();
	{
		aion_subtransaction_fail(&sub);
	}
	PG_END_TRY();
	return has_permit;
}

/*
 * Tells whether there are owners whose activities may be claimed.
 */
static bool
has_keys(const Queue *queue)
{
	return queue->granted || ARR_NDIM(DatumGetArrayTypeP(queue->claimable)) > 0;
}

/*
 * Returns the queue as it is for activities that its owner does not rule: not configured.
 */
static Queue
unruled_of(const Queue *queue)
{
	return (Queue){.name = queue->name, .ruled = aion_arg_null(), .claimable = queue->unruled};
}

/*
 * Tells whether a task in a queue is due for executors of an owner (0: for workers), whether or not
 * the limits of the queue allow it to be claimed.
 */
bool
aion_claim_is_due(const char *queue_name, int32 background_of)
{
	Queue queue = {.name = unconstify(char *, queue_name),
				   .ruled = aion_arg_null(),
				   .claimable = PointerGetDatum(construct_empty_array(INT4OID))};

	return claim_find(&queue, background_of);
}

static bool
claim_find(const Queue *queue, int32 background_of)
{
	Statement *statement = background_of > 0 ? find_for_background : find_for_worker;
	ScanStart *start = aion_scan_start_begin(queue->name, background_of);
	PriorityRange range;

	while (aion_scan_start_next(start, &range))
	{
		NullableDatum args[] = {aion_arg_text(queue->name),
								aion_arg_timestamp(aion_clock_now()),
								aion_arg(queue->claimable),
								aion_arg_bool(queue->granted),
								queue->max_per_key > 0 ? aion_arg_int32(queue->max_per_key)
													   : aion_arg_null(),
								aion_arg_int32(background_of),
								range.first,
								range.last,
								queue->ruled};
		bool found = aion_statement_execute(&statement[range.is_level], args).count > 0;

		aion_scan_start_end(start, found ? 1 : 0);
		if (found)
			return true;
	}
	return false;
}

/*
 * Returns when a task of a queue that cannot be claimed now may become claimable without a wakeup;
 * DT_NOEND: there is no such moment.
 */
TimestampTz
aion_claim_next(const char *queue)
{
	NullableDatum args[] = {aion_arg_text(queue), aion_arg_timestamp(aion_clock_now())};
	TimestampTz attempt = aion_row_timestamp(aion_statement_execute(&select_next, args), 0, 1);
	TimestampTz permit = aion_queue_next_permit(queue);
	TimestampTz scan = aion_scan_start_again(queue, 0);

	return Min(Min(attempt, permit), scan);
}

/*
 * Locks the task that a token holds; false if it holds none.  A cancelled task counts only with
 * even_cancelled.
 */
bool
aion_claim_hold(int64 run_key, int32 ordinal, const pg_uuid_t *token, bool even_cancelled,
				Task *task)
{
	NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_int32(ordinal),
							aion_arg(UUIDPGetDatum(token))};
	Rows rows = aion_statement_execute(&lock_claimed, args);

	if (rows.count == 0)
		return false;
	aion_task_read(rows, 0, task);
	return even_cancelled || strcmp(task->state, "cancelled") != 0;
}

/*
 * Deletes the task of a worker that a token holds; false if it holds none.
 */
bool
aion_claim_take(int64 run_key, int32 ordinal, const pg_uuid_t *token, Task *task)
{
	NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_int32(ordinal),
							aion_arg(UUIDPGetDatum(token))};
	Rows rows = aion_statement_execute(&take_claimed, args);

	if (rows.count == 0)
		return false;
	aion_task_read(rows, 0, task);
	return true;
}

/*
 * Returns a text that is the same in all attempts of an activity, and in no other activity.
 */
char *
aion_claim_idempotency_key(const Claim *claim)
{
	return psprintf("%s/%d",
					DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&claim->run_id))),
					claim->task.ordinal);
}

static Claim *
read_claim(Rows rows, uint64 row)
{
	Claim *claim = palloc0(sizeof(Claim));

	aion_task_read(rows, row, &claim->task);
	claim->workflow_id = aion_row_text(rows, row, TASK_COLUMN_COUNT + 1);
	claim->run_id = aion_row_uuid(rows, row, TASK_COLUMN_COUNT + 2);
	claim->input = aion_row_jsonb(rows, row, TASK_COLUMN_COUNT + 3);
	claim->heartbeat_details = aion_row_jsonb(rows, row, TASK_COLUMN_COUNT + 4);
	claim->owner = aion_owner_name(claim->task.owner_key);
	return claim;
}

/*
 * Begins one more attempt of a task that is locked.
 */
static void
claim_take(const ClaimRequest *request, Claim *claim)
{
	Task *task = &claim->task;

	claim->token = *DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, (Datum) 0));
	aion_claim_begin_attempt(claim);
	{
		NullableDatum args[] = {aion_arg_int64(task->run_key),
								aion_arg_int32(task->ordinal),
								aion_arg_int32(task->attempt),
								aion_arg_text(request->worker),
								aion_arg(UUIDPGetDatum(&claim->token)),
								aion_arg_timestamp(task->attempt_by),
								aion_arg_timestamp(task->heartbeat_by),
								task->permit > 0 ? aion_arg_int32(task->permit) : aion_arg_null()};

		(void) aion_statement_execute(&claim_task, args);
	}
	aion_wakeup_look(Min(task->attempt_by, task->heartbeat_by));
}

/*
 * Counts one more attempt of a task that is locked, in memory only.
 */
void
aion_claim_begin_attempt(Claim *claim)
{
	TimestampTz now = aion_clock_now();
	Task *task = &claim->task;
	const Policy *policy = &task->policy;

	task->attempt++;
	task->state = "claimed";
	task->attempt_by = policy->start_to_close > 0 ? now + policy->start_to_close : DT_NOEND;
	task->attempt_by = Min(task->attempt_by, task->close_by);
	if (policy->heartbeat > 0 && !task->background)
		task->heartbeat_by = now + policy->heartbeat;
	aion_pace_begin(task->owner_key, task->task_queue);
}
