/*
 * serving.h
 *		Starts runners and executors for the owners of a database that want one.
 */
#ifndef AION_SERVING_H
#define AION_SERVING_H

#include "datatype/timestamp.h"

extern void aion_serving_begin(void);
extern void aion_serving_serve(void);
extern void aion_serving_check(bool executing);
extern void aion_serving_forget(void);
extern TimestampTz aion_serving_next(void);

#endif
