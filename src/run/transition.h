/*
 * transition.h
 *		The transitions between the states of a run, and what each implies.
 */
#ifndef AION_TRANSITION_H
#define AION_TRANSITION_H

#include "run/run.h"

/* All require the engine's authority and the run's lock. */
extern void aion_run_begin(Run *run);
extern void aion_run_block(Run *run, const char *reason, const Jsonb *detail);
extern bool aion_run_is_blocked_so(const Run *run, const char *reason, const Jsonb *detail);
extern bool aion_run_note_crash(int64 run_key);
extern void aion_run_unblock(Run *run);
extern void aion_run_pause(Run *run, const Jsonb *attributes);
extern void aion_run_resume(Run *run, const Jsonb *attributes);
extern void aion_run_reopen(Run *run, const Jsonb *attributes);
extern void aion_run_close(Run *run, EventType terminal, const Jsonb *attributes);
extern void aion_run_postpone(Run *run);
extern void aion_run_forget_failures(Run *run);
extern void aion_run_forget_retry(Run *run);

#endif
