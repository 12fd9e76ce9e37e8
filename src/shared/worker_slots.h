/*
 * worker_slots.h
 *		Slots of the board for runners and executors, taken and given back.
 */
#ifndef AION_WORKER_SLOTS_H
#define AION_WORKER_SLOTS_H

#include "datatype/timestamp.h"

#include "shared/board.h"

/* The owner that a runner serves, and which part of that owner's runs is its own. */
typedef struct WorkerSlot
{
	Oid database;
	Oid role;
	int32 owner_key;
	int index;
	int count;
} WorkerSlot;

/* Whether a runner may be busy with one run for an unknown time. */
typedef enum WorkerEngagement
{
	ENGAGED_NOT,   /* it is the last one that is free */
	ENGAGED_ALONE, /* it is the only one, and keeps what it has */
	ENGAGED_FREELY /* other runners have taken what it had */
} WorkerEngagement;

/* For the scheduler of this database. */
extern bool aion_worker_slots_free_runner(int slot, uint32 generation);
extern void aion_worker_slots_dismiss(void);

/* For a runner or an executor. */
extern bool aion_worker_slots_runner_begin(int slot, uint32 generation, WorkerSlot *runner);
extern int aion_worker_slots_take_runs(int64 *run_keys, int most, bool *scan, WorkerSlot *runner);
extern void aion_worker_slots_want_another(void);
extern WorkerEngagement aion_worker_slots_engage(const int64 *run_keys, int count, bool scanning,
												 bool insist);
extern void aion_worker_slots_disengage(void);
extern void aion_worker_slots_reshare(void);
extern void aion_worker_slots_count_batch(int runs);
extern bool aion_worker_slots_retire(void);

/* For an executor. */
extern bool aion_worker_slots_look(bool *recover);
extern bool aion_worker_slots_begin_idle(bool limited);
extern void aion_worker_slots_end_idle(void);
extern void aion_worker_slots_execute(int64 key); /* 0: nothing */
extern void aion_worker_slots_begin_task(int64 run_key, int32 ordinal);
extern void aion_worker_slots_end_task(void);

/* For either. */
extern void aion_worker_slots_set_limit(int limit);
extern bool aion_worker_slots_must_leave(void);
extern bool aion_worker_slots_must_make_room(void);
extern void aion_worker_slots_set_deaf(bool is_deaf);
extern void aion_worker_slots_relieve(void);
extern bool aion_worker_slots_was_relieved(void);
extern bool aion_worker_slots_task_is_stopped(void);

/* For monitoring. */
typedef struct WorkerSlotView
{
	int pid; /* 0: has not begun */
	Oid database;
	int32 owner_key;
	const char *state;
	TimestampTz since;
	int queued;
	int64 executing; /* a run, or an errand; 0: nothing */
	uint64 batches;
	uint64 runs;
} WorkerSlotView;

extern bool aion_worker_slots_runner(int slot, WorkerSlotView *runner);

#endif
