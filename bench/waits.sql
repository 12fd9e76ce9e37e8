-- What a wait of a workflow costs after so many earlier commands of its run, which each turn replays: a sleep that is over at
-- once, executed by the engine. The slope is the cost of one replayed command.
-- psql -f bench/waits.sql, as a superuser, on a server of your own that preloads aion; drops what it creates.
\set QUIET 1
\pset footer off
CREATE ROLE bench_user LOGIN;
SELECT aion.grant_usage('bench_user') \g /dev/null
CREATE SCHEMA bench AUTHORIZATION bench_user;
SET SESSION AUTHORIZATION bench_user;
SET search_path = bench;
CREATE FUNCTION nothing(a int, b text) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{"booked": true}'::jsonb $$;
SELECT aion.register_activity('nothing', 'nothing(int,text)') \g /dev/null
CREATE FUNCTION after_sleeps(n int, waits int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n + waits LOOP
		PERFORM aion.sleep('0');
	END LOOP;
END $$;
CREATE FUNCTION after_steps(n int, waits int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	booked jsonb;
BEGIN
	FOR i IN 1..n LOOP
		booked := aion.run('nothing', jsonb_build_object('a', i, 'b', 'text'));
	END LOOP;
	FOR i IN 1..waits LOOP
		PERFORM aion.sleep('0');
	END LOOP;
END $$;
CREATE FUNCTION after_signals(n int, waits int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	message jsonb;
BEGIN
	FOR i IN 1..n LOOP
		message := aion.receive('message');
	END LOOP;
	FOR i IN 1..waits LOOP
		PERFORM aion.sleep('0');
	END LOOP;
END $$;
SELECT aion.register_workflow(w, (w || '(int,int)')::regprocedure) FROM unnest('{after_sleeps,after_steps,after_signals}'::text[]) w \g /dev/null
CREATE TABLE taken (workflow text, earlier int, waits int, seconds float8);
-- The run is timed from the first of its last waits on.
CREATE PROCEDURE measure(workflow text, earlier int, waits int) LANGUAGE plpgsql AS $$
DECLARE
	run jsonb;
BEGIN
	run := to_jsonb(aion.start_workflow(workflow, jsonb_build_object('n', earlier, 'waits', waits), workflow_id => workflow || earlier));
	IF workflow = 'after_signals' THEN
		PERFORM aion.signal_workflow(workflow || earlier, 'message', jsonb_build_object('n', i)) FROM generate_series(1, earlier) i;
	END IF;
	COMMIT;
	WHILE EXISTS (SELECT FROM aion.workflow_run w WHERE w.workflow_id = workflow || earlier AND closed_at IS NULL) LOOP
		COMMIT;
		PERFORM pg_sleep(0.005);
	END LOOP;
	INSERT INTO taken SELECT workflow, earlier, waits, extract(epoch FROM max(e.recorded_at) - min(e.recorded_at))
		FROM aion.history_event e WHERE e.workflow_id = workflow || earlier
			AND (e.event_type = 'WorkflowCompleted' OR e.key ~ '^sleep:' AND e.event_type = 'TimerFired'
				AND substr(e.key, 7)::int >= CASE workflow WHEN 'after_sleeps' THEN earlier ELSE 0 END + 1);
	COMMIT;
END $$;
CALL measure('after_sleeps', 1, 10);
TRUNCATE taken;
CALL measure('after_sleeps', 0, 100);
CALL measure('after_sleeps', 100, 100);
CALL measure('after_sleeps', 1000, 100);
CALL measure('after_sleeps', 3000, 100);
CALL measure('after_steps', 0, 100);
CALL measure('after_steps', 100, 100);
CALL measure('after_steps', 1000, 100);
CALL measure('after_steps', 10000, 100);
CALL measure('after_signals', 0, 100);
CALL measure('after_signals', 100, 100);
CALL measure('after_signals', 1000, 100);
CALL measure('after_signals', 10000, 100);
SELECT replace(t.workflow, 'after_', '') AS "earlier commands", t.earlier AS number, round((1e6 * t.seconds / t.waits)::numeric) AS "µs per wait",
		CASE WHEN t.earlier >= 1000 THEN round((1e6 * (t.seconds / t.waits - z.seconds / z.waits) / t.earlier)::numeric, 2) END AS "µs per earlier command"
	FROM taken t JOIN taken z ON z.workflow = t.workflow AND z.earlier = 0 ORDER BY 1, 2;
SELECT count(*) AS runs_left_open FROM aion.workflow_run WHERE closed_at IS NULL;
RESET SESSION AUTHORIZATION;
SELECT aion.purge_workflows('0') \g /dev/null
SET client_min_messages = warning;
DROP OWNED BY bench_user CASCADE;
DROP SCHEMA IF EXISTS bench CASCADE;
DELETE FROM aion._workflow WHERE name ~ '^after_';
DELETE FROM aion._activity WHERE name = 'nothing';
DROP ROLE bench_user;
