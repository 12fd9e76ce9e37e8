--
-- aion_test: one transaction, virtual time, nobody else's runs.
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
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY testing_user CASCADE;
DROP ROLE testing_user;
CREATE EXTENSION aion;
