/*
 * count.h
 *		How many runs there are of each owner, version and status.
 */
#ifndef AION_COUNT_H
#define AION_COUNT_H

extern void aion_count_init(void);
extern void aion_count_note(int32 owner_key, int32 version_key, const char *status, int runs);
extern void aion_count_sum_up(void);
extern void aion_count_again(void);

#endif
