/* Histories as they are kept elsewhere, and executing code against them once more. */

CREATE OR REPLACE FUNCTION aion.export_history(workflow_id text, run_id uuid DEFAULT NULL)
	RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
	SELECT jsonb_build_object('format', 1, 'workflow_id', w.workflow_id, 'run_id', w.run_id,
		'workflow_type', w.workflow_type, 'version', w.version, 'status', w.status,
		'events', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('seq', h.seq,
				'recorded_at', h.recorded_at, 'event_type', h.event_type, 'key', h.key))
				|| CASE WHEN h.attributes IS NULL THEN '{}' ELSE jsonb_build_object('attributes', h.attributes) END
				ORDER BY h.seq)
			FROM aion.history_event h WHERE h.run_key = w.run_key))
		FROM aion.workflow_run w
		WHERE w.run_key = aion._find_run(export_history.workflow_id, export_history.run_id)
$$;
COMMENT ON FUNCTION aion.export_history(text, uuid)
	IS 'the history of a run as one value, for aion_test.replay() here or elsewhere';

CREATE OR REPLACE FUNCTION aion_test.replay(workflow_id text, version text DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_replay';
COMMENT ON FUNCTION aion_test.replay(text, text)
	IS 'executes the code that new starts use, or that of a version, against the history of a run, changing nothing; a line of TAP says whether they agree';

CREATE OR REPLACE FUNCTION aion_test.replay(history jsonb, version text DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_test_replay_exported';
COMMENT ON FUNCTION aion_test.replay(jsonb, text)
	IS 'executes the code that new starts use, or that of a version, against a history that aion.export_history() has given';

CREATE OR REPLACE FUNCTION aion_test._assert_replay(line text) RETURNS text
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF line !~ '^ok' THEN
		RAISE EXCEPTION USING ERRCODE = 'WF012', MESSAGE = 'the code does not agree with the history', DETAIL = line;
	END IF;
	RETURN line;
END $$;
COMMENT ON FUNCTION aion_test._assert_replay(text) IS 'raises what aion_test.replay() says unless it is ok';

CREATE OR REPLACE FUNCTION aion_test.assert_replay(workflow_id text, version text DEFAULT NULL) RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT aion_test._assert_replay(aion_test.replay($1, $2)) $$;
COMMENT ON FUNCTION aion_test.assert_replay(text, text)
	IS 'like aion_test.replay(), but raises WF012 where code and history differ';

CREATE OR REPLACE FUNCTION aion_test.assert_replay(history jsonb, version text DEFAULT NULL) RETURNS text
	LANGUAGE sql SET search_path = pg_catalog, pg_temp
	AS $$ SELECT aion_test._assert_replay(aion_test.replay($1, $2)) $$;
COMMENT ON FUNCTION aion_test.assert_replay(jsonb, text)
	IS 'like aion_test.replay() of an exported history, but raises WF012 where code and history differ';

CREATE OR REPLACE FUNCTION aion_test.replay_all(workflow_type text, version text DEFAULT NULL, closed_runs int DEFAULT 100)
	RETURNS TABLE (workflow_id text, run_id uuid, verdict text, seq int, expected text, found text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	run record;
	line text;
	difference jsonb;
	replayed int := 0;
BEGIN
	IF NOT EXISTS (SELECT FROM aion.workflow_version v WHERE v.workflow_type = replay_all.workflow_type) THEN
		RAISE EXCEPTION USING ERRCODE = 'WF004', MESSAGE = format('workflow type "%s" does not exist', workflow_type);
	END IF;
	-- Closed runs of each version and each end in turns, the latest first.
	FOR run IN
		(SELECT w.workflow_id, w.run_id, w.closed_at FROM aion.workflow_run w
			WHERE w.workflow_type = replay_all.workflow_type AND w.owner = current_user AND w.closed_at IS NULL ORDER BY w.run_key)
		UNION ALL
		(SELECT c.workflow_id, c.run_id, c.closed_at FROM (SELECT w.workflow_id, w.run_id, w.closed_at,
				row_number() OVER (PARTITION BY w.version, w.status ORDER BY w.closed_at DESC) AS n
				FROM aion.workflow_run w WHERE w.workflow_type = replay_all.workflow_type AND w.owner = current_user AND w.closed_at IS NOT NULL) c
			ORDER BY c.n, c.closed_at DESC LIMIT greatest(replay_all.closed_runs, 0))
	LOOP
		BEGIN
			-- The id of a closed run may be that of an open one.
			line := CASE WHEN run.closed_at IS NULL THEN aion_test.replay(run.workflow_id, replay_all.version)
				ELSE aion_test.replay(aion.export_history(run.workflow_id, run.run_id), replay_all.version) END;
			verdict := CASE WHEN line ~ '^ok' THEN 'agrees' ELSE 'differs' END;
			line := substring(line FROM E'\n# (.*)$');
			difference := CASE WHEN line ~ '^{' THEN line::jsonb ELSE jsonb_build_object('found', line) END;
		EXCEPTION WHEN OTHERS THEN
			verdict := 'error';
			difference := jsonb_build_object('found', SQLERRM);
		END;
		RETURN QUERY SELECT run.workflow_id, run.run_id, verdict, (difference ->> 'event')::int, difference ->> 'expected', difference ->> 'found';
		replayed := replayed + 1;
		IF replayed % 1000 = 0 THEN
			RAISE NOTICE '% runs have been replayed', replayed;
		END IF;
	END LOOP;
END $$;
COMMENT ON FUNCTION aion_test.replay_all(text, text, int)
	IS 'replays the open runs of a workflow that the current user owns, and as many of its closed ones, of each version and end in turns: agrees, differs (at which event, and how), or error';

CREATE OR REPLACE FUNCTION aion_test.deploy_check(workflow_type text, handler regprocedure, closed_runs int DEFAULT 0)
	RETURNS TABLE (workflow_id text, run_id uuid, verdict text, seq int, expected text, found text)
	LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
	determinism text := pg_catalog.current_setting('aion.determinism');
	outcomes jsonb;
BEGIN
	IF NOT EXISTS (SELECT FROM aion.workflow_version v WHERE v.workflow_type = deploy_check.workflow_type) THEN
		RAISE WARNING 'workflow type "%" is not registered, so there are no runs to compare with', workflow_type;
	END IF;
	RETURN QUERY SELECT NULL::text, NULL::uuid, l.severity, l.line, l.hint, l.message FROM aion.lint(handler) l;
	BEGIN
		-- What aion.lint() has found is no reason not to replay.
		PERFORM pg_catalog.set_config('aion.determinism', 'off', true);
		PERFORM aion.register_workflow(workflow_type, handler);
		PERFORM pg_catalog.set_config('aion.determinism', determinism, true);
		SELECT coalesce(pg_catalog.jsonb_agg(r), '[]') INTO outcomes FROM aion_test.replay_all(workflow_type, NULL, closed_runs) r;
		RAISE EXCEPTION USING ERRCODE = 'WF0DC'; -- no class of errors, which would catch others
	EXCEPTION WHEN SQLSTATE 'WF0DC' THEN
		RETURN QUERY SELECT r.* FROM pg_catalog.jsonb_to_recordset(outcomes)
			AS r (workflow_id text, run_id uuid, verdict text, seq int, expected text, found text);
	END;
END $$;
COMMENT ON FUNCTION aion_test.deploy_check(text, regprocedure, int)
	IS 'what aion.lint() (rows without workflow_id: verdict is the severity, seq the line, expected the hint, found the message) and aion_test.replay_all() say of a function that is not registered yet, with the settings of this session; registers nothing';
