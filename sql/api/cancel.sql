/* Asking workflows to cancel, and being asked. */

CREATE OR REPLACE FUNCTION aion.cancel_workflow(workflow_id text, reason text DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_cancel_workflow';
COMMENT ON FUNCTION aion.cancel_workflow(text, text)
	IS 'asks a workflow to cancel: its code gets WF028 and may clean up; returns the status it was found in';

CREATE OR REPLACE FUNCTION aion.request_cancel(workflow_id text, reason text DEFAULT NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_request_cancel';
COMMENT ON FUNCTION aion.request_cancel(text, text)
	IS 'in workflow code: asks another workflow to cancel; WF001 if there is none';

CREATE OR REPLACE FUNCTION aion.shield(enabled boolean) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_shield';
COMMENT ON FUNCTION aion.shield(boolean)
	IS 'in workflow code: postpones cancel requests, until shield(false) or an error leaves its EXCEPTION block';

CREATE OR REPLACE FUNCTION aion.cancel_requested() RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_cancel_requested';
COMMENT ON FUNCTION aion.cancel_requested()
	IS 'in workflow code: whether the workflow was asked to cancel before the latest answer that the code has got';
