/*
 * grant.c
 *		Starting workflows of other roles.
 *
 * The owner of a workflow may let another role start it: the run is the owner's, and begins in the
 * transaction of that role, which chooses input, id and time and nothing else.  So a trigger of one
 * role can pass its row to a workflow of another role.
 *
 * A role of the level start means such a workflow by its name.  A role that may own runs names the
 * owner, too: it has not asked for the grant, and may mean a workflow of its own.
 *
 * A grant is void when the workflow gets another owner, which has granted nothing.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "code/adoption.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "code/definition.h"
#include "code/guard.h"
#include "code/owner.h"
#include "run/grant.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"
#include "support/statement.h"

/* A revoked grant no longer counts, also in older transactions, as with server privileges. */
static Statement select_grant = {
	.expected = SPI_OK_SELECT,
	.text = "SELECT w.owner_key FROM aion._workflow w JOIN aion._start_grant g"
			" ON g.workflow_type = w.name AND g.owner_key = w.owner_key"
			" WHERE w.name = $1 AND g.grantee_key = ANY ($2) LIMIT 1",
	.argtypes = {TEXTOID, INT4ARRAYOID},
	.latest = true};
static Statement insert_grant =
	STATEMENT(INSERT, "INSERT INTO aion._start_grant VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
			  TEXTOID, INT4OID, INT4OID);
static Statement delete_grant =
	STATEMENT(DELETE, "DELETE FROM aion._start_grant WHERE workflow_type = $1 AND grantee_key = $2",
			  TEXTOID, INT4OID);
static Statement select_usage =
	STATEMENT(SELECT,
			  "SELECT FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n"
			  " ON n.oid = p.pronamespace WHERE n.nspname = 'aion' AND p.proname = 'start_workflow'"
			  " AND pg_catalog.has_schema_privilege($1, n.oid, 'USAGE')"
			  " AND pg_catalog.has_function_privilege($1, p.oid, 'EXECUTE')",
			  OIDOID);

static void grant_change(FunctionCallInfo fcinfo, bool grant);
static void require_usage(Oid role);
pg_noreturn static void grant_refuse(Oid role);

/*
 * Returns the owner of a workflow that a role may start as that owner; InvalidOid if there is none.
 */
Oid
aion_grant_owner(const char *workflow_type, Oid grantee)
{
	NullableDatum args[2] = {aion_arg_text(workflow_type)};
	Oid owner = InvalidOid;
	Authority authority;
	Rows rows;

	aion_authority_assume(&authority);
	args[1] = aion_arg(aion_owner_subjects(grantee));
	rows = aion_statement_execute(&select_grant, args);
	if (rows.count > 0)
		owner = aion_owner_role(aion_row_int32(rows, 0, 1));
	aion_authority_drop(&authority);
	return owner;
}

/*
 * Tells whether a role may own runs: it has the level user if it may execute a function of that
 * level.
 */
bool
aion_grant_is_user(Oid role)
{
	static Oid function;
	static uint64 generation = 0;
	const Oid none = InvalidOid;

	if (generation != aion_extension()->generation)
		function = LookupFuncName(list_make2(makeString("aion"), makeString("register_activity")),
								  -1, &none, false);
	generation = aion_extension()->generation;
	return aion_compat_may_execute(function, role);
}

/*
 * Refuses a run that would belong to a role that has only the level start.
 */
void
aion_grant_require_user(Oid role)
{
	if (aion_grant_is_user(role))
		return;
	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("role \"%s\" may only start workflows that were granted to it",
						   GetUserNameFromId(role, false)),
					errhint("For runs of its own it needs SELECT aion.grant_usage(%s).",
							quote_literal_cstr(GetUserNameFromId(role, false)))));
}

/*
 * Grants or revokes the right of a role to start a workflow.
 */
static void
grant_change(FunctionCallInfo fcinfo, bool grant)
{
	char *name = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	Workflow *workflow;
	Oid grantee;
	Oid owner;

	aion_guard_client_call(grant ? "aion.grant_start" : "aion.revoke_start");
	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("role must not be null")));
	aion_name_check(name, AION_NAME_MAX, "workflow type");
	grantee = get_role_oid(NameStr(*PG_GETARG_NAME(0)), false);
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	workflow = aion_workflow_find(name);
	owner = workflow != NULL ? aion_owner_role(workflow->owner_key) : InvalidOid;
	if (!OidIsValid(owner) || !(superuser_arg(user) || (has_privs_of_role(user, owner) &&
														aion_compat_may_become(user, owner))))
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" does not exist", name),
						errhint("Only the owner of a workflow lets others start it.")));
	{
		int32 grantee_key = aion_owner_known_key(grantee);
		NullableDatum row[] = {aion_arg_text(name), aion_arg_int32(workflow->owner_key),
							   aion_arg_int32(grantee_key)};
		NullableDatum deleted[] = {row[0], row[2]};

		if (grant && grantee_key == 0)
			grant_refuse(grantee);
		else if (grant)
		{
			require_usage(grantee);
			(void) aion_statement_execute(&insert_grant, row);
		}
		else
			(void) aion_statement_execute(&delete_grant, deleted);
	}
	aion_authority_drop(&authority);
}

/*
 * Refuses a role that may not use aion.  An administrator has to grant what it lacks: such a grant
 * locks what all other roles need, until its transaction ends.
 */
static void
require_usage(Oid role)
{
	NullableDatum args[] = {aion_arg_oid(role)};

	if (aion_statement_execute(&select_usage, args).count == 0)
		grant_refuse(role);
}

static void
grant_refuse(Oid role)
{
	char *name = GetUserNameFromId(role, false);

	ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					errmsg("role \"%s\" may not start workflows at all", name),
					errhint("Let a superuser use SELECT aion.grant_usage(%s, 'start').",
							quote_literal_cstr(name))));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_grant_start);
PG_FUNCTION_INFO_V1(aion_revoke_start);

/*
 * grant_start(role, workflow_type), revoke_start(role, workflow_type)
 */
Datum
aion_grant_start(PG_FUNCTION_ARGS)
{
	grant_change(fcinfo, true);
	PG_RETURN_VOID();
}

Datum
aion_revoke_start(PG_FUNCTION_ARGS)
{
	grant_change(fcinfo, false);
	PG_RETURN_VOID();
}
