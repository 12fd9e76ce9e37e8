--
-- Children: workflows that workflow code starts. Numbers in parentheses are those of the reference's invariants.
--
CREATE ROLE child_user LOGIN;
CREATE ROLE child_other LOGIN;
CREATE ROLE child_boss LOGIN;
GRANT child_user TO child_boss;
SELECT aion.grant_usage('child_user'), aion.grant_usage('child_other'), aion.grant_usage('child_boss');
GRANT CREATE ON SCHEMA public TO child_user, child_other, child_boss;
CREATE FUNCTION child_sound() RETURNS TABLE (violation text, detail text) LANGUAGE sql SECURITY DEFINER AS 'SELECT violation, detail FROM aion.check_integrity()';
SET SESSION AUTHORIZATION child_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

CREATE FUNCTION child_awaits(handle jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.await((handle #>> '{}')::aion.handle); END $$;
-- An interpreter, so that each case is one line: the steps of a workflow as an array.
CREATE FUNCTION child_steps(steps jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
	handles jsonb := '{}';
	said jsonb := '[]';
	answer jsonb;
	given aion.handle[];
	input jsonb;
BEGIN
	FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
		answer := '"ok"';
		given := ARRAY(SELECT handles ->> h FROM jsonb_array_elements_text(step #- '{0}') h);
		input := coalesce(step -> 2, '[]');
		BEGIN
			CASE step ->> 0
				-- ["start", name of the handle, steps of the child, workflow_id, parent_close, options]
				WHEN 'start' THEN handles := jsonb_set(handles, ARRAY[step ->> 1],
					to_jsonb(aion.start_child('child_steps', input, step ->> 3, coalesce(step ->> 4, 'abandon'), nullif(step -> 5, 'null'))::text));
				-- ["run", type, steps of the child, workflow_id, parent_close, options]
				WHEN 'run' THEN answer := coalesce(aion.run_child(coalesce(step ->> 1, 'child_steps'), input, step ->> 3, coalesce(step ->> 4, 'abandon'),
					nullif(step -> 5, 'null')), '"SQL NULL"');
				WHEN 'await' THEN answer := aion.await((handles ->> (step ->> 1))::aion.handle, (step ->> 2)::interval);
				WHEN 'all' THEN answer := aion.await_all(given);
				WHEN 'settled' THEN answer := aion.await_settled(given);
				WHEN 'first' THEN answer := to_jsonb(f) FROM aion.await_first(given) f;
				WHEN 'timer' THEN handles := jsonb_set(handles, ARRAY[step ->> 1], to_jsonb(aion.start_timer(step ->> 1, (step ->> 2)::interval)::text));
				WHEN 'next' THEN handles := jsonb_set(handles, ARRAY[step ->> 1], to_jsonb(aion.next_signal(step ->> 1)::text));
				WHEN 'receive' THEN answer := aion.receive(step ->> 1);
				WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval);
				WHEN 'again' THEN PERFORM aion.continue_as_new(step -> 1);
				WHEN 'say' THEN answer := step -> 1;
				WHEN 'cancel' THEN answer := to_jsonb(aion.cancel((handles ->> (step ->> 1))::aion.handle));
				WHEN 'deadline' THEN answer := aion.with_timeout((step ->> 1)::interval, 'child_awaits(jsonb)', handles -> (step ->> 2));
				WHEN 'nothing' THEN RETURN NULL;
				WHEN 'fail' THEN RAISE EXCEPTION 'told to fail' USING ERRCODE = 'ZZ001', DETAIL = coalesce(step ->> 1, 'none'), HINT = 'Tell it otherwise.';
			END CASE;
		EXCEPTION WHEN OTHERS THEN
			IF step ->> 0 = 'fail' OR step @> '["strictly"]' THEN RAISE; END IF;
			answer := to_jsonb(SQLSTATE || ' ' || SQLERRM);
		END;
		said := said || jsonb_build_array(answer);
	END LOOP;
	RETURN said;
END $$;
SELECT aion.register_workflow('child_steps', 'child_steps(jsonb)') IS NOT NULL AS registered;
CREATE FUNCTION factorial(n int) RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
	IF n = 0 THEN RETURN 1; END IF;
	IF n < 0 THEN RAISE EXCEPTION 'no factorial of %', n; END IF;
	RETURN n * aion.run_child('child_factorial', jsonb_build_object('n', n - CASE WHEN n > 50 THEN 100 ELSE 1 END))::numeric;
END $$;
SELECT aion.register_workflow('child_factorial', 'factorial(int)') IS NOT NULL AS registered;
CREATE FUNCTION go(id text, steps jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT aion.start_workflow('child_steps', steps, workflow_id => id) $$;
-- Goes on by some time, and replays everything (11).
CREATE FUNCTION pass(duration interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion_test.run_until_idle();
	PERFORM aion_test.advance(duration);
	RETURN QUERY SELECT line FROM aion.workflow_run w, aion_test.replay(w.workflow_id) line
		WHERE w.status NOT IN ('scheduled') AND line !~ '^ok' ORDER BY 1;
END $$;
CREATE VIEW events AS SELECT w.workflow_id, h.seq, concat_ws(' ', h.event_type, h.key,
		(coalesce(h.attributes, '{}') - '{run_key,run_id,version,input,id_by_chance,started_by,workflow_type,parents,continues,fire_at,error,detail}'::text[])::text,
		concat_ws(' ', h.attributes #>> '{error,sqlstate}', h.attributes #>> '{error,message}')) AS event
	FROM aion.workflow_run w JOIN aion.history_event h USING (run_key);

BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
-- What it returns is the result; NULL stays NULL. The child is a run with a history of its own, under the id it was given, or one by chance.
SELECT go('plain', '[["run", null, [["say", 7]], "plain child"], ["run", null, [["nothing"]]], ["start", "a", [["sleep", "1 h"]], "slow child"], ["await", "a", "10 min"], ["await", "a"], ["await", "a"]]');
SELECT pass('30 min');
SELECT awaiting, key, since FROM aion.pending_await WHERE workflow_id = 'plain';
SELECT workflow_type, status, parent_workflow_id, awaiting, key FROM aion.workflow_run LEFT JOIN aion.pending_await USING (workflow_id) WHERE parent_workflow_id = 'plain' ORDER BY 2, 4;
SELECT pass('30 min');
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'plain';
SELECT seq, event FROM events WHERE workflow_id = 'plain' ORDER BY 1;
SELECT seq, event FROM events WHERE workflow_id = 'plain child' ORDER BY 1;
-- The parent knows the child's id, run and version; the child its parent.
SELECT h.attributes ->> 'workflow_id' AS child, h.attributes ->> 'run_id' = w.run_id::text AS run, h.attributes ->> 'version' = w.version AS version,
	s.attributes -> 'parents' = jsonb_build_array(jsonb_build_object('child', h.key, 'run_id', h.run_id, 'run_key', h.run_key, 'workflow_id', 'plain')) AS parents
	FROM aion.history_event h JOIN aion.workflow_run w ON w.run_key = (h.attributes ->> 'run_key')::bigint JOIN aion.history_event s ON s.run_key = w.run_key AND s.seq = 1
	WHERE h.workflow_id = 'plain' AND h.event_type = 'ChildWorkflowStarted' AND h.attributes ->> 'workflow_id' ~ 'child' ORDER BY 1;

-- How it ends otherwise is an error of class WC, with the original's words (63); also in a group, and through a chain of runs.
SELECT go('outcomes', '[["start", "f", [["fail", "a detail"]]], ["start", "t", [["sleep", "1 d"]], "to terminate"], ["start", "o", [["sleep", "1 d"]], "late", "abandon", {"timeout": "1 min"}],
	["start", "c", [["again", [["sleep", "1 min"], ["fail"]]]]], ["start", "g", [["say", 1]]], ["await", "f"], ["await", "t"], ["await", "o"], ["await", "c"], ["settled", "g", "f", "t", "o", "c"]]');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.terminate_workflow('to terminate', 'enough');
SELECT pass('2 min');
SELECT jsonb_array_elements(result - 9) FROM aion.workflow_run WHERE workflow_id = 'outcomes';
SELECT e.n, e.value #- '{error,context}' #- '{error,run_id}' #- '{error,workflow_id}' FROM aion.workflow_run, jsonb_array_elements(result -> 9) WITH ORDINALITY e(value, n) WHERE workflow_id = 'outcomes' ORDER BY 1;
-- A failure that the parent does not handle fails the parent, and names its cause.
SELECT go('unhandled', '[["run", null, [["fail", "deep"]], "fails", "abandon", null, "strictly"]]');
SELECT pass('0');
SELECT status, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message, error ->> 'detail' AS detail, error #>> '{cause,sqlstate}' AS cause, error #>> '{cause,workflow_id}' AS workflow_id
	FROM aion.workflow_run WHERE workflow_id = 'unhandled';

-- Several at once, with what else can be waited for.
SELECT go('several', '[["start", "a", [["sleep", "3 min"], ["say", "a"]]], ["start", "b", [["sleep", "1 min"], ["say", "b"]]], ["start", "f", [["sleep", "2 min"], ["fail"]]], ["timer", "t", "90 s"], ["next", "s"],
	["first", "a", "b", "t", "s"], ["first", "a", "t", "s"], ["first", "s", "a"], ["all", "a", "b"], ["all", "a", "f"]]');
SELECT pass('1 h');
SELECT jsonb_path_query(result, '$[5 to last]') FROM aion.workflow_run WHERE workflow_id = 'several';

-- What cannot be started is told at the await, and recorded: it stays when the reason is gone. Identities are by position, whatever comes between (15).
SELECT go('refused', '[["start", "a", [["sleep", "1 min"]], "taken"], ["start", "b", [], "taken"], ["run", null, [], "plain child", "abandon", {"if_closed": "error"}], ["run", "child_factorial", {"n": "many"}],
	["await", "b"], ["await", "a"], ["run", null, [["say", "now"]], "taken"], ["await", "b"], ["settled", "b"], ["receive", "go"], ["run", null, [["say", "last"]], "refused"]]');
SELECT pass('1 min');
SELECT aion.signal_workflow('refused', 'go');
SELECT pass('0');
SELECT jsonb_path_query(result, '$[2 to last]') FROM aion.workflow_run WHERE workflow_id = 'refused';
SELECT seq, event FROM events WHERE workflow_id = 'refused' AND event ~ '^(Child|Command|Signal)' ORDER BY 1;
-- One that runs can be replaced, but not the parent.
SELECT go('replaced', '[["sleep", "1 d"]]'), go('replaces', '[["run", null, [["say", "new"]], "replaced", "abandon", {"if_running": "terminate_existing"}], ["run", null, [], "replaces", "abandon", {"if_running": "terminate_existing"}]]');
SELECT pass('0');
SELECT result FROM aion.workflow_run WHERE workflow_id = 'replaces';
SELECT status, parent_workflow_id FROM aion.workflow_run WHERE workflow_id = 'replaced' ORDER BY run_key;

-- What the options say is the child's.
SELECT go('options', '[["start", "a", [], "with options", "abandon", {"start_at": "2026-02-01 00:00+00", "timeout": "1 h", "task_queue": "q", "search_attributes": {"a": 1}, "memo": {"m": 2}}],
	["start", "b", [], "x", "abandon", {"version": "none such"}]]');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT w.workflow_id, w.status, w.blocked, w.search_attributes, w.memo, h.attributes - '{input,version,parents,started_by,workflow_type}'::text[] AS started
	FROM aion.workflow_run w JOIN aion.history_event h ON h.run_key = w.run_key AND h.seq = 1 WHERE w.workflow_id IN ('with options', 'options') ORDER BY 1;
SELECT attributes FROM aion.history('options') WHERE event_type = 'WorkflowBlocked';
SELECT aion.terminate_workflow('options');
-- What makes no sense is refused in the code.
CREATE FUNCTION nonsense() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	call text;
BEGIN
	FOREACH call IN ARRAY ARRAY['NULL', '''''', '''child_steps'', parent_close => ''kill''', '''child_steps'', parent_close => NULL', '''child_steps'', workflow_id => ''''', '''child_steps'', options => ''[]''',
			'''child_steps'', options => ''{"colour": 1}''', '''child_steps'', options => ''{"if_running": "use_existing"}''', '''child_steps'', options => ''{"if_closed": "use_existing"}''',
			'''child_steps'', options => ''{"timeout": "-1 s"}''', '''child_steps'', options => ''{"start_at": "infinity"}''', '''child_steps'', options => ''{"search_attributes": 1}'''] LOOP
		BEGIN
			EXECUTE format('SELECT aion.start_child(%s)', call);
		EXCEPTION WHEN OTHERS THEN
			RETURN NEXT SQLSTATE || ' ' || SQLERRM;
		END;
	END LOOP;
END $$;
SELECT aion.register_workflow('child_nonsense', 'nonsense()') IS NOT NULL AS registered;
SELECT aion.start_workflow('child_nonsense', workflow_id => 'nonsense');
SELECT pass('0');
SELECT jsonb_array_elements_text(result) FROM aion.workflow_run WHERE workflow_id = 'nonsense';
-- Only a child of this run can be awaited; what else is named is an error at once, not a wait without end (65).
CREATE FUNCTION stranger(handle text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	own text := aion.start_child('child_steps', '[]');
	said text;
BEGIN
	PERFORM aion.await(coalesce(handle, own));
	RETURN 'awaited ' || coalesce(handle, own);
EXCEPTION WHEN OTHERS THEN
	said := SQLSTATE || ' ' || SQLERRM;
	RETURN said;
END $$;
SELECT aion.register_workflow('child_stranger', 'stranger(text)') IS NOT NULL AS registered;
SELECT count(aion.start_workflow('child_stranger', jsonb_build_object('handle', h), workflow_id => 'stranger ' || n))
	FROM unnest(ARRAY[NULL, 'child:2:child_steps', 'child:1:child_factorial', 'child:1', 'plain child', '']) WITH ORDINALITY x(h, n);
SELECT pass('0');
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^stranger' ORDER BY 1;
SAVEPOINT outside;
SELECT aion.start_child('child_steps');
ROLLBACK TO outside;
SELECT aion.run_child('child_steps');
ROLLBACK TO outside;

-- A type that is not known blocks the parent before anything of the child is recorded (62), what it asked for before that is done, and it goes on by itself.
CREATE FUNCTION wants() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	timer aion.handle := aion.start_timer('t', '1 min');
	child aion.handle := aion.start_child('child_later');
BEGIN
	PERFORM aion.start_timer('u', '1 min');
	RETURN aion.await(child) #>> '{}';
END $$;
SELECT aion.register_workflow('child_wants', 'wants()') IS NOT NULL AS registered;
SELECT aion.start_workflow('child_wants', workflow_id => 'wants');
SELECT pass('10 s');
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'wants';
SELECT seq, event FROM events WHERE workflow_id = 'wants' ORDER BY 1;
CREATE FUNCTION later() RETURNS text LANGUAGE sql AS $$ SELECT 'there at last' $$;
SELECT aion.register_workflow('child_later', 'later()') IS NOT NULL AS registered;
SELECT pass('0');
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'wants';
SELECT seq, event FROM events WHERE workflow_id = 'wants' AND event !~ 'Started' ORDER BY 1;
SELECT * FROM child_sound();
ROLLBACK;

-- What becomes of children when their parent ends, however that is.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT go('ends ' || how, jsonb_build_array('["start", "a", [["sleep", "1 h"]]]'::jsonb || to_jsonb('abandoned ' || how), '["start", "t", [["run", null, [["sleep", "2 h"]], null, "terminate"]]]'::jsonb || to_jsonb('doomed ' || how) || '"terminate"',
	'["start", "d", [], null, "terminate"]'::jsonb, step)) FROM (VALUES ('well', '["say", "done"]'::jsonb), ('ill', '["fail"]'), ('killed', '["sleep", "1 d"]')) v(how, step);
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.terminate_workflow('ends killed');
SELECT pass('0');
SELECT w.workflow_id, w.status, h.attributes FROM aion.workflow_run w LEFT JOIN aion.history_event h ON h.run_key = w.run_key AND h.event_type = 'WorkflowTerminated'
	WHERE w.workflow_id ~ '^(ends|abandoned|doomed)' ORDER BY 1;
SELECT status, count(*) FROM aion.workflow_run w WHERE w.parent_workflow_id ~ '^doomed' GROUP BY 1;
-- A child that is paused, scheduled for later, or blocked is terminated as well; and one that goes on as a new run, in its last run.
SELECT go('ends', '[["start", "p", [["sleep", "1 h"]], "paused one", "terminate"], ["start", "s", [], "scheduled one", "terminate", {"start_at": "2026-01-05 00:00+00"}],
	["start", "c", [["again", [["again", [["sleep", "1 h"]]]]]], "renewed one", "terminate"], ["receive", "end"]]');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.pause_workflow('paused one'), aion.signal_workflow('ends', 'end');
SELECT pass('0');
SELECT workflow_id, status FROM aion.workflow_run WHERE workflow_id ~ ' one$' ORDER BY run_key;
-- When children end whose parent has ended, nothing is appended there (66).
SELECT pass('1 h');
SELECT workflow_id, status FROM aion.workflow_run WHERE workflow_id ~ '^abandoned' ORDER BY 1;
SELECT count(*) FROM aion.inbox;
SELECT * FROM child_sound();
ROLLBACK;

-- Cancelling: a child that is no longer wanted, or whose parent has ended or was asked to cancel, is asked; how it ends is up to its code.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT go('cancels', '[["start", "a", [["sleep", "1 h"], ["sleep", "1 min"], ["say", "cleaned up"]]], ["start", "b", [["sleep", "1 h", "strictly"]]], ["start", "f", [["sleep", "5 min"], ["fail"]]], ["start", "q", [["say", "quick"]]],
	["await", "q"], ["cancel", "q"], ["cancel", "b"], ["await", "b"], ["cancel", "b"], ["all", "a", "f"], ["await", "a"]]');
SELECT pass('1 h');
SELECT jsonb_path_query(result, '$[4 to last]') FROM aion.workflow_run WHERE workflow_id = 'cancels';
SELECT event FROM events WHERE workflow_id = 'cancels' AND event ~ 'Cancel|Failed|Completed' ORDER BY seq;
-- The parent is asked: it gets WF028, and what it awaits is asked in turn; a request that comes when it awaits nothing of theirs does not reach them.
SELECT go('asked', '[["start", "a", [["sleep", "1 h", "strictly"]], "awaited"], ["start", "b", [["sleep", "1 h"]], "not awaited"], ["await", "a"], ["await", "a"], ["say", "done"]]');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.cancel_workflow('asked', 'changed my mind');
SELECT pass('0');
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id IN ('asked', 'awaited', 'not awaited') ORDER BY 1;
SELECT seq, event FROM events WHERE workflow_id IN ('asked', 'awaited') AND event ~ 'Cancel|Failed' ORDER BY workflow_id, seq;
-- A deadline around the await leaves the child running (29).
SELECT go('late', '[["start", "a", [["sleep", "1 h"], ["say", "a"]]], ["deadline", "1 min", "a"], ["await", "a"]]');
SELECT pass('2 h');
SELECT result FROM aion.workflow_run WHERE workflow_id = 'late';
-- The end of the parent.
SELECT go('ends', '[["start", "a", [["sleep", "1 h"], ["say", "cleaned up"]], "asked one", "request_cancel"], ["start", "b", [["again", [["sleep", "1 h", "strictly"]]]], "renewed one", "request_cancel"],
	["start", "s", [], "scheduled one", "request_cancel", {"start_at": "2027-01-05 00:00+00"}], ["sleep", "1 min"]]');
SELECT pass('2 min');
SELECT w.workflow_id, w.status, w.result, h.attributes FROM aion.workflow_run w LEFT JOIN aion.history_event h ON h.run_key = w.run_key AND h.event_type = 'WorkflowCancelRequested'
	WHERE w.workflow_id ~ ' one$' ORDER BY w.run_key;
SELECT * FROM child_sound();
ROLLBACK;

-- Three levels, and recursion: the deepest failure arrives at the top.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('child_factorial', '{"n": 10}', workflow_id => 'ten'), aion.start_workflow('child_factorial', '{"n": 51}', workflow_id => 'bad'), go('deep', '[["run", null, [["run", null, [["run", null, [["say", "deep"]]]]]]]]');
SELECT pass('0');
SELECT workflow_id, status, result, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id IN ('ten', 'bad', 'deep') ORDER BY 1;
SELECT count(*), count(*) FILTER (WHERE status = 'completed') AS completed FROM aion.workflow_run WHERE workflow_type = 'child_factorial';

-- A parent that is reopened asks again: what its child has come to meanwhile counts, and what it did not hear while it was closed.
SELECT go('retried', '[["start", "a", [["sleep", "1 h"], ["say", "a"]], "heard late"], ["start", "g", [["sleep", "1 h"], ["say", "g"]], "gone"], ["run", null, [["fail"]], "fails once", "abandon", null, "strictly"], ["await", "a"], ["await", "g"]]');
SELECT pass('0');
SELECT workflow_id, status, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id IN ('retried', 'fails once') ORDER BY 1;
SELECT pass('1 h');
SELECT count(*) AS purged FROM (SELECT aion.purge_workflows('0', status => '{completed}')) x;
SELECT count(*) FROM aion.workflow_run WHERE workflow_id IN ('heard late', 'gone');
-- As its child has failed still, it fails again; the others ended and were purged, which is all that is known.
SELECT aion.reopen_workflow('retried', 'too early');
SELECT pass('0');
SELECT status, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id = 'retried';
SELECT seq, event FROM events WHERE workflow_id = 'retried' ORDER BY 1;
SELECT * FROM child_sound();
ROLLBACK;

BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION moody(steps jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run('child_mood');
END $$;
CREATE FUNCTION mood() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'bad mood'; END $$;
SELECT aion.register_workflow('child_moody', 'moody(jsonb)') IS NOT NULL, aion.register_activity('child_mood', 'mood()') IS NOT NULL;
SELECT go('retried', '[["start", "a", [["sleep", "1 h"], ["say", "a"]], "heard late"], ["run", "child_moody", null, "fails once", "abandon", null, "strictly"], ["await", "a"]]');
SELECT pass('0');
SELECT aion_test.mock_activity('child_mood', '"better"');
SELECT aion.reopen_workflow('fails once'), aion.reopen_workflow('retried');
SELECT pass('0');
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY run_key;
SELECT aion.terminate_workflow('retried');
SELECT pass('1 h');
SELECT aion.reopen_workflow('retried');
SELECT pass('0');
SELECT workflow_id, status, result FROM aion.workflow_run ORDER BY run_key;
SELECT seq, event FROM events WHERE workflow_id = 'retried' ORDER BY 1;
-- A run that is forked shares the children that it had by then, and does not end them; it starts none that the original has started.
SELECT go('original', '[["start", "a", [["sleep", "1 h"], ["say", "a"]], "shared", "terminate"], ["run", null, [["say", "b"]]], ["sleep", "10 min"], ["await", "a"]]');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.fork_workflow('original', 5, 'fork'), aion.fork_workflow('original', 5, 'fork to end'), aion.fork_workflow('shared', 1, 'fork of a child');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion.terminate_workflow('fork to end');
SELECT pass('2 h');
SELECT aion.fork_workflow('original', 5, 'fork after');
SELECT pass('1 h');
SELECT workflow_id, status, result, parent_workflow_id FROM aion.workflow_run WHERE workflow_id ~ 'fork|original|shared' ORDER BY run_key;
SELECT seq, event FROM events WHERE workflow_id = 'shared' ORDER BY 1;
SELECT seq, event FROM events WHERE workflow_id = 'fork' ORDER BY 1;
-- Parents and children are purged one by one.
SELECT aion.purge_workflows('0') > 5 AS purged;
SELECT * FROM child_sound();
ROLLBACK;

-- Rights: names are looked up for the parent's owner, which may let a child belong to a role if it has the privileges of that role.
SET SESSION AUTHORIZATION child_other;
CREATE FUNCTION theirs(steps jsonb) RETURNS text LANGUAGE sql AS $$ SELECT current_user::text $$;
SELECT aion.register_workflow('child_theirs', 'theirs(jsonb)') IS NOT NULL AS registered;
SET SESSION AUTHORIZATION child_boss;
SELECT aion.register_workflow('child_boss_steps', 'child_steps(jsonb)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
ALTER FUNCTION child_steps(jsonb) OWNER TO child_boss;
SET SESSION AUTHORIZATION child_boss;
SELECT aion.register_workflow('child_boss_steps', 'child_steps(jsonb)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION whose(steps jsonb) RETURNS text LANGUAGE sql AS $$ SELECT current_user::text $$;
SELECT aion.register_workflow('child_whose', 'whose(jsonb)') IS NOT NULL AS registered;
SELECT aion.start_workflow('child_boss_steps', steps, workflow_id => id) FROM (VALUES ('own', '[["run", "child_whose", [], "own child"]]'::jsonb),
	('for theirs', '[["run", "child_theirs", []]]'), ('as other', '[["run", "child_whose", [], "c1", "abandon", {"run_as": "child_other"}]]'),
	('as user', '[["run", "child_steps", [], "c2", "abandon", {"run_as": "child_user"}]]'), ('as nobody', '[["run", "child_whose", [], "c3", "abandon", {"run_as": "child_nobody"}]]')) v(id, steps);
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT workflow_id, status, blocked, result, owner FROM aion.workflow_run ORDER BY 1;
SELECT workflow_id, attributes FROM aion.history_event WHERE event_type = 'WorkflowBlocked' ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT * FROM child_sound();
ROLLBACK;

SET SESSION AUTHORIZATION child_user;
-- 11.22: a child of no known type, or with an input that does not fit, is a mistake: told to code that catches it, else the run is blocked until it is mended.
CREATE FUNCTION child_takes(n int) RETURNS int LANGUAGE sql AS 'SELECT n';
SELECT aion.register_workflow('child_takes', 'child_takes(int)') IS NOT NULL AS registered;
CREATE FUNCTION child_mistaken(type text, input jsonb, how text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text;
BEGIN
	IF how = 'catch' THEN
		BEGIN
			RETURN aion.run_child(type, input);
		EXCEPTION WHEN OTHERS THEN
			said := SQLSTATE || ' ' || SQLERRM;
		END;
		RETURN jsonb_build_array(said, aion.run_child('child_takes', '{"n": 1}'), aion.failure() ->> 'kind');
	ELSIF how = 'never await' THEN
		PERFORM aion.start_child(type, input);
		RETURN '"did not look"';
	ELSIF how = 'go on' THEN
		PERFORM aion.start_child(type, input);
		PERFORM aion.sleep('1 h');
	END IF;
	RETURN aion.run_child(type, input);
END $$;
SELECT aion.register_workflow('child_mistaken', 'child_mistaken(text, jsonb, text)') IS NOT NULL AS registered;
CREATE VIEW child_mistakes AS SELECT workflow_id, status, blocked, coalesce(result, error - 'context') AS outcome, left(aion_test.replay(workflow_id), 2) AS replay,
	(SELECT string_agg(event_type || coalesce(' ' || key, ''), ', ' ORDER BY seq) FROM aion.history(w.workflow_id) WHERE event_type <> 'WorkflowStarted') AS events
	FROM aion.workflow_run w WHERE workflow_type = 'child_mistaken';
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS began;
SELECT count(aion.start_workflow('child_mistaken', jsonb_build_object('type', t, 'input', i::jsonb, 'how', how), workflow_id => concat_ws(': ', how, t, i)))
	FROM unnest('{nothing,catch,never await,go on}'::text[]) how, (VALUES ('child_none', '{}'), ('child_takes', '{"m": 1}'), ('child_takes', '{"n": "x"}')) v(t, i);
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT * FROM child_mistakes ORDER BY 1;
CREATE FUNCTION child_takes_all(input jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT input';
SELECT aion.register_workflow('child_none', 'child_takes_all(jsonb)') IS NOT NULL, aion.register_workflow('child_takes', 'child_takes_all(jsonb)') IS NOT NULL;
SELECT aion_test.advance('2 h') > 0 AS went_on;
SELECT workflow_id, status, outcome, replay FROM child_mistakes ORDER BY 1;
ROLLBACK;

-- 11.8 What an activity that failed has left behind in memory is not there for the default of a child's parameter.
CREATE FUNCTION child_fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'it fails'; END $$;
SELECT aion.register_activity('child_fails', 'child_fails()');
CREATE FUNCTION child_asks() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text;
BEGIN
	BEGIN
		PERFORM aion.activity_info();
		RETURN 'an activity';
	EXCEPTION WHEN OTHERS THEN
		said := SQLSTATE;
	END;
	PERFORM aion.heartbeat('1');
	RETURN 'an activity';
EXCEPTION WHEN OTHERS THEN
	RETURN said || ', ' || SQLSTATE;
END $$;
CREATE FUNCTION child_asked(a text DEFAULT child_asks()) RETURNS text LANGUAGE sql AS 'SELECT a';
SELECT aion.register_workflow('child_asked', 'child_asked(text)') IS NOT NULL AS registered;
CREATE FUNCTION child_catches() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM aion.run('child_fails');
	EXCEPTION WHEN SQLSTATE 'WA001' THEN
		RETURN aion.run_child('child_asked');
	END;
END $$;
SELECT aion.register_workflow('child_catches', 'child_catches()') IS NOT NULL AS registered;
SELECT aion.start_workflow('child_catches', workflow_id => 'catches');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'catches';

-- A blocked run is tried again, ever more rarely, and never forgotten; a child that was refused is cancelled under one key, by whatever turn.
CREATE FUNCTION child_later(n int) RETURNS int LANGUAGE sql AS 'SELECT n';
CREATE FUNCTION child_waits(how text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	h aion.handle;
BEGIN
	IF how = 'runs' THEN
		RETURN aion.run_child('child_later', '{"other": 1}');
	END IF;
	h := aion.start_child('child_later', '{"other": 1}');
	IF how = 'cancels later' THEN
		PERFORM aion.sleep('1 s');
	END IF;
	IF how ~ 'cancels' THEN
		PERFORM aion.cancel(h);
	END IF;
	PERFORM aion.sleep('1 s');
	RETURN 1;
END $$;
SELECT aion.register_workflow('child_later', 'child_later(int)') IS NOT NULL AS registered, aion.register_workflow('child_waits', 'child_waits(text)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2030-01-01') IS NOT NULL AS begun;
SELECT aion.start_workflow('child_waits', jsonb_build_object('how', how), workflow_id => how) FROM unnest('{runs,starts,cancels,cancels later}'::text[]) how;
SELECT aion_test.advance('1 min') > 0 AS advanced;
SELECT workflow_id, status, blocked, turn_failures FROM aion.workflow_run WHERE workflow_type = 'child_waits' ORDER BY 1;
SELECT workflow_id, aion_test.replay(workflow_id) FROM aion.workflow_run WHERE workflow_type = 'child_waits' ORDER BY 1;
-- What comes while it is blocked reaches it at once, and not when it is looked at again by itself.
SELECT aion.start_workflow('child_waits', '{"how": "runs"}', workflow_id => 'asked'), aion.start_workflow('child_waits', '{"how": "runs"}', workflow_id => 'timed', timeout => '10 min');
SELECT aion_test.advance('9 min') > 0 AS advanced;
SELECT workflow_id, status, blocked FROM aion.workflow_run WHERE workflow_id IN ('asked', 'timed') ORDER BY 1;
SELECT aion.cancel_workflow('asked');
SELECT aion_test.advance('1 min') > 0 AS advanced;
SELECT w.workflow_id, w.status, w.closed_at - w.started_at AS after, (SELECT w.closed_at - h.recorded_at < '10 s' FROM aion.history(w.workflow_id) h WHERE h.event_type = 'WorkflowCancelRequested') AS at_once
	FROM aion.workflow_run w WHERE workflow_id IN ('asked', 'timed') ORDER BY 1;
SET LOCAL SESSION AUTHORIZATION DEFAULT; SELECT * FROM aion.check_integrity(); SET LOCAL SESSION AUTHORIZATION child_user;
CREATE FUNCTION child_later(n int DEFAULT 1, other int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT n';
DROP FUNCTION child_later(int);
SELECT aion.register_workflow('child_later', 'child_later(int, int)') IS NOT NULL AS registered;
SELECT aion_test.advance('15 min') > 0 AS advanced;
SELECT workflow_id, status, blocked, turn_failures FROM aion.workflow_run WHERE workflow_type = 'child_waits' ORDER BY 1;
SET LOCAL SESSION AUTHORIZATION DEFAULT; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- What the code did before a child that cannot be had is all there: a mistake that it caught, commands, search attributes.
CREATE FUNCTION child_ok() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_activity('child_ok', 'child_ok()');
CREATE FUNCTION child_soon(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
SELECT aion.register_workflow('child_soon', 'child_soon(int)') IS NOT NULL AS registered;
CREATE FUNCTION child_before(caught text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF caught <> 'none' THEN
		BEGIN
			IF caught = 'activity' THEN PERFORM aion.run('child_nowhere'); ELSE PERFORM aion.run_child('child_nowhere'); END IF;
		EXCEPTION WHEN OTHERS THEN NULL; END;
	END IF;
	PERFORM aion.start_activity('child_ok'), aion.upsert_search_attributes('{"before": 1}');
	PERFORM aion.run_child('child_soon', '{}');
	PERFORM aion.upsert_search_attributes('{"after": 1}');
	RETURN 1;
END $$;
SELECT aion.register_workflow('child_before', 'child_before(text)') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2030-01-01') IS NOT NULL AS begun;
SELECT count(aion.start_workflow('child_before', jsonb_build_object('caught', c), workflow_id => 'before ' || c)) FROM unnest('{none,activity,child}'::text[]) c;
SELECT aion_test.advance('1 min') > 0 AS advanced;
SELECT workflow_id, status, blocked, search_attributes, aion_test.replay(workflow_id) FROM aion.workflow_run WHERE workflow_type = 'child_before' ORDER BY 1;
SELECT workflow_id, string_agg(event_type, ' ' ORDER BY seq) AS events FROM aion.history_event WHERE workflow_id ~ '^before' GROUP BY 1 ORDER BY 1;
SET LOCAL SESSION AUTHORIZATION DEFAULT; SELECT * FROM aion.check_integrity(); SET LOCAL SESSION AUTHORIZATION child_user;
CREATE FUNCTION child_soon(a int DEFAULT 1, b int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT a';
DROP FUNCTION child_soon(int);
SELECT aion.register_workflow('child_soon', 'child_soon(int, int)') IS NOT NULL AS registered;
SELECT aion_test.advance('15 min') > 0 AS advanced;
SELECT workflow_id, status, blocked, search_attributes, aion_test.replay(workflow_id) FROM aion.workflow_run WHERE workflow_type = 'child_before' ORDER BY 1;
SET LOCAL SESSION AUTHORIZATION DEFAULT; SELECT * FROM aion.check_integrity();
ROLLBACK;

RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP FUNCTION child_sound();
DROP OWNED BY child_user, child_other, child_boss CASCADE;
SELECT * FROM aion.check_integrity();
