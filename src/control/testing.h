/*
 * testing.h
 *		Tests of workflows inside one transaction that is rolled back.
 */
#ifndef AION_TESTING_H
#define AION_TESTING_H

extern void aion_testing_require(const char *function);

#endif
