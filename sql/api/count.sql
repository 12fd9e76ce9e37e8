/* How many runs there are, without reading them. */

CREATE OR REPLACE FUNCTION aion._count_changes(OUT owner_key int, OUT version_key int, OUT status varchar, OUT runs bigint)
	RETURNS SETOF record LANGUAGE c VOLATILE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aion_count_changes';
COMMENT ON FUNCTION aion._count_changes() IS 'by how many the current transaction has changed the number of runs so far';

CREATE OR REPLACE VIEW aion._count WITH (security_barrier) AS
	SELECT owner_key, version_key, status, sum(runs)::bigint AS runs
	FROM (SELECT * FROM aion._run_count UNION ALL SELECT * FROM aion._count_changes()) c
	GROUP BY owner_key, version_key, status HAVING sum(runs) <> 0;
COMMENT ON VIEW aion._count IS 'how many runs there are';
COMMENT ON COLUMN aion._count.owner_key IS 'key of the role that owns the runs';
COMMENT ON COLUMN aion._count.version_key IS 'key of the version that the runs execute';
COMMENT ON COLUMN aion._count.status IS 'status of the runs';
COMMENT ON COLUMN aion._count.runs IS 'how many runs there are';

CREATE OR REPLACE VIEW aion.workflow_count WITH (security_barrier) AS
	SELECT v.workflow_type, v.version, o.name AS owner, c.status::text AS status, c.runs
	FROM aion._count c
		JOIN aion._version v USING (version_key)
		JOIN aion._owner o ON o.owner_key = c.owner_key
	WHERE c.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.workflow_count IS 'how many runs there are by workflow type, version, owner and status; kept by the engine, so it costs the same with a million runs';
COMMENT ON COLUMN aion.workflow_count.workflow_type IS 'registered name of the workflow that the runs execute';
COMMENT ON COLUMN aion.workflow_count.version IS 'version of the code that the runs execute';
COMMENT ON COLUMN aion.workflow_count.owner IS 'role that the runs belong to';
COMMENT ON COLUMN aion.workflow_count.status IS 'status of the runs, as in aion.workflow_run';
COMMENT ON COLUMN aion.workflow_count.runs IS 'how many runs there are';
