/*
 * policy.c
 *		Policies of activities: how often they are tried, how soon again, and for how long.
 *
 * A policy is an object: the arguments of register_activity(), overridden key by key by the options
 * of the call.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "activities/policy.h"
#include "support/duration.h"
#include "support/errors.h"
#include "support/payload.h"

#define DEFAULT_ATTEMPTS 10
#define JITTER 0.1

static const char *const keys[] = {"task_queue",
								   "key",
								   "on_cancel",
								   "priority",
								   "concurrency",
								   "start_to_close_timeout",
								   "schedule_to_start_timeout",
								   "schedule_to_close_timeout",
								   "heartbeat_timeout",
								   "retry"};
static const char *const retry_keys[] = {"max_attempts", "initial_interval", "backoff",
										 "coefficient",	 "max_interval",	 "non_retryable"};
static const char *const backoffs[] = {"exponential", "linear", "fixed"};
static const char *const on_cancels[] = {"try", "wait", "abandon"};

static void policy_check_keys(const Jsonb *json, const char *const *known, int count,
							  const char *what);
static void read_retry(const Jsonb *retry, int32 attempts, Policy *policy);
static char *list_keys(const char *const *known, int count);
static void check_word(const char *value, const char *what, const char *key,
					   const char *const *words, int count);
static int64 read_interval(const Jsonb *json, const char *key, int64 absent);
static int32 read_count(const Jsonb *json, const char *key, int32 absent, int32 least);
static bool names(const Jsonb *array, const char *what);

/*
 * Overrides a registered policy by the options of a call.
 */
Jsonb *
aion_policy_merge(const Jsonb *registered, const Jsonb *options)
{
	if (options == NULL)
		return unconstify(Jsonb *, registered);
	return DatumGetJsonbP(
		DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(registered), JsonbPGetDatum(options)));
}

/*
 * Reads a policy, and refuses an invalid one.  A failure in this database is final unless there is
 * a retry policy; an external activity is retried by default.
 */
void
aion_policy_read(const Jsonb *json, bool in_database, Policy *policy)
{
	bool retries = !in_database || aion_json_has_member(json, "retry");

	policy_check_keys(json, keys, lengthof(keys), "option");
	memset(policy, 0, sizeof(Policy));
	policy->task_queue = aion_json_text(json, "task_queue");
	if (aion_json_has_member(json, "task_queue"))
		aion_name_check(policy->task_queue, AION_NAME_MAX, "task queue");
	policy->key = aion_json_text(json, "key");
	if (aion_json_has_member(json, "key"))
		aion_name_check(policy->key, AION_NAME_MAX, "key");
	policy->on_cancel =
		aion_json_has_member(json, "on_cancel") ? aion_json_text(json, "on_cancel") : "try";
	check_word(policy->on_cancel, "option", "on_cancel", on_cancels, lengthof(on_cancels));
	policy->priority = read_count(json, "priority", 0, PG_INT32_MIN);
	policy->concurrency = read_count(json, "concurrency", 0, 1);
	policy->start_to_close = read_interval(json, "start_to_close_timeout", 0);
	policy->schedule_to_start = read_interval(json, "schedule_to_start_timeout", 0);
	policy->schedule_to_close = read_interval(json, "schedule_to_close_timeout", 0);
	policy->heartbeat = read_interval(json, "heartbeat_timeout", 0);
	read_retry(aion_json_member(json, "retry"), retries ? DEFAULT_ATTEMPTS : 1, policy);
}

/*
 * Tells whether an attempt that failed is followed by another.
 */
bool
aion_policy_retries(const Policy *policy, int attempt, const Jsonb *error)
{
	return attempt < policy->max_attempts &&
		   !names(policy->non_retryable, aion_json_text(error, "kind")) &&
		   !names(policy->non_retryable, aion_json_text(error, "sqlstate"));
}

/*
 * Returns how long to wait after an attempt, in microseconds.  Random jitter spreads attempts that
 * failed together.
 */
int64
aion_policy_backoff(const Policy *policy, int attempt)
{
	double delay = (double) policy->initial_interval;

	if (strcmp(policy->backoff, "exponential") == 0)
		delay *= pow(policy->coefficient, attempt - 1);
	else if (strcmp(policy->backoff, "linear") == 0)
		delay *= attempt;
	delay = Min(delay, (double) policy->max_interval);
	return (int64) (delay * (1 - JITTER * pg_prng_double(&pg_global_prng_state)));
}

static void
read_retry(const Jsonb *retry, int32 attempts, Policy *policy)
{
	Jsonb *coefficient = aion_json_member(retry, "coefficient");

	aion_payload_check(retry, "retry policy");
	if (retry != NULL)
		policy_check_keys(retry, retry_keys, lengthof(retry_keys), "retry option");
	policy->max_attempts = read_count(retry, "max_attempts", attempts, 1);
	policy->initial_interval = read_interval(retry, "initial_interval", USECS_PER_SEC);
	policy->max_interval =
		read_interval(retry, "max_interval", Max(policy->initial_interval, USECS_PER_MINUTE));
	policy->backoff =
		aion_json_has_member(retry, "backoff") ? aion_json_text(retry, "backoff") : "exponential";
	policy->coefficient = coefficient != NULL ? atof(aion_json_cstring(coefficient)) : 2;
	policy->non_retryable = aion_json_member(retry, "non_retryable");
	check_word(policy->backoff, "retry option", "backoff", backoffs, lengthof(backoffs));
	if (!(policy->coefficient >= 1)) /* NaN is refused, too */
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("invalid value for retry option \"%s\"", "coefficient"),
						errdetail("It must be a number that is at least 1.")));
	if (policy->non_retryable != NULL &&
		(!JB_ROOT_IS_ARRAY(policy->non_retryable) || JB_ROOT_IS_SCALAR(policy->non_retryable)))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
						errmsg("invalid value for retry option \"%s\"", "non_retryable"),
						errdetail("It must be an array of kinds and SQLSTATEs.")));
}

static void
policy_check_keys(const Jsonb *json, const char *const *known, int count, const char *what)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue value;

	if (!aion_json_is_object(json))
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%ss must be an object", what)));
	iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &json->root));
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		bool found = token != WJB_KEY;

		for (int i = 0; !found && i < count; i++)
			found = strlen(known[i]) == (size_t) value.val.string.len &&
					strncmp(known[i], value.val.string.val, value.val.string.len) == 0;
		if (!found)
			ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT),
							errmsg("unknown %s: \"%s\"", what,
								   pnstrdup(value.val.string.val, value.val.string.len)),
							errhint("Possible %ss are: %s.", what, list_keys(known, count))));
	}
}

static char *
list_keys(const char *const *known, int count)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < count; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", known[i]);
	return list.data;
}

/*
 * Refuses a value that is not one of three words.
 */
static void
check_word(const char *value, const char *what, const char *key, const char *const *words,
		   int count)
{
	for (int i = 0; value != NULL && i < count; i++)
	{
		if (strcmp(value, words[i]) == 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_INPUT), errmsg("invalid value for %s \"%s\"", what, key),
			 errhint("Possible values are: %s, %s, %s.", words[0], words[1], words[2])));
}

static int64
read_interval(const Jsonb *json, const char *key, int64 absent)
{
	TimestampTz start = GetCurrentTimestamp();
	Interval *interval;
	char *text = aion_json_text(json, key);

	if (!aion_json_has_member(json, key))
		return absent;
	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_INPUT), errmsg("%s must be an interval", key),
						errhint("Write it as a text, such as \"5 s\".")));
	interval = aion_duration_parse(text, key);
	aion_duration_check(interval, false, key);
	return aion_duration_after(start, interval, key) - start;
}

static int32
read_count(const Jsonb *json, const char *key, int32 absent, int32 least)
{
	int32 count = aion_json_int(json, key, PG_INT32_MAX);

	if (!aion_json_has_member(json, key))
		return absent;
	if (count == PG_INT32_MAX || count < least)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_INPUT), errmsg("invalid value for option \"%s\"", key),
				 least > PG_INT32_MIN
					 ? errdetail("It must be an integer that is at least %d.", least)
					 : errdetail("It must be an integer.")));
	return count;
}

static bool
names(const Jsonb *array, const char *what)
{
	JsonbValue value;

	if (array == NULL || what == NULL)
		return false;
	value.type = jbvString;
	value.val.string.val = unconstify(char *, what);
	value.val.string.len = (int) strlen(what);
	return findJsonbValueFromContainer(unconstify(JsonbContainer *, &array->root), JB_FARRAY,
									   &value) != NULL;
}
