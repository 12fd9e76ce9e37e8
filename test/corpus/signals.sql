CREATE FUNCTION corpus.signals() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
	h aion.handle[];
	r record;
BEGIN
	said := said || jsonb_build_array(aion.receive('a'), aion.signal_info() - 'sent_at', aion.receive('a'), aion.try_receive('a'), aion.receive('b', timeout => '1 minute'));
	h := ARRAY[aion.next_signal('b'), aion.next_signal('c'), aion.start_timer('t', '1 day')];
	SELECT * INTO r FROM aion.await_first(h);
	said := said || to_jsonb(r);
	said := said || jsonb_build_array(aion.cancel(h[1]), aion.await(h[2]), aion.try_receive('b'));
	PERFORM aion.send_signal('signals', 'to myself', '{"x": 1}');
	BEGIN
		PERFORM aion.send_signal('nobody', 'x');
	EXCEPTION WHEN SQLSTATE 'WF001' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	RETURN said || aion.receive('to myself', until => aion.now() + interval '1 hour') || coalesce(aion.receive('d', timeout => '0'), '"none"');
END $$;
SELECT aion.register_workflow('signals', 'corpus.signals()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_signals() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.signal_with_start('signals', '{}', 'signals', 'a', '1', dedup_id => 'first');
	PERFORM aion.signal_workflow('signals', 'a', dedup_id => 'second');
	PERFORM aion_test.advance('1 hour');
	PERFORM aion.signal_workflow('signals', 'c', '[3]'), aion.signal_workflow('signals', 'd', '4'), aion.signal_workflow('signals', 'unconsumed', '5');
	PERFORM aion_test.advance('2 hours');
END $$;
