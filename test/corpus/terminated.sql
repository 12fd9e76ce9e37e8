CREATE FUNCTION corpus.terminated() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run_sql('SELECT 1'), aion.start_timer('t', '1 year'); PERFORM aion.receive('never'); RETURN 'never'; END $$;
SELECT aion.register_workflow('terminated', 'corpus.terminated()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_terminated() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('terminated', workflow_id => 'terminated', timeout => '2 hours');
	PERFORM aion_test.advance('1 hour');
	PERFORM aion.terminate_workflow('terminated', 'a reason');
END $$;
