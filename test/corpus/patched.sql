CREATE FUNCTION corpus.note(what text) RETURNS text LANGUAGE sql AS $$ SELECT 'noted ' || what $$;
SELECT aion.register_activity('note', 'corpus.note(text)');
-- A run that began with the first version, was moved to the second on its way, and paused.
CREATE FUNCTION corpus.patched() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_build_array(aion.run('note', '{"what": "one"}'), aion.receive('go'), aion.run('note', '{"what": "two"}'));
END $$;
SELECT aion.register_workflow('patched', 'corpus.patched()') IS NOT NULL AS registered;
CREATE OR REPLACE FUNCTION corpus.patched() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	IF aion.patched('zero') THEN said := said || aion.run('note', '{"what": "zero"}'); END IF;
	said := said || aion.run('note', '{"what": "one"}') || aion.receive('go');
	IF aion.patched('between') THEN said := said || aion.run('note', '{"what": "between"}'); END IF;
	RETURN said || aion.run('note', '{"what": "two"}') || to_jsonb(aion.patched('zero')) || to_jsonb(aion.patched('between'));
END $$;

CREATE FUNCTION corpus.play_patched() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('patched', workflow_id => 'patched', version => (SELECT version FROM aion.workflow_version WHERE workflow_type = 'patched' AND NOT routed));
	PERFORM aion_test.run_until_idle();
	PERFORM aion.set_workflow_version('patched'), aion.pause_workflow('patched', 'for a moment'), aion.signal_workflow('patched', 'go', '"went"');
	PERFORM aion_test.advance('1 minute');
	PERFORM aion.resume_workflow('patched');
	PERFORM aion_test.advance('1 minute');
END $$;
