/*
 * Invariants that one database can check: every view and queue follows from the history. A row is a
 * violation; no rows means sound. Each rule is about the runs whose keys are in a slice, and may look at others: the
 * names without a schema are those of the slice. What several runs have in common is seen if they are all in it.
 */

CREATE OR REPLACE FUNCTION aion._violations(first_key bigint, last_key bigint, whole boolean)
	RETURNS TABLE (violation text, run_key bigint, detail text) LANGUAGE sql STABLE BEGIN ATOMIC
	WITH
	run AS NOT MATERIALIZED (SELECT * FROM aion._run t WHERE t.run_key BETWEEN first_key AND last_key),
	event AS NOT MATERIALIZED (SELECT * FROM aion._event t WHERE t.run_key BETWEEN first_key AND last_key),
	task AS NOT MATERIALIZED (SELECT t.run_key, t.ordinal, t.scheduled_seq, t.background, t.state, t.attempt, t.look_at, t.close_by FROM aion._task t WHERE t.run_key BETWEEN first_key AND last_key),
	timer AS NOT MATERIALIZED (SELECT * FROM aion._timer t WHERE t.run_key BETWEEN first_key AND last_key),
	inbox AS NOT MATERIALIZED (SELECT * FROM aion._inbox t WHERE t.run_key BETWEEN first_key AND last_key),
	attribute AS NOT MATERIALIZED (SELECT * FROM aion._attribute t WHERE t.run_key BETWEEN first_key AND last_key),
	published AS NOT MATERIALIZED (SELECT * FROM aion._published t WHERE t.run_key BETWEEN first_key AND last_key),
	signal_id AS NOT MATERIALIZED (SELECT * FROM aion._signal_id t WHERE t.run_key BETWEEN first_key AND last_key),
	late_signal AS NOT MATERIALIZED (SELECT * FROM aion._late_signal t WHERE t.run_key BETWEEN first_key AND last_key),
	schedule AS NOT MATERIALIZED (SELECT * FROM aion._schedule t WHERE t.run_key BETWEEN first_key AND last_key),
	schedule_tick AS NOT MATERIALIZED (SELECT * FROM aion._schedule_tick t WHERE t.run_key BETWEEN first_key AND last_key),
	/* The runs of the chains whose first run is in the slice. */
	chained AS NOT MATERIALIZED (
		SELECT r.run_key, r.chain_key FROM aion._run r WHERE r.chain_key BETWEEN first_key AND last_key
		UNION ALL
		SELECT r.run_key, r.run_key FROM run r WHERE r.chain_key IS NULL),
	/* The events that no reopen has taken back. */
	standing AS NOT MATERIALIZED (
		SELECT e.* FROM event e
		WHERE NOT EXISTS (SELECT FROM event r WHERE r.run_key = e.run_key
			AND r.event_type = 'WorkflowReopened' AND r.attributes -> 'supersedes' @> to_jsonb(e.seq))),
	/* The timers that are live, and the status of each run, as the histories have it. */
	live_timer AS NOT MATERIALIZED (
		SELECT l.run_key, l.key, l.seq, (l.attributes ->> 'fire_at')::timestamptz AS fire_at
		FROM (SELECT DISTINCT ON (e.run_key, e.key) e.*
			FROM standing e
			WHERE e.event_type IN ('TimerStarted', 'TimerFired', 'TimerCancelled')
			ORDER BY e.run_key, e.key, e.seq DESC) l
		WHERE l.event_type = 'TimerStarted'),
	lifecycle AS NOT MATERIALIZED (
		SELECT b.run_key, CASE WHEN p.event_type = 'WorkflowPaused' THEN 'paused'
			WHEN b.event_type <> 'WorkflowReopened' THEN b.status
			WHEN EXISTS (SELECT FROM live_timer t WHERE t.run_key = b.run_key AND t.key = 'start:')
				THEN 'scheduled' ELSE 'running' END AS status
		FROM (SELECT DISTINCT ON (e.run_key) e.run_key, e.event_type,
				CASE e.event_type
					WHEN 'WorkflowCompleted' THEN 'completed' WHEN 'WorkflowFailed' THEN 'failed'
					WHEN 'WorkflowCancelled' THEN 'cancelled' WHEN 'WorkflowTerminated' THEN 'terminated'
					WHEN 'WorkflowTimedOut' THEN 'timed_out' WHEN 'WorkflowContinuedAsNew' THEN 'continued_as_new' WHEN 'WorkflowBlocked' THEN 'blocked'
					WHEN 'TimerStarted' THEN 'scheduled' ELSE 'running' END AS status
			FROM standing e
			WHERE e.event_type IN ('WorkflowStarted', 'WorkflowCompleted', 'WorkflowFailed',
					'WorkflowCancelled', 'WorkflowTerminated', 'WorkflowTimedOut', 'WorkflowBlocked',
					'WorkflowUnblocked', 'WorkflowReopened', 'WorkflowContinuedAsNew')
				OR e.event_type IN ('TimerStarted', 'TimerFired') AND e.key = 'start:'
			ORDER BY e.run_key, e.seq DESC) b
		LEFT JOIN (SELECT DISTINCT ON (e.run_key) e.run_key, e.event_type
			FROM standing e
			WHERE e.event_type IN ('WorkflowPaused', 'WorkflowResumed', 'WorkflowReopened', 'WorkflowCompleted',
				'WorkflowFailed', 'WorkflowCancelled', 'WorkflowTerminated', 'WorkflowTimedOut', 'WorkflowContinuedAsNew')
			ORDER BY e.run_key, e.seq DESC) p USING (run_key)),
	ending AS NOT MATERIALIZED (
		SELECT run_key, seq FROM event
		WHERE event_type IN ('WorkflowCompleted', 'WorkflowFailed', 'WorkflowCancelled',
			'WorkflowTerminated', 'WorkflowTimedOut', 'WorkflowContinuedAsNew')),
	terminal AS NOT MATERIALIZED (
		SELECT run_key, seq FROM standing
		WHERE event_type IN ('WorkflowCompleted', 'WorkflowFailed', 'WorkflowCancelled',
			'WorkflowTerminated', 'WorkflowTimedOut', 'WorkflowContinuedAsNew'))
	SELECT 'history has gaps' AS violation, run_key,
		format('%s events, the last is %s', count(*), max(seq)) AS detail
		FROM event GROUP BY run_key HAVING count(*) <> max(seq) OR min(seq) <> 1
	UNION ALL
	SELECT 'history belongs to no run', e.run_key, NULL
		FROM (SELECT DISTINCT run_key FROM event) e
		WHERE NOT EXISTS (SELECT FROM run r WHERE r.run_key = e.run_key)
	UNION ALL
	SELECT 'run does not know the length of its history', r.run_key,
		format('head is %s, history has %s', r.head, max(e.seq))
		FROM run r LEFT JOIN event e USING (run_key)
		GROUP BY r.run_key, r.head HAVING r.head IS DISTINCT FROM max(e.seq)
	UNION ALL
	SELECT 'history does not begin with its start', e.run_key, e.event_type::text
		FROM event e
		WHERE (e.seq = 1) <> (e.event_type = 'WorkflowStarted')
	UNION ALL
	SELECT 'more than one terminal event', run_key, string_agg(seq::text, ', ')
		FROM terminal GROUP BY run_key HAVING count(*) > 1
	UNION ALL
	SELECT 'something happened after the end', t.run_key, format('event %s', e.seq)
		FROM ending t JOIN event e ON e.run_key = t.run_key AND e.seq = t.seq + 1
		WHERE e.event_type <> 'WorkflowReopened'
	UNION ALL
	SELECT 'reopened without an end that it takes back', r.run_key, format('event %s', r.seq)
		FROM event r WHERE r.event_type = 'WorkflowReopened' AND NOT EXISTS (SELECT FROM ending t
			WHERE t.run_key = r.run_key AND t.seq = r.seq - 1 AND r.attributes -> 'supersedes' @> to_jsonb(t.seq))
	UNION ALL
	SELECT 'status is not what history says', r.run_key, format('%s, history: %s', r.status, l.status)
		FROM run r LEFT JOIN lifecycle l USING (run_key)
		WHERE r.status IS DISTINCT FROM l.status
	UNION ALL
	SELECT 'closed without an end, or open after it', r.run_key, r.closed_at::text
		FROM run r LEFT JOIN terminal t USING (run_key)
		WHERE (r.closed_at IS NULL) <> (t.seq IS NULL)
	UNION ALL
	SELECT 'closed run wants a turn', run_key, format('ready %s, retry %s', ready_at, retry_at)
		FROM run
		WHERE closed_at IS NOT NULL AND (ready_at IS NOT NULL OR retry_at IS NOT NULL)
	UNION ALL
	SELECT 'paused run wants a turn', run_key, format('ready %s, retry %s', ready_at, retry_at)
		FROM run
		WHERE status = 'paused' AND (ready_at IS NOT NULL OR retry_at IS NOT NULL)
	UNION ALL
	SELECT 'blocked without a reason, or the other way round', run_key, format('%s, %s', status, blocked)
		FROM run
		WHERE status <> 'paused' AND (status = 'blocked') <> (blocked IS NOT NULL)
	UNION ALL
	SELECT 'number of runs is not what is counted', NULL, format('owner %s, version %s, %s: %s, counted %s',
			owner_key, version_key, status, coalesce(r.runs, 0), coalesce(c.runs, 0))
		FROM (SELECT owner_key, version_key, status, count(*) AS runs FROM run GROUP BY 1, 2, 3) r
			FULL JOIN aion._count c
			USING (owner_key, version_key, status)
		WHERE coalesce(r.runs, 0) <> coalesce(c.runs, 0) AND whole
	UNION ALL
	SELECT 'state that activities do not have', run_key, state
		FROM task t
		WHERE state NOT IN ('waiting', 'claimed', 'cancelled', 'abandoned')
			AND NOT (state = 'settled' AND EXISTS (SELECT FROM timer m -- in a dump of 0.1.0 that was restored
				WHERE m.run_key = t.run_key AND m.name = format('settled:%s', t.ordinal)))
	UNION ALL
	SELECT 'kind that arrivals do not have', run_key, kind
		FROM inbox
		WHERE kind NOT IN ('signal', 'cancel', 'child', 'parent', 'activity')
	UNION ALL
	SELECT 'two open runs of one workflow id', r.run_key, r.workflow_id
		FROM run r
		WHERE r.closed_at IS NULL AND EXISTS (SELECT FROM aion._run o
			WHERE o.workflow_id = r.workflow_id AND o.closed_at IS NULL AND o.run_key < r.run_key)
	UNION ALL
	SELECT 'time goes backwards', e.run_key, format('event %s', e.seq)
		FROM (SELECT run_key, seq, recorded_at,
				lag(recorded_at) OVER (PARTITION BY run_key ORDER BY seq) AS before
			FROM event) e
		WHERE e.recorded_at < e.before
	UNION ALL
	SELECT 'timer is live and has no row, or the other way round', coalesce(l.run_key, t.run_key),
		coalesce(l.key, t.name)
		FROM live_timer l FULL JOIN (SELECT * FROM timer WHERE name <> 'retry:' AND name !~ '^(activity|settled|schedule):') t
			ON t.run_key = l.run_key AND t.name = l.key AND t.started_seq = l.seq
				AND t.fire_at = l.fire_at
		WHERE l.run_key IS NULL OR t.run_key IS NULL
	UNION ALL
	SELECT 'retry without a timer, or the other way round', coalesce(r.run_key, t.run_key),
		format('%s, %s', r.retry_at, t.fire_at)
		FROM (SELECT * FROM run WHERE retry_at IS NOT NULL) r
			FULL JOIN (SELECT * FROM timer WHERE name = 'retry:') t USING (run_key)
		WHERE r.retry_at IS DISTINCT FROM t.fire_at
	UNION ALL
	SELECT 'timer fired before it was due', f.run_key, format('event %s', f.seq)
		FROM (SELECT run_key, seq, event_type, recorded_at,
				lag(attributes ->> 'fire_at') OVER (PARTITION BY run_key, key ORDER BY seq) AS due
			FROM event WHERE event_type IN ('TimerStarted', 'TimerFired')) f
		WHERE f.event_type = 'TimerFired' AND f.recorded_at < f.due::timestamptz
	UNION ALL
	SELECT 'timer was settled and had not been started', e.run_key, format('event %s', e.seq)
		FROM (SELECT run_key, seq, event_type,
				lag(event_type) OVER (PARTITION BY run_key, key ORDER BY seq) AS before
			FROM standing WHERE event_type IN ('TimerStarted', 'TimerFired', 'TimerCancelled')) e
		WHERE (e.event_type = 'TimerStarted') = (e.before IS NOT DISTINCT FROM 'TimerStarted')
	UNION ALL
	SELECT 'activity has outcomes without a command, or too many', e.run_key, format('activity %s', e.key)
		FROM standing e
		WHERE e.event_type IN ('ActivityScheduled', 'ActivityCompleted', 'ActivityFailed', 'ActivityCancelled')
		GROUP BY e.run_key, e.key
		HAVING count(*) FILTER (WHERE e.event_type = 'ActivityScheduled') <> 1 OR count(*) > 2
			OR min(e.seq) <> min(e.seq) FILTER (WHERE e.event_type = 'ActivityScheduled')
	UNION ALL
	SELECT 'activities are not numbered one by one', e.run_key, format('%s of %s', count(*), max(e.key::int))
		FROM event e WHERE e.event_type = 'ActivityScheduled'
		GROUP BY e.run_key HAVING count(*) <> max(e.key::int)
	UNION ALL
	SELECT 'activity is open in a closed run', a.run_key, format('activity %s', a.key)
		FROM event a JOIN terminal t USING (run_key)
		WHERE a.event_type = 'ActivityScheduled' AND NOT EXISTS (SELECT FROM standing o
			WHERE o.run_key = a.run_key AND o.key = a.key
				AND o.event_type IN ('ActivityCompleted', 'ActivityFailed', 'ActivityCancelled'))
	UNION ALL
	SELECT 'child has outcomes without a command, or too many', e.run_key, format('child %s', e.key)
		FROM standing e
		WHERE e.event_type IN ('ChildWorkflowStarted', 'ChildWorkflowCompleted', 'ChildWorkflowFailed')
		GROUP BY e.run_key, e.key
		HAVING count(*) FILTER (WHERE e.event_type = 'ChildWorkflowStarted') <> 1 OR count(*) > 2
			OR min(e.seq) <> min(e.seq) FILTER (WHERE e.event_type = 'ChildWorkflowStarted')
	UNION ALL
	SELECT 'child does not know its parent', e.run_key, format('child %s, run %s', e.key, c.run_key)
		FROM event e JOIN aion._event c ON c.run_key = (e.attributes ->> 'run_key')::bigint AND c.seq = 1
			JOIN event s ON s.run_key = e.run_key AND s.seq = 1 AND NOT s.attributes ? 'forked_from'
		WHERE e.event_type = 'ChildWorkflowStarted' AND NOT c.attributes -> 'parents' @>
			jsonb_build_array(jsonb_build_object('run_key', e.run_key, 'child', e.key))
	UNION ALL
	SELECT 'child is not what its parent has asked for', c.run_key, p.value ->> 'workflow_id'
		FROM event c CROSS JOIN LATERAL jsonb_array_elements(c.attributes -> 'parents') p
			JOIN aion._event e ON e.run_key = (p.value ->> 'run_key')::bigint AND e.key = p.value ->> 'child' AND e.event_type = 'ChildWorkflowStarted'
			JOIN run r ON r.run_key = c.run_key
		WHERE c.seq = 1 AND e.attributes ->> 'run_key' NOT IN (c.run_key::text, r.chain_key::text)
	UNION ALL
	SELECT 'parent knows another outcome than its child', e.run_key, format('child %s, %s', e.key, r.status)
		FROM standing s JOIN standing e ON e.run_key = s.run_key AND e.key = s.key
			AND e.event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed')
			JOIN aion._run r ON r.run_key = (s.attributes ->> 'run_key')::bigint
		WHERE s.event_type = 'ChildWorkflowStarted' AND r.status <> 'continued_as_new'
			AND r.status IS DISTINCT FROM CASE e.event_type WHEN 'ChildWorkflowCompleted' THEN 'completed' ELSE e.attributes ->> 'status' END
			-- Unless the parent's owner may no longer know it.
			AND coalesce(e.attributes #>> '{error,sqlstate}' <> '42501' OR e.attributes -> 'error' ? 'run_id', true)
			AND NOT EXISTS (SELECT FROM aion._event o WHERE o.run_key = r.run_key AND o.event_type = 'WorkflowReopened')
	UNION ALL
	SELECT 'child has ended, and its parent is not told', e.run_key, format('child %s, %s', e.key, r.status)
		FROM standing e JOIN run p ON p.run_key = e.run_key AND p.closed_at IS NULL
			JOIN aion._run r ON r.run_key = (e.attributes ->> 'run_key')::bigint AND r.closed_at IS NOT NULL AND r.status <> 'continued_as_new'
		WHERE e.event_type = 'ChildWorkflowStarted'
			AND NOT EXISTS (SELECT FROM standing o WHERE o.run_key = e.run_key AND o.key = e.key
				AND o.event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed'))
			AND NOT EXISTS (SELECT FROM aion._inbox i WHERE i.run_key = e.run_key AND i.kind = 'child' AND i.name = e.key
				OR i.run_key = r.run_key AND i.kind = 'parent' AND i.name = 'watch')
	UNION ALL
	SELECT 'run goes on without the other one', e.run_key, e.attributes ->> 'run_key'
		FROM event e LEFT JOIN aion._run n ON n.run_key = (e.attributes ->> 'run_key')::bigint
			LEFT JOIN aion._event f ON f.run_key = n.run_key AND f.seq = 1 LEFT JOIN run r ON r.run_key = e.run_key
		WHERE e.event_type = 'WorkflowContinuedAsNew' AND n.run_key IS NOT NULL
			AND ((f.attributes #>> '{continues,run_key}')::bigint IS DISTINCT FROM e.run_key OR n.workflow_id <> r.workflow_id
				OR n.owner_key <> r.owner_key OR n.chain_key IS DISTINCT FROM coalesce(r.chain_key, r.run_key))
	UNION ALL
	SELECT 'two runs go on for one', (c.attributes #>> '{continues,run_key}')::bigint, string_agg(c.run_key::text, ', ')
		FROM event c WHERE c.seq = 1 AND c.attributes ? 'continues' GROUP BY 2 HAVING count(*) > 1
	UNION ALL
	SELECT 'run has no version or no owner', r.run_key, format('version %s, owner %s', r.version_key, r.owner_key)
		FROM run r
		WHERE NOT EXISTS (SELECT FROM aion._version v WHERE v.version_key = r.version_key)
			OR NOT EXISTS (SELECT FROM aion._owner o WHERE o.owner_key = r.owner_key)
	UNION ALL
	SELECT 'open run of a version that is not registered', r.run_key, v.version
		FROM run r JOIN aion._version v USING (version_key)
		WHERE r.closed_at IS NULL AND NOT v.registered
	UNION ALL
	SELECT 'new starts use a version that is not registered', NULL, format('%s, version %s', w.name, w.version_key)
		FROM aion._workflow w
		WHERE whole AND NOT EXISTS (SELECT FROM aion._version v WHERE v.version_key = w.version_key AND v.workflow_type = w.name AND v.registered)
	UNION ALL
	SELECT 'activity is with workers and has an outcome', t.run_key, format('activity %s, %s', t.ordinal, t.state)
		FROM task t
		WHERE t.state IN ('claimed', 'waiting')
			AND EXISTS (SELECT FROM standing e WHERE e.run_key = t.run_key AND e.key = t.ordinal::text AND e.seq > t.scheduled_seq
				AND e.event_type IN ('ActivityCompleted', 'ActivityFailed', 'ActivityCancelled'))
			AND NOT EXISTS (SELECT FROM timer m -- it was locked when it was cancelled, and is taken back soon
				WHERE m.run_key = t.run_key AND m.name IN (format('activity:%s cancelled', t.ordinal), format('activity:%s locked', t.ordinal)))
	UNION ALL
	SELECT 'activity is with workers and its outcome was sent', t.run_key, format('activity %s, %s', t.ordinal, t.state)
		FROM task t JOIN inbox i ON i.run_key = t.run_key AND i.kind = 'activity' AND i.name = t.ordinal::text
	UNION ALL
	SELECT 'activity is with workers and not open, or not watched', t.run_key, format('activity %s, %s', t.ordinal, t.state)
		FROM task t
		WHERE t.state IN ('waiting', 'claimed')
				AND NOT EXISTS (SELECT FROM event e WHERE e.run_key = t.run_key AND e.seq = t.scheduled_seq
					AND e.event_type = 'ActivityScheduled' AND e.key = t.ordinal::text)
			OR t.state = 'waiting' AND t.close_by IS NOT NULL
				AND NOT EXISTS (SELECT FROM timer m WHERE m.run_key = t.run_key AND m.name IN (format('activity:%s close', t.ordinal), format('activity:%s locked', t.ordinal)))
			OR t.state IN ('claimed', 'cancelled', 'abandoned') AND NOT t.background AND t.look_at IS NULL
				AND NOT EXISTS (SELECT FROM timer m -- its run is about to look; 0.1.0 had a timer for each attempt
				WHERE m.run_key = t.run_key AND m.name IN (format('activity:%s late %s', t.ordinal, t.attempt),
					format('activity:%s locked', t.ordinal), format('activity:%s attempt %s', t.ordinal, t.attempt)))
	UNION ALL
	SELECT 'query handler has no code', p.run_key, p.name
		FROM published p
		WHERE num_nulls(p.handler, p.code, p.copied, p.digest) NOT IN (0, 4)
			OR p.copied AND to_regprocedure(p.code) IS NULL
	UNION ALL
	SELECT 'signal that was not consumed is not in history', r.run_key, format('%s, event %s', n.key, n.value)
		FROM run r CROSS JOIN LATERAL jsonb_each_text(r.unread) n
		WHERE NOT EXISTS (SELECT FROM event e WHERE e.run_key = r.run_key AND e.seq = n.value::int
			AND e.key = n.key AND e.event_type = 'SignalReceived')
	UNION ALL
	SELECT 'dedup_id is known without its signal, or too often', coalesce(d.run_key, s.run_key), coalesce(d.dedup_id, s.dedup_id)
		FROM signal_id d FULL JOIN (
			SELECT c.chain_key AS run_key, x.dedup_id, count(*) FROM chained c JOIN (
				SELECT e.run_key, e.attributes ->> 'dedup_id' AS dedup_id FROM aion._event e
					WHERE e.event_type = 'SignalReceived' AND NOT (e.attributes ? 'carried_from'
						AND EXISTS (SELECT FROM aion._run c WHERE c.run_key = e.run_key AND c.chain_key IS NOT NULL))
				UNION ALL SELECT run_key, dedup_id FROM aion._inbox WHERE kind = 'signal'
				UNION ALL SELECT run_key, dedup_id FROM aion._late_signal) x ON x.run_key = c.run_key
			WHERE x.dedup_id IS NOT NULL GROUP BY 1, 2) s USING (run_key, dedup_id)
		WHERE s.count > 1 OR d.run_key IS NULL
			OR s.count IS NULL AND NOT EXISTS (SELECT FROM aion._run r WHERE r.chain_key = d.run_key)
				AND NOT EXISTS (SELECT FROM run r -- it may have been purged with a later run of the chain
				WHERE r.run_key = d.run_key AND r.status = 'continued_as_new')
	UNION ALL
	SELECT 'run is cancelled and was not asked to', e.run_key, format('event %s', e.seq)
		FROM event e
		WHERE e.event_type = 'WorkflowCancelled' AND NOT EXISTS (SELECT FROM event r
			WHERE r.run_key = e.run_key AND r.event_type = 'WorkflowCancelRequested' AND r.seq < e.seq)
	UNION ALL
	SELECT 'late signal of a run that is open, or gone', l.run_key, l.name
		FROM late_signal l
		WHERE NOT EXISTS (SELECT FROM run r WHERE r.run_key = l.run_key AND r.closed_at IS NOT NULL)
	UNION ALL
	SELECT 'arrival belongs to no run, or to another owner', i.run_key, format('arrival %s', i.arrival)
		FROM inbox i
		WHERE NOT EXISTS (SELECT FROM run r WHERE r.run_key = i.run_key AND r.owner_key = i.owner_key
			AND (r.chain_key IS NOT DISTINCT FROM i.chain_key OR i.kind = 'activity')) -- of one run alone
	UNION ALL
	SELECT 'search attributes or memo are not what history says', h.run_key, a.search_attributes::text
		FROM (SELECT e.run_key, jsonb_object_agg(x.key, x.value ORDER BY e.seq) FILTER (WHERE x.key IS NOT NULL) AS search_attributes
			FROM standing e LEFT JOIN LATERAL jsonb_each(e.attributes -> 'search_attributes') x ON true
			WHERE e.event_type IN ('WorkflowStarted', 'SearchAttributesUpdated') GROUP BY 1) h
			JOIN event s ON s.run_key = h.run_key AND s.seq = 1
			LEFT JOIN attribute a ON a.run_key = h.run_key
		WHERE coalesce(h.search_attributes, '{}') <> coalesce(a.search_attributes, '{}')
			OR s.attributes -> 'memo' IS DISTINCT FROM a.memo
	UNION ALL
	SELECT 'attributes or timers belong to no run', x.run_key, NULL
		FROM (SELECT run_key FROM attribute UNION ALL SELECT run_key FROM timer
			UNION ALL SELECT run_key FROM task UNION ALL SELECT run_key FROM published) x
		WHERE NOT EXISTS (SELECT FROM run r WHERE r.run_key = x.run_key)
			AND NOT EXISTS (SELECT FROM schedule s WHERE s.run_key = x.run_key)
	UNION ALL
	SELECT 'schedule ticks by an interval and has no timer, or another one', s.run_key, format('%s, %s', s.name, s.due_at)
		FROM schedule s LEFT JOIN timer t ON t.run_key = s.run_key AND t.name = 'schedule:next'
		WHERE s.cron IS NULL AND CASE s.state WHEN 'active' THEN s.due_at IS DISTINCT FROM t.fire_at ELSE t.run_key IS NOT NULL END
	UNION ALL
	SELECT 'schedule has ended and ticks, or the other way round', s.run_key, format('%s, %s', s.name, s.next_at)
		FROM schedule s WHERE (s.state = 'ended') <> (s.next_at IS NULL)
	UNION ALL
	SELECT 'ticks belong to no schedule, or to a run, or more than one is buffered', t.run_key, format('%s ticks', count(*))
		FROM schedule_tick t
		GROUP BY t.run_key HAVING count(*) FILTER (WHERE t.state = 'buffered') > 1
			OR NOT EXISTS (SELECT FROM schedule s WHERE s.run_key = t.run_key)
			OR EXISTS (SELECT FROM run r WHERE r.run_key = t.run_key)
	UNION ALL
	SELECT 'tick of a schedule started more than one run', min(e.run_key), format('%s, %s', e.attributes ->> 'schedule', e.attributes ->> 'scheduled_for')
		FROM event e JOIN run r ON r.run_key = e.run_key AND r.workflow_id ~ '/[0-9T:.-]+Z$'
		WHERE e.event_type = 'WorkflowStarted' AND e.attributes ? 'scheduled_for'
			AND EXISTS (SELECT FROM aion._schedule s WHERE s.name = e.attributes ->> 'schedule')
			AND r.status <> 'continued_as_new'
		GROUP BY e.attributes ->> 'schedule', e.attributes ->> 'scheduled_for', r.workflow_id
		HAVING count(*) > 1;
END;
COMMENT ON FUNCTION aion._violations(bigint, bigint, boolean)
	IS 'violations of the invariants, of runs and schedules whose keys are in a range, and of what belongs to none';

CREATE OR REPLACE FUNCTION aion.check_integrity(workflow_id text DEFAULT NULL, first_run_key bigint DEFAULT NULL,
	last_run_key bigint DEFAULT NULL, OUT violation text, OUT workflow_id text,
	OUT run_id uuid, OUT detail text) RETURNS SETOF record
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_check_integrity';
COMMENT ON FUNCTION aion.check_integrity(text, bigint, bigint)
	IS 'violations of what must always hold, in all runs, in those of a workflow id, or in those whose keys are in a range; no rows means sound';
