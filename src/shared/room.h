/*
 * room.h
 *		Which owner gets a process when there are not enough slots for all.
 */
#ifndef AION_ROOM_H
#define AION_ROOM_H

#include "shared/board_memory.h"

/* For the scheduler of this database. */
extern int aion_room_count(BoardOwner owner);
extern int aion_room_reserve(BoardOwner owner, Oid role, uint32 *generation);
extern bool aion_room_make(BoardOwner owner);
extern bool aion_room_is_there(BoardOwner owner);
extern TimestampTz aion_room_rank(BoardOwner owner);

/* For holders of the lock. */
extern bool aion_room_is_stuck(const RunnerSlot *runner);

#endif
