-- What a step of a workflow costs: an inline activity that does nothing, in one session, by the number of steps of the run;
-- in a plain loop, and in a block with handlers around each step.
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
CREATE FUNCTION handled(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		BEGIN
			PERFORM aion.run('nothing');
		EXCEPTION WHEN SQLSTATE 'WA000' THEN
			RETURN i;
		END;
	END LOOP;
	RETURN n;
END $$;
SELECT aion.register_workflow(w, (w || '(int)')::regprocedure) FROM unnest('{steps,handled}'::text[]) w \g /dev/null
CREATE TABLE taken (workflow text, steps int, runs int, seconds float8);
CREATE PROCEDURE measure(workflow text, steps int, runs int) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
BEGIN
	PERFORM aion.start_workflow(workflow, jsonb_build_object('n', steps)) FROM generate_series(1, runs);
	COMMIT;
	began := clock_timestamp();
	CALL aion.drive();
	INSERT INTO taken VALUES (workflow, steps, runs, extract(epoch FROM clock_timestamp() - began));
	COMMIT;
END $$;
CALL measure('steps', 1, 200);
CALL measure('handled', 1, 200);
TRUNCATE taken;
CALL measure('steps', 10, 300);
CALL measure('handled', 10, 300);
CALL measure('steps', 100, 30);
CALL measure('handled', 100, 30);
CALL measure('steps', 1000, 3);
CALL measure('handled', 1000, 3);
CALL measure('steps', 10000, 1);
CALL measure('handled', 10000, 1);
SELECT steps, round((1e6 * p.seconds / steps / p.runs)::numeric) AS "µs per step", round((1e6 * h.seconds / steps / h.runs)::numeric) AS "in a block with handlers",
		round((h.seconds / p.seconds)::numeric, 2) AS ratio
	FROM taken p JOIN taken h USING (steps) WHERE p.workflow = 'steps' AND h.workflow = 'handled' ORDER BY 1;
SELECT count(*) AS runs_left_open FROM aion.workflow_run WHERE closed_at IS NULL;
RESET SESSION AUTHORIZATION;
SELECT aion.purge_workflows('0') \g /dev/null
SET client_min_messages = warning;
DROP OWNED BY bench_user CASCADE;
DROP SCHEMA IF EXISTS bench CASCADE;
DELETE FROM aion._workflow WHERE name IN ('steps', 'handled');
DELETE FROM aion._activity WHERE name = 'nothing';
DROP ROLE bench_user;
