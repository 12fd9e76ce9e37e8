/* What runs say about themselves, and asking them. */

CREATE OR REPLACE FUNCTION aion.publish(name text, value jsonb) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_publish';
COMMENT ON FUNCTION aion.publish(text, jsonb)
	IS 'in workflow code: what query_workflow() returns from the commit of this turn on, also after the run has ended';

CREATE OR REPLACE FUNCTION aion.on_query(name text, handler regprocedure, state jsonb) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_on_query';
COMMENT ON FUNCTION aion.on_query(text, regprocedure, jsonb)
	IS 'in workflow code: the function that query_workflow() calls, read-only and as the owner of the run, with this state and the arguments of the query';

CREATE OR REPLACE FUNCTION aion.query_workflow(workflow_id text, name text, args jsonb DEFAULT NULL,
	wait interval DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_query_workflow';
COMMENT ON FUNCTION aion.query_workflow(text, text, jsonb, interval)
	IS 'what a workflow answers since its last turn; with wait it waits up to a minute until the name is published';
