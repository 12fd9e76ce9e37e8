-- Activities that workers execute: claims, tokens, retries, timeouts, queues. Invariants 43, 44, 47, 48, 50, 53, 54; T86, T89, T91.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE worker LOGIN;
SELECT aion.grant_usage('alice'), aion.grant_usage('bob'), aion.grant_usage('worker', 'worker');
CREATE SCHEMA alice AUTHORIZATION alice;
SET SESSION AUTHORIZATION alice; SET search_path = alice;
CREATE FUNCTION ask(what text DEFAULT 'x', options jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run('charge', jsonb_build_object('what', what), options);
EXCEPTION WHEN SQLSTATE 'WA000' THEN
	RETURN jsonb_build_object('failed', aion.failure(), 'sqlstate', SQLSTATE);
END $$;
SELECT aion.register_workflow('ask', 'ask(text, jsonb)') IS NOT NULL;
CREATE FUNCTION plain() RETURNS int LANGUAGE sql AS 'SELECT 1';
-- Registering: bad ones first.
SELECT aion.register_activity('charge', mode => 'external');
SELECT aion.register_activity('charge', 'plain()', mode => 'external', start_to_close_timeout => '1 min');
SELECT aion.register_activity('charge', mode => 'elsewhere');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '0');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '-1 s');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"attempts": 3}');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"max_attempts": 0}');
-- 11.25 numbers out of range
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"max_attempts": 3000000000}');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"max_attempts": 1e1000}');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"backoff": "random"}');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"initial_interval": 5}');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"coefficient": 0.5}');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '[]');
SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 min', retry => '{"non_retryable": "card"}');
SELECT aion.register_activity('charge', mode => 'external', task_queue => 'bank', start_to_close_timeout => '1 min', heartbeat_timeout => '20 s',
	retry => '{"max_attempts": 3, "initial_interval": "10 s", "backoff": "linear", "non_retryable": ["card declined"]}');

-- What a worker does, step by step, as himself.
CREATE TABLE held (n serial, token text);
GRANT ALL ON held TO worker; GRANT ALL ON held_n_seq TO worker; GRANT USAGE ON SCHEMA alice TO worker;
CREATE FUNCTION poll(queue text DEFAULT 'bank', most int DEFAULT 1) RETURNS TABLE (activity text, input jsonb, attempt int, details jsonb, idempotent boolean) LANGUAGE sql AS $$
	WITH p AS (SELECT * FROM aion.poll_activities(ARRAY[queue], 'w1', most)),
		h AS (INSERT INTO held (token) SELECT task_token FROM p)
	SELECT p.activity, p.input, p.attempt, p.heartbeat_details, p.idempotency_key = p.run_id || '/1' FROM p $$;
CREATE FUNCTION token(back int DEFAULT 0) RETURNS text LANGUAGE sql AS $$ SELECT token FROM held ORDER BY n DESC OFFSET back LIMIT 1 $$;
CREATE VIEW outcome AS SELECT workflow_id, status, coalesce(result, error) AS outcome FROM aion.workflow_run;
CREATE VIEW task AS SELECT workflow_id, state, attempt, worker, last_error ->> 'message' AS error FROM aion.activity_task;

-- Completed.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"what": "a"}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM task;
SELECT * FROM poll('other');
SELECT * FROM poll();
SELECT * FROM poll();
SELECT * FROM task;
SELECT aion.heartbeat_activity(token(), '{"done": 1}');
SELECT aion.complete_activity(token(), '{"paid": true}');
SELECT * FROM task;
SELECT aion_test.run_until_idle();
SELECT * FROM outcome;
SELECT seq, event_type, key, attributes FROM aion.history('w') WHERE event_type ~ 'Activity';
SELECT * FROM task;
SELECT aion_test.replay('w');
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM aion._timer;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- T86, invariant 47: a token that does not hold the task changes nothing: used up, wrong, malformed.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM poll();
SAVEPOINT s; SELECT aion.complete_activity('nonsense'); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.complete_activity(NULL); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.complete_activity(regexp_replace(token(), '[^.]*$', gen_random_uuid()::text)); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.complete_activity(token() || '0'); ROLLBACK TO s;
SELECT aion.complete_activity(token(), '1');
SAVEPOINT s; SELECT aion.complete_activity(token(), '2'); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.fail_activity(token(), 'late'); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.heartbeat_activity(token()); ROLLBACK TO s;
SELECT aion_test.run_until_idle();
SAVEPOINT s; SELECT aion.complete_activity(token(), '3'); ROLLBACK TO s;
SELECT * FROM outcome;
ROLLBACK;

-- Failed, tried again when the backoff is over, and again; the last reason and the count reach the code (invariants 43, 44).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM poll();
SELECT aion.heartbeat_activity(token(), '{"line": 7}');
SELECT aion.fail_activity(token(), 'bank is closed', details => '{"until": "monday"}');
SELECT * FROM task;
SELECT * FROM poll();
SELECT aion_test.advance('10 s');
SELECT * FROM poll();
SELECT aion.fail_activity(token(), 'bank is still closed', retry_after => '1 hour');
SELECT aion_test.advance('59 min');
SELECT * FROM poll();
SELECT aion_test.advance('1 min');
SELECT * FROM poll();
SELECT aion.fail_activity(token(), 'bank is gone', kind => 'gone');
SELECT aion_test.run_until_idle();
SELECT * FROM outcome;
SELECT aion_test.replay('w');
ROLLBACK;

-- Not tried again: because the worker says so, and because the policy does (invariant 44).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', workflow_id => 'a');
SELECT aion_test.run_until_idle();
SELECT * FROM poll();
SELECT aion.fail_activity(token(), 'no', retryable => false);
SELECT aion.start_workflow('ask', workflow_id => 'b');
SELECT aion_test.run_until_idle();
SELECT * FROM poll();
SELECT aion.fail_activity(token(), 'declined', kind => 'card declined');
SELECT aion_test.run_until_idle();
SELECT workflow_id, outcome #>> '{failed,message}', outcome -> 'sqlstate' FROM outcome ORDER BY 1;
ROLLBACK;

-- A worker that is gone: no heartbeat, or too long; heartbeats hold a task, but not for ever. The token of before is void (invariants 43, 47).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM poll();
SELECT aion_test.advance('21 s');
SELECT * FROM task;
SAVEPOINT s; SELECT aion.complete_activity(token()); ROLLBACK TO s;
SELECT aion_test.advance('10 s');
SELECT * FROM poll();
SAVEPOINT s; SELECT aion.complete_activity(token(1)); ROLLBACK TO s;
SELECT aion_test.advance('15 s'); SELECT aion.heartbeat_activity(token());
SELECT aion_test.advance('15 s'); SELECT aion.heartbeat_activity(token());
SELECT aion_test.advance('15 s'); SELECT aion.heartbeat_activity(token());
SELECT * FROM task;
SELECT aion_test.advance('16 s');
SELECT * FROM task;
SELECT aion_test.advance('1 min');
SELECT * FROM poll();
SELECT aion_test.advance('1 min');
SELECT * FROM outcome;
SELECT * FROM task;
SELECT aion_test.replay('w');
ROLLBACK;

-- A cancel request and the last timeout of the awaited activity meet in one share: what was recorded first decides, and the run ends. So do two
-- timeouts of a group, of which the first one cancels the rest.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', jsonb_build_object('options', jsonb_build_object(o, '1 min')), workflow_id => o) FROM unnest('{schedule_to_start_timeout,schedule_to_close_timeout}'::text[]) o;
SELECT aion.start_workflow('ask', '{"options": {"schedule_to_close_timeout": "1 min"}}', workflow_id => 'late');
CREATE FUNCTION both_late() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.map('charge', '[{}, {}, {}]', '{"schedule_to_close_timeout": "1 min"}') $$;
SELECT aion.register_workflow('both_late', 'both_late()') IS NOT NULL;
SELECT aion.start_workflow('both_late', workflow_id => 'group');
SELECT aion_test.run_until_idle();
SELECT aion.cancel_workflow(w) FROM unnest('{schedule_to_start_timeout,schedule_to_close_timeout}'::text[]) w;
RESET SESSION AUTHORIZATION;
UPDATE aion._timer SET fire_at = aion._clock() WHERE name ~ '^activity:1 ';
UPDATE aion._task SET start_by = least(start_by, aion._clock()), close_by = least(close_by, aion._clock()) WHERE ordinal = 1;
SET SESSION AUTHORIZATION alice; SET search_path = alice;
SELECT aion_test.run_until_idle();
SELECT aion_test.advance('1 min');
SELECT workflow_id, status, blocked, turn_failures, error ->> 'sqlstate' AS sqlstate FROM aion.workflow_run ORDER BY 1;
ROLLBACK;
-- No worker claims it in time, or it takes too long altogether.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"options": {"schedule_to_start_timeout": "1 min"}}', workflow_id => 'a');
SELECT aion.start_workflow('ask', '{"options": {"schedule_to_close_timeout": "70 s", "retry": {"initial_interval": "1 s"}}}', workflow_id => 'b');
SELECT aion_test.run_until_idle();
SELECT aion_test.advance('61 s');
SELECT * FROM poll(most => 5);
SELECT aion_test.advance('10 s');
SELECT workflow_id, outcome #>> '{failed,message}', outcome -> 'sqlstate' FROM outcome ORDER BY 1;
SELECT * FROM task;
ROLLBACK;

-- The queue of the call goes first, then that of the registration, of the start, of the workflow when it was started (invariant 53).
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.register_activity('anywhere', mode => 'external', start_to_close_timeout => '1 min');
CREATE FUNCTION routed() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.await_settled(ARRAY[aion.start_activity('anywhere'), aion.start_activity('charge'),
	aion.start_activity('charge', options => '{"task_queue": "of the call"}')]) $$;
SELECT aion.register_workflow('routed', 'routed()', task_queue => 'of the workflow') IS NOT NULL;
SELECT aion.start_workflow('routed', workflow_id => 'a'), aion.start_workflow('routed', workflow_id => 'b', task_queue => 'of the start');
SELECT aion.register_workflow('routed', 'routed()', task_queue => 'of a later day') IS NOT NULL;
SELECT aion_test.run_until_idle();
SELECT workflow_id, activity, task_queue FROM aion.activity_task ORDER BY workflow_id, ordinal;
ROLLBACK;

-- Options of a call, and bad ones. Priority first, then as they came; the queue of the call, the registration, the run.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', '{"what": "first"}');
SELECT aion.start_workflow('ask', '{"what": "urgent", "options": {"priority": 5}}');
SELECT aion.start_workflow('ask', '{"what": "elsewhere", "options": {"task_queue": "other"}}');
SELECT aion.start_workflow('ask', '{"what": "third"}');
SELECT aion.start_workflow('ask', '{"options": {"colour": "red"}}', workflow_id => 'unknown');
SELECT aion.start_workflow('ask', '{"options": {"retry": {"max_attempts": "many"}}}', workflow_id => 'bad');
SELECT aion_test.run_until_idle();
SELECT input FROM poll(most => 2);
SELECT input FROM poll(most => 2);
SELECT input FROM poll('other');
SELECT workflow_id, outcome ->> 'sqlstate', outcome ->> 'message', outcome ->> 'hint' AS hint FROM outcome WHERE workflow_id IN ('unknown', 'bad') ORDER BY 1;
ROLLBACK;

-- What is no longer wanted: cancelled by the code, before and after it was claimed; by the end of the run.
CREATE FUNCTION fickle(first text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	h aion.handle := aion.start_activity('charge');
	state text;
BEGIN
	PERFORM aion.sleep('1 s');
	state := aion.cancel(h);
	PERFORM aion.sleep('1 hour');
	RETURN to_jsonb(state);
END $$;
SELECT aion.register_workflow('fickle', 'fickle(text)') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fickle', '{"first": "cancel"}', workflow_id => 'w');
SELECT aion_test.advance('2 s');
SELECT * FROM task;
SELECT * FROM poll();
ROLLBACK;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('fickle', '{"first": "claim"}', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM poll();
SELECT aion_test.advance('2 s');
SELECT * FROM task;
SELECT aion.heartbeat_activity(token());
SAVEPOINT s; SELECT aion.complete_activity(token()); ROLLBACK TO s;
SELECT aion_test.advance('1 hour');
SELECT * FROM outcome;
SELECT * FROM task;
ROLLBACK;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', workflow_id => 'waiting'); SELECT aion.start_workflow('ask', workflow_id => 'claimed');
SELECT aion_test.run_until_idle();
SELECT count(*) FROM poll();
SELECT aion.terminate_workflow('waiting'), aion.terminate_workflow('claimed');
SELECT * FROM task;
SELECT aion.heartbeat_activity(token());
SAVEPOINT s; SELECT aion.complete_activity(token()); ROLLBACK TO s;
SELECT aion_test.advance('1 hour');
SELECT * FROM task;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM aion._timer;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Cancelled while a worker has it, and the run ends at once: its worker is told, and watched until his time is up.
CREATE FUNCTION hasty() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	h aion.handle := aion.start_activity('charge');
BEGIN
	PERFORM aion.start_timer('t', '1 day'), aion.start_activity('charge');
	PERFORM aion.sleep('1 s');
	RETURN to_jsonb(aion.cancel(h));
END $$;
SELECT aion.register_workflow('hasty', 'hasty()') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('hasty', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT count(*) FROM poll();
SELECT aion_test.advance('2 s');
SELECT workflow_id, status FROM outcome;
SELECT workflow_id, state, attempt FROM task ORDER BY state;
SELECT aion.heartbeat_activity(token());
SAVEPOINT s; RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK TO s;
SELECT aion_test.advance('2 min');
SELECT * FROM task;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM aion._timer;
ROLLBACK;

-- Roles that may claim: the owner of the run, and those that were granted the queue. T78 in part.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('ask', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SET SESSION AUTHORIZATION bob;
SELECT count(*) FROM aion.poll_activities('{bank}', 'b');
SELECT count(*) FROM aion.activity_task;
SAVEPOINT s; SELECT aion.grant_task_queue('bob', 'bank'); ROLLBACK TO s;
SET SESSION AUTHORIZATION worker;
SELECT count(*) FROM aion.poll_activities('{bank}', 'b');
RESET SESSION AUTHORIZATION;
SELECT aion.grant_task_queue('worker', 'bank');
SELECT aion.pause_task_queue('bank');
SET SESSION AUTHORIZATION worker;
SELECT count(*) FROM aion.poll_activities('{bank}', 'b');
RESET SESSION AUTHORIZATION;
SELECT aion.resume_task_queue('bank');
SET SESSION AUTHORIZATION worker;
SELECT count(*) FROM aion.poll_activities('{other, bank}', 'b', activities => '{refund}');
SELECT activity, attempt FROM aion.poll_activities('{other, bank}', 'b', activities => '{refund, charge}');
SAVEPOINT s; SELECT aion.poll_activities(NULL, 'b'); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.poll_activities('{bank}', NULL); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.poll_activities('{bank}', 'b', 0); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.poll_activities('{bank}', 'b', wait => '-1 s'); ROLLBACK TO s;
ROLLBACK;

-- T91: the worker's own writes and the outcome are one transaction, here one statement.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
CREATE TABLE ledger (what text);
SELECT aion.start_workflow('ask', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT count(*) FROM poll();
SAVEPOINT s;
INSERT INTO ledger VALUES ('rolled back'); SELECT aion.complete_activity(token(), '"rolled back"');
ROLLBACK TO s;
INSERT INTO ledger VALUES ('kept'); SELECT aion.complete_activity(token(), '"kept"');
SELECT aion_test.run_until_idle();
SELECT outcome, (SELECT string_agg(what, ' ') FROM ledger) FROM outcome;
ROLLBACK;

-- Completed before the code waits for it (invariant 48).
CREATE FUNCTION waits_later() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	h aion.handle := aion.start_activity('charge', '{"what": "early"}');
BEGIN
	PERFORM aion.sleep('1 hour');
	RETURN aion.await(h);
END $$;
SELECT aion.register_workflow('waits_later', 'waits_later()') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('waits_later', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT count(*) FROM poll();
SELECT aion.complete_activity(token(), '"early"');
SELECT aion_test.advance('1 hour');
SELECT * FROM outcome;
SELECT event_type, key FROM aion.history('w') WHERE event_type ~ 'Activity|Timer' ORDER BY seq;
SELECT aion_test.replay('w');
ROLLBACK;

-- The first of several is the one recorded first, of those that come together the one asked for first; a late worker is told so and
-- changes nothing (invariants 47, 50).
CREATE FUNCTION first_of() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	f record;
BEGIN
	SELECT * INTO f FROM aion.await_first(ARRAY[aion.start_activity('charge', '1'), aion.start_activity('charge', '2'), aion.start_activity('charge', '3')], true);
	PERFORM aion.sleep('1 hour');
	RETURN to_jsonb(f);
END $$;
SELECT aion.register_workflow('first_of', 'first_of()') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('first_of', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT input FROM poll(most => 3);
SELECT aion.complete_activity(token(), '"third"');
SELECT aion.complete_activity(token(1), '"second"');
SELECT aion_test.run_until_idle();
SAVEPOINT s; SELECT aion.complete_activity(token(2), '"first"'); ROLLBACK TO s;
SELECT aion_test.advance('1 hour');
SELECT * FROM outcome;
SELECT event_type, key FROM aion.history('w') WHERE event_type ~ 'Activity' ORDER BY seq;
SELECT aion_test.replay('w');
ROLLBACK;

-- A failure that is tried again does not settle a group (invariant 54), of all kinds of groups.
CREATE FUNCTION group_of(kind text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	h aion.handle[] := ARRAY[aion.start_activity('charge', '1'), aion.start_activity('charge', '2')];
	f record;
BEGIN
	CASE kind WHEN 'all' THEN RETURN aion.await_all(h);
		WHEN 'settled' THEN RETURN aion.await_settled(h);
		ELSE SELECT * INTO f FROM aion.await_first(h); RETURN to_jsonb(f);
	END CASE;
END $$;
SELECT aion.register_workflow('group_of', 'group_of(text)') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('group_of', jsonb_build_object('kind', kind), workflow_id => kind) FROM unnest('{all,settled,first}'::text[]) kind;
SELECT aion_test.run_until_idle();
SELECT count(aion.fail_activity(task_token, 'not yet')) FROM aion.poll_activities('{bank}', 'w', 6);
SELECT aion_test.run_until_idle();
SELECT workflow_id, status, (SELECT string_agg(event_type, ' ' ORDER BY seq) FROM aion.history(workflow_id) h WHERE event_type ~ 'Activity') FROM outcome ORDER BY 1;
SELECT aion_test.advance('10 s');
SELECT count(aion.complete_activity(task_token, to_jsonb(attempt))) FROM (SELECT * FROM aion.poll_activities('{bank}', 'w', 6) ORDER BY idempotency_key) p;
SELECT aion_test.run_until_idle();
SELECT * FROM outcome ORDER BY 1;
ROLLBACK;

-- An inline activity has no retries yet, and says so.
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.register_activity('refund', 'plain()');
CREATE FUNCTION refunds() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('refund', '{}', '{"retry": {"max_attempts": 2}}') $$;
SELECT aion.register_workflow('refunds', 'refunds()') IS NOT NULL;
SELECT aion.start_workflow('refunds', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT * FROM outcome;
ROLLBACK;

-- A name that is not registered yet blocks the run until it is registered, in whatever mode.
CREATE FUNCTION asks_later() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('later') $$;
SELECT aion.register_workflow('asks_later', 'asks_later()') IS NOT NULL;
BEGIN;
SELECT aion_test.begin() IS NOT NULL;
SELECT aion.start_workflow('asks_later', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT status, blocked FROM aion.workflow_run;
SELECT aion.register_activity('later', mode => 'external', start_to_close_timeout => '1 min');
SELECT aion_test.run_until_idle();
SELECT count(*) FROM poll('default');
SELECT aion.complete_activity(token(), '"at last"');
SELECT aion_test.run_until_idle();
SELECT status, outcome FROM outcome;
-- What tables do not refuse is told.
SELECT aion.start_workflow('asks_later', workflow_id => 'forged');
SELECT aion_test.run_until_idle();
RESET SESSION AUTHORIZATION;
UPDATE aion._task SET state = 'none';
UPDATE aion._run SET blocked = 'none' WHERE workflow_id = 'forged';
INSERT INTO aion._inbox (run_key, sent_at, owner_key, kind, sender) SELECT run_key, now(), owner_key, 'none', 'alice' FROM aion._run WHERE workflow_id = 'forged';
SELECT DISTINCT violation, workflow_id FROM aion.check_integrity() ORDER BY 1;
ROLLBACK;
RESET SESSION AUTHORIZATION;
-- A transaction that completes an activity and drops the extension commits.
SET SESSION AUTHORIZATION alice;
SELECT aion.start_workflow('ask', workflow_id => 'last');
CALL aion.drive();
RESET SESSION AUTHORIZATION;
BEGIN;
SELECT count(aion.complete_activity(task_token)) FROM aion.poll_activities('{bank}', 'w', 1);
DROP EXTENSION aion CASCADE;
COMMIT; DROP SCHEMA alice CASCADE;
DROP ROLE alice; DROP ROLE bob; DROP ROLE worker;
CREATE EXTENSION aion;
