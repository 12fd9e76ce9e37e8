/*
 * scheduler.h
 *		One process per database: knows what falls due, and sees to it that there are runners.
 */
#ifndef AION_SCHEDULER_H
#define AION_SCHEDULER_H

#include "postmaster/bgworker.h"

extern void aion_scheduler_describe(BackgroundWorker *worker, Oid database);

#endif
