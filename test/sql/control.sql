--
-- What operators do to runs, and seeing them.
--
CREATE ROLE control_user LOGIN;
CREATE ROLE control_other LOGIN;
CREATE ROLE control_monitor LOGIN;
CREATE ROLE control_admin LOGIN;
SELECT aion.grant_usage('control_user'), aion.grant_usage('control_other'), aion.grant_usage('control_monitor', 'monitor'), aion.grant_usage('control_admin', 'admin');
GRANT CREATE ON SCHEMA public TO control_user;
SET SESSION AUTHORIZATION control_user;
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET timezone = 'UTC';
CREATE FUNCTION waits(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_timer('side', '2 hours');
	PERFORM aion.sleep('1 hour');
	IF input ->> 'fail' IS NOT NULL THEN RAISE EXCEPTION '%', input ->> 'fail'; END IF;
	RETURN input;
END $$;
SELECT aion.register_workflow('waits', 'waits(jsonb)') IS NOT NULL AS registered;

-- terminate_workflow: at once, without a turn; exactly one terminal event (6); what is closed stays as it is (7, 8).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('waits', workflow_id => w) FROM unnest('{running,ready,scheduled,done,blocked}'::text[]) w;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT aion_test.advance('1 hour') > 0 AS ran;
SELECT workflow_id, aion.terminate_workflow(workflow_id, 'too late') FROM aion.workflow_run WHERE workflow_id = 'done';
SELECT aion.start_workflow('waits', workflow_id => w) FROM unnest('{running,ready}'::text[]) w;
SELECT aion_test.run_until_idle(1);
SELECT aion.start_workflow('waits', workflow_id => 'scheduled', start_at => '2027-01-01');
SELECT workflow_id, aion.terminate_workflow(workflow_id, 'not needed') FROM aion.workflow_run WHERE status IN ('running', 'scheduled') ORDER BY 1;
SELECT aion.terminate_workflow('running', 'again');
SELECT aion_test.advance('1 day');
SELECT workflow_id, status, count(h.*) FILTER (WHERE h.event_type = 'WorkflowTerminated') AS terminals, max(h.event_type) FILTER (WHERE h.seq = w.history_events) AS last
	FROM aion.workflow_run w JOIN aion.history_event h USING (run_key, workflow_id) GROUP BY 1, 2, run_key ORDER BY run_key;
SELECT seq, event_type, key, attributes FROM aion.history('running') WHERE seq > 1;
SELECT count(*) FROM aion.timer;
SELECT aion.await_workflow('running');
ROLLBACK;
SELECT aion.terminate_workflow('no such');
SELECT aion.terminate_workflow(NULL);
-- over a query
SELECT count(aion.start_workflow('waits', workflow_id => 'many ' || n)) FROM generate_series(1, 5) n;
SELECT DISTINCT aion.terminate_workflow(workflow_id) FROM aion.workflow_run WHERE workflow_id ~ '^many';
-- An activity cannot end the run it belongs to.
CREATE FUNCTION suicide() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run_sql($q$SELECT aion.terminate_workflow('suicide') AS status$q$) -> 0 ->> 'status';
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN SQLERRM;
END $$;
SELECT aion.register_workflow('suicide', 'suicide()') IS NOT NULL AS registered;
SELECT aion.start_workflow('suicide', workflow_id => 'suicide');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'suicide';
-- ... but any other, in its transaction.
CREATE FUNCTION murder() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_sql($q$SELECT aion.terminate_workflow('victim') AS status$q$) -> 0 ->> 'status'; END $$;
SELECT aion.register_workflow('murder', 'murder()') IS NOT NULL AS registered;
SELECT aion.start_workflow('waits', workflow_id => 'victim'), aion.start_workflow('murder', workflow_id => 'murder');
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id IN ('victim', 'murder') ORDER BY 1;

-- Seeing: the views, describe_workflow, explain.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('waits', '{"a": 1}', workflow_id => 'seen', timeout => '1 day', search_attributes => '{"k": 1}', memo => '"m"');
SELECT aion_test.run_until_idle();
SELECT jsonb_pretty(aion.describe_workflow('seen') - '{run_id,run_key,version}'::text[]);
SELECT workflow_id, awaiting, key, since, until FROM aion.pending_await WHERE workflow_id = 'seen';
SELECT workflow_id, timer, fire_at FROM aion.timer WHERE workflow_id = 'seen' ORDER BY 2;
SELECT workflow_id, workflow_type, status, blocked, owner, input, result, error, parent_workflow_id, started_at, closed_at, search_attributes, memo
	FROM aion.workflow_run WHERE workflow_id = 'seen';
SELECT aion_test.advance('1 hour');
SELECT regexp_replace(line, 'version \w+', 'version ...') FROM aion.explain('seen') line;
SELECT aion.describe_workflow('seen', run_id) ->> 'status' AS status FROM aion.workflow_run WHERE workflow_id = 'seen';
SELECT aion.describe_workflow('seen', '00000000-0000-0000-0000-000000000000');
ROLLBACK;
SELECT aion.describe_workflow('no such');
SELECT aion.history('no such');
SELECT aion.explain('no such');
SELECT aion.await_workflow('no such');

-- T73: what is not yours and what does not exist answer alike. A monitor sees everything but payloads, an administrator controls it.
SELECT aion.start_workflow('waits', '{"secret": 1}', workflow_id => 'private', memo => '"secret"');
CALL aion.drive();
SET SESSION AUTHORIZATION control_other;
SELECT count(*) FROM aion.workflow_run;
SELECT count(*) FROM aion.history_event;
SELECT count(*) FROM aion.timer;
SELECT count(*) FROM aion.pending_await;
SELECT count(*) FROM aion.workflow_version;
SELECT aion.describe_workflow('private');
SELECT aion.history('private');
SELECT aion.explain('private');
SELECT aion.terminate_workflow('private');
SELECT aion.set_workflow_version('private');
SELECT aion.await_workflow('private');
SELECT aion_test.replay('private');
SELECT aion.purge_workflows('0');
CALL aion.drive();
SET SESSION AUTHORIZATION control_monitor;
SELECT workflow_id, status, owner, input, memo FROM aion.workflow_run WHERE workflow_id = 'private';
SELECT seq, event_type, key, attributes FROM aion.history('private');
SELECT count(*) FROM aion.explain('private');
SELECT aion.terminate_workflow('private');
SELECT aion.start_workflow('waits');
SELECT * FROM aion.check_integrity();
SET SESSION AUTHORIZATION control_admin;
SELECT input, memo FROM aion.workflow_run WHERE workflow_id = 'private';
SELECT aion.terminate_workflow('private', 'by order');
SELECT status FROM aion.workflow_run WHERE workflow_id = 'private';

-- purge_workflows: closed runs of those one controls, whole (10 of the ledger's I11).
SET SESSION AUTHORIZATION control_user;
SELECT status, count(*) FROM aion.workflow_run GROUP BY 1 ORDER BY 1;
SELECT aion.purge_workflows('1 hour');
SELECT aion.purge_workflows('0', workflow_type => 'murder');
SELECT aion.purge_workflows('0', status => '{completed}');
SELECT aion.purge_workflows('0', max_runs => 2);
SELECT aion.purge_workflows('0');
SELECT aion.purge_workflows('0');
SELECT aion.purge_workflows(NULL);
SELECT aion.purge_workflows('-1 day');
SELECT status, count(*) FROM aion.workflow_run GROUP BY 1 ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT count(*) FROM aion._attribute a JOIN aion._owner o USING (owner_key) WHERE o.name = 'control_user';
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY control_user, control_other, control_monitor, control_admin CASCADE;
DROP ROLE control_user, control_other, control_monitor, control_admin;
CREATE EXTENSION aion;
