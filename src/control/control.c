/*
 * control.c
 *		Moving runs to other versions.
 *
 * That takes the run's lock, so it happens before or after a turn in progress, never in the middle.
 * A refused request leaves the history as it was.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "code/guard.h"
#include "code/owner.h"
#include "control/control.h"
#include "run/touched.h"
#include "run/transition.h"
#include "support/clock.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"

/*
 * Finds the version that a run is to continue with; NULL means the one that new starts use.
 */
Version *
aion_control_find_version(const Run *run, const char *wanted)
{
	const char *type = pstrdup(aion_version_get(run->version_key)->workflow_type);
	Workflow *workflow;
	Version *version;

	do
	{
		workflow = aion_workflow_find(type);
		version = wanted != NULL ? aion_version_find(type, wanted)
								 : aion_version_get(workflow->version_key);
	} while (version != NULL && !aion_version_pin(version->version_key));
	if (version == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("workflow type \"%s\" has no version \"%s\"", type, wanted),
						errhint("See aion.workflow_version.")));
	if (version->version_key != run->version_key &&
		!aion_registered_for(version->owner_key, aion_owner_role(run->owner_key)))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("workflow \"%s\" cannot use version \"%s\"", run->workflow_id,
					version->version),
			 errdetail("Its owner is no member of the role that has registered that version.")));
	return version;
}

/*
 * Returns the version of a run that is to be open again.
 */
Version *
aion_control_keep_version(const Run *run)
{
	Version *version;

	if (!aion_version_pin(run->version_key))
	{
		version = aion_version_get(run->version_key);
		ereport(ERROR, (errcode(ERRCODE_UNKNOWN_WORKFLOW_TYPE),
						errmsg("version \"%s\" of workflow type \"%s\" is not registered any more",
							   version->version, version->workflow_type),
						errhint("Name another one, or register the function again.")));
	}
	return aion_version_get(run->version_key);
}

/*
 * Moves a run whose history is loaded to another version.
 */
void
aion_control_move(Run *run, const Version *version)
{
	const Version *old = aion_version_get(run->version_key);

	if (version->version_key != old->version_key)
		aion_recorder_append(run->history, EVENT_VERSION_CHANGED, NULL,
							 aion_event_version_changed(old->version, version->version));
	run->version_key = version->version_key;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_set_workflow_version);

/*
 * set_workflow_version(workflow_id, version) -> version
 */
Datum
aion_set_workflow_version(PG_FUNCTION_ARGS)
{
	char *workflow_id = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *wanted = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid user = GetUserId();
	Authority authority;
	Run *run;
	Version *version;
	char *name;

	aion_guard_client_call("aion.set_workflow_version");
	aion_authority_assume(&authority);
	run = aion_run_lock_named(workflow_id, user);
	if (aion_run_is_closed(run))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_WORKFLOW_STATE),
				 errmsg("workflow \"%s\" is %s and has no version to change", workflow_id,
						aion_status_name(run->status)),
				 errhint("aion.reopen_workflow() and aion.fork_workflow() take a version.")));
	version = aion_control_find_version(run, wanted);
	aion_run_load(run);
	aion_control_move(run, version);
	aion_run_forget_failures(run);
	if (run->status != RUN_SCHEDULED && run->status != RUN_PAUSED)
		run->ready_at = aion_clock_now();
	aion_run_save(run);
	aion_touched_note(run->run_key);
	name = pstrdup(version->version);
	aion_authority_drop(&authority);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}
