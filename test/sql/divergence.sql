-- T93, T97, 14: workflow code that reads what differs from one execution to the next is left where it does so, in every language and every form of
-- expression, before it has given a command; its run goes on when the code is mended.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS plperl; CREATE EXTENSION IF NOT EXISTS pltcl; CREATE EXTENSION IF NOT EXISTS plpython3u;
CREATE ROLE divergence_user LOGIN; SELECT aion.grant_usage('divergence_user'); CREATE SCHEMA divergence_user AUTHORIZATION divergence_user;
UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'plpython3u';
GRANT USAGE ON LANGUAGE plpython3u, plperl, pltcl TO divergence_user;
SET SESSION AUTHORIZATION divergence_user;
CREATE TABLE item (i int); INSERT INTO item VALUES (1);
CREATE VIEW one AS SELECT 1 AS i;
CREATE SEQUENCE counter;
CREATE FUNCTION noted(what text) RETURNS text LANGUAGE sql AS $$ SELECT what $$;
SELECT aion.register_activity('noted', 'noted(text)');
-- Called by code: what each language and each kind of function makes of a clock.
CREATE FUNCTION clock_sql() RETURNS text LANGUAGE sql AS $$ SELECT clock_timestamp()::text $$;
CREATE FUNCTION clock_inlined() RETURNS text LANGUAGE sql STABLE AS $$ SELECT CURRENT_TIMESTAMP::text $$;
CREATE FUNCTION clock_plpgsql() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN clock_timestamp()::text; END $$;
CREATE FUNCTION date_plpgsql() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN CURRENT_DATE::text; END $$;
CREATE FUNCTION rows_plpgsql() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM item); END $$;
CREATE FUNCTION is_late(t timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN t < statement_timestamp(); END $$;
CREATE FUNCTION late_than(t timestamptz, x text) RETURNS boolean LANGUAGE sql AS $$ SELECT t < now() $$;
CREATE OPERATOR <! (LEFTARG = timestamptz, RIGHTARG = text, FUNCTION = late_than);
CREATE TYPE wrapped AS (t text);
CREATE FUNCTION wrap(t date) RETURNS wrapped LANGUAGE plpgsql AS $$ BEGIN RETURN ROW(random()::text)::wrapped; END $$;
CREATE CAST (date AS wrapped) WITH FUNCTION wrap(date);
CREATE FUNCTION with_default(t timestamptz DEFAULT transaction_timestamp()) RETURNS text LANGUAGE sql AS $$ SELECT t::text $$;

-- Tries code, as far as aion.lint() would allow it to be registered; a command before it shows that nothing of such a turn is kept.
CREATE TABLE tried (id int GENERATED ALWAYS AS IDENTITY, language text, form text, lint text);
CREATE FUNCTION try() RETURNS void LANGUAGE plpgsql AS $$
DECLARE t tried;
BEGIN
	PERFORM aion_test.begin('2026-01-01 00:00+00');
	FOR t IN SELECT * FROM tried ORDER BY id LOOP
		EXECUTE format('CREATE FUNCTION %I() RETURNS text LANGUAGE %s AS %L', 'try ' || t.id, t.language, t.form);
		UPDATE tried SET lint = (SELECT string_agg(l.severity || ': ' || l.message, '; ' ORDER BY l.message)
			FROM aion.lint(format('%I()', 'try ' || t.id)::regprocedure) l WHERE l.code NOT IN ('opaque_language', 'plpgsql_check')) WHERE id = t.id;
		IF t.language IN ('plpgsql', 'sql') THEN
			EXECUTE format('CREATE OR REPLACE FUNCTION %I() RETURNS text LANGUAGE %s AS %L', 'try ' || t.id, t.language,
				t.form || ' -- aion:allow nondeterministic change catch_all');
		END IF;
		PERFORM aion.register_workflow('try ' || t.id, format('%I()', 'try ' || t.id)::regprocedure);
		PERFORM aion.start_workflow('try ' || t.id, workflow_id => t.id::text);
	END LOOP;
	PERFORM aion_test.run_until_idle();
END $$;
CREATE VIEW outcome AS SELECT t.id, t.language, t.form, t.lint, coalesce(e.attributes #>> '{detail,message}', w.result #>> '{}', w.error ->> 'message', w.status) AS outcome,
		e.attributes ->> 'reason' AS blocked, e.attributes #>> '{detail,hint}' AS hint
	FROM tried t JOIN aion.workflow_run w ON w.workflow_id = t.id::text LEFT JOIN aion.history_event e ON e.run_key = w.run_key AND e.event_type = 'WorkflowBlocked';

-- Each form of expression.
BEGIN;
INSERT INTO tried (language, form) SELECT 'plpgsql', form FROM unnest(ARRAY[
	'DECLARE x timestamptz := now(); BEGIN RETURN x; END',
	'DECLARE x timestamptz; BEGIN x := now(); RETURN x; END',
	'DECLARE x timestamptz; BEGIN x := CURRENT_TIMESTAMP(0); RETURN x; END',
	'DECLARE x text[]; BEGIN x[1] := LOCALTIME; RETURN x; END',
	'BEGIN IF CURRENT_DATE > ''2020-01-01'' THEN RETURN 1; END IF; RETURN 2; END',
	'BEGIN IF aion.now() IS NULL THEN RETURN 0; ELSIF random() < 2 THEN RETURN 1; END IF; RETURN 2; END',
	'BEGIN CASE WHEN random() < 2 THEN RETURN 1; ELSE RETURN 2; END CASE; END',
	'BEGIN CASE CURRENT_TIME WHEN NULL THEN RETURN 1; ELSE RETURN 2; END CASE; END',
	'BEGIN WHILE LOCALTIMESTAMP IS NULL LOOP NULL; END LOOP; RETURN 1; END',
	'BEGIN FOR i IN 1 .. (random() * 3)::int LOOP NULL; END LOOP; RETURN 1; END',
	'DECLARE x date; BEGIN FOREACH x IN ARRAY ARRAY[CURRENT_DATE] LOOP NULL; END LOOP; RETURN 1; END',
	'DECLARE r record; BEGIN FOR r IN SELECT now() LOOP NULL; END LOOP; RETURN 1; END',
	'DECLARE r record; BEGIN FOR r IN EXECUTE ''SELECT CURRENT_DATE'' LOOP NULL; END LOOP; RETURN 1; END',
	'DECLARE x text; BEGIN EXECUTE ''SELECT $1'' INTO x USING now(); RETURN x; END',
	'DECLARE x text; BEGIN SELECT CURRENT_TIME INTO x; RETURN x; END',
	'DECLARE c CURSOR FOR SELECT now(); x text; BEGIN OPEN c; FETCH c INTO x; RETURN x; END',
	'DECLARE c CURSOR (d date) FOR SELECT d; x text; BEGIN OPEN c (CURRENT_DATE); FETCH c INTO x; RETURN x; END',
	'BEGIN LOOP EXIT WHEN clock_timestamp() > ''2020-01-01''; END LOOP; RETURN 1; END',
	'BEGIN RETURN CURRENT_DATE; END',
	'BEGIN RAISE WARNING ''%'', timeofday(); RETURN 1; END',
	'BEGIN RAISE EXCEPTION USING MESSAGE = CURRENT_DATE::text; END',
	'BEGIN ASSERT now() > ''2020-01-01''; RETURN 1; END',
	'BEGIN PERFORM aion.run(''noted'', jsonb_build_object(''what'', now())); RETURN 1; END',
	'BEGIN PERFORM aion.run(''noted'', to_jsonb(CURRENT_DATE)); RETURN 1; END',
	'BEGIN DO $d$ BEGIN PERFORM now(); END $d$; RETURN 1; END',
	'BEGIN RETURN (SELECT max(i) FROM item); END',
	'BEGIN RETURN (SELECT i FROM one); END',
	'BEGIN RETURN (SELECT count(*) FROM pg_class); END',
	'BEGIN RETURN (SELECT count(*) FROM aion.workflow_run); END',
	'BEGIN RETURN clock_sql(); END', 'BEGIN RETURN clock_inlined(); END', 'BEGIN RETURN clock_plpgsql(); END', 'BEGIN RETURN date_plpgsql(); END',
	'BEGIN RETURN rows_plpgsql(); END', 'BEGIN RETURN is_late(''2020-01-01''); END', 'BEGIN RETURN aion.now() <! ''x''; END',
	'BEGIN RETURN (date ''2020-01-01'')::wrapped; END', 'BEGIN RETURN with_default(); END',
	'BEGIN BEGIN RETURN now(); EXCEPTION WHEN OTHERS THEN RETURN ''caught''; END; END',
	'BEGIN BEGIN RETURN now(); EXCEPTION WHEN assert_failure THEN RETURN ''caught''; END; END',
	'BEGIN BEGIN PERFORM now(); EXCEPTION WHEN assert_failure THEN PERFORM aion.run(''noted'', ''{"what": "caught"}''); END; RETURN 1; END']) form;
SELECT try();
SELECT form, outcome, blocked FROM outcome ORDER BY id;
SELECT form, lint FROM outcome WHERE lint IS DISTINCT FROM 'error: ' || outcome ORDER BY id;
SELECT count(*) AS commands FROM aion.history_event WHERE event_type = 'ActivityScheduled';
ROLLBACK;

-- Each language.
BEGIN;
INSERT INTO tried (language, form) SELECT l.language, replace(l.form, '$query', q) FROM
	(VALUES ('sql', '$query'), ('plperl', 'return spi_exec_query(''$query'')->{rows}[0]{n};'), ('plperl', 'my $r = eval { spi_exec_query(''$query'')->{rows}[0]{n} }; return $r // ''caught'';'),
		('pltcl', 'spi_exec {$query}; return $n'), ('plpython3u', 'return plpy.execute("$query")[0]["n"]'),
		('plpython3u', E'try:\n    return plpy.execute("$query")[0]["n"]\nexcept Exception:\n    return "caught"')) l (language, form),
	unnest(ARRAY['SELECT random()::text AS n', 'SELECT CURRENT_DATE::text AS n', 'SELECT i::text AS n FROM item', 'SELECT date_plpgsql() AS n']) q;
SELECT try();
SELECT language, replace(form, E'\n', ' ') AS form, outcome, blocked FROM outcome ORDER BY id;
ROLLBACK;

-- Each function, and what to use instead.
BEGIN;
INSERT INTO tried (language, form) SELECT 'plpgsql', format('DECLARE x text; BEGIN x := (%s)::text; RETURN ''not noticed''; END', call) FROM unnest(ARRAY[
	'now()', 'clock_timestamp()', 'statement_timestamp()', 'transaction_timestamp()', 'timeofday()', 'age(timestamp ''2020-01-01'')', 'age(''3''::xid)', 'random()', 'gen_random_uuid()',
	'setseed(0.5)', 'nextval(''counter'')', 'currval(''counter'')', 'lastval()', 'pg_sleep(0)', 'pg_sleep_for(''0 s'')', 'txid_current()', 'pg_current_xact_id()', 'pg_current_snapshot()',
	'pg_backend_pid()', 'inet_client_addr()', 'inet_server_port()', 'current_setting(''TimeZone'')', 'pg_postmaster_start_time()', 'pg_conf_load_time()', 'pg_is_in_recovery()',
	'pg_database_size(current_database())', 'pg_relation_size(''item'')', 'pg_total_relation_size(''item'')', 'pg_current_wal_lsn()', 'pg_stat_get_numscans(0)', 'pg_blocking_pids(0)',
	'has_table_privilege(''item'', ''SELECT'')', 'pg_has_role(current_user, ''USAGE'')', 'pg_my_temp_schema()', 'current_query()', 'query_to_xml(''SELECT now()'', true, true, '''')',
	'query_to_xml(''SELECT * FROM item'', true, true, '''')']) call;
SELECT try();
SELECT substring(form FROM ':= \((.*)\)::text') AS call, outcome, hint FROM outcome ORDER BY id;
ROLLBACK;

-- What is the same each time is not refused: what comes from aion, from the owner, or from the code itself.
BEGIN;
INSERT INTO tried (language, form) SELECT 'plpgsql', format('DECLARE x text; BEGIN x := (%s)::text; RETURN ''done''; END', call) FROM unnest(ARRAY[
	'aion.now()', 'aion.random()', 'aion.uuid()', 'aion.workflow_id()', 'current_user', 'session_user', 'current_database()', 'current_schema', 'age(aion.now(), ''2020-01-01'')',
	'date_trunc(''month'', aion.now())', 'to_char(aion.now(), ''YYYY'')', 'aion.now() + interval ''1 month''', 'timestamptz ''2026-01-01'' > aion.now()',
	'(SELECT jsonb_agg(y ORDER BY y) FROM generate_series(1, 3) y)', '(SELECT count(*) FROM jsonb_array_elements(''[1, 2]''))', '(SELECT max(v) FROM (VALUES (1), (2)) AS t (v))',
	'array_to_string(ARRAY[1, 2], '','')', 'to_regclass(''item'')', '''item''::regclass', 'md5(''x'')', 'pg_typeof(1)',
	'aion.run_sql(''SELECT now() IS NULL AS x'')', 'aion.run_sql(''SELECT count(*) AS n FROM item'')']) call;
SELECT try();
SELECT substring(form FROM ':= \((.*)\)::text') AS call, outcome, blocked FROM outcome WHERE outcome <> 'done' OR blocked IS NOT NULL ORDER BY id;
SELECT count(*) AS done FROM outcome WHERE outcome = 'done';
ROLLBACK;

-- Functions that were planned and initialised for other code, in this session and in the same transaction, are noticed all the same.
CREATE FUNCTION uses_both() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN clock_plpgsql() || date_plpgsql() || rows_plpgsql(); END $$;
SELECT uses_both() IS NOT NULL AS used;
SELECT aion.register_activity('uses', 'uses_both()');
BEGIN;
INSERT INTO tried (language, form) SELECT 'plpgsql', format('BEGIN PERFORM aion.run(''uses''); RETURN %s; END', call)
	FROM unnest('{clock_plpgsql(),date_plpgsql(),rows_plpgsql(),aion.workflow_id()}'::text[]) call;
SELECT try();
SELECT substring(form FROM 'RETURN (.*);') AS call, regexp_replace(outcome, '^\d+$', 'its id') AS outcome, blocked FROM outcome ORDER BY id;
ROLLBACK;

-- Also by an expression that this session has planned for itself, and nothing has renewed since.
CREATE FUNCTION today() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN CURRENT_DATE::text; END $$;
CREATE FUNCTION asks_today() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN today(); END $$;
SELECT aion.register_workflow('asks_today', 'asks_today()') IS NOT NULL AS registered;
SELECT today() IS NOT NULL AS planned;
SELECT aion.start_workflow('asks_today', workflow_id => 'today');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'today';

-- The run goes on by itself once a deploy has mended the code. (Committed: as a client would do it.)
CREATE FUNCTION mended() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('noted', '{"what": "first"}'); RETURN now()::text /* aion:allow nondeterministic */; END $$;
SELECT aion.register_workflow('mended', 'mended()') IS NOT NULL AS registered;
SELECT aion.start_workflow('mended', workflow_id => 'mended');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'mended';
SELECT attributes #- '{detail,context}' AS attributes FROM aion.history('mended') WHERE event_type = 'WorkflowBlocked';
CREATE OR REPLACE FUNCTION mended() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('noted', '{"what": "first"}'); RETURN 'at ' || extract(year FROM aion.now()) / 1000; END $$;
SELECT aion.set_workflow_version('mended') IS NOT NULL AS moved;
CALL aion.drive();
SELECT status, result ~ 'at 2' AS is_right FROM (SELECT status, result #>> '{}' AS result FROM aion.workflow_run WHERE workflow_id = 'mended') r;
SELECT aion_test.replay('mended');

-- What a language does by itself is found where turns are verified: the code is executed twice before anything is recorded. Messages are sent once.
SET aion.verify_turns = tests;
BEGIN;
INSERT INTO tried (language, form) VALUES
	('plpython3u', 'import random
plpy.execute("SELECT aion.run(''noted'', jsonb_build_object(''what'', ''%s''))" % random.random())
return "not noticed"'),
	('plperl', 'return rand();'),
	('plperl', 'my $n = $_SHARED{n}++; spi_exec_query("SELECT aion.sleep(''1 s'')") if $n % 2; return "not noticed";'),
	('plperl', 'my $n = $_SHARED{m}++; die "odd" if $n % 2; return "not noticed";'),
	('plperl', 'my $n = $_SHARED{k}++; spi_exec_query("SELECT aion.continue_as_new(''{}'')") if $n % 2; return "not noticed";'),
	('plpgsql', 'BEGIN RAISE WARNING ''said once''; PERFORM aion.run(''noted'', jsonb_build_object(''what'', aion.random()::text)); RETURN aion.uuid() IS NULL; END');
RESET client_min_messages;
SELECT try();
SELECT language, outcome, blocked FROM outcome ORDER BY id;
SELECT workflow_id, regexp_replace(attributes #>> '{detail,first}', '0\.\d+(e-\d+)?', 'N') AS first, regexp_replace(attributes #>> '{detail,second}', '0\.\d+(e-\d+)?', 'N') AS second, count(*)
	FROM aion.history_event WHERE event_type = 'WorkflowBlocked' GROUP BY 1, 2, 3 ORDER BY 1;
SELECT count(*) AS noted FROM aion.history_event WHERE event_type = 'ActivityScheduled';
ROLLBACK;
SET client_min_messages = warning;
RESET aion.verify_turns;

-- With warn it is a message, once for each place; with off nothing is looked for.
RESET client_min_messages;
SET aion.determinism = warn;
CREATE FUNCTION warned() RETURNS text LANGUAGE plpgsql AS $$ DECLARE d date := CURRENT_DATE; BEGIN PERFORM aion.run('noted', '{"what": "first"}'); RETURN (SELECT count(*) FROM item); END $$;
SELECT aion.register_workflow('warned', 'warned()') IS NOT NULL AS registered;
SELECT aion.start_workflow('warned', workflow_id => id) FROM unnest('{w1,w2}'::text[]) id;
SELECT divergences AS before FROM aion.stat_engine \gset
CALL aion.drive();
SELECT divergences > :before AS counted FROM aion.stat_engine;
SET aion.determinism = off;
CREATE FUNCTION off() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM item WHERE now() IS NOT NULL); END $$;
SELECT aion.register_workflow('off', 'off()') IS NOT NULL AS registered;
SELECT aion.start_workflow('off', workflow_id => 'off');
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^(w|off)' ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY divergence_user CASCADE;
DROP ROLE divergence_user;
DROP EXTENSION plpython3u, plperl, pltcl;
CREATE EXTENSION aion;
