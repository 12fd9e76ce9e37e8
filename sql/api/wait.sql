/* Waiting for the end of a workflow. */

CREATE OR REPLACE FUNCTION aion.await_workflow(workflow_id text, timeout interval DEFAULT NULL)
	RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME', 'aion_await_workflow';
COMMENT ON FUNCTION aion.await_workflow(text, interval)
	IS 'waits for the end of a workflow and returns its result; for short waits, a snapshot is held';

CREATE OR REPLACE PROCEDURE aion.wait_workflow(workflow_id text, INOUT result jsonb DEFAULT NULL,
	timeout interval DEFAULT NULL) LANGUAGE c AS 'MODULE_PATHNAME', 'aion_wait_workflow';
COMMENT ON PROCEDURE aion.wait_workflow(text, jsonb, interval)
	IS 'waits for the end of a workflow without holding a snapshot';

CREATE OR REPLACE PROCEDURE aion.run_workflow(workflow_type text, input jsonb DEFAULT '{}',
	INOUT result jsonb DEFAULT NULL, workflow_id text DEFAULT NULL,
	timeout interval DEFAULT NULL) LANGUAGE c AS 'MODULE_PATHNAME', 'aion_run_workflow';
COMMENT ON PROCEDURE aion.run_workflow(text, jsonb, jsonb, text, interval)
	IS 'starts a workflow, commits, and waits for its result without holding a snapshot';
