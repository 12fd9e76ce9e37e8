--
-- Seeing why a run stands still, in one screen. 11.31
--
CREATE ROLE explain_user LOGIN;
CREATE ROLE explain_other LOGIN;
CREATE ROLE explain_monitor LOGIN;
SELECT aion.grant_usage('explain_user'), aion.grant_usage('explain_other'), aion.grant_usage('explain_monitor', 'monitor');
GRANT CREATE ON SCHEMA public TO explain_user;
CREATE FUNCTION plain(line text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(line, '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*[+-]\d\d', '<time>', 'g'), '^ +\d\d:\d\d:[\d.]+', '    ...'), 'version \w{16}', 'version ...'), 'process \d+', 'process N')
$$;
SET SESSION AUTHORIZATION explain_user;
SELECT aion.register_activity('ask_bank', mode => 'external', task_queue => 'vault', start_to_close_timeout => '1 min',
	retry => '{"initial_interval": "1 hour", "max_interval": "1 day"}');
CREATE FUNCTION count_up(n int) RETURNS int LANGUAGE sql AS 'SELECT n + 1';
SELECT aion.register_activity('count_up', 'count_up(int)', mode => 'background', task_queue => 'slow');
CREATE FUNCTION many() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep('0');
	RETURN jsonb_array_length(aion.map('ask_bank', (SELECT jsonb_agg(jsonb_build_object('n', i)) FROM generate_series(1, 300) i)));
END $$;
SELECT aion.register_workflow('many', 'many()') IS NOT NULL AS registered;
CREATE FUNCTION mixed() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	handles aion.handle[];
BEGIN
	handles := ARRAY[aion.start_activity('ask_bank', '{"n": 1}'), aion.start_activity('count_up', '{"n": 1}'), aion.next_signal('go'),
		aion.start_timer('late', until => '2999-01-01'), aion.start_child('many', workflow_id => 'many')];
	RETURN aion.await_all(handles);
END $$;
SELECT aion.register_workflow('mixed', 'mixed()') IS NOT NULL AS registered;

-- A run that is ready and not executed has a row that says so; health() says how late the oldest is.
SELECT aion.start_workflow('mixed', workflow_id => 'mixed');
SELECT awaiting, key, since <= clock_timestamp() AS since, until FROM aion.pending_await;
SELECT plain(line) AS line FROM aion.explain('mixed') line;
SELECT ok, regexp_replace(detail, 'waits for .*', 'waits for <time>') AS detail FROM aion.health() WHERE "check" = 'turns';
RESET SESSION AUTHORIZATION;
UPDATE aion._run SET ready_at = ready_at - interval '2 minutes';
SET SESSION AUTHORIZATION explain_user;
SELECT ok, regexp_replace(detail, 'waits for .*', 'waits for <time>') AS detail, hint FROM aion.health() WHERE "check" = 'turns';
CALL aion.drive();
-- Also one that something was sent to, and one that a timer wakes.
SELECT aion.signal_workflow('mixed', 'other');
SELECT workflow_id, awaiting, since <= clock_timestamp() AS since FROM aion.pending_await WHERE awaiting = 'turn' ORDER BY workflow_id;
SELECT plain(line) AS line FROM aion.explain('mixed') line;
CALL aion.drive();
SELECT count(*) FROM aion.pending_await WHERE awaiting = 'turn';

-- Awaits name activity, queue and how many sessions poll it; those that may not claim it do not count.
SELECT awaiting, key, activity, task_queue, pollers FROM aion.pending_await WHERE workflow_id = 'mixed' ORDER BY awaiting, key;
SET SESSION AUTHORIZATION explain_other;
SELECT count(*) FROM aion.poll_activities('{vault}', 'not for these');
SET SESSION AUTHORIZATION explain_user;
SELECT pollers FROM aion.pending_await WHERE workflow_id = 'mixed' AND key = '1';
SELECT task_queue, pollers, unpolled_since <= clock_timestamp() AS unpolled FROM aion.stat_queue WHERE task_queue IN ('vault', 'slow') ORDER BY 1;
SELECT ok, detail FROM aion.health() WHERE "check" = 'queues';
RESET SESSION AUTHORIZATION;
UPDATE aion._task SET next_attempt_at = next_attempt_at - interval '2 minutes' WHERE task_queue = 'vault';
SET SESSION AUTHORIZATION explain_user;
SELECT ok, detail, hint FROM aion.health() WHERE "check" = 'queues';
SELECT plain(line) AS line FROM aion.explain('mixed') line;
SELECT count(*) FROM aion.poll_activities('{other,vault}', 'one', activities => '{none}');
SELECT count(*) FROM aion.poll_activities('{vault}', 'two', activities => '{none}');
SELECT count(*) FROM aion.poll_activities('{vault,vault}', 'one', activities => '{none}');
SELECT pollers FROM aion.pending_await WHERE workflow_id = 'mixed' AND key = '1';
SELECT task_queue, pollers, unpolled_since IS NULL AS polled FROM aion.stat_queue WHERE task_queue = 'vault';
SELECT ok, detail FROM aion.health() WHERE "check" = 'queues';
SELECT aion.pause_task_queue('vault');
SELECT plain(line) AS line FROM aion.explain('mixed') line WHERE line ~ 'ask_bank in';
SELECT ok, detail, hint FROM aion.health() WHERE "check" = 'queues';
SELECT aion.resume_task_queue('vault');
-- A role is not told what runs of other owners wait for, nor which sessions poll for them.
SET SESSION AUTHORIZATION explain_other;
SELECT aion._queue_pollers('vault', (1 + n)::int) FROM generate_series(0, 3) n WHERE aion._queue_pollers('vault', (1 + n)::int) > 0;
SELECT count(*) FROM aion.stat_queue WHERE task_queue = 'vault' AND waiting > 0;
SET SESSION AUTHORIZATION explain_monitor;
SELECT plain(line) AS line FROM aion.explain('mixed') line;

-- An attempt that failed and is made again later, and one that a worker executes.
SET SESSION AUTHORIZATION explain_user;
SELECT aion.fail_activity(task_token, 'the bank is closed') FROM aion.poll_activities('{vault}', 'one') LIMIT 1;
SELECT plain(line) AS line FROM aion.explain('mixed') line WHERE line ~ 'in queue vault';
SELECT workflow_id, activity FROM aion.poll_activities('{vault}', 'one');
SELECT plain(line) AS line FROM aion.explain('many') line WHERE line ~ 'in queue vault';

-- A map says how far it has come, and what repeats is shortened.
SELECT aion.query_workflow('many', 'aion.map');
SELECT count(aion.complete_activity(task_token, '1')) FROM aion.poll_activities('{vault}', 'one', max_tasks => 100);
CALL aion.drive();
SELECT aion.query_workflow('many', 'aion.map');
SELECT plain(line) AS line FROM aion.explain('many') line;
SELECT count(*) FROM aion.explain('many', show_all => true);
SELECT count(*) - 1 AS events FROM aion.history('many');
SELECT count(aion.complete_activity(task_token, '1')) FROM aion.poll_activities('{vault}', 'one', max_tasks => 300);
RESET SESSION AUTHORIZATION;
UPDATE aion._task SET attempt_by = clock_timestamp(), look_at = clock_timestamp() WHERE state = 'claimed' AND NOT background;
SET SESSION AUTHORIZATION explain_user;
CALL aion.drive();
SELECT status FROM aion.workflow_run WHERE workflow_id = 'many';
SELECT plain(line) AS line FROM aion.explain('many') line WHERE line ~ 'waiting for';

-- One whose activities are inline publishes nothing, since nothing of it can be seen before its end.
SELECT aion.register_activity('count_up', 'count_up(int)');
CREATE FUNCTION at_once() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.map('count_up', '[{"n": 1}, {"n": 2}]') $$;
SELECT aion.register_workflow('at_once', 'at_once()') IS NOT NULL AS registered;
SELECT aion.start_workflow('at_once', workflow_id => 'at_once');
CALL aion.drive();
SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'at_once';
SELECT aion.query_workflow('at_once', 'aion.map');

-- The code's own name of that kind is the code's.
CREATE FUNCTION own() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.publish('map', '"mine"');
	RETURN aion.map('ask_bank', '[{"n": 1}]');
END $$;
SELECT aion.register_workflow('own', 'own()') IS NOT NULL AS registered;
SELECT aion.start_workflow('own', workflow_id => 'own');
CALL aion.drive();
SELECT aion.query_workflow('own', 'map'), aion.query_workflow('own', 'aion.map');
-- A run of a release that published no progress agrees with its code all the same.
RESET SESSION AUTHORIZATION;
DELETE FROM aion._published WHERE name = 'aion.map';
SET SESSION AUTHORIZATION explain_user;
SELECT aion_test.replay('own');

-- A loop is shortened by what it does in each round; a history of 40 events is shown whole.
CREATE FUNCTION loops(rounds int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..rounds LOOP
		PERFORM aion.run('count_up', jsonb_build_object('n', i));
		PERFORM aion.sleep('0');
	END LOOP;
	PERFORM aion.receive('end');
END $$;
SELECT aion.register_workflow('loops', 'loops(int)') IS NOT NULL AS registered;
SELECT aion.start_workflow('loops', '{"rounds": 9}', workflow_id => 'nine'), aion.start_workflow('loops', '{"rounds": 50}', workflow_id => 'fifty');
DO $$ BEGIN FOR i IN 1..60 LOOP CALL aion.drive(); END LOOP; END $$;
CALL aion.drive();
SELECT workflow_id, count(*) AS lines FROM unnest('{nine,fifty}'::text[]) workflow_id, aion.explain(workflow_id) GROUP BY 1 ORDER BY 1;
SELECT plain(line) AS line FROM aion.explain('fifty') line;

-- Why a run is blocked is said in full.
CREATE FUNCTION stuck() RETURNS void LANGUAGE sql AS $$ SELECT aion.run('no such activity, whose name is so long that a line of the history cannot tell what is missing here') $$;
SELECT aion.register_workflow('stuck', 'stuck()') IS NOT NULL AS registered;
SELECT aion.start_workflow('stuck', workflow_id => 'stuck');
CALL aion.drive();
SELECT plain(line) AS line FROM aion.explain('stuck') line;

-- Names and messages of users are parts of lines, and make none.
SELECT aion.start_workflow('stuck', workflow_id => E'two\n           0:00  completed with "all"');
SELECT line FROM aion.explain(E'two\n           0:00  completed with "all"') WITH ORDINALITY l(line, n) WHERE n = 1;

-- What keeps the whole engine from executing is said with the run.
SELECT aion.start_workflow('stuck', workflow_id => 'held');
RESET SESSION AUTHORIZATION;
SELECT aion.pause_engine();
SET SESSION AUTHORIZATION explain_user;
SELECT plain(line) AS line FROM aion.explain('held') line;
RESET SESSION AUTHORIZATION;
SELECT aion.resume_engine();
-- What has locked a run, or changed it and not committed.
BEGIN; SELECT aion.signal_workflow('held', 'go'), aion.set_workflow_version('held'); PREPARE TRANSACTION 'explain';
SET SESSION AUTHORIZATION explain_user;
SELECT line FROM (SELECT plain(line) AS line FROM aion.explain('held') line) x WHERE line ~ 'locked';
SELECT awaiting, locked_by FROM aion.pending_await WHERE workflow_id = 'held';
RESET SESSION AUTHORIZATION;
COMMIT PREPARED 'explain';
-- A run that has failed: where and why, and how often what was tried before.
SET SESSION AUTHORIZATION explain_user;
CREATE FUNCTION explain_ask() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('explain ask', options => '{"retry": {"initial_interval": "1 ms"}}');
	BEGIN PERFORM aion.run('explain ask'); EXCEPTION WHEN SQLSTATE 'WA000' THEN NULL; END;
	RAISE 'no more' USING DETAIL = 'All was asked.', HINT = 'Ask others.';
END $$;
SELECT aion.register_workflow('explain ask', 'explain_ask()') IS NOT NULL;
SELECT aion.register_activity('explain ask', mode => 'external', start_to_close_timeout => '1 min');
SELECT aion.start_workflow('explain ask', workflow_id => 'asks');
CALL aion.drive();
SELECT aion.fail_activity(task_token, 'the line is busy', kind => 'busy') FROM aion.poll_activities('{default}', 'w', activities => '{explain ask}');
SELECT pg_sleep(0.05);
SELECT count(aion.complete_activity(task_token, '1')) FROM aion.poll_activities('{default}', 'w', activities => '{explain ask}');
CALL aion.drive();
SELECT aion.pause_workflow('asks');
SELECT attempt FROM aion.poll_activities('{default}', 'w', activities => '{explain ask}');
SELECT aion.resume_workflow('asks');
SELECT task_token AS token FROM aion.poll_activities('{default}', 'w', activities => '{explain ask}') \gset
SELECT aion.pause_workflow('asks');
SELECT plain(line) AS line FROM aion.explain('asks') line;
SELECT aion.resume_workflow('asks');
SELECT aion.fail_activity(:'token', 'it is not there', kind => 'absent', retryable => false);
CALL aion.drive();
SELECT plain(line) AS line FROM aion.explain('asks') line;
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY explain_user, explain_other, explain_monitor CASCADE;
DROP ROLE explain_user, explain_other, explain_monitor;
DROP FUNCTION plain(text);
CREATE EXTENSION aion;
