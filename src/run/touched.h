/*
 * touched.h
 *		Which runs the current transaction has started or changed.
 */
#ifndef AION_TOUCHED_H
#define AION_TOUCHED_H

extern void aion_touched_init(void);
extern void aion_touched_note_started(int64 run_key);
extern void aion_touched_note(int64 run_key);
extern void aion_touched_note_locked(int64 run_key);
extern bool aion_touched_was_locked(int64 run_key);
extern const int64 *aion_touched_started(int *count);
extern bool aion_touched_includes(int64 run_key);

#endif
