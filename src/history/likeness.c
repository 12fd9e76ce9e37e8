/*
 * likeness.c
 *		Guesses why inputs differ from one execution to the next: a clock, chance, new identifiers.
 *
 * Code that reads a clock, chance or a new identifier gives other inputs in a replay.  The values
 * that differ show which of them it was, most of the time, and so what to use instead.
 */
#include "postgres.h"

#include <math.h>

#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "history/likeness.h"

#define EPOCH_MIN 1.0e9 /* seconds, in 2001 */
#define EPOCH_MAX 1.0e10
#define CHANCE_DIGITS 6 /* after the point */

static bool find_difference(const Jsonb *recorded, const Jsonb *issued, JsonbValue *a,
							JsonbValue *b);
static bool both(const JsonbValue *a, const JsonbValue *b, bool (*is)(const JsonbValue *value));
static bool is_clock(const JsonbValue *value);
static bool is_present(const JsonbValue *value);
static bool is_identifier(const JsonbValue *value);
static bool is_chance(const JsonbValue *value);
static bool has_shape(const JsonbValue *value, const char *shape);
static double number_of(const JsonbValue *value);

/*
 * Returns a hint what to use instead, by the kind of the values in which two inputs differ; NULL if
 * it is none of these.
 */
const char *
aion_likeness_hint(const Jsonb *recorded, const Jsonb *issued)
{
	JsonbValue a;
	JsonbValue b;

	if (recorded == NULL || issued == NULL || !find_difference(recorded, issued, &a, &b))
		return NULL;
	if (both(&a, &b, is_clock) && is_present(&b))
		return "This looks like the time of a clock: use aion.now().";
	if (both(&a, &b, is_identifier))
		return "This looks like an identifier that is new each time: use aion.uuid().";
	if (both(&a, &b, is_chance))
		return "This looks like a number of chance: use aion.random().";
	return NULL;
}

/*
 * Finds the first scalars that differ; false if the inputs differ in their structure.
 */
static bool
find_difference(const Jsonb *recorded, const Jsonb *issued, JsonbValue *a, JsonbValue *b)
{
	JsonbIterator *of_a = JsonbIteratorInit(unconstify(JsonbContainer *, &recorded->root));
	JsonbIterator *of_b = JsonbIteratorInit(unconstify(JsonbContainer *, &issued->root));

	for (;;)
	{
		JsonbIteratorToken token = JsonbIteratorNext(&of_a, a, false);

		if (token != JsonbIteratorNext(&of_b, b, false) || token == WJB_DONE)
			return false;
		if (token != WJB_KEY && token != WJB_VALUE && token != WJB_ELEM)
			continue;
		if (a->type != b->type)
			return false;
		if ((a->type == jbvString &&
			 (a->val.string.len != b->val.string.len ||
			  memcmp(a->val.string.val, b->val.string.val, a->val.string.len) != 0)) ||
			(a->type == jbvNumeric && number_of(a) != number_of(b)))
			return token != WJB_KEY;
	}
}

static bool
both(const JsonbValue *a, const JsonbValue *b, bool (*is)(const JsonbValue *value))
{
	return is(a) && is(b);
}

/*
 * A date, with or without a time, or seconds or milliseconds since 1970.
 */
static bool
is_clock(const JsonbValue *value)
{
	double number;

	if (value->type == jbvString)
		return has_shape(value, "dddd-dd-dd") || has_shape(value, "dd:dd:dd");
	if (value->type != jbvNumeric)
		return false;
	number = number_of(value);
	return (number >= EPOCH_MIN && number < EPOCH_MAX) ||
		   (number >= EPOCH_MIN * 1000 && number < EPOCH_MAX * 1000);
}

/*
 * Tells whether what has the look of a clock may be read from one now: other times come from
 * elsewhere.  The time of a day has fractions of a second.
 */
static bool
is_present(const JsonbValue *value)
{
	pg_time_t now = timestamptz_to_time_t(GetCurrentTimestamp());
	double seconds = value->type == jbvNumeric ? number_of(value) : 0;

	if (value->type == jbvNumeric)
		return fabs(seconds - now) < SECS_PER_DAY || fabs(seconds / 1000 - now) < SECS_PER_DAY;
	if (!has_shape(value, "dddd-dd-dd"))
		return value->val.string.len > (int) strlen("00:00:00"); /* else rather an interval */
	for (int day = -1; day <= 1; day++)
	{
		char date[11];
		pg_time_t moment = now + day * SECS_PER_DAY;

		pg_strftime(date, sizeof(date), "%Y-%m-%d", pg_gmtime(&moment));
		if (has_shape(value, date))
			return true;
	}
	return false;
}

static bool
is_identifier(const JsonbValue *value)
{
	return value->type == jbvString && has_shape(value, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
}

static bool
is_chance(const JsonbValue *value)
{
	double number;
	char *text;
	char *point;

	if (value->type != jbvNumeric)
		return false;
	number = number_of(value);
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	point = strchr(text, '.');
	return number >= 0 && number < 1 && point != NULL && strlen(point + 1) >= CHANCE_DIGITS;
}

/*
 * Tells whether a text has a shape in it, such as a name with an identifier at its end: d is a
 * digit, x a hexadecimal one.
 */
static bool
has_shape(const JsonbValue *value, const char *shape)
{
	int length = strlen(shape);

	for (int start = 0; start + length <= value->val.string.len; start++)
	{
		const char *text = value->val.string.val + start;
		int i = 0;

		while (i < length && (shape[i] == 'd'	? isdigit((unsigned char) text[i])
							  : shape[i] == 'x' ? isxdigit((unsigned char) text[i])
												: text[i] == shape[i]))
			i++;
		if (i == length)
			return true;
	}
	return false;
}

static double
number_of(const JsonbValue *value)
{
	return DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value->val.numeric)));
}
