CREATE FUNCTION corpus.continued(n int, got jsonb DEFAULT '[]') RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.publish('n', to_jsonb(n));
	got := got || jsonb_build_array(aion.receive('s'), aion.continue_suggested());
	IF n < 3 THEN PERFORM aion.continue_as_new(jsonb_build_object('n', n + 1, 'got', got)); END IF;
	RETURN got || jsonb_build_array(aion.try_receive('s'), aion.try_receive('s'));
END $$;
SELECT aion.register_workflow('continued', 'corpus.continued(int, jsonb)') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_continued() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('continued', '{"n": 1}', 'continued', search_attributes => '{"a": 1}', memo => '"m"', timeout => '1 year');
	PERFORM aion.signal_workflow('continued', 's', to_jsonb(i), 'id ' || i) FROM generate_series(1, 4) i;
	PERFORM aion_test.advance('1 hour');
END $$;
