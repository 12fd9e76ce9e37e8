/*
 * received.h
 *		The signals of a history, by name, in the order they were recorded.
 */
#ifndef AION_RECEIVED_H
#define AION_RECEIVED_H

#include "history/history.h"

/* The signals of one name. */
typedef struct Received
{
	const char *name;
	const Event **events;
	int count;
	int room;
	int read; /* how many of them the code had consumed when it last ran */
	int index;
} Received;

extern Received *aion_received(History *history, const char *name);
extern void aion_received_add(History *history, const Event *event);
extern void aion_received_clear(History *history);
extern void aion_received_resume(History *history, const Jsonb *unread);
extern Jsonb *aion_received_unread(const History *history);

#endif
