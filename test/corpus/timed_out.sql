CREATE FUNCTION corpus.timed_out() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run_sql('SELECT 1'), aion.start_timer('t', '1 year'); PERFORM aion.receive('never'); RETURN 'never'; END $$;
SELECT aion.register_workflow('timed_out', 'corpus.timed_out()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_timed_out() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('timed_out', workflow_id => 'timed_out', timeout => '2 hours');
	PERFORM aion_test.advance('1 hour');
	PERFORM aion_test.advance('2 hours');
END $$;
