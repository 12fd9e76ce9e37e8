--
-- Runs that go on as new ones. Numbers in parentheses are those of the reference's invariants.
--
CREATE ROLE continue_user LOGIN;
SELECT aion.grant_usage('continue_user');
GRANT CREATE ON SCHEMA public TO continue_user;
CREATE FUNCTION continue_sound() RETURNS TABLE (violation text, detail text) LANGUAGE sql SECURITY DEFINER AS 'SELECT violation, detail FROM aion.check_integrity()';
SET SESSION AUTHORIZATION continue_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- A subscription: one run per period. Whatever catches errors gets nothing to catch, and nothing after it happens.
CREATE FUNCTION period(n int, until int, note text DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
	given jsonb;
BEGIN
	PERFORM aion.publish('period', to_jsonb(n));
	PERFORM aion.upsert_search_attributes(jsonb_build_object('period', n));
	IF n = 1 THEN PERFORM aion.publish('from the first', '"still there"'); END IF;
	PERFORM aion.start_timer('leftover', '1 year');
	PERFORM aion.start_activity('continue_never');
	given := aion.receive('note', '1 month');
	IF given IS NOT NULL THEN note := coalesce(note || ', ', '') || (given #>> '{}') || ' in ' || n; END IF;
	IF n = until THEN RETURN jsonb_build_object('period', n, 'note', note); END IF;
	BEGIN
		PERFORM aion.continue_as_new(jsonb_build_object('n', n + 1, 'until', until, 'note', note));
	EXCEPTION WHEN OTHERS THEN
		PERFORM aion.run('continue_never');
	END;
	RAISE EXCEPTION 'not reached';
END $$;
SELECT aion.register_workflow('continue_period', 'period(int, int, text)') IS NOT NULL AS registered;
SELECT aion.register_activity('continue_never', mode => 'external', start_to_close_timeout => '1 h') IS NULL AS registered;
-- Goes on by some time, and replays everything.
CREATE FUNCTION pass(duration interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion_test.run_until_idle();
	PERFORM aion_test.advance(duration);
	RETURN QUERY SELECT line FROM aion.workflow_run w, aion_test.replay(w.workflow_id) line WHERE line !~ '^ok' ORDER BY 1;
END $$;
CREATE VIEW continue_events AS SELECT w.workflow_id, w.run_key, h.seq, concat_ws(' ', h.event_type, h.key,
		(coalesce(h.attributes, '{}') - '{run_key,run_id,version,started_by,parents,continues,fire_at,carried_from}'::text[])::text) AS event
	FROM aion.workflow_run w JOIN aion.history_event h USING (run_key);

BEGIN;
SELECT aion_test.begin('2026-01-31 00:00+00');
SELECT aion.start_workflow('continue_period', '{"n": 1, "until": 4}', workflow_id => 'sub', timeout => '40 days', search_attributes => '{"customer": 7}', memo => '{"m": 1}', task_queue => 'q');
SELECT pass('1 day');
SELECT aion.signal_workflow('sub', 'note', '"a"', 'id 1'), aion.signal_workflow('sub', 'note', '"b"', 'id 2'), aion.signal_workflow('sub', 'other', '"o1"'), aion.signal_workflow('sub', 'note', '"c"'), aion.signal_workflow('sub', 'other', '"o2"');
SELECT aion.signal_workflow('sub', 'note', '"b again"', 'id 2') AS known;
SELECT pass('1 day');
-- One run is open; it has what the ones before it had (68), and the signals that they have not consumed, in order (70). Ids of signals are known to all of them.
-- Tasks of the earlier runs are settled when they go on (69; the reference lets them finish, though no run needs them).
SELECT status, (input -> 'n')::int AS n, search_attributes, memo, continues_run_id = lag(run_id) OVER (ORDER BY run_key) AS continues FROM aion.workflow_run WHERE workflow_id = 'sub' ORDER BY run_key;
SELECT run_key - min(run_key) OVER () + 1 AS run, seq, event FROM continue_events WHERE workflow_id = 'sub' ORDER BY 1, 2;
SELECT aion.signal_workflow('sub', 'note', '"a again"', 'id 1') AS known;
SELECT DISTINCT ON (run_key) attributes -> 'deadline' AS deadline, recorded_at FROM aion.history_event h WHERE workflow_id = 'sub' ORDER BY run_key DESC, seq LIMIT 1;
SELECT timer, fire_at FROM aion.timer WHERE workflow_id = 'sub' ORDER BY 1;
SELECT count(*) AS tasks_of_earlier_runs FROM aion.activity_task t JOIN aion.workflow_run w USING (run_key) WHERE t.workflow_id = 'sub' AND w.status = 'continued_as_new' AND t.state IN ('waiting', 'claimed');
SELECT aion.query_workflow('sub', 'period') AS period, aion.query_workflow('sub', 'from the first') AS kept;
SELECT count(*) FROM aion.unconsumed_signal;
SELECT * FROM continue_sound();
-- A workflow id means its open run, else its latest; a session that waits for it waits for the last run of the chain.
SELECT pass('2 months');
SELECT aion.await_workflow('sub');
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'sub' ORDER BY run_key;
SELECT aion.describe_workflow('sub', (SELECT run_id FROM aion.workflow_run WHERE workflow_id = 'sub' ORDER BY run_key LIMIT 1)) ->> 'continued_as' =
	(SELECT run_id::text FROM aion.workflow_run WHERE workflow_id = 'sub' ORDER BY run_key LIMIT 1 OFFSET 1) AS continued_as;
SELECT name, payload, dedup_id FROM aion.unconsumed_signal ORDER BY sent_at, payload;
SELECT regexp_replace(line, '[0-9a-f-]{36}|[0-9a-f]{16}', 'x') FROM aion.explain('sub') line;
-- Each run is purged by itself, and the ids of signals with the last.
SELECT aion.purge_workflows('0', status => '{continued_as_new}');
SELECT * FROM continue_sound();
SELECT aion.purge_workflows('0');
SELECT * FROM continue_sound();
ROLLBACK;

-- The new run uses the routed version, or is another workflow altogether; ordinals begin again (68), and its code can be unknown yet or not fit.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION versioned(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep('1 h');
	PERFORM aion.run_sql('SELECT 1');
	PERFORM aion.continue_as_new(jsonb_build_object('n', n + 1));
END $$;
SELECT aion.register_workflow('continue_versioned', 'versioned(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_versioned', '{"n": 1}', workflow_id => 'v');
SELECT aion_test.advance('90 min') > 0 AS went_on;
CREATE OR REPLACE FUNCTION versioned(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep('1 min');
	PERFORM aion.continue_as_new(jsonb_build_object('m', n + 1), 'continue_else');
END $$;
SELECT aion.register_workflow('continue_versioned', 'versioned(int)') IS NOT NULL AS registered;
SELECT pass('1 h');
SELECT workflow_type, dense_rank() OVER (PARTITION BY workflow_type ORDER BY version) AS version, status, blocked, input FROM aion.workflow_run WHERE workflow_id = 'v' ORDER BY run_key;
SELECT attributes #>> '{detail,message}' FROM aion.history('v') WHERE event_type = 'WorkflowBlocked';
CREATE FUNCTION something_else(k int) RETURNS int LANGUAGE sql AS $$ SELECT k $$;
SELECT aion.register_workflow('continue_else', 'something_else(int)') IS NOT NULL AS registered;
SELECT pass('0');
-- 11.22: neither fails the run, which goes on when it is mended.
SELECT workflow_type, status, blocked, input FROM aion.workflow_run WHERE workflow_id = 'v' ORDER BY run_key;
CREATE FUNCTION something_else_again(m int) RETURNS int LANGUAGE sql AS $$ SELECT m $$;
SELECT aion.register_workflow('continue_else', 'something_else_again(int)') IS NOT NULL AS registered;
SELECT pass('0');
SELECT workflow_type, status, result FROM aion.workflow_run WHERE workflow_id = 'v' ORDER BY run_key;
SELECT run_key - min(run_key) OVER () + 1 AS run, seq, event FROM continue_events WHERE workflow_id = 'v' ORDER BY 1, 2;
-- Arguments that make no sense are errors of the code.
CREATE FUNCTION nonsense(arguments text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT aion.continue_as_new(%s)', arguments);
	RETURN 'not reached';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT aion.register_workflow('continue_nonsense', 'nonsense(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_nonsense', jsonb_build_object('arguments', a), workflow_id => 'n ' || n) FROM (VALUES (1, '''{}'', ''''', 'x'), (2, '(''"'' || repeat(''x'', 20000000) || ''"'')::jsonb', 'y')) v(n, a);
SELECT pass('0');
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_id ~ '^n ' ORDER BY 1;
-- Code that goes on too early, or no more, differs from its history (13).
CREATE FUNCTION extra(n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 h'); PERFORM aion.continue_as_new('{"n": 1}'); END $$;
SELECT aion.register_workflow('continue_extra', 'extra(int)') AS first_version \gset
SELECT aion.start_workflow('continue_extra', '{"n": 0}', workflow_id => 'extra');
SELECT pass('0');
CREATE OR REPLACE FUNCTION extra(n int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.continue_as_new('{"n": 1}'); END $$;
SELECT aion.register_workflow('continue_extra', 'extra(int)') IS NOT NULL AS registered;
SELECT aion.set_workflow_version('extra') IS NOT NULL AS moved;
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'extra';
SELECT attributes -> 'detail' FROM aion.history('extra') WHERE event_type = 'WorkflowBlocked';
SELECT aion.set_workflow_version('extra', :'first_version') = :'first_version' AS moved;
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion_test.replay('extra', :'first_version') ~ '^ok' AS replays, aion_test.replay('extra') ~ '^not ok' AS differs;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'extra';
SELECT * FROM continue_sound();
ROLLBACK;

-- Requests to end, pause or move a workflow apply to its open run; its end is told to the parent through the chain.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION parent() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run_child('continue_period', '{"n": 1, "until": 3}', 'kid');
END $$;
SELECT aion.register_workflow('continue_parent', 'parent()') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_parent', workflow_id => 'p');
SELECT aion_test.advance('70 days') > 0 AS went_on;
SELECT aion.pause_workflow('kid'), aion.resume_workflow('kid');
SELECT parent_workflow_id, status FROM aion.workflow_run WHERE workflow_id = 'kid' ORDER BY run_key;
SELECT aion.terminate_workflow('kid', 'stop it');
SELECT pass('0');
SELECT status, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id = 'p';
-- A child that is reopened in its last run, and its parent after it: what it comes to at last counts (63).
SELECT aion.reopen_workflow('kid'), aion.reopen_workflow('p');
SELECT pass('70 days');
SELECT workflow_id, status, result FROM aion.workflow_run WHERE result IS NOT NULL ORDER BY 1;
SELECT event FROM continue_events WHERE workflow_id = 'p' AND event ~ 'Child' ORDER BY seq;
-- A run that went on cannot be reopened, a fork of it is a run of its own.
SELECT aion.fork_workflow('kid', 5, 'fork of kid');
SELECT pass('100 days');
SELECT parent_workflow_id, continues_run_id, result FROM aion.workflow_run WHERE workflow_id = 'fork of kid';
SELECT * FROM continue_sound();
ROLLBACK;

-- A cancel request that the code was not told goes along, and is told by the next run. What several primitives append at once is
-- in the order in which aion.c lists them, here signals before requests, whichever came first.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION shielded(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF n = 1 THEN
		PERFORM aion.shield(true), aion.sleep('1 h');
		PERFORM aion.continue_as_new('{"n": 2}');
	END IF;
	PERFORM aion.sleep('1 h');
	RETURN 'not told';
EXCEPTION WHEN SQLSTATE 'WF028' THEN
	RETURN format('told in run %s', n);
END $$;
SELECT aion.register_workflow('continue_shielded', 'shielded(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_shielded', '{"n": 1}', workflow_id => 'shielded');
SELECT aion_test.advance('1 min') > 0 AS went_on;
SELECT aion.cancel_workflow('shielded', 'why not');
SELECT aion.signal_workflow('shielded', 'unread');
SELECT pass('3 h');
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'shielded' ORDER BY run_key;
SELECT run_key - min(run_key) OVER () + 1 AS run, seq, event FROM continue_events WHERE workflow_id = 'shielded' ORDER BY 1, 2;
SELECT * FROM continue_sound();
ROLLBACK;

-- When it is time: the answer is the same in every replay, whatever the setting is then (17). A history beyond it gives a warning.
RESET SESSION AUTHORIZATION;
SET aion.max_history_events = 20;
SET SESSION AUTHORIZATION continue_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION loops(n int DEFAULT 0, much int DEFAULT 10) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..much LOOP
		PERFORM aion.sleep('1 min');
		n := n + 1;
		IF much = 10 AND aion.continue_suggested() THEN PERFORM aion.continue_as_new(jsonb_build_object('n', n)); END IF;
		IF n = 10 AND much = 10 THEN RETURN n; END IF;
	END LOOP;
	RETURN n;
END $$;
SELECT aion.register_workflow('continue_loops', 'loops(int, int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_loops', workflow_id => 'loops');
SELECT aion_test.advance('3 min') > 0 AS went_on;
RESET SESSION AUTHORIZATION;
SET aion.max_history_events = 1000;
SET SESSION AUTHORIZATION continue_user;
SELECT pass('1 h');
SELECT status, input, result, history_events FROM aion.workflow_run WHERE workflow_id = 'loops' ORDER BY run_key;
SELECT aion_test.replay('loops');
SAVEPOINT outside;
SELECT aion.continue_as_new('{}');
ROLLBACK TO outside;
SELECT aion.continue_suggested();
ROLLBACK TO outside;
RESET SESSION AUTHORIZATION;
SET aion.max_history_events = 20;
SET SESSION AUTHORIZATION continue_user;
SELECT aion.start_workflow('continue_loops', '{"much": 12}', workflow_id => 'long');
SELECT aion_test.advance('1 h') > 0 AS went_on;
SELECT status, history_events FROM aion.workflow_run WHERE workflow_id = 'long';
SELECT * FROM continue_sound();
ROLLBACK;
RESET SESSION AUTHORIZATION;
RESET aion.max_history_events;

-- A later run of a chain gets the outcomes of its activities outside of turns: in the background, of workers, of further attempts; a run's
-- outcomes that come when it has gone on are not for the next one.
SET SESSION AUTHORIZATION continue_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION says(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF aion.activity_info() ->> 'attempt' = '1' AND aion.activity_info() ->> 'activity' = 'continue_again' THEN RAISE EXCEPTION 'not yet'; END IF;
	RETURN n;
END $$;
SELECT aion.register_activity('continue_behind', 'says(int)', mode => 'background'), aion.register_activity('continue_again', 'says(int)', retry => '{"max_attempts": 3}'),
	aion.register_activity('continue_outside', mode => 'external', task_queue => 'continue', start_to_close_timeout => '1 h');
CREATE FUNCTION works(n int, kind text, sum int DEFAULT 0) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	input jsonb := jsonb_build_object('n', n);
BEGIN
	IF kind = 'map' THEN SELECT sum + coalesce(sum(v::int), 0) INTO sum FROM jsonb_array_elements(aion.map('continue_behind', jsonb_build_array(input, input, input))) v;
	ELSE sum := sum + aion.run(kind, input)::int; END IF;
	PERFORM aion.start_activity('continue_behind', input);
	IF n < 3 THEN PERFORM aion.continue_as_new(jsonb_build_object('n', n + 1, 'kind', kind, 'sum', sum)); END IF;
	RETURN sum;
END $$;
SELECT aion.register_workflow('continue_works', 'works(int, text, int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_works', jsonb_build_object('n', 1, 'kind', kind), workflow_id => kind) FROM unnest('{continue_behind,continue_again,continue_outside,map}'::text[]) kind;
DO $$ BEGIN
	FOR i IN 1 .. 3 LOOP
		PERFORM aion_test.advance('1 min');
		PERFORM aion.complete_activity(task_token, (input -> 'n')) FROM aion.poll_activities('{continue}', 'w', 5);
		-- An outcome that has not been taken yet is sound in the later runs as well.
		ASSERT NOT EXISTS (SELECT FROM continue_sound());
	END LOOP;
	PERFORM aion_test.advance('1 min');
END $$;
SELECT workflow_id, count(*) AS runs, max(result::text) AS result, array_agg(DISTINCT status ORDER BY status) AS status FROM aion.workflow_run WHERE workflow_type = 'continue_works' GROUP BY 1 ORDER BY 1;
SELECT count(*) AS tasks FROM aion.activity_task;
SELECT * FROM continue_sound();
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- A start that is in the way: what holds the id in between, waits for it to end.
SET SESSION AUTHORIZATION continue_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('continue_period', '{"n": 1, "until": 2}', workflow_id => 'held');
SELECT aion_test.advance('40 days') > 0 AS went_on;
SELECT aion.start_workflow('continue_period', '{"n": 1, "until": 1}', workflow_id => 'held', if_running => 'use_existing');
SELECT aion.start_workflow('continue_period', '{"n": 1, "until": 1}', workflow_id => 'held', if_running => 'terminate_existing');
SELECT status FROM aion.workflow_run WHERE workflow_id = 'held' ORDER BY run_key;
ROLLBACK;

-- A later run takes signals of the chain with it when it is purged; the first one still knows their ids.
SET SESSION AUTHORIZATION continue_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION continue_once(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.receive('go on');
	PERFORM aion.continue_as_new(jsonb_build_object('n', n + 1));
END $$;
SELECT aion.register_workflow('continue_once', 'continue_once(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('continue_once', '{"n": 1}', workflow_id => 'once');
SELECT aion.signal_workflow('once', 'go on');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.signal_workflow('once', 'late', dedup_id => 'a');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.terminate_workflow('once');
SELECT aion.purge_workflows('0 s', status => '{terminated}');
SELECT status FROM aion.workflow_run WHERE workflow_id = 'once';
SELECT * FROM continue_sound();
ROLLBACK;

RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP FUNCTION continue_sound();
DROP OWNED BY continue_user CASCADE;
SELECT * FROM aion.check_integrity();
