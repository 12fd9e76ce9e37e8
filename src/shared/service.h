/*
 * service.h
 *		Which databases are served: slots of the board for the launcher and the schedulers.
 */
#ifndef AION_SERVICE_H
#define AION_SERVICE_H

#include "nodes/pg_list.h"

typedef enum Offer
{
	OFFER_MADE,
	OFFER_NO_ROOM,
	OFFER_NOT_NEEDED
} Offer;

/* What the engine needs of max_worker_processes, and the databases that wait for a process. */
typedef struct WorkerNeeds
{
	int databases; /* with the extension, as far as the launcher knows */
	int processes;
	List *unserved;
	int unserved_count; /* of which the list names some */
	bool refused;		/* lately the server had no process for a runner or executor here */
} WorkerNeeds;

/* For the launcher. */
extern void aion_service_launcher_begin(void);
extern Offer aion_service_offer(Oid database);
extern void aion_service_set_unserved(List *databases);
extern bool aion_service_is_served(Oid database);
extern bool aion_service_has_room(void);
extern bool aion_service_withdraw(Oid database, bool *no_room);

/* For the scheduler of this database. */
extern bool aion_service_scheduler_begin(void);
extern void aion_service_scheduler_absent(void);

/* For monitoring; 0: there is none. */
extern int aion_service_launcher_pid(void);
extern int aion_service_scheduler_pid(void);
extern WorkerNeeds aion_service_worker_needs(void);
extern void aion_service_note_refusal(void);

#endif
