/*
 * primitive.c
 *		The seam between the engine and what workflows can do.
 */
#include "postgres.h"

#include "engine/primitive.h"
#include "support/extension.h"

static Primitive *primitives = NULL;

/*
 * Takes in a primitive.  Runs before _PG_init(), so it must not use anything of the server.
 */
void
aion_primitive_register(Primitive *primitive)
{
	primitive->next = primitives;
	primitives = primitive;
}

void
aion_primitives_init(void)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		if (primitive->init != NULL)
			primitive->init();
	}
}

/*
 * Does the next piece of work that commands of a run ask for.
 */
Progress
aion_primitives_perform(Run *run)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		Progress progress = primitive->perform != NULL ? primitive->perform(run) : PROGRESS_NONE;

		if (progress != PROGRESS_NONE)
			return progress;
	}
	return PROGRESS_NONE;
}

void
aion_primitives_arrive(Run *run)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		if (primitive->arrive != NULL)
			primitive->arrive(run);
	}
}

void
aion_primitives_purge(int64 run_key)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		if (primitive->purge != NULL)
			primitive->purge(run_key);
	}
}

void
aion_primitives_close(Run *run)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		if (primitive->close != NULL)
			primitive->close(run);
	}
}

/*
 * Writes down which of some keys are those of errands that are due; returns how many.
 */
int
aion_primitives_select_errands(const int64 *keys, int count, int64 *due)
{
	int found = 0;

	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
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
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		if (primitive->claim_errand != NULL && primitive->claim_errand(owner_key, NULL, 0) != 0)
			return true;
	}
	return false;
}

/*
 * Does one errand of an owner, of some keys or, if those are NULL, of all.  Returns whether there
 * was one that nobody else had.
 */
bool
aion_primitives_run_errand(int32 owner_key, const int64 *keys, int count)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		Authority authority;
		int64 key = 0;

		if (primitive->claim_errand == NULL)
			continue;
		aion_authority_assume(&authority);
		key = primitive->claim_errand(owner_key, keys, count);
		aion_authority_drop(&authority);
		if (key == 0)
			continue;
		primitive->run_errand(key);
		return true;
	}
	return false;
}

void
aion_primitives_find_errands(void)
{
	for (Primitive *primitive = primitives; primitive != NULL; primitive = primitive->next)
	{
		if (primitive->find_errands != NULL)
			primitive->find_errands();
	}
}
