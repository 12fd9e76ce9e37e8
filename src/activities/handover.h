/*
 * handover.h
 *		Activities that a run has handed over to workers or executors, as the run sees them.
 */
#ifndef AION_HANDOVER_H
#define AION_HANDOVER_H

#include "run/inbox.h"

/* The slot of a run for what is known of them. */
extern int aion_handover_slot;

/* Called without the engine's authority. */
extern bool aion_handover_is_made(Run *run, const RecordedCommand *command);

/* For the run; these require its lock and the engine's authority. */
extern void aion_handover_make(Run *run, const RecordedCommand *command, const Jsonb *policy,
							   bool background, const Jsonb *error);
extern void aion_handover_arrive(Run *run);
extern void aion_handover_due(Run *run, const char *timer);
extern void aion_handover_receive(Run *run, const Arrival *arrival);
extern bool aion_handover_cancel(Run *run, int32 ordinal);
extern bool aion_handover_waits(Run *run, int32 ordinal);
extern void aion_handover_cancel_all(Run *run);
extern void aion_handover_offer(Run *run);
extern void aion_handover_reopen(Run *run);
extern bool aion_handover_is_held(int64 run_key);
extern void aion_handover_purge(int64 run_key);

#endif
