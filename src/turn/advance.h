/*
 * advance.h
 *		Executing the turns that a run is ready for.
 */
#ifndef AION_ADVANCE_H
#define AION_ADVANCE_H

#include "run/run.h"

/* How far a run may be advanced, and how far it came. */
typedef struct Budget
{
	int64 turns;		  /* left to execute */
	TimestampTz until;	  /* by the machine's clock; DT_NOEND: no limit */
	bool sharing;		  /* the transaction holds the work of other runs */
	bool gave_up_waiting; /* given up because of other sessions or runs; nothing of it has happened
						   */
	bool was_slow;		  /* because it took too long for the work that waits behind it */
	bool interrupted;	  /* a session waits for the end of the transaction */
	TimestampTz began;	  /* the share that is being executed */
	int64 spent;		  /* with activities between two turns of it, us */
	bool out_of_time;	  /* its code was left because the time was up */
} Budget;

extern void aion_advance_watch_exit(void);
extern void aion_run_advance(Run *run, Budget *budget);
extern void aion_run_take_arrivals(Run *run);
extern void aion_run_note_failure(int64 run_key, const ErrorData *error);

#endif
