/*
 * guard.h
 *		Which code of users is on the stack, and what it must not do there.
 */
#ifndef AION_GUARD_H
#define AION_GUARD_H

#include "nodes/nodes.h"

typedef enum UserFrame
{
	FRAME_NONE, /* a client */
	FRAME_BODY, /* workflow code */
	FRAME_ACTIVITY,
	FRAME_QUERY /* a query handler */
} UserFrame;

extern void aion_guard_init(void);

/* What there was before a frame was entered. */
typedef struct GuardState
{
	int depth;
	Oid userid;
	int security_context;
} GuardState;

extern void aion_guard_enter(UserFrame kind, void *subject, GuardState *outside);
extern void aion_guard_become(Oid role, GuardState *outside);
extern void aion_guard_begin_run(int64 run_key, GuardState *outside);
extern void aion_guard_leave(const GuardState *outside);
extern void aion_guard_keep_setting(const char *name, const char *value);
extern void aion_guard_apply_settings(void);
extern bool aion_guard_settings_changed(void);
extern bool aion_guard_relations_read(void);
extern UserFrame aion_guard_frame(void);
extern void *aion_guard_turn(void);
extern void *aion_guard_attempt(void);
extern int64 aion_guard_run(void);
extern Oid aion_guard_user(void);
extern Oid aion_guard_actor(void);
extern int aion_guard_open_queries(void);
extern bool aion_guard_session_is_of_another(void);
extern bool aion_guard_session_is_clean(void);
extern void aion_guard_session_cleaned(void);

/* Refusals, for functions that must not be called everywhere. */
extern void aion_guard_client_call(const char *function);
extern void aion_guard_waiting_call(const char *function, const char *instead);
extern const char *aion_guard_instead_of(const char *function);
extern bool aion_guard_allows_in_body(Node *statement);

#endif
