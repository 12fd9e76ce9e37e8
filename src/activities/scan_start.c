/*
 * scan_start.c
 *		Where the waiting tasks of a queue begin.
 *
 * A task that was claimed leaves a dead entry in the index that claims read from its beginning.
 * While any session holds an older snapshot the entry cannot be removed, so every claim would step
 * over all entries made since then.  A backend that notices this remembers, for each priority it
 * has met, when the oldest waiting task is due, and for a limited time reads the index only from
 * there.
 *
 * No task is missed that had committed when the backend looked, or that commits within a second of
 * being due.  Tasks that commit later than that, and older tasks that are put back, are found when
 * the limited time is over: it is a small multiple of the time that a full look takes.  Tasks of a
 * priority that the backend has not met are always read in full.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/instrument.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "activities/scan_start.h"
#include "support/clock.h"

#define STARTS 16		   /* queues that a backend remembers */
#define LEVELS 4		   /* priorities of each */
#define EXPENSIVE_PAGES 64 /* pages that a look reads where there are no dead entries */
#define DEAR_PER_TASK 32   /* and for each task it finds */
#define DEAR_LOOKS 3
#define LATE USECS_PER_SEC /* between being due and being committed */
#define SHARE 20		   /* 1 / SHARE of the time goes into full looks */
#define MAX_WHILE (5 * USECS_PER_SEC)

typedef struct Level
{
	int32 priority;
	TimestampTz oldest;
} Level;

struct ScanStart
{
	char *queue; /* NULL: nothing is known */
	int32 background_of;
	int met_count;
	int32 met[LEVELS]; /* priorities */
	int level_count;
	Level levels[LEVELS]; /* the highest priority first */
	TimestampTz learned;
	TimestampTz until; /* the levels are valid */

	/* Of the current look, or the last one. */
	bool is_short; /* by the levels */
	bool may_learn;
	int dear_looks; /* in succession */
	int position;
	int64 pages;
	TimestampTz began;
};

static Statement oldest_for_workers =
	STATEMENT(SELECT,
			  "SELECT next_attempt_at FROM aion._task WHERE task_queue = $1 AND priority = $2"
			  " AND state = 'waiting' AND NOT background AND $3 = 0 ORDER BY next_attempt_at"
			  " LIMIT 1",
			  TEXTOID, INT4OID, INT4OID);
static Statement oldest_in_background =
	STATEMENT(SELECT,
			  "SELECT next_attempt_at FROM aion._task WHERE task_queue = $1 AND priority = $2"
			  " AND state = 'waiting' AND background AND owner_key = $3 ORDER BY next_attempt_at"
			  " LIMIT 1",
			  TEXTOID, INT4OID, INT4OID);
static Statement next_queue =
	STATEMENT(SELECT,
			  "SELECT min(task_queue) FROM aion._task WHERE owner_key = $1 AND background"
			  " AND state = 'waiting' AND task_queue > $2",
			  INT4OID, TEXTOID);

static ScanStart starts[STARTS];

/* The queues of an owner that have tasks in the background, as far as remembered. */
static ScanStart names; /* its levels are not used */
static List *name_list = NIL;

static ScanStart *scan_start_find(const char *queue, int32 background_of);
static void scan_start_begin(ScanStart *start);
static bool is_expensive(ScanStart *start, uint64 found);
static void set_while(ScanStart *start);
static void learn(ScanStart *start);
static int by_priority(const void *a, const void *b);
static void learn_names(int32 owner_key);
static char *read_next_queue(int32 owner_key, const char *queue);

/*
 * Begins a look at a queue: aion_scan_start_next() returns what to read, and aion_scan_start_end()
 * is called with the number of tasks found, before any of them is changed.
 */
ScanStart *
aion_scan_start_begin(const char *queue, int32 background_of)
{
	ScanStart *start = scan_start_find(queue, background_of);

	scan_start_begin(start);
	return start;
}

/*
 * Returns the next range to read, that of the highest priority first; false: there are no more.
 */
bool
aion_scan_start_next(ScanStart *start, PriorityRange *range)
{
	int count = start->is_short ? start->level_count : 0;

	while (start->position <= 2 * count)
	{
		int i = start->position / 2;
		bool is_level = start->position++ % 2 == 1;
		int64 first = i < count ? (int64) start->levels[i].priority + 1 : PG_INT32_MIN;
		int64 last = i > 0 ? (int64) start->levels[i - 1].priority - 1 : PG_INT32_MAX;

		if (is_level)
			*range = (PriorityRange){true, aion_arg_int32(start->levels[i].priority),
									 aion_arg(TimestampTzGetDatum(start->levels[i].oldest))};
		else if (first <= last)
			*range =
				(PriorityRange){false, aion_arg_int32((int32) first), aion_arg_int32((int32) last)};
		else
			continue;
		return true;
	}
	return false;
}

/*
 * Notes how many tasks a look has found.
 */
void
aion_scan_start_end(ScanStart *start, uint64 found)
{
	if (!start->is_short && is_expensive(start, found))
		learn(start);
}

/*
 * Notes that a queue has tasks of a priority.
 */
void
aion_scan_start_met(ScanStart *start, int32 priority)
{
	for (int i = 0; i < start->met_count; i++)
		if (start->met[i] == priority)
			return;
	if (start->met_count == LEVELS)
		memmove(start->met, start->met + 1, --start->met_count * sizeof(int32));
	start->met[start->met_count++] = priority;
}

/*
 * Returns when a queue should be looked at again because the last look may have missed a task;
 * DT_NOEND: it has not.
 */
TimestampTz
aion_scan_start_again(const char *queue, int32 background_of)
{
	ScanStart *start = scan_start_find(queue, background_of);

	return start->is_short ? start->until : DT_NOEND;
}

/*
 * The same for the queues of an owner.
 */
TimestampTz
aion_scan_start_queues_again(int32 owner_key)
{
	return names.background_of == owner_key && names.is_short ? names.until : DT_NOEND;
}

/*
 * Returns the queue that follows another one by name and has tasks of an owner in the background;
 * NULL: none.
 */
char *
aion_scan_start_queue_after(int32 owner_key, const char *queue)
{
	char *next;
	ListCell *cell;

	if (names.background_of != owner_key)
		names = (ScanStart){.background_of = owner_key};
	scan_start_begin(&names);
	if (!names.is_short)
	{
		next = read_next_queue(owner_key, queue);
		if (is_expensive(&names, 0))
			learn_names(owner_key);
		return next;
	}
	foreach (cell, name_list)
		if (strcmp(lfirst(cell), queue) > 0)
			return pstrdup(lfirst(cell));
	return NULL;
}

/*
 * Returns what is remembered of a queue; a new queue replaces another one.
 */
static ScanStart *
scan_start_find(const char *queue, int32 background_of)
{
	static int last = 0;
	ScanStart *start;
	char *copy;

	for (int i = 0; i < STARTS; i++)
		if (starts[i].queue != NULL && starts[i].background_of == background_of &&
			strcmp(starts[i].queue, queue) == 0)
			return &starts[i];
	copy = MemoryContextStrdup(TopMemoryContext, queue);
	last = (last + 1) % STARTS;
	start = &starts[last];
	if (start->queue != NULL)
		pfree(start->queue);
	*start = (ScanStart){.queue = copy, .background_of = background_of, .met_count = 1};
	return start;
}

/*
 * Begins a look.  It can be learned from if it sees only what has committed, and the latest state
 * of it.
 */
static void
scan_start_begin(ScanStart *start)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_real = !aion_clock_is_virtual();

	start->is_short = is_real && now >= start->learned && now < start->until;
	start->may_learn = is_real && !IsolationUsesXactSnapshot() &&
					   !TransactionIdIsValid(GetTopTransactionIdIfAny());
	start->position = 0;
	start->began = now;
	start->pages = pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/*
 * Tells whether looks have become expensive, and this one can be learned from.  A single look may
 * be expensive because its statement was planned.
 */
static bool
is_expensive(ScanStart *start, uint64 found)
{
	int64 pages = pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read - start->pages;

	if (pages <= EXPENSIVE_PAGES + DEAR_PER_TASK * (int64) found)
		start->dear_looks = 0;
	else if (start->dear_looks < DEAR_LOOKS)
		start->dear_looks++;
	return start->dear_looks == DEAR_LOOKS && start->may_learn;
}

static void
set_while(ScanStart *start)
{
	TimestampTz now = GetCurrentTimestamp();

	start->learned = start->began;
	start->until = now + Min((now - start->began) * SHARE, MAX_WHILE);
}

/*
 * Finds out when the oldest tasks are due, whether or not they may be claimed.
 */
static void
learn(ScanStart *start)
{
	for (int i = 0; i < start->met_count; i++)
	{
		NullableDatum args[] = {aion_arg_text(start->queue), aion_arg_int32(start->met[i]),
								aion_arg_int32(start->background_of)};
		Rows rows = aion_statement_execute(
			start->background_of > 0 ? &oldest_in_background : &oldest_for_workers, args);
		TimestampTz oldest = rows.count > 0 ? aion_row_timestamp(rows, 0, 1) : DT_NOEND;

		start->levels[i] = (Level){start->met[i], Min(oldest, start->began - LATE)};
	}
	start->level_count = start->met_count;
	qsort(start->levels, start->level_count, sizeof(Level), by_priority);
	set_while(start);
}

static int
by_priority(const void *a, const void *b)
{
	int32 first = ((const Level *) a)->priority;
	int32 second = ((const Level *) b)->priority;

	return first < second ? 1 : first > second ? -1 : 0;
}

static void
learn_names(int32 owner_key)
{
	MemoryContext caller;
	List *found = NIL;

	for (char *name = ""; (name = read_next_queue(owner_key, name)) != NULL;)
		found = lappend(found, name);
	list_free_deep(name_list);
	name_list = NIL;
	caller = MemoryContextSwitchTo(TopMemoryContext);
	for (int i = 0; i < list_length(found); i++)
		name_list = lappend(name_list, pstrdup(list_nth(found, i)));
	MemoryContextSwitchTo(caller);
	set_while(&names);
}

static char *
read_next_queue(int32 owner_key, const char *queue)
{
	NullableDatum args[] = {aion_arg_int32(owner_key), aion_arg_text(queue)};

	return aion_row_text(aion_statement_execute(&next_queue, args), 0, 1);
}
