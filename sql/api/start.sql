/* Starting workflows. */

CREATE OR REPLACE FUNCTION aion.start_workflow(workflow_type text, input jsonb DEFAULT '{}',
	workflow_id text DEFAULT NULL, if_running text DEFAULT 'error', if_closed text DEFAULT 'allow',
	start_at timestamptz DEFAULT NULL, timeout interval DEFAULT NULL, task_queue text DEFAULT NULL,
	search_attributes jsonb DEFAULT NULL, memo jsonb DEFAULT NULL, version text DEFAULT NULL,
	run_as name DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_start_workflow';
COMMENT ON FUNCTION aion.start_workflow(text, jsonb, text, text, text, timestamptz, interval, text,
	jsonb, jsonb, text, name)
	IS 'starts a workflow if and when this transaction commits; returns its workflow id';

CREATE OR REPLACE FUNCTION aion.start_workflows(workflow_type text, inputs jsonb[],
	workflow_ids text[] DEFAULT NULL, if_running text DEFAULT 'error',
	if_closed text DEFAULT 'allow', start_at timestamptz DEFAULT NULL,
	timeout interval DEFAULT NULL, task_queue text DEFAULT NULL,
	search_attributes jsonb DEFAULT NULL, memo jsonb DEFAULT NULL, version text DEFAULT NULL,
	run_as name DEFAULT NULL) RETURNS SETOF text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_start_workflows';
COMMENT ON FUNCTION aion.start_workflows(text, jsonb[], text[], text, text, timestamptz, interval,
	text, jsonb, jsonb, text, name)
	IS 'starts many workflows of one type; returns their workflow ids in the order of the inputs';
