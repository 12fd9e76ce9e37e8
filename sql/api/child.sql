/* Workflows that workflow code starts. */

CREATE OR REPLACE FUNCTION aion.start_child(workflow_type text, input jsonb DEFAULT '{}', workflow_id text DEFAULT NULL,
	parent_close text DEFAULT 'abandon', options jsonb DEFAULT NULL) RETURNS aion.handle
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_start_child';
COMMENT ON FUNCTION aion.start_child(text, jsonb, text, text, jsonb)
	IS 'in workflow code: starts another workflow and returns a handle that can be awaited';

CREATE OR REPLACE FUNCTION aion.run_child(workflow_type text, input jsonb DEFAULT '{}', workflow_id text DEFAULT NULL,
	parent_close text DEFAULT 'abandon', options jsonb DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_run_child';
COMMENT ON FUNCTION aion.run_child(text, jsonb, text, text, jsonb)
	IS 'in workflow code: runs another workflow and returns its result, or raises how else it ended: WC001 to WC004';
