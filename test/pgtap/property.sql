--
-- Random workflows, driven in one go by optimistic turns, and in random slices step by step with a replay between every two
-- turns (R30), give the same commands, results, answers to queries (79, T98), history and tables, while signals arrive, and what they
-- have asked for by mistake is mended (11.22). So do slices in which the run is paused and resumed, and ended and reopened, at random
-- moments, but for the marks of that, and unless it is blocked meanwhile; and a fork of any prefix comes to an end. (Invariants 10-14,
-- 16-19, 21, 24, 25, 33-37, 41, 57, 75-77.) A failing seed is printed with its program; add it
-- to the list of seeds that are tried every time.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE ROLE property_user LOGIN;
SELECT aion.grant_usage('property_user', 'admin');
CREATE SCHEMA property AUTHORIZATION property_user;
GRANT ALL ON SCHEMA public TO property_user;
SET SESSION AUTHORIZATION property_user;
SET search_path = property, public;

-- Chance for the programs: the same on every machine. A setting, since a row would leave a version behind with every roll.
CREATE FUNCTION roll(sides int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	s bigint := (current_setting('property.chance')::bigint * 1103515245 + 12345) % 2147483648;
BEGIN
	PERFORM set_config('property.chance', s::text, true);
	RETURN (s / 65536) % sides;
END $$;
-- No timer is due at once: whether it or an activity beside it is recorded first depends on where a slice ends.
CREATE FUNCTION program(depth int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	ops jsonb := '[]';
	name text;
BEGIN
	FOR i IN 1..1 + roll(4) LOOP
		name := chr(97 + roll(3));
		ops := ops || jsonb_build_array(CASE roll(CASE WHEN depth > 0 THEN 36 ELSE 27 END)
			WHEN 0 THEN jsonb_build_array('sleep', roll(1000))
			WHEN 1 THEN jsonb_build_array('sleep', 0)
			WHEN 2 THEN jsonb_build_array('until', roll(2000) - 200)
			WHEN 3 THEN jsonb_build_array('start', name, greatest(roll(1000), 1))
			WHEN 4 THEN jsonb_build_array('start', name, greatest(roll(1000), 1))
			WHEN 5 THEN jsonb_build_array('cancel', name)
			WHEN 6 THEN jsonb_build_array('await', name)
			WHEN 7 THEN jsonb_build_array('act', 'a' || roll(100))
			WHEN 8 THEN jsonb_build_array('act', 'b' || roll(100))
			WHEN 9 THEN jsonb_build_array('fail', 'c' || roll(100))
			WHEN 10 THEN jsonb_build_array('sql', roll(100))
			WHEN 11 THEN jsonb_build_array('deferred', roll(100))
			WHEN 12 THEN jsonb_build_array('know')
			WHEN 13 THEN jsonb_build_array('chance')
			WHEN 14 THEN jsonb_build_array('raise', CASE WHEN roll(3) = 0 THEN 'X' ELSE 'catch me' END)
			WHEN 15 THEN jsonb_build_array('fan', roll(4), roll(5), roll(32), roll(1000))
			WHEN 16 THEN jsonb_build_array('map', roll(2), roll(6), roll(4), roll(64))
			WHEN 17 THEN jsonb_build_array('timeout', name, roll(1000))
			WHEN 18 THEN jsonb_build_array('publish', name, roll(3))
			WHEN 19 THEN jsonb_build_array('handler', name, roll(2))
			WHEN 20 THEN jsonb_build_array('receive', name, roll(1000) - 100)
			WHEN 21 THEN jsonb_build_array('try', name)
			WHEN 22 THEN jsonb_build_array('signals', name, chr(97 + roll(3)), roll(6), roll(600))
			WHEN 23 THEN jsonb_build_array('send', (ARRAY['q', 'nobody'])[1 + roll(2)], name)
			WHEN 24 THEN jsonb_build_array('asked')
			WHEN 25 THEN jsonb_build_array('mistake', roll(3), roll(300))
			WHEN 26 THEN jsonb_build_array('mistaken', roll(3), roll(300))
			WHEN 27 THEN jsonb_build_array('loop', 1 + roll(3), program(depth - 1))
			WHEN 28 THEN jsonb_build_array('block', program(depth - 1), program(depth - 1))
			WHEN 29 THEN jsonb_build_array('block', program(depth - 1) || '[["raise", "planned"]]', program(depth - 1))
			WHEN 30 THEN jsonb_build_array('either', program(depth - 1), program(depth - 1))
			WHEN 31 THEN jsonb_build_array('scope', greatest(roll(1000), 1), program(depth - 1), program(depth - 1))
			WHEN 32 THEN jsonb_build_array('scope', greatest(roll(1000), 1), program(depth - 1), program(depth - 1))
			WHEN 33 THEN jsonb_build_array('with', greatest(roll(1000), 1), program(depth - 1))
			WHEN 34 THEN jsonb_build_array('shield', program(depth - 1))
			ELSE jsonb_build_array('call', program(depth - 1)) END);
	END LOOP;
	RETURN ops;
END $$;

-- What the programs do to the database.
CREATE TABLE effect (id int, what text, CONSTRAINT once EXCLUDE (what WITH =) WHERE (what ~ '^unique') DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION act(what text, fail boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO effect SELECT count(*), act.what FROM effect;
	IF fail THEN RAISE EXCEPTION 'failed: %', what; END IF;
	RETURN 'did ' || what;
END $$;
SELECT aion.register_activity('act', 'act(text, boolean)');
-- What they ask for by mistake: an activity that takes no odd number, and one that there is not. At some moment that is mended.
CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
CREATE FUNCTION picky(n even) RETURNS int LANGUAGE sql AS 'SELECT n::int';
SELECT aion.register_activity('picky', 'picky(even)');
CREATE FUNCTION took(input jsonb) RETURNS text LANGUAGE sql AS $$ SELECT act('mended') $$;
CREATE FUNCTION mend() RETURNS void LANGUAGE sql AS $$ SELECT aion.register_activity('missing', 'took(jsonb)'), aion.register_activity('picky', 'took(jsonb)') $$;
CREATE FUNCTION ask(kind int, seconds int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	handles aion.handle[];
BEGIN
	IF kind = 0 THEN RETURN aion.run('missing'); END IF;
	IF kind = 1 THEN RETURN aion.run('picky', '{"n": 3}'); END IF;
	handles := ARRAY[aion.start_activity('act', '{"what": "fine"}'), aion.start_activity('picky', '{"m": 2}')];
	PERFORM aion.sleep(make_interval(secs => seconds));
	RETURN aion.await_all(handles);
END $$;

CREATE FUNCTION echo0(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT jsonb_build_array(state, args)';
CREATE FUNCTION echo1(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT jsonb_build_array(args, state)';

-- The interpreter. State is threaded through: what the code has seen, and its handles.
CREATE FUNCTION interpret(ops jsonb, state jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	op jsonb;
	said text;
	handles aion.handle[];
	scope aion.scope;
BEGIN
	FOR op IN SELECT * FROM jsonb_array_elements(ops) LOOP
		said := NULL;
		CASE op ->> 0
			WHEN 'sleep' THEN PERFORM aion.sleep(make_interval(secs => (op ->> 1)::int));
			WHEN 'until' THEN PERFORM aion.sleep_until(aion.now() + make_interval(secs => (op ->> 1)::int));
			WHEN 'start' THEN
				BEGIN
					state := jsonb_set(state, ARRAY['handle', op ->> 1], to_jsonb(aion.start_timer(op ->> 1, make_interval(secs => (op ->> 2)::int))::text));
				EXCEPTION WHEN SQLSTATE 'WF014' THEN
					said := SQLERRM;
				END;
			WHEN 'cancel' THEN said := aion.cancel_timer(op ->> 1);
			WHEN 'await' THEN
				BEGIN
					IF state -> 'handle' ? (op ->> 1) THEN
						PERFORM aion.await((state #>> ARRAY['handle', op ->> 1])::aion.handle);
						said := 'fired';
					END IF;
				EXCEPTION WHEN SQLSTATE 'WF027' THEN
					said := SQLERRM;
				END;
			WHEN 'act' THEN said := aion.run('act', jsonb_build_object('what', op ->> 1)) #>> '{}';
			WHEN 'fail' THEN
				BEGIN
					PERFORM aion.run('act', jsonb_build_object('what', op ->> 1, 'fail', true));
				EXCEPTION WHEN SQLSTATE 'WA000' THEN
					said := SQLSTATE || ' ' || (aion.failure() ->> 'message');
				END;
			WHEN 'fan' THEN
				handles := '{}';
				FOR i IN 1..(op ->> 2)::int LOOP
					handles := handles || aion.start_activity('act', jsonb_build_object('what', 'fan' || i, 'fail', (op ->> 3)::int >> i & 1 = 1));
				END LOOP;
				IF state -> 'handle' ? 'a' THEN
					handles := handles || (state #>> '{handle,a}')::aion.handle;
				END IF;
				BEGIN
					said := CASE WHEN (op ->> 1)::int = 0 OR cardinality(handles) = 0 THEN aion.await_all(handles)::text
						WHEN (op ->> 1)::int = 1 THEN jsonb_path_query_array(aion.await_settled(handles), '$[*].**.message')::text
						ELSE (SELECT f::text FROM aion.await_first(handles, (op ->> 1)::int = 2) f) END;
				EXCEPTION WHEN SQLSTATE 'WA000' OR SQLSTATE 'WF027' THEN
					said := SQLSTATE || ' ' || SQLERRM || ' ' || aion.cancel(handles[1]);
				END;
			WHEN 'map' THEN
				BEGIN
					said := (CASE WHEN (op ->> 1)::int = 0
						THEN aion.map('act', (SELECT coalesce(jsonb_agg(jsonb_build_object('what', 'map' || i, 'fail', (op ->> 4)::int >> i & 1 = 1)), '[]') FROM generate_series(1, (op ->> 2)::int) i),
							jsonb_build_object('concurrency', 1 + (op ->> 3)::int))
						ELSE jsonb_path_query_array(aion.map_settled('act', (SELECT coalesce(jsonb_agg(jsonb_build_object('what', 'map' || i, 'fail', (op ->> 4)::int >> i & 1 = 1)), '[]')
							FROM generate_series(1, (op ->> 2)::int) i)), '$[*].ok') END)::text;
				EXCEPTION WHEN SQLSTATE 'WA000' THEN
					said := SQLSTATE || ' ' || SQLERRM;
				END;
			WHEN 'timeout' THEN
				BEGIN
					IF state -> 'handle' ? (op ->> 1) THEN
						PERFORM aion.await((state #>> ARRAY['handle', op ->> 1])::aion.handle, make_interval(secs => (op ->> 2)::int));
						said := 'in time';
					END IF;
				EXCEPTION WHEN SQLSTATE 'WF027' OR SQLSTATE 'WF013' THEN
					said := SQLSTATE;
				END;
			WHEN 'receive' THEN said := coalesce(aion.receive(op ->> 1, make_interval(secs => (op ->> 2)::int))::text, 'nothing') || coalesce(aion.signal_info() ->> 'dedup_id', '');
			WHEN 'try' THEN said := coalesce(aion.try_receive(op ->> 1)::text, 'nothing');
			WHEN 'signals' THEN
				handles := ARRAY[aion.next_signal(op ->> 1), aion.next_signal(op ->> 2)];
				BEGIN
					CASE (op ->> 3)::int
						WHEN 0 THEN said := aion.await(handles[2], make_interval(secs => (op ->> 4)::int));
						WHEN 1 THEN said := (SELECT f::text FROM aion.await_first(handles || aion.start_activity('act', jsonb_build_object('what', 'race'))) f);
						WHEN 2 THEN said := (SELECT f::text FROM aion.await_first(handles || aion.start_timer('signals', make_interval(secs => (op ->> 4)::int)), true) f) || aion.cancel(handles[1]);
						WHEN 3 THEN said := aion.cancel(handles[1]) || (SELECT f::text FROM aion.await_first(handles) f);
						WHEN 4 THEN said := aion.await(handles[1], make_interval(secs => (op ->> 4)::int))::text || aion.await_settled(handles[1:1] || handles[1])::text;
						ELSE said := coalesce(aion.receive(op ->> 1, until => aion.now() + make_interval(secs => (op ->> 4)::int))::text, 'nothing');
					END CASE;
				EXCEPTION WHEN SQLSTATE 'WF013' OR SQLSTATE 'WF008' OR SQLSTATE 'WF014' THEN
					said := SQLERRM;
				END;
			WHEN 'send' THEN
				BEGIN
					PERFORM aion.send_signal(op ->> 1, 's', to_jsonb(op ->> 2));
				EXCEPTION WHEN SQLSTATE 'WF001' THEN
					said := SQLERRM;
				END;
			WHEN 'sql' THEN said := aion.run_sql('INSERT INTO property.effect SELECT count(*), $1 FROM property.effect RETURNING id', jsonb_build_array(op -> 1))::text;
			WHEN 'deferred' THEN
				BEGIN
					said := aion.run_sql('INSERT INTO property.effect SELECT count(*), $1 FROM property.effect RETURNING id', jsonb_build_array('unique'))::text;
				EXCEPTION WHEN SQLSTATE 'WA001' THEN
					said := aion.failure() ->> 'constraint';
				END;
			WHEN 'know' THEN said := extract(epoch FROM aion.now() - (state ->> 'began')::timestamptz) || ' ' || aion.workflow_id();
			WHEN 'chance' THEN said := aion.random() || ' ' || aion.random_int(-5, 5) || ' ' || aion.uuid();
			WHEN 'publish' THEN PERFORM aion.publish(op ->> 1, CASE op ->> 2 WHEN '0' THEN state - 'began' WHEN '1' THEN op -> 2 END);
			WHEN 'handler' THEN PERFORM aion.on_query(op ->> 1, ('property.echo' || (op ->> 2) || '(jsonb, jsonb)')::regprocedure, state - 'began');
			WHEN 'raise' THEN RAISE EXCEPTION '%', op ->> 1;
			WHEN 'mistake' THEN said := ask((op ->> 1)::int, (op ->> 2)::int);
			WHEN 'mistaken' THEN
				BEGIN
					said := ask((op ->> 1)::int, (op ->> 2)::int);
				EXCEPTION WHEN SQLSTATE 'WF005' OR SQLSTATE 'WF014' THEN
					said := SQLSTATE || ' ' || SQLERRM || ' ' || (aion.failure() ->> 'kind');
				END;
			WHEN 'loop' THEN
				FOR i IN 1..(op ->> 1)::int LOOP
					state := interpret(op -> 2, state);
				END LOOP;
			WHEN 'block' THEN
				BEGIN
					state := interpret(op -> 1, state);
				EXCEPTION WHEN OTHERS THEN
					IF SQLERRM = 'X' THEN RAISE; END IF;
					state := interpret(op -> 2, jsonb_set(state, '{said}', state -> 'said' || to_jsonb('caught ' || SQLERRM)));
				END;
			WHEN 'either' THEN state := interpret(CASE WHEN aion.random() < 0.5 THEN op -> 1 ELSE op -> 2 END, state);
			WHEN 'call' THEN state := interpret(op -> 1, state);
			WHEN 'asked' THEN said := aion.cancel_requested();
			WHEN 'scope' THEN
				BEGIN
					scope := aion.begin_timeout(make_interval(secs => (op ->> 1)::int));
					state := interpret(op -> 2, state);
					PERFORM aion.end_timeout(scope);
				EXCEPTION WHEN SQLSTATE 'WF026' THEN
					state := interpret(op -> 3, jsonb_set(state, '{said}', state -> 'said' || to_jsonb(SQLERRM || (aion.failure() ->> 'detail'))));
				END;
			WHEN 'with' THEN state := aion.with_timeout(make_interval(secs => (op ->> 1)::int), 'property.part(jsonb,jsonb)', jsonb_build_object('ops', op -> 2, 'state', state));
			WHEN 'shield' THEN
				PERFORM aion.shield(true);
				state := interpret(op -> 1, state);
				PERFORM aion.shield(false);
		END CASE;
		IF said IS NOT NULL THEN
			state := jsonb_set(state, '{said}', state -> 'said' || to_jsonb((op ->> 0) || ': ' || said));
		END IF;
	END LOOP;
	RETURN state;
END $$;
CREATE FUNCTION part(ops jsonb, state jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT interpret(ops, state) $$;
CREATE FUNCTION random_workflow(program jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN interpret(program, jsonb_build_object('said', '[]'::jsonb, 'handle', '{}'::jsonb, 'began', aion.now())) - 'began';
END $$;
SELECT aion.register_workflow('random', 'random_workflow(jsonb)');
-- Whom the programs send signals to.
CREATE FUNCTION sink() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		PERFORM aion.receive('s');
	END LOOP;
END $$;
SELECT aion.register_workflow('sink', 'sink()');
-- What is sent to them, and when: seconds after the start.
CREATE TABLE sent (id int, after int, name text);
-- Goes on by some seconds, at most to the next signal, which is sent when nothing is left to do before it.
CREATE FUNCTION go_on(began timestamptz, seconds int, most bigint DEFAULT NULL) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	next sent;
	turns bigint;
BEGIN
	SELECT * INTO next FROM sent WHERE sent.id > coalesce(current_setting('property.sent', true)::int, 0) AND EXISTS
		(SELECT FROM aion.workflow_run w WHERE w.workflow_id = 'p' AND w.closed_at IS NULL) ORDER BY after, id LIMIT 1;
	turns := aion_test.advance(make_interval(secs => least(seconds, next.after - extract(epoch FROM aion_test.now() - began))), max_turns => coalesce(most, 9223372036854775807));
	IF next.after = extract(epoch FROM aion_test.now() - began) AND coalesce(turns < most, true)
			AND EXISTS (SELECT FROM aion.workflow_run w WHERE w.workflow_id = 'p' AND w.closed_at IS NULL) THEN
		IF next.name IS NULL THEN PERFORM aion.cancel_workflow('p', next.id::text); -- without a name it is a request to cancel
		ELSIF next.name = 'mend' THEN PERFORM mend();
		ELSE PERFORM aion.signal_workflow('p', next.name, to_jsonb(next.id), CASE WHEN next.id % 2 = 0 THEN 'id' || next.id % 8 END);
		END IF;
		PERFORM set_config('property.sent', next.id::text, true);
	END IF;
	RETURN turns;
END $$;

CREATE FUNCTION answer(q text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_array(aion.query_workflow('p', q), 'published');
EXCEPTION WHEN SQLSTATE 'WF006' THEN
	RETURN '"unknown"';
END $$;
-- All that a run leaves behind, moments counted from its start.
CREATE FUNCTION traces() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object(
		'run', (SELECT to_jsonb(w) - '{run_key,started_at,closed_at,history_events}'::text[] #- '{error,context}' || jsonb_build_object('took', closed_at - started_at) FROM aion.workflow_run w WHERE workflow_id = 'p'),
		'history', (SELECT jsonb_agg(jsonb_build_array(h.event_type, h.key, h.recorded_at - w.started_at, h.attributes - '{fire_at,until,sent_at,ended_on}'::text[] #- '{error,context}', (h.attributes ->> 'fire_at')::timestamptz - w.started_at) ORDER BY h.seq)
			FROM aion.history('p') h, aion.workflow_run w WHERE w.workflow_id = 'p' AND h.event_type NOT IN ('WorkflowPaused', 'WorkflowResumed', 'WorkflowReopened', 'WorkflowBlocked', 'WorkflowUnblocked')
				AND NOT EXISTS (SELECT FROM aion.history('p') r WHERE r.event_type = 'WorkflowReopened' AND r.attributes -> 'supersedes' @> to_jsonb(h.seq))),
		'blocked', (SELECT jsonb_agg(DISTINCT h.attributes) FROM aion.history('p') h WHERE h.event_type = 'WorkflowBlocked'), -- not compared: it depends on the slices
		'answers', (SELECT jsonb_object_agg(q, answer(q)) FROM unnest('{a,b,c}'::text[]) q),
		'sent', (SELECT jsonb_agg(h.attributes -> 'payload' ORDER BY h.seq) FROM aion.history('q') h WHERE h.event_type = 'SignalReceived'),
		'unconsumed', (SELECT jsonb_agg(jsonb_build_array(u.name, u.payload) ORDER BY u.seq) FROM aion.unconsumed_signal u WHERE u.workflow_id = 'p'),
		'effects', (SELECT jsonb_agg(to_jsonb(e) ORDER BY id) FROM effect e),
		'timers', (SELECT count(*) FROM aion.timer),
		'violations', (SELECT jsonb_agg(to_jsonb(c)) FROM aion.check_integrity() c))
$$;
-- Does something to the run that changes nothing in the end.
CREATE FUNCTION meddle() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE (CASE WHEN EXISTS (SELECT FROM sent WHERE name IS NULL AND id <= current_setting('property.sent')::int) THEN 3 * least(roll(8), 1)
			ELSE roll(8) END) -- a reopen forgets requests
		WHEN 0 THEN PERFORM aion.pause_workflow('p'), aion.resume_workflow('p');
		WHEN 1 THEN PERFORM aion.terminate_workflow('p'), aion.reopen_workflow('p');
		WHEN 2 THEN PERFORM aion.pause_workflow('p'), aion.terminate_workflow('p'), aion.reopen_workflow('p');
		ELSE NULL;
	END CASE;
END $$;
-- A run that failed may be reopened, if its code asked for nothing afterwards. What is made again is recorded after what was not, so
-- it need not come to the same end.
CREATE FUNCTION reopened() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.reopen_workflow('p') IS NOT NULL;
EXCEPTION WHEN SQLSTATE 'WF008' THEN
	RETURN false;
END $$;
-- Drives a program: in one go, or in slices of time and turn by turn, with a replay between every two, or in slices while the test
-- meddles. What was done is undone.
CREATE FUNCTION driven(program jsonb, how text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	found_traces jsonb;
	said text;
	before bigint;
	began timestamptz;
BEGIN
	PERFORM set_config('aion.optimistic_turns', (how = 'whole')::text, true);
	BEGIN
		PERFORM set_config('property.sent', '0', true);
		PERFORM aion.start_workflow('sink', workflow_id => 'q'), aion.start_workflow('random', program, workflow_id => 'p');
		began := aion_test.now();
		IF how = 'whole' THEN
			FOR i IN 1..20 LOOP
				PERFORM go_on(began, 31536000);
			END LOOP;
		ELSE
			FOR i IN 1..5000 LOOP
				EXIT WHEN NOT EXISTS (SELECT FROM aion.workflow_run w WHERE w.workflow_id = 'p' AND w.closed_at IS NULL);
				IF how = 'meddled' AND (roll(10) = 0 OR NOT EXISTS (SELECT FROM aion.workflow_run w WHERE w.workflow_id = 'p' AND w.status = 'blocked')) THEN PERFORM meddle(); END IF;
				CONTINUE WHEN go_on(began, roll(500), 1) = 0;
				CONTINUE WHEN how = 'meddled' AND roll(4) > 0;
				SELECT count(*) INTO before FROM effect;
				said := aion_test.replay('p');
				IF said !~ '^ok' OR before <> (SELECT count(*) FROM effect) THEN
					RAISE EXCEPTION 'a replay differs or has effects: %', said;
				END IF;
			END LOOP;
		END IF;
		PERFORM aion_test.run_until_idle();
		found_traces := traces() || jsonb_build_object('replay', aion_test.replay('p') ~ '^ok');
		IF how = 'meddled' THEN
			PERFORM mend(), reopened(); -- it may have ended before
			PERFORM aion.fork_workflow('p', 1 + roll((SELECT w.history_events FROM aion.workflow_run w WHERE w.workflow_id = 'p')), 'f');
			PERFORM aion_test.advance('1 month');
			said := (SELECT string_agg(status, ' ' ORDER BY workflow_id) FROM aion.workflow_run WHERE workflow_id IN ('p', 'f'));
			IF said !~ '^(completed|failed|cancelled) (completed|failed|cancelled)$' OR aion_test.replay('p') !~ '^ok' OR aion_test.replay('f') !~ '^ok' OR EXISTS (SELECT FROM aion.check_integrity()) THEN
				RAISE EXCEPTION 'after a reopen and a fork: %; %; %; %; %', said, aion_test.replay('p'), aion_test.replay('f'),
					(SELECT jsonb_agg(c) FROM aion.check_integrity() c), (SELECT jsonb_agg(h) FROM aion.history('f') h);
			END IF;
		END IF;
		RAISE EXCEPTION USING ERRCODE = 'XX999';
	EXCEPTION WHEN SQLSTATE 'XX999' THEN
		RETURN found_traces;
	END;
END $$;
CREATE FUNCTION random_program(seed bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('property.chance', seed::text, true);
	FOR i IN 1..3 LOOP PERFORM roll(2); END LOOP;
	RETURN program(3);
END $$;
-- What the runs have come to; sequences, since those are not rolled back.
CREATE SEQUENCE ended_completed;
CREATE SEQUENCE ended_failed;
CREATE SEQUENCE ended_cancelled;
CREATE SEQUENCE ended_by_deadline;
CREATE SEQUENCE ended_after_mending;
-- A seed is fine if all ways leave the same, and that is sound and closed.
CREATE FUNCTION try(seed bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	p jsonb;
	whole jsonb;
	sliced jsonb;
	meddled jsonb;
BEGIN
	p := random_program(seed);
	DELETE FROM sent;
	INSERT INTO sent SELECT row_number() OVER (), m, CASE WHEN roll(4) > 0 THEN chr(97 + roll(3)) END FROM (SELECT roll(4) * roll(500) AS m FROM generate_series(1, roll(9)) ORDER BY 1) x;
	INSERT INTO sent SELECT 100, greatest(max(after), 0) + roll(1000), 'mend' FROM sent;
	whole := driven(p, 'whole');
	sliced := driven(p, 'slices');
	meddled := driven(p, 'meddled');
	PERFORM nextval('ended_' || (whole #>> '{run,status}')), CASE WHEN whole ->> 'history' ~ '"TimerFired", "scope:' THEN nextval('ended_by_deadline') END,
		CASE WHEN whole -> 'blocked' <> 'null' THEN nextval('ended_after_mending') END;
	IF whole - 'blocked' IS DISTINCT FROM sliced - 'blocked' THEN
		RETURN format(E'seed %s: %s\n  in one go: %s\n  in slices: %s', seed, p, whole, sliced);
	ELSIF sliced -> 'blocked' = 'null' AND meddled IS DISTINCT FROM sliced THEN -- else when it looks again depends on when it was blocked last
		RETURN format(E'seed %s: %s\n  in slices: %s\n  meddled with: %s', seed, p, sliced, meddled);
	ELSIF EXISTS (SELECT FROM unnest(ARRAY[whole, meddled]) x WHERE x -> 'violations' <> 'null' OR NOT (x -> 'replay')::boolean OR x #>> '{run,status}' NOT IN ('completed', 'failed', 'cancelled') OR x -> 'timers' <> '0') THEN
		RETURN format(E'seed %s: %s\n  %s\n  meddled with: %s', seed, p, whole, meddled);
	END IF;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN format(E'seed %s: %s\n  %s', seed, p, SQLERRM);
END $$;

-- Some seeds are one test, in a transaction of their own: dead rows that vacuum may not remove yet make the next search longer.
CREATE FUNCTION test(number bigint, seeds bigint[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	failures text;
BEGIN
	PERFORM aion_test.begin('2026-01-01 00:00+00');
	SELECT string_agg(f, E'\n') INTO failures FROM unnest(seeds) s, LATERAL try(s) f;
	RETURN CASE WHEN failures IS NULL THEN '' ELSE 'not ' END || format('ok %s - seeds %s to %s', number, seeds[1], seeds[cardinality(seeds)])
		|| coalesce(regexp_replace(E'\n' || failures, E'\n', E'\n# ', 'g'), '');
END $$;

-- Seeds that once failed, seeds 1 to 300, and in a long run 200 more and fresh ones.
\set cycles 0
\getenv cycles AION_CYCLES
\set kept '{57523063,58944015,76191509,76191873}'
SELECT (extract(epoch FROM clock_timestamp())::bigint % 1000000) * 1000 AS fresh, CASE WHEN :cycles > 0 THEN 500 ELSE 300 END AS last \gset
CREATE VIEW seed AS SELECT row_number() OVER (ORDER BY min(n)) AS number, array_agg(s ORDER BY n) AS seeds
	FROM unnest(:'kept'::bigint[] || ARRAY(SELECT generate_series(1, :last)) || ARRAY(SELECT generate_series(:fresh, :fresh + 20 * :cycles - 1))) WITH ORDINALITY x(s, n) GROUP BY (n - 1) / 20;
SELECT '1..' || count(*) + 1 FROM seed;
SELECT unnest(ARRAY['BEGIN', format('SELECT property.test(number, seeds) FROM property.seed WHERE number = %s', number), 'ROLLBACK']) FROM seed ORDER BY number \gexec
-- The programs are worth their while: they do all of what there is to do.
SELECT CASE WHEN count(*) = 31 AND bool_and((SELECT every(last_value IS NOT NULL) FROM pg_sequences WHERE schemaname = 'property' AND sequencename ~ '^ended')) THEN '' ELSE 'not ' END || 'ok ' || (SELECT count(*) + 1 FROM seed) || ' - the programs use everything'
FROM (SELECT DISTINCT op #>> '{}' AS op FROM generate_series(1, :last) s, LATERAL random_program(s) p, LATERAL jsonb_path_query(p, 'strict $.**') op WHERE jsonb_typeof(op) = 'string') x
WHERE op IN ('sleep', 'until', 'start', 'cancel', 'await', 'act', 'fail', 'sql', 'deferred', 'know', 'chance', 'raise', 'loop', 'block', 'either', 'call', 'fan', 'map', 'timeout', 'publish', 'handler', 'receive', 'try', 'signals', 'send', 'asked', 'scope', 'with', 'shield', 'mistake', 'mistaken');
