--
-- patched(): code that is changed under runs in flight goes the old way where history was made by code without the change, else
-- the new way, and says so in history. Whatever it answered, every replay answers again (10, 13).
--
CREATE ROLE patch_user LOGIN;
SELECT aion.grant_usage('patch_user');
GRANT CREATE ON SCHEMA public TO patch_user;
SET SESSION AUTHORIZATION patch_user;
CREATE FUNCTION patch_act(what text) RETURNS text LANGUAGE sql AS $$ SELECT 'did ' || what $$;
CREATE FUNCTION patch_asks() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.patched('x'); RETURN 'told'; EXCEPTION WHEN SQLSTATE 'WF010' THEN RETURN SQLERRM; END $$;
SELECT aion.register_activity('patch_act', 'patch_act(text)'), aion.register_activity('patch_asks', 'patch_asks()');
CREATE FUNCTION patch_events(id text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(concat(event_type, ' ' || key), ', ' ORDER BY seq) FROM aion.history(id) WHERE event_type !~ '^(Workflow(Started|Completed)|Activity(Comp|Sch))' $$;
-- Deploys a body; "act" stands for an activity.
CREATE FUNCTION patch_deploy(body text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE FUNCTION patch_code() RETURNS jsonb LANGUAGE plpgsql AS %L',
		'DECLARE said jsonb := ''[]''; BEGIN ' || regexp_replace(body, 'act\((\w+)\)', 'said := said || aion.run(''patch_act'', ''{"what": "\1"}'')', 'g') || ' RETURN said; END');
	RETURN aion.register_workflow('patch', 'patch_code()');
END $$;

-- A run of the code from its start goes the new way. Both kinds of turn make the same history.
SELECT patch_deploy($$ IF aion.patched('one') THEN act(new1); ELSE act(old1); END IF; act(always); IF aion.patched('two') THEN act(new2); END IF;
	IF aion.patched('one') AND aion.patched('two') THEN said := said || '"both"'; END IF; $$) IS NOT NULL AS deployed;
SELECT aion.start_workflow('patch', workflow_id => 'p1');
CALL aion.drive();
SET aion.optimistic_turns = off;
SELECT aion.start_workflow('patch', workflow_id => 'p2');
CALL aion.drive();
RESET aion.optimistic_turns;
SELECT workflow_id, status, result, aion_test.replay(workflow_id) FROM aion.workflow_run ORDER BY 1;
SELECT event_type, key, attributes - 'version' AS attributes FROM aion.history('p1');
SELECT bool_and(a.event_type = b.event_type AND a.key IS NOT DISTINCT FROM b.key AND a.attributes = b.attributes IS NOT false) AND count(*) = 10 AS alike
	FROM aion.history('p1') a FULL JOIN aion.history('p2') b USING (seq);
SELECT regexp_replace(line, '^ *\S+', '') AS line FROM aion.explain('p1') line WHERE line ~ 'patched';

-- Runs that were made by code without it, and stand at various places, are moved to code that has it. Where a command follows in
-- history the answer is false, and holds: also where the code asks again at the end of what is recorded.
CREATE FUNCTION patch_move(old text, new text, OUT status text, OUT result jsonb, OUT events text, OUT replay text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion_test.begin('2026-01-01 00:00+00');
	PERFORM patch_deploy(old);
	PERFORM aion.start_workflow('patch', workflow_id => 'm');
	PERFORM aion_test.run_until_idle();
	PERFORM patch_deploy(new);
	PERFORM aion.set_workflow_version('m');
	PERFORM aion_test.run_until_idle();
	PERFORM aion_test.advance('2 hours');
	SELECT w.status, w.result, patch_events('m'), left(aion_test.replay('m'), 2) INTO status, result, events, replay FROM aion.workflow_run w WHERE w.workflow_id = 'm';
END $$;
BEGIN; \echo before what is recorded: false
SELECT * FROM patch_move('act(one); PERFORM aion.sleep(''1 hour''); act(two);', 'IF aion.patched(''x'') THEN act(new); END IF; act(one); PERFORM aion.sleep(''1 hour''); act(two);'); ROLLBACK;
BEGIN; \echo between: false
SELECT * FROM patch_move('act(one); PERFORM aion.sleep(''1 hour''); act(two);', 'act(one); IF aion.patched(''x'') THEN act(new); END IF; PERFORM aion.sleep(''1 hour''); act(two);'); ROLLBACK;
BEGIN; \echo after what is recorded: true
SELECT * FROM patch_move('act(one); PERFORM aion.sleep(''1 hour''); act(two);', 'act(one); PERFORM aion.sleep(''1 hour''); IF aion.patched(''x'') THEN act(new); END IF; act(two);'); ROLLBACK;
BEGIN; \echo the first answer holds
SELECT * FROM patch_move('act(one); PERFORM aion.sleep(''1 hour''); act(two);', 'FOR i IN 1..2 LOOP IF aion.patched(''x'') THEN act(new); END IF; act(one); EXIT WHEN i = 2; PERFORM aion.sleep(''1 hour''); END LOOP;'); ROLLBACK;
BEGIN; \echo in a subtransaction that is rolled back the mark stays, as commands do
SELECT * FROM patch_move('PERFORM aion.sleep(''1 hour'');', 'PERFORM aion.sleep(''1 hour''); BEGIN IF aion.patched(''x'') THEN act(new); END IF; RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN act(after); END; said := said || to_jsonb(aion.patched(''x''));'); ROLLBACK;
BEGIN; \echo without a command after it the mark is there all the same
SELECT * FROM patch_move('PERFORM aion.sleep(''1 hour'');', 'PERFORM aion.sleep(''1 hour''); said := said || to_jsonb(aion.patched(''x''));'); ROLLBACK;
-- Code that no longer asks replays what code that asked has made; code that takes the change back does not, and leaves no mark.
BEGIN; \echo asks no more
SELECT * FROM patch_move('IF aion.patched(''x'') THEN act(new); ELSE act(old); END IF; PERFORM aion.sleep(''1 hour'');', 'act(new); PERFORM aion.sleep(''1 hour'');'); ROLLBACK;
BEGIN; \echo taken back
SELECT * FROM patch_move('IF aion.patched(''x'') THEN act(new); ELSE act(old); END IF; PERFORM aion.sleep(''1 hour'');', 'act(old); PERFORM aion.sleep(''1 hour''); IF aion.patched(''y'') THEN act(new); END IF;'); ROLLBACK;
BEGIN; \echo a turn that is lost leaves no mark
SELECT * FROM patch_move('act(one); PERFORM aion.sleep(''1 hour'');', 'act(one); IF aion.patched(''x'') THEN PERFORM aion.sleep(''2 hours''); ELSE act(other); END IF;'); ROLLBACK;

-- A closed history has no open end: code that asks where it is closed is told what the code that closed it would have been.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT patch_deploy('act(one);') IS NOT NULL AS deployed;
SELECT aion.start_workflow('patch', workflow_id => 'closed');
SELECT aion_test.run_until_idle();
SELECT patch_deploy('act(one); IF aion.patched(''x'') THEN act(new); END IF;') IS NOT NULL AS deployed;
SELECT aion_test.replay('closed'), (SELECT count(*) FROM aion.history('closed')) AS events;
ROLLBACK;

-- Reopened and forked runs keep the marks of what they have behind them, and get new ones after that.
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT patch_deploy($$ IF aion.patched('one') THEN act(new1); ELSE act(old1); END IF; PERFORM aion.sleep('1 hour'); RAISE division_by_zero; $$) IS NOT NULL AS deployed;
SELECT aion.start_workflow('patch', workflow_id => 'r');
SELECT aion_test.advance('2 hours') > 0 AS ran;
SELECT status, patch_events('r') FROM aion.workflow_run WHERE workflow_id = 'r';
SELECT patch_deploy($$ IF aion.patched('one') THEN act(new1); ELSE act(old1); END IF; IF aion.patched('late') THEN act(late); END IF; PERFORM aion.sleep('1 hour');
	IF aion.patched('two') THEN act(new2); END IF; $$) AS mended \gset
SELECT aion.reopen_workflow('r', version => :'mended');
SELECT aion.fork_workflow('r', 1, 'f1', version => :'mended'), aion.fork_workflow('r', 2, 'f2', version => :'mended'), aion.fork_workflow('r', 5, 'f5', version => :'mended');
SELECT aion_test.advance('2 hours') > 0 AS ran;
SELECT workflow_id, status, result, patch_events(workflow_id), left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run WHERE workflow_id ~ '^[fr]' ORDER BY 1;
ROLLBACK;

-- What it refuses.
SELECT aion.patched('x');
SELECT patch_deploy($$ BEGIN PERFORM aion.patched(NULL); EXCEPTION WHEN SQLSTATE 'WF014' THEN said := said || to_jsonb(SQLERRM); END;
	BEGIN PERFORM aion.patched(''); EXCEPTION WHEN SQLSTATE 'WF014' THEN said := said || to_jsonb(SQLERRM); END;
	BEGIN PERFORM aion.patched(repeat('x', 256)); EXCEPTION WHEN SQLSTATE 'WF014' THEN said := said || to_jsonb(SQLERRM); END;
	said := said || to_jsonb(aion.patched(repeat('x', 255))) || aion.run('patch_asks'); $$) IS NOT NULL AS deployed;
SELECT aion.start_workflow('patch', workflow_id => 'bad');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'bad';
-- Marks take room in history, which is limited.
RESET SESSION AUTHORIZATION;
SET aion.max_history_events = 100;
SET aion.turn_attempts = 1;
SET SESSION AUTHORIZATION patch_user;
SELECT patch_deploy($$ FOR i IN 1..200 LOOP PERFORM aion.patched('p' || i); END LOOP; $$) IS NOT NULL AS deployed;
SELECT aion.start_workflow('patch', workflow_id => 'many');
CALL aion.drive();
SELECT status, blocked, history_events FROM aion.workflow_run WHERE workflow_id = 'many';
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY patch_user CASCADE;
DROP ROLE patch_user;
CREATE EXTENSION aion;
