/*
 * queue.h
 *		Task queues: which roles may claim from one, and how many activities at once.
 */
#ifndef AION_QUEUE_H
#define AION_QUEUE_H

/* A queue as it is at the moment of a claim. */
typedef struct Queue
{
	char *name;
	bool paused;
	bool granted;	   /* the claimer may claim activities of other owners */
	int32 max_per_key; /* 0: no limit */
	double rate;	   /* 0: no limit; per second */
	bool is_limited;   /* by permits */
	int permit_count;  /* that were found free, and are used from the end */
	bool in_vain;	   /* more were locked for one of two limits */
	int32 *running;	   /* NULL: no limit */
	int32 *rating;	   /* NULL: no limit */

	/* Of a queue that belongs to an owner: its configuration applies to these owners only. */
	NullableDatum ruled; /* int4[]: owners that it applies to; null: all */
	Datum claimable;	 /* int4[]: those of them whose activities the claimer may have */
	Datum unruled;		 /* int4[]: other owners whose activities the claimer may have */
} Queue;

/* All require the engine's authority. */
extern void aion_queue_read(const char *name, Datum controlled, Queue *queue);
extern int aion_queue_hold_permits(Queue *queue, int wanted);
extern int32 aion_queue_use_permit(Queue *queue);
extern bool aion_queue_has_room_for(const Queue *queue, const char *key);
extern void aion_queue_release(const char *name, int32 permit, const char *key);
extern bool aion_queue_permits_are_held(int64 run_key);
extern void aion_queue_release_all(int64 run_key);
extern TimestampTz aion_queue_next_permit(const char *name);

#endif
