--
-- Letting runs that have ended go on (invariants 76-78, #222). The reference reopens failed and cancelled runs; the design
-- reopens terminated ones as well, and makes a failure again only if the code gave no command after it.
--
CREATE ROLE reopen_user LOGIN;
CREATE ROLE reopen_other LOGIN;
SELECT aion.grant_usage('reopen_user'), aion.grant_usage('reopen_other');
GRANT CREATE ON SCHEMA public TO reopen_user;
SET SESSION AUTHORIZATION reopen_user;
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
\set sound 'RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity(); SET SESSION AUTHORIZATION reopen_user;'
CREATE TABLE effect (what text, n int GENERATED ALWAYS AS IDENTITY);
CREATE TABLE broken (what text);
CREATE FUNCTION act(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM broken b WHERE b.what = act.what) THEN RAISE EXCEPTION '% is broken', what; END IF;
	INSERT INTO effect VALUES (what);
	RETURN what;
END $$;
SELECT aion.register_activity('act', 'act(text)'), aion.register_activity('ask', mode => 'external', start_to_close_timeout => '1 hour', retry => '{"max_attempts": 1}');

-- A failed activity is made again; what succeeded is not, and a failure that the code has handled stays (invariant 76).
CREATE FUNCTION steps() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('act', '{"what": "a"}');
	BEGIN
		PERFORM aion.run('act', '{"what": "handled"}');
	EXCEPTION WHEN SQLSTATE 'WA001' THEN
		NULL;
	END;
	PERFORM aion.run('act', '{"what": "b"}');
	RETURN aion.run('act', '{"what": "c"}') ->> 0;
END $$;
SELECT aion.register_workflow('steps', 'steps()') IS NOT NULL AS registered;
INSERT INTO broken VALUES ('handled'), ('b'), ('c');
SELECT aion.start_workflow('steps', workflow_id => 's');
CALL aion.drive();
SELECT status, error ->> 'message' AS error FROM aion.workflow_run;
DELETE FROM broken WHERE what IN ('handled', 'b');
SELECT aion.reopen_workflow('s', 'b is mended');
:sound
SELECT status, closed_at, error FROM aion.workflow_run;
CALL aion.drive();
SELECT status, error ->> 'message' AS error FROM aion.workflow_run;
-- Again, from the newest failure.
DELETE FROM broken;
SELECT aion.reopen_workflow('s', 'and c');
SELECT aion.reopen_workflow('s');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run;
SELECT what FROM effect ORDER BY n;
SELECT seq, event_type, key, attributes - 'error' - 'input' - 'version' AS attributes FROM aion.history('s') WHERE seq > 1;
SELECT regexp_replace(regexp_replace(line, '^ +\S+', '    ...'), 'version \w+', 'version ...') FROM aion.explain('s') line;
SELECT jsonb_agg(r - 'at') FROM jsonb_array_elements(aion.describe_workflow('s') -> 'reopened') r;
SELECT aion_test.replay('s');
:sound
SELECT aion.reopen_workflow('s');

-- Of a fan-out all that failed are made again, and what it cancelled; successes are reused.
CREATE FUNCTION fan() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.map('act', '[{"what": "f1"}, {"what": "f2"}, {"what": "f3"}, {"what": "f4"}]'); END $$;
CREATE FUNCTION fan_out() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.map('ask', '[1, 2, 3, 4]'); END $$;
CREATE FUNCTION fan_settled() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	outcomes jsonb := aion.map_settled('act', '[{"what": "f1"}, {"what": "f2"}, {"what": "f3"}]');
BEGIN
	IF outcomes @? '$[*].error' THEN RAISE EXCEPTION 'not all of them'; END IF;
	RETURN outcomes;
END $$;
SELECT count(aion.register_workflow(w, (w || '()')::regprocedure)) FROM unnest('{fan,fan_out,fan_settled}'::text[]) w;
TRUNCATE effect;
INSERT INTO broken VALUES ('f1'), ('f3');
SELECT aion.start_workflow('fan', workflow_id => 'fan'), aion.start_workflow('fan_settled', workflow_id => 'fan_settled');
CALL aion.drive();
SELECT workflow_id, status, error ->> 'message' AS error FROM aion.workflow_run WHERE workflow_id ~ '^fan' ORDER BY 1;
DELETE FROM broken;
SELECT aion.reopen_workflow('fan'), aion.reopen_workflow('fan_settled');
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^fan' ORDER BY 1;
SELECT what, count(*) FROM effect GROUP BY 1 ORDER BY 1;
-- ... also of those that go a few at a time: after the failure no more are asked for.
CREATE FUNCTION fan_capped() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.map('act', '[{"what": "f1"}, {"what": "f2"}, {"what": "f3"}, {"what": "f4"}]', '{"concurrency": 2}'); END $$;
SELECT aion.register_workflow('fan_capped', 'fan_capped()') IS NOT NULL;
TRUNCATE effect;
INSERT INTO broken VALUES ('f1');
SELECT aion.start_workflow('fan_capped', workflow_id => 'fan_capped');
CALL aion.drive();
SELECT event_type, key FROM aion.history('fan_capped') ORDER BY seq;
DELETE FROM broken;
SELECT aion.reopen_workflow('fan_capped');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'fan_capped';
SELECT what, count(*) FROM effect GROUP BY 1 ORDER BY 1;
-- ... of workers: one has succeeded, one fails, one is with a worker, one waits; the worker that held one holds it no more, keys are the same.
SELECT aion.start_workflow('fan_out', workflow_id => 'fan_out');
CALL aion.drive();
CREATE TABLE held AS SELECT * FROM aion.poll_activities('{default}', 'w', max_tasks => 3);
SELECT aion.complete_activity(task_token, input) FROM held WHERE input = '1';
SELECT aion.fail_activity(task_token, 'no') FROM held WHERE input = '2';
CALL aion.drive();
SELECT status, error ->> 'message' AS error FROM aion.workflow_run WHERE workflow_id = 'fan_out';
SELECT aion.heartbeat_activity(task_token) AS cancelled FROM held WHERE input = '3';
SELECT aion.reopen_workflow('fan_out');
:sound
SELECT aion.heartbeat_activity(task_token) AS cancelled FROM held WHERE input = '3';
CALL aion.drive();
:sound
CREATE TABLE again AS SELECT * FROM aion.poll_activities('{default}', 'w', max_tasks => 10);
SELECT a.input, a.attempt, a.idempotency_key = h.idempotency_key AS same_key, a.task_token = h.task_token AS same_token FROM again a LEFT JOIN held h USING (input) ORDER BY 1;
SELECT aion.complete_activity(task_token, '0') FROM held WHERE input = '3';
SELECT aion.complete_activity(task_token, input) FROM again;
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'fan_out';
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run WHERE workflow_id ~ '^fan';
:sound

-- What the code asked for after the failure stands in the way: the hint says where to fork.
CREATE FUNCTION compensates() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run('act', '{"what": "pay"}') ->> 0;
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	PERFORM aion.run('act', '{"what": "refund"}');
	RAISE;
END $$;
CREATE FUNCTION gives_up() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run('act', '{"what": "pay"}') ->> 0;
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RAISE EXCEPTION 'cannot pay';
END $$;
SELECT count(aion.register_workflow(w, (w || '()')::regprocedure)) FROM unnest('{compensates,gives_up}'::text[]) w;
INSERT INTO broken VALUES ('pay');
SELECT aion.start_workflow('compensates', workflow_id => 'compensates'), aion.start_workflow('gives_up', workflow_id => 'gives_up');
CALL aion.drive();
DELETE FROM broken;
SELECT aion.reopen_workflow('compensates');
SELECT count(*), max(seq) FROM aion.history('compensates');
SELECT aion.fork_workflow('compensates', 2, 'compensates again');
SELECT aion.reopen_workflow('gives_up');
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id IN ('compensates', 'compensates again', 'gives_up') ORDER BY 1;

-- A run whose code failed by itself ends so again, unless it gets other code; versions are as for set_workflow_version.
CREATE FUNCTION buggy() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "once"}'); RETURN 1 / 0; END $$;
SELECT aion.register_workflow('buggy', 'buggy()') IS NOT NULL AS registered;
SELECT aion.start_workflow('buggy', workflow_id => 'buggy');
CALL aion.drive();
SELECT aion.reopen_workflow('buggy');
CALL aion.drive();
SELECT status, error ->> 'message' AS error, history_events FROM aion.workflow_run WHERE workflow_id = 'buggy';
CREATE OR REPLACE FUNCTION buggy() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "once"}'); RETURN 1 / 1; END $$;
SELECT version AS mended FROM aion.workflow_version WHERE workflow_type = 'buggy' AND routed \gset
SELECT aion.reopen_workflow('buggy', version => 'no such');
SELECT aion.reopen_workflow('buggy', 'new code', :'mended');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'buggy';
SELECT count(*) FROM effect WHERE what = 'once';
SELECT seq, event_type FROM aion.history('buggy') WHERE seq > 4;

-- Timers that the end has cancelled are live again, for the moment they were due at; what the code has cancelled, and what
-- has fired, stays so (invariant 77). What is past due fires at once.
CREATE FUNCTION timers() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	first aion.handle := aion.start_timer('first', '1 hour');
	second aion.handle := aion.start_timer('second', '3 hours');
BEGIN
	PERFORM aion.start_timer('fired', '1 minute');
	PERFORM aion.start_timer('dropped', '2 hours');
	PERFORM aion.cancel_timer('dropped');
	PERFORM aion.sleep('30 min');
	PERFORM aion.await_all(ARRAY[first, second]);
	RETURN aion.now();
END $$;
SELECT aion.register_workflow('timers', 'timers()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('timers', workflow_id => 't', timeout => '5 hours'), aion.start_workflow('timers', workflow_id => 'u', timeout => '1 hour'),
	aion.start_workflow('timers', workflow_id => 'v', start_at => '2026-01-01 05:00');
SELECT aion_test.advance('10 min') > 0 AS ran;
SELECT aion.terminate_workflow(w, 'a mistake') FROM unnest('{t,u,v}'::text[]) w;
SELECT count(*) FROM aion.timer;
SELECT aion_test.advance('2 hours');
SELECT aion.reopen_workflow(w, 'it was a mistake') FROM unnest('{t,u,v}'::text[]) w;
:sound
-- The reference never arms the run's timeout again. Here it holds if it is still ahead; one that is over is not begun again.
SELECT workflow_id, timer, fire_at FROM aion.timer ORDER BY 1, 2;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, timer, fire_at FROM aion.timer ORDER BY 1, 2;
SELECT aion_test.advance('50 min') > 0 AS ran;
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id IN ('t', 'u', 'v') ORDER BY 1;
SELECT seq, recorded_at, event_type, key, attributes FROM aion.history('t') WHERE seq > 9;
-- and again
SELECT aion.terminate_workflow('v', 'again'), aion.reopen_workflow('v'), aion.terminate_workflow('v'), aion.reopen_workflow('v');
:sound
SELECT aion_test.advance('1 day') > 0 AS ran;
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id IN ('t', 'u', 'v') ORDER BY 1;
SELECT workflow_id, left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run WHERE workflow_id IN ('t', 'u', 'v') ORDER BY 1;
:sound
ROLLBACK;

-- A paused or blocked run that was ended is neither afterwards.
CREATE FUNCTION blocks() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('unknown'); END $$;
SELECT aion.register_workflow('blocks', 'blocks()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('blocks', workflow_id => 'b');
SELECT aion_test.run_until_idle();
SELECT aion.pause_workflow('b'), aion.terminate_workflow('b'), aion.reopen_workflow('b');
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'b';
:sound
SELECT aion_test.run_until_idle();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'b';
:sound
ROLLBACK;

-- Refused: what is open, what has completed, what has timed out, what has a newer run that is open; nothing is changed by that.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('timers', workflow_id => 'late', timeout => '1 minute'), aion.start_workflow('timers', workflow_id => 'done');
SELECT aion_test.advance('1 day') > 0 AS ran;
SAVEPOINT a;
SELECT aion.reopen_workflow('late');
ROLLBACK TO a;
SELECT aion.reopen_workflow('done');
ROLLBACK TO a;
SELECT aion.reopen_workflow('no such');
ROLLBACK TO a;
SELECT aion.start_workflow('timers', workflow_id => 'done');
SELECT aion.reopen_workflow('done');
ROLLBACK;
SELECT aion.reopen_workflow(NULL);
SET SESSION AUTHORIZATION reopen_other;
SELECT aion.reopen_workflow('fan');
SET SESSION AUTHORIZATION reopen_user;
:sound

-- A signal that came before the end is there once afterwards, and consumed it is not listed (25).
CREATE FUNCTION hears() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN jsonb_build_array(aion.try_receive('a'), aion.try_receive('a')); END $$;
SELECT aion.register_workflow('reopen hears', 'hears()') IS NOT NULL AS registered;
SELECT aion.start_workflow('reopen hears', workflow_id => 'hears');
CALL aion.drive();
SELECT aion.signal_workflow('hears', 'a', '1'), aion.terminate_workflow('hears'), aion.reopen_workflow('hears');
SELECT aion.signal_workflow('hears', 'go');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'hears';
SELECT name, payload FROM aion.unconsumed_signal WHERE workflow_id = 'hears';
:sound
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY reopen_user, reopen_other CASCADE;
DROP ROLE reopen_user, reopen_other;
CREATE EXTENSION aion;
