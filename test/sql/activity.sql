--
-- Inline activities: effect, outcome and next step are one commit; failures are data for the code.
--
CREATE ROLE activity_user LOGIN;
CREATE ROLE activity_other LOGIN;
SELECT count(aion.grant_usage(r)) FROM unnest('{activity_user,activity_other}'::name[]) r;
GRANT CREATE ON SCHEMA public TO activity_user, activity_other;
SET SESSION AUTHORIZATION activity_user;

CREATE TABLE effect (id int PRIMARY KEY, parent int REFERENCES effect DEFERRABLE INITIALLY DEFERRED, made_by text DEFAULT current_user);
CREATE FUNCTION put(id int, parent int DEFAULT NULL, fail text DEFAULT NULL) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO effect VALUES (put.id, put.parent);
	IF fail IS NOT NULL THEN
		RAISE EXCEPTION 'put failed: %', fail USING DETAIL = 'It had inserted.', HINT = 'Try another.', ERRCODE = 'XY001';
	END IF;
	RETURN put.id;
END $$;
SELECT aion.register_activity('put', 'put(int, int, text)');
-- A workflow that does what its input says and tells what it saw.
CREATE FUNCTION calls(calls jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	call jsonb;
	said jsonb := '[]';
BEGIN
	FOR call IN SELECT * FROM jsonb_array_elements(calls) LOOP
		BEGIN
			said := said || jsonb_build_array(aion.run(call ->> 0, call -> 1));
		EXCEPTION WHEN SQLSTATE 'WA000' THEN -- the class
			said := said || jsonb_build_array(SQLSTATE || ' ' || SQLERRM, aion.failure() - 'context');
		END;
	END LOOP;
	RETURN said;
END $$;
SELECT aion.register_workflow('calls', 'calls(jsonb)') IS NOT NULL AS registered;

BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('calls', '[["put", {"id": 1}], ["put", {"id": 2, "fail": "on purpose"}], ["put", {"id": 3}]]', workflow_id => 'a');
SELECT aion_test.run_until_idle();
SELECT status, jsonb_pretty(result) FROM aion.workflow_run;
SELECT * FROM effect ORDER BY 1;
SELECT seq, event_type, key, attributes #- '{error,context}' AS attributes FROM aion.history('a') WHERE seq > 1;
-- What the call gave when it was made was recorded; a replay calls nothing (invariants 42, 55).
SELECT aion_test.replay('a');
SELECT count(*) FROM effect;
ROLLBACK;

-- An uncaught failure fails the run, with the message of the activity.
CREATE FUNCTION careless() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('put', '{"id": 1}');
	PERFORM aion.run('put', '{"id": 1}');
END $$;
SELECT aion.register_workflow('careless', 'careless()') IS NOT NULL AS registered;
SELECT aion.start_workflow('careless', workflow_id => 'careless');
CALL aion.drive();
SELECT status, jsonb_pretty(error #- '{context}' #- '{cause,context}') AS error FROM aion.workflow_run WHERE workflow_id = 'careless';
SELECT aion.await_workflow('careless');
SELECT * FROM effect;
DELETE FROM effect;

-- A violated deferred constraint is a failure of the activity only, caught where it is called; the other activities succeed (T106 in part).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('calls', '[["put", {"id": 1, "parent": 9}], ["put", {"id": 2}], ["put", {"id": 3, "parent": 2}]]', workflow_id => 'd');
SELECT aion_test.run_until_idle();
SELECT status, result -> 0, result -> 1 ->> 'constraint' AS constraint, result - 0 - 0 FROM aion.workflow_run WHERE workflow_id = 'd';
SELECT * FROM effect ORDER BY 1;
ROLLBACK;
SELECT aion.start_workflow('calls', '[["put", {"id": 1, "parent": 9}], ["put", {"id": 2}]]', workflow_id => 'd');
CALL aion.drive();
SELECT status, result -> 0, result -> 2 FROM aion.workflow_run WHERE workflow_id = 'd';
SELECT * FROM effect;
DELETE FROM effect;

-- Input that does not fit is a failure of the activity; a result of any type is converted.
CREATE FUNCTION row_of(a int, b text DEFAULT 'b') RETURNS TABLE (x int, y text) LANGUAGE sql AS $$ VALUES (a, b), (a + 1, NULL) $$;
CREATE FUNCTION one_row(OUT x int, OUT y text) LANGUAGE sql AS $$ SELECT 1, 'one' $$;
CREATE FUNCTION set_of_int() RETURNS SETOF int LANGUAGE sql AS $$ VALUES (1), (NULL), (3) $$;
CREATE FUNCTION set_of_int_plpgsql() RETURNS SETOF int LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY VALUES (1), (NULL), (3); END $$;
CREATE FUNCTION empty_set() RETURNS SETOF int LANGUAGE sql AS $$ SELECT 1 WHERE false $$;
CREATE FUNCTION a_null() RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION json_null() RETURNS jsonb LANGUAGE sql AS $$ SELECT 'null'::jsonb $$;
CREATE FUNCTION no_result() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION strict_one(x int) RETURNS text STRICT LANGUAGE sql AS $$ SELECT 'called' $$;
CREATE FUNCTION whole_input(jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT $1 $$;
CREATE FUNCTION an_array() RETURNS int[] LANGUAGE sql AS $$ SELECT '{1,2}'::int[] $$;
CREATE FUNCTION a_table_row() RETURNS effect LANGUAGE sql AS $$ SELECT 7, NULL::int, 'somebody' $$;
SELECT count(*) FROM (SELECT *, row_number() OVER () AS n FROM (VALUES ('row_of', '(int, text)'), ('one_row', '()'), ('set_of_int', '()'), ('set_of_int_plpgsql', '()'), ('empty_set', '()'), ('a_null', '()'),
	('json_null', '()'), ('no_result', '()'), ('strict_one', '(int)'), ('whole_input', '(jsonb)'), ('an_array', '()'), ('a_table_row', '()')) v(f, a),
	LATERAL aion.register_activity(f, (f || a)::regprocedure);
CREATE FUNCTION call_one(activity text, input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	r jsonb;
BEGIN
	r := aion.run(activity, input);
	RETURN jsonb_build_object('result', r, 'is null', r IS NULL);
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN to_jsonb(aion.failure() ->> 'sqlstate' || ' ' || SQLERRM);
END $$;
SELECT aion.register_workflow('call_one', 'call_one(text, jsonb)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT count(aion.start_workflow('call_one', jsonb_build_object('activity', a, 'input', i), workflow_id => n || ' ' || a || ' ' || coalesce(i::text, 'NULL')))
	FROM (VALUES ('row_of', '{"a": 1}'::jsonb), ('one_row', '{}'), ('set_of_int', '{}'), ('set_of_int_plpgsql', '{}'), ('empty_set', '{}'), ('a_null', '{}'), ('json_null', '{}'), ('no_result', NULL),
		('strict_one', '{"x": 1}'), ('strict_one', '{"x": null}'), ('whole_input', '[1]'), ('whole_input', 'null'), ('whole_input', NULL), ('an_array', '{}'), ('a_table_row', '{}'),
		('row_of', '{}'), ('row_of', '{"a": "x"}'), ('row_of', '{"a": 1, "c": 2}'), ('row_of', '[]')) v(a, i)) v;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_type = 'call_one' ORDER BY split_part(workflow_id, ' ', 1)::int;
ROLLBACK;

-- run_sql: rows as objects, parameters typed by their use.
CREATE FUNCTION sql_one(query text, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN args IS NULL THEN aion.run_sql(query) ELSE aion.run_sql(query, args) END;
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN to_jsonb(aion.failure() ->> 'sqlstate' || ' ' || SQLERRM);
END $$;
SELECT aion.register_workflow('sql_one', 'sql_one(text, jsonb)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT count(aion.start_workflow('sql_one', jsonb_build_object('query', q, 'args', a), workflow_id => n || ' ' || q))
	FROM (SELECT *, row_number() OVER () AS n FROM (VALUES ('SELECT 1 AS one, NULL AS nothing', NULL::jsonb), ('SELECT $1::date + $2 AS day', '["2026-01-31", 1]'), ('SELECT $1::text[] AS list, $2::jsonb AS json', '[["a", "b"], {"c": 1}]'),
		('INSERT INTO effect VALUES ($1) RETURNING id', '[11]'), ('INSERT INTO effect VALUES ($1)', '[12]'), ('UPDATE effect SET made_by = $1 WHERE id < 0', '["x"]'),
		('SELECT count(*) FROM effect', '[]'), ('SELECT $1::int IS NULL AS is_null', '[null]'), ('CREATE TABLE made_here (x int)', NULL), ('SELECT * FROM made_here', NULL),
		('SELECT 1; SELECT 2', NULL), ('', NULL), ('SELEKT', NULL), ('SELECT $1::int', '[]'), ('SELECT $1::int', '["x"]'), ('SELECT 1', '[1]'), ('SELECT 1', '{}'),
		('SELECT $2::int AS second', '["unused", 2]'), ('COMMIT', NULL), ('SELECT 1 / 0', NULL), ('SELECT pg_sleep($1)', '[0]')) v(q, a)) v;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_type = 'sql_one' ORDER BY split_part(workflow_id, ' ', 1)::int;
SELECT attributes FROM aion.history_event WHERE workflow_id ~ '^2 ' AND event_type = 'ActivityScheduled';
ROLLBACK;

SET aion.determinism = off; -- the code shows what it sees
-- The environment is the owner's and nothing of the body's: settings, user, what may be written. Nothing of it stays.
CREATE FUNCTION look() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('work_mem', current_setting('work_mem'), 'path', current_setting('search_path'), 'user', current_user,
		'session', session_user, 'read only', current_setting('transaction_read_only'))
$$;
CREATE FUNCTION mess() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	SET work_mem = '3MB';
	SET LOCAL search_path = pg_catalog;
	PERFORM set_config('aion_test.mess', 'left', false);
END $$;
SELECT aion.register_activity('look', 'look()'), aion.register_activity('mess', 'mess()');
CREATE FUNCTION environment() RETURNS jsonb LANGUAGE plpgsql SET work_mem = '2MB' SET search_path = public AS $$
DECLARE
	before jsonb := look();
	inside jsonb;
	after jsonb;
BEGIN
	SET LOCAL work_mem = '1MB';
	inside := aion.run('look');
	PERFORM aion.run('mess');
	after := aion.run('look');
	RETURN jsonb_build_object('body', before, 'activity', inside, 'same after', after = inside);
END $$;
SELECT aion.register_workflow('environment', 'environment()') IS NOT NULL AS registered;
SELECT aion.start_workflow('environment', workflow_id => 'environment');
CALL aion.drive();
SELECT jsonb_pretty(result) FROM aion.workflow_run WHERE workflow_id = 'environment';
SHOW work_mem;
SELECT current_setting('aion_test.mess', true);

-- 11.23: activities of the database read under the settings of their registration, in all modes; a SET clause goes first, and a
-- statement reads under those of the workflow.
CREATE FUNCTION reads() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN concat_ws(' ', current_setting('search_path'), '2026-07-01 12:00+00'::timestamptz, '26 h'::interval, 1.0::float8 / 3);
END $$;
CREATE FUNCTION reads_so() RETURNS text LANGUAGE sql SET TimeZone = 'Asia/Tokyo' AS $$ SELECT concat_ws(' ', current_setting('search_path'), '2026-07-01 12:00+00'::timestamptz) $$;
SET search_path = activity_own, public; SET TimeZone = 'Europe/Berlin'; SET DateStyle = 'German'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -5;
SELECT aion.register_activity('reads', 'reads()'), aion.register_activity('reads later', 'reads()', mode => 'background'), aion.register_activity('reads so', 'reads_so()');
SET search_path = public; SET TimeZone = 'America/Lima'; SET DateStyle = 'ISO, DMY'; SET IntervalStyle = 'postgres'; SET extra_float_digits = 1;
CREATE FUNCTION asks(n int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF n = 1 THEN PERFORM aion.sleep('1 ms'); END IF; -- goes on step by step
	RETURN jsonb_build_array(aion.run('reads'), aion.run('reads so'), aion.run_sql('SELECT current_setting($1), $2::timestamptz AS t', '["search_path", "2026-07-01 12:00+00"]'),
		CASE WHEN n = 2 THEN aion.run('reads later') END, current_setting('search_path'));
END $$;
SELECT aion.register_workflow('asks', 'asks(int)') IS NOT NULL;
RESET search_path; RESET TimeZone; RESET DateStyle; RESET IntervalStyle; RESET extra_float_digits;
SET search_path = 'pg_catalog';
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('asks', jsonb_build_object('n', n), workflow_id => 'asks ' || n) FROM generate_series(0, 2) n;
SELECT aion_test.advance('1 s') IS NOT NULL;
SELECT workflow_id, status, jsonb_pretty(result) FROM aion.workflow_run WHERE workflow_type = 'asks' ORDER BY 1;
ROLLBACK;
RESET search_path;

-- T71 in part: when a session drives under another role, the code cannot return to the role that logged in.
CREATE FUNCTION escape(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN current_user;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' (' || current_user || ')';
END $$;
SELECT aion.register_activity('escape', 'escape(text)');
SELECT aion.start_workflow('calls', jsonb_agg(jsonb_build_array('escape', jsonb_build_object('statement', s))), workflow_id => 'escape')
	FROM unnest(ARRAY['RESET ROLE', 'SET ROLE postgres', 'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
		'SET LOCAL ROLE postgres', 'ALTER ROLE activity_user SUPERUSER']) s;
RESET SESSION AUTHORIZATION;
SET ROLE activity_user;
CALL aion.drive();
RESET ROLE;
SELECT jsonb_pretty(result) FROM aion.workflow_run WHERE workflow_id = 'escape';
SET SESSION AUTHORIZATION activity_user;

-- What an activity leaves open is closed; a set that does not fit into memory leaves no file behind.
CREATE FUNCTION leaves_open() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	mine CURSOR FOR SELECT generate_series(1, 10);
	x int;
BEGIN
	OPEN mine;
	FETCH mine INTO x;
	DECLARE
		named refcursor := 'named';
	BEGIN
		OPEN named FOR SELECT 1;
	END;
	RETURN x;
END $$;
CREATE FUNCTION large_set() RETURNS SETOF text LANGUAGE plpgsql SET work_mem = '64kB' AS $$
BEGIN
	RETURN QUERY SELECT repeat('x', 1000) FROM generate_series(1, 1000);
END $$;
CREATE FUNCTION opens() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	named refcursor := 'named';
BEGIN
	PERFORM aion.run('leaves_open');
	PERFORM aion.run('leaves_open');
	OPEN named FOR SELECT 1;
	RETURN jsonb_array_length(aion.run('large_set')) || ' rows';
END $$;
SELECT aion.register_activity('leaves_open', 'leaves_open()'), aion.register_activity('large_set', 'large_set()');
SELECT aion.register_workflow('opens', 'opens()') IS NOT NULL AS registered;
SELECT aion.start_workflow('opens', workflow_id => 'opens');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'opens';

-- In a test, what the test left deferred is its own; nothing of it is done by looking.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child (parent int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (1);
SELECT aion.start_workflow('opens', workflow_id => 'in a test');
SAVEPOINT s;
SELECT aion_test.run_until_idle();
ROLLBACK TO s;
INSERT INTO parent VALUES (1);
SAVEPOINT s;
CREATE TABLE turns AS SELECT aion_test.run_until_idle();
SELECT status FROM aion.workflow_run WHERE workflow_id = 'in a test';
INSERT INTO child VALUES (2); -- after SET SESSION AUTHORIZATION what code has deferred was fired, and constraints are immediate
ROLLBACK TO s;
SET CONSTRAINTS ALL IMMEDIATE;
ROLLBACK;

-- What a deploy or a grant mends is no failure of an activity: the run is blocked, and goes on by itself (C8).
CREATE FUNCTION later() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('look');
	RETURN aion.run('not yet') ->> 0;
EXCEPTION WHEN SQLSTATE 'WA000' THEN
	RETURN 'the code saw ' || SQLERRM;
END $$;
SELECT aion.register_workflow('later', 'later()') IS NOT NULL AS registered;
SELECT aion.start_workflow('later', workflow_id => 'later');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'later';
SELECT event_type, attributes FROM aion.history('later') ORDER BY seq DESC LIMIT 1;
CALL aion.drive();
CREATE FUNCTION not_yet() RETURNS text LANGUAGE sql AS $$ SELECT 'here now' $$;
SELECT aion.register_activity('not yet', 'not_yet()');
CALL aion.drive();
SELECT status, blocked, result FROM aion.workflow_run WHERE workflow_id = 'later';
SELECT seq, event_type, key FROM aion.history('later');
-- ... a function that is gone, a right that is missing, a function that became SECURITY DEFINER.
ALTER FUNCTION not_yet RENAME TO elsewhere;
SELECT aion.start_workflow('later', workflow_id => 'gone');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'gone';
ALTER FUNCTION elsewhere RENAME TO not_yet;
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'gone';
REVOKE EXECUTE ON FUNCTION not_yet FROM PUBLIC, activity_user;
SELECT aion.start_workflow('later', workflow_id => 'revoked');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'revoked';
GRANT EXECUTE ON FUNCTION not_yet TO activity_user;
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'revoked';
ALTER FUNCTION not_yet SECURITY DEFINER;
SELECT aion.start_workflow('later', workflow_id => 'definer');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'definer';
ALTER FUNCTION not_yet SECURITY INVOKER;
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'definer';

RESET aion.determinism;
-- 11.22: mistakes of the program. Where the code does not catch one nothing of it is recorded, and the run is blocked until it is mended.
CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
CREATE FUNCTION picky(n even, t text DEFAULT 'x') RETURNS int LANGUAGE sql AS 'SELECT n::int';
SELECT aion.register_activity('picky', 'picky(even, text)'), aion.register_activity('picky later', 'picky(even, text)', mode => 'background');
CREATE FUNCTION mistaken(activity text, input jsonb, how text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text;
	handle aion.handle;
BEGIN
	PERFORM aion.run('look');
	IF how = 'wait first' THEN
		handle := aion.start_activity(activity, input);
		PERFORM aion.sleep('1 h');
		RETURN aion.await(handle);
	ELSIF how = 'settle' THEN
		RETURN (SELECT jsonb_agg(o #> '{error,sqlstate}') FROM jsonb_array_elements(aion.await_settled(ARRAY[aion.start_activity(activity, input), aion.start_activity('look'), aion.start_activity(activity, input)])) o);
	ELSIF how = 'failures' THEN
		BEGIN RETURN aion.run(activity, input); EXCEPTION WHEN SQLSTATE 'WA000' THEN RETURN '"taken for a failure"'; END;
	ELSIF how = 'all' THEN
		BEGIN
			RETURN aion.run(activity, input);
		EXCEPTION WHEN OTHERS THEN
			said := SQLSTATE || ' ' || SQLERRM;
		END;
		PERFORM aion.run_sql('SELECT 1');
		RETURN jsonb_build_array(said, aion.failure() - 'context', aion.now() > '2000-01-01');
	ELSIF how = 'all, and raise' THEN
		BEGIN
			RETURN aion.run(activity, input);
		EXCEPTION WHEN OTHERS THEN
			RAISE;
		END;
	ELSIF how = 'all, undo and raise' THEN
		BEGIN
			RETURN aion.run(activity, input);
		EXCEPTION WHEN OTHERS THEN
			PERFORM aion.run_sql('SELECT 1');
			RAISE;
		END;
	END IF;
	RETURN aion.run(activity, input);
END $$;
SELECT aion.register_workflow('mistaken', 'mistaken(text, jsonb, text)') IS NOT NULL AS registered;
CREATE VIEW mistakes AS SELECT workflow_id, status, blocked, coalesce(result, error - 'context') AS outcome,
	(SELECT string_agg(event_type || coalesce(' ' || key, ''), ', ' ORDER BY seq) FROM aion.history(w.workflow_id) WHERE event_type NOT IN ('WorkflowStarted', 'ActivityScheduled')) AS events,
	left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run w WHERE workflow_type = 'mistaken';
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT count(aion.start_workflow('mistaken', jsonb_build_object('activity', a, 'input', i::jsonb, 'how', how), workflow_id => concat_ws(': ', how, a, i)))
	FROM unnest('{nothing,failures,all,"all, and raise","all, undo and raise",settle,wait first}'::text[]) how, (VALUES ('none such', '{}'), ('picky', '{"n": 2, "m": 1}'), ('picky', '{}'), ('picky', '{"n": 3}'), ('picky', '{"n": "x"}'), ('picky later', '{"n": 3}')) v(a, i)
	WHERE how NOT IN ('wait first', 'all, and raise') OR a = 'none such' OR i = '{"n": 3}';
SELECT aion_test.run_until_idle() > 0;
SELECT * FROM mistakes ORDER BY 1;
-- Looked at again nothing is told twice, and nothing is recorded.
SELECT aion_test.advance('3 h') > 0;
SELECT workflow_id, count(*) FILTER (WHERE event_type = 'WorkflowBlocked') AS blocked, count(*) FILTER (WHERE event_type = 'WorkflowUnblocked') AS unblocked
	FROM aion.history_event WHERE event_type IN ('WorkflowBlocked', 'WorkflowUnblocked') AND workflow_id ~ ':' GROUP BY 1 HAVING count(*) <> 1 ORDER BY 1;
-- Mended, those that wait go on: a registration, a function that takes more.
SELECT aion.register_activity('none such', 'look()');
CREATE FUNCTION picky_no_more(input jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT input';
SELECT aion.register_activity('picky', 'picky_no_more(jsonb)'), aion.register_activity('picky later', 'picky_no_more(jsonb)', mode => 'background');
SELECT aion_test.advance('3 h') > 0;
SELECT workflow_id, status, replay FROM mistakes WHERE blocked IS NOT NULL OR status <> 'completed' OR replay <> 'ok' ORDER BY 1;
SELECT count(*) FROM mistakes WHERE status = 'completed';
ROLLBACK;
-- A run that is blocked for one that its code does not wait for goes on at once when its time has come.
CREATE FUNCTION goes_on() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	handle aion.handle := aion.start_activity('none at all'); -- aion:allow unused_handle
BEGIN
	PERFORM aion.sleep('1 h');
	PERFORM aion.run('look');
	PERFORM aion.sleep('1 h');
	RETURN aion.run('look');
END $$;
SELECT aion.register_workflow('goes on', 'goes_on()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('goes on', workflow_id => 'goes on');
SELECT aion_test.advance('90 min') > 0;
SELECT status, blocked, (SELECT string_agg(e::text, ' ') FROM aion.explain('goes on') e) ~ 'waiting for release missing code, due' AS is_tried_again FROM aion.workflow_run WHERE workflow_id = 'goes on';
SELECT event_type, key, recorded_at::time FROM aion.history('goes on') WHERE event_type !~ 'Workflow' ORDER BY seq;
SELECT aion_test.advance('30 min') > 0;
SELECT status, closed_at::time FROM aion.workflow_run WHERE workflow_id = 'goes on';
ROLLBACK;
-- One that is not there does not keep what was asked for after it from being handed over, once.
CREATE FUNCTION beside(first text, second text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_activity(first), aion.start_activity(second);
	PERFORM aion.sleep('1 s');
	RETURN 1;
END $$;
SELECT aion.register_activity('away', mode => 'external', start_to_close_timeout => '1 h');
SELECT aion.register_workflow('beside', 'beside(text, text)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS begun;
SELECT count(aion.start_workflow('beside', jsonb_build_object('first', a, 'second', b), workflow_id => 'beside ' || a || ' ' || b)) FROM (VALUES ('unknown', 'away'), ('away', 'unknown'), ('unknown', 'unknown too')) v(a, b);
SELECT aion_test.run_until_idle() > 0 AS ran, aion_test.advance('1 h') > 0 AS advanced;
SELECT workflow_id, status, blocked, result FROM aion.workflow_run WHERE workflow_type = 'beside' ORDER BY 1;
SET LOCAL SESSION AUTHORIZATION DEFAULT; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Names are owned (WF009), and no role's code is executed for a role that does not trust it (T109).
SET SESSION AUTHORIZATION activity_other;
CREATE FUNCTION mine() RETURNS text LANGUAGE sql AS $$ SELECT 'run as ' || current_user $$;
SELECT aion.register_activity('look', 'mine()');
SELECT aion.register_activity('squatted', 'mine()');
SELECT aion.register_activity('put', 'put(int, int, text)');
SET SESSION AUTHORIZATION activity_user;
CREATE FUNCTION trusting() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('squatted') $$;
SELECT aion.register_workflow('trusting', 'trusting()') IS NOT NULL AS registered;
SELECT aion.start_workflow('trusting', workflow_id => 'trusting');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'trusting';
RESET SESSION AUTHORIZATION;
GRANT activity_other TO activity_user;
SET SESSION AUTHORIZATION activity_user;
SELECT pg_sleep(0.3);
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'trusting';

-- Registered activities are listed for those who see their owner, and unregistered by its members. Runs that ask for one later wait until it is back.
SELECT name, owner, handler, mode, task_queue, options FROM aion.activity WHERE name IN ('away', 'look', 'squatted') ORDER BY 1;
SELECT aion.register_activity('aside', 'look()', mode => 'background', retry => '{"max_attempts": 2}', task_queue => 'slow', on_cancel => 'wait');
SELECT name, owner, handler, mode, task_queue, options, settings ? 'search_path' AS has_settings FROM aion.activity WHERE name = 'aside';
CREATE FUNCTION asides() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.await(aion.start_activity('aside')) || aion.run('away'); END $$;
SELECT aion.register_workflow('asides', 'asides()') IS NOT NULL AS registered;
SET SESSION AUTHORIZATION activity_other;
SELECT name FROM aion.activity ORDER BY 1;
SELECT aion.unregister_activity('aside');
SET SESSION AUTHORIZATION activity_user;
SELECT aion.unregister_activity('no such');
SELECT aion.unregister_activity(NULL);
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS begun;
SELECT aion.start_workflow('asides', workflow_id => 'asides');
SELECT aion.pause_task_queue('slow');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT aion.unregister_activity('aside'), aion.unregister_activity('away');
SELECT aion.resume_task_queue('slow');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'asides';
SELECT aion.register_activity('aside', 'look()', mode => 'background', task_queue => 'slow');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'asides';
SELECT aion.register_activity('away', 'look()');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'asides';
ROLLBACK;

-- What cannot be registered.
CREATE PROCEDURE a_procedure() LANGUAGE sql AS '';
CREATE FUNCTION a_definer() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION no_name(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION polymorphic(x anyelement) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION a_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT aion.register_activity('x', 'a_procedure()');
SELECT aion.register_activity('x', 'a_definer()');
SELECT aion.register_activity('x', 'no_name(int, text)');
SELECT aion.register_activity('x', 'polymorphic(anyelement)');
SELECT aion.register_activity('x', 'a_trigger()');
SELECT aion.register_activity('x', 'count(*)');
SELECT aion.register_activity('x', 'pg_sleep(float8)');
SELECT aion.register_activity('x', 999999::oid::regprocedure);
SELECT aion.register_activity('x');
SELECT aion.register_activity('run_sql', 'look()');
SELECT aion.register_activity('', 'look()');
SELECT aion.register_activity('x', 'look()', mode => 'sometimes');
SELECT aion.register_activity('x', 'look()', mode => 'background');
SELECT aion.register_activity('x', 'look()', retry => '{}');
-- ... nor asked for.
CREATE FUNCTION bad_calls() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text[];
BEGIN
	BEGIN PERFORM aion.run(NULL); EXCEPTION WHEN OTHERS THEN said := said || (SQLSTATE || ' ' || SQLERRM); END;
	BEGIN PERFORM aion.run(''); EXCEPTION WHEN OTHERS THEN said := said || (SQLSTATE || ' ' || SQLERRM); END;
	BEGIN PERFORM aion.run('run_sql'); EXCEPTION WHEN OTHERS THEN said := said || (SQLSTATE || ' ' || SQLERRM); END;
	BEGIN PERFORM aion.run('look', '{}', '{"retry": {}}'); EXCEPTION WHEN OTHERS THEN said := said || (SQLSTATE || ' ' || SQLERRM); END;
	BEGIN PERFORM aion.run_sql(NULL); EXCEPTION WHEN OTHERS THEN said := said || (SQLSTATE || ' ' || SQLERRM); END;
	BEGIN PERFORM aion.run('look', to_jsonb(repeat('x', 20000000))); EXCEPTION WHEN OTHERS THEN said := said || (SQLSTATE || ' ' || SQLERRM); END;
	RETURN to_jsonb(said);
END $$;
SELECT aion.register_workflow('bad_calls', 'bad_calls()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('bad_calls', workflow_id => 'bad');
SELECT aion_test.run_until_idle();
SELECT status, jsonb_pretty(result), history_events FROM aion.workflow_run WHERE workflow_id = 'bad';
ROLLBACK;

-- Stand-ins for tests.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion_test.mock_activity('put', '"mocked"');
SELECT aion_test.mock_activity('look', error => '"broken"');
SAVEPOINT s; SELECT aion_test.mock_activity('mess', error => '{"sqlstate": "xy002"}');
ROLLBACK TO s; SELECT aion_test.mock_activity('mess', results => '[{"ok": 1}, {"error": {"sqlstate": 40001}}]');
ROLLBACK TO s;
SELECT aion_test.mock_activity('mess', error => '{"message": "slow", "sqlstate": "XY002", "detail": "very"}');
SELECT aion_test.mock_activity('no result');
SELECT aion_test.mock_activity('run_sql', results => '[{"ok": 1}, {"error": "second"}, {"ok": null}]');
SELECT aion.start_workflow('calls', '[["put", {"id": 1}], ["look"], ["mess"], ["no result"]]', workflow_id => 'm');
SELECT aion.start_workflow('sql_one', '{"query": "SELECT", "args": []}', workflow_id => 's' || n) FROM generate_series(1, 4) n;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_id ~ '^(m|s\d)$' ORDER BY 1;
SELECT count(*) FROM effect;
SAVEPOINT s;
SELECT aion_test.mock_activity('put', '"other"');
ROLLBACK TO s;
SELECT aion.start_workflow('calls', '[["put", {"id": 1}]]', workflow_id => 'after rollback');
SELECT aion_test.run_until_idle();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'after rollback';
SELECT aion_test.mock_activity('put', '1', results => '[]');
ROLLBACK;
RESET SESSION AUTHORIZATION;
REVOKE activity_other FROM activity_user;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY activity_user, activity_other CASCADE;
DROP ROLE activity_user, activity_other;
CREATE EXTENSION aion;
