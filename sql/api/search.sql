/* What runs can be searched by, and searching. */

CREATE OR REPLACE FUNCTION aion.upsert_search_attributes(attributes jsonb) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_upsert_search_attributes';
COMMENT ON FUNCTION aion.upsert_search_attributes(jsonb)
	IS 'in workflow code: changes or adds members of what the run can be searched by; json null is a value';

CREATE OR REPLACE FUNCTION aion._search(filter jsonb, workflow_type text, status text[], max_runs bigint, owner name,
	oldest_first boolean, after bigint) RETURNS bigint[]
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'aion_search';
COMMENT ON FUNCTION aion._search(jsonb, text, text[], bigint, name, boolean, bigint)
	IS 'keys of the runs that find_workflows() finds';

CREATE OR REPLACE FUNCTION aion.find_workflows(filter jsonb DEFAULT NULL, workflow_type text DEFAULT NULL, status text[] DEFAULT NULL,
	max_runs bigint DEFAULT NULL, owner name DEFAULT NULL, oldest_first boolean DEFAULT false, after bigint DEFAULT NULL)
	RETURNS SETOF aion.workflow_run
	LANGUAGE sql STABLE ROWS 100 SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	SELECT w.* FROM aion.workflow_run w
		WHERE w.run_key = ANY ((SELECT aion._search(find_workflows.filter, find_workflows.workflow_type, find_workflows.status,
			find_workflows.max_runs, find_workflows.owner, find_workflows.oldest_first, find_workflows.after))::bigint[])
		ORDER BY CASE WHEN find_workflows.oldest_first THEN w.run_key END, w.run_key DESC
$$;
COMMENT ON FUNCTION aion.find_workflows(jsonb, text, text[], bigint, name, boolean, bigint)
	IS 'runs, the latest first, fast however many there are: those whose search_attributes contain the filter, of a type, in one of some statuses, of an owner; no more than max_runs of them, after the one with the run_key of the page before';
