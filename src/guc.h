/*
 * guc.h
 *		Every setting of aion, sorted by name.
 */
#ifndef AION_GUC_H
#define AION_GUC_H

/* What becomes of code that reads what differs from one execution to the next. */
typedef enum Determinism
{
	DETERMINISM_OFF, /* it is not looked for */
	DETERMINISM_WARN,
	DETERMINISM_STRICT
} Determinism;

/* When code is executed twice before anything of a turn is recorded. */
typedef enum VerifyTurns
{
	VERIFY_OFF,
	VERIFY_TESTS,
	VERIFY_ON
} VerifyTurns;

extern bool aion_allow_definer_start;
extern bool aion_allow_superuser_workflows;
extern bool aion_auto_deploy;
extern int aion_determinism;
extern char *aion_execution;		/* on, off or a name */
extern int aion_batch_lock_timeout; /* ms */
extern int aion_batch_time;			/* ms */
extern int aion_batch_turns;
extern int aion_history_cache; /* kB */
extern int aion_log_incidents; /* level of messages; 0: none */
extern int aion_log_incidents_per_second;
extern int aion_max_history_events;
extern int aion_max_payload_size; /* kB */
extern int aion_max_runners;
extern int aion_max_runners_per_owner; /* 0: no limit */
extern bool aion_notify_incidents;
extern bool aion_optimistic_turns;
extern int aion_retention; /* s; -1: for ever */
extern int aion_runner_idle_timeout;
extern int aion_runner_memory; /* kB */ /* ms */
extern int aion_turn_attempts;
extern int aion_turn_timeout; /* ms */
extern int aion_verify_turns;

extern void aion_guc_define(void);

#endif
