--
-- Pausing runs and the engine: nothing is executed, everything is recorded (invariants 71, 75).
--
CREATE ROLE pause_user LOGIN;
CREATE ROLE pause_other LOGIN;
CREATE ROLE pause_admin LOGIN;
SELECT aion.grant_usage('pause_user'), aion.grant_usage('pause_other'), aion.grant_usage('pause_admin', 'admin');
GRANT CREATE ON SCHEMA public TO pause_user;
SET SESSION AUTHORIZATION pause_user;
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
\set sound 'RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity(); SET SESSION AUTHORIZATION pause_user;'
CREATE TABLE effect (what text);
CREATE FUNCTION act(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO effect VALUES (what) RETURNING what $$;
CREATE FUNCTION naps(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_timer('side', '2 hours');
	PERFORM aion.run('act', '{"what": "before"}');
	PERFORM aion.sleep('1 hour');
	PERFORM aion.run('act', '{"what": "after"}');
	RETURN to_jsonb(aion.now());
END $$;
CREATE FUNCTION asks(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('ask'); END $$;
CREATE FUNCTION blocks(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('unknown'); END $$;
SELECT aion.register_activity('act', 'act(text)'), aion.register_activity('ask', mode => 'external', start_to_close_timeout => '1 hour', retry => '{"max_attempts": 3, "initial_interval": "1 s"}');
SELECT count(aion.register_workflow(w, (w || '(jsonb)')::regprocedure)) FROM unnest('{naps,asks,blocks}'::text[]) w;

-- A paused run records what falls due, in order, and executes nothing; resumed it goes on with all of it (invariant 75).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('naps', workflow_id => 'n');
SELECT aion_test.run_until_idle();
SELECT aion.pause_workflow('n', 'not now');
SELECT aion.pause_workflow('n', 'twice changes nothing');
SELECT workflow_id, awaiting, key, since, until FROM aion.pending_await;
SELECT aion_test.advance('3 hours');
SELECT status, history_events FROM aion.workflow_run;
SELECT seq, recorded_at, event_type, key, attributes - 'input' AS attributes FROM aion.history('n') WHERE seq > 3;
SELECT * FROM effect;
SELECT timer FROM aion.timer;
SELECT aion.describe_workflow('n') -> 'paused' AS paused;
:sound
SELECT aion.resume_workflow('n', 'now');
SELECT aion.resume_workflow('n', 'twice changes nothing');
SELECT aion_test.run_until_idle();
SELECT status, result FROM aion.workflow_run;
SELECT * FROM effect;
SELECT aion.pause_workflow('n'), aion.resume_workflow('n');
SELECT regexp_replace(line, 'version \w+', 'version ...') FROM aion.explain('n') line;
SELECT aion_test.replay('n');
:sound
ROLLBACK;

-- A paused run that no session has looked at takes what was due in order, when it is resumed.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('naps', workflow_id => 'n');
SELECT aion.pause_workflow('n', 'before its first turn');
SELECT aion_test.advance('1 day');
SELECT status, history_events FROM aion.workflow_run;
SELECT aion.resume_workflow('n');
SELECT aion_test.advance('3 hours') > 0 AS ran;
SELECT status FROM aion.workflow_run;
SELECT * FROM effect;
ROLLBACK;

-- A scheduled run begins when it is resumed, and not before its time.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT count(aion.start_workflow('naps', workflow_id => w, start_at => '2026-01-02')) FROM unnest('{early,late}'::text[]) w;
SELECT aion.pause_workflow('early'), aion.pause_workflow('late');
SELECT aion.resume_workflow('early');
SELECT aion_test.advance('2 days') > 0 AS ran;
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY 1;
:sound
SELECT aion.resume_workflow('late');
SELECT aion_test.advance('1 day') > 0 AS ran;
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY 1;
:sound
ROLLBACK;

-- A blocked run that is paused keeps the reason, is woken by nothing, and is blocked again when it is resumed, until that is mended.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('blocks', workflow_id => 'b');
SELECT aion_test.run_until_idle();
SELECT status, blocked FROM aion.workflow_run;
SELECT aion.pause_workflow('b', 'while it is mended');
SELECT status, blocked FROM aion.workflow_run;
SELECT aion_test.advance('1 day');
SELECT aion.register_activity('unknown', 'act(text)');
SELECT aion_test.run_until_idle();
SELECT aion.set_workflow_version('b') = version AS moved, status FROM aion.workflow_run;
SELECT aion_test.run_until_idle();
:sound
SELECT aion.resume_workflow('b');
:sound
SELECT aion_test.run_until_idle();
SELECT seq, event_type, attributes - 'detail' #- '{error,context}' AS attributes FROM aion.history('b') WHERE seq > 2;
ROLLBACK;

-- What workers have begun may end and is recorded; nothing is handed out, and no attempt is made again (invariant 75).
SELECT count(aion.start_workflow('asks', workflow_id => w)) FROM unnest('{a,b,c}'::text[]) w;
CALL aion.drive();
CREATE TABLE held AS SELECT * FROM aion.poll_activities('{default}', 'w', max_tasks => 2);
SELECT workflow_id FROM held ORDER BY 1;
SELECT workflow_id, aion.pause_workflow(workflow_id, 'all of them') FROM aion.workflow_run ORDER BY 1;
SELECT count(*) FROM aion.poll_activities('{default}', 'w', max_tasks => 10);
SELECT aion.complete_activity(task_token, '"done"') FROM held WHERE workflow_id = 'a';
SELECT aion.fail_activity(task_token, 'try again', retry_after => '0') FROM held WHERE workflow_id = 'b';
CALL aion.drive();
SELECT count(*) FROM aion.poll_activities('{default}', 'w', max_tasks => 10);
SELECT clock_timestamp() AS before \gset
CALL aion.wait_for_tasks('{default}', '50 ms');
SELECT clock_timestamp() - :'before' >= '50 ms' AS "a worker waits in vain";
SELECT workflow_id, status, max(h.event_type) FILTER (WHERE h.seq = w.history_events) AS last
	FROM aion.workflow_run w JOIN aion.history_event h USING (run_key, workflow_id) GROUP BY 1, 2 ORDER BY 1;
:sound
SELECT workflow_id, aion.resume_workflow(workflow_id) FROM aion.workflow_run WHERE status = 'paused' ORDER BY 1;
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY 1;
SELECT workflow_id, attempt FROM aion.poll_activities('{default}', 'w', max_tasks => 10) ORDER BY 1;

-- It can be ended, and its own timeout ends it; a run without a timeout has no such timer (invariants 71, 74, 75).
SELECT aion.terminate_workflow(workflow_id) FROM aion.workflow_run WHERE closed_at IS NULL;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('naps', workflow_id => 'ended'), aion.start_workflow('naps', workflow_id => 'late', timeout => '30 min');
SELECT aion_test.run_until_idle();
SELECT workflow_id, timer FROM aion.timer ORDER BY 1, 2;
SELECT aion.pause_workflow('ended'), aion.pause_workflow('late');
SELECT aion.terminate_workflow('ended', 'enough');
SELECT aion_test.advance('1 day');
SELECT workflow_id, status FROM aion.workflow_run WHERE workflow_id IN ('ended', 'late') ORDER BY 1;
SELECT count(*) FROM aion.timer;
:sound
ROLLBACK;

-- A request is refused only for a run that does not exist, or belongs to another role; over a query it never fails.
SELECT aion.pause_workflow('no such');
SELECT aion.resume_workflow('no such');
SELECT aion.pause_workflow(NULL);
SELECT DISTINCT aion.pause_workflow(workflow_id), aion.resume_workflow(workflow_id) FROM aion.workflow_run;
SELECT aion.start_workflow('naps', workflow_id => 'mine');
CALL aion.drive();
SET SESSION AUTHORIZATION pause_other;
SELECT aion.pause_workflow('mine');
SELECT aion.resume_workflow('mine');
SET SESSION AUTHORIZATION pause_admin;
SELECT aion.pause_workflow('mine', 'by order');
SELECT attributes FROM aion.history('mine') WHERE event_type = 'WorkflowPaused';
-- C1: with the transaction
SET SESSION AUTHORIZATION pause_user;
BEGIN;
SELECT aion.resume_workflow('mine');
ROLLBACK;
SELECT status FROM aion.workflow_run WHERE workflow_id = 'mine';
-- No session executes a paused run, and an activity cannot pause the run it belongs to.
CALL aion.drive();
SELECT aion.resume_workflow('mine'), aion.terminate_workflow('mine');
CREATE FUNCTION rests() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run_sql($q$SELECT aion.pause_workflow('rests')$q$);
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN SQLERRM;
END $$;
CREATE FUNCTION nods() RETURNS text LANGUAGE plpgsql AS $$ BEGIN /* aion:allow client_call */ RETURN aion.pause_workflow('nods'); END $$;
SELECT count(aion.register_workflow(w, (w || '()')::regprocedure)), count(aion.start_workflow(w, workflow_id => w)) FROM unnest('{rests,nods}'::text[]) w;
CALL aion.drive();
SELECT workflow_id, status, result, error ->> 'message' AS error FROM aion.workflow_run WHERE workflow_id IN ('rests', 'nods') ORDER BY 1;

-- The engine can be paused in a database: what is asked for is recorded, nothing is executed.
SELECT aion.pause_engine();
SET SESSION AUTHORIZATION pause_admin;
SELECT aion.pause_engine();
SELECT aion.pause_engine();
SELECT ok, detail, hint FROM aion.health() WHERE "check" = 'engine';
SELECT fence, paused FROM aion.stat_engine;
SET SESSION AUTHORIZATION pause_user;
SELECT aion.start_workflow('asks', workflow_id => 'recorded');
CALL aion.drive();
SELECT * FROM aion.poll_activities('{default}', 'w');
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS begun;
SELECT aion_test.run_until_idle();
ROLLBACK;
SELECT aion.pause_workflow('recorded'), aion.resume_workflow('recorded');
SELECT aion.resume_engine();
SET SESSION AUTHORIZATION pause_admin;
BEGIN;
SELECT aion.resume_engine();
ROLLBACK;
SELECT paused FROM aion.stat_engine;
SELECT aion.resume_engine();
SELECT aion.resume_engine();
SELECT ok, detail FROM aion.health() WHERE "check" = 'engine';
SET SESSION AUTHORIZATION pause_user;
CALL aion.drive();
SELECT workflow_id FROM aion.poll_activities('{default}', 'w');
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY pause_user, pause_other, pause_admin CASCADE;
DROP ROLE pause_user, pause_other, pause_admin;
CREATE EXTENSION aion;
