/*
 * event.h
 *		The events a history is made of: the only encoder and decoder of what each carries.
 */
#ifndef AION_EVENT_H
#define AION_EVENT_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* In the order of the labels of the SQL type aion.event_type. */
typedef enum EventType
{
	EVENT_WORKFLOW_STARTED,
	EVENT_WORKFLOW_COMPLETED,
	EVENT_WORKFLOW_FAILED,
	EVENT_WORKFLOW_CANCELLED,
	EVENT_WORKFLOW_TERMINATED,
	EVENT_WORKFLOW_TIMED_OUT,
	EVENT_WORKFLOW_BLOCKED,
	EVENT_WORKFLOW_UNBLOCKED,
	EVENT_VERSION_CHANGED,
	EVENT_COMMAND_ANSWERED,
	EVENT_ACTIVITY_SCHEDULED,
	EVENT_ACTIVITY_COMPLETED,
	EVENT_ACTIVITY_FAILED,
	EVENT_ACTIVITY_CANCELLED,
	EVENT_TIMER_STARTED,
	EVENT_TIMER_FIRED,
	EVENT_TIMER_CANCELLED,
	EVENT_SIGNAL_RECEIVED,
	EVENT_SIGNAL_SENT,
	EVENT_WORKFLOW_PAUSED,
	EVENT_WORKFLOW_RESUMED,
	EVENT_WORKFLOW_REOPENED,
	EVENT_SEARCH_ATTRIBUTES_UPDATED,
	EVENT_VERSION_MARKED,
	EVENT_WORKFLOW_CANCEL_REQUESTED,
	EVENT_CANCEL_REQUEST_SENT,
	EVENT_ACTIVITY_CANCEL_REQUESTED,
	EVENT_CHILD_WORKFLOW_STARTED,
	EVENT_CHILD_WORKFLOW_COMPLETED,
	EVENT_CHILD_WORKFLOW_FAILED,
	EVENT_CHILD_CANCEL_REQUESTED,
	EVENT_WORKFLOW_CONTINUED_AS_NEW,
	EVENT_WORKFLOW_WATCHED,
} EventType;

#define EVENT_TYPES (EVENT_WORKFLOW_WATCHED + 1)

typedef enum EventRole
{
	ROLE_START,
	ROLE_TERMINAL, /* ends a lease */
	ROLE_COMMAND,  /* what the code asked for */
	ROLE_OUTCOME,  /* settles a command */
	ROLE_SIGNAL,   /* is there for the code to consume */
	ROLE_REQUEST,  /* that the code be cancelled */
	ROLE_MARK,	   /* invisible to the code */
	ROLE_PATCH,	   /* says that the code has a certain change */
	ROLE_REOPEN	   /* takes back earlier events, and begins a lease */
} EventRole;

/* What an outcome has in common with the command it settles. */
typedef enum EventFamily
{
	FAMILY_NONE,
	FAMILY_ACTIVITY,
	FAMILY_TIMER,
	FAMILY_CHILD
} EventFamily;

/* What readers rely on in a member of an event's attributes. */
typedef enum MemberType
{
	MEMBER_ANY,
	MEMBER_TEXT,
	MEMBER_INT,
	MEMBER_MOMENT,
	MEMBER_OBJECT,
	MEMBER_OBJECTS, /* an array of them */
	MEMBER_ORIGINS, /* the same, of Origin */
	MEMBER_EVENTS,	/* an array of the numbers of earlier events */
	MEMBER_FAILURE
} MemberType;

typedef struct EventMember
{
	const char *name;
	MemberType type;
	bool required; /* also in the oldest rows */
} EventMember;

/* What code can ask for. */
typedef enum CommandKind
{
	COMMAND_NONE,
	COMMAND_ACTIVITY,
	COMMAND_SLEEP,
	COMMAND_TIMER,
	COMMAND_TIMEOUT, /* of an await */
	COMMAND_CANCEL_TIMER,
	COMMAND_CANCEL_ACTIVITY,
	COMMAND_ON_QUERY,
	COMMAND_TRY_RECEIVE,
	COMMAND_SEND_SIGNAL,
	COMMAND_UPSERT_SEARCH_ATTRIBUTES,
	COMMAND_DEADLINE,
	COMMAND_REQUEST_CANCEL,
	COMMAND_CHILD,
	COMMAND_CANCEL_CHILD
} CommandKind;

#define COMMAND_KINDS (COMMAND_CANCEL_CHILD + 1)

/* Why a timer or an activity was cancelled. */
typedef enum CancelCause
{
	CANCEL_BY_WORKFLOW,
	CANCEL_BY_CLOSE,
	CANCEL_UNAWAITED /* by the close too; the code has never waited for it */
} CancelCause;

typedef struct Event
{
	int32 seq;
	TimestampTz recorded_at;
	EventType type;
	char *key;		   /* NULL where there is none */
	Jsonb *attributes; /* NULL where there are none */
} Event;

/* What identifies a command: equal in every replay of the same code. */
typedef struct Fingerprint
{
	CommandKind kind;
	const char *name;
	const Jsonb *input;
} Fingerprint;

typedef struct SignalReceived
{
	Jsonb *payload; /* never NULL */
	const char *sender;
	TimestampTz sent_at;
	const char *dedup_id;	  /* NULL: none */
	const char *carried_from; /* id of the run it was sent to; NULL: this one */
} SignalReceived;

typedef struct WorkflowStarted
{
	const char *workflow_type;
	const char *version;
	Jsonb *input;
	const char *task_queue; /* NULL: that of the registration */
	const char *started_by;
	TimestampTz start_at; /* DT_NOEND: at once */
	TimestampTz deadline; /* DT_NOEND: none */
	Jsonb *search_attributes;
	Jsonb *memo;
	Jsonb *parents;		  /* runs it sends its end to: an array of links; NULL: none */
	Jsonb *continues;	  /* the run it goes on for; NULL: none */
	int32 most_events;	  /* that it should have, as it was set when it began */
	Jsonb *forked_from;	  /* NULL: not forked */
	Jsonb *origins;		  /* NULL: its commands are all its own */
	const char *schedule; /* whose tick it is; NULL: no tick */
	TimestampTz scheduled_for;
} WorkflowStarted;

/* The identity that a part of the commands was given under, in a run that was forked. */
typedef struct Origin
{
	const char *workflow_id;
	const char *run_id;
	int32 commands; /* the first ones */
} Origin;

/* Prefixes of timer names that code cannot use. */
#define TIMER_SLEEP "sleep:"
#define TIMER_START "start:"
#define TIMER_DEADLINE "deadline:"
#define TIMER_RETRY "retry:"
#define TIMER_TIMEOUT "timeout:"
#define TIMER_SCOPE "scope:"
#define TIMER_TASK "activity:"
#define TIMER_SETTLED "settled:" /* only in a dump of 0.1.0 */
#define TIMER_SCHEDULE "schedule:"

extern const char *aion_event_label(EventType type);
extern EventType aion_event_type(Oid label);
extern Oid aion_event_label_oid(EventType type);
extern EventRole aion_event_role(const Event *event);
extern EventFamily aion_event_family(const Event *event);
extern const EventMember *aion_event_members(EventType type);
extern bool aion_event_fingerprint(const Event *event, Fingerprint *fingerprint);
extern const char *aion_command_word(CommandKind kind);

/* Encoders: the attributes of one event.  Decoders: absent attributes read as their default. */
extern Jsonb *aion_event_workflow_started(const WorkflowStarted *started);
extern void aion_event_read_workflow_started(const Event *event, WorkflowStarted *started);
extern Jsonb *aion_event_result(const Jsonb *result);
extern Jsonb *aion_event_attempted(const Jsonb *result, int32 attempts, const Jsonb *last_error);
extern Jsonb *aion_event_read_result(const Event *event);
extern Jsonb *aion_event_error(const Jsonb *error);
extern Jsonb *aion_event_read_error(const Event *event);
extern Jsonb *aion_event_workflow_cancelled(const Event *request, List *ended_on, bool went_on);
extern Jsonb *aion_event_failed(const Jsonb *error, List *ended_on, bool went_on);
extern List *aion_event_read_ended_on(const Event *event);
extern bool aion_event_read_went_on(const Event *event);
extern Jsonb *aion_event_reopened(const char *reason, const char *by, List *superseded);
extern List *aion_event_read_superseded(const Event *event);
extern Jsonb *aion_event_forked_from(const char *workflow_id, const char *run_id, int32 seq);
extern Jsonb *aion_event_origins(List *origins);
extern List *aion_event_read_origins(const WorkflowStarted *started);
extern bool aion_event_is_interruption(const Event *event);
extern bool aion_event_is_by_close(const Event *event);
extern bool aion_event_is_own_timer(const Event *event);
extern bool aion_event_is_cancel_command(const Event *event);
extern Jsonb *aion_event_reason(const char *reason, const char *by);
extern Jsonb *aion_event_blocked(const char *reason, const Jsonb *difference);
extern Jsonb *aion_event_version_changed(const char *from, const char *to);
extern Jsonb *aion_event_command_answered(const Fingerprint *command, const char *answer,
										  const Jsonb *error);
extern char *aion_event_read_answer(const Event *event);
extern Jsonb *aion_event_activity_scheduled(const char *activity, const Jsonb *input,
											const Jsonb *options);
extern Jsonb *aion_event_read_activity_options(const Event *event);
extern char *aion_event_read_activity(const Event *event);
extern Jsonb *aion_event_read_activity_input(const Event *event);
extern Jsonb *aion_event_timer_started(TimestampTz fire_at, const Jsonb *wish);
extern TimestampTz aion_event_read_fire_at(const Event *event);
extern Jsonb *aion_event_cancelled(CancelCause cause);
extern bool aion_event_is_cancelled(const Event *event);
extern CancelCause aion_event_read_cancel_cause(const Event *event);
extern Jsonb *aion_event_signal_received(const SignalReceived *signal);
extern void aion_event_read_signal_received(const Event *event, SignalReceived *signal);
extern Jsonb *aion_event_signal_sent(const char *workflow_id, const Jsonb *payload);
extern Jsonb *aion_event_search_attributes_updated(const Jsonb *attributes);
extern Jsonb *aion_event_read_search_attributes(const Event *event);
extern Jsonb *aion_event_child_wish(const Jsonb *input, const char *workflow_id);

#endif
