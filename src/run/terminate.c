/*
 * terminate.c
 *		Ending runs at once.
 *
 * That takes the run's lock, so it happens before or after a turn in progress.  Such a turn is not
 * needed any more: it is interrupted and leaves nothing.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "code/guard.h"
#include "run/terminate.h"
#include "run/touched.h"
#include "run/transition.h"
#include "support/extension.h"
#include "support/payload.h"

static RunStatus terminate_named(const char *workflow_id, Oid user, const char *reason);

/*
 * Ends a run at once, without a turn; returns the status it has then.
 */
RunStatus
aion_run_terminate(int64 run_key, const char *reason)
{
	Run *run = aion_run_lock_at_once(run_key, CurrentMemoryContext);

	if (run == NULL)
		return RUN_TERMINATED; /* it was just purged */
	if (!aion_run_is_closed(run))
	{
		aion_run_load(run);
		aion_run_close(run, EVENT_WORKFLOW_TERMINATED,
					   aion_event_reason(reason, GetUserNameFromId(aion_guard_actor(), false)));
		aion_run_save(run);
		aion_touched_note(run_key);
	}
	return run->status;
}

/*
 * Ends the run that a workflow id means; if that was continued as new meanwhile, its successor.
 */
static RunStatus
terminate_named(const char *workflow_id, Oid user, const char *reason)
{
	int64 found = aion_run_find(workflow_id, user);

	for (;;)
	{
		RunStatus status = aion_run_terminate(found, reason);
		int64 now = status == RUN_CONTINUED ? aion_run_find(workflow_id, user) : found;

		if (now == found)
			return status;
		found = now;
	}
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_terminate_workflow);

/*
 * terminate_workflow(workflow_id, reason) -> status
 */
Datum
aion_terminate_workflow(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *reason = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	RunStatus status;

	aion_guard_client_call("aion.terminate_workflow");
	aion_payload_check_size(reason != NULL ? strlen(reason) : 0, "reason");
	aion_authority_assume(&authority);
	status = terminate_named(workflow_id, user, reason);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(aion_status_name(status)));
}
