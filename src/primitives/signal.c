/*
 * signal.c
 *		Signals: sending them, and receiving them in workflow code.
 *
 * A signal is a row in the inbox of a run until the run's next share records it.  Code consumes the
 * signals of a name in the order they were recorded; that is no event.  Only what does not follow
 * from the order of events is an event: that try_receive() found none, and the outcome of sending
 * one to another run.  The row of a signal is written by the turn that sends it, in the same
 * commit; the other run is neither locked nor changed.
 *
 * An id under which a signal was sent is kept until its run and all successors are purged.  Two
 * senders of the same id wait for each other, as in any unique index; no other session waits for a
 * sender.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "history/received.h"
#include "primitives/primitives.h"
#include "primitives/timer.h"
#include "run/inbox.h"
#include "run/start.h"
#include "run/touched.h"
#include "shared/wakeup.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "turn/receive.h"
#include "turn/turn.h"

static Statement insert_id =
	STATEMENT(INSERT,
			  "INSERT INTO aion._signal_id (run_key, owner_key, dedup_id) VALUES ($1, $2, $3)"
			  " ON CONFLICT DO NOTHING",
			  INT8OID, INT4OID, TEXTOID);
static Statement insert_late =
	STATEMENT(INSERT,
			  "INSERT INTO aion._late_signal"
			  " (run_key, owner_key, arrival, name, payload, dedup_id, sender, sent_at)"
			  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
			  INT8OID, INT4OID, INT8OID, TEXTOID, JSONBOID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
static Statement give_back_late = STATEMENT(
	INSERT,
	"WITH late AS (DELETE FROM aion._late_signal WHERE run_key = $1 RETURNING *)"
	" INSERT INTO aion._inbox"
	" (run_key, arrival, owner_key, kind, name, payload, dedup_id, sender, sent_at, chain_key)"
	" SELECT run_key, arrival, owner_key, $2, name, payload, dedup_id, sender, sent_at, $3 FROM "
	"late",
	INT8OID, TEXTOID, INT8OID);
static Statement delete_ids =
	STATEMENT(DELETE,
			  "DELETE FROM aion._signal_id WHERE run_key = $1 AND"
			  " (SELECT true FROM aion._run r WHERE r.chain_key = $1 LIMIT 1) IS NULL",
			  INT8OID);
static Statement delete_late =
	STATEMENT(DELETE, "DELETE FROM aion._late_signal WHERE run_key = $1", INT8OID);

static void record_received(Run *run, const Arrival *arrival);
static void keep_late(Run *run, const Arrival *arrival);
static void know_ids(Run *run);
static void take_late(Run *run);
static void forget_id(const Arrival *arrival);
static void signal_purge(int64 run_key);
static void signal_carry_over(Run *run, Run *successor);
static Jsonb *answer_received(Turn *turn, Command *receiver);
static Jsonb *failure_of_receiver(const Command *receiver);
static const char *cancel_receiver(Turn *turn, Command *receiver);
static Event *record_nothing(Run *run, Command *command);
static Event *signal_record_sent(Run *run, Command *command);
static Jsonb *signal_answer_sent(Turn *turn, Command *command);

static const CommandClass receiver_class = {.kind = COMMAND_NONE,
											.awaiting = "signal",
											.has_handle = true,
											.answer = answer_received,
											.failure = failure_of_receiver,
											.cancel = cancel_receiver,
											.outlives_await = true};
static const CommandClass nothing_class = {.kind = COMMAND_TRY_RECEIVE, .record = record_nothing};
static const CommandClass send_class = {.kind = COMMAND_SEND_SIGNAL,
										.awaiting = "sending",
										.record = signal_record_sent,
										.answer = signal_answer_sent,
										.is_prompt = true};
static const CommandClass *const classes[] = {&receiver_class, &nothing_class, &send_class, NULL};
const Primitive aion_signal_primitive = {.name = "signal",
										 .classes = classes,
										 .receives = "signal",
										 .receive = record_received,
										 .receive_late = keep_late,
										 .return_to_sender = forget_id,
										 .carry_over = signal_carry_over,
										 .fork = know_ids,
										 .reopen = take_late,
										 .purge = signal_purge};

static bool keep_id(int64 run_key, int32 owner_key, const char *dedup_id);
static bool send(const FoundRun *to, const char *name, const Jsonb *payload, const char *dedup_id);
static char *read_name(FunctionCallInfo fcinfo, int argument);
static Jsonb *read_payload(FunctionCallInfo fcinfo, int argument);
static char *read_dedup_id(FunctionCallInfo fcinfo, int argument);
static void refuse_closed(const char *workflow_id);
static Command *start_timeout(Turn *turn, FunctionCallInfo fcinfo);

/*
 * Moves a signal from the inbox into history.
 */
static void
record_received(Run *run, const Arrival *arrival)
{
	SignalReceived signal = {.payload = unconstify(Jsonb *, arrival->payload),
							 .sender = arrival->sender,
							 .sent_at = arrival->sent_at,
							 .dedup_id = arrival->dedup_id};

	aion_recorder_append(run->history, EVENT_SIGNAL_RECEIVED, arrival->name,
						 aion_event_signal_received(&signal));
}

/*
 * Decides what becomes of a signal whose commit came after the end of the run that it was sent to.
 */
static void
keep_late(Run *run, const Arrival *arrival)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key),	  aion_arg_int32(run->owner_key),
							aion_arg_int64(arrival->number),  aion_arg_text(arrival->name),
							aion_arg_jsonb(arrival->payload), aion_arg_text(arrival->dedup_id),
							aion_arg_text(arrival->sender),	  aion_arg_timestamp(arrival->sent_at)};

	(void) aion_statement_execute(&insert_late, args);
}

/*
 * Passes the signals that were not consumed to the successor, in the order they were recorded.
 */
static void
signal_carry_over(Run *run, Run *successor)
{
	History *history = run->history;

	for (int i = 0; history->received != NULL && i < history->count; i++)
	{
		const Event *event = history->events[i];
		Received *received;
		SignalReceived signal;

		if (aion_event_role(event) != ROLE_SIGNAL || aion_history_is_superseded(history, event))
			continue;
		received = aion_received(history, event->key);
		if (received->read == received->count || received->events[received->read] != event)
			continue;
		received->read++; /* it does not stay here */
		aion_event_read_signal_received(event, &signal);
		if (signal.carried_from == NULL)
			signal.carried_from =
				DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->run_id)));
		aion_recorder_append(successor->history, EVENT_SIGNAL_RECEIVED, event->key,
							 aion_event_signal_received(&signal));
	}
}

/*
 * Keeps the ids of the signals that a forked run took over.
 */
static void
know_ids(Run *run)
{
	for (int i = 0; i < run->history->count; i++)
	{
		SignalReceived signal;

		if (run->history->events[i]->type != EVENT_SIGNAL_RECEIVED)
			continue;
		aion_event_read_signal_received(run->history->events[i], &signal);
		if (signal.dedup_id != NULL)
			(void) keep_id(run->run_key, run->owner_key, signal.dedup_id);
	}
}

/*
 * Returns the late signals of a reopened run to its inbox: their ids are known, so their senders
 * could not even send them again.
 */
static void
take_late(Run *run)
{
	NullableDatum args[] = {aion_arg_int64(run->run_key),
							aion_arg_text(aion_signal_primitive.receives),
							aion_arg_key(run->chain_key)};

	if (aion_statement_execute(&give_back_late, args).count > 0)
		aion_wakeup_run(run->owner_key, run->run_key);
}

/*
 * Its sender has noted its id when there was a run, and committed when there was none any more.
 */
static void
forget_id(const Arrival *arrival)
{
	NullableDatum args[] = {aion_arg_int64(arrival->chain_key)};

	(void) aion_statement_execute(&delete_ids, args);
}

static void
signal_purge(int64 run_key)
{
	NullableDatum args[] = {aion_arg_int64(run_key)};

	(void) aion_statement_execute(&delete_ids, args);
	(void) aion_statement_execute(&delete_late, args);
}

/*
 * Notes the id of a signal; false if one of the same id was sent to that run before.
 */
static bool
keep_id(int64 run_key, int32 owner_key, const char *dedup_id)
{
	NullableDatum args[] = {aion_arg_int64(run_key), aion_arg_int32(owner_key),
							aion_arg_text(dedup_id)};

	return aion_statement_execute(&insert_id, args).count > 0;
}

/*
 * Sends a signal, with the engine's authority; false if one of the same id was sent before.
 */
static bool
send(const FoundRun *to, const char *name, const Jsonb *payload, const char *dedup_id)
{
	Arrival arrival = {.kind = aion_signal_primitive.receives,
					   .name = name,
					   .payload = payload,
					   .dedup_id = dedup_id};

	if (dedup_id != NULL &&
		!keep_id(to->chain_key != 0 ? to->chain_key : to->run_key, to->owner_key, dedup_id))
		return false;
	aion_inbox_send(to, &arrival);
	aion_touched_note(to->run_key);
	return true;
}

static Jsonb *
answer_received(Turn *turn, Command *receiver)
{
	Jsonb *failure = failure_of_receiver(receiver);
	SignalReceived signal;

	if (failure != NULL)
		aion_failure_raise(ERRCODE_INVALID_WORKFLOW_STATE, failure);
	aion_event_read_signal_received(receiver->offered, &signal);
	return signal.payload;
}

static Jsonb *
failure_of_receiver(const Command *receiver)
{
	if (!aion_receiver_is_cancelled(receiver))
		return NULL;
	return aion_failure_make(
		"WF008", psprintf("waiting for signal \"%s\" was cancelled", receiver->fingerprint.name),
		"Use aion.next_signal() again.");
}

static const char *
cancel_receiver(Turn *turn, Command *receiver)
{
	return aion_receiver_cancel(receiver);
}

/*
 * Appends that there was no signal when the code looked.
 */
static Event *
record_nothing(Run *run, Command *command)
{
	return aion_recorder_append(
		run->history, EVENT_COMMAND_ANSWERED, command->fingerprint.name,
		aion_event_command_answered(&command->fingerprint, "nothing", NULL));
}

/*
 * Sends a signal to another run and appends that it was sent, or why not.
 */
static Event *
signal_record_sent(Run *run, Command *command)
{
	const char *name = command->fingerprint.name;
	const Jsonb *input = command->fingerprint.input;
	char *workflow_id = aion_json_text(input, "workflow_id");
	Jsonb *payload = aion_json_member(input, "payload");
	Jsonb *failure = NULL;
	FoundRun to;

	if (!aion_run_look_up(workflow_id, aion_owner_role(run->owner_key), &to))
		failure = aion_failure_make("WF001",
									psprintf("workflow \"%s\" does not exist", workflow_id), NULL);
	else if (to.is_closed)
		failure =
			aion_failure_make("WF003", psprintf("workflow \"%s\" has ended", workflow_id), NULL);
	if (failure != NULL)
		return aion_recorder_append(
			run->history, EVENT_COMMAND_ANSWERED, name,
			aion_event_command_answered(&command->fingerprint, NULL, failure));
	(void) send(&to, name, payload, NULL);
	return aion_recorder_append(run->history, EVENT_SIGNAL_SENT, name,
								aion_event_signal_sent(workflow_id, payload));
}

static Jsonb *
signal_answer_sent(Turn *turn, Command *command)
{
	Jsonb *failure = aion_event_read_error(command->recorded->event);
	bool is_closed;

	if (failure == NULL)
		return NULL;
	is_closed = strcmp(aion_json_text(failure, "sqlstate"), "WF003") == 0;
	aion_failure_raise(is_closed ? ERRCODE_WORKFLOW_CLOSED : ERRCODE_WORKFLOW_NOT_FOUND, failure);
}

static char *
read_name(FunctionCallInfo fcinfo, int argument)
{
	char *name = PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	aion_name_check(name, AION_NAME_MAX, "signal name");
	return name;
}

/*
 * Reads a payload: without one it is json null.
 */
static Jsonb *
read_payload(FunctionCallInfo fcinfo, int argument)
{
	Jsonb *payload = PG_ARGISNULL(argument) ? aion_json_null() : PG_GETARG_JSONB_P(argument);

	aion_payload_check(payload, "payload");
	return payload;
}

static char *
read_dedup_id(FunctionCallInfo fcinfo, int argument)
{
	char *id = PG_ARGISNULL(argument) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(argument));

	if (id != NULL)
		aion_name_check(id, AION_WORKFLOW_ID_MAX, "dedup_id");
	return id;
}

static void
refuse_closed(const char *workflow_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_WORKFLOW_CLOSED), errmsg("workflow \"%s\" has ended", workflow_id),
			 errhint("Use aion.reopen_workflow() if it has failed and is to go on, or "
					 "aion.signal_with_start() with if_closed => 'allow' to start it anew.")));
}

/*
 * Starts the timer of a receive() that does not wait for ever.
 */
static Command *
start_timeout(Turn *turn, FunctionCallInfo fcinfo)
{
	Interval zero = {0};
	Interval *timeout = PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1);

	if (timeout == NULL)
		return aion_timer_start_timeout(turn, NULL, PG_GETARG_TIMESTAMPTZ(2));
	if (DatumGetBool(
			DirectFunctionCall2(interval_lt, IntervalPGetDatum(timeout), IntervalPGetDatum(&zero))))
		timeout = &zero; /* a negative one is over at once */
	return aion_timer_start_timeout(turn, timeout, 0);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_signal_workflow);
PG_FUNCTION_INFO_V1(aion_signal_with_start);
PG_FUNCTION_INFO_V1(aion_receive);
PG_FUNCTION_INFO_V1(aion_try_receive);
PG_FUNCTION_INFO_V1(aion_next_signal);
PG_FUNCTION_INFO_V1(aion_send_signal);
PG_FUNCTION_INFO_V1(aion_signal_info);

/*
 * signal_workflow(workflow_id, name, payload, dedup_id) -> false if that dedup_id was known
 */
Datum
aion_signal_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *name = read_name(fcinfo, 1);
	Jsonb *payload = read_payload(fcinfo, 2);
	char *dedup_id = read_dedup_id(fcinfo, 3);
	Oid user = GetUserId();
	Authority authority;
	FoundRun to;
	bool sent;

	aion_guard_client_call("aion.signal_workflow");
	aion_authority_assume(&authority);
	if (!aion_run_look_up(workflow_id, user, &to))
		aion_run_not_found(workflow_id);
	if (to.is_closed)
		refuse_closed(workflow_id);
	sent = send(&to, name, payload, dedup_id);
	aion_authority_drop(&authority);
	PG_RETURN_BOOL(sent);
}

/*
 * signal_with_start(workflow_type, input, workflow_id, name, payload, dedup_id, if_running, ...)
 * -> workflow id
 */
Datum
aion_signal_with_start(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	char *name = read_name(fcinfo, 3);
	Jsonb *payload = read_payload(fcinfo, 4);
	char *dedup_id = read_dedup_id(fcinfo, 5);
	Jsonb *input = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	StartRequest request;
	Authority authority;
	FoundRun to;

	aion_start_read_request(fcinfo, 6, false, &request);
	aion_start_prepare(&request);
	do
	{
		CHECK_FOR_INTERRUPTS();
		workflow_id = aion_start(&request, input, workflow_id);
		aion_authority_assume(&authority);
		if (!aion_run_look_up(workflow_id, request.owner, &to))
			aion_run_not_found(workflow_id);
		if (to.is_closed && request.if_closed == POLICY_USE_EXISTING)
			refuse_closed(workflow_id);
		if (!to.is_closed)
			(void) send(&to, name, payload, dedup_id);
		aion_authority_drop(&authority);
	} while (to.is_closed); /* it has just ended */
	PG_RETURN_TEXT_P(cstring_to_text(workflow_id));
}

/*
 * receive(name, timeout, until) -> payload; SQL NULL if none came in time
 */
Datum
aion_receive(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.receive");
	char *name = read_name(fcinfo, 0);
	bool is_limited = !PG_ARGISNULL(1) || !PG_ARGISNULL(2);
	Command *either[2];

	if (!PG_ARGISNULL(1) && !PG_ARGISNULL(2))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("aion.receive() takes either a timeout or a moment"),
						errhint("Pass one of timeout and until, or neither.")));
	either[0] = aion_receiver_create(turn, &receiver_class, name, false);
	aion_receivers_offer(turn, either, 1);
	if (is_limited && !aion_receiver_is_first(turn, either[0]))
	{
		either[1] = start_timeout(turn, fcinfo);
		if (aion_turn_wait(turn, either, 2) == 1)
		{
			aion_turn_consume(turn, either[1]);
			PG_RETURN_NULL();
		}
		aion_turn_consume(turn, either[0]);
		(void) either[1]->class->cancel(turn, either[1]);
	}
	PG_RETURN_JSONB_P(aion_turn_await(turn, either[0]));
}

/*
 * try_receive(name) -> payload; SQL NULL if there is none
 */
Datum
aion_try_receive(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.try_receive");
	Command *receiver = aion_receiver_create(turn, &receiver_class, read_name(fcinfo, 0), false);

	aion_receivers_offer(turn, &receiver, 1);
	if (aion_receiver_is_first(turn, receiver))
		PG_RETURN_JSONB_P(aion_turn_await(turn, receiver));
	(void) aion_turn_command(turn, &nothing_class, receiver->fingerprint.name, NULL, NULL);
	PG_RETURN_NULL();
}

/*
 * next_signal(name) -> handle
 */
Datum
aion_next_signal(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.next_signal");
	Command *receiver = aion_receiver_create(turn, &receiver_class, read_name(fcinfo, 0), true);

	PG_RETURN_TEXT_P(cstring_to_text(aion_turn_handle(receiver)));
}

/*
 * send_signal(workflow_id, name, payload)
 */
Datum
aion_send_signal(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.send_signal");
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *name = read_name(fcinfo, 1);
	Jsonb *payload = read_payload(fcinfo, 2);

	aion_name_check(workflow_id, AION_WORKFLOW_ID_MAX, "workflow id");
	(void) aion_turn_await(turn,
						   aion_turn_command(turn, &send_class, name,
											 aion_event_signal_sent(workflow_id, payload), NULL));
	PG_RETURN_VOID();
}

/*
 * signal_info() -> what is known about the signal received last
 */
Datum
aion_signal_info(PG_FUNCTION_ARGS)
{
	Turn *turn = aion_turn_current("aion.signal_info");
	SignalReceived signal;
	JsonObject object;

	if (turn->received == NULL)
		PG_RETURN_NULL();
	aion_event_read_signal_received(turn->received, &signal);
	aion_object_begin(&object);
	aion_object_text(&object, "name", turn->received->key);
	aion_object_text(&object, "sent_by", signal.sender);
	aion_object_timestamp(&object, "sent_at", signal.sent_at);
	aion_object_text(&object, "dedup_id", signal.dedup_id);
	PG_RETURN_JSONB_P(aion_object_end(&object));
}
