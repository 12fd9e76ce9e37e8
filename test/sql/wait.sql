--
-- Waiting for the end of a workflow: what it answers, and where it cannot work.
--
CREATE ROLE wait_user LOGIN;
SELECT aion.grant_usage('wait_user');
GRANT CREATE ON SCHEMA public TO wait_user;
SET SESSION AUTHORIZATION wait_user;
CREATE FUNCTION answer(how text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	CASE how
		WHEN 'value' THEN RETURN '{"a": 1}';
		WHEN 'sql null' THEN RETURN NULL;
		WHEN 'json null' THEN RETURN 'null';
		WHEN 'fail' THEN RAISE EXCEPTION 'it failed' USING DETAIL = 'In detail.', HINT = 'A hint.', ERRCODE = 'XY001';
		WHEN 'wait' THEN PERFORM aion.sleep('1 day');
		ELSE RETURN to_jsonb(aion.run_sql(how));
	END CASE;
	RETURN NULL;
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN to_jsonb(SQLERRM);
END $$;
SELECT aion.register_workflow('answer', 'answer(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('answer', jsonb_build_object('how', h), workflow_id => h) FROM unnest('{value,sql null,json null,fail,wait}'::text[]) h;
SELECT aion.start_workflow('answer', '{"how": "wait"}', workflow_id => 'late', timeout => '1 microsecond');
CALL aion.drive();
SELECT aion.terminate_workflow('wait', 'why not');
\set VERBOSITY verbose
\set SHOW_CONTEXT never
SELECT aion.await_workflow('value');
SELECT aion.await_workflow('sql null') IS NULL AS is_null;
SELECT aion.await_workflow('json null');
CALL aion.wait_workflow('value');
CALL aion.wait_workflow('sql null');
\set VERBOSITY default
DO $$
DECLARE
	id text;
	message text;
	detail text;
	hint text;
BEGIN
	FOREACH id IN ARRAY '{fail,wait,late,no such}'::text[] LOOP
		BEGIN
			PERFORM aion.await_workflow(id);
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
			RAISE NOTICE '%: % % [%] [%]', id, SQLSTATE, message, detail, hint;
		END;
	END LOOP;
END $$;
CALL aion.wait_workflow('fail');

-- In vain.
SELECT aion.start_workflow('answer', '{"how": "wait"}', workflow_id => 'open');
SELECT aion.await_workflow('open', timeout => '0');
SELECT aion.await_workflow('open', timeout => '10 ms');
SELECT aion.await_workflow('open', timeout => '-1 s');
CALL aion.wait_workflow('open', timeout => '10 ms');
CALL aion.run_workflow('answer', '{"how": "wait"}', workflow_id => 'mine', timeout => '10 ms');
SELECT status FROM aion.workflow_run WHERE workflow_id = 'mine'; -- it was started all the same
-- What keeps a run from going on is said.
SELECT aion.pause_workflow('open');
SELECT aion.await_workflow('open', timeout => '10 ms');
SELECT aion.resume_workflow('open');
CREATE FUNCTION misses() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('is missing'); END $$;
SELECT aion.register_workflow('misses', 'misses()') IS NOT NULL AS registered;
SELECT aion.start_workflow('misses', workflow_id => 'misses');
CALL aion.drive();
SELECT aion.await_workflow('misses', timeout => '10 ms');
CALL aion.wait_workflow('misses', timeout => '10 ms');

-- Where it cannot work it says so, and what to do instead.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT aion.await_workflow('value');
SELECT aion.await_workflow('open');
ROLLBACK;
BEGIN;
SELECT aion.start_workflow('answer', '{"how": "value"}', workflow_id => 'own');
SELECT aion.await_workflow('own');
ROLLBACK;
BEGIN;
SELECT aion.set_workflow_version('open') IS NOT NULL AS touched;
SELECT aion.await_workflow('open');
ROLLBACK;
BEGIN;
CALL aion.wait_workflow('open');
ROLLBACK;
BEGIN;
CALL aion.run_workflow('answer', '{"how": "value"}');
ROLLBACK;
BEGIN;
CALL aion.drive();
ROLLBACK;
DO $$ BEGIN CALL aion.drive(1); END $$;
CREATE FUNCTION drives() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL aion.drive(); END $$;
SELECT drives();
SELECT aion.start_workflow('answer', jsonb_build_object('how', q), workflow_id => n || ' ' || q)
	FROM unnest(ARRAY['SELECT aion.await_workflow(''open'')', 'CALL aion.drive()', 'CALL aion.wait_workflow(''open'')', 'CALL aion.run_workflow(''answer'')',
		'SELECT aion_test.begin()', 'SELECT aion_test.replay(''value'')']) WITH ORDINALITY q(q, n);
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^\d' ORDER BY 1;

-- The session's own settings do not reach the engine (T51 in part), and are as they were afterwards.
SET default_transaction_isolation = 'serializable';
SET default_transaction_read_only = on;
SET search_path = nowhere;
SET client_min_messages = error;
SET enable_indexscan = off;
SET plan_cache_mode = force_custom_plan;
SET quote_all_identifiers = on;
SET transform_null_equals = on;
SET row_security = off;
CALL aion.drive();
SHOW default_transaction_isolation;
SHOW search_path;
SHOW client_min_messages;
SHOW row_security;
RESET ALL;
BEGIN;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SELECT aion.start_workflow('answer', '{"how": "value"}', workflow_id => 'serializable');
COMMIT;
CREATE FUNCTION pg_temp.hijack(a bigint, b bigint) RETURNS boolean LANGUAGE sql AS $$ SELECT 1 / 0 = 1 $$;
CREATE FUNCTION hijack(a bigint, b bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'captured'; END $$;
CREATE OPERATOR public.= (FUNCTION = hijack, LEFTARG = bigint, RIGHTARG = bigint);
SET search_path = public, pg_catalog;
SELECT aion.start_workflow('answer', '{"how": "value"}', workflow_id => 'hostile');
CALL aion.drive();
SELECT aion.await_workflow('hostile');
SELECT aion.describe_workflow('hostile') ->> 'status' AS status, (SELECT count(*) FROM aion.explain('hostile')) AS lines;
RESET search_path;
DROP OPERATOR public.= (bigint, bigint);
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY wait_user CASCADE;
DROP ROLE wait_user;
CREATE EXTENSION aion;
