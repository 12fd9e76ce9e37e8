--
-- What each role may do, and what does not help a role without the right.
--
CREATE ROLE owner_alice LOGIN;
CREATE ROLE owner_mallory LOGIN;
CREATE ROLE owner_boss LOGIN CREATEROLE;
CREATE ROLE owner_ops LOGIN;
SELECT count(aion.grant_usage(r)) FROM unnest('{owner_alice,owner_mallory,owner_boss}'::name[]) r;
CREATE SCHEMA shared;
GRANT ALL ON SCHEMA public, shared TO PUBLIC;
SET client_min_messages = warning;
RESET aion.allow_superuser_workflows;
SET aion.allow_superuser_workflows = off;

-- Defaults and types of a handler's parameters call code: with the rights of the run's owner, whichever role starts it (C9).
SET SESSION AUTHORIZATION owner_mallory;
CREATE FUNCTION who() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE 'ALTER ROLE owner_mallory SUPERUSER';
	EXCEPTION WHEN insufficient_privilege THEN
		NULL;
	END;
	RETURN current_user;
END $$;
CREATE DOMAIN watched AS text CHECK (who() IS NOT NULL);
CREATE FUNCTION innocent(who text DEFAULT who(), what watched DEFAULT 'x') RETURNS text LANGUAGE sql AS 'SELECT who || '' and '' || who()';
SELECT aion.register_workflow('innocent', 'innocent(text, watched)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
-- ... and only in sessions of roles that trust it.
SELECT aion.start_workflow('innocent', workflow_id => 'innocent', run_as => 'owner_mallory');
GRANT owner_mallory TO CURRENT_USER;
SELECT aion.start_workflow('innocent', workflow_id => 'innocent', run_as => 'owner_mallory');
SELECT input FROM aion.workflow_run WHERE workflow_id = 'innocent';
REVOKE owner_mallory FROM CURRENT_USER;
SELECT rolsuper FROM pg_roles WHERE rolname = 'owner_mallory';

-- What code leaves to happen later does not happen with the rights of the role that drives (T71).
SET SESSION AUTHORIZATION owner_mallory;
CREATE FUNCTION later(statement text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; RETURN 'done'; END $$;
SELECT aion.register_activity('later', 'later(text)');
CREATE FUNCTION leaves(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run('later', jsonb_build_object('statement', statement));
EXCEPTION WHEN SQLSTATE 'WA000' THEN
	RETURN SQLERRM;
END $$;
SELECT aion.register_workflow('leaves', 'leaves(text)') IS NOT NULL AS registered;
SELECT count(aion.start_workflow('leaves', jsonb_build_object('statement', s))) FROM unnest(ARRAY[
	'DECLARE c CURSOR WITH HOLD FOR SELECT who()', 'SET SESSION AUTHORIZATION DEFAULT', $$SELECT set_config('session_authorization', 'postgres', true)$$,
	$$SELECT set_config('role', 'none', false)$$]) s;
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION owner_mallory;
CALL aion.drive();
RESET SESSION AUTHORIZATION;
SELECT input ->> 'statement' AS statement, result FROM aion.workflow_run WHERE workflow_type = 'leaves' ORDER BY run_key;
SELECT rolsuper FROM pg_roles WHERE rolname = 'owner_mallory';

-- A superuser trusts no other role, and takes over the names that it registers.
SELECT aion.register_activity('later', 'later(text)');
CREATE FUNCTION cleanup() RETURNS text LANGUAGE sql AS 'SELECT ''the superuser''''s, by '' || current_user';
SET SESSION AUTHORIZATION owner_mallory;
CREATE FUNCTION public.cleanup_squatted() RETURNS text LANGUAGE sql AS 'SELECT ''of mallory, by '' || current_user';
SELECT aion.register_activity('cleanup', 'cleanup_squatted()');
RESET SESSION AUTHORIZATION;
SET aion.allow_superuser_workflows = on;
CREATE FUNCTION cleans() RETURNS jsonb LANGUAGE sql AS 'SELECT aion.run(''cleanup'')';
SELECT aion.register_workflow('cleans', 'cleans()') IS NOT NULL AS registered;
SELECT aion.start_workflow('cleans', workflow_id => 'cleans');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'cleans';
SELECT aion.register_activity('cleanup', 'cleanup()');
SET SESSION AUTHORIZATION owner_mallory;
SELECT aion.register_activity('cleanup', 'cleanup_squatted()');
RESET SESSION AUTHORIZATION;
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'cleans';
-- ... and a run whose owner could not have it any more waits
SET SESSION AUTHORIZATION owner_alice;
CREATE FUNCTION quick() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
SELECT aion.register_workflow('quick', 'quick()') IS NOT NULL AS registered;
SELECT aion.start_workflow('quick', workflow_id => 'promoted');
RESET SESSION AUTHORIZATION;
SET aion.allow_superuser_workflows = off;
ALTER ROLE owner_alice SUPERUSER;
SET SESSION AUTHORIZATION owner_alice;
CALL aion.drive();
RESET SESSION AUTHORIZATION;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'promoted';
ALTER ROLE owner_alice NOSUPERUSER;
SET SESSION AUTHORIZATION owner_alice;
SELECT length(aion.set_workflow_version('promoted'));
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'promoted';

-- A function that another role put in the place of an activity's is not called.
CREATE FUNCTION shared.pay(x int) RETURNS text LANGUAGE sql AS 'SELECT ''alice''''s''::text';
SELECT aion.register_activity('pay', 'shared.pay(int)');
CREATE FUNCTION pays() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('pay', '{"x": 1}') $$;
SELECT aion.register_workflow('pays', 'pays()') IS NOT NULL AS registered;
DROP FUNCTION shared.pay;
SET SESSION AUTHORIZATION owner_mallory;
CREATE FUNCTION shared.pay(x int) RETURNS text LANGUAGE sql AS 'SELECT ''mallory''''s, by '' || current_user';
GRANT EXECUTE ON FUNCTION shared.pay TO PUBLIC;
SET SESSION AUTHORIZATION owner_alice;
SELECT aion.start_workflow('pays', workflow_id => 'pays');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'pays';
SELECT attributes #>> '{detail,message}' AS message FROM aion.history('pays') WHERE event_type = 'WorkflowBlocked';
SELECT aion.terminate_workflow('pays');

-- A run of another owner under the same id hides no run of the caller.
SELECT aion.start_workflow('quick', workflow_id => 'order-7', if_running => 'use_existing', if_closed => 'use_existing');
CALL aion.drive();
SET SESSION AUTHORIZATION owner_mallory;
SELECT aion.start_workflow('innocent', workflow_id => 'order-7');
SET SESSION AUTHORIZATION owner_alice;
SELECT aion.await_workflow('order-7');
SELECT count(*) FROM aion.history('order-7');
SET SESSION AUTHORIZATION owner_mallory;
CALL aion.drive();
SET SESSION AUTHORIZATION owner_alice;
SELECT aion.await_workflow('order-7');
SELECT aion.start_workflow('quick', workflow_id => 'order-7', if_running => 'use_existing', if_closed => 'use_existing');
SELECT count(*) FROM aion.workflow_run WHERE workflow_id = 'order-7';

-- A handler that became SECURITY DEFINER is not called.
CREATE FUNCTION atomic() RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT current_user::text; END;
SELECT aion.register_workflow('atomic', 'atomic()') IS NOT NULL AS registered;
SELECT aion.start_workflow('atomic', workflow_id => 'atomic');
ALTER FUNCTION atomic() SECURITY DEFINER;
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'atomic';

-- A SECURITY DEFINER function of another role gives no commands of the run: they would be executed as its owner.
SET SESSION AUTHORIZATION owner_boss;
CREATE FUNCTION lends(q text) RETURNS jsonb SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_sql(q); END $$;
SET SESSION AUTHORIZATION owner_alice;
CREATE FUNCTION borrows() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN lends('SELECT current_user::text AS "user"'); END $$;
SELECT aion.register_workflow('borrows', 'borrows()') IS NOT NULL AS registered;
SELECT aion.start_workflow('borrows', workflow_id => 'borrows');
CALL aion.drive();
SELECT status, error ->> 'sqlstate' AS sqlstate, error ->> 'message' AS message FROM aion.workflow_run WHERE workflow_id = 'borrows';

-- A level of access belongs to a role, not to its name.
RESET SESSION AUTHORIZATION;
SELECT aion.grant_usage('owner_ops', 'admin');
ALTER ROLE owner_ops RENAME TO owner_operators;
SET SESSION AUTHORIZATION owner_operators;
SELECT count(*) > 5 AS sees_all FROM aion.workflow_run;
RESET SESSION AUTHORIZATION;
DROP OWNED BY owner_operators;
DROP ROLE owner_operators;
CREATE ROLE owner_ops LOGIN;
GRANT owner_ops TO owner_mallory;
SET SESSION AUTHORIZATION owner_mallory;
SELECT DISTINCT owner FROM aion.workflow_run ORDER BY 1;
RESET SESSION AUTHORIZATION;
SELECT aion.grant_usage(NULL);
SELECT aion.grant_usage('owner_ops', 'god');

-- Handlers with results by parameter, with rows, with any number of arguments of one type.
SET SESSION AUTHORIZATION owner_alice;
CREATE FUNCTION two(a int, OUT b int, OUT c text) LANGUAGE sql AS 'SELECT a + 1, ''c''';
CREATE FUNCTION rows_of(a int) RETURNS TABLE (b int, c text) LANGUAGE sql AS 'SELECT g, ''c'' || g FROM generate_series(1, a) g';
CREATE FUNCTION both_ways(INOUT a int) LANGUAGE sql AS 'SELECT a * 2';
CREATE FUNCTION any_number(VARIADIC a int[]) RETURNS bigint LANGUAGE sql AS 'SELECT sum(x) FROM unnest(a) x';
SET quote_all_identifiers = on;
SELECT count(aion.register_workflow(f, f::regproc)) FROM unnest('{two,rows_of,both_ways,any_number}'::text[]) f;
RESET quote_all_identifiers;
SELECT count(aion.start_workflow(f, CASE f WHEN 'any_number' THEN '{"a": [1, 2]}'::jsonb ELSE '{"a": 2}' END, workflow_id => f))
	FROM unnest('{two,rows_of,both_ways,any_number}'::text[]) f;
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id IN ('two', 'rows_of', 'both_ways', 'any_number') ORDER BY 1;

-- Arguments that make no sense.
SELECT aion.terminate_workflow('two', repeat('x', 20 * 1024 * 1024));
SELECT aion.purge_workflows('1 day', max_runs => -1);
DO $$
BEGIN
	PERFORM aion.start_workflow('two', '{"a": "x"}');
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '%', SQLSTATE;
END $$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00') IS NOT NULL AS began;
SAVEPOINT s;
SELECT aion_test.mock_activity('act', results => '[1]');
ROLLBACK TO s;
SELECT aion_test.mock_activity('act', results => '[{"ok": 1}, {"oops": 1}]');
ROLLBACK TO s;
SELECT aion_test.mock_activity('act', result => '1', error => '"e"');
ROLLBACK;
RESET SESSION AUTHORIZATION;

-- 11.1 What defaults and types leave for later is not executed as the role that starts: whatever it is, nothing of it is left after the start.
SET SESSION AUTHORIZATION owner_mallory;
CREATE FUNCTION seize() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RESET ROLE;
	ALTER ROLE owner_mallory SUPERUSER;
	RETURN 'seized';
EXCEPTION WHEN insufficient_privilege THEN
	RETURN 'not seized';
END $$;
CREATE FUNCTION seize_later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM seize(); RETURN NULL; END $$;
CREATE TABLE bait (a int);
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON bait DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION seize_later();
CREATE TABLE trap (statement text);
GRANT SELECT ON trap TO PUBLIC;
CREATE FUNCTION trap() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE (SELECT statement FROM trap);
	RETURN 'trapped';
END $$;
CREATE FUNCTION trapped(a text DEFAULT trap()) RETURNS text LANGUAGE sql AS 'SELECT a';
SELECT aion.register_workflow('trapped', 'trapped(text)') IS NOT NULL AS registered;
INSERT INTO trap VALUES ('SELECT');
SELECT aion.create_schedule('trapped', 'trapped', every => '1 day');
RESET SESSION AUTHORIZATION;
GRANT owner_mallory TO CURRENT_USER;
CREATE TEMP TABLE own (a int); -- so there is a temporary schema
CREATE PROCEDURE spring(how text, statement text) LANGUAGE plpgsql AS $$
BEGIN
	UPDATE trap SET statement = spring.statement;
	COMMIT;
	BEGIN
		EXECUTE how;
		RAISE WARNING 'went through: %', statement;
	EXCEPTION WHEN OTHERS THEN
		RAISE WARNING '%: %', SQLSTATE, statement;
	END;
	COMMIT;
END $$;
DO $$
DECLARE
	how text;
	statement text;
BEGIN
	FOREACH how IN ARRAY ARRAY[
		'SELECT aion.start_workflow(''trapped'', run_as => ''owner_mallory'')',
		'SELECT * FROM aion.start_workflows(''trapped'', ''{"{}"}'', run_as => ''owner_mallory'')',
		'SELECT aion.signal_with_start(''trapped'', ''{}'', ''trapped'', ''s'', run_as => ''owner_mallory'')',
		'SELECT aion.update_schedule(''trapped'', every => ''2 days'')']
	LOOP
		RAISE WARNING '%', how;
		FOREACH statement IN ARRAY ARRAY['INSERT INTO bait VALUES (1)', 'DECLARE held CURSOR WITH HOLD FOR SELECT seize()',
			'DECLARE open CURSOR FOR SELECT seize()', 'CREATE TEMP VIEW pg_user AS SELECT seize()', 'CREATE TEMP TABLE mine (a int)',
			'CREATE DOMAIN pg_temp.jsonb AS text CHECK (seize() IS NOT NULL)', 'CREATE TYPE pg_temp.uuid AS (a int)',
			'CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS ''SELECT 1''', 'PREPARE later AS SELECT seize()', 'LISTEN later', 'SELECT seize()',
			'SET ROLE NONE', 'SET work_mem = 99']
		LOOP
			CALL spring(how, statement);
		END LOOP;
	END LOOP;
END $$;
SHOW work_mem;
SELECT name FROM pg_cursors UNION ALL SELECT name FROM pg_prepared_statements WHERE name = 'later' UNION ALL SELECT * FROM pg_listening_channels();
SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relname <> 'own'
	UNION ALL SELECT typname FROM pg_type WHERE typnamespace = pg_my_temp_schema() AND typname !~ 'own$'
	UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema();
SELECT rolsuper FROM pg_roles WHERE rolname = 'owner_mallory';
-- ... a cursor that a default leaves open is closed, and one of the session's own is not
UPDATE trap SET statement = 'DECLARE open CURSOR FOR SELECT seize()';
BEGIN;
DECLARE own CURSOR FOR SELECT 1;
SELECT aion.start_workflow('trapped', run_as => 'owner_mallory') IS NOT NULL AS started;
SELECT name FROM pg_cursors;
COMMIT;
-- ... also where the session only plays the owner's role
UPDATE trap SET statement = 'SELECT seize()';
SET ROLE owner_mallory;
SELECT aion.start_workflow('trapped', workflow_id => 'played');
UPDATE trap SET statement = 'INSERT INTO bait VALUES (1)';
SELECT aion.start_workflow('trapped');
RESET ROLE;
SELECT rolsuper FROM pg_roles WHERE rolname = 'owner_mallory';
-- ... and not as the owner of a parent
GRANT owner_mallory TO owner_alice;
SET SESSION AUTHORIZATION owner_alice;
CREATE FUNCTION trusts() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run_child('trapped', options => '{"run_as": "owner_mallory"}') $$;
SELECT aion.register_workflow('trusts', 'trusts()') IS NOT NULL AS registered;
SELECT aion.start_workflow('trusts', workflow_id => 'trusts');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'trusts';
SELECT attributes #>> '{detail,message}' AS message FROM aion.history('trusts') WHERE event_type = 'WorkflowBlocked';
SELECT aion.terminate_workflow('trusts');
RESET SESSION AUTHORIZATION;
REVOKE owner_mallory FROM owner_alice;
REVOKE owner_mallory FROM CURRENT_USER;
DROP TABLE own;
DROP PROCEDURE spring;


-- 11.5 Roles change places: each keeps its runs, and can start more, under whichever name.
RESET SESSION AUTHORIZATION;
CREATE ROLE owner_app LOGIN;
CREATE ROLE owner_next LOGIN;
GRANT owner_app, owner_next TO owner_alice;
SELECT count(aion.grant_usage(r)) FROM unnest('{owner_app,owner_next}'::name[]) r;
CREATE FUNCTION places() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
SET aion.allow_superuser_workflows = on;
SELECT aion.register_workflow('places', 'places()') IS NOT NULL AS registered;
CREATE VIEW places AS SELECT o.name, o.name = r.rolname AS is_so, o.role <> 0 AS is_known FROM aion._owner o LEFT JOIN pg_roles r ON r.oid = o.role
	WHERE o.name ~ '^owner_(app|next|old|gone)' ORDER BY o.owner_key;
SELECT aion.start_workflow('places', workflow_id => 'app 1', run_as => 'owner_app'), aion.start_workflow('places', workflow_id => 'next 1', run_as => 'owner_next');
-- ... one comes into the other's place
ALTER ROLE owner_app RENAME TO owner_old;
ALTER ROLE owner_next RENAME TO owner_app;
SET SESSION AUTHORIZATION owner_app;
SELECT aion.start_workflow('places', workflow_id => 'next 2');
RESET SESSION AUTHORIZATION;
TABLE places;
-- ... they swap
ALTER ROLE owner_app RENAME TO owner_x;
ALTER ROLE owner_old RENAME TO owner_app;
ALTER ROLE owner_x RENAME TO owner_old;
SET SESSION AUTHORIZATION owner_app;
SELECT aion.start_workflow('places', workflow_id => 'app 2');
SET SESSION AUTHORIZATION owner_old;
SELECT aion.start_workflow('places', workflow_id => 'next 3');
CALL aion.drive();
SELECT workflow_id, owner, result FROM aion.workflow_run WHERE workflow_type = 'places' ORDER BY run_key;
SET SESSION AUTHORIZATION owner_app;
CALL aion.drive();
SELECT workflow_id, owner, result FROM aion.workflow_run WHERE workflow_type = 'places' ORDER BY run_key;
RESET SESSION AUTHORIZATION;
TABLE places;
-- ... a new one is called as another was, and one that is gone
ALTER ROLE owner_app RENAME TO owner_gone;
CREATE ROLE owner_app LOGIN;
SELECT aion.grant_usage('owner_app');
SELECT aion.start_workflow('places', workflow_id => 'new 1', run_as => 'owner_app');
TABLE places;
DROP OWNED BY owner_app;
DROP ROLE owner_app;
ALTER ROLE owner_old RENAME TO owner_app;
SELECT aion.start_workflow('places', workflow_id => 'next 4', run_as => 'owner_app');
SELECT regexp_replace(name, '\d+', 'N') AS name, is_so, is_known FROM places;
-- ... and a name that waits for a role of a copied database is left to it
UPDATE aion._owner SET role = 0 WHERE name = 'owner_gone';
ALTER ROLE owner_app RENAME TO owner_y;
ALTER ROLE owner_gone RENAME TO owner_z;
ALTER ROLE owner_y RENAME TO owner_gone;
SELECT aion.start_workflow('places', workflow_id => 'next 5', run_as => 'owner_gone');
SELECT aion.start_workflow('places', workflow_id => 'next 6', run_as => 'owner_gone');
SELECT regexp_replace(name, '\d+', 'N') AS name, is_so, is_known FROM places;
DROP VIEW places;
DROP OWNED BY owner_gone, owner_z;
DROP ROLE owner_gone, owner_z;
SET aion.allow_superuser_workflows = off;
RESET SESSION AUTHORIZATION;
-- The views can be planned in parallel, beside large tables or when they are large.
SET SESSION AUTHORIZATION owner_alice;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0; SET min_parallel_index_scan_size = 0;
DO $$
DECLARE
	name regclass;
	line text;
	parallel int := 0;
BEGIN
	FOR name IN SELECT c.oid FROM pg_class c WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind = 'v' AND c.relname !~ '^_' LOOP
		FOR line IN EXECUTE format('EXPLAIN SELECT count(*) FROM pg_class p, %s v WHERE p.relpages >= 0', name) LOOP
			parallel := parallel + (line ~ 'Gather')::int;
		END LOOP;
		EXECUTE format('SELECT count(*) FROM pg_class p, %s v WHERE p.relpages >= 0', name);
	END LOOP;
	RAISE WARNING 'some are: %', parallel > 5;
END $$;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size; RESET min_parallel_index_scan_size;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();

-- A run whose owner may no longer use aion is blocked, not failed, and goes on with the next grant.
CREATE ROLE owner_once LOGIN;
SELECT aion.grant_usage('owner_once');
SET SESSION AUTHORIZATION owner_once;
CREATE FUNCTION naps() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 h'); RETURN 'rested'; END $$;
SELECT aion.register_workflow('naps', 'naps()') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
GRANT owner_once TO CURRENT_USER;
SELECT aion.start_workflow('naps', workflow_id => 'naps', run_as => 'owner_once');
SELECT aion_test.run_until_idle();
SELECT aion.revoke_usage('owner_once');
SELECT aion_test.advance('2 h') > 0 AS tried;
SELECT r.status, r.blocked, (SELECT attributes #>> '{detail,message}' FROM aion.history('naps') WHERE event_type = 'WorkflowBlocked') AS message FROM aion.workflow_run r WHERE workflow_id = 'naps';
SAVEPOINT s; SELECT aion.start_workflow('naps', workflow_id => 'more', run_as => 'owner_once'); ROLLBACK TO s;
SELECT aion.grant_usage('owner_once');
SELECT aion_test.run_until_idle() > 0 AS tried;
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'naps';
ROLLBACK;
DROP OWNED BY owner_once CASCADE;
DROP ROLE owner_once;
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP FUNCTION cleans(), cleanup(), places();
DROP OWNED BY owner_alice, owner_mallory, owner_boss, owner_ops CASCADE;
DROP ROLE owner_alice, owner_mallory, owner_boss, owner_ops;
DROP SCHEMA shared CASCADE;
CREATE EXTENSION aion;
