/*
 * inflight.h
 *		Which runs, or errands, were being executed when the server crashed.
 */
#ifndef AION_INFLIGHT_H
#define AION_INFLIGHT_H

#define INFLIGHT_SLOTS 64 /* runners beyond that note nothing */

typedef struct InflightRun
{
	Oid database;
	int64 run_key; /* 0: none */
} InflightRun;

extern void aion_inflight_collect(InflightRun *runs);
extern void aion_inflight_attach(int slot);
extern void aion_inflight_note(int64 run_key);

#endif
