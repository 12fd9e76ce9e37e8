--
-- Deadlines of stretches of code. Numbers are those of the reference's invariants; N-1, N-2, N-3, F1a and F1b its races.
--
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE deadline_user LOGIN;
SELECT aion.grant_usage('deadline_user', 'admin');
CREATE SCHEMA deadline_user AUTHORIZATION deadline_user;
SET SESSION AUTHORIZATION deadline_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET search_path = deadline_user;

-- An interpreter, so that each case is one line. A block is ["scope", duration, steps, handler]: what is said in it is kept.
CREATE TABLE done (what text);
CREATE FUNCTION act(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO done VALUES (what) RETURNING 'did ' || what $$;
SELECT aion.register_activity('act', 'act(text)');
SELECT aion.register_activity('slow', mode => 'external', start_to_close_timeout => '10 days');
CREATE FUNCTION steps(steps jsonb, said jsonb DEFAULT '{"said": [], "handle": {}}') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
	answer text;
	inner_scope aion.scope;
BEGIN
	FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
		answer := NULL;
		BEGIN
			CASE step ->> 0
				WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval); answer := 'slept';
				WHEN 'start' THEN said := jsonb_set(said, ARRAY['handle', step ->> 1], to_jsonb(aion.start_timer(step ->> 1, (step ->> 2)::interval)::text));
				WHEN 'past' THEN said := jsonb_set(said, ARRAY['handle', step ->> 1], to_jsonb(aion.start_timer(step ->> 1, until => '2020-01-01')::text));
				WHEN 'cancel' THEN answer := aion.cancel_timer(step ->> 1);
				WHEN 'await' THEN PERFORM aion.await((said #>> ARRAY['handle', step ->> 1])::aion.handle, (step ->> 2)::interval); answer := 'fired';
				WHEN 'act' THEN answer := aion.run('act', jsonb_build_object('what', step ->> 1)) #>> '{}';
				WHEN 'slow' THEN answer := aion.run('slow') #>> '{}';
				WHEN 'begin slow' THEN said := jsonb_set(said, ARRAY['handle', step ->> 1], to_jsonb(aion.start_activity('slow', to_jsonb(step ->> 1))::text));
				WHEN 'settled' THEN answer := jsonb_path_query_array(aion.await_settled(ARRAY(SELECT x FROM jsonb_each_text(said -> 'handle') h(k, x) ORDER BY k)), '$[*].error.sqlstate');
				WHEN 'all' THEN answer := aion.await_all(ARRAY(SELECT x FROM jsonb_each_text(said -> 'handle') h(k, x) ORDER BY k));
				WHEN 'first' THEN answer := aion.await_first(ARRAY(SELECT x FROM jsonb_each_text(said -> 'handle') h(k, x) ORDER BY k));
				WHEN 'now' THEN answer := aion.now() - timestamptz '2026-01-01 00:00+00';
				WHEN 'raise' THEN RAISE EXCEPTION '%', step ->> 1;
				WHEN 'begin' THEN inner_scope := aion.begin_timeout((step ->> 1)::interval);
				WHEN 'end' THEN PERFORM aion.end_timeout(inner_scope);
				WHEN 'scope' THEN
					BEGIN
						inner_scope := aion.begin_timeout((step ->> 1)::interval);
						said := steps(step -> 2, said);
						PERFORM aion.end_timeout(inner_scope);
						answer := 'in time';
					EXCEPTION WHEN SQLSTATE 'WF026' THEN
						said := jsonb_set(said, '{said}', said -> 'said' || to_jsonb(ARRAY[SQLERRM, aion.failure() ->> 'detail']));
						said := steps(coalesce(step -> 3, '[]'), said);
					END;
			END CASE;
		EXCEPTION WHEN SQLSTATE 'WF027' OR SQLSTATE 'WF014' OR SQLSTATE 'WF013' OR SQLSTATE 'WA000' OR raise_exception THEN
			answer := SQLSTATE || ' ' || SQLERRM;
		END;
		IF answer IS NOT NULL THEN said := jsonb_set(said, '{said}', said -> 'said' || to_jsonb(answer)); END IF;
	END LOOP;
	RETURN said;
END $$;
CREATE FUNCTION code(steps jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT deadline_user.steps(steps) -> 'said' $$;
SELECT aion.register_workflow('code', 'code(jsonb)') IS NOT NULL AS registered;
CREATE FUNCTION story(id text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(event_type || coalesce(' ' || key, '') || coalesce(' (' || (attributes ->> 'cause') || ')', ''), ', ' ORDER BY seq) FROM aion.history(id) $$;
-- Runs the cases to their ends, with a replay after every bit of time, in both kinds of turns; shows what the code saw.
CREATE FUNCTION try(prefix text, VARIADIC cases jsonb[]) RETURNS TABLE (n bigint, status text, said jsonb, replay text) LANGUAGE plpgsql AS $$
DECLARE
	ids text[];
BEGIN
	ids := ARRAY(SELECT aion.start_workflow('code', c.steps, workflow_id => prefix || c.n) FROM unnest(cases) WITH ORDINALITY c(steps, n));
	PERFORM aion_test.run_until_idle();
	FOR i IN 1..12 LOOP
		PERFORM aion_test.advance('6 hours');
		IF EXISTS (SELECT FROM unnest(ids) id WHERE aion_test.replay(id) !~ '^ok') THEN RAISE 'replay differs'; END IF;
	END LOOP;
	RETURN QUERY SELECT i.n, w.status, coalesce(w.result, w.error -> 'message'), split_part(aion_test.replay(i.id), ' ', 1)
		FROM unnest(ids) WITH ORDINALITY i(id, n) JOIN aion.workflow_run w ON w.workflow_id = i.id ORDER BY 1;
END $$;

-- Invariant 28: a deadline's timer is settled by exactly one of TimerFired and TimerCancelled, and that is what the code saw.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('settle ',
	'[["scope", "2 hours", [["sleep", "1 hour"]]], ["now"]]',
	'[["scope", "1 hour", [["sleep", "2 hours"]]], ["now"], ["sleep", "1 hour"]]',
	'[["scope", "1 hour", []], ["sleep", "2 hours"]]',
	'[["scope", "1 hour", [["raise", "X"]]], ["sleep", "2 hours"]]',
	'[["scope", "1 hour", [["sleep", "1 hour"]]], ["now"]]',
	'[["scope", "0", [["act", "at once"], ["sleep", "0"]]], ["now"]]',
	'[["begin", "1 hour"], ["sleep", "2 hours"]]',
	'[["begin", "-1 hour"], ["begin", null], ["end"], ["begin", "10000000 years"], ["now"]]');
SELECT n, story('settle ' || n) FROM generate_series(1, 8) n;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Handlers run outside of the scope: they await and run activities; a block that is left by another error ends its scope too,
-- also where the next one is begun at the same depth. What is begun and not ended in a block without an error goes on.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('handler ',
	'[["scope", "1 hour", [["sleep", "1 day"]], [["sleep", "1 hour"], ["act", "escalated"], ["sleep", "1 hour"], ["now"]]]]',
	'[["scope", "1 hour", [["scope", "30 min", [["sleep", "1 day"]], [["sleep", "10 min"], ["now"]]], ["sleep", "1 day"]]], ["now"]]');
CREATE FUNCTION left_by_error() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text[];
BEGIN
	FOR i IN 1..3 LOOP
		BEGIN
			PERFORM aion.begin_timeout('1 hour');
			IF i < 3 THEN RAISE EXCEPTION 'out'; END IF;
		EXCEPTION WHEN raise_exception THEN
			PERFORM aion.sleep('2 hours');           -- free of it
			said := said || format('handled %s', i);
		END;
	END LOOP;
	BEGIN
		PERFORM aion.sleep('2 hours');               -- the third one was not left by an error
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || SQLERRM || (aion.failure() ->> 'detail');
	END;
	PERFORM aion.sleep('2 hours');                   -- that ended a block, but not the one it was begun in
	RETURN to_jsonb(said);
END $$;
SELECT aion.register_workflow('left_by_error', 'left_by_error()') IS NOT NULL AS registered;
SELECT aion.start_workflow('left_by_error', workflow_id => 'l');
SELECT aion_test.advance('1 day') > 0 AS advanced;
SELECT status, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id = 'l';
SELECT story('l');
SELECT aion_test.replay('l');
ROLLBACK;

-- Nested (27): what was recorded first decides; of scopes that expire at the same moment the outermost is reported, and inner ones
-- that are live are cancelled. An inner scope that expires earlier is reported, and the outer one where the code goes on.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('nested ',
	'[["scope", "1 hour", [["scope", "2 hours", [["sleep", "1 day"]]]]], ["now"]]',
	'[["scope", "1 hour", [["scope", "1 hour", [["sleep", "1 day"]], [["now"]]], ["sleep", "1 hour"]]], ["now"]]',
	'[["scope", "2 hours", [["scope", "1 hour", [["sleep", "1 day"]], [["sleep", "1 day"]]]]], ["now"]]',
	'[["scope", "2 hours", [["scope", "1 hour", [["sleep", "1 day"]], [["now"]]], ["sleep", "10 min"]]], ["now"]]',
	'[["scope", "1 day", [["scope", "1 hour", [["sleep", "10 min"]]], ["sleep", "2 hours"]]], ["now"]]');
SELECT n, story('nested ' || n) FROM generate_series(1, 5) n;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Awaits under an expired scope: whatever they were for is cancelled (26, 30), also what they have just asked for; nothing is executed.
-- What had come by recorded order before the deadline is returned (24, 31), whenever the code looks.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION stubborn() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text[];
	early aion.handle := aion.start_timer('early', '30 min');
	late aion.handle := aion.start_timer('late', '90 min');
	slow aion.handle := aion.start_activity('slow');
	scope aion.scope := aion.begin_timeout('1 hour');
BEGIN
	FOR i IN 1..7 LOOP
		BEGIN
			CASE i
				WHEN 1 THEN PERFORM aion.sleep('1 day');
				WHEN 2 THEN PERFORM aion.await(early);
				WHEN 3 THEN PERFORM aion.run('act', '{"what": "not done"}');
				WHEN 4 THEN PERFORM aion.sleep('0');
				WHEN 5 THEN PERFORM aion.map('act', '[{"what": "not done"}, {"what": "either"}]');
				WHEN 6 THEN PERFORM aion.await_settled(ARRAY[early, late, slow]);
				WHEN 7 THEN PERFORM aion.await_all('{}');
			END CASE;
			said := said || format('%s: answered', i);
		EXCEPTION WHEN OTHERS THEN
			said := said || format('%s: %s', i, SQLSTATE);
		END;
	END LOOP;
	PERFORM aion.end_timeout(scope);
	PERFORM aion.end_timeout(scope);
	said := said || aion.cancel(late) || aion.cancel(slow) || aion.run('act', '{"what": "done"}')::text;
	RETURN to_jsonb(said);
END $$;
SELECT aion.register_workflow('stubborn', 'stubborn()') IS NOT NULL AS registered;
SELECT aion.start_workflow('stubborn', workflow_id => 's');
SELECT aion_test.advance('1 day') > 0 AS advanced;
SELECT status, result FROM aion.workflow_run;
SELECT story('s');
SELECT aion_test.replay('s');
SELECT * FROM done;
SELECT * FROM aion.timer;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- N-1, N-3, F1b, invariant 24: an outcome recorded before the deadline wins and one recorded after it loses, if the code sees both at once
-- and if it does not, live and in every replay. Where the reference lets a sleep return because its timer had fired when the
-- deadline's cancel came (N-3), ours is decided by order like any other await: the last two cases.
CREATE TABLE held (n serial, token text);
CREATE FUNCTION claim() RETURNS int LANGUAGE sql AS $$ WITH h AS (INSERT INTO held (token) SELECT task_token FROM aion.poll_activities('{default}', 'w') RETURNING 1) SELECT count(*)::int FROM h $$;
CREATE FUNCTION complete(answer text) RETURNS void LANGUAGE sql AS $$ SELECT aion.complete_activity(token, to_jsonb(answer)) FROM held ORDER BY n DESC LIMIT 1 $$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["scope", "1 hour", [["slow"]]], ["now"]]', workflow_id => 'before');
SELECT aion_test.run_until_idle(), claim();
SELECT aion_test.advance('59 min'), complete('in time');
SELECT aion_test.advance('2 hours');
SELECT result, story('before') FROM aion.workflow_run;
SELECT aion_test.replay('before');
ROLLBACK;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["scope", "1 hour", [["slow"]]], ["sleep", "1 hour"]]', workflow_id => 'after');
SELECT aion_test.run_until_idle(), claim();
SELECT aion_test.advance('61 min');
SELECT aion.heartbeat_activity(token) AS cancelled FROM held;
SAVEPOINT s; SELECT complete('too late'); ROLLBACK TO s;
SELECT aion_test.advance('2 hours');
SELECT result, story('after') FROM aion.workflow_run;
SELECT aion_test.replay('after');
ROLLBACK;
-- both at once, in either order
SELECT aion.start_workflow('code', s, workflow_id => 'once ' || n) FROM unnest(ARRAY[
	'[["past", "a"], ["scope", "0", [["await", "a"]]]]',
	'[["scope", "0", [["sleep", "0"]]]]']::jsonb[]) WITH ORDINALITY x(s, n);
CALL aion.drive();
SELECT workflow_id, result, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.replay('once ' || n) FROM generate_series(1, 2) n;

-- N-1 for several at once (30): the first failure, the last result, the first of some, each against the deadline.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('several ',
	'[["start", "a", "1 hour"], ["start", "b", "3 hours"], ["scope", "2 hours", [["all"]]], ["now"], ["first"]]',
	'[["start", "a", "1 hour"], ["start", "b", "3 hours"], ["scope", "4 hours", [["all"]]], ["now"]]',
	'[["start", "a", "1 hour"], ["start", "b", "3 hours"], ["scope", "2 hours", [["settled"]]], ["settled"]]',
	'[["start", "a", "1 hour"], ["start", "b", "3 hours"], ["scope", "2 hours", [["first"]]], ["now"], ["await", "b"], ["now"]]',
	'[["start", "a", "3 hours"], ["start", "b", "3 hours"], ["scope", "2 hours", [["first"]]], ["start", "a", "1 hour"], ["await", "a"], ["now"]]',
	'[["start", "a", "3 hours"], ["scope", "2 hours", [["await", "a", "1 hour"], ["now"]]], ["await", "a"], ["now"]]',
	'[["start", "a", "3 hours"], ["scope", "1 hour", [["await", "a", "2 hours"], ["now"]]], ["await", "a"], ["now"]]');
SELECT n, story('several ' || n) FROM generate_series(1, 7) n;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- end_timeout: out of order, twice, after the end, foreign, unknown.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION ends(foreign_scope text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text[] := '{}';
	a aion.scope := aion.begin_timeout('1 hour');
	b aion.scope := aion.begin_timeout('2 hours');
	c aion.scope;
	bad text;
BEGIN
	PERFORM aion.end_timeout(a);                     -- and with it b, which was begun in it
	PERFORM aion.end_timeout(b);
	PERFORM aion.end_timeout(a);
	PERFORM aion.sleep('3 hours');
	FOREACH bad IN ARRAY ARRAY[NULL, '', 'scope:1', 'nonsense', foreign_scope, aion.run_id() || '/scope:4', aion.start_timer('t', '1 s')] LOOP
		BEGIN
			PERFORM aion.end_timeout(bad::aion.scope);
		EXCEPTION WHEN SQLSTATE 'WF014' THEN
			said := said || regexp_replace(SQLERRM, '[0-9a-f-]{36}', 'run');
		END;
	END LOOP;
	BEGIN
		PERFORM aion.await(a::text::aion.handle);    -- no handle
	EXCEPTION WHEN SQLSTATE 'WF014' THEN
		said := said || regexp_replace(SQLERRM, '[0-9a-f-]{36}', 'run');
	END;
	c := aion.begin_timeout('1 hour');
	BEGIN
		PERFORM aion.sleep('1 day');
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || SQLERRM;
	END;
	PERFORM aion.end_timeout(c);                     -- it has expired
	PERFORM aion.sleep('1 hour');
	RETURN to_jsonb(said) || to_jsonb(c);
END $$;
SELECT aion.register_workflow('ends', 'ends(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('ends', '{"foreign_scope": "00000000-0000-0000-0000-000000000000/scope:1"}', workflow_id => 'e');
SELECT aion_test.advance('1 day') > 0 AS advanced;
SELECT status, result - -1 AS result, error FROM aion.workflow_run WHERE workflow_id = 'e';
SELECT story('e');
SELECT aion_test.replay('e');
ROLLBACK;
SELECT aion.begin_timeout('1 hour');
SELECT aion.end_timeout(scope => 'x');
SELECT aion.with_timeout(duration => '1 hour', handler => 'act(text)', input => '{}');

-- with_timeout: a function within the turn, called like a handler of a workflow.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION nap(hours int, tag text DEFAULT 'default') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep(make_interval(hours => hours));
	RETURN tag || coalesce(aion.run('act', jsonb_build_object('what', tag))::text, '');
END $$;
CREATE FUNCTION whole(x jsonb) RETURNS SETOF jsonb LANGUAGE sql AS $$ VALUES (x), (NULL) $$;
CREATE PROCEDURE proc() LANGUAGE sql AS '';
CREATE FUNCTION definer() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION forbidden() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE ALL ON FUNCTION forbidden() FROM PUBLIC, deadline_user;
CREATE FUNCTION withs() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said text[] := '{}';
	call record;
BEGIN
	FOR call IN SELECT * FROM (VALUES (interval '2 hours', 'nap(int,text)', '{"hours": 1}'::jsonb), ('2 hours', 'nap(int,text)', '{"hours": 3, "tag": "late"}'),
			('1 hour', 'whole(jsonb)', '[1]'), ('1 hour', 'whole(jsonb)', NULL), ('1 hour', 'nap(int,text)', '{"minutes": 1}'), ('1 hour', 'nap(int,text)', '{"hours": "x"}'),
			('1 hour', 'nap(int,text)', '{}'), ('1 hour', NULL, '{}'), ('1 hour', '999999999', '{}'), ('1 hour', 'proc()', '{}'), ('1 hour', 'definer()', '{}'), ('1 hour', 'forbidden()', '{}'), ('-1 hour', 'nap(int,text)', '{"hours": 1}'), (NULL, 'nap(int,text)', '{"hours": 1}')) v(duration, handler, input) LOOP
		BEGIN
			said := said || concat_ws(' ', call.handler, coalesce(aion.with_timeout(call.duration, call.handler::regprocedure, call.input)::text, 'NULL'), aion.now()::time);
		EXCEPTION WHEN OTHERS THEN
			said := said || concat_ws(' ', call.handler, SQLSTATE, SQLERRM, aion.now()::time);
		END;
	END LOOP;
	PERFORM aion.sleep('1 day');                     -- outside of all of them
	RETURN to_jsonb(said);
END $$;
SELECT aion.register_workflow('withs', 'withs()') IS NOT NULL AS registered;
SELECT aion.start_workflow('withs', workflow_id => 'w');
SELECT aion_test.advance('2 days') > 0 AS advanced;
SELECT jsonb_array_elements(result) FROM aion.workflow_run WHERE workflow_id = 'w';
SELECT story('w');
SELECT seq, key, attributes - 'digest' - 'fire_at' AS attributes, length(attributes ->> 'digest') FROM aion.history('w') WHERE event_type = 'TimerStarted';
SELECT aion_test.replay('w');
SELECT * FROM done;
ROLLBACK;

-- The function is recorded by signature and definition: another one is a difference, and the run goes on when the old one is back (C8).
CREATE FUNCTION part() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'part'; END $$;
CREATE FUNCTION parts() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.with_timeout('1 day', 'deadline_user.part()', '{}') $$;
SELECT aion.register_workflow('parts', 'parts()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('parts', workflow_id => 'p');
SELECT aion_test.run_until_idle();
CREATE OR REPLACE FUNCTION part() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'another part'; END $$;
SELECT aion_test.advance('1 hour') > 0 AS advanced;
SELECT status, blocked, result FROM aion.workflow_run WHERE workflow_id = 'p';
SELECT attributes #>> '{detail,difference}' AS difference, attributes #>> '{detail,found}' LIKE '%deadline_user.part()%' AS names_it FROM aion.history('p') WHERE event_type = 'WorkflowBlocked';
CREATE OR REPLACE FUNCTION part() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'part'; END $$;
SELECT aion_test.advance('1 day') > 0 AS advanced;
SELECT status, blocked, result FROM aion.workflow_run WHERE workflow_id = 'p';
SELECT aion_test.replay('p');
ROLLBACK;

-- Dropped and made again as it was: code that was planned with the old one is planned anew.
CREATE FUNCTION planned() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.with_timeout('1 day', 'deadline_user.part()', '{}'); END $$;
SELECT aion.register_workflow('planned', 'planned()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('planned', workflow_id => 'p');
SELECT aion_test.run_until_idle();
DROP FUNCTION part();
CREATE FUNCTION part() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'part'; END $$;
SELECT aion_test.advance('2 hours') > 0 AS advanced;
SELECT status, blocked, result FROM aion.workflow_run WHERE workflow_id = 'p';
SELECT aion_test.replay('p');
ROLLBACK;

-- Code that is free of its deadline runs activities; what it would have done in time is not done.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["scope", "1 hour", [["sleep", "1 hour"], ["act", "no"]], [["act", "yes"]]]]', workflow_id => 'i');
SELECT aion_test.advance('2 hours') > 0 AS advanced;
SELECT result FROM aion.workflow_run WHERE workflow_id = 'i';
SELECT * FROM done;
SELECT * FROM aion.explain('i') OFFSET 1;
ROLLBACK;

-- A function that swallows the end of the turn does not end its deadline: the turn has ended all the same (11.8).
CREATE FUNCTION swallows() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.receive('approval');
EXCEPTION WHEN assert_failure THEN
	RETURN '"nothing"';
END $$;
CREATE FUNCTION trusting() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.with_timeout('1 hour', 'deadline_user.swallows()', '{}'); END $$;
SELECT aion.register_workflow('trusting', 'trusting()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('trusting', workflow_id => 's'), aion.start_workflow('trusting', workflow_id => 't');
SELECT aion_test.run_until_idle();
SELECT workflow_id, status FROM aion.workflow_run WHERE workflow_id IN ('s', 't') ORDER BY 1;
SELECT aion.signal_workflow('s', 'approval', '"yes"');
SELECT aion_test.advance('2 hours') > 0 AS advanced;
SELECT workflow_id, status, blocked, result, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id IN ('s', 't') ORDER BY 1;
SELECT aion_test.replay('s'), aion_test.replay('t');
ROLLBACK;

RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY deadline_user CASCADE;
DROP ROLE deadline_user;
CREATE EXTENSION aion;
