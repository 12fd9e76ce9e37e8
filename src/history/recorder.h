/*
 * recorder.h
 *		The only writer of history.
 */
#ifndef AION_RECORDER_H
#define AION_RECORDER_H

#include "history/replay.h"

extern Event *aion_recorder_append(History *history, EventType type, const char *key,
								   const Jsonb *attributes);
extern TimestampTz aion_recorder_stamp(History *history);
extern void aion_recorder_write(History *history);
extern void aion_recorder_erase(int64 run_key);

#endif
