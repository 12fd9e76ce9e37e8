/*
 * admit.c
 *		Decides whether starts that workflow code asks for are possible.
 *
 * Code asks for a start during a turn; the start is checked after the turn, as the owner and before
 * any of it is recorded.  Defaults and types of the other workflow's parameters may call code of
 * users, so this is done like an activity: in a subtransaction, within the time of a turn.  What a
 * deploy or a grant can fix is a hindrance, an input that does not fit is an answer.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "code/failure.h"
#include "code/guard.h"
#include "guc.h"
#include "shared/stopwatch.h"
#include "support/deferred.h"
#include "support/errors.h"
#include "support/payload.h"
#include "support/subtransaction.h"
#include "turn/admit.h"
#include "turn/mistake.h"

static void find_out(WantedStart *wanted);
static const char *admit_reason_of(const ErrorData *error);
static Jsonb *detail_of(const WantedStart *wanted, const ErrorData *error);

/*
 * Finds the code of a start and fits the input to it.  Raises only failures of the infrastructure.
 */
bool
aion_admit(WantedStart *wanted, Hindrance *hindrance)
{
	ErrorData *volatile error = NULL;
	Subtransaction sub;
	GuardState outside;
	bool time_was_up;

	aion_subtransaction_begin(&sub);
	PG_TRY();
	{
		aion_guard_enter(FRAME_ACTIVITY, NULL, &outside);
		find_out(wanted);
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		error = aion_subtransaction_abort(&sub);
		time_was_up = aion_stopwatch_stop();
		aion_guard_leave(&outside);
	}
	PG_END_TRY();
	if (error == NULL)
		return true;
	if (time_was_up)
		hindrance->reason = BLOCKED_TURN_TIMEOUT;
	else if (aion_failure_is_cancel(error) || aion_failure_is_infrastructure(error))
		hindrance->reason = admit_reason_of(error);
	else
	{
		hindrance->reason = admit_reason_of(error);
		if (hindrance->reason == NULL)
			hindrance->reason = BLOCKED_INVALID_INPUT;
		if (error->sqlerrcode != ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE)
			hindrance->failure = aion_mistake_failure(error);
	}
	if (hindrance->reason == NULL)
		ReThrowError(error);
	hindrance->detail = detail_of(wanted, error);
	return false;
}

/*
 * Calls what may execute code of users, inside of the subtransaction.
 */
static void
find_out(WantedStart *wanted)
{
	int level = NewGUCNestLevel();

	aion_guard_apply_settings();
	PushActiveSnapshot(GetTransactionSnapshot());
	aion_stopwatch_start(aion_turn_timeout);
	if (!wanted->is_resolved)
	{
		wanted->request.owner = GetUserId();
		if (wanted->run_as != NULL)
			aion_start_choose_owner(wanted->run_as, &wanted->request);
		aion_start_resolve(&wanted->request);
	}
	wanted->input = aion_start_check(&wanted->request, wanted->input);
	PopActiveSnapshot();
	aion_deferred_fire();
	AtEOXact_GUC(false, level);
}

/*
 * Returns why an error blocks the run; NULL if no deploy or grant can fix it.
 */
static const char *
admit_reason_of(const ErrorData *error)
{
	switch (error->sqlerrcode)
	{
		case ERRCODE_UNKNOWN_WORKFLOW_TYPE:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_UNDEFINED_FUNCTION:
			return BLOCKED_MISSING_CODE;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
		case ERRCODE_UNDEFINED_OBJECT:
			return BLOCKED_MISSING_RIGHT;
		default:
			return NULL;
	}
}

static Jsonb *
detail_of(const WantedStart *wanted, const ErrorData *error)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_type", wanted->request.workflow_type);
	aion_object_text(&object, "version", wanted->request.version);
	aion_object_text(&object, "message", error->message);
	aion_object_text(&object, "hint", error->hint);
	return aion_object_end(&object);
}
