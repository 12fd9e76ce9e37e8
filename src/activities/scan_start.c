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

#define FRONTS 16		   /* queues that a backend remembers */
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

static ScanStart fronts[FRONTS];

/* The queues of an owner that have tasks in the background, as far as remembered. */
static ScanStart names; /* its levels are not used */
static List *name_list = NIL;

static ScanStart *scan_start_find(const char *queue, int32 background_of);
static void scan_start_begin(ScanStart *front);
static bool is_dear(ScanStart *front, uint64 found);
static void set_while(ScanStart *front);
static void learn(ScanStart *front);
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
	ScanStart *front = scan_start_find(queue, background_of);

	scan_start_begin(front);
	return front;
}

/*
 * Returns the next range to read, that of the highest priority first; false: there are no more.
 */
bool
aion_scan_start_next(ScanStart *front, PriorityRange *range)
{
	int count = front->is_short ? front->level_count : 0;

	while (front->position <= 2 * count)
	{
		int i = front->position / 2;
		bool is_level = front->position++ % 2 == 1;
		int64 first = i < count ? (int64) front->levels[i].priority + 1 : PG_INT32_MIN;
		int64 last = i > 0 ? (int64) front->levels[i - 1].priority - 1 : PG_INT32_MAX;

		if (is_level)
			*range = (PriorityRange){true, aion_arg_int32(front->levels[i].priority),
									 aion_arg(TimestampTzGetDatum(front->levels[i].oldest))};
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
aion_scan_start_end(ScanStart *front, uint64 found)
{
	if (!front->is_short && is_dear(front, found))
		learn(front);
}

/*
 * Notes that a queue has tasks of a priority.
 */
void
aion_scan_start_met(ScanStart *front, int32 priority)
{
	for (int i = 0; i < front->met_count; i++)
		if (front->met[i] == priority)
			return;
	if (front->met_count == LEVELS)
		memmove(front->met, front->met + 1, --front->met_count * sizeof(int32));
	front->met[front->met_count++] = priority;
}

/*
 * Returns when a queue should be looked at again because the last look may have missed a task;
 * DT_NOEND: it has not.
 */
TimestampTz
aion_scan_start_again(const char *queue, int32 background_of)
{
	ScanStart *front = scan_start_find(queue, background_of);

	return front->is_short ? front->until : DT_NOEND;
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
		if (is_dear(&names, 0))
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
	ScanStart *front;
	char *copy;

	for (int i = 0; i < FRONTS; i++)
		if (fronts[i].queue != NULL && fronts[i].background_of == background_of &&
			strcmp(fronts[i].queue, queue) == 0)
			return &fronts[i];
	copy = MemoryContextStrdup(TopMemoryContext, queue);
	last = (last + 1) % FRONTS;
	front = &fronts[last];
	if (front->queue != NULL)
		pfree(front->queue);
	*front = (ScanStart){.queue = copy, .background_of = background_of, .met_count = 1};
	return front;
}

/*
 * Begins a look.  It can be learned from if it sees only what has committed, and the latest state
 * of it.
 */
static void
scan_start_begin(ScanStart *front)
{
	TimestampTz now = GetCurrentTimestamp();
	bool is_real = !aion_clock_is_virtual();

	front->is_short = is_real && now >= front->learned && now < front->until;
	front->may_learn = is_real && !IsolationUsesXactSnapshot() &&
					   !TransactionIdIsValid(GetTopTransactionIdIfAny());
	front->position = 0;
	front->began = now;
	front->pages = pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read;
}

/*
 * Tells whether looks have become expensive, and this one can be learned from.  A single look may
 * be expensive because its statement was planned.
 */
static bool
is_dear(ScanStart *front, uint64 found)
{
	int64 pages = pgBufferUsage.shared_blks_hit + pgBufferUsage.shared_blks_read - front->pages;

	if (pages <= EXPENSIVE_PAGES + DEAR_PER_TASK * (int64) found)
		front->dear_looks = 0;
	else if (front->dear_looks < DEAR_LOOKS)
		front->dear_looks++;
	return front->dear_looks == DEAR_LOOKS && front->may_learn;
}

static void
set_while(ScanStart *front)
{
	TimestampTz now = GetCurrentTimestamp();

	front->learned = front->began;
	front->until = now + Min((now - front->began) * SHARE, MAX_WHILE);
}

/*
 * Finds out when the oldest tasks are due, whether or not they may be claimed.
 */
static void
learn(ScanStart *front)
{
	for (int i = 0; i < front->met_count; i++)
	{
		NullableDatum args[] = {aion_arg_text(front->queue), aion_arg_int32(front->met[i]),
								aion_arg_int32(front->background_of)};
		Rows rows = aion_statement_execute(
			front->background_of > 0 ? &oldest_in_background : &oldest_for_workers, args);
		TimestampTz oldest = rows.count > 0 ? aion_row_timestamp(rows, 0, 1) : DT_NOEND;

		front->levels[i] = (Level){front->met[i], Min(oldest, front->began - LATE)};
	}
	front->level_count = front->met_count;
	qsort(front->levels, front->level_count, sizeof(Level), by_priority);
	set_while(front);
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
