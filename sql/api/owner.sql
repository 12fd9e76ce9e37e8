/* Privileges of roles. Nothing is granted to PUBLIC. */

CREATE OR REPLACE FUNCTION aion._functions_of(level text) RETURNS SETOF oid
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
		WHERE n.nspname IN ('aion', 'aion_test')
			AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
			AND CASE level
				WHEN 'admin' THEN p.proname NOT IN ('grant_usage', 'revoke_usage', '_apply_grant', '_functions_of', '_owner_key')
				WHEN 'user' THEN p.proname NOT IN ('grant_usage', 'revoke_usage', '_apply_grant', '_functions_of', '_owner_key',
					'adopt_database', 'pause_engine', 'resume_engine', 'check_integrity')
				WHEN 'worker' THEN p.proname IN ('poll_activities', 'complete_activity', 'fail_activity', 'heartbeat_activity', 'wait_for_tasks',
					'value')
				WHEN 'start' THEN p.proname IN ('start_workflow', 'start_workflows')
				WHEN 'monitor' THEN p.proname IN ('describe_workflow', 'find_workflows', 'history', 'explain', 'value', '_search',
					'check_integrity', 'health', '_find_run', '_missing_bells', '_queue_pace', '_queue_pollers', '_stat_engine', '_stat_runner', '_executing', '_stat_workers', '_incidents', '_visible_owners', '_abbreviate', '_clock', '_count_changes',
					'_explain_activities', '_explain_await', '_explain_history', '_explain_lock', '_explain_process', '_line', '_narrate', '_narrate_briefly')
				ELSE false END
$$;
COMMENT ON FUNCTION aion._functions_of(text) IS 'the functions that a level of access comprises';

CREATE OR REPLACE FUNCTION aion._owner_key(role name) RETURNS int
	LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'aion_owner_key_of';
COMMENT ON FUNCTION aion._owner_key(name) IS 'the key that stands for a role';

CREATE OR REPLACE FUNCTION aion._apply_grant(role name, level text) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	object record;
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA aion, aion_test TO %I', role);
	EXECUTE format('GRANT USAGE ON TYPE aion.handle, aion.scope, aion.event TO %I', role);
	FOR object IN SELECT f.oid::regprocedure AS name FROM aion._functions_of(level) AS f(oid) LOOP
		EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', object.name, role);
	END LOOP;
	IF level NOT IN ('worker', 'start') THEN
		FOR object IN SELECT c.oid::regclass AS name FROM pg_class c
				WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind = 'v' AND c.relname !~ '^_' LOOP
			EXECUTE format('GRANT SELECT ON %s TO %I', object.name, role);
		END LOOP;
	END IF;
END $$;
COMMENT ON FUNCTION aion._apply_grant(name, text) IS 'makes the grants of a level of access';

CREATE OR REPLACE FUNCTION aion.grant_usage(role name, level text DEFAULT 'user') RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF level IS NULL OR level NOT IN ('user', 'start', 'worker', 'monitor', 'admin') THEN
		RAISE EXCEPTION USING ERRCODE = 'WF014', MESSAGE = format('invalid level: "%s"', level),
			HINT = 'Possible values are: user, start, worker, monitor, admin.';
	END IF;
	IF role IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', role);
	END IF;
	PERFORM aion._apply_grant(role, level);
	INSERT INTO aion._grant VALUES (aion._owner_key(role), level) ON CONFLICT DO NOTHING;
EXCEPTION WHEN internal_error THEN -- as PostgreSQL reports it if another transaction changes privileges of the same objects
	RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'could not change privileges while another transaction does', DETAIL = SQLERRM,
		HINT = 'Try again.';
END $$;
COMMENT ON FUNCTION aion.grant_usage(name, text)
	IS 'lets a role use aion: user (own runs), start (what aion.grant_start() lets it start), worker (external activities), monitor (sees all but payloads) or admin; levels add up, aion.revoke_usage() takes all of them back';

CREATE OR REPLACE FUNCTION aion.revoke_usage(role name) RETURNS void
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF role IS NULL OR NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role) THEN
		RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('role "%s" does not exist', role);
	END IF;
	EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA aion, aion_test FROM %I', role);
	EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA aion FROM %I', role);
	EXECUTE format('REVOKE ALL ON TYPE aion.handle, aion.scope, aion.event FROM %I', role);
	EXECUTE format('REVOKE ALL ON SCHEMA aion, aion_test FROM %I', role);
	DELETE FROM aion._grant g WHERE g.owner_key = aion._owner_key(role);
	DELETE FROM aion._start_grant g WHERE g.grantee_key = aion._owner_key(role);
	DELETE FROM aion._queue_grant g WHERE g.owner_key = aion._owner_key(role);
EXCEPTION WHEN internal_error THEN -- as PostgreSQL reports it if another transaction changes privileges of the same objects
	RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'could not change privileges while another transaction does', DETAIL = SQLERRM,
		HINT = 'Try again.';
END $$;
COMMENT ON FUNCTION aion.revoke_usage(name) IS 'takes back all that aion.grant_usage(), aion.grant_start() and aion.grant_task_queue() have granted to a role';

CREATE OR REPLACE FUNCTION aion.grant_start(role name, workflow_type text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_grant_start';
COMMENT ON FUNCTION aion.grant_start(name, text)
	IS 'lets a role that may use aion start a workflow as the owner of that workflow, in its own transaction, and nothing else';

CREATE OR REPLACE FUNCTION aion.revoke_start(role name, workflow_type text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_revoke_start';
COMMENT ON FUNCTION aion.revoke_start(name, text) IS 'takes back what aion.grant_start() has granted; runs go on';
