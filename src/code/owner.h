/*
 * owner.h
 *		Roles as the engine knows them: keys of owners, and what a role may see and do.
 */
#ifndef AION_OWNER_H
#define AION_OWNER_H

typedef enum AccessLevel
{
	ACCESS_OWN,		/* what belongs to roles that the role is a member of */
	ACCESS_MONITOR, /* sees everything but payloads */
	ACCESS_ADMIN	/* sees and controls everything */
} AccessLevel;

extern void aion_owner_init(void);

/* These need the engine's authority; role is the one that the question is about. */
extern int32 aion_owner_key(Oid role);
extern int32 aion_owner_known_key(Oid role);
extern int32 aion_owner_key_of_other(Oid role, Oid user);
extern Oid aion_owner_role(int32 owner_key);
extern const char *aion_owner_name(int32 owner_key);
extern AccessLevel aion_owner_access(Oid role);
extern bool aion_owner_controls(Oid role, int32 owner_key);
extern Datum aion_owner_controlled(Oid role);
extern Datum aion_owner_subjects(Oid role);
extern Datum aion_owner_affected(Oid role);
extern Datum aion_owner_visible(Oid role, bool payloads);
extern int32 aion_owner_of_name(Oid role, int32 owner_key, const char *kind, const char *name);
extern void aion_owner_readopt(bool same_server);
extern bool aion_owner_refresh_names(void);

/* These do not. */
extern bool aion_owner_has_role(Oid role, Oid of);
extern bool aion_owner_trusts(Oid owner, Oid role);
extern void aion_owner_check_eligible(Oid role);
extern const char *aion_owner_ineligible(Oid role);

#endif
