/* Runs that go on as new ones. */

CREATE OR REPLACE FUNCTION aion.continue_as_new(input jsonb, workflow_type text DEFAULT NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_continue_as_new';
COMMENT ON FUNCTION aion.continue_as_new(jsonb, text)
	IS 'in workflow code: ends this run and goes on as a new one of the same workflow id; does not return';

CREATE OR REPLACE FUNCTION aion.continue_suggested() RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_continue_suggested';
COMMENT ON FUNCTION aion.continue_suggested()
	IS 'in workflow code: whether the history of this run is so long that it should go on as a new one';
