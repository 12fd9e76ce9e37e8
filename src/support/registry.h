/*
 * registry.h
 *		What a backend remembers of the tables that say which code there is.
 */
#ifndef AION_REGISTRY_H
#define AION_REGISTRY_H

#include "nodes/pg_list.h"

/* A cache of rows of one table; whoever owns it fills it below its context. */
typedef struct Registry
{
	const char *table;	   /* in schema aion */
	MemoryContext context; /* NULL while nothing is remembered */
	uint64 generation;
	Oid table_oid;
	bool stale;
	uint64 read_in; /* the transaction it may be used in, 0: any */
	List *entries;
} Registry;

extern void aion_registry_init(Registry *registry);
extern void aion_registry_refresh(Registry *registry);
extern void aion_registry_changed(Registry *registry);
extern uint64 aion_registry_function_epoch(void);

#endif
