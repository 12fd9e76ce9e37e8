/*
 * duration.c
 *		Intervals of users: which are allowed, and where they end.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "support/duration.h"
#include "support/errors.h"
#include "support/pg_compat.h"

/*
 * Refuses an interval that is null, negative or infinite, or zero where that makes no sense.
 */
void
aion_duration_check(const Interval *duration, bool zero_allowed, const char *what)
{
	Interval zero = {0};
	int sign;

	if (duration == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must not be null", what)));
	if (!aion_compat_interval_is_finite(duration))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must be finite", what)));
	sign = DatumGetInt32(
		DirectFunctionCall2(interval_cmp, IntervalPGetDatum(duration), IntervalPGetDatum(&zero)));
	if (sign < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must not be negative", what)));
	if (sign == 0 && !zero_allowed)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must not be zero", what)));
}

/*
 * Returns the moment a duration after another one.  Days and months are counted in the session's
 * time zone.
 */
TimestampTz
aion_duration_after(TimestampTz start, const Interval *duration, const char *what)
{
	TimestampTz end;

	/* A longer interval is a mistake; the limit also keeps the sum in range. */
	if (duration->month > 12 * 10000 || duration->day > 366 * 10000 ||
		duration->time > INT64CONST(366) * 10000 * USECS_PER_DAY)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s is too long", what)));
	end = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_pl_interval, TimestampTzGetDatum(start), IntervalPGetDatum(duration)));
	return Max(end, start);
}

/*
 * Reads an interval; the error for other text names what the interval is for.
 */
Interval *
aion_duration_parse(const char *text, const char *what)
{
	MemoryContext caller = CurrentMemoryContext;
	Interval *volatile interval = NULL;

	PG_TRY();
	{
		interval = DatumGetIntervalP(DirectFunctionCall3(
			interval_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState(); /* reading text takes no resources */
	}
	PG_END_TRY();
	if (interval == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must be an interval", what),
						errdetail("The value is \"%s\".", pnstrdup(text, strnlen(text, 100)))));
	return interval;
}

/*
 * Prints an interval the same way under every setting.
 */
char *
aion_duration_text(const Interval *duration)
{
	int style = IntervalStyle;
	char *text;

	IntervalStyle = INTSTYLE_POSTGRES;
	text = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(duration)));
	IntervalStyle = style;
	return text;
}
