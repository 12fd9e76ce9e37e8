/*
 * crash_point.h
 *		Named places where the tests let a process die.
 *
 * They exist in a test build only.  There the setting aion.crash_point names the place, and the
 * first process that reaches it is killed as by kill -9, once: a file records that it was.
 */
#ifndef AION_CRASH_POINT_H
#define AION_CRASH_POINT_H

#ifdef AION_CRASH_POINTS
extern char *aion_crash_at;
extern void aion_crash_point(const char *name);
#define CRASH_POINT(name) aion_crash_point(name)
#else
#define CRASH_POINT(name) ((void) 0)
#endif

#endif
