/* New runs from a prefix of a history. */

CREATE OR REPLACE FUNCTION aion.fork_workflow(workflow_id text, seq int,
	new_workflow_id text DEFAULT NULL, version text DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_fork_workflow';
COMMENT ON FUNCTION aion.fork_workflow(text, int, text, text)
	IS 'starts a workflow whose history begins with that of another one up to an event; returns its workflow id';
