/*
 * errors.h
 *		The SQLSTATEs of aion: three classes, as the documentation lists them.
 *
 * WA is the outcome of an activity, WC the outcome of another workflow, WF the rest.  plpgsql
 * catches a class by WHEN SQLSTATE 'WA000'.
 */
#ifndef AION_ERRORS_H
#define AION_ERRORS_H

#include "utils/elog.h"

#define ERRCODE_ACTIVITY_FAILED MAKE_SQLSTATE('W', 'A', '0', '0', '1')
#define ERRCODE_ACTIVITY_TIMED_OUT MAKE_SQLSTATE('W', 'A', '0', '0', '2')
#define ERRCODE_ACTIVITY_CANCELLED MAKE_SQLSTATE('W', 'A', '0', '0', '3')

#define ERRCODE_WORKFLOW_FAILED MAKE_SQLSTATE('W', 'C', '0', '0', '1')
#define ERRCODE_WORKFLOW_CANCELLED MAKE_SQLSTATE('W', 'C', '0', '0', '2')
#define ERRCODE_WORKFLOW_TERMINATED MAKE_SQLSTATE('W', 'C', '0', '0', '3')
#define ERRCODE_WORKFLOW_TIMED_OUT MAKE_SQLSTATE('W', 'C', '0', '0', '4')

#define ERRCODE_WORKFLOW_NOT_FOUND MAKE_SQLSTATE('W', 'F', '0', '0', '1')
#define ERRCODE_WORKFLOW_RUNNING MAKE_SQLSTATE('W', 'F', '0', '0', '2')
#define ERRCODE_WORKFLOW_CLOSED MAKE_SQLSTATE('W', 'F', '0', '0', '3')
#define ERRCODE_UNKNOWN_WORKFLOW_TYPE MAKE_SQLSTATE('W', 'F', '0', '0', '4')
#define ERRCODE_UNKNOWN_ACTIVITY MAKE_SQLSTATE('W', 'F', '0', '0', '5')
#define ERRCODE_UNKNOWN_QUERY MAKE_SQLSTATE('W', 'F', '0', '0', '6')
#define ERRCODE_QUERY_FAILED MAKE_SQLSTATE('W', 'F', '0', '0', '7')
#define ERRCODE_INVALID_WORKFLOW_STATE MAKE_SQLSTATE('W', 'F', '0', '0', '8')
#define ERRCODE_NAME_IN_USE MAKE_SQLSTATE('W', 'F', '0', '0', '9')
#define ERRCODE_NOT_IN_WORKFLOW MAKE_SQLSTATE('W', 'F', '0', '1', '0')
#define ERRCODE_NOT_ALLOWED_HERE MAKE_SQLSTATE('W', 'F', '0', '1', '1')
#define ERRCODE_HISTORY_MISMATCH MAKE_SQLSTATE('W', 'F', '0', '1', '2')
#define ERRCODE_AWAIT_TIMED_OUT MAKE_SQLSTATE('W', 'F', '0', '1', '3')
#define ERRCODE_INVALID_INPUT MAKE_SQLSTATE('W', 'F', '0', '1', '4')
#define ERRCODE_PAYLOAD_TOO_LARGE MAKE_SQLSTATE('W', 'F', '0', '1', '5')
#define ERRCODE_ENGINE_NOT_RUNNING MAKE_SQLSTATE('W', 'F', '0', '1', '6')
#define ERRCODE_NOT_ADOPTED MAKE_SQLSTATE('W', 'F', '0', '1', '7')
#define ERRCODE_TASK_CLOSED MAKE_SQLSTATE('W', 'F', '0', '1', '8')
#define ERRCODE_NONDETERMINISTIC MAKE_SQLSTATE('W', 'F', '0', '2', '0')
#define ERRCODE_DEADLINE_EXPIRED MAKE_SQLSTATE('W', 'F', '0', '2', '6')
#define ERRCODE_TIMER_CANCELLED MAKE_SQLSTATE('W', 'F', '0', '2', '7')
#define ERRCODE_CANCEL_REQUESTED MAKE_SQLSTATE('W', 'F', '0', '2', '8')

#endif
