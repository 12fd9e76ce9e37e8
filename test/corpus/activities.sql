CREATE FUNCTION corpus.work(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF what ~ '^bad' THEN RAISE EXCEPTION 'cannot do %', what USING ERRCODE = 'P0042', DETAIL = 'a detail', HINT = 'a hint'; END IF;
	RETURN 'did ' || what;
END $$;
SELECT aion.register_activity('work', 'corpus.work(text)'), aion.register_activity('back', 'corpus.work(text)', mode => 'background', retry => '{"max_attempts": 2}'),
	aion.register_activity('out', mode => 'external', task_queue => 'corpus', start_to_close_timeout => '1 minute', retry => '{"max_attempts": 2}');
-- Activities of every mode: done, failed, tried again, timed out, cancelled, asked for twice.
CREATE FUNCTION corpus.activities(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
	what text;
	h aion.handle;
BEGIN
	said := said || aion.run_sql('SELECT n, n * 2 AS twice FROM generate_series(1, $1) n', '[2]');
	FOREACH what IN ARRAY ARRAY['work good', 'work bad', 'back good', 'back bad', 'out good', 'out bad', 'out late'] LOOP
		BEGIN
			said := said || aion.run(split_part(what, ' ', 1), jsonb_build_object('what', split_part(what, ' ', 2)));
		EXCEPTION WHEN SQLSTATE 'WA000' THEN
			said := said || jsonb_build_array(SQLSTATE, SQLERRM, aion.failure() ->> 'attempts');
		END;
	END LOOP;
	h := aion.start_activity('out', '{"what": "unwanted"}', '{"priority": 3}');
	said := said || jsonb_build_array(aion.cancel(h), aion.cancel(h));
	BEGIN
		PERFORM aion.await(h);
	EXCEPTION WHEN SQLSTATE 'WA003' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	BEGIN
		PERFORM aion.await(aion.start_activity('out', '{"what": "too late"}'), timeout => '10 seconds');
	EXCEPTION WHEN SQLSTATE 'WF013' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	RETURN said || input;
END $$;
SELECT aion.register_workflow('activities', 'corpus.activities(jsonb)') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_activities() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	task record;
BEGIN
	PERFORM aion.start_workflow('activities', '{"a": [1, null]}', workflow_id => 'activities');
	FOR i IN 1..20 LOOP
		PERFORM aion_test.run_until_idle();
		FOR task IN SELECT * FROM aion.poll_activities('{corpus}', 'a worker') LOOP
			IF task.input ->> 'what' = 'good' THEN
				PERFORM aion.complete_activity(task.task_token, '{"paid": true}');
			ELSIF task.input ->> 'what' = 'bad' THEN
				PERFORM aion.fail_activity(task.task_token, 'no', kind => 'refused', details => '{"why": 7}');
			END IF;
		END LOOP;
		PERFORM aion_test.advance('30 seconds');
	END LOOP;
END $$;
