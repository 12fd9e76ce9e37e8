/*
 * crash_point.h
 *		Named places where the tests let a process die or wait.
 *
 * They exist in a test build only.  There the setting aion.crash_point names the place, and the
 * first process that reaches it is killed as by kill -9, once: a file records that it was.  After
 * "wait at" the first process waits there until the test removes that file.
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

/*
 * All of them, and what is done by then.  Without a commit the crash takes it back.
 *
 * A turn, in its share:
 *		arrivals recorded: timers and inbox are in history; the code has not run
 *		code executed: the turn has decided; nothing of it is history
 *		child started, not recorded: the row of the child; ChildWorkflowStarted is not there
 *		turn applied: the events of its commands; no inline activity has run
 *		activity executed: its effects; no outcome is in history
 *		optimistic outcome recorded: the same, within the turn, and its outcome
 *		outcome recorded: effects and outcome; the code has not seen it
 *		parent told: the outcome is in the parent's inbox; the child is not saved
 *		continued, successor not started: the old run is closed; there is no new one
 *		continued, successor started: both; the share is not released
 *		share saved: events and row; the share is not released
 * A runner, and drive():
 *		runs claimed: rows are locked; no share has begun
 *		batch, not committed: all its shares
 *		batch, committed: the same; the runner has not looked for more
 *		errand, not committed: a tick is decided
 *		errand, committed: the same
 *		failure noted, not committed: the run is put off after a failure of the machine
 *		failure noted: the same, committed
 *		interruption noted, not committed: a process that is told to end has put its run off
 *		interruption noted: the same, committed; the process is there
 *		drive, not committed: what one step of drive() has done
 *		drive, committed: the same
 * An executor:
 *		activity claimed, not committed: the task is claimed
 *		activity claimed: the same, committed; nothing is executed
 *		short activities executed, not committed: the effects and outcomes of some activities
 *		short activities executed, committed: the same; the executor has not looked for more
 *		completion checked, not committed: a worker's effects, and the outcome in the inbox
 *		background activity confirmed: its effects; no outcome is written
 *		activity executed, not committed: effects, outcome and its arrival in the inbox
 *		activity executed, committed: the same; the executor has not looked for more
 * Any commit that makes something ready:
 *		news, not committed: the transaction is about to commit
 *		news, committed and not told: no hint is posted, no session is woken
 *		news, told: hints are posted, sessions are woken
 * A process that has found nothing more to do, and has not said so:
 *		scheduler about to rest: a hint wakes it from the next moment on
 *		runner about to rest: the same
 *		executor about to rest: the same
 * The scheduler:
 *		due timer pointed out: a hint is posted; a runner may or may not take it
 *		crash noted, not committed: the crash of a run is counted
 *		crash noted: the same, committed; the next note is not read
 *		runs blocked, not committed: runs of an owner that can have no session are blocked
 *		runs blocked: the same, committed
 *		old runs removed, not committed: what retention has purged
 *		old runs removed, committed: the same
 *		counts summed up, not committed: many rows of aion._run_count are replaced by sums
 */

#endif
