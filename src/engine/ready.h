/*
 * ready.h
 *		Runs that want a turn.
 */
#ifndef AION_READY_H
#define AION_READY_H

#include "engine/run.h"

/* Both want the engine's authority; NULL if nothing is ready that nobody else has. */
extern Run *aion_ready_claim(int32 owner_key, MemoryContext parent);
extern Run *aion_ready_claim_one_of(const int64 *run_keys, int count, MemoryContext parent);

#endif
