/*
 * retention.h
 *		Removing runs that closed longer ago than aion.retention; the scheduler does it.
 */
#ifndef AION_RETENTION_H
#define AION_RETENTION_H

extern void aion_retention_reset(void);
extern void aion_retention_serve(void);
extern TimestampTz aion_retention_next(void);

#endif
