/* Waiting for several things, and asking for many. */

CREATE OR REPLACE FUNCTION aion.await(handle aion.handle, timeout interval DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_await';
COMMENT ON FUNCTION aion.await(aion.handle, interval)
	IS 'in workflow code: waits for what a handle stands for; WF013 if that takes too long';

CREATE OR REPLACE FUNCTION aion.await_all(handles aion.handle[]) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_await_all';
COMMENT ON FUNCTION aion.await_all(aion.handle[])
	IS 'in workflow code: waits for all, returns the results in order; raises the failure recorded first and cancels the rest';

CREATE OR REPLACE FUNCTION aion.await_settled(handles aion.handle[]) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_await_settled';
COMMENT ON FUNCTION aion.await_settled(aion.handle[])
	IS 'in workflow code: waits for all, returns for each {"ok": result} or {"error": failure}';

CREATE OR REPLACE FUNCTION aion.await_first(handles aion.handle[], cancel_rest boolean DEFAULT false,
	OUT index int, OUT name text, OUT value jsonb)
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_await_first';
COMMENT ON FUNCTION aion.await_first(aion.handle[], boolean)
	IS 'in workflow code: waits for the outcome recorded first; raises it if it is a failure';

CREATE OR REPLACE FUNCTION aion.cancel(handle aion.handle) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_cancel';
COMMENT ON FUNCTION aion.cancel(aion.handle)
	IS 'in workflow code: cancels what is no longer wanted; returns the state it was in';

CREATE OR REPLACE FUNCTION aion.start_activity(activity text, input jsonb DEFAULT '{}',
	options jsonb DEFAULT NULL) RETURNS aion.handle
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_start_activity';
COMMENT ON FUNCTION aion.start_activity(text, jsonb, jsonb)
	IS 'in workflow code: asks for an activity and returns a handle that can be awaited';

CREATE OR REPLACE FUNCTION aion.map(activity text, inputs jsonb, options jsonb DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_map';
COMMENT ON FUNCTION aion.map(text, jsonb, jsonb)
	IS 'in workflow code: runs an activity for each element of an array and returns the results in order, or raises the failure recorded first';

CREATE OR REPLACE FUNCTION aion.map_settled(activity text, inputs jsonb, options jsonb DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_map_settled';
COMMENT ON FUNCTION aion.map_settled(text, jsonb, jsonb)
	IS 'in workflow code: runs an activity for each element of an array and returns for each {"ok": result} or {"error": failure}';
