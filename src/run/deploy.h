/*
 * deploy.h
 *		Registering workflows and deploying new versions of their code.
 */
#ifndef AION_DEPLOY_H
#define AION_DEPLOY_H

#include "code/definition.h"

/* Both require the engine's authority. */
extern void aion_workflow_deploy_if_changed(Workflow *workflow, bool patient);
extern void aion_deploy_wake_blocked(Oid role, bool wait);

#endif
