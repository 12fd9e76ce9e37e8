--
-- What runs publish, and what they answer to queries (Q1-Q9, invariants 20 and 79, T110).
--
CREATE ROLE query_alice LOGIN;
CREATE ROLE query_bob LOGIN;
CREATE ROLE query_monitor LOGIN;
CREATE ROLE query_worker LOGIN;
CREATE ROLE query_team;
GRANT query_alice TO query_team;
CREATE ROLE query_member LOGIN IN ROLE query_team;
SELECT count(aion.grant_usage(r)) FROM unnest('{query_alice,query_bob,query_member}'::name[]) r;
SELECT aion.grant_usage('query_monitor', 'monitor'), aion.grant_usage('query_worker', 'worker');
GRANT ALL ON SCHEMA public TO query_alice, query_bob;

SET SESSION AUTHORIZATION query_alice;
CREATE TABLE effect (what text);
CREATE FUNCTION act(what text, fail boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO effect VALUES (what);
	IF fail THEN RAISE EXCEPTION 'failed: %', what; END IF;
	RETURN what;
END $$;
SELECT aion.register_activity('act', 'act(text, boolean)');
CREATE FUNCTION about(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('state', state, 'args', args, 'user', current_user, 'seen', (SELECT count(*) FROM effect), 'zone', current_setting('timezone'))
$$;
-- A workflow that does as it is told, one step after the other.
CREATE FUNCTION tells(steps jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
BEGIN
	FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
		BEGIN
			CASE step ->> 0
				WHEN 'publish' THEN PERFORM aion.publish(step ->> 1, step -> 2);
				WHEN 'json null' THEN PERFORM aion.publish(step ->> 1, 'null');
				WHEN 'large' THEN PERFORM aion.publish(step ->> 1, to_jsonb(repeat('x', (step ->> 2)::int)));
				WHEN 'names' THEN PERFORM aion.publish('name ' || i, to_jsonb(i)) FROM generate_series(1, (step ->> 1)::int) i;
				WHEN 'handler' THEN PERFORM aion.on_query(step ->> 1, (step ->> 2)::regprocedure, step -> 3);
				WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval);
				WHEN 'act' THEN PERFORM aion.run('act', jsonb_build_object('what', step ->> 1));
				WHEN 'fail' THEN RAISE EXCEPTION 'as told';
				WHEN 'nested' THEN
					BEGIN
						PERFORM aion.publish(step ->> 1, step -> 2);
						RAISE EXCEPTION 'caught';
					EXCEPTION WHEN raise_exception THEN NULL;
					END;
			END CASE;
		EXCEPTION WHEN SQLSTATE 'WF014' OR SQLSTATE 'WF015' OR SQLSTATE '42501' OR SQLSTATE '42P13' THEN
			RAISE WARNING '%: % %', SQLSTATE, SQLERRM, step;
		END;
	END LOOP;
	RETURN '"end"';
END $$;
SET timezone = 'Asia/Tokyo';
SELECT aion.register_workflow('tells', 'tells(jsonb)') IS NOT NULL AS registered;
SET timezone = 'UTC';
CREATE FUNCTION answer(workflow_id text, name text, args jsonb DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	RETURN coalesce(aion.query_workflow(workflow_id, name, args)::text, 'SQL NULL');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, SQLERRM, nullif(detail, ''), nullif(hint, ''));
END $$;
GRANT EXECUTE ON FUNCTION answer TO PUBLIC;

-- From the commit of a turn on; the last value of the turn; as often as one likes; also after the close.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('tells', '[["publish", "a", 1], ["handler", "ask", "about(jsonb, jsonb)", {"n": 1}], ["publish", "a", 2], ["sleep", "1 hour"],
	["publish", "a", {"deep": [3]}], ["json null", "b"], ["publish", "n"], ["sleep", "1 hour"], ["handler", "ask", "about(jsonb, jsonb)", {"n": 2}], ["publish", "a", 4]]', workflow_id => 'x');
SELECT answer('x', 'a');
SELECT aion_test.run_until_idle();
SELECT answer('x', 'a') AS a, answer('x', 'b') AS b, answer('x', 'ask') AS ask;
SELECT aion_test.advance('1 hour');
SELECT answer('x', 'a') AS a, answer('x', 'b') AS b, answer('x', 'n') AS n, answer('x', 'ask', '["who"]') AS ask;
SELECT aion_test.advance('1 hour');
SELECT answer('x', 'a') AS a, answer('x', 'ask') AS ask, status, aion_test.replay('x') FROM aion.workflow_run;
-- what it takes: one event for the function, none for values, states and queries
SELECT seq, event_type, key, attributes ->> 'command' AS command, attributes #>> '{input,handler}' AS handler FROM aion.history('x');
-- wrong questions
SELECT answer('x', q, a) FROM (VALUES ('c', NULL), ('', NULL), (NULL, NULL), ('a', '1'::jsonb), ('a', 'null')) AS v(q, a);
SELECT answer('no such', 'a'), answer(NULL, 'a');
ROLLBACK;

-- A run that failed, one that was ended from outside, one that never had a turn.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('tells', s, workflow_id => i) FROM (VALUES ('fails', '[["publish", "a", 1], ["fail"]]'::jsonb),
	('ends', '[["publish", "a", 1], ["sleep", "1 day"], ["publish", "a", 2]]'), ('nested', '[["nested", "a", 1]]')) v(i, s);
SELECT aion_test.run_until_idle();
SELECT aion.terminate_workflow('ends');
SELECT aion.start_workflow('tells', '[["publish", "a", 1]]', workflow_id => 'never');
SELECT aion.start_workflow('tells', '[["publish", "a", 1]]', workflow_id => 'later', start_at => '2027-01-01');
SELECT workflow_id, status, answer(workflow_id, 'a') FROM aion.workflow_run ORDER BY 1;
SELECT aion.terminate_workflow('never');
SELECT answer('never', 'a');
-- the id means its open run, else its latest
SELECT aion.start_workflow('tells', '[["publish", "a", "second"], ["sleep", "1 day"]]', workflow_id => 'fails');
SELECT answer('fails', 'a');
SELECT aion_test.run_until_idle();
SELECT answer('fails', 'a');
ROLLBACK;

-- Bounds: names and payloads are checked, and the code may catch it.
\set VERBOSITY terse
SELECT aion.start_workflow('tells', '[["publish", "", 1], ["publish", null, 1], ["large", "big", 20000000], ["large", "big", 100], ["names", 1001],
	["handler", "h", null], ["handler", "h", "act(text, boolean)"], ["handler", "h", "lower(text)"], ["handler", "", "about(jsonb, jsonb)"]]', workflow_id => 'bounds');
CALL aion.drive();
\set VERBOSITY default
SELECT count(*), length(answer('bounds', 'big')) FROM generate_series(1, 999) i WHERE answer('bounds', 'name ' || i) = i::text;
SELECT answer('bounds', 'nope');
SELECT aion.publish('a', '1');
SELECT aion.on_query('a', 'about(jsonb, jsonb)', '1');

-- A turn that is lost publishes nothing, and one that comes after it everything.
CREATE FUNCTION changes() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.publish('a', '"old"'); PERFORM aion.sleep('0'); PERFORM aion.sleep('1 day'); END $$;
SELECT aion.register_workflow('changes', 'changes()') AS old \gset
SELECT aion.start_workflow('changes', workflow_id => 'c');
CALL aion.drive(1);
SELECT answer('c', 'a');
CREATE OR REPLACE FUNCTION changes() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.publish('a', '"new"'); PERFORM aion.run('act', '{"what": "else"}'); END $$;
SELECT aion.set_workflow_version('c') <> :'old' AS moved;
CALL aion.drive();
SELECT status, blocked, answer('c', 'a') FROM aion.workflow_run WHERE workflow_id = 'c';
SELECT aion.set_workflow_version('c', :'old') = :'old' AS moved;
CALL aion.drive();
SELECT status, blocked, answer('c', 'a') FROM aion.workflow_run WHERE workflow_id = 'c';
-- neither does one that takes too long
CREATE FUNCTION lasts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.publish('a', '1'); LOOP PERFORM 1; END LOOP; END $$;
SELECT aion.register_workflow('lasts', 'lasts()') IS NOT NULL AS registered;
SELECT aion.start_workflow('lasts', workflow_id => 'lasts');
RESET SESSION AUTHORIZATION;
SET aion.turn_timeout = '100ms';
SET SESSION AUTHORIZATION query_alice;
CALL aion.drive(1);
RESET SESSION AUTHORIZATION;
RESET aion.turn_timeout;
SET SESSION AUTHORIZATION query_alice;
SELECT status, blocked, answer('lasts', 'a') FROM aion.workflow_run WHERE workflow_id = 'lasts';
SELECT aion.terminate_workflow('lasts');
SELECT aion.terminate_workflow('c');

-- A function is pinned: queries go on with what it was, and a turn that finds another is a difference, until it is back.
CREATE FUNCTION pinned(state jsonb, args jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'first ' || (state #>> '{}') $$;
CREATE FUNCTION pins() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..3 LOOP PERFORM aion.on_query('p', 'pinned(jsonb, jsonb)', to_jsonb(i)); PERFORM aion.sleep_until('2020-01-01'); END LOOP;
END $$;
SELECT aion.register_workflow('pins', 'pins()') IS NOT NULL AS registered;
SELECT aion.start_workflow('pins', workflow_id => 'p');
CALL aion.drive(1);
CREATE OR REPLACE FUNCTION pinned(state jsonb, args jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'second ' || (state #>> '{}') $$;
SELECT answer('p', 'p');
CALL aion.drive();
SELECT status, blocked, answer('p', 'p') FROM aion.workflow_run WHERE workflow_id = 'p';
SELECT d.key, regexp_replace(d.value, '[0-9a-f]{64}', '<digest>') AS value FROM aion.history('p') h, jsonb_each_text(h.attributes -> 'detail') d WHERE h.event_type = 'WorkflowBlocked' ORDER BY d.key;
CREATE OR REPLACE FUNCTION pinned(state jsonb, args jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'first ' || (state #>> '{}') $$;
CALL aion.drive();
SELECT status, answer('p', 'p') FROM aion.workflow_run WHERE workflow_id = 'p';
DROP FUNCTION pinned(jsonb, jsonb);
SELECT answer('p', 'p');
-- dropped and made again as it was, it is found again by plans that were made before
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION pinned(state jsonb, args jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'again ' || (state #>> '{}') $$;
SELECT aion.start_workflow('pins', workflow_id => 'again');
SELECT aion_test.run_until_idle(1);
DROP FUNCTION pinned(jsonb, jsonb);
CREATE FUNCTION pinned(state jsonb, args jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'again ' || (state #>> '{}') $$;
SELECT aion_test.advance('1 min') > 1 AS repeated;
SELECT status, answer('again', 'p') FROM aion.workflow_run WHERE workflow_id = 'again';
ROLLBACK;
-- what cannot be copied is referenced, and answers only while it is what it was
CREATE FUNCTION atomic(state jsonb, args jsonb) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
SELECT aion.start_workflow('tells', '[["handler", "ref", "atomic(jsonb, jsonb)", 1], ["sleep", "1 day"]]', workflow_id => 'ref');
CALL aion.drive();
SELECT answer('ref', 'ref');
ALTER FUNCTION atomic(jsonb, jsonb) SECURITY DEFINER;
SELECT answer('ref', 'ref');
CREATE OR REPLACE FUNCTION atomic(state jsonb, args jsonb) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 2; END;
SELECT answer('ref', 'ref');
DROP FUNCTION atomic(jsonb, jsonb);
SELECT answer('ref', 'ref');
SELECT aion.terminate_workflow('ref');

-- T110: for every role the function runs as the owner, read-only, with no way out. What it tries is refused and harms nothing (invariant 79, Q5).
CREATE SEQUENCE counter;
CREATE FUNCTION executes(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'done as ' || current_user;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE FUNCTION tries(state jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_array(current_user, executes(args #>> '{}'), current_user);
END $$;
CREATE FUNCTION raises(state jsonb, args jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	CASE args #>> '{}'
		WHEN 'raise' THEN RAISE EXCEPTION 'no answer' USING ERRCODE = 'AB001';
		WHEN 'long' THEN LOOP PERFORM 1; END LOOP;
		WHEN 'large' THEN RETURN to_jsonb(repeat('x', 20000000));
		WHEN 'nothing' THEN RETURN NULL;
		WHEN 'serialization' THEN RAISE EXCEPTION 'try again' USING ERRCODE = '40001';
	END CASE;
END $$;
CREATE FUNCTION strictly(state jsonb, args jsonb) RETURNS SETOF int STRICT LANGUAGE sql AS 'SELECT generate_series(1, (args #>> ''{}'')::int)';
SELECT aion.start_workflow('tells', '[["handler", "try", "tries(jsonb, jsonb)"], ["handler", "raise", "raises(jsonb, jsonb)"], ["handler", "strict", "strictly(jsonb, jsonb)", 0],
	["handler", "ask", "about(jsonb, jsonb)", 0], ["publish", "a", 1], ["sleep", "1 day"]]', workflow_id => 't');
CALL aion.drive();
CREATE VIEW attempts AS SELECT unnest(ARRAY['SELECT 1', 'INSERT INTO effect VALUES (''query'')', 'DELETE FROM effect', 'SELECT * FROM effect FOR UPDATE', 'SELECT nextval(''counter'')',
	'WITH x AS (INSERT INTO effect VALUES (''query'') RETURNING 1) SELECT * FROM x',
	'CREATE TABLE query_made (a int)', 'CREATE TEMP TABLE query_made (a int)', 'RESET ROLE', 'SET ROLE postgres', 'SET LOCAL ROLE postgres', 'SET LOCAL SESSION AUTHORIZATION postgres',
	'RESET SESSION AUTHORIZATION', 'SELECT set_config(''role'', ''postgres'', true)', 'ALTER ROLE query_alice SUPERUSER', 'NOTIFY query', 'SELECT pg_notify(''query'', '''')', 'LISTEN query',
	'SELECT pg_advisory_lock(1)', 'SELECT pg_try_advisory_xact_lock(1)', 'PREPARE query_plan AS SELECT 1', 'DECLARE query_cursor CURSOR WITH HOLD FOR SELECT 1', 'SET work_mem = ''1MB''', 'SET LOCAL work_mem = ''1MB''',
	'COPY (SELECT 1) TO PROGRAM ''cat''', 'COMMIT', 'SELECT lo_create(0)', 'LOCK TABLE effect', 'SET TRANSACTION READ WRITE',
	'SELECT aion.run(''act'', ''{"what": "query"}'')', 'SELECT aion.publish(''a'', ''2'')', 'SELECT aion.now()', 'SELECT aion.start_workflow(''tells'', ''[]'')', 'SELECT aion.terminate_workflow(''t'')',
	'SELECT aion.query_workflow(''t'', ''a'')', 'CALL aion.drive()', 'SELECT * FROM aion.poll_activities(''{default}'', ''w'')', 'SELECT count(*) FROM aion.history(''t'')', 'DO $x$ BEGIN PERFORM 1; END $x$']) AS statement;
GRANT SELECT ON attempts TO PUBLIC;
SELECT statement, aion.query_workflow('t', 'try', to_jsonb(statement)) AS by_owner FROM attempts;
SELECT jsonb_agg(aion.query_workflow('t', 'try', to_jsonb(statement)) ORDER BY statement) AS by_owner FROM attempts \gset
RESET SESSION AUTHORIZATION;
-- A superuser is answered by code only of roles that it has joined.
SELECT answer('t', 'ask');
GRANT query_alice TO CURRENT_USER;
SELECT jsonb_agg(aion.query_workflow('t', 'try', to_jsonb(statement)) ORDER BY statement) = :'by_owner' AS same_for_a_superuser FROM attempts;
SELECT rolsuper FROM pg_roles WHERE rolname = 'query_alice';
SELECT current_user, session_user, count(*) FROM pg_locks WHERE locktype = 'advisory';
SELECT (SELECT count(*) FROM effect) AS effects, (SELECT is_called FROM counter) AS counted, (SELECT count(*) FROM pg_prepared_statements) AS prepared, (SELECT count(*) FROM pg_cursors) AS cursors,
	(SELECT setting = reset_val FROM pg_settings WHERE name = 'work_mem') AS same_settings;
SET SESSION AUTHORIZATION query_alice;
SELECT answer('t', 'raise', to_jsonb(how)) FROM unnest('{raise,large,nothing,serialization,else}'::text[]) how;
RESET SESSION AUTHORIZATION;
SET aion.turn_timeout = '100ms';
SELECT answer('t', 'raise', '"long"');
RESET aion.turn_timeout;
SET SESSION AUTHORIZATION query_alice;
SELECT answer('t', 'strict', '3') AS three, answer('t', 'strict') AS not_called;
SET statement_timeout = '100ms';
\set SHOW_CONTEXT never
SELECT aion.query_workflow('t', 'raise', '"long"');
\set SHOW_CONTEXT errors
RESET statement_timeout;
SELECT status, answer('t', 'a') FROM aion.workflow_run WHERE workflow_id = 't';

-- Roles that control the run may ask. Others get the answer for a run that does not exist (WF001); monitors and workers have no right to ask.
RESET SESSION AUTHORIZATION;
SELECT answer('t', 'ask') AS superuser;
SET SESSION AUTHORIZATION query_member;
SELECT answer('t', 'ask') AS member;
SET SESSION AUTHORIZATION query_bob;
SELECT answer('t', 'ask') AS stranger, answer('t', 'nope') AS unknown;
SET SESSION AUTHORIZATION query_monitor;
SELECT answer('t', 'ask') AS monitor;
SET SESSION AUTHORIZATION query_worker;
SELECT answer('t', 'ask') AS worker;
RESET SESSION AUTHORIZATION;
SELECT aion.grant_usage('query_monitor');
SET SESSION AUTHORIZATION query_monitor;
SELECT answer('t', 'ask') AS monitor_and_user;
-- nothing is executed for an owner that may not execute the function any more, or became a superuser
RESET SESSION AUTHORIZATION;
REVOKE EXECUTE ON FUNCTION about FROM PUBLIC, query_alice;
SELECT answer('t', 'ask');
GRANT EXECUTE ON FUNCTION about TO query_alice;
SET aion.allow_superuser_workflows = off;
ALTER ROLE query_alice SUPERUSER;
SELECT answer('t', 'ask');
ALTER ROLE query_alice NOSUPERUSER;
RESET aion.allow_superuser_workflows;
SELECT answer('t', 'ask');

-- Read-only transactions, old snapshots, savepoints: a query needs nothing and leaves nothing.
SET SESSION AUTHORIZATION query_alice;
BEGIN TRANSACTION READ ONLY;
SELECT answer('t', 'a') AS a, answer('t', 'ask') AS ask;
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_xid;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT answer('t', 'a') AS a, answer('t', 'ask') AS ask;
COMMIT;

-- Waiting, where it cannot be.
SELECT aion.query_workflow('t', 'a', wait => '1 min');
SELECT aion.query_workflow('t', 'nope', wait => '0');
SELECT aion.query_workflow('t', 'nope', wait => '10 ms');
SELECT aion.query_workflow('t', 'nope', wait => '-1 s');
SELECT aion.query_workflow('bounds', 'nope again', wait => '1 min');
SELECT aion.query_workflow('no such', 'nope', wait => '1 min');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT aion.query_workflow('t', 'a', wait => '1 min');
SELECT aion.query_workflow('t', 'nope', wait => '1 min');
ROLLBACK;
BEGIN;
SELECT aion.start_workflow('tells', '[]', workflow_id => 'own');
SELECT aion.query_workflow('own', 'nope', wait => '1 min');
ROLLBACK;

-- Asked by activities, of other runs and of their own; by workflow code never.
CREATE FUNCTION asks(q text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_sql(q); EXCEPTION WHEN SQLSTATE 'WA001' THEN RETURN aion.failure() ->> 'message'; END $$;
CREATE FUNCTION asks_itself() RETURNS text LANGUAGE plpgsql AS $$ BEGIN /* aion:allow client_call */ RETURN aion.query_workflow('t', 'a'); EXCEPTION WHEN SQLSTATE 'WF011' THEN RETURN SQLERRM; END $$;
SELECT count(aion.register_workflow(f, f::regproc)) FROM unnest('{asks,asks_itself}'::text[]) f;
SELECT aion.start_workflow('asks', jsonb_build_object('q', q), workflow_id => q) FROM unnest(ARRAY[
	'SELECT aion.query_workflow(''t'', ''a'')', 'SELECT aion.query_workflow(''t'', ''ask'')', 'SELECT aion.query_workflow(''t'', ''a'', wait => ''1 s'')',
	'SELECT aion.query_workflow(''t'', ''try'', ''"SELECT aion.run(''''act'''')"'')']) q;
SELECT aion.start_workflow('asks_itself', workflow_id => 'asks itself');
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_type ~ '^asks' ORDER BY run_key;

-- A run that is asked all the time leaves the same history as one that never is (invariant 20), and its row is not touched.
SELECT aion.start_workflow('tells', '[["handler", "ask", "about(jsonb, jsonb)", 1], ["publish", "a", 1], ["act", "one"], ["publish", "a", 2]]', workflow_id => i) FROM unnest('{asked,left alone}'::text[]) i;
CALL aion.drive(1);
SELECT count(*) FROM generate_series(1, 50) i WHERE answer('asked', 'a') <> '' AND answer('asked', 'ask') <> '' AND answer('asked', 'nope') <> '' AND answer('asked', 'ask', to_jsonb(i)) <> '';
CALL aion.drive();
SELECT (SELECT jsonb_agg(jsonb_build_array(seq, event_type, key, attributes) ORDER BY seq) FROM aion.history('asked')) #- '{0,3}'
	= (SELECT jsonb_agg(jsonb_build_array(seq, event_type, key, attributes) ORDER BY seq) FROM aion.history('left alone')) #- '{0,3}' AS same_history;
RESET SESSION AUTHORIZATION;

-- A value that stays the same is not written again.
SET SESSION AUTHORIZATION query_alice;
SELECT aion.start_workflow('tells', '[["publish", "a", 1], ["act", "1"], ["publish", "b", 1], ["sleep", "0"], ["act", "2"], ["publish", "b", 2]]', workflow_id => 'same');
CALL aion.drive(1);
RESET SESSION AUTHORIZATION;
SELECT p.ctid AS was FROM aion._published p JOIN aion._run USING (run_key) WHERE workflow_id = 'same' AND name = 'a' \gset
SET SESSION AUTHORIZATION query_alice;
CALL aion.drive();
SELECT answer('same', 'a') AS a, answer('same', 'b') AS b;
RESET SESSION AUTHORIZATION;
SELECT p.ctid = :'was' AS not_written FROM aion._published p JOIN aion._run USING (run_key) WHERE workflow_id = 'same' AND name = 'a';

-- Purged with the run. What should not be is found.
SELECT * FROM aion.check_integrity();
BEGIN;
UPDATE aion._published SET code = 'aion_code.gone(jsonb)' WHERE name = 'try';
INSERT INTO aion._published VALUES (-1, 1, 'a', '1');
SELECT violation, regexp_replace(detail, 'run \d+', 'run of that name') AS detail FROM aion.check_integrity() ORDER BY 1;
ROLLBACK;
SELECT count(aion.terminate_workflow(workflow_id)) > 0 AS ended FROM aion.workflow_run WHERE closed_at IS NULL;
SELECT aion.purge_workflows('0') > 0 AS purged;
SELECT count(*) FROM aion._published;
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY query_alice, query_bob, query_monitor, query_worker, query_member, query_team CASCADE;
DROP ROLE query_alice, query_bob, query_monitor, query_worker, query_member, query_team;
CREATE EXTENSION aion;
