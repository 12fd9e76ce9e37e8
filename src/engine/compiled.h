/*
 * compiled.h
 *		What PL/pgSQL keeps in a session of the functions that were called in it.
 */
#ifndef AION_COMPILED_H
#define AION_COMPILED_H

extern void aion_compiled_init(void);
extern void aion_compiled_forget(void);

#endif
