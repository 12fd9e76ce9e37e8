/*
 * start.c
 *		Starting runs.
 *
 * A start is two inserts in the caller's transaction, and takes effect with its commit.  The
 * partial unique index on open workflow ids decides between concurrent starts: the loser waits for
 * the winner's transaction, and only then finds the answer that its policy names.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "code/adoption.h"
#include "commands/sequence.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "code/cursors.h"
#include "code/guard.h"
#include "code/moment.h"
#include "code/owner.h"
#include "guc.h"
#include "history/attributes.h"
#include "history/received.h"
#include "run/count.h"
#include "run/deploy.h"
#include "run/due.h"
#include "run/grant.h"
#include "run/identity.h"
#include "run/run.h"
#include "run/start.h"
#include "run/terminate.h"
#include "run/touched.h"
#include "shared/wakeup.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"
#include "support/subtransaction.h"

static Statement insert_run = STATEMENT(
	INSERT,
	"INSERT INTO aion._run (run_key, workflow_id, run_id, owner_key, version_key, status, head,"
	" ready_at, started_at, unread, chain_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, "
	"$11)"
	" ON CONFLICT (workflow_id) WHERE closed_at IS NULL DO NOTHING",
	INT8OID, TEXTOID, UUIDOID, INT4OID, INT4OID, TEXTOID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	JSONBOID, INT8OID);
static Statement delete_run =
	STATEMENT(DELETE, "DELETE FROM aion._run WHERE run_key = $1", INT8OID);
static Statement select_open = STATEMENT(SELECT,
										 "SELECT run_key, owner_key FROM aion._run"
										 " WHERE workflow_id = $1 AND closed_at IS NULL",
										 TEXTOID);
static Statement select_closed = STATEMENT(SELECT,
										   "SELECT status, owner_key FROM aion._run"
										   " WHERE workflow_id = $1 AND closed_at IS NOT NULL"
										   " ORDER BY closed_at DESC, run_key DESC LIMIT 1",
										   TEXTOID);
static Statement select_closed_of =
	STATEMENT(SELECT,
			  "SELECT status, owner_key FROM aion._run WHERE workflow_id = $1"
			  " AND closed_at IS NOT NULL AND owner_key = ANY ($2)"
			  " ORDER BY closed_at DESC, run_key DESC LIMIT 1",
			  TEXTOID, INT4ARRAYOID);
static Statement insert_attributes =
	STATEMENT(INSERT,
			  "INSERT INTO aion._attribute (run_key, owner_key, search_attributes, memo)"
			  " VALUES ($1, $2, $3, $4)",
			  INT8OID, INT4OID, JSONBOID, JSONBOID);

/* The outcome of an attempt to start. */
typedef enum StartOutcome
{
	START_DONE,
	START_EXISTS,	/* the policy says that this is the answer */
	START_REPLACED, /* the existing run was ended for this start */
	START_AGAIN,	/* the existing run is gone: try again */
	START_REFUSED
} StartOutcome;

static Jsonb *check_input(StartRequest *request, const Jsonb *input, bool trusted);
static Jsonb *check_input_of_other(StartRequest *request, const Jsonb *input);
static void check_definer_frame(const StartRequest *request);
static Run *make_run(const StartRequest *request, const Jsonb *input, const char *workflow_id);
static bool insert_within(const Run *run, int milliseconds);
static StartOutcome answer_for_open(const StartRequest *request, const char *workflow_id,
									StartRefusal *refusal);
static StartOutcome answer_for_closed(const StartRequest *request, const Run *run,
									  StartRefusal *refusal);
static void forget_row(const Run *run);
static bool apply_grant(StartRequest *request, Oid owner);
static int64 next_run_key(void);
static StartPolicy start_policy_of(const char *name, bool of_closed);
static void start_check_attributes(const StartRequest *request);
static void check_start_at(const StartRequest *request);

/*
 * Finds out, for any number of starts that are alike, what they start and whether they are allowed
 * to.
 */
void
aion_start_prepare(StartRequest *request)
{
	aion_guard_client_call("aion.start_workflow");
	check_definer_frame(request);
	aion_start_resolve(request);
}

/*
 * Finds the code that a start is for, and whether its owner may execute it.
 */
void
aion_start_resolve(StartRequest *request)
{
	Authority authority;
	Workflow *workflow;
	Version *version;

	if (request->may_be_granted && !aion_grant_is_user(request->owner))
		(void) apply_grant(request, InvalidOid);
	aion_owner_check_eligible(request->owner);

	aion_authority_assume(&authority);
	aion_adopt_if_new();
	workflow = aion_workflow_find(request->workflow_type);
	if (workflow == NULL || !aion_registered_for(workflow->owner_key, request->owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
				 errmsg("workflow type \"%s\" does not exist", request->workflow_type),
				 errhint("A run uses names registered by its owner, by a role that its owner is a "
						 "member of, or by a superuser. Use aion.register_workflow()%s.",
						 request->may_be_granted
							 ? ", or let the owner of the workflow use aion.grant_start() and "
							   "name it by run_as"
							 : "")));
	if (request->may_be_granted)
		aion_grant_require_user(request->owner);
	aion_workflow_deploy_if_changed(workflow, true);
	do
	{
		workflow = aion_workflow_find(request->workflow_type);
		version = request->version != NULL
					  ? aion_version_find(request->workflow_type, request->version)
					  : aion_version_get(workflow->version_key);
	} while (version != NULL && !aion_version_pin(version->version_key));
	if (version == NULL || !aion_registered_for(version->owner_key, request->owner))
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" has no version \"%s\"", request->workflow_type,
							   version != NULL ? version->version : request->version),
						errhint("See aion.workflow_version.")));
	request->code = version;
	request->handler = aion_version_callable(version);
	if (request->handler == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("code of workflow type \"%s\", version \"%s\", is gone or was changed",
						request->workflow_type, version->version),
				 errhint("Register the workflow again.")));
	if (!aion_version_may_execute(version, request->owner))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("permission denied for function %s", version->handler),
						errdetail("Role \"%s\" would own the run and cannot execute it.",
								  GetUserNameFromId(request->owner, false))));
	if (request->timeout == NULL)
		request->timeout = workflow->timeout;
	if (request->task_queue == NULL && strcmp(workflow->task_queue, "default") != 0)
		request->task_queue = pstrdup(workflow->task_queue);
	aion_authority_drop(&authority);
}

/*
 * Starts a run that was prepared, or does what the policies say; false if they refuse it.
 */
bool
aion_start_attempt(const StartRequest *request, const Jsonb *input, const char *workflow_id,
				   Started *started, StartRefusal *refusal)
{
	StartOutcome outcome;
	bool replaced = false;

	do
	{
		Run *run = make_run(request, input, workflow_id);

		CHECK_FOR_INTERRUPTS();
		if (!insert_within(run, request->id_wait_ms))
			outcome = answer_for_open(request, run->workflow_id, refusal);
		else
			outcome = replaced ? START_DONE : answer_for_closed(request, run, refusal);
		replaced = replaced || outcome == START_REPLACED;
		if (outcome == START_DONE)
			aion_start_write(run);
		else if (outcome == START_REFUSED)
			forget_row(run);
		*started =
			(Started){run->run_key, pstrdup(run->workflow_id), run->run_id, outcome == START_DONE};
		MemoryContextDelete(run->context);
	} while (outcome == START_AGAIN || outcome == START_REPLACED);
	return outcome != START_REFUSED;
}

/*
 * Starts a run, or finds the one that a policy names.  Returns its workflow id.
 */
char *
aion_start(const StartRequest *request, const Jsonb *input, const char *workflow_id)
{
	Authority authority;
	StartRequest own = *request;
	StartRefusal refusal;
	Started started;

	if (workflow_id != NULL)
		aion_name_check(workflow_id, AION_WORKFLOW_ID_MAX, "workflow id");
	input = aion_start_check(&own, input);
	aion_authority_assume(&authority);
	if (!aion_start_attempt(&own, input, workflow_id, &started, &refusal))
		ereport(ERROR, (errcode(refusal.sqlerrcode), errmsg_internal("%s", refusal.message),
						errhint("%s", refusal.hint)));
	aion_authority_drop(&authority);
	return started.workflow_id;
}

/*
 * Completes the input of a start that has been prepared, and refuses one that does not fit.  What
 * its defaults and types call is executed with the rights of the owner, like the code.
 */
Jsonb *
aion_start_check(StartRequest *request, const Jsonb *input)
{
	aion_payload_check(input, "input");
	if (GetUserId() == request->owner && GetAuthenticatedUserId() == request->owner)
		return check_input(request, input, true);
	return check_input_of_other(request, input);
}

static Jsonb *
check_input(StartRequest *request, const Jsonb *input, bool trusted)
{
	int level = aion_code_enter_settings(&request->code->settings);
	TimestampTz begin;

	input = trusted ? aion_handler_complete(request->handler, input)
					: aion_handler_complete_purely(request->handler, input, request->owner);
	aion_handler_check_input(request->handler, input);
	input = aion_moment_fix(request->handler, unconstify(Jsonb *, input));
	begin = aion_clock_now();
	if (request->start_at != DT_NOEND && request->start_at > begin)
		begin = request->start_at;
	request->deadline = DT_NOEND;
	if (request->timeout != NULL)
		request->deadline = aion_duration_after(begin, request->timeout, "timeout");
	aion_code_leave_settings(level);
	return unconstify(Jsonb *, input);
}

/*
 * The same in a session of another role.  The owner's code is executed there only if that role
 * trusts the owner, being a member of it, and then what the code leaves open ends with it.
 */
static Jsonb *
check_input_of_other(StartRequest *request, const Jsonb *input)
{
	ErrorData *volatile error = NULL;
	Jsonb *volatile checked = NULL;
	Subtransaction sub;
	GuardState outside;
	bool trusted = aion_owner_has_role(GetUserId(), request->owner);

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		aion_guard_become(request->owner, &outside);
		checked = check_input(request, input, trusted);
		aion_cursors_close();
		aion_guard_leave(&outside);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		error = aion_subtransaction_abort(&sub);
		aion_guard_leave(&outside);
	}
	PG_END_TRY();
	if (error != NULL)
		ReThrowError(error);
	return checked;
}

/*
 * A function that runs with its definer's rights would make the definer owner of a run that the
 * caller has chosen.  That does not hold if the owner of the run is another role, which has granted
 * the start to the definer or to the caller.
 */
static void
check_definer_frame(const StartRequest *request)
{
	Oid caller = aion_guard_actor();

	if (aion_allow_definer_start || !InLocalUserIdChange() || GetUserId() == caller)
		return;
	if (request->may_be_granted &&
		(aion_grant_owner(request->workflow_type, caller) == request->owner ||
		 (request->owner != GetUserId() &&
		  aion_grant_owner(request->workflow_type, GetUserId()) == request->owner)))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("cannot start a workflow inside a security-definer function"),
					errdetail("The run would belong to role \"%s\".",
							  GetUserNameFromId(request->owner, false)),
					errhint("Let the owner of the workflow use aion.grant_start() for role \"%s\" "
							"and name the owner by run_as, or make the function SECURITY INVOKER.",
							GetUserNameFromId(GetUserId(), false))));
}

/*
 * Makes a run in memory that has no history yet; without a workflow id it gets a random one.
 */
Run *
aion_start_blank(const char *workflow_id, int32 owner_key, int32 version_key)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "aion start", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Run *run = palloc0(sizeof(Run));

	run->context = context;
	run->run_key = next_run_key();
	run->workflow_id = workflow_id != NULL ? pstrdup(workflow_id) : aion_identity_of_workflow();
	run->run_id = aion_identity_of_run(run->workflow_id);
	run->owner_key = owner_key;
	run->version_key = version_key;
	run->retry_at = run->awaiting_since = run->closed_at = DT_NOEND;
	run->history = aion_history_create(run->run_key, run->owner_key, context);
	MemoryContextSwitchTo(caller);
	return run;
}

/*
 * Makes a run in memory, with the events that every run begins with.
 */
static Run *
make_run(const StartRequest *request, const Jsonb *input, const char *workflow_id)
{
	Run *run =
		aion_start_blank(workflow_id, aion_owner_key(request->owner), request->code->version_key);
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	WorkflowStarted *started = &run->started;

	started->workflow_type = request->workflow_type;
	started->version = request->code->version;
	started->input = unconstify(Jsonb *, input);
	started->task_queue = request->task_queue;
	started->started_by = GetUserNameFromId(aion_guard_actor(), false);
	started->start_at = request->start_at;
	started->deadline = request->deadline;
	started->search_attributes = request->search_attributes;
	started->memo = request->memo;
	started->parents = request->parents;
	started->most_events = aion_max_history_events;
	started->schedule = request->schedule;
	started->scheduled_for = request->schedule != NULL ? request->scheduled_for : DT_NOEND;
	aion_recorder_append(run->history, EVENT_WORKFLOW_STARTED, NULL,
						 aion_event_workflow_started(started));
	run->status = RUN_RUNNING;
	run->ready_at = aion_history_last(run->history)->recorded_at;
	if (request->start_at != DT_NOEND && request->start_at > run->ready_at)
	{
		run->status = RUN_SCHEDULED;
		run->ready_at = DT_NOEND;
		aion_recorder_append(run->history, EVENT_TIMER_STARTED, TIMER_START,
							 aion_event_timer_started(request->start_at, NULL));
	}
	if (request->deadline != DT_NOEND)
		aion_recorder_append(run->history, EVENT_TIMER_STARTED, TIMER_DEADLINE,
							 aion_event_timer_started(request->deadline, NULL));
	MemoryContextSwitchTo(caller);
	return run;
}

/*
 * Inserts the row of a run, unless an open run has the workflow id.
 */
bool
aion_start_insert(const Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key),
							aion_arg_text(run->workflow_id),
							aion_arg(UUIDPGetDatum(&run->run_id)),
							aion_arg_int32(run->owner_key),
							aion_arg_int32(run->version_key),
							aion_arg_text(aion_status_name(run->status)),
							aion_arg_int32(run->history->count),
							aion_arg_timestamp(run->ready_at),
							aion_arg_timestamp(run->history->events[0]->recorded_at),
							aion_arg_jsonb(aion_received_unread(run->history)),
							aion_arg_key(run->chain_key)};

	if (aion_statement_execute(&insert_run, args).count == 0)
		return false;
	aion_count_note(run->owner_key, run->version_key, aion_status_name(run->status), 1);
	return true;
}

/*
 * Does the same, but waits only so long for a transaction that is about to use the workflow id.
 */
static bool
insert_within(const Run *run, int milliseconds)
{
	int level;
	bool inserted;

	if (milliseconds == 0)
		return aion_start_insert(run);
	level = NewGUCNestLevel();
	(void) set_config_option("lock_timeout", psprintf("%d", milliseconds), PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	inserted = aion_start_insert(run);
	AtEOXact_GUC(false, level);
	return inserted;
}

/*
 * Does what the policy says about an open run of the same workflow id.
 */
static StartOutcome
answer_for_open(const StartRequest *request, const char *workflow_id, StartRefusal *refusal)
{
	NullableDatum args[] = {aion_arg_text(workflow_id)};
	Rows rows = aion_statement_execute(&select_open, args);
	int64 run_key;
	int32 owner_key;

	if (rows.count == 0)
		return START_AGAIN; /* it has just ended */
	run_key = aion_row_int64(rows, 0, 1);
	owner_key = aion_row_int32(rows, 0, 2);
	if (request->if_running != POLICY_ERROR && aion_owner_controls(request->owner, owner_key) &&
		!aion_run_is_executing(run_key))
	{
		if (request->if_running == POLICY_USE_EXISTING)
			return START_EXISTS;
		if (aion_run_terminate(run_key, "replaced by a new start") == RUN_TERMINATED)
			return START_REPLACED;
		return START_AGAIN; /* it had ended in another way */
	}
	*refusal = (StartRefusal){ERRCODE_WORKFLOW_RUNNING,
							  psprintf("workflow \"%s\" is already running", workflow_id),
							  "Choose another workflow id, or see the parameter if_running."};
	return START_REFUSED;
}

/*
 * Does what the policy says about the latest closed run of the same workflow id.  The row of the
 * new run has just been inserted, so no other start can come between.
 */
static StartOutcome
answer_for_closed(const StartRequest *request, const Run *run, StartRefusal *refusal)
{
	NullableDatum args[2] = {aion_arg_text(run->workflow_id)};
	Rows rows;
	char *status;

	if (request->if_closed == POLICY_ALLOW)
		return START_DONE;
	rows = aion_statement_execute(&select_closed, args);
	if (rows.count == 0)
		return START_DONE;
	if (!aion_owner_controls(request->owner, aion_row_int32(rows, 0, 2)))
	{
		args[1] = aion_arg(aion_owner_controlled(request->owner));
		rows = aion_statement_execute(&select_closed_of, args);
		if (rows.count == 0)
			return START_DONE;
	}
	status = aion_row_text(rows, 0, 1);
	if (request->if_closed == POLICY_ALLOW_FAILED_ONLY &&
		strcmp(status, aion_status_name(RUN_COMPLETED)) != 0)
		return START_DONE;
	if (request->if_closed == POLICY_USE_EXISTING)
	{
		forget_row(run);
		return START_EXISTS;
	}
	*refusal = (StartRefusal){
		ERRCODE_WORKFLOW_CLOSED,
		psprintf("workflow \"%s\" has run before and is %s", run->workflow_id, status),
		"Choose another workflow id, or see the parameter if_closed."};
	return START_REFUSED;
}

/*
 * Deletes the row of a run that is not started after all, if it was inserted.
 */
static void
forget_row(const Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};

	if (aion_statement_execute(&delete_run, args).count > 0)
		aion_count_note(run->owner_key, run->version_key, aion_status_name(run->status), -1);
}

/*
 * Writes what belongs to the row of a new run.
 */
void
aion_start_write(Run *run)
{
	const WorkflowStarted *started = &run->started;
	Jsonb *search_attributes = aion_history_search_attributes(run->history);
	List *timers = aion_history_open_timers(run->history);
	ListCell *cell;

	aion_recorder_write(run->history);
	if (run->ready_at != DT_NOEND)
		aion_wakeup_run(run->owner_key, run->run_key);
	foreach (cell, timers)
	{
		const Event *timer = lfirst(cell);

		aion_due_arm(run, timer->key, aion_event_read_fire_at(timer), timer->seq);
	}
	if (search_attributes != NULL || started->memo != NULL)
	{
		NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int32(run->owner_key),
								aion_arg_jsonb(search_attributes), aion_arg_jsonb(started->memo)};

		(void) aion_statement_execute(&insert_attributes, args);
	}
	aion_touched_note_started(run->run_key);
}

/*
 * Makes the owner of a workflow the owner of a run of it, if that was granted to the current user;
 * if an owner is given, only that one.
 */
static bool
apply_grant(StartRequest *request, Oid owner)
{
	Oid grantor = aion_grant_owner(request->workflow_type, request->owner);

	if (!OidIsValid(grantor) || (OidIsValid(owner) && owner != grantor))
		return false;
	if (request->version != NULL || request->task_queue != NULL ||
		request->if_running == POLICY_TERMINATE_EXISTING)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to start workflow type \"%s\" this way",
						request->workflow_type),
				 errdetail("aion.grant_start() lets a role choose neither version nor task_queue, "
						   "nor terminate a run.")));
	aion_owner_check_eligible(grantor);
	request->owner = grantor;
	return true;
}

static int64
next_run_key(void)
{
	return nextval_internal(get_relname_relid("_run_run_key_seq", aion_extension()->schema), false);
}

static StartPolicy
start_policy_of(const char *name, bool of_closed)
{
	static const char *const names[] = {[POLICY_ERROR] = "error",
										[POLICY_USE_EXISTING] = "use_existing",
										[POLICY_TERMINATE_EXISTING] = "terminate_existing",
										[POLICY_ALLOW] = "allow",
										[POLICY_ALLOW_FAILED_ONLY] = "allow_failed_only"};

	for (size_t i = 0; i < lengthof(names); i++)
	{
		bool fits = i <= POLICY_USE_EXISTING || (i >= POLICY_ALLOW) == of_closed;

		if (name != NULL && strcmp(name, names[i]) == 0 && fits)
			return (StartPolicy) i;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("invalid value for %s: \"%s\"", of_closed ? "if_closed" : "if_running",
						   name != NULL ? name : "NULL"),
					errhint("Possible values are: %s.",
							of_closed ? "allow, allow_failed_only, use_existing, error"
									  : "error, use_existing, terminate_existing")));
}

/*
 * Reads the arguments of a start from an object, for starts by a parent or a schedule.  Only a
 * child has a moment and an owner of its own; returns the latter, NULL if there is none.
 */
const char *
aion_start_read_options(const Jsonb *options, bool of_child, StartRequest *request)
{
	static const char *const known[] = {"if_running", "if_closed",		   "timeout",
										"task_queue", "search_attributes", "memo",
										"version",	  "start_at",		   "run_as"};
	size_t count = of_child ? lengthof(known) : lengthof(known) - 2;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue key;

	if (!aion_json_is_object(options))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("options must be an object")));
	iterator = JsonbIteratorInit(&unconstify(Jsonb *, options)->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		bool is_known = token != WJB_KEY;
		bool is_text;
		char *name;

		if (is_known)
			continue;
		name = pnstrdup(key.val.string.val, key.val.string.len);
		for (size_t i = 0; i < count; i++)
			is_known = is_known || strcmp(name, known[i]) == 0;
		if (!is_known)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_INPUT), errmsg("unknown option: \"%s\"", name),
					 errhint("Possible options are: if_running, if_closed, timeout, task_queue, "
							 "search_attributes, memo, version%s.",
							 of_child ? ", start_at, run_as" : "")));
		is_text = strcmp(name, "search_attributes") == 0 || strcmp(name, "memo") == 0 ||
				  aion_json_text(options, name) != NULL;
		if (!is_text)
			ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
							errmsg("option \"%s\" must be a string", name)));
	}
	if (aion_json_has_member(options, "if_running"))
		request->if_running = start_policy_of(aion_json_text(options, "if_running"), false);
	if (aion_json_has_member(options, "if_closed"))
		request->if_closed = start_policy_of(aion_json_text(options, "if_closed"), true);
	if (aion_json_has_member(options, "timeout"))
	{
		request->timeout = aion_duration_parse(aion_json_text(options, "timeout"), "timeout");
		aion_duration_check(request->timeout, false, "timeout");
	}
	request->task_queue = aion_json_text(options, "task_queue");
	if (request->task_queue != NULL)
		aion_name_check(request->task_queue, AION_NAME_MAX, "task queue");
	request->search_attributes = aion_json_member(options, "search_attributes");
	request->memo = aion_json_member(options, "memo");
	start_check_attributes(request);
	request->version = aion_json_text(options, "version");
	if (aion_json_has_member(options, "start_at"))
	{
		request->start_at = aion_json_timestamp(options, "start_at");
		check_start_at(request);
	}
	return aion_json_text(options, "run_as");
}

/*
 * Refuses attributes that no run can have.
 */
static void
start_check_attributes(const StartRequest *request)
{
	aion_search_attributes_check(request->search_attributes);
	aion_payload_check(request->memo, "memo");
}

static void
check_start_at(const StartRequest *request)
{
	if (TIMESTAMP_NOT_FINITE(request->start_at))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("start_at must be finite")));
}

/*
 * Reads the arguments that all functions that start runs have in common, from if_running on.
 */
void
aion_start_read_request(FunctionCallInfo fcinfo, int first, bool may_be_granted,
						StartRequest *request)
{
#define TEXT_ARG(n) (PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n)))
#define JSONB_ARG(n) (PG_ARGISNULL(n) ? NULL : PG_GETARG_JSONB_P(n))
	memset(request, 0, sizeof(StartRequest));
	request->workflow_type = TEXT_ARG(0);
	aion_name_check(request->workflow_type, AION_NAME_MAX, "workflow type");
	request->if_running = start_policy_of(TEXT_ARG(first), false);
	request->if_closed = start_policy_of(TEXT_ARG(first + 1), true);
	request->start_at = PG_ARGISNULL(first + 2) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(first + 2);
	if (!PG_ARGISNULL(first + 2))
		check_start_at(request);
	if (!PG_ARGISNULL(first + 3))
	{
		request->timeout = PG_GETARG_INTERVAL_P(first + 3);
		aion_duration_check(request->timeout, false, "timeout");
	}
	request->task_queue = TEXT_ARG(first + 4);
	if (request->task_queue != NULL)
		aion_name_check(request->task_queue, AION_NAME_MAX, "task queue");
	request->search_attributes = JSONB_ARG(first + 5);
	request->memo = JSONB_ARG(first + 6);
	start_check_attributes(request);
	request->version = TEXT_ARG(first + 7);
	request->owner = GetUserId();
	request->may_be_granted = may_be_granted;
	if (!PG_ARGISNULL(first + 8))
		aion_start_choose_owner(NameStr(*PG_GETARG_NAME(first + 8)), request);
}

/*
 * Makes another role the owner of a run, if the current user has its privileges or a grant.
 */
void
aion_start_choose_owner(const char *role, StartRequest *request)
{
	Oid owner = get_role_oid(role, false);
	bool may_become =
		has_privs_of_role(GetUserId(), owner) && aion_compat_may_become(GetUserId(), owner);

	if (!may_become && request->may_be_granted && apply_grant(request, owner))
		return;
	request->owner = owner;
	if (!may_become)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must have the privileges of role \"%s\" to start a workflow as it", role),
				 errhint("The owner of the workflow can let other roles start it: "
						 "aion.grant_start().")));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_start_workflow);
PG_FUNCTION_INFO_V1(aion_start_workflows);

/*
 * start_workflow(workflow_type, input, workflow_id, if_running, ...) -> workflow id
 */
Datum
aion_start_workflow(PG_FUNCTION_ARGS)
{
	StartRequest request;

	aion_start_read_request(fcinfo, 3, true, &request);
	aion_start_prepare(&request);
	PG_RETURN_TEXT_P(cstring_to_text(aion_start(&request, JSONB_ARG(1), TEXT_ARG(2))));
}

/*
 * start_workflows(workflow_type, inputs, workflow_ids, if_running, ...) -> set of workflow ids
 */
Datum
aion_start_workflows(PG_FUNCTION_ARGS)
{
	StartRequest request;
	Datum *inputs;
	bool *input_nulls;
	int count = 0;
	Datum *ids = NULL;
	bool *id_nulls = NULL;
	int id_count = 0;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	aion_start_read_request(fcinfo, 3, true, &request);
	if (!PG_ARGISNULL(1))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), JSONBOID, -1, false, TYPALIGN_INT, &inputs,
						  &input_nulls, &count);
	if (!PG_ARGISNULL(2))
	{
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), TEXTOID, -1, false, TYPALIGN_INT, &ids,
						  &id_nulls, &id_count);
		if (id_count != count)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_INPUT),
					 errmsg("there must be as many workflow ids as inputs"),
					 errdetail("There are %d workflow ids and %d inputs.", id_count, count)));
	}
	aion_start_prepare(&request);
	for (int i = 0; i < count; i++)
	{
		Jsonb *input = input_nulls[i] ? NULL : DatumGetJsonbP(inputs[i]);
		char *id = ids == NULL || id_nulls[i] ? NULL : TextDatumGetCString(ids[i]);
		Datum started = CStringGetTextDatum(aion_start(&request, input, id));
		ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
		bool isnull = false;

		tuplestore_putvalues(set->setResult, set->setDesc, &started, &isnull);
	}
	return (Datum) 0;
}
