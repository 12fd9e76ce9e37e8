--
-- Versions: a run executes the code it was started with, whatever becomes of the function.
--
CREATE ROLE deploy_user LOGIN;
CREATE ROLE deploy_mate LOGIN;
CREATE ROLE deploy_other LOGIN;
SELECT count(aion.grant_usage(r)) FROM unnest('{deploy_user,deploy_mate,deploy_other}'::name[]) r;
GRANT CREATE ON SCHEMA public TO deploy_user, deploy_mate, deploy_other;
GRANT deploy_user TO deploy_mate;
CREATE SCHEMA deploy_schema AUTHORIZATION deploy_user;
SET SESSION AUTHORIZATION deploy_user;

-- The same definition under the same settings is the same version; anything else is another (83, 84).
CREATE FUNCTION greet(name text DEFAULT 'you') RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 day'); RETURN 'hello ' || greet.name; END $$;
SELECT aion.register_workflow('greet', 'greet(text)') AS v1 \gset
SELECT aion.register_workflow('greet', 'greet(text)') = :'v1' AS same;
SET timezone = 'Asia/Tokyo';
SELECT aion.register_workflow('greet', 'greet(text)') <> :'v1' AS other_settings;
RESET timezone;
SELECT aion.register_workflow('greet', 'greet(text)') = :'v1' AS back;
SELECT version = :'v1' AS v1, routed, handler, pinned, settings ->> 'TimeZone' AS timezone, open_runs FROM aion.workflow_version WHERE workflow_type = 'greet' ORDER BY routed DESC;

-- CREATE OR REPLACE does not touch a run in flight, and deploys a new version for new starts (T96). A copy keeps its name,
-- so that code may call its parameters by it.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('greet', '{"name": "old"}', workflow_id => 'old');
SELECT aion_test.run_until_idle();
CREATE OR REPLACE FUNCTION greet(name text DEFAULT 'you') RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'good day ' || greet.name; END $$;
SELECT count(*) AS versions FROM aion.workflow_version WHERE workflow_type = 'greet';
SELECT aion.start_workflow('greet', '{"name": "new"}', workflow_id => 'new');
SELECT aion.start_workflow('greet', '{"name": "pinned"}', workflow_id => 'pinned', version => :'v1');
SELECT aion_test.advance('2 days') > 0 AS ran;
SELECT workflow_id, version = :'v1' AS v1, status, result FROM aion.workflow_run WHERE workflow_type = 'greet' ORDER BY 1;
-- ... dropped, renamed, moved: runs go on, new starts are told
SELECT aion.start_workflow('greet', workflow_id => 'in flight');
SELECT aion_test.run_until_idle();
ALTER FUNCTION greet RENAME TO greets;
SAVEPOINT s;
SELECT aion.start_workflow('greet');
ROLLBACK TO s;
DROP FUNCTION greets;
SELECT aion_test.advance('2 days') > 0 AS ran;
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'in flight';
ROLLBACK;

-- Without the event trigger every start looks for itself; what auto_deploy switches off it does not.
RESET SESSION AUTHORIZATION;
ALTER EVENT TRIGGER aion_deploy DISABLE;
SET SESSION AUTHORIZATION deploy_user;
CREATE OR REPLACE FUNCTION greet(name text DEFAULT 'you') RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'third ' || name; END $$;
SELECT aion.start_workflow('greet', workflow_id => 'third');
CALL aion.drive();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'third';
RESET SESSION AUTHORIZATION;
ALTER EVENT TRIGGER aion_deploy ENABLE;
SET aion.auto_deploy = off;
SET SESSION AUTHORIZATION deploy_user;
CREATE OR REPLACE FUNCTION greet(name text DEFAULT 'you') RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'fourth ' || name; END $$;
SELECT aion.start_workflow('greet', workflow_id => 'not yet fourth');
CALL aion.drive();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'not yet fourth';
RESET SESSION AUTHORIZATION;
RESET aion.auto_deploy;
SET SESSION AUTHORIZATION deploy_user;
SELECT aion.start_workflow('greet', workflow_id => 'fourth');
CALL aion.drive();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'fourth';

-- No role can call, replace or drop a copy; it is dropped with the extension, not with its original.
SELECT p.pronamespace::regnamespace AS schema, p.proname, p.prosecdef, has_function_privilege(p.oid, 'EXECUTE') AS may_execute, has_schema_privilege(p.pronamespace, 'USAGE') AS may_use
	FROM pg_proc p WHERE p.pronamespace::regnamespace::text ~ '^aion_code' AND p.proname = 'greet' ORDER BY 1;
SELECT aion_code.greet();
CREATE OR REPLACE FUNCTION aion_code.greet(name text DEFAULT 'you') RETURNS text LANGUAGE sql AS $$ SELECT 'mine' $$;

-- Literals, names and the time zone in code follow the version's settings, whichever session drives (T99).
CREATE FUNCTION deploy_schema.helper() RETURNS text LANGUAGE sql AS $$ SELECT 'the right one' $$;
CREATE FUNCTION helper() RETURNS text LANGUAGE sql AS $$ SELECT 'the wrong one' $$;
CREATE FUNCTION reads() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN jsonb_build_object('helper', helper(), 'date', '02/01/2026'::date, 'at', timestamptz '2026-01-01 12:00',
	'interval', interval '1 day 2 hours'::text, 'float', 0.1::float4::text); END $$;
SET search_path = deploy_schema, public;
SET datestyle = 'ISO, DMY';
SET timezone = 'Europe/Berlin';
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -2;
SELECT aion.register_workflow('reads', 'reads()') IS NOT NULL AS registered;
RESET ALL;
SET timezone = 'America/New_York';
SELECT aion.start_workflow('reads', workflow_id => 'reads');
CALL aion.drive();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'reads';
-- a SET clause of the function goes first
CREATE FUNCTION sets() RETURNS jsonb LANGUAGE plpgsql SET timezone = 'UTC' SET search_path = public AS $$ BEGIN RETURN to_jsonb(timestamptz '2026-01-01 12:00') || to_jsonb(helper()); END $$;
SELECT aion.register_workflow('sets', 'sets()') IS NOT NULL AS registered;
SELECT settings FROM aion.workflow_version WHERE workflow_type = 'sets';
SET search_path = deploy_schema, public;
SELECT aion.start_workflow('sets', workflow_id => 'sets');
CALL aion.drive();
SELECT result FROM aion.workflow_run WHERE workflow_id = 'sets';
RESET ALL;

-- Names are owned (WF009); members of the role may deploy, others not.
SET SESSION AUTHORIZATION deploy_other;
CREATE FUNCTION other() RETURNS text LANGUAGE sql AS $$ SELECT 'other' $$;
SELECT aion.register_workflow('greet', 'other()');
SELECT aion.register_workflow('x', 'greet(text)');
SET SESSION AUTHORIZATION deploy_mate;
CREATE FUNCTION mates() RETURNS text LANGUAGE sql AS $$ SELECT 'by ' || current_user $$;
SELECT aion.register_workflow('mates', 'mates()') IS NOT NULL AS registered;
SELECT aion.register_workflow('greet', 'mates()') IS NOT NULL AS registered;
SELECT aion.start_workflow('greet', workflow_id => 'mate');
CALL aion.drive();
SELECT owner, result FROM aion.workflow_run WHERE workflow_id = 'mate';
-- T76: nothing is deployed from a function that has come to belong to another role.
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION deploy_user;
SELECT aion.register_workflow('greet', 'greet(text)') IS NOT NULL AS registered;
RESET SESSION AUTHORIZATION;
ALTER FUNCTION greet OWNER TO deploy_other;
SET SESSION AUTHORIZATION deploy_user;
SELECT length(aion.start_workflow('greet')) AS unchanged_code;
SET SESSION AUTHORIZATION deploy_other;
CREATE OR REPLACE FUNCTION greet(name text DEFAULT 'you') RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'taken over'; END $$;
SET SESSION AUTHORIZATION deploy_user;
SELECT aion.start_workflow('greet');
SET SESSION AUTHORIZATION deploy_other;
ALTER FUNCTION greet SECURITY DEFINER;
RESET SESSION AUTHORIZATION;
ALTER FUNCTION greet OWNER TO deploy_user;
SET SESSION AUTHORIZATION deploy_user;
SELECT aion.start_workflow('greet');
ALTER FUNCTION greet SECURITY INVOKER;

-- BEGIN ATOMIC bodies are referenced; a run in flight blocks when one changes, and goes on when it is as it was.
CREATE FUNCTION atomic() RETURNS text BEGIN ATOMIC SELECT aion.sleep('1 hour'); SELECT 'first'; END;
SELECT aion.register_workflow('atomic', 'atomic()') IS NOT NULL AS registered;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('atomic', workflow_id => 'atomic');
SELECT aion_test.run_until_idle();
CREATE OR REPLACE FUNCTION atomic() RETURNS text BEGIN ATOMIC SELECT aion.sleep('1 hour'); SELECT 'second'; END;
SELECT aion_test.advance('2 hours') >= 0 AS looked;
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'atomic';
SELECT attributes #- '{detail,version}' FROM aion.history('atomic') WHERE event_type = 'WorkflowBlocked';
CREATE OR REPLACE FUNCTION atomic() RETURNS text BEGIN ATOMIC SELECT aion.sleep('1 hour'); SELECT 'first'; END;
SELECT aion_test.run_until_idle() > 0 AS ran;
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'atomic';
ROLLBACK;

-- set_workflow_version moves an open run; its next turn replays against the code it has then.
CREATE FUNCTION moving() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'wrong'; END $$;
SELECT aion.register_workflow('moving', 'moving()') AS wrong \gset
CREATE OR REPLACE FUNCTION moving() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('2 hours'); RETURN 'mismatch'; END $$;
SELECT version AS mismatch FROM aion.workflow_version WHERE workflow_type = 'moving' AND routed \gset
CREATE OR REPLACE FUNCTION moving() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); PERFORM aion.sleep('1 minute'); RETURN 'right'; END $$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('moving', workflow_id => 'm', version => :'wrong');
SELECT aion_test.run_until_idle();
SELECT aion.set_workflow_version('m', :'mismatch') = :'mismatch' AS moved;
SELECT aion_test.run_until_idle();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'm';
SELECT aion.set_workflow_version('m') = version AS moved FROM aion.workflow_version WHERE workflow_type = 'moving' AND routed;
SELECT aion_test.advance('2 hours') > 0 AS ran;
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'm';
SELECT seq, event_type, CASE event_type WHEN 'VersionChanged' THEN attributes = jsonb_build_object('from', :'wrong', 'to', :'mismatch') END AS as_asked FROM aion.history('m');
SAVEPOINT s;
SELECT aion.set_workflow_version('m');
ROLLBACK TO s;
SELECT aion.start_workflow('moving', workflow_id => 'n');
SELECT aion.set_workflow_version('n', 'no such');
ROLLBACK TO s;
SELECT aion.set_workflow_version('no such');
ROLLBACK;

-- The recorded input must fit the code: if it does not, the run waits for code that it fits.
CREATE FUNCTION takes_all(input jsonb) RETURNS text LANGUAGE sql AS $$ SELECT 'all' $$;
CREATE FUNCTION takes_two(a int, b int) RETURNS text LANGUAGE sql AS $$ SELECT 'two' $$;
SELECT aion.register_workflow('fits', 'takes_all(jsonb)') AS whole \gset
SELECT count(aion.start_workflow('fits', input, workflow_id => 'fits ' || n))
	FROM unnest('{"null","[1]","{}","{\"a\": 1, \"b\": \"x\"}","{\"a\": 1, \"b\": 2}"}'::jsonb[] || NULL::jsonb) WITH ORDINALITY i(input, n);
SELECT length(aion.register_workflow('fits', 'takes_two(int, int)')) AS length;
SELECT count(aion.set_workflow_version('fits ' || n)) FROM generate_series(1, 6) n;
CALL aion.drive();
SELECT w.workflow_id, w.status, w.blocked, h.attributes #>> '{detail,found}' AS found
	FROM aion.workflow_run w LEFT JOIN aion.history_event h ON h.run_key = w.run_key AND h.event_type = 'WorkflowBlocked'
	WHERE workflow_type = 'fits' ORDER BY 1;
SELECT count(aion.set_workflow_version('fits ' || n, :'whole')) FROM unnest('{1,2,3,4,6}'::int[]) n;
CALL aion.drive();
SELECT status, result, count(*) FROM aion.workflow_run WHERE workflow_type = 'fits' GROUP BY 1, 2 ORDER BY 2;
-- Parameters that were added since have their defaults, where these are constants; others would not be the same in every replay.
CREATE FUNCTION grows(a int) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN a; END $$;
CREATE FUNCTION grows() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN 'nothing'; END $$;
SELECT aion.register_workflow('grows', 'grows(int)') IS NOT NULL AS registered, aion.register_workflow('grows from none', 'grows()') IS NOT NULL AS registered;
SELECT aion.start_workflow('grows', '{"a": 1}', workflow_id => 'grows 1'), aion.start_workflow('grows', '{"a": 2}', workflow_id => 'grows 2'), aion.start_workflow('grows from none', workflow_id => 'grows 3');
CALL aion.drive();
CREATE FUNCTION grows(a int, b text DEFAULT 'new', c int DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN a || ' ' || b || coalesce(c::text, ', null'); END $$;
CREATE FUNCTION grows_later(a int DEFAULT 7, b text DEFAULT to_char(now(), 'YYYY')) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN a || ' ' || b; END $$;
CREATE FUNCTION grows_from_none(b text DEFAULT 'default') RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN b; END $$;
SELECT aion.register_workflow('grows', 'grows(int, text, int)') IS NOT NULL AS registered, aion.register_workflow('grows from none', 'grows_from_none(text)') IS NOT NULL AS registered;
SELECT workflow_id, left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run WHERE workflow_id ~ '^grows' ORDER BY 1;
SELECT count(aion.set_workflow_version(workflow_id)), count(aion.signal_workflow(workflow_id, 'go')) FROM aion.workflow_run WHERE workflow_id IN ('grows 1', 'grows 3');
SELECT aion.register_workflow('grows', 'grows_later(int, text)') IS NOT NULL AS registered;
SELECT aion.set_workflow_version('grows 2');
CALL aion.drive();
SELECT workflow_id, status, blocked, result, input, (SELECT attributes #>> '{detail,message}' FROM aion.history(workflow_id) WHERE event_type = 'WorkflowBlocked') AS message FROM aion.workflow_run WHERE workflow_id ~ '^grows' ORDER BY 1;
SELECT aion.terminate_workflow('grows 2');

-- A function that was renamed and registered again is followed from then on.
CREATE FUNCTION first_name() RETURNS text LANGUAGE sql AS $$ SELECT 'one' $$;
SELECT aion.register_workflow('renamed', 'first_name()') IS NOT NULL AS registered;
ALTER FUNCTION first_name() RENAME TO second_name;
SELECT aion.start_workflow('renamed');
SELECT aion.register_workflow('renamed', 'second_name()') IS NOT NULL AS registered;
SELECT aion.start_workflow('renamed', workflow_id => 'renamed 1');
CREATE OR REPLACE FUNCTION second_name() RETURNS text LANGUAGE sql AS $$ SELECT 'two' $$;
SELECT aion.start_workflow('renamed', workflow_id => 'renamed 2');
CALL aion.drive();
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_type = 'renamed' ORDER BY 1;

-- route_workflow lets new starts use another version; runs keep theirs, and so do calls of the function that was replaced (83).
CREATE FUNCTION routed(n int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'v1'; END $$;
SELECT aion.register_workflow('routed', 'routed(int)', timeout => '1 day', task_queue => 'q') AS r1 \gset
CREATE OR REPLACE FUNCTION routed(n int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'v2'; END $$;
SELECT version AS r2 FROM aion.workflow_version WHERE workflow_type = 'routed' AND routed \gset
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('routed', workflow_id => 'r a');
SELECT aion.route_workflow('routed', :'r1');
SELECT aion.start_workflow('routed', workflow_id => 'r b'), aion.start_workflow('routed', workflow_id => 'r c', version => :'r2');
-- the same text again is no deploy; other text is
CREATE OR REPLACE FUNCTION routed(n int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'v2'; END $$;
SELECT aion.start_workflow('routed', workflow_id => 'r d');
SELECT version = :'r1' AS v1, routed, timeout, task_queue, open_runs FROM aion.workflow_version WHERE workflow_type = 'routed' ORDER BY version = :'r2';
CREATE OR REPLACE FUNCTION routed(n int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'v3'; END $$;
SELECT aion.start_workflow('routed', workflow_id => 'r e');
-- what was rolled back has not been deployed (84)
SAVEPOINT s;
CREATE OR REPLACE FUNCTION routed(n int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'v4'; END $$;
SELECT aion.route_workflow('routed', :'r1');
ROLLBACK TO s;
SELECT aion.start_workflow('routed', workflow_id => 'r f');
SELECT count(*) AS versions FROM aion.workflow_version WHERE workflow_type = 'routed';
SELECT aion_test.advance('2 hours') > 0 AS ran;
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_type = 'routed' ORDER BY 1;
ROLLBACK;

-- What a command is answered, without the names of versions.
CREATE FUNCTION deploy_try(command text, VARIADIC args text[] DEFAULT '{}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE d text; h text;
BEGIN
	EXECUTE 'SELECT ' || format(command, VARIADIC args);
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(d, ''), nullif(h, '')), '"[0-9a-f]{16}"', 'V', 'g');
END $$;
GRANT EXECUTE ON FUNCTION deploy_try TO PUBLIC;
-- A version that new starts or open runs use is not unregistered, and the holder is named (83).
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r2');
SELECT aion.start_workflow('routed', workflow_id => 'holder 1', version => :'r1'), aion.start_workflow('routed', workflow_id => 'holder 2', version => :'r1');
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r1');
SELECT aion.set_workflow_version('holder 2') = :'r2' AS moved;
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r1');
SELECT aion.terminate_workflow('holder 1');
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r1');
SELECT count(*) AS versions FROM aion.workflow_version WHERE workflow_type = 'routed';
-- nothing comes to use it again, but what it was stays known
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r1');
SELECT deploy_try($$aion.start_workflow('routed', version => %L)$$, :'r1');
SELECT deploy_try($$aion.set_workflow_version('holder 2', %L)$$, :'r1');
SELECT deploy_try($$aion.route_workflow('routed', %L)$$, :'r1');
SELECT deploy_try($$aion.reopen_workflow('holder 1')$$);
SELECT deploy_try($$aion.fork_workflow('holder 1', 1)$$);
SELECT version = :'r1' AS v1, status FROM aion.workflow_run WHERE workflow_id = 'holder 1';
SELECT aion.reopen_workflow('holder 1', version => :'r2');
SELECT aion.terminate_workflow('holder 1');
-- ... until the same code is deployed again, which is the same version
CREATE OR REPLACE FUNCTION routed(n int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'v1'; END $$;
SELECT version = :'r1' AS v1, routed, open_runs FROM aion.workflow_version WHERE workflow_type = 'routed' ORDER BY 1;
SELECT aion.fork_workflow('holder 1', 1, 'fork', version => :'r1');
SELECT aion.terminate_workflow(w) FROM unnest('{holder 2,fork}'::text[]) w;

-- Only the role that has registered a name changes it; what does not exist, and what cannot be.
SELECT deploy_try($$aion.route_workflow('no such', %L)$$, :'r1');
SELECT deploy_try($$aion.route_workflow('routed', 'no such')$$);
SELECT deploy_try($$aion.route_workflow('routed', NULL)$$);
SELECT deploy_try($$aion.route_workflow(NULL, %L)$$, :'r1');
SELECT deploy_try($$aion.unregister_workflow('no such', %L)$$, :'r1');
SELECT deploy_try($$aion.unregister_workflow('routed', NULL)$$);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r2');
ROLLBACK;
SET SESSION AUTHORIZATION deploy_other;
SELECT deploy_try($$aion.route_workflow('routed', %L)$$, :'r1');
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r2');
SET SESSION AUTHORIZATION deploy_user;
-- runs of other roles hold a version, too, and stay unnamed
GRANT EXECUTE ON FUNCTION routed(int) TO deploy_mate;
SET SESSION AUTHORIZATION deploy_mate;
SELECT aion.start_workflow('routed', workflow_id => 'secret', version => :'r2');
SET SESSION AUTHORIZATION deploy_user;
SELECT deploy_try($$aion.unregister_workflow('routed', %L)$$, :'r2');
SET SESSION AUTHORIZATION deploy_mate;
-- a run uses what its owner trusts: after the owner has left a role, the run is not moved to what that role deploys now
RESET SESSION AUTHORIZATION;
REVOKE deploy_user FROM deploy_mate;
SET SESSION AUTHORIZATION deploy_mate;
SELECT deploy_try($$aion.set_workflow_version('secret')$$);
SELECT aion.set_workflow_version('secret', :'r2') = :'r2' AS stays;
SELECT aion.terminate_workflow('secret');
RESET SESSION AUTHORIZATION;
GRANT deploy_user TO deploy_mate;

-- Code that is gone blocks its runs alone, with a reason, and they go on when it is back: dropped, or no longer what it was (83).
SET SESSION AUTHORIZATION deploy_user;
CREATE FUNCTION goes() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN 'went'; END $$;
CREATE FUNCTION stays() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN 'stayed'; END $$;
SELECT count(aion.register_workflow(f, (f || '()')::regprocedure)) FROM unnest('{goes,stays}'::text[]) f;
SELECT aion.start_workflow('goes', workflow_id => 'goes 1'), aion.start_workflow('goes', workflow_id => 'goes 2'), aion.start_workflow('stays', workflow_id => 'stays 1');
CALL aion.drive();
RESET SESSION AUTHORIZATION;
DROP FUNCTION aion_code.goes();
SET SESSION AUTHORIZATION deploy_user;
SELECT deploy_try($$aion.start_workflow('goes')$$);
SELECT deploy_try($$aion.route_workflow('goes', %L)$$, version) FROM aion.workflow_version WHERE workflow_type = 'goes';
SELECT deploy_try($$aion_test.replay('goes 1')$$);
SELECT count(aion.signal_workflow(w, 'go')) FROM unnest('{goes 1,stays 1}'::text[]) w;
CALL aion.drive();
SELECT workflow_id, status, blocked, result FROM aion.workflow_run WHERE workflow_id ~ '^(goes|stays)' ORDER BY 1;
SELECT attributes ->> 'reason' AS reason, attributes #>> '{detail,code}' AS code FROM aion.history('goes 1') WHERE event_type = 'WorkflowBlocked';
SELECT length(aion.register_workflow('goes', 'goes()')) AS same_version;
CALL aion.drive();
RESET SESSION AUTHORIZATION;
CREATE OR REPLACE FUNCTION aion_code.goes() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'tampered'; END $$;
SET SESSION AUTHORIZATION deploy_user;
SELECT aion.signal_workflow('goes 2', 'go');
CALL aion.drive();
SELECT status, blocked FROM aion.workflow_run WHERE workflow_id = 'goes 2';
SELECT length(aion.register_workflow('goes', 'goes()')) AS same_version;
CALL aion.drive();
SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_id ~ '^goes' ORDER BY 1;
SELECT count(*) AS versions FROM aion.workflow_version WHERE workflow_type = 'goes';

-- What cannot be registered.
CREATE PROCEDURE a_procedure() LANGUAGE sql AS '';
CREATE FUNCTION a_definer() RETURNS int SECURITY DEFINER LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION no_name(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT aion.register_workflow('x', 'a_procedure()');
SELECT aion.register_workflow('x', 'a_definer()');
SELECT aion.register_workflow('x', 'no_name(int)');
SELECT aion.register_workflow('x', NULL);
SELECT aion.register_workflow('x', 'no_such()');
SELECT aion.register_workflow(NULL, 'greet(text)');
RESET SESSION AUTHORIZATION;
REVOKE deploy_user FROM deploy_mate;

-- The event trigger never fails a command: whatever goes wrong is a warning.
ALTER TABLE aion._workflow RENAME TO _workflow_away;
CREATE FUNCTION unrelated() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER TABLE aion._workflow_away RENAME TO _workflow;
SELECT unrelated();
-- ... it runs for every role that replaces a function, with rights here or without, and deploys nothing that could not be registered
SET SESSION AUTHORIZATION deploy_user;
CREATE FUNCTION deployed() RETURNS text LANGUAGE sql AS $$ SELECT 'fine' $$;
SELECT length(aion.register_workflow('deployed', 'deployed()'));
CREATE OR REPLACE FUNCTION deployed() RETURNS text SECURITY DEFINER LANGUAGE sql AS $$ SELECT 'not fine' $$;
SELECT deployed(), count(*) AS versions FROM aion.workflow_version WHERE workflow_type = 'deployed';
SELECT aion.start_workflow('deployed');
CREATE OR REPLACE FUNCTION deployed() RETURNS text LANGUAGE sql AS $$ SELECT 'fine again' $$;
SELECT count(*) AS versions FROM aion.workflow_version WHERE workflow_type = 'deployed';
BEGIN READ ONLY;
SELECT left(aion_test.replay('goes 1'), 2) AS replay;
ROLLBACK;
RESET SESSION AUTHORIZATION;
SELECT aion.revoke_usage('deploy_other');
SET SESSION AUTHORIZATION deploy_other;
CREATE FUNCTION unrelated_too() RETURNS int LANGUAGE sql AS 'SELECT 2';
ALTER FUNCTION unrelated_too() STABLE;
SELECT unrelated_too();
-- A function whose type is gone, as it could be by a race of both, is in the way of no other function of its name (11.11).
RESET SESSION AUTHORIZATION;
CREATE TYPE deploy_gone AS (a int);
CREATE FUNCTION namesake(x deploy_gone) RETURNS int LANGUAGE sql AS 'SELECT 1';
SET allow_system_table_mods = on;
DELETE FROM pg_depend WHERE objid = 'namesake'::regproc;
DROP TYPE deploy_gone;
SET SESSION AUTHORIZATION deploy_user;
CREATE FUNCTION namesake(a bigint, b numeric) RETURNS int LANGUAGE sql AS 'SELECT 2';
SELECT aion.register_workflow('namesake', 'namesake(bigint, numeric)') IS NOT NULL AS registered;
\c
SET SESSION AUTHORIZATION deploy_user;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.start_workflow('namesake', '{"a": 1, "b": 2}', workflow_id => 'namesake');
SELECT aion_test.run_until_idle();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'namesake';
ROLLBACK;
RESET SESSION AUTHORIZATION;
SET allow_system_table_mods = on;
DELETE FROM pg_proc WHERE proname = 'namesake' AND pronargs = 1;
RESET allow_system_table_mods;
-- A transaction of many commands wakes a blocked run once.
SET SESSION AUTHORIZATION deploy_user;
CREATE FUNCTION held_up() RETURNS int LANGUAGE sql AS $$ SELECT aion.run('deploy_nothing')::int $$;
SELECT aion.register_workflow('held_up', 'held_up()') IS NOT NULL AS registered;
SELECT aion.start_workflow('held_up', workflow_id => 'held up');
CALL aion.drive();
RESET SESSION AUTHORIZATION;
BEGIN;
CREATE FUNCTION deploy_one() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT ctid AS woken, ready_at IS NOT NULL AS ready FROM aion._run WHERE workflow_id = 'held up' \gset
DO $$ BEGIN FOR i IN 1 .. 5 LOOP EXECUTE format('CREATE FUNCTION deploy_many(%s) RETURNS int LANGUAGE sql AS $x$ SELECT 1 $x$', array_to_string(array_fill('int'::text, ARRAY[i]), ', ')); END LOOP; END $$;
SELECT :'ready' AS ready, ctid = :'woken' AS as_it_was FROM aion._run WHERE workflow_id = 'held up';
ROLLBACK;
-- A definition is the same for every session, however that writes constants.
SET SESSION AUTHORIZATION deploy_user;
CREATE FUNCTION constants(a bytea DEFAULT '\x00ff', b text DEFAULT 'C:\tmp', c money DEFAULT 1.5, d interval DEFAULT '1 day', e float8 DEFAULT 0.1, f xml DEFAULT '<a/>') RETURNS text LANGUAGE sql AS 'SELECT encode(a, ''hex'') || b';
SELECT aion.register_workflow('constants', 'constants(bytea,text,money,interval,float8,xml)') IS NOT NULL AS registered;
SET bytea_output = 'escape'; SET standard_conforming_strings = off; SET escape_string_warning = off; SET quote_all_identifiers = on; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = -10;
SELECT aion.start_workflow('constants', workflow_id => 'constants');
RESET bytea_output; RESET standard_conforming_strings; RESET escape_string_warning; RESET quote_all_identifiers; RESET IntervalStyle; RESET extra_float_digits;
CALL aion.drive();
SELECT status, blocked, result, (SELECT count(*) FROM aion.workflow_version v WHERE v.workflow_type = 'constants') AS versions FROM aion.workflow_run WHERE workflow_id = 'constants';
RESET SESSION AUTHORIZATION;
-- One command wakes a thousand of each owner, so that those of one owner neither take long nor keep others waiting.
SET SESSION AUTHORIZATION deploy_user;
SELECT count(*) FROM aion.start_workflows('held_up', array_fill('{}'::jsonb, ARRAY[1100]));
CALL aion.drive();
SET SESSION AUTHORIZATION deploy_mate;
CREATE FUNCTION held_too() RETURNS int LANGUAGE sql AS $$ SELECT aion.run('deploy_nothing')::int $$;
SELECT aion.register_workflow('held_too', 'held_too()') IS NOT NULL AS registered;
SELECT aion.start_workflow('held_too', workflow_id => 'held too');
CALL aion.drive();
RESET SESSION AUTHORIZATION;
BEGIN;
CREATE FUNCTION deploy_one() RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT o.name, count(*) AS blocked, count(r.ready_at) AS woken FROM aion._run r JOIN aion._owner o USING (owner_key) WHERE r.status = 'blocked' AND o.name ~ '^deploy_(user|mate)' AND r.blocked = 'missing code' GROUP BY 1 ORDER BY 1;
ROLLBACK;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY deploy_user, deploy_mate, deploy_other CASCADE;
DROP ROLE deploy_user, deploy_mate, deploy_other;
CREATE EXTENSION aion;
