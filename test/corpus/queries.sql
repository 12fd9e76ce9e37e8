CREATE FUNCTION corpus.total(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT to_jsonb((state ->> 0)::int + (args ->> 0)::int) $$;
CREATE FUNCTION corpus.queries(steps int DEFAULT 3) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.on_query('total', 'corpus.total(jsonb, jsonb)', '[1]');
	FOR i IN 1..steps LOOP
		PERFORM aion.publish('step', to_jsonb(i)), aion.on_query('total', 'corpus.total(jsonb, jsonb)', jsonb_build_array(i));
		PERFORM aion.sleep('1 minute');
	END LOOP;
	RETURN 'published';
END $$;
SELECT aion.register_workflow('queries', 'corpus.queries(int)') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_queries() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('queries', workflow_id => 'queries', search_attributes => '{"customer": 7}', memo => '"a note"');
	PERFORM aion_test.advance('1 hour');
END $$;
