/*
 * likeness.h
 *		Guesses why inputs differ from one execution to the next: a clock, chance, new identifiers.
 */
#ifndef AION_LIKENESS_H
#define AION_LIKENESS_H

#include "utils/jsonb.h"

extern const char *aion_likeness_hint(const Jsonb *recorded, const Jsonb *issued);

#endif
