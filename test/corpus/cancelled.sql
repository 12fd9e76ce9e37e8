SELECT aion.register_activity('corpus cancellable', mode => 'external', start_to_close_timeout => '1 day', on_cancel => 'wait');
CREATE FUNCTION corpus.cleaned(what text) RETURNS text LANGUAGE sql AS 'SELECT what || '' is clean''';
SELECT aion.register_activity('corpus clean', 'corpus.cleaned(text)');
CREATE FUNCTION corpus.cancelled() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.shield(true);
	PERFORM aion.sleep('1 hour');
	BEGIN
		PERFORM aion.shield(false);
		PERFORM aion.sleep('1 hour');
	EXCEPTION WHEN SQLSTATE 'WF028' THEN
		PERFORM aion.run('corpus clean', '{"what": "first"}');
	END;
	PERFORM aion.request_cancel('another');
	PERFORM aion.request_cancel('nobody');
	RETURN '"not there"';
EXCEPTION WHEN SQLSTATE 'WF001' THEN
	BEGIN
		RETURN aion.run('corpus cancellable');
	EXCEPTION WHEN SQLSTATE 'WF028' THEN
		PERFORM aion.run('corpus clean', jsonb_build_object('what', aion.cancel_requested()));
		RAISE;
	END;
END $$;
SELECT aion.register_workflow('cancelled', 'corpus.cancelled()') IS NOT NULL AS registered;

CREATE FUNCTION corpus.play_cancelled() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	task record;
BEGIN
	PERFORM aion.start_workflow('cancelled', workflow_id => 'cancelled'), aion.start_workflow('cancelled', workflow_id => 'another');
	PERFORM aion_test.run_until_idle();
	PERFORM aion.cancel_workflow('cancelled', 'changed my mind');
	PERFORM aion_test.advance('2 hours');
	SELECT * INTO task FROM aion.poll_activities('{default}', 'worker');
	PERFORM aion.cancel_workflow('cancelled', 'again');
	PERFORM aion_test.run_until_idle();
	PERFORM aion.complete_activity(task.task_token, '{"done": true}');
	PERFORM aion_test.advance('1 hour');
END $$;
