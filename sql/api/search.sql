/* What runs can be searched by, and searching. */

CREATE OR REPLACE FUNCTION aion.upsert_search_attributes(attributes jsonb) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_upsert_search_attributes';
COMMENT ON FUNCTION aion.upsert_search_attributes(jsonb)
	IS 'in workflow code: changes or adds members of what the run can be searched by; json null is a value';

CREATE OR REPLACE FUNCTION aion._search(filter jsonb, workflow_type text, status text[], max_runs bigint) RETURNS bigint[]
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'aion_search';
COMMENT ON FUNCTION aion._search(jsonb, text, text[], bigint) IS 'keys of the runs that find_workflows() finds, the latest first';

CREATE OR REPLACE FUNCTION aion.find_workflows(filter jsonb, workflow_type text DEFAULT NULL, status text[] DEFAULT NULL,
	max_runs bigint DEFAULT NULL) RETURNS SETOF aion.workflow_run
	LANGUAGE sql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
	SELECT w.* FROM aion.workflow_run w
		WHERE w.run_key = ANY ((SELECT aion._search(find_workflows.filter, find_workflows.workflow_type,
			find_workflows.status, find_workflows.max_runs))::bigint[])
		ORDER BY w.run_key DESC
$$;
COMMENT ON FUNCTION aion.find_workflows(jsonb, text, text[], bigint)
	IS 'runs whose search_attributes contain the filter, by an index; the latest first, and no more than max_runs of them';
