/*
 * scan_start.h
 *		Where the waiting tasks of a queue begin.
 */
#ifndef AION_SCAN_START_H
#define AION_SCAN_START_H

#include "support/statement.h"

/* What this backend remembers of a queue. */
typedef struct ScanStart ScanStart;

/*
 * A part of a queue to read: tasks of one priority that are not due before a moment, or all tasks
 * of a range of priorities.
 */
typedef struct PriorityRange
{
	bool is_level;
	NullableDatum first; /* the priority, or the first one */
	NullableDatum last;	 /* the moment, or the last one */
} PriorityRange;

/* All require the engine's authority; an owner of 0 means tasks for workers. */
extern ScanStart *aion_scan_start_begin(const char *queue, int32 background_of);
extern bool aion_scan_start_next(ScanStart *start, PriorityRange *range);
extern void aion_scan_start_end(ScanStart *start, uint64 found);
extern void aion_scan_start_met(ScanStart *start, int32 priority);
extern TimestampTz aion_scan_start_again(const char *queue, int32 background_of);
extern TimestampTz aion_scan_start_queues_again(int32 owner_key);
extern char *aion_scan_start_queue_after(int32 owner_key, const char *queue);

#endif
