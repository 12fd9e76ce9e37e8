/* What operators do to runs. */

CREATE OR REPLACE FUNCTION aion.terminate_workflow(workflow_id text, reason text DEFAULT NULL)
	RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'aion_terminate_workflow';
COMMENT ON FUNCTION aion.terminate_workflow(text, text)
	IS 'ends a workflow at once, without a turn of its code; returns the status it found or made';

CREATE OR REPLACE FUNCTION aion.purge_workflows(older_than interval DEFAULT NULL,
	workflow_type text DEFAULT NULL, status text[] DEFAULT NULL, max_runs bigint DEFAULT 10000)
	RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'aion_purge_workflows';
COMMENT ON FUNCTION aion.purge_workflows(interval, text, text[], bigint)
	IS 'removes runs that closed long enough ago, by default as long as aion.retention says, with their histories; returns how many';
