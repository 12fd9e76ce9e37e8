/*
 * compiled.c
 *		What PL/pgSQL keeps in a session of the functions that were called in it.
 *
 * PL/pgSQL looks up the types of a function's variables when it compiles the function, under the
 * search_path of that moment, and keeps the result for the session.  So whoever calls a function
 * first chooses types for the next caller, and a type may have code: the check of a domain.  Where
 * a session begins or ends to execute code of another role, what was called before is therefore
 * compiled again.
 *
 * PL/pgSQL tells a plugin which functions it executes.  Where another library is that plugin there
 * is no protection of this kind.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "plpgsql.h"
#include "utils/memutils.h"

#include "engine/compiled.h"
#include "support/pg_compat.h"

typedef struct CalledFunction
{
	PLpgSQL_function *function; /* which PL/pgSQL never frees */
	char status;
} CalledFunction;

#define SH_PREFIX calledset
#define SH_ELEMENT_TYPE CalledFunction
#define SH_KEY_TYPE PLpgSQL_function *
#define SH_KEY function
#define SH_HASH_KEY(table, key) murmurhash32((uint32) ((uintptr_t) (key) >> 4))
#define SH_EQUAL(table, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static calledset_hash *called = NULL;
static const PLpgSQL_function *latest = NULL;

static void note_function(PLpgSQL_execstate *estate, PLpgSQL_function *function);

static PLpgSQL_plugin plugin = {.func_setup = note_function};

void
aion_compiled_init(void)
{
	PLpgSQL_plugin **place = (PLpgSQL_plugin **) find_rendezvous_variable("PLpgSQL_plugin");

	if (*place == NULL)
		*place = &plugin;
}

/*
 * Lets what was called in this session be compiled again.
 */
void
aion_compiled_forget(void)
{
	calledset_iterator iterator;
	CalledFunction *entry;

	latest = NULL;
	if (called == NULL)
		return;
	calledset_start_iterate(called, &iterator);
	while ((entry = calledset_iterate(called, &iterator)) != NULL)
		AION_COMPAT_COMPILED_FROM(entry->function) = InvalidTransactionId;
	calledset_reset(called);
}

/*
 * Notes a function that is called; DO blocks are not kept.
 */
static void
note_function(PLpgSQL_execstate *estate, PLpgSQL_function *function)
{
	bool found;

	if (function == latest || !OidIsValid(function->fn_oid))
		return;
	if (called == NULL)
		called = calledset_create(TopMemoryContext, 64, NULL);
	(void) calledset_insert(called, function, &found);
	latest = function;
}
