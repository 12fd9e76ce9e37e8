/*
 * raised.c
 *		Errors that are raised in code, and the origin of an error that leaves it.
 *
 * What becomes of a run or an activity whose code ends with an error is decided by the SQLSTATE.
 * PL/pgSQL passes errors on as they are.  Other languages raise one of their own instead: PL/Python
 * writes the name of an exception before the message, PL/Perl writes the line after it, and PL/Perl
 * and PL/Tcl change the SQLSTATE to 38000.  So what is raised is noted, and an error by which a
 * language passes it on is recognised by its message, which must have nothing else added.  An error
 * that code makes of one that it has caught is the code's own.
 */
#include "postgres.h"

#include "code/guard.h"
#include "shared/stopwatch.h"
#include "turn/raised.h"

#define SPACE " \t\r\n"

static void raised_note(void *argument);
static bool is_cancel_of_statement(const ErrorData *error);
static ErrorData *copy_of(const ErrorData *error, MemoryContext context);
static void put_first(RaisedErrors *errors, int at, ErrorData *origin);
static int raised_find(const RaisedErrors *errors, const ErrorData *error,
					   bool (*is_it)(const ErrorData *error, const Raised *raised));
static bool passes_on(const ErrorData *error, const Raised *raised);
static bool adds_exception(const char *message, const char *raised);
static bool adds_line(const char *message, const char *raised);
static const char *skip_line(const char *text);
static bool is_made_by_call(const ErrorData *error);
static bool is_same(const ErrorData *error, const Raised *raised);
static void fill(const ErrorData *error, char **field, const char *value);

/*
 * Begins to note what is raised, before code is called.  An error ends it as well.
 */
void
aion_raised_begin(RaisedErrors *errors, MemoryContext context, void *turn)
{
	memset(errors, 0, sizeof(RaisedErrors));
	errors->context = context;
	errors->turn = turn;
	errors->callback = (ErrorContextCallback){error_context_stack, raised_note, errors};
	error_context_stack = &errors->callback;
}

void
aion_raised_end(const RaisedErrors *errors)
{
	error_context_stack = errors->callback.previous;
}

/*
 * Restores in an error that has left the code what it had when it was raised, except for the
 * message, which may say where in the code that was.  Returns the error as it was raised.
 */
const ErrorData *
aion_raised_settle(const RaisedErrors *errors, ErrorData *error)
{
	const Raised *raised;
	const ErrorData *origin;
	int at = raised_find(errors, error, is_same);

	if (at == errors->count)
		return error;
	raised = &errors->raised[at];
	if (raised->sqlerrcode == ERRCODE_EXTERNAL_ROUTINE_EXCEPTION &&
		adds_line(error->message, _("out of memory")))
		raised->origin->sqlerrcode = ERRCODE_OUT_OF_MEMORY;
	origin = raised->origin;
	error->sqlerrcode = origin->sqlerrcode;
	if (origin->message_id != NULL)
		error->message_id = MemoryContextStrdup(error->assoc_context, origin->message_id);
	fill(error, &error->detail, origin->detail);
	fill(error, &error->hint, origin->hint);
	fill(error, &error->schema_name, origin->schema_name);
	fill(error, &error->table_name, origin->table_name);
	fill(error, &error->column_name, origin->column_name);
	fill(error, &error->datatype_name, origin->datatype_name);
	fill(error, &error->constraint_name, origin->constraint_name);
	return origin;
}

/*
 * Notes an error that is about to be raised in the code.  What activities raise is not noted for a
 * turn, because a replay does not execute them, except for a cancel of the statement.  Nor are
 * messages, which a replay may leave out; nor a lack of memory, since there is none to note it:
 * that is recognised by its message.
 */
static void
raised_note(void *argument)
{
	RaisedErrors *errors = argument;
	MemoryContext caller;
	ErrorData *error;
	ErrorData *origin;
	bool ignored = errors->turn != NULL &&
				   (aion_guard_turn() != errors->turn || aion_guard_frame() != FRAME_BODY);
	int at;

	if (geterrcode() == ERRCODE_OUT_OF_MEMORY ||
		(ignored && geterrcode() != ERRCODE_QUERY_CANCELED))
		return;
	caller = MemoryContextSwitchTo(errors->context);
	error = CopyErrorData(); /* the only way to learn the level */
	MemoryContextSwitchTo(caller);
	if (error->elevel != ERROR || error->message == NULL)
	{
		FreeErrorData(error);
		return;
	}
	if (errors->cancel == NULL && is_cancel_of_statement(error))
		errors->cancel = copy_of(error, errors->context);
	if (ignored)
	{
		FreeErrorData(error);
		return;
	}
	errors->sqlerrcode = error->sqlerrcode;
	at = raised_find(errors, error, passes_on);
	if (at < errors->count)
		origin = errors->raised[at].origin;
	else
	{
		origin = error;
		at = raised_find(errors, error, is_same);
	}
	put_first(errors, at, origin);
	errors->raised[0].sqlerrcode = error->sqlerrcode;
	errors->raised[0].message = MemoryContextStrdup(errors->context, error->message);
	if (origin != error)
		FreeErrorData(error);
	else if (is_made_by_call(error))
		error->sqlerrcode = ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
}

/*
 * Tells whether an error is the server's answer to a cancel, and neither one that code has made nor
 * the end of the code's time.
 */
static bool
is_cancel_of_statement(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED && error->funcname != NULL &&
		   strcmp(error->funcname, "ProcessInterrupts") == 0 && !aion_stopwatch_has_struck();
}

static ErrorData *
copy_of(const ErrorData *error, MemoryContext context)
{
	ErrorData *copy = MemoryContextAllocZero(context, sizeof(ErrorData));

	*copy = *error;
	copy->message = MemoryContextStrdup(context, error->message);
	copy->detail = copy->detail_log = copy->hint = copy->context = copy->backtrace = NULL;
	copy->schema_name = copy->table_name = copy->column_name = NULL;
	copy->datatype_name = copy->constraint_name = copy->internalquery = NULL;
	copy->assoc_context = context;
	return copy;
}

/*
 * Makes room for an error before all others, in place of one that is the same or of the oldest.
 */
static void
put_first(RaisedErrors *errors, int at, ErrorData *origin)
{
	Raised *raised = errors->raised;

	if (at == errors->count && at < MAX_RAISED)
		errors->count++;
	else
	{
		at = Min(at, MAX_RAISED - 1);
		pfree(raised[at].message);
		if (raised[at].origin != origin)
			FreeErrorData(raised[at].origin);
	}
	memmove(&raised[1], &raised[0], at * sizeof(Raised));
	raised[0].origin = origin;
}

/*
 * Returns the position of the latest noted error that an error passes on, or equals; their count if
 * there is none.
 */
static int
raised_find(const RaisedErrors *errors, const ErrorData *error,
			bool (*is_it)(const ErrorData *error, const Raised *raised))
{
	int at = 0;

	while (at < errors->count && !is_it(error, &errors->raised[at]))
		at++;
	return at;
}

static bool
passes_on(const ErrorData *error, const Raised *raised)
{
	return (error->sqlerrcode == raised->sqlerrcode &&
			adds_exception(error->message, raised->message)) ||
		   (error->sqlerrcode == ERRCODE_EXTERNAL_ROUTINE_EXCEPTION &&
			adds_line(error->message, raised->message));
}

/*
 * Tells whether a message is another one, preceded by the name of an exception of PL/Python.
 */
static bool
adds_exception(const char *message, const char *raised)
{
	const char *end = strstr(message, ": ");

	return end != NULL &&
		   (strncmp(message, "plpy.", 5) == 0 || strncmp(message, "spiexceptions.", 14) == 0) &&
		   strcmp(end + 2, raised) == 0;
}

/*
 * Tells whether a message is another one, with or without line numbers of PL/Perl after it.
 */
static bool
adds_line(const char *message, const char *raised)
{
	size_t length = strlen(raised);
	const char *rest;

	while (length > 0 && strchr(SPACE, raised[length - 1]) != NULL)
		length--;
	if (strncmp(message, raised, length) != 0)
		return false;
	rest = message + length;
	while (rest != NULL && rest[strspn(rest, SPACE)] != '\0')
		rest = skip_line(rest + strspn(rest, SPACE));
	return rest != NULL;
}

/*
 * Returns what follows "at line 1.", "at file line 1." or one of these after "...propagated"; NULL:
 * it is none of them.
 */
static const char *
skip_line(const char *text)
{
	static const char propagated[] = "...propagated ";

	if (strncmp(text, propagated, sizeof(propagated) - 1) == 0)
		text += sizeof(propagated) - 1;
	if (strncmp(text, "at ", 3) != 0)
		return NULL;
	text += 3;
	if (strncmp(text, "line ", 5) != 0)
	{
		text += strcspn(text, SPACE);
		if (strncmp(text, " line ", 6) != 0)
			return NULL;
		text++;
	}
	text += 5;
	text += strspn(text, "0123456789");
	return *text == '.' ? text + 1 : NULL;
}

/*
 * Tells whether code has made an error by plpy.error() or elog(), which report it as an internal
 * one by default.
 */
static bool
is_made_by_call(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_INTERNAL_ERROR && error->domain != NULL &&
		   (strncmp(error->domain, "plpython", 8) == 0 || strncmp(error->domain, "plperl", 6) == 0);
}

/*
 * Tells whether an error that has left the code is one that was noted.
 */
static bool
is_same(const ErrorData *error, const Raised *raised)
{
	return error->sqlerrcode == raised->sqlerrcode && error->message != NULL &&
		   strcmp(error->message, raised->message) == 0;
}

static void
fill(const ErrorData *error, char **field, const char *value)
{
	if (*field == NULL && value != NULL)
		*field = MemoryContextStrdup(error->assoc_context, value);
}
