--
-- Signals: receiving, sending, and what is left of them. Numbers in parentheses are those of the reference's invariants.
--
CREATE ROLE signal_user LOGIN;
CREATE ROLE signal_other LOGIN;
SELECT aion.grant_usage('signal_user'), aion.grant_usage('signal_other');
GRANT CREATE ON SCHEMA public TO signal_user;
CREATE FUNCTION sound() RETURNS TABLE (violation text, detail text) LANGUAGE sql SECURITY DEFINER AS 'SELECT violation, detail FROM aion.check_integrity()';
SET SESSION AUTHORIZATION signal_user;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';

-- An interpreter, so that each case is one line: the steps of a workflow as an array.
CREATE FUNCTION steps(steps jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	step jsonb;
	handles jsonb := '{}';
	said jsonb := '[]';
	answer jsonb;
	given text[];
	got record;
BEGIN
	FOR step IN SELECT * FROM jsonb_array_elements(steps) LOOP
		answer := '"ok"';
		given := ARRAY(SELECT handles ->> h FROM jsonb_array_elements_text(step #- '{0}') h);
		BEGIN
			CASE step ->> 0
				WHEN 'receive' THEN answer := coalesce(aion.receive(step ->> 1, (step ->> 2)::interval), '"SQL NULL"');
				WHEN 'until' THEN answer := coalesce(aion.receive(step ->> 1, until => (step ->> 2)::timestamptz), '"SQL NULL"');
				WHEN 'try' THEN answer := coalesce(aion.try_receive(step ->> 1), '"SQL NULL"');
				WHEN 'next' THEN handles := jsonb_set(handles, ARRAY[step ->> 1], to_jsonb(aion.next_signal(step ->> 2)::text));
				WHEN 'timer' THEN handles := jsonb_set(handles, ARRAY[step ->> 1], to_jsonb(aion.start_timer(step ->> 1, (step ->> 2)::interval)::text));
				WHEN 'await' THEN answer := aion.await((handles ->> (step ->> 1))::aion.handle, (step ->> 2)::interval);
				WHEN 'all' THEN answer := aion.await_all(given::aion.handle[]);
				WHEN 'settled' THEN answer := aion.await_settled(given::aion.handle[]);
				WHEN 'first' THEN answer := to_jsonb(f) FROM aion.await_first(given::aion.handle[]) f;
				WHEN 'first only' THEN answer := to_jsonb(f) FROM aion.await_first(given::aion.handle[], cancel_rest => true) f;
				WHEN 'cancel' THEN answer := to_jsonb(aion.cancel((handles ->> (step ->> 1))::aion.handle));
				WHEN 'info' THEN answer := coalesce(aion.signal_info(), '"SQL NULL"');
				WHEN 'sleep' THEN PERFORM aion.sleep((step ->> 1)::interval);
				WHEN 'send' THEN PERFORM aion.send_signal(step ->> 1, step ->> 2, step -> 3);
				WHEN 'fail' THEN RAISE EXCEPTION 'as it was told';
			END CASE;
		EXCEPTION WHEN OTHERS THEN
			IF step ->> 0 = 'fail' THEN RAISE; END IF;
			answer := to_jsonb(SQLSTATE || ' ' || SQLERRM);
		END;
		said := said || jsonb_build_array(answer);
	END LOOP;
	RETURN said;
END $$;
SELECT aion.register_workflow('steps', 'steps(jsonb)') IS NOT NULL AS registered;
-- Goes on by some time, and replays everything (11).
CREATE FUNCTION pass(duration interval) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion_test.run_until_idle();
	PERFORM aion_test.advance(duration);
	RETURN QUERY SELECT line FROM aion.workflow_run w, aion_test.replay(w.workflow_id) line
		WHERE w.started_at > now() - interval '100 years' AND line !~ '^ok' ORDER BY 1;
END $$;
CREATE FUNCTION start(id text, steps jsonb) RETURNS void LANGUAGE sql AS $$
	SELECT aion.start_workflow('steps', steps, workflow_id => id);
$$;
CREATE FUNCTION shown() RETURNS TABLE (id text, status text, said jsonb) LANGUAGE sql AS $$
	SELECT workflow_id, status, coalesce(result, error -> 'message') FROM aion.workflow_run ORDER BY run_key;
$$;

-- The k-th receive of a name gets the k-th signal of that name, early ones wait, names do not touch each other (57).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('order', '[["receive", "a"], ["receive", "b"], ["receive", "a"], ["try", "a"], ["try", "a"], ["info"]]');
SELECT start('waits', '[["info"], ["receive", "a"], ["info"], ["receive", "a"]]');
SELECT aion.signal_workflow('order', 'a', to_jsonb(n)) FROM generate_series(1, 3) n;
SELECT pass('1 hour');
SELECT workflow_id, awaiting, key, since, until FROM aion.pending_await ORDER BY 1;
SELECT aion.signal_workflow('order', 'b'), aion.signal_workflow('waits', 'a', '"early"', 'id 1');
SELECT pass('1 hour');
SELECT * FROM shown();
SELECT aion.signal_workflow('waits', 'a', 'null');
SELECT pass('1 hour');
SELECT said FROM shown() WHERE id = 'waits';
SELECT * FROM aion.explain('waits');
SELECT seq, event_type, key, attributes FROM aion.history('order');
SELECT * FROM sound();
ROLLBACK;

-- Timeouts: SQL NULL only if nothing came; nothing is consumed then (25). A timeout of zero, or one that is over, looks once more.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('late', '[["receive", "a", "1 day"], ["receive", "a"], ["receive", "a", "1 day"]]');
SELECT start('in time', '[["receive", "a", "1 day"], ["receive", "a", "1 day"], ["try", "a"]]');
SELECT start('there', '[["sleep", "1 hour"], ["receive", "a", "1 day"], ["receive", "a", "0"], ["until", "a", "2020-01-01"], ["receive", "a", "0"]]');
SELECT start('over', '[["receive", "a", "0"], ["receive", "a", "-1 day"], ["until", "a", "2020-01-01"], ["until", "a", "2026-01-02"]]');
SELECT start('bad', '[["receive", ""], ["receive", null], ["until", "a", "infinity"], ["receive", "a", "100000 years"], ["try", ""], ["next", "x", ""]]');
SELECT aion.signal_workflow('there', 'a', to_jsonb(n)) FROM generate_series(1, 3) n;
SELECT pass('6 hours');
SELECT aion.signal_workflow('in time', 'a', '"first"');
SELECT pass('2 days');
SELECT aion.signal_workflow('late', 'a', '"after"');
SELECT pass('2 days');
SELECT * FROM shown();
-- What is there already needs no timer; what came in time leaves none behind.
SELECT workflow_id, event_type, key FROM aion.history_event WHERE event_type ~ 'Timer' AND workflow_id IN ('there', 'in time') ORDER BY run_key, seq;
SELECT * FROM sound();
ROLLBACK;

-- Handles: in races, in pairs, cancelled, awaited again, foreign.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('race', '[["next", "a", "a"], ["next", "b", "b"], ["timer", "t", "1 day"], ["first", "a", "t", "b"], ["first", "a", "t"], ["await", "b"], ["try", "a"], ["try", "b"], ["await", "a"], ["cancel", "b"]]');
SELECT start('pair', '[["next", "1", "a"], ["next", "2", "a"], ["first", "1", "2"], ["first", "2", "1"], ["all", "1", "2"], ["settled", "2", "1", "2"], ["try", "a"]]');
SELECT start('all', '[["next", "1", "a"], ["next", "2", "b"], ["next", "3", "a"], ["all", "1", "2", "3"], ["info"], ["all"]]');
SELECT start('same', '[["next", "1", "a"], ["all", "1", "1"], ["try", "a"]]');
SELECT start('cancel', '[["next", "1", "a"], ["cancel", "1"], ["cancel", "1"], ["await", "1"], ["next", "2", "a"], ["settled", "2", "1"], ["try", "a"]]');
SELECT start('rest', '[["next", "1", "a"], ["next", "2", "b"], ["timer", "t", "1 day"], ["first only", "2", "1", "t"], ["await", "1"], ["receive", "a"]]');
SELECT start('late', '[["next", "1", "a"], ["await", "1", "1 day"], ["await", "1"]]');
SELECT start('lost', '[["next", "1", "a"], ["timer", "t", "1 hour"], ["cancel", "t"], ["all", "1", "t"], ["cancel", "1"], ["receive", "a"]]');
SELECT pass('1 hour');
SELECT aion.signal_workflow(id, 'b', to_jsonb(id || ' b')) FROM unnest('{race,all,rest,cancel}'::text[]) id;
SELECT pass('1 hour');
SELECT aion.signal_workflow(id, 'a', to_jsonb(id || ' a' || n)) FROM unnest('{race,pair,all,same,cancel,rest,lost}'::text[]) id, generate_series(1, 3) n;
SELECT pass('2 days');
SELECT aion.signal_workflow('late', 'a', '"came"');
SELECT pass('1 day');
SELECT * FROM shown();
SELECT workflow_id, name, payload, seq, sent_by FROM aion.unconsumed_signal ORDER BY run_key, seq;
SELECT * FROM sound();
ROLLBACK;

-- A run receives five thousand signals in one turn; nothing is recorded for that but the signals.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION count_up() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	total bigint := 0;
BEGIN
	FOR i IN 1..5000 LOOP
		total := total + aion.receive('n')::bigint;
	END LOOP;
	RETURN total;
END $$;
SELECT aion.register_workflow('count_up', 'count_up()') IS NOT NULL AS registered;
SELECT aion.start_workflow('count_up', workflow_id => 'count');
SELECT count(aion.signal_workflow('count', 'n', to_jsonb(n))) FROM generate_series(1, 5000) n;
SELECT aion_test.run_until_idle();
SELECT status, result, history_events FROM aion.workflow_run;
ROLLBACK;

-- What was sent under an id is taken once, whether it waits, is recorded, or was rolled back.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('dedup', '[["receive", "a"], ["receive", "a"], ["receive", "a"], ["sleep", "1 day"], ["try", "a"]]');
SELECT aion.signal_workflow('dedup', 'a', '1', dedup_id => 'x'), aion.signal_workflow('dedup', 'a', '2', dedup_id => 'x'), aion.signal_workflow('dedup', 'b', '3', dedup_id => 'x');
SELECT pass('0');
SELECT aion.signal_workflow('dedup', 'a', '4', dedup_id => 'x') AS known;
SAVEPOINT undone;
SELECT aion.signal_workflow('dedup', 'a', '5', dedup_id => 'y');
ROLLBACK TO undone;
SELECT aion.signal_workflow('dedup', 'a', '6', dedup_id => 'y'), aion.signal_workflow('dedup', 'a', '7'), aion.signal_workflow('dedup', 'a', '7');
SELECT workflow_id, kind, name, payload, sent_by, sent_at, dedup_id FROM aion.inbox ORDER BY arrival;
SELECT pass('2 days');
SELECT * FROM shown();
SELECT * FROM sound();
ROLLBACK;

-- Recorded and not executed: a run that is scheduled for later (58).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('steps', '[["receive", "a"], ["receive", "a"]]', workflow_id => 'tomorrow', start_at => '2026-01-02 00:00+00');
SELECT aion.signal_workflow('tomorrow', 'a', '1');
SELECT aion_test.run_until_idle();
SELECT seq, event_type, key FROM aion.history('tomorrow');
SELECT aion.signal_workflow('tomorrow', 'a', '2');
SELECT pass('2 days');
SELECT * FROM shown();
SELECT * FROM sound();
ROLLBACK;

-- Ends: all that was accepted was consumed or is listed (56, 59), whatever ends the run.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('returns', '[["receive", "a"]]'), start('fails', '[["receive", "a"], ["fail"]]'), start('terminated', '[["receive", "a"], ["sleep", "1 year"]]');
SELECT aion.start_workflow('steps', '[["receive", "a"], ["sleep", "1 year"]]', workflow_id => 'times out', timeout => '1 day');
SELECT aion.start_workflow('steps', '[["receive", "a"]]', workflow_id => 'never ran', start_at => '2027-01-01');
SELECT count(aion.signal_workflow(id, name, to_jsonb(n))) FROM unnest('{returns,fails,terminated,"times out","never ran"}'::text[]) id, unnest('{a,b}'::text[]) name, generate_series(1, 2) n;
SELECT pass('1 hour');
SELECT aion.signal_workflow('terminated', 'a', '3'), aion.signal_workflow('times out', 'a', '3');
SELECT aion.terminate_workflow('terminated'), aion.terminate_workflow('never ran');
SELECT pass('2 days');
SELECT id, status FROM shown();
SELECT workflow_id, name, payload, seq, sent_at FROM aion.unconsumed_signal ORDER BY run_key, seq;
SELECT * FROM aion.inbox;
SELECT * FROM sound();
SELECT aion.signal_workflow('terminated', 'a');
ROLLBACK;

-- Sending from code: exactly once, refusals are recorded and raised, in replays too (16).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('gone', '[]');
SELECT aion_test.run_until_idle();
SELECT start('to', '[["receive", "a"], ["receive", "b"], ["info"], ["try", "a"], ["receive", "c", "1 day"]]');
SELECT start('from', '[["send", "to", "a", 1], ["send", "nobody", "a"], ["send", "gone", "a"], ["sleep", "1 hour"], ["send", "to", "b"], ["send", "from", "x", "mine"], ["receive", "x"], ["send", "", "x"], ["send", "to", ""]]');
SELECT pass('2 days');
SELECT * FROM shown();
SELECT seq, event_type, key, attributes FROM aion.history('from') WHERE event_type ~ 'Signal|Command';
SELECT * FROM aion.explain('from');
SELECT * FROM sound();
ROLLBACK;

-- Two that send to each other (R22).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT start('A', '[["send", "B", "s", "from A"], ["receive", "s"]]'), start('B', '[["send", "A", "s", "from B"], ["receive", "s"]]');
SELECT pass('1 hour');
SELECT * FROM shown();
ROLLBACK;

-- An activity may send, to its own run, too: that is part of its transaction (C1).
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
CREATE FUNCTION tell(id text, fail boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.signal_workflow(id, 'told', to_jsonb(fail));
	IF fail THEN RAISE EXCEPTION 'no'; END IF;
	RETURN true;
END $$;
CREATE FUNCTION told() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	first boolean := aion.run('tell', jsonb_build_object('id', aion.workflow_id(), 'fail', false));
BEGIN
	PERFORM aion.run('tell', jsonb_build_object('id', aion.workflow_id(), 'fail', true));
EXCEPTION WHEN SQLSTATE 'WA001' THEN
	RETURN jsonb_build_array(aion.receive('told'), aion.receive('told', timeout => '1 min'));
END $$;
SELECT aion.register_activity('tell', 'tell(text, boolean)'), aion.register_workflow('told', 'told()') IS NOT NULL AS registered;
SELECT aion.start_workflow('told', workflow_id => 'told');
SELECT pass('1 hour');
SELECT * FROM shown();
ROLLBACK;

-- Starting and signalling in one.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.signal_with_start('steps', '[["receive", "a"], ["receive", "a"]]', 'once', 'a', '1');
SELECT aion.signal_with_start('steps', '[]', 'once', 'a', '2', dedup_id => 'x');
SELECT aion.signal_with_start('steps', '[]', 'once', 'a', '2', dedup_id => 'x');
SELECT pass('1 hour');
SELECT aion.signal_with_start('steps', '[["receive", "a"]]', 'once', 'a', '3', memo => '"again"');
SELECT length(aion.signal_with_start('steps', '[["receive", "a"]]', NULL, 'a')) AS made_up;
SELECT pass('1 hour');
SELECT CASE id WHEN 'once' THEN id END AS id, status, said FROM shown();
SAVEPOINT refused;
SELECT aion.signal_with_start('steps', '[]', 'once', 'a', if_closed => 'error');
ROLLBACK TO refused;
SELECT aion.signal_with_start('steps', '[]', 'once', 'a', if_closed => 'use_existing');
ROLLBACK TO refused;
SELECT aion.signal_with_start('steps', '[["sleep", "1 day"]]', 'once', 'a'), aion.signal_with_start('steps', '[]', 'once', 'a', if_running => 'error');
ROLLBACK TO refused;
SELECT aion.signal_with_start('nothing', '[]', 'once', 'a');
ROLLBACK TO refused;
SELECT aion.signal_with_start('steps', '[]', 'once', '');
ROLLBACK TO refused;
SELECT * FROM sound();
ROLLBACK;

-- Refusals change nothing.
SELECT aion.start_workflow('steps', '[["receive", "a"]]', workflow_id => 'mine');
CALL aion.drive();
SELECT aion.signal_workflow('nobody', 'a');
SELECT aion.signal_workflow(NULL, 'a');
SELECT aion.signal_workflow('mine', NULL);
SELECT aion.signal_workflow('mine', '');
SELECT aion.signal_workflow('mine', repeat('x', 256));
SELECT aion.signal_workflow('mine', 'a', dedup_id => '');
SELECT aion.signal_workflow('mine', 'a', dedup_id => repeat('x', 1025));
SET SESSION AUTHORIZATION DEFAULT;
SET aion.max_payload_size = '1kB';
SELECT aion.signal_workflow('mine', 'a', to_jsonb(repeat('x', 2000)));
RESET aion.max_payload_size;
SET SESSION AUTHORIZATION signal_other;
SELECT aion.signal_workflow('mine', 'a');
SELECT count(*) FROM aion.inbox;
SELECT * FROM aion._inbox;
SET SESSION AUTHORIZATION signal_user;
SELECT aion.receive('a');
SELECT aion.try_receive('a');
SELECT aion.next_signal('a');
SELECT aion.send_signal('mine', 'a');
SELECT aion.signal_info();
BEGIN;
SELECT aion.signal_workflow('mine', 'a');
SELECT aion.await_workflow('mine', '1 s');
ROLLBACK;
CALL aion.drive();
SELECT seq, event_type FROM aion.history('mine');

-- A signal without the argument, or with SQL NULL, is json null. A purge removes what was left, but no arrival that is not processed yet.
SELECT aion.signal_workflow('mine', 'a', NULL), aion.signal_workflow('mine', 'b', dedup_id => 'left');
CALL aion.drive();
SELECT result FROM aion.workflow_run;
SELECT workflow_id, name, payload, dedup_id FROM aion.unconsumed_signal;
SET SESSION AUTHORIZATION DEFAULT;
INSERT INTO aion._inbox (run_key, sent_at, owner_key, kind, name, sender, payload)
	SELECT run_key, now(), owner_key, 'signal', 'late', 'somebody', '1' FROM aion._run;
SET SESSION AUTHORIZATION signal_user;
SELECT aion.purge_workflows('0') AS purged;
SELECT workflow_id, kind, name FROM aion.inbox;
SET SESSION AUTHORIZATION DEFAULT;
CREATE ROLE signal_monitor;
SELECT aion.grant_usage('signal_monitor', 'monitor');
SET ROLE signal_monitor;
SELECT name, payload, sent_by FROM aion.inbox UNION ALL SELECT name, payload, sent_by FROM aion.unconsumed_signal ORDER BY 1;
RESET ROLE;
DROP OWNED BY signal_monitor;
DROP ROLE signal_monitor;
SET SESSION AUTHORIZATION signal_user;
CALL aion.drive();
SELECT workflow_id, name, payload, sent_by, seq FROM aion.unconsumed_signal ORDER BY seq;
SET SESSION AUTHORIZATION DEFAULT;
SELECT * FROM sound();
SET SESSION AUTHORIZATION signal_user;
SELECT aion.purge_workflows('0') AS purged;
SET SESSION AUTHORIZATION DEFAULT;
SELECT (SELECT count(*) FROM aion._inbox) + (SELECT count(*) FROM aion._late_signal) + (SELECT count(*) FROM aion._signal_id) AS left_over;
SELECT * FROM sound();

-- The checks check.
SET SESSION AUTHORIZATION signal_user;
SELECT aion.start_workflow('steps', '[["receive", "a"], ["sleep", "1 day"]]', workflow_id => 'checked');
SELECT aion.signal_workflow('checked', 'b', dedup_id => 'x'), aion.signal_workflow('checked', 'b');
CALL aion.drive();
SET SESSION AUTHORIZATION DEFAULT;
SELECT unread FROM aion._run;
CREATE FUNCTION violations_of(sabotage text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text;
BEGIN
	EXECUTE sabotage;
	SELECT coalesce(string_agg(DISTINCT violation, ', '), 'sound') INTO found FROM aion.check_integrity();
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = found;
EXCEPTION WHEN SQLSTATE 'ZZ000' THEN
	RETURN SQLERRM;
END $$;
SELECT violations_of(s) FROM unnest(ARRAY[
	$$UPDATE aion._run SET unread = '{"b": 1}'$$,
	$$UPDATE aion._run SET unread = '{"a": 2}'$$,
	$$DELETE FROM aion._signal_id$$,
	$$INSERT INTO aion._signal_id SELECT run_key, owner_key, 'y' FROM aion._run$$,
	$$INSERT INTO aion._inbox (run_key, sent_at, owner_key, kind, name, sender, dedup_id) SELECT run_key, now(), owner_key, 'signal', 'b', 'x', 'x' FROM aion._run$$,
	$$INSERT INTO aion._inbox (run_key, sent_at, owner_key, kind, sender) VALUES (-1, now(), 1, 'signal', 'x')$$,
	$$INSERT INTO aion._late_signal SELECT run_key, 1, now(), owner_key, 'b', 'x', NULL, '1' FROM aion._run$$]) s;

DROP FUNCTION violations_of(text);
SELECT aion.terminate_workflow('checked');
SELECT aion.purge_workflows('0');
DROP FUNCTION sound();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY signal_user, signal_other CASCADE;
DROP ROLE signal_user, signal_other;
CREATE EXTENSION aion;
