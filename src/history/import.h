/*
 * import.h
 *		Imported histories, and the checks of what they contain.
 */
#ifndef AION_IMPORT_H
#define AION_IMPORT_H

#include "history/replay.h"

extern History *aion_history_import(const Jsonb *exported, MemoryContext parent);

#endif
