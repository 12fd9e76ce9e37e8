/*
 * payload.h
 *		jsonb in and out: building objects, reading their members, limits.
 */
#ifndef AION_PAYLOAD_H
#define AION_PAYLOAD_H

#include "datatype/timestamp.h"
#include "utils/jsonb.h"

#include "support/pg_compat.h"

/* Names of workflows, activities and timers, in bytes. */
#define AION_NAME_MAX 255

/* Workflow ids, in bytes: they must fit an index entry with room to spare. */
#define AION_WORKFLOW_ID_MAX 1024

/* An object under construction. */
typedef struct JsonObject
{
	AionJsonState state;
} JsonObject;

extern void aion_object_begin(JsonObject *object);
extern void aion_object_text(JsonObject *object, const char *key, const char *value);
extern void aion_object_int(JsonObject *object, const char *key, int64 value);
extern void aion_object_timestamp(JsonObject *object, const char *key, TimestampTz value);
extern void aion_object_json(JsonObject *object, const char *key, const Jsonb *value);
extern Jsonb *aion_object_end(JsonObject *object);

extern Jsonb *aion_json_array(Jsonb **elements, int count);
extern Jsonb *aion_json_null(void);
extern Jsonb *aion_json_empty(void);

/* Members of an object; absent (or of another type) reads as NULL or the default. */
extern char *aion_json_text(const Jsonb *object, const char *key);
extern Jsonb *aion_json_member(const Jsonb *object, const char *key);
extern bool aion_json_has_member(const Jsonb *object, const char *key);
extern int32 aion_json_int(const Jsonb *object, const char *key, int32 absent);
extern int64 aion_json_int64(const Jsonb *object, const char *key, int64 absent);
extern TimestampTz aion_json_timestamp(const Jsonb *object, const char *key);

extern Jsonb *aion_json_merged(const Jsonb *object, const Jsonb *members);
extern Jsonb *aion_json_without(const Jsonb *object, const char *key);
extern bool aion_json_is_object(const Jsonb *json);
extern bool aion_json_equal(const Jsonb *a, const Jsonb *b);
extern uint64 aion_json_hash(const Jsonb *json);
extern char *aion_json_cstring(const Jsonb *json);
extern char *aion_json_abbreviated(const Jsonb *json);

extern Jsonb *aion_to_jsonb(Datum value, Oid type);
extern void aion_payload_check_size(Size size, const char *what);
extern void aion_payload_check(const Jsonb *payload, const char *what);
extern void aion_name_check(const char *name, int limit, const char *what);

#endif
