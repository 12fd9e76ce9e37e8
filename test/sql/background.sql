-- Activities in the background, and inline ones that are tried again: attempts, retries, timeouts, cancelling.
-- Invariants 43-46; R26.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN;
SELECT aion.grant_usage('alice'), aion.grant_usage('bob');
CREATE SCHEMA alice AUTHORIZATION alice;
SET SESSION AUTHORIZATION alice; SET search_path = alice;
CREATE TABLE effect (n serial, what text, who text DEFAULT current_user);
CREATE TABLE switch (fail int DEFAULT 0, sqlstate text DEFAULT 'P0001'); INSERT INTO switch DEFAULT VALUES;
-- Fails so many times as the switch says; what it wrote is then gone.
CREATE FUNCTION work(what text DEFAULT 'x') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE info jsonb := aion.activity_info();
BEGIN
	INSERT INTO alice.effect (what) VALUES (what);
	IF (info ->> 'attempt')::int <= (SELECT fail FROM alice.switch) THEN
		PERFORM aion.heartbeat(jsonb_build_object('attempt', info -> 'attempt'));
		RAISE EXCEPTION 'attempt % failed', info ->> 'attempt' USING ERRCODE = (SELECT sqlstate FROM alice.switch);
	END IF;
	RETURN jsonb_build_object('attempt', info -> 'attempt', 'before', info -> 'heartbeat_details', 'workflow', info -> 'workflow_id',
		'idempotent', info ->> 'idempotency_key' = (info ->> 'run_id') || '/1');
END $$;
CREATE FUNCTION ask(activity text, options jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run(activity, '{}', options);
EXCEPTION WHEN SQLSTATE 'WA000' THEN
	RETURN jsonb_build_object('failed', aion.failure() - 'context', 'sqlstate', SQLSTATE);
END $$;
SELECT aion.register_workflow('ask', 'ask(text, jsonb)') IS NOT NULL;
SELECT aion.register_activity('work', 'work(text)', mode => 'background');
SELECT aion.register_activity('inline', 'work(text)');
CREATE VIEW outcome AS SELECT workflow_id, status, coalesce(result, error) AS outcome FROM aion.workflow_run;
CREATE VIEW task AS SELECT workflow_id, state, attempt, background, last_error ->> 'message' AS error FROM aion.activity_task;

-- Registering: bad ones first.
SELECT aion.register_activity('bad', mode => 'background');
SELECT aion.register_activity('bad', 'work(text)', heartbeat_timeout => '1 s');
SELECT aion.register_activity('bad', 'work(text)', mode => 'background', on_cancel => 'never');
SELECT aion.register_activity('bad', 'work(text)', mode => 'background', retry => '{"max_attempts": 0}');

-- Executed once, as the owner, effect and outcome together; the history has attempts only where there were several.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"activity": "work"}', workflow_id => 'w');
SELECT aion_test.run_until_idle(1);
SELECT * FROM task;
SELECT aion_test.run_until_idle();
SELECT * FROM outcome;
SELECT what, who FROM effect;
SELECT seq, event_type, key, attributes FROM aion.history('w') WHERE event_type ~ 'Activity';
SELECT aion_test.replay('w');
RESET SESSION AUTHORIZATION;
SELECT (SELECT count(*) FROM aion._task) + (SELECT count(*) FROM aion._timer) AS left_over;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Without a retry policy a failure is final, with its details (invariant 44).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
UPDATE switch SET fail = 1;
SELECT aion.start_workflow('ask', '{"activity": "work"}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM outcome;
SELECT count(*) FROM effect;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- With one it is tried again, 10 seconds later and then 20 seconds later; the next attempt has what the last heartbeat said (invariant 43).
BEGIN;
SELECT aion_test.begin('2030-01-01 00:00 UTC') IS NOT NULL;
UPDATE switch SET fail = 2;
SELECT aion.start_workflow('ask', '{"activity": "work", "options": {"retry": {"max_attempts": 3, "initial_interval": "10 s"}}}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM task;
SELECT aion_test.advance('8 s'); SELECT * FROM task;
SELECT aion_test.advance('2 s'); SELECT * FROM task;
SELECT aion_test.advance('21 s');
SELECT * FROM outcome;
SELECT count(*) FROM effect;
SELECT event_type FROM aion.history('w');
SELECT substr(line, 19) AS line FROM aion.explain('w') line OFFSET 2;
SELECT aion_test.replay('w');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- The last failure is raised, with the number of attempts; what is not retryable is final.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
UPDATE switch SET fail = 9;
SELECT aion.start_workflow('ask', '{"activity": "work", "options": {"retry": {"max_attempts": 3, "initial_interval": "10 s"}}}', workflow_id => 'w');
SELECT aion_test.advance('1 hour') > 0;
SELECT * FROM outcome;
SELECT substr(line, 19) AS line FROM aion.explain('w') line OFFSET 2;
SELECT aion.start_workflow('ask', '{"activity": "work", "options": {"retry": {"max_attempts": 3, "non_retryable": ["22P02", "P0001"]}}}', workflow_id => 'w2');
SELECT aion_test.run_until_idle() > 0;
SELECT * FROM outcome WHERE workflow_id = 'w2';
SELECT count(*) FROM effect;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A right that is taken back while the activity waits is named.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.pause_task_queue('default'), aion.start_workflow('ask', '{"activity": "work"}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
REVOKE EXECUTE ON FUNCTION work(text) FROM PUBLIC, alice;
SELECT aion.resume_task_queue('default');
SELECT aion_test.run_until_idle() > 0;
SELECT state, error FROM task;
ROLLBACK;

-- Inline: the first attempt is made in the turn, the others in the background.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
UPDATE switch SET fail = 1;
SELECT aion.start_workflow('ask', '{"activity": "inline", "options": {"retry": {"max_attempts": 2, "initial_interval": "10 s"}}}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM task;
SELECT count(*) FROM effect;
SELECT aion_test.advance('10 s') > 0;
SELECT * FROM outcome;
SELECT count(*) FROM effect;
SELECT aion_test.replay('w');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Timeouts: of an attempt, of a heartbeat that does not come, inline and in the background, and of all attempts together.
CREATE FUNCTION slow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO alice.effect VALUES (DEFAULT, 'slow'); PERFORM pg_sleep(20); END $$;
SELECT aion.register_activity('slow', 'slow()', mode => 'background', start_to_close_timeout => '10 ms');
SELECT aion.register_activity('slow inline', 'slow()', start_to_close_timeout => '10 ms');
SELECT aion.register_activity('silent', 'slow()', mode => 'background', heartbeat_timeout => '10 ms');
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"activity": "slow"}', workflow_id => 'slow');
SELECT aion.start_workflow('ask', '{"activity": "slow inline"}', workflow_id => 'inline');
SELECT aion.start_workflow('ask', '{"activity": "silent"}', workflow_id => 'silent');
SELECT aion.start_workflow('ask', '{"activity": "slow", "options": {"schedule_to_close_timeout": "1 min", "retry": {"initial_interval": "40 s", "backoff": "fixed"}}}', workflow_id => 'all');
SELECT aion_test.advance('5 min') > 0;
SELECT * FROM outcome ORDER BY workflow_id;
SELECT count(*) FROM effect;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- No session executes it in time.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
RESET SESSION AUTHORIZATION; SELECT aion.pause_task_queue('default'); SET SESSION AUTHORIZATION alice;
SELECT aion.start_workflow('ask', '{"activity": "work", "options": {"schedule_to_start_timeout": "1 min"}}', workflow_id => 'w');
SELECT aion_test.advance('5 min') > 0;
SELECT * FROM outcome;
SELECT count(*) FROM effect;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Cancelled before it begins, between two attempts (R26, invariant 45), and by the end of the run: nothing of it happens.
CREATE FUNCTION gives_up() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h aion.handle := aion.start_activity('work', '{"what": "a"}', '{"retry": {"max_attempts": 5, "initial_interval": "1 min"}}');
BEGIN
	PERFORM aion.sleep('10 s');
	PERFORM aion.start_activity('work', '{"what": "b"}', '{"retry": {"max_attempts": 5, "initial_interval": "1 min"}}');
	RETURN jsonb_build_array(aion.cancel(h), aion.cancel(aion.start_activity('work', '{"what": "c"}')));
END $$;
SELECT aion.register_workflow('gives_up', 'gives_up()') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
UPDATE switch SET fail = 9;
SELECT aion.start_workflow('gives_up', workflow_id => 'w');
SELECT aion_test.advance('1 hour') > 0;
SELECT * FROM outcome;
SELECT seq, event_type, key FROM aion.history('w');
SELECT * FROM task;
SELECT aion_test.replay('w');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A terminated run has no activities left, and tries none again (invariant 45).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
UPDATE switch SET fail = 1;
SELECT aion.start_workflow('ask', '{"activity": "work", "options": {"retry": {"max_attempts": 5, "initial_interval": "1 min"}}}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT aion.terminate_workflow('w');
SELECT * FROM task;
SELECT aion_test.advance('1 hour');
SELECT seq, event_type, key FROM aion.history('w');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Many, by priority, then in order.
CREATE FUNCTION several() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h aion.handle[];
BEGIN
	FOR i IN 1..6 LOOP
		h := h || aion.start_activity('work', jsonb_build_object('what', i), jsonb_build_object('priority', i % 2));
	END LOOP;
	PERFORM aion.await_all(h);
	RETURN aion.map('work', '[{"what": "m1"}, {"what": "m2"}, {"what": "m3"}]', '{"concurrency": 2}') #> '{2,attempt}';
END $$;
SELECT aion.register_workflow('several', 'several()') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('several', workflow_id => 'w');
SELECT aion_test.run_until_idle() > 0;
SELECT * FROM outcome;
SELECT string_agg(what, ' ' ORDER BY n) FROM effect;
SELECT aion_test.replay('w');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- What is missing when it is to be executed can be mended: the activity is tried again until then, and no attempt is counted (invariant 46).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"activity": "work"}', workflow_id => 'w');
SELECT aion_test.run_until_idle(1);
ALTER FUNCTION work(text) RENAME TO worked;
SELECT aion_test.advance('10 s') >= 0;
SELECT * FROM task;
-- 11.21: and at once when it is mended, not when it would be looked at again.
ALTER FUNCTION worked(text) RENAME TO work;
SELECT aion_test.run_until_idle() > 0;
SELECT * FROM outcome;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A failure of the machine is none of the activity: it is made again, with all its attempts (invariant 46).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
UPDATE switch SET fail = 1, sqlstate = '53200';
SELECT aion.start_workflow('ask', '{"activity": "work"}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM task;
UPDATE switch SET fail = 0;
SELECT aion_test.advance('1 min') > 0;
SELECT * FROM outcome;
SELECT count(*) FROM effect;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- In an activity: what belongs to its transaction may be called, what waits may not; and elsewhere there is no attempt.
CREATE FUNCTION nosy() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('ask', '{"activity": "inline"}', workflow_id => 'child of ' || (aion.activity_info() ->> 'workflow_id'));
	BEGIN
		PERFORM aion.await_workflow('w');
	EXCEPTION WHEN SQLSTATE 'WF011' THEN
		RETURN jsonb_build_object('refused', SQLERRM, 'heartbeat', aion.heartbeat());
	END;
END $$;
SELECT aion.register_activity('nosy', 'nosy()', mode => 'background');
SELECT aion.register_activity('nosy inline', 'nosy()');
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"activity": "nosy"}', workflow_id => 'w');
SELECT aion.start_workflow('ask', '{"activity": "nosy inline"}', workflow_id => 'v');
SELECT aion_test.run_until_idle() > 0;
SELECT * FROM outcome ORDER BY workflow_id;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;
SELECT aion.activity_info();
SELECT aion.heartbeat();

-- CALL drive() executes them, too, claims first; what a process that is gone had claimed is put back, and not counted.
SELECT aion.start_workflow('ask', '{"activity": "work"}', workflow_id => 'w');
CALL aion.drive(1);
SELECT * FROM task;
RESET SESSION AUTHORIZATION;
UPDATE aion._task SET state = 'claimed', attempt = 1, token = gen_random_uuid(), worker = 'gone';
SET SESSION AUTHORIZATION alice;
CALL aion.drive();
SELECT * FROM outcome;
SELECT count(*) FROM effect;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
DROP EXTENSION aion CASCADE; DROP OWNED BY alice; DROP ROLE alice, bob; 
CREATE EXTENSION aion;
