/*
 * registration.h
 *		Registered activities: the owner of each, how it is executed, and whether it can be.
 */
#ifndef AION_REGISTRATION_H
#define AION_REGISTRATION_H

#include "utils/jsonb.h"

#include "code/code.h"
#include "code/handler.h"

/* The activity without a name, whose input is a statement. */
#define ACTIVITY_RUN_SQL "run_sql"

typedef enum ActivityMode
{
	MODE_INLINE,	 /* executed in a turn */
	MODE_BACKGROUND, /* executed by an executor, in its own transaction */
	MODE_EXTERNAL	 /* executed by workers */
} ActivityMode;

/* A registered name. */
typedef struct Registration
{
	char *name;
	int32 owner_key;
	ActivityMode mode;
	Jsonb *policy;
	CodeSettings settings; /* that it is executed under; the others are the session's */
	char *signature;	   /* NULL: there is no function */
	uint64 checked_epoch;  /* state of the functions that handler holds for */
	Handler *handler;	   /* NULL: there is no such function */
} Registration;

/* Why an activity cannot be executed; a registration or a grant can fix it. */
typedef struct Obstacle
{
	const char *reason;
	const char *message;
	const char *signature;
} Obstacle;

extern void aion_registration_init(void);
extern const Registration *aion_registration_find(const char *name, const Handler **handler,
												  Obstacle *obstacle);
extern char *aion_activity_name(text *argument);

#endif
