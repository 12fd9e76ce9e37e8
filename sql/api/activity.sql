/* Activities. */

CREATE OR REPLACE FUNCTION aion.register_activity(name text, handler regprocedure DEFAULT NULL,
	mode text DEFAULT 'inline', task_queue text DEFAULT 'default', retry jsonb DEFAULT NULL,
	start_to_close_timeout interval DEFAULT NULL, schedule_to_start_timeout interval DEFAULT NULL,
	schedule_to_close_timeout interval DEFAULT NULL, heartbeat_timeout interval DEFAULT NULL,
	on_cancel text DEFAULT 'try') RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_register_activity';
COMMENT ON FUNCTION aion.register_activity(text, regprocedure, text, text, jsonb, interval,
	interval, interval, interval, text)
	IS 'makes a function an activity that workflow code can run by name';

CREATE OR REPLACE FUNCTION aion.unregister_activity(name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_unregister_activity';
COMMENT ON FUNCTION aion.unregister_activity(text)
	IS 'removes a registered activity; runs that ask for it from then on are blocked until it is registered again';

CREATE OR REPLACE VIEW aion.activity WITH (security_barrier) AS
	SELECT a.name, o.name AS owner, a.handler, a.mode, a.task_queue, a.policy - 'task_queue' AS options, a.settings
	FROM aion._activity a JOIN aion._owner o USING (owner_key)
	WHERE a.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.activity IS 'registered activities';
COMMENT ON COLUMN aion.activity.name IS 'name by which workflow code asks for it';
COMMENT ON COLUMN aion.activity.owner IS 'role that registered it';
COMMENT ON COLUMN aion.activity.handler IS 'function that it calls; null if workers execute it';
COMMENT ON COLUMN aion.activity.mode IS 'inline, background or external';
COMMENT ON COLUMN aion.activity.task_queue IS 'task queue from which executors or workers claim it';
COMMENT ON COLUMN aion.activity.options IS 'retry, timeouts and on_cancel, where its registration named them';
COMMENT ON COLUMN aion.activity.settings IS 'settings of the session that registered it, under which its function is executed';

CREATE OR REPLACE FUNCTION aion.run(activity text, input jsonb DEFAULT '{}',
	options jsonb DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_run';
COMMENT ON FUNCTION aion.run(text, jsonb, jsonb)
	IS 'in workflow code: runs an activity and returns its result';

CREATE OR REPLACE FUNCTION aion.run_sql(query text, args jsonb DEFAULT '[]') RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_run_sql';
COMMENT ON FUNCTION aion.run_sql(text, jsonb)
	IS 'in workflow code: executes one statement and returns its rows as an array of objects';

CREATE OR REPLACE FUNCTION aion.activity_info() RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_activity_info';
COMMENT ON FUNCTION aion.activity_info()
	IS 'in an activity: of which workflow it is, which attempt, its idempotency key, deadline and the details of the last heartbeat';

CREATE OR REPLACE FUNCTION aion.heartbeat(details jsonb DEFAULT NULL) RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_heartbeat';
COMMENT ON FUNCTION aion.heartbeat(jsonb)
	IS 'in an activity in the background: sends a heartbeat; true if its workflow no longer wants it';
