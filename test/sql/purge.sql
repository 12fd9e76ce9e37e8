-- Removing old runs: aion.retention, purge_workflows(), what goes with a run and what stays (F22; I11 of the ledger).
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE ROLE purge_ann LOGIN;
CREATE ROLE purge_bob LOGIN;
SELECT aion.grant_usage('purge_ann'), aion.grant_usage('purge_bob');
GRANT CREATE ON SCHEMA public TO purge_ann;
-- The tables that hold anything of some runs, whichever there are.
CREATE FUNCTION remains(keys bigint[]) RETURNS TABLE (name text, count bigint) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	FOR name IN SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'run_key' WHERE c.relkind = 'r' AND c.relnamespace = 'aion'::regnamespace ORDER BY c.relname LOOP
		EXECUTE format('SELECT count(*) FROM aion.%I WHERE run_key = ANY ($1)', name) INTO count USING keys;
		IF count > 0 THEN RETURN NEXT; END IF;
	END LOOP;
END $$;
CREATE FUNCTION sound() RETURNS TABLE (violation text, detail text) LANGUAGE sql SECURITY DEFINER AS 'SELECT violation, detail FROM aion.check_integrity()';
SHOW aion.retention;
SET SESSION AUTHORIZATION purge_ann;
CREATE FUNCTION everything(long interval DEFAULT '1 day') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.publish('step', '"begun"');
	PERFORM aion.start_activity('purge slow');
	PERFORM aion.receive('go');
	PERFORM aion.start_timer('never', '10 years');
	PERFORM aion.sleep(long);
	RETURN aion.scheduled_for();
END $$;
SELECT aion.register_activity('purge slow', mode => 'external', start_to_close_timeout => '400 days', schedule_to_close_timeout => '500 days');
SELECT aion.register_workflow('everything', 'everything(interval)') IS NOT NULL AS registered;
CREATE FUNCTION start(id text, long interval DEFAULT '1 day') RETURNS text LANGUAGE sql AS $$
	SELECT aion.start_workflow('everything', jsonb_build_object('long', long), workflow_id => id, timeout => '300 days', memo => '{"a": 1}', search_attributes => '{"b": 2}');
	SELECT aion.signal_workflow(id, 'go', dedup_id => 'one'), aion.signal_workflow(id, 'stay', dedup_id => 'two') IS NOT NULL;
	SELECT aion_test.run_until_idle();
	SELECT id $$;

-- Under virtual time: the setting says how old, no run goes by itself in a test, and of those that go nothing stays.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('old'), start('long', '200 days');
SELECT count(*) FROM aion.poll_activities('{default}', 'worker', 10);
SELECT array_agg(run_key) AS keys, min(run_key) FILTER (WHERE workflow_id = 'old') AS old FROM aion.workflow_run \gset
SELECT aion_test.advance('1 day');
SELECT start('young');
SELECT workflow_id, status FROM aion.workflow_run ORDER BY run_key;
SELECT * FROM remains(ARRAY[:old]);
SELECT * FROM sound();
SELECT aion_test.advance('89 days');
SELECT aion.purge_workflows();
SELECT aion_test.advance('1 day');
SELECT workflow_id, status, closed_at FROM aion.workflow_run ORDER BY run_key;
SAVEPOINT s;
RESET SESSION AUTHORIZATION;
SET LOCAL aion.retention = -1;
SET SESSION AUTHORIZATION purge_ann;
SELECT aion.purge_workflows() AS kept_for_ever;
ROLLBACK TO s;
SELECT aion.purge_workflows(workflow_type => 'other'), aion.purge_workflows(status => '{failed}'), aion.purge_workflows(max_runs => 0);
SELECT aion.purge_workflows();
SELECT * FROM remains(ARRAY[:old]);
SELECT workflow_id, status FROM aion.workflow_run ORDER BY run_key;
SELECT * FROM sound();
-- The name is free again.
SELECT start('old');
SELECT aion_test.advance('400 days');
SELECT aion.purge_workflows();
SELECT * FROM remains(:'keys');
SELECT count(*) FROM aion.workflow_run;
SELECT * FROM sound();
ROLLBACK;

-- A schedule needs nothing of the runs it has started: its ticks stay decided, those that are buffered start, and no tick starts again.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.create_schedule('daily', 'everything', every => '1 day', overlap => 'buffer_one', max_runs => 4, options => '{"timeout": "25 hours"}');
SELECT aion_test.advance('48 hours');
SELECT aion.terminate_workflow('daily/2026-01-02T00:00:00Z'), aion.purge_workflows('0');
SELECT t.nominal_at, t.state, r.status FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) ORDER BY 1;
SELECT aion_test.advance('26 hours');
SELECT t.nominal_at, t.state, r.status FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) ORDER BY 1;
SELECT aion.purge_workflows('0');
SELECT t.nominal_at, t.state, r.status FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) ORDER BY 1;
SELECT aion.backfill_schedule('daily', '2025-12-30', '2026-01-03');
SELECT aion_test.advance('2 days');
SELECT aion.purge_workflows('0');
SELECT t.nominal_at, t.state, r.status FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) ORDER BY 1;
SELECT state, runs, last_started_at FROM aion.schedule;
SELECT aion_test.advance('10 days');
SELECT aion.purge_workflows('0');
SELECT t.nominal_at, t.state, r.status FROM aion.schedule_tick t LEFT JOIN aion.workflow_run r USING (workflow_id) ORDER BY 1;
SELECT * FROM sound();
SELECT count(*) FROM aion.workflow_run;
ROLLBACK;

-- Not by those whose it is not, nor can they say how long it is kept.
SELECT aion.start_workflow('everything', workflow_id => 'hers'), aion.terminate_workflow('hers');
SET aion.retention = 0;
SET SESSION AUTHORIZATION purge_bob;
SELECT aion.purge_workflows('0');
SET SESSION AUTHORIZATION purge_ann;
SELECT workflow_id FROM aion.workflow_run;
SELECT aion.purge_workflows('-1 s');
SELECT aion.purge_workflows(max_runs => -1);
SELECT aion.purge_workflows(status => '{complete}');
SELECT aion.purge_workflows('0');
RESET SESSION AUTHORIZATION;
\set VERBOSITY sqlstate
SET aion.retention = -2;
\set VERBOSITY terse
SET aion.retention = '7d';
SHOW aion.retention;
RESET aion.retention;
SELECT * FROM aion.check_integrity();
SET client_min_messages = warning;
DROP OWNED BY purge_ann, purge_bob CASCADE;
DROP FUNCTION remains, sound;
DROP EXTENSION aion CASCADE;
CREATE EXTENSION aion;
DROP ROLE purge_ann, purge_bob;
