/*
 * service.h
 *		Which databases are served: slots of the board for the launcher and the schedulers.
 */
#ifndef AION_SERVICE_H
#define AION_SERVICE_H

/* For the launcher. */
extern void aion_service_launcher_begin(void);
extern bool aion_service_offer(Oid database);
extern bool aion_service_is_served(Oid database);
extern bool aion_service_withdraw(Oid database);

/* For the scheduler of this database. */
extern bool aion_service_scheduler_begin(void);
extern void aion_service_scheduler_absent(void);

/* For who wants to know; 0: there is none. */
extern int aion_service_launcher_pid(void);
extern int aion_service_scheduler_pid(void);

#endif
