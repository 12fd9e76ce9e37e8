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

struct Arrival;

typedef struct Primitive
{
	const char *name;

	/* Called once, when the library is loaded. */
	void (*init)(void);

	/* Does one piece of work that commands ask for within the turn; without authority. */
	Progress (*perform)(Run *run);

	/* Moves what has arrived from outside into history; with authority, also in a closed run. */
	void (*arrive)(Run *run);

	/* Moves into history what a timer of the primitive's own says; with authority, also then. */
	void (*due)(Run *run, const char *timer);

	/* The kind of arrivals in the inbox that are its own; NULL: none. */
	const char *receives;

	/* Records one of them in a run that is open; with authority. */
	void (*receive)(Run *run, const struct Arrival *arrival);

	/* Puts one away that came when its run had ended; with authority. NULL: drops it. */
	void (*receive_late)(Run *run, const struct Arrival *arrival);

	/* Forgets a run that is purged; with authority. */
	void (*purge)(int64 run_key);

	/* Records what becomes of what is open in a run that ends; with authority. */
	void (*close)(Run *run);

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
extern void aion_primitives_due(Run *run, const char *timer);
extern void aion_primitive_receive(Run *run, const struct Arrival *arrival);
extern void aion_primitives_purge(int64 run_key);
extern void aion_primitives_close(Run *run);

#endif
