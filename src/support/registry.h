/*
 * registry.h
 *		A backend's cache of the tables that say which code there is.
 */
#ifndef AION_REGISTRY_H
#define AION_REGISTRY_H

#include "nodes/pg_list.h"

/* A cache of rows of one table; the file that defines it allocates them below its context. */
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
