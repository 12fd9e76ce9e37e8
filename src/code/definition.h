/*
 * definition.h
 *		Registered workflows and their versions.
 */
#ifndef AION_DEFINITION_H
#define AION_DEFINITION_H

#include "datatype/timestamp.h"

#include "code/code.h"
#include "code/handler.h"

/* A name, and what new starts of it use. */
typedef struct Workflow
{
	char *name;
	int32 owner_key;   /* of the role that has registered it */
	char *handler;	   /* signature of the function that is deployed from */
	char *digest;	   /* of that function when it was deployed last */
	int32 version_key; /* the version new starts use */
	Interval *timeout; /* NULL: none */
	char *task_queue;
	Handler *seen; /* the handler when it was last found to have that digest */
} Workflow;

/* Code that does not change. */
typedef struct Version
{
	int32 version_key;
	char *workflow_type;
	char *version;
	int32 owner_key; /* of the role that has registered it */
	char *handler;	 /* signature of the function it was made from */
	char *code;		 /* signature of the function to execute */
	bool copied;
	char *digest;
	CodeSettings settings;
	bool registered;		/* else no run may begin with it, or be moved to it */
	uint64 checked_epoch;	/* state of the functions that the rest holds for */
	Handler *callable;		/* NULL: gone or changed */
	int optimistic_wait;	/* turns to execute step by step before the next optimistic one */
	int optimistic_backoff; /* doubt after the last optimistic one; 0 if that went through */
} Version;

extern void aion_definition_init(void);

/* All need the engine's authority. */
extern Workflow *aion_workflow_find(const char *name);
extern Version *aion_version_get(int32 version_key);
extern Version *aion_version_find(const char *workflow_type, const char *version);
extern Version *aion_version_recall(const char *workflow_type, const char *version);
extern bool aion_version_pin(int32 version_key);
extern bool aion_version_claim(int32 version_key);
extern const Handler *aion_version_callable(Version *version);
extern bool aion_version_may_execute(const Version *version, Oid role);
extern bool aion_registered_for(int32 registered_by, Oid role);
extern void aion_definition_changed(void);
extern void aion_workflow_remember(Workflow *workflow, Oid function);

#endif
