--
-- Asking workflows to cancel. R05, R08; invariant 74; workflow 1 of the examples. Where the reference ends a run at once and gives
-- its code no turn, ours asks (DESIGN: Cancel); terminate_workflow() is what the reference calls cancel.
--
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE cancel_user LOGIN;
CREATE ROLE cancel_other LOGIN;
SELECT aion.grant_usage('cancel_user', 'admin'), aion.grant_usage('cancel_other');
CREATE SCHEMA cancel_user AUTHORIZATION cancel_user;
SET SESSION AUTHORIZATION cancel_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET search_path = cancel_user;

-- An interpreter, so that each case is one line: ["block", steps, handler] catches WF028 and keeps what was said; "caught" at the end of a
-- handler raises it again.
CREATE TABLE done (n serial, what text);
CREATE FUNCTION act(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO done (what) VALUES (what) RETURNING 'did ' || what $$;
SELECT aion.register_activity('act', 'act(text)');
SELECT aion.register_activity('slow', mode => 'external', start_to_close_timeout => '10 days');
SELECT aion.register_activity('stay', mode => 'external', start_to_close_timeout => '10 days', on_cancel => 'wait');
SELECT aion.register_activity('left', mode => 'external', start_to_close_timeout => '10 days', on_cancel => 'abandon');
SELECT aion.register_activity('odd', mode => 'external', start_to_close_timeout => '10 days', on_cancel => 'odd');
SELECT aion.register_activity('odd', mode => 'external', start_to_close_timeout => '10 days', on_cancel => NULL);
CREATE FUNCTION steps(steps jsonb, said jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
	answer text;
BEGIN
	FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
		answer := NULL;
		CASE step ->> 0
			WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval); answer := 'slept';
			WHEN 'start' THEN said := jsonb_set(said, ARRAY['handle', step ->> 1], to_jsonb(aion.start_timer(step ->> 1, (step ->> 2)::interval)::text));
			WHEN 'begin' THEN said := jsonb_set(said, ARRAY['handle', step ->> 1], to_jsonb(aion.start_activity(step ->> 1)::text));
			WHEN 'await' THEN answer := coalesce(aion.await((said #>> ARRAY['handle', step ->> 1])::aion.handle)::text, 'fired');
			WHEN 'all' THEN answer := aion.await_all(ARRAY(SELECT x FROM jsonb_each_text(said -> 'handle') h(k, x) ORDER BY k));
			WHEN 'cancel' THEN answer := aion.cancel((said #>> ARRAY['handle', step ->> 1])::aion.handle);
			WHEN 'act' THEN answer := aion.run('act', jsonb_build_object('what', step ->> 1)) #>> '{}';
			WHEN 'run' THEN answer := aion.run(step ->> 1) #>> '{}';
			WHEN 'map' THEN answer := aion.map('act', '[{"what": "x"}, {"what": "y"}]');
			WHEN 'receive' THEN answer := coalesce(aion.receive(step ->> 1, (step ->> 2)::interval)::text, 'none');
			WHEN 'shield' THEN PERFORM aion.shield(coalesce((step ->> 1)::boolean, true));
			WHEN 'requested' THEN answer := aion.cancel_requested();
			WHEN 'now' THEN answer := aion.now() - timestamptz '2026-01-01 00:00+00';
			WHEN 'scope' THEN
				DECLARE
					scope aion.scope;
				BEGIN
					scope := aion.begin_timeout((step ->> 1)::interval); -- not in DECLARE, which is outside of the block
					said := steps(step -> 2, said);
					PERFORM aion.end_timeout(scope);
				EXCEPTION WHEN SQLSTATE 'WF026' THEN
					answer := SQLERRM;
				END;
			WHEN 'ask' THEN
				BEGIN
					PERFORM aion.request_cancel(step ->> 1, reason => 'asked by ' || aion.workflow_id());
					answer := 'asked';
				EXCEPTION WHEN SQLSTATE 'WF001' OR SQLSTATE 'WF014' THEN
					answer := SQLSTATE || ' ' || SQLERRM;
				END;
			WHEN 'block' THEN
				BEGIN
					said := steps(step -> 1, said);
				EXCEPTION
					WHEN SQLSTATE 'WF028' THEN
						said := jsonb_set(said, '{said}', said -> 'said' || to_jsonb(concat_ws('; ', SQLERRM, aion.failure() ->> 'detail', aion.failure() ->> 'by')));
						said := steps(coalesce(step -> 2, '[]'), said);
						IF coalesce(step -> 2, '[]') @> '[["raise"]]' THEN RAISE; END IF;
					WHEN raise_exception OR SQLSTATE 'WA000' OR SQLSTATE 'WF027' THEN
						answer := SQLSTATE || ' ' || SQLERRM;
				END;
			WHEN 'fail' THEN RAISE EXCEPTION 'out';
			WHEN 'raise' THEN NULL;
		END CASE;
		IF answer IS NOT NULL THEN said := jsonb_set(said, '{said}', said -> 'said' || to_jsonb(answer)); END IF;
	END LOOP;
	RETURN said;
END $$;
CREATE FUNCTION code(steps jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN cancel_user.steps(steps, '{"said": [], "handle": {}}') -> 'said'; END $$;
SELECT aion.register_workflow('code', 'code(jsonb)') IS NOT NULL AS registered;
CREATE FUNCTION story(id text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(replace(event_type, 'Workflow', '') || coalesce(' ' || key, '') || coalesce(' (' || (attributes ->> 'cause') || ')', ''), ', ' ORDER BY seq) FROM aion.history(id) $$;
-- Runs each case to its end, with requests at the hours that stand before it, and a replay after every bit of time.
CREATE FUNCTION try(prefix text, VARIADIC cases jsonb[]) RETURNS TABLE (n bigint, status text, said jsonb, replay text, story text) LANGUAGE plpgsql AS $$
DECLARE
	c record;
BEGIN
	FOR c IN SELECT x.n, x.c -> 0 AS hours, x.c - 0 AS steps, prefix || x.n AS id FROM unnest(cases) WITH ORDINALITY x(c, n) LOOP
		PERFORM aion.start_workflow('code', c.steps, workflow_id => c.id);
	END LOOP;
	FOR hour IN 0..30 LOOP
		FOR c IN SELECT x.c -> 0 AS hours, prefix || x.n AS id FROM unnest(cases) WITH ORDINALITY x(c, n) LOOP
			IF c.hours @> to_jsonb(hour) THEN PERFORM aion.cancel_workflow(c.id, 'at ' || hour); END IF;
		END LOOP;
		PERFORM aion_test.run_until_idle();
		PERFORM aion_test.advance('1 hour');
		IF EXISTS (SELECT FROM aion.workflow_run w WHERE w.workflow_id LIKE prefix || '%' AND aion_test.replay(w.workflow_id) !~ '^ok') THEN RAISE 'replay differs'; END IF;
	END LOOP;
	RETURN QUERY SELECT i.n::bigint, w.status, coalesce(w.result, w.error -> 'message'), split_part(aion_test.replay(w.workflow_id), ' ', 1), story(w.workflow_id)
		FROM generate_series(1, cardinality(cases)) i(n) JOIN aion.workflow_run w ON w.workflow_id = prefix || i.n ORDER BY 1;
END $$;

-- Delivered once, at the await the run stands at or reaches next; what that was for is cancelled; awaits after it work, so handlers clean up.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('c ',
	'[[1], ["sleep", "2 hours"]]',
	'[[1], ["block", [["sleep", "2 hours"]], [["act", "cleaned"], ["sleep", "1 hour"], ["now"]]]]',
	'[[1], ["block", [["sleep", "2 hours"]], [["act", "cleaned"], ["sleep", "1 hour"], ["raise"]]]]',
	'[[0], ["sleep", "0"], ["act", "after"]]',
	'[[1, 2, 3], ["block", [["sleep", "3 hours"]], [["block", [["sleep", "4 hours"]], [["block", [["sleep", "4 hours"]], [["now"]]]]]]], ["sleep", "1 hour"]]',
	'[[1, 2], ["block", [["sleep", "3 hours"]], [["sleep", "3 hours"]]]]',
	'[[1], ["start", "t", "2 hours"], ["block", [["await", "t"]]], ["block", [["await", "t"]]]]',
	'[[1], ["block", [["receive", "s"]], [["receive", "s", "1 hour"]]]]',
	'[[1], ["begin", "slow"], ["block", [["await", "slow"]]], ["block", [["await", "slow"]]]]',
	'[[1], ["begin", "slow"], ["begin", "stay"], ["start", "t", "1 day"], ["block", [["all"]]], ["cancel", "slow"], ["cancel", "stay"], ["cancel", "t"]]',
	'[[1], ["sleep", "1 hour"], ["now"]]');
SELECT * FROM done;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A request that is there when code asks for something: that is not executed. An answer recorded before it is given first.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('d ',
	'[[1], ["shield"], ["sleep", "2 hours"], ["shield", false], ["block", [["act", "not"]]], ["act", "done"]]',
	'[[1], ["shield"], ["sleep", "2 hours"], ["shield", false], ["block", [["map"]]]]',
	'[[2], ["start", "t", "1 hour"], ["shield"], ["sleep", "3 hours"], ["shield", false], ["await", "t"], ["block", [["sleep", "0"]]]]',
	'[[1], ["start", "t", "2 hours"], ["shield"], ["sleep", "3 hours"], ["shield", false], ["block", [["await", "t"]]], ["await", "t"]]');
SELECT * FROM done;
ROLLBACK;

-- shield: puts off, ends with the block it was begun in, is no counter; cancel_requested() follows what was recorded.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('s ',
	'[[1], ["requested"], ["shield"], ["sleep", "2 hours"], ["requested"], ["act", "shielded"], ["shield", false], ["block", [["sleep", "1 hour"]], [["requested"]]], ["now"]]',
	'[[1], ["block", [["shield"], ["sleep", "2 hours"], ["fail"]]], ["block", [["sleep", "1 hour"]]], ["now"]]',
	'[[1], ["block", [["shield"], ["sleep", "2 hours"]]], ["sleep", "1 hour"], ["now"]]',
	'[[1], ["shield"], ["shield"], ["sleep", "2 hours"], ["shield", false], ["block", [["sleep", "1 hour"]]], ["now"]]',
	'[[1], ["shield"], ["block", [["shield"], ["sleep", "2 hours"], ["fail"]]], ["sleep", "1 hour"], ["now"]]',
	'[[1], ["shield"], ["sleep", "2 hours"]]',
	'[[1, 2], ["shield"], ["sleep", "3 hours"], ["shield", false], ["block", [["sleep", "1 hour"]], [["block", [["sleep", "1 hour"]], [["sleep", "1 hour"]]]]]]');
ROLLBACK;

-- With deadlines: what is recorded first ends the await; both orders.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT * FROM try('e ',
	'[[1], ["block", [["scope", "2 hours", [["sleep", "1 day"]]]], [["now"], ["sleep", "2 hours"], ["now"]]]]',
	'[[3], ["block", [["scope", "2 hours", [["sleep", "1 day"]]], ["now"], ["sleep", "3 hours"]], [["now"]]]]',
	'[[1], ["scope", "2 hours", [["shield"], ["sleep", "1 day"]]], ["now"], ["block", [["sleep", "1 hour"]], [["now"]]]]',
	'[[1], ["scope", "3 hours", [["shield"], ["block", [["sleep", "2 hours"], ["shield", false], ["sleep", "1 hour"]], [["sleep", "1 day"]]]]], ["now"]]');
ROLLBACK;

-- What a worker has claimed: on_cancel of the registration, or of the call. Told by the next heartbeat or not; waited for or not (R08).
CREATE TABLE held (activity text, token text);
CREATE FUNCTION claim() RETURNS int LANGUAGE sql AS $$ WITH h AS (INSERT INTO held SELECT activity, task_token FROM aion.poll_activities('{default}', 'w', 10) RETURNING 1) SELECT count(*)::int FROM h $$;
CREATE FUNCTION token(which text) RETURNS text LANGUAGE sql AS $$ SELECT token FROM held WHERE activity = which $$;
CREATE VIEW ended AS SELECT w.status, coalesce(w.result, w.error -> 'message') AS said, story(w.workflow_id), left(aion_test.replay(w.workflow_id), 2) AS replay FROM aion.workflow_run w;
CREATE VIEW task AS SELECT activity, state, attempt FROM aion.activity_task ORDER BY 1;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["block", [["begin", "slow"], ["begin", "stay"], ["begin", "left"], ["start", "t", "1 day"], ["all"]], [["now"]]]]', workflow_id => 'w');
SELECT aion_test.run_until_idle(), claim();
SELECT aion.cancel_workflow('w');
SELECT aion_test.run_until_idle();
SELECT awaiting, key FROM aion.pending_await;
SELECT activity, aion.heartbeat_activity(token) AS cancelled FROM held ORDER BY 1;
SAVEPOINT s; SELECT aion.complete_activity(token('slow')); ROLLBACK TO s;
SELECT aion.complete_activity(token('left'), '"left to itself"');
SELECT aion_test.advance('1 hour');
SELECT * FROM task;
SELECT aion.cancel_workflow('w', 'once more') AS hears_it_later;
SELECT aion_test.run_until_idle();
SELECT aion.complete_activity(token('stay'), '"stayed"');
SELECT aion_test.run_until_idle();
SELECT * FROM ended;
SELECT * FROM task;
SELECT aion_test.advance('20 days') > 0 AS advanced;
SELECT * FROM task;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
SELECT name FROM aion._timer;
ROLLBACK;
-- the code goes on after WF028 and sees what became of each; one that fails after it was told is not tried again
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["begin", "stay"], ["begin", "left"], ["block", [["all"]]], ["block", [["await", "stay"]]], ["block", [["await", "left"]]]]', workflow_id => 'w');
SELECT aion_test.run_until_idle(), claim();
SELECT aion.cancel_workflow('w');
SELECT aion_test.run_until_idle();
SELECT aion.fail_activity(token('left'), 'no');
SELECT aion.fail_activity(token('stay'), 'stopped in the middle');
SELECT aion_test.run_until_idle();
SELECT * FROM ended;
SELECT * FROM task;
ROLLBACK;
-- the time of one that is waited for is up; the option of the call goes first; no worker has claimed it
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION options() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('stay', options => '{"start_to_close_timeout": "1 hour"}');
EXCEPTION WHEN SQLSTATE 'WF028' THEN
	BEGIN
		RETURN aion.run('slow', options => '{"on_cancel": "odd"}');
	EXCEPTION WHEN SQLSTATE 'WF014' THEN
		RETURN SQLERRM || ' ' || aion.now()::time || ' ' || (SELECT aion.run('stay', options => '{"on_cancel": "try"}'));
	END;
END $$;
SELECT aion.register_workflow('options', 'options()') IS NOT NULL AS registered;
SELECT aion.start_workflow('options', workflow_id => 'w');
SELECT aion_test.run_until_idle(), claim();
SELECT aion.cancel_workflow('w');
SELECT aion_test.advance('59 min'), (SELECT status FROM aion.workflow_run);
SELECT aion_test.advance('1 min'), (SELECT status FROM aion.workflow_run);
DELETE FROM held;
SELECT claim();
SELECT aion.cancel_workflow('w');
SELECT aion_test.run_until_idle();
SELECT * FROM ended;
ROLLBACK;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["block", [["run", "stay"]], [["now"]]]]', workflow_id => 'w');
SELECT aion_test.run_until_idle();
SELECT aion.cancel_workflow('w');
SELECT aion_test.run_until_idle(), claim() AS claimed;
SELECT * FROM ended;
ROLLBACK;

-- What cancel_workflow() answers (R05, 11.25), in every state; it raises WF001 only, so it works over a query. Sender and reason are recorded.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["sleep", "1 day"]]', workflow_id => 'running');
SELECT aion.start_workflow('code', '[["sleep", "0"]]', workflow_id => 'completed');
SELECT aion.start_workflow('code', '[["fail"]]', workflow_id => 'failed');
SELECT aion.start_workflow('code', '[["run", "no such activity"]]', workflow_id => 'blocked');
SELECT aion.start_workflow('code', '[["sleep", "1 day"]]', workflow_id => 'scheduled', start_at => aion_test.now() + interval '1 day');
SELECT aion.start_workflow('code', '[["sleep", "1 day"]]', workflow_id => 'terminated');
SELECT aion_test.run_until_idle() > 0 AS done;
SELECT aion.terminate_workflow('terminated');
SELECT workflow_id, aion.cancel_workflow(workflow_id, reason => 'all of them') FROM aion.workflow_run ORDER BY 1;
SELECT name, kind, payload, sent_by, workflow_id FROM aion.inbox ORDER BY arrival;
SELECT aion_test.run_until_idle() > 0 AS done;
-- a blocked run hears it at once, like one that waits
SELECT workflow_id, status, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT attributes FROM aion.history('running') WHERE event_type ~ 'Cancel' AND key IS NULL;
SELECT * FROM aion.explain('running') OFFSET 1;
SELECT workflow_id, aion.cancel_workflow(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.replay(workflow_id) FROM aion.workflow_run ORDER BY workflow_id;
SAVEPOINT s; SELECT aion.await_workflow('running'); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.cancel_workflow('nothing'); ROLLBACK TO s;
SAVEPOINT s; SELECT aion.cancel_workflow(NULL); ROLLBACK TO s;
SAVEPOINT s; SET LOCAL ROLE NONE; SET SESSION AUTHORIZATION cancel_other; SELECT aion.cancel_workflow('running'); ROLLBACK TO s;
SET SESSION AUTHORIZATION cancel_user;
SELECT aion.shield(enabled => true);
ROLLBACK;
SELECT aion.request_cancel('x');
SELECT aion.cancel_requested();

-- While it is paused a request is recorded, and acted upon when it goes on (GATE-4, 75: ours holds, where the reference's cancel releases);
-- also by a run that has not begun. A start after it, a terminate: those do not wait.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["block", [["sleep", "2 hours"], ["act", "no"]], [["now"], ["raise"]]]]', workflow_id => 'p 1');
SELECT aion.start_workflow('code', '[["act", "no"]]', workflow_id => 'p 2', start_at => aion_test.now() + interval '1 day');
SELECT aion.start_workflow('code', '[["block", [["act", "no"]], [["now"]]]]', workflow_id => 'p 3');
SELECT aion.start_workflow('code', '[["sleep", "2 hours"]]', workflow_id => 'p 4');
SELECT aion.pause_workflow('p 3');
SELECT aion_test.run_until_idle();
SELECT workflow_id, aion.pause_workflow(workflow_id), aion.cancel_workflow(workflow_id, 'while paused') FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.advance('3 hours');
SELECT workflow_id, status, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.replay(workflow_id) FROM aion.workflow_run ORDER BY workflow_id;
SELECT workflow_id, CASE workflow_id WHEN 'p 4' THEN aion.terminate_workflow(workflow_id) ELSE aion.resume_workflow(workflow_id) END FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.run_until_idle();
SELECT workflow_id, status, result, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT * FROM done;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Reopened (76, 77, #222): the request is forgotten, and what the code cancelled because of it or was cancelled by the close is live again,
-- timers at their old moments; one that was handled stays, and code that went on after it is to be forked.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', c, workflow_id => 'r ' || n) FROM unnest(ARRAY[
	'[["start", "t", "2 hours"], ["sleep", "3 hours"], ["now"], ["await", "t"], ["now"]]',
	'[["begin", "slow"], ["start", "t", "4 hours"], ["scope", "5 hours", [["all"]]], ["now"]]',
	'[["block", [["sleep", "2 hours"]], [["act", "cleaned"], ["raise"]]]]',
	'[["shield"], ["sleep", "2 hours"], ["fail"]]',
	'[["shield"], ["sleep", "2 hours"], ["requested"], ["act", "told"], ["shield", false], ["sleep", "1 day"]]',
	'[["block", [["sleep", "2 hours"]], [["act", "handled"]]], ["sleep", "2 hours"], ["fail"]]',
	'[["block", [["sleep", "2 hours"]]], ["sleep", "2 hours"], ["now"]]']::jsonb[]) WITH ORDINALITY x(c, n);
SELECT aion.start_workflow('code', '[["now"]]', workflow_id => 'r 8', start_at => aion_test.now() + interval '1 day');
SELECT aion_test.run_until_idle() > 0 AS done, claim();
SELECT aion_test.advance('1 hour');
SELECT workflow_id, aion.cancel_workflow(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT aion.terminate_workflow('r 7');
SELECT aion_test.advance('30 min') > 0 AS done;
CREATE FUNCTION reopen(id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	RETURN aion.reopen_workflow(id, 'once more');
EXCEPTION WHEN SQLSTATE 'WF008' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' ', SQLERRM, detail, hint);
END $$;
SELECT workflow_id, status, reopen(workflow_id) FROM aion.workflow_run ORDER BY 1;
SAVEPOINT s; SELECT aion.heartbeat_activity(token('slow')); ROLLBACK TO s;
SELECT aion_test.advance('30 min') > 0 AS done;
SELECT workflow_id, reopen(workflow_id) FROM aion.workflow_run WHERE workflow_id IN ('r 4', 'r 5') ORDER BY 1;
DELETE FROM held;
SELECT claim(), aion.complete_activity(token('slow'), '"again"');
SELECT aion_test.advance('2 days') > 0 AS done;
SELECT workflow_id, status, result, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT workflow_id, attributes FROM aion.workflow_run, aion.history(workflow_id) WHERE event_type = 'WorkflowReopened' ORDER BY 1;
-- the request was heard and handled: that stays
SELECT workflow_id, reopen(workflow_id) FROM aion.workflow_run WHERE workflow_id IN ('r 4', 'r 6') ORDER BY 1;
SELECT aion_test.run_until_idle() > 0 AS done;
SELECT workflow_id, status, aion_test.replay(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT what FROM done ORDER BY n;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Forked at each event: a request that the code had gone on after belongs to what it has seen, one at the end is not copied; signals are.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["block", [["receive", "s", "2 hours"], ["receive", "s", "2 hours"]], [["act", "cleaned"], ["receive", "s", "1 hour"]]], ["now"]]', workflow_id => 'f');
SELECT aion_test.run_until_idle(), aion.signal_workflow('f', 's', '1');
SELECT aion_test.advance('1 hour'), aion.cancel_workflow('f', 'enough');
SELECT aion_test.run_until_idle(), aion.signal_workflow('f', 's', '2');
SELECT aion_test.run_until_idle();
SELECT status, result, story('f') FROM aion.workflow_run;
SELECT count(aion.fork_workflow('f', n, 'f ' || to_char(n, 'fm00'))) FROM generate_series(1, (SELECT history_events FROM aion.workflow_run)::int) n;
SELECT aion_test.advance('1 day') > 0 AS advanced;
SELECT workflow_id, status, result, split_part(aion_test.replay(workflow_id), ' ', 1) AS replay FROM aion.workflow_run ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- From workflow to workflow: the effect on the other is made once, however often the code is executed; what is refused is recorded.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('code', '[["block", [["sleep", "1 day"]], [["now"]]], ["sleep", "1 day"]]', workflow_id => 'target');
SELECT aion.start_workflow('code', '[["act", "once"], ["sleep", "1 hour"], ["ask", "target"], ["act", "twice"], ["sleep", "1 hour"], ["ask", "nobody"], ["ask", ""], ["ask", "asker"], ["sleep", "2 days"], ["ask", "target"]]', workflow_id => 'asker');
SELECT aion_test.advance('5 hours') > 0 AS advanced;
SELECT status, story('asker') FROM aion.workflow_run WHERE workflow_id = 'asker';
SELECT attributes FROM aion.history('target') WHERE event_type = 'WorkflowCancelRequested';
SELECT aion.start_workflow('code', '[["sleep", "2 days"], ["ask", "target"], ["act", "late"]]', workflow_id => 'late asker');
SELECT aion_test.advance('4 days') > 0 AS advanced;
SELECT workflow_id, status, result, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT aion_test.replay(workflow_id) FROM aion.workflow_run ORDER BY workflow_id;
SELECT what FROM done ORDER BY n;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Raised by the code itself it is an error like any other; terminate and the run's timeout give no turn, and cancel what is open (74).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION impostor() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'cancelled?' USING ERRCODE = 'WF028'; END $$;
SELECT aion.register_workflow('impostor', 'impostor()') IS NOT NULL AS registered;
SELECT aion.start_workflow('impostor', workflow_id => 'impostor');
SELECT aion.start_workflow('code', '[["block", [["begin", "slow"], ["start", "t", "1 day"], ["all"]], [["act", "no turn"]]]]', workflow_id => 'terminated');
SELECT aion.start_workflow('code', '[["block", [["scope", "1 day", [["sleep", "2 days"]]]], [["act", "no turn"]]]]', workflow_id => 'timed out', timeout => '1 hour');
SELECT aion_test.run_until_idle() > 0 AS done;
SELECT aion.cancel_workflow('terminated'), aion.terminate_workflow('terminated', 'at once');
SELECT aion_test.advance('1 hour') > 0 AS advanced;
SELECT workflow_id, status, story(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT count(*) FROM done;
SELECT count(*) FROM aion.timer;
ROLLBACK;

-- The order saga, in optimistic and in stepwise turns: the same history and the same tables.
CREATE TABLE stock (order_id bigint, what text);
CREATE FUNCTION reserve_stock(o jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO stock VALUES ((o ->> 'order_id')::bigint, 'reserved') $$;
CREATE FUNCTION release_stock(o jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO stock VALUES ((o ->> 'order_id')::bigint, 'released') $$;
CREATE FUNCTION confirm_order(o jsonb) RETURNS void LANGUAGE sql AS $$ INSERT INTO stock VALUES ((o ->> 'order_id')::bigint, 'confirmed') $$;
SELECT aion.register_activity(a, (a || '(jsonb)')::regprocedure) FROM unnest('{reserve_stock,release_stock,confirm_order}'::text[]) a;
SELECT aion.register_activity(a, mode => 'external', start_to_close_timeout => '1 hour') FROM unnest('{take_payment,book_carrier,refund}'::text[]) a;
CREATE FUNCTION place_order(order_id bigint, amount numeric) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	o    jsonb := jsonb_build_object('order_id', order_id, 'amount', amount, 'key', aion.uuid());
	undo text[] := '{}';
	step text;
BEGIN
	PERFORM aion.run('reserve_stock', o);
	undo := array_prepend('release_stock', undo);
	undo := array_prepend('refund', undo);
	o := o || jsonb_build_object('receipt', aion.run('take_payment', o));
	PERFORM aion.run('book_carrier', o);
	PERFORM aion.run('confirm_order', o);
	RETURN jsonb_build_object('status', 'shipped', 'receipt', o -> 'receipt');
EXCEPTION WHEN OTHERS THEN
	FOREACH step IN ARRAY undo LOOP
		PERFORM aion.run(step, o, '{"retry": {"max_attempts": 50, "max_interval": "1 h"}}');
	END LOOP;
	IF SQLSTATE LIKE 'WA%' THEN
		RETURN jsonb_build_object('status', 'rejected', 'because', SQLERRM);
	END IF;
	RAISE;
END $$;
SELECT aion.register_workflow('place_order', 'place_order(bigint, numeric)') IS NOT NULL AS registered;
CREATE FUNCTION saga(how text, optimistic boolean) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	found jsonb;
BEGIN
	PERFORM set_config('aion.optimistic_turns', optimistic::text, true);
	PERFORM aion_test.mock_activity('refund', '"refunded"');
	IF how <> 'cancelled at payment' THEN PERFORM aion_test.mock_activity('take_payment', CASE how WHEN 'declined' THEN NULL ELSE '"r-1"'::jsonb END, CASE how WHEN 'declined' THEN '"declined"'::jsonb END); END IF;
	IF how NOT IN ('cancelled at payment', 'cancelled at carrier') THEN PERFORM aion_test.mock_activity('book_carrier', '"booked"'); END IF;
	PERFORM aion.start_workflow('place_order', '{"order_id": 7, "amount": 9.99}', workflow_id => 'saga');
	PERFORM aion_test.run_until_idle();
	PERFORM aion.cancel_workflow('saga', 'changed my mind');
	PERFORM aion_test.run_until_idle();
	SELECT jsonb_build_object('status', w.status, 'result', w.result, 'story', story('saga'), 'replay', left(aion_test.replay('saga'), 2),
			'stock', (SELECT jsonb_agg(what) FROM stock), 'timers', (SELECT count(*) FROM aion.timer)) INTO found FROM aion.workflow_run w WHERE w.workflow_id = 'saga';
	RAISE EXCEPTION USING ERRCODE = 'XX999';
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	RETURN found;
END $$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT how, saga(how, true) = saga(how, false) AS same, s ->> 'status' AS status, s ->> 'result' AS result, s ->> 'stock' AS stock, s ->> 'replay' AS replay, s ->> 'story' AS story
	FROM unnest('{shipped,declined,cancelled at payment,cancelled at carrier}'::text[]) how, LATERAL saga(how, true) s;
ROLLBACK;

-- An activity that was told and is waited for: in a fork, and when the run goes on after its end, no worker executes it any more, so it is not
-- begun again, nor waited for.
CREATE FUNCTION waits_for_it() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	h aion.handle := aion.start_activity('stay');
BEGIN
	RETURN aion.await(h) ->> 0;
EXCEPTION WHEN SQLSTATE 'WF028' THEN
	RETURN 'asked, ' || aion.cancel(h);
END $$;
SELECT aion.register_workflow('waits_for_it', 'waits_for_it()') IS NOT NULL AS registered;
SELECT aion.start_workflow('waits_for_it', workflow_id => 'told');
CALL aion.drive();
CREATE TABLE told AS SELECT task_token FROM aion.poll_activities('{default}', 'w');
SELECT aion.cancel_workflow('told');
CALL aion.drive();
SELECT aion.heartbeat_activity(task_token) AS unwanted FROM told;
SELECT aion.terminate_workflow('told'), aion.fork_workflow('told', 4, 'told, forked'), aion.reopen_workflow('told');
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^told' ORDER BY 1;
SELECT workflow_id, story(workflow_id), left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run WHERE workflow_id ~ '^told' ORDER BY 1;
SELECT aion.complete_activity(task_token) FROM told;
SELECT count(*) AS tasks FROM aion.activity_task WHERE workflow_id ~ '^told';

-- A run whose start has just come, and was not looked at, is asked like one that has begun; also by an activity of its first turn.
CREATE FUNCTION asks_itself() RETURNS text LANGUAGE sql AS $$ SELECT aion.cancel_workflow(aion.activity_info() ->> 'workflow_id') $$;
SELECT aion.register_activity('asks_itself', 'asks_itself()');
CREATE FUNCTION just_begun(itself boolean) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('act', '{"what": "begun"}');
	IF itself THEN PERFORM aion.run('asks_itself'); END IF;
	PERFORM aion.sleep('1 day');
	RETURN 'not asked';
END $$;
SELECT aion.register_workflow('just_begun', 'just_begun(boolean)') IS NOT NULL AS registered;
BEGIN;
SELECT count(aion.start_workflow('just_begun', jsonb_build_object('itself', i), workflow_id => 'just begun ' || i, start_at => clock_timestamp() + interval '0.1 s')) FROM unnest('{true,false}'::boolean[]) i;
SELECT pg_sleep(0.2);
SELECT aion.cancel_workflow('just begun false');
COMMIT;
CALL aion.drive();
CALL aion.drive();
SELECT workflow_id, status, blocked, story(workflow_id) FROM aion.workflow_run WHERE workflow_type = 'just_begun' ORDER BY 1;

RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY cancel_user, cancel_other CASCADE;
DROP ROLE cancel_user, cancel_other;
CREATE EXTENSION aion;
