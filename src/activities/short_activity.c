/*
 * short_activity.c
 *		Which activities in the background end within a few milliseconds.
 *
 * A process remembers which ones did when it executed them last.  It does not guess: one that it
 * does not know may take hours, or call another system, and is never begun in order to find out.
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "activities/registration.h"
#include "activities/short_activity.h"
#include "guc.h"

#define REMEMBERED 64	   /* activities, in a circle */
#define SHARE 4			   /* an activity is short if it takes 1 / SHARE of a batch's time */
#define LONG_MS 600 * 1000 /* for which one that had to be interrupted counts as long */

typedef struct Remembered
{
	uint64 name; /* hashed; 0: none */
	bool is_short;
	TimestampTz until; /* it is long, however short it was since; 0: not */
} Remembered;

static Remembered remembered[REMEMBERED];
static int next_place = 0;
static int short_count = 0;

static uint64 hash(const char *name);
static Remembered *find(const char *name);
static void set_short(Remembered *entry, bool is_short);

bool
aion_short_activity_exists(void)
{
	return short_count > 0;
}

bool
aion_short_activity_is(const char *name)
{
	const Remembered *entry = find(name);

	return entry != NULL && entry->is_short;
}

/*
 * Notes that an activity has ended.  Statements of run_sql() have one name and nothing else in
 * common.
 */
void
aion_short_activity_note(const char *name, TimestampTz began)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_short = (now - began) * SHARE <= aion_batch_time * INT64CONST(1000);
	Remembered *entry = find(name);

	if (strcmp(name, ACTIVITY_RUN_SQL) == 0)
		return;
	if (entry == NULL && is_short)
	{
		entry = &remembered[next_place++ % REMEMBERED];
		set_short(entry, false);
		*entry = (Remembered){.name = hash(name)};
	}
	if (entry != NULL)
		set_short(entry, is_short && entry->until <= now);
}

/*
 * Notes that a short activity had to be interrupted.
 */
void
aion_short_activity_note_long(const char *name)
{
	Remembered *entry = find(name);

	if (entry == NULL)
		return;
	set_short(entry, false);
	entry->until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LONG_MS);
}

static uint64
hash(const char *name)
{
	return hash_bytes_extended((const unsigned char *) name, strlen(name), 0) | 1;
}

static Remembered *
find(const char *name)
{
	uint64 sought = hash(name);

	for (int i = 0; i < REMEMBERED; i++)
	{
		if (remembered[i].name == sought)
			return &remembered[i];
	}
	return NULL;
}

static void
set_short(Remembered *entry, bool is_short)
{
	short_count += (int) is_short - (int) entry->is_short;
	entry->is_short = is_short;
}
