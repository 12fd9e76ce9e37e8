/*
 * arrivals.h
 *		Records what has come since a run was last looked at: due timers, and what was sent.
 */
#ifndef AION_ARRIVALS_H
#define AION_ARRIVALS_H

#include "run/run.h"

/* With the engine's authority; of a run whose lock is held. */
extern void aion_arrivals_record(Run *run);

/* Of runs that were purged before a sender that had found them committed. */
extern void aion_arrivals_sweep(const int64 *run_keys, int count);

#endif
