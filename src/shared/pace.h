/*
 * pace.h
 *		Throughput of the task queues.
 */
#ifndef AION_PACE_H
#define AION_PACE_H

typedef struct Pace
{
	int32 owner_key;
	char queue[256];
	double begun; /* per second */
	double ended;
} Pace;

extern void aion_pace_init(void);
extern void aion_pace_begin(int32 owner_key, const char *queue);
extern void aion_pace_end(int32 owner_key, const char *queue);
extern int aion_pace_read(Pace **paces);

#endif
