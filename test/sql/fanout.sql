-- Invariants 42, 49-52: waiting for several things at once, decided by the order in which outcomes were recorded.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE alice; SELECT aion.grant_usage('alice'); CREATE SCHEMA alice AUTHORIZATION alice;
ALTER ROLE alice LOGIN; SET SESSION AUTHORIZATION alice; SET search_path = alice;
CREATE TABLE effect (what text);
CREATE FUNCTION act(what text, fail boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO alice.effect VALUES (what);
	IF fail THEN RAISE EXCEPTION '% failed', what USING ERRCODE = 'P1234'; END IF;
	RETURN what;
END $$;
SELECT aion.register_activity('act', 'act(text, boolean)');
-- Code to try, and what became of it; each history replays.
CREATE FUNCTION try(what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	id text;
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION alice.body() RETURNS jsonb LANGUAGE plpgsql AS %L', what);
	PERFORM aion.register_workflow('body', to_regprocedure('alice.body()'));
	PERFORM aion_test.begin();
	id := aion.start_workflow('body');
	PERFORM aion_test.run_until_idle();
	FOR i IN 1..3 LOOP
		PERFORM aion_test.advance('1 hour');
	END LOOP;
	RETURN QUERY SELECT coalesce(w.result::text, w.error ->> 'sqlstate' || ' ' || (w.error ->> 'message'), w.status || ' ' || coalesce(w.blocked, ''))
		FROM aion.workflow_run w WHERE w.workflow_id = id;
	RETURN QUERY SELECT string_agg(h.event_type || coalesce(' ' || h.key, '') || coalesce(': ' || (h.attributes ->> 'answer'), ''), ', ' ORDER BY h.seq)
		FROM aion.history(id) h WHERE h.event_type NOT LIKE 'Workflow%';
	RETURN QUERY SELECT aion_test.replay(id);
END $$;

-- In order, whatever came first (invariant 49); nothing of nothing, and no events (invariant 52).
BEGIN; SELECT * FROM try($$ BEGIN
	RETURN aion.await_all(ARRAY[aion.start_activity('act', '{"what": "a"}'), aion.start_timer('t', '1 min'), aion.start_activity('act', '{"what": "b"}')]); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN RETURN jsonb_build_array(aion.await_all('{}'), aion.await_settled('{}'), aion.map('act', '[]'), aion.map_settled('act', '[]')); END $$); ROLLBACK;
-- Time has gone on when all were waited for.
BEGIN; SELECT * FROM try($$ DECLARE began timestamptz := aion.now(); BEGIN
	PERFORM aion.await_all(ARRAY[aion.start_timer('t', '1 min'), aion.start_timer('u', '2 min')]); RETURN to_jsonb(aion.now() - began); END $$); ROLLBACK;
-- The failure recorded first is raised, and what is open then is cancelled, nothing else (invariant 49).
BEGIN; SELECT * FROM try($$ BEGIN
	RETURN aion.await_all(ARRAY[aion.start_timer('t', '1 hour'), aion.start_activity('act', '{"what": "a"}'), aion.start_activity('act', '{"what": "b", "fail": true}'),
		aion.start_activity('act', '{"what": "c", "fail": true}')]); END $$); ROLLBACK;
-- The code goes on after it.
BEGIN; SELECT * FROM try($$ BEGIN
	BEGIN
		PERFORM aion.map('act', '[{"what": "a", "fail": true}, {"what": "b"}]');
	EXCEPTION WHEN SQLSTATE 'WA001' THEN
		RETURN jsonb_build_object('caught', aion.failure() ->> 'sqlstate', 'then', aion.run('act', '{"what": "c"}'));
	END; END $$); ROLLBACK;
-- All are waited for, and none is cancelled (invariant 51).
BEGIN; SELECT * FROM try($$ BEGIN
	RETURN jsonb_path_query_array(aion.map_settled('act', '[{"what": "a", "fail": true}, {"what": "b"}, {"what": "c", "fail": true}]'), '$[*].**.message') ||
		jsonb_path_query_array(aion.await_settled(ARRAY[aion.start_activity('act', '{"what": "d"}'), aion.start_timer('t', '1 s')]), '$[*].ok'); END $$); ROLLBACK;
-- So many at a time.
BEGIN; SELECT * FROM try($$ BEGIN RETURN aion.map('act', '[{"what": "a"}, {"what": "b"}, {"what": "c"}, {"what": "d"}, {"what": "e"}]', '{"concurrency": 2}'); END $$); ROLLBACK;
-- The first one, by the order of the record; the rest stays, or not (invariant 50).
BEGIN; SELECT * FROM try($$ DECLARE f record; h aion.handle := aion.start_activity('act', '{"what": "a"}'); BEGIN
	SELECT * INTO f FROM aion.await_first(ARRAY[aion.start_timer('t', '1 min'), h]); RETURN to_jsonb(f) || jsonb_build_object('again', aion.await(h)); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ DECLARE f record; BEGIN
	SELECT * INTO f FROM aion.await_first(ARRAY[aion.start_timer('t', '1 min'), aion.start_timer('u', '1 s')], true); RETURN to_jsonb(f); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.await_first(ARRAY[aion.start_timer('t', '1 min'), aion.start_activity('act', '{"what": "a", "fail": true}')]); END $$); ROLLBACK;
-- Not for ever: the handle stays good, and an answer in time leaves no timer behind.
BEGIN; SELECT * FROM try($$ DECLARE h aion.handle := aion.start_timer('t', '2 min'); BEGIN
	BEGIN
		PERFORM aion.await(h, '1 min');
	EXCEPTION WHEN SQLSTATE 'WF013' THEN
		PERFORM aion.run('act', '{"what": "late"}');
	END;
	RETURN jsonb_build_object('again', aion.await(h, timeout => '5 min')); END $$); ROLLBACK;
-- Cancelling what is pending, done, cancelled; waiting for what was cancelled.
BEGIN; SELECT * FROM try($$ DECLARE a aion.handle := aion.start_activity('act', '{"what": "a"}'); b aion.handle := aion.start_activity('act', '{"what": "b"}');
		t aion.handle := aion.start_timer('t', '1 min'); s text[]; BEGIN
	PERFORM aion.await(a);
	s := ARRAY[aion.cancel(a), aion.cancel(b), aion.cancel(t), aion.cancel(t)];
	BEGIN
		PERFORM aion.await(t);
	EXCEPTION WHEN SQLSTATE 'WF027' THEN
		s := s || SQLERRM;
	END;
	RETURN to_jsonb(s); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ DECLARE a aion.handle := aion.start_activity('act', '{"what": "never"}'); s text := aion.cancel(a); BEGIN
	PERFORM aion.await(a); END $$); SELECT count(*) FROM effect; ROLLBACK;
-- What is still open when the run ends is cancelled with it.
BEGIN; SELECT * FROM try($$ DECLARE a aion.handle := aion.start_activity('act', '{"what": "never"}'); BEGIN PERFORM aion.start_timer('t', '1 day'); RETURN '1'; END $$);
SELECT count(*) FROM effect; RESET SESSION AUTHORIZATION; SELECT count(*) FROM aion.check_integrity(); ROLLBACK;
-- What a failed wait has cancelled is cancelled once, however often the same is waited for again.
BEGIN;
SELECT * FROM try($$
DECLARE
	h aion.handle[] := ARRAY[aion.start_activity('act', '{"what": 1, "fail": true}'), aion.start_timer('t', '1 hour')];
	said text[];
BEGIN
	FOR i IN 1..2 LOOP
		BEGIN
			PERFORM aion.await_all(h);
		EXCEPTION WHEN SQLSTATE 'WA001' THEN
			said := said || SQLERRM;
		END;
	END LOOP;
	PERFORM aion.sleep('1 s');
	RETURN to_jsonb(said);
END $$);
ROLLBACK;
-- Bad input.
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.await('nothing'); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.await(NULL); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.await_all(NULL); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.await_first('{}'); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.map('act', '{"a": 1}'); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.map('act', '[1]', '{"concurrency": 0}'); END $$); ROLLBACK;
BEGIN; SELECT * FROM try($$ BEGIN PERFORM aion.await(aion.start_timer('t', '1 s'), '-1 s'); END $$); ROLLBACK;
SELECT aion.await_all('{}');
-- 11.6: handles can be guessed. Only what a function gave a handle of can be awaited or cancelled; all else is refused.
CREATE FUNCTION nothing(input jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'done'::text $$;
SELECT aion.register_workflow('nothing', 'nothing(jsonb)') IS NOT NULL;
CREATE FUNCTION guess(how text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	handle text;
	accepted text[] = '{}';
	refused int = 0;
BEGIN
	PERFORM aion.sleep('1 ms');
	PERFORM aion.run('act', '{"what": "a"}');
	PERFORM aion.start_activity('act', '{"what": "b"}'), aion.start_timer('t', '1 ms'), aion.cancel_timer('none'), aion.next_signal('s');
	PERFORM aion.cancel(aion.start_timer('u', '1 day'));
	PERFORM aion.try_receive('s'), aion.upsert_search_attributes('{"a": 1}'), aion.publish('p', '1');
	PERFORM aion.await(aion.start_timer('v', '1 ms'), '1 day');
	PERFORM aion.begin_timeout('1 day');
	PERFORM aion.start_child('nothing', workflow_id => 'guessed child');
	BEGIN PERFORM aion.send_signal('none', 's'); EXCEPTION WHEN SQLSTATE 'WF001' THEN NULL; END;
	BEGIN PERFORM aion.request_cancel('none'); EXCEPTION WHEN SQLSTATE 'WF001' THEN NULL; END;
	FOR handle IN SELECT format('%s:%s:%s', k, i, n) FROM unnest('{activity,timer,timeout,"timeout scope",signal,child,sending,cancel,nothing}'::text[]) k, generate_series(-1, 16) i,
			unnest('{act,t,u,v,s,none,nothing,guessed child,a,1,2,3,sleep:1,timeout:1,scope:1,""}'::text[]) n ORDER BY i, k, n LOOP
		BEGIN
			CASE how
				WHEN 'await' THEN PERFORM aion.await(handle);
				WHEN 'await, with a timeout' THEN PERFORM aion.await(handle, '1 ms');
				WHEN 'await_all' THEN PERFORM aion.await_all(ARRAY[handle]::aion.handle[]);
				WHEN 'await_settled' THEN PERFORM aion.await_settled(ARRAY[handle]::aion.handle[]);
				WHEN 'await_first' THEN PERFORM aion.await_first(ARRAY[handle]::aion.handle[], true);
				WHEN 'cancel' THEN PERFORM aion.cancel(handle);
			END CASE;
			accepted := accepted || handle;
		EXCEPTION
			WHEN SQLSTATE 'WF014' THEN refused := refused + 1;
			WHEN SQLSTATE 'WF027' OR SQLSTATE 'WF013' THEN accepted := accepted || handle;
		END;
	END LOOP;
	RETURN jsonb_build_object('accepted', accepted, 'refused', refused);
END $$;
SELECT aion.register_workflow('guess', 'guess(text)') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT count(*) FROM (SELECT aion.start_workflow('guess', jsonb_build_object('how', h), workflow_id => h) FROM unnest('{await,"await, with a timeout",await_all,await_settled,await_first,cancel}'::text[]) h) s;
SELECT aion_test.advance('1 hour') IS NOT NULL;
SELECT aion.signal_workflow(workflow_id, 's') FROM aion.workflow_run WHERE status = 'running' AND workflow_type = 'guess';
SELECT aion_test.advance('1 hour') IS NOT NULL;
SELECT workflow_id, status, blocked, result, error FROM aion.workflow_run WHERE workflow_type = 'guess' ORDER BY run_key;
ROLLBACK;
-- Many: one turn asks for all of them, and the time it takes does not grow with the square; what is recorded is not executed again
-- (invariant 42).
BEGIN;
CREATE FUNCTION many(n int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_array_length(aion.map('act', (SELECT jsonb_agg(jsonb_build_object('what', i)) FROM generate_series(1, n) i)));
END $$;
SELECT aion.register_workflow('many', 'many(int)') IS NOT NULL;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('many', '{"n": 10000}', workflow_id => 'many');
SELECT aion_test.run_until_idle() IS NOT NULL;
SELECT status, result, history_events FROM aion.workflow_run;
SELECT count(*), count(DISTINCT what) FROM effect;
ROLLBACK;

-- 11.22: what cannot be carried out is a mistake here, too: it blocks the run, however many of them there are and whatever waits beside them, and the
-- run goes on when it is mended. A mistake that the code catches is an outcome, and the rest goes on.
BEGIN;
CREATE TABLE mistake (id text PRIMARY KEY, code text);
INSERT INTO mistake VALUES
	('all', $$ RETURN aion.await_all(ARRAY[aion.start_activity('late', '{"n": 1}'), aion.start_activity('late', '{"n": 2}')]); $$),
	('all, beside a timer', $$ RETURN aion.await_all(ARRAY[aion.start_timer('t', '1 s'), aion.start_activity('late', '{"n": 1}'), aion.start_activity('late', '{"n": 2}')]); $$),
	('children', $$ RETURN aion.await_all(ARRAY[aion.start_child('late'), aion.start_child('late')]); $$),
	('first', $$ RETURN to_jsonb(aion.await_first(ARRAY[aion.start_timer('t', '1 h'), aion.start_activity('late', '{"n": 1}'), aion.start_activity('late', '{"n": 2}')], cancel_rest => true)); $$),
	('input', $$ RETURN aion.map('act', '[{"n": 1}, {"n": 2}]'); $$),
	('input, one of three, settled', $$ RETURN aion.map_settled('act', '[{"what": 1}, {"n": 2}, {"what": 3}]'); $$),
	('map', $$ RETURN aion.map('late', '[{"n": 1}, {"n": 2}]'); $$),
	('map, few at a time', $$ RETURN aion.map('late', '[{"n": 1}, {"n": 2}, {"n": 3}]', '{"concurrency": 2}'); $$),
	('settled', $$ RETURN aion.await_settled(ARRAY[aion.start_activity('late', '{"n": 1}'), aion.start_activity('late', '{"n": 2}')]); $$),
	('settled map, few at a time', $$ RETURN aion.map_settled('late', '[{"n": 1}, {"n": 2}, {"n": 3}]', '{"concurrency": 2}'); $$),
	('caught', $$ DECLARE t aion.handle := aion.start_timer('t', '1 h'); BEGIN PERFORM aion.await_all(ARRAY[t, aion.start_activity('late', '{"n": 1}'), aion.start_activity('late', '{"n": 2}')]);
		EXCEPTION WHEN OTHERS THEN RETURN to_jsonb(SQLSTATE || ', the timer is ' || aion.cancel(t)); END; $$),
	('settled, caught', $$ BEGIN PERFORM aion.map_settled('late', '[{"n": 1}, {"n": 2}]'); EXCEPTION WHEN OTHERS THEN RETURN to_jsonb(SQLSTATE); END; $$);
DO $$
DECLARE m mistake;
BEGIN
	PERFORM aion_test.begin();
	FOR m IN SELECT * FROM mistake LOOP
		EXECUTE format('CREATE FUNCTION %I() RETURNS jsonb LANGUAGE plpgsql AS %L', 'mistake ' || m.id, 'BEGIN ' || m.code || ' END');
		PERFORM aion.register_workflow(m.id, format('%I()', 'mistake ' || m.id)::regprocedure);
		PERFORM aion.start_workflow(m.id, workflow_id => m.id);
	END LOOP;
	PERFORM aion_test.run_until_idle();
END $$;
SELECT workflow_id, status, blocked, result FROM aion.workflow_run ORDER BY workflow_id COLLATE "C";
CREATE FUNCTION late(n int) RETURNS int LANGUAGE sql AS 'SELECT n';
CREATE FUNCTION late() RETURNS int LANGUAGE sql AS 'SELECT 0';
SELECT aion.register_activity('late', 'late(int)'), aion.register_workflow('late', 'late()') IS NOT NULL;
SELECT aion_test.advance('1 min') > 0;
SELECT workflow_id, status, blocked, result FROM aion.workflow_run WHERE workflow_type <> 'late' ORDER BY workflow_id COLLATE "C";
SELECT count(*) FILTER (WHERE aion_test.replay(workflow_id) !~ '^ok') AS differ FROM aion.workflow_run;
SELECT aion_test.replay(workflow_id) FROM aion.workflow_run WHERE aion_test.replay(workflow_id) !~ '^ok';
ROLLBACK;
RESET SESSION AUTHORIZATION;
DROP EXTENSION aion CASCADE; DROP SCHEMA alice CASCADE; DROP ROLE alice;
CREATE EXTENSION aion;
