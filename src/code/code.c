/*
 * code.c
 *		Pinned code: private copies of handlers, and the settings they are read under.
 *
 * A run executes the code it was started with.  Registering a workflow copies its function into a
 * schema where users cannot replace it: owned by the extension's owner, with invoker's rights,
 * without EXECUTE for any role (the engine calls it by oid), and dropped with the extension.  C
 * functions and BEGIN ATOMIC bodies cannot be copied faithfully; they are referenced, and their
 * digest is compared before use.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "code/code.h"
#include "code/handler.h"
#include "support/digest.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"

/* Settings that decide how code reads: names, literals, and the texts of values. */
static const char *const pinned[CODE_SETTINGS] = {"DateStyle", "IntervalStyle", "TimeZone",
												  "extra_float_digits", "search_path"};

/* What the text of a definition must not depend on. */
static const CodeSettings neutral = {CODE_SETTINGS + 4,
									 {{"DateStyle", "ISO, YMD"},
									  {"IntervalStyle", "postgres"},
									  {"TimeZone", "UTC"},
									  {"extra_float_digits", "1"},
									  {"bytea_output", "hex"},
									  {"lc_monetary", "C"},
									  {"quote_all_identifiers", "off"},
									  {"standard_conforming_strings", "on"},
									  {"search_path", "pg_catalog, pg_temp"}}};

static const char *value_here(const CodeSetting *setting);
static void add_part(StringInfo buffer, const char *part);
static void add_part_of(StringInfo buffer, Oid sql_function, Oid function);
static void add_attribute(StringInfo buffer, HeapTuple tuple, int attribute);
static void add_settings(StringInfo buffer, HeapTuple tuple);
static void add_transforms(StringInfo buffer, HeapTuple tuple);
static const char *schema_name(int n);
static bool reserve_place(Form_pg_proc form, int room);
static Oid code_schema(int n);
static void drop_with_extension(Oid schema);
static Oid create_copy(HeapTuple tuple, Oid schema);
static void revoke_from_public(Oid schema, Form_pg_proc form);
static bool has_own_setting(HeapTuple tuple, const char *name);

/*
 * Returns the digest of everything that decides what a function does, except its name.
 */
char *
aion_code_digest(Oid function)
{
	HeapTuple tuple = aion_handler_function(function);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	StringInfoData definition;
	int level = aion_code_enter_settings(&neutral);

	initStringInfo(&definition);
	add_part(&definition, get_language_name(form->prolang, false));
	add_attribute(&definition, tuple, Anum_pg_proc_prosrc);
	add_attribute(&definition, tuple, Anum_pg_proc_probin);
	add_part_of(&definition, F_PG_GET_FUNCTION_SQLBODY, function);
	add_part_of(&definition, F_PG_GET_FUNCTION_ARGUMENTS, function);
	add_part_of(&definition, F_PG_GET_FUNCTION_RESULT, function);
	add_part(&definition, psprintf("%c%c%c", form->provolatile, form->proisstrict ? 's' : '-',
								   form->proretset ? 's' : '-'));
	add_settings(&definition, tuple);
	add_transforms(&definition, tuple);
	ReleaseSysCache(tuple);
	aion_code_leave_settings(level);
	return aion_digest_hex(definition.data, definition.len, 2 * AION_DIGEST_LENGTH);
}

/*
 * Tells whether a copy of a function does the same as the function.
 */
bool
aion_code_is_copyable(Oid function)
{
	HeapTuple tuple = aion_handler_function(function);
	Oid language;
	bool is_text;

	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	is_text = heap_attisnull(tuple, Anum_pg_proc_prosqlbody, NULL);
	ReleaseSysCache(tuple);
	return is_text && language != ClanguageId && language != INTERNALlanguageId;
}

/*
 * Makes the pinned copy of a function, or finds the one that is there already, and returns its
 * signature.
 *
 * A copy keeps the name of its original, because code may call its parameters by it.  Copies of the
 * same name and parameters therefore live in different schemas: aion_code, aion_code_2, ...  A
 * place that another transaction is filling is passed over: it may take long to commit.
 */
char *
aion_code_copy(Oid function, const char *digest)
{
	HeapTuple tuple = aion_handler_function(function);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	Oid copy = InvalidOid;

	for (int room = 1; !OidIsValid(copy); room++)
	{
		Oid schema;

		if (!reserve_place(form, room) || !OidIsValid(schema = code_schema(room)))
			continue;
		copy = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, NameGetDatum(&form->proname),
							   PointerGetDatum(&form->proargtypes), ObjectIdGetDatum(schema));
		if (!OidIsValid(copy))
			copy = create_copy(tuple, schema);
		else if (strcmp(aion_code_digest(copy), digest) != 0)
			copy = InvalidOid;
	}
	ReleaseSysCache(tuple);
	return aion_handler_signature(copy);
}

/*
 * Finds the function of a version; InvalidOid if it is gone.
 */
Oid
aion_code_resolve(const char *signature, bool copied)
{
	Oid function = aion_handler_resolve(signature);
	HeapTuple tuple;
	Oid owner;

	if (!copied || !OidIsValid(function))
		return function;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid; /* dropped in this moment */
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);

	/* Another function that got this name is not a copy. */
	return owner == aion_extension()->owner ? function : InvalidOid;
}

/*
 * Makes the schemas of copies depend on the extension again, which a dump does not do for schemas.
 */
void
aion_code_adopt(void)
{
	for (int n = 2; OidIsValid(get_namespace_oid(schema_name(n), true)); n++)
	{
		Oid schema = code_schema(n);

		if (OidIsValid(schema))
		{
			deleteDependencyRecordsForClass(NamespaceRelationId, schema, ExtensionRelationId,
											DEPENDENCY_AUTO_EXTENSION);
			drop_with_extension(schema);
		}
	}
}

/*
 * Notes the session's settings that code of this function would be read under.  Settings of the
 * function itself take precedence and are part of its definition.
 */
void
aion_code_capture_settings(Oid function, CodeSettings *settings)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));

	settings->count = 0;
	for (int i = 0; i < CODE_SETTINGS; i++)
	{
		if (HeapTupleIsValid(tuple) && has_own_setting(tuple, pinned[i]))
			continue;
		settings->setting[settings->count].name = pinned[i];
		settings->setting[settings->count].value =
			pstrdup(GetConfigOption(pinned[i], false, false));
		settings->count++;
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
}

Jsonb *
aion_code_settings_to_json(const CodeSettings *settings)
{
	JsonObject object;

	aion_object_begin(&object);
	for (int i = 0; i < settings->count; i++)
		aion_object_text(&object, settings->setting[i].name, settings->setting[i].value);
	return aion_object_end(&object);
}

void
aion_code_settings_from_json(const Jsonb *json, CodeSettings *settings)
{
	settings->count = 0;
	for (int i = 0; i < CODE_SETTINGS; i++)
	{
		char *value = aion_json_text(json, pinned[i]);

		if (value == NULL)
			continue;
		settings->setting[settings->count].name = pinned[i];
		settings->setting[settings->count].value = value;
		settings->count++;
	}
}

/*
 * Puts settings in force until aion_code_leave_settings() is called with what this returns, or
 * until the (sub)transaction aborts.
 */
int
aion_code_enter_settings(const CodeSettings *settings)
{
	int level = NewGUCNestLevel();

	for (int i = 0; i < settings->count; i++)
	{
		const CodeSetting *setting = &settings->setting[i];

		const char *value = value_here(setting);

		if (strcmp(GetConfigOption(setting->name, false, false), value) != 0)
			(void) set_config_option(setting->name, value, PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
	}
	return level;
}

/*
 * Returns the value of a setting for this session.  In a session of another role its temporary
 * schema comes last: where search_path does not name it, it would be searched first, and its
 * objects taken for those of the code.
 */
static const char *
value_here(const CodeSetting *setting)
{
	List *names;

	if (!InSecurityRestrictedOperation() || strcmp(setting->name, "search_path") != 0)
		return setting->value;
	if (setting->value[0] == '\0')
		return "pg_temp";
	if (SplitIdentifierString(pstrdup(setting->value), ',', &names))
	{
		ListCell *cell;

		foreach (cell, names)
		{
			if (strcmp(lfirst(cell), "pg_temp") == 0)
				return setting->value;
		}
	}
	return psprintf("%s, pg_temp", setting->value);
}

/*
 * Says which settings have other values than before; an empty text if none has.
 */
const char *
aion_code_compare_settings(const CodeSettings *then, const CodeSettings *now)
{
	StringInfoData differences;

	initStringInfo(&differences);
	for (int i = 0; i < now->count; i++)
	{
		const CodeSetting *new = &now->setting[i];

		for (int j = 0; j < then->count; j++)
		{
			const CodeSetting *old = &then->setting[j];

			if (strcmp(new->name, old->name) == 0 && strcmp(new->value, old->value) != 0)
				appendStringInfo(&differences, "%s%s is %s instead of %s",
								 differences.len > 0 ? ", " : "", new->name, new->value,
								 old->value);
		}
	}
	return differences.data;
}

/*
 * Likewise puts the settings below in force, with the values of the others that have the same name.
 */
int
aion_code_enter_settings_over(const CodeSettings *below, const CodeSettings *settings)
{
	CodeSettings both = *below;

	for (int i = 0; i < both.count; i++)
	{
		for (int j = 0; j < settings->count; j++)
		{
			if (strcmp(both.setting[i].name, settings->setting[j].name) == 0)
				both.setting[i].value = settings->setting[j].value;
		}
	}
	return aion_code_enter_settings(&both);
}

/*
 * Restores every setting to what it was, also if code has changed it in between.
 */
void
aion_code_leave_settings(int level)
{
	AtEOXact_GUC(false, level);
}

/* Lengths keep the parts distinct. */
static void
add_part(StringInfo buffer, const char *part)
{
	if (part == NULL)
		appendStringInfoString(buffer, "-;");
	else
		appendStringInfo(buffer, "%zu:%s;", strlen(part), part);
}

static void
add_part_of(StringInfo buffer, Oid sql_function, Oid function)
{
	LOCAL_FCINFO(fcinfo, 1);
	FmgrInfo flinfo;
	Datum part;

	fmgr_info(sql_function, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, 1, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){ObjectIdGetDatum(function), false};
	part = FunctionCallInvoke(fcinfo);
	add_part(buffer, fcinfo->isnull ? NULL : TextDatumGetCString(part));
}

static void
add_attribute(StringInfo buffer, HeapTuple tuple, int attribute)
{
	bool isnull;
	Datum value = SysCacheGetAttr(PROCOID, tuple, attribute, &isnull);

	add_part(buffer, isnull ? NULL : TextDatumGetCString(value));
}

static void
add_settings(StringInfo buffer, HeapTuple tuple)
{
	bool isnull;
	Datum config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	Datum *elements;
	int count;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &count);
	for (int i = 0; i < count; i++)
		add_part(buffer, TextDatumGetCString(elements[i]));
}

/*
 * Adds the types of TRANSFORM clauses; a function without them has the digest of earlier releases.
 */
static void
add_transforms(StringInfo buffer, HeapTuple tuple)
{
	bool isnull;
	Datum types = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_protrftypes, &isnull);
	Datum *elements;
	int count;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(types), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &elements,
					  NULL, &count);
	for (int i = 0; i < count; i++)
		add_part(buffer,
				 psprintf("transform %s", format_type_extended(DatumGetObjectId(elements[i]), -1,
															   FORMAT_TYPE_FORCE_QUALIFY)));
}

static const char *
schema_name(int n)
{
	return n == 1 ? "aion_code" : psprintf("aion_code_%d", n);
}

/*
 * Takes the lock on the place for a copy, or on that for its schema where there is none yet.
 */
static bool
reserve_place(Form_pg_proc form, int room)
{
	LOCKTAG tag;
	uint32 hash =
		hash_any((const unsigned char *) form->proargtypes.values, form->pronargs * sizeof(Oid)) ^
		hash_any((const unsigned char *) NameStr(form->proname), strlen(NameStr(form->proname)));
	bool exists = OidIsValid(get_namespace_oid(schema_name(room), true));

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId, aion_extension()->oid,
					   exists ? (uint16) (hash % 60000 + 1) : 60001);
	tag.locktag_field2 = room; /* of no catalog */
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Returns the n-th schema for copies, making it if need be; InvalidOid if the name is taken.
 */
static Oid
code_schema(int n)
{
	const Extension *ext = aion_extension();
	const char *name = schema_name(n);
	Oid schema = get_namespace_oid(name, true);
	HeapTuple tuple;
	Oid owner;

	if (!OidIsValid(schema))
	{
		schema = NamespaceCreate(name, ext->owner, false);
		drop_with_extension(schema);
		CommandCounterIncrement();
		return schema;
	}
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid; /* dropped in this moment */
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner == ext->owner ? schema : InvalidOid;
}

/*
 * Lets DROP EXTENSION drop a schema of copies too.
 */
static void
drop_with_extension(Oid schema)
{
	ObjectAddress address;
	ObjectAddress extension;

	ObjectAddressSet(address, NamespaceRelationId, schema);
	ObjectAddressSet(extension, ExtensionRelationId, aion_extension()->oid);
	recordDependencyOn(&address, &extension, DEPENDENCY_AUTO_EXTENSION);
}

/*
 * Copies a function into a schema: the same definition with invoker's rights, which no role may
 * execute.
 */
static Oid
create_copy(HeapTuple tuple, Oid schema)
{
	const Extension *ext = aion_extension();
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	Datum attribute[Natts_pg_proc + 1];
	bool isnull[Natts_pg_proc + 1];
	Relation catalog;
	TupleDesc descriptor;
	List *defaults = NIL;
	ObjectAddress copy;
	ObjectAddress extension;

	catalog = table_open(ProcedureRelationId, AccessShareLock);
	descriptor = RelationGetDescr(catalog);
	for (int i = 1; i <= Natts_pg_proc; i++)
	{
		attribute[i] = SysCacheGetAttr(PROCOID, tuple, i, &isnull[i]);
		if (isnull[i])
			attribute[i] = PointerGetDatum(NULL);
		else if (TupleDescAttr(descriptor, i - 1)->attlen == -1)
			attribute[i] = PointerGetDatum(PG_DETOAST_DATUM(attribute[i]));
	}
	table_close(catalog, NoLock);
	if (!isnull[Anum_pg_proc_proargdefaults])
		defaults = castNode(
			List, stringToNode(TextDatumGetCString(attribute[Anum_pg_proc_proargdefaults])));
	copy = ProcedureCreate(
		NameStr(form->proname), schema, false, form->proretset, form->prorettype, ext->owner,
		form->prolang, InvalidOid, TextDatumGetCString(attribute[Anum_pg_proc_prosrc]),
		isnull[Anum_pg_proc_probin] ? NULL : TextDatumGetCString(attribute[Anum_pg_proc_probin]),
		NULL, PROKIND_FUNCTION, false, false, form->proisstrict, form->provolatile,
		form->proparallel, buildoidvector(form->proargtypes.values, form->pronargs),
		attribute[Anum_pg_proc_proallargtypes], attribute[Anum_pg_proc_proargmodes],
		attribute[Anum_pg_proc_proargnames], defaults, attribute[Anum_pg_proc_protrftypes],
		AION_COMPAT_TRANSFORM_DEPENDENCIES attribute[Anum_pg_proc_proconfig], InvalidOid,
		form->procost, form->prorows);
	ObjectAddressSet(extension, ExtensionRelationId, ext->oid);
	recordDependencyOn(&copy, &extension, DEPENDENCY_AUTO_EXTENSION);
	CommandCounterIncrement();
	revoke_from_public(schema, form);
	CommandCounterIncrement();
	return copy.objectId;
}

static void
revoke_from_public(Oid schema, Form_pg_proc form)
{
	GrantStmt *revoke = makeNode(GrantStmt);
	ObjectWithArgs *object = makeNode(ObjectWithArgs);
	RoleSpec *everybody = makeNode(RoleSpec);

	object->objname = list_make2(makeString(get_namespace_name(schema)),
								 makeString(pstrdup(NameStr(form->proname))));
	for (int i = 0; i < form->pronargs; i++)
		object->objargs =
			lappend(object->objargs, makeTypeNameFromOid(form->proargtypes.values[i], -1));
	everybody->roletype = ROLESPEC_PUBLIC;
	revoke->is_grant = false;
	revoke->targtype = ACL_TARGET_OBJECT;
	revoke->objtype = OBJECT_FUNCTION;
	revoke->objects = list_make1(object);
	revoke->grantees = list_make1(everybody);
	revoke->behavior = DROP_RESTRICT;
	ExecuteGrantStmt(revoke);
}

static bool
has_own_setting(HeapTuple tuple, const char *name)
{
	bool isnull;
	Datum config = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proconfig, &isnull);
	Datum *elements;
	int count;

	if (isnull)
		return false;
	deconstruct_array(DatumGetArrayTypeP(config), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &count);
	for (int i = 0; i < count; i++)
	{
		char *setting = TextDatumGetCString(elements[i]);

		if (pg_strncasecmp(setting, name, strlen(name)) == 0 && setting[strlen(name)] == '=')
			return true;
	}
	return false;
}
