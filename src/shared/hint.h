/*
 * hint.h
 *		The contents of hints about timers and owners.
 */
#ifndef AION_HINT_H
#define AION_HINT_H

#include "datatype/timestamp.h"

/* A timer that was armed for a moment up to which the scheduler has already read the table. */
typedef struct BoardTimer
{
	TimestampTz fire_at;
	int64 run_key;
	int32 owner_key;
} BoardTimer;

/* An owner for which a process is wanted. */
typedef struct BoardOwner
{
	int32 owner_key;
	bool executor; /* else a runner */
} BoardOwner;

#endif
