/*
 * timetable.c
 *		When a schedule ticks.
 *
 * Everything is computed from the definition and a moment, so it is the same in every session and
 * at any time: the n-th tick of an interval is its anchor and n intervals, of which months and days
 * are those of the schedule's time zone (so the 31st does not move to the 28th), and the jitter of
 * a tick is a hash.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "schedules/timetable.h"
#include "support/digest.h"
#include "support/duration.h"
#include "support/errors.h"

#define EPOCH_SECONDS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)
#define LATEST_SECOND (END_TIMESTAMP / USECS_PER_SEC - SECS_PER_DAY)
#define EARLIEST_YEAR 4750		/* BC */
#define AVERAGE_MONTH 30.436875 /* days */

static TimestampTz next(const Timetable *table, TimestampTz after);
static TimestampTz next_interval(const Timetable *table, TimestampTz after);
static TimestampTz nth(const Timetable *table, int64 n);
static int64 add_months(int64 local, int64 months);

/*
 * Refuses an interval that a schedule cannot tick at.
 */
void
aion_timetable_check_every(const Interval *every)
{
	aion_duration_check(every, false, "every");
	(void) aion_duration_after(0, every, "every");
	if (every->month < 0 || every->day < 0 || every->time < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("every must not have parts of different signs")));
	if (every->month == 0 && every->day == 0 && every->time < USECS_PER_SEC)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("every is too short"),
						errhint("The shortest interval of a schedule is a second.")));
}

/*
 * Returns the first tick after a moment; DT_NOEND if there is none.
 */
TimestampTz
aion_timetable_next(const Timetable *table, TimestampTz after)
{
	TimestampTz tick;

	if (table->start_at != DT_NOBEGIN && after < table->start_at)
		after = table->start_at - 1; /* it may tick at that moment itself */
	tick = next(table, after);
	return tick <= table->end_at ? tick : DT_NOEND;
}

/*
 * Returns the latest tick up to a moment; first is the earliest one that counts.
 */
TimestampTz
aion_timetable_latest(const Timetable *table, TimestampTz first, TimestampTz until)
{
	static const int64 windows[] = {SECS_PER_MINUTE, SECS_PER_HOUR, SECS_PER_DAY, 32 * SECS_PER_DAY,
									750 * SECS_PER_DAY};
	TimestampTz latest = first;

	for (size_t i = 0; i <= lengthof(windows); i++)
	{
		TimestampTz from = first;
		TimestampTz tick;

		if (i < lengthof(windows) && until - first > windows[i] * USECS_PER_SEC)
			from = until - windows[i] * USECS_PER_SEC;
		while ((tick = aion_timetable_next(table, from)) <= until)
		{
			CHECK_FOR_INTERRUPTS();
			latest = from = tick;
		}
		if (latest != first || from == first)
			break;
	}
	return latest;
}

/*
 * Returns when a tick is due: at its time, or later by a jitter that is the same each time, but
 * before the next tick.
 */
TimestampTz
aion_timetable_due(const Timetable *table, TimestampTz tick)
{
	char *text;
	uint8 digest[AION_DIGEST_LENGTH];
	uint64 bits = 0;
	TimestampTz following;
	int64 room = table->jitter;

	if (room == 0 || tick == DT_NOEND)
		return tick;
	following = next(table, tick);
	if (following != DT_NOEND)
		room = Min(room, following - tick);
	text = psprintf("aion jitter " INT64_FORMAT " %s", tick, table->name);
	aion_digest(text, strlen(text), digest);
	for (int i = 0; i < 8; i++)
		bits = bits << 8 | digest[i];
	return tick + (int64) (bits % (uint64) room);
}

/*
 * Returns the timetable without its beginning and its end.
 */
Timetable
aion_timetable_unlimited(const Timetable *table)
{
	Timetable unlimited = *table;

	unlimited.start_at = DT_NOBEGIN;
	unlimited.end_at = DT_NOEND;
	return unlimited;
}

static TimestampTz
next(const Timetable *table, TimestampTz after)
{
	if (table->expression != NULL)
		return aion_cron_next(&table->cron, table->zone, after);
	return next_interval(table, after);
}

/*
 * Guesses the number of the tick by the average length of the interval, and corrects the guess.
 */
static TimestampTz
next_interval(const Timetable *table, TimestampTz after)
{
	const Interval *every = &table->every;
	double length =
		(every->month * AVERAGE_MONTH + every->day) * (double) USECS_PER_DAY + (double) every->time;
	int64 n = (int64) (((double) after - (double) table->anchor) / length);

	while (nth(table, n) > after)
	{
		CHECK_FOR_INTERRUPTS();
		n--;
	}
	while (nth(table, n) <= after)
	{
		CHECK_FOR_INTERRUPTS();
		n++;
	}
	return nth(table, n);
}

/*
 * Returns the n-th tick, counted from the anchor in both directions.
 */
static TimestampTz
nth(const Timetable *table, int64 n)
{
	const Interval *every = &table->every;
	TimestampTz fraction = table->anchor % USECS_PER_SEC;
	pg_time_t seconds;

	if (fraction < 0)
		fraction += USECS_PER_SEC;
	seconds = (table->anchor - fraction) / USECS_PER_SEC + EPOCH_SECONDS;
	if (every->month != 0 || every->day != 0)
	{
		int64 local = aion_zone_local(seconds, table->zone);

		local = add_months(local, n * every->month) + n * every->day * SECS_PER_DAY;
		seconds = n == 0 ? seconds : aion_zone_moment(local, table->zone);
	}
	seconds -= EPOCH_SECONDS;
	if (seconds + (double) n * (double) every->time / USECS_PER_SEC >= (double) LATEST_SECOND)
		return DT_NOEND;
	return seconds * USECS_PER_SEC + fraction + n * every->time;
}

/*
 * Adds months to a local time; where a month has not enough days, it is its last one.
 */
static int64
add_months(int64 local, int64 months)
{
	int64 day = local / SECS_PER_DAY - (local % SECS_PER_DAY < 0 ? 1 : 0);
	int year;
	int month;
	int date;
	int64 count;

	if (months == 0)
		return local;
	j2date((int) day + UNIX_EPOCH_JDATE, &year, &month, &date);
	count = year * INT64CONST(12) + month - 1 + months;
	if (count >= INT64CONST(12) * 290000)
		return LATEST_SECOND + EPOCH_SECONDS + SECS_PER_DAY;
	/* Earlier than any timestamp, or there would be no tick before some. */
	count = Max(count, -INT64CONST(12) * EARLIEST_YEAR);
	year = (int) (count / 12 - (count % 12 < 0 ? 1 : 0));
	month = (int) (count - year * INT64CONST(12)) + 1;
	date = Min(date, day_tab[isleap(year)][month - 1]);
	return local + ((int64) date2j(year, month, date) - UNIX_EPOCH_JDATE - day) * SECS_PER_DAY;
}
