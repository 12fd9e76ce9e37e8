--
-- What aion.lint() does in sessions of others: nothing of it is kept, and no code of users is executed. Where plpgsql_check is installed,
-- it says what that finds, which takes code of users: under the search path that the function has, and only to the function's owner.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
SELECT count(*) > 0 AS there FROM pg_available_extensions WHERE name = 'plpgsql_check' \gset
SELECT plan(CASE WHEN :'there' THEN 15 ELSE 3 END);
-- PL/pgSQL keeps functions that it has parsed. What they are called must not be what it was when another role looked at them.
CREATE ROLE lint_thief; SELECT aion.grant_usage('lint_thief') \g /dev/null
CREATE SCHEMA lint_safe; CREATE DOMAIN lint_safe.amount AS int; CREATE TABLE lint_safe.secret (x text); INSERT INTO lint_safe.secret VALUES ('top');
CREATE FUNCTION pay(a int) RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = lint_safe, pg_temp AS $$ DECLARE v amount; BEGIN v := a; RETURN (SELECT t.typnamespace::pg_catalog.regnamespace FROM pg_catalog.pg_type t WHERE t.oid = pg_catalog.pg_typeof(v)); END $$;
ALTER FUNCTION pay(int) COST 7; -- as in a session that has not parsed it
GRANT CREATE ON SCHEMA public TO lint_thief;
SET ROLE lint_thief;
CREATE FUNCTION public.evil(v int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'stolen: %', (SELECT x FROM lint_safe.secret); END $$;
CREATE DOMAIN pg_temp.amount AS int CHECK (public.evil(value));
SELECT lives_ok($$ SELECT * FROM aion.lint('pay(int)') $$, 'any role may look at a function');
SET client_min_messages = error;
SELECT is(pay(3), 'lint_safe', '... and it means what it has meant');
CREATE FUNCTION public.calls_pay(a int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN public.pay(a); END $$;
RESET ROLE;
ALTER FUNCTION pay(int) COST 8;
SET ROLE lint_thief;
SELECT aion.register_workflow('calls_pay', 'public.calls_pay(int)') \g /dev/null
SELECT is(pay(3), 'lint_safe', '... also if a workflow calls it that is registered');
RESET ROLE;
\if :there
\else
SELECT * FROM finish();
\q
\endif
CREATE SCHEMA checks;
CREATE EXTENSION plpgsql_check SCHEMA checks;
CREATE ROLE lint_owner; CREATE ROLE lint_other; CREATE SCHEMA lint_owner AUTHORIZATION lint_owner;
SELECT count(aion.grant_usage(r)) FROM unnest('{lint_owner,lint_other}'::name[]) r \g /dev/null
GRANT USAGE ON SCHEMA checks, lint_owner TO lint_owner, lint_other;
SET ROLE lint_owner;
CREATE FUNCTION lint_owner.whoami() RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 'x' || (1 / (current_user = 'lint_owner')::int); END $$;
CREATE TABLE lint_owner.known (i int);
CREATE FUNCTION lint_owner.wrong(a int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	unused int;
	n int;
BEGIN
	n := aion.run('x', unknown_column);
	RETURN n;
END $$;
CREATE FUNCTION lint_owner.right_by_path(a int) RETURNS int LANGUAGE plpgsql SET search_path = lint_owner AS $$
DECLARE
	k known;
BEGIN
	IF whoami() = 'x1' THEN k.i := a; END IF;
	RETURN k.i;
END $$;
SELECT results_eq($$ SELECT line, severity, code, message FROM aion.lint('lint_owner.wrong(int)') WHERE severity = 'warning' $$,
	$$ VALUES (6, 'warning', 'plpgsql_check', 'column "unknown_column" does not exist') $$, 'an error of plpgsql_check is a warning here');
SELECT ok(EXISTS (SELECT FROM aion.lint('lint_owner.wrong(int)') WHERE severity = 'notice' AND message ~ 'unused'), 'a warning of it is a notice');
SELECT is_empty($$ SELECT message FROM aion.lint('lint_owner.right_by_path(int)') $$, 'the search path of the function counts');
SET client_min_messages = error;
SELECT lives_ok($$ SELECT aion.register_workflow('wrong', 'lint_owner.wrong(int)') $$, 'what it finds does not prevent that code is registered');
RESET ROLE;
SELECT is_empty($$ SELECT message FROM aion.lint('lint_owner.wrong(int)') WHERE code = 'plpgsql_check' $$, 'a superuser is told nothing that needs code of the owner');
-- Code that is found by the path of a function is executed neither by who looks at it nor by who changes it.
SET ROLE lint_owner;
CREATE FUNCTION lint_owner.format(text, name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.set_config('search_path', 'lint_owner, pg_catalog', false); RAISE EXCEPTION 'planted'; END $$;
SELECT is_empty($$ SELECT message FROM aion.lint('lint_owner.right_by_path(int)') $$, 'no name of aion is looked up there');
SELECT aion.register_workflow('right', 'lint_owner.right_by_path(int)') \g /dev/null
SELECT is(current_setting('search_path'), '"$user", public', 'the session of the owner keeps its path');
RESET ROLE;
SELECT count(*) FROM aion.lint('lint_owner.right_by_path(int)') \g /dev/null
ALTER FUNCTION lint_owner.right_by_path(int) COST 7;
SELECT is(current_setting('search_path'), '"$user", public', '... and so does that of a superuser');
SET ROLE lint_other;
SELECT is_empty($$ SELECT message FROM aion.lint('lint_owner.wrong(int)') WHERE code = 'plpgsql_check' $$, 'another role is told nothing that needs code of the owner');
RESET ROLE;
REVOKE USAGE ON SCHEMA checks FROM lint_owner;
SET ROLE lint_owner;
SELECT is_empty($$ SELECT message FROM aion.lint('lint_owner.wrong(int)') WHERE code = 'plpgsql_check' $$, 'it is left out where the owner must not use it');
RESET ROLE;
SELECT aion.revoke_usage('lint_owner') \g /dev/null
SELECT lives_ok($$ SELECT * FROM aion.lint('lint_owner.wrong(int)') $$, 'an owner who must not use aion is no error');
DROP EXTENSION plpgsql_check;
SELECT is_empty($$ SELECT message FROM aion.lint('lint_owner.wrong(int)') WHERE code = 'plpgsql_check' $$, 'without it there are no findings of it');
SELECT * FROM finish();
