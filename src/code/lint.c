/*
 * lint.c
 *		What can be said of workflow code without executing it.
 *
 * The source is parsed, and names are looked up as they would be when it is executed.  No code of
 * users is executed, so any role may look at any function; its text can be read by all anyway.
 * plpgsql_check, where it is installed, executes what the planner simplifies.  So it looks only at
 * functions of the role that asks.
 */
#include "postgres.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/proclang.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "code/guard.h"
#include "code/handler.h"
#include "code/lint.h"
#include "guc.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/subtransaction.h"

#define ALLOW "aion:allow"
#define FINDINGS_MAX 1000

/* What differs each time in other languages.  A word counts where no letter goes before it. */
typedef struct Word
{
	const char *language; /* its name begins with this */
	const char *word;
	const char *hint;
} Word;

static const Word words[] = {{"plperl", "gmtime(", "Use aion.now()."},
							 {"plperl", "localtime(", "Use aion.now()."},
							 {"plperl", "rand(", "Use aion.random()."},
							 {"plperl", "time(", "Use aion.now()."},
							 {"plpython", "date.today(", "Use aion.now()."},
							 {"plpython", "datetime.now(", "Use aion.now()."},
							 {"plpython", "datetime.utcnow(", "Use aion.now()."},
							 {"plpython", "import random", "Use aion.random()."},
							 {"plpython", "import secrets", "Use aion.random()."},
							 {"plpython", "os.environ", "Pass the value in the input."},
							 {"plpython", "random.", "Use aion.random()."},
							 {"plpython", "time.monotonic(", "Use aion.now()."},
							 {"plpython", "time.time(", "Use aion.now()."},
							 {"plpython", "uuid.uuid1(", "Use aion.uuid()."},
							 {"plpython", "uuid.uuid4(", "Use aion.uuid()."},
							 {"pltcl", "[clock ", "Use aion.now()."},
							 {"pltcl", "rand()", "Use aion.random()."}};

static List *lint(Oid function, LintSource *source);
static void lint_by_language(Lint *lint, HeapTuple tuple, const char *language);
static void lint_sql(Lint *lint, HeapTuple tuple);
static void lint_words(Lint *lint, const char *language);
static bool has_word(const char *line, size_t length, const char *word);
static int enter_path(HeapTuple tuple);
static const char *setting_of(HeapTuple tuple, const char *name);
static void source_of(HeapTuple tuple, LintSource *source);
static void add_checks(Lint *lint, Oid function);
static void execute_checks(Lint *lint, Datum *arguments, MemoryContext caller);
static void add_check(Lint *lint, HeapTuple row, TupleDesc columns);
static bool is_allowed(const LintSource *source, int line, const char *code);
static bool allows(const char *line, const char *code);
static bool names_code(const char *list, const char *code);
static text *text_of_line(const char *line);
static int compare_findings(const ListCell *a, const ListCell *b);
static int determinism_of(Oid function);
static const char *severity_name(LintSeverity severity);

/*
 * Looks at a function and at those that it calls; returns the findings by line.
 */
static List *
lint(Oid function, LintSource *source)
{
	Lint lint = {.line = 1};
	HASHCTL names = {.keysize = NAMEDATALEN, .entrysize = NAMEDATALEN};

	lint.names = hash_create("aion lint", 64, &names, HASH_ELEM | HASH_STRINGS);
	aion_lint_begin(&lint, function);
	aion_lint_function(&lint, function);
	add_checks(&lint, function);
	list_sort(lint.findings, compare_findings);
	hash_destroy(lint.names);
	*source = lint.source;
	return lint.findings;
}

/*
 * Looks at one function, under the search path that it has.
 */
void
aion_lint_function(Lint *lint, Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc form;
	int level;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_proc) GETSTRUCT(tuple);
	source_of(tuple, &lint->source);
	level = enter_path(tuple);
	if (form->prorettype != TRIGGEROID && form->prorettype != EVENT_TRIGGEROID)
		lint_by_language(lint, tuple, get_language_name(form->prolang, true));
	AtEOXact_GUC(false, level);
	ReleaseSysCache(tuple);
}

static void
lint_by_language(Lint *lint, HeapTuple tuple, const char *language)
{
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);

	if (language == NULL || form->prolang == ClanguageId || form->prolang == INTERNALlanguageId)
		lint->calls |= CALLS_UNKNOWN;
	else if (form->prolang == SQLlanguageId)
		lint_sql(lint, tuple);
	else if (strcmp(language, "plpgsql") == 0)
		aion_lint_plpgsql(lint, form->oid);
	else
	{
		lint->calls |= CALLS_UNKNOWN;
		lint_words(lint, language);
		lint->line = 1;
		aion_lint_add(lint, LINT_NOTICE, "opaque_language",
					  "Execute it in a test: aion_test.begin() lets each turn be executed twice.",
					  psprintf("code in language %s is only searched for some words", language));
	}
}

static void
lint_sql(Lint *lint, HeapTuple tuple)
{
	bool isnull;
	Datum body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);

	lint->line = 1;
	if (isnull)
		aion_lint_text(lint, lint->source.text, RAW_PARSE_DEFAULT);
	else
		aion_lint_queries(lint, stringToNode(TextDatumGetCString(body)));
}

static void
lint_words(Lint *lint, const char *language)
{
	for (int number = 1; number <= lint->source.count; number++)
	{
		const char *line = lint->source.lines[number - 1];

		CHECK_FOR_INTERRUPTS();
		if (line[strspn(line, " \t")] == '#')
			continue;
		lint->line = number;
		for (size_t i = 0; i < lengthof(words); i++)
		{
			if (strncmp(language, words[i].language, strlen(words[i].language)) == 0 &&
				has_word(line, strcspn(line, "\n"), words[i].word))
				aion_lint_add(lint, LINT_WARNING, "nondeterministic", words[i].hint,
							  psprintf("what \"%s\" gives differs from one execution to the next",
									   words[i].word));
		}
	}
}

static bool
has_word(const char *line, size_t length, const char *word)
{
	size_t wanted = strlen(word);

	for (size_t i = 0; i + wanted <= length; i++)
	{
		if (strncmp(line + i, word, wanted) == 0 &&
			(i == 0 || (!isalnum((unsigned char) line[i - 1]) && line[i - 1] != '_' &&
						line[i - 1] != '.' && line[i - 1] != '$')))
			return true;
	}
	return false;
}

/*
 * Sets the search path that a function has by itself, until the level that is returned ends.
 */
static int
enter_path(HeapTuple tuple)
{
	int level = NewGUCNestLevel();
	const char *path = setting_of(tuple, "search_path");

	if (path != NULL)
		(void) set_config_option("search_path", path, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	return level;
}

/*
 * Returns the value that the SET clause of a function gives to a setting; NULL if it has none.
 */
static const char *
setting_of(HeapTuple tuple, const char *name)
{
	bool isnull;
	Datum settings = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	size_t length = strlen(name);
	Datum *elements;
	int count = 0;

	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(settings), TEXTOID, -1, false, TYPALIGN_INT, &elements,
						  NULL, &count);
	for (int i = 0; i < count; i++)
	{
		char *setting = TextDatumGetCString(elements[i]);

		if (strncmp(setting, name, length) == 0 && setting[length] == '=')
			return setting + length + 1;
	}
	return NULL;
}

static void
source_of(HeapTuple tuple, LintSource *source)
{
	bool isnull;
	Datum body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	int room = 1;

	source->text = isnull ? "" : TextDatumGetCString(body);
	source->count = 0;
	for (const char *c = source->text; *c != '\0'; c++)
		room += *c == '\n';
	source->lines = palloc(room * sizeof(char *));
	for (const char *line = source->text; line != NULL; line = strchr(line, '\n'))
	{
		line += source->count > 0;
		source->lines[source->count++] = line;
	}
}

/*
 * Adds what plpgsql_check finds, where it is installed.  What it takes for certain may come into
 * being until the code is executed, so nothing of it is an error here.  It executes what the
 * planner does, so it looks only at functions of the role that asks, and leaves nothing.
 */
static void
add_checks(Lint *lint, Oid function)
{
	HeapTuple tuple = aion_handler_function(function);
	Oid owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	const char *path = setting_of(tuple, "search_path");
	MemoryContext caller = CurrentMemoryContext;
	Datum arguments[2];
	Subtransaction sub;
	GuardState outside;

	arguments[0] = ObjectIdGetDatum(function);
	arguments[1] =
		CStringGetTextDatum(path != NULL ? path : GetConfigOption("search_path", false, false));
	ReleaseSysCache(tuple);
	if (owner != GetUserId() || !OidIsValid(get_extension_oid("plpgsql_check", true)))
		return;
	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		aion_guard_become(owner, &outside);
		execute_checks(lint, arguments, caller);
		aion_guard_leave(&outside);
		aion_subtransaction_undo(&sub);
	}
	PG_CATCH();
	{
		ErrorData *error = aion_subtransaction_abort(&sub);

		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		lint->line = 1;
		aion_lint_add(lint, LINT_NOTICE, "plpgsql_check", NULL,
					  psprintf("plpgsql_check has failed: %s", error->message));
	}
	PG_END_TRY();
}

static void
execute_checks(Lint *lint, Datum *arguments, MemoryContext caller)
{
	Oid types[] = {REGPROCEDUREOID, TEXTOID};

	SPI_connect();
	if (SPI_execute_with_args("SELECT * FROM aion._plpgsql_check($1, $2)", 2, types, arguments,
							  NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute plpgsql_check");
	MemoryContextSwitchTo(caller);
	for (uint64 row = 0; row < SPI_processed; row++)
		add_check(lint, SPI_tuptable->vals[row], SPI_tuptable->tupdesc);
	SPI_finish();
}

static void
add_check(Lint *lint, HeapTuple row, TupleDesc columns)
{
	bool isnull;
	Datum line = SPI_getbinval(row, columns, 1, &isnull);
	char *level = SPI_getvalue(row, columns, 2);
	char *hint = SPI_getvalue(row, columns, 4);

	lint->line = isnull ? 1 : DatumGetInt32(line);
	aion_lint_add(lint, strcmp(level, "error") == 0 ? LINT_WARNING : LINT_NOTICE, "plpgsql_check",
				  hint, SPI_getvalue(row, columns, 3));
}

/*
 * Notes something about what is looked at.
 */
void
aion_lint_add(Lint *lint, LintSeverity severity, const char *code, const char *hint, char *message)
{
	LintFinding finding = {
		.severity = severity, .code = code, .message = message, .hint = hint, .called = NULL};

	aion_lint_note(lint, &finding);
}

/*
 * Notes what was found here, or in a function that is called here, unless a comment allows it.
 */
void
aion_lint_note(Lint *lint, const LintFinding *found)
{
	int line = lint->line + lint->offset;
	LintFinding *finding;
	ListCell *cell;

	CHECK_FOR_INTERRUPTS();
	if (list_length(lint->findings) == FINDINGS_MAX ||
		is_allowed(&lint->source, lint->line, found->code) ||
		(lint->offset > 0 && is_allowed(&lint->source, line, found->code)))
		return;
	foreach (cell, lint->findings)
	{
		finding = lfirst(cell);
		if (finding->line == line && strcmp(finding->message, found->message) == 0)
			return;
	}
	finding = palloc(sizeof(LintFinding));
	*finding = *found;
	finding->line = line;
	lint->findings = lappend(lint->findings, finding);
}

/*
 * Tells whether a comment allows something in a line: in that line, or alone in the one before.
 */
static bool
is_allowed(const LintSource *source, int line, const char *code)
{
	const char *before;

	if (line < 1 || line > source->count)
		return false;
	before = line > 1 ? source->lines[line - 2] : "";
	before += strspn(before, " \t");
	return allows(source->lines[line - 1], code) ||
		   ((strncmp(before, "--", 2) == 0 || strncmp(before, "/*", 2) == 0 || *before == '#') &&
			allows(before, code));
}

/*
 * Tells whether a line has a comment that begins with what allows something, and names that.
 */
static bool
allows(const char *line, const char *code)
{
	size_t length = strcspn(line, "\n");
	const char *end = line + length;

	for (const char *c = line; c + sizeof(ALLOW) - 1 <= end; c++)
	{
		const char *before = c;

		if (strncmp(c, ALLOW, sizeof(ALLOW) - 1) != 0)
			continue;
		while (before > line && (before[-1] == ' ' || before[-1] == '\t'))
			before--;
		if (before - line >= 1 &&
			(before[-1] == '#' || (before - line >= 2 && (strncmp(before - 2, "--", 2) == 0 ||
														  strncmp(before - 2, "/*", 2) == 0))) &&
			names_code(c + sizeof(ALLOW) - 1, code))
			return true;
	}
	return false;
}

/*
 * Tells whether a list of words, which ends where there is something else, has a code.
 */
static bool
names_code(const char *list, const char *code)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";

	for (;;)
	{
		size_t length;

		list += strspn(list, " \t,");
		length = strspn(list, letters);
		if (length == 0)
			return false;
		if (length == strlen(code) && strncmp(list, code, length) == 0)
			return true;
		list += length;
	}
}

/*
 * Returns a line without the space around it.
 */
static text *
text_of_line(const char *line)
{
	size_t length = strcspn(line, "\n");

	while (length > 0 && isspace((unsigned char) line[length - 1]))
		length--;
	while (length > 0 && isspace((unsigned char) *line))
	{
		line++;
		length--;
	}
	return cstring_to_text_with_len(line, length);
}

static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const LintFinding *one = lfirst(a);
	const LintFinding *other = lfirst(b);
	int order = one->line - other->line;

	if (order == 0)
		order = strcmp(one->code, other->code);
	return order != 0 ? order : strcmp(one->message, other->message);
}

static const char *
severity_name(LintSeverity severity)
{
	return severity == LINT_ERROR ? "error" : severity == LINT_WARNING ? "warning" : "notice";
}

/*
 * Says at the registration of code what was found: warnings, and an error where it may be refused
 * because it cannot work.
 */
void
aion_lint_report(Oid function, bool may_refuse)
{
	int determinism = determinism_of(function);
	LintSource source;
	List *findings;
	StringInfoData wrong;
	const char *hint = NULL;
	ListCell *cell;

	if (determinism == DETERMINISM_OFF)
		return;
	findings = lint(function, &source);
	initStringInfo(&wrong);
	foreach (cell, findings)
	{
		const LintFinding *finding = lfirst(cell);

		if (finding->severity == LINT_ERROR && may_refuse && determinism == DETERMINISM_STRICT)
		{
			hint = wrong.len == 0 ? finding->hint
								  : psprintf("SELECT * FROM aion.lint(%s) says what to do instead.",
											 quote_literal_cstr(format_procedure(function)));
			appendStringInfo(&wrong, "%sLine %d: %s.", wrong.len > 0 ? "\n" : "", finding->line,
							 finding->message);
		}
		else if (finding->severity != LINT_NOTICE)
			ereport(WARNING, (errmsg("function %s, line %d: %s", format_procedure(function),
									 finding->line, finding->message),
							  finding->severity == LINT_ERROR && !may_refuse
								  ? errdetail("It is deployed all the same. "
											  "aion.route_workflow() goes back to another version.")
								  : errdetail("A comment \"-- %s %s\" on the line before silences "
											  "this.",
											  ALLOW, finding->code),
							  finding->hint != NULL ? errhint("%s", finding->hint) : 0));
	}
	if (wrong.len > 0)
		ereport(ERROR, (errcode(ERRCODE_NONDETERMINISTIC),
						errmsg("function %s cannot be a workflow", format_procedure(function)),
						errdetail("%s", wrong.data), hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Returns aion.determinism as it is where the function is executed: it may have a value of its own.
 */
static int
determinism_of(Oid function)
{
	HeapTuple tuple = aion_handler_function(function);
	const char *own = setting_of(tuple, "aion.determinism");

	ReleaseSysCache(tuple);
	if (own == NULL)
		return aion_determinism;
	return strcmp(own, "off") == 0	  ? DETERMINISM_OFF
		   : strcmp(own, "warn") == 0 ? DETERMINISM_WARN
									  : DETERMINISM_STRICT;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_lint);

/*
 * lint(handler) -> setof (line, severity, code, message, hint, statement)
 */
Datum
aion_lint(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *cell;
	LintSource source;
	List *findings;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("handler must not be null")));
	(void) aion_extension(); /* refused if it is of another version */
	InitMaterializedSRF(fcinfo, 0);
	findings = lint(PG_GETARG_OID(0), &source);
	foreach (cell, findings)
	{
		const LintFinding *finding = lfirst(cell);
		Datum values[6];
		bool nulls[6] = {0};

		values[0] = Int32GetDatum(finding->line);
		values[1] = CStringGetTextDatum(severity_name(finding->severity));
		values[2] = CStringGetTextDatum(finding->code);
		values[3] = CStringGetTextDatum(finding->message);
		nulls[4] = finding->hint == NULL;
		values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(finding->hint);
		nulls[5] = finding->line > source.count;
		values[5] =
			nulls[5] ? (Datum) 0 : PointerGetDatum(text_of_line(source.lines[finding->line - 1]));
		tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
	}
	PG_RETURN_VOID();
}
