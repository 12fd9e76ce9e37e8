--
-- New runs from a prefix of a history.
--
CREATE ROLE fork_user LOGIN;
CREATE ROLE fork_other LOGIN;
CREATE ROLE fork_admin LOGIN;
SELECT aion.grant_usage('fork_user'), aion.grant_usage('fork_other'), aion.grant_usage('fork_admin', 'admin');
GRANT CREATE ON SCHEMA public TO fork_user;
SET SESSION AUTHORIZATION fork_user;
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
\set sound 'RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity(); SET SESSION AUTHORIZATION fork_user;'
CREATE TABLE effect (what text, n int GENERATED ALWAYS AS IDENTITY);
CREATE FUNCTION act(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO effect VALUES (what) RETURNING what $$;
SELECT aion.register_activity('act', 'act(text)'), aion.register_activity('ask', mode => 'external', start_to_close_timeout => '1 hour');
CREATE FUNCTION three(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	answers jsonb := '[]';
BEGIN
	FOR i IN 1..3 LOOP
		answers := answers || aion.run('act', jsonb_build_object('what', i));
	END LOOP;
	RETURN answers;
END $$;
SELECT aion.register_workflow('three', 'three(jsonb)') IS NOT NULL AS registered;
SELECT aion.start_workflow('three', '{"a": 1}', workflow_id => 'o', search_attributes => '{"k": 1}', memo => '"m"');
CALL aion.drive();
SELECT seq, event_type, key FROM aion.history('o');

-- At every event: what the prefix has is not made again; between a command and its outcome the activity is made again; at the
-- end of a closed run everything but its end is kept. The old run is not changed.
SELECT count(aion.fork_workflow('o', n, 'f' || n)) FROM generate_series(1, 8) n;
SELECT workflow_id, status, history_events, input, search_attributes, memo FROM aion.workflow_run ORDER BY 1;
:sound
TRUNCATE effect;
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY 1;
SELECT what, count(*) FROM effect GROUP BY 1 ORDER BY 1;
SELECT workflow_id, count(*) FROM aion.history_event GROUP BY 1 ORDER BY 1;
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run;
SELECT seq, event_type, attributes - 'version' - 'input' #- '{forked_from,run_id}' #- '{origins,0,run_id}' AS attributes FROM aion.history('f3');
SELECT regexp_replace(regexp_replace(line, '^ +\S+', '    ...'), 'version \w+', 'version ...') FROM aion.explain('f3') line;
SELECT aion.describe_workflow('f3') -> 'forked_from' ->> 'workflow_id' AS forked_from;
SELECT count(DISTINCT run_id) FROM aion.workflow_run;
:sound

-- What there is not.
SELECT aion.fork_workflow('o', 0);
SELECT aion.fork_workflow('o', -1);
SELECT aion.fork_workflow('o', 9);
SELECT aion.fork_workflow('o', NULL);
SELECT aion.fork_workflow('no such', 1);
SELECT aion.fork_workflow('o', 1, '');
SELECT aion.fork_workflow('o', 1, version => 'no such');
SELECT aion.start_workflow('three', workflow_id => 'open', start_at => '2100-01-01');
SELECT aion.fork_workflow('o', 1, 'open');
SET SESSION AUTHORIZATION fork_other;
SELECT aion.fork_workflow('o', 1);
-- An administrator may; the run belongs to whom the old one belongs.
SET SESSION AUTHORIZATION fork_admin;
SELECT length(aion.fork_workflow('o', 4));
SELECT owner, count(*) FROM aion.workflow_run GROUP BY 1;
SET SESSION AUTHORIZATION fork_user;
-- The old workflow id can be used again, if no run of it is open.
SELECT aion.fork_workflow('o', 4, 'o');
SELECT aion.fork_workflow('o', 2, 'o');
BEGIN;
SELECT aion.fork_workflow('f1', 2, 'gone');
ROLLBACK;
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 'gone';
CALL aion.drive();
SELECT aion.terminate_workflow('open');

-- Of an open run, in the middle of what it asked for in one turn. Activities of workers are handed over again, timers are live for
-- the moment they were due at, chance, time and names are what they were as far as the history goes, and anew after that.
CREATE FUNCTION mixed() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	known jsonb := jsonb_build_array(aion.workflow_id(), aion.run_id(), aion.random(), aion.uuid(), aion.now());
	asked aion.handle;
	timer aion.handle;
BEGIN
	PERFORM aion.run('act', jsonb_build_object('what', known));
	asked := aion.start_activity('ask', '1');
	timer := aion.start_timer('t', '1 hour');
	PERFORM aion.start_timer('long', '1 day');
	PERFORM aion.await(timer);
	PERFORM aion.await(asked);
	RETURN jsonb_build_array(aion.workflow_id(), aion.run_id(), aion.uuid());
END $$;
SELECT aion.register_workflow('mixed', 'mixed()') IS NOT NULL AS registered;
SELECT aion.start_workflow('mixed', workflow_id => 'm', timeout => '1 week');
CALL aion.drive();
SELECT seq, event_type, key FROM aion.history('m');
SELECT count(aion.fork_workflow('m', n, 'm' || n)) FROM generate_series(1, 7) n;
:sound
CALL aion.drive();
SELECT workflow_id, status, blocked, awaiting, key, (SELECT string_agg(timer, ' ' ORDER BY timer) FROM aion.timer t WHERE t.run_key = r.run_key) AS timers
	FROM aion.workflow_run r JOIN aion.pending_await p USING (run_key, workflow_id) WHERE workflow_id ~ '^m' ORDER BY 1;
-- due at the same moment as the original's where that was recorded; the timeout begins anew
SELECT t.workflow_id, t.timer, t.fire_at = o.fire_at AS same FROM aion.timer t JOIN aion.timer o USING (timer) WHERE o.workflow_id = 'm' AND t.workflow_id ~ '^m[0-9]' ORDER BY 1, 2;
SELECT workflow_id, attempt FROM aion.poll_activities('{default}', 'w', max_tasks => 20) ORDER BY 1;
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run WHERE workflow_id ~ '^m';
:sound
SELECT aion.terminate_workflow(workflow_id) FROM aion.workflow_run WHERE workflow_id ~ '^m' AND workflow_id NOT IN ('m', 'm6');
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('mixed', workflow_id => 'v');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT aion_test.advance('2 hours') > 0 AS ran;
SELECT aion.fork_workflow('v', 7, 'past due');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, awaiting, key FROM aion.pending_await WHERE workflow_id IN ('v', 'past due') ORDER BY 1;
SELECT seq, recorded_at, event_type, key FROM aion.history('past due');
SELECT aion.fork_workflow('past due', 7, 'of a fork');
SELECT jsonb_path_query_array(attributes, '$.origins[*].commands') AS commands, jsonb_path_query_array(attributes, '$.origins[*].workflow_id') AS ids FROM aion.history('of a fork') WHERE seq = 1;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, status, awaiting, key FROM aion.workflow_run JOIN aion.pending_await USING (run_key, workflow_id) WHERE workflow_id = 'of a fork';
-- a scheduled run forks into a scheduled one
SELECT aion.start_workflow('three', workflow_id => 'later', start_at => '2026-01-02', timeout => '1 hour');
SELECT aion.fork_workflow('later', 1, 'later too');
SELECT status, (SELECT string_agg(timer || ' ' || fire_at, ', ' ORDER BY timer) FROM aion.timer WHERE workflow_id = 'later too') AS timers FROM aion.workflow_run WHERE workflow_id = 'later too';
:sound
ROLLBACK;

-- A prefix with a reopen in it: what it took back is not in the new run; before it, it is.
CREATE TABLE broken ();
CREATE FUNCTION fragile() RETURNS text LANGUAGE plpgsql AS $$ BEGIN IF NOT EXISTS (SELECT FROM broken) THEN RAISE EXCEPTION 'broken'; END IF; RETURN 'whole'; END $$;
CREATE FUNCTION tries() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('fragile'); END $$;
SELECT aion.register_activity('fragile', 'fragile()'), aion.register_workflow('tries', 'tries()') IS NOT NULL AS registered;
SELECT aion.start_workflow('tries', workflow_id => 'x');
CALL aion.drive();
INSERT INTO broken DEFAULT VALUES;
SELECT aion.reopen_workflow('x');
CALL aion.drive();
SELECT seq, event_type FROM aion.history('x');
SELECT count(aion.fork_workflow('x', n, 'x' || n)) FROM generate_series(1, 7) n;
CALL aion.drive();
SELECT workflow_id, status, result, (SELECT string_agg(event_type, ' ' ORDER BY seq) FROM aion.history_event h WHERE h.run_key = r.run_key) AS history
	FROM aion.workflow_run r WHERE workflow_id ~ '^x' ORDER BY 1;
:sound

-- Signals that had been received are behind the new run, too: what its code has consumed there it consumes again, the rest waits for
-- it, and an id that was known is known.
CREATE FUNCTION hears() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN jsonb_build_array(aion.receive('a'), aion.run('act', '{"what": "heard"}'), aion.receive('a')); END $$;
SELECT aion.register_workflow('hears', 'hears()') IS NOT NULL AS registered;
SELECT aion.start_workflow('hears', workflow_id => 'h');
SELECT aion.signal_workflow('h', 'a', '1', 'id 1'), aion.signal_workflow('h', 'b', '2', 'id 2');
CALL aion.drive();
SELECT aion.fork_workflow('h', 3, 'h3'), aion.fork_workflow('h', 5, 'h5');
CALL aion.drive();
SELECT w, aion.signal_workflow(w, 'a', '3', 'id 1') AS again, aion.signal_workflow(w, 'a', '4', 'id 3') AS new FROM unnest('{h,h3,h5}'::text[]) w;
CALL aion.drive();
SELECT workflow_id, status, result, left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run WHERE workflow_id ~ '^h' ORDER BY 1;
SELECT workflow_id, name, payload FROM aion.unconsumed_signal WHERE workflow_id ~ '^h' ORDER BY 1, 2;
:sound

-- Other code for the new run.
CREATE OR REPLACE FUNCTION three(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('act', '{"what": 1}') || '"new"'; END $$;
SELECT version AS new FROM aion.workflow_version WHERE workflow_type = 'three' AND routed \gset
SELECT aion.fork_workflow('f8', 3, 'new code', :'new'), aion.fork_workflow('f8', 3, 'old code'), aion.fork_workflow('f8', 4, 'no match', :'new');
CALL aion.drive();
SELECT workflow_id, version = :'new' AS is_new, status, blocked, result FROM aion.workflow_run WHERE workflow_id IN ('new code', 'old code', 'no match') ORDER BY 1;
:sound
-- An activity forks and replays other runs than its own, which is not recorded yet.
CREATE FUNCTION forks(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE what WHEN 'itself' THEN aion.fork_workflow('forks itself', 1, 'never') WHEN 'replay' THEN left(aion_test.replay('forks replay'), 2) ELSE aion.fork_workflow('o', 1, 'forked by an activity') END;
END $$;
SELECT aion.register_activity('forks', 'forks(text)');
CREATE FUNCTION forking(what text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": 1}'); RETURN aion.run('forks', jsonb_build_object('what', what)); END $$;
SELECT aion.register_workflow('forking', 'forking(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('forking', jsonb_build_object('what', what), workflow_id => 'forks ' || what) FROM unnest('{itself,replay,others}'::text[]) what;
CALL aion.drive();
SELECT workflow_id, status, result, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_type = 'forking' ORDER BY 1;
:sound
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY fork_user, fork_other, fork_admin CASCADE;
DROP ROLE fork_user, fork_other, fork_admin;
CREATE EXTENSION aion;
