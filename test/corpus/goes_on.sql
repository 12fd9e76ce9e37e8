CREATE FUNCTION corpus.goes_on(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.sleep('1 hour');
	IF n = 3 THEN RETURN n; END IF;
	PERFORM aion.start_timer('left', '1 day');
	PERFORM aion.continue_as_new(jsonb_build_object('n', n + 1));
END $$;
SELECT aion.register_workflow('goes_on', 'corpus.goes_on(int)') IS NOT NULL AS registered;

-- The history of the run before the last, which is purged.
CREATE FUNCTION corpus.play_goes_on() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('goes_on', '{"n": 1}', 'goes_on');
	PERFORM aion_test.advance('4 hours');
	PERFORM aion.purge_workflows('0', status => '{completed}');
END $$;
