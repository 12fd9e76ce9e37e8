/*
 * cancel.h
 *		Asking workflows to cancel.
 */
#ifndef AION_CANCEL_H
#define AION_CANCEL_H

extern void aion_cancel_ask(int64 run_key, int32 owner_key, const char *reason);

#endif
