/*
 * scheduler.h
 *		One process per database: wakes runners for due timers, and starts runners and executors.
 */
#ifndef AION_SCHEDULER_H
#define AION_SCHEDULER_H

#include "postmaster/bgworker.h"

extern void aion_scheduler_describe(BackgroundWorker *worker, Oid database);

#endif
