-- Task queues: pausing, limits of how much runs at once, of a key, and per second; which roles may do it.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
SELECT aion.grant_usage('alice'), aion.grant_usage('bob');
CREATE SCHEMA alice AUTHORIZATION alice;
-- Bad input, and roles without the right.
SELECT aion.configure_task_queue(NULL);
SELECT aion.configure_task_queue('q', max_running => 0);
SELECT aion.configure_task_queue('q', max_per_key => -1);
SELECT aion.configure_task_queue('q', rate => 0);
SELECT aion.configure_task_queue('q', rate => 'NaN');
SELECT aion.configure_task_queue('q');
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
SAVEPOINT s;
SELECT aion.fail_activity(token, 'stopped') FROM held WHERE n = 3; -- unless its worker says that it has stopped, once
SELECT poll(5);
SELECT aion.fail_activity(token, 'stopped') FROM held WHERE n = 3;
ROLLBACK TO s;
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
-- 11.25 Bad values are WF014 and name the key, what is too large is WF015, and a token that is none is WF018.
\set VERBOSITY default
SELECT aion.register_activity('bad', mode => 'external', start_to_close_timeout => '1 s', retry => '{"initial_interval": "soon"}');
SELECT aion.register_activity('bad', mode => 'external', start_to_close_timeout => '1 s', retry => '{"max_interval": "99999999999999999999 days"}');
SELECT aion.register_activity('bad', mode => 'external', start_to_close_timeout => '1 s', retry => '{"coefficient": "nan"}');
\set VERBOSITY sqlstate
SELECT aion.complete_activity('1.1.------------------------------------');
SELECT aion.complete_activity('1.1.0123456789abcdef0123456789abcdef0123');
SELECT aion.complete_activity('99999999999999999999999.1.01234567-89ab-cdef-0123-456789abcdef');
SELECT aion.fail_activity('1.1.01234567-89ab-cdef-0123-456789abcdef', repeat('x', 70000000));
SELECT aion.fail_activity('1.1.01234567-89ab-cdef-0123-456789abcdef', 'x', repeat('x', 70000000));
\set VERBOSITY terse
SELECT aion.create_schedule('bad', 'fan', every => '1 min', jitter => '2 min');

-- 11.3, 11.29 A role limits, pauses and grants the queues that only its own runs use, and nothing of others.
RESET SESSION AUTHORIZATION; RESET search_path;
CREATE ROLE queue_worker LOGIN; SELECT aion.grant_usage('queue_worker', 'worker');
CREATE ROLE queue_open LOGIN; GRANT USAGE ON SCHEMA aion TO queue_open; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA aion TO queue_open;
SET SESSION AUTHORIZATION queue_open;
SELECT aion.grant_task_queue('queue_open', 'q');
SELECT aion.revoke_task_queue('queue_open', 'q');
SELECT aion.pause_task_queue('q');
SELECT aion.resume_task_queue('q');
SELECT aion.configure_task_queue('q', rate => 1);
RESET SESSION AUTHORIZATION;
CREATE SCHEMA bob AUTHORIZATION bob; GRANT USAGE ON SCHEMA alice TO bob;
SET SESSION AUTHORIZATION bob; SET search_path = bob;
CREATE FUNCTION ask_bob(queue text, n int DEFAULT 1, options jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS
	$$ SELECT aion.map('work_of_bob', (SELECT jsonb_agg(i) FROM generate_series(1, n) AS i), jsonb_build_object('task_queue', queue) || options) $$;
SELECT aion.register_workflow('ask_bob', 'ask_bob(text, int, jsonb)') IS NOT NULL;
SELECT aion.register_activity('work_of_bob', mode => 'external', task_queue => 'bobs', start_to_close_timeout => '1 min');
SET SESSION AUTHORIZATION alice; SET search_path = alice;
CREATE FUNCTION ask_alice() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('work_of_alice', options => '{"key": "k"}') $$;
SELECT aion.register_workflow('ask_alice', 'ask_alice()') IS NOT NULL;
SELECT aion.register_activity('work_of_alice', mode => 'external', task_queue => 'alices', start_to_close_timeout => '1 min');
SELECT aion.pause_task_queue('bobs'); -- its registration uses it
SELECT aion.grant_task_queue('alice', 'bobs');
SELECT aion.grant_task_queue('alice', 'q'); -- the administrators'
SELECT aion.grant_task_queue('queue_worker', 'alices');
SELECT aion.configure_task_queue('alices', max_running => 2, max_per_key => 1);
SET SESSION AUTHORIZATION bob; SET search_path = bob;
SELECT aion.configure_task_queue('alices', max_running => 1);
SELECT aion.resume_task_queue('alices');
SELECT count(*) FROM aion.stat_queue WHERE task_queue = 'alices';
RESET SESSION AUTHORIZATION; RESET search_path;
-- What others put there goes to no worker of the owner, is neither held up by the owner's limits nor uses them up.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SET LOCAL SESSION AUTHORIZATION alice;
SELECT count(aion.start_workflow('ask_alice', workflow_id => 'alice ' || i)) FROM generate_series(1, 3) i;
SELECT aion_test.run_until_idle() > 0;
SELECT workflow_id, activity, task_queue, state, key FROM aion.activity_task ORDER BY 1;
SELECT aion.pause_task_queue('alices');
SET LOCAL SESSION AUTHORIZATION bob;
SELECT aion.start_workflow('ask_bob', '{"queue": "alices", "n": 3, "options": {"priority": 9, "key": "k"}}', workflow_id => 'bob');
SELECT aion_test.run_until_idle() > 0;
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT count(*) FROM aion.poll_activities('{alices}', 'w', 9);
SET LOCAL SESSION AUTHORIZATION bob;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 2);
SET LOCAL SESSION AUTHORIZATION alice;
SELECT aion.resume_task_queue('alices');
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
SET LOCAL SESSION AUTHORIZATION bob;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
-- When an administrator limits such a queue, the limit holds for all owners, and its grants are taken back.
RESET SESSION AUTHORIZATION;
SELECT aion.configure_task_queue('alices');
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT count(*) FROM aion.poll_activities('{alices}', 'w', 9);
SET LOCAL SESSION AUTHORIZATION alice;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
SAVEPOINT s; SELECT aion.pause_task_queue('alices'); ROLLBACK TO s;
RESET SESSION AUTHORIZATION;
SELECT aion.grant_task_queue('queue_worker', 'alices');
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT count(*) FROM aion.poll_activities('{alices}', 'w', 9);
-- What was granted can be taken back, by whom it could be granted; so does revoke_usage() take it.
SET LOCAL SESSION AUTHORIZATION alice;
SELECT aion.start_workflow('ask_alice', workflow_id => 'alice 4');
SELECT aion_test.run_until_idle() > 0;
SET LOCAL SESSION AUTHORIZATION queue_worker;
SAVEPOINT s; SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9); ROLLBACK TO s;
SET LOCAL SESSION AUTHORIZATION bob;
SAVEPOINT s; SELECT aion.revoke_task_queue('queue_worker', 'alices'); ROLLBACK TO s;
RESET SESSION AUTHORIZATION;
SELECT aion.revoke_task_queue('queue_worker', 'alices'), aion.revoke_task_queue('queue_open', 'alices');
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
RESET SESSION AUTHORIZATION;
SELECT aion.grant_task_queue('queue_worker', 'alices'), aion.revoke_usage('queue_worker'), aion.grant_usage('queue_worker', 'worker');
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
RESET SESSION AUTHORIZATION;
SELECT aion.grant_task_queue('queue_worker', 'alices');
SET LOCAL SESSION AUTHORIZATION queue_worker;
SELECT workflow_id, owner FROM aion.poll_activities('{alices}', 'w', 9);
RESET SESSION AUTHORIZATION;
ROLLBACK;

-- An error while something is claimed leaves the session as it was: its role, its settings, its transaction.
SET SESSION AUTHORIZATION alice;
SET default_transaction_read_only = on;
DO $$
BEGIN
	BEGIN PERFORM aion.poll_activities('{alices}', 'w'); EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLERRM; END;
	RAISE WARNING '%', current_user;
END $$;
SELECT aion.poll_activities('{alices}', 'w');
CALL aion.wait_for_tasks('{alices}', '10 ms');
SELECT current_user, current_setting('search_path') AS path, txid_current_if_assigned() AS xid;
RESET default_transaction_read_only;
RESET SESSION AUTHORIZATION;

DROP OWNED BY queue_open, queue_worker;
DROP EXTENSION aion CASCADE; DROP OWNED BY alice, bob; DROP ROLE alice, bob, queue_worker, queue_open;
CREATE EXTENSION aion;
