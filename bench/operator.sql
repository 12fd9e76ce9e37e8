-- What an operator waits for with a million runs of two owners, in ms: the best of three. They take some minutes to be made.
-- psql -f bench/operator.sql, as a superuser, on a server of your own that preloads aion; drops what it creates.
\set QUIET 1
\set ON_ERROR_STOP on
\pset footer off
SET client_min_messages = warning;
CREATE ROLE bench_user LOGIN;
CREATE ROLE bench_other LOGIN;
SELECT aion.grant_usage('bench_user'), aion.grant_usage('bench_other') \g /dev/null
CREATE SCHEMA bench;
GRANT ALL ON SCHEMA bench TO bench_user, bench_other;
CREATE PROCEDURE bench.fill(prefix text) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..50 LOOP
		PERFORM aion.start_workflow(prefix || 1 + n % 5, jsonb_build_object('n', n), search_attributes => jsonb_build_object('customer', n % 1000)) FROM generate_series(1, 10000) n;
		COMMIT;
	END LOOP;
END $$;
SET SESSION AUTHORIZATION bench_user;
CREATE FUNCTION bench.of_user(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n % 100 = 0 THEN PERFORM aion.receive('signal'); END IF;
	IF n % 50 = 1 THEN RAISE EXCEPTION 'failed'; END IF;
	RETURN n;
END $$;
SELECT aion.register_workflow('bench_user' || i, 'bench.of_user(int)') FROM generate_series(1, 5) i \g /dev/null
CALL bench.fill('bench_user');
SET SESSION AUTHORIZATION bench_other;
CREATE FUNCTION bench.of_other(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n % 100 = 0 THEN PERFORM aion.receive('signal'); END IF;
	IF n % 50 = 1 THEN RAISE EXCEPTION 'failed'; END IF;
	RETURN n;
END $$;
SELECT aion.register_workflow('bench_other' || i, 'bench.of_other(int)') FROM generate_series(1, 5) i \g /dev/null
CALL bench.fill('bench_other');
RESET SESSION AUTHORIZATION;
DO $$ BEGIN WHILE EXISTS (SELECT FROM aion._run WHERE ready_at IS NOT NULL) LOOP COMMIT; PERFORM pg_sleep(0.5); END LOOP; END $$;
VACUUM ANALYZE;
CREATE FUNCTION bench.ms(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	best float8 := 'infinity';
	began timestamptz;
BEGIN
	FOR i IN 1..3 LOOP
		began := clock_timestamp();
		EXECUTE query;
		best := least(best, extract(epoch FROM clock_timestamp() - began));
	END LOOP;
	RETURN round((1000 * best)::numeric, 1);
EXCEPTION WHEN insufficient_privilege THEN
	RETURN NULL; -- for administrators only
END $$;
GRANT EXECUTE ON FUNCTION bench.ms(text) TO PUBLIC;
SELECT max(run_key) / 2 AS middle FROM aion._run \gset
CREATE TABLE bench.query (n serial, what text, query text);
GRANT SELECT ON bench.query TO PUBLIC;
INSERT INTO bench.query (what, query) VALUES
	('latest 50', 'SELECT * FROM aion.find_workflows(max_runs => 50)'),
	('oldest 50', 'SELECT * FROM aion.find_workflows(max_runs => 50, oldest_first => true)'),
	('a page in the middle', 'SELECT * FROM aion.find_workflows(max_runs => 50, after => ' || :middle || ')'),
	('latest 50 that failed', 'SELECT * FROM aion.find_workflows(status => ''{failed}'', max_runs => 50)'),
	('latest 50 that are open', 'SELECT * FROM aion.find_workflows(status => ''{running,blocked}'', max_runs => 50)'),
	('latest 50 of a type', 'SELECT * FROM aion.find_workflows(workflow_type => ''bench_user1'', max_runs => 50)'),
	('latest 50 of an owner', 'SELECT * FROM aion.find_workflows(owner => ''bench_user'', max_runs => 50)'),
	('latest 50 by an attribute that 1 in 1,000 has', 'SELECT * FROM aion.find_workflows(''{"customer": 7}'', max_runs => 50)'),
	('all by an attribute that none has', 'SELECT * FROM aion.find_workflows(''{"customer": -7}'')'),
	('the run of a workflow id', 'SELECT * FROM aion.workflow_run WHERE workflow_id = (SELECT workflow_id FROM aion.find_workflows(max_runs => 1))'),
	('health()', 'SELECT * FROM aion.health()'),
	('pending_await, 50 rows', 'SELECT * FROM aion.pending_await LIMIT 50'),
	('the view, ten that failed', 'SELECT workflow_id FROM aion.workflow_run WHERE status = ''failed'' ORDER BY run_key DESC LIMIT 10'),
	('counts by type and status', 'SELECT workflow_type, status, sum(runs) FROM aion.workflow_count GROUP BY 1, 2'),
	('check_integrity(), one run', 'SELECT * FROM aion.check_integrity((SELECT workflow_id FROM aion.find_workflows(max_runs => 1)))'),
	('the view, counts by type and status', 'SELECT workflow_type, status, count(*) FROM aion.workflow_run GROUP BY 1, 2');
CREATE TABLE bench.taken (n int, superuser numeric, owner numeric);
INSERT INTO bench.taken SELECT n, bench.ms(query) FROM bench.query ORDER BY n;
GRANT ALL ON bench.taken TO bench_user;
SET SESSION AUTHORIZATION bench_user;
UPDATE bench.taken t SET owner = bench.ms(q.query) FROM bench.query q WHERE q.n = t.n;
SELECT what, t.superuser AS "ms, a superuser", t.owner AS "ms, an owner of half of them" FROM bench.query q JOIN bench.taken t USING (n) ORDER BY n;
RESET SESSION AUTHORIZATION;
SELECT count(aion.terminate_workflow(workflow_id)) FROM aion.workflow_run WHERE closed_at IS NULL AND owner ~ '^bench_' \g /dev/null
DO $$ BEGIN WHILE aion.purge_workflows('0') > 0 LOOP COMMIT; END LOOP; END $$;
DROP OWNED BY bench_user, bench_other CASCADE;
DROP SCHEMA IF EXISTS bench CASCADE;
DELETE FROM aion._workflow WHERE name ~ '^bench_';
DROP ROLE bench_user, bench_other;
