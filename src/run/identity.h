/*
 * identity.h
 *		Generates the ids of workflows and runs.
 */
#ifndef AION_IDENTITY_H
#define AION_IDENTITY_H

#include "utils/uuid.h"

extern pg_uuid_t aion_identity_of_run(const char *workflow_id);
extern char *aion_identity_of_workflow(void);

#endif
