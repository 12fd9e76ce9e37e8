/*
 * aion.h
 *		Words that every layer shares: limits and reserved names.
 */
#ifndef AION_H
#define AION_H

/* Names of workflows, activities and timers, in bytes. */
#define AION_NAME_MAX 255

/* Workflow ids, in bytes: they must fit an index entry with room to spare. */
#define AION_WORKFLOW_ID_MAX 1024

#endif
