/*
 * serving.c
 *		Starts runners and executors for the owners of a database that want one.
 *
 * Part of the scheduler.  Owners are served in the order in which they wanted a process, but an
 * owner whose last process was in the way of others comes later.  One that could not be served
 * keeps its place, whatever is posted for others or for itself meanwhile: where there are fewer
 * slots than owners, each has its turn.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "background/executor.h"
#include "background/process.h"
#include "background/runner.h"
#include "background/serving.h"
#include "code/failure.h"
#include "code/owner.h"
#include "run/primitive.h"
#include "run/ready.h"
#include "run/transition.h"
#include "shared/board.h"
#include "shared/room.h"
#include "shared/service.h"
#include "shared/worker_slots.h"
#include "support/crash_point.h"
#include "support/extension.h"
#include "turn/advance.h"

#define NO_ROOM_MS 20
#define NO_PROCESS_MS 500
#define NO_START_MS (10 * 1000)
#define COMPLAIN_MS (60 * 1000)
#define BLOCK_AT_ONCE 100

/* An owner that wants a process. */
typedef struct Demand
{
	BoardOwner owner;
	TimestampTz rank;	  /* they are in the order of this */
	TimestampTz again_at; /* when to try */
	bool for_room;		  /* it waits for a slot, and nothing else is known to be in the way */
	bool served;
} Demand;

/* A process that has been started and was not seen to begin. */
typedef struct Starting
{
	BackgroundWorkerHandle *handle;
	int slot;
	uint32 generation;
	BoardOwner owner;
} Starting;

static MemoryContext memory; /* of this state */
static List *demands = NIL;
static List *starting = NIL;
static TimestampTz complained_at = 0;

static void demand(BoardOwner owner, int milliseconds);
static void insert(Demand *added);
static void try_to_serve(Demand *demand);
static void serve(Demand *demand);
static void start_process(Demand *demand, Oid role);
static void make_room(Demand *demand);
static void complain(void);
static void put_off(Demand *demand, int milliseconds);
static void block_runs(int32 owner_key, const char *reason);

void
aion_serving_begin(void)
{
	memory = AllocSetContextCreate(TopMemoryContext, "aion serving", ALLOCSET_DEFAULT_SIZES);
}

/*
 * Serves the owners that want a process.
 */
void
aion_serving_serve(void)
{
	MemoryContext caller = CurrentMemoryContext;
	BoardOwner owners[16];
	ListCell *cell;
	int count;

	do
	{
		count = aion_board_take_owners(owners, lengthof(owners));
		for (int i = 0; i < count; i++)
			demand(owners[i], 0);
	} while (count > 0);
	foreach (cell, demands)
	{
		Demand *one = lfirst(cell);

		if (aion_process_is_due(one->again_at, COMPLAIN_MS))
			try_to_serve(one);
		if (!one->served)
			continue;
		pfree(one);
		demands = foreach_delete_current(demands, cell);
	}
	MemoryContextSwitchTo(caller); /* transactions have left it */
}

/*
 * Notes that an owner wants a process, after a while.  One that is to be served later for another
 * reason than room is tried at once.
 */
static void
demand(BoardOwner owner, int milliseconds)
{
	MemoryContext caller = MemoryContextSwitchTo(memory);
	Demand *found = NULL;
	ListCell *cell;

	foreach (cell, demands)
	{
		Demand *known = lfirst(cell);

		if (known->owner.owner_key == owner.owner_key && known->owner.executor == owner.executor)
			found = known;
	}
	if (found == NULL)
	{
		found = palloc0(sizeof(Demand));
		found->owner = owner;
		found->rank = aion_room_rank(owner);
		insert(found);
	}
	else if (found->for_room)
	{
		MemoryContextSwitchTo(caller);
		return;
	}
	put_off(found, milliseconds);
	MemoryContextSwitchTo(caller);
}

static void
insert(Demand *added)
{
	int position = list_length(demands);

	while (position > 0 && ((Demand *) list_nth(demands, position - 1))->rank > added->rank)
		position--;
	demands = list_insert_nth(demands, position, added);
}

/*
 * Serves one owner; an error does not affect the others.
 */
static void
try_to_serve(Demand *demand)
{
	PG_TRY();
	{
		serve(demand);
	}
	PG_CATCH();
	{
		aion_process_fail_work(NULL);
		put_off(demand, NO_START_MS);
	}
	PG_END_TRY();
}

/*
 * Looks for room first, if that was the obstacle: what costs a transaction comes after it.
 */
static void
serve(Demand *demand)
{
	BoardOwner owner = demand->owner;
	Authority authority;
	const char *reason = "does not exist";
	bool errands = false;
	Oid role;

	if (demand->for_room && !aion_room_is_there(owner))
	{
		make_room(demand);
		return;
	}
	demand->for_room = false;
	aion_process_begin_work("starting a process");
	aion_authority_assume(&authority);
	role = aion_owner_role(owner.owner_key);
	if (OidIsValid(role))
		reason = aion_owner_ineligible(role);
	if (reason != NULL && !owner.executor)
	{
		block_runs(owner.owner_key, reason);
		errands = aion_primitives_have_errand(owner.owner_key); /* nothing else would look again */
	}
	aion_authority_drop(&authority);
	if (reason != NULL)
		CRASH_POINT("runs blocked, not committed");
	aion_process_end_work();
	if (reason != NULL)
		CRASH_POINT("runs blocked");
	demand->served = true;
	if (reason == NULL)
		start_process(demand, role);
	else if (errands)
		put_off(demand, NO_START_MS);
	else if (owner.executor)
		put_off(demand, COMPLAIN_MS); /* its tasks stay, and no hint about them comes again */
}

/*
 * Starts a process for an owner, unless the owner has enough.
 */
static void
start_process(Demand *demand, Oid role)
{
	BoardOwner owner = demand->owner;
	BackgroundWorker worker;
	BackgroundWorkerHandle *handle;
	MemoryContext caller;
	Starting *started;
	uint32 generation;
	int slot;

	slot = aion_room_reserve(owner, role, &generation);
	if (slot < 0)
	{
		make_room(demand);
		return;
	}
	if (owner.executor)
		aion_executor_describe(&worker, slot, generation);
	else
		aion_runner_describe(&worker, slot, generation);
	caller = MemoryContextSwitchTo(memory);
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		MemoryContextSwitchTo(caller);
		aion_worker_slots_free_runner(slot, generation);
		if (aion_room_count(owner) > 0)
			return;
		aion_service_note_refusal();
		complain();
		(void) aion_room_make(owner);
		put_off(demand, NO_PROCESS_MS);
		return;
	}
	started = palloc(sizeof(Starting));
	*started = (Starting){handle, slot, generation, owner};
	starting = lappend(starting, started);
	MemoryContextSwitchTo(caller);
}

/*
 * Lets a process of another owner end, if this one should have its slot.
 */
static void
make_room(Demand *demand)
{
	demand->served = !aion_room_make(demand->owner);
	if (demand->served)
		return;
	put_off(demand, NO_ROOM_MS);
	demand->for_room = true;
}

/*
 * Logs at intervals that processes cannot be started.
 */
static void
complain(void)
{
	if (!aion_process_is_due(TimestampTzPlusMilliseconds(complained_at, COMPLAIN_MS), COMPLAIN_MS))
		return;
	complained_at = GetCurrentTimestamp();
	ereport(WARNING, (errmsg("could not start aion runner: no free worker slot"),
					  errhint("You might need to increase max_worker_processes.")));
}

/*
 * Notes when to try again to serve an owner that could not be served.
 */
static void
put_off(Demand *demand, int milliseconds)
{
	demand->again_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds);
	demand->for_room = demand->served = false;
}

/*
 * Checks the processes that were started: one that ended before it began frees its slot, and its
 * owner has to wait.
 */
void
aion_serving_check(bool executing)
{
	ListCell *cell;

	foreach (cell, starting)
	{
		Starting *runner = lfirst(cell);
		pid_t pid;

		if (GetBackgroundWorkerPid(runner->handle, &pid) != BGWH_STOPPED)
			continue;
		if (aion_worker_slots_free_runner(runner->slot, runner->generation) && executing)
			demand(runner->owner, NO_START_MS);
		pfree(runner->handle);
		pfree(runner);
		starting = foreach_delete_current(starting, cell);
	}
}

/*
 * Forgets the owners that want a process: nothing is executed here.
 */
void
aion_serving_forget(void)
{
	list_free_deep(demands);
	demands = NIL;
}

/*
 * Returns when an owner is to be served that could not be.
 */
TimestampTz
aion_serving_next(void)
{
	TimestampTz next = DT_NOEND;
	ListCell *cell;

	foreach (cell, demands)
		next = Min(next, ((Demand *) lfirst(cell))->again_at);
	return next;
}

/*
 * Blocks the ready runs of an owner that cannot have a runner.  They are retried at intervals, and
 * go on when the cause is fixed.  What needs no code (a run that is paused, or has ended) is done
 * here.
 */
static void
block_runs(int32 owner_key, const char *reason)
{
	for (int i = 0; i < BLOCK_AT_ONCE; i++)
	{
		Run *run = aion_ready_claim(owner_key, NULL, 0, CurrentMemoryContext);

		if (run == NULL)
			return;
		aion_run_take_arrivals(run);
		if (run->status == RUN_RUNNING || run->status == RUN_BLOCKED)
			aion_run_block(run, BLOCKED_MISSING_RIGHT,
						   aion_failure_make("42501", psprintf("the owner of the run %s", reason),
											 "It is looked at again from time to time."));
		aion_run_save(run);
	}
	aion_board_post_scan(MyDatabaseId);
}
