--
-- History: append-only, gap-free, written by the engine alone. Numbers in parentheses are the reference's invariants.
--
CREATE ROLE event_user LOGIN;
SELECT aion.grant_usage('event_user');
GRANT CREATE ON SCHEMA public TO event_user;
SET SESSION AUTHORIZATION event_user;
CREATE FUNCTION naps(hours int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run_sql('SELECT 1');
	PERFORM aion.start_timer('t', '1 day');
	PERFORM aion.cancel_timer('t');
	PERFORM aion.sleep(hours * interval '1 hour');
	RETURN 'rested';
END $$;
SELECT aion.register_workflow('naps', 'naps(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('naps', '{"hours": 1}', workflow_id => 'n');
CALL aion.drive();

-- No role may write it (4): not its owner, not by the view, not a superuser, in no session_replication_role.
INSERT INTO aion.history_event (run_id, seq) VALUES (NULL, 1);
UPDATE aion.history_event SET seq = 0;
DELETE FROM aion.history_event;
TRUNCATE aion.history_event;
INSERT INTO aion._event VALUES (1, 1, 1, now(), 'TimerFired');
SELECT count(*) FROM aion._event;
RESET SESSION AUTHORIZATION;
GRANT ALL ON aion._event, aion._run TO event_user; -- T74: even a role that was granted everything meets row security and the guard
SET SESSION AUTHORIZATION event_user;
INSERT INTO aion._event VALUES (1, 1, 1, now(), 'TimerFired');
DELETE FROM aion._event;
UPDATE aion._run SET status = 'completed';
INSERT INTO aion._run (workflow_id, run_id, started_at, owner_key, version_key, head, status) VALUES ('forged', gen_random_uuid(), now(), 1, 1, 1, 'running');
RESET SESSION AUTHORIZATION;
REVOKE ALL ON aion._event, aion._run FROM event_user;
INSERT INTO aion._event VALUES (1, 1, 1, now(), 'TimerFired');
UPDATE aion._event SET key = 'x';
DELETE FROM aion._event;
TRUNCATE aion._event;
MERGE INTO aion._event e USING (SELECT 1 AS x) s ON e.run_key = 0 WHEN NOT MATCHED THEN INSERT VALUES (1, 1, 1, now(), 'TimerFired');
COPY aion._event FROM STDIN;
\.
SET session_replication_role = replica;
INSERT INTO aion._event VALUES (1, 1, 1, now(), 'TimerFired');
DELETE FROM aion._event;
RESET session_replication_role;
INSERT INTO aion.history_event (seq) VALUES (1);
SELECT * FROM aion.check_integrity();

-- Old rows that lack newer attributes decode with defaults (9): what an older release wrote is read here. The guard is put
-- aside as only the owner of the table can.
ALTER TABLE aion._event DISABLE TRIGGER guard;
UPDATE aion._event e SET attributes = attributes - 'cause' FROM aion._run r
	WHERE r.run_key = e.run_key AND r.workflow_id = 'n' AND event_type = 'TimerCancelled';
UPDATE aion._event e SET attributes = attributes - 'started_by' - 'task_queue' FROM aion._run r
	WHERE r.run_key = e.run_key AND r.workflow_id = 'n' AND event_type = 'WorkflowStarted';
ALTER TABLE aion._event ENABLE ALWAYS TRIGGER guard;
SET SESSION AUTHORIZATION event_user;
SELECT seq, event_type, key, attributes - '{fire_at,version}'::text[] AS attributes FROM aion.history('n');
SELECT aion_test.replay('n');
RESET SESSION AUTHORIZATION;

-- What is wrong is found: each thing that must not be, planted by hand (5).
CREATE FUNCTION planted(what text, alone boolean DEFAULT false) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	run bigint := (SELECT run_key FROM aion._run WHERE workflow_id = 'n');
BEGIN
	BEGIN
		ALTER TABLE aion._event DISABLE TRIGGER guard;
		EXECUTE replace(what, '$run', run::text);
		RETURN QUERY SELECT DISTINCT c.violation FROM aion.check_integrity(NULL, CASE WHEN alone THEN run END, CASE WHEN alone THEN run END) c ORDER BY 1;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		NULL;
	END;
END $$;
SELECT w AS planted, array(SELECT planted(w)) AS found,
	array(SELECT planted(w) EXCEPT SELECT planted(w, true)) AS not_found_in_the_run_alone FROM unnest(ARRAY[
	$$DELETE FROM aion._event WHERE run_key = $run AND seq = 3$$,
	$$DELETE FROM aion._event WHERE run_key = $run AND seq = 1$$,
	$$DELETE FROM aion._event WHERE run_key = $run AND seq = (SELECT max(seq) FROM aion._event WHERE run_key = $run)$$,
	$$DELETE FROM aion._run WHERE run_key = $run$$,
	$$UPDATE aion._run SET status = 'completed' WHERE run_key = $run$$,
	$$UPDATE aion._run SET closed_at = now() WHERE run_key = $run$$,
	$$UPDATE aion._run SET closed_at = now(), ready_at = now() WHERE run_key = $run$$,
	$$INSERT INTO aion._event VALUES ($run, 7, 1, now(), 'WorkflowCompleted'), ($run, 8, 1, now(), 'WorkflowFailed'); UPDATE aion._run SET head = 8 WHERE run_key = $run$$,
	$$INSERT INTO aion._event VALUES ($run, 7, 1, now(), 'WorkflowCompleted'), ($run, 8, 1, now(), 'WorkflowUnblocked'); UPDATE aion._run SET head = 8 WHERE run_key = $run$$,
	$$UPDATE aion._event SET recorded_at = recorded_at - interval '1 hour' WHERE run_key = $run AND seq = 4$$,
	$$DELETE FROM aion._timer WHERE run_key = $run$$,
	$$UPDATE aion._timer SET fire_at = fire_at + interval '1 hour' WHERE run_key = $run$$,
	$$INSERT INTO aion._timer VALUES ($run, now(), 1, 1, 'more')$$,
	$$INSERT INTO aion._timer VALUES (0, now(), 1, 1, 'more')$$,
	$$UPDATE aion._run SET retry_at = now() WHERE run_key = $run$$,
	$$INSERT INTO aion._event VALUES ($run, 7, 1, now(), 'TimerFired', 'sleep:1'); UPDATE aion._run SET head = 7 WHERE run_key = $run$$,
	$$INSERT INTO aion._event VALUES ($run, 7, 1, now(), 'TimerFired', 'never'); UPDATE aion._run SET head = 7 WHERE run_key = $run$$,
	$$INSERT INTO aion._event VALUES ($run, 7, 1, now(), 'ActivityCompleted', '1'); UPDATE aion._run SET head = 7 WHERE run_key = $run$$,
	$$INSERT INTO aion._event VALUES ($run, 7, 1, now(), 'ActivityScheduled', '3'); UPDATE aion._run SET head = 7 WHERE run_key = $run$$,
	$$UPDATE aion._run SET version_key = -1 WHERE run_key = $run$$,
	$$INSERT INTO aion._attribute VALUES (0, 1)$$]) w;
SELECT * FROM aion.check_integrity();

-- A history that cannot be read stops its own run and no other (90).
SET SESSION AUTHORIZATION event_user;
SELECT aion.start_workflow('naps', '{"hours": 0}', workflow_id => 'broken');
SELECT aion.start_workflow('naps', '{"hours": 0}', workflow_id => 'whole');
RESET SESSION AUTHORIZATION;
ALTER TABLE aion._event DISABLE TRIGGER guard;
UPDATE aion._event e SET seq = 2 FROM aion._run r WHERE r.run_key = e.run_key AND r.workflow_id = 'broken';
ALTER TABLE aion._event ENABLE ALWAYS TRIGGER guard;
SET SESSION AUTHORIZATION event_user;
CALL aion.drive();
SELECT workflow_id, status, turn_failures FROM aion.workflow_run ORDER BY 1;
RESET SESSION AUTHORIZATION;
ALTER TABLE aion._event DISABLE TRIGGER guard;
UPDATE aion._event e SET seq = 1 FROM aion._run r WHERE r.run_key = e.run_key AND r.workflow_id = 'broken';
ALTER TABLE aion._event ENABLE ALWAYS TRIGGER guard;
SET SESSION AUTHORIZATION event_user;
SELECT pg_sleep(0.2);
CALL aion.drive();
SELECT workflow_id, status, turn_failures FROM aion.workflow_run ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY event_user CASCADE;
DROP ROLE event_user;
CREATE EXTENSION aion;
