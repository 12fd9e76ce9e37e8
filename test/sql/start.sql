--
-- Starting workflows: arguments, policies, what is refused and that it leaves nothing.
--
CREATE ROLE start_user LOGIN;
CREATE ROLE start_other LOGIN;
CREATE ROLE start_nologin;
SELECT count(aion.grant_usage(r)) FROM unnest('{start_user,start_other,start_nologin}'::name[]) r;
GRANT CREATE ON SCHEMA public TO start_user, start_other;
GRANT start_nologin TO start_user;
SET SESSION AUTHORIZATION start_user;

CREATE TYPE color AS ENUM ('red', 'green');
CREATE DOMAIN small AS int CHECK (value < 100);
CREATE FUNCTION typed(id bigint, amount numeric, day date DEFAULT '2026-01-02', tags text[] DEFAULT '{a,b}',
	hue color DEFAULT 'red', size small DEFAULT NULL, at timestamptz DEFAULT '2026-01-01 12:00')
	RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('id', id, 'amount', amount, 'day', day, 'tags', tags, 'hue', hue, 'size', size, 'at', at)
$$;
CREATE FUNCTION whole(anything jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array(anything) $$;
CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION waits() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('1 day') $$;
SELECT count(aion.register_workflow(f, (f || a)::regprocedure)) FROM (VALUES
	('typed', '(bigint, numeric, date, text[], color, small, timestamptz)'), ('whole', '(jsonb)'), ('nothing', '()'),
	('waits', '()')) v(f, a);

-- Parameters by name, defaults evaluated once and recorded; one parameter of type jsonb gets all of it.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('typed', '{"id": 1, "amount": "12.50"}', workflow_id => 'defaults');
SELECT aion.start_workflow('typed', '{"id": "2", "amount": 3, "day": "2026-05-06", "tags": ["x"], "hue": "green", "size": 99, "at": null}',
	workflow_id => 'given');
SELECT aion.start_workflow('whole', '[1, {"a": null}]', workflow_id => 'array');
SELECT aion.start_workflow('whole', 'null', workflow_id => 'json null');
SELECT aion.start_workflow('whole', NULL, workflow_id => 'sql null');
SELECT aion.start_workflow('whole', workflow_id => 'default input');
SELECT aion.start_workflow('nothing', NULL, workflow_id => 'nothing');
SELECT aion_test.run_until_idle();
SELECT workflow_id, status, input, result, result IS NULL AS is_null FROM aion.workflow_run ORDER BY 1;
ROLLBACK;

-- A word that means the present is replaced by the moment that it means at the start: the code is executed again later.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('typed', '{"id": 1, "amount": 1, "day": "Tomorrow", "tags": ["now"], "at": "now"}', workflow_id => 'moving');
SELECT aion.start_workflow('typed', '{"id": 1, "amount": 1, "day": "2026-05-06", "at": "epoch"}', workflow_id => 'fixed');
SELECT workflow_id, input -> 'day' = to_jsonb('tomorrow'::date) AS day, input -> 'tags' AS tags,
	abs(extract(epoch FROM (input ->> 'at')::timestamptz - clock_timestamp())) < 600 AND input ->> 'at' ~ '^\d{4}-' AS at FROM aion.workflow_run ORDER BY 1;
ROLLBACK;

-- Bad input is refused at start, with the rights of the role that starts it, and leaves nothing (T47).
SELECT aion.start_workflow('typed', '{"id": 1}');
SELECT aion.start_workflow('typed', '{"id": 1, "amount": 2, "amuont": 3}');
SELECT aion.start_workflow('typed', '{"id": "x", "amount": 2}');
SELECT aion.start_workflow('typed', '{"id": 1, "amount": 2, "hue": "blue"}');
SELECT aion.start_workflow('typed', '{"id": 1, "amount": 2, "size": 100}');
SELECT aion.start_workflow('typed', '[1, 2]');
SELECT aion.start_workflow('typed', '7');
SELECT aion.start_workflow('nothing', '{"a": 1}');
SELECT aion.start_workflow('no such');
SELECT aion.start_workflow('');
SELECT aion.start_workflow(NULL);
SELECT aion.start_workflow('nothing', workflow_id => '');
SELECT aion.start_workflow('nothing', workflow_id => repeat('x', 1025));
SELECT length(aion.start_workflow('nothing', workflow_id => repeat('x', 1024)));
SELECT aion.start_workflow('nothing', version => 'no such');
SELECT aion.start_workflow('nothing', if_running => 'allow');
SELECT aion.start_workflow('nothing', if_closed => 'terminate_existing');
SELECT aion.start_workflow('nothing', if_closed => NULL);
SELECT aion.start_workflow('nothing', start_at => 'infinity');
SELECT aion.start_workflow('nothing', timeout => '-1 s');
SELECT aion.start_workflow('nothing', timeout => '0');
SELECT aion.start_workflow('nothing', timeout => '178000000 years');
SELECT aion.start_workflow('nothing', search_attributes => '[]');
SELECT aion.start_workflow('nothing', task_queue => '');
SELECT aion.start_workflow('nothing', run_as => 'nobody here');
SELECT aion.start_workflow('nothing', run_as => 'start_other');
-- The engine's processes could not become a role that may not log in before 17.
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT refusal('SELECT aion.start_workflow(''nothing'', run_as => ''start_nologin'')') ~ CASE
	WHEN current_setting('server_version_num')::int < 170000 THEN 'not permitted to log in' ELSE 'workflow type "nothing" does not exist' END AS refused;
SELECT aion.start_workflow('whole', '{"a": "\u0000"}');
SELECT aion.start_workflows('whole', '{1,2}'::jsonb[], '{a}'::text[]);
SELECT count(*), count(*) FILTER (WHERE length(workflow_id) = 1024) FROM aion.workflow_run;

-- Payloads: large, deep, strange (T47). The limit is a setting of the administrator.
SELECT aion.start_workflow('whole', to_jsonb(repeat('x', 100 * 1024 * 1024)));
RESET SESSION AUTHORIZATION;
SET aion.max_payload_size = '150MB'; SET aion.turn_timeout = '10 min'; -- also on a slow machine
SET SESSION AUTHORIZATION start_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('whole', to_jsonb(repeat('x', 100 * 1024 * 1024)), workflow_id => 'large');
SELECT aion_test.run_until_idle();
SELECT status, length(result ->> 0) FROM aion.workflow_run WHERE workflow_id = 'large';
ROLLBACK;
RESET SESSION AUTHORIZATION;
RESET aion.max_payload_size; RESET aion.turn_timeout;
SET SESSION AUTHORIZATION start_user;
DO $$
BEGIN
	PERFORM aion.start_workflow('whole', (repeat('[', 10000) || repeat(']', 10000))::jsonb, workflow_id => 'deep');
EXCEPTION WHEN statement_too_complex THEN
	PERFORM aion.start_workflow('whole', workflow_id => 'deep'); -- refused as a whole, so the id is free
END $$;
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 'deep';
CREATE FUNCTION much(megabytes int) RETURNS text LANGUAGE sql AS $$ SELECT repeat('x', megabytes * 1024 * 1024) $$;
SELECT aion.register_workflow('much', 'much(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('much', '{"megabytes": 15}', workflow_id => 'fits'), aion.start_workflow('much', '{"megabytes": 17}', workflow_id => 'does not');
CALL aion.drive();
SELECT workflow_id, status, length(result #>> '{}'), error FROM aion.workflow_run WHERE workflow_type = 'much' ORDER BY 1;

-- Names of any length that fits.
SELECT aion.register_workflow('', 'nothing()');
SELECT aion.register_workflow(repeat('n', 256), 'nothing()');
SELECT aion.register_workflow(repeat('n', 255), 'nothing()') IS NOT NULL AS registered;
SELECT length(aion.start_workflow(repeat('n', 255))) AS generated_id;

-- What to do about a run of the same id (C2). Each case begins with an open or a closed one.
CREATE FUNCTION outcome(VARIADIC args text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
	id text;
BEGIN
	SELECT max(run_key) INTO before FROM aion.workflow_run;
	id := aion.start_workflow('waits', workflow_id => args[1], if_running => args[2], if_closed => args[3]);
	RETURN CASE WHEN (SELECT max(run_key) FROM aion.workflow_run) > before THEN 'started' ELSE 'existing' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT aion.start_workflow('waits', workflow_id => 'open ' || p) FROM unnest('{error,use_existing,terminate_existing}'::text[]) p;
SELECT aion.start_workflow('waits', workflow_id => 'terminated ' || p), aion.terminate_workflow('terminated ' || p),
		aion.start_workflow('nothing', workflow_id => 'completed ' || p)
	FROM unnest('{allow,allow_failed_only,use_existing,error}'::text[]) p;
CALL aion.drive();
SELECT p, outcome('open ' || p, p, 'allow') FROM unnest('{error,use_existing,terminate_existing}'::text[]) p;
SELECT s || ' ' || p AS case, outcome(s || ' ' || p, 'error', p)
	FROM unnest('{terminated,completed}'::text[]) s, unnest('{allow,allow_failed_only,use_existing,error}'::text[]) p;
SELECT workflow_id, string_agg(status, ', ' ORDER BY run_key) FROM aion.workflow_run
	WHERE workflow_id ~ '^(open|terminated|completed) ' GROUP BY 1 ORDER BY 1;
SELECT attributes FROM aion.history_event JOIN aion.workflow_run USING (run_key)
	WHERE workflow_run.workflow_id = 'open terminate_existing' AND event_type = 'WorkflowTerminated';
-- For an id that a run of another owner has, the answer is WF002 whatever the policy, and says no more.
SET SESSION AUTHORIZATION start_other;
CREATE FUNCTION others_waits() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('1 day') $$;
SELECT aion.register_workflow('others_waits', 'others_waits()') IS NOT NULL AS registered;
SELECT aion.start_workflow('others_waits', workflow_id => 'open error', if_running => 'use_existing');
SELECT aion.start_workflow('others_waits', workflow_id => 'open error', if_running => 'terminate_existing');
-- A name that others registered is unknown here.
SELECT aion.start_workflow('waits');
SET SESSION AUTHORIZATION start_user;

-- start_at and timeout. Nothing has a timeout by itself (71); a declared one is durable and never makes a second end (72, 73).
CREATE FUNCTION quick() RETURNS timestamptz LANGUAGE sql AS $$ SELECT aion.now() $$;
SELECT aion.register_workflow('quick', 'quick()') IS NOT NULL AS registered;
SELECT aion.register_workflow('limited', 'waits()', timeout => '1 hour') IS NOT NULL AS registered;
SELECT aion.register_workflow('limited', 'waits()', timeout => '-1 hour');
BEGIN;
SET LOCAL timezone = 'UTC';
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('quick', workflow_id => 'later', start_at => '2026-01-02 00:00+00', timeout => '1 hour');
SELECT aion.start_workflow('quick', workflow_id => 'past', start_at => '2025-01-01 00:00+00');
SELECT aion.start_workflow('waits', workflow_id => 'no timeout');
SELECT aion.start_workflow('waits', workflow_id => 'late', timeout => '12 hours');
SELECT aion.start_workflow('waits', workflow_id => 'in time', timeout => '36 hours');
SELECT aion.start_workflow('limited', workflow_id => 'registered');
SELECT aion.start_workflow('limited', workflow_id => 'overridden', timeout => '2 days');
SELECT aion_test.run_until_idle();
SELECT workflow_id, status FROM aion.workflow_run WHERE started_at = '2026-01-01 00:00+00' ORDER BY 1;
SELECT workflow_id, timer, fire_at FROM aion.timer WHERE timer !~ 'sleep' ORDER BY 1;
SELECT aion_test.advance('3 days');
SELECT workflow_id, status, result, closed_at FROM aion.workflow_run WHERE started_at = '2026-01-01 00:00+00' ORDER BY 1;
SELECT workflow_id, string_agg(event_type || coalesce(' ' || key, ''), ', ' ORDER BY seq) FROM aion.history_event
	WHERE workflow_id IN ('later', 'late', 'in time') GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM aion.timer WHERE timer = 'deadline:';
SELECT aion.await_workflow('late');
ROLLBACK;

-- search_attributes, memo, task_queue; many at once.
SELECT aion.start_workflow('nothing', workflow_id => 'noted', search_attributes => '{"customer": 7}', memo => '"call back"', task_queue => 'slow');
SELECT search_attributes, memo FROM aion.workflow_run WHERE workflow_id = 'noted';
SELECT attributes - 'version' FROM aion.history('noted') WHERE seq = 1;
SELECT id FROM aion.start_workflows('whole', ARRAY['1', NULL, '{"a": 2}']::jsonb[], '{many-1,many-2,many-3}') id;
SELECT count(*) AS generated FROM aion.start_workflows('whole', '{1,2,3,4,5}');
SELECT count(*) AS none FROM aion.start_workflows('whole', '{}');
SELECT aion.start_workflows('typed', ARRAY['{"id": 1, "amount": 1}', '{"id": 2}']::jsonb[], '{fine,"not fine"}');
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 'fine';
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^many' ORDER BY 1;

-- A start takes effect if and only if its transaction commits (C1, R21): savepoints and two-phase commit included.
BEGIN;
SELECT aion.start_workflow('nothing', workflow_id => 'rolled back');
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT aion.start_workflow('nothing', workflow_id => 'to savepoint');
ROLLBACK TO SAVEPOINT s;
SELECT aion.start_workflow('nothing', workflow_id => 'after savepoint');
COMMIT;
BEGIN;
SELECT aion.start_workflow('nothing', workflow_id => 'prepared');
PREPARE TRANSACTION 'start';
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 'prepared';
CALL aion.drive();
COMMIT PREPARED 'start';
CALL aion.drive();
BEGIN;
SELECT aion.start_workflow('nothing', workflow_id => 'prepared and rolled back');
PREPARE TRANSACTION 'start';
ROLLBACK PREPARED 'start';
SELECT workflow_id, status FROM aion.workflow_run WHERE workflow_id ~ '(rolled|savepoint|prepared)' ORDER BY 1;

-- Whom a run belongs to.
RESET SESSION AUTHORIZATION;
SET aion.allow_superuser_workflows = off;
SELECT aion.start_workflow('nothing');
SELECT aion.start_workflow('nothing', workflow_id => 'as user', run_as => 'start_user');
SELECT owner FROM aion.workflow_run WHERE workflow_id = 'as user';
SELECT attributes ->> 'started_by' = current_user AS by_superuser FROM aion.history('as user') WHERE seq = 1;
RESET aion.allow_superuser_workflows;
-- T75: inside another role's security-definer function, the run would belong to that role.
SET SESSION AUTHORIZATION start_user;
CREATE FUNCTION start_for_me() RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT aion.start_workflow('nothing') $$;
GRANT EXECUTE ON FUNCTION start_for_me TO start_other;
SET SESSION AUTHORIZATION start_other;
SELECT start_for_me();
RESET SESSION AUTHORIZATION;
SET aion.allow_definer_start = on;
SET SESSION AUTHORIZATION start_other;
SELECT length(start_for_me());
RESET SESSION AUTHORIZATION;
RESET aion.allow_definer_start;
-- EXECUTE on the handler is needed by the owner of the run.
SET SESSION AUTHORIZATION start_user;
REVOKE EXECUTE ON FUNCTION waits FROM PUBLIC, start_user;
RESET SESSION AUTHORIZATION;
GRANT start_user TO start_other;
SET SESSION AUTHORIZATION start_other;
SELECT aion.start_workflow('waits');
SELECT length(aion.start_workflow('nothing'));
RESET SESSION AUTHORIZATION;
REVOKE start_user FROM start_other;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY start_user, start_other, start_nologin CASCADE;
DROP ROLE start_user, start_other, start_nologin;
CREATE EXTENSION aion;
