/*
 * deadline.c
 *		Deadlines of sections of workflow code.
 *
 * The deadline is a timer, so history says when the section begins and how the deadline was
 * settled: fired, or cancelled because the code reached the end of the section.  What it means for
 * awaits is in turn/scope.c.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "code/code.h"
#include "code/handler.h"
#include "primitives/primitives.h"
#include "primitives/timer.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "turn/scope.h"

static const CommandClass class = {
	.kind = COMMAND_DEADLINE, .record = aion_timer_record, .cancel = aion_timer_cancel};
static const CommandClass *const classes[] = {&class, NULL};
const Primitive aion_deadline_primitive = {.name = "deadline", .classes = classes};

static Scope *deadline_begin(Turn *turn, const Interval *duration, const char *handler,
							 const char *digest);
static char *name_of(const Turn *turn, const Command *command);
static Command *deadline_find(const Turn *turn, const char *name);
static const Handler *read_handler(Oid function, char **digest);

static Scope *
deadline_begin(Turn *turn, const Interval *duration, const char *handler, const char *digest)
{
	aion_duration_check(duration, true, "duration");
	(void) aion_duration_after(turn->now, duration, "duration");
	return aion_scope_begin(turn,
							aion_timer_start_deadline(turn, &class, duration, handler, digest));
}

/*
 * Returns the text by which code refers to a scope.  It means nothing in any other run.
 */
static char *
name_of(const Turn *turn, const Command *command)
{
	const Origin *origin = aion_turn_origin_at(turn, command->number - 1);
	Datum run_id = UUIDPGetDatum(&turn->run->run_id);

	return psprintf("%s/%s",
					origin != NULL ? origin->run_id
								   : DatumGetCString(DirectFunctionCall1(uuid_out, run_id)),
					command->fingerprint.name);
}

static Command *
deadline_find(const Turn *turn, const char *name)
{
	for (Command *command = turn->latest[COMMAND_DEADLINE]; command != NULL && name != NULL;
		 command = command->previous)
	{
		if (strcmp(name_of(turn, command), name) == 0)
			return command;
	}
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("\"%s\" is not a scope of this run", name != NULL ? name : "NULL"),
					errhint("Pass what aion.begin_timeout() has returned.")));
}

/*
 * Reads a function that workflow code passes to be called, and the digest that distinguishes its
 * definitions.
 */
static const Handler *
read_handler(Oid function, char **digest)
{
	const Handler *handler;
	Authority authority;
	char *signature;

	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null")));
	aion_handler_check_exists(function);
	aion_handler_check(function, InvalidOid);
	signature = aion_handler_signature(function);
	handler = aion_handler_read(function, signature);
	aion_handler_check_call(handler);
	aion_authority_assume(&authority);
	*digest = aion_code_digest(function);
	aion_authority_drop(&authority);
	return handler;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_begin_timeout);
PG_FUNCTION_INFO_V1(aion_end_timeout);
PG_FUNCTION_INFO_V1(aion_with_timeout);

/*
 * begin_timeout(duration) -> scope
 */
Datum
aion_begin_timeout(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.begin_timeout");
	Scope *scope =
		deadline_begin(turn, PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0), NULL, NULL);

	PG_RETURN_TEXT_P(cstring_to_text(name_of(turn, scope->command)));
}

/*
 * end_timeout(scope)
 */
Datum
aion_end_timeout(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.end_timeout");

	aion_scope_end(
		turn, deadline_find(turn, PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0))));
	PG_RETURN_VOID();
}

/*
 * with_timeout(duration, handler, input) -> result
 */
Datum
aion_with_timeout(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.with_timeout");
	char *digest;
	const Handler *handler = read_handler(PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1), &digest);
	Jsonb *input = aion_handler_complete(handler, PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2));
	bool entered;
	Jsonb *result;
	Scope *scope;

	aion_handler_check_input(handler, input);
	turn = aion_turn_current("aion.with_timeout"); /* defaults are code, too */
	scope = deadline_begin(turn, PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0), handler->label,
						   digest);
	PG_TRY();
	{
		result = aion_handler_call(handler, input, &entered);
	}
	PG_CATCH();
	{
		aion_scope_leave(turn, scope);
		PG_RE_THROW();
	}
	PG_END_TRY();
	turn = aion_turn_current("aion.with_timeout"); /* code may have caught the turn's end */
	aion_scope_end(turn, scope->command);
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(result);
}
