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
