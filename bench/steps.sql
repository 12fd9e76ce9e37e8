-- What a step of a workflow costs: an inline activity that does nothing, in one session, by the number of steps of the run.
-- psql -f bench/steps.sql, as a superuser, on a server of your own; drops what it creates.
\set QUIET 1
\pset footer off
CREATE ROLE bench_user LOGIN;
SELECT aion.grant_usage('bench_user') \g /dev/null
CREATE SCHEMA bench AUTHORIZATION bench_user;
SET SESSION AUTHORIZATION bench_user;
SET search_path = bench;
CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_activity('nothing', 'nothing()') \g /dev/null
CREATE FUNCTION steps(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM aion.run('nothing');
	END LOOP;
	RETURN n;
END $$;
SELECT aion.register_workflow('steps', 'steps(int)') \g /dev/null
CREATE TABLE taken (steps int, runs int, seconds float8);
CREATE PROCEDURE measure(steps int, runs int) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
BEGIN
	PERFORM aion.start_workflow('steps', jsonb_build_object('n', steps)) FROM generate_series(1, runs);
	COMMIT;
	began := clock_timestamp();
	CALL aion.drive();
	INSERT INTO taken VALUES (steps, runs, extract(epoch FROM clock_timestamp() - began));
	COMMIT;
END $$;
CALL measure(1, 200);
TRUNCATE taken;
CALL measure(1, 1000);
CALL measure(10, 300);
CALL measure(100, 30);
CALL measure(1000, 3);
SELECT steps, runs, round((1e6 * seconds / steps / runs)::numeric) AS "µs per step", round((runs / seconds)::numeric, 1) AS "runs per second" FROM taken ORDER BY 1;
SELECT count(*) AS runs_left_open FROM aion.workflow_run WHERE closed_at IS NULL;
RESET SESSION AUTHORIZATION;
SELECT aion.purge_workflows('0') \g /dev/null
SET client_min_messages = warning;
DROP OWNED BY bench_user CASCADE;
DROP SCHEMA IF EXISTS bench CASCADE;
DELETE FROM aion._workflow WHERE name = 'steps';
DELETE FROM aion._activity WHERE name = 'nothing';
DROP ROLE bench_user;
