--
-- Replay: code that does not match its history blocks the run and says exactly how (T92, 13), which a matching one never
-- notices (19); chance and time are the same
-- every time. Numbers in parentheses are those of the reference's invariants.
--
CREATE ROLE replay_user LOGIN;
SELECT aion.grant_usage('replay_user');
GRANT CREATE ON SCHEMA public TO replay_user;
SET SESSION AUTHORIZATION replay_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET aion.determinism = off; -- code differs on purpose

CREATE TABLE trace (run text, what text);
CREATE FUNCTION act(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO trace VALUES ('', what); SELECT 'did ' || what $$;
SELECT aion.register_activity('act', 'act(text)'), aion.register_activity('other', 'act(text)');

-- The handler is pinned, so what changes under a run is a function that it calls: code() is replaced in every case.
CREATE FUNCTION code() RETURNS text LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE FUNCTION handler() RETURNS text LANGUAGE sql AS $$ SELECT code() $$;
SELECT aion.register_workflow('handler', 'handler()') IS NOT NULL AS registered;
CREATE FUNCTION deploy(body text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION code() RETURNS text LANGUAGE plpgsql AS %L',
		'DECLARE t aion.handle; BEGIN ' || body || ' END');
END $$;
-- Runs old code until it waits, then new code, then the old code to its end.
CREATE FUNCTION changed(new text, old text DEFAULT $$
		PERFORM aion.run('act', '{"what": "one"}');
		t := aion.start_timer('t', '1 day');
		PERFORM aion.run('other', '{"what": "two"}');
		PERFORM aion.cancel_timer('t');
		PERFORM aion.sleep('1 hour');
		RETURN 'done';$$) RETURNS TABLE (blocked text, difference text, event int, expected text, got text, went_on text, result text) LANGUAGE plpgsql AS $$
DECLARE
	d jsonb;
	r record;
BEGIN
	BEGIN
		PERFORM aion_test.begin('2026-01-01 00:00+00');
		PERFORM deploy(old);
		PERFORM aion.start_workflow('handler', workflow_id => 'case');
		PERFORM aion_test.run_until_idle();
		PERFORM deploy(new);
		PERFORM aion_test.advance('1 hour');
		SELECT w.blocked, w.history_events INTO r FROM aion.workflow_run w WHERE w.workflow_id = 'case';
		blocked := r.blocked;
		SELECT h.attributes -> 'detail' INTO d FROM aion.history('case') h WHERE h.event_type = 'WorkflowBlocked';
		difference := d ->> 'difference'; event := d ->> 'event'; expected := d ->> 'expected'; got := d ->> 'found';
		-- looked at again, it stays blocked and says it once
		PERFORM aion_test.advance('1 minute');
		IF (SELECT count(*) FROM aion.history('case') h WHERE h.event_type = 'WorkflowBlocked') > 1 THEN
			RAISE EXCEPTION 'said twice';
		END IF;
		PERFORM deploy(old);
		PERFORM aion_test.advance('2 days');
		SELECT w.status, w.result #>> '{}' INTO went_on, result FROM aion.workflow_run w WHERE w.workflow_id = 'case';
		RETURN NEXT;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		NULL;
	END;
END $$;
-- A test ends with its transaction, so each case has one of its own.
BEGIN; \echo added at the front
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "new"}'); PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('t', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo removed
SELECT * FROM changed($$ t := aion.start_timer('t', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo reordered
SELECT * FROM changed($$ t := aion.start_timer('t', '1 day'); PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo renamed
SELECT * FROM changed($$ PERFORM aion.run('other', '{"what": "one"}'); t := aion.start_timer('t', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo other input
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "1"}'); t := aion.start_timer('t', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo other timer
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('u', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('u'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo other duration
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('t', '2 days'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo duration became a moment
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('t', until => '2026-01-02'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.cancel_timer('t'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo timer became a sleep
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.sleep('1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo cancel removed
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('t', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo returns early
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); RETURN 'new'; $$); ROLLBACK;
BEGIN; \echo raises early
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); RAISE EXCEPTION 'new'; $$); ROLLBACK;
BEGIN; \echo waits where it did not
SELECT * FROM changed($$ PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('t', '1 day'); PERFORM aion.await(t); PERFORM aion.run('other', '{"what": "two"}'); RETURN 'new'; $$,
	$$ PERFORM aion.run('act', '{"what": "one"}'); t := aion.start_timer('t', '1 day'); PERFORM aion.run('other', '{"what": "two"}'); PERFORM aion.sleep('1 hour'); RETURN 'done'; $$); ROLLBACK;
BEGIN; \echo took another branch
SELECT * FROM changed($$ IF false THEN PERFORM aion.run('act', '{"what": "one"}'); ELSE PERFORM aion.run_sql('SELECT 1'); END IF; PERFORM aion.sleep('1 hour'); RETURN 'new'; $$,
	$$ IF true THEN PERFORM aion.run('act', '{"what": "one"}'); ELSE PERFORM aion.run_sql('SELECT 1'); END IF; PERFORM aion.sleep('1 hour'); RETURN 'done'; $$); ROLLBACK;
BEGIN; \echo other query
SELECT * FROM changed($$ PERFORM aion.run_sql('SELECT 2'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$, $$ PERFORM aion.run_sql('SELECT 1'); PERFORM aion.sleep('1 hour'); RETURN 'done'; $$); ROLLBACK;
-- What no history speaks against goes on with the new code: other text after the point where it waits.
BEGIN; \echo changed after the point reached
SELECT * FROM changed($$ PERFORM aion.run_sql('SELECT 1'); PERFORM aion.sleep('1 hour'); PERFORM aion.run('act', '{"what": "new"}'); RETURN 'new'; $$, $$ PERFORM aion.run_sql('SELECT 1'); PERFORM aion.sleep('1 hour'); RETURN 'done'; $$); ROLLBACK;
-- No handler can keep a mismatch.
BEGIN; \echo swallowed
SELECT * FROM changed($$ BEGIN PERFORM aion.run('other', '{"what": "x"}'); EXCEPTION WHEN assert_failure OR OTHERS THEN RETURN 'swallowed'; END; $$); ROLLBACK;
-- An answer that came too late cannot have been known: the order of await and command counts (22).
BEGIN; \echo await moved before a command
SELECT * FROM changed($$ t := aion.start_timer('t', '1 second'); PERFORM aion.await(t); PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.sleep('1 hour'); RETURN 'new'; $$,
	$$ t := aion.start_timer('t', '1 second'); PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.await(t); PERFORM aion.sleep('1 hour'); RETURN 'done'; $$); ROLLBACK;

-- The difference names the line of the code.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT deploy($$ PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.sleep('1 hour'); RETURN 'old'; $$);
SELECT aion.start_workflow('handler', workflow_id => 'line');
SELECT aion_test.run_until_idle();
SELECT deploy($$
	PERFORM aion.run('other', '{"what": "one"}');
	RETURN 'new'; $$);
SELECT aion_test.advance('1 hour') > 0 AS ran;
SELECT attributes -> 'detail' ->> 'context' AS context FROM aion.history('line') WHERE event_type = 'WorkflowBlocked';
SELECT aion_test.replay('line');
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'line';
SELECT awaiting, key, since, until > since AS looked_at_again FROM aion.pending_await;
ROLLBACK;

-- A closed run has no open end: a command more is one too many, a result that changed is noticed.
SELECT deploy($$ PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.sleep('0'); RETURN 'old'; $$);
SELECT aion.start_workflow('handler', workflow_id => 'closed');
CALL aion.drive();
SELECT aion_test.replay('closed');
SELECT deploy($$ PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.sleep('0'); PERFORM aion.sleep('1 day'); RETURN 'old'; $$);
SELECT aion_test.replay('closed');
SELECT deploy($$ PERFORM aion.run('act', '{"what": "one"}'); PERFORM aion.sleep('0'); RETURN 'new'; $$);
SELECT aion_test.replay('closed');
SELECT deploy($$ PERFORM aion.run('act', '{"what": "one"}'); RETURN 'old'; $$);
SELECT aion_test.replay('closed');

-- Re-executing what is recorded appends nothing and executes nothing (10), proven by counting; a partial history goes on
-- at exactly the first thing that is open (11, 14, 21).
CREATE FUNCTION counted() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	FOR i IN 1..5 LOOP
		said := said || aion.run('act', jsonb_build_object('what', i));
		IF i = 3 THEN PERFORM aion.sleep('1 hour'); END IF;
	END LOOP;
	RETURN said;
END $$;
SELECT aion.register_workflow('counted', 'counted()') IS NOT NULL AS registered;
BEGIN;
DELETE FROM trace;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('counted', workflow_id => 'c');
SELECT aion_test.run_until_idle();
SELECT count(*) AS executed, (SELECT count(*) FROM aion.history('c')) AS events FROM trace;
SELECT aion_test.replay('c') FROM generate_series(1, 3);
SELECT count(*) AS executed, (SELECT count(*) FROM aion.history('c')) AS events FROM trace;
SELECT aion_test.advance('1 hour');
SELECT count(*) AS executed, (SELECT count(*) FROM aion.history('c')) AS events FROM trace;
SELECT aion_test.replay('c') FROM generate_series(1, 3);
SELECT count(*) AS executed, (SELECT count(*) FROM aion.history('c')) AS events FROM trace;
SELECT result FROM aion.workflow_run WHERE workflow_id = 'c';
ROLLBACK;

-- now() is when the latest thing the code knows was recorded (17); chance depends on run and draw alone (18).
CREATE FUNCTION oracle() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	FOR i IN 1..3 LOOP
		said := said || jsonb_build_array(aion.now(), aion.random(), aion.random_int(1, 6), aion.uuid());
		PERFORM aion.sleep(i * interval '1 hour');
	END LOOP;
	RETURN said || jsonb_build_array(aion.now(), aion.workflow_id(), aion.run_id());
END $$;
SELECT aion.register_workflow('oracle', 'oracle()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('oracle', workflow_id => o) FROM unnest('{o,p}'::text[]) o;
SELECT aion_test.advance('10 hours') > 0 AS ran;
SELECT aion_test.replay(o) FROM unnest('{o,p}'::text[]) o;
SELECT result ->> 0 AS first, result ->> 4 AS second, result ->> 8 AS third, result ->> 12 AS last FROM aion.workflow_run WHERE workflow_id = 'o';
SELECT count(DISTINCT v) AS all_differ, count(*) FROM aion.workflow_run, jsonb_array_elements_text(result) WITH ORDINALITY r(v, n)
	WHERE workflow_type = 'oracle' AND (n - 1) % 4 IN (1, 3) AND n <= 12;
SELECT bool_and(v ~ '^........-....-4...-[89ab]...-............$') AS version_4 FROM aion.workflow_run, jsonb_array_elements_text(result) WITH ORDINALITY r(v, n)
	WHERE workflow_type = 'oracle' AND n IN (4, 8, 12);
SELECT bool_and(v::int BETWEEN 1 AND 6) AS in_range FROM aion.workflow_run, jsonb_array_elements_text(result) WITH ORDINALITY r(v, n)
	WHERE workflow_type = 'oracle' AND n IN (3, 7, 11);
SELECT result ->> 13 = workflow_id AND result ->> 14 = run_id::text AS knows_itself FROM aion.workflow_run WHERE workflow_type = 'oracle';
-- known by heart: no release may change it, or runs in flight would differ
SELECT result -> 1 AS random, result -> 2 AS random_int, result -> 3 AS uuid FROM aion.workflow_run WHERE workflow_id = 'o';
ROLLBACK;
CREATE FUNCTION dice(rolls int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb;
BEGIN
	SELECT jsonb_object_agg(face, n ORDER BY face) INTO said FROM (SELECT face, count(*) AS n FROM (SELECT aion.random_int(1, 6) AS face FROM generate_series(1, rolls)) r GROUP BY face) f;
	RETURN jsonb_build_object('faces', (SELECT count(*) FROM jsonb_object_keys(said)), 'least', (SELECT min(v::int) > rolls / 6 * 0.8 FROM jsonb_each_text(said) x(k, v)),
		'whole', aion.random_int(-9223372036854775808, 9223372036854775807) IS NOT NULL, 'one', aion.random_int(7, 7), 'mean', (SELECT avg(aion.random()) BETWEEN 0.45 AND 0.55 FROM generate_series(1, 1000)));
END $$;
CREATE FUNCTION bad_dice() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.random_int(2, 1); EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
SELECT aion.register_workflow('dice', 'dice(int)') IS NOT NULL AND aion.register_workflow('bad_dice', 'bad_dice()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('dice', '{"rolls": 3000}', workflow_id => 'd'), aion.start_workflow('bad_dice', workflow_id => 'b');
SELECT aion_test.run_until_idle();
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_id IN ('d', 'b') ORDER BY 1;
ROLLBACK;

-- Replay is against the code that new starts use, which need not be the run's own, or against that of a version.
SELECT deploy($$ RETURN aion.run('act', '{"what": "one"}') ->> 0; $$);
CREATE FUNCTION pinned() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "pinned"}'); PERFORM aion.sleep('0'); RETURN 'first'; END $$;
SELECT aion.register_workflow('pinned', 'pinned()') AS first \gset
SELECT aion.start_workflow('pinned', workflow_id => 'pinned');
CALL aion.drive();
SELECT aion_test.replay('pinned');
CREATE OR REPLACE FUNCTION pinned() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "other"}'); PERFORM aion.sleep('0'); RETURN 'second'; END $$;
SELECT aion_test.replay('pinned');
SELECT aion_test.replay('pinned', :'first'), aion_test.replay(aion.export_history('pinned'), version => :'first');
SELECT aion_test.replay('pinned', 'no such');
-- How the run ended is compared, whatever way that was.
CREATE OR REPLACE FUNCTION pinned() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "pinned"}'); PERFORM aion.sleep('0'); RAISE EXCEPTION 'no' USING ERRCODE = 'P0042'; END $$;
SELECT aion_test.replay('pinned');
SELECT aion.start_workflow('pinned', workflow_id => 'fails');
CALL aion.drive();
SELECT aion_test.replay('fails'), aion_test.replay('fails', :'first');
CREATE OR REPLACE FUNCTION pinned() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "pinned"}'); PERFORM aion.sleep('0'); PERFORM aion.receive('x'); RETURN 'first'; END $$;
SELECT aion_test.replay('pinned');
CREATE OR REPLACE FUNCTION pinned() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', '{"what": "pinned"}'); PERFORM aion.sleep('0'); RAISE division_by_zero; END $$;
SELECT aion_test.replay('fails');

-- An exported history replays as the run does, also when the run is gone, and changes nothing: not even a lock is taken.
CREATE TABLE exported AS SELECT workflow_id, aion.export_history(workflow_id) AS history FROM aion.workflow_run WHERE workflow_id IN ('closed', 'fails');
SELECT history - 'events' - 'run_id' - 'version' AS head, jsonb_array_length(history -> 'events') AS events, history #> '{events,1}' ->> 'key' AS key FROM exported ORDER BY 1;
SELECT (history ->> 'run_id')::uuid = r.run_id AND count(*) = r.history_events AND bool_and((e ->> 'recorded_at')::timestamptz = h.recorded_at AND e ->> 'event_type' = h.event_type
		AND e ->> 'key' IS NOT DISTINCT FROM h.key AND e -> 'attributes' IS NOT DISTINCT FROM h.attributes) AS complete
	FROM exported x JOIN aion.workflow_run r USING (workflow_id), jsonb_array_elements(history -> 'events') e JOIN LATERAL aion.history(x.workflow_id) h ON h.seq = (e ->> 'seq')::int
	GROUP BY r.run_id, r.history_events, history;
SELECT aion_test.replay(workflow_id) = aion_test.replay(history) AS alike FROM exported;
SELECT aion.purge_workflows('0', 'pinned', '{failed}');
BEGIN READ ONLY;
SELECT aion_test.replay(history) FROM exported ORDER BY 1;
SELECT aion_test.replay('pinned', :'first');
SELECT pg_current_xact_id_if_assigned() IS NULL AS wrote_nothing;
ROLLBACK;
SELECT count(*) AS events FROM aion.history_event WHERE workflow_id = 'fails';
SELECT aion.export_history('fails');
SELECT aion_test.replay(jsonb_set(history, '{events,0,attributes,workflow_type}', '"no such"')) FROM exported WHERE workflow_id = 'closed';
-- A history that was made up is refused, or replayed, and harms nothing.
CREATE FUNCTION replay_try(history jsonb) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion_test.replay(history); EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END $$;
SELECT replay_try(h) FROM unnest('{null,"{}","[]","{\"format\": 2}","{\"format\": 1}","{\"format\": 1, \"events\": 7}","{\"format\": 1, \"events\": []}","{\"format\": 1, \"events\": [7]}"}'::jsonb[]) h;
SELECT replay_try(history #- '{events,0}'), replay_try(history #- '{events,1}'), replay_try(history #- '{events,1,key}'), replay_try(history - 'run_id'),
	replay_try(jsonb_set(history, '{events,1,event_type}', '"Miracle"')), replay_try(jsonb_set(history, '{events,2,recorded_at}', '"2001-01-01"')), replay_try(history #- '{events,1,attributes,activity}') FROM exported WHERE workflow_id = 'fails';
-- every member of a history with everything in it, replaced by whatever is no history
CREATE FUNCTION every() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	BEGIN PERFORM aion.run_sql('SELECT 1 / 0'); EXCEPTION WHEN SQLSTATE 'WA001' THEN PERFORM aion.failure(); END;
	PERFORM aion.patched('x'), aion.upsert_search_attributes('{"a": 1}'), aion.upsert_search_attributes('{"a": [2], "b": {}}');
	PERFORM aion.start_timer('t', '1 day');
	BEGIN PERFORM aion.start_timer('t', '1 day'); EXCEPTION WHEN OTHERS THEN NULL; END;
	PERFORM aion.cancel_timer('t'), aion.cancel_timer('t');
	PERFORM aion.receive('in'), aion.signal_info(), aion.try_receive('none'), aion.send_signal('every', 'out');
	BEGIN PERFORM aion.send_signal('nobody', 'out'); EXCEPTION WHEN SQLSTATE 'WF001' THEN NULL; END;
	PERFORM aion.sleep('1 hour'), aion.now(), aion.uuid();
	PERFORM aion.await_first(ARRAY[aion.start_activity('act', '{"what": 1}'), aion.next_signal('in')]);
	PERFORM aion.receive('never', timeout => '1 hour');
	RAISE EXCEPTION '%', aion.run('act', '{"what": 2}');
END $$;
SELECT aion.register_workflow('every', 'every()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('every', workflow_id => 'every');
SELECT aion.signal_workflow('every', 'in', '{}', 'd1');
SELECT aion_test.advance('3 hours') > 0 AS ran;
SELECT aion.reopen_workflow('every');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT error ->> 'message' AS error FROM aion.workflow_run WHERE workflow_id = 'every';
SELECT aion.fork_workflow('every', 20, 'fork');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT aion_test.replay(w), aion_test.replay(aion.export_history(w)) FROM unnest('{every,fork}'::text[]) w;
SELECT aion_test.assert_replay(w), aion_test.assert_replay(aion.export_history(w)) FROM unnest('{every,fork}'::text[]) w;
SELECT status, (SELECT count(*) FROM aion.history('fork')) AS events FROM aion.workflow_run WHERE workflow_id = 'fork';
SELECT string_agg(DISTINCT event_type, ' ' ORDER BY event_type) AS types FROM aion.history_event WHERE workflow_id IN ('every', 'fork');
WITH RECURSIVE whole(h) AS (SELECT aion.export_history(w) FROM unnest('{every,fork}'::text[]) w),
	part(h, path, value) AS (SELECT h, '{}'::text[], h FROM whole
		UNION ALL SELECT h, path || n.key, n.value FROM part, LATERAL (SELECT * FROM jsonb_each(CASE jsonb_typeof(part.value) WHEN 'object' THEN part.value ELSE '{}' END)
			UNION ALL SELECT (i - 1)::text, e FROM jsonb_array_elements(CASE jsonb_typeof(part.value) WHEN 'array' THEN part.value ELSE '[]' END) WITH ORDINALITY a(e, i)) n)
SELECT count(*) > 1500 AS tried, string_agg(DISTINCT CASE WHEN said ~ '^(ok|not ok)' THEN 'said' ELSE left(said, 5) END, ' ') AS answers
	FROM (SELECT replay_try(jsonb_set(h, path, v)) AS said FROM part, unnest('{"null","7","\"x\"","[\"x\"]","{\"x\": {}}","[[7]]"}'::jsonb[]) v WHERE path <> '{}' UNION ALL SELECT replay_try(h #- path) FROM part WHERE path <> '{}') tries;
ROLLBACK;

-- 11.27 where they differ it can be an error, which ends a script.
SELECT aion_test.assert_replay(jsonb_set(history, '{events,1,attributes,activity}', '"other"')) FROM exported WHERE workflow_id = 'fails';

-- 11.27 what differs because it is a clock, chance or an identifier says what to use instead.
CREATE TABLE reading (value jsonb);
CREATE FUNCTION read_in() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN
	PERFORM aion.run('act', jsonb_build_object('what', 'x', 'with', jsonb_build_array(7, (SELECT value FROM reading))));
	PERFORM aion.sleep('1 s');
	RETURN '1';
END $$;
CREATE FUNCTION act(what text, "with" jsonb) RETURNS text LANGUAGE sql AS 'SELECT what';
SELECT aion.register_activity('act', 'act(text, jsonb)');
SELECT aion.register_workflow('read_in', 'read_in()') IS NOT NULL AS registered;
CREATE FUNCTION hint_of(then_read jsonb, now_read jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	id text := 'read ' || gen_random_uuid();
	hint text;
BEGIN
	DELETE FROM reading;
	INSERT INTO reading VALUES (then_read);
	PERFORM aion.start_workflow('read_in', workflow_id => id), aion_test.run_until_idle();
	UPDATE reading SET value = now_read;
	PERFORM aion_test.advance('2 s'), aion_test.run_until_idle();
	SELECT attributes #>> '{detail,hint}' INTO hint FROM aion.history(id) WHERE event_type = 'WorkflowBlocked';
	RETURN coalesce(hint, (SELECT blocked FROM aion.workflow_run WHERE workflow_id = id));
END $$;
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS begun;
SELECT then_read, now_read, hint_of(then_read, now_read) FROM (VALUES ('"2026-01-01T10:00:00+00:00"'::jsonb, '"2026-01-01T10:00:07+00:00"'::jsonb), ('1767261600.5', '1767261607'), ('1767261600123', '1767261607123'),
	('"order 3e3cf4ab-3f4f-4f2c-8a39-6b5a2c5b3c11"', '"order 9e3cf4ab-3f4f-4f2c-8a39-6b5a2c5b3c12"'), ('0.123456789', '0.8765432'), ('{"a": [0.123456789]}', '{"a": [0.8765432]}'),
	('1', '2'), ('0.5', '0.25'), ('"a"', '"b"'), ('"2026-01-01"', '"b"'), ('1', '"2026-01-01"'), ('{"a": 1}', '{"b": 1}'), ('[1]', '[1, 2]'), ('null', '1'), ('1', '1')) v(then_read, now_read);
-- A moment that is not the present comes from elsewhere, and so does an interval.
SELECT n, hint_of(then_read, now_read) FROM (VALUES (1, to_jsonb(now()), to_jsonb(now() + '7 s')), (2, to_jsonb(now()::date - 1), to_jsonb(now()::date)), (3, to_jsonb(floor(extract(epoch FROM now()))), to_jsonb(floor(extract(epoch FROM now())) + 7)),
	(4, to_jsonb(floor(extract(epoch FROM now()) * 1000)), to_jsonb(floor(extract(epoch FROM now()) * 1000) + 7)), (5, '"10:00:00.5"', '"10:00:07.25"'), (6, to_jsonb(now()), to_jsonb(now() + '7 days')), (7, '"00:00:05"', '"00:00:06"')) v(n, then_read, now_read);
-- Such a run is looked at again and again, and differs by another value each time: that is recorded once.
SELECT hint_of('0.123456789', '0.223456789');
UPDATE reading SET value = '0.323456789';
SELECT aion_test.advance('1 min') > 0 AS looked;
SELECT count(*) FROM aion.history_event WHERE event_type = 'WorkflowBlocked' AND run_id = (SELECT run_id FROM aion.workflow_run WHERE blocked = 'mismatch' ORDER BY run_key DESC LIMIT 1);
ROLLBACK;

-- replay is for the owner, whose rights the code would have.
RESET SESSION AUTHORIZATION;
SELECT aion_test.replay('closed');
SELECT aion_test.replay('no such');
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
-- Code that cancels an activity which an earlier version asked to end, where a scope had ended its await (11.7).
CREATE FUNCTION maps_nothing(x jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM aion.map('nothing of the kind', '[1, 2]');
	EXCEPTION WHEN OTHERS THEN
		NULL;
	END;
	RETURN '1';
END $$;
SELECT aion.register_workflow('maps_nothing', 'maps_nothing(jsonb)') AS maps_nothing \gset
SELECT aion_test.replay(jsonb_build_object('format', 1, 'workflow_id', 'x', 'run_id', 'c23c5f83-6138-4776-a070-c6c4e01144ea', 'events', jsonb_build_array(
	jsonb_build_object('seq', 1, 'event_type', 'WorkflowStarted', 'recorded_at', '2026-01-01 00:00+00', 'attributes',
		jsonb_build_object('input', '{}'::jsonb, 'version', :'maps_nothing', 'started_by', current_user, 'workflow_type', 'maps_nothing'))) || '[
	{"key": "1", "seq": 2, "attributes": {"input": 1, "activity": "nothing of the kind"}, "event_type": "ActivityScheduled", "recorded_at": "2026-01-01 00:00+00"},
	{"key": "2", "seq": 3, "attributes": {"input": 2, "activity": "nothing of the kind"}, "event_type": "ActivityScheduled", "recorded_at": "2026-01-01 00:00+00"},
	{"key": "1", "seq": 4, "attributes": {"error": {"kind": "error", "message": "m", "activity": "nothing of the kind", "sqlstate": "WA001"}}, "event_type": "ActivityFailed", "recorded_at": "2026-01-01 00:00+00"},
	{"key": "2", "seq": 5, "event_type": "ActivityCancelRequested", "recorded_at": "2026-01-01 00:00+00"},
	{"seq": 6, "attributes": {"result": 1}, "event_type": "WorkflowCompleted", "recorded_at": "2026-01-01 00:00+00"}]'::jsonb));

-- All runs of a workflow at once: by the code that new starts use, and by a function before it is registered.
CREATE FUNCTION all_act(what text) RETURNS text LANGUAGE sql AS 'SELECT what';
SELECT aion.register_activity('all act', 'all_act(text)');
CREATE FUNCTION all_first(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('all act', '{"what": "a"}'); PERFORM aion.receive('go'); RETURN 1; END $$;
CREATE FUNCTION all_other(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('all act', '{"what": "b"}'); PERFORM aion.receive('go'); RETURN 1; END $$;
CREATE FUNCTION all_later(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('all act', '{"what": "a"}'); PERFORM aion.receive('go'); RETURN 2; END $$;
CREATE FUNCTION all_clock(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('all act', '{"what": "a"}'); PERFORM now(); PERFORM aion.receive('go'); RETURN 1; END $$;
CREATE FUNCTION all_slow(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;
SELECT aion.register_workflow('all', 'all_first(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('all', '{"n": 1}', workflow_id => 'all ' || i) FROM generate_series(1, 3) i;
CALL aion.drive();
SELECT aion.signal_workflow('all 1', 'go');
CALL aion.drive();
SELECT aion.start_workflow('all', '{"n": 2}', workflow_id => 'all 1');
CALL aion.drive();
SELECT workflow_id, verdict, seq, expected, found FROM aion_test.replay_all('all') ORDER BY workflow_id, found;
SELECT workflow_id, verdict, seq, expected, found FROM aion_test.replay_all('all', closed_runs => 0) ORDER BY workflow_id;
SET aion.determinism = strict;
SELECT f, workflow_id, verdict, seq, expected, found FROM unnest('{all_first,all_other,all_later,all_clock,all_slow}'::text[]) WITH ORDINALITY AS u (f, n),
	LATERAL aion_test.deploy_check('all', (f || '(int)')::regprocedure, 5) ORDER BY n, workflow_id, found;
SHOW aion.determinism;
SET aion.determinism = off;
SELECT * FROM aion_test.deploy_check('nothing of the kind', 'all_first(int)');
SELECT * FROM aion_test.deploy_check(repeat('x', 300), 'all_first(int)');
SELECT * FROM aion_test.replay_all('nothing of the kind');
SELECT count(*) AS versions FROM aion.workflow_version WHERE workflow_type IN ('all', 'nothing of the kind');

-- An error that is none of the code's reaches the client, although messages of a replay do not.
CREATE FUNCTION replay_fails(state text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = state, MESSAGE = 'there is no room'; END $$;
SELECT aion.register_workflow('replay_fails', 'replay_fails(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('replay_fails', '{"state": "53200"}', workflow_id => 'fails');
SELECT aion_test.assert_replay('fails');
SELECT aion.terminate_workflow('fails');

RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY replay_user CASCADE;
DROP ROLE replay_user;
CREATE EXTENSION aion;
