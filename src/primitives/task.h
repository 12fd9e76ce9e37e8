/*
 * task.h
 *		Activities that are executed outside of a turn.
 */
#ifndef AION_TASK_H
#define AION_TASK_H

#include "engine/run.h"
#include "primitives/policy.h"

/* An attempt that somebody has claimed, or the task it belongs to. */
typedef struct Task
{
	int64 run_key;
	int32 ordinal;
	int32 owner_key;
	const char *activity;
	const char *state;
	int32 attempt;
	Policy policy;
	TimestampTz start_by;
	TimestampTz close_by;
	TimestampTz attempt_by;
	TimestampTz heartbeat_by;
	bool cancel_requested; /* the workflow waits for an outcome all the same */
} Task;

#define TASK_COLUMNS                                                                               \
	"run_key, ordinal, owner_key, activity, state, attempt, policy, start_by, close_by,"           \
	" attempt_by, heartbeat_by, cancel_requested"
#define TASK_COLUMN_COUNT 12

/* For the run; with its lock and the engine's authority. */
extern void aion_task_know(Run *run);
extern void aion_task_dispatch(Run *run, const RecordedCommand *command, const Jsonb *policy);
extern void aion_task_arrive(Run *run);
extern void aion_task_due(Run *run, const char *timer);
extern void aion_task_cancel(Run *run, int32 ordinal);
extern bool aion_task_yield(Run *run, int32 ordinal);
extern void aion_task_cancel_all(Run *run);
extern void aion_task_purge(int64 run_key);

/* For who executes them; with the lock on the task. */
extern void aion_task_read(Rows rows, uint64 row, Task *task);
extern void aion_task_settle(const Task *task, const Jsonb *outcome);
extern void aion_task_fail(const Task *task, const Jsonb *error, bool retryable, int64 retry_after);
extern void aion_task_watch(const Task *task, TimestampTz not_before);

#endif
