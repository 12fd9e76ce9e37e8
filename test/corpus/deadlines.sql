CREATE FUNCTION corpus.waits_long(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.receive('never', timeout => '1 day');
END $$;
CREATE FUNCTION corpus.deadlines() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
	outermost aion.scope;
	inner_one aion.scope;
BEGIN
	outermost := aion.begin_timeout('1 hour');
	BEGIN
		inner_one := aion.begin_timeout('10 minutes');
		said := said || aion.receive('a');
		PERFORM aion.sleep('1 day');
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || to_jsonb(SQLERRM) || coalesce(aion.receive('b', timeout => '1 minute'), '"no b"');
	END;
	BEGIN
		inner_one := aion.begin_timeout('3 hours');
		PERFORM aion.await(aion.start_timer('late', '2 hours'));
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	PERFORM aion.end_timeout(outermost);
	BEGIN
		PERFORM aion.with_timeout('5 minutes', 'corpus.waits_long(jsonb)', '{"x": 1}');
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	PERFORM aion.sleep('1 minute');
	RETURN said;
END $$;
SELECT aion.register_workflow('deadlines', 'corpus.deadlines()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_deadlines() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('deadlines', workflow_id => 'deadlines');
	PERFORM aion_test.advance('5 minutes');
	PERFORM aion.signal_workflow('deadlines', 'a', '1');
	PERFORM aion_test.advance('1 day');
END $$;
