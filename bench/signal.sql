-- How long a signal takes to have an effect: from its commit to the commit of the turn it wakes, in ms: median, p99. Each to a run
-- of its own, which has waited for it.
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS sent (what int);
TRUNCATE effect, sent;
SELECT count(*) FROM aion.start_workflows('hears', array_fill('{"n": 1}'::jsonb, ARRAY[520])) \g /dev/null
SELECT pg_sleep(1) \g /dev/null
CALL send_signals();
SELECT pg_sleep(1) \g /dev/null
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
FROM (SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(e.xmin) - pg_xact_commit_timestamp(s.xmin))::float8 AS ms
	FROM sent s JOIN effect e USING (what) WHERE s.what > 20) t;
