/*
 * primitives.h
 *		The primitives: each in the file of its name, schedules in tick.c.
 */
#ifndef AION_PRIMITIVES_H
#define AION_PRIMITIVES_H

#include "run/primitive.h"

extern const Primitive aion_activity_primitive;
extern const Primitive aion_background_primitive;
extern const Primitive aion_cancel_primitive;
extern const Primitive aion_child_primitive;
extern const Primitive aion_deadline_primitive;
extern const Primitive aion_parent_primitive;
extern const Primitive aion_query_primitive;
extern const Primitive aion_schedule_primitive;
extern const Primitive aion_search_primitive;
extern const Primitive aion_signal_primitive;
extern const Primitive aion_timer_primitive;

#endif
