--
-- aion_test: one transaction, virtual time, no runs but its own.
--
CREATE ROLE testing_user LOGIN;
SELECT aion.grant_usage('testing_user');
GRANT CREATE ON SCHEMA public TO testing_user;
SET SESSION AUTHORIZATION testing_user;
CREATE FUNCTION nap() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN aion.now(); END $$;
SELECT aion.register_workflow('nap', 'nap()') IS NOT NULL AS registered;

-- Needs a transaction block, once, and a finite time (T46).
SELECT aion_test.begin();
SELECT aion_test.run_until_idle();
SELECT aion_test.advance('1 hour');
SELECT aion_test.now();
SELECT aion_test.mock_activity('x');
BEGIN;
SELECT aion_test.begin('infinity');
ROLLBACK;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion_test.begin();
ROLLBACK;
-- A test whose beginning is rolled back has not begun.
BEGIN;
SAVEPOINT s;
SELECT aion_test.begin('2026-01-01 00:00+00');
ROLLBACK TO s;
SELECT aion_test.now();
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT aion_test.begin('2026-01-01 00:00+00');
ROLLBACK TO s;
COMMIT;
-- What happened under a virtual clock cannot be kept.
BEGIN;
SELECT aion_test.begin('2036-01-01 00:00+00');
SELECT aion.start_workflow('nap', workflow_id => 'kept');
COMMIT;
BEGIN;
SELECT aion_test.begin('2036-01-01 00:00+00');
PREPARE TRANSACTION 'test';
SELECT count(*) FROM aion.workflow_run;
-- The clock is real again afterwards.
SELECT aion.start_workflow('nap', workflow_id => 'real');
CALL aion.drive();
SELECT abs(extract(epoch FROM started_at - clock_timestamp())) < 60 AS real_time FROM aion.workflow_run;

-- Time moves only when told to, in steps of what falls due; a jump over several events is as good as many small ones.
BEGIN;
SET LOCAL timezone = 'UTC';
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion_test.now();
SELECT aion.start_workflow('nap', workflow_id => 'a');
SELECT aion_test.run_until_idle(0) AS none, aion_test.run_until_idle(1) AS one, aion_test.run_until_idle() AS none;
SELECT aion_test.advance('30 minutes'), aion_test.now();
SELECT aion.start_workflow('nap', workflow_id => 'b');
SELECT aion_test.advance('1 year');
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_id IN ('a', 'b') ORDER BY 1;
SELECT aion_test.now();
SELECT aion_test.advance('-1 s');
ROLLBACK;
-- It can be stepped through turn by turn: time stands where the turns ended.
BEGIN;
SET LOCAL timezone = 'UTC';
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('nap', workflow_id => 'a');
SELECT aion_test.advance('1 day', max_turns => 1), aion_test.now();
SELECT aion_test.advance('1 day', max_turns => 1), aion_test.now();
SELECT aion_test.advance('1 day', max_turns => 1), aion_test.now();
SELECT aion_test.advance('1 day', max_turns => 0), aion_test.now();
ROLLBACK;

-- Only runs that the transaction started are touched, though others of the same owner are ready and due.
SELECT aion.start_workflow('nap', workflow_id => 'other ready');
BEGIN;
SELECT aion_test.begin('2099-01-01 00:00+00');
SELECT aion_test.run_until_idle();
SELECT aion_test.advance('1 year');
SELECT workflow_id, status, history_events FROM aion.workflow_run ORDER BY 1;
SELECT aion.terminate_workflow('other ready'); -- what one does oneself is not the helpers' doing
SELECT aion_test.run_until_idle();
ROLLBACK;
SELECT workflow_id, status, history_events FROM aion.workflow_run ORDER BY 1;

-- The same test has the same ids, and so the same chance, every time.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('nap') AS id, aion.start_workflow('nap', workflow_id => 'given') \gset
SELECT run_id FROM aion.workflow_run WHERE workflow_id IN (:'id', 'given') ORDER BY run_key;
ROLLBACK;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('nap') = :'id' AS same, aion.start_workflow('nap', workflow_id => 'given');
SELECT run_id FROM aion.workflow_run WHERE workflow_id IN (:'id', 'given') ORDER BY run_key;
ROLLBACK;

-- 11.2 A test executes what it starts with the rights of the run's owner, whichever role tests: a superuser, or a member of the owner's role.
CREATE TABLE kit (a int);
CREATE FUNCTION kit_fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'fired as %', current_user; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER fires AFTER INSERT ON kit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kit_fires();
CREATE FUNCTION kit_do(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'as ' || current_user;
EXCEPTION WHEN feature_not_supported OR read_only_sql_transaction OR insufficient_privilege THEN
	IF SQLERRM ~ 'security-restricted' THEN
		RAISE;
	END IF;
	RETURN 'as ' || current_user || ': ' || SQLSTATE;
END $$;
SELECT aion.register_activity('kit_do', 'kit_do(text)');
SELECT aion.register_activity('kit_do_behind', 'kit_do(text)', mode => 'background');
CREATE FUNCTION kit(statement text, activity text DEFAULT 'kit_do') RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_array(current_user, aion.run(activity, jsonb_build_object('statement', statement)));
END $$;
SELECT aion.register_workflow('kit', 'kit(text, text)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
CREATE ROLE testing_member LOGIN IN ROLE testing_user;
SELECT aion.grant_usage('testing_member');
GRANT CREATE ON SCHEMA public TO testing_user;
CREATE PROCEDURE test_as_owner(who text) LANGUAGE plpgsql AS $$
DECLARE
	statement text;
BEGIN
	PERFORM aion_test.begin('2026-01-01 00:00+00');
	FOREACH statement IN ARRAY ARRAY['SELECT', 'COPY (SELECT) TO PROGRAM ''false''', 'ALTER ROLE testing_user SUPERUSER', 'RESET ROLE',
		'RESET SESSION AUTHORIZATION', 'TABLE pg_authid']
	LOOP
		PERFORM aion.start_workflow('kit', jsonb_build_object('statement', statement), run_as => 'testing_user'),
			aion.start_workflow('kit', jsonb_build_object('statement', statement, 'activity', 'kit_do_behind'), run_as => 'testing_user');
	END LOOP;
	PERFORM aion_test.advance('1 minute');
END $$;
GRANT EXECUTE ON PROCEDURE test_as_owner TO PUBLIC;
CREATE VIEW kit_results AS SELECT input ->> 'statement' AS statement, owner, status, result FROM aion.workflow_run
	WHERE workflow_type = 'kit' ORDER BY run_key;
GRANT SELECT ON kit_results TO PUBLIC;
BEGIN;
CALL test_as_owner('stranger');
ROLLBACK;
GRANT testing_user TO CURRENT_USER;
BEGIN;
CALL test_as_owner('superuser');
TABLE kit_results;
ROLLBACK;
SET SESSION AUTHORIZATION testing_member;
BEGIN;
CALL test_as_owner('member');
RESET SESSION AUTHORIZATION;
SELECT statement, owner, status, result FROM kit_results WHERE statement !~ 'RESET';
ROLLBACK;
-- ... and where the session plays the owner's role
BEGIN;
SET LOCAL ROLE testing_user;
CALL test_as_owner('played');
TABLE kit_results;
ROLLBACK;
-- What would be executed later, with the rights of the session, ends the test instead; in a session of the owner it works.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT aion.start_workflow('kit', '{"statement": "INSERT INTO kit VALUES (1)"}', workflow_id => 'kit', run_as => 'testing_user');
SELECT aion_test.run_until_idle();
ROLLBACK;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT aion.start_workflow('kit', '{"statement": "CREATE TEMP TABLE t (a int)", "activity": "kit_do_behind"}', workflow_id => 'kit', run_as => 'testing_user');
SELECT aion_test.run_until_idle();
ROLLBACK;
SET SESSION AUTHORIZATION testing_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT aion.start_workflow('kit', '{"statement": "INSERT INTO kit VALUES (1)"}', workflow_id => 'kit');
SELECT aion_test.run_until_idle();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'kit';
-- ... and nothing of it is executed with the rights of the role that goes on with the test, or commits
RESET SESSION AUTHORIZATION;
SELECT aion_test.run_until_idle();
COMMIT;
SET SESSION AUTHORIZATION testing_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT aion.start_workflow('kit', '{"statement": "INSERT INTO kit VALUES (1)"}', workflow_id => 'kit');
SELECT aion_test.run_until_idle();
RESET SESSION AUTHORIZATION;
COMMIT;
RESET SESSION AUTHORIZATION;
DROP VIEW kit_results;
DROP PROCEDURE test_as_owner;
SELECT count(*) FROM aion.workflow_run WHERE workflow_type = 'kit';

-- Outside of tests such a refusal is no failure of an activity either: a session of its owner executes it.
SET SESSION AUTHORIZATION testing_user;
SELECT aion.start_workflow('kit', '{"statement": "INSERT INTO kit VALUES (1)"}', workflow_id => 'kit');
RESET SESSION AUTHORIZATION;
SET ROLE testing_user;
CALL aion.drive();
SELECT status, result, history_events FROM aion.workflow_run WHERE workflow_id = 'kit';
RESET ROLE;
UPDATE aion._timer SET fire_at = clock_timestamp() WHERE name ~ '^retry';
UPDATE aion._run SET retry_at = (SELECT fire_at FROM aion._timer WHERE name ~ '^retry') WHERE workflow_id = 'kit';
SET SESSION AUTHORIZATION testing_user;
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'kit';
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
RESET SESSION AUTHORIZATION;
-- What the session has opened and prepared with its rights is not reached by code of an owner that it is lent to.
PREPARE kit_secret AS SELECT 'secret' AS said;
SELECT count(*) FROM pg_prepared_statements;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT lo_from_bytea(47114711, 'secret');
SELECT lo_open(47114711, x'40000'::int) AS fd;
SELECT aion.start_workflow('kit', '{"statement": "SELECT loread(0, 6)"}', workflow_id => 'kit', run_as => 'testing_user');
SELECT aion_test.run_until_idle();
ROLLBACK;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SELECT aion.start_workflow('kit', '{"statement": "EXECUTE kit_secret"}', workflow_id => 'kit', run_as => 'testing_user');
SELECT aion_test.run_until_idle();
ROLLBACK;
DEALLOCATE kit_secret;
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY testing_user, testing_member CASCADE;
DROP ROLE testing_user, testing_member;
CREATE EXTENSION aion;
