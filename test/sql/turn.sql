--
-- Turns: suspension and what code may try against it, what it may not do, whose failure is whose.
--
\set ON_ERROR_STOP 0
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS plpython3u;
RESET client_min_messages;
CREATE ROLE turn_user LOGIN;
SELECT aion.grant_usage('turn_user');
GRANT CREATE ON SCHEMA public TO turn_user;
-- Python is for superusers; lent for this test, so that its workflows have an ordinary owner.
UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'plpython3u';
GRANT USAGE ON LANGUAGE plpython3u TO turn_user;
SET SESSION AUTHORIZATION turn_user;

-- The first workflow of the design, fourteen days in one transaction that is rolled back.
CREATE TABLE payment (order_id bigint PRIMARY KEY, amount numeric);
CREATE FUNCTION take_payment(order_id bigint, amount numeric) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO payment VALUES (order_id, amount);
	RETURN 'receipt-' || order_id;
END $$;
SELECT aion.register_activity('take_payment', 'take_payment(bigint, numeric)');
CREATE FUNCTION ask_for_review(order_id bigint) RETURNS void LANGUAGE sql AS 'SELECT';
SELECT aion.register_activity('ask_for_review', 'ask_for_review(bigint)');
CREATE FUNCTION fulfil(order_id bigint, amount numeric) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	receipt jsonb;
BEGIN
	receipt := aion.run('take_payment', jsonb_build_object('order_id', order_id, 'amount', amount));
	PERFORM aion.sleep('14 days');
	PERFORM aion.run('ask_for_review', jsonb_build_object('order_id', order_id));
	RETURN jsonb_build_object('status', 'done', 'receipt', receipt);
END $$;
SELECT aion.register_workflow('fulfil', 'fulfil(bigint, numeric)') ~ '^[0-9a-f]{16}$' AS version;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('fulfil', '{"order_id": 7, "amount": 200}', workflow_id => 'order-7');
SELECT aion_test.run_until_idle();
SELECT awaiting, key, since, until FROM aion.pending_await;
SELECT aion_test.advance('14 days');
SELECT seq, recorded_at, event_type, key, attributes - 'version' AS attributes FROM aion.history('order-7');
SELECT regexp_replace(line, 'version \w+', 'version ...') AS explain FROM aion.explain('order-7') line;
SELECT * FROM payment;
SELECT aion_test.replay('order-7');
ROLLBACK;
SELECT count(*) FROM payment;

-- Every language suspends and goes on alike.
CREATE FUNCTION two_naps_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep('1 day');
	PERFORM aion.sleep('1 hour');
	RETURN 'rested at ' || aion.now();
END $$;
CREATE FUNCTION two_naps_sql() RETURNS text LANGUAGE sql AS $$
	SELECT aion.sleep('1 day');
	SELECT aion.sleep('1 hour');
	SELECT 'rested at ' || aion.now();
$$;
CREATE FUNCTION two_naps_python() RETURNS text LANGUAGE plpython3u AS $$
plpy.execute("SELECT aion.sleep('1 day')")
plpy.execute("SELECT aion.sleep('1 hour')")
return 'rested at ' + plpy.execute("SELECT aion.now() AS now")[0]['now']
$$;
-- ... also when they try not to.
CREATE FUNCTION stubborn_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM aion.sleep('1 day');
	EXCEPTION WHEN OTHERS THEN
		RETURN 'caught ' || SQLSTATE;
	END;
	BEGIN
		PERFORM aion.sleep('1 hour');
	EXCEPTION WHEN assert_failure OR query_canceled THEN
		PERFORM aion.sleep('1 minute');
		RETURN 'swallowed ' || SQLSTATE;
	END;
	RETURN 'rested at ' || aion.now();
END $$;
CREATE FUNCTION stubborn_python() RETURNS text LANGUAGE plpython3u AS $$
try:
    plpy.execute("SELECT aion.sleep('1 day')")
except:
    return 'swallowed'
try:
    plpy.execute("SELECT aion.sleep('1 hour')")
except:
    try:
        plpy.execute("SELECT aion.sleep('1 minute')")
    except:
        pass
    return 'swallowed'
finally:
    pass
return 'rested at ' + plpy.execute("SELECT aion.now() AS now")[0]['now']
$$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SET LOCAL timezone = 'UTC';
SELECT f, aion.register_workflow(f, (f || '()')::regprocedure) IS NOT NULL AS registered,
		aion.start_workflow(f, workflow_id => f)
	FROM unnest('{two_naps_plpgsql,two_naps_sql,two_naps_python,stubborn_plpgsql,stubborn_python}'::text[]) f;
SELECT aion_test.run_until_idle();
SELECT workflow_id, awaiting, key FROM aion.pending_await ORDER BY 1;
SELECT aion_test.advance('1 day');
SELECT workflow_id, awaiting, key FROM aion.pending_await ORDER BY 1;
SELECT aion_test.advance('1 day');
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY 1;
SELECT DISTINCT string_agg(event_type || coalesce(' ' || key, ''), ', ' ORDER BY seq) FROM aion.history_event
	GROUP BY workflow_id;
ROLLBACK;

-- Author functions are for workflow code (WF010): neither clients nor activities may call them.
SELECT aion.sleep('1 day');
SELECT aion.now();
SELECT aion.run('take_payment');
CREATE FUNCTION calls_from_activity() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('1 day') $$;
SELECT aion.register_activity('calls_from_activity', 'calls_from_activity()');
CREATE FUNCTION runs_it() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('calls_from_activity');
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN aion.failure() ->> 'sqlstate' || ' ' || SQLERRM;
END $$;
SELECT aion.register_workflow('runs_it', 'runs_it()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('runs_it', workflow_id => 'r');
SELECT aion_test.run_until_idle();
SELECT status, result FROM aion.workflow_run;
ROLLBACK;

-- T94: code decides and never writes. What a read-only transaction lets through is refused, too.
CREATE TABLE note (line text);
CREATE SEQUENCE counter;
CREATE FUNCTION tries(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT aion.register_workflow('tries', 'tries(text)') IS NOT NULL AS registered;
CREATE TEMP TABLE scratch (line text);
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE TEMP TABLE attempt ON COMMIT DROP AS SELECT n, statement, aion.start_workflow('tries',
		jsonb_build_object('statement', statement)) AS workflow_id
	FROM unnest(ARRAY[
		'INSERT INTO note VALUES (1)', 'UPDATE note SET line = 2', 'DELETE FROM note', 'TRUNCATE note',
		'WITH w AS (INSERT INTO note VALUES (1) RETURNING *) SELECT * FROM w',
		'SELECT * FROM note FOR UPDATE', 'INSERT INTO scratch VALUES (1)', 'CREATE TABLE other (x int)',
		'CREATE TEMP TABLE other (x int)', 'CREATE TEMP TABLE other AS SELECT 1', 'SELECT nextval(''counter'')',
		'NOTIFY somebody', 'SELECT pg_notify(''a'', ''b'')', 'LISTEN somebody', 'SELECT lo_create(0)',
		'SELECT pg_advisory_lock(1)', 'SELECT pg_try_advisory_xact_lock(1)', 'SET work_mem = ''1MB''',
		'SELECT set_config(''work_mem'', ''1MB'', false)', 'PREPARE p AS SELECT 1', 'COPY note TO STDOUT',
		'SET LOCAL work_mem = ''1MB''', 'SET transaction_read_only = off', 'SET LOCAL transaction_read_only = off',
		'DO $d$ BEGIN INSERT INTO note VALUES (1); END $d$', 'SELECT count(*) FROM note', 'COMMIT',
		'SELECT aion.start_workflow(''tries'', ''{"statement": "SELECT 1"}'')',
		'SELECT aion.terminate_workflow(''x'')', 'SELECT aion.await_workflow(''x'')', 'SELECT aion_test.begin()',
		'CALL aion.drive()']) WITH ORDINALITY AS s(statement, n);
SELECT aion_test.run_until_idle();
SELECT n, statement, coalesce(result #>> '{}', status || ': ' || (error ->> 'message')) AS answer
	FROM attempt JOIN aion.workflow_run USING (workflow_id) ORDER BY n;
SELECT count(*) FROM note;
SELECT count(*) FROM scratch;
SHOW work_mem;
ROLLBACK;

-- 11.4 ... whatever an activity, or the session, has called by the same expression in the same transaction.
CREATE FUNCTION turn_locks(key int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	locked boolean;
BEGIN
	locked := pg_try_advisory_lock(key);
	RETURN locked;
END $$;
CREATE FUNCTION turn_locks_first() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM turn_locks(1101); PERFORM pg_advisory_unlock(1101); END $$;
SELECT aion.register_activity('turn_locks_first', 'turn_locks_first()');
CREATE FUNCTION turn_locks_then() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('turn_locks_first');
	PERFORM turn_locks(1102);
	RETURN 'locked';
EXCEPTION WHEN SQLSTATE 'WF011' THEN
	RETURN SQLERRM;
END $$;
SELECT aion.register_workflow('turn_locks', 'turn_locks_then()') IS NOT NULL AS registered;
CREATE FUNCTION turn_locks_now() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('turn_locks_first');
	PERFORM turn_locks(1103);
	RETURN 'locked';
END $$;
SELECT aion.register_workflow('turn_locks_now', 'turn_locks_now()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('turn_locks', workflow_id => 'locks'), aion.start_workflow('turn_locks_now', workflow_id => 'locks now');
SELECT aion_test.run_until_idle();
SELECT workflow_id, status, result, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id ~ '^locks' ORDER BY 1;
SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND objid BETWEEN 1101 AND 1109;
ROLLBACK;

-- An error of the code fails the run, with all that is known about it.
CREATE FUNCTION fails(how text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF how = 'raise' THEN
		RAISE EXCEPTION 'no such % thing', how USING ERRCODE = 'XY123', DETAIL = 'It was looked for.',
			HINT = 'Look elsewhere.', CONSTRAINT = 'c', TABLE = 't';
	ELSIF how = 'divide' THEN
		PERFORM 1 / 0;
	ELSIF how = 'assert' THEN
		ASSERT false, 'not what it seems';
	ELSIF how = 'domain' THEN
		PERFORM 'x'::int;
	END IF;
END $$;
SELECT aion.register_workflow('fails', 'fails(text)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('fails', jsonb_build_object('how', how), workflow_id => how)
	FROM unnest('{raise,divide,assert,domain}'::text[]) how;
SELECT aion_test.run_until_idle();
SELECT workflow_id, status, jsonb_pretty(error) FROM aion.workflow_run ORDER BY 1;
SELECT aion.await_workflow('raise');
ROLLBACK;

-- C12, T107: the machine's troubles are repeated with backoff and then block the run; never failed.
CREATE FUNCTION unlucky(sqlstate text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'out of something' USING ERRCODE = sqlstate;
END $$;
SELECT aion.register_workflow('unlucky', 'unlucky(text)') IS NOT NULL AS registered;
SELECT aion.register_activity('unlucky', 'unlucky(text)');
CREATE FUNCTION runs_unlucky(sqlstate text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('take_payment', '{"order_id": 1, "amount": 1}');
	PERFORM aion.run('unlucky', jsonb_build_object('sqlstate', sqlstate));
EXCEPTION WHEN OTHERS THEN
	RAISE EXCEPTION 'this must not be reached';
END $$;
SELECT aion.register_workflow('runs_unlucky', 'runs_unlucky(text)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT count(aion.start_workflow(w, jsonb_build_object('sqlstate', s), workflow_id => w || ' ' || s))
	FROM unnest('{unlucky,runs_unlucky}'::text[]) w,
		unnest('{40001,40P01,53100,53200,54001,55P03,55006,58030,XX000,57P03}'::text[]) s;
SELECT aion_test.run_until_idle();
SELECT DISTINCT status, blocked, turn_failures, history_events FROM aion.workflow_run;
SELECT DISTINCT timer, fire_at FROM aion.timer;
SELECT aion_test.advance('5 seconds') > 0 AS went_on;
SELECT DISTINCT status, blocked, turn_failures, history_events FROM aion.workflow_run;
SELECT aion_test.advance('1 minute') > 0 AS went_on;
SELECT DISTINCT status, blocked, history_events FROM aion.workflow_run;
SELECT DISTINCT string_agg(event_type, ', ' ORDER BY seq) FROM aion.history_event GROUP BY workflow_id;
SELECT count(*) AS payments FROM payment;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A turn that takes too long is blocked, also if it swallows the cancel (T95, T100).
RESET SESSION AUTHORIZATION;
SET aion.determinism = off;
SET aion.turn_timeout = '200ms';
SET SESSION AUTHORIZATION turn_user;
CREATE FUNCTION loops() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LOOP END LOOP; END $$;
CREATE FUNCTION swallows_once() RETURNS void LANGUAGE plpython3u AS $$
try:
    plpy.execute("SELECT pg_sleep(10)")
except:
    pass
$$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT f, aion.register_workflow(f, (f || '()')::regprocedure) IS NOT NULL AS registered,
		aion.start_workflow(f, workflow_id => f)
	FROM unnest('{loops,swallows_once}'::text[]) f;
SELECT aion_test.run_until_idle();
SELECT workflow_id, status, blocked FROM aion.workflow_run ORDER BY 1;
SELECT seq, event_type, attributes FROM aion.history('loops') WHERE seq > 1;
ROLLBACK;
RESET SESSION AUTHORIZATION;
RESET aion.turn_timeout;
SET SESSION AUTHORIZATION turn_user;

CREATE FUNCTION swallows() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_sleep(10);
EXCEPTION WHEN query_canceled THEN
	RETURN 'swallowed';
END $$;
SELECT aion.register_workflow('swallows', 'swallows()') IS NOT NULL AS registered;
SELECT aion.start_workflow('swallows', workflow_id => 'swallows');
RESET SESSION AUTHORIZATION;
SET aion.turn_timeout = '100ms';
SET SESSION AUTHORIZATION turn_user;
SELECT aion_test.replay('swallows');
SELECT aion.terminate_workflow('swallows');
RESET SESSION AUTHORIZATION;
RESET aion.turn_timeout;
-- A history that grows too long is not continued, whatever the code makes of that (C12); with more room it goes on.
SET aion.max_history_events = 10;
SET aion.turn_attempts = 2;
SET SESSION AUTHORIZATION turn_user;
CREATE FUNCTION long_one() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..20 LOOP
		PERFORM aion.sleep('0');
	END LOOP;
	RETURN 'done';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT aion.register_workflow('long_one', 'long_one()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT aion.start_workflow('long_one', workflow_id => 'long');
SELECT aion_test.advance('1 minute') > 0 AS went_on;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'long';
SELECT attributes #>> '{detail,message}' AS message FROM aion.history('long') WHERE event_type = 'WorkflowBlocked';
RESET SESSION AUTHORIZATION;
RESET aion.max_history_events;
SET SESSION AUTHORIZATION turn_user;
SELECT aion_test.advance('1 hour') > 0 AS went_on;
SELECT status, result, aion_test.replay('long') ~ '^ok' AS replays FROM aion.workflow_run WHERE workflow_id = 'long';
-- A run that was to start later is blocked like any other.
SELECT aion.start_workflow('unlucky', '{"sqlstate": "53100"}', workflow_id => 'later', start_at => aion_test.now() + interval '1 day');
SELECT aion_test.advance('2 days') AS turns_that_went_through;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'later';
SELECT string_agg(event_type || coalesce(' ' || key, ''), ', ' ORDER BY seq) FROM aion.history('later');
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;
RESET SESSION AUTHORIZATION;
RESET aion.turn_attempts;
RESET aion.max_history_events;
SET SESSION AUTHORIZATION turn_user;
-- Messages are emitted once, not at every replay.
CREATE FUNCTION chatty() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'one';
	PERFORM aion.sleep('1 day');
	RAISE NOTICE 'two';
	PERFORM aion.run('ask_for_review', '{"order_id": 1}');
	RAISE NOTICE 'three';
	PERFORM aion.sleep('1 day');
	RAISE NOTICE 'four';
	RAISE INFO 'and more';
	PERFORM aion.sleep('1 day');
END $$;
SELECT aion.register_workflow('chatty', 'chatty()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('chatty', workflow_id => 'c');
SELECT aion_test.run_until_idle();
SELECT aion_test.advance('1 day');
SELECT aion_test.advance('1 day');
SHOW client_min_messages;
ROLLBACK;

-- 1,000 inline steps in one run.
CREATE FUNCTION many_steps(steps int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	total bigint := 0;
BEGIN
	FOR i IN 1..steps LOOP
		total := total + (aion.run_sql('INSERT INTO note VALUES ($1) RETURNING line::int AS i', jsonb_build_array(i))
			-> 0 ->> 'i')::int;
	END LOOP;
	RETURN total;
END $$;
SELECT aion.register_workflow('many_steps', 'many_steps(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('many_steps', '{"steps": 1000}', workflow_id => 'many');
CALL aion.drive();
SELECT status, result, history_events FROM aion.workflow_run WHERE workflow_id = 'many';
SELECT count(*), count(DISTINCT line) FROM note;
SELECT aion_test.replay('many');
SELECT count(*) FROM note;

-- R30: an optimistic turn leaves what the same turn leaves step by step, whatever goes wrong in it.
CREATE TABLE ledger (what text, CONSTRAINT once UNIQUE (what) DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION book(what text, fail boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO ledger VALUES (what);
	IF fail THEN RAISE EXCEPTION 'cannot book %', what USING ERRCODE = 'AB123'; END IF;
	RETURN what || ' under ' || current_setting('work_mem') || ' ' || current_setting('transaction_read_only') || ' ' || current_setting('search_path');
END $$;
SELECT aion.register_activity('book', 'book(text, boolean)');
CREATE FUNCTION run_book(what text, fail boolean DEFAULT false) RETURNS text LANGUAGE sql AS $$
	SELECT aion.value(aion.run('book', jsonb_build_object('what', what, 'fail', fail))) $$;
CREATE FUNCTION run_book_with_set(what text) RETURNS text LANGUAGE sql SET work_mem = '1MB' AS $$ SELECT run_book(what) $$;
CREATE FUNCTION goes_well() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); RETURN run_book('b') || aion.random(); END $$;
CREATE FUNCTION raises_then() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); RAISE EXCEPTION 'afterwards'; END $$;
CREATE FUNCTION refunds() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM run_book('debit');
	RAISE EXCEPTION 'no';
EXCEPTION WHEN raise_exception THEN
	RETURN run_book('refund');
END $$;
CREATE FUNCTION refunds_inside() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM run_book('first');
	BEGIN
		PERFORM run_book('debit');
		RAISE EXCEPTION 'no';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	RETURN run_book('refund');
END $$;
CREATE FUNCTION fails_second() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); RETURN run_book('b', true); END $$;
CREATE FUNCTION violates_later() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); RETURN run_book('a'); END $$;
CREATE FUNCTION waits_then() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); PERFORM aion.sleep('1 s'); RETURN run_book('b'); END $$;
CREATE FUNCTION has_timer() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM run_book('a');
	PERFORM aion.start_timer('t', '1 day');
	PERFORM run_book('b');
	RETURN aion.cancel_timer('t');
END $$;
CREATE FUNCTION timer_last() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); PERFORM aion.start_timer('t', '1 day'); RETURN 'x'; END $$;
CREATE FUNCTION sets_locally() RETURNS text LANGUAGE plpgsql AS $$ BEGIN SET LOCAL work_mem = '1MB'; RETURN run_book('a'); END $$;
CREATE FUNCTION sets_nested() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); RETURN run_book_with_set('b'); END $$;
CREATE FUNCTION sets_itself() RETURNS text LANGUAGE plpgsql SET work_mem = '1MB' AS $$ BEGIN RETURN run_book('a'); END $$;
CREATE FUNCTION missing_later() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM run_book('a'); RETURN aion.run('missing'); END $$;
CREATE FUNCTION in_sql() RETURNS text LANGUAGE sql AS $$ SELECT run_book('a') || run_book('b') $$;
-- Blocks with handlers: what was executed in one that is rolled back is not kept, whatever the reason.
CREATE FUNCTION each_handled() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..5 LOOP BEGIN PERFORM run_book(i::text); EXCEPTION WHEN SQLSTATE 'WA000' THEN RETURN 'failed'; END; END LOOP;
	RETURN 'done';
END $$;
CREATE FUNCTION one_fails() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..4 LOOP BEGIN PERFORM run_book(i::text, i = 3); EXCEPTION WHEN SQLSTATE 'WA000' THEN PERFORM run_book('instead of ' || i); END; END LOOP;
	RETURN 'done';
END $$;
CREATE FUNCTION catches_all() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN PERFORM run_book('a', true); EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM; END;
END $$;
CREATE FUNCTION deep() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		BEGIN
			BEGIN PERFORM run_book('a'); EXCEPTION WHEN division_by_zero THEN NULL; END;
			PERFORM run_book('b');
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
		PERFORM 1 / 0;
	EXCEPTION WHEN division_by_zero THEN
		PERFORM run_book('c');
	END;
	RETURN run_book('d');
END $$;
CREATE FUNCTION undoes_nothing() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM run_book('a');
		BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;
		PERFORM run_book('b');
		BEGIN PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN PERFORM run_book('c'); END;
	EXCEPTION WHEN raise_exception THEN RETURN 'never';
	END;
	RETURN run_book('d');
END $$;
CREATE FUNCTION waits_handled() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM run_book('a');
		PERFORM aion.sleep('1 s');
		PERFORM run_book('b');
	EXCEPTION WHEN division_by_zero THEN NULL;
	END;
	BEGIN PERFORM run_book('c'); EXCEPTION WHEN division_by_zero THEN NULL; END;
	PERFORM aion.sleep('1 s');
	RETURN run_book('d');
END $$;
CREATE FUNCTION sets_in_block() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN SET LOCAL work_mem = '1MB'; PERFORM run_book('a'); EXCEPTION WHEN division_by_zero THEN NULL; END;
	BEGIN PERFORM run_book_with_set('b'); EXCEPTION WHEN division_by_zero THEN NULL; END;
	RETURN run_book('c');
END $$;
CREATE FUNCTION has_deadline() RETURNS text LANGUAGE plpgsql AS $$
DECLARE s aion.scope;
BEGIN
	BEGIN
		s := aion.begin_timeout('1 hour');
		PERFORM run_book('a');
		PERFORM aion.sleep('2 hours');
	EXCEPTION WHEN SQLSTATE 'WF026' THEN PERFORM run_book('late');
	END;
	RETURN run_book('b');
END $$;
CREATE FUNCTION violates_handled() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM run_book('a');
	BEGIN PERFORM run_book('a'); EXCEPTION WHEN SQLSTATE 'WA000' THEN PERFORM run_book('b'); END;
	RETURN run_book('c');
END $$;
CREATE FUNCTION missing_handled() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN PERFORM run_book('a'); PERFORM aion.run('missing'); EXCEPTION WHEN SQLSTATE 'WF005' THEN PERFORM run_book('b'); END;
	RETURN run_book('c');
END $$;
CREATE FUNCTION left(id text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('status', status, 'result', result, 'error', error #- '{context}', 'history', (SELECT jsonb_agg(jsonb_build_array(event_type, key, attributes - 'fire_at' #- '{error,context}') ORDER BY seq) FROM aion.history(id) WHERE seq > 1),
		'ledger', (SELECT jsonb_agg(what ORDER BY what) FROM ledger), 'replay', aion_test.replay(id) ~ '^ok', 'sound', NOT EXISTS (SELECT FROM aion.timer)) FROM aion.workflow_run WHERE workflow_id = id $$;
CREATE FUNCTION try_both(f text) RETURNS jsonb[] LANGUAGE plpgsql AS $$
DECLARE
	traces jsonb[] := '{}';
	turns bigint[] := '{}';
BEGIN
	FOR optimistic IN 0..1 LOOP
		BEGIN
			PERFORM set_config('aion.optimistic_turns', optimistic::text, true);
			PERFORM aion.start_workflow(f, workflow_id => f);
			turns := turns || aion_test.advance('1 day');
			RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = public.left(f)::text;
		EXCEPTION WHEN SQLSTATE 'XX999' THEN
			traces := traces || SQLERRM::jsonb;
		END;
	END LOOP;
	RETURN traces || to_jsonb(turns);
END $$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT f, t[1] = t[2] AS same, t[2] ->> 'status' AS status, t[2] -> 'replay' AS replay, t[2] ->> 'ledger' AS ledger, t[3] AS turns
	FROM (SELECT f, aion.register_workflow(f, (f || '()')::regprocedure) FROM unnest('{goes_well,raises_then,refunds,refunds_inside,fails_second,violates_later,waits_then,
		has_timer,timer_last,sets_locally,sets_nested,sets_itself,missing_later,in_sql,
		each_handled,one_fails,catches_all,deep,undoes_nothing,waits_handled,sets_in_block,has_deadline,violates_handled,missing_handled}'::text[]) f OFFSET 0) r, try_both(f) t;
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
-- A cancel of the statement is no decision of the run, whatever its code makes of it: the turn is made again.
SET SESSION AUTHORIZATION turn_user;
CREATE FUNCTION lasts() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.3); RETURN 1; END $$;
SELECT aion.register_activity('lasts', 'lasts()');
CREATE FUNCTION shrugs_off() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN PERFORM aion.run('lasts'); EXCEPTION WHEN query_canceled THEN PERFORM aion.run_sql('SELECT 1'); RETURN 'shrugged'; END;
	RETURN 'done';
END $$;
SELECT aion.register_workflow('shrugs_off', 'shrugs_off()') IS NOT NULL AS registered;
SELECT aion.start_workflow('shrugs_off', workflow_id => 'shrugs off');
SET statement_timeout = '100 ms';
CALL aion.drive();
SET statement_timeout = 0; DO $$ BEGIN PERFORM pg_sleep(0.5); END $$; SET statement_timeout = '100 ms';
SET aion.optimistic_turns = off;
CALL aion.drive();
RESET statement_timeout; RESET aion.optimistic_turns;
DO $$ BEGIN PERFORM pg_sleep(0.5); END $$;
CALL aion.drive();
SELECT status, result, history_events FROM aion.workflow_run WHERE workflow_id = 'shrugs off';
CREATE FUNCTION shrugs(how text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM pg_sleep(0.3);
	EXCEPTION WHEN query_canceled THEN
		IF how = 'asks' THEN
			BEGIN
				PERFORM aion.run_sql('SELECT 1');
			EXCEPTION WHEN query_canceled THEN NULL;
			END;
		ELSIF how = 'returns' THEN
			RETURN '"shrugged"';
		ELSE
			RAISE EXCEPTION 'shrugged';
		END IF;
	END;
	RETURN aion.receive('x');
END $$;
SELECT aion.register_workflow('shrugs', 'shrugs(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('shrugs', jsonb_build_object('how', how), workflow_id => 'shrugs: ' || how) FROM unnest('{asks,returns,raises}'::text[]) how;
SET statement_timeout = '100 ms';
CALL aion.drive(1);
CALL aion.drive(1);
CALL aion.drive(1);
RESET statement_timeout;
DO $$ BEGIN PERFORM pg_sleep(0.5); END $$;
CALL aion.drive();
SELECT workflow_id, status, result, (SELECT string_agg(event_type, ' ' ORDER BY seq) FROM aion.history(workflow_id)) AS events, left(aion_test.replay(workflow_id), 2) AS replay
	FROM aion.workflow_run WHERE workflow_type = 'shrugs' ORDER BY 1;
SELECT count(aion.terminate_workflow(workflow_id)) FROM aion.workflow_run WHERE workflow_type = 'shrugs';

RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY turn_user CASCADE;
DROP ROLE turn_user;
UPDATE pg_language SET lanpltrusted = false WHERE lanname = 'plpython3u';
CREATE EXTENSION aion;
