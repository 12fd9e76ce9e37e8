/*
 * cancel.h
 *		Cancel requests: sending them to runs, and recording them.
 */
#ifndef AION_CANCEL_H
#define AION_CANCEL_H

#include "run/run.h"

extern void aion_cancel_send(const FoundRun *to, const char *reason);

#endif
