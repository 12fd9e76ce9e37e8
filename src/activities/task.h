/*
 * task.h
 *		Tasks: rows of activities that workers or executors execute outside of turns.
 */
#ifndef AION_TASK_H
#define AION_TASK_H

#include "utils/uuid.h"

#include "activities/policy.h"
#include "run/inbox.h"

/* A row of aion._task. */
typedef struct Task
{
	int64 run_key;
	int32 ordinal;
	int32 owner_key;
	char *activity;
	bool background; /* else for workers */
	char *task_queue;
	char *key; /* NULL: none */
	char *state;
	int32 attempt;
	int32 permit; /* of its queue; 0: none */
	int32 failures;
	Policy policy;
	TimestampTz start_by; /* DT_NOEND where there is no such limit */
	TimestampTz close_by;
	TimestampTz attempt_by;
	TimestampTz heartbeat_by;
	bool cancel_requested; /* the workflow waits for an outcome all the same */
	Jsonb *last_error;	   /* of the attempt before; NULL: none has failed */
} Task;

#define TASK_COLUMNS                                                                               \
	"t.run_key, t.ordinal, t.owner_key, t.activity, t.background, t.task_queue, t.key, t.state,"   \
	" t.attempt, t.permit, t.failures, t.policy, t.start_by, t.close_by, t.attempt_by,"            \
	" t.heartbeat_by, t.cancel_requested, t.last_error"
#define TASK_COLUMN_COUNT 18

/* The kind of arrivals that are outcomes of activities; the name is the ordinal. */
#define ARRIVAL_OUTCOME "activity"
#define OUTCOME_RESULT "ok" /* neither this nor an error: SQL NULL */
#define OUTCOME_ERROR "error"
#define OUTCOME_ATTEMPTS "attempts" /* if not one */
#define OUTCOME_LAST_ERROR "last_error"
#define OUTCOME_TIMERS "timers" /* if it had any */

/* For the session that executes a task, with the lock on it. */
extern void aion_task_read(Rows rows, uint64 row, Task *task);
extern void aion_task_complete(const Task *task, const Jsonb *result);
extern void aion_task_send_result(const Task *task, const Jsonb *result);
extern void aion_task_end_failed(const Task *task, const Jsonb *error);
extern void aion_task_remove(const Task *task);
extern void aion_task_delete(const Task *task);
extern bool aion_task_fail(const Task *task, const Jsonb *error, bool retryable, int64 retry_after,
						   const Jsonb *details);
extern Jsonb *aion_task_cancelled(const char *activity);
extern Jsonb *aion_task_timeout(const char *activity, int32 attempts, const char *which);
extern void aion_task_wake(const Task *task, const char *why, TimestampTz moment);
extern void aion_task_tell(const Task *task, const char *queue, TimestampTz next);
extern TimestampTz aion_task_deadline(TimestampTz start, int64 duration);

#endif
