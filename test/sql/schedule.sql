-- Schedules under virtual time: what ticks when, and what becomes of it (invariants 80-85 as far as they are about schedules:
-- 80, input and options are checked when the schedule is made; 82, the tables of overlap and catch_up, each tick one run at most; 85).
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE ROLE schedule_ann LOGIN;
CREATE ROLE schedule_bob LOGIN;
SELECT aion.grant_usage('schedule_ann'), aion.grant_usage('schedule_bob');
GRANT ALL ON SCHEMA public TO schedule_ann, schedule_bob;
SET SESSION AUTHORIZATION schedule_ann;
CREATE FUNCTION nap(long interval DEFAULT '0', loud boolean DEFAULT false) RETURNS timestamptz LANGUAGE plpgsql AS $$
BEGIN
	IF long > '0' THEN PERFORM aion.sleep(long); END IF;
	IF loud THEN RAISE EXCEPTION 'as told'; END IF;
	RETURN aion.scheduled_for();
END $$;
SELECT aion.register_workflow('nap', 'nap(interval, boolean)') IS NOT NULL AS registered;
CREATE VIEW tick AS SELECT t.schedule, to_char(t.nominal_at, 'MM-DD HH24:MI:SS') AS nominal, t.state, to_char(t.decided_at, 'MM-DD HH24:MI:SS') AS decided,
	to_char(t.until_at, 'MM-DD HH24:MI:SS') AS until, r.status, to_char(r.closed_at, 'MM-DD HH24:MI:SS') AS closed
	FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) ORDER BY t.schedule, t.nominal_at;

-- Every so often; the run knows its nominal time, and a run that no schedule started has none.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00:00.75+00');
SELECT aion.create_schedule('tea', 'nap', every => '10 min');
SELECT aion.start_workflow('nap', workflow_id => 'plain');
SELECT * FROM aion.next_ticks('tea', 3);
SELECT aion_test.advance('25 min');
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY run_key;
SELECT attributes -> 'schedule' AS schedule, attributes -> 'scheduled_for' AS scheduled_for, attributes -> 'started_by' AS started_by FROM aion.history('tea/2026-01-01T00:10:00Z') WHERE seq = 1;
SELECT * FROM aion.explain('tea/2026-01-01T00:10:00Z') LIMIT 1;
SELECT * FROM tick;
SELECT name, workflow_type, state, owner, every, next_at, runs, last_started_at FROM aion.schedule;
SELECT aion_test.replay('tea/2026-01-01T00:10:00Z');
SELECT * FROM aion.next_ticks('tea', 2);
ROLLBACK;

-- A year of a cron expression in its own zone, over both changes of the clock (T44).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('nightly', 'nap', cron => '30 2 * * *', timezone => 'Europe/Berlin');
SET LOCAL timezone = 'Asia/Kolkata';
SELECT aion_test.advance('12 months');
SET LOCAL timezone = 'UTC';
SELECT count(*), count(DISTINCT nominal_at), count(DISTINCT (nominal_at AT TIME ZONE 'Europe/Berlin')::date) AS days, count(*) FILTER (WHERE r.status = 'completed') AS completed,
	array_agg(DISTINCT (nominal_at AT TIME ZONE 'Europe/Berlin')::time) AS times FROM aion.schedule_tick JOIN aion.workflow_run r USING (workflow_id);
SELECT nominal_at, nominal_at AT TIME ZONE 'Europe/Berlin' AS local FROM aion.schedule_tick WHERE nominal_at::date IN ('2026-03-28', '2026-03-29', '2026-03-30', '2026-10-24', '2026-10-25', '2026-10-26') ORDER BY 1;
ROLLBACK;

-- Months end where they end, and do not wander; days are those of the zone, however long they are.
BEGIN;
SELECT aion_test.begin('2027-12-01 00:00+00');
SELECT aion.create_schedule('monthly', 'nap', every => '1 month', start_at => '2027-12-31 12:00+00');
SELECT * FROM aion.next_ticks('monthly', 6);
SELECT aion.create_schedule('daily', 'nap', every => '1 day', start_at => '2028-03-25 01:30+00', timezone => 'Europe/Berlin');
SELECT * FROM aion.next_ticks('daily', 3); -- 26 March: 02:30 is not, so 03:00
SELECT aion.create_schedule('hours', 'nap', every => '24 hours', start_at => '2028-03-25 01:30+00', timezone => 'Europe/Berlin');
SELECT * FROM aion.next_ticks('hours', 3);
SELECT aion.create_schedule('past', 'nap', every => '1 month 3 days', start_at => '2020-01-31 12:00+00');
SELECT * FROM aion.next_ticks('past', 3);
SELECT aion.update_schedule('past', every => '7 days', start_at => '-infinity');
SELECT * FROM aion.next_ticks('past', 1);
ROLLBACK;

-- What becomes of ticks that come while the run of an earlier one is open: ticks every 10 minutes, runs of 25.
CREATE FUNCTION overlapping(policy text) RETURNS SETOF tick LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion_test.begin('2026-01-01 00:00+00');
	PERFORM aion.create_schedule(policy, 'nap', every => '10 min', input => '{"long": "25 min"}', overlap => policy);
	PERFORM aion_test.advance('61 min');
	RETURN QUERY SELECT * FROM tick;
END $$;
BEGIN; SELECT nominal, state, decided, status, closed FROM overlapping('skip'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, status, closed FROM overlapping('buffer_one'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, status, closed FROM overlapping('cancel_previous'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, status, closed FROM overlapping('allow_all'); ROLLBACK;
-- A run that is to make place is asked, once, and may take its time to clean up.
CREATE FUNCTION tidies() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep('1 day');
	RETURN 'done';
EXCEPTION WHEN SQLSTATE 'WF028' THEN
	PERFORM aion.sleep('25 min');
	RETURN 'tidied';
END $$;
SELECT aion.register_workflow('tidies', 'tidies()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('tidies', 'tidies', every => '10 min', overlap => 'cancel_previous', max_runs => 3);
SELECT aion_test.advance('61 min');
SELECT workflow_id, status, result, (SELECT string_agg(attributes ->> 'reason', ', ') FROM aion.history(workflow_id) WHERE event_type = 'WorkflowCancelRequested') AS asked
	FROM aion.workflow_run WHERE workflow_type = 'tidies' ORDER BY run_key;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- What becomes of ticks that were missed, here while the schedule was paused, under each policy; pausing holds, resuming catches up.
CREATE FUNCTION missing(policy text, overlapping text, delay interval) RETURNS SETOF tick LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion_test.begin('2026-01-01 00:00+00');
	PERFORM aion.create_schedule(policy, 'nap', every => '10 min', input => '{"long": "1 min"}', catch_up => policy, overlap => overlapping);
	PERFORM aion_test.advance('15 min');
	ASSERT aion.pause_schedule(policy) = 'paused';
	PERFORM aion_test.advance(delay);
	ASSERT (SELECT count(*) = 1 FROM aion.schedule_tick);
	ASSERT aion.resume_schedule(policy) = 'active';
	PERFORM aion_test.advance('15 min');
	RETURN QUERY SELECT * FROM tick;
END $$;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('skip', 'allow_all', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('one', 'allow_all', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('all', 'allow_all', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('skip', 'skip', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('one', 'skip', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('all', 'skip', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('all', 'buffer_one', '37 min'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status, closed FROM missing('all', 'cancel_previous', '37 min'); ROLLBACK;
-- A tick that is not yet late is on time, and counts for those before it.
BEGIN; SELECT nominal, state, decided, until, status FROM missing('skip', 'allow_all', '35 min 30 s'); ROLLBACK;
BEGIN; SELECT nominal, state, decided, until, status FROM missing('one', 'allow_all', '35 min 30 s'); ROLLBACK;
-- Years of ticks are passed over in no time.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('s', 'nap', every => '1 s'), aion.pause_schedule('s');
SELECT aion_test.advance('10 years');
SELECT aion.resume_schedule('s');
SELECT aion_test.run_until_idle();
SELECT nominal, state, until, status FROM tick;
ROLLBACK;
-- Catching up many goes a part at a time.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('s', 'nap', every => '1 min', catch_up => 'all', overlap => 'allow_all'), aion.pause_schedule('s');
SELECT aion_test.advance('250 min');
SELECT aion.resume_schedule('s'), aion_test.run_until_idle();
SELECT count(*), count(DISTINCT nominal_at), min(nominal_at), max(nominal_at), runs FROM aion.schedule_tick, aion.schedule GROUP BY runs;
ROLLBACK;

-- Beginning, end and number.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('some', 'nap', cron => '0 * * * *', start_at => '2026-01-01 05:00+00', end_at => '2026-01-01 07:00+00');
SELECT aion.create_schedule('three', 'nap', every => '1 hour', max_runs => 3);
SELECT * FROM aion.next_ticks('some'), aion.next_ticks('three') three;
SELECT aion_test.advance('1 day');
SELECT schedule, nominal, state FROM tick;
SELECT name, state, next_at, runs FROM aion.schedule ORDER BY name;
SELECT * FROM aion.next_ticks('three');
SELECT aion.pause_schedule('three'), aion.resume_schedule('some');
SELECT aion.update_schedule('three', max_runs => 4), aion.update_schedule('some', end_at => 'infinity', jitter => '0');
SELECT name, state, next_at FROM aion.schedule ORDER BY name;
SELECT aion_test.advance('2 hours');
SELECT name, state, next_at, runs FROM aion.schedule ORDER BY name;
ROLLBACK;

-- Jitter is the same for a tick, whichever session computes it, differs between ticks and schedules, and never comes after the next tick.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('j' || n, 'nap', every => '10 min', jitter => '5 min') FROM generate_series(1, 3) n;
SELECT aion.create_schedule('k', 'nap', every => '1 min', jitter => '1 min', overlap => 'allow_all');
SELECT aion_test.advance('2 hours');
SELECT schedule, count(*), count(DISTINCT decided_at - nominal_at) AS different, bool_and(decided_at >= nominal_at AND decided_at < nominal_at + '5 min') AS bounded FROM aion.schedule_tick GROUP BY schedule ORDER BY schedule;
SELECT count(DISTINCT decided_at) FROM aion.schedule_tick WHERE nominal_at = '2026-01-01 01:00+00';
SELECT bool_and(decided_at < nominal_at + '1 min') AS before_the_next FROM aion.schedule_tick WHERE schedule = 'k';
SELECT nominal_at, decided_at FROM aion.schedule_tick WHERE schedule = 'j1' ORDER BY 1 LIMIT 2;
ROLLBACK;

-- Now, and for the past: each tick once, whatever has been decided about it but a start.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('s', 'nap', every => '10 min', input => '{"long": "15 min"}');
SELECT aion_test.advance('32 min');
SELECT nominal, state FROM tick;
SELECT aion.trigger_schedule('s'), aion.trigger_schedule('s');
SELECT aion.backfill_schedule('s', '2025-12-31 23:40+00', '2026-01-01 00:30+00'), aion.backfill_schedule('s', '2025-12-31 23:40+00', '2026-01-01 00:30+00');
SELECT nominal, state FROM tick;
SELECT aion_test.run_until_idle();
SELECT nominal, state, status FROM tick;
SELECT aion.backfill_schedule('s', '2025-12-31 23:40+00', '2026-01-01 00:30+00');
SELECT aion.pause_schedule('s'), aion.trigger_schedule('s') IS NOT NULL AS triggered;
SELECT aion_test.advance('20 min');
SELECT nominal, state, status FROM tick WHERE nominal > '01-01 00:30';
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 's/2026-01-01T00:20:00Z';
SAVEPOINT s;
SELECT aion.backfill_schedule('s', '2026-01-01', '2025-01-01');
ROLLBACK TO s;
SELECT aion.backfill_schedule('s', '2026-01-01', '2026-02-01');
ROLLBACK TO s;
SELECT aion.backfill_schedule('s', '2000-01-01', '2026-01-01');
ROLLBACK TO s;
SELECT aion.backfill_schedule('s', NULL, '2026-01-01');
ROLLBACK;

-- A buffered tick outlives the end of its schedule, a failed run is no run that is open, and what cannot be started is recorded.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('last', 'nap', every => '10 min', input => '{"long": "15 min"}', overlap => 'buffer_one', end_at => '2026-01-01 00:21+00');
SELECT aion.create_schedule('loud', 'nap', every => '20 min', input => '{"loud": true}');
SELECT aion_test.advance('50 min');
SELECT schedule, nominal, state, decided, status FROM tick;
SELECT aion.create_schedule('broken', 'nap', every => '10 min', options => '{"timeout": "1 hour", "memo": {"a": 1}, "search_attributes": {"b": 2}, "task_queue": "q"}');
SELECT aion_test.advance('10 min');
SELECT attributes - 'version' - 'input' FROM aion.history('broken/2026-01-01T01:00:00Z') WHERE seq = 1;
SELECT aion.delete_schedule('loud');
RESET SESSION AUTHORIZATION;
REVOKE EXECUTE ON FUNCTION nap FROM PUBLIC, schedule_ann;
SET SESSION AUTHORIZATION schedule_ann;
SELECT aion_test.advance('10 min');
SELECT nominal_at, state, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message FROM aion.schedule_tick WHERE schedule = 'broken' ORDER BY 1;
SELECT name, state, last_tick FROM aion.schedule ORDER BY 1;
SELECT ok, detail, hint FROM aion.health() WHERE "check" = 'schedules';
ROLLBACK;

-- Refused when it is made, not at the first tick (invariant 80).
CREATE FUNCTION refused(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE 'SELECT aion.' || call;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT c, refused('create_schedule(''r'', ' || c || ')') FROM unnest(ARRAY[
	$$'nap'$$, $$'nap', cron => '* * * * *', every => '1 s'$$, $$'nope', every => '1 s'$$, $$NULL, every => '1 s'$$, $$'nap', every => '0'$$, $$'nap', every => '-1 s'$$, $$'nap', every => '999 ms'$$,
	$$'nap', every => '1 month -1 day'$$, $$'nap', every => '100000 years'$$, $$'nap', cron => 'x'$$, $$'nap', every => '1 s', timezone => 'Nowhere'$$, $$'nap', every => '1 s', overlap => 'maybe'$$,
	$$'nap', every => '1 s', catch_up => 'never'$$, $$'nap', every => '1 s', jitter => '-1 s'$$, $$'nap', every => '1 s', max_runs => -1$$, $$'nap', every => '1 s', start_at => 'infinity'$$,
	$$'nap', every => '1 s', end_at => '-infinity'$$, $$'nap', every => '1 s', end_at => '2020-01-01'$$, $$'nap', every => '1 s', start_at => '2040-01-01', end_at => '2039-01-01'$$,
	$$'nap', every => '1 s', input => '{"long": "for ever"}'$$, $$'nap', every => '1 s', input => '{"wide": 1}'$$, $$'nap', every => '1 s', input => '[]'$$, $$'nap', every => '1 s', options => '[]'$$,
	$$'nap', every => '1 s', options => '{"workflow_id": "x"}'$$, $$'nap', every => '1 s', options => '{"timeout": 5}'$$, $$'nap', every => '1 s', options => '{"timeout": "soon"}'$$,
	$$'nap', every => '1 s', options => '{"timeout": "-1 s"}'$$, $$'nap', every => '1 s', options => '{"if_running": "panic"}'$$, $$'nap', every => '1 s', options => '{"version": "none"}'$$,
	$$'nap', every => '1 s', options => '{"search_attributes": 1}'$$, $$'nap', every => '1 s', options => '{"run_as": "postgres"}'$$]) c;
SELECT refused('create_schedule(NULL, ''nap'', every => ''1 s'')'), refused('create_schedule('''', ''nap'', every => ''1 s'')'), refused('create_schedule(repeat(''x'', 256), ''nap'', every => ''1 s'')');
-- Without pg_cron no job would ring the schedule.
SELECT regexp_replace(refused('create_schedule(''r'', ''nap'', cron => ''0 0 * * *'')'), '[0-9]+-cron', 'NN-cron');
SELECT "check", ok, detail FROM aion.health() WHERE "check" = 'pg_cron';
SELECT count(*) FROM aion.schedule;

-- Names belong to the database, schedules to their owner, and no other role can tell that there is one (invariant 85).
SELECT aion.create_schedule('mine', 'nap', every => '1 hour', input => '{"long": "1 s"}');
SELECT refused('create_schedule(''mine'', ''nap'', every => ''1 s'')');
SELECT c, refused(c || '(''mine'')') FROM unnest('{pause_schedule,resume_schedule,ring_schedule,trigger_schedule}'::text[]) c;
SELECT left(refused('update_schedule(''mine'', cron => ''0 0 * * *'')'), 60), refused('update_schedule(''mine'', input => ''{"wide": 1}'')'), refused('update_schedule(''mine'', overlap => ''x'')'), refused('update_schedule(''mine'')');
SET SESSION AUTHORIZATION schedule_bob;
SELECT name FROM aion.schedule UNION ALL SELECT workflow_id FROM aion.schedule_tick;
SELECT c, refused(c || '(''mine'')'), refused(c || '(''nobody''''s'')') FROM unnest('{pause_schedule,resume_schedule,delete_schedule,trigger_schedule,ring_schedule,next_ticks,update_schedule}'::text[]) c;
SELECT refused('backfill_schedule(''mine'', ''2020-01-01'', ''2020-01-02'')'), refused('create_schedule(''mine'', ''nap'', every => ''1 s'')'), refused('create_schedule(''his'', ''nap'', every => ''1 s'')');
RESET SESSION AUTHORIZATION;
SELECT aion.grant_usage('schedule_bob', 'monitor');
SET SESSION AUTHORIZATION schedule_bob;
SELECT name, owner, input, options FROM aion.schedule;
RESET SESSION AUTHORIZATION;
SELECT aion.grant_usage('schedule_bob', 'admin');
SET SESSION AUTHORIZATION schedule_bob;
SELECT aion.pause_schedule('mine'), refused('update_schedule(''mine'', overlap => ''skip'')');

-- For real: what was asked for is done by the session that executes the owner's runs, as the owner, in one commit.
CALL aion.drive();
SET SESSION AUTHORIZATION schedule_ann;
CALL aion.drive();
SELECT t.state, r.owner, r.workflow_id = t.workflow_id AS named, (SELECT attributes ->> 'started_by' FROM aion.history(r.workflow_id) WHERE seq = 1) AS started_by
	FROM aion.schedule_tick t JOIN aion.workflow_run r USING (workflow_id);
SELECT aion.resume_schedule('mine'), aion.ring_schedule('mine'), aion.repair_schedules();
SELECT aion.update_schedule('mine', workflow_type => 'nap', every => '2 hours', input => '{}', overlap => 'allow_all', catch_up => 'all', timezone => 'Europe/Berlin', jitter => '1 min', start_at => '2030-01-01 00:00+00', end_at => '2040-01-01', max_runs => 5, options => '{"timeout": "1 day"}');
SELECT name, state, every, timezone, overlap, catch_up, jitter, start_at, end_at, max_runs, input, options, next_at FROM aion.schedule;
SELECT aion.update_schedule('mine');
SELECT name, state, every, timezone, overlap, catch_up, jitter, start_at, end_at, max_runs, input, options, next_at FROM aion.schedule;
-- What a transaction asks for and rolls back did not happen.
BEGIN;
SELECT aion.trigger_schedule('mine') IS NOT NULL AS triggered, aion.delete_schedule('mine');
ROLLBACK;
CALL aion.drive();
SELECT count(*) FROM aion.schedule_tick;
-- 11.18 Any moment that a client may name is answered within its statement timeout.
SET statement_timeout = '20 s';
SELECT aion.create_schedule('monthly', 'nap', every => '1 month'); SELECT aion.create_schedule('aeons', 'nap', every => '5000 years');
SELECT aion.backfill_schedule('monthly', '4714-12-01 BC', '4700-01-01 BC') > 100 AS many;
SELECT aion.backfill_schedule('aeons', '4714-11-24 00:00:00+00 BC', now()) < 3 AS few;
SELECT aion.update_schedule('monthly', start_at => '4714-12-01 BC'), aion.update_schedule('monthly', start_at => '294270-01-01');
SELECT count(*) FROM aion.next_ticks('monthly', 1000);
SELECT c, count(*) FROM unnest('{@monthly,@hourly,0 0 29 2 *,* * 1 1 1}'::text[]) c, LATERAL aion._cron_ticks(c, 'Europe/Berlin', '4714-12-01 BC', 1000) GROUP BY 1 ORDER BY 1;
SELECT aion.delete_schedule(s) FROM unnest('{monthly,aeons}'::text[]) s;
RESET statement_timeout;
-- 11.3 Ids of ticks can be known in advance: a role that holds one, or one after the other, keeps no schedule of another role from starting its runs.
RESET SESSION AUTHORIZATION; BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SET LOCAL SESSION AUTHORIZATION schedule_bob;
CREATE FUNCTION sits() RETURNS text LANGUAGE sql AS $$ SELECT aion.value(aion.receive('never')) $$;
SELECT aion.register_workflow('sits', 'sits()') IS NOT NULL AS registered;
SELECT count(aion.start_workflow('sits', workflow_id => format('known/2026-01-01T00:%s:00Z', m), start_at => '2027-01-01')) FROM unnest('{10,40}'::int[]) m;
-- ... also where its run belongs to the owner of the schedule, which has granted that start.
SET LOCAL SESSION AUTHORIZATION schedule_ann;
CREATE FUNCTION bides() RETURNS text LANGUAGE sql AS $$ SELECT 'not a nap' $$;
SELECT aion.register_workflow('bides', 'bides()') IS NOT NULL AS registered;
SELECT aion.grant_start('schedule_bob', 'bides');
SET LOCAL SESSION AUTHORIZATION DEFAULT;
DELETE FROM aion._grant WHERE level = 'admin';
SET LOCAL SESSION AUTHORIZATION schedule_bob;
SELECT aion.start_workflow('bides', workflow_id => 'known/2026-01-01T00:20:00Z', start_at => '2027-01-01', run_as => 'schedule_ann');
SET LOCAL SESSION AUTHORIZATION schedule_ann;
SELECT aion.start_workflow('nap', workflow_id => 'known/2026-01-01T00:30:00Z', start_at => '2026-01-02');
SELECT aion.create_schedule('known', 'nap', every => '10 min');
SELECT aion.trigger_schedule('known');
SELECT aion_test.advance('45 min') > 0 AS advanced;
SELECT nominal_at, t.state, t.error ->> 'sqlstate' AS sqlstate, r.owner, r.workflow_type, regexp_replace(t.workflow_id, 'Z/\d+$', 'Z/...') AS workflow_id
	FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) WHERE t.schedule = 'known' ORDER BY 1;
SELECT runs FROM aion.schedule WHERE name = 'known';
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;
SET SESSION AUTHORIZATION schedule_ann;
-- A timetable that is given as it was is no change: missed ticks are caught up, and intervals are counted as before.
BEGIN;
SELECT aion_test.begin('2040-01-01 02:00+00') IS NOT NULL AS begun;
CREATE FUNCTION nightly() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_workflow('nightly', 'nightly()') IS NOT NULL AS registered;
SELECT aion.create_schedule('again', 'nightly', every => '1 day', overlap => 'allow_all', catch_up => 'all'), aion.create_schedule('again by cron', 'nightly', cron => '0 2 * * *', overlap => 'allow_all', catch_up => 'all');
SELECT aion.pause_schedule('again'), aion.pause_schedule('again by cron');
SELECT aion_test.advance('54 hours');
SELECT aion.update_schedule('again', every => '1 day', input => '{}'), aion.update_schedule('again by cron', cron => '0 2 * * *', timezone => 'UTC');
SELECT name, next_at AT TIME ZONE 'UTC' AS next_at FROM aion.schedule WHERE name ~ '^again' ORDER BY 1;
SELECT aion.resume_schedule('again'), aion.resume_schedule('again by cron');
SELECT aion_test.run_until_idle() > 0 AS done;
SELECT schedule, count(*) FROM aion.schedule_tick WHERE schedule ~ '^again' AND state = 'started' GROUP BY 1 ORDER BY 1;
SELECT aion.update_schedule('again', every => '2 days');
SELECT next_at AT TIME ZONE 'UTC' AS next_at FROM aion.schedule WHERE name = 'again';
ROLLBACK;
-- A tick that is cancelled leaves the session that drives as it was.
CREATE FUNCTION slow_default() RETURNS text LANGUAGE sql AS $$ SELECT pg_sleep(1)::text $$;
CREATE FUNCTION dozes(x text DEFAULT slow_default()) RETURNS text LANGUAGE sql AS 'SELECT x';
SELECT aion.register_workflow('dozes', 'dozes(text)') IS NOT NULL AS registered;
SELECT aion.create_schedule('dozes', 'dozes', every => '1 day', start_at => '2020-01-01', catch_up => 'one');
SELECT aion.trigger_schedule('dozes') IS NOT NULL AS triggered;
SET statement_timeout = '300 ms';
CALL aion.drive();
SELECT 1 AS usable;
RESET statement_timeout;
SELECT aion.delete_schedule('dozes');
-- Code that a tick calls does not change the schedule of the tick.
CREATE TABLE ending (now boolean);
CREATE FUNCTION ends_schedule() RETURNS text LANGUAGE plpgsql AS $$ BEGIN IF EXISTS (SELECT FROM ending) THEN PERFORM aion.delete_schedule('ends'); END IF; RETURN 'x'; END $$;
CREATE FUNCTION ends(x text DEFAULT ends_schedule()) RETURNS text LANGUAGE sql AS 'SELECT x';
SELECT aion.register_workflow('ends', 'ends(text)') IS NOT NULL AS registered;
SELECT aion.create_schedule('ends', 'ends', every => '1 day', start_at => '2020-01-01', catch_up => 'one');
INSERT INTO ending VALUES (true);
CALL aion.drive();
UPDATE ending SET now = true;
SELECT aion.update_schedule('ends', every => '2 days');
DELETE FROM ending;
SELECT state, error ->> 'message' AS message FROM aion.schedule_tick WHERE schedule = 'ends' AND state <> 'missed';
SELECT aion.delete_schedule('ends');
-- Not in workflow code, and not outside of it.
SELECT aion.scheduled_for();
CREATE FUNCTION meddles() RETURNS text LANGUAGE sql AS $$ SELECT aion.pause_schedule('mine') /* aion:allow client_call */ $$;
SELECT aion.register_workflow('meddles', 'meddles()') IS NOT NULL AS registered;
SELECT aion.start_workflow('meddles', workflow_id => 'meddles');
CALL aion.drive();
SELECT status, error ->> 'sqlstate' AS sqlstate FROM aion.workflow_run WHERE workflow_id = 'meddles';
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
SET SESSION AUTHORIZATION schedule_ann;
SELECT aion.delete_schedule('mine');
SELECT count(*) FROM aion.schedule_tick;
SELECT count(*) FROM aion.workflow_run WHERE workflow_id ~ '^mine/';
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
SELECT count(*) FROM aion._timer WHERE name ~ '^schedule:';
-- One that sleeps is open, unless this took long.
SELECT count(aion.terminate_workflow(workflow_id)) < 2 AS ended FROM aion.workflow_run WHERE closed_at IS NULL;
SELECT aion.purge_workflows('0') > 0 AS purged;
SET client_min_messages = warning;
DROP OWNED BY schedule_ann, schedule_bob CASCADE;
DROP EXTENSION aion CASCADE;
CREATE EXTENSION aion;
DROP ROLE schedule_ann, schedule_bob;
