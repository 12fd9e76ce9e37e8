/*
 * schedule.h
 *		Schedules: what they start, and when.
 */
#ifndef AION_SCHEDULE_H
#define AION_SCHEDULE_H

#include "run/start.h"
#include "schedules/timetable.h"

typedef struct Schedule
{
	int64 key; /* among the keys of runs */
	char *name;
	int32 owner_key;
	char *workflow_type;
	char *cron;		 /* NULL: by an interval */
	Interval *every; /* NULL: cron */
	TimestampTz anchor;
	char *timezone;
	char *overlap;
	char *catch_up;
	Interval *jitter;	  /* NULL: none */
	TimestampTz start_at; /* DT_NOBEGIN: no limit */
	TimestampTz end_at;	  /* DT_NOEND: no limit */
	int32 max_runs;		  /* 0: no limit */
	Jsonb *input;
	Jsonb *options;
	char *state;
	TimestampTz next_at; /* the first tick that is not decided; DT_NOEND: none */
	TimestampTz due_at;	 /* when that is due */
	int64 runs;			 /* that its ticks have started */
	char *reason;		 /* why the engine paused it; NULL: it did not */
	Timetable table;
} Schedule;

#define SCHEDULE_ACTIVE "active"
#define SCHEDULE_PAUSED "paused"
#define SCHEDULE_ENDED "ended"

#define REASON_QUARANTINED "quarantined" /* no tick starts a run until it is resumed */

#define TIMER_NEXT_TICK TIMER_SCHEDULE "next"
#define TIMER_ASKED_TICK TIMER_SCHEDULE "asked"

/* All require the engine's authority, and those that change a schedule its lock. */
extern Schedule *aion_schedule_read(int64 key);
extern Schedule *aion_schedule_lock(const char *name, Oid user);
extern Schedule *aion_schedule_lock_if_free(const char *name, Oid user, bool *is_locked);
extern void aion_schedule_move(Schedule *schedule, TimestampTz next);
extern bool aion_schedule_is(const Schedule *schedule, const char *state);

/* Jobs of pg_cron, of schedules that tick by a cron expression; these require it, too. */
extern void aion_cron_job_require(void);
extern void aion_cron_job_set(const Schedule *schedule);
extern void aion_cron_job_remove_all(void);

/* Called without it. */
extern void aion_schedule_prepare(const Schedule *schedule, Oid owner, StartRequest *request);

#endif
