/*
 * kept.h
 *		Histories that a runner keeps in memory between the shares of their runs.
 */
#ifndef AION_KEPT_H
#define AION_KEPT_H

#include "history/history.h"

extern void aion_kept_begin(void);
extern bool aion_kept_add(History *history);
extern History *aion_kept_take(int64 run_key, MemoryContext parent);

#endif
