/*
 * pure.h
 *		What can be evaluated without calling code of users.
 */
#ifndef AION_PURE_H
#define AION_PURE_H

#include "nodes/nodes.h"

extern bool aion_pure_type(Oid type);
extern bool aion_pure_expression(Node *expression);

#endif
