/* A run as a timeline for people. */

CREATE OR REPLACE FUNCTION aion._abbreviate(payload jsonb) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE WHEN length(payload::text) > 100 THEN left(payload::text, 97) || '...'
		ELSE payload::text END
$$;
COMMENT ON FUNCTION aion._abbreviate(jsonb) IS 'a payload, cut where it gets long';

CREATE OR REPLACE FUNCTION aion._line(line text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT regexp_replace(line, '[[:cntrl:]]+', ' ', 'g')
$$;
COMMENT ON FUNCTION aion._line(text) IS 'a text that may hold names and messages of users, as one line, so that none looks like another line';

CREATE OR REPLACE FUNCTION aion._narrate_briefly(event_type text, key text) RETURNS text
	LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT b.phrase || CASE WHEN b.event_type ~ '^(Activity|Child|Signal)' THEN ' ' || _narrate_briefly.key ELSE '' END
	FROM (VALUES ('WorkflowStarted', 'started'), ('WorkflowCompleted', 'completed'), ('WorkflowFailed', 'failed'), ('WorkflowTerminated', 'terminated'),
		('WorkflowCancelRequested', '  asked to cancel'), ('WorkflowPaused', 'paused'), ('WorkflowResumed', 'resumed'), ('WorkflowReopened', 'reopened'),
		('WorkflowBlocked', 'blocked'), ('WorkflowWatched', 'its end is awaited'), ('WorkflowContinuedAsNew', 'goes on as a new run'),
		('VersionChanged', 'moved to another version'), ('SignalReceived', 'signal'), ('ActivityScheduled', 'run activity'), ('ActivityCompleted', '  result of activity'),
		('ActivityFailed', '  failure of activity'), ('ChildWorkflowStarted', 'child'), ('ChildWorkflowCompleted', '  result of child'),
		('ChildWorkflowFailed', '  failure of child')) b(event_type, phrase)
	WHERE b.event_type = _narrate_briefly.event_type
$$;
COMMENT ON FUNCTION aion._narrate_briefly(text, text) IS 'an event of which payloads and names are not known, in a few words';

CREATE OR REPLACE FUNCTION aion._narrate(event aion.event) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT coalesce(CASE WHEN event.attributes IS NULL THEN aion._narrate_briefly(event.event_type, event.key) END, CASE event.event_type
		WHEN 'WorkflowStarted' THEN concat_ws(' ', 'started with', aion._abbreviate(attributes -> 'input'),
			'by schedule ' || (attributes ->> 'schedule') || ' for ' || (attributes ->> 'scheduled_for'))
			|| CASE WHEN attributes ? 'forked_from' THEN format(', forked from %s at event %s',
				attributes #>> '{forked_from,workflow_id}', attributes #>> '{forked_from,seq}') ELSE '' END
			|| coalesce(', child of ' || (attributes #>> '{parents,0,workflow_id}'), '')
			|| coalesce(', goes on for ' || (attributes #>> '{continues,run_id}'), '')
		WHEN 'WorkflowCompleted' THEN concat_ws(' ', 'completed with',
			coalesce(aion._abbreviate(attributes -> 'result'), CASE WHEN event.attributes IS NOT NULL THEN 'no result' END))
		WHEN 'WorkflowFailed' THEN concat_ws(' ', 'failed:', attributes #>> '{error,sqlstate}',
			attributes #>> '{error,message}')
		WHEN 'WorkflowTerminated' THEN concat_ws(' ', 'terminated by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '')
		WHEN 'WorkflowCancelled' THEN 'cancelled'
		WHEN 'WorkflowCancelRequested' THEN concat_ws(' ', '  asked to cancel by', attributes ->> 'by')
			|| coalesce(': ' || (attributes ->> 'reason'), '')
		WHEN 'CancelRequestSent' THEN concat_ws(' ', 'asks', event.key, 'to cancel')
		WHEN 'ActivityCancelRequested' THEN format('  %s is asked to stop', concat_ws(' ', attributes ->> 'number', attributes ->> 'name'))
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
			aion._abbreviate(attributes -> 'input'), '(' || (attributes ->> 'number') || ')')
		WHEN 'ActivityCompleted' THEN concat_ws(' ', '  ' || concat_ws(' ', attributes ->> 'number', '='),
			coalesce(aion._abbreviate(attributes -> 'result'), CASE WHEN event.attributes IS NOT NULL THEN 'no result' END),
			'(attempt ' || (attributes ->> 'attempts') || coalesce(', after ' || nullif(concat_ws(' ', attributes #>> '{last_error,sqlstate}',
				attributes #>> '{last_error,message}'), ''), '') || ')')
		WHEN 'ActivityFailed' THEN concat_ws(' ', '  ' || concat_ws(' ', attributes ->> 'number', 'failed') || CASE WHEN attributes #>> '{error,attempts}' <> '1'
				THEN ' after ' || (attributes #>> '{error,attempts}') || ' attempts' ELSE '' END || ':',
			attributes #>> '{error,sqlstate}', attributes #>> '{error,message}',
			'(kind ' || nullif(nullif(nullif(attributes #>> '{error,kind}', 'error'), 'timeout'), 'cancelled') || ')')
		WHEN 'ActivityCancelled' THEN concat_ws(' ', '  ' || concat_ws(' ', attributes ->> 'number', attributes ->> 'name'), 'cancelled', CASE WHEN attributes ? 'unawaited' THEN 'with the run, which has never awaited it'
			WHEN attributes ->> 'cause' = 'close' THEN 'with the run' END)
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
			coalesce(aion._abbreviate(attributes -> 'result'), CASE WHEN event.attributes IS NOT NULL THEN 'no result' END))
		WHEN 'ChildWorkflowFailed' THEN concat_ws(' ', '  child', event.key, attributes ->> 'status' || ':',
			attributes #>> '{error,sqlstate}', attributes #>> '{error,message}')
		WHEN 'ChildCancelRequested' THEN format('asks child %s to cancel', event.key)
		WHEN 'WorkflowWatched' THEN format('its end is awaited by %s', attributes ->> 'workflow_id')
		WHEN 'WorkflowContinuedAsNew' THEN concat_ws(' ', 'goes on as a new run with',
			coalesce(aion._abbreviate(attributes -> 'input'), CASE WHEN event.attributes IS NOT NULL THEN 'no input' END))
		WHEN 'CommandAnswered' THEN concat_ws(' ', attributes ->> 'command', event.key, '->',
			coalesce(attributes ->> 'answer', attributes #>> '{error,message}', attributes #>> '{input,handler}'))
		ELSE concat_ws(' ', event.event_type, event.key) END)
	FROM (SELECT coalesce(event.attributes, '{}')) x(attributes)
$$;
COMMENT ON FUNCTION aion._narrate(aion.event) IS 'an event in a few words; without attributes, what a role may know that sees no payloads';

CREATE OR REPLACE FUNCTION aion._explain_history(run_key bigint, since timestamptz, show_all boolean) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = postgres SET datestyle = iso AS $$
	-- Events of one shape differ in numbers and payloads only. Of each shape the first two and the last are shown.
	WITH event AS (
		SELECT h.*, max(CASE h.event_type WHEN 'ActivityScheduled' THEN h.attributes ->> 'activity' WHEN 'ChildWorkflowStarted' THEN h.attributes ->> 'workflow_type' END)
			OVER (PARTITION BY substring(h.event_type FROM '^(Activity|ChildWorkflow)'), h.key) AS name,
			h.event_type = 'ActivityScheduled' AND 'ActivityScheduled' IN (lag(h.event_type) OVER (ORDER BY h.seq), lead(h.event_type) OVER (ORDER BY h.seq)) AS in_parallel
		FROM aion.history_event h WHERE h.run_key = _explain_history.run_key),
	named AS (
		SELECT *, concat_ws(' ', event_type, coalesce(name, regexp_replace(key, '[0-9]+', 'N', 'g'))) AS shape,
			-- Of activities that were asked for together a number says which outcome belongs to which.
			CASE WHEN event_type LIKE 'Activity%' THEN jsonb_build_object('name', name, 'number',
				CASE WHEN bool_or(in_parallel) OVER (PARTITION BY substring(event_type FROM '^Activity'), key) THEN '#' || key END) ELSE '{}' END AS told
		FROM event),
	shaped AS (
		SELECT *, row_number() OVER (PARTITION BY shape ORDER BY seq) AS nth, row_number() OVER (PARTITION BY shape ORDER BY seq DESC) AS nth_last,
			count(*) OVER () AS total, row_number() OVER (ORDER BY seq DESC) AS from_end,
			-- The first event says something, unless the current user may not see it.
			bool_or(seq = 1 AND attributes IS NOT NULL) OVER () AS is_visible FROM named),
	chosen AS (
		SELECT *, show_all OR total <= 40 OR nth <= 2 OR nth_last = 1 OR from_end <= 6 AS is_shown FROM shaped),
	stretch AS (SELECT *, count(*) FILTER (WHERE is_shown) OVER (ORDER BY seq) AS number FROM chosen),
	shortened AS (SELECT *, count(*) FILTER (WHERE NOT is_shown) OVER (PARTITION BY number) AS left_out FROM stretch),
	line AS (
		SELECT seq, format('%16s  %s', date_trunc('milliseconds', recorded_at - since),
			aion._narrate(ROW(run_id, seq, recorded_at, event_type, key,
				CASE WHEN is_visible THEN coalesce(attributes, '{}') || told END
				)::aion.event)) AS text
		FROM shortened WHERE is_shown OR left_out < 3
		UNION ALL
		SELECT min(seq), format('%16s  %s more events: %s', '...', sum(count), string_agg(shape || ' (' || count || ')', ', ' ORDER BY count DESC, seq))
		FROM (SELECT number, shape, count(*) AS count, min(seq) AS seq FROM shortened WHERE NOT is_shown AND left_out >= 3 GROUP BY number, shape) x
		GROUP BY number)
	SELECT text FROM line ORDER BY seq
$$;
COMMENT ON FUNCTION aion._explain_history(bigint, timestamptz, boolean) IS 'the history of a run as lines, with what repeats left out unless all is to be shown';

CREATE OR REPLACE FUNCTION aion._explain_process(run_key bigint, worker text DEFAULT NULL) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT min(concat('process ', s.pid, ', which waits for a lock that ' || (
			SELECT string_agg(CASE b.pid WHEN 0 THEN 'a prepared transaction' ELSE concat('process ', b.pid, ' of ' || a.usename) END, ' and ')
			FROM unnest(s.blocked_by) b(pid) LEFT JOIN pg_stat_activity a ON a.pid = b.pid) || ' holds'))
		FROM aion.stat_runner s JOIN aion.workflow_run w USING (workflow_id)
		WHERE w.run_key = _explain_process.run_key AND w.closed_at IS NULL AND coalesce(_explain_process.worker, 'process ' || s.pid) = 'process ' || s.pid
$$;
COMMENT ON FUNCTION aion._explain_process(bigint, text) IS 'the process that executes a run, or an activity of it in the background, and what holds it up; null if there is none';

CREATE OR REPLACE FUNCTION aion._explain_lock(run_key bigint) RETURNS text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT min(CASE p.locked_by WHEN 0 THEN 'a prepared transaction' ELSE concat('process ', p.locked_by, ' of ' || a.usename, ', ' || a.state) END)
	FROM aion.pending_await p LEFT JOIN pg_stat_activity a ON a.pid = p.locked_by
	WHERE p.run_key = _explain_lock.run_key AND p.locked_by IS NOT NULL AND NOT EXISTS (SELECT FROM aion.stat_runner s WHERE s.pid = p.locked_by)
$$;
COMMENT ON FUNCTION aion._explain_lock(bigint) IS 'the session, or prepared transaction, that has changed or locked a run and not committed; null if there is none';

CREATE OR REPLACE FUNCTION aion._explain_activities(run_key bigint) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = postgres SET datestyle = iso AS $$
	WITH awaited AS (SELECT key, pollers FROM aion.pending_await p WHERE p.run_key = _explain_activities.run_key AND p.awaiting = 'activity'),
	task AS (
		-- Where a run waits for very many, only the first of them are named.
		SELECT t.*, (SELECT max(a.pollers) FROM awaited a WHERE a.key = t.ordinal::text) AS own_pollers
		FROM aion.activity_task t WHERE t.run_key = _explain_activities.run_key AND t.state IN ('waiting', 'claimed')
			AND (t.ordinal::text IN (SELECT key FROM awaited) OR EXISTS (SELECT FROM awaited WHERE key ~ ' more$')
				OR t.state = 'claimed' AND NOT EXISTS (SELECT FROM awaited))),
	alike AS (
		SELECT activity, task_queue, background, CASE WHEN state = 'waiting' AND next_attempt_at > aion._clock() THEN 'delayed' ELSE state END AS state,
			count(*) AS count, max(attempt) AS attempt, min(next_attempt_at) AS next_attempt_at, min(worker) AS worker,
			max(attempt_by) FILTER (WHERE attempt_by < 'infinity') AS attempt_by, max(last_error ->> 'message') AS message, max(own_pollers) AS pollers,
			min(ordinal) AS ordinal
		FROM task GROUP BY 1, 2, 3, 4)
	SELECT format('waiting for %s in queue %s: ', CASE count WHEN 1 THEN 'activity ' || activity ELSE count || ' activities ' || activity END, task_queue)
		|| CASE state
			WHEN 'claimed' THEN concat_ws(', ', CASE WHEN count > 1 THEN 'being executed' ELSE format('attempt %s is executed by %s', attempt,
						coalesce(CASE WHEN background THEN aion._explain_process(_explain_activities.run_key, worker) END, worker)) END,
				'given up at ' || date_trunc('second', attempt_by))
			WHEN 'delayed' THEN concat_ws(': ', format('attempt %s begins at %s', attempt + 1, date_trunc('second', next_attempt_at)), 'the last one failed', message)
			ELSE concat_ws('; ', CASE WHEN background THEN 'waiting for an executor since ' || date_trunc('second', next_attempt_at)
					WHEN pollers IS NULL THEN 'waiting for a worker since ' || date_trunc('second', next_attempt_at)
					WHEN pollers = 0 THEN 'no worker that may claim it has polled the queue in the last minute, waiting since ' || date_trunc('second', next_attempt_at)
					ELSE format('%s polled the queue in the last minute, waiting since %s', CASE pollers WHEN 1 THEN '1 worker has' ELSE pollers || ' workers have' END, date_trunc('second', next_attempt_at)) END,
				(SELECT nullif(concat_ws('; ', CASE WHEN q.paused THEN 'the queue is paused' END,
						CASE WHEN q.max_running IS NOT NULL OR q.max_per_key IS NOT NULL OR q.rate IS NOT NULL THEN 'the queue is limited' END,
						CASE WHEN q.claimed > 0 THEN 'being executed from it: ' || q.claimed END), '')
					FROM aion.stat_queue q WHERE q.task_queue = alike.task_queue)) END
		FROM alike ORDER BY ordinal
$$;
COMMENT ON FUNCTION aion._explain_activities(bigint) IS 'the activities that a run waits for as lines, alike ones as one';

CREATE OR REPLACE FUNCTION aion._explain_await(run_key bigint, awaiting text, key text, since timestamptz, until timestamptz) RETURNS SETOF text
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET intervalstyle = postgres SET datestyle = iso AS $$
	SELECT CASE awaiting
		WHEN 'turn' THEN coalesce('in a turn, executed by ' || aion._explain_process(_explain_await.run_key),
			format('waiting for a turn since %s, or in one', date_trunc('second', since))
				|| coalesce('; locked by ' || aion._explain_lock(_explain_await.run_key), ''))
		WHEN 'retry' THEN format('waiting until %s, after %s because of the server; its log says why', until, _explain_await.key)
		WHEN 'child' THEN concat_ws(' ', 'waiting for child', _explain_await.key || coalesce(', ' || (SELECT concat_ws(', ', w.workflow_type, w.status)
			FROM aion.workflow_run w WHERE w.workflow_id = _explain_await.key ORDER BY w.closed_at DESC, w.run_key DESC LIMIT 1), ''))
		ELSE concat_ws(' ', 'waiting for', _explain_await.awaiting, _explain_await.key) || coalesce(', due ' || until, '')
			|| CASE WHEN EXISTS (SELECT FROM aion.inbox i WHERE i.run_key = _explain_await.run_key AND i.kind = _explain_await.awaiting
				AND i.name = _explain_await.key) THEN ', which was executed and is not yet recorded' ELSE '' END END
	UNION ALL
	SELECT format('    %s: %s', d.key, d.value) FROM (SELECT h.attributes -> 'detail' AS detail FROM aion.history_event h
			WHERE h.run_key = _explain_await.run_key AND h.event_type = 'WorkflowBlocked' ORDER BY h.seq DESC LIMIT 1) b,
		jsonb_each_text(CASE jsonb_typeof(b.detail) WHEN 'object' THEN b.detail END) WITH ORDINALITY d(key, value, n) WHERE _explain_await.awaiting = 'release'
	UNION ALL
	SELECT format('    %s: %s. %s', h."check", h.detail, h.hint) FROM aion.health() h
		WHERE _explain_await.awaiting = 'turn' AND NOT h.ok AND h."check" IN ('preload', 'version', 'launcher', 'scheduler', 'runners', 'workers', 'fence', 'engine')
$$;
COMMENT ON FUNCTION aion._explain_await(bigint, text, text, timestamptz, timestamptz) IS 'what a run waits for as lines, and what keeps it from going on';

CREATE OR REPLACE FUNCTION aion.explain(workflow_id text, run_id uuid DEFAULT NULL, show_all boolean DEFAULT false)
	RETURNS SETOF text LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
	SET intervalstyle = postgres SET datestyle = iso AS $$
DECLARE
	run aion.workflow_run;
	waiting aion.pending_await;
	found bigint := aion._find_run(explain.workflow_id, explain.run_id);
	line text;
BEGIN
	SELECT * INTO run FROM aion.workflow_run w WHERE w.run_key = found;
	RETURN NEXT aion._line(format('%s: %s, version %s, owner %s, %s%s', run.workflow_id, run.workflow_type,
		run.version, run.owner, run.status, coalesce(' (' || run.blocked || ')', '')));
	RETURN QUERY SELECT aion._line(h) FROM aion._explain_history(found, run.started_at, coalesce(show_all, false)) h;
	FOR line IN SELECT format('%s: %s', d.key, d.value) FROM jsonb_each_text(run.error) WITH ORDINALITY d(key, value, n)
			WHERE run.closed_at IS NOT NULL AND d.key IN ('kind', 'detail', 'hint', 'context') AND d.value <> 'error' ORDER BY d.n LOOP
		RETURN NEXT aion._line(format('%16s      %s', '', line));
	END LOOP;
	FOR line IN SELECT aion._explain_activities(found) LOOP
		RETURN NEXT aion._line(format('%16s  %s', '...', line));
	END LOOP;
	FOR waiting IN SELECT * FROM aion.pending_await p WHERE p.run_key = found
			AND (p.awaiting <> 'activity' OR p.activity IS NULL AND p.key !~ ' more$') LOOP
		FOR line IN SELECT aion._explain_await(found, waiting.awaiting, waiting.key, waiting.since, waiting.until) LOOP
			RETURN NEXT aion._line(format('%16s  %s', CASE WHEN line ~ '^ ' THEN '' ELSE '...' END, line));
		END LOOP;
	END LOOP;
END $$;
COMMENT ON FUNCTION aion.explain(text, uuid, boolean)
	IS 'a run as a timeline: what happened, how long after its start, what it is waiting for and what keeps it from going on; of long histories what repeats is shown only on demand';
