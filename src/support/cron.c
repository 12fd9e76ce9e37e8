/*
 * cron.c
 *		Cron expressions: what they say, and when they tick in a time zone.
 *
 * Five fields as Vixie's cron reads them: lists, ranges, steps, names, 7 for Sunday.  If both
 * day fields are restricted, either may match; a field that begins with an asterisk is no
 * restriction in this sense.
 *
 * Clocks are put forward and back.  An expression that allows every hour follows real time: it
 * ticks in every minute whose local time matches, in both of two hours of the same name.  Any
 * other means moments of the day: each ticks once, when the local clock first shows it or what
 * comes after it.  So one in the hour that is left out ticks at the first moment after the gap
 * (several as one), and one in the hour that is repeated ticks the first time.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "support/cron.h"
#include "support/errors.h"
#include "support/pg_compat.h"

#define MINUTES_PER_DAY (24 * 60)
#define CYCLE_DAYS 146097 /* of the calendar: 400 years, and a whole number of weeks */
#define EXPRESSION_MAX 1000
#define EPOCH_SECONDS ((int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)

typedef struct Field
{
	const char *what;
	int low;
	int high;
	const char *const *names; /* of low and those that follow; NULL: none */
} Field;

/* Where a message says what is wrong. */
typedef struct Source
{
	const char *expression;
	const Field *field;
} Source;

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
										  "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

static const Field fields[] = {{"minute", 0, 59, NULL},
							   {"hour", 0, 23, NULL},
							   {"day of the month", 1, 31, NULL},
							   {"month", 1, 12, month_names},
							   {"day of the week", 0, 7, day_names}};

static const struct
{
	const char *name;
	const char *expression;
} nicknames[] = {{"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
				 {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},	   {"@midnight", "0 0 * * *"},
				 {"@hourly", "0 * * * *"}};

#define SPACES " \t"

static const char *expand(const char *expression);
static uint64 parse_field(Source source, const char *text);
static uint64 parse_item(Source source, char *item);
static int parse_value(Source source, const char *text);
static int parse_number(const char *text);
pg_noreturn static void cron_refuse(Source source, const char *detail, const char *hint);
static bool day_matches(const Cron *cron, int64 day);
static int64 next_local(const Cron *cron, int64 after);
static pg_time_t next_real(const Cron *cron, pg_tz *zone, pg_time_t after);
static TimestampTz to_timestamp(pg_time_t moment);

/*
 * Reads an expression, and refuses what is none and what never matches.
 */
void
aion_cron_parse(const char *expression, Cron *cron)
{
	Source source = {expression, NULL};
	char *state;
	uint64 sets[lengthof(fields)];
	bool any[lengthof(fields)];
	size_t count = 0;

	if (strlen(expression) > EXPRESSION_MAX)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("cron expression is too long")));
	for (char *field = strtok_r(pstrdup(expand(expression)), SPACES, &state); field != NULL;
		 field = strtok_r(NULL, SPACES, &state))
	{
		if (count < lengthof(fields))
		{
			source.field = &fields[count];
			any[count] = field[0] == '*';
			sets[count] = parse_field(source, field);
		}
		count++;
	}
	source.field = NULL;
	if (count != lengthof(fields))
		cron_refuse(source, psprintf("It has %zu fields.", count),
					"There must be five: minute, hour, day of the month, month, day of the week.");
	cron->minutes = sets[0];
	cron->hours = (uint32) sets[1];
	cron->days = (uint32) sets[2];
	cron->months = (uint16) sets[3];
	cron->weekdays = (uint8) ((sets[4] | sets[4] >> 7) & 0x7f); /* 7 is Sunday, too */
	cron->any_day = any[2];
	cron->any_weekday = any[4];
	if (next_local(cron, 0) == PG_INT64_MAX)
		cron_refuse(source, "There is no day that it matches.",
					"Look at the day of the month and the month.");
}

/*
 * Returns the first tick after a moment; DT_NOEND if time ends before.
 */
TimestampTz
aion_cron_next(const Cron *cron, pg_tz *zone, TimestampTz after)
{
	pg_time_t from = after / USECS_PER_SEC - (after % USECS_PER_SEC < 0 ? 1 : 0) + EPOCH_SECONDS;
	pg_time_t moment;
	int64 local;

	if (cron->hours == CRON_HOURS)
		return to_timestamp(next_real(cron, zone, from));

	/* Whatever the local clock has shown by now has been reached. */
	local = aion_zone_local(from, zone);
	do
	{
		CHECK_FOR_INTERRUPTS();
		local = next_local(cron, local);
		moment = aion_zone_moment(local, zone);
	} while (moment <= from);
	return to_timestamp(moment);
}

/*
 * Finds a time zone by its name.
 */
pg_tz *
aion_zone_find(const char *name)
{
	pg_tz *zone = name != NULL && strlen(name) <= TZ_STRLEN_MAX ? pg_tzset(name) : NULL;

	if (zone == NULL || !pg_tz_acceptable(zone))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("time zone \"%s\" does not exist", name != NULL ? name : "NULL"),
						errhint("See pg_timezone_names.")));
	return zone;
}

/*
 * Returns the first moment at which the clock of a zone shows a local time, or a later one because
 * it is put forward over it.
 */
pg_time_t
aion_zone_moment(int64 local, pg_tz *zone)
{
	pg_time_t segment = PG_INT64_MIN; /* where the offset begins to hold */
	pg_time_t from = local - 2 * SECS_PER_DAY;

	for (;;)
	{
		pg_time_t boundary = PG_INT64_MAX;
		long before = 0;
		long offset_after;
		int dst_before;
		int dst_after;
		int found = pg_next_dst_boundary(&from, &before, &dst_before, &boundary, &offset_after,
										 &dst_after, zone);

		CHECK_FOR_INTERRUPTS();
		if (found <= 0 || local - before < boundary)
			return Max(local - before, segment);
		segment = from = boundary;
	}
}

/*
 * Returns the local time of a zone at a moment.
 */
int64
aion_zone_local(pg_time_t moment, pg_tz *zone)
{
	struct pg_tm *tm = pg_localtime(&moment, zone);

	return tm != NULL ? moment + tm->tm_gmtoff : moment;
}

static const char *
expand(const char *expression)
{
	const char *begin = expression + strspn(expression, SPACES);
	size_t length = strcspn(begin, SPACES);

	if (begin[0] != '@')
		return expression;
	for (size_t i = 0; i < lengthof(nicknames); i++)
	{
		if (strlen(nicknames[i].name) == length &&
			pg_strncasecmp(begin, nicknames[i].name, length) == 0 &&
			begin[length + strspn(begin + length, SPACES)] == '\0')
			return nicknames[i].expression;
	}
	cron_refuse((Source){expression, NULL}, "This nickname is not known.",
				"There are @yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly.");
}

/*
 * Reads a list.
 */
static uint64
parse_field(Source source, const char *text)
{
	char *rest = pstrdup(text);
	uint64 set = 0;
	bool last;

	do
	{
		char *item = rest;
		char *comma = strchr(rest, ',');

		last = comma == NULL;
		if (!last)
		{
			*comma = '\0';
			rest = comma + 1;
		}
		set |= parse_item(source, item);
	} while (!last);
	return set;
}

/*
 * Reads a value, a range or all, the latter two perhaps with a step.
 */
static uint64
parse_item(Source source, char *item)
{
	const Field *field = source.field;
	char *slash = strchr(item, '/');
	char *dash;
	int low = field->low;
	int high = field->high;
	int step = 1;
	uint64 set = 0;

	if (slash != NULL)
	{
		*slash = '\0';
		step = parse_number(slash + 1);
		if (step < 1)
			cron_refuse(source, psprintf("The step \"%s\" is not a number from 1.", slash + 1),
						NULL);
	}
	dash = strchr(item, '-');
	if (strcmp(item, "*") == 0)
		; /* all of them */
	else if (dash != NULL)
	{
		*dash = '\0';
		low = parse_value(source, item);
		high = parse_value(source, dash + 1);
		if (high == 0 && field->names == day_names && low > 0)
			high = 7; /* mon-sun */
		if (low > high)
			cron_refuse(source, psprintf("The range \"%s-%s\" runs backwards.", item, dash + 1),
						"Write it as two ranges with a comma.");
	}
	else
	{
		low = high = parse_value(source, item);
		if (slash != NULL)
			cron_refuse(source,
						psprintf("A step needs a range, and \"%s\" is a single value.", item),
						psprintf("Write %s-%d/%d.", item, field->high, step));
	}
	for (int i = low; i <= high; i += Min(step, 100))
		set |= UINT64CONST(1) << i;
	return set;
}

static int
parse_value(Source source, const char *text)
{
	const Field *field = source.field;
	int value = parse_number(text);

	for (int i = 0; field->names != NULL && field->names[i] != NULL; i++)
	{
		if (pg_strcasecmp(text, field->names[i]) == 0)
			return field->low + i;
	}
	if (value < 0)
		cron_refuse(source,
					text[0] == '\0' ? "A value is missing."
									: psprintf("\"%s\" is not a value of this field.", text),
					field->names != NULL ? "Use numbers, or names of three letters."
										 : "Use numbers.");
	if (value < field->low || value > field->high)
		cron_refuse(source, psprintf("%d is out of range.", value),
					psprintf("Possible values are %d to %d.", field->low, field->high));
	return value;
}

/*
 * Reads a number of at most four digits; -1 if it is none.
 */
static int
parse_number(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 4 || text[digits] != '\0')
		return -1;
	return atoi(text);
}

static void
cron_refuse(Source source, const char *detail, const char *hint)
{
	ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
					errmsg("invalid cron expression: \"%s\"", source.expression),
					source.field != NULL ? errdetail("Field \"%s\": %s", source.field->what, detail)
										 : errdetail("%s", detail),
					hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Tells whether an expression matches a day, counted since 1970.
 */
static bool
day_matches(const Cron *cron, int64 day)
{
	int64 within = (day % CYCLE_DAYS + CYCLE_DAYS) % CYCLE_DAYS;  /* the calendar repeats itself */
	bool weekday = (cron->weekdays >> (within + 4) % 7 & 1) != 0; /* 1970 began on a Thursday */
	bool month_day;
	int year;
	int month;
	int date;

	j2date((int) within + UNIX_EPOCH_JDATE, &year, &month, &date);
	if ((cron->months >> month & 1) == 0)
		return false;
	month_day = (cron->days >> date & 1) != 0;
	if (cron->any_day || cron->any_weekday)
		return weekday && month_day;
	return weekday || month_day;
}

/*
 * Returns the first local time that matches after another one; PG_INT64_MAX if there is none.
 */
static int64
next_local(const Cron *cron, int64 after)
{
	int64 minutes = after / SECS_PER_MINUTE - (after % SECS_PER_MINUTE < 0 ? 1 : 0) + 1;
	int64 first = minutes / MINUTES_PER_DAY - (minutes % MINUTES_PER_DAY < 0 ? 1 : 0);

	for (int64 day = first; day <= first + CYCLE_DAYS; day++)
	{
		int minute = day == first ? (int) (minutes - first * MINUTES_PER_DAY) : 0;

		if (!day_matches(cron, day))
			continue;
		for (; minute < MINUTES_PER_DAY; minute++)
		{
			if ((cron->hours >> minute / 60 & 1) == 0)
				minute += 59 - minute % 60; /* not in this hour */
			else if ((cron->minutes >> minute % 60 & 1) != 0)
				return (day * MINUTES_PER_DAY + minute) * SECS_PER_MINUTE;
		}
	}
	return PG_INT64_MAX;
}

/*
 * Returns the first moment after another one at which the local time matches.
 */
static pg_time_t
next_real(const Cron *cron, pg_tz *zone, pg_time_t after)
{
	for (;;)
	{
		pg_time_t boundary = PG_INT64_MAX;
		long before = 0;
		long offset_after;
		int dst_before;
		int dst_after;
		pg_time_t moment;
		int found = pg_next_dst_boundary(&after, &before, &dst_before, &boundary, &offset_after,
										 &dst_after, zone);

		CHECK_FOR_INTERRUPTS();
		moment = next_local(cron, after + before) - before;
		if (found <= 0 || moment < boundary)
			return moment;
		/* What is shown at the boundary itself belongs to the new offset. */
		moment = next_local(cron, boundary + offset_after - 1) - offset_after;
		if (moment == boundary)
			return moment;
		after = boundary;
	}
}

static TimestampTz
to_timestamp(pg_time_t moment)
{
	int64 seconds = moment - EPOCH_SECONDS;

	if (seconds >= END_TIMESTAMP / USECS_PER_SEC)
		return DT_NOEND;
	return seconds * USECS_PER_SEC;
}
