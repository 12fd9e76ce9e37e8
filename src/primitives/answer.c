/*
 * answer.c
 *		Queries: asking runs for what they publish.
 *
 * A query reads what the last turn has published, like any other row: it takes no lock on the run,
 * wakes nothing and records nothing.  Where a function answers, its copy is called here, in the
 * session of the caller, but as the owner of the run: in a read-only subtransaction that is rolled
 * back, and in a security-restricted operation, so that it cannot get the rights of the session.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "code/adoption.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "control/wait.h"
#include "guc.h"
#include "primitives/query.h"
#include "run/run.h"
#include "shared/stopwatch.h"
#include "shared/wakeup.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"
#include "support/subtransaction.h"
#include "turn/raised.h"

#define MAX_WAIT (USECS_PER_MINUTE) /* a snapshot is held all the time */
#define MAX_HINTS 20

typedef struct Question
{
	const char *workflow_id;
	const char *name;
	const Jsonb *args;
	Oid asker;
	int64 run_key;
} Question;

/* What is published under a name. */
typedef struct Answer
{
	bool is_published;
	bool is_closed;
	int32 owner_key;
	int32 version_key;
	Jsonb *value;
	char *handler; /* NULL: the value is the answer */
	char *code;
	bool copied;
	char *digest;
} Answer;

enum
{
	ANSWER_OWNER_KEY = 1,
	ANSWER_VERSION_KEY,
	ANSWER_IS_CLOSED,
	ANSWER_IS_PUBLISHED,
	ANSWER_VALUE,
	ANSWER_HANDLER,
	ANSWER_CODE,
	ANSWER_COPIED,
	ANSWER_DIGEST
};

static Statement select_answer = STATEMENT(
	SELECT,
	"SELECT r.owner_key, r.version_key, r.closed_at IS NOT NULL, p.name IS NOT NULL, p.value,"
	" p.handler, p.code, p.copied, p.digest"
	" FROM aion._run r LEFT JOIN aion._published p ON p.run_key = r.run_key AND p.name = $2"
	" WHERE r.run_key = $1",
	INT8OID, TEXTOID);
static Statement select_names =
	STATEMENT(SELECT, "SELECT name FROM aion._published WHERE run_key = $1 ORDER BY name LIMIT $2",
			  INT8OID, INT4OID);

static void answer_find(Question *question, Oid user);
static void answer_look(const Question *question, Answer *answer);
static void wait_for(const Question *question, const Interval *wait, Answer *answer);
pg_noreturn static void unknown(const Question *question, bool is_closed);
static Jsonb *answer_ask(const Question *question, const Answer *answer);
static const Handler *answer_find_code(const Question *question, const Answer *answer, Oid owner);
static Jsonb *call(const Handler *handler, const Question *question, const Answer *answer,
				   Oid owner, const CodeSettings *settings);
static void fail(const Question *question, const ErrorData *error, bool time_was_up);
pg_noreturn static void refuse_foreign(const Question *question, Oid owner);
pg_noreturn static void answer_refuse(const Question *question, const char *detail);

static void
answer_find(Question *question, Oid user)
{
	Authority authority;

	aion_authority_assume(&authority);
	question->run_key = aion_run_find(question->workflow_id, user);
	aion_authority_drop(&authority);
}

/*
 * Reads what the run has published, as it is committed now.
 */
static void
answer_look(const Question *question, Answer *answer)
{
	NullableDatum args[] = {aion_arg_int64(question->run_key), aion_arg_text(question->name)};
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_answer, args);
	if (rows.count == 0)
		ereport(ERROR, (errcode(ERRCODE_WORKFLOW_NOT_FOUND),
						errmsg("workflow \"%s\" does not exist", question->workflow_id)));
	answer->owner_key = aion_row_int32(rows, 0, ANSWER_OWNER_KEY);
	answer->version_key = aion_row_int32(rows, 0, ANSWER_VERSION_KEY);
	answer->is_closed = aion_row_bool(rows, 0, ANSWER_IS_CLOSED);
	answer->is_published = aion_row_bool(rows, 0, ANSWER_IS_PUBLISHED);
	answer->value = aion_row_jsonb(rows, 0, ANSWER_VALUE);
	answer->handler = aion_row_text(rows, 0, ANSWER_HANDLER);
	answer->code = aion_row_text(rows, 0, ANSWER_CODE);
	answer->copied = aion_row_bool(rows, 0, ANSWER_COPIED);
	answer->digest = aion_row_text(rows, 0, ANSWER_DIGEST);
	aion_authority_drop(&authority);
}

/*
 * Waits until the name is published, the run has ended or the time is up.
 */
static void
wait_for(const Question *question, const Interval *wait, Answer *answer)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = Min(now + MAX_WAIT, aion_duration_after(now, wait, "wait"));

	aion_wait_check_possible("aion.query_workflow", question->run_key);
	for (;;)
	{
		aion_wakeup_watch_published(question->run_key);
		answer_look(question, answer);
		if (answer->is_published || answer->is_closed)
			break;
		if (aion_wait_time_left(until) == 0)
			ereport(ERROR, (errcode(ERRCODE_AWAIT_TIMED_OUT),
							errmsg("workflow \"%s\" has not published \"%s\" in time",
								   question->workflow_id, question->name)));
		aion_wakeup_wait(aion_wait_time_left(until));
	}
	aion_wakeup_unwatch();
}

/*
 * Raises an error that says what else can be queried.
 */
static void
unknown(const Question *question, bool is_closed)
{
	NullableDatum args[] = {aion_arg_int64(question->run_key), aion_arg_int32(MAX_HINTS + 1)};
	Authority authority;
	StringInfoData names;
	Rows rows;

	initStringInfo(&names);
	aion_authority_assume(&authority);
	rows = aion_statement_execute(&select_names, args);
	for (uint64 row = 0; row < rows.count; row++)
		appendStringInfo(&names, "%s%s", row > 0 ? ", " : "",
						 row < MAX_HINTS ? aion_row_text(rows, row, 1) : "...");
	aion_authority_drop(&authority);
	ereport(ERROR,
			(errcode(ERRCODE_UNKNOWN_QUERY),
			 errmsg("workflow \"%s\" does not answer query \"%s\"", question->workflow_id,
					question->name),
			 names.len > 0 ? errhint("It answers: %s.", names.data)
			 : is_closed   ? errhint("It has published nothing.")
						   : errhint("It has published nothing so far. With the parameter wait "
									   "the query waits until it has.")));
}

/*
 * Lets a function answer.
 */
static Jsonb *
answer_ask(const Question *question, const Answer *answer)
{
	Authority authority;
	CodeSettings settings;
	Oid owner;
	const Handler *handler;

	aion_authority_assume(&authority);
	if (aion_adoption_state() == ADOPTION_COPY)
		ereport(ERROR, (errcode(ERRCODE_NOT_ADOPTED),
						errmsg("this database is a copy and has not been adopted"),
						errdetail("What was published can be read, but no code is executed."),
						errhint("Use SELECT aion.adopt_database().")));
	owner = aion_owner_role(answer->owner_key);
	if (!OidIsValid(owner) || !aion_owner_has_role(question->asker, owner))
		refuse_foreign(question, owner);
	handler = answer_find_code(question, answer, owner);
	settings = aion_version_get(answer->version_key)->settings;
	aion_authority_drop(&authority);
	return call(handler, question, answer, owner, &settings);
}

/*
 * Refuses to execute code of an owner in the session of a role that does not trust the owner.
 */
static void
refuse_foreign(const Question *question, Oid owner)
{
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("query \"%s\" of workflow \"%s\" is answered by code of role \"%s\"",
						   question->name, question->workflow_id, GetUserNameFromId(owner, true)),
					errdetail("It is executed in sessions of that role and of its members only."),
					errhint("Let the workflow publish a value, or connect as that role.")));
}

/*
 * Finds the function that answers, checked, and whether the owner may still execute it.
 */
static const Handler *
answer_find_code(const Question *question, const Answer *answer, Oid owner)
{
	Oid function = aion_code_resolve(answer->code, answer->copied);
	Oid original = aion_handler_resolve(answer->handler);
	const QueryFunction *found = OidIsValid(function) ? aion_query_function(function) : NULL;
	const char *ineligible = aion_owner_ineligible(owner);

	if (found == NULL || strcmp(found->digest, answer->digest) != 0 ||
		found->handler->security_definer)
		answer_refuse(question,
					  psprintf("Code of function %s is gone or was changed.", answer->handler));
	if (ineligible != NULL)
		answer_refuse(question, psprintf("Its owner %s.", ineligible));
	if ((OidIsValid(original) && aion_handler_is_denied(original, owner)) ||
		(!answer->copied && !aion_owner_trusts(owner, found->handler->owner)))
		answer_refuse(question,
					  psprintf("Its owner may not execute function %s.", answer->handler));
	return found->handler;
}

/*
 * Calls a function as the owner of the run, and leaves nothing of that but its answer.
 */
static Jsonb *
call(const Handler *handler, const Question *question, const Answer *answer, Oid owner,
	 const CodeSettings *settings)
{
	Subtransaction sub;
	bool timed = !aion_stopwatch_is_running(); /* else the limit of its caller applies */
	ErrorData *volatile error = NULL;
	Jsonb *volatile result = NULL;
	RaisedErrors raised = {0};
	GuardState outside;
	GuardState session;
	bool time_was_up;

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		aion_guard_enter(FRAME_QUERY, NULL, &outside);
		aion_guard_become(owner, &session);
		SetUserIdAndSecContext(owner, outside.security_context | SECURITY_LOCAL_USERID_CHANGE |
										  SECURITY_RESTRICTED_OPERATION);
		aion_raised_begin(&raised, sub.context, NULL);
		XactReadOnly = true;
		(void) aion_code_enter_settings(settings);
		PushActiveSnapshot(GetTransactionSnapshot());
		if (timed)
			aion_stopwatch_start(aion_turn_timeout);
		result = aion_handler_call_pair(handler, answer->value, question->args);
		aion_payload_check(result, "answer");
		aion_raised_end(&raised);
		time_was_up = timed && aion_stopwatch_stop();
		aion_subtransaction_undo(&sub);
	}
	PG_CATCH();
	{
		time_was_up = timed && aion_stopwatch_stop();
		error = aion_subtransaction_abort(&sub);
		(void) aion_raised_settle(&raised, error);
	}
	PG_END_TRY();
	aion_guard_leave(&outside);
	if (error != NULL || time_was_up)
		fail(question, error, time_was_up);
	return result;
}

/*
 * Raises why there is no answer.  An error of the session, and not of the function, is raised as it
 * is.
 */
static void
fail(const Question *question, const ErrorData *error, bool time_was_up)
{
	if (time_was_up)
		answer_refuse(question, "The function took longer than aion.turn_timeout.");
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			ReThrowError(unconstify(ErrorData *, error));
		default:
			answer_refuse(question, psprintf("%s (SQLSTATE %s)", error->message,
											 unpack_sql_state(error->sqlerrcode)));
	}
}

static void
answer_refuse(const Question *question, const char *detail)
{
	ereport(ERROR, (errcode(ERRCODE_QUERY_FAILED),
					errmsg("query \"%s\" of workflow \"%s\" failed", question->name,
						   question->workflow_id),
					errdetail_internal("%s", detail)));
	pg_unreachable();
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_query_workflow);

/*
 * query_workflow(workflow_id, name, args, wait) -> answer
 */
Datum
aion_query_workflow(PG_FUNCTION_ARGS)
{
	Interval *wait = PG_ARGISNULL(3) ? NULL : PG_GETARG_INTERVAL_P(3);
	Question question = {.workflow_id =
							 PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)),
						 .name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
						 .args = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2),
						 .asker = GetUserId()};
	Answer answer;
	Jsonb *result;

	if (wait == NULL)
		aion_guard_client_call("aion.query_workflow");
	else
	{
		aion_guard_waiting_call("aion.query_workflow",
								"In an activity it can be called with wait => NULL.");
		aion_duration_check(wait, true, "wait");
	}
	aion_name_check(question.name, AION_NAME_MAX, "query name");
	aion_payload_check(question.args, "args");
	answer_find(&question, GetUserId());
	answer_look(&question, &answer);
	if (wait != NULL && !answer.is_published && !answer.is_closed)
		wait_for(&question, wait, &answer);
	if (!answer.is_published)
		unknown(&question, answer.is_closed);
	if (answer.handler == NULL && question.args != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("query \"%s\" of workflow \"%s\" takes no arguments", question.name,
							   question.workflow_id),
						errdetail("It answers with a value that the workflow has published.")));
	result = answer.handler != NULL ? answer_ask(&question, &answer) : answer.value;
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
