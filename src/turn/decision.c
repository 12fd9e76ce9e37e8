/*
 * decision.c
 *		Applies what a turn decided: records commands, and the run waits, ends or is blocked.
 *
 * All of it requires the engine's authority, and happens after the turn's own subtransaction has
 * been rolled back.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "code/failure.h"
#include "run/primitive.h"
#include "run/transition.h"
#include "shared/incident.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/payload.h"
#include "turn/continue.h"
#include "turn/decision.h"
#include "turn/mistake.h"
#include "turn/patch.h"
#include "turn/receive.h"

#define MAX_AWAITS 100 /* that are named one by one */

static void block_for_difference(Run *run, const Difference *difference);
static void report_divergences(const Run *run, const Turn *turn);
static void note_unawaited(Run *run, const Turn *turn);
static void close_cancelled(Run *run, const Turn *turn);
static bool only_cancelled(const Turn *turn, int first, List **seqs);
static void close_failed(Run *run, const Turn *turn);
static bool ends_on_outcome(const Turn *turn);
static Jsonb *decision_failure_of(const Turn *turn);
static void record_commands(Run *run, Turn *turn);
static void note_awaiting(Run *run, const Turn *turn);

/*
 * Prepares the new commands of a turn.  If one cannot be carried out, the commands from there on
 * are left out, and so is how the turn ended: the code is executed again to get the error, or the
 * run is blocked.
 */
void
aion_decision_admit(Run *run, Turn *turn, Hindrance *hindrance)
{
	if (turn->verdict == TURN_MISMATCHED || turn->verdict == TURN_TIMED_OUT)
		return;
	for (int i = turn->known; i < turn->command_count; i++)
	{
		Command *command = turn->commands[i];

		if (command->recorded != NULL || command->class->admit == NULL ||
			(command->mistake != NULL && command->mistake->told))
			continue;
		if (command->mistake != NULL)
			*hindrance = command->mistake->hindrance; /* the code gets it at its await */
		else if (command->class->admit(run, command, hindrance))
			continue;
		else if (hindrance->failure != NULL)
		{
			(void) aion_mistake_note(run, command->number, EVENT_COMMAND_ANSWERED, NULL, hindrance);
			hindrance->is_new = true;
		}
		turn->command_count = i;
		return;
	}
	if (turn->verdict == TURN_CONTINUED)
		aion_continue_admit(run, turn, hindrance);
}

/*
 * Records the commands before the one that cannot be carried out, and blocks the run unless the
 * code is to get the error.  Returns whether it has blocked the run.
 */
bool
aion_decision_stop_short(Run *run, Turn *turn, const Hindrance *hindrance, const Mistake *uncaught)
{
	aion_mistakes_record(run, uncaught);
	record_commands(run, turn);
	aion_primitives_apply(run, turn);
	if (!hindrance->is_new)
		aion_run_block(run, hindrance->reason, hindrance->detail);
	turn->awaited_count = 0;
	return !hindrance->is_new;
}

/*
 * Applies what a turn decided; false if it cannot be applied, and has blocked the run.
 */
bool
aion_decision_apply(Run *run, Turn *turn)
{
	switch (turn->verdict)
	{
		case TURN_MISMATCHED:
			block_for_difference(run, turn->difference);
			return false;
		case TURN_TIMED_OUT:
			aion_run_block(
				run, BLOCKED_TURN_TIMEOUT,
				aion_failure_make("57014", MESSAGE_TIMED_OUT, "Move the work into an activity."));
			return false;
		default:
			break;
	}
	report_divergences(run, turn);
	aion_mistakes_record(run, NULL);
	if (run->mistakes == NIL)
	{
		aion_run_unblock(run);
		aion_run_forget_failures(run);
	}
	aion_receivers_keep(turn);
	record_commands(run, turn);
	aion_primitives_apply(run, turn);
	if (turn->verdict == TURN_SUSPENDED)
		note_awaiting(run, turn);
	else if (turn->verdict == TURN_CONTINUED)
		aion_continue_close(run, turn);
	else if (turn->verdict == TURN_RETURNED)
	{
		note_unawaited(run, turn);
		aion_run_close(run, EVENT_WORKFLOW_COMPLETED, aion_event_result(turn->result));
	}
	else if (turn->heard > 0 && turn->error->sqlerrcode == ERRCODE_CANCEL_REQUESTED)
		close_cancelled(run, turn);
	else
		close_failed(run, turn);
	return true;
}

/*
 * Blocks a run whose code differs from its history, or may differ in a later execution.
 */
static void
block_for_difference(Run *run, const Difference *difference)
{
	JsonObject detail;

	if (strcmp(difference->kind, DIFFERENCE_NONDETERMINISTIC) != 0)
	{
		aion_run_block(run, BLOCKED_MISMATCH, aion_replay_difference(difference));
		return;
	}
	aion_object_begin(&detail);
	aion_object_text(&detail, "sqlstate", unpack_sql_state(ERRCODE_NONDETERMINISTIC));
	if (difference->expected == NULL)
		aion_object_text(&detail, "message", difference->found);
	else
	{
		aion_object_text(&detail, "message",
						 "workflow code differs from one execution to the next");
		aion_object_text(&detail, "first", difference->expected);
		aion_object_text(&detail, "second", difference->found);
	}
	aion_object_text(&detail, "hint", difference->hint);
	aion_object_text(&detail, "context", difference->context);
	aion_run_block(run, BLOCKED_NONDETERMINISTIC, aion_object_end(&detail));
}

/*
 * Warns of what code reads that differs from one execution to the next, once for each version and
 * place.
 */
static void
report_divergences(const Run *run, const Turn *turn)
{
	ListCell *cell;

	foreach (cell, turn->divergences)
	{
		const Difference *difference = lfirst(cell);

		aion_incident_warn(
			run->owner_key, run->version_key, difference->found,
			psprintf("workflow %s of type %s: %s", aion_incident_quote(run->workflow_id),
					 aion_incident_quote(run->started.workflow_type), difference->found));
	}
}

/*
 * Marks activities that the code has never awaited: its end cancels them, which its author hardly
 * intended.
 */
static void
note_unawaited(Run *run, const Turn *turn)
{
	const char *name = NULL;

	for (int i = 0; i < turn->command_count; i++)
	{
		const Command *command = turn->commands[i];

		if (command->class->kind != COMMAND_ACTIVITY || command->awaited ||
			command->cancelled_by != NULL || command->recorded->outcome != NULL)
			continue;
		command->recorded->unawaited = true;
		if (name == NULL)
			name = command->fingerprint.name;
	}
	if (name != NULL)
		aion_incident_warn(run->owner_key, run->version_key, NULL,
						   psprintf("workflow %s of type %s completed and cancelled activity %s, "
									"which it has never awaited",
									aion_incident_quote(run->workflow_id),
									aion_incident_quote(run->started.workflow_type),
									aion_incident_quote(name)));
}

/*
 * Ends a run because its code did not catch a cancel request, and notes what it ended on: the
 * request, those that were not raised in the code, and what it only cancelled because of it.
 */
static void
close_cancelled(Run *run, const Turn *turn)
{
	const Event *request = list_nth(run->history->cancel_requests, turn->heard - 1);
	List *ended_on = aion_history_pending_requests(run->history, turn->heard - 1);
	int first = turn->heard_at;
	bool went_on;

	if (turn->asked_at > 0)
		first = Min(first, turn->asked_at - 1);
	went_on = !only_cancelled(turn, first, &ended_on);
	aion_run_close(run, EVENT_WORKFLOW_CANCELLED,
				   aion_event_workflow_cancelled(request, ended_on, went_on));
}

/*
 * Adds the cancels that the code gave from one of its commands on; false if it gave other commands.
 */
static bool
only_cancelled(const Turn *turn, int first, List **seqs)
{
	bool only = true;

	for (int i = first; i < turn->command_count; i++)
	{
		const Event *event = turn->commands[i]->recorded->event;

		if (aion_event_is_cancel_command(event))
			*seqs = list_append_unique_int(*seqs, event->seq);
		else
			only = false;
	}
	return only;
}

/*
 * Ends a run because its code failed, and notes what it ended on: failures after which the code
 * gave no command but cancels, failures that it did not get at all, and those cancels.
 */
static void
close_failed(Run *run, const Turn *turn)
{
	List *ended_on = NIL;
	bool went_on = false;
	int first = 0;

	if (turn->told != NIL && (turn->told_last || ends_on_outcome(turn)))
		ended_on = aion_turn_failures(turn, &first);
	if (ended_on != NIL)
		went_on = !only_cancelled(turn, first, &ended_on);
	if (!went_on)
		ended_on = list_concat(ended_on, aion_history_pending_requests(run->history, turn->heard));
	aion_run_close(run, EVENT_WORKFLOW_FAILED,
				   aion_event_failed(decision_failure_of(turn), ended_on, went_on));
}

/*
 * Tells whether the error that the code ended with is the outcome that was raised last.
 */
static bool
ends_on_outcome(const Turn *turn)
{
	int class = ERRCODE_TO_CATEGORY(turn->error->sqlerrcode);

	return turn->failure != NULL && (class == ERRCODE_TO_CATEGORY(ERRCODE_ACTIVITY_FAILED) ||
									 class == ERRCODE_TO_CATEGORY(ERRCODE_WORKFLOW_FAILED));
}

/*
 * Returns the error that the code ended with, and the outcome it comes from if there is one.
 */
static Jsonb *
decision_failure_of(const Turn *turn)
{
	JsonObject details;

	if (!ends_on_outcome(turn))
		return aion_failure_of(turn->error, NULL);
	aion_object_begin(&details);
	aion_object_json(&details, "cause", turn->failure);
	return aion_failure_of(turn->error, aion_object_end(&details));
}

static void
record_commands(Run *run, Turn *turn)
{
	int known = run->history->command_count;

	for (int i = turn->known; i < turn->command_count; i++)
	{
		Command *command = turn->commands[i];

		if (command->recorded != NULL)
			continue; /* and executed */
		aion_patches_record(turn, i);
		if (command->mistake != NULL)
			run->history->stamp = Max(command->mistake->outcome.recorded_at,
									  aion_history_last(run->history)->recorded_at);
		(void) command->class->record(run, command);
		if (run->history->command_count != ++known)
			elog(ERROR, "command %d of run " INT64_FORMAT " was not recorded once", i + 1,
				 run->run_key);
		command->recorded = run->history->commands[known - 1];
	}
	aion_patches_record(turn, turn->command_count);
}

/*
 * Notes what the code waits for, and since when if that is new.
 */
static void
note_awaiting(Run *run, const Turn *turn)
{
	int named = Min(turn->awaited_count, MAX_AWAITS);
	Jsonb **awaits = palloc((named + 1) * sizeof(Jsonb *));
	Jsonb *awaiting;

	for (int i = 0; i < named; i++)
	{
		const Command *command = turn->awaited[i];
		JsonObject object;

		aion_object_begin(&object);
		aion_object_text(&object, "awaiting", command->class->awaiting);
		if (command->received != NULL)
			aion_object_text(&object, "key", command->fingerprint.name);
		else
		{
			const Event *event = command->recorded->event;

			aion_object_text(&object, "key",
							 command->class->key != NULL ? command->class->key(command)
														 : event->key);
			aion_object_timestamp(&object, "until", aion_event_read_fire_at(event));
		}
		awaits[i] = aion_object_end(&object);
	}
	if (named < turn->awaited_count)
	{
		JsonObject object;

		aion_object_begin(&object);
		aion_object_text(&object, "awaiting", turn->awaited[named]->class->awaiting);
		aion_object_text(&object, "key", psprintf("and %d more", turn->awaited_count - named));
		awaits[named++] = aion_object_end(&object);
	}
	awaiting = aion_json_array(awaits, named);
	if (run->awaiting != NULL && aion_json_equal(run->awaiting, awaiting))
		return;
	run->awaiting = awaiting;
	run->awaiting_since = aion_clock_now();
}
