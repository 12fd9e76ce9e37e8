--
-- Who may do what, and what does not help those who may not.
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

-- Defaults and types of a handler's parameters call code: with the rights of the run's owner, whoever starts it (C9).
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
SELECT aion.start_workflow('innocent', workflow_id => 'innocent', run_as => 'owner_mallory');
SELECT input FROM aion.workflow_run WHERE workflow_id = 'innocent';
SELECT rolsuper FROM pg_roles WHERE rolname = 'owner_mallory';

-- What somebody left to happen later does not happen with the rights of whoever drives (T71).
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

-- A superuser trusts nobody but himself, and takes over what he registers.
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

-- A function that somebody else put in the place of an activity's is not called.
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

-- Somebody else's run of the same id hides nothing of one's own.
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

-- Nor does a body that is inside of somebody's SECURITY DEFINER function have activities done as him.
SET SESSION AUTHORIZATION owner_boss;
CREATE FUNCTION lends(q text) RETURNS jsonb SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_sql(q); END $$;
SET SESSION AUTHORIZATION owner_alice;
CREATE FUNCTION borrows() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN lends('SELECT current_user::text AS "user"'); END $$;
SELECT aion.register_workflow('borrows', 'borrows()') IS NOT NULL AS registered;
SELECT aion.start_workflow('borrows', workflow_id => 'borrows');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'borrows';

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
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP FUNCTION cleans(), cleanup();
DROP OWNED BY owner_alice, owner_mallory, owner_boss, owner_ops CASCADE;
DROP ROLE owner_alice, owner_mallory, owner_boss, owner_ops;
DROP SCHEMA shared CASCADE;
CREATE EXTENSION aion;
