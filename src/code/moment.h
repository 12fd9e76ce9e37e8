/*
 * moment.h
 *		Words for dates and times that mean another moment each time they are read.
 */
#ifndef AION_MOMENT_H
#define AION_MOMENT_H

#include "code/handler.h"

extern bool aion_moment_is_moving(const char *text);
extern Jsonb *aion_moment_fix(const Handler *handler, Jsonb *input);

#endif
