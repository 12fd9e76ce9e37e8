-- Cron expressions: what they say, what is refused, and when they tick in a time zone (invariant 82, T44).
\set VERBOSITY terse
SET timezone = 'America/New_York'; -- which makes no difference
CREATE FUNCTION ticks(cron text, zone text, after timestamptz, n int DEFAULT 4) RETURNS TABLE (utc timestamp, local timestamp) LANGUAGE sql AS $$
	SELECT t AT TIME ZONE 'UTC', t AT TIME ZONE zone FROM aion._cron_ticks(cron, zone, after, n) t
$$;
CREATE FUNCTION dates(cron text, after timestamptz, n int DEFAULT 4) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(to_char(utc, 'Dy YYYY-MM-DD HH24:MI'), ', ' ORDER BY utc) FROM ticks(cron, 'UTC', after, n)
$$;

-- Lists, ranges, steps and names; a tick is strictly later than what it is asked for.
SELECT c, dates(c, '2026-01-01 00:00+00') FROM unnest('{* * * * *,*/15 * * * *,5-59/20 * * * *,"1,2,40-42 3 * * *",0 9-17/4 * * MON-FRI,0 0 1 jan *,0 0 1 Feb-mar *,0 12 * * sun,0 12 * * 7,0 12 * * 0,0 12 * * 5-7,0 12 * * sat-sun}'::text[]) c;
SELECT c, dates(c, '2026-01-01 00:00+00', 2) FROM unnest('{@hourly,@daily,@midnight,@weekly,@monthly,@yearly,@annually,@HOURLY," @daily ","	0  0	* * * "}'::text[]) c;
SELECT dates('0 0 * * *', '2025-12-31 23:59:59.999999+00', 1), dates('0 0 * * *', '2026-01-01 00:00+00', 1), dates('* * * * *', '1969-12-31 23:58:30.5+00', 2);
-- Ends of months, leap years, the end of the calendar.
SELECT dates('0 0 31 * *', '2026-01-31 00:00+00', 5), dates('0 0 29 2 *', '2026-01-01 00:00+00', 3), dates('0 0 29 2 *', '2096-03-01 00:00+00', 1);
SELECT dates('59 23 31 12 *', '294274-06-01 00:00+00', 5), dates('0 0 29 2 */7', '2026-01-01 00:00+00', 2);
-- Both days restricted: either will do. One that begins with an asterisk is no restriction, but both must match.
SELECT c, dates(c, '2026-01-01 00:00+00', 5) FROM unnest('{0 0 13 * 5,0 0 13 * *,0 0 * * 5,0 0 */10 * 5,0 0 13 * */5}'::text[]) c;

-- The clock is put forward: what is in the gap ticks once, at the first moment after it.
SELECT * FROM ticks('30 2 * * *', 'Europe/Berlin', '2026-03-28 00:00+00', 3);
SELECT * FROM ticks('0,15,30,45 2 * * *', 'Europe/Berlin', '2026-03-29 00:00+00', 2);
SELECT * FROM ticks('30 2,3 * * *', 'Europe/Berlin', '2026-03-29 00:00+00', 3);
SELECT * FROM ticks('0 2,3 * * *', 'Europe/Berlin', '2026-03-29 00:00+00', 3);
SELECT * FROM ticks('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03 00:00+00', 2);
SELECT * FROM ticks('0 12 * * *', 'Pacific/Apia', '2011-12-29 00:00+00', 3); -- a day that there was not
-- The clock is put back: once, the first time.
SELECT * FROM ticks('30 2 * * *', 'Europe/Berlin', '2026-10-24 00:00+00', 3);
SELECT * FROM ticks('30 2 * * *', 'Europe/Berlin', '2026-10-25 00:30+00', 1);
SELECT * FROM ticks('*/20 2,3 * * *', 'Europe/Berlin', '2026-10-25 00:00+00', 4);
SELECT * FROM ticks('45 1 * * *', 'Australia/Lord_Howe', '2026-04-03 15:00+00', 2);
-- Every hour is every real hour: none in a gap, both of two.
SELECT * FROM ticks('30 * * * *', 'Europe/Berlin', '2026-03-29 00:00+00', 3);
SELECT * FROM ticks('30 * * * *', 'Europe/Berlin', '2026-10-25 00:00+00', 3);
SELECT * FROM ticks('*/15 * * * *', 'Australia/Lord_Howe', '2026-04-04 14:29+00', 5);
SELECT count(*), count(DISTINCT utc) FROM ticks('* * * * *', 'Europe/Berlin', '2026-10-24 22:00+00', 1500) WHERE local::date = '2026-10-25';
SELECT count(*) FROM ticks('* * * * *', 'Europe/Berlin', '2026-03-28 22:59+00', 1500) WHERE local::date = '2026-03-29';
-- Half an hour off, and no change at all.
SELECT * FROM ticks('0 9 * * mon', 'Asia/Kolkata', '2026-01-01', 2);
SELECT * FROM ticks('30 2 * * *', 'UTC', '2026-03-29', 1);

-- Refused, with what is wrong.
CREATE FUNCTION refusal(cron text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM aion._cron_ticks(cron, 'UTC', '2026-01-01', 1);
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, detail, hint);
END $$;
SELECT c, refusal(c) FROM unnest('{"","* * * *","0 * * * * *","60 * * * *","* 24 * * *","* * 0 * *","* * 32 * *","* * * 13 *","* * * 0 *","* * * * 8","* * * * funday","* * * january *","x * * * *","-1 * * * *","1- * * * *","5-1 * * * *",
	"*/0 * * * *","*/x * * * *","*/ * * * *","5/10 * * * *",", * * * *","1, * * * *","99999999999 * * * *","*/99999999999 * * * *","1.5 * * * *","** * * * *","*-5 * * * *","1-2-3 * * * *","* * L * *","* * ? * *","* * * * 5#3","@reboot","@daily 1","@","+1 * * * *","0x1 * * * *"}'::text[]) c;
-- What never comes is refused, too; the step of an asterisk may be as large as it likes.
SELECT c, refusal(c) FROM unnest('{0 0 30 2 *,0 0 31 2 *,"0 0 31 2,4,6,9,11 *","0 0 30-31 feb *",0 0 31 2 */2,0 0 30 2 1,*/9999 * * * *}'::text[]) c;
SELECT refusal(repeat('1,', 600) || '1 * * * *'), refusal(E'0\n0 * * *'), refusal(E'0 0 * * *\u00a0');
SELECT aion._cron_ticks('0 0 * * *', 'Mars/Olympus', now(), 1);
SELECT aion._cron_ticks('0 0 * * *', '', now(), 1);
DROP FUNCTION ticks, dates, refusal;
