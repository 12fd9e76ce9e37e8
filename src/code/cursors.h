/*
 * cursors.h
 *		The cursors of a session, while code of users is executed in it.
 */
#ifndef AION_CURSORS_H
#define AION_CURSORS_H

#include "nodes/pg_list.h"

extern List *aion_cursors_hide(void); /* to be passed to aion_cursors_show() */
extern void aion_cursors_show(List *hidden);
extern void aion_cursors_close(void);
extern bool aion_cursors_are_read(void);

#endif
