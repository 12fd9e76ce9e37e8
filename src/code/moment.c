/*
 * moment.c
 *		Words for dates and times that mean another moment each time they are read.
 *
 * "now" and "tomorrow 10:00" are values of the types of dates and times.  Code is executed again
 * from its beginning, with the same input, so an input must say which moment that is.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "code/handler.h"
#include "code/moment.h"
#include "support/payload.h"

static bool is_of_time(Oid type);
static bool is_letter(char c);

/*
 * Tells whether a text has such a word.
 */
bool
aion_moment_is_moving(const char *text)
{
	static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

	while (*text != '\0')
	{
		size_t length = 0;

		while (is_letter(text[length]))
			length++;
		for (size_t i = 0; i < lengthof(words); i++)
		{
			if (length == strlen(words[i]) && pg_strncasecmp(text, words[i], length) == 0)
				return true;
		}
		text += Max(length, 1);
	}
	return false;
}

/*
 * Replaces such values of an input, which fits the function, by the moments that they mean now.
 */
Jsonb *
aion_moment_fix(const Handler *handler, Jsonb *input)
{
	HeapTuple row = NULL;

	for (int i = 0; i < handler->parameter_count && !handler->whole_input; i++)
	{
		const HandlerParameter *parameter = &handler->parameters[i];
		JsonObject replaced;
		Jsonb *member;
		Datum value;
		bool isnull;

		if (!is_of_time(parameter->type))
			continue;
		member = aion_json_member(input, parameter->name);
		if (!aion_moment_is_moving(JsonbToCString(NULL, &member->root, VARSIZE(member))))
			continue;
		if (row == NULL)
			row = aion_jsonb_to_row(input, handler->parameter_row);
		value = heap_getattr(row, i + 1, handler->parameter_row, &isnull);
		if (isnull)
			continue;
		aion_object_begin(&replaced);
		aion_object_json(&replaced, parameter->name, aion_to_jsonb(value, parameter->type));
		input = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(input),
												   JsonbPGetDatum(aion_object_end(&replaced))));
	}
	return input;
}

/*
 * Tells whether values of a type are dates or times, or arrays of them.
 */
static bool
is_of_time(Oid type)
{
	Oid base = getBaseType(type);
	Oid element = get_base_element_type(base);
	char category;
	bool is_preferred;

	get_type_category_preferred(OidIsValid(element) ? getBaseType(element) : base, &category,
								&is_preferred);
	return category == TYPCATEGORY_DATETIME;
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
