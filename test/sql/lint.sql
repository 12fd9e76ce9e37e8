-- 14: what aion.lint() says of workflow code, and what registering it does.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS plpython3u; CREATE EXTENSION IF NOT EXISTS plperl; CREATE EXTENSION IF NOT EXISTS pltcl;
CREATE ROLE lint_user LOGIN; SELECT aion.grant_usage('lint_user'); CREATE SCHEMA lint_user AUTHORIZATION lint_user; CREATE SCHEMA lint_own AUTHORIZATION lint_user;
UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'plpython3u';
GRANT USAGE ON LANGUAGE plpython3u, plperl, pltcl TO lint_user;
SET SESSION AUTHORIZATION lint_user;
CREATE TABLE item (i int);
CREATE SEQUENCE counter;
CREATE FUNCTION noted(what text) RETURNS text LANGUAGE sql AS $$ SELECT what $$;
SELECT aion.register_activity('noted', 'noted(text)');
-- Looks at code that is given as text.
CREATE FUNCTION findings(body text, language text DEFAULT 'plpgsql') RETURNS TABLE (line int, severity text, code text, message text, hint text)
	LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION looked_at() RETURNS text LANGUAGE %s AS %L', language, body);
	RETURN QUERY SELECT l.line, l.severity, l.code, l.message, l.hint FROM aion.lint('looked_at()') l WHERE l.code <> 'plpgsql_check';
END $$;
CREATE FUNCTION helper() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN clock_timestamp()::text; END $$;
CREATE FUNCTION helper_of_helper() RETURNS text LANGUAGE sql AS $$ SELECT helper() $$;
CREATE FUNCTION recursive() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM now(); RETURN recursive(); END $$;
CREATE FUNCTION writes() RETURNS void LANGUAGE sql AS $$ INSERT INTO item VALUES (1) $$;
CREATE FUNCTION waits() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('x'); END $$;

-- Everything that one function can have, with the place of each.
CREATE FUNCTION all_of_it(customer text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz := now();
	c CURSOR FOR SELECT i FROM item;
	h aion.handle := aion.start_activity('noted', '{"what": "x"}');
BEGIN
	IF random() < 0.5 AND aion.patched('coin') THEN
		PERFORM aion.start_activity('noted');
	ELSIF (SELECT count(*) FROM item) > 3 THEN
		UPDATE item SET i = 1;
	END IF;
	BEGIN
		PERFORM aion.run('noted', jsonb_build_object('what', CURRENT_DATE));
	EXCEPTION WHEN OTHERS THEN
		RAISE NOTICE 'x';
	END;
	PERFORM aion.run('noted', to_jsonb(m)) FROM jsonb_array_elements('[]') m;
	PERFORM aion.start_workflow('x'), aion.query_workflow('x', 'y');
	PERFORM pg_notify('x', 'y');
	CREATE TEMP TABLE t (i int);
	PERFORM helper(), helper_of_helper(), recursive(), writes();
	PERFORM aion.start_timer('late', '1 day'), aion.start_timer('other', '1 day');
	PERFORM aion.start_timer('late', '2 days');
	EXECUTE 'SELECT 1';
	OPEN c;
	LOOP
		PERFORM aion.receive('x');
	END LOOP;
	WHILE true LOOP
		NULL;
	END LOOP;
END $$;
SELECT line, severity, code, message, hint, statement FROM aion.lint('all_of_it(text)') WHERE code <> 'plpgsql_check';

-- Comments allow single findings, on the line before or in the line; also within functions that are called.
SELECT * FROM findings('
BEGIN
	-- aion:allow nondeterministic
	PERFORM now();
	PERFORM now(); -- aion:allow nondeterministic, change
	-- aion:allow change
	PERFORM random();
	RETURN NULL;
END');
CREATE FUNCTION allowed() RETURNS text LANGUAGE sql AS $$ SELECT now()::text /* aion:allow nondeterministic */ $$;
SELECT * FROM findings('BEGIN RETURN allowed(); END');

-- What is right is not noticed.
SELECT n, f.* FROM unnest(ARRAY[
	'BEGIN PERFORM aion.now(), aion.random(), aion.uuid(); RETURN current_user; END',
	'BEGIN RETURN (WITH item AS (SELECT 1 AS i) SELECT i FROM item); END',
	'BEGIN RETURN (WITH RECURSIVE t AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM t WHERE i < 3) SELECT max(i) FROM t); END',
	'DECLARE m record; BEGIN FOR m IN SELECT * FROM jsonb_array_elements(aion.run(''noted'')) LOOP PERFORM aion.run(''noted''); END LOOP; RETURN 1; END',
	'DECLARE h aion.handle := aion.start_activity(''noted''); BEGIN RETURN aion.await(h); END',
	'DECLARE h aion.handle; BEGIN h := aion.start_activity(''noted''); RETURN h; END',
	'DECLARE h aion.handle[]; BEGIN h := h || aion.start_activity(''noted''); RETURN aion.await_all(h); END',
	'BEGIN PERFORM aion.start_child(''x''); RETURN 1; END',
	'BEGIN PERFORM aion.start_timer(''a'', ''1 s''); PERFORM aion.cancel_timer(''a''); RETURN 1; END',
	'DECLARE t aion.handle; BEGIN t := aion.start_timer(''a'', ''1 s''); PERFORM aion.await(t); t := aion.start_timer(''a'', ''1 s''); RETURN aion.await(t); END',
	'DECLARE t aion.handle; BEGIN IF aion.now() IS NULL THEN t := aion.start_timer(''a'', ''1 s''); ELSE t := aion.start_timer(''a'', ''2 s''); END IF; RETURN aion.await(t); END',
	'BEGIN BEGIN PERFORM aion.run(''noted''); EXCEPTION WHEN OTHERS THEN PERFORM aion.run(''noted''); RAISE; END; RETURN 1; END',
	'BEGIN BEGIN PERFORM aion.run(''noted''); EXCEPTION WHEN OTHERS THEN IF aion.failure() IS NULL THEN RAISE; END IF; END; RETURN 1; END',
	'BEGIN BEGIN PERFORM aion.run(''noted''); EXCEPTION WHEN SQLSTATE ''WA000'' THEN RETURN 2; END; RETURN 1; END',
	'BEGIN BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN RETURN 2; END; RETURN 1; END',
	'BEGIN LOOP PERFORM aion.receive(''x''); EXIT WHEN aion.now() IS NULL; END LOOP; RETURN 1; END',
	'BEGIN LOOP PERFORM aion.receive(''x''); IF aion.now() IS NULL THEN RETURN 2; END IF; END LOOP; END',
	'BEGIN LOOP PERFORM aion.receive(''x''); IF aion.continue_suggested() THEN PERFORM aion.continue_as_new(''{}''); END IF; END LOOP; END',
	'BEGIN LOOP PERFORM waits(); EXIT WHEN aion.now() IS NULL; END LOOP; RETURN 1; END',
	'DECLARE n int := 0; BEGIN WHILE n < 3 LOOP n := n + 1; END LOOP; RETURN n; END',
	'DECLARE p boolean := aion.patched(''x''); BEGIN IF p AND aion.now() IS NOT NULL THEN RETURN 1; END IF; RETURN 2; END',
	'BEGIN IF aion.patched(''x'') THEN RETURN 1; END IF; RETURN 2; END']) WITH ORDINALITY u (body, n), findings(u.body) f;

-- Loops, by what leaves them.
SELECT n, f.line, f.code FROM unnest(ARRAY[
	'BEGIN LOOP LOOP EXIT; END LOOP; PERFORM aion.sleep(''1 s''); END LOOP; END',
	'BEGIN <<outermost>> LOOP LOOP EXIT outermost; END LOOP; PERFORM aion.sleep(''1 s''); END LOOP; RETURN 1; END',
	'BEGIN LOOP PERFORM waits(); END LOOP; END',
	'BEGIN LOOP CONTINUE; END LOOP; END',
	'BEGIN LOOP EXECUTE ''x''; END LOOP; END']) WITH ORDINALITY u (body, n), findings(u.body) f;

-- What may leave a loop, raise in a handler or make one row of many is no matter of warnings; nor what cannot be known.
CREATE FUNCTION fails(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', what; END $$;
CREATE PROCEDURE proceeds(a int, OUT b int) LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 s'); PERFORM now(); END $$;
SELECT n, f.line, f.code, f.message FROM unnest(ARRAY[
	'BEGIN <<o>> LOOP PERFORM aion.receive(''x''); LOOP CONTINUE o WHEN aion.now() IS NULL; END LOOP; END LOOP; END',
	'BEGIN LOOP PERFORM aion.receive(''x''); IF aion.now() IS NULL THEN PERFORM fails(''x''); END IF; END LOOP; END',
	'DECLARE n int; BEGIN LOOP CALL proceeds(1, n); END LOOP; END',
	'BEGIN LOOP PERFORM is_made_later(1); END LOOP; END',
	'BEGIN BEGIN PERFORM aion.run(''noted''); EXCEPTION WHEN OTHERS THEN CASE WHEN aion.now() IS NULL THEN NULL; ELSE RAISE; END CASE; END; RETURN 1; END',
	'BEGIN BEGIN PERFORM aion.run(''noted''); EXCEPTION WHEN OTHERS THEN IF aion.now() IS NULL THEN NULL; ELSIF true THEN BEGIN RAISE; END; END IF; END; RETURN 1; END',
	'BEGIN RETURN (SELECT aion.map(''noted'', jsonb_agg(e)) FROM jsonb_array_elements(''[1]'') e); END',
	'BEGIN RETURN (SELECT aion.run(''noted'', jsonb_agg(e)) FROM jsonb_array_elements(''[1]'') e GROUP BY e); END',
	'BEGIN PERFORM aion.start_timer(''t'' || 1, ''1 s''); PERFORM aion.cancel_timer(''t'' || 1); RETURN 1; END',
	'BEGIN RETURN (WITH item AS (SELECT * FROM item) SELECT 1); END',
	'BEGIN EXPLAIN ANALYZE INSERT INTO item VALUES (1); COMMIT; RETURN 1; END']) WITH ORDINALITY u (body, n), findings(u.body) f WHERE code <> 'dynamic_statement';

-- Each place where a function is called, and each line of a statement; comments allow what they name and nothing else.
SELECT f.line, f.severity, f.message FROM findings('
BEGIN
	PERFORM helper(); -- aion:allow nondeterministic
	PERFORM helper();
	-- aion:allow nondeterministic: that we must change
	PERFORM pg_notify(''a'', ''b''), now();
	RAISE NOTICE ''see aion:allow nondeterministic'';
	PERFORM now();
	RETURN concat(1,
		2, now(),
		-- aion:allow nondeterministic
		3, clock_timestamp());
END') f;
SELECT f.line, f.severity, f.message FROM findings('
BEGIN
	RETURN concat(''now'', ''today''::text, date ''2026-01-01'', ''epoch''::date,
		''now''::timestamptz, timestamp with time zone ''Tomorrow 10:00'',
		CAST(''yesterday'' AS pg_catalog.date), time '' now'');
END') f;
SELECT f.line, f.message FROM findings(E'\n\t-- two lines\n\t/* aion:allow nondeterministic */\n\tSELECT now()::text;\n\n-- more\n\tSELECT random()::text', 'sql') f;

-- Functions that call themselves, or each other, or look at themselves while they are executed.
CREATE FUNCTION calls_itself(n int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE c bigint;
BEGIN
	SELECT count(*) INTO c FROM aion.lint('calls_itself(int)');
	IF n > 0 THEN c := c + calls_itself(n - 1); END IF;
	PERFORM now();
	RETURN c;
END $$;
SELECT line, message FROM aion.lint('calls_itself(int)') WHERE code <> 'plpgsql_check';
SELECT calls_itself(5) > 5 AS executed, calls_itself(2) > 2 AS again;
CREATE FUNCTION calls_other() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM now(); RETURN 1; END $$;
CREATE FUNCTION calls_back() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM calls_other(), random(); RETURN 1; END $$;
CREATE OR REPLACE FUNCTION calls_other() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM calls_back(), now(); RETURN 1; END $$;
SELECT line, severity, message FROM aion.lint('calls_other()') WHERE code <> 'plpgsql_check';

-- A function that cannot be parsed is no reason to refuse one that calls it.
SET check_function_bodies = off;
CREATE FUNCTION broken() RETURNS text LANGUAGE plpgsql AS 'BEGIN x := ; END'; CREATE FUNCTION broken_sql() RETURNS text LANGUAGE sql AS 'SELECT FROM FROM';
RESET check_function_bodies;
SELECT f.severity, f.code, f.message FROM findings('BEGIN IF false THEN PERFORM broken(), broken_sql(); END IF; RETURN 1; END') f;
SELECT count(*) FROM aion.lint('broken()');

-- Other languages.
SELECT n, f.line, f.severity, f.code, f.message FROM (VALUES (1, 'sql', E'SELECT 1;\n\nSELECT now()::text'), (2, 'sql', 'INSERT INTO item VALUES (1) RETURNING i::text'),
	(3, 'plpython3u', E'import random\n# random.random()\nx = time.time()\nmy_time.time()\nreturn random.random()'), (4, 'plperl', E'my $t = time();\nreturn ''$time(1)'';'),
	(5, 'pltcl', 'return [clock seconds]')) l (n, language, body), findings(body, language) f ORDER BY n, line, message;
CREATE FUNCTION atomic() RETURNS text BEGIN ATOMIC SELECT now()::text FROM item; SELECT aion.pause_workflow('x'); SELECT helper(); END;
SELECT line, severity, code, message FROM aion.lint('atomic()') ORDER BY message;

-- Names mean what they mean where the code is executed.
CREATE FUNCTION lint_own.now() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$ SELECT timestamptz '2026-01-01' $$;
CREATE FUNCTION own() RETURNS text LANGUAGE plpgsql SET search_path = lint_own, pg_catalog AS $$ BEGIN RETURN now(); END $$;
SELECT message FROM aion.lint('own()') WHERE code <> 'plpgsql_check';
ALTER FUNCTION own() RESET search_path;
SELECT message FROM aion.lint('own()') WHERE code <> 'plpgsql_check';

-- Registering refuses what cannot work, and warns of the rest.
\set VERBOSITY default
SELECT aion.register_workflow('all', 'all_of_it(text)');
SET aion.determinism = 'warn';
SELECT aion.register_workflow('own', 'own()') IS NOT NULL AS registered;
SET aion.determinism = 'off';
SELECT aion.register_workflow('all', 'all_of_it(text)') IS NOT NULL AS registered;
RESET aion.determinism;
CREATE FUNCTION deployed() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;
SELECT aion.register_workflow('deployed', 'deployed()') IS NOT NULL AS registered;
CREATE OR REPLACE FUNCTION deployed() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.next_signal('x'); RETURN helper(); END $$;
CREATE OR REPLACE FUNCTION deployed() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN now(); END $$;
\set VERBOSITY terse

-- A function may have a setting of its own.
CREATE FUNCTION on_its_own() RETURNS text LANGUAGE plpgsql SET aion.determinism = off AS $$ BEGIN RETURN now(); END $$;
SELECT aion.register_workflow('on_its_own', 'on_its_own()') IS NOT NULL AS registered;
CREATE FUNCTION "x'); DROP TABLE z; --"() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM now(), random(); RETURN 1; END $$;
\set VERBOSITY default
SELECT aion.register_workflow('quoted', (SELECT oid FROM pg_proc WHERE proname ~ 'DROP TABLE z')::regprocedure);
\set VERBOSITY terse

-- Names that are not registered, or not yet: registering mentions those that look misspelt. Errors that aion does not raise.
CREATE FUNCTION names() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run(input => '{}', activity => 'chrage'), aion.map('notde', '[]'), aion.map_settled(activity => lower('X'), inputs => '[]');
	PERFORM aion.await(aion.start_activity('noted')), aion.run_child('deployed'), aion.run_child(workflow_type => 'deplyoed');
EXCEPTION WHEN SQLSTATE 'WF028' OR SQLSTATE 'WF280' OR SQLSTATE 'WA000' OR SQLSTATE 'WC001' OR SQLSTATE 'WX001' THEN
	RAISE;
END $$;
SELECT aion.register_workflow('names', 'names()') IS NOT NULL AS registered;
SELECT line, severity, code, message, hint FROM aion.lint('names()') WHERE code <> 'plpgsql_check' ORDER BY line, message;

-- Bad input, and functions of others.
SELECT * FROM aion.lint(NULL);
SELECT * FROM aion.lint(1::oid::regprocedure);
RESET SESSION AUTHORIZATION;
CREATE ROLE lint_other LOGIN; SELECT aion.grant_usage('lint_other'); GRANT USAGE ON SCHEMA lint_user TO lint_other;
SET SESSION AUTHORIZATION lint_other;
SELECT count(*) FROM aion.lint('lint_user.all_of_it(text)');
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY lint_user, lint_other CASCADE;
DROP ROLE lint_user, lint_other;
DROP EXTENSION plpython3u, plperl, pltcl;
CREATE EXTENSION aion;
