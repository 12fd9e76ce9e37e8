-- How late schedules start their runs: from the nominal time of a tick to the commit of the start, in ms: median, p99.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
FROM (SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(e.xmin) - (e.attributes ->> 'scheduled_for')::timestamptz)::float8 AS ms
	FROM aion._event e WHERE e.seq = 1 AND e.attributes ? 'scheduled_for') t;
