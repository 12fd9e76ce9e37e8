/* Testing workflows inside one transaction that is rolled back. */

CREATE OR REPLACE FUNCTION aion_test.begin(at timestamptz DEFAULT NULL) RETURNS timestamptz
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_begin';
COMMENT ON FUNCTION aion_test.begin(timestamptz)
	IS 'stops the clock of the engine for the rest of this transaction, which cannot commit';

CREATE OR REPLACE FUNCTION aion_test.now() RETURNS timestamptz
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_now';
COMMENT ON FUNCTION aion_test.now() IS 'where the virtual clock stands';

CREATE OR REPLACE FUNCTION aion_test.run_until_idle(max_turns bigint DEFAULT NULL) RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_run_until_idle';
COMMENT ON FUNCTION aion_test.run_until_idle(bigint)
	IS 'executes the runs this transaction has started until all of them wait; returns the number of turns';

CREATE OR REPLACE FUNCTION aion_test.advance(duration interval, max_turns bigint DEFAULT NULL)
	RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_advance';
COMMENT ON FUNCTION aion_test.advance(interval, bigint)
	IS 'lets virtual time pass, and everything that falls due on the way happen; returns the number of turns';

CREATE OR REPLACE FUNCTION aion_test.mock_activity(activity text, result jsonb DEFAULT NULL,
	error jsonb DEFAULT NULL, results jsonb DEFAULT NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_mock_activity';
COMMENT ON FUNCTION aion_test.mock_activity(text, jsonb, jsonb, jsonb)
	IS 'replaces an activity by a stand-in: a result, an error, or an array of {"ok": ...} and {"error": ...} for one call after the other';
