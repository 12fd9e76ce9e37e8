CREATE FUNCTION corpus.watched() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 hour'); RETURN 'seen'; END $$;
CREATE FUNCTION corpus.watcher() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_child('watched', workflow_id => 'watched'); END $$;
SELECT aion.register_workflow('watched', 'corpus.watched()') IS NOT NULL AS registered;
SELECT aion.register_workflow('corpus watcher', 'corpus.watcher()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_watched() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('corpus watcher', workflow_id => 'watcher');
	PERFORM aion_test.run_until_idle();
	PERFORM aion.fork_workflow('watcher', 2, 'other watcher');
	PERFORM aion_test.advance('2 hours');
END $$;
