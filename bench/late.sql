-- How late timers take effect: from the moment they are due to the commit of the turn they wake, in ms: median, p99.
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY ms)
FROM (SELECT 1000 * extract(epoch FROM pg_xact_commit_timestamp(r.xmin) - (e.attributes ->> 'fire_at')::timestamptz)::float8 AS ms
	FROM aion._run r JOIN aion.history_event e USING (run_key) WHERE e.event_type = 'TimerStarted') t;
