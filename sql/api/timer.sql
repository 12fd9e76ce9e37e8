/* Timers of workflow code. */

CREATE OR REPLACE FUNCTION aion.sleep(duration interval) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_sleep';
COMMENT ON FUNCTION aion.sleep(interval) IS 'in workflow code: goes on after a while';

CREATE OR REPLACE FUNCTION aion.sleep_until(until timestamptz) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_sleep_until';
COMMENT ON FUNCTION aion.sleep_until(timestamptz) IS 'in workflow code: goes on at a moment';

CREATE OR REPLACE FUNCTION aion.start_timer(name text, duration interval DEFAULT NULL,
	until timestamptz DEFAULT NULL) RETURNS aion.handle
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_start_timer';
COMMENT ON FUNCTION aion.start_timer(text, interval, timestamptz)
	IS 'in workflow code: starts a named timer and returns a handle that can be awaited';

CREATE OR REPLACE FUNCTION aion.cancel_timer(name text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_cancel_timer';
COMMENT ON FUNCTION aion.cancel_timer(text)
	IS 'in workflow code: cancels a named timer; returns the state it was in: pending, fired, cancelled or unknown';
