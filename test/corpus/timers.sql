CREATE FUNCTION corpus.timers() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
	t aion.handle;
BEGIN
	PERFORM aion.sleep('1 hour'), aion.sleep_until('2026-01-02 00:00+00');
	said := said || to_jsonb(aion.now());
	t := aion.start_timer('t', '10 minutes');
	BEGIN
		PERFORM aion.start_timer('t', '1 minute');
	EXCEPTION WHEN SQLSTATE 'WF014' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	PERFORM aion.await(t);
	said := said || jsonb_build_array(aion.cancel_timer('t'), aion.cancel_timer('unknown'));
	t := aion.start_timer('u', until => '2027-01-01 00:00+00');
	said := said || jsonb_build_array(aion.cancel_timer('u'));
	BEGIN
		PERFORM aion.await(t);
	EXCEPTION WHEN SQLSTATE 'WF027' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	PERFORM aion.start_timer('left open', '1 year');
	RETURN said;
END $$;
SELECT aion.register_workflow('timers', 'corpus.timers()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_timers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('timers', workflow_id => 'timers', start_at => '2026-01-01 06:00+00', timeout => '1 year');
	PERFORM aion_test.advance('3 days');
END $$;
