/*
 * attributes.h
 *		What a run can be searched by: an object, whose members its code can change.
 */
#ifndef AION_ATTRIBUTES_H
#define AION_ATTRIBUTES_H

#include "history/replay.h"

extern void aion_search_attributes_check(const Jsonb *attributes);
extern Jsonb *aion_history_search_attributes(const History *history);

#endif
