/*
 * grant.h
 *		Starting workflows of other roles.
 */
#ifndef AION_GRANT_H
#define AION_GRANT_H

extern Oid aion_grant_owner(const char *workflow_type, Oid grantee);
extern bool aion_grant_is_user(Oid role);
extern void aion_grant_require_user(Oid role);

#endif
