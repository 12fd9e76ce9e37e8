/*
 * engine.c
 *		What administrators do to the engine in a database: pausing it, and letting a copy execute.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "code/adoption.h"
#include "code/code.h"
#include "code/guard.h"
#include "code/owner.h"
#include "run/count.h"
#include "shared/wakeup.h"
#include "support/errors.h"
#include "support/extension.h"

static void set_paused(bool paused);

static void
set_paused(bool paused)
{
	Oid user = GetUserId();
	const char *by = GetUserNameFromId(aion_guard_actor(), false);
	Authority authority;

	aion_guard_client_call(paused ? "aion.pause_engine" : "aion.resume_engine");
	aion_authority_assume(&authority);
	if (aion_owner_access(user) != ACCESS_ADMIN)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only an administrator of aion can %s the engine",
							   paused ? "pause" : "resume")));
	aion_engine_set_paused(paused, by);
	aion_authority_drop(&authority);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_pause_engine);
PG_FUNCTION_INFO_V1(aion_resume_engine);
PG_FUNCTION_INFO_V1(aion_adopt_database);

Datum
aion_pause_engine(PG_FUNCTION_ARGS)
{
	set_paused(true);
	PG_RETURN_VOID();
}

Datum
aion_resume_engine(PG_FUNCTION_ARGS)
{
	set_paused(false);
	PG_RETURN_VOID();
}

/*
 * Lets a copy execute its runs, as the roles that have the names of their owners.
 */
Datum
aion_adopt_database(PG_FUNCTION_ARGS)
{
	Oid user = GetUserId();
	Authority authority;
	bool was_copy;
	bool same_server;

	aion_authority_assume(&authority);
	if (aion_owner_access(user) != ACCESS_ADMIN)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only an administrator of aion can adopt a database")));
	was_copy = aion_adoption_state() == ADOPTION_COPY;
	same_server = aion_adoption_is_of_this_server();
	if (aion_adopt())
	{
		if (was_copy)
			aion_owner_readopt(same_server);
		aion_code_adopt();
		aion_count_again(); /* a dump of 0.1.0 has no counts */
		aion_wakeup_scan();
	}
	aion_authority_drop(&authority);
	PG_RETURN_VOID();
}
