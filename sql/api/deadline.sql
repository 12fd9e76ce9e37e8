/* Deadlines of stretches of workflow code. */

CREATE OR REPLACE FUNCTION aion.begin_timeout(duration interval) RETURNS aion.scope
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_begin_timeout';
COMMENT ON FUNCTION aion.begin_timeout(interval)
	IS 'in workflow code: from here on awaits raise WF026 once the duration is over; holds until an error leaves its EXCEPTION block, or until end_timeout()';

CREATE OR REPLACE FUNCTION aion.end_timeout(scope aion.scope) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_end_timeout';
COMMENT ON FUNCTION aion.end_timeout(aion.scope)
	IS 'in workflow code: ends what begin_timeout() began, and what was begun since; nothing if it has ended';

CREATE OR REPLACE FUNCTION aion.with_timeout(duration interval, handler regprocedure, input jsonb)
	RETURNS jsonb LANGUAGE c AS 'MODULE_PATHNAME', 'aion_with_timeout';
COMMENT ON FUNCTION aion.with_timeout(interval, regprocedure, jsonb)
	IS 'in workflow code: calls a function, whose awaits raise WF026 once the duration is over';
