/* A run as a timeline for people. */

CREATE OR REPLACE FUNCTION aion._abbreviate(payload jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN length(payload::text) > 100 THEN left(payload::text, 97) || '...'
		ELSE payload::text END
$$;
COMMENT ON FUNCTION aion._abbreviate(jsonb) IS 'a payload, cut where it gets long';

CREATE OR REPLACE FUNCTION aion._narrate(event aion.event) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE event.event_type
		WHEN 'WorkflowStarted' THEN concat_ws(' ', 'started with', aion._abbreviate(attributes -> 'input'),
			'by schedule ' || (attributes ->> 'schedule') || ' for ' || (attributes ->> 'scheduled_for'))
			|| CASE WHEN attributes ? 'forked_from' THEN format(', forked from %s at event %s',
				attributes #>> '{forked_from,workflow_id}', attributes #>> '{forked_from,seq}') ELSE '' END
			|| coalesce(', child of ' || (attributes #>> '{parents,0,workflow_id}'), '')
			|| coalesce(', goes on for ' || (attributes #>> '{continues,run_id}'), '')
		WHEN 'WorkflowCompleted' THEN concat_ws(' ', 'completed with',
			coalesce(aion._abbreviate(attributes -> 'result'), 'no result'))
		WHEN 'WorkflowFailed' THEN concat_ws(' ', 'failed:', attributes #>> '{error,sqlstate}',
			attributes #>> '{error,message}')
		WHEN 'WorkflowTerminated' THEN concat_ws(' ', 'terminated by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '')
		WHEN 'WorkflowCancelled' THEN 'cancelled'
		WHEN 'WorkflowCancelRequested' THEN concat_ws(' ', '  asked to cancel by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '')
		WHEN 'CancelRequestSent' THEN concat_ws(' ', 'asks', event.key, 'to cancel')
		WHEN 'ActivityCancelRequested' THEN format('  activity %s is asked to stop', event.key)
		WHEN 'WorkflowPaused' THEN concat_ws(' ', 'paused by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '')
		WHEN 'WorkflowResumed' THEN concat_ws(' ', 'resumed by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '')
		WHEN 'WorkflowReopened' THEN concat_ws(' ', 'reopened by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '') || format(', without events %s',
				(SELECT string_agg(seq, ', ') FROM jsonb_array_elements_text(attributes -> 'supersedes') seq))
		WHEN 'WorkflowTimedOut' THEN 'timed out'
		WHEN 'WorkflowBlocked' THEN concat_ws(' ', 'blocked:', attributes ->> 'reason',
			aion._abbreviate(attributes -> 'detail'))
		WHEN 'WorkflowUnblocked' THEN 'goes on'
		WHEN 'VersionChanged' THEN format('moved from version %s to %s', attributes ->> 'from', attributes ->> 'to')
		WHEN 'VersionMarked' THEN concat_ws(' ', 'patched', event.key)
		WHEN 'ActivityScheduled' THEN concat_ws(' ', 'run', attributes ->> 'activity',
			aion._abbreviate(attributes -> 'input'))
		WHEN 'ActivityCompleted' THEN concat_ws(' ', '  =',
			coalesce(aion._abbreviate(attributes -> 'result'), 'no result'))
		WHEN 'ActivityFailed' THEN concat_ws(' ', '  failed:', attributes #>> '{error,sqlstate}',
			attributes #>> '{error,message}')
		WHEN 'ActivityCancelled' THEN '  cancelled'
		WHEN 'TimerStarted' THEN concat_ws(' ', 'timer', event.key,
			coalesce('for ' || (attributes ->> 'duration'), 'until ' || (attributes ->> 'fire_at')))
		WHEN 'TimerFired' THEN format('  %s fired', event.key)
		WHEN 'TimerCancelled' THEN format('  %s cancelled%s', event.key,
			CASE attributes ->> 'cause' WHEN 'close' THEN ' with the run' ELSE '' END)
		WHEN 'SignalReceived' THEN concat_ws(' ', 'signal', event.key, aion._abbreviate(attributes -> 'payload'),
			'from', attributes ->> 'sender')
		WHEN 'SignalSent' THEN concat_ws(' ', 'send signal', event.key, aion._abbreviate(attributes -> 'payload'),
			'to', attributes ->> 'workflow_id')
		WHEN 'SearchAttributesUpdated' THEN concat_ws(' ', 'search attributes', aion._abbreviate(attributes -> 'search_attributes'))
		WHEN 'ChildWorkflowStarted' THEN concat_ws(' ', 'child', event.key || ':', attributes ->> 'workflow_type',
			attributes ->> 'workflow_id', aion._abbreviate(attributes -> 'input'))
		WHEN 'ChildWorkflowCompleted' THEN concat_ws(' ', '  child', event.key, '=',
			coalesce(aion._abbreviate(attributes -> 'result'), 'no result'))
		WHEN 'ChildWorkflowFailed' THEN concat_ws(' ', '  child', event.key, attributes ->> 'status' || ':',
			attributes #>> '{error,sqlstate}', attributes #>> '{error,message}')
		WHEN 'ChildCancelRequested' THEN format('asks child %s to cancel', event.key)
		WHEN 'WorkflowWatched' THEN format('its end is awaited by %s', attributes ->> 'workflow_id')
		WHEN 'WorkflowContinuedAsNew' THEN concat_ws(' ', 'goes on as a new run with',
			coalesce(aion._abbreviate(attributes -> 'input'), 'no input'))
		WHEN 'CommandAnswered' THEN concat_ws(' ', attributes ->> 'command', event.key, '->',
			coalesce(attributes ->> 'answer', attributes #>> '{error,message}', attributes #>> '{input,handler}'))
		ELSE concat_ws(' ', event.event_type, event.key) END
	FROM (SELECT coalesce(event.attributes, '{}')) x(attributes)
$$;
COMMENT ON FUNCTION aion._narrate(aion.event) IS 'an event in a few words';

CREATE OR REPLACE FUNCTION aion.explain(workflow_id text, run_id uuid DEFAULT NULL)
	RETURNS SETOF text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET intervalstyle = postgres SET datestyle = iso AS $$
DECLARE
	run aion.workflow_run;
	happened aion.event;
	waiting aion.pending_await;
	found bigint := aion._find_run(explain.workflow_id, explain.run_id);
BEGIN
	SELECT * INTO run FROM aion.workflow_run w WHERE w.run_key = found;
	RETURN NEXT format('%s: %s, version %s, owner %s, %s%s', run.workflow_id, run.workflow_type,
		run.version, run.owner, run.status, coalesce(' (' || run.blocked || ')', ''));
	FOR happened IN SELECT h.run_id, h.seq, h.recorded_at, h.event_type, h.key, h.attributes
			FROM aion.history_event h WHERE h.run_key = found ORDER BY h.seq LOOP
		RETURN NEXT format('%16s  %s',
			date_trunc('milliseconds', happened.recorded_at - run.started_at),
			aion._narrate(happened));
	END LOOP;
	FOR waiting IN SELECT * FROM aion.pending_await p WHERE p.run_key = found LOOP
		RETURN NEXT format('%16s  waiting for %s %s%s', '...', waiting.awaiting, waiting.key,
			coalesce(', due ' || waiting.until::text, ''));
	END LOOP;
END $$;
COMMENT ON FUNCTION aion.explain(text, uuid)
	IS 'a run as a timeline: what happened, how long after its start, what it is waiting for';
