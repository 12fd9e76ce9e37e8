/* Pausing runs. */

CREATE OR REPLACE FUNCTION aion.pause_workflow(workflow_id text, reason text DEFAULT NULL)
	RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'aion_pause_workflow';
COMMENT ON FUNCTION aion.pause_workflow(text, text)
	IS 'lets a workflow execute nothing until it is resumed, while what arrives is recorded; returns the status it found or made';

CREATE OR REPLACE FUNCTION aion.resume_workflow(workflow_id text, reason text DEFAULT NULL)
	RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'aion_resume_workflow';
COMMENT ON FUNCTION aion.resume_workflow(text, text)
	IS 'lets a paused workflow go on; returns the status it found or made';
