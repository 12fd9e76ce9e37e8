/*
 * query.c
 *		What workflow code publishes: values, and functions that answer queries.
 *
 * Publishing is no event.  It follows from replay: a turn that succeeds has reached at least the
 * point that any turn before it had reached, so the last value that it gives each name is what the
 * run answers from its commit on.  A turn that ends with a difference, takes too long or meets a
 * failure of the infrastructure may have stopped short of that point, and publishes nothing.
 *
 * A function given to on_query() decides what later queries answer, so the first use of it under a
 * name is a command: its signature and digest are in history, and code that has changed when it is
 * replayed is a difference.  Queries execute a copy of it.  States are no events, like values.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "code/code.h"
#include "primitives/primitives.h"
#include "primitives/query.h"
#include "shared/wakeup.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"
#include "turn/turn.h"

#define MAX_NAMES 1000	  /* of one run */
#define MAX_FUNCTIONS 100 /* that a backend reads before it forgets them */

/* What is published under a name. */
typedef struct PublishedName
{
	char *name;
	Jsonb *value; /* the answer, or the state of the function; NULL is SQL NULL */
	bool is_handled;
	Oid function;	 /* given last to on_query() under this name */
	char *signature; /* NULL: none was */
	char *digest;
	bool is_progress; /* progress of the engine's own, so far */
	bool is_over;	  /* and it has ended: written only where it was written before */
} PublishedName;

/* What a turn has published so far. */
typedef struct Published
{
	MemoryContext context;
	List *publications;
} Published;

enum
{
	ROW_NAME = 1,
	ROW_VALUE,
	ROW_HANDLER,
	ROW_DIGEST
};

static Statement select_published = STATEMENT(
	SELECT, "SELECT name, value, handler, digest FROM aion._published WHERE run_key = $1", INT8OID);
static Statement update_value =
	STATEMENT(UPDATE, "UPDATE aion._published SET value = $3 WHERE run_key = $1 AND name = $2",
			  INT8OID, TEXTOID, JSONBOID);
static Statement replace_published = STATEMENT(
	INSERT,
	"INSERT INTO aion._published (run_key, owner_key, name, value, handler, code, copied, digest)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (run_key, name) DO UPDATE SET"
	" value = excluded.value, handler = excluded.handler, code = excluded.code,"
	" copied = excluded.copied, digest = excluded.digest",
	INT8OID, INT4OID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, BOOLOID, TEXTOID);
static Statement copy_published = STATEMENT(
	INSERT,
	"INSERT INTO aion._published (run_key, owner_key, name, value, handler, code, copied, digest)"
	" SELECT $2, $3, name, value, handler, code, copied, digest FROM aion._published"
	" WHERE run_key = $1",
	INT8OID, INT8OID, INT4OID);
static Statement delete_published =
	STATEMENT(DELETE, "DELETE FROM aion._published WHERE run_key = $1", INT8OID);

static Event *record_handler(Run *run, Command *command);
static void query_apply(Run *run, Turn *turn);
static void query_save(Run *run);
static void query_carry_over(Run *run, Run *successor);
static Difference *query_compare(Run *run, Turn *turn);
static void query_forget(int64 run_key);

static const CommandClass on_query_class = {.kind = COMMAND_ON_QUERY, .record = record_handler};
static const CommandClass *const classes[] = {&on_query_class, NULL};
static int slot; /* Published: by the turns of this share */
const Primitive aion_query_primitive = {.name = "query",
										.classes = classes,
										.slot = &slot,
										.apply = query_apply,
										.save = query_save,
										.carry_over = query_carry_over,
										.compare = query_compare,
										.purge = query_forget};
static List *functions = NIL; /* QueryFunction */
static MemoryContext functions_context = NULL;
static int functions_read = 0;

static PublishedName *publication_of(Turn *turn, const char *name);
static void set_value(Turn *turn, PublishedName *publication, const Jsonb *value);
static void give_function(Turn *turn, PublishedName *publication, Oid function);
static const PublishedName *publication_with(const Published *published, Oid function);
static void check_function(Oid function);
static int64 row_of(Rows rows, const PublishedName *publication);
static bool has_same_code(Rows rows, uint64 row, const PublishedName *publication);
static bool has_same_value(Rows rows, uint64 row, const PublishedName *publication);
static void write_row(const Run *run, const PublishedName *publication);
static Difference *difference_of(const PublishedName *publication, const Jsonb *value);

/*
 * Describes a function as it is now: valid until the next call.
 */
const QueryFunction *
aion_query_function(Oid function)
{
	MemoryContext caller;
	QueryFunction *known;
	ListCell *cell;
	char *digest;

	foreach (cell, functions)
	{
		known = lfirst(cell);
		if (known->handler->function != function)
			continue;
		if (aion_handler_is_current(known->handler) &&
			strcmp(known->signature, aion_handler_signature(function)) == 0)
			return known;
		functions = foreach_delete_current(functions, cell);
	}
	if (functions_context == NULL)
		functions_context =
			AllocSetContextCreate(TopMemoryContext, "aion query functions", ALLOCSET_SMALL_SIZES);
	if (++functions_read % MAX_FUNCTIONS == 0)
	{
		functions = NIL;
		MemoryContextReset(functions_context);
	}
	digest = aion_code_digest(function);
	caller = MemoryContextSwitchTo(functions_context);
	known = palloc(sizeof(QueryFunction));
	known->handler = aion_handler_read(function, "query handler");
	known->signature = aion_handler_signature(function);
	known->digest = pstrdup(digest);
	functions = lappend(functions, known);
	MemoryContextSwitchTo(caller);
	return known;
}

/*
 * Publishes the progress of what the engine does for the code.  What is over at once is not
 * written, and nothing is refused: the code has not asked for it.
 */
void
aion_query_progress(Turn *turn, const char *name, const Jsonb *value, bool is_over)
{
	PublishedName *publication;

	if (turn->published != NULL && list_length(turn->published->publications) >= MAX_NAMES)
		return;
	publication = publication_of(turn, name);
	publication->is_handled = false;
	publication->is_progress = true;
	publication->is_over = is_over;
	set_value(turn, publication, value);
}

/*
 * Lets a successor answer as the run that it continues did; with authority.
 */
static void
query_carry_over(Run *run, Run *successor)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key), aion_arg_int64(successor->run_key),
							aion_arg_int32(successor->owner_key)};

	(void) aion_statement_execute(&copy_published, args);
}

/*
 * Appends which function answers a query.
 */
static Event *
record_handler(Run *run, Command *command)
{
	return aion_recorder_append(run->history, EVENT_COMMAND_ANSWERED, command->fingerprint.name,
								aion_event_command_answered(&command->fingerprint, NULL, NULL));
}

/*
 * Takes over what a turn has published, in place of what earlier turns had.
 */
static void
query_apply(Run *run, Turn *turn)
{
	Published *earlier = run->slots[slot];

	if (turn->published == NULL)
		return;
	if (earlier != NULL)
		MemoryContextDelete(earlier->context);
	run->slots[slot] = turn->published;
	MemoryContextSetParent(turn->published->context, run->context);
}

/*
 * Writes what has changed.
 */
static void
query_save(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	const Published *published = run->slots[slot];
	bool is_new = false;
	Rows rows;
	ListCell *cell;

	if (published == NULL)
		return;
	rows = aion_statement_execute(&select_published, args);
	foreach (cell, published->publications)
	{
		const PublishedName *publication = lfirst(cell);
		int64 row = row_of(rows, publication);

		if (row < 0 && publication->is_over)
			continue;
		if (row < 0 || !has_same_code(rows, row, publication))
			write_row(run, publication);
		else if (!has_same_value(rows, row, publication))
		{
			NullableDatum change[] = {aion_arg_int64(run->run_key),
									  aion_arg_text(publication->name),
									  aion_arg_jsonb(publication->value)};

			(void) aion_statement_execute(&update_value, change);
		}
		is_new = is_new || row < 0;
	}
	if (is_new)
		aion_wakeup_published(run->run_key);
}

/*
 * Compares what a replay publishes with what is written.
 */
static Difference *
query_compare(Run *run, Turn *turn)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key)};
	Rows rows;
	ListCell *cell;

	if (turn->published == NULL)
		return NULL;
	rows = aion_statement_execute(&select_published, args);
	foreach (cell, turn->published->publications)
	{
		const PublishedName *publication = lfirst(cell);
		int64 row = row_of(rows, publication);

		if (publication->is_progress)
			continue;
		if (row < 0)
			return difference_of(publication, NULL);
		if (!has_same_value(rows, row, publication) || !has_same_code(rows, row, publication))
			return difference_of(publication, aion_row_jsonb(rows, row, ROW_VALUE));
	}
	return NULL;
}

static void
query_forget(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_published, args);
}

/*
 * Finds what this turn has published under a name, or makes room for it.
 */
static PublishedName *
publication_of(Turn *turn, const char *name)
{
	MemoryContext caller;
	PublishedName *publication;
	ListCell *cell;

	if (turn->published == NULL)
	{
		MemoryContext context =
			AllocSetContextCreate(turn->context, "aion published", ALLOCSET_SMALL_SIZES);

		turn->published = MemoryContextAllocZero(context, sizeof(Published));
		turn->published->context = context;
	}
	foreach (cell, turn->published->publications)
	{
		publication = lfirst(cell);
		if (strcmp(publication->name, name) == 0)
			return publication;
	}
	if (list_length(turn->published->publications) >= MAX_NAMES)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a workflow cannot publish more than %d names", MAX_NAMES),
						errhint("Publish an object with many members.")));
	caller = MemoryContextSwitchTo(turn->published->context);
	publication = palloc0(sizeof(PublishedName));
	publication->name = pstrdup(name);
	turn->published->publications = lappend(turn->published->publications, publication);
	MemoryContextSwitchTo(caller);
	return publication;
}

static void
set_value(Turn *turn, PublishedName *publication, const Jsonb *value)
{
	MemoryContext caller = MemoryContextSwitchTo(turn->published->context);

	if (publication->value != NULL)
		pfree(publication->value);
	publication->value = value != NULL ? DatumGetJsonbPCopy(JsonbPGetDatum(value)) : NULL;
	MemoryContextSwitchTo(caller);
}

/*
 * Lets a function answer under a name, which is a command unless it does so already.  A function
 * that was given before in this turn is taken to be what it was then.
 */
static void
give_function(Turn *turn, PublishedName *publication, Oid function)
{
	const PublishedName *before = publication_with(turn->published, function);
	MemoryContext caller;
	JsonObject input;

	publication->is_handled = true;
	if (publication->signature != NULL && publication->function == function)
		return;
	caller = MemoryContextSwitchTo(turn->published->context);
	if (before != NULL)
	{
		publication->signature = before->signature;
		publication->digest = before->digest;
	}
	else
	{
		const QueryFunction *now = aion_query_function(function);

		publication->signature = pstrdup(now->signature);
		publication->digest = pstrdup(now->digest);
	}
	publication->function = function;
	MemoryContextSwitchTo(caller);
	aion_object_begin(&input);
	aion_object_text(&input, "handler", publication->signature);
	aion_object_text(&input, "digest", publication->digest);
	(void) aion_turn_command(turn, &on_query_class, publication->name, aion_object_end(&input),
							 NULL);
}

static const PublishedName *
publication_with(const Published *published, Oid function)
{
	ListCell *cell;

	foreach (cell, published->publications)
	{
		const PublishedName *publication = lfirst(cell);

		if (publication->signature != NULL && publication->function == function)
			return publication;
	}
	return NULL;
}

/*
 * Refuses a function that cannot answer a query.
 */
static void
check_function(Oid function)
{
	const QueryFunction *found;
	const Handler *handler;

	if (!OidIsValid(function))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null")));
	aion_handler_check_exists(function);
	found = aion_query_function(function);
	handler = found->handler;
	if (get_func_prokind(function) != PROKIND_FUNCTION || handler->parameter_count != 2 ||
		handler->parameters[0].type != JSONBOID || handler->parameters[1].type != JSONBOID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT),
				 errmsg("%s cannot answer a query", found->signature),
				 errdetail("A query handler is a function of two parameters of type jsonb: its "
						   "state, and the arguments of the query.")));
	if (handler->security_definer)
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
						errmsg("function %s is SECURITY DEFINER", found->signature),
						errdetail("Query handlers run with the rights of the run's owner."),
						errhint("Use ALTER FUNCTION ... SECURITY INVOKER.")));
	if (IsPolymorphicType(handler->result_type) || handler->result_type == INTERNALOID)
		ereport(ERROR, (errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
						errmsg("function %s cannot return type %s here", found->signature,
							   format_type_be(handler->result_type))));
	aion_handler_check_call(handler);
}

/*
 * Returns which row is that of a name, -1: none.
 */
static int64
row_of(Rows rows, const PublishedName *publication)
{
	for (uint64 row = 0; row < rows.count; row++)
	{
		if (strcmp(aion_row_text(rows, row, ROW_NAME), publication->name) == 0)
			return (int64) row;
	}
	return -1;
}

static bool
has_same_code(Rows rows, uint64 row, const PublishedName *publication)
{
	char *handler = aion_row_text(rows, row, ROW_HANDLER);

	if (!publication->is_handled || handler == NULL)
		return !publication->is_handled && handler == NULL;
	return strcmp(handler, publication->signature) == 0 &&
		   strcmp(aion_row_text(rows, row, ROW_DIGEST), publication->digest) == 0;
}

static bool
has_same_value(Rows rows, uint64 row, const PublishedName *publication)
{
	return aion_json_equal(aion_row_jsonb(rows, row, ROW_VALUE), publication->value);
}

/*
 * Writes a name that is new, or answered in another way than before.
 */
static void
write_row(const Run *run, const PublishedName *publication)
{
	char *code = NULL;
	bool copied = false;

	if (publication->is_handled)
	{
		Oid function = aion_handler_resolve(publication->signature);

		if (!OidIsValid(function) || strcmp(aion_code_digest(function), publication->digest) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("function %s was changed concurrently", publication->signature)));
		copied = aion_code_is_copyable(function);
		code = copied ? aion_code_copy(function, publication->digest) : publication->signature;
	}
	{
		NullableDatum row[] = {
			aion_arg_int64(run->run_key),
			aion_arg_int32(run->owner_key),
			aion_arg_text(publication->name),
			aion_arg_jsonb(publication->value),
			aion_arg_text(publication->is_handled ? publication->signature : NULL),
			aion_arg_text(code),
			publication->is_handled ? aion_arg_bool(copied) : aion_arg_null(),
			aion_arg_text(publication->is_handled ? publication->digest : NULL)};

		(void) aion_statement_execute(&replace_published, row);
	}
}

static Difference *
difference_of(const PublishedName *publication, const Jsonb *value)
{
	Difference *difference = palloc0(sizeof(Difference));

	difference->kind = "query";
	difference->expected = psprintf("publish \"%s\" %s", publication->name,
									value != NULL ? aion_json_abbreviated(value) : "NULL");
	difference->found =
		psprintf("publish \"%s\" %s", publication->name,
				 publication->value != NULL ? aion_json_abbreviated(publication->value) : "NULL");
	return difference;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_publish);
PG_FUNCTION_INFO_V1(aion_on_query);

/*
 * publish(name, value)
 */
Datum
aion_publish(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.publish");
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Jsonb *value = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	PublishedName *publication;

	aion_name_check(name, AION_NAME_MAX, "query name");
	aion_payload_check(value, "published value");
	publication = publication_of(turn, name);
	publication->is_handled = publication->is_progress = publication->is_over = false;
	set_value(turn, publication, value);
	PG_RETURN_VOID();
}

/*
 * on_query(name, handler, state)
 */
Datum
aion_on_query(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.on_query");
	char *name = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid function = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	Jsonb *state = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	PublishedName *publication;

	aion_name_check(name, AION_NAME_MAX, "query name");
	aion_payload_check(state, "state");
	check_function(function);
	publication = publication_of(turn, name);
	publication->is_progress = publication->is_over = false;
	give_function(turn, publication, function);
	set_value(turn, publication, state);
	PG_RETURN_VOID();
}
