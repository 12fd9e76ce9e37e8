/*
 * hint.h
 *		What a hint says of which there can be many.
 */
#ifndef AION_HINT_H
#define AION_HINT_H

#include "datatype/timestamp.h"

/* A timer that was armed for a moment which the scheduler has already read the table up to. */
typedef struct BoardTimer
{
	TimestampTz fire_at;
	int64 run_key;
	int32 owner_key;
} BoardTimer;

/* An owner who wants a process of his own. */
typedef struct BoardOwner
{
	int32 owner_key;
	bool executor; /* else a runner */
} BoardOwner;

#endif
