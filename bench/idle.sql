-- What processes of the engine there are, and whether they have done anything.
SELECT string_agg(pid::text, ' ') || '|' || string_agg(pid || ' ' || state_change, ',' ORDER BY pid) || '|' || count(backend_xmin)
FROM pg_stat_activity WHERE backend_type ~ '^aion';
