--
-- Sleeps and named timers. Numbers in parentheses are those of the reference's invariants.
--
CREATE ROLE timer_user LOGIN;
SELECT aion.grant_usage('timer_user');
GRANT CREATE ON SCHEMA public TO timer_user;
SET SESSION AUTHORIZATION timer_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';

-- An interpreter, so that each case is one line: the steps of a workflow as an array.
CREATE FUNCTION steps(steps jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
	handles jsonb := '{}';
	said jsonb := '[]';
	answer text;
BEGIN
	FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
		BEGIN
			answer := 'ok';
			CASE step ->> 0
				WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval);
				WHEN 'until' THEN PERFORM aion.sleep_until((step ->> 1)::timestamptz);
				WHEN 'start' THEN handles := jsonb_set(handles, ARRAY[step ->> 1],
					to_jsonb(aion.start_timer(step ->> 1, (step ->> 2)::interval)::text));
				WHEN 'start until' THEN handles := jsonb_set(handles, ARRAY[step ->> 1],
					to_jsonb(aion.start_timer(step ->> 1, until => (step ->> 2)::timestamptz)::text));
				WHEN 'cancel' THEN answer := aion.cancel_timer(step ->> 1);
				WHEN 'await' THEN PERFORM aion.await((coalesce(handles ->> (step ->> 1), step ->> 1))::aion.handle);
				WHEN 'now' THEN answer := aion.now()::text;
			END CASE;
		EXCEPTION WHEN OTHERS THEN
			answer := SQLSTATE || ' ' || SQLERRM;
		END;
		said := said || jsonb_build_array(answer);
	END LOOP;
	RETURN said;
END $$;
SELECT aion.register_workflow('steps', 'steps(jsonb)') IS NOT NULL AS registered;
-- Runs the cases to their ends, with a replay after every bit of time; shows what the code saw.
CREATE FUNCTION try(prefix text, days int, VARIADIC cases jsonb[]) RETURNS TABLE (n bigint, status text, said jsonb, replay text) LANGUAGE plpgsql AS $$
DECLARE
	ids text[];
BEGIN
	ids := ARRAY(SELECT aion.start_workflow('steps', c.steps, workflow_id => prefix || c.n) FROM unnest(cases) WITH ORDINALITY c(steps, n));
	PERFORM aion_test.run_until_idle();
	FOR i IN 1..days * 4 LOOP
		PERFORM aion_test.advance('6 hours');
		PERFORM aion_test.replay(id) FROM unnest(ids) id;
	END LOOP;
	RETURN QUERY SELECT i.n, w.status, w.result, split_part(aion_test.replay(i.id), ' ', 1)
		FROM unnest(ids) WITH ORDINALITY i(id, n) JOIN aion.workflow_run w ON w.workflow_id = i.id ORDER BY 1;
END $$;

BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('good ', 3,
	'[["sleep", "0"], ["now"], ["sleep", "1 day"], ["now"], ["until", "2026-01-02 12:00+00"], ["now"], ["until", "2020-01-01"], ["now"]]',
	'[["start", "a", "1 day"], ["now"], ["await", "a"], ["now"], ["await", "a"], ["cancel", "a"]]',
	'[["start", "a", "1 day"], ["sleep", "12 hours"], ["cancel", "a"], ["cancel", "a"], ["await", "a"], ["sleep", "1 day"], ["cancel", "a"]]',
	'[["start", "a", "1 day"], ["cancel", "a"], ["await", "a"], ["start", "a", "2 days"], ["await", "a"], ["now"], ["start", "a", "1 hour"], ["await", "a"], ["now"]]',
	'[["start", "a", "1 day"], ["start", "a", "1 hour"], ["await", "a"], ["start", "a", "1 hour"], ["await", "a"], ["now"]]',
	'[["start", "a", "1 day"], ["sleep", "2 days"], ["cancel", "a"], ["start", "a", "1 hour"], ["cancel", "a"]]',
	'[["start until", "a", "2026-01-02"], ["start until", "b", "2025-01-01"], ["await", "b"], ["await", "a"], ["now"]]',
	'[["cancel", "never"], ["start", "b", "2 days"]]');
-- The histories: what settled a timer is recorded once, and first recorded wins; what is cancelled
-- never fires, what was never started leaves nothing (33-37).
SELECT workflow_id, string_agg(event_type || ' ' || coalesce(key, '') || coalesce(' ' || (attributes ->> 'answer'), '')
		|| coalesce(' ' || (attributes ->> 'cause'), ''), ', ' ORDER BY seq) FILTER (WHERE event_type !~ '^Workflow') AS events
	FROM aion.history_event GROUP BY 1 ORDER BY 1;
-- Rows exist exactly while a timer is live (41).
SELECT count(*) FROM aion.timer;
-- Bad input is an error that the code can catch, and loses nothing (T43); code can neither start nor cancel a timer of a reserved name (40).
SELECT * FROM try('bad ', 1,
	'[["sleep", "-1 s"], ["sleep", "178000000 years"], ["sleep", null], ["until", "infinity"], ["until", "-infinity"], ["until", null], ["now"]]',
	'[["start", "", "1 s"], ["start", null, "1 s"], ["start", "a", null], ["start", "a", "-1 day"], ["start until", "a", "infinity"], ["now"]]',
	'[["start", "deadline:x", "1 s"], ["cancel", "deadline:"], ["start", "sleep:1", "1 s"], ["cancel", "sleep:1"], ["start", "schedule:x", "1 s"], ["cancel", "start:"], ["cancel", "retry:"]]',
	'[["await", "nonsense"], ["await", "timer:1:a"], ["start", "a", "1 s"], ["await", "timer:1:b"], ["await", "timer:1:a"], ["await", "timer:01:a"]]');
SELECT count(*) FROM aion.timer;
ROLLBACK;

-- Due is inclusive (32); the turn that wakes deletes the row and appends TimerFired in one transaction; firing twice records once (33).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('steps', '[["sleep", "1 hour"], ["sleep", "1 hour"]]', workflow_id => 'due');
SELECT aion_test.run_until_idle();
SELECT aion_test.advance('59 minutes 59.999999 seconds') AS turns;
SELECT timer, fire_at FROM aion.timer;
SELECT aion_test.advance('0.000001 seconds') AS turns;
SELECT timer, fire_at FROM aion.timer;
SELECT aion_test.advance('0') AS turns, aion_test.run_until_idle() AS more;
SELECT seq, recorded_at, event_type, key FROM aion.history('due');
ROLLBACK;

-- A timer of an earlier run never fires into a later one of the same id, even with the same name (36).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('steps', '[["sleep", "2 hours"]]', workflow_id => 'again');
SELECT aion_test.advance('1 hour');
SELECT aion.start_workflow('steps', '[["sleep", "2 hours"]]', workflow_id => 'again', if_running => 'terminate_existing');
SELECT aion_test.advance('1 hour');
SELECT run_key - min(run_key) OVER () AS run, status FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.advance('1 hour');
SELECT run_key - min(run_key) OVER () AS run, status FROM aion.workflow_run ORDER BY 1;
SELECT run_key - min(run_key) OVER () AS run, recorded_at, event_type, key, attributes ->> 'cause' AS cause FROM aion.history_event
	WHERE key IS NOT NULL ORDER BY run_key, seq;
ROLLBACK;

-- Many timers due at once fire in the order of their moments, each once.
CREATE FUNCTION many_timers(timers int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	handle aion.handle;
	handles aion.handle[];
BEGIN
	FOR i IN 1..timers LOOP
		handles := handles || aion.start_timer('t' || i, until => timestamptz '2025-01-01 00:00+00' + (i * 7919 % timers) * interval '1 second');
	END LOOP;
	FOREACH handle IN ARRAY handles LOOP
		PERFORM aion.await(handle);
	END LOOP;
	RETURN to_jsonb(timers);
END $$;
SELECT aion.register_workflow('many_timers', 'many_timers(int)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('many_timers', '{"timers": 500}', workflow_id => 'm', timeout => '1 day');
SELECT aion_test.run_until_idle(1);
SELECT count(*) FROM aion.timer;
SELECT aion_test.run_until_idle();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'm';
SELECT count(*), count(DISTINCT key), bool_and(in_order) AS in_order
	FROM (SELECT f.key, f.seq, (s.attributes ->> 'fire_at')::timestamptz >= lag((s.attributes ->> 'fire_at')::timestamptz) OVER (ORDER BY f.seq) AS in_order
		FROM aion.history('m') f JOIN aion.history('m') s ON s.key = f.key AND s.event_type = 'TimerStarted'
		WHERE f.event_type = 'TimerFired') x;
ROLLBACK;
SELECT aion.start_workflow('many_timers', '{"timers": 500}', workflow_id => 'm');
CALL aion.drive(1);
SELECT count(*) FROM aion.timer;
SELECT aion.terminate_workflow('m');
SELECT count(*) FROM aion.timer;
SELECT event_type, count(*) FROM aion.history('m') GROUP BY 1 ORDER BY 1;

-- Days and months are those of the time zone the code was registered under (T44), whichever session drives.
CREATE FUNCTION next_day() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 day'); RETURN aion.now(); END $$;
SET timezone = 'Europe/Berlin';
SELECT aion.register_workflow('next_day', 'next_day()') IS NOT NULL AS registered;
SET timezone = 'America/New_York';
BEGIN;
SELECT aion_test.begin('2026-03-28 12:00+00');
SELECT aion.start_workflow('next_day', workflow_id => 'd');
SELECT aion_test.run_until_idle();
SELECT fire_at AT TIME ZONE 'UTC' AS utc FROM aion.timer;
SELECT aion_test.advance('2 days');
SELECT result FROM aion.workflow_run WHERE workflow_id = 'd';
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();

-- The row of a timer whose run is gone is passed over, and the others fire (39).
INSERT INTO aion._timer (run_key, owner_key, name, fire_at, started_seq)
	SELECT -1, owner_key, 'orphan', '2020-01-01', 2 FROM aion._owner WHERE name = 'timer_user';
SET SESSION AUTHORIZATION timer_user;
SELECT aion.start_workflow('steps', '[["start until", "a", "2021-01-01"], ["await", "a"]]', workflow_id => 'beside an orphan');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'beside an orphan';
RESET SESSION AUTHORIZATION;
SELECT violation, detail FROM aion.check_integrity() ORDER BY 1;
DELETE FROM aion._timer WHERE name = 'orphan';
-- check_integrity() finds timers whose events contradict each other.
CREATE FUNCTION violations_of(sabotage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	ALTER TABLE aion._event DISABLE TRIGGER USER; -- histories cannot be changed
	EXECUTE sabotage;
	SELECT coalesce(string_agg(DISTINCT violation, ', ' ORDER BY violation), 'sound') INTO found FROM aion.check_integrity();
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = found;
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
	RETURN SQLERRM;
END $$;
SELECT violations_of(s) FROM unnest(ARRAY[
	$$UPDATE aion._event SET attributes = jsonb_set(attributes, '{fire_at}', to_jsonb(recorded_at + interval '1 day')) WHERE event_type = 'TimerStarted' AND key = 'a'$$,
	$$UPDATE aion._event SET event_type = 'TimerStarted' WHERE event_type = 'TimerFired' AND key = 'a'$$,
	$$UPDATE aion._event SET event_type = 'TimerFired' WHERE event_type = 'TimerStarted' AND key = 'a'$$]) s;
DROP FUNCTION violations_of(text);
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY timer_user CASCADE;
DROP ROLE timer_user;
CREATE EXTENSION aion;
