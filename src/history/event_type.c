/*
 * event_type.c
 *		The types of events a history is made of.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "history/event.h"
#include "support/extension.h"

typedef struct EventKind
{
	const char *label;
	EventRole role;
	EventFamily family;
	const EventMember *members; /* ended by one without a name */
} EventKind;

#define REQUIRED(name, type)                                                                       \
	{                                                                                              \
		name, MEMBER_##type, true                                                                  \
	}
#define OPTIONAL(name, type)                                                                       \
	{                                                                                              \
		name, MEMBER_##type, false                                                                 \
	}
#define LAST_MEMBER                                                                                \
	{                                                                                              \
		NULL, MEMBER_ANY, false                                                                    \
	}
#define MEMBERS(...) ((const EventMember[]){__VA_ARGS__, LAST_MEMBER})
#define NO_MEMBERS ((const EventMember[]){LAST_MEMBER})

/*
 * The definition of events: what each is called, what it is to the code, and what readers rely on
 * in its attributes.  A new attribute of an event is defined here; imported histories are checked
 * against it (history/import.c).
 */
static const EventKind kinds[EVENT_TYPES] = {
	[EVENT_WORKFLOW_STARTED] = {"WorkflowStarted", ROLE_START, FAMILY_NONE,
								MEMBERS(REQUIRED("workflow_type", TEXT), REQUIRED("version", TEXT),
										OPTIONAL("input", ANY), OPTIONAL("task_queue", TEXT),
										OPTIONAL("started_by", TEXT), OPTIONAL("start_at", MOMENT),
										OPTIONAL("deadline", MOMENT),
										OPTIONAL("search_attributes", OBJECT),
										OPTIONAL("memo", ANY), OPTIONAL("forked_from", OBJECT),
										OPTIONAL("origins", ORIGINS), OPTIONAL("parents", OBJECTS),
										OPTIONAL("continues", OBJECT), OPTIONAL("most_events", INT),
										OPTIONAL("schedule", TEXT),
										OPTIONAL("scheduled_for", MOMENT))},
	[EVENT_WORKFLOW_COMPLETED] = {"WorkflowCompleted", ROLE_TERMINAL, FAMILY_NONE,
								  MEMBERS(OPTIONAL("result", ANY))},
	[EVENT_WORKFLOW_FAILED] = {"WorkflowFailed", ROLE_TERMINAL, FAMILY_NONE,
							   MEMBERS(REQUIRED("error", FAILURE), OPTIONAL("ended_on", EVENTS),
									   OPTIONAL("went_on", TEXT))},
	[EVENT_WORKFLOW_CANCELLED] = {"WorkflowCancelled", ROLE_TERMINAL, FAMILY_NONE,
								  MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("by", TEXT),
										  OPTIONAL("ended_on", EVENTS), OPTIONAL("went_on", TEXT))},
	[EVENT_WORKFLOW_TERMINATED] = {"WorkflowTerminated", ROLE_TERMINAL, FAMILY_NONE,
								   MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("by", TEXT))},
	[EVENT_WORKFLOW_TIMED_OUT] = {"WorkflowTimedOut", ROLE_TERMINAL, FAMILY_NONE,
								  MEMBERS(OPTIONAL("reason", TEXT))},
	[EVENT_WORKFLOW_BLOCKED] = {"WorkflowBlocked", ROLE_MARK, FAMILY_NONE,
								MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("detail", ANY))},
	[EVENT_WORKFLOW_UNBLOCKED] = {"WorkflowUnblocked", ROLE_MARK, FAMILY_NONE, NO_MEMBERS},
	[EVENT_VERSION_CHANGED] = {"VersionChanged", ROLE_MARK, FAMILY_NONE,
							   MEMBERS(OPTIONAL("from", TEXT), OPTIONAL("to", TEXT))},
	[EVENT_COMMAND_ANSWERED] = {"CommandAnswered", ROLE_COMMAND, FAMILY_NONE,
								MEMBERS(REQUIRED("command", TEXT), OPTIONAL("input", ANY),
										OPTIONAL("answer", TEXT), OPTIONAL("error", FAILURE))},
	[EVENT_ACTIVITY_SCHEDULED] = {"ActivityScheduled", ROLE_COMMAND, FAMILY_ACTIVITY,
								  MEMBERS(REQUIRED("activity", TEXT), OPTIONAL("input", ANY),
										  OPTIONAL("options", OBJECT))},
	[EVENT_ACTIVITY_COMPLETED] = {"ActivityCompleted", ROLE_OUTCOME, FAMILY_ACTIVITY,
								  MEMBERS(OPTIONAL("result", ANY), OPTIONAL("last_error", OBJECT))},
	[EVENT_ACTIVITY_FAILED] = {"ActivityFailed", ROLE_OUTCOME, FAMILY_ACTIVITY,
							   MEMBERS(REQUIRED("error", FAILURE))},
	[EVENT_ACTIVITY_CANCELLED] = {"ActivityCancelled", ROLE_OUTCOME, FAMILY_ACTIVITY,
								  MEMBERS(OPTIONAL("cause", TEXT), OPTIONAL("unawaited", TEXT))},
	[EVENT_TIMER_STARTED] = {"TimerStarted", ROLE_COMMAND, FAMILY_TIMER,
							 MEMBERS(REQUIRED("fire_at", MOMENT), OPTIONAL("duration", TEXT),
									 OPTIONAL("until", TEXT), OPTIONAL("handler", TEXT),
									 OPTIONAL("digest", TEXT))},
	[EVENT_TIMER_FIRED] = {"TimerFired", ROLE_OUTCOME, FAMILY_TIMER, NO_MEMBERS},
	[EVENT_TIMER_CANCELLED] = {"TimerCancelled", ROLE_OUTCOME, FAMILY_TIMER,
							   MEMBERS(OPTIONAL("cause", TEXT))},
	[EVENT_SIGNAL_RECEIVED] = {"SignalReceived", ROLE_SIGNAL, FAMILY_NONE,
							   MEMBERS(REQUIRED("payload", ANY), OPTIONAL("sender", TEXT),
									   OPTIONAL("sent_at", MOMENT), OPTIONAL("dedup_id", TEXT),
									   OPTIONAL("carried_from", TEXT))},
	[EVENT_SIGNAL_SENT] = {"SignalSent", ROLE_COMMAND, FAMILY_NONE,
						   MEMBERS(REQUIRED("workflow_id", TEXT), OPTIONAL("payload", ANY))},
	[EVENT_WORKFLOW_PAUSED] = {"WorkflowPaused", ROLE_MARK, FAMILY_NONE,
							   MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("by", TEXT))},
	[EVENT_WORKFLOW_RESUMED] = {"WorkflowResumed", ROLE_MARK, FAMILY_NONE,
								MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("by", TEXT))},
	[EVENT_WORKFLOW_REOPENED] = {"WorkflowReopened", ROLE_REOPEN, FAMILY_NONE,
								 MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("by", TEXT),
										 REQUIRED("supersedes", EVENTS))},
	[EVENT_SEARCH_ATTRIBUTES_UPDATED] = {"SearchAttributesUpdated", ROLE_COMMAND, FAMILY_NONE,
										 MEMBERS(REQUIRED("search_attributes", OBJECT))},
	[EVENT_VERSION_MARKED] = {"VersionMarked", ROLE_PATCH, FAMILY_NONE, NO_MEMBERS},
	[EVENT_WORKFLOW_CANCEL_REQUESTED] = {"WorkflowCancelRequested", ROLE_REQUEST, FAMILY_NONE,
										 MEMBERS(OPTIONAL("reason", TEXT), OPTIONAL("by", TEXT))},
	[EVENT_CANCEL_REQUEST_SENT] = {"CancelRequestSent", ROLE_COMMAND, FAMILY_NONE,
								   MEMBERS(OPTIONAL("input", ANY))},
	[EVENT_ACTIVITY_CANCEL_REQUESTED] = {"ActivityCancelRequested", ROLE_COMMAND, FAMILY_NONE,
										 NO_MEMBERS},
	[EVENT_CHILD_WORKFLOW_STARTED] = {"ChildWorkflowStarted", ROLE_COMMAND, FAMILY_CHILD,
									  MEMBERS(REQUIRED("workflow_type", TEXT),
											  OPTIONAL("version", TEXT), OPTIONAL("input", ANY),
											  REQUIRED("workflow_id", TEXT),
											  OPTIONAL("id_by_chance", TEXT),
											  OPTIONAL("run_id", TEXT), OPTIONAL("run_key", INT),
											  OPTIONAL("parent_close", TEXT))},
	[EVENT_CHILD_WORKFLOW_COMPLETED] = {"ChildWorkflowCompleted", ROLE_OUTCOME, FAMILY_CHILD,
										MEMBERS(OPTIONAL("result", ANY))},
	[EVENT_CHILD_WORKFLOW_FAILED] = {"ChildWorkflowFailed", ROLE_OUTCOME, FAMILY_CHILD,
									 MEMBERS(REQUIRED("status", TEXT), REQUIRED("error", FAILURE))},
	[EVENT_CHILD_CANCEL_REQUESTED] = {"ChildCancelRequested", ROLE_COMMAND, FAMILY_NONE,
									  NO_MEMBERS},
	[EVENT_WORKFLOW_CONTINUED_AS_NEW] = {"WorkflowContinuedAsNew", ROLE_TERMINAL, FAMILY_NONE,
										 MEMBERS(REQUIRED("workflow_type", TEXT),
												 OPTIONAL("version", TEXT), OPTIONAL("input", ANY),
												 OPTIONAL("run_id", TEXT),
												 OPTIONAL("run_key", INT))},
	[EVENT_WORKFLOW_WATCHED] = {"WorkflowWatched", ROLE_MARK, FAMILY_NONE,
								MEMBERS(OPTIONAL("run_key", INT), OPTIONAL("workflow_id", TEXT),
										OPTIONAL("run_id", TEXT), OPTIONAL("child", TEXT))},
};

static Oid label_oids[EVENT_TYPES];
static uint64 labels_known_of = 0; /* generation of the extension that label_oids belong to */

static void know_labels(void);

const char *
aion_event_label(EventType type)
{
	return kinds[type].label;
}

/*
 * Finds the type of an event by the oid of its label in aion.event_type.
 */
EventType
aion_event_type(Oid label)
{
	know_labels();
	for (int i = 0; i < EVENT_TYPES; i++)
	{
		if (label_oids[i] == label)
			return (EventType) i;
	}
	elog(ERROR, "unknown event type %u", label);
}

Oid
aion_event_label_oid(EventType type)
{
	know_labels();
	return label_oids[type];
}

EventRole
aion_event_role(const Event *event)
{
	return kinds[event->type].role;
}

EventFamily
aion_event_family(const Event *event)
{
	return kinds[event->type].family;
}

/*
 * Returns what an event of a type carries, ended by a member without a name.
 */
const EventMember *
aion_event_members(EventType type)
{
	return kinds[type].members;
}

static void
know_labels(void)
{
	const Extension *ext = aion_extension();
	Oid type;

	if (labels_known_of == ext->generation)
		return;
	type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("event_type"),
						   ObjectIdGetDatum(ext->schema));
	for (int i = 0; i < EVENT_TYPES; i++)
	{
		label_oids[i] = GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(type),
										CStringGetDatum(kinds[i].label));
		if (!OidIsValid(label_oids[i]))
			elog(ERROR, "aion.event_type has no label \"%s\"", kinds[i].label);
	}
	labels_known_of = ext->generation;
}
