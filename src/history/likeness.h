/*
 * likeness.h
 *		What values look like that differ from one execution to the next.
 */
#ifndef AION_LIKENESS_H
#define AION_LIKENESS_H

#include "utils/jsonb.h"

extern const char *aion_likeness_hint(const Jsonb *recorded, const Jsonb *issued);

#endif
