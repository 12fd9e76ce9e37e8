/*
 * control.h
 *		Moving runs to other versions.
 */
#ifndef AION_CONTROL_H
#define AION_CONTROL_H

#include "run/run.h"

/* With the engine's authority. */
extern Version *aion_control_find_version(const Run *run, const char *wanted);
extern Version *aion_control_keep_version(const Run *run);
extern void aion_control_move(Run *run, const Version *version);

#endif
