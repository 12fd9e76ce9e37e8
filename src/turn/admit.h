/*
 * admit.h
 *		Decides whether starts that workflow code asks for are possible.
 */
#ifndef AION_ADMIT_H
#define AION_ADMIT_H

#include "run/start.h"
#include "turn/turn.h"

/* A start that code asks for. */
typedef struct WantedStart
{
	StartRequest request;
	const char *run_as; /* NULL: the owner of the run */
	const Jsonb *input; /* completed once it is admitted */
	bool is_resolved;	/* the code was found already */
} WantedStart;

/* Without authority; false if the start is not possible yet. */
extern bool aion_admit(WantedStart *wanted, Hindrance *hindrance);

#endif
