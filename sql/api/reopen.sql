/* Letting runs that have ended go on. */

CREATE OR REPLACE FUNCTION aion.reopen_workflow(workflow_id text, reason text DEFAULT NULL,
	version text DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_reopen_workflow';
COMMENT ON FUNCTION aion.reopen_workflow(text, text, text)
	IS 'lets a workflow that failed, was cancelled or terminated go on without what it ended on; returns its status';
