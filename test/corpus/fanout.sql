CREATE FUNCTION corpus.fan(n int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN IF n % 4 = 0 THEN RAISE EXCEPTION 'cannot do %', n; END IF; RETURN n * n; END $$;
SELECT aion.register_activity('fan', 'corpus.fan(int)'), aion.register_activity('slow', 'corpus.fan(int)', mode => 'background');
CREATE FUNCTION corpus.fanout() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	said jsonb := '[]';
	h aion.handle[];
	r record;
BEGIN
	said := said || jsonb_build_array(aion.map('fan', '[{"n": 1}, {"n": 2}, {"n": 3}]'), aion.map('slow', '[{"n": 1}, {"n": 2}, {"n": 3}]', '{"concurrency": 2}'));
	said := said || jsonb_build_array(jsonb_path_query_array(aion.map_settled('fan', '[{"n": 3}, {"n": 4}]'), '$[*].ok'));
	BEGIN
		PERFORM aion.map('slow', '[{"n": 1}, {"n": 4}, {"n": 5}]');
	EXCEPTION WHEN SQLSTATE 'WA001' THEN
		said := said || to_jsonb(SQLERRM);
	END;
	h := ARRAY[aion.start_activity('slow', '{"n": 5}'), aion.start_timer('t', '1 hour'), aion.next_signal('never')];
	SELECT * INTO r FROM aion.await_first(h, cancel_rest => true);
	said := said || to_jsonb(r);
	h := ARRAY[aion.start_activity('fan', '{"n": 6}'), aion.start_activity('slow', '{"n": 8}'), aion.start_timer('t', '1 minute')];
	said := said || jsonb_build_array(jsonb_path_query_array(aion.await_settled(h), '$[*].ok'));
	RETURN said || jsonb_build_array(aion.await_all(ARRAY[aion.start_activity('fan', '{"n": 7}'), aion.start_activity('slow', '{"n": 9}')]));
END $$;
SELECT aion.register_workflow('fanout', 'corpus.fanout()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_fanout() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('fanout', workflow_id => 'fanout');
	PERFORM aion_test.advance('2 hours');
END $$;
