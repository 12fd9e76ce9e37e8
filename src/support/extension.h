/*
 * extension.h
 *		The extension as it is installed in this database, and the right to work on its tables.
 */
#ifndef AION_EXTENSION_H
#define AION_EXTENSION_H

typedef struct Extension
{
	Oid oid;
	Oid owner;
	Oid schema;
	uint64 generation; /* counts the extensions this backend has seen: never the same twice */
	bool is_current;   /* of the version of this library */
} Extension;

/* User and settings of a backend before it assumed the engine's authority. */
typedef struct Authority
{
	Oid userid;
	int security_context;
	int guc_level;
} Authority;

extern const Extension *aion_extension(void);
extern const Extension *aion_extension_of_any_version(void);
extern bool aion_extension_exists(void);
extern bool aion_extension_is_current(void);
extern const char *aion_extension_mismatch(void);
extern void aion_extension_forget(void);
extern void aion_extension_changed(void);

extern void aion_authority_assume(Authority *authority);
extern void aion_authority_assume_to_read(Authority *authority);
extern void aion_authority_drop(Authority *authority);

#endif
