-- Open: waits for a worker, a signal and a timer, of which none comes.
CREATE FUNCTION corpus.waiting() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run_sql('SELECT 1');
	PERFORM aion.await_first(ARRAY[aion.start_timer('a year', '1 year'), aion.next_signal('x'), aion.start_timer('another', '2 years')]);
END $$;
SELECT aion.register_workflow('waiting', 'corpus.waiting()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_waiting() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('waiting', workflow_id => 'waiting', timeout => '10 years');
	PERFORM aion_test.advance('1 day');
END $$;
