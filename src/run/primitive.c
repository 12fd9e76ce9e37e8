/*
 * primitive.c
 *		The interface between the engine and the primitives.
 */
#include "postgres.h"

#include "run/command.h"
#include "run/inbox.h"
#include "run/primitive.h"
#include "support/extension.h"

static const Primitive *const *primitives = NULL; /* ended by NULL */

static void check_classes(const Primitive *primitive);
static void primitive_receive(Run *run, const Arrival *arrival);

/*
 * Registers the primitives, in the order in which they are called.
 */
void
aion_primitives_init(const Primitive *const *all)
{
	int slots = 0;

	primitives = all;
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		check_classes(primitive);
		if (primitive->slot != NULL)
			*primitive->slot = slots++;
		if (primitive->init != NULL)
			primitive->init();
	}
	if (slots > RUN_SLOTS)
		elog(FATAL, "aion: a run has no slots for %d primitives", slots);
}

/*
 * Refuses to load a library in which a command can be awaited but not answered: what code does with
 * a handle is not known in advance.
 */
static void
check_classes(const Primitive *primitive)
{
	for (int i = 0; primitive->classes != NULL && primitive->classes[i] != NULL; i++)
	{
		const CommandClass *class = primitive->classes[i];

		if (class->record == NULL && class->kind != COMMAND_NONE)
			elog(FATAL, "aion: a command of primitive \"%s\" has no event", primitive->name);
		if (class->has_handle && (class->awaiting == NULL || class->answer == NULL ||
								  class->failure == NULL || class->cancel == NULL))
			elog(FATAL, "aion: a command of primitive \"%s\" cannot be awaited or cancelled",
				 primitive->name);
	}
}

#ifdef USE_ASSERT_CHECKING
/*
 * Tells whether a kind of command is one of those that were checked.
 */
bool
aion_primitive_has_class(const CommandClass *class)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		for (int j = 0; primitive->classes != NULL && primitive->classes[j] != NULL; j++)
		{
			if (primitive->classes[j] == class)
				return true;
		}
	}
	return false;
}
#endif

/*
 * Does the next piece of work that commands of a run ask for.
 */
Progress
aion_primitives_perform(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];
		Progress progress = primitive->perform != NULL ? primitive->perform(run) : PROGRESS_NONE;

		if (progress != PROGRESS_NONE)
			return progress;
	}
	return PROGRESS_NONE;
}

void
aion_primitives_arrive(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->arrive != NULL)
			primitive->arrive(run);
	}
}

/*
 * Records the arrivals that were taken, in their order, up to the first one not sent before a
 * moment.
 */
void
aion_primitives_receive(Run *run, TimestampTz before)
{
	int count = 0;
	ListCell *cell;

	foreach (cell, run->arrivals)
	{
		const Arrival *arrival = lfirst(cell);

		if (before != DT_NOEND && arrival->sent_at >= before)
			break;
		primitive_receive(run, arrival);
		count++;
	}
	run->arrivals = list_delete_first_n(run->arrivals, count);
}

/*
 * Passes an arrival to the primitive that it is for.
 */
static void
primitive_receive(Run *run, const Arrival *arrival)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->receives == NULL || strcmp(primitive->receives, arrival->kind) != 0)
			continue;
		if (!aion_run_is_closed(run))
			primitive->receive(run, arrival);
		else if (primitive->receive_late != NULL)
			primitive->receive_late(run, arrival);
		return;
	}
	elog(ERROR, "unknown kind of arrival \"%s\"", arrival->kind);
}

bool
aion_primitives_keep(int64 run_key)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->keep != NULL && primitive->keep(run_key))
			return true;
	}
	return false;
}

/*
 * Lets the primitive that an arrival was for answer its sender, if the run it was sent to is gone.
 */
void
aion_primitive_return(const Arrival *arrival)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->receives != NULL && strcmp(primitive->receives, arrival->kind) == 0 &&
			primitive->return_to_sender != NULL)
			primitive->return_to_sender(arrival);
	}
}

void
aion_primitives_due(Run *run, const char *timer)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->due != NULL)
			primitive->due(run, timer);
	}
}

void
aion_primitives_purge(int64 run_key)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->purge != NULL)
			primitive->purge(run_key);
	}
}

void
aion_primitives_close(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->close != NULL)
			primitive->close(run);
	}
}

void
aion_primitives_ended(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->ended != NULL)
			primitive->ended(run);
	}
}

void
aion_primitives_carry_over(Run *run, Run *successor)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->carry_over != NULL)
			primitive->carry_over(run, successor);
	}
}

/*
 * Claims a piece of work outside of turns.  Returns the primitive that executes it; NULL if there
 * is none.
 */
const Primitive *
aion_primitives_claim(int32 owner_key, const int64 *run_keys, int count, TimestampTz *again)
{
	*again = DT_NOEND;
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];
		TimestampTz moment = DT_NOEND;

		if (primitive->claim != NULL && primitive->claim(owner_key, run_keys, count, &moment))
			return primitive;
		*again = Min(*again, moment);
	}
	return NULL;
}

int
aion_primitives_execute_short(int32 owner_key)
{
	int executed = 0;

	for (int i = 0; primitives[i] != NULL && executed == 0; i++)
	{
		if (primitives[i]->execute_short != NULL)
			executed = primitives[i]->execute_short(owner_key);
	}
	return executed;
}

void
aion_primitives_mended(Datum owner_keys)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->mended != NULL)
			primitive->mended(owner_keys);
	}
}

void
aion_primitives_recover(int32 owner_key)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->recover != NULL)
			primitive->recover(owner_key);
	}
}

List *
aion_primitives_owners_with_work(void)
{
	List *owners = NIL;

	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->owners_with_work != NULL)
			owners = list_concat_unique_int(owners, primitive->owners_with_work());
	}
	return owners;
}

void
aion_primitives_apply(Run *run, struct Turn *turn)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->apply != NULL)
			primitive->apply(run, turn);
	}
}

void
aion_primitives_resume(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->resume != NULL)
			primitive->resume(run);
	}
}

void
aion_primitives_save(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->save != NULL)
			primitive->save(run);
	}
}

/*
 * Returns the first difference that any primitive finds.
 */
Difference *
aion_primitives_compare(Run *run, struct Turn *turn)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];
		Difference *difference = primitive->compare != NULL ? primitive->compare(run, turn) : NULL;

		if (difference != NULL)
			return difference;
	}
	return NULL;
}

void
aion_primitives_fork(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->fork != NULL)
			primitive->fork(run);
	}
}

void
aion_primitives_reopen(Run *run)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->reopen != NULL)
			primitive->reopen(run);
	}
}

/*
 * Stores in due which of some keys are those of errands that are due; returns how many.
 */
int
aion_primitives_select_errands(const int64 *keys, int count, int64 *due)
{
	int found = 0;

	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->select_errands != NULL)
			found += primitive->select_errands(keys, count, due + found);
	}
	return found;
}

/*
 * Tells whether an owner has an errand that is due; its lock is kept.
 */
bool
aion_primitives_have_errand(int32 owner_key)
{
	const Primitive *found;

	return aion_primitives_claim_errand(owner_key, NULL, 0, NULL, 0, &found) != 0;
}

/*
 * Claims one errand of an owner, of some keys or, if those are NULL, of all except some.  Returns
 * its key, and the primitive that runs it; 0: no errand is free.  Requires the engine's authority.
 */
int64
aion_primitives_claim_errand(int32 owner_key, const int64 *keys, int count, const int64 *except,
							 int except_count, const Primitive **found)
{
	int64 key = 0;

	for (int i = 0; primitives[i] != NULL && key == 0; i++)
	{
		const Primitive *primitive = primitives[i];

		*found = primitive;
		if (primitive->claim_errand != NULL)
			key = primitive->claim_errand(owner_key, keys, count, except, except_count);
	}
	return key;
}

void
aion_primitives_note_crash(int64 key)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->note_crash != NULL)
			primitive->note_crash(key);
	}
}

bool
aion_primitives_find_errands(void)
{
	bool all = true;

	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->find_errands != NULL)
			all = primitive->find_errands() && all;
	}
	return all;
}

/*
 * Tells runs what may be late of what they have outside of turns.  Returns when to look again.
 */
TimestampTz
aion_primitives_tell_late(const int64 *run_keys, int count)
{
	TimestampTz next = DT_NOEND;

	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];
		TimestampTz again = DT_NOEND;

		if (primitive->tell_late != NULL)
			again = primitive->tell_late(run_keys, count);
		next = Min(next, again);
	}
	return next;
}

void
aion_primitives_excuse_late(void)
{
	for (int i = 0; primitives[i] != NULL; i++)
	{
		const Primitive *primitive = primitives[i];

		if (primitive->excuse_late != NULL)
			primitive->excuse_late();
	}
}
