/*
 * executor.h
 *		A process that executes the activities in the background of one owner, as that owner.
 */
#ifndef AION_EXECUTOR_H
#define AION_EXECUTOR_H

#include "postmaster/bgworker.h"

#define EXECUTOR_MAIN "aion_executor_main"

extern void aion_executor_describe(BackgroundWorker *worker, int slot, uint32 generation);

#endif
