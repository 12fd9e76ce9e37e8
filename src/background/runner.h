/*
 * runner.h
 *		A process that executes the runs of one owner, as that owner.
 */
#ifndef AION_RUNNER_H
#define AION_RUNNER_H

#include "postmaster/bgworker.h"

#include "shared/worker_slots.h"

extern void aion_runner_begin(int slot, const char *name, WorkerSlot *entry);
extern void aion_runner_describe(BackgroundWorker *worker, int slot, uint32 generation);

#endif
