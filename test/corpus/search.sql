CREATE FUNCTION corpus.search(customer int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.upsert_search_attributes(jsonb_build_object('customer', customer));
	PERFORM aion.sleep('1 minute');
	PERFORM aion.upsert_search_attributes('{"stage": null, "tags": ["a", "b"]}'), aion.upsert_search_attributes('{}');
	PERFORM aion.sleep('1 minute');
	RETURN 'found';
END $$;
SELECT aion.register_workflow('search', 'corpus.search(int)') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_search() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('search', '{"customer": 7}', workflow_id => 'search', search_attributes => '{"customer": 1, "region": "north"}', memo => '{"a": "note"}');
	PERFORM aion_test.advance('1 hour');
END $$;
