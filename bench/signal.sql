-- How long a signal takes to have an effect: from its commit to the commit of the turn it wakes, in ms: median, p99.
CREATE TABLE IF NOT EXISTS sent (what int);
TRUNCATE effect, sent;
SELECT aion.start_workflow('hears', '{"n": 500}', workflow_id => 'hears') \g /dev/null
CALL send_signals('hears', 500);
CALL aion.wait_workflow('hears');
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
FROM (SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(e.xmin) - pg_xact_commit_timestamp(s.xmin))::float8 AS ms
	FROM sent s JOIN effect e USING (what) WHERE s.what > 20) t;
