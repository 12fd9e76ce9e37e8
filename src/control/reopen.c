/*
 * reopen.c
 *		Reopening runs that have ended.
 *
 * A reopen takes back the end of the run and what it ended on: failures or a cancel request that
 * the code gave no command after, and whatever the close cancelled.  Nothing is removed: an event
 * lists the events that are no longer valid, and begins a new lease.  So timers are live again,
 * activities open again under their old numbers, successes are reused, and failures that the code
 * has handled stay.
 *
 * The index on open workflow ids decides against concurrent starts, the run's lock against
 * concurrent reopens.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "code/definition.h"
#include "code/guard.h"
#include "control/control.h"
#include "run/due.h"
#include "run/primitive.h"
#include "run/touched.h"
#include "run/transition.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/pg_compat.h"

#define NAMED_MOST 5 /* commands in a message */

static void check_reopenable(const Run *run);
pg_noreturn static void reopen_refuse(const Run *run, const char *detail, const char *hint);
static char *asked_for_after(const History *history, int32 seq);
static void tell_version(const Run *run, const Version *version);
static List *what_to_take_back(const Run *run);
static void reopen_save(Run *run);
static void arm_timers(const Run *run);

/*
 * Refuses a run that cannot be reopened.
 */
static void
check_reopenable(const Run *run)
{
	const Event *terminal = run->history->terminal;

	if (terminal == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_WORKFLOW_STATE),
						errmsg("workflow \"%s\" is %s and cannot be reopened", run->workflow_id,
							   aion_status_name(run->status)),
						errdetail("Only a run that has failed, was cancelled or was terminated can "
								  "be.")));
	if (run->status == RUN_COMPLETED || run->status == RUN_TIMED_OUT)
		reopen_refuse(run, "Only a run that has failed, was cancelled or was terminated can be.",
					  run->status == RUN_COMPLETED
						  ? "Use aion.fork_workflow() with seq => 1 to do all of it again."
						  : psprintf("Use aion.fork_workflow() with seq => %d to go on from there.",
									 terminal->seq - 1));
	if (aion_event_read_went_on(terminal))
	{
		List *ended_on = aion_event_read_ended_on(terminal);
		int32 first = terminal->seq;
		ListCell *cell;

		foreach (cell, ended_on)
			first = Min(first, lfirst_int(cell));
		reopen_refuse(
			run,
			psprintf("It ended on event %d, and its code had asked for something after that: %s.",
					 first, asked_for_after(run->history, first)),
			psprintf(
				"Use aion.fork_workflow() with seq => %d to go on as if that had not been done, "
				"or with seq => 1 to do all of it again.",
				first - 1));
	}
}

static void
reopen_refuse(const Run *run, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_WORKFLOW_STATE),
					errmsg("workflow \"%s\" is %s and cannot be reopened", run->workflow_id,
						   aion_status_name(run->status)),
					errdetail_internal("%s", detail), errhint("%s", hint)));
}

/*
 * Names the first of the commands that were recorded after an event.
 */
static char *
asked_for_after(const History *history, int32 seq)
{
	StringInfoData names;
	int count = 0;

	initStringInfo(&names);
	for (int i = 0; i < history->command_count; i++)
	{
		const RecordedCommand *command = history->commands[i];

		if (command->event->seq < seq || count++ > NAMED_MOST)
			continue;
		appendStringInfo(&names, "%s%s", count > 1 ? ", " : "",
						 count > NAMED_MOST		 ? "..."
						 : command->name != NULL ? command->name
												 : aion_command_word(command->kind));
	}
	return names.data;
}

/*
 * Tells an operator who expects a reopened run to have the latest code that it has not.
 */
static void
tell_version(const Run *run, const Version *version)
{
	const Version *latest;
	const Workflow *workflow = aion_workflow_find(version->workflow_type);

	if (workflow == NULL || workflow->version_key == version->version_key)
		return;
	latest = aion_version_get(workflow->version_key);
	ereport(NOTICE, (errmsg("workflow \"%s\" goes on with version %s, and new ones begin with %s",
							run->workflow_id, version->version, latest->version),
					 errhint("Use aion.set_workflow_version() to move it, or the parameter "
							 "\"version\".")));
}

/*
 * Lists the events that are taken back, among them cancel requests after which the code gave no
 * command.  The run's own timeout is not begun again if it is over: the run would end at once.
 */
static List *
what_to_take_back(const Run *run)
{
	const History *history = run->history;
	List *seqs = aion_event_read_ended_on(history->terminal);
	ListCell *cell;

	for (int i = history->terminal->seq - 2; i > 0; i--)
	{
		const Event *event = history->events[i];

		if (event->type == EVENT_WORKFLOW_REOPENED)
			break;
		if (!aion_event_is_by_close(event) ||
			(aion_event_family(event) == FAMILY_TIMER && strcmp(event->key, TIMER_DEADLINE) == 0 &&
			 run->started.deadline <= aion_clock_now()))
			continue;
		seqs = lappend_int(seqs, event->seq);
	}
	foreach (cell, history->cancel_requests)
	{
		const Event *request = lfirst(cell);

		if (history->command_count == 0 ||
			request->seq > history->commands[history->command_count - 1]->event->seq)
			seqs = list_append_unique_int(seqs, request->seq);
	}
	seqs = lappend_int(seqs, history->terminal->seq);
	list_sort(seqs, list_int_cmp);
	return seqs;
}

/*
 * Writes the run, which is open again, unless another run of its workflow id is open.
 */
static void
reopen_save(Run *run)
{
	MemoryContext caller = CurrentMemoryContext;

	PG_TRY();
	{
		aion_run_save(run);
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR, (errcode(ERRCODE_INVALID_WORKFLOW_STATE),
						errmsg("workflow \"%s\" cannot be reopened, a newer run of it is open",
							   run->workflow_id)));
	}
	PG_END_TRY();
}

/*
 * Arms the timers that are live again, for the moments they were due at.
 */
static void
arm_timers(const Run *run)
{
	List *timers = aion_history_open_timers(run->history);
	ListCell *cell;

	foreach (cell, timers)
	{
		const Event *timer = lfirst(cell);

		aion_due_arm(run, timer->key, aion_event_read_fire_at(timer), timer->seq);
	}
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_reopen_workflow);

/*
 * reopen_workflow(workflow_id, reason, version) -> status
 */
Datum
aion_reopen_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *reason = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *wanted = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	Oid user = GetUserId();
	Authority authority;
	RunStatus status;
	Version *version;
	Run *run;

	aion_guard_client_call("aion.reopen_workflow");
	aion_payload_check_size(reason != NULL ? strlen(reason) : 0, "reason");
	aion_authority_assume(&authority);
	run = aion_run_lock_named(workflow_id, user);
	aion_run_load(run);
	check_reopenable(run);
	version =
		wanted != NULL ? aion_control_find_version(run, wanted) : aion_control_keep_version(run);
	aion_run_reopen(run, aion_event_reopened(reason, GetUserNameFromId(aion_guard_actor(), false),
											 what_to_take_back(run)));
	aion_control_move(run, version);
	reopen_save(run);
	arm_timers(run);
	aion_primitives_reopen(run);
	if (wanted == NULL)
		tell_version(run, version);
	aion_touched_note(run->run_key);
	status = run->status;
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(aion_status_name(status)));
}
