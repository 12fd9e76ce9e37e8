/*
 * purge.h
 *		Removing runs that ended long ago, each whole or not at all.
 */
#ifndef AION_PURGE_H
#define AION_PURGE_H

#include "support/statement.h"

/* Which closed runs to remove; what is NULL is no condition. */
typedef struct PurgeRequest
{
	TimestampTz closed_from; /* afterwards, where to go on */
	TimestampTz closed_by;
	NullableDatum owners; /* int4[] */
	NullableDatum workflow_type;
	NullableDatum statuses;
	int64 max_runs;
	int64 max_events; /* in all their histories, which is what the transaction has to write */
	bool more;		  /* set if there may be more */
} PurgeRequest;

/* With authority. */
extern int64 aion_purge(PurgeRequest *request);
extern TimestampTz aion_purge_oldest(void);

#endif
