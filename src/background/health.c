/*
 * health.c
 *		Functions that show the state of the engine: its processes, and messages left out.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "code/adoption.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "code/owner.h"
#include "guc.h"
#include "shared/board.h"
#include "shared/incident.h"
#include "shared/service.h"
#include "shared/worker_slots.h"
#include "support/extension.h"

static int visible_owners(Datum **owners);
static bool next_visible(int *slot, const Datum *owners, int count, WorkerSlotView *runner);
static void put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

/*
 * Finds the owners whose rows the caller may see.
 */
static int
visible_owners(Datum **owners)
{
	Oid user = GetUserId();
	Authority authority;
	int count;

	aion_authority_assume_to_read(&authority);
	deconstruct_array(DatumGetArrayTypeP(aion_owner_visible(user, false)), INT4OID, sizeof(int32),
					  true, TYPALIGN_INT, owners, NULL, &count);
	aion_authority_drop(&authority);
	return count;
}

/*
 * Describes the next process of this database that works for one of these owners.
 */
static bool
next_visible(int *slot, const Datum *owners, int count, WorkerSlotView *runner)
{
	while (aion_worker_slots_runner((*slot)++, runner))
	{
		for (int k = 0; k < count && runner->database == MyDatabaseId; k++)
		{
			if (DatumGetInt32(owners[k]) == runner->owner_key)
				return true;
		}
	}
	return false;
}

/* Functions that SQL calls. */

PG_FUNCTION_INFO_V1(aion_stat_engine);
PG_FUNCTION_INFO_V1(aion_stat_runner);
PG_FUNCTION_INFO_V1(aion_executing);
PG_FUNCTION_INFO_V1(aion_stat_workers);
PG_FUNCTION_INFO_V1(aion_incidents);

/*
 * _stat_engine() -> (library_version, preloaded, launcher_pid, scheduler_pid, runners, max_runners,
 *		fence, execution, paused); fence and paused are null where the schema is of another version
 */
Datum
aion_stat_engine(PG_FUNCTION_ARGS)
{
	static const char *const fences[] = {
		[ADOPTION_NEW] = "new", [ADOPTION_DONE] = "adopted", [ADOPTION_COPY] = "copy"};
	Datum values[9];
	bool nulls[9] = {false};
	WorkerSlotView runner;
	Authority authority;
	int runners = 0;
	int slots = 0;

	InitMaterializedSRF(fcinfo, 0);
	for (; aion_worker_slots_runner(slots, &runner); slots++)
		runners += runner.database == MyDatabaseId;
	values[0] = CStringGetTextDatum(AION_VERSION);
	values[1] = BoolGetDatum(aion_board_exists());
	values[2] = Int32GetDatum(aion_service_launcher_pid());
	nulls[2] = DatumGetInt32(values[2]) == 0;
	values[3] = Int32GetDatum(aion_service_scheduler_pid());
	nulls[3] = DatumGetInt32(values[3]) == 0;
	values[4] = Int32GetDatum(runners);
	values[5] = Int32GetDatum(aion_board_exists() ? aion_max_runners : 0);
	nulls[6] = nulls[8] = !aion_extension_is_current();
	if (!nulls[6])
	{
		aion_authority_assume(&authority);
		values[6] = CStringGetTextDatum(fences[aion_adoption_state()]);
		if (aion_adoption_state() == ADOPTION_DONE && !aion_engine_executes() &&
			!aion_engine_is_paused())
			values[6] = CStringGetTextDatum("paused");
		values[8] = BoolGetDatum(aion_engine_is_paused());
		aion_authority_drop(&authority);
	}
	values[7] = CStringGetTextDatum(aion_execution);
	put_row(fcinfo, values, nulls);
	return (Datum) 0;
}

/*
 * _stat_runner() -> set of (pid, owner_key, state, since, queued, batches, runs), of owners whose
 *		rows the caller may see
 */
Datum
aion_stat_runner(PG_FUNCTION_ARGS)
{
	WorkerSlotView runner;
	Datum *owners;
	int count = visible_owners(&owners);

	InitMaterializedSRF(fcinfo, 0);
	for (int slot = 0; next_visible(&slot, owners, count, &runner);)
	{
		Datum values[] = {Int32GetDatum(runner.pid),		 Int32GetDatum(runner.owner_key),
						  CStringGetTextDatum(runner.state), TimestampTzGetDatum(runner.since),
						  Int32GetDatum(runner.queued),		 Int64GetDatum((int64) runner.batches),
						  Int64GetDatum((int64) runner.runs)};
		bool nulls[lengthof(values)] = {runner.pid == 0};

		put_row(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * _executing() -> set of (pid, run_key), of the same owners
 */
Datum
aion_executing(PG_FUNCTION_ARGS)
{
	WorkerSlotView runner;
	Datum *owners;
	int count = visible_owners(&owners);

	InitMaterializedSRF(fcinfo, 0);
	for (int slot = 0; next_visible(&slot, owners, count, &runner);)
	{
		Datum values[] = {Int32GetDatum(runner.pid), Int64GetDatum(runner.executing)};
		bool nulls[lengthof(values)] = {false};

		if (runner.pid != 0 && runner.executing != 0)
			put_row(fcinfo, values, nulls);
	}
	return (Datum) 0;
}

/*
 * _stat_workers() -> (databases, needed, available, unserved, unserved_count, refused)
 */
Datum
aion_stat_workers(PG_FUNCTION_ARGS)
{
	WorkerNeeds needs = aion_service_worker_needs();
	Datum *unserved = palloc(Max(list_length(needs.unserved), 1) * sizeof(Datum));
	Datum values[6];
	bool nulls[6] = {false};
	ListCell *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach (cell, needs.unserved)
		unserved[foreach_current_index(cell)] = ObjectIdGetDatum(lfirst_oid(cell));
	values[0] = Int32GetDatum(needs.databases);
	values[1] = Int32GetDatum(needs.processes);
	values[2] = Int32GetDatum(max_worker_processes);
	values[3] = PointerGetDatum(construct_array(unserved, list_length(needs.unserved), OIDOID,
												sizeof(Oid), true, TYPALIGN_INT));
	values[4] = Int32GetDatum(needs.unserved_count);
	values[5] = BoolGetDatum(needs.refused);
	put_row(fcinfo, values, nulls);
	return (Datum) 0;
}

/*
 * _incidents() -> (unlogged_incidents, divergences)
 */
Datum
aion_incidents(PG_FUNCTION_ARGS)
{
	Datum values[2];
	bool nulls[2] = {false};
	uint64 left_out;
	uint64 divergences;

	InitMaterializedSRF(fcinfo, 0);
	aion_incident_counts(&left_out, &divergences);
	values[0] = Int64GetDatum((int64) left_out);
	values[1] = Int64GetDatum((int64) divergences);
	put_row(fcinfo, values, nulls);
	return (Datum) 0;
}

static void
put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;

	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}
