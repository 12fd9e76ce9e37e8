/*
 * launcher.h
 *		One process per server: sees to it that every database with aion has a scheduler.
 */
#ifndef AION_LAUNCHER_H
#define AION_LAUNCHER_H

extern void aion_launcher_register(void);

#endif
