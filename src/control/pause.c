/*
 * pause.c
 *		Pausing runs, and resuming them.
 *
 * A paused run takes no turn: no code is executed, no activity executed or handed out.  What
 * arrives is recorded all the same, in its order, by the process that claims the run; attempts that
 * workers have begun may end, and timers fire, the run's own timeout among them.  So a run that is
 * resumed needs nothing but a turn.
 *
 * Both take the run's lock, so a pause waits for a turn in progress and holds from its end on.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "code/guard.h"
#include "run/primitive.h"
#include "run/touched.h"
#include "run/transition.h"
#include "support/extension.h"
#include "support/payload.h"

static Datum pause_change(FunctionCallInfo fcinfo, const char *function, bool from_paused,
						  void (*apply)(Run *run, const Jsonb *attributes));
static void resume(Run *run, const Jsonb *attributes);

/*
 * Pauses or resumes a run, if its status allows that; else it stays as it is.  Returns the status
 * it has then.
 */
static Datum
pause_change(FunctionCallInfo fcinfo, const char *function, bool from_paused,
			 void (*apply)(Run *run, const Jsonb *attributes))
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *reason = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	Run *run;
	RunStatus status;

	aion_guard_client_call(function);
	aion_payload_check_size(reason != NULL ? strlen(reason) : 0, "reason");
	aion_authority_assume(&authority);
	run = aion_run_lock_named(workflow_id, user);
	if (!aion_run_is_closed(run) && (run->status == RUN_PAUSED) == from_paused)
	{
		aion_run_load(run);
		apply(run, aion_event_reason(reason, GetUserNameFromId(aion_guard_actor(), false)));
		aion_run_save(run);
		aion_touched_note(run->run_key);
	}
	status = run->status;
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(aion_status_name(status)));
}

static void
resume(Run *run, const Jsonb *attributes)
{
	aion_run_resume(run, attributes);
	aion_primitives_resume(run);
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_pause_workflow);
PG_FUNCTION_INFO_V1(aion_resume_workflow);

/*
 * pause_workflow(workflow_id, reason) -> status
 */
Datum
aion_pause_workflow(PG_FUNCTION_ARGS)
{
	return pause_change(fcinfo, "aion.pause_workflow", false, aion_run_pause);
}

/*
 * resume_workflow(workflow_id, reason) -> status
 */
Datum
aion_resume_workflow(PG_FUNCTION_ARGS)
{
	return pause_change(fcinfo, "aion.resume_workflow", true, resume);
}
