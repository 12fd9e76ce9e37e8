/*
 * primitive.h
 *		The seam between the engine and what workflows can do.
 *
 * A primitive registers itself when the library is loaded; the engine asks all of them and names
 * none.  What code asks for while it runs goes through turn.h.
 */
#ifndef AION_PRIMITIVE_H
#define AION_PRIMITIVE_H

#include "engine/run.h"

typedef enum Progress
{
	PROGRESS_NONE,	 /* nothing to do */
	PROGRESS_MADE,	 /* something was recorded that the code has not seen */
	PROGRESS_BLOCKED /* the run was blocked */
} Progress;

typedef struct Primitive
{
	const char *name;

	/* Called once, when the library is loaded. */
	void (*init)(void);

	/* Does one piece of work that commands ask for within the turn; without authority. */
	Progress (*perform)(Run *run);

	/* Moves what has arrived from outside into history; with authority, also in a closed run. */
	void (*arrive)(Run *run);

	/* Forgets a run that is purged; with authority. */
	void (*purge)(int64 run_key);

	/* Records what becomes of what is open in a run that ends; with authority. */
	void (*close)(Run *run);

	/*
	 * Errands: what is due and belongs to an owner, but to no run.  They have keys among those of
	 * runs, and timers under them, by which they come to whoever executes the owner's runs.
	 */

	/* Tells which of some keys are those of errands that are due; with authority. */
	int (*select_errands)(const int64 *keys, int count, int64 *due);

	/*
	 * Takes the lock of an errand of an owner that is due and that nobody else has, of some keys
	 * or, if those are NULL, of all; 0: none.  With authority.
	 */
	int64 (*claim_errand)(int32 owner_key, const int64 *keys, int count);

	/* Does what is due; as the owner, without authority. */
	void (*run_errand)(int64 key);

	/* Looks for errands that are due and that nobody has told of; with authority. */
	void (*find_errands)(void);

	struct Primitive *next;
} Primitive;

#define AION_REGISTER_PRIMITIVE(primitive)                                                         \
	static __attribute__((constructor)) void register_primitive(void)                              \
	{                                                                                              \
		aion_primitive_register(&(primitive));                                                     \
	}                                                                                              \
	extern int aion_primitive_no_semicolon

extern void aion_primitive_register(Primitive *primitive);
extern void aion_primitives_init(void);
extern Progress aion_primitives_perform(Run *run);
extern void aion_primitives_arrive(Run *run);
extern void aion_primitives_purge(int64 run_key);
extern void aion_primitives_close(Run *run);
extern int aion_primitives_select_errands(const int64 *keys, int count, int64 *due);
extern bool aion_primitives_have_errand(int32 owner_key);
extern bool aion_primitives_run_errand(int32 owner_key, const int64 *keys, int count);
extern void aion_primitives_find_errands(void);

#endif
