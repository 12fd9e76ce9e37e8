/*
 * front.h
 *		Where the waiting tasks of a queue begin.
 */
#ifndef AION_FRONT_H
#define AION_FRONT_H

#include "support/statement.h"

/* What this backend remembers of a queue. */
typedef struct Front Front;

/*
 * A part of a queue to read: tasks of one priority that are not due before a moment, or all tasks
 * of a range of priorities.
 */
typedef struct Stretch
{
	bool is_level;
	NullableDatum first; /* the priority, or the first one */
	NullableDatum last;	 /* the moment, or the last one */
} Stretch;

/* All require the engine's authority; an owner of 0 means tasks for workers. */
extern Front *aion_front_begin(const char *queue, int32 background_of);
extern bool aion_front_next(Front *front, Stretch *stretch);
extern void aion_front_end(Front *front, uint64 found);
extern void aion_front_met(Front *front, int32 priority);
extern TimestampTz aion_front_again(const char *queue, int32 background_of);
extern TimestampTz aion_front_queues_again(int32 owner_key);
extern char *aion_front_queue_after(int32 owner_key, const char *queue);

#endif
