/*
 * advance.c
 *		Executing the turns that a run is ready for.
 *
 * The caller has claimed the run: it holds the lock, and executes as the owner.  All that happens
 * to the run is in one subtransaction, its share of the transaction: if the infrastructure fails in
 * the middle, the share is rolled back, the failure is noted outside of it, and the rest of the
 * transaction is not touched.  This is the stepwise turn: inline activities are executed between
 * two executions of the code, each in a subtransaction of its own.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "code/cursors.h"
#include "code/failure.h"
#include "code/guard.h"
#include "code/owner.h"
#include "guc.h"
#include "history/kept.h"
#include "run/arrivals.h"
#include "run/due.h"
#include "run/inbox.h"
#include "run/primitive.h"
#include "run/ready.h"
#include "run/transition.h"
#include "shared/interruption.h"
#include "shared/stopwatch.h"
#include "support/clock.h"
#include "support/crash_point.h"
#include "support/errors.h"
#include "support/extension.h"
#include "support/payload.h"
#include "support/subtransaction.h"
#include "turn/advance.h"
#include "turn/continue.h"
#include "turn/decision.h"
#include "turn/execute.h"
#include "turn/mistake.h"
#include "turn/turn.h"
#include "turn/verify.h"

#define MAX_BACKOFF 1000 /* turns */
#define SLICE 3			 /* times what a batch may take */
#define MAX_HEARINGS 3	 /* repetitions for what arrives while the code ends */

/* The code of a run, or why it cannot be executed. */
typedef struct Code
{
	Version *version;
	const Handler *handler;
	const CodeSettings *settings;
	const char *blocked; /* NULL: it can */
	Jsonb *detail;
} Code;

/* What came of a turn. */
typedef enum TurnEffect
{
	TURN_STOPPED,  /* the run is blocked */
	TURN_WAITS,	   /* its decisions are history */
	TURN_ANSWERED, /* and so is something that the code waits for */
} TurnEffect;

static void note_interruption(const Run *run, Interruption cause, Budget *budget);
static void advance_share(Run *run, Budget *budget);
static void begin_share(Run *run, Code *code);
static bool advance_work(Run *run, const Code *code, Budget *budget);
static bool is_interrupted(const Run *run);
static Progress advance_perform(Run *run, Budget *budget);
static TurnEffect take_turn(Run *run, const Code *code, Budget *budget);
static void block_for_mistakes(Run *run);
static Turn *execute_code(Run *run, const Code *code, const Budget *budget);
static bool late_arrivals_recorded(Run *run, const Turn *turn);
static bool is_executable(const Run *run);
static bool is_promising(Version *version);
static Turn *try_turn(Run *run, const Code *code, const Budget *budget);
static void end_share(Run *run, bool unfinished);
static void save_row(Run *run);
static void block_after_failures(Run *run, const ErrorData *error);
static void note_interrupted(int code, Datum argument);
static void advance_find_code(Run *run, Code *code);
static Jsonb *code_detail(const Version *version, const char *ineligible);
static bool time_is_up(const Budget *budget);
static void advance_add_context(void *run);

/*
 * Notes it if this process ends in the middle of a run or an errand.
 */
void
aion_advance_watch_exit(void)
{
	static bool registered = false;

	if (!registered)
		before_shmem_exit(note_interrupted, (Datum) 0);
	registered = true;
}

/*
 * Advances a run as far as it can go, or as its budget allows.
 */
void
aion_run_advance(Run *run, Budget *budget)
{
	ErrorData *volatile error = NULL;
	ErrorContextCallback context = {error_context_stack, advance_add_context, run};
	int64 previous;
	Subtransaction sub;
	GuardState outside;
	Interruption cause;

	aion_advance_watch_exit();
	if (aion_interruption_is_wanted(run->run_key))
	{
		budget->interrupted = true;
		return;
	}
	previous = aion_interruption_begin(run->run_key);
	aion_guard_begin_run(run->run_key, &outside);
	error_context_stack = &context;
	aion_subtransaction_begin(&sub);
	MemoryContextSwitchTo(run->context);
	PG_TRY();
	{
		advance_share(run, budget);
		if (aion_guard_session_is_of_another())
			aion_cursors_close();
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		error = aion_subtransaction_abort(&sub);
	}
	PG_END_TRY();
	error_context_stack = context.previous;
	aion_guard_leave(&outside);
	cause = error != NULL ? aion_interruption_cause() : INTERRUPTION_NONE;
	(void) aion_interruption_begin(previous);

	if (error == NULL)
	{
		if (run->successor == NULL)
			save_row(run);
		if (!aion_run_is_closed(run) && aion_kept_add(run->history))
			run->history = NULL;
		return;
	}
	if (cause != INTERRUPTION_NONE)
	{
		note_interruption(run, cause, budget);
		return;
	}
	aion_failure_end_test(error);
	if (aion_failure_is_cancel(error))
		ReThrowError(error);
	budget->gave_up_waiting = budget->sharing && aion_failure_is_contention(error);
	if (!budget->gave_up_waiting)
		aion_run_note_failure(run->run_key, error);
}

/*
 * Notes why a share was interrupted.  Nothing of it has happened, and it counts as no failure.
 */
static void
note_interruption(const Run *run, Interruption cause, Budget *budget)
{
	budget->was_slow = cause == INTERRUPTION_AS_SLOW;
	budget->interrupted = cause == INTERRUPTION_BY_END || cause == INTERRUPTION_FOR_ROOM;
	if (cause == INTERRUPTION_BY_END)
		budget->gave_up_waiting = budget->sharing && !aion_interruption_is_wanted(run->run_key);
	else
		budget->gave_up_waiting = !budget->interrupted;
}

/*
 * Reads the history of a claimed run and moves what has arrived into it.  Wants the engine's
 * authority.
 */
void
aion_run_take_arrivals(Run *run)
{
	aion_run_load(run);
	aion_arrivals_record(run);
	aion_primitives_arrive(run);
}

/*
 * Notes a failure of the infrastructure in a run, after what it did was rolled back: its turn is
 * retried later, and after too many failures the run is blocked and retried more rarely.
 */
void
aion_run_note_failure(int64 run_key, const ErrorData *error)
{
	Authority authority;
	Run *run;

	aion_authority_assume(&authority);
	run = aion_run_lock(run_key, CurrentMemoryContext);
	if (run != NULL && aion_run_is_closed(run))
		run = NULL; /* it was ended meanwhile */
	if (run != NULL)
		aion_run_postpone(run);
	aion_authority_drop(&authority);
	if (run == NULL)
		return;
	ereport(
		LOG,
		(errmsg("a turn of workflow \"%s\", run %s, failed with SQLSTATE %s and will be repeated",
				run->workflow_id,
				DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->run_id))),
				unpack_sql_state(error->sqlerrcode))));
	if (run->failures >= aion_turn_attempts &&
		(run->status != RUN_BLOCKED || strcmp(run->blocked, BLOCKED_ERROR) == 0))
		block_after_failures(run, error); /* else it keeps the reason that a deploy may remove */
}

static void
advance_share(Run *run, Budget *budget)
{
	Code code;
	bool unfinished = false;

	budget->began = GetCurrentTimestamp();
	budget->spent = 0;
	budget->out_of_time = false;
	begin_share(run, &code);
	if (is_executable(run) && code.blocked == NULL)
		unfinished = advance_work(run, &code, budget);
	end_share(run, unfinished);
}

/*
 * Records what has arrived, and finds the code.
 */
static void
begin_share(Run *run, Code *code)
{
	Authority authority;

	aion_authority_assume(&authority);
	aion_run_take_arrivals(run);
	CRASH_POINT("arrivals recorded");
	if (is_executable(run))
	{
		advance_find_code(run, code);
		if (code->blocked != NULL)
			aion_run_block(run, code->blocked, code->detail);
	}
	aion_authority_drop(&authority);
}

/*
 * Tells whether the code of a run may be executed now; what arrives is recorded in any case.
 */
static bool
is_executable(const Run *run)
{
	return run->status == RUN_RUNNING || run->status == RUN_BLOCKED;
}

/*
 * Alternates between activities and turns until there is nothing new for the code.  Returns whether
 * the budget ended before that.
 */
static bool
advance_work(Run *run, const Code *code, Budget *budget)
{
	bool must_run = run->woken || run->history->count > run->loaded;
	TurnEffect effect = TURN_WAITS;

	for (;;)
	{
		/* Code whose await has just been ended may not need activities that have not begun. */
		Progress progress =
			must_run && is_interrupted(run) ? PROGRESS_NONE : advance_perform(run, budget);

		if (progress == PROGRESS_BLOCKED)
			return false;
		if (progress == PROGRESS_NONE && !must_run && effect == TURN_WAITS)
		{
			block_for_mistakes(run);
			return false;
		}
		/* Mistakes are known in this share only: the code gets them now, or never. */
		if (budget->turns <= 0 || (!must_run && run->mistakes == NIL && time_is_up(budget)))
			return true;
		effect = take_turn(run, code, budget);
		budget->turns--;
		if (aion_run_is_closed(run) || effect == TURN_STOPPED)
			return false;
		if (budget->out_of_time)
			return true;
		must_run = false;
	}
}

/*
 * Tells whether something that ends awaits was recorded since the code was last executed.
 */
static bool
is_interrupted(const Run *run)
{
	for (int i = run->history->count - 1; i >= run->seen; i--)
	{
		if (aion_event_is_interruption(run->history->events[i]))
			return true;
	}
	return false;
}

/*
 * Executes activities that the commands so far ask for, until the time is up, but at least for as
 * long as it took to get here: reading the history of a large run, and its code, may take all of
 * the time, and must be repeated for what is left.
 */
static Progress
advance_perform(Run *run, Budget *budget)
{
	TimestampTz begin = GetCurrentTimestamp();
	Progress progress = PROGRESS_NONE;
	int64 before = budget->spent;

	for (;;)
	{
		Progress step = aion_primitives_perform(run);
		TimestampTz now = GetCurrentTimestamp();

		CHECK_FOR_INTERRUPTS();
		aion_interruption_check();
		if (step == PROGRESS_NONE || step == PROGRESS_BLOCKED)
			return step == PROGRESS_NONE ? progress : step;
		progress = PROGRESS_MADE;
		budget->spent = before + Max(now - begin, 1);
		if (time_is_up(budget) && now - begin >= begin - budget->began)
			return progress;
	}
}

/*
 * Tells whether to try an optimistic turn: not for a while after one of this version was discarded.
 */
static bool
is_promising(Version *version)
{
	if (!aion_optimistic_turns)
		return false;
	if (version->optimistic_wait == 0)
		return true;
	version->optimistic_wait--;
	return false;
}

/*
 * Takes an optimistic turn: activities are executed where the code calls them, and all of it is
 * kept or nothing.  NULL if it was discarded: then the run is as it was before.
 */
static Turn *
try_turn(Run *run, const Code *code, const Budget *budget)
{
	Turn *turn;
	Authority authority;

	if (run->history->written < run->history->count)
	{
		/* A turn that is discarded would lose what is only in memory. */
		aion_authority_assume(&authority);
		aion_recorder_write(run->history);
		aion_authority_drop(&authority);
	}
	turn = aion_turn_create(run);
	turn->optimistic = true;
	turn->began = budget->began;
	turn->spent = budget->spent;
	turn->until = DT_NOEND;
	if (budget->until != DT_NOEND)
		turn->until =
			Max(budget->until, TimestampTzPlusMilliseconds(budget->began, SLICE * aion_batch_time));
	aion_turn_execute(turn, code->handler, code->settings);
	if (turn->verdict != TURN_SPOILED)
	{
		code->version->optimistic_backoff = 0;
		return turn;
	}
	run->messages_sent_to = Max(Max(run->messages_sent_to, turn->consumed), 1);
	code->version->optimistic_backoff = Min(code->version->optimistic_backoff * 2 + 1, MAX_BACKOFF);
	code->version->optimistic_wait = code->version->optimistic_backoff;
	aion_turn_free(turn);
	aion_authority_assume(&authority);
	aion_run_load(run);
	aion_authority_drop(&authority);
	return NULL;
}

/*
 * Executes the code and applies what it decides.
 */
static TurnEffect
take_turn(Run *run, const Code *code, Budget *budget)
{
	TurnEffect effect = TURN_WAITS;
	Turn *turn = execute_code(run, code, budget);
	Hindrance hindrance = {NULL};
	const Mistake *mistake;
	Authority authority;

	for (int i = 0; i < MAX_HEARINGS && late_arrivals_recorded(run, turn); i++)
	{
		aion_turn_free(turn);
		if (aion_run_is_closed(run))
			return TURN_STOPPED; /* an arrival has ended it */
		turn = execute_code(run, code, budget);
	}
	mistake = aion_mistake_uncaught(turn);
	if (mistake != NULL)
	{
		hindrance = mistake->hindrance;
		turn->command_count = Min(turn->command_count, Max(turn->known, mistake->number - 1));
	}
	else
		aion_decision_admit(run, turn, &hindrance);
	aion_authority_assume(&authority);
	if (hindrance.reason != NULL)
		effect =
			aion_decision_stop_short(run, turn, &hindrance, mistake) ? TURN_STOPPED : TURN_ANSWERED;
	else if (!aion_decision_apply(run, turn))
		effect = TURN_STOPPED;
	aion_authority_drop(&authority);
	CRASH_POINT("turn applied");
	budget->out_of_time = turn->out_of_time;
	for (int i = 0; i < turn->awaited_count && effect == TURN_WAITS; i++)
	{
		if (aion_turn_is_settled(turn->awaited[i]))
			effect = TURN_ANSWERED;
	}
	aion_turn_free(turn);
	return effect;
}

static void
block_for_mistakes(Run *run)
{
	Authority authority;

	aion_authority_assume(&authority);
	aion_mistakes_block(run);
	aion_authority_drop(&authority);
}

static Turn *
execute_code(Run *run, const Code *code, const Budget *budget)
{
	Turn *turn = NULL;
	Turn *probe = NULL;

	CHECK_FOR_INTERRUPTS();
	aion_interruption_check();
	if (aion_verify_is_on())
		probe = aion_verify_probe(run, code->handler, code->settings);
	else if (run->mistakes == NIL && is_promising(code->version))
		turn = try_turn(run, code, budget);
	if (turn == NULL)
	{
		turn = aion_turn_create(run);
		aion_turn_execute(turn, code->handler, code->settings);
	}
	CRASH_POINT("code executed");
	if (probe != NULL)
	{
		aion_verify_compare(turn, probe);
		aion_turn_free(probe);
	}
	if (turn->verdict == TURN_FAILED)
		ReThrowError(turn->error);	 /* the whole share is made again */
	run->seen = run->history->count; /* with what the turn itself has executed */
	return turn;
}

/*
 * Records what has arrived while the code ended.  If there is anything, what the turn decided is
 * void and the code is executed again: so the code gets what was sent while the run was open.
 * Senders that never pause do not keep it open: the caller repeats this a few times only, and the
 * rest is left unconsumed.
 */
static bool
late_arrivals_recorded(Run *run, const Turn *turn)
{
	int count = run->history->count;
	Authority authority;

	if (turn->verdict != TURN_RETURNED && turn->verdict != TURN_RAISED)
		return false;
	aion_authority_assume(&authority);
	aion_inbox_take(run);
	aion_primitives_receive(run, DT_NOEND);
	aion_primitives_arrive(run);
	aion_authority_drop(&authority);
	return run->history->count > count;
}

static void
end_share(Run *run, bool unfinished)
{
	Authority authority;

	aion_interruption_check();
	aion_authority_assume(&authority);
	if (!aion_run_is_closed(run))
		run->ready_at = unfinished ? aion_clock_now() : DT_NOEND;
	if (unfinished)
		aion_run_forget_retry(run); /* its timer has fired, or need not */
	aion_primitives_save(run);
	if (run->successor != NULL)
		aion_primitives_carry_over(run, run->successor);
	aion_run_save_history(run);
	if (run->successor != NULL)
	{
		aion_run_save_row(run); /* its workflow id is free now */
		aion_continue_start(run->successor);
	}
	aion_run_warn_if_long(run);
	aion_authority_drop(&authority);
	CRASH_POINT("share saved");
}

/*
 * Writes the row of a run whose share has succeeded: outside of the share's subtransaction, since
 * an update of what the transaction itself has locked would need a multixact in it.
 */
static void
save_row(Run *run)
{
	MemoryContext caller = MemoryContextSwitchTo(run->context);
	Authority authority;

	aion_authority_assume(&authority);
	aion_run_save_row(run);
	aion_authority_drop(&authority);
	MemoryContextSwitchTo(caller);
}

/*
 * Blocks a run because of the infrastructure.  If even that fails, its history may be unreadable:
 * nothing is changed, and no other run is affected.
 */
static void
block_after_failures(Run *run, const ErrorData *error)
{
	ErrorData *volatile failure = NULL;
	Authority authority;
	Subtransaction sub;

	aion_subtransaction_begin(&sub);
	MemoryContextSwitchTo(run->context);
	PG_TRY();
	{
		aion_authority_assume(&authority);
		aion_run_load(run);
		aion_run_block(run, BLOCKED_ERROR, aion_failure_of(error, NULL));
		aion_run_save(run);
		aion_authority_drop(&authority);
		aion_subtransaction_release(&sub);
	}
	PG_CATCH();
	{
		failure = aion_subtransaction_abort(&sub);
	}
	PG_END_TRY();
	if (failure == NULL)
		return;
	if (aion_failure_is_cancel(failure))
		ReThrowError(failure);
	ereport(LOG,
			(errmsg("could not block workflow \"%s\": %s", run->workflow_id, failure->message)));
}

/*
 * Called when the process ends in the middle of a run or an errand.  The run is retried later, or
 * it would end every process that executes it; it is blocked if its code cannot be cancelled, or if
 * this has happened too often.  An errand is counted as after a crash.  An error here only ends the
 * process sooner.
 */
static void
note_interrupted(int code, Datum argument)
{
	int64 run_key = aion_guard_run();
	bool gave_up = aion_stopwatch_gave_up();
	Authority authority;
	Run *run = NULL;

	(void) aion_stopwatch_stop();
	if (run_key == 0)
		return;
	AbortOutOfAnyTransaction();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false); /* nothing could end that wait */
	aion_authority_assume(&authority);
	if (aion_ready_lock_tables(false)) /* nor a wait for a lock */
	{
		run = aion_ready_claim_one_of(&run_key, 1, TopTransactionContext);
		if (run == NULL)
			aion_primitives_note_crash(run_key);
	}
	if (run != NULL && aion_run_is_closed(run))
		run = NULL;
	if (run != NULL && !gave_up && run->failures + 1 < aion_turn_attempts)
		aion_run_postpone(run);
	else if (run != NULL)
	{
		aion_run_load(run);
		if (gave_up)
			aion_run_block(
				run, BLOCKED_TURN_TIMEOUT,
				aion_failure_make("57014", MESSAGE_TIMED_OUT,
								  "It cannot be cancelled: do not catch query_canceled."));
		else
			aion_run_block(
				run, BLOCKED_ERROR,
				aion_failure_make("57P01", "the process ended while it executed this run", NULL));
		aion_run_save(run);
	}
	aion_authority_drop(&authority);
	PopActiveSnapshot();
	CRASH_POINT("interruption noted, not committed");
	CommitTransactionCommand();
	CRASH_POINT("interruption noted");
}

/*
 * Finds the code of a run's version, checked, and whether its owner may still execute it.
 */
static void
advance_find_code(Run *run, Code *code)
{
	Version *version = aion_version_get(run->version_key);
	Oid owner = aion_owner_role(run->owner_key);
	const char *ineligible = aion_owner_ineligible(owner);

	memset(code, 0, sizeof(Code));
	code->version = version;
	code->settings = run->settings = &version->settings;
	code->handler = aion_version_callable(version);
	if (code->handler == NULL)
		code->blocked = BLOCKED_MISSING_CODE;
	else if (ineligible != NULL || !aion_version_may_execute(version, owner))
		code->blocked = BLOCKED_MISSING_RIGHT;
	if (code->blocked != NULL)
		code->detail = code_detail(version, ineligible);
}

static Jsonb *
code_detail(const Version *version, const char *ineligible)
{
	JsonObject object;

	aion_object_begin(&object);
	aion_object_text(&object, "workflow_type", version->workflow_type);
	aion_object_text(&object, "version", version->version);
	aion_object_text(&object, "function", version->handler);
	aion_object_text(&object, "code", version->code);
	if (ineligible != NULL)
		aion_object_text(&object, "message", psprintf("the owner of the run %s", ineligible));
	return aion_object_end(&object);
}

static bool
time_is_up(const Budget *budget)
{
	return budget->until != DT_NOEND && GetCurrentTimestamp() >= budget->until;
}

static void
advance_add_context(void *run)
{
	pg_uuid_t *run_id = &((Run *) run)->run_id;

	errcontext(AION_TURN_CONTEXT, ((Run *) run)->workflow_id,
			   DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id))));
}
