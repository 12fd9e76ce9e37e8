/*
 * kinship.c
 *		What events say about other runs: parents, children, and those that continue a run.
 *
 * Part of the codec of events; the engine finds the other run by run_key, the rest is for users and
 * for when that run is gone.
 */
#include "postgres.h"

#include "history/kinship.h"
#include "support/payload.h"

/*
 * Encodes which run waits for the end of another one.
 */
Jsonb *
aion_event_parent_link(const ParentLink *link)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_int(&object, "run_key", link->run_key);
	aion_object_text(&object, "workflow_id", link->workflow_id);
	aion_object_text(&object, "run_id", link->run_id);
	aion_object_text(&object, "child", link->child);
	return aion_object_end(&object);
}

void
aion_event_read_parent_link(const Jsonb *json, ParentLink *link)
{
	link->run_key = aion_json_int64(json, "run_key", 0);
	link->workflow_id = aion_json_text(json, "workflow_id");
	link->run_id = aion_json_text(json, "run_id");
	link->child = aion_json_text(json, "child");
}

/*
 * Reads which runs have waited for the end of a run from its beginning on.
 */
List *
aion_event_read_parents(const WorkflowStarted *started)
{
	List *links = NIL;

	for (uint32 i = 0; started->parents != NULL && i < JB_ROOT_COUNT(started->parents); i++)
	{
		ParentLink *link = palloc(sizeof(ParentLink));

		aion_event_read_parent_link(
			JsonbValueToJsonb(getIthJsonbValueFromContainer(&started->parents->root, i)), link);
		links = lappend(links, link);
	}
	return links;
}

/*
 * Encodes a child: what was asked for, and what it has become.
 */
Jsonb *
aion_event_child_started(const ChildStarted *child)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_type", child->workflow_type);
	aion_object_text(&object, "version", child->version);
	aion_object_json(&object, "input", child->input);
	aion_object_text(&object, "workflow_id", child->workflow_id);
	if (!child->id_was_given)
		aion_object_text(&object, "id_by_chance", "true");
	aion_object_text(&object, "run_id", child->run_id);
	aion_object_int(&object, "run_key", child->run_key);
	aion_object_text(&object, "parent_close", child->parent_close);
	return aion_object_end(&object);
}

void
aion_event_read_child_started(const Event *event, ChildStarted *child)
{
	const Jsonb *attributes = event->attributes;

	child->workflow_type = aion_json_text(attributes, "workflow_type");
	child->version = aion_json_text(attributes, "version");
	child->input = aion_json_member(attributes, "input");
	child->workflow_id = aion_json_text(attributes, "workflow_id");
	child->id_was_given = !aion_json_has_member(attributes, "id_by_chance");
	child->run_id = aion_json_text(attributes, "run_id");
	child->run_key = aion_json_int64(attributes, "run_key", 0);
	child->parent_close = aion_json_text(attributes, "parent_close");
}

/*
 * Encodes how a child ended that did not complete.
 */
Jsonb *
aion_event_child_failed(const char *status, const Jsonb *error)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "status", status);
	aion_object_json(&object, "error", error);
	return aion_object_end(&object);
}

/*
 * Encodes which run another one continues, and which was the first of them.
 */
Jsonb *
aion_event_continues(int64 run_key, const char *run_id, int64 first)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_int(&object, "run_key", run_key);
	aion_object_text(&object, "run_id", run_id);
	aion_object_int(&object, "first_run_key", first);
	return aion_object_end(&object);
}

Jsonb *
aion_event_continued_as_new(const ContinuedAsNew *next)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_type", next->workflow_type);
	aion_object_text(&object, "version", next->version);
	aion_object_json(&object, "input", next->input);
	aion_object_text(&object, "run_id", next->run_id);
	aion_object_int(&object, "run_key", next->run_key);
	return aion_object_end(&object);
}

void
aion_event_read_continued_as_new(const Jsonb *attributes, ContinuedAsNew *next)
{
	next->workflow_type = aion_json_text(attributes, "workflow_type");
	next->version = aion_json_text(attributes, "version");
	next->input = aion_json_member(attributes, "input");
	next->run_id = aion_json_text(attributes, "run_id");
	next->run_key = aion_json_int64(attributes, "run_key", 0);
}
