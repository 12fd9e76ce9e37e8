CREATE FUNCTION corpus.chance() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	FOR i IN 1..3 LOOP
		said := said || jsonb_build_array(aion.random(), aion.random_int(1, 1000000), aion.uuid(), aion.now(), aion.workflow_id(), aion.run_id());
		PERFORM aion.sleep(aion.random_int(1, 600) * interval '1 second');
	END LOOP;
	RETURN said;
END $$;
SELECT aion.register_workflow('chance', 'corpus.chance()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_chance() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('chance', workflow_id => 'chance');
	PERFORM aion_test.advance('1 day');
END $$;
