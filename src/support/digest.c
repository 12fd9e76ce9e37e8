/*
 * digest.c
 *		SHA-256: for what must be equal on every machine and in every release.
 */
#include "postgres.h"

#include "common/cryptohash.h"

#include "support/digest.h"

/*
 * Computes the digest, AION_DIGEST_LENGTH bytes.
 */
void
aion_digest(const void *data, size_t length, uint8 *result)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(PG_SHA256);

	if (pg_cryptohash_init(context) < 0 || pg_cryptohash_update(context, data, length) < 0 ||
		pg_cryptohash_final(context, result, AION_DIGEST_LENGTH) < 0)
		elog(ERROR, "could not compute a digest: %s", pg_cryptohash_error(context));
	pg_cryptohash_free(context);
}

/*
 * Returns the first digits of the digest in hexadecimal.
 */
char *
aion_digest_hex(const void *data, size_t length, int digits)
{
	uint8 digest[AION_DIGEST_LENGTH];
	char *hex = palloc(digits + 1);

	Assert(digits <= 2 * AION_DIGEST_LENGTH);
	aion_digest(data, length, digest);
	for (int i = 0; i < digits; i++)
		hex[i] = "0123456789abcdef"[i % 2 == 0 ? digest[i / 2] >> 4 : digest[i / 2] & 15];
	hex[digits] = '\0';
	return hex;
}
