/*
 * shmem.h
 *		The shared memory of the engine, in parts.
 */
#ifndef AION_SHMEM_H
#define AION_SHMEM_H

#include "storage/lwlock.h"

/* What a file keeps in shared memory. */
typedef struct SharedPart
{
	const char *name;
	const char *lock;	/* name of the tranche of its lock; NULL: it has none */
	Size (*size)(void); /* asked when the settings of the server are known */

	/* Takes the memory in this process.  New memory is zeroed; the lock is NULL if it is not new.
	 */
	void (*attach)(void *memory, bool is_new, LWLock *lock);
} SharedPart;

extern void aion_shmem_add(const SharedPart *part);

#endif
