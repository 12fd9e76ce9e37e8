/*
 * control.h
 *		What operators do to runs.
 */
#ifndef AION_CONTROL_H
#define AION_CONTROL_H

#include "engine/run.h"

/* With the engine's authority. */
extern RunStatus aion_control_terminate(int64 run_key, const char *reason);

#endif
