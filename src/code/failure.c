/*
 * failure.c
 *		Errors as outcomes: kept as jsonb, classified by their cause, raised again.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "code/failure.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/payload.h"

static char *clean(const char *text);
static void add_text(JsonObject *object, const char *key, const char *value);

/*
 * Tells whether an error is a cancel of this session's statement, which must not become an outcome.
 * Not every language passes on where an error came from, so an error that code raises itself counts
 * as one, too.
 */
bool
aion_failure_is_cancel(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED;
}

/*
 * Tells whether an error comes from concurrent transactions.
 */
bool
aion_failure_is_contention(const ErrorData *error)
{
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK ||
		   error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
}

/*
 * Tells whether an error comes from the machine and not from the code: the turn is repeated later.
 */
bool
aion_failure_is_infrastructure(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return true;
		default:
			return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
				   error->sqlerrcode == ERRCODE_OBJECT_IN_USE || aion_failure_is_of_session(error);
	}
}

/*
 * Tells whether code was refused only because it is executed in a session of another role than its
 * own.  The server's messages for that all end alike.
 */
bool
aion_failure_is_of_session(const ErrorData *error)
{
	static const char ending[] = " within security-restricted operation";
	size_t length;

	if (error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE || error->message_id == NULL)
		return false;
	length = strlen(error->message_id);
	return length >= sizeof(ending) &&
		   strcmp(error->message_id + length - (sizeof(ending) - 1), ending) == 0;
}

/*
 * Ends the test if code was refused only because the test's session is not its owner's: that is no
 * failure of the code, and trying again does not help.
 */
void
aion_failure_end_test(ErrorData *error)
{
	if (!aion_clock_is_virtual() || !aion_failure_is_of_session(error))
		return;
	error->hint = pstrdup("The test is executed in a session of another role than the run's owner. "
						  "Log in as the owner.");
	ReThrowError(error);
}

/*
 * Keeps an error; details are members that say more about it.
 */
Jsonb *
aion_failure_of(const ErrorData *error, const Jsonb *details)
{
	JsonObject object;
	Jsonb *failure;

	aion_object_begin(&object);
	add_text(&object, "sqlstate", unpack_sql_state(error->sqlerrcode));
	add_text(&object, "message", error->message != NULL ? error->message : "unknown error");
	add_text(&object, "detail", error->detail);
	add_text(&object, "hint", error->hint);
	add_text(&object, "context", aion_failure_code_context(error->context));
	add_text(&object, "schema", error->schema_name);
	add_text(&object, "table", error->table_name);
	add_text(&object, "column", error->column_name);
	add_text(&object, "datatype", error->datatype_name);
	add_text(&object, "constraint", error->constraint_name);
	failure = aion_object_end(&object);
	if (details == NULL)
		return failure;
	return DatumGetJsonbP(
		DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(failure), JsonbPGetDatum(details)));
}

/*
 * Makes a failure that does not come from an error.
 */
Jsonb *
aion_failure_make(const char *sqlstate, const char *message, const char *hint)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "sqlstate", sqlstate);
	aion_object_text(&object, "message", message);
	aion_object_text(&object, "hint", hint);
	return aion_object_end(&object);
}

/*
 * Returns the SQLSTATE that a failure had.
 */
int
aion_failure_errcode(const Jsonb *failure)
{
	const char *state = aion_json_text(failure, "sqlstate");

	if (state == NULL || strlen(state) != 5)
		return ERRCODE_INTERNAL_ERROR;
	return MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]);
}

/*
 * Raises a failure again, under a given SQLSTATE.
 */
void
aion_failure_raise(int sqlerrcode, const Jsonb *failure)
{
	char *message = aion_json_text(failure, "message");
	char *detail = aion_json_text(failure, "detail");
	char *hint = aion_json_text(failure, "hint");

	ereport(ERROR, (errcode(sqlerrcode),
					errmsg_internal("%s", message != NULL ? message : "unknown error"),
					detail != NULL ? errdetail_internal("%s", detail) : 0,
					hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

/*
 * Returns the lines of a context that are about the code; NULL if there are none.
 */
char *
aion_failure_code_context(const char *context)
{
	const char *mark = AION_TURN_CONTEXT;
	const char *line = context;
	int prefix = strchr(mark, '%') - mark;

	while (line != NULL && strncmp(line, mark, prefix) != 0)
	{
		line = strchr(line, '\n');
		if (line != NULL)
			line++;
	}
	if (line == NULL)
		return context != NULL ? pstrdup(context) : NULL;
	return line > context ? pnstrdup(context, line - context - 1) : NULL;
}

static void
add_text(JsonObject *object, const char *key, const char *value)
{
	if (value != NULL)
		aion_object_text(object, key, clean(value));
}

/*
 * Bounds what an error may add to history.
 */
static char *
clean(const char *text)
{
	const int limit = 10000;

	if (strlen(text) <= (size_t) limit)
		return unconstify(char *, text);
	return psprintf("%.*s...", pg_mbcliplen(text, strlen(text), limit), text);
}
