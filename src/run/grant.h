/*
 * grant.h
 *		Starting workflows of other roles.
 */
#ifndef AION_GRANT_H
#define AION_GRANT_H

#include "run/start.h"

extern Oid aion_grant_owner(const char *workflow_type, Oid grantee);
extern void aion_grant_require_user(Oid role);
extern bool aion_grant_apply(StartRequest *request, Oid owner);

#endif
