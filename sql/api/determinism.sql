/* What workflow code may know. All are VOLATILE: what they answer changes with every await. */

CREATE OR REPLACE FUNCTION aion.workflow_id() RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_workflow_id';
COMMENT ON FUNCTION aion.workflow_id() IS 'in workflow code: the id of this workflow';

CREATE OR REPLACE FUNCTION aion.run_id() RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_run_id';
COMMENT ON FUNCTION aion.run_id() IS 'in workflow code: the id of this run';

CREATE OR REPLACE FUNCTION aion.now() RETURNS timestamptz
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_now';
COMMENT ON FUNCTION aion.now()
	IS 'in workflow code: when the latest event that it knows was recorded, the same in every replay';

CREATE OR REPLACE FUNCTION aion.random() RETURNS float8
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_random';
COMMENT ON FUNCTION aion.random()
	IS 'in workflow code: a random number from 0 to 1, the same in every replay; it follows from the ids of the run';

CREATE OR REPLACE FUNCTION aion.random_int(low bigint, high bigint) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_random_int';
COMMENT ON FUNCTION aion.random_int(bigint, bigint)
	IS 'in workflow code: a random integer from low to high, the same in every replay';

CREATE OR REPLACE FUNCTION aion.uuid() RETURNS uuid
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_uuid';
COMMENT ON FUNCTION aion.uuid() IS 'in workflow code: a random uuid, the same in every replay; it follows from the ids of the run, so it is no secret';

CREATE OR REPLACE FUNCTION aion.failure() RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_failure';
COMMENT ON FUNCTION aion.failure()
	IS 'in workflow code: what is known about the failure that was raised last';

CREATE OR REPLACE FUNCTION aion.raised() RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_raised';
COMMENT ON FUNCTION aion.raised()
	IS 'in workflow code: the SQLSTATE of the error that was raised last, in every language';

CREATE OR REPLACE FUNCTION aion.value(payload jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	AS $$ SELECT payload OPERATOR(pg_catalog.#>>) '{}'::pg_catalog.text[] $$;
COMMENT ON FUNCTION aion.value(jsonb) IS 'unwraps a scalar for a variable of any type';
