/*
 * terminate.h
 *		Ending runs at once.
 */
#ifndef AION_TERMINATE_H
#define AION_TERMINATE_H

#include "run/run.h"

/* With the engine's authority. */
extern RunStatus aion_run_terminate(int64 run_key, const char *reason);

#endif
