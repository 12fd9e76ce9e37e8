CREATE FUNCTION corpus.forked() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	FOR i IN 1..2 LOOP
		said := said || jsonb_build_array(aion.workflow_id(), aion.uuid(), aion.receive('next'), aion.run_sql('SELECT 1 AS one'));
	END LOOP;
	RETURN said || to_jsonb(aion.workflow_id());
END $$;
SELECT aion.register_workflow('forked', 'corpus.forked()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_forked() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('forked', workflow_id => 'origin'), aion.signal_workflow('origin', 'next', '1');
	PERFORM aion_test.run_until_idle();
	PERFORM aion.fork_workflow('origin', 4, 'forked'), aion.signal_workflow('forked', 'next', '2');
	PERFORM aion_test.run_until_idle();
END $$;
