/*
 * arrivals.h
 *		Records what has arrived for a run since its last share: due timers, and rows of its inbox.
 */
#ifndef AION_ARRIVALS_H
#define AION_ARRIVALS_H

#include "run/run.h"

/* Requires the engine's authority and the run's lock. */
extern void aion_arrivals_record(Run *run);

/* For runs that were purged after a sender found them, but before it committed. */
extern void aion_arrivals_sweep(const int64 *run_keys, int count);

#endif
