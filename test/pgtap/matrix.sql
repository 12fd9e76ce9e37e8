--
-- Every command against a run in every state: what it answers, what the run is then, and that a refused one leaves the
-- history byte-identical (invariants 6, 7, 8).
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE ROLE matrix_user LOGIN;
SELECT aion.grant_usage('matrix_user', 'admin');
CREATE SCHEMA matrix AUTHORIZATION matrix_user;
SET SESSION AUTHORIZATION matrix_user;
SET search_path = matrix, public;
CREATE FUNCTION code(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CASE what
		WHEN 'completed' THEN RETURN 'done';
		WHEN 'failed' THEN RAISE EXCEPTION 'failed';
		WHEN 'blocked' THEN PERFORM aion.run('no such activity');
		ELSE PERFORM aion.sleep('1 day');
	END CASE;
	RETURN NULL;
END $$;
SELECT aion.register_workflow('code', 'code(text)');
CREATE FUNCTION made(state text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('code', jsonb_build_object('what', state), workflow_id => 'm',
		start_at => CASE state WHEN 'scheduled' THEN aion_test.now() + interval '1 day' END,
		timeout => CASE state WHEN 'timed_out' THEN interval '1 hour' END);
	IF state <> 'ready' THEN PERFORM aion_test.run_until_idle(); END IF;
	IF state = 'cancelled' THEN PERFORM aion.cancel_workflow('m'), aion_test.run_until_idle(); END IF;
	IF state = 'paused' THEN PERFORM aion.pause_workflow('m', 'for a reason'); END IF;
	IF state = 'terminated' THEN PERFORM aion.terminate_workflow('m'); END IF;
	IF state = 'timed_out' THEN PERFORM aion_test.advance('1 hour'); END IF;
END $$;
CREATE FUNCTION outcome(state text, command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text;
	answer text;
	now_is text;
	same boolean;
	run bigint;
BEGIN
	BEGIN
		PERFORM made(state);
		SELECT min(w.run_key) INTO run FROM aion.workflow_run w;
		before := (SELECT string_agg(h::text, ' ' ORDER BY h.seq) FROM aion.history_event h WHERE h.run_key = run);
		BEGIN
			EXECUTE 'SELECT (' || command || ')::text' INTO answer;
		EXCEPTION WHEN OTHERS THEN
			answer := SQLSTATE;
		END;
		SELECT string_agg(w.status, '+' ORDER BY run_key) INTO now_is FROM aion.workflow_run w;
		same := before = (SELECT string_agg(h::text, ' ' ORDER BY h.seq) FROM aion.history_event h WHERE h.run_key = run);
		IF EXISTS (SELECT FROM aion.check_integrity()) THEN answer := answer || ' UNSOUND'; END IF;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN concat_ws(' ', coalesce(answer, 'NULL') || ';', coalesce(now_is, 'gone'), CASE WHEN same THEN '=' ELSE '*' END);
	END;
END $$;
CREATE TABLE expectation (command text, scheduled text, ready text, running text, blocked text, paused text, completed text, failed text, terminated text, timed_out text, cancelled text);
INSERT INTO expectation VALUES
	('aion.cancel_workflow(''m'')', 'cancelled; cancelled *', 'running; running =', 'running; running =', 'blocked; blocked =', 'paused; paused =',
		'completed; completed =', 'failed; failed =', 'terminated; terminated =', 'timed_out; timed_out =', 'cancelled; cancelled ='),
	('aion.terminate_workflow(''m'')', 'terminated; terminated *', 'terminated; terminated *', 'terminated; terminated *', 'terminated; terminated *', 'terminated; terminated *',
		'completed; completed =', 'failed; failed =', 'terminated; terminated =', 'timed_out; timed_out =', 'cancelled; cancelled ='),
	('length(aion.set_workflow_version(''m''))', '16; scheduled =', '16; running =', '16; running =', '16; blocked =', '16; paused =',
		'WF008; completed =', 'WF008; failed =', 'WF008; terminated =', 'WF008; timed_out =', 'WF008; cancelled ='),
	('aion.start_workflow(''code'', ''{"what": "sleep"}'', workflow_id => ''m'')', 'WF002; scheduled =', 'WF002; running =', 'WF002; running =', 'WF002; blocked =', 'WF002; paused =',
		'm; completed+running =', 'm; failed+running =', 'm; terminated+running =', 'm; timed_out+running =', 'm; cancelled+running ='),
	('aion.start_workflow(''code'', ''{"what": "sleep"}'', workflow_id => ''m'', if_running => ''use_existing'', if_closed => ''use_existing'')',
		'm; scheduled =', 'm; running =', 'm; running =', 'm; blocked =', 'm; paused =', 'm; completed =', 'm; failed =', 'm; terminated =', 'm; timed_out =', 'm; cancelled ='),
	('aion.start_workflow(''code'', ''{"what": "sleep"}'', workflow_id => ''m'', if_running => ''terminate_existing'', if_closed => ''allow_failed_only'')',
		'm; terminated+running *', 'm; terminated+running *', 'm; terminated+running *', 'm; terminated+running *', 'm; terminated+running *', 'WF003; completed =', 'm; failed+running =', 'm; terminated+running =', 'm; timed_out+running =', 'm; cancelled+running ='),
	('aion.start_workflow(''code'', ''{"what": "sleep"}'', workflow_id => ''m'', if_running => ''terminate_existing'', if_closed => ''error'')',
		'm; terminated+running *', 'm; terminated+running *', 'm; terminated+running *', 'm; terminated+running *', 'm; terminated+running *', 'WF003; completed =', 'WF003; failed =', 'WF003; terminated =', 'WF003; timed_out =', 'WF003; cancelled ='),
	('aion.start_workflow(''code'', ''{"what": "sleep"}'', workflow_id => ''m'', if_closed => ''error'')',
		'WF002; scheduled =', 'WF002; running =', 'WF002; running =', 'WF002; blocked =', 'WF002; paused =', 'WF003; completed =', 'WF003; failed =', 'WF003; terminated =', 'WF003; timed_out =', 'WF003; cancelled ='),
	('aion.await_workflow(''m'', ''0'')', 'WF011; scheduled =', 'WF011; running =', 'WF011; running =', 'WF011; blocked =', 'WF011; paused =', '"done"; completed =', 'WC001; failed =', 'WC003; terminated =', 'WC004; timed_out =', 'WC002; cancelled ='),
	('aion.purge_workflows(''0'')', '0; scheduled =', '0; running =', '0; running =', '0; blocked =', '0; paused =', '1; gone *', '1; gone *', '1; gone *', '1; gone *', '1; gone *'),
	('left(aion_test.replay(''m''), 2)', 'ok; scheduled =', 'ok; running =', 'ok; running =', 'ok; blocked =', 'ok; paused =', 'ok; completed =', 'ok; failed =', 'ok; terminated =', 'ok; timed_out =', 'ok; cancelled ='),
	('aion.describe_workflow(''m'') ->> ''status''', 'scheduled; scheduled =', 'running; running =', 'running; running =', 'blocked; blocked =', 'paused; paused =', 'completed; completed =', 'failed; failed =', 'terminated; terminated =', 'timed_out; timed_out =', 'cancelled; cancelled ='),
	('(SELECT count(*) > 1 FROM aion.explain(''m''))', 'true; scheduled =', 'true; running =', 'true; running =', 'true; blocked =', 'true; paused =', 'true; completed =', 'true; failed =', 'true; terminated =', 'true; timed_out =', 'true; cancelled ='),
	('aion.pause_workflow(''m'')', 'paused; paused *', 'paused; paused *', 'paused; paused *', 'paused; paused *', 'paused; paused =',
		'completed; completed =', 'failed; failed =', 'terminated; terminated =', 'timed_out; timed_out =', 'cancelled; cancelled ='),
	('aion.resume_workflow(''m'')', 'scheduled; scheduled =', 'running; running =', 'running; running =', 'blocked; blocked =', 'running; running *',
		'completed; completed =', 'failed; failed =', 'terminated; terminated =', 'timed_out; timed_out =', 'cancelled; cancelled ='),
	('(SELECT string_agg(w, '' '') FROM unnest(ARRAY[aion.pause_workflow(''m''), aion.resume_workflow(''m'')]) w)', 'paused scheduled; scheduled *', 'paused running; running *', 'paused running; running *', 'paused blocked; blocked *', 'paused running; running *',
		'completed completed; completed =', 'failed failed; failed =', 'terminated terminated; terminated =', 'timed_out timed_out; timed_out =', 'cancelled cancelled; cancelled ='),
	('aion.reopen_workflow(''m'')', 'WF008; scheduled =', 'WF008; running =', 'WF008; running =', 'WF008; blocked =', 'WF008; paused =',
		'WF008; completed =', 'running; running *', 'running; running *', 'WF008; timed_out =', 'running; running *'),
	('aion.fork_workflow(''m'', 1, ''n'')', 'n; scheduled+scheduled =', 'n; running+running =', 'n; running+running =', 'n; blocked+running =', 'n; paused+running =',
		'n; completed+running =', 'n; failed+running =', 'n; terminated+running =', 'n; timed_out+running =', 'n; cancelled+running ='),
	('aion.fork_workflow(''m'', 1, ''m'')', 'WF002; scheduled =', 'WF002; running =', 'WF002; running =', 'WF002; blocked =', 'WF002; paused =',
		'm; completed+running =', 'm; failed+running =', 'm; terminated+running =', 'm; timed_out+running =', 'm; cancelled+running =');
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT jsonb_agg(jsonb_build_array(state || ': ' || command, outcome(state, command), expected)) AS cases
	FROM (SELECT command, j.key AS state, j.value AS expected FROM expectation e, jsonb_each_text(to_jsonb(e) - 'command') j ORDER BY command, state) x \gset
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT plan(jsonb_array_length(:'cases'::jsonb));
SELECT is(c ->> 1, c ->> 2, c ->> 0) FROM jsonb_array_elements(:'cases'::jsonb) c;
SELECT * FROM finish();
