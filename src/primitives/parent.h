/*
 * parent.h
 *		Being a child: what a run and the parents that wait for its end send each other.
 */
#ifndef AION_PARENT_H
#define AION_PARENT_H

#include "run/inbox.h"

/* Sent to a parent: how a child ended. */
#define ARRIVAL_OUTCOME "child"

/* All require the engine's authority. */
extern bool aion_parent_controls(int32 parent_owner, int32 child_owner);
extern void aion_parent_send_end(const FoundRun *to, const char *reason);
extern void aion_parent_send_watch(const FoundRun *to, const Jsonb *link);
extern void aion_parent_send_purged(const FoundRun *to, const char *key, const char *workflow_id);
extern void aion_parent_send_denied(const FoundRun *to, const char *key, const char *workflow_id);

/* Returns the SQLSTATE under which the end of a child is raised. */
extern int aion_parent_errcode(const char *status);

#endif
