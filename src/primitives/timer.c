/*
 * timer.c
 *		Timers of workflow code: sleeps, named timers, and those of other primitives.
 *
 * Starting a timer and cancelling one are commands.  An answer that rests on what was not there
 * (the timer is live already, it is not live any more) is recorded too, because a later replay may
 * see more than the turn that decided.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "code/definition.h"
#include "code/failure.h"
#include "primitives/primitives.h"
#include "primitives/timer.h"
#include "run/due.h"
#include "support/clock.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/turn.h"

/* The parameters of a new timer. */
typedef struct TimerRequest
{
	Interval *duration; /* NULL: until */
	TimestampTz until;
	bool refused; /* a timer of that name is live */
} TimerRequest;

static Event *timer_record_cancel(Run *run, Command *command);
static Jsonb *answer_timer(Turn *turn, Command *command);

static Jsonb *timer_failure_of(const Command *command);
static const CommandClass sleep_class = {.kind = COMMAND_SLEEP,
										 .awaiting = "timer",
										 .record = aion_timer_record,
										 .answer = answer_timer,
										 .cancel = aion_timer_cancel};
static const CommandClass timer_class = {.kind = COMMAND_TIMER,
										 .awaiting = "timer",
										 .has_handle = true,
										 .record = aion_timer_record,
										 .answer = answer_timer,
										 .failure = timer_failure_of,
										 .cancel = aion_timer_cancel};
static const CommandClass timeout_class = {.kind = COMMAND_TIMEOUT,
										   .awaiting = "timeout",
										   .record = aion_timer_record,
										   .answer = answer_timer,
										   .failure = timer_failure_of,
										   .cancel = aion_timer_cancel};
static const CommandClass cancel_class = {.kind = COMMAND_CANCEL_TIMER,
										  .record = timer_record_cancel};
static const CommandClass *const classes[] = {&sleep_class, &timer_class, &timeout_class,
											  &cancel_class, NULL};
const Primitive aion_timer_primitive = {.name = "timer", .classes = classes};

static Command *timer_start(Turn *turn, const CommandClass *class, const char *name,
							const Interval *duration, TimestampTz until, bool refused);
static TimestampTz moment_of(Run *run, const TimerRequest *asked);
static const char *timer_state_of(const Command *timer);
static const char *cancel_named(Turn *turn, Command *timer, const char *name);
static Command *latest_timer(const Turn *turn, const char *name);
static Jsonb *refusal(const char *name);
static bool is_refused(const Command *command);
static char *author_name(FunctionCallInfo fcinfo, int argument);
static void check_moment(TimestampTz until, const char *what);
static void sleep_for(Turn *turn, const Interval *duration, TimestampTz until);

/*
 * Appends the start of a timer, due its duration after this moment, or the refusal to start it.
 */
Event *
aion_timer_record(Run *run, Command *command)
{
	const TimerRequest *asked = command->detail;
	TimestampTz fire_at;
	Event *event;

	if (asked->refused)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, command->fingerprint.name,
			aion_event_command_answered(&command->fingerprint, NULL,
										refusal(command->fingerprint.name)));
	fire_at = moment_of(run, asked);
	event = aion_recorder_append(run->history, EVENT_TIMER_STARTED, command->fingerprint.name,
								 aion_event_timer_started(fire_at, command->fingerprint.input));
	aion_due_arm(run, event->key, fire_at, event->seq);
	return event;
}

/*
 * Appends the cancel of a timer, or that there was nothing to cancel.
 */
static Event *
timer_record_cancel(Run *run, Command *command)
{
	const char *name = command->fingerprint.name;
	const char *found = command->detail;

	if (strcmp(found, "pending") != 0)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, name,
			aion_event_command_answered(&command->fingerprint, found, NULL));
	aion_due_disarm(run, name);
	return aion_recorder_append(run->history, EVENT_TIMER_CANCELLED, name,
								aion_event_cancelled(CANCEL_BY_WORKFLOW));
}

/*
 * Lets an await of a timer return when it fired, and fail when it was cancelled.
 */
static Jsonb *
answer_timer(Turn *turn, Command *command)
{
	Jsonb *failure = timer_failure_of(command);

	if (failure != NULL)
		aion_failure_raise(ERRCODE_TIMER_CANCELLED, failure);
	return NULL;
}

static Jsonb *
timer_failure_of(const Command *command)
{
	const Event *outcome = aion_turn_outcome(command);

	if (outcome != NULL && outcome->type == EVENT_TIMER_FIRED)
		return NULL;
	return aion_failure_make(
		"WF027", psprintf("timer \"%s\" was cancelled", command->fingerprint.name), NULL);
}

/*
 * Starts the timer of an await that does not wait for ever, but for a duration or (if that is NULL)
 * until a moment.
 */
Command *
aion_timer_start_timeout(Turn *turn, const Interval *duration, TimestampTz until)
{
	char *name = psprintf(TIMER_TIMEOUT "%d", aion_turn_ordinal(turn, COMMAND_TIMEOUT) + 1);

	if (duration == NULL)
		check_moment(until, "until");
	else
	{
		aion_duration_check(duration, true, "timeout");
		(void) aion_duration_after(turn->now, duration, "timeout");
	}
	return timer_start(turn, &timeout_class, name, duration, until, false);
}

/*
 * Asks for a timer that ends a section of code; the function that it is for is part of the command.
 */
Command *
aion_timer_start_deadline(Turn *turn, const CommandClass *class, const Interval *duration,
						  const char *handler, const char *digest)
{
	char *name = psprintf(TIMER_SCOPE "%d", aion_turn_ordinal(turn, class->kind) + 1);
	TimerRequest *asked = MemoryContextAllocZero(turn->context, sizeof(TimerRequest));
	JsonObject object;

	asked->duration = MemoryContextAlloc(turn->context, sizeof(Interval));
	*asked->duration = *duration;
	aion_object_begin(&object);
	aion_object_text(&object, "duration", aion_duration_text(duration));
	aion_object_text(&object, "handler", handler);
	aion_object_text(&object, "digest", digest);
	return aion_turn_command(turn, class, name, aion_object_end(&object), asked);
}

/*
 * Cancels a timer unless it is settled.
 */
const char *
aion_timer_cancel(Turn *turn, Command *timer)
{
	return cancel_named(turn, timer, timer->fingerprint.name);
}

static const char *
cancel_named(Turn *turn, Command *timer, const char *name)
{
	const char *found = timer_state_of(timer);
	Command *command = aion_turn_command(turn, &cancel_class, name, NULL, found);

	if (command->recorded != NULL)
		found = command->recorded->event->type == EVENT_TIMER_CANCELLED
					? "pending"
					: aion_event_read_answer(command->recorded->event);
	if (strcmp(found, "pending") == 0 && timer != NULL)
		timer->cancelled_by = command;
	return found;
}

static Command *
timer_start(Turn *turn, const CommandClass *class, const char *name, const Interval *duration,
			TimestampTz until, bool refused)
{
	TimerRequest *asked = MemoryContextAllocZero(turn->context, sizeof(TimerRequest));
	JsonObject object;

	aion_object_begin(&object);
	if (duration != NULL)
	{
		asked->duration = MemoryContextAlloc(turn->context, sizeof(Interval));
		*asked->duration = *duration;
		aion_object_text(&object, "duration", aion_duration_text(duration));
	}
	else
	{
		asked->until = until;
		aion_object_timestamp(&object, "until", until);
	}
	asked->refused = refused;
	return aion_turn_command(turn, class, name, aion_object_end(&object), asked);
}

/*
 * Returns when a timer is due whose start is the next event.  Days and months are those of the time
 * zone that the code was registered under.
 */
static TimestampTz
moment_of(Run *run, const TimerRequest *asked)
{
	TimestampTz now = aion_recorder_stamp(run->history);
	const Version *version;
	TimestampTz moment;
	int level;

	if (asked->duration == NULL)
		return asked->until;
	if (asked->duration->month == 0 && asked->duration->day == 0)
		return aion_duration_after(now, asked->duration, "duration");
	version = aion_version_get(run->version_key);
	level = aion_code_enter_settings(&version->settings);
	moment = aion_duration_after(now, asked->duration, "duration");
	aion_code_leave_settings(level);
	return moment;
}

/*
 * Returns the state of a timer at this point of the code.
 */
static const char *
timer_state_of(const Command *timer)
{
	if (timer == NULL)
		return "unknown";
	if (timer->cancelled_by != NULL)
		return "cancelled";
	if (timer->recorded == NULL || timer->recorded->outcome == NULL)
		return "pending";
	return timer->recorded->outcome->type == EVENT_TIMER_FIRED ? "fired" : "cancelled";
}

/*
 * Finds the timer that was started last under a name, so far in this turn.
 */
static Command *
latest_timer(const Turn *turn, const char *name)
{
	for (Command *timer = turn->latest[COMMAND_TIMER]; timer != NULL; timer = timer->previous)
	{
		if (strcmp(timer->fingerprint.name, name) == 0 && !is_refused(timer))
			return timer;
	}
	return NULL;
}

static Jsonb *
refusal(const char *name)
{
	return aion_failure_make("WF014", psprintf("timer \"%s\" is live already", name),
							 "Cancel it first (aion.await_first() does with cancel_rest => true), "
							 "or use another name.");
}

static bool
is_refused(const Command *command)
{
	if (command->recorded != NULL)
		return command->recorded->event->type == EVENT_COMMAND_ANSWERED;
	return ((const TimerRequest *) command->detail)->refused;
}

/*
 * Reads the name of a timer and refuses those that belong to the engine.
 */
static char *
author_name(FunctionCallInfo fcinfo, int argument)
{
	static const char *const reserved[] = {TIMER_SLEEP, TIMER_START,   TIMER_DEADLINE,
										   TIMER_RETRY, TIMER_TIMEOUT, TIMER_SCOPE,
										   TIMER_TASK,	TIMER_SETTLED, TIMER_SCHEDULE};
	char *name = PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	aion_name_check(name, AION_NAME_MAX, "timer name");
	for (size_t i = 0; i < lengthof(reserved); i++)
	{
		if (strncmp(name, reserved[i], strlen(reserved[i])) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_INPUT), errmsg("timer name \"%s\" is reserved", name),
					 errdetail("Names that begin with \"%s\" are the engine's own.", reserved[i])));
	}
	return name;
}

static void
check_moment(TimestampTz until, const char *what)
{
	if (TIMESTAMP_NOT_FINITE(until))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must be finite", what)));
}

static void
sleep_for(Turn *turn, const Interval *duration, TimestampTz until)
{
	char *name = psprintf(TIMER_SLEEP "%d", aion_turn_ordinal(turn, COMMAND_SLEEP) + 1);
	Command *command = timer_start(turn, &sleep_class, name, duration, until, false);

	(void) aion_turn_await(turn, command);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_sleep);
PG_FUNCTION_INFO_V1(aion_sleep_until);
PG_FUNCTION_INFO_V1(aion_start_timer);
PG_FUNCTION_INFO_V1(aion_cancel_timer);

Datum
aion_sleep(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.sleep");
	Interval *duration = PG_ARGISNULL(0) ? NULL : PG_GETARG_INTERVAL_P(0);

	aion_duration_check(duration, true, "duration");
	(void) aion_duration_after(turn->now, duration, "duration");
	sleep_for(turn, duration, 0);
	PG_RETURN_VOID();
}

Datum
aion_sleep_until(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.sleep_until");

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("until must not be null")));
	check_moment(PG_GETARG_TIMESTAMPTZ(0), "until");
	sleep_for(turn, NULL, PG_GETARG_TIMESTAMPTZ(0));
	PG_RETURN_VOID();
}

/*
 * start_timer(name, duration, until) -> handle
 */
Datum
aion_start_timer(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.start_timer");
	char *name = author_name(fcinfo, 0);
	Interval *duration = PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1);
	TimestampTz until = PG_ARGISNULL(2) ? DT_NOBEGIN : PG_GETARG_TIMESTAMPTZ(2);
	Command *command;

	if (PG_ARGISNULL(1) == PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("a timer needs either a duration or a moment"),
						errhint("Pass one of duration and until.")));
	if (duration != NULL)
	{
		aion_duration_check(duration, true, "duration");
		(void) aion_duration_after(turn->now, duration, "duration");
	}
	else
		check_moment(until, "until");
	command = timer_start(turn, &timer_class, name, duration, until,
						  strcmp(timer_state_of(latest_timer(turn, name)), "pending") == 0);
	if (is_refused(command))
		aion_failure_raise(ERRCODE_INVALID_INPUT, refusal(name));
	PG_RETURN_TEXT_P(cstring_to_text(aion_turn_handle(command)));
}

/*
 * cancel_timer(name) -> the state it was in: pending, fired, cancelled or unknown
 */
Datum
aion_cancel_timer(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.cancel_timer");
	char *name = author_name(fcinfo, 0);

	PG_RETURN_TEXT_P(cstring_to_text(cancel_named(turn, latest_timer(turn, name), name)));
}
