/*
 * shmem.c
 *		The shared memory of the engine, in parts.
 *
 * There is none unless the library is among shared_preload_libraries.  Then every process attaches
 * to all parts, or inherits them.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "shared/shmem.h"

#define PARTS 8

static const SharedPart *parts[PARTS];
static int part_count = 0;
static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;

static void request_memory(void);
static void attach_memory(void);

/*
 * Adds a part, when the library is loaded.
 */
void
aion_shmem_add(const SharedPart *part)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	if (part_count == 0)
	{
		next_shmem_request = shmem_request_hook;
		shmem_request_hook = request_memory;
		next_shmem_startup = shmem_startup_hook;
		shmem_startup_hook = attach_memory;
	}
	Assert(part_count < PARTS);
	parts[part_count++] = part;
}

static void
request_memory(void)
{
	if (next_shmem_request != NULL)
		next_shmem_request();
	for (int i = 0; i < part_count; i++)
	{
		RequestAddinShmemSpace(parts[i]->size());
		if (parts[i]->lock != NULL)
			RequestNamedLWLockTranche(parts[i]->lock, 1);
	}
}

static void
attach_memory(void)
{
	if (next_shmem_startup != NULL)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < part_count; i++)
	{
		const SharedPart *part = parts[i];
		LWLock *lock = NULL;
		bool found;
		void *memory = ShmemInitStruct(part->name, part->size(), &found);

		if (!found)
			memset(memory, 0, part->size());
		if (!found && part->lock != NULL)
			lock = &GetNamedLWLockTranche(part->lock)->lock;
		part->attach(memory, !found, lock);
	}
	LWLockRelease(AddinShmemInitLock);
}
