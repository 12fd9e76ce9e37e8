--
-- What runs can be searched by, and searching.
--
CREATE ROLE search_user LOGIN;
CREATE ROLE search_other LOGIN;
CREATE ROLE search_member LOGIN;
CREATE ROLE search_monitor LOGIN;
CREATE ROLE search_admin LOGIN;
SELECT aion.grant_usage('search_user'), aion.grant_usage('search_other'), aion.grant_usage('search_member'),
	aion.grant_usage('search_monitor', 'monitor'), aion.grant_usage('search_admin', 'admin');
GRANT search_user TO search_member;
GRANT CREATE ON SCHEMA public TO search_user;
SET SESSION AUTHORIZATION search_user;
SET datestyle = 'ISO, YMD';
SET timezone = 'UTC';
\set sound 'RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity(); SET SESSION AUTHORIZATION search_user;'
CREATE FUNCTION idle(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN input; END $$;
-- Commands as the input has them: a change, an activity, a sleep, a caught and an uncaught failure.
CREATE FUNCTION does(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
BEGIN
	FOR step IN SELECT jsonb_array_elements(input) LOOP
		CASE step ->> 0
			WHEN 'set' THEN PERFORM aion.upsert_search_attributes(step -> 1);
			WHEN 'try' THEN
				BEGIN
					PERFORM aion.upsert_search_attributes(step -> 1);
				EXCEPTION WHEN OTHERS THEN
					RAISE NOTICE '% %', SQLSTATE, SQLERRM;
				END;
			WHEN 'sql' THEN PERFORM aion.run_sql(step ->> 1);
			WHEN 'lost' THEN
				BEGIN
					PERFORM aion.upsert_search_attributes(step -> 1);
					RAISE EXCEPTION 'caught';
				EXCEPTION WHEN raise_exception THEN NULL;
				END;
			WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval);
			WHEN 'big' THEN PERFORM aion.upsert_search_attributes(jsonb_build_object(step ->> 1, repeat('x', 700)));
			WHEN 'fail' THEN RAISE EXCEPTION 'failed';
		END CASE;
	END LOOP;
	RETURN input;
END $$;
SELECT aion.register_workflow('idle', 'idle(jsonb)') IS NOT NULL, aion.register_workflow('does', 'does(jsonb)') IS NOT NULL AS registered;

-- At a start, of each kind.
SELECT aion.start_workflow('idle', workflow_id => 'a', search_attributes => '{"customer": 7, "tags": ["x", "y"], "place": {"town": "Ulm"}}', memo => '"call back"');
SELECT aion.start_workflows('idle', '{1,2}', '{b,c}', search_attributes => '{"customer": 8}');
SELECT aion.signal_with_start('idle', '1', 'd', 'hello', search_attributes => '{"customer": 7, "tags": ["y"]}', memo => 'null');
SELECT aion.start_workflow('idle', workflow_id => 'e', memo => '{"only": "a memo"}');
SELECT aion.start_workflow('idle', workflow_id => 'f', search_attributes => '{}');
SELECT aion.start_workflow('idle', workflow_id => 'g');
CALL aion.drive();
SELECT workflow_id, search_attributes, memo FROM aion.workflow_run ORDER BY run_key;
SELECT aion.describe_workflow('a') -> 'memo' AS memo;

-- Searching: the latest first.
SELECT workflow_id, status, owner, search_attributes FROM aion.find_workflows('{"customer": 7}');
SELECT filter, (SELECT array_agg(workflow_id) FROM aion.find_workflows(filter)) AS found
	FROM unnest('{"{\"customer\": 8}","{\"tags\": [\"y\"]}","{\"tags\": [\"y\", \"x\"]}","{\"tags\": \"x\"}","{\"place\": {\"town\": \"Ulm\"}}","{\"customer\": \"7\"}","{\"customer\": 7, \"tags\": [\"x\"]}","{\"no such\": 1}","{}"}'::jsonb[]) filter;
SELECT workflow_id FROM aion.find_workflows('{"customer": 7}', max_runs => 1);
SELECT count(*) FROM aion.find_workflows('{"customer": 7}', max_runs => 0);
SELECT workflow_id FROM aion.find_workflows('{"customer": 8}', 'idle', '{running,blocked}');
SELECT count(*) FROM aion.find_workflows('{"customer": 8}', 'does');
SELECT aion.terminate_workflow('b');
SELECT workflow_id FROM aion.find_workflows('{"customer": 8}', status => '{terminated}');
SELECT workflow_id FROM aion.find_workflows('{"customer": 8}', status => '{running}');
SELECT workflow_id FROM aion.find_workflows('{"customer": 8}') WHERE closed_at IS NULL AND started_at <= now();
-- In plain SQL, too.
SELECT workflow_id FROM aion.workflow_run WHERE search_attributes @> '{"customer": 7}' ORDER BY 1;
SELECT workflow_id FROM aion.workflow_run WHERE (search_attributes ->> 'customer')::int BETWEEN 7 AND 8 AND status = 'running' ORDER BY 1;
SELECT workflow_id FROM aion.workflow_run WHERE search_attributes -> 'tags' ? 'x' OR memo ->> 'only' IS NOT NULL ORDER BY 1;
SELECT search_attributes -> 'customer' AS customer, status, count(*) FROM aion.workflow_run GROUP BY 1, 2 ORDER BY 1, 2;

-- What is not asked for properly is refused, and nothing starts (80).
\set SHOW_CONTEXT never
SELECT aion.start_workflow('idle', workflow_id => 'bad', search_attributes => '[]');
SELECT aion.start_workflow('idle', workflow_id => 'bad', search_attributes => 'null');
SELECT aion.start_workflows('idle', '{1,2}', search_attributes => '"x"');
SELECT aion.signal_with_start('idle', '1', 'bad', 'hello', search_attributes => '1');
SELECT aion.find_workflows('7');
SELECT aion.find_workflows('[{"customer": 7}]');
SELECT aion.find_workflows('7');
SELECT aion.find_workflows('{}', max_runs => -1);
SELECT aion.find_workflows('{}', status => '{running,asleep}');
SELECT aion.find_workflows('{}', status => '{NULL}');
SELECT aion.upsert_search_attributes('{"a": 1}');
\set VERBOSITY sqlstate
SELECT aion.start_workflow('idle', workflow_id => 'bad', search_attributes => '[]');
SELECT aion.find_workflows('7');
SELECT aion.find_workflows('{}', max_runs => -1);
SELECT aion.find_workflows('{}', status => '{asleep}');
SELECT aion.upsert_search_attributes('{"a": 1}');
\set VERBOSITY default
\set SHOW_CONTEXT errors
RESET SESSION AUTHORIZATION;
SET aion.max_payload_size = '2kB';
SET SESSION AUTHORIZATION search_user;
SELECT aion.start_workflow('idle', workflow_id => 'bad', search_attributes => jsonb_build_object('a', repeat('x', 3000)));
SELECT aion.start_workflow('idle', workflow_id => 'bad', memo => to_jsonb(repeat('x', 3000)));
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 'bad';

-- As a whole they are not larger than a payload either; what is refused is no command, in each replay.
SELECT aion.start_workflow('does', '[["big", "a"], ["big", "b"], ["sleep", "1 ms"], ["big", "c"]]', workflow_id => 'big');
CALL aion.drive();
SELECT pg_sleep(0.01);
CALL aion.drive();
SELECT status, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message, array(SELECT jsonb_object_keys(search_attributes)) AS keys
	FROM aion.workflow_run WHERE workflow_id = 'big';
RESET SESSION AUTHORIZATION;
RESET aion.max_payload_size;
SET SESSION AUTHORIZATION search_user;

-- A role finds no runs of other owners, in any way; a member of an owner's role finds its runs, an administrator all. Monitors see no payloads.
SET SESSION AUTHORIZATION search_other;
SELECT count(*) FROM aion.find_workflows('{"customer": 7}');
SELECT count(*) FROM aion.find_workflows('{}');
SELECT aion._search('{"customer": 7}', NULL, NULL, NULL, NULL, NULL, NULL);
SELECT count(*) FROM aion.workflow_run WHERE search_attributes @> '{}' OR memo IS NOT NULL;
SELECT count(*) FROM aion._attribute;
CREATE FUNCTION pg_temp.leak(jsonb, jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'saw %', $1; RETURN true; END $$;
SELECT count(*) FROM aion.workflow_run WHERE pg_temp.leak(search_attributes, '{}');
SET SESSION AUTHORIZATION search_member;
SELECT workflow_id, owner FROM aion.find_workflows('{"customer": 7}');
SET SESSION AUTHORIZATION search_admin;
SELECT workflow_id, owner FROM aion.find_workflows('{"customer": 7}');
SET SESSION AUTHORIZATION search_monitor;
SELECT count(*) FROM aion.find_workflows('{"customer": 7}');
SELECT count(*), count(search_attributes), count(memo) FROM aion.workflow_run WHERE workflow_id = 'a';
SET SESSION AUTHORIZATION search_user;

-- A plain filter of an ordinary role uses no index: the policy comes first, and @> is not leakproof. The function does,
-- with as good as nothing in the table, which never misleads its plan.
RESET SESSION AUTHORIZATION;
CREATE VIEW used AS SELECT pg_stat_get_numscans('aion._attribute'::regclass) AS seq_scans, pg_stat_get_numscans('aion._attribute_search_idx'::regclass) AS index_scans;
SELECT pg_stat_force_next_flush();
SELECT seq_scans AS seq_before, index_scans AS index_before FROM used \gset
SET SESSION AUTHORIZATION search_user;
SELECT count(*) FROM aion.find_workflows('{"customer": 7}');
RESET SESSION AUTHORIZATION;
SELECT pg_stat_force_next_flush();
SELECT seq_scans - :seq_before AS seq_scans, index_scans - :index_before AS index_scans FROM used;
DROP VIEW used;
SET SESSION AUTHORIZATION search_user;
CREATE FUNCTION uses_index(query text) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
	line text;
	found boolean := false;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
		found := found OR line ~ '_attribute_search_idx';
	END LOOP;
	RETURN found;
END $$;
SELECT uses_index($$SELECT workflow_id FROM aion.workflow_run WHERE search_attributes @> '{"customer": 7}'$$);
RESET SESSION AUTHORIZATION;
SELECT uses_index($$SELECT run_key FROM aion._attribute WHERE search_attributes @> '{"customer": 7}'$$);
:sound

-- upsert_search_attributes: members are added and replaced, json null is a value like any other.
SELECT aion.start_workflow('does', '[["set", {"stage": "new", "n": 1}], ["set", {"n": 2, "tags": ["x"]}], ["sql", "SELECT 1"], ["set", {"stage": null}], ["set", {}]]',
	workflow_id => 'u1', search_attributes => '{"customer": 1, "stage": "none"}', memo => '"m"');
SELECT aion.start_workflow('does', '[["set", {"customer": 1}], ["sleep", "1 hour"], ["set", {"customer": 2}]]', workflow_id => 'u2');
SELECT aion.start_workflow('does', '[["lost", {"customer": 1}], ["set", {}], ["sql", "SELECT 2"], ["fail"]]', workflow_id => 'u3');
SELECT aion.start_workflow('does', '[["try", null], ["try", []], ["try", 1], ["set", {"customer": 1}], ["sleep", "1 hour"]]', workflow_id => 'u4');
SELECT count(*) FROM aion.find_workflows('{"customer": 1}');
CALL aion.drive();
SELECT workflow_id, status, search_attributes, memo FROM aion.workflow_run WHERE workflow_type = 'does' AND workflow_id ~ '^u' ORDER BY run_key;
SELECT workflow_id FROM aion.find_workflows('{"customer": 1}');
SELECT workflow_id FROM aion.find_workflows('{"stage": null}');
SELECT seq, event_type, key, attributes FROM aion.history('u1') WHERE event_type = 'SearchAttributesUpdated';
SELECT regexp_replace(line, '^ +\S+', '    ...') AS line FROM aion.explain('u1') line WHERE line ~ '^ .*search';
SELECT workflow_id, left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run WHERE workflow_id ~ '^u' ORDER BY run_key;
:sound

-- With its turn (81): one that is lost has changed nothing.
CREATE FUNCTION differs(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.upsert_search_attributes('{"made": 1}');
	PERFORM aion.sleep('1 hour');
	RETURN input;
END $$;
SELECT aion.register_workflow('differs', 'differs(jsonb)') IS NOT NULL AS registered;
SELECT aion.start_workflow('differs', workflow_id => 'differs');
CALL aion.drive();
CREATE OR REPLACE FUNCTION differs(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.upsert_search_attributes('{"made": 2}');
	PERFORM aion.sleep('1 hour');
	RETURN input;
END $$;
SELECT length(aion.set_workflow_version('differs')) > 0 AS moved;
CALL aion.drive();
SELECT status, blocked, search_attributes FROM aion.workflow_run WHERE workflow_id = 'differs';
SELECT attributes -> 'detail' ->> 'expected' AS expected, attributes -> 'detail' ->> 'found' AS found FROM aion.history('differs') WHERE event_type = 'WorkflowBlocked';
SELECT aion.terminate_workflow('differs');

-- Both kinds of turn record the same.
CREATE FUNCTION recorded(id text) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(jsonb_build_array(event_type, attributes - 'version') ORDER BY seq) FROM aion.history(id) $$;
SET aion.optimistic_turns = off;
SELECT aion.start_workflow('does', '[["sql", "SELECT 1"], ["set", {"o": 1}], ["sql", "SELECT 2"], ["set", {"p": 2}]]', workflow_id => 'stepwise');
CALL aion.drive();
RESET aion.optimistic_turns;
SELECT aion.start_workflow('does', '[["sql", "SELECT 1"], ["set", {"o": 1}], ["sql", "SELECT 2"], ["set", {"p": 2}]]', workflow_id => 'optimistic');
CALL aion.drive();
SELECT aion.start_workflow('does', '[["sql", "SELECT 1"], ["sql", "SELECT 2"], ["set", {"o": 1}], ["set", {"p": 2}]]', workflow_id => 'in one go');
CALL aion.drive();
SELECT recorded('stepwise') = recorded('optimistic') AS same;
SELECT workflow_id, status, search_attributes FROM aion.find_workflows('{"o": 1}');

-- In a transaction that does not commit nothing is found afterwards, and within it everything.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('does', '[["set", {"virtual": 1}], ["sleep", "1 hour"], ["set", {"virtual": 2}]]', workflow_id => 'virtual');
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT workflow_id, search_attributes FROM aion.find_workflows('{"virtual": 1}');
SELECT aion_test.advance('1 hour') > 0 AS ran;
SELECT workflow_id, search_attributes FROM aion.find_workflows('{"virtual": 2}');
SELECT count(*) FROM aion.find_workflows('{"virtual": 1}');
ROLLBACK;
SELECT count(*) FROM aion.find_workflows('{"virtual": 2}');

-- A reopened run has what it had; a fork has what the prefix says.
CREATE TABLE switch (bad boolean);
INSERT INTO switch VALUES (true);
SELECT aion.start_workflow('does', '[["set", {"stage": 1}], ["sql", "SELECT 1 / (1 - bad::int) FROM switch"], ["set", {"stage": 2, "more": 1}]]',
	workflow_id => 'again', search_attributes => '{"begun": true}', memo => '7');
CALL aion.drive();
SELECT status, search_attributes FROM aion.workflow_run WHERE workflow_id = 'again';
UPDATE switch SET bad = false;
SELECT aion.reopen_workflow('again');
SELECT status, search_attributes FROM aion.workflow_run WHERE workflow_id = 'again';
CALL aion.drive();
SELECT status, search_attributes FROM aion.workflow_run WHERE workflow_id = 'again';
SELECT seq, event_type FROM aion.history('again');
SELECT aion.fork_workflow('again', n, 'fork ' || n) FROM generate_series(1, 8) n;
SELECT workflow_id, search_attributes, memo FROM aion.find_workflows('{"begun": true}');
:sound
CALL aion.drive();
SELECT workflow_id, status, search_attributes FROM aion.find_workflows('{"stage": 2}');
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.find_workflows('{"begun": true}');

-- Not in workflow code, where answers have to be the same again; in an activity.
CREATE FUNCTION looks() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN /* aion:allow client_call */ RETURN (SELECT count(*) FROM aion.find_workflows('{}')); END $$;
SELECT aion.register_workflow('looks', 'looks()') IS NOT NULL AS registered;
SELECT aion.start_workflow('looks', workflow_id => 'looks');
SELECT aion.start_workflow('does', '[["sql", "SELECT count(*) FROM aion.find_workflows(''{\"begun\": true}'')"]]', workflow_id => 'asks');
CALL aion.drive();
SELECT workflow_id, status, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message, error ->> 'hint' AS hint FROM aion.workflow_run WHERE workflow_id IN ('looks', 'asks') ORDER BY 1;

-- Without a filter: lists of runs, which are those that the view has, for each role and in each way to ask.
SELECT aion.start_workflow('does', '[["fail"]]', workflow_id => 'fails ' || i) FROM generate_series(1, 3) i;
SELECT aion.start_workflow('does', '[]', workflow_id => 'ends ' || i, search_attributes => '{"begun": true}') FROM generate_series(1, 3) i;
SELECT aion.start_workflow('idle', workflow_id => 'later', start_at => '2100-01-01');
CALL aion.drive();
SELECT DISTINCT aion.pause_workflow(workflow_id) FROM aion.workflow_run WHERE workflow_id = 'e';
RESET SESSION AUTHORIZATION;
CREATE SCHEMA AUTHORIZATION search_other;
SET SESSION AUTHORIZATION search_other;
CREATE FUNCTION search_other.mine(input jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT input';
SELECT aion.register_workflow('mine', 'search_other.mine(jsonb)') IS NOT NULL AS registered;
SELECT aion.start_workflow('mine', workflow_id => 'mine ' || i) FROM generate_series(1, 2) i;
CALL aion.drive();
RESET SESSION AUTHORIZATION;
CREATE FUNCTION differences() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	q record;
	listed bigint[];
	seen bigint[];
	compared int := 0;
BEGIN
	FOR q IN SELECT * FROM (VALUES (NULL), ('does'), ('mine'), ('none')) t (type),
			(VALUES (NULL), ('{running}'), ('{completed}'), ('{failed,completed}'), ('{scheduled,failed}'), ('{paused,completed}'),
				('{scheduled,running,paused,blocked,completed,failed,cancelled,terminated,timed_out,continued_as_new}')) s (status),
			(VALUES (NULL::name), ('search_user'), ('search_other'), ('search_monitor')) o (owner),
			(VALUES (NULL::jsonb), ('{"begun": true}')) f (filter), (VALUES (NULL), (0), (2)) m (most), (VALUES (false), (true)) d (oldest_first),
			(VALUES (NULL), (2)) a (nth) LOOP
		SELECT array_agg(run_key ORDER BY n) INTO seen FROM (SELECT run_key, row_number() OVER (ORDER BY CASE WHEN q.oldest_first THEN run_key END, run_key DESC) AS n
			FROM aion.workflow_run w WHERE (q.type IS NULL OR workflow_type = q.type) AND (q.status IS NULL OR status = ANY (q.status::text[]))
				AND (q.owner IS NULL OR w.owner = q.owner) AND (q.filter IS NULL OR search_attributes @> q.filter)) x;
		SELECT array_agg(run_key ORDER BY n) INTO listed FROM aion.find_workflows(q.filter, q.type, q.status::text[], q.most, q.owner, q.oldest_first, seen[q.nth])
			WITH ORDINALITY f (run_key, workflow_id, run_id, workflow_type, version, status, blocked, owner, input, result, error, parent_workflow_id, started_at, closed_at,
				history_events, turn_failures, search_attributes, memo, continues_run_id, ready_at, n);
		seen := seen[CASE WHEN seen[q.nth] IS NULL THEN 0 ELSE q.nth END + 1:];
		IF q.most IS NOT NULL THEN seen := seen[1:q.most]; END IF;
		compared := compared + 1;
		IF coalesce(seen, '{}') <> coalesce(listed, '{}') THEN
			RETURN NEXT format('%s: %s instead of %s', q, listed, seen);
		END IF;
	END LOOP;
	RETURN NEXT compared || ' compared';
END $$;
GRANT EXECUTE ON FUNCTION differences() TO PUBLIC;
SELECT * FROM differences();
SET SESSION AUTHORIZATION search_other;
SELECT * FROM differences();
SET SESSION AUTHORIZATION search_monitor;
SELECT count(*) > 0 AS attributes_are_payload FROM aion.find_workflows('{}');
SELECT count(*) FROM aion.find_workflows(status => '{failed}');
RESET SESSION AUTHORIZATION;
-- By indexes alone, however small the tables are.
BEGIN;
SELECT sum(seq_scan) AS scans FROM pg_stat_xact_all_tables WHERE schemaname = 'aion' AND relname IN ('_run', '_event', '_attribute') \gset
SELECT cardinality(aion._search(NULL, NULL, NULL, 5, NULL, false, NULL)) AS latest, cardinality(aion._search(NULL, NULL, '{failed}', NULL, NULL, false, NULL)) > 2 AS failed,
	cardinality(aion._search(NULL, 'mine', NULL, 9, NULL, true, NULL)) AS mine, cardinality(aion._search('{"begun": true}', NULL, NULL, 99, NULL, false, NULL)) > 2 AS begun;
SELECT sum(seq_scan) - :scans AS scans FROM pg_stat_xact_all_tables WHERE schemaname = 'aion' AND relname IN ('_run', '_event', '_attribute');
ROLLBACK;
-- The views in parallel plans, also of a statement that may write.
SET SESSION AUTHORIZATION search_user;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TEMP TABLE counted AS SELECT count(*) > 20 AS many FROM aion.history_event;
SELECT * FROM counted;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- Over a query, and gone with their runs.
SELECT DISTINCT aion.terminate_workflow(workflow_id) FROM aion.find_workflows('{"customer": 7}');
SELECT aion.purge_workflows('0', 'idle', '{terminated}');
SELECT workflow_id FROM aion.find_workflows('{"customer": 7}');

-- What does not follow from history is told.
RESET SESSION AUTHORIZATION;
BEGIN;
UPDATE aion._attribute a SET search_attributes = '{"forged": 1}' FROM aion._run r WHERE r.run_key = a.run_key AND r.workflow_id = 'again';
UPDATE aion._attribute a SET memo = NULL FROM aion._run r WHERE r.run_key = a.run_key AND r.workflow_id = 'u1';
DELETE FROM aion._attribute a USING aion._run r WHERE r.run_key = a.run_key AND r.workflow_id = 'c';
SELECT violation, workflow_id, regexp_replace(detail, 'run \d+', 'run of that name') AS detail FROM aion.check_integrity() ORDER BY 2;
ROLLBACK;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY search_user, search_other, search_member, search_monitor, search_admin CASCADE;
DROP ROLE search_user, search_other, search_member, search_monitor, search_admin;
CREATE EXTENSION aion;
