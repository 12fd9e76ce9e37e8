/*
 * primitive.h
 *		The interface between the engine and the primitives.
 *
 * The primitives are listed in aion.c; the engine calls all of them, in that order, and names none.
 * What code asks for during a turn goes through turn.h.
 */
#ifndef AION_PRIMITIVE_H
#define AION_PRIMITIVE_H

#include "run/run.h"

struct Turn;
struct CommandClass;

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

	/* The kinds of commands that it gives, ended by NULL; NULL: none. */
	const struct CommandClass *const *classes;

	/* Is told which slot of a run is its own, when the library is loaded; NULL: it needs none. */
	int *slot;

	/* Called once, when the library is loaded. */
	void (*init)(void);

	/* Does one piece of work that commands ask for within the turn; without authority. */
	Progress (*perform)(Run *run);

	/* Moves what has arrived from outside into history; with authority, also in a closed run. */
	void (*arrive)(Run *run);

	/* Moves into history what a timer of the primitive's own says; with authority, also in a closed
	 * run. */
	void (*due)(Run *run, const char *timer);

	/* The kind of arrivals in the inbox that are its own; NULL: none. */
	const char *receives;

	/* Records one of them in a run that is open; with authority. */
	void (*receive)(Run *run, const struct Arrival *arrival);

	/* Handles one that came after its run had ended; with authority.  NULL: drops it. */
	void (*receive_late)(Run *run, const struct Arrival *arrival);

	/* Answers the sender of one whose run is gone; with authority.  NULL: drops it. */
	void (*return_to_sender)(const struct Arrival *arrival);

	/* Tells whether a closed run cannot be purged yet, since it is needed or another session has a
	 * lock on what belongs to it; with authority. */
	bool (*keep)(int64 run_key);

	/* Forgets a run that is purged; with authority. */
	void (*purge)(int64 run_key);

	/*
	 * Work of an owner outside of turns, which is claimed in one transaction and executed in the
	 * next: of some runs only, or of any (NULL).  If there is nothing to claim, again is when to
	 * look again without a hint.  With authority, except for execute.
	 */
	bool (*claim)(int32 owner_key, const int64 *run_keys, int count, TimestampTz *again);
	void (*execute)(void);

	/* Executes such work of an owner that is known to be short, in this transaction; as the owner,
	 * without authority.  Returns how many pieces: none if the next one is not short. */
	int (*execute_short)(int32 owner_key);

	/* Looks again at work that waits for a function or a registration, of some owners (int4[]),
	 * since one has changed; with authority. */
	void (*mended)(Datum owner_keys);

	/* Puts back what was claimed by a process that is gone. */
	void (*recover)(int32 owner_key);

	/* Returns the keys of the owners that have such work. */
	List *(*owners_with_work)(void);

	/* Records what becomes of what is open in a run that ends; with authority. */
	void (*close)(Run *run);

	/* Notifies other runs that a run has ended, by its terminal event; with authority. */
	void (*ended)(Run *run);

	/* Passes what stays of a run that has ended to its successor; with authority. */
	void (*carry_over)(Run *run, Run *successor);

	/* Takes from a turn that succeeded what is not history; with authority. */
	void (*apply)(Run *run, struct Turn *turn);

	/* Writes this after the last turn of the share; with authority. */
	void (*save)(Run *run);

	/* Returns how this differs from what is written, after a replay that went as far as the last
	 * turn; NULL if it does not.  With authority. */
	Difference *(*compare)(Run *run, struct Turn *turn);

	/* Stores for a new run what the history that it took over requires; with authority. */
	void (*fork)(Run *run);

	/* Continue what a pause has held back, and what an end had ended; with authority. */
	void (*resume)(Run *run);
	void (*reopen)(Run *run);

	/*
	 * Errands: work that is due and belongs to an owner, but to no run.  They have keys among those
	 * of runs, and timers under these keys, by which they reach the process that executes the
	 * owner's runs.  Unlike work outside of turns they are short, depend on nothing but the
	 * engine's tables, and are claimed and done in one transaction: so no claim outlives its
	 * process, and the lock of an errand keeps other sessions from deciding it too.
	 */

	/* Tells which of some keys are those of errands that are due; with authority. */
	int (*select_errands)(const int64 *keys, int count, int64 *due);

	/*
	 * Takes the lock of an errand of an owner that is due and not locked by another session, of
	 * some keys or, if those are NULL, of all except some; 0: none.  With authority.
	 */
	int64 (*claim_errand)(int32 owner_key, const int64 *keys, int count, const int64 *except,
						  int except_count);

	/* Does what is due; as the owner, without authority. */
	void (*run_errand)(int64 key);

	/* Counts that a process died in an errand, if the key is that of one; with authority. */
	void (*note_crash)(int64 key);

	/* Tells runs, or those of some keys, that something of theirs outside of turns may be late;
	 * returns when to call it again; with authority. */
	TimestampTz (*tell_late)(const int64 *run_keys, int count);

	/* Gives more time to what could not report, now that the engine is at work again; with
	 * authority. */
	void (*excuse_late)(void);

	/* Looks for errands that are due and of which no hint was given; false if it must do so again,
	 * since sessions have locked some; with authority. */
	bool (*find_errands)(void);
} Primitive;

extern void aion_primitives_init(const Primitive *const *all);
#ifdef USE_ASSERT_CHECKING
extern bool aion_primitive_has_class(const struct CommandClass *class);
#endif
extern Progress aion_primitives_perform(Run *run);
extern void aion_primitives_arrive(Run *run);
extern void aion_primitives_due(Run *run, const char *timer);
extern void aion_primitives_receive(Run *run, TimestampTz before);
extern void aion_primitive_return(const struct Arrival *arrival);
extern bool aion_primitives_keep(int64 run_key);
extern void aion_primitives_purge(int64 run_key);
extern void aion_primitives_close(Run *run);
extern void aion_primitives_ended(Run *run);
extern void aion_primitives_carry_over(Run *run, Run *successor);
extern const Primitive *aion_primitives_claim(int32 owner_key, const int64 *run_keys, int count,
											  TimestampTz *again);
extern void aion_primitives_mended(Datum owner_keys);
extern int aion_primitives_execute_short(int32 owner_key);
extern void aion_primitives_recover(int32 owner_key);
extern List *aion_primitives_owners_with_work(void);
extern void aion_primitives_apply(Run *run, struct Turn *turn);
extern void aion_primitives_save(Run *run);
extern Difference *aion_primitives_compare(Run *run, struct Turn *turn);
extern void aion_primitives_fork(Run *run);
extern void aion_primitives_resume(Run *run);
extern void aion_primitives_reopen(Run *run);
extern int aion_primitives_select_errands(const int64 *keys, int count, int64 *due);
extern bool aion_primitives_have_errand(int32 owner_key);
extern int64 aion_primitives_claim_errand(int32 owner_key, const int64 *keys, int count,
										  const int64 *except, int except_count,
										  const Primitive **found);
extern void aion_primitives_note_crash(int64 key);
extern bool aion_primitives_find_errands(void);
extern TimestampTz aion_primitives_tell_late(const int64 *run_keys, int count);
extern void aion_primitives_excuse_late(void);

#endif
