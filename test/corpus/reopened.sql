CREATE FUNCTION corpus.try(what text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN IF aion.activity_info() ->> 'idempotency_key' IS NULL OR what = 'bad' AND current_setting('corpus.mended', true) IS DISTINCT FROM 'yes' THEN RAISE EXCEPTION 'broken'; END IF; RETURN what; END $$;
SELECT aion.register_activity('try', 'corpus.try(text)');
-- Failed, was reopened, failed again on what its code raised, and was blocked meanwhile.
CREATE FUNCTION corpus.reopened() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_timer('t', '1 year'), aion.run('try', '{"what": "good"}'), aion.run('try', '{"what": "bad"}');
	PERFORM aion.sleep('1 hour');
	RAISE EXCEPTION 'in the end' USING ERRCODE = 'P0043';
END $$;
SELECT aion.register_workflow('reopened', 'corpus.reopened()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_reopened() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.start_workflow('reopened', workflow_id => 'reopened');
	PERFORM aion_test.run_until_idle();
	PERFORM set_config('corpus.mended', 'yes', true);
	PERFORM aion.reopen_workflow('reopened', 'mended');
	PERFORM aion_test.run_until_idle();
	REVOKE EXECUTE ON FUNCTION corpus.reopened() FROM PUBLIC, corpus_user;
	PERFORM aion_test.advance('2 hours');
	GRANT EXECUTE ON FUNCTION corpus.reopened() TO PUBLIC, corpus_user;
	PERFORM aion_test.advance('2 hours');
END $$;
