/*
 * patch.h
 *		Changes of code that runs in flight can tell.
 */
#ifndef AION_PATCH_H
#define AION_PATCH_H

#include "turn/turn.h"

extern void aion_patches_record(Turn *turn, int position);

#endif
