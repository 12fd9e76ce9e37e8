/*
 * pollers.h
 *		Which workers poll the task queues.
 */
#ifndef AION_POLLERS_H
#define AION_POLLERS_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* A worker that has polled lately. */
typedef struct Poller
{
	Oid role;
	uint32 worker; /* hash of its name */
} Poller;

extern void aion_pollers_init(void);
extern void aion_pollers_note(Oid role, const char *worker, uint64 mask, const Datum *queues,
							  int count);
extern bool aion_pollers_are_known(void);
extern List *aion_pollers_of(const char *queue);

#endif
