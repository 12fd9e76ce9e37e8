/*
 * roster.h
 *		Slots of the board for runners and executors, taken and given back.
 */
#ifndef AION_ROSTER_H
#define AION_ROSTER_H

#include "datatype/timestamp.h"

#include "shared/board.h"

/* The owner that a runner serves, and which part of that owner's runs is its own. */
typedef struct RosterEntry
{
	Oid database;
	Oid role;
	int32 owner_key;
	int index;
	int count;
} RosterEntry;

/* Whether a runner may be busy with one run for an unknown time. */
typedef enum RosterEngagement
{
	ENGAGED_NOT,   /* it is the last one that is free */
	ENGAGED_ALONE, /* it is the only one, and keeps what it has */
	ENGAGED_FREELY /* other runners have taken what it had */
} RosterEngagement;

/* For the scheduler of this database. */
extern bool aion_roster_free_runner(int slot, uint32 generation);
extern void aion_roster_dismiss(void);

/* For a runner or an executor. */
extern bool aion_roster_runner_begin(int slot, uint32 generation, RosterEntry *runner);
extern int aion_roster_take_runs(int64 *run_keys, int most, bool *scan, RosterEntry *runner);
extern void aion_roster_want_another(void);
extern void aion_roster_set_idle(bool idle);
extern RosterEngagement aion_roster_engage(const int64 *run_keys, int count, bool scanning,
										   bool insist);
extern void aion_roster_disengage(void);
extern void aion_roster_count_batch(int runs);
extern bool aion_roster_retire(void);

/* For an executor. */
extern bool aion_roster_look(bool *recover);
extern bool aion_roster_rest(bool limited);
extern void aion_roster_begin_task(int64 run_key, int32 ordinal);
extern void aion_roster_end_task(void);

/* For either. */
extern void aion_roster_set_limit(int limit);
extern bool aion_roster_must_leave(void);
extern bool aion_roster_must_make_room(void);
extern bool aion_roster_task_is_stopped(void);

/* For monitoring. */
typedef struct RosterRunner
{
	int pid; /* 0: has not begun */
	Oid database;
	int32 owner_key;
	const char *state;
	TimestampTz since;
	int queued;
	uint64 batches;
	uint64 runs;
} RosterRunner;

extern bool aion_roster_runner(int slot, RosterRunner *runner);

#endif
