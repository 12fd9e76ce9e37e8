/*
 * digest.h
 *		SHA-256: for what must be equal on every machine and in every release.
 */
#ifndef AION_DIGEST_H
#define AION_DIGEST_H

#include "common/sha2.h"

#define AION_DIGEST_LENGTH PG_SHA256_DIGEST_LENGTH

extern void aion_digest(const void *data, size_t length, uint8 *result);
extern char *aion_digest_hex(const void *data, size_t length, int digits);

#endif
