/*
 * launcher.h
 *		One process per server: keeps a scheduler running in every database with aion.
 */
#ifndef AION_LAUNCHER_H
#define AION_LAUNCHER_H

extern void aion_launcher_register(void);

#endif
