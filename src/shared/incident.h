/*
 * incident.h
 *		Telling operators what went wrong: a line of the server's log, and a notification.
 */
#ifndef AION_INCIDENT_H
#define AION_INCIDENT_H

extern void aion_incident_init(void);

/* Takes effect when the transaction commits. */
extern void aion_incident_note(int32 owner_key, int64 run_key, const char *status,
							   const char *line);
extern void aion_incident_warn(int32 owner_key, int32 version_key, const char *divergence,
							   const char *line);

extern char *aion_incident_quote(const char *name);
extern void aion_incident_counts(uint64 *left_out, uint64 *divergences);

#endif
