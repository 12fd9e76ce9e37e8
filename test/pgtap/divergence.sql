--
-- Random workflows with one place that differs from one execution to the next: whatever it is and wherever it is, the guard or the
-- verification of turns leaves the code in the first turn that comes by, and nothing of that turn is recorded. Without that place the same
-- code completes, and aion.lint() finds nothing. The seed is printed; add one that fails to the list of those that are tried every time.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS plpython3u; CREATE EXTENSION IF NOT EXISTS plperl; CREATE EXTENSION IF NOT EXISTS pltcl;
CREATE SCHEMA chance; SET search_path = chance, public;
-- So many random workflows, and forms of expression for each function; with AION_CYCLES five hundred fresh ones, and all forms.
\set seed 1
\set seeds 100
\set forms 2
\getenv cycles AION_CYCLES
\if :{?cycles}
SELECT (extract(epoch FROM clock_timestamp()) * 10)::bigint % 1000000 AS seed \gset
\set seeds 500
\set forms 12
\endif
\getenv seed AION_SEED
\echo # seeds from :seed

CREATE TABLE item (i int); INSERT INTO item VALUES (1), (2);
CREATE VIEW one AS SELECT 1 AS i;
CREATE SEQUENCE counter;
CREATE FUNCTION noted(what text) RETURNS text LANGUAGE sql AS $$ SELECT what $$;
CREATE FUNCTION declines(what text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'declined'; END $$;
SELECT aion.register_activity(a, (a || '(text)')::regprocedure) FROM unnest('{noted,declines}'::text[]) a \g /dev/null
CREATE FUNCTION clock_sql() RETURNS text LANGUAGE sql AS $$ SELECT clock_timestamp()::text $$;
CREATE FUNCTION clock_plpgsql() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN now()::text; END $$;
CREATE FUNCTION rows_plpgsql() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM item); END $$;
CREATE FUNCTION late_than(t timestamptz, x text) RETURNS boolean LANGUAGE sql AS $$ SELECT t < now() $$;
CREATE OPERATOR <! (LEFTARG = timestamptz, RIGHTARG = text, FUNCTION = late_than);
CREATE FUNCTION with_default(t timestamptz DEFAULT transaction_timestamp()) RETURNS text LANGUAGE sql AS $$ SELECT t::text $$;
CREATE FUNCTION in_python() RETURNS text LANGUAGE plpython3u AS $$ import random; return str(random.random()) $$;
CREATE FUNCTION in_perl() RETURNS text LANGUAGE plperl AS $$ return rand() $$;
CREATE FUNCTION in_tcl() RETURNS text LANGUAGE pltcl AS $$ return [expr {rand()}] $$;
CREATE FUNCTION python_reads() RETURNS text LANGUAGE plpython3u AS $$ return str(len(plpy.execute('SELECT * FROM item'))) $$;

-- What can differ, as statements that leave it in x. With seen = false aion.lint() cannot know of it.
CREATE TABLE kind (n int GENERATED ALWAYS AS IDENTITY, code text, seen boolean DEFAULT true);
INSERT INTO kind (code) SELECT format('x := %s;', e) FROM unnest(ARRAY['now()', 'clock_timestamp()', 'statement_timestamp()', 'timeofday()', 'CURRENT_TIMESTAMP', 'CURRENT_DATE', 'LOCALTIME',
	'random()', 'gen_random_uuid()', 'nextval(''counter'')', 'txid_current()', 'pg_backend_pid()', 'current_setting(''TimeZone'')', 'pg_current_wal_lsn()', '(SELECT count(*) FROM item)',
	'(SELECT i FROM one)', '(SELECT count(*) FROM pg_class)', 'clock_sql()', 'clock_plpgsql()', 'rows_plpgsql()', 'in_python()', 'in_perl()', 'in_tcl()']) e;
INSERT INTO kind (code, seen) SELECT format('x := %s;', e), false FROM unnest(ARRAY['(aion.now() <! ''x'')', 'with_default()', 'python_reads()']) e;
INSERT INTO kind (code) VALUES ('SELECT clock_timestamp() INTO x;'), ('FOR r IN SELECT i FROM item LOOP x := r.i; END LOOP;'), ('IF random() < 2 THEN x := 1; END IF;'),
	('x := CASE WHEN random() < 0 THEN 1 ELSE 2 END;'), ('WHILE now() IS NULL LOOP NULL; END LOOP; x := 1;'), ('OPEN c; FETCH c INTO x; CLOSE c;'),
	('BEGIN x := now(); EXCEPTION WHEN assert_failure THEN x := ''caught''; END;');
INSERT INTO kind (code, seen) VALUES ('EXECUTE ''SELECT now()'' INTO x;', false), ('FOR r IN EXECUTE ''SELECT i FROM item'' LOOP x := r.i; END LOOP;', false);

CREATE FUNCTION roll(sides int) RETURNS int LANGUAGE sql AS $$ SELECT floor(random() * sides)::int $$;
-- Statements, of which at most one has the mark that is replaced later.
CREATE FUNCTION statements(depth int, planted boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	count int := 1 + roll(4);
	here int := CASE WHEN planted THEN 1 + roll(count) END;
	result text := '';
	nested text;
BEGIN
	FOR i IN 1 .. count LOOP
		IF i = here AND (depth = 0 OR roll(2) = 0) THEN
			result := result || E'<planted>\n';
			CONTINUE;
		END IF;
		nested := CASE WHEN i = here THEN statements(depth - 1, true) WHEN depth > 0 THEN statements(depth - 1, false) ELSE E'NULL;\n' END;
		result := result || CASE CASE WHEN i = here THEN roll(4) ELSE roll(9) END
			WHEN 0 THEN format(E'FOR step IN 1 .. %s LOOP\n%sEND LOOP;\n', 1 + roll(2), nested)
			WHEN 1 THEN format(E'IF n IS NOT NULL THEN\n%sELSE n := n + 1; END IF;\n', nested)
			WHEN 2 THEN format(E'BEGIN\n%sEXCEPTION WHEN SQLSTATE ''WA000'' THEN n := n - 1; END;\n', nested)
			WHEN 3 THEN format(E'BEGIN\n%sPERFORM aion.run(''declines'', ''{"what": "x"}'');\nEXCEPTION WHEN SQLSTATE ''WA000'' THEN n := n - 1; END;\n', nested)
			WHEN 4 THEN format(E'PERFORM aion.sleep(''%s s'');\n', roll(5))
			WHEN 5 THEN E'x := aion.run(''noted'', jsonb_build_object(''what'', n));\n'
			WHEN 6 THEN E'h := aion.start_activity(''noted'', jsonb_build_object(''what'', n)); PERFORM aion.await(h);\n'
			WHEN 7 THEN E'n := n + aion.random_int(1, 3);\n'
			ELSE E'n := n + 1; x := aion.run_sql(''SELECT count(*) FROM chance.item'');\n' END;
	END LOOP;
	RETURN result;
END $$;
CREATE TABLE tried (seed bigint, planted boolean, kind int, body text, lint text);
CREATE FUNCTION plant(seed bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	template text;
	planted boolean;
	k kind;
	name text;
	code text;
	found text;
BEGIN
	PERFORM setseed(seed / 1e7);
	template := statements(roll(4), true);
	SELECT * INTO k FROM kind ORDER BY n OFFSET roll((SELECT count(*) FROM kind)::int) LIMIT 1;
	FOREACH planted IN ARRAY '{false,true}'::boolean[] LOOP
		name := format('w%s%s', seed, CASE WHEN planted THEN '_planted' END);
		code := E'DECLARE n int := 0; x text; h aion.handle; r record; c CURSOR FOR SELECT now();\nBEGIN\nPERFORM aion.run(''noted'', ''{"what": "first"}'');\n' || replace(template, '<planted>',
			CASE WHEN planted THEN k.code || ' PERFORM aion.run(''noted'', jsonb_build_object(''what'', ''planted '' || x));' ELSE 'NULL;' END) || 'RETURN n; END';
		EXECUTE format('CREATE FUNCTION %I() RETURNS int LANGUAGE plpgsql AS %L', name, code);
		SELECT string_agg(l.message, '; ') INTO found FROM aion.lint(format('%I()', name)::regprocedure) l WHERE l.severity <> 'notice' AND l.code <> 'catch_all';
		INSERT INTO tried VALUES (seed, planted, k.n, code, found);
		SET LOCAL aion.determinism = off;
		PERFORM aion.register_workflow(name, format('%I()', name)::regprocedure);
		SET LOCAL aion.determinism = strict;
		PERFORM aion.start_workflow(name, workflow_id => name);
	END LOOP;
END $$;
SELECT plan(7);
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') \g /dev/null
SET LOCAL aion.verify_turns = tests;
SELECT plant(s) FROM generate_series(:seed, :seed + :seeds - 1) s \g /dev/null
SELECT aion_test.advance('5 minutes') \g /dev/null
-- Each view is read once: the planner knows nothing of rows that this transaction has made.
CREATE TEMP TABLE run ON COMMIT DROP AS SELECT run_key, workflow_id, status, blocked, error FROM aion.workflow_run;
CREATE TEMP TABLE recorded ON COMMIT DROP AS SELECT DISTINCT e.run_key FROM aion.history_event e WHERE e.event_type = 'ActivityScheduled' AND e::text ~ 'planted ';
ANALYZE run, recorded, tried;
CREATE TEMP TABLE outcome ON COMMIT DROP AS SELECT t.*, w.status, w.blocked, w.error, k.seen, r.run_key IS NOT NULL AS recorded
	FROM tried t JOIN kind k ON k.n = t.kind LEFT JOIN run w ON w.workflow_id = format('w%s%s', t.seed, CASE WHEN t.planted THEN '_planted' END) LEFT JOIN recorded r USING (run_key);
SELECT is((SELECT string_agg(format('seed %s: %s %s %s', seed, status, error, body), E'\n') FROM outcome WHERE NOT planted AND status IS DISTINCT FROM 'completed'), NULL, 'code that does not differ completes');
SELECT is((SELECT string_agg(format('seed %s: %s in %s', seed, lint, body), E'\n') FROM outcome WHERE NOT planted AND lint IS NOT NULL), NULL, 'aion.lint() finds nothing in it');
SELECT is((SELECT string_agg(format('seed %s: %s %s %s %s', seed, status, blocked, error, body), E'\n') FROM outcome WHERE planted AND blocked IS DISTINCT FROM 'nondeterministic'), NULL,
	'code that differs is left');
SELECT is((SELECT string_agg(format('seed %s: %s', seed, body), E'\n') FROM outcome WHERE planted AND recorded), NULL, 'nothing is recorded that depends on it');
SELECT is((SELECT string_agg(format('seed %s: %s', seed, body), E'\n') FROM outcome WHERE planted AND seen AND lint IS NULL), NULL, 'aion.lint() finds what it can know of');
ROLLBACK;

-- Each function of the server that differs, in forms of expression. Those with a parameter or none are taken from the catalog.
CREATE TABLE call (n int GENERATED ALWAYS AS IDENTITY, expression text);
INSERT INTO call (expression) SELECT format('%s(%s)', proname, (SELECT string_agg(format('%L::%s', CASE WHEN t = 'regclass'::regtype THEN 'item' ELSE '0' END, t::regtype), ', ') FROM unnest(proargtypes) t))
	FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND (provolatile = 'v' OR proname ~ '^pg_stat_get') AND provolatile <> 'i' AND prokind = 'f' AND NOT proretset
	AND pronargs <= 1 AND (proargtypes[0] IS NULL OR proargtypes[0] IN ('oid'::regtype, 'int4'::regtype, 'int8'::regtype, 'text'::regtype, 'regclass'::regtype))
	AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype, 'language_handler'::regtype, 'fdw_handler'::regtype, 'index_am_handler'::regtype,
		'table_am_handler'::regtype, 'tsm_handler'::regtype)
	AND proname !~ '^(lo_|loread|lowrite|pg_advisory_|pg_create_|pg_drop_|pg_export_snapshot|pg_notify|pg_replication_|pg_try_advisory_|set_config|query_to_xml|ts_stat)' ORDER BY 1;
INSERT INTO call (expression) SELECT e FROM unnest(ARRAY['now()', 'statement_timestamp()', 'transaction_timestamp()', 'age(timestamp ''2020-01-01'')',
	'age(timestamptz ''2020-01-01'')', 'age(''3''::xid)', 'mxid_age(''3''::xid)', 'setseed(0.5)', 'nextval(''counter'')', 'currval(''counter'')', 'setval(''counter'', 7)', 'pg_sleep(0)', 'pg_sleep_for(''0 s'')',
	'pg_sleep_until(''2020-01-01'')', 'current_setting(''TimeZone'')', 'current_setting(''none'', true)', 'has_table_privilege(''item'', ''SELECT'')', 'has_schema_privilege(''chance'', ''USAGE'')',
	'has_function_privilege(''noted(text)'', ''EXECUTE'')', 'pg_has_role(current_user, ''USAGE'')', 'inet_client_addr()', 'inet_client_port()', 'inet_server_addr()', 'inet_server_port()', 'pg_current_snapshot()',
	'pg_current_xact_id_if_assigned()', 'txid_current_snapshot()', 'pg_my_temp_schema()', 'pg_is_other_temp_schema(0)', 'pg_postmaster_start_time()', 'pg_conf_load_time()', 'pg_backend_pid()',
	'row_security_active(''item'')', 'pg_relation_size(''item'')', 'pg_table_size(''item'')', 'pg_indexes_size(''item'')', 'pg_total_relation_size(''item'')', 'pg_database_size(current_database())',
	'pg_tablespace_size(''pg_default'')', 'pg_column_size(pg_blocking_pids(0))', 'pg_stat_get_numscans(0)', 'pg_stat_get_live_tuples(0)', 'pg_stat_get_db_xact_commit(0)', 'pg_stat_get_backend_pid(1)',
	'pg_xact_commit_timestamp(''3'')', 'pg_safe_snapshot_blocking_pids(0)', 'pg_cancel_backend(0)', 'pg_terminate_backend(0)']) e;
CREATE TABLE form (n int GENERATED ALWAYS AS IDENTITY, code text, helper text);
INSERT INTO form (code) SELECT 'DECLARE x text; r record; BEGIN ' || c || ' RETURN ''not noticed''; END' FROM unnest(ARRAY['x := %s;', 'IF (%s)::text IS NULL THEN NULL; END IF;', 'RETURN %s;',
	'PERFORM aion.run(''noted'', jsonb_build_object(''what'', %s));', 'FOR r IN SELECT %s LOOP NULL; END LOOP;', 'PERFORM %s;', 'EXECUTE $q$SELECT %s$q$;', 'SELECT %s INTO x;',
	'DECLARE y text := %s; BEGIN NULL; END;', 'RAISE DEBUG ''%%'', %s;']) c;
INSERT INTO form (code, helper) VALUES ('BEGIN RETURN %s; END', 'CREATE FUNCTION %I() RETURNS text LANGUAGE sql AS %L'), ('BEGIN RETURN %s; END', 'CREATE FUNCTION %I() RETURNS text LANGUAGE plpgsql AS %L');
CREATE TABLE tried_each (workflow_id text, code text);
CREATE FUNCTION try_each(forms int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c call;
	f form;
	name text;
	expression text;
BEGIN
	FOR c IN SELECT * FROM call LOOP FOR f IN SELECT * FROM form ORDER BY random() LIMIT forms LOOP
		name := format('f%s_%s', f.n, c.n);
		INSERT INTO tried_each VALUES (name, format(f.code, c.expression));
		expression := c.expression;
		IF f.helper IS NOT NULL THEN
			EXECUTE format(f.helper, 'helper_' || name, CASE WHEN f.helper ~ ' sql ' THEN format('SELECT (%s)::text', expression) ELSE format('BEGIN RETURN %s; END', expression) END);
			expression := format('helper_%s()', name);
		END IF;
		EXECUTE format('CREATE FUNCTION %I() RETURNS text LANGUAGE plpgsql AS %L', name, format(f.code, expression));
		PERFORM aion.register_workflow(name, format('%I()', name)::regprocedure), aion.start_workflow(name, workflow_id => name);
	END LOOP; END LOOP;
END $$;
SELECT cmp_ok((SELECT count(*) FROM call), '>=', 100::bigint, 'a hundred functions');
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') \g /dev/null
SET LOCAL aion.determinism = off;
SELECT try_each(:forms) \g /dev/null
SET LOCAL aion.determinism = strict;
SELECT aion_test.run_until_idle() \g /dev/null
-- Each view is read once: the planner knows nothing of rows that this transaction has made.
CREATE TEMP TABLE run ON COMMIT DROP AS SELECT run_key, workflow_id, status, blocked, coalesce(result::text, error::text) AS outcome FROM aion.workflow_run;
CREATE TEMP TABLE event ON COMMIT DROP AS SELECT run_key, attributes #>> '{detail,message}' AS message FROM aion.history_event WHERE event_type = 'WorkflowBlocked';
ANALYZE run, event, tried_each;
SELECT is((SELECT string_agg(format('%s: %s %s %s', t.code, w.status, w.outcome, e.message), E'\n') FROM tried_each t LEFT JOIN run w USING (workflow_id) LEFT JOIN event e USING (run_key)
	WHERE w.blocked IS DISTINCT FROM 'nondeterministic' OR e.message IS NULL OR e.message !~ '^workflow code cannot call '), NULL,
	'each is noticed');
SELECT * FROM finish();
ROLLBACK;
