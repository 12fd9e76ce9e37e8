/*
 * board.h
 *		Hints of what there is to do: posted after a commit, taken by the engine's processes.
 */
#ifndef AION_BOARD_H
#define AION_BOARD_H

#include "nodes/pg_list.h"

#include "shared/hint.h"

extern void aion_board_init(void);
extern bool aion_board_exists(void);

/* For all backends, after a commit. */
extern void aion_board_post_run(int32 owner_key, int64 run_key);
extern void aion_board_post_timer(const BoardTimer *timer);
extern void aion_board_post_look(TimestampTz moment);
extern void aion_board_post_task(int32 owner_key);
extern void aion_board_post_room(void);
extern void aion_board_post_stop(int64 run_key, int32 ordinal);
extern void aion_board_post_scan(Oid database);
extern void aion_board_post_scan_everywhere(void);
extern void aion_board_post_extension(Oid database);
extern void aion_board_post_databases(void);

/* For the launcher. */
extern List *aion_board_take_databases(bool *all);

/* For the scheduler of this database. */
extern int64 aion_board_take_casualty(void);
extern bool aion_board_take_scan(void);
extern int aion_board_take_owners(BoardOwner *owners, int most);
extern TimestampTz aion_board_take_look(void);
extern int aion_board_take_timers(BoardTimer *timers, int most);
extern void aion_board_set_horizon(TimestampTz horizon);
extern bool aion_board_begin_rest(TimestampTz until, bool serves_owners);
extern void aion_board_end_rest(void);
extern void aion_board_scan_owner(BoardOwner owner);

#endif
