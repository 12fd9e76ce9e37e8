/*
 * kinship.h
 *		What events say about other runs: parents, children, and those that continue a run.
 */
#ifndef AION_KINSHIP_H
#define AION_KINSHIP_H

#include "history/event.h"

/* A run that waits for the end of another one, and which of its children that is. */
typedef struct ParentLink
{
	int64 run_key;
	const char *workflow_id;
	const char *run_id;
	const char *child;
} ParentLink;

/* A child, as its parent has asked for it. */
typedef struct ChildStarted
{
	const char *workflow_type;
	const char *version;
	Jsonb *input;
	const char *workflow_id;
	bool id_was_given;
	const char *run_id;
	int64 run_key;
	const char *parent_close; /* NULL: abandon */
} ChildStarted;

/* The run that continues another one. */
typedef struct ContinuedAsNew
{
	const char *workflow_type;
	const char *version;
	Jsonb *input;
	const char *run_id;
	int64 run_key;
} ContinuedAsNew;

extern Jsonb *aion_event_parent_link(const ParentLink *link);
extern void aion_event_read_parent_link(const Jsonb *json, ParentLink *link);
extern List *aion_event_read_parents(const WorkflowStarted *started);
extern Jsonb *aion_event_child_started(const ChildStarted *child);
extern void aion_event_read_child_started(const Event *event, ChildStarted *child);
extern Jsonb *aion_event_child_failed(const char *status, const Jsonb *error);
extern Jsonb *aion_event_continues(int64 run_key, const char *run_id, int64 first);
extern Jsonb *aion_event_continued_as_new(const ContinuedAsNew *next);
extern void aion_event_read_continued_as_new(const Jsonb *attributes, ContinuedAsNew *next);

#endif
