/*
 * bell.h
 *		Who rings schedules that tick by a cron expression: jobs of pg_cron.
 */
#ifndef AION_BELL_H
#define AION_BELL_H

#include "schedules/schedule.h"

/* All want the engine's authority. */
extern void aion_bell_require(void);
extern void aion_bell_set(const Schedule *schedule);
extern void aion_bell_remove_all(void);

#endif
