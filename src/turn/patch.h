/*
 * patch.h
 *		Lets the code of runs in flight ask which of its changes apply.
 */
#ifndef AION_PATCH_H
#define AION_PATCH_H

#include "turn/turn.h"

extern void aion_patches_record(Turn *turn, int position);

#endif
