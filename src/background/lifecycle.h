/*
 * lifecycle.h
 *		Hooks for commands that concern databases, extensions and names of roles.
 */
#ifndef AION_LIFECYCLE_H
#define AION_LIFECYCLE_H

extern void aion_lifecycle_init(void);

#endif
