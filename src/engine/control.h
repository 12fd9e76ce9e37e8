/*
 * control.h
 *		Ending runs, moving them to other versions, and purging them.
 */
#ifndef AION_CONTROL_H
#define AION_CONTROL_H

#include "engine/run.h"

/* With the engine's authority. */
extern RunStatus aion_control_terminate(int64 run_key, const char *reason);
extern Version *aion_control_find_version(const Run *run, const char *wanted);
extern Version *aion_control_keep_version(const Run *run);
extern void aion_control_move(Run *run, const Version *version);

#endif
