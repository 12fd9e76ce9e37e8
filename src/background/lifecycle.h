/*
 * lifecycle.h
 *		What happens to databases and extensions, noticed where it happens.
 */
#ifndef AION_LIFECYCLE_H
#define AION_LIFECYCLE_H

extern void aion_lifecycle_init(void);

#endif
