/*
 * payload.c
 *		jsonb in and out: building objects, reading their members, limits.
 *
 * A NULL Jsonb pointer is SQL NULL everywhere; json null is a value.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "support/errors.h"
#include "support/payload.h"

#define ABBREVIATED_LENGTH 200

static void push_key(JsonObject *object, const char *key);
static void push_string(JsonObject *object, JsonbIteratorToken token, const char *value);
static bool find_member(const Jsonb *object, const char *key, JsonbValue *value);
static void push_json(AionJsonState *state, JsonbIteratorToken token, const Jsonb *json);

void
aion_object_begin(JsonObject *object)
{
	memset(&object->state, 0, sizeof(object->state));
	aion_compat_push_json(&object->state, WJB_BEGIN_OBJECT, NULL);
}

/*
 * Adds a text; NULL adds nothing.
 */
void
aion_object_text(JsonObject *object, const char *key, const char *value)
{
	if (value == NULL)
		return;
	push_key(object, key);
	push_string(object, WJB_VALUE, value);
}

void
aion_object_int(JsonObject *object, const char *key, int64 value)
{
	JsonbValue number = {.type = jbvNumeric};

	push_key(object, key);
	number.val.numeric = DatumGetNumeric(DirectFunctionCall1(int8_numeric, Int64GetDatum(value)));
	aion_compat_push_json(&object->state, WJB_VALUE, &number);
}

/*
 * Adds a moment, in ISO 8601 and UTC whatever the session's settings are; DT_NOEND adds nothing.
 */
void
aion_object_timestamp(JsonObject *object, const char *key, TimestampTz value)
{
	char buffer[MAXDATELEN + 1];
	int utc = 0;

	if (value == DT_NOEND)
		return;
	JsonEncodeDateTime(buffer, TimestampTzGetDatum(value), TIMESTAMPTZOID, &utc);
	aion_object_text(object, key, pstrdup(buffer)); /* it is read when the object ends */
}

/*
 * Adds a value; NULL adds nothing.
 */
void
aion_object_json(JsonObject *object, const char *key, const Jsonb *value)
{
	if (value == NULL)
		return;
	push_key(object, key);
	push_json(&object->state, WJB_VALUE, value);
}

Jsonb *
aion_object_end(JsonObject *object)
{
	aion_compat_push_json(&object->state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object->state.result);
}

/*
 * Makes an array; a NULL element becomes json null.
 */
Jsonb *
aion_json_array(Jsonb **elements, int count)
{
	AionJsonState state = {0};

	aion_compat_push_json(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < count; i++)
	{
		JsonbValue null = {.type = jbvNull};

		if (elements[i] == NULL)
			aion_compat_push_json(&state, WJB_ELEM, &null);
		else
			push_json(&state, WJB_ELEM, elements[i]);
	}
	aion_compat_push_json(&state, WJB_END_ARRAY, NULL);
	return JsonbValueToJsonb(state.result);
}

Jsonb *
aion_json_null(void)
{
	JsonbValue value = {.type = jbvNull};

	return JsonbValueToJsonb(&value);
}

/*
 * Returns the object without members.
 */
Jsonb *
aion_json_empty(void)
{
	JsonObject object;

	aion_object_begin(&object);
	return aion_object_end(&object);
}

char *
aion_json_text(const Jsonb *object, const char *key)
{
	JsonbValue value;

	if (!find_member(object, key, &value) || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

Jsonb *
aion_json_member(const Jsonb *object, const char *key)
{
	JsonbValue value;

	return find_member(object, key, &value) ? JsonbValueToJsonb(&value) : NULL;
}

bool
aion_json_has_member(const Jsonb *object, const char *key)
{
	JsonbValue value;

	return find_member(object, key, &value);
}

int32
aion_json_int(const Jsonb *object, const char *key, int32 absent)
{
	JsonbValue value;
	bool is_out_of_range;
	int32 number;

	if (!find_member(object, key, &value) || value.type != jbvNumeric)
		return absent;
	number = aion_compat_numeric_int4(value.val.numeric, &is_out_of_range);
	return is_out_of_range ? absent : number;
}

int64
aion_json_int64(const Jsonb *object, const char *key, int64 absent)
{
	JsonbValue value;

	if (!find_member(object, key, &value) || value.type != jbvNumeric)
		return absent;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value.val.numeric)));
}

/*
 * Reads a moment written by aion_object_timestamp(); absent is DT_NOEND.
 */
TimestampTz
aion_json_timestamp(const Jsonb *object, const char *key)
{
	char *text = aion_json_text(object, key);

	if (text == NULL)
		return DT_NOEND;
	return DatumGetTimestampTz(DirectFunctionCall3(
		timestamptz_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/*
 * Returns an object with the members of another one, which replace those of the same name.
 */
Jsonb *
aion_json_merged(const Jsonb *object, const Jsonb *members)
{
	Jsonb *merged;

	if (object == NULL)
		return DatumGetJsonbPCopy(JsonbPGetDatum(members));
	merged = DatumGetJsonbP(
		DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(object), JsonbPGetDatum(members)));
	if (merged == object || merged == members) /* the other one is empty */
		merged = DatumGetJsonbPCopy(JsonbPGetDatum(merged));
	return merged;
}

/*
 * Returns an object without one of its members.
 */
Jsonb *
aion_json_without(const Jsonb *object, const char *key)
{
	if (object == NULL || !aion_json_is_object(object))
		return unconstify(Jsonb *, object);
	return DatumGetJsonbP(
		DirectFunctionCall2(jsonb_delete, JsonbPGetDatum(object), CStringGetTextDatum(key)));
}

bool
aion_json_is_object(const Jsonb *json)
{
	return JB_ROOT_IS_OBJECT(json) && !JB_ROOT_IS_SCALAR(json);
}

/*
 * Compares two values; SQL NULL equals itself.
 */
bool
aion_json_equal(const Jsonb *a, const Jsonb *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return compareJsonbContainers(unconstify(JsonbContainer *, &a->root),
								  unconstify(JsonbContainer *, &b->root)) == 0;
}

/*
 * Hashes a value: equal values, however spelled, hash alike.
 */
uint64
aion_json_hash(const Jsonb *json)
{
	if (json == NULL)
		return 0;
	return DatumGetUInt64(
		DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(json), Int64GetDatum(1)));
}

char *
aion_json_cstring(const Jsonb *json)
{
	if (json == NULL)
		return pstrdup("NULL");
	return JsonbToCString(NULL, unconstify(JsonbContainer *, &json->root), VARSIZE(json));
}

/*
 * Prints a value for a message, cut where it gets long.
 */
char *
aion_json_abbreviated(const Jsonb *json)
{
	char *text;

	if (json != NULL && VARSIZE(json) > 100 * ABBREVIATED_LENGTH)
		return psprintf("(%d bytes)", (int) VARSIZE(json));
	text = aion_json_cstring(json);
	if (strlen(text) <= ABBREVIATED_LENGTH)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, strlen(text), ABBREVIATED_LENGTH), text);
}

/*
 * Converts a value of any type, as to_jsonb() does.  May call output functions and casts of users,
 * so it is never called with the engine's authority.
 */
Jsonb *
aion_to_jsonb(Datum value, Oid type)
{
	FmgrInfo to_jsonb_info;
	Const *argument;

	if (type == JSONBOID)
		return DatumGetJsonbPCopy(value);
	fmgr_info(F_TO_JSONB, &to_jsonb_info);
	argument = makeNullConst(type, -1, InvalidOid);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL),
					   &to_jsonb_info);
	return DatumGetJsonbP(FunctionCall1(&to_jsonb_info, value));
}

/*
 * Refuses a payload that aion.max_payload_size does not allow.
 */
void
aion_payload_check(const Jsonb *payload, const char *what)
{
	aion_payload_check_size(payload != NULL ? VARSIZE(payload) : 0, what);
}

void
aion_payload_check_size(Size size, const char *what)
{
	if ((int) (size / 1024) < aion_max_payload_size)
		return;
	ereport(ERROR, (errcode(ERRCODE_PAYLOAD_TOO_LARGE), errmsg("%s is too large", what),
					errdetail("It takes %d kB, and aion.max_payload_size is %d kB.",
							  (int) (size / 1024), aion_max_payload_size),
					errhint("Keep large data in a table of your own and pass its key.")));
}

/*
 * Refuses a name that is empty or too long.
 */
void
aion_name_check(const char *name, int limit, const char *what)
{
	if (name == NULL || name[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must not be empty", what)));
	if (strlen(name) > (size_t) limit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("%s is too long", what),
				 errdetail("It has %zu bytes, at most %d are allowed.", strlen(name), limit)));
}

static void
push_key(JsonObject *object, const char *key)
{
	push_string(object, WJB_KEY, key);
}

static void
push_string(JsonObject *object, JsonbIteratorToken token, const char *value)
{
	JsonbValue string = {.type = jbvString};

	string.val.string.val = unconstify(char *, value);
	string.val.string.len = strlen(value);
	aion_compat_push_json(&object->state, token, &string);
}

/*
 * Pushes a whole value: a scalar as itself, a container as it is stored.
 */
static void
push_json(AionJsonState *state, JsonbIteratorToken token, const Jsonb *json)
{
	JsonbValue value;

	if (!JB_ROOT_IS_SCALAR(json) ||
		!JsonbExtractScalar(unconstify(JsonbContainer *, &json->root), &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = unconstify(JsonbContainer *, &json->root);
		value.val.binary.len = VARSIZE(json) - VARHDRSZ;
	}
	aion_compat_push_json(state, token, &value);
}

static bool
find_member(const Jsonb *object, const char *key, JsonbValue *value)
{
	if (object == NULL || !aion_json_is_object(object))
		return false;
	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &object->root), key,
										strlen(key), value) != NULL;
}
