-- How many runs there are by type, version, owner and status: kept by the engine, and the same as counting them.
\set VERBOSITY terse
CREATE ROLE count_ann LOGIN;
CREATE ROLE count_bob LOGIN;
CREATE ROLE count_mon LOGIN;
SELECT aion.grant_usage('count_ann'), aion.grant_usage('count_bob'), aion.grant_usage('count_mon', 'monitor');
GRANT CREATE ON SCHEMA public TO count_ann, count_bob;
-- What is kept differs from what is counted, in the eyes of the current user.
CREATE VIEW differs WITH (security_invoker) AS
	(SELECT workflow_type, version, owner, status, count(*) FROM aion.workflow_run GROUP BY 1, 2, 3, 4 EXCEPT SELECT * FROM aion.workflow_count)
	UNION ALL (SELECT * FROM aion.workflow_count EXCEPT SELECT workflow_type, version, owner, status, count(*) FROM aion.workflow_run GROUP BY 1, 2, 3, 4);
GRANT SELECT ON differs TO PUBLIC;
\set counts 'SELECT workflow_type, status, sum(runs) FROM aion.workflow_count GROUP BY 1, 2 ORDER BY 1, 2; SELECT * FROM differs;'
SET SESSION AUTHORIZATION count_ann;
CREATE FUNCTION counted(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF what = 'wait' THEN PERFORM aion.receive('go'); END IF;
	IF what = 'block' THEN EXECUTE 'SELECT clock_timestamp()'; END IF;
	IF what = 'fail' THEN RAISE EXCEPTION 'as asked'; END IF;
	IF what = 'again' THEN PERFORM aion.continue_as_new(jsonb_build_object('what', 'end')); END IF;
	RETURN what;
END $$;
SELECT aion.register_workflow('counted', 'counted(text)') IS NOT NULL AS registered;
-- Nothing is there, then what was started, then how it ended.
:counts
SELECT count(aion.start_workflow('counted', jsonb_build_object('what', what), what || n)) FROM unnest('{wait,block,fail,end,again}'::text[]) what, generate_series(1, 3) n;
SELECT aion.start_workflow('counted', '{"what": "end"}', 'later', start_at => now() + interval '1 year');
:counts
CALL aion.drive();
:counts
-- What is rolled back does not count, not in part either; what a transaction takes back itself does not.
BEGIN;
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'a');
SAVEPOINT one;
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'b'), aion.terminate_workflow('wait1');
SAVEPOINT two;
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'c');
RELEASE two;
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'd');
ROLLBACK TO one;
SELECT aion.terminate_workflow('a');
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'e');
COMMIT;
BEGIN;
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'f');
ROLLBACK;
:counts
-- Starts that replace a run, find it, or are refused.
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'wait1', if_running => 'terminate_existing') IS NOT NULL AS replaced;
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'wait1', if_running => 'use_existing');
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'wait1');
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'end1', if_closed => 'use_existing');
SELECT aion.start_workflow('counted', '{"what": "wait"}', 'end1', if_closed => 'error');
:counts
-- Pause, resume, cancel, reopen, fork.
SELECT aion.pause_workflow('wait2'), aion.pause_workflow('wait3');
SELECT aion.resume_workflow('wait3');
SELECT aion.reopen_workflow('fail1') IS NOT NULL AS reopened;
SELECT aion.fork_workflow('end2', 1, 'forked') IS NOT NULL AS forked;
SELECT aion.cancel_workflow('later') IS NOT NULL AS cancelled;
:counts
CALL aion.drive();
:counts
-- Another version.
CREATE OR REPLACE FUNCTION counted(what text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 day'); RETURN what; END $$;
SELECT aion.register_workflow('counted', 'counted(text)') IS NOT NULL AS registered;
SELECT aion.set_workflow_version('wait3') IS NOT NULL AS moved;
CALL aion.drive();
SELECT w.routed, w.open_runs, c.status, c.runs FROM aion.workflow_count c JOIN aion.workflow_version w USING (workflow_type, version) ORDER BY 1, 3;
SELECT * FROM differs;
-- Each role sees what it may see: its own, all for a monitor, nothing for others.
SET SESSION AUTHORIZATION count_bob;
CREATE FUNCTION of_bob() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_workflow('of bob', 'of_bob()') IS NOT NULL AS registered;
SELECT count(aion.start_workflow('of bob')) FROM generate_series(1, 5);
:counts
SET SESSION AUTHORIZATION count_mon;
SELECT owner, sum(runs) FROM aion.workflow_count GROUP BY 1 ORDER BY 1;
SELECT * FROM differs;
RESET SESSION AUTHORIZATION;
-- A check in the middle of a transaction, and of a part of it that is rolled back, changes nothing.
BEGIN;
SELECT aion.start_workflow('of bob', '{}', 'one', run_as => 'count_bob');
SAVEPOINT part;
SELECT aion.start_workflow('of bob', '{}', 'two', run_as => 'count_bob');
SELECT * FROM aion.check_integrity();
SELECT aion.start_workflow('of bob', '{}', 'three', run_as => 'count_bob');
SELECT * FROM aion.check_integrity();
ROLLBACK TO part;
SELECT * FROM aion.check_integrity();
SELECT aion.terminate_workflow('one');
COMMIT;
SELECT owner, status, runs FROM aion.workflow_count WHERE owner = 'count_bob' ORDER BY status;
-- However many parts a transaction has, what it notes does not grow with them.
BEGIN;
DO $$ BEGIN
	FOR i IN 1..50 LOOP
		BEGIN
			PERFORM aion.start_workflow('of bob', '{}', 'part ' || i, run_as => 'count_bob');
			IF i % 2 = 0 THEN RAISE division_by_zero; END IF;
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
	END LOOP;
END $$;
SELECT status, runs FROM aion._count_changes();
SELECT * FROM aion.check_integrity();
ROLLBACK;
-- Some runs only.
SELECT * FROM aion.check_integrity('wait1');
SELECT * FROM aion.check_integrity(first_run_key => 1, last_run_key => 5);
SELECT * FROM aion.check_integrity('none');
SELECT * FROM aion.check_integrity('wait1', 1);
-- Removed.
SET SESSION AUTHORIZATION count_ann;
SELECT aion.purge_workflows('0', status => '{failed,continued_as_new}');
:counts
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- What is wrong is reported.
UPDATE aion._run_count SET runs = runs + 1 WHERE ctid = (SELECT ctid FROM aion._run_count LIMIT 1);
SELECT count(*), min(violation) FROM aion.check_integrity();
-- A database that is adopted counts again, also what the transaction itself has started: the counts of a dump may be old.
UPDATE aion._adoption SET system_identifier = 'of another server';
\c -
BEGIN;
SELECT aion.start_workflow('of bob', '{}', 'before', run_as => 'count_bob');
SELECT aion.adopt_database();
SELECT aion.start_workflow('of bob', '{}', 'after', run_as => 'count_bob');
COMMIT;
SELECT * FROM aion.check_integrity();
SELECT aion.terminate_workflow(workflow_id) FROM aion.workflow_run WHERE closed_at IS NULL AND owner ~ '^count_' ORDER BY workflow_id;
SELECT aion.purge_workflows('0');
SELECT * FROM aion.workflow_count;
SELECT * FROM aion.check_integrity();
DROP VIEW differs;
-- What a transaction changes before it drops the extension is not about the new one.
BEGIN;
SELECT aion.start_workflow('of bob', '{}', run_as => 'count_bob') IS NOT NULL AS started;
SET LOCAL client_min_messages = warning;
DROP EXTENSION aion CASCADE;
CREATE EXTENSION aion;
COMMIT;
SELECT * FROM aion.check_integrity();
DROP OWNED BY count_ann, count_bob, count_mon;
DROP ROLE count_ann, count_bob, count_mon;
