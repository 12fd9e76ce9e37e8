CREATE FUNCTION corpus.child(how text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF how = 'fails' THEN RAISE EXCEPTION 'as it was told'; END IF;
	IF how <> 'at once' THEN PERFORM aion.sleep('1 hour'); END IF;
	IF how = 'goes on' THEN PERFORM aion.continue_as_new('{"how": "at once"}'); END IF;
	RETURN to_jsonb(how);
END $$;
SELECT aion.register_workflow('corpus child', 'corpus.child(text)') IS NOT NULL AS registered;
CREATE FUNCTION corpus.children() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	quick aion.handle := aion.start_child('corpus child', '{"how": "at once"}', 'quick');
	again aion.handle := aion.start_child('corpus child', '{"how": "goes on"}', 'again', 'terminate');
	taken aion.handle := aion.start_child('corpus child', '{"how": "at once"}', 'quick');
	misfit aion.handle := aion.start_child('corpus child', '{"why": 1}');
	failed aion.handle := aion.start_child('corpus child', '{"how": "fails"}', options => '{"timeout": "1 day"}');
	asked aion.handle := aion.start_child('corpus child', '{"how": "slowly"}', parent_close => 'request_cancel');
	first record := aion.await_first(ARRAY[again, quick]);
BEGIN
	RETURN jsonb_build_array(first.index, aion.cancel(asked), aion.cancel(quick), aion.await_settled(ARRAY[quick, again, taken, misfit, asked]) -> 1, aion.await(failed));
EXCEPTION WHEN SQLSTATE 'WC001' THEN
	RETURN jsonb_build_array(SQLERRM, aion.run_child('corpus child', '{"how": "at once"}'));
END $$;
SELECT aion.register_workflow('children', 'corpus.children()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_children() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('children', workflow_id => 'children');
	PERFORM aion_test.advance('3 hours');
END $$;
