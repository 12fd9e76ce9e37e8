/*
 * incident.c
 *		Telling operators what went wrong: a line of the server's log, and a notification.
 *
 * An incident is noted where it happens and reported when its transaction commits; rolling back a
 * subtransaction removes its incidents.  A line names things and reasons, never payloads.  How many
 * lines there are per second is limited for each owner, so that runs of one do not hide those of
 * another; what is left out is counted in shared memory.  Owners are put into buckets, and those
 * that share a bucket share a limit.  Every role can LISTEN, so a notification has only a number
 * that means nothing to roles that may not see the row.  Where listeners are slow there is none,
 * because a full queue of notifications would fail the commit.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/async.h"
#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "shared/incident.h"
#include "shared/shmem.h"
#include "support/extension.h"

#define BUCKETS 64
#define WARNED 256 /* how many versions that were warned of are remembered */
#define NAME_LENGTH 200
#define CHANNEL "aion_incident"
#define QUEUE_USAGE_MAX 0.5

typedef struct Bucket
{
	pg_time_t second;
	int lines;		 /* written in that second */
	uint64 left_out; /* since the last line that was written */
} Bucket;

typedef struct Incidents
{
	LWLock *lock;
	/* Since the server began. */
	uint64 left_out;
	uint64 divergences;
	Bucket buckets[BUCKETS];
	uint64 warned[WARNED]; /* versions; 0: free */
	int warned_next;
} Incidents;

/* One of this transaction. */
typedef struct Incident
{
	int level; /* of nested transactions, in which it was noted */
	int32 owner_key;
	int64 run_key;		/* of the run or schedule; 0: not told to listeners */
	const char *status; /* what has become of it */
	uint64 version;		/* only the first one of a version is a line; 0: each is */
	bool diverged;		/* code has read what differs */
	const char *line;
} Incident;

static Incidents local = {0}; /* of this process, if the library was not preloaded */
static Incidents *incidents = &local;
static List *pending = NIL;

static Size incident_memory_size(void);
static void incident_attach(void *memory, bool is_new, LWLock *lock);
static void add(const Incident *incident);
static void incident_transaction_ended(XactEvent event, void *argument);
static void incident_subtransaction_ended(SubXactEvent event, SubTransactionId id,
										  SubTransactionId parent, void *argument);
static void notify(const Incident *incident);
static void count_divergence(const Incident *incident);
static void write_line(const Incident *incident);
static bool may_write(const Incident *incident, uint64 *left_out);
static bool is_warned(uint64 version);

static const SharedPart part = {"aion incidents", "aion_incidents", incident_memory_size,
								incident_attach};

void
aion_incident_init(void)
{
	RegisterXactCallback(incident_transaction_ended, NULL);
	RegisterSubXactCallback(incident_subtransaction_ended, NULL);
	aion_shmem_add(&part);
}

/*
 * Notes what has become of a run or a schedule.
 */
void
aion_incident_note(int32 owner_key, int64 run_key, const char *status, const char *line)
{
	Incident incident = {
		.owner_key = owner_key, .run_key = run_key, .status = status, .line = line};

	add(&incident);
}

/*
 * Notes what a version of a workflow does wrong, which is a line only once: that it reads something
 * that differs from one execution to the next, or, if that is NULL, something else.
 */
void
aion_incident_warn(int32 owner_key, int32 version_key, const char *divergence, const char *line)
{
	const char *place = divergence != NULL ? divergence : "";
	Incident incident = {.owner_key = owner_key, .line = line, .diverged = divergence != NULL};

	/* As it is installed here: after another CREATE EXTENSION the same number is another one. */
	incident.version = hash_combine64((uint64) MyDatabaseId << 32 | aion_extension()->oid,
									  murmurhash32(version_key) ^
										  hash_bytes((const unsigned char *) place, strlen(place)));

	add(&incident);
}

/*
 * Returns a name as it is written in a line: quoted, without line breaks, and not too long.
 */
char *
aion_incident_quote(const char *name)
{
	int length = strlen(name);
	int kept = pg_mbcliplen(name, length, NAME_LENGTH);
	StringInfoData quoted;

	initStringInfo(&quoted);
	escape_json(&quoted, pnstrdup(name, kept));
	if (kept < length)
		appendStringInfoString(&quoted, "...");
	return quoted.data;
}

/*
 * Returns how many lines were left out, and how often code has read what differs, since the server
 * began.
 */
void
aion_incident_counts(uint64 *left_out, uint64 *divergences)
{
	if (incidents->lock != NULL)
		LWLockAcquire(incidents->lock, LW_SHARED);
	*left_out = incidents->left_out;
	*divergences = incidents->divergences;
	if (incidents->lock != NULL)
		LWLockRelease(incidents->lock);
}

static Size
incident_memory_size(void)
{
	return sizeof(Incidents);
}

static void
incident_attach(void *memory, bool is_new, LWLock *lock)
{
	incidents = memory;
	if (is_new)
		incidents->lock = lock;
}

static void
add(const Incident *incident)
{
	MemoryContext caller;
	Incident *added;

	if (aion_log_incidents == 0 && !aion_notify_incidents)
		return;
	caller = MemoryContextSwitchTo(TopTransactionContext);
	added = palloc(sizeof(Incident));
	*added = *incident;
	added->level = GetCurrentTransactionNestLevel();
	added->line = pstrdup(incident->line);
	pending = lappend(pending, added);
	MemoryContextSwitchTo(caller);
}

static void
incident_transaction_ended(XactEvent event, void *argument)
{
	ListCell *cell;

	foreach (cell, pending)
	{
		if (event == XACT_EVENT_PRE_COMMIT)
			notify(lfirst(cell));
		else if (event == XACT_EVENT_COMMIT)
		{
			count_divergence(lfirst(cell));
			write_line(lfirst(cell));
		}
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		pending = NIL; /* it was in the transaction's memory */
}

/*
 * The incidents of a subtransaction are the last ones in the list.
 */
static void
incident_subtransaction_ended(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
							  void *argument)
{
	int level;

	if (pending == NIL || (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB))
		return;
	level = GetCurrentTransactionNestLevel();
	if (event == SUBXACT_EVENT_ABORT_SUB)
	{
		while (pending != NIL && ((Incident *) llast(pending))->level >= level)
			pending = list_delete_last(pending);
		return;
	}
	for (int i = list_length(pending) - 1; i >= 0; i--)
	{
		Incident *incident = list_nth(pending, i);

		if (incident->level < level)
			break;
		incident->level = level - 1;
	}
}

static void
notify(const Incident *incident)
{
	if (!aion_notify_incidents || incident->run_key == 0 ||
		DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)) > QUEUE_USAGE_MAX)
		return;
	Async_Notify(CHANNEL, psprintf("{\"run_key\": " INT64_FORMAT ", \"status\": \"%s\"}",
								   incident->run_key, incident->status));
}

static void
count_divergence(const Incident *incident)
{
	if (!incident->diverged)
		return;
	if (incidents->lock != NULL)
		LWLockAcquire(incidents->lock, LW_EXCLUSIVE);
	incidents->divergences++;
	if (incidents->lock != NULL)
		LWLockRelease(incidents->lock);
}

static void
write_line(const Incident *incident)
{
	uint64 left_out = 0;

	if (aion_log_incidents == 0 || !may_write(incident, &left_out))
		return;
	if (left_out > 0)
		ereport(aion_log_incidents,
				(errmsg("aion did not log " UINT64_FORMAT " incidents before this one", left_out),
				 errhidestmt(true), errhidecontext(true)));
	ereport(incident->version != 0 ? WARNING : aion_log_incidents,
			(errmsg("%s", incident->line), errhidestmt(true), errhidecontext(true)));
}

/*
 * Counts a line of an owner, and tells whether it is to be written, and how many before it were
 * not.
 */
static bool
may_write(const Incident *incident, uint64 *left_out)
{
	uint32 hash = hash_combine(MyDatabaseId, (uint32) incident->owner_key);
	Bucket *bucket = &incidents->buckets[murmurhash32(hash) % BUCKETS];
	pg_time_t second = timestamptz_to_time_t(GetCurrentTimestamp());
	bool may = false;

	if (incidents->lock != NULL)
		LWLockAcquire(incidents->lock, LW_EXCLUSIVE);
	if (incident->version == 0 || !is_warned(incident->version))
	{
		if (bucket->second != second)
		{
			bucket->second = second;
			bucket->lines = 0;
		}
		may = bucket->lines < aion_log_incidents_per_second;
		if (may)
		{
			bucket->lines++;
			*left_out = bucket->left_out;
			bucket->left_out = 0;
		}
		else
		{
			bucket->left_out++;
			incidents->left_out++;
		}
	}
	if (incidents->lock != NULL)
		LWLockRelease(incidents->lock);
	return may;
}

/*
 * Tells whether a version is among those that were warned of last, and remembers it.
 */
static bool
is_warned(uint64 version)
{
	for (int i = 0; i < WARNED; i++)
	{
		if (incidents->warned[i] == version)
			return true;
	}
	incidents->warned[incidents->warned_next] = version;
	incidents->warned_next = (incidents->warned_next + 1) % WARNED;
	return false;
}
