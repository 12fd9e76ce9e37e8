/* Registering workflows. */

CREATE OR REPLACE FUNCTION aion.register_workflow(name text, handler regprocedure,
	timeout interval DEFAULT NULL, task_queue text DEFAULT 'default') RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_register_workflow';
COMMENT ON FUNCTION aion.register_workflow(text, regprocedure, interval, text)
	IS 'makes a function a workflow that can be started by name; returns the version of its code';

CREATE OR REPLACE FUNCTION aion.set_workflow_version(workflow_id text, version text DEFAULT NULL)
	RETURNS text LANGUAGE c AS 'MODULE_PATHNAME', 'aion_set_workflow_version';
COMMENT ON FUNCTION aion.set_workflow_version(text, text)
	IS 'moves an open run to another version of its code, by default the one that new starts use';

CREATE OR REPLACE FUNCTION aion.route_workflow(name text, version text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_route_workflow';
COMMENT ON FUNCTION aion.route_workflow(text, text)
	IS 'lets new starts of a workflow use another version of its code; runs keep theirs';

CREATE OR REPLACE FUNCTION aion.unregister_workflow(name text, version text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_unregister_workflow';
COMMENT ON FUNCTION aion.unregister_workflow(text, text)
	IS 'removes a version that neither new starts nor open runs use';
