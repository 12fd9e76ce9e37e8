--
-- 11.3 What a role cannot do to others, although it was granted EXECUTE on every function and pg_read_all_data. Every function and every relation
-- of the extension is tried, so one that is new cannot be left out: each has its check in C or row security, whatever is granted.
--
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE rights_victim LOGIN; CREATE ROLE rights_sneak LOGIN;
SELECT aion.grant_usage('rights_victim');
GRANT USAGE ON SCHEMA aion, aion_test TO rights_sneak;
GRANT EXECUTE ON ALL ROUTINES IN SCHEMA aion, aion_test TO rights_sneak;
GRANT pg_read_all_data TO rights_sneak;
CREATE SCHEMA rights; GRANT ALL ON SCHEMA rights TO rights_victim, rights_sneak;
-- What is the victim's is called so, and its payloads say hush.
SET SESSION AUTHORIZATION rights_victim; SET search_path = rights;
CREATE FUNCTION victim(what text DEFAULT 'hush') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.publish('victim', '"hush"');
	PERFORM aion.start_activity('victim', '"hush"');
	PERFORM aion.upsert_search_attributes('{"victim": "hush"}');
	PERFORM aion.start_timer('victim', '1 day');
	RETURN aion.value(aion.receive('never'));
END $$;
SELECT aion.register_workflow('victim', 'victim(text)') IS NOT NULL AS registered;
CREATE FUNCTION done() RETURNS text LANGUAGE sql AS $$ SELECT 'hush' $$;
SELECT aion.register_workflow('done', 'done()') IS NOT NULL AS registered;
SELECT aion.register_activity('victim', mode => 'external', task_queue => 'victim', start_to_close_timeout => '1 day');
SELECT aion.pause_task_queue('victim'), aion.resume_task_queue('victim');
SELECT aion.create_schedule('victim', 'victim', every => '1 day', input => '{"what": "hush"}', start_at => '2100-01-01');
SELECT aion.start_workflow('victim', workflow_id => 'victim', memo => '"hush"'), aion.start_workflow('done', workflow_id => 'victim done');
CALL aion.drive();
SELECT aion.signal_workflow('victim', 'victim', '"hush"', dedup_id => 'victim');
RESET SESSION AUTHORIZATION; RESET search_path;
SELECT run_id AS victim_run_id FROM aion.workflow_run WHERE workflow_id = 'victim' \gset
SELECT status, (SELECT count(*) FROM aion.activity_task) AS tasks FROM aion.workflow_run WHERE workflow_id = 'victim';
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.sneak(what text DEFAULT 'mine') RETURNS text LANGUAGE sql AS 'SELECT what';
SELECT aion.register_workflow('sneak', 'rights.sneak(text)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;

-- Every relation: there is nothing of the victim in it.
CREATE FUNCTION rights.seen(relation regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	rows text;
BEGIN
	SET LOCAL ROLE rights_sneak;
	EXECUTE format('SELECT string_agg(t::text, E''\n'') FROM %s t', relation) INTO rows;
	RESET ROLE;
	RETURN CASE WHEN rows ~ 'hush|victim' THEN 'shows ' || left(rows, 200) END;
EXCEPTION WHEN insufficient_privilege OR object_not_in_prerequisite_state THEN
	RETURN NULL;
END $$;
SELECT c.oid::regclass AS relation, s.seen FROM pg_class c, LATERAL rights.seen(c.oid) s(seen)
	WHERE c.relnamespace IN ('aion'::regnamespace, 'aion_test'::regnamespace, 'aion_code'::regnamespace) AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND s.seen IS NOT NULL;
-- ... because tables have row security, and views are executed as the reader or decide by the reader themselves.
SELECT c.oid::regclass AS unprotected FROM pg_class c
	WHERE c.relnamespace = 'aion'::regnamespace AND CASE c.relkind WHEN 'r' THEN NOT c.relrowsecurity
		WHEN 'v' THEN NOT coalesce(c.reloptions::text ~ 'security_invoker' OR c.reloptions::text ~ 'security_barrier' OR c.relname = 'stat_engine', false) ELSE false END;

-- Every function: called with what is the victim's for each argument, it gives away nothing and changes nothing that is not the caller's.
CREATE FUNCTION rights.state() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	state text := '';
	part text;
	t record;
BEGIN
	FOR t IN SELECT c.oid::regclass AS name, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'owner_key' AND NOT a.attisdropped) AS owned
			FROM pg_class c WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind = 'r' ORDER BY 1 LOOP
		EXECUTE format('SELECT coalesce(string_agg(t::text, E''\n'' ORDER BY t::text), '''') FROM %s t', t.name)
			|| CASE WHEN t.owned THEN ' WHERE t.owner_key IS DISTINCT FROM (SELECT o.owner_key FROM aion._owner o WHERE o.name = ''rights_sneak'')' ELSE '' END INTO part;
		state := state || t.name || ': ' || part || E'\n';
	END LOOP;
	RETURN state;
END $$;
CREATE FUNCTION rights.argument(type regtype, name text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN name = 'run_as' THEN quote_literal('rights_victim') WHEN name = 'role' THEN quote_literal('rights_sneak')
		WHEN name = 'if_running' THEN '''terminate_existing''' WHEN name = 'if_closed' THEN '''use_existing''' WHEN name = 'status' THEN '''{running,completed}''' WHEN name = 'filter' THEN '''{"victim": "hush"}'''
		WHEN name = 'mode' THEN '''inline''' WHEN name = 'on_cancel' THEN '''try''' WHEN name = 'timezone' THEN '''UTC''' WHEN name = 'cron' THEN '''@daily'''
		WHEN name = 'parent_close' THEN '''terminate''' WHEN name = 'level' THEN '''admin'''
		ELSE CASE type::text
		WHEN 'text' THEN quote_literal('victim') WHEN 'name' THEN quote_literal('rights_victim') WHEN 'text[]' THEN '''{victim}''' WHEN 'jsonb' THEN '''{"what": "hush?"}'''
		WHEN 'jsonb[]' THEN 'ARRAY[''{}'']::jsonb[]' WHEN 'interval' THEN '''1 second''' WHEN 'timestamp with time zone' THEN '''2026-01-01''' WHEN 'regrole' THEN '''rights_sneak'''
		WHEN 'integer' THEN '1' WHEN 'bigint' THEN '1' WHEN 'real' THEN '1' WHEN 'double precision' THEN '1' WHEN 'boolean' THEN 'true' WHEN 'regprocedure' THEN '''rights.sneak(text)'''
		WHEN 'uuid' THEN quote_literal(current_setting('rights.run_id')) WHEN 'aion.handle' THEN '''victim''' WHEN 'aion.handle[]' THEN '''{victim}''' WHEN 'aion.scope' THEN '''victim'''
		WHEN 'aion.event' THEN 'NULL' END END || '::' || type
$$;
CREATE FUNCTION rights.try(function regprocedure, all_arguments boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	before text := rights.state();
	kind "char";
	arguments text;
	unknown text;
	answer text;
	problem text;
BEGIN
	SELECT p.prokind, string_agg(format('%I => %s', a.name, rights.argument(a.type, a.name)), ', ' ORDER BY a.n) FILTER (WHERE a.n IS NOT NULL),
			string_agg(a.name, ', ') FILTER (WHERE a.n IS NOT NULL AND rights.argument(a.type, a.name) IS NULL)
		INTO kind, arguments, unknown
		FROM pg_proc p LEFT JOIN LATERAL (SELECT t.type::regtype, p.proargnames[t.n] AS name, t.n FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t(type, n)
			WHERE all_arguments OR t.n <= p.pronargs - p.pronargdefaults) a ON true
		WHERE p.oid = function GROUP BY p.prokind;
	IF unknown IS NOT NULL THEN
		RETURN 'needs a value for ' || unknown;
	END IF;
	BEGIN
		SET LOCAL ROLE rights_sneak;
		IF kind = 'p' THEN
			EXECUTE format('CALL %s(%s)', function::regproc, arguments);
		ELSE
			EXECUTE format('SELECT string_agg(t::text, E''\n'') FROM %s(%s) t', function::regproc, arguments) INTO answer;
		END IF;
		RESET ROLE;
		IF rights.state() <> before THEN
			problem := 'changes what is not the caller''s';
		END IF;
		RAISE SQLSTATE 'ZZZZZ';
	EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
		NULL;
	WHEN OTHERS THEN
		answer := SQLERRM;
		IF SQLSTATE ~ '^(XX|0A|42[^5])' THEN
			problem := format('%s: %s', SQLSTATE, SQLERRM);
		END IF;
	END;
	IF answer ~ 'hush($|[^?])' THEN
		problem := concat_ws(', ', problem, 'gives away ' || left(answer, 200));
	END IF;
	RETURN problem;
END $$;
SET client_min_messages = error; -- GRANT and REVOKE warn
SELECT set_config('rights.run_id', :'victim_run_id', false) IS NOT NULL AS set;
SELECT p.oid::regprocedure AS function, t.try AS problem
	FROM pg_proc p, unnest('{false,true}'::boolean[]) a, LATERAL rights.try(p.oid, a) t(try)
	WHERE p.pronamespace IN ('aion'::regnamespace, 'aion_test'::regnamespace) AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND t.try IS NOT NULL
	ORDER BY p.pronamespace::regnamespace::text, 1, a;
SELECT * FROM aion.check_integrity();

-- The test notices what it is for: what a role may do, done by the victim.
GRANT rights_victim TO rights_sneak;
SELECT p.oid::regprocedure AS function, left(t.try, 10) AS problem FROM pg_proc p, LATERAL rights.try(p.oid, false) t(try)
	WHERE p.pronamespace = 'aion'::regnamespace AND p.proname IN ('history', 'cancel_workflow', 'pause_task_queue', 'query_workflow') ORDER BY 1;
SELECT rights.seen('aion.history_event') IS NOT NULL AS seen;


-- 11.29 An outbox: a trigger of one role starts a workflow of another one, in its own transaction, and can do nothing else to that.
CREATE ROLE rights_web LOGIN; CREATE ROLE rights_fresh LOGIN; GRANT rights_web TO rights_fresh;
CREATE TABLE rights.orders (n int PRIMARY KEY); GRANT ALL ON rights.orders TO rights_web; GRANT USAGE ON SCHEMA rights TO rights_web;
CREATE FUNCTION rights.place_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.start_workflow('victim', jsonb_build_object('what', new.n::text), workflow_id => 'order ' || new.n); RETURN new; END $$;
CREATE TRIGGER outbox AFTER INSERT ON rights.orders FOR EACH ROW EXECUTE FUNCTION rights.place_order();
SET SESSION AUTHORIZATION rights_victim; SET search_path = rights;
CREATE FUNCTION rights.place_as_owner(n int) RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT aion.start_workflow('victim', workflow_id => 'definer ' || n, if_running => 'terminate_existing') $$;
RESET SESSION AUTHORIZATION; RESET search_path;
SELECT aion.grant_usage('rights_web'); SET SESSION AUTHORIZATION rights_web;
INSERT INTO rights.orders VALUES (1);
SELECT rights.place_as_owner(1);
SELECT aion.grant_start('rights_web', 'victim');
RESET SESSION AUTHORIZATION; SELECT aion.revoke_usage('rights_web');
SET SESSION AUTHORIZATION rights_victim;
SELECT aion.grant_start('nobody_at_all', 'victim'); SELECT aion.grant_start('rights_web', 'unknown'); SELECT aion.grant_start(NULL, 'victim');
-- An owner makes no grants on the schema, which would lock what all need: the role has a level already, here one that comprises nothing else.
SELECT aion.grant_start('rights_web', 'victim'), aion.grant_start('rights_fresh', 'victim');
RESET SESSION AUTHORIZATION; SELECT aion.grant_usage('rights_web', 'start'); SET SESSION AUTHORIZATION rights_victim;
SELECT aion.grant_start('rights_web', 'victim');
SET SESSION AUTHORIZATION rights_web;
BEGIN; INSERT INTO rights.orders VALUES (2); ROLLBACK;
INSERT INTO rights.orders VALUES (3);
SELECT rights.place_as_owner(1), aion.start_workflow('victim', workflow_id => 'named', run_as => 'rights_victim'), aion.start_workflow('victim', workflow_id => 'named', if_running => 'use_existing');
-- A function of the role that has the grant may be called by roles that have nothing. It names the owner, and cannot start it otherwise.
RESET SESSION AUTHORIZATION; CREATE ROLE rights_shop LOGIN; GRANT USAGE ON SCHEMA rights TO rights_shop; GRANT CREATE ON SCHEMA rights TO rights_web;
SET SESSION AUTHORIZATION rights_web;
CREATE FUNCTION rights.place_for(n int, owner name) RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT aion.start_workflow('victim', workflow_id => 'shop ' || n, run_as => owner) $$;
SET SESSION AUTHORIZATION rights_shop;
SELECT rights.place_for(1, NULL);
SELECT rights.place_for(1, 'rights_sneak');
SELECT rights.place_for(1, 'rights_victim');
SELECT aion.start_workflow('victim', workflow_id => 'shop 2', run_as => 'rights_victim');
RESET SESSION AUTHORIZATION; REVOKE CREATE ON SCHEMA rights FROM rights_web; SET SESSION AUTHORIZATION rights_web;
SELECT count(*) FROM aion.start_workflows('victim', ARRAY['{}', '{}']::jsonb[]);
SELECT aion.start_workflow('victim', workflow_id => 'named', if_running => 'terminate_existing');
SELECT aion.start_workflow('victim', task_queue => 'q');
SELECT aion.start_workflow('victim', version => 'v');
SELECT aion.start_workflow('done');
SELECT aion.start_workflow('victim', run_as => 'rights_sneak');
SELECT aion.signal_with_start('victim', '{}', 'named', 'never');
RESET SESSION AUTHORIZATION; SELECT aion.grant_usage('rights_web'); SET SESSION AUTHORIZATION rights_web;
SELECT aion.signal_with_start('victim', '{}', 'named', 'never', run_as => 'rights_victim');
SELECT aion.create_schedule('web', 'victim', every => '1 day');
SELECT aion.terminate_workflow('named');
SELECT count(*) FROM aion.workflow_run;
RESET SESSION AUTHORIZATION;
SELECT regexp_replace(r.workflow_id, '^[0-9a-f-]{36}$', '...') AS workflow_id, r.owner, r.input ->> 'what' AS what, (SELECT attributes ->> 'started_by' FROM aion.history(r.workflow_id) WHERE seq = 1) AS started_by
	FROM aion.workflow_run r WHERE workflow_type = 'victim' AND workflow_id <> 'victim' ORDER BY run_key;
SET SESSION AUTHORIZATION rights_victim; SELECT aion.revoke_start('rights_web', 'victim'); SET SESSION AUTHORIZATION rights_web;
INSERT INTO rights.orders VALUES (4);
RESET SESSION AUTHORIZATION;

-- Code of an owner that is executed in a session of another role: it can neither read nor replace the cursors of the session, and what it sends is its own.
CREATE TABLE rights.secret AS SELECT 'hush ' || i AS what FROM generate_series(1, 6) i;
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.sneak_cursors() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	name text;
	c refcursor;
	got text;
	done text := '';
BEGIN
	BEGIN SELECT count(*)::text INTO done FROM pg_cursors; EXCEPTION WHEN OTHERS THEN done := SQLERRM; END;
	FOREACH name IN ARRAY ARRAY['admin_cursor', 'held'] || (SELECT array_agg(format('<unnamed portal %s>', i)) FROM generate_series(1, 5000) i) LOOP
		c := name;
		BEGIN FETCH c INTO got; done := done || ' read ' || got; EXCEPTION WHEN invalid_cursor_name THEN CONTINUE; WHEN OTHERS THEN done := done || ' ' || SQLERRM; END;
		BEGIN EXECUTE format('FETCH FROM %I', name) INTO got; done := done || ' read ' || got; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN MOVE c; done := done || ' moved'; EXCEPTION WHEN OTHERS THEN NULL; END;
		BEGIN CLOSE c; OPEN c FOR SELECT rights.sneak_become(); done := done || ' replaced'; EXCEPTION WHEN OTHERS THEN NULL; END;
	END LOOP;
	BEGIN SELECT done || ' ' || coalesce(string_agg(p.statement, ' '), '') INTO done FROM pg_prepared_statements p; EXCEPTION WHEN OTHERS THEN done := done || ' ' || SQLERRM; END;
	c := 'admin_next'; OPEN c FOR SELECT rights.sneak_become();
	RETURN regexp_replace(done, 'unnamed portal \d+', 'unnamed portal', 'g');
END $$;
CREATE FUNCTION rights.sneak_become() RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE rights_sneak SUPERUSER'; RETURN 'x'; END $$;
CREATE FUNCTION rights.sneak_signal() RETURNS text LANGUAGE sql AS $$ SELECT aion.signal_workflow('sneaks', 'approved')::text $$;
CREATE FUNCTION rights.sneak_start(said text DEFAULT rights.sneak_cursors(), sent text DEFAULT rights.sneak_signal()) RETURNS text LANGUAGE sql AS 'SELECT said';
CREATE FUNCTION rights.sneak_answers(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb(rights.sneak_cursors()) $$;
CREATE FUNCTION rights.sneak_hears() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.on_query('cursors', 'rights.sneak_answers(jsonb, jsonb)', '1');
	PERFORM aion.receive('never');
END $$;
SELECT aion.register_workflow('sneak_start', 'rights.sneak_start(text, text)') IS NOT NULL AS registered, aion.register_workflow('sneak_hears', 'rights.sneak_hears()') IS NOT NULL AS registered;
SELECT aion.start_workflow('sneak_hears', workflow_id => 'sneaks');
CALL aion.drive();
SELECT status FROM aion.workflow_run WHERE workflow_id = 'sneaks';
RESET SESSION AUTHORIZATION;
-- A role that does not trust it does not execute it at all.
SELECT aion.start_workflow('sneak_start', run_as => 'rights_sneak', workflow_id => 'sneak 0');
SELECT aion.query_workflow('sneaks', 'cursors');
GRANT rights_sneak TO CURRENT_USER;
BEGIN;
DECLARE admin_cursor CURSOR FOR SELECT what FROM rights.secret;
DECLARE held CURSOR WITH HOLD FOR SELECT what FROM rights.secret;
FETCH admin_cursor;
SELECT aion.start_workflow('sneak_start', run_as => 'rights_sneak', workflow_id => 'sneak 0');
FETCH admin_cursor;
SELECT aion.query_workflow('sneaks', 'cursors');
FETCH admin_cursor; FETCH held;
SELECT name FROM pg_cursors ORDER BY 1;
SAVEPOINT s;
SELECT aion.start_workflow('sneak_start', jsonb_build_object('unknown', 1), run_as => 'rights_sneak');
ROLLBACK TO s;
FETCH admin_cursor;
COMMIT;
FETCH held; CLOSE held;
DO $$ DECLARE r record; BEGIN
	FOR r IN SELECT what FROM rights.secret LIMIT 3 LOOP
		PERFORM aion.start_workflow('sneak_start', run_as => 'rights_sneak', workflow_id => 'sneak ' || r.what);
		BEGIN
			PERFORM aion.start_workflow('sneak_start', '{"unknown": 1}', run_as => 'rights_sneak');
		EXCEPTION WHEN OTHERS THEN NULL; END;
	END LOOP;
END $$;
SELECT workflow_id, input ->> 'said' AS said FROM aion.workflow_run WHERE workflow_type = 'sneak_start' ORDER BY 1;
SELECT rolsuper FROM pg_roles WHERE rolname = 'rights_sneak';
SELECT DISTINCT sent_by FROM aion.inbox WHERE name = 'approved';

-- SET CONSTRAINTS and locks of the session are not its own.
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.sneak_tries(what pg_catalog.text) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; RETURN 'did'; EXCEPTION WHEN OTHERS THEN RETURN SQLERRM; END $$;
CREATE FUNCTION rights.sneak_session(a pg_catalog.text DEFAULT rights.sneak_tries('SET CONSTRAINTS ALL IMMEDIATE'), b pg_catalog.text DEFAULT rights.sneak_tries('SELECT pg_advisory_unlock_all()'),
	c pg_catalog.text DEFAULT rights.sneak_tries('SELECT pg_advisory_lock(1)')) RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT a';
SELECT aion.register_workflow('sneak_session', 'rights.sneak_session(text, text, text)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
SELECT aion.start_workflow('sneak_session', run_as => 'rights_sneak', workflow_id => 'session');
SELECT input FROM aion.workflow_run WHERE workflow_id = 'session';

-- Nor is a caller that the owner has granted a start, and nothing else, served by code of the owner in its session.
SET SESSION AUTHORIZATION rights_victim; SET search_path = rights;
CREATE TABLE settings (k text, v text); INSERT INTO settings VALUES ('region', 'north');
CREATE FUNCTION region() RETURNS text LANGUAGE plpgsql AS $$ DECLARE t text; BEGIN SELECT v INTO t FROM settings WHERE k = 'region'; RETURN t; END $$;
CREATE FUNCTION fulfil(n int, region text DEFAULT region()) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN region; END $$;
SELECT aion.register_workflow('fulfil', 'fulfil(int, text)') IS NOT NULL AS registered, aion.grant_start('rights_web', 'fulfil');
RESET SESSION AUTHORIZATION; RESET search_path;
SET SESSION AUTHORIZATION rights_web;
-- A role that owns runs has not asked for the grant, and may mean a workflow of its own: it names the owner.
SELECT aion.start_workflow('fulfil', '{"n": 1, "region": "south"}');
SELECT aion.start_workflow('fulfil', '{"n": 1}', workflow_id => 'fulfil', run_as => 'rights_victim');
SELECT aion.start_workflow('fulfil', '{"n": 1, "region": "south"}', workflow_id => 'fulfil', run_as => 'rights_victim');
RESET SESSION AUTHORIZATION;
SELECT input FROM aion.workflow_run WHERE workflow_id = 'fulfil';
-- The server makes jsonb of values by casts to json, which are code, too; and a default must not tell what the session has set.
SET SESSION AUTHORIZATION rights_victim; SET search_path = rights;
CREATE TYPE shade AS ENUM ('dark');
CREATE FUNCTION shade_json(s shade) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'executed as % in a session of %', current_user, session_user; RETURN '"x"'; END $$;
CREATE CAST (shade AS json) WITH FUNCTION shade_json(shade);
CREATE TYPE shades AS (n int, s shade);
CREATE FUNCTION shaded(n int, s shade DEFAULT 'dark') RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shaded_array(n int, s shade[] DEFAULT '{dark}') RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shaded_row(n int, s shades DEFAULT '(1,dark)') RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shaded_json(n int, s jsonb DEFAULT pg_catalog.to_jsonb('dark'::rights.shade)) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION telling(n int, s text DEFAULT pg_catalog.current_setting('application_name')) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION quoting(n int, s text DEFAULT pg_catalog.current_query()) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION timely(n int, year text DEFAULT pg_catalog.to_char(pg_catalog.now(), '"year"') || pg_catalog.concat('!', 1), until date DEFAULT (pg_catalog.now() - interval '1 day')::date)
	RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT count(aion.register_workflow(f, format('rights.%s', p)::regprocedure)), count(aion.grant_start('rights_web', f)) FROM
	(VALUES ('shaded', 'shaded(int, rights.shade)'), ('shaded_array', 'shaded_array(int, rights.shade[])'), ('shaded_row', 'shaded_row(int, rights.shades)'),
		('shaded_json', 'shaded_json(int, jsonb)'), ('telling', 'telling(int, text)'), ('quoting', 'quoting(int, text)'), ('timely', 'timely(int, text, date)')) AS w (f, p);
RESET SESSION AUTHORIZATION; RESET search_path;
SET SESSION AUTHORIZATION rights_web;
SELECT aion.start_workflow('shaded', '{"n": 1}', run_as => 'rights_victim');
SELECT aion.start_workflow('shaded_array', '{"n": 1}', run_as => 'rights_victim');
SELECT aion.start_workflow('shaded_row', '{"n": 1}', run_as => 'rights_victim');
SELECT aion.start_workflow('shaded_json', '{"n": 1}', run_as => 'rights_victim');
SELECT aion.start_workflow('telling', '{"n": 1}', run_as => 'rights_victim');
SELECT aion.start_workflow('quoting', '{"n": 1}', run_as => 'rights_victim');
SELECT aion.start_workflow('timely', '{"n": 1}', workflow_id => 'timely', run_as => 'rights_victim');
RESET SESSION AUTHORIZATION;
SELECT input - 'until' AS input FROM aion.workflow_run WHERE workflow_id = 'timely';
\c - postgres
SET client_min_messages = warning; \set VERBOSITY terse

-- Code of another role neither ends the session by an error nor lets the caller's transaction become a test.
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.ends_session(state jsonb, arguments jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE CASE arguments ->> 'how' WHEN 'clause' THEN 'SELECT rights.exits()' ELSE 'SET LOCAL exit_on_error = on' END;
	EXCEPTION WHEN OTHERS THEN
		RETURN to_jsonb(SQLERRM);
	END;
	RAISE EXCEPTION 'ended';
END $$;
CREATE FUNCTION rights.exits() RETURNS void LANGUAGE plpgsql SET exit_on_error = on AS $$ BEGIN RAISE EXCEPTION 'ended'; END $$;
CREATE FUNCTION rights.ends_sessions() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.on_query('end', 'rights.ends_session(jsonb, jsonb)', '{}'); PERFORM aion.receive('end'); END $$;
CREATE FUNCTION rights.tests(at timestamptz DEFAULT aion_test.begin('2001-01-01')) RETURNS void LANGUAGE sql AS '';
SELECT count(aion.register_workflow(f, format('rights.%s', p)::regprocedure)) FROM (VALUES ('ends_sessions', 'ends_sessions()'), ('tests', 'tests(timestamptz)')) AS w (f, p);
SELECT aion.start_workflow('ends_sessions', workflow_id => 'ends');
CALL aion.drive();
RESET SESSION AUTHORIZATION;
SELECT aion.query_workflow('ends', 'end', jsonb_build_object('how', how)) FROM unnest('{clause,statement}'::text[]) how;
BEGIN;
SELECT aion.start_workflow('tests', run_as => 'rights_sneak');
COMMIT;
SELECT aion.terminate_workflow('ends');

-- A version of a name that was taken over is as its registrant left it: no run of another role is executed by it.
SELECT aion.grant_usage('rights_fresh'); GRANT CREATE ON SCHEMA rights TO rights_fresh;
SET SESSION AUTHORIZATION rights_fresh;
CREATE FUNCTION rights.pays() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'sneaked'; END $$;
SELECT aion.register_workflow('pays', 'rights.pays()') AS sneaked \gset
RESET SESSION AUTHORIZATION;
CREATE FUNCTION rights.pays_well() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.receive('go') ->> 0; END $$;
SELECT aion.register_workflow('pays', 'rights.pays_well()') <> :'sneaked' AS taken_over;
CREATE FUNCTION rights.masked(statement text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN regexp_replace(SQLSTATE || ' ' || SQLERRM, '"[0-9a-f]{16}"', 'V'); END $$;
GRANT EXECUTE ON FUNCTION rights.masked(text) TO PUBLIC;
SELECT rights.masked(format('SELECT aion.route_workflow(%L, %L)', 'pays', :'sneaked'));
SET SESSION AUTHORIZATION rights_victim;
SELECT aion.start_workflow('pays', workflow_id => 'pays');
SELECT rights.masked(format('SELECT aion.start_workflow(%L, version => %L)', 'pays', :'sneaked'));
SELECT rights.masked(format('SELECT aion.set_workflow_version(%L, %L)', 'pays', :'sneaked'));
SELECT rights.masked(format('SELECT aion.fork_workflow(%L, 1, %L, %L)', 'pays', 'forked', :'sneaked'));
RESET SESSION AUTHORIZATION;
SELECT rights.masked(format('SELECT aion.set_workflow_version(%L, %L)', 'pays', :'sneaked'));
SELECT rights.masked(format('SELECT aion.fork_workflow(%L, 1, %L, %L)', 'pays', 'forked', :'sneaked'));
-- Registered again by the role that owns the name now, it is as good as any.
ALTER FUNCTION rights.pays() OWNER TO CURRENT_USER;
SELECT aion.register_workflow('pays', 'rights.pays()') = :'sneaked' AS again;
SELECT rights.masked(format('SELECT aion.set_workflow_version(%L, %L)', 'pays', :'sneaked'));

-- A membership that is revoked takes with it what a parent may do to its child: it neither ends nor cancels it, nor reads how it ended.
GRANT rights_victim TO rights_sneak;
SET SESSION AUTHORIZATION rights_victim;
CREATE FUNCTION rights.kid() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.receive('go') ->> 0; END $$;
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.parent(does text, parent_close text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	kid aion.handle := aion.start_child('kid', NULL, 'kid ' || does, parent_close, '{"run_as": "rights_victim"}');
BEGIN
	PERFORM aion.receive('now');
	IF does LIKE 'ends%' THEN RETURN 'ended'; END IF;
	IF does = 'cancels' THEN RETURN aion.cancel(kid); END IF;
	RETURN aion.await(kid);
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
GRANT EXECUTE ON FUNCTION rights.parent(text, text) TO rights_sneak;
SET SESSION AUTHORIZATION rights_victim;
SELECT aion.register_workflow('kid', 'rights.kid()') IS NOT NULL AS registered;
SET SESSION AUTHORIZATION rights_sneak;
SELECT aion.register_workflow('parent', 'rights.parent(text, text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('parent', jsonb_build_object('does', does, 'parent_close', parent_close), workflow_id => does)
	FROM (VALUES ('ends', 'terminate'), ('ends too', 'request_cancel'), ('cancels', 'abandon'), ('reads', 'abandon'), ('reads again', 'abandon')) v(does, parent_close);
CALL aion.drive();
SELECT aion.terminate_workflow('reads again');
RESET SESSION AUTHORIZATION;
REVOKE rights_victim FROM rights_sneak;
SET SESSION AUTHORIZATION rights_sneak;
SELECT aion.reopen_workflow('reads again');
SELECT count(aion.signal_workflow(workflow_id, 'now')) FROM aion.workflow_run WHERE workflow_type = 'parent';
CALL aion.drive();
SET SESSION AUTHORIZATION rights_victim;
CALL aion.drive();
SELECT workflow_id, status, EXISTS (SELECT FROM aion.history_event h WHERE h.run_key = w.run_key AND event_type = 'WorkflowCancelRequested') AS asked FROM aion.workflow_run w WHERE workflow_id LIKE 'kid %' ORDER BY 1;
SELECT count(aion.signal_workflow(workflow_id, 'go', '["secret"]')) FROM aion.workflow_run WHERE workflow_id LIKE 'kid %';
CALL aion.drive();
SET SESSION AUTHORIZATION rights_sneak;
CALL aion.drive();
SELECT workflow_id, status, result, aion_test.replay(workflow_id) FROM aion.workflow_run WHERE workflow_type = 'parent' ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT count(*) AS told_secrets FROM aion.history_event h JOIN aion.workflow_run USING (run_key) WHERE workflow_type = 'parent' AND h.attributes::text ~ 'secret';

-- The role that has logged in counts, not the role that the session has become: what code of a role leaves would be executed after RESET.
SET SESSION AUTHORIZATION rights_victim;
CREATE FUNCTION rights.leaves(statement text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_sql(statement); END $$;
SELECT aion.register_workflow('leaves', 'rights.leaves(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('leaves', jsonb_build_object('statement', 'CREATE TEMP VIEW pg_user AS SELECT current_user AS user'), workflow_id => 'leaves');
CALL aion.drive();
SELECT status, turn_failures > 0 AS tried FROM aion.workflow_run WHERE workflow_id = 'leaves';
RESET SESSION AUTHORIZATION;
SELECT count(*) AS left_behind FROM pg_class WHERE relname = 'pg_user' AND relnamespace = pg_my_temp_schema();

-- A function of the name that workflow code uses may be another role's by the time it is called.
SET SESSION AUTHORIZATION rights_victim;
CREATE FUNCTION rights.calls(how text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.receive('go');
	IF how = 'query' THEN PERFORM aion.on_query('q', 'rights.called(jsonb, jsonb)'::regprocedure, '1'); RETURN 'published'; END IF;
	RETURN aion.with_timeout('1 h', 'rights.called(jsonb, jsonb)'::regprocedure, '{"a": 1, "b": 2}');
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT aion.register_workflow('calls', 'rights.calls(text)') IS NOT NULL AS registered;
SELECT aion.start_workflow('calls', jsonb_build_object('how', how), workflow_id => 'calls ' || how) FROM unnest('{query,timeout}'::text[]) how;
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.called(a jsonb, b jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'executed as %', current_user; RETURN '1'; END $$;
SET SESSION AUTHORIZATION rights_victim;
CALL aion.drive();
SELECT count(aion.signal_workflow(workflow_id, 'go')) FROM aion.workflow_run WHERE workflow_type = 'calls';
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_type = 'calls' ORDER BY 1;

-- A function that is executed itself, not a copy of it, may have been dropped and made again by another role.
CREATE FUNCTION rights.helps() RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$;
CREATE FUNCTION rights.itself() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT rights.helps(); END;
CREATE FUNCTION rights.says(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql BEGIN ATOMIC SELECT to_jsonb(rights.helps()); END;
CREATE FUNCTION rights.asked() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.on_query('q', 'rights.says(jsonb, jsonb)', '1'); RETURN aion.value(aion.receive('never')); END $$;
SELECT aion.register_workflow('itself', 'rights.itself()') IS NOT NULL AS registered, aion.register_workflow('asked', 'rights.asked()') IS NOT NULL AS registered;
SELECT aion.start_workflow('asked', workflow_id => 'asked');
CALL aion.drive();
SELECT aion.query_workflow('asked', 'q');
SELECT aion.start_workflow('itself', workflow_id => 'itself');
DROP FUNCTION rights.helps() CASCADE;
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.helps() RETURNS text LANGUAGE sql AS $$ SELECT 'evil as ' || current_user $$;
CREATE FUNCTION rights.itself() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT rights.helps(); END;
CREATE FUNCTION rights.says(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql BEGIN ATOMIC SELECT to_jsonb(rights.helps()); END;
SET SESSION AUTHORIZATION rights_victim;
CALL aion.drive();
SELECT status, blocked, result FROM aion.workflow_run WHERE workflow_id = 'itself';
SELECT aion.query_workflow('asked', 'q');
SELECT aion.start_workflow('itself', workflow_id => 'itself again');

-- Code of a role in a session of another one reaches the session's prepared statements and cursors by no other statement either.
SET SESSION AUTHORIZATION rights_sneak;
CREATE TABLE rights.rows AS SELECT i FROM generate_series(1, 3) i;
CREATE FUNCTION rights.tries(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text; BEGIN EXECUTE statement INTO said; RETURN coalesce(said, 'done'); EXCEPTION WHEN OTHERS THEN RETURN SQLERRM; END $$;
CREATE FUNCTION rights.tries_body(statement text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN rights.tries(statement); END $$;
CREATE FUNCTION rights.tries_activity(statement text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.value(aion.run('tries', jsonb_build_object('statement', statement))); END $$;
SELECT aion.register_activity('tries', 'rights.tries(text)');
SELECT aion.register_workflow('tries_body', 'rights.tries_body(text)') IS NOT NULL AS registered, aion.register_workflow('tries_activity', 'rights.tries_activity(text)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
PREPARE said AS SELECT 'hush';
BEGIN;
DECLARE at_row CURSOR FOR SELECT * FROM rights.rows FOR UPDATE;
FETCH FROM at_row;
SET LOCAL ROLE rights_sneak;
SELECT aion_test.begin() IS NOT NULL AS began;
SELECT count(aion.start_workflow(how, jsonb_build_object('statement', statement), workflow_id => how || ': ' || statement))
	FROM unnest(ARRAY['EXPLAIN VERBOSE EXECUTE said', 'CREATE TABLE rights.stolen AS EXECUTE said', 'EXPLAIN ANALYZE CREATE TABLE rights.stolen AS EXECUTE said',
		'EXPLAIN ANALYZE CREATE TABLE rights.stolen AS SELECT 1', 'UPDATE rights.rows SET i = 7 WHERE CURRENT OF at_row RETURNING i', 'SELECT cursor_to_xmlschema(''at_row'', true, true, '''')']) statement, unnest('{tries_body,tries_activity}'::text[]) how;
SELECT aion_test.run_until_idle() > 0 AS executed;
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_id ~ '^tries_' AND workflow_id !~ 'activity: .*SELECT 1' ORDER BY 1;
RESET ROLE;
FETCH FROM at_row; -- it is the session's again
ROLLBACK;
DEALLOCATE said;

-- A cursor that was not fetched from is left to no other role either.
BEGIN;
SET LOCAL SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.opens() RETURNS text LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'left'; BEGIN OPEN c FOR EXECUTE 'INSERT INTO rights.rows VALUES (9) RETURNING i'; RETURN c; END $$;
CREATE FUNCTION rights.opens_one() RETURNS text LANGUAGE sql AS $$ SELECT aion.value(aion.run('opens')) $$;
SELECT aion.register_activity('opens', 'rights.opens()'), aion.register_workflow('opens_one', 'rights.opens_one()') IS NOT NULL AS registered;
SELECT aion_test.begin() IS NOT NULL AS began;
SELECT aion.start_workflow('opens_one', workflow_id => 'opens');
SELECT aion_test.run_until_idle() > 0 AS executed;
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'opens';
SET LOCAL SESSION AUTHORIZATION DEFAULT;
SELECT name FROM pg_cursors;
ROLLBACK;

-- What a caller has deferred is not fired with the rights of a definer.
SET SESSION AUTHORIZATION rights_victim;
CREATE FUNCTION rights.steps() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS $$ SELECT aion_test.run_until_idle() $$;
SET SESSION AUTHORIZATION rights_sneak;
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS began;
SELECT rights.steps();
ROLLBACK;

RESET SESSION AUTHORIZATION;
-- What the session has deferred as one role is fired as that role, whatever the test has executed before.
SET SESSION AUTHORIZATION rights_sneak;
CREATE TABLE rights.deferring (i int);
CREATE FUNCTION rights.deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'fired as %', current_user; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON rights.deferring DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION rights.deferred();
RESET SESSION AUTHORIZATION;
BEGIN;
SELECT aion_test.begin() IS NOT NULL AS began, aion_test.run_until_idle();
SET LOCAL ROLE rights_sneak;
INSERT INTO rights.deferring VALUES (1);
SELECT aion_test.run_until_idle();
ROLLBACK;

-- A role that ends with a commit is no role to drive runs as.
GRANT rights_sneak TO CURRENT_USER;
SELECT aion.start_workflow('tries_activity', '{"statement": "SELECT current_user"}', workflow_id => 'local role', run_as => 'rights_sneak');
DO $$ BEGIN SET LOCAL ROLE rights_sneak; CALL aion.drive(); END $$;
SELECT status FROM aion.workflow_run WHERE workflow_id = 'local role';
REVOKE rights_sneak FROM CURRENT_USER;

-- Functions of the server are called under the same guard, however they are called; and those of activities by their owner alone.
PREPARE said AS SELECT 'hush';
BEGIN;
SET LOCAL ROLE rights_sneak;
CREATE FUNCTION rights.with_timeout(function text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.with_timeout('1 min', function::regprocedure, '{}'); EXCEPTION WHEN OTHERS THEN RETURN to_jsonb(SQLERRM); END $$;
SELECT aion.register_workflow('with_timeout', 'rights.with_timeout(text)') IS NOT NULL AS registered, aion_test.begin() IS NOT NULL AS began;
SELECT aion.start_workflow('with_timeout', jsonb_build_object('function', f), workflow_id => f) FROM unnest('{pg_prepared_statement(),pg_cursor(),pg_advisory_unlock_all()}'::text[]) f;
SELECT aion_test.run_until_idle() > 0 AS executed;
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_type = 'with_timeout' ORDER BY 1;
ROLLBACK;
DEALLOCATE said;
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.pries() RETURNS text SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN RETURN aion.activity_info() || to_jsonb(aion.heartbeat('"forged"')); EXCEPTION WHEN OTHERS THEN RETURN SQLERRM; END $$;
SET SESSION AUTHORIZATION rights_victim;
CREATE FUNCTION rights.pried() RETURNS text LANGUAGE sql AS $$ SELECT rights.pries() $$;
CREATE FUNCTION rights.is_pried() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('pried') $$;
SELECT aion.register_activity('pried', 'rights.pried()'), aion.register_workflow('is_pried', 'rights.is_pried()') IS NOT NULL AS registered;
SELECT aion.start_workflow('is_pried', workflow_id => 'pried');
CALL aion.drive();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'pried';

-- Another role's function under the name of one that was dropped keeps no run from its copy.
SELECT aion.start_workflow('is_pried', workflow_id => 'pried later', start_at => now() + interval '0.1 s');
DROP FUNCTION rights.is_pried();
SET SESSION AUTHORIZATION rights_sneak;
CREATE FUNCTION rights.is_pried() RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb';
REVOKE ALL ON FUNCTION rights.is_pried() FROM PUBLIC;
SET SESSION AUTHORIZATION rights_victim;
SELECT pg_sleep(0.2);
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'pried later';

RESET SESSION AUTHORIZATION;
-- The level start comprises nothing of a role's own.
CREATE FUNCTION rights.common() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_workflow('common', 'rights.common()') IS NOT NULL AS registered;
SELECT aion.revoke_usage('rights_web'), aion.grant_usage('rights_web', 'start');
SET SESSION AUTHORIZATION rights_web;
SELECT aion.start_workflow('common');
RESET SESSION AUTHORIZATION;

SELECT * FROM aion.check_integrity();
SELECT count(aion.terminate_workflow(workflow_id)) FROM aion.workflow_run WHERE closed_at IS NULL;
DROP EXTENSION aion CASCADE;
DROP SCHEMA rights CASCADE;
DROP OWNED BY rights_victim, rights_sneak, rights_web, rights_fresh, rights_shop;
DROP ROLE rights_victim, rights_sneak, rights_web, rights_fresh, rights_shop;
CREATE EXTENSION aion;
