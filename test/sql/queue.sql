-- Task queues: pausing, limits of how much runs at once, of a key, and per second; who may.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
SELECT aion.grant_usage('alice'), aion.grant_usage('bob');
CREATE SCHEMA alice AUTHORIZATION alice;
-- Bad input, and who may not.
SELECT aion.configure_task_queue(NULL);
SELECT aion.configure_task_queue('q', max_running => 0);
SELECT aion.configure_task_queue('q', max_per_key => -1);
SELECT aion.configure_task_queue('q', rate => 0);
SELECT aion.configure_task_queue('q', rate => 'NaN');
SET SESSION AUTHORIZATION alice; SET search_path = alice;
SELECT aion.configure_task_queue('q', max_running => 1);
SELECT aion.pause_task_queue('q');
CREATE FUNCTION fan(n int, options jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS
	$$ SELECT aion.map('work', (SELECT jsonb_agg(i) FROM generate_series(1, n) AS i), options) $$;
SELECT aion.register_workflow('fan', 'fan(int, jsonb)') IS NOT NULL;
SELECT aion.register_activity('work', mode => 'external', task_queue => 'q', start_to_close_timeout => '1 min');
CREATE TABLE held (n serial, token text, input jsonb);
CREATE FUNCTION poll(most int) RETURNS bigint LANGUAGE sql AS $$
	WITH p AS (INSERT INTO held (token, input) SELECT task_token, input FROM aion.poll_activities('{q}', 'w', most) RETURNING 1) SELECT count(*) FROM p $$;
CREATE FUNCTION complete(howmany int) RETURNS bigint LANGUAGE sql AS $$
	WITH t AS (DELETE FROM held WHERE n IN (SELECT n FROM held ORDER BY n LIMIT howmany) RETURNING token)
	SELECT count(aion.complete_activity(token)::text) FROM t $$;

-- At most two at once, however they end: completed, failed for good, tried again, cancelled with their run.
BEGIN;
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_running => 2); SET SESSION AUTHORIZATION alice;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fan', '{"n": 9}', workflow_id => 'w'); SELECT aion_test.run_until_idle();
SELECT poll(1), poll(5), poll(5);
SELECT task_queue, paused, max_running, waiting, delayed, claimed, oldest IS NOT NULL AS some FROM aion.stat_queue;
SELECT complete(1); SELECT poll(5), poll(5);
SELECT aion.fail_activity(token, 'no', retryable => false) FROM held WHERE n = 2; DELETE FROM held WHERE n = 2;
SELECT aion_test.run_until_idle() > 0;
SELECT status FROM aion.workflow_run; -- the failure ended it and cancelled the rest, of which one is still with its worker
SELECT poll(5); SELECT aion.start_workflow('fan', '{"n": 9}', workflow_id => 'w2'); SELECT aion_test.run_until_idle();
SELECT poll(5);
SELECT aion_test.advance('2 min') >= 0; -- the time of the cancelled one is up
SELECT poll(5);
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;
BEGIN;
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_running => 1); SET SESSION AUTHORIZATION alice;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fan', '{"n": 2}', workflow_id => 'w'); SELECT aion_test.run_until_idle();
SELECT poll(1), poll(1);
SELECT aion.fail_activity(token, 'again', retry_after => '1 min') FROM held;
SELECT poll(1), poll(1);
-- Limits that change: more, none, and again one.
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_running => 2); SET SESSION AUTHORIZATION alice;
SELECT aion.start_workflow('fan', '{"n": 9}', workflow_id => 'w2'); SELECT aion_test.run_until_idle();
SELECT poll(9);
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_per_key => 3); SET SESSION AUTHORIZATION alice;
SELECT poll(3);
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_running => 1); SET SESSION AUTHORIZATION alice;
SELECT poll(1), poll(1);
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A claim that is rolled back has taken nothing.
BEGIN;
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_running => 2, rate => 2); SET SESSION AUTHORIZATION alice;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fan', '{"n": 9}', workflow_id => 'w'); SELECT aion_test.run_until_idle();
SAVEPOINT s; SELECT poll(5); ROLLBACK TO s;
SELECT poll(5);
ROLLBACK;

-- So many per second, whatever becomes of them; fractions are spread.
BEGIN;
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', rate => 2.5); SET SESSION AUTHORIZATION alice;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fan', '{"n": 9}', workflow_id => 'w'); SELECT aion_test.run_until_idle();
SELECT poll(9), complete(9), poll(9);
SELECT aion_test.advance('1 s') >= 0; SELECT poll(9);
SELECT aion_test.advance('0.2 s') >= 0; SELECT poll(9);
ROLLBACK;

-- At most one of each key at once, and any number of those without.
BEGIN;
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_per_key => 1); SET SESSION AUTHORIZATION alice;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fan', '{"n": 3, "options": {"key": "a"}}', workflow_id => 'a');
SELECT aion.start_workflow('fan', '{"n": 2, "options": {"key": "b"}}', workflow_id => 'b');
SELECT aion.start_workflow('fan', '{"n": 2}', workflow_id => 'c'); SELECT aion_test.run_until_idle();
SELECT poll(9), poll(9);
SELECT workflow_id, key, state, count(*) FROM aion.activity_task GROUP BY 1, 2, 3 ORDER BY 1, 3;
SELECT complete(9), poll(9), complete(9), poll(9), complete(9), poll(9);
SELECT aion_test.run_until_idle() > 0;
SELECT status, count(*) FROM aion.workflow_run GROUP BY 1;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- In the background the same limits hold.
CREATE FUNCTION work() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_activity('work', 'work()', mode => 'background', task_queue => 'q');
CREATE FUNCTION fan_background(n int) RETURNS jsonb LANGUAGE sql AS
	$$ SELECT aion.map('work', (SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, n))) $$;
SELECT aion.register_workflow('fan_background', 'fan_background(int)') IS NOT NULL;
BEGIN;
RESET SESSION AUTHORIZATION; SELECT aion.configure_task_queue('q', max_running => 1, rate => 3); SET SESSION AUTHORIZATION alice;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fan_background', '{"n": 5}', workflow_id => 'w'); SELECT aion_test.run_until_idle() > 0;
SELECT waiting, claimed FROM aion.stat_queue;
RESET SESSION AUTHORIZATION; SELECT aion.pause_task_queue('q'); SET SESSION AUTHORIZATION alice;
SELECT aion_test.advance('1 s') >= 0; SELECT waiting, claimed FROM aion.stat_queue;
RESET SESSION AUTHORIZATION; SELECT aion.resume_task_queue('q'); SET SESSION AUTHORIZATION alice;
SELECT aion_test.run_until_idle() > 0;
SELECT status, result FROM aion.workflow_run;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Others see of a queue what is their own.
SELECT aion.start_workflow('fan_background', '{"n": 5}', workflow_id => 'w'); CALL aion.drive(1);
SELECT task_queue, waiting FROM aion.stat_queue;
SET SESSION AUTHORIZATION bob;
SELECT task_queue, waiting FROM aion.stat_queue;
RESET SESSION AUTHORIZATION;
SELECT aion.terminate_workflow('w');
DROP EXTENSION aion CASCADE; DROP OWNED BY alice; DROP ROLE alice, bob;
CREATE EXTENSION aion;
