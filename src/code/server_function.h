/*
 * server_function.h
 *		Functions of the server that code must not call everywhere.
 */
#ifndef AION_SERVER_FUNCTION_H
#define AION_SERVER_FUNCTION_H

/* What is known of a function of the server. */
#define FUNCTION_KNOWN 1
#define FUNCTION_FORBIDDEN 2	   /* in code that must leave nothing */
#define FUNCTION_UNTRANSACTIONAL 4 /* what it does is no part of the transaction */
#define FUNCTION_LOCKS 8		   /* the session keeps locks */
#define FUNCTION_USES_SESSION 16   /* reaches what the session has opened */
#define FUNCTION_LISTS_PREPARED 32 /* or prepared */

extern uint8 aion_server_function_flags(Oid function, bool only_reads, bool foreign);

#endif
