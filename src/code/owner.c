/*
 * owner.c
 *		Roles as the engine knows them: keys of owners, and what a role may see and do.
 *
 * Oids of roles do not survive a dump, names do.  Runs and registrations therefore carry a key of
 * aion._owner, whose row has both.  The oid counts while the database is where it was adopted, so
 * renaming a role is transparent.  A restored copy is resolved by name, and so is a role that was
 * missing then (0), whenever it is created.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "code/adoption.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "code/owner.h"
#include "guc.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/pg_compat.h"
#include "support/registry.h"
#include "support/statement.h"

#define LOCK_CLASS 0x6171 /* of advisory locks; clients' own have 1 and 2 */

static Statement select_by_role =
	STATEMENT(SELECT, "SELECT owner_key, name FROM aion._owner WHERE role = $1", OIDOID);
static Statement select_by_name =
	STATEMENT(SELECT, "SELECT owner_key FROM aion._owner WHERE name = $1", TEXTOID);
static Statement insert_owner = STATEMENT(INSERT,
										  "INSERT INTO aion._owner (name, role) VALUES ($1, $2)"
										  " ON CONFLICT (name) DO NOTHING",
										  TEXTOID, OIDOID);
static Statement withdraw_names = STATEMENT(
	UPDATE,
	"UPDATE aion._owner o SET name = o.name ||"
	" CASE WHEN r.oid IS NULL THEN ' (dropped, ' ELSE ' (renamed, ' END || o.role || ')'"
	" FROM aion._owner s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.role"
	" WHERE s.owner_key = o.owner_key AND s.role <> 0"
	" AND s.name NOT LIKE '% (renamed, ' || s.role || ')' AND (r.rolname <> s.name OR r.oid IS NULL"
	" AND EXISTS (SELECT FROM pg_catalog.pg_roles t WHERE t.rolname = s.name))");
static Statement give_names =
	STATEMENT(UPDATE, "UPDATE aion._owner o SET name = r.rolname FROM pg_catalog.pg_roles r"
					  " WHERE r.oid = o.role AND r.rolname <> o.name AND NOT EXISTS"
					  " (SELECT FROM aion._owner other WHERE other.name = r.rolname)");
static Statement claim_name = STATEMENT(
	UPDATE, "UPDATE aion._owner SET role = $2 WHERE name = $1 AND role = 0", TEXTOID, OIDOID);
static Statement select_owner =
	STATEMENT(SELECT, "SELECT role, name FROM aion._owner WHERE owner_key = $1", INT4OID);
static Statement select_owners = STATEMENT(SELECT, "SELECT owner_key, role, name FROM aion._owner");
/* A revoked level no longer counts, also in older transactions, as with server privileges. */
static Statement select_grants = {.expected = SPI_OK_SELECT,
								  .text = "SELECT o.role, o.name, g.level FROM aion._grant g"
										  " JOIN aion._owner o USING (owner_key)"
										  " WHERE g.level IN ('admin', 'monitor')",
								  .latest = true};
static Statement resolve_names = STATEMENT(
	UPDATE, "UPDATE aion._owner o SET role = coalesce((SELECT r.oid FROM pg_catalog.pg_roles r"
			" WHERE r.rolname = o.name), 0)");
static Statement resolve_missing = STATEMENT(
	UPDATE, "UPDATE aion._owner o SET role = coalesce((SELECT r.oid FROM pg_catalog.pg_roles r"
			" WHERE r.rolname = o.name), 0)"
			" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.oid = o.role)");
static Statement repeat_grants =
	STATEMENT(SELECT, "SELECT aion._apply_grant(r.rolname, g.level) FROM"
					  " aion._grant g JOIN aion._owner o USING (owner_key)"
					  " JOIN pg_catalog.pg_roles r ON r.oid = o.role");

/* A row of aion._owner. */
typedef struct Owner
{
	int32 key;
	Oid role;
	char *name;
} Owner;

static Registry owners = {.table = "_owner"};

static const Owner *owner_find(int32 key);
static const Owner *find_by_role(Oid role, const char *name);
static bool owner_refresh_names(bool must);
static Oid resolve(Oid role, const char *name);
static Datum select_keys(Oid role, bool all, bool members_too);

void
aion_owner_init(void)
{
	aion_registry_init(&owners);
}

/*
 * Returns the key of a role, making one for a role that has none.
 */
int32
aion_owner_key(Oid role)
{
	const char *name = GetUserNameFromId(role, false);
	bool by_role = aion_adoption_is_of_this_server();
	Statement *lookup = by_role ? &select_by_role : &select_by_name;
	NullableDatum args[] = {by_role ? aion_arg_oid(role) : aion_arg_text(name)};
	const Owner *known = by_role ? find_by_role(role, name) : NULL;
	Rows rows;
	int32 key;

	if (known != NULL)
		return known->key;
	rows = aion_statement_execute(lookup, args);
	if (rows.count == 0)
	{
		NullableDatum row[] = {aion_arg_text(name), aion_arg_oid(role)};

		if (by_role)
		{
			(void) aion_statement_execute(&claim_name, row);
			aion_registry_changed(&owners);
			if (aion_statement_execute(&select_by_name, row).count > 0)
				(void) owner_refresh_names(
					true); /* it may stand for a role that was renamed or dropped */
		}
		(void) aion_statement_execute(&insert_owner, row);
		aion_registry_changed(&owners);
		rows = aion_statement_execute(lookup, args);
		if (rows.count == 0)
			elog(ERROR, "could not make a key for role \"%s\"", name);
	}
	key = aion_row_int32(rows, 0, 1);
	if (by_role && strcmp(aion_row_text(rows, 0, 2), name) != 0)
		(void) owner_refresh_names(false);
	(void) owner_find(key);
	return key;
}

/*
 * Returns the key of a role that has one; else 0.
 */
int32
aion_owner_known_key(Oid role)
{
	bool by_role = aion_adoption_is_of_this_server();
	NullableDatum args[] = {by_role ? aion_arg_oid(role)
									: aion_arg_text(GetUserNameFromId(role, false))};
	Rows rows = aion_statement_execute(by_role ? &select_by_role : &select_by_name, args);

	return rows.count > 0 ? aion_row_int32(rows, 0, 1) : 0;
}

/*
 * Returns the key of a role that a user grants something to.  Only an administrator makes one:
 * where an ordinary user did, the role would wait for the user's transaction before it could use
 * aion.
 */
int32
aion_owner_key_of_other(Oid role, Oid user)
{
	int32 key = aion_owner_known_key(role);
	char *name = GetUserNameFromId(role, false);

	if (key == 0 && aion_owner_access(user) == ACCESS_ADMIN)
		return aion_owner_key(role);
	if (key == 0)
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("role \"%s\" has no level of access to aion", name),
						errhint("Let a superuser use SELECT aion.grant_usage(%s).",
								quote_literal_cstr(name))));
	return key;
}

/*
 * Gives the owners the present names of their roles.  Roles may have exchanged names, so all names
 * that are out of date are withdrawn before the first one is given.
 *
 * While the oid counts, a name can be out of date.  So a transaction does not wait for another one
 * that is about to do the same, unless it must have the name: false if there is one.
 */
static bool
owner_refresh_names(bool must)
{
	LOCKTAG tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, LOCK_CLASS);
	if (LockAcquire(&tag, ExclusiveLock, false, !must) == LOCKACQUIRE_NOT_AVAIL)
		return false;
	(void) aion_statement_execute(&withdraw_names, NULL);
	(void) aion_statement_execute(&give_names, NULL);
	aion_registry_changed(&owners);
	return true;
}

/*
 * The same when roles were renamed: a dump must not carry names that belong to other roles by then.
 * False if another transaction is about to do so.
 */
bool
aion_owner_refresh_names(void)
{
	return owner_refresh_names(false);
}

/*
 * Returns the role that a key stands for, InvalidOid if it is not (or no longer) in this server.
 */
Oid
aion_owner_role(int32 owner_key)
{
	const Owner *owner = owner_find(owner_key);

	return owner != NULL ? resolve(owner->role, owner->name) : InvalidOid;
}

/*
 * Returns the name of the role; an empty string if there is no such key.
 */
const char *
aion_owner_name(int32 owner_key)
{
	const Owner *owner = owner_find(owner_key);

	return owner != NULL ? pstrdup(owner->name) : "";
}

/*
 * Finds the row of a key; NULL if there is none.
 */
static const Owner *
owner_find(int32 key)
{
	NullableDatum args[] = {aion_arg_int32(key)};
	MemoryContext caller;
	Owner *owner;
	ListCell *cell;
	Rows rows;

	aion_registry_refresh(&owners);
	foreach (cell, owners.entries)
	{
		owner = lfirst(cell);
		if (owner->key == key)
			return owner;
	}
	rows = aion_statement_execute(&select_owner, args);
	if (rows.count == 0)
		return NULL;
	caller = MemoryContextSwitchTo(owners.context);
	owner = palloc(sizeof(Owner));
	*owner = (Owner){key, aion_row_oid(rows, 0, 1), pstrdup(aion_row_text(rows, 0, 2))};
	owners.entries = lappend(owners.entries, owner);
	MemoryContextSwitchTo(caller);
	return owner;
}

/*
 * Finds the row of a role among those that are cached, if it has the present name of the role.
 */
static const Owner *
find_by_role(Oid role, const char *name)
{
	ListCell *cell;

	aion_registry_refresh(&owners);
	foreach (cell, owners.entries)
	{
		const Owner *owner = lfirst(cell);

		if (owner->role == role && strcmp(owner->name, name) == 0)
			return owner;
	}
	return NULL;
}

/*
 * Returns the widest access that a role has been granted, by grant_usage() or by being superuser.
 */
AccessLevel
aion_owner_access(Oid role)
{
	AccessLevel access = ACCESS_OWN;
	Rows rows;

	if (superuser_arg(role))
		return ACCESS_ADMIN;
	rows = aion_statement_execute(&select_grants, NULL);
	for (uint64 row = 0; row < rows.count; row++)
	{
		AccessLevel level =
			strcmp(aion_row_text(rows, row, 3), "admin") == 0 ? ACCESS_ADMIN : ACCESS_MONITOR;
		Oid grantee = resolve(aion_row_oid(rows, row, 1), aion_row_text(rows, row, 2));

		if (level > access && OidIsValid(grantee) && has_privs_of_role(role, grantee))
			access = level;
	}
	return access;
}

/*
 * Tells whether a role may control what an owner has.
 */
bool
aion_owner_controls(Oid role, int32 owner_key)
{
	Oid owner = aion_owner_role(owner_key);

	if (OidIsValid(owner) && has_privs_of_role(role, owner))
		return true;
	return aion_owner_access(role) == ACCESS_ADMIN;
}

/*
 * Returns the keys of the owners that a role controls, as an array.
 */
Datum
aion_owner_controlled(Oid role)
{
	return select_keys(role, aion_owner_access(role) == ACCESS_ADMIN, false);
}

/*
 * Returns the keys of the owners whose privileges a role has, whatever it was granted besides.
 */
Datum
aion_owner_subjects(Oid role)
{
	return select_keys(role, false, false);
}

/*
 * Returns the keys of the owners whose runs may depend on what a role does.
 */
Datum
aion_owner_affected(Oid role)
{
	return select_keys(role, superuser_arg(role), true);
}

/*
 * Returns the owner of a name that a role registers again: its present owner, if the role may act
 * for that owner, else the role, if it is a superuser and takes the name over.  Otherwise raises an
 * error.
 */
int32
aion_owner_of_name(Oid role, int32 owner_key, const char *kind, const char *name)
{
	Oid owner = aion_owner_role(owner_key);

	if (OidIsValid(owner) && aion_owner_has_role(role, owner) &&
		aion_compat_may_become(role, owner))
		return owner_key;
	if (superuser_arg(role))
		return aion_owner_key(role);
	ereport(ERROR, (errcode(ERRCODE_NAME_IN_USE),
					errmsg("%s \"%s\" was registered by another role", kind, name),
					errhint("Only members of that role can change it.")));
}

/*
 * Tells whether a role is another one or has its privileges by being a member.  A superuser has the
 * privileges of all roles, but trusts only those that it is a member of.
 */
bool
aion_owner_has_role(Oid role, Oid of)
{
	if (role == of)
		return true;
	return superuser_arg(role) ? is_member_of_role_nosuper(role, of) : has_privs_of_role(role, of);
}

/*
 * Tells whether code of a role may be executed as an owner: that of superusers may, and that of
 * roles of which the owner is a member.
 */
bool
aion_owner_trusts(Oid owner, Oid role)
{
	return superuser_arg(role) || aion_owner_has_role(owner, role);
}

/*
 * Finds the roles of this server that have the names of the owners of a copied database, and grants
 * them again what they had: a restore grants nothing on an object if one grantee is missing.
 */
void
aion_owner_readopt(bool same_server)
{
	(void) aion_statement_execute(same_server ? &resolve_missing : &resolve_names, NULL);
	if (same_server)
		(void) owner_refresh_names(true);
	aion_registry_changed(&owners);
	(void) aion_statement_execute(&repeat_grants, NULL);
}

/*
 * Refuses a role that cannot own runs.
 */
void
aion_owner_check_eligible(Oid role)
{
	const char *reason = aion_owner_ineligible(role);

	if (reason != NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("role \"%s\" cannot own a workflow run because it %s",
					GetUserNameFromId(role, false), reason),
			 errhint("%s", superuser_arg(role)
							   ? "Runs execute in sessions of their owner. Start the workflow as "
								 "a role (run_as) that can have one; for superusers there is "
								 "aion.allow_superuser_workflows."
							   : "Runs execute in sessions of their owner. Let a superuser use "
								 "aion.grant_usage(), GRANT CONNECT or ALTER ROLE ... LOGIN.")));
}

/*
 * Tells why a role cannot own runs; NULL if it can.
 */
const char *
aion_owner_ineligible(Oid role)
{
	HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
	bool may_login;

	if (!HeapTupleIsValid(tuple))
		return "does not exist";
	may_login = ((Form_pg_authid) GETSTRUCT(tuple))->rolcanlogin;
	ReleaseSysCache(tuple);
	if (superuser_arg(role) && !aion_allow_superuser_workflows)
		return "is a superuser";
	if (AION_COMPAT_WORKER_NEEDS_LOGIN && !may_login)
		return "is not permitted to log in";
	if (!aion_compat_may_connect(MyDatabaseId, role))
		return "is not permitted to connect to this database";
	if (!aion_compat_may_use(aion_extension()->schema, role))
		return "is not permitted to use schema aion";
	return NULL;
}

/*
 * Returns the keys of the owners whose rows a role may see: all of a row, or all but its payloads.
 */
Datum
aion_owner_visible(Oid role, bool payloads)
{
	AccessLevel access = aion_owner_access(role);

	return select_keys(role, access == ACCESS_ADMIN || (access == ACCESS_MONITOR && !payloads),
					   false);
}

/*
 * Returns the role of a row of aion._owner.  In a copy that is not adopted oids may mean other
 * roles, so the name decides; one that was made in this server has oids of it.
 */
static Oid
resolve(Oid role, const char *name)
{
	bool by_role = OidIsValid(role) && aion_adoption_is_of_this_server();

	if (by_role && SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		return role;
	if (by_role && aion_adoption_state() == ADOPTION_DONE)
		return InvalidOid;
	return get_role_oid(name, true);
}

/*
 * Makes an array of the keys of owners: of all, or of those whose privileges a role has, with or
 * without those that have the privileges of the role.
 */
static Datum
select_keys(Oid role, bool all, bool members_too)
{
	Rows rows = aion_statement_execute(&select_owners, NULL);
	Datum *keys = palloc(Max(rows.count, 1) * sizeof(Datum));
	int count = 0;

	for (uint64 row = 0; row < rows.count; row++)
	{
		Oid owner = resolve(aion_row_oid(rows, row, 2), aion_row_text(rows, row, 3));

		if (all || (OidIsValid(owner) && (has_privs_of_role(role, owner) ||
										  (members_too && aion_owner_has_role(owner, role)))))
			keys[count++] = Int32GetDatum(aion_row_int32(rows, row, 1));
	}
	return PointerGetDatum(
		construct_array(keys, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_owner_key_of);
PG_FUNCTION_INFO_V1(aion_visible_owners);

/*
 * _owner_key(role) -> key, made if need be; for functions that grant
 */
Datum
aion_owner_key_of(PG_FUNCTION_ARGS)
{
	Oid role = get_role_oid(NameStr(*PG_GETARG_NAME(0)), false);
	Oid user = GetUserId();
	Authority authority;
	int32 key;

	if (user != aion_extension()->owner && !superuser_arg(user))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("only the owner of extension \"aion\" can make keys of roles")));
	aion_authority_assume(&authority);
	aion_adopt_if_new();
	key = aion_owner_key(role);
	aion_authority_drop(&authority);
	PG_RETURN_INT32(key);
}

/*
 * _visible_owners(payloads) -> keys of the owners whose rows the current user may see
 */
Datum
aion_visible_owners(PG_FUNCTION_ARGS)
{
	Oid user = GetUserId();
	Authority authority;
	Datum keys;

	aion_authority_assume_to_read(&authority);
	keys = aion_owner_visible(user, PG_GETARG_BOOL(0));
	aion_authority_drop(&authority);
	PG_RETURN_DATUM(keys);
}
