/*
 * Seeing runs. The views belong to the owner of the extension and show each role the rows of the
 * owners whose privileges it has; payloads only to such a role, not to monitors.
 */

CREATE OR REPLACE VIEW aion.workflow_run WITH (security_barrier) AS
	SELECT r.run_key, r.workflow_id, r.run_id, v.workflow_type, v.version, r.status, r.blocked,
		o.name AS owner,
		CASE WHEN r.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN
			(SELECT e.attributes -> 'input' FROM aion._event e
				WHERE e.run_key = r.run_key AND e.seq = 1) END AS input,
		CASE WHEN r.status = 'completed'
				AND r.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN
			(SELECT e.attributes -> 'result' FROM aion._event e
				WHERE e.run_key = r.run_key AND e.seq = r.head) END AS result,
		CASE WHEN r.status = 'failed'
				AND r.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN
			(SELECT e.attributes -> 'error' FROM aion._event e
				WHERE e.run_key = r.run_key AND e.seq = r.head) END AS error,
		(SELECT e.attributes #>> '{parents,0,workflow_id}' FROM aion._event e
			WHERE e.run_key = r.run_key AND e.seq = 1) AS parent_workflow_id,
		r.started_at, r.closed_at, r.head AS history_events, r.failures AS turn_failures,
		CASE WHEN r.owner_key = ANY ((SELECT aion._visible_owners(true))::int[])
			THEN a.search_attributes END AS search_attributes,
		CASE WHEN r.owner_key = ANY ((SELECT aion._visible_owners(true))::int[])
			THEN a.memo END AS memo,
		CASE WHEN r.chain_key IS NOT NULL THEN
			(SELECT (e.attributes #>> '{continues,run_id}')::uuid FROM aion._event e
				WHERE e.run_key = r.run_key AND e.seq = 1) END AS continues_run_id,
		r.ready_at
	FROM aion._run r
		JOIN aion._version v USING (version_key)
		JOIN aion._owner o ON o.owner_key = r.owner_key
		LEFT JOIN aion._attribute a ON a.run_key = r.run_key
	WHERE r.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.workflow_run IS 'runs of workflows';
COMMENT ON COLUMN aion.workflow_run.run_key IS 'number of the run in this database; run_id names it everywhere';
COMMENT ON COLUMN aion.workflow_run.workflow_id IS 'name under which the run was started; of its runs at most one is open';
COMMENT ON COLUMN aion.workflow_run.run_id IS 'identifies this run among those of its workflow id';
COMMENT ON COLUMN aion.workflow_run.workflow_type IS 'registered name of the workflow that the run executes';
COMMENT ON COLUMN aion.workflow_run.version IS 'version of the code that the run executes';
COMMENT ON COLUMN aion.workflow_run.status IS 'scheduled, running, paused or blocked while the run is open; then completed, failed, cancelled, terminated, timed_out or continued_as_new';
COMMENT ON COLUMN aion.workflow_run.blocked IS 'why the run is blocked: mismatch, nondeterministic, missing code, missing right, invalid input, turn_timeout, error or quarantined; null if it is not';
COMMENT ON COLUMN aion.workflow_run.owner IS 'role that the run belongs to and that its code runs as';
COMMENT ON COLUMN aion.workflow_run.input IS 'what the workflow was started with; null for roles that may not see payloads';
COMMENT ON COLUMN aion.workflow_run.result IS 'what a completed run has returned; null for roles that may not see payloads';
COMMENT ON COLUMN aion.workflow_run.error IS 'why a run has failed; null for roles that may not see payloads';
COMMENT ON COLUMN aion.workflow_run.parent_workflow_id IS 'workflow id of the run that started this one as a child';
COMMENT ON COLUMN aion.workflow_run.started_at IS 'when the run was started';
COMMENT ON COLUMN aion.workflow_run.closed_at IS 'when the run ended; null while it is open';
COMMENT ON COLUMN aion.workflow_run.history_events IS 'number of events in the history of the run';
COMMENT ON COLUMN aion.workflow_run.turn_failures IS 'how often in a row the next turn has failed with an infrastructure error, or was tried without success since the run is blocked';
COMMENT ON COLUMN aion.workflow_run.search_attributes IS 'what aion.find_workflows() finds the run by; null for roles that may not see payloads';
COMMENT ON COLUMN aion.workflow_run.memo IS 'what was given to the start to be kept with the run; null for roles that may not see payloads';
COMMENT ON COLUMN aion.workflow_run.continues_run_id IS 'run that this one goes on for, by aion.continue_as_new()';
COMMENT ON COLUMN aion.workflow_run.ready_at IS 'since when the run is ready for a turn; null if it is not, or if a timer or something sent to it makes it ready';

CREATE OR REPLACE VIEW aion.history_event WITH (security_barrier) AS
	SELECT r.run_id, e.seq, e.recorded_at, e.event_type::text AS event_type, e.key,
		CASE WHEN e.owner_key = ANY ((SELECT aion._visible_owners(true))::int[])
			THEN e.attributes END AS attributes,
		r.workflow_id, e.run_key
	FROM aion._event e JOIN aion._run r USING (run_key)
	WHERE e.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.history_event IS 'what happened in runs: append-only, written by the engine alone';
COMMENT ON COLUMN aion.history_event.run_id IS 'run that the event is about';
COMMENT ON COLUMN aion.history_event.seq IS 'position of the event in the history of its run, from 1 and without gaps';
COMMENT ON COLUMN aion.history_event.recorded_at IS 'when the event was recorded; never earlier than the event before';
COMMENT ON COLUMN aion.history_event.event_type IS 'what happened';
COMMENT ON COLUMN aion.history_event.key IS 'what it happened to within the run: a command, a timer, a signal; null if to the run itself';
COMMENT ON COLUMN aion.history_event.attributes IS 'what the event says; null for roles that may not see payloads';
COMMENT ON COLUMN aion.history_event.workflow_id IS 'workflow id of the run';
COMMENT ON COLUMN aion.history_event.run_key IS 'number of the run in this database';

CREATE OR REPLACE TRIGGER guard INSTEAD OF INSERT OR UPDATE OR DELETE ON aion.history_event
	FOR EACH ROW EXECUTE FUNCTION aion._guard_history();

CREATE OR REPLACE VIEW aion.timer WITH (security_barrier) AS
	SELECT r.workflow_id, t.name AS timer, t.fire_at, r.run_id, t.run_key
	FROM aion._timer t JOIN aion._run r USING (run_key)
	WHERE t.name !~ '^(activity|settled):'
		AND t.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.timer IS 'timers that are live';
COMMENT ON COLUMN aion.timer.workflow_id IS 'workflow id of the run that has the timer';
COMMENT ON COLUMN aion.timer.timer IS 'name of the timer; names with a colon are those of the engine';
COMMENT ON COLUMN aion.timer.fire_at IS 'when the timer is due';
COMMENT ON COLUMN aion.timer.run_id IS 'run that has the timer';
COMMENT ON COLUMN aion.timer.run_key IS 'number of the run in this database';

CREATE OR REPLACE FUNCTION aion._queue_pollers(task_queue text, owner_key int DEFAULT NULL) RETURNS int
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'aion_queue_pollers';
COMMENT ON FUNCTION aion._queue_pollers(text, int)
	IS 'how many workers that may claim activities of an owner, or of any that the current user may see, have polled a task queue in the last minute; null if the library is not preloaded';

CREATE OR REPLACE FUNCTION aion._clock() RETURNS timestamptz
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'aion_clock';
COMMENT ON FUNCTION aion._clock() IS 'the time by which the engine decides what is due: in a test the virtual one';

CREATE OR REPLACE VIEW aion.pending_await WITH (security_barrier) AS
	SELECT r.workflow_id, w.awaiting, w.key, w.since, w.until, r.run_id, r.run_key,
		t.activity, t.task_queue,
		CASE WHEN NOT t.background THEN aion._queue_pollers(t.task_queue, r.owner_key) END AS pollers,
		CASE WHEN w.awaiting = 'turn' THEN (SELECT min(coalesce(l.pid, 0)) FROM pg_locks l
			WHERE l.locktype = 'transactionid' AND l.transactionid = r.xmax AND l.granted) END AS locked_by
	FROM aion._run r CROSS JOIN LATERAL (
		SELECT a.value ->> 'awaiting' AS awaiting, a.value ->> 'key' AS key,
			r.awaiting_since AS since, least((a.value ->> 'until')::timestamptz, (SELECT min(t.fire_at) FROM aion._timer t
				WHERE t.run_key = r.run_key AND t.name ~ '^scope:' AND t.fire_at > aion._clock())) AS until
		FROM jsonb_array_elements(r.awaiting) a WHERE r.status = 'running'
		UNION ALL
		SELECT 'turn', NULL, x.since, NULL
		FROM (SELECT least(r.ready_at,
				(SELECT min(t.fire_at) FROM aion._timer t WHERE t.run_key = r.run_key AND t.fire_at <= aion._clock()),
				(SELECT min(i.sent_at) FROM aion._inbox i WHERE i.run_key = r.run_key)) AS since) x
		WHERE r.status = 'running' AND (r.retry_at IS NULL OR r.retry_at <= aion._clock()) AND x.since <= aion._clock()
		UNION ALL
		SELECT 'retry', r.failures || ' failed turns', NULL, r.retry_at
		WHERE r.status = 'running' AND r.retry_at > aion._clock()
		UNION ALL
		SELECT 'start', NULL, r.started_at, (SELECT t.fire_at FROM aion._timer t
				WHERE t.run_key = r.run_key AND t.name = 'start:')
		WHERE r.status = 'scheduled'
		UNION ALL
		SELECT 'release', r.blocked, (SELECT max(e.recorded_at) FROM aion._event e
				WHERE e.run_key = r.run_key AND e.event_type = 'WorkflowBlocked'), r.retry_at
		WHERE r.status = 'blocked'
		UNION ALL
		SELECT 'resume', r.blocked, (SELECT max(e.recorded_at) FROM aion._event e
				WHERE e.run_key = r.run_key AND e.event_type = 'WorkflowPaused'), NULL
		WHERE r.status = 'paused') w
		LEFT JOIN aion._task t ON w.awaiting = 'activity' AND t.run_key = r.run_key
			AND t.ordinal = CASE WHEN w.key ~ '^[0-9]{1,9}$' THEN w.key::int END
	WHERE r.closed_at IS NULL
		AND r.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.pending_await
	IS 'what each open run waits for, and since when: what its code awaits, a turn, another attempt after turns that the machine has failed, its start, the release of its block, or to be resumed';
COMMENT ON COLUMN aion.pending_await.workflow_id IS 'workflow id of the run that waits';
COMMENT ON COLUMN aion.pending_await.awaiting IS 'activity, timer, timeout, signal, child, sending or cancel as its code has asked for; turn: it is ready and not yet executed, or is being executed; retry, start, release, resume';
COMMENT ON COLUMN aion.pending_await.key IS 'which of that kind: the command, the name of a signal, or the reason of a block';
COMMENT ON COLUMN aion.pending_await.since IS 'since when the run waits for it';
COMMENT ON COLUMN aion.pending_await.until IS 'when the wait ends by itself; null if nothing ends it';
COMMENT ON COLUMN aion.pending_await.run_id IS 'run that waits';
COMMENT ON COLUMN aion.pending_await.run_key IS 'number of the run in this database';
COMMENT ON COLUMN aion.pending_await.activity IS 'name of the activity that it waits for';
COMMENT ON COLUMN aion.pending_await.task_queue IS 'task queue in which that activity waits, or was claimed from';
COMMENT ON COLUMN aion.pending_await.pollers IS 'of an activity for workers, how many that may claim it have polled the queue in the last minute; null if the library is not preloaded';
COMMENT ON COLUMN aion.pending_await.locked_by IS 'process that has locked the run, or changed it and not committed, while a turn is awaited; 0: a prepared transaction';

CREATE OR REPLACE VIEW aion.workflow_version WITH (security_barrier) AS
	SELECT v.workflow_type, v.version, v.version_key = w.version_key AS routed, o.name AS owner,
		v.handler, v.copied AS pinned, v.settings, w.timeout, w.task_queue, v.registered_at,
		(SELECT coalesce(sum(c.runs), 0)::bigint FROM aion._count c
			WHERE c.version_key = v.version_key
				AND c.status IN ('scheduled', 'running', 'blocked', 'paused')) AS open_runs
	FROM aion._version v
		JOIN aion._workflow w ON w.name = v.workflow_type
		JOIN aion._owner o ON o.owner_key = v.owner_key
	WHERE v.registered AND v.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.workflow_version IS 'registered workflows and the versions of their code';
COMMENT ON COLUMN aion.workflow_version.workflow_type IS 'registered name of the workflow';
COMMENT ON COLUMN aion.workflow_version.version IS 'hash of the code and of the settings it is read under';
COMMENT ON COLUMN aion.workflow_version.routed IS 'whether new starts use this version';
COMMENT ON COLUMN aion.workflow_version.owner IS 'role that registered the version';
COMMENT ON COLUMN aion.workflow_version.handler IS 'function that was registered';
COMMENT ON COLUMN aion.workflow_version.pinned IS 'whether the engine executes a copy of the function; if not, the function itself, which must not change';
COMMENT ON COLUMN aion.workflow_version.settings IS 'settings of the session that registered it, under which its code is executed';
COMMENT ON COLUMN aion.workflow_version.timeout IS 'timeout of runs whose start names none';
COMMENT ON COLUMN aion.workflow_version.task_queue IS 'task queue of activities that name none';
COMMENT ON COLUMN aion.workflow_version.registered_at IS 'when the version was registered';
COMMENT ON COLUMN aion.workflow_version.open_runs IS 'number of open runs that execute this version';

CREATE OR REPLACE FUNCTION aion._find_run(workflow_id text, run_id uuid DEFAULT NULL) RETURNS bigint
	LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'aion_find_run';
COMMENT ON FUNCTION aion._find_run(text, uuid) IS 'the run that a workflow id means: the open one, else the latest';

CREATE OR REPLACE FUNCTION aion.describe_workflow(workflow_id text, run_id uuid DEFAULT NULL)
	RETURNS jsonb LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT to_jsonb(w) || jsonb_build_object(
			'awaiting', (SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('awaiting', p.awaiting,
				'key', p.key, 'since', p.since, 'until', p.until))), '[]')
				FROM aion.pending_await p WHERE p.run_key = w.run_key),
			'timers', (SELECT coalesce(jsonb_object_agg(t.timer, t.fire_at), '{}')
				FROM aion.timer t WHERE t.run_key = w.run_key))
			|| jsonb_strip_nulls(jsonb_build_object(
				'paused', (SELECT h.attributes || jsonb_build_object('since', h.recorded_at)
					FROM aion.history_event h WHERE h.run_key = w.run_key AND h.event_type = 'WorkflowPaused'
						AND w.status = 'paused' ORDER BY h.seq DESC LIMIT 1),
				'continued_as', (SELECT h.attributes ->> 'run_id'
					FROM aion.history_event h WHERE h.run_key = w.run_key AND h.seq = w.history_events
						AND w.status = 'continued_as_new'),
				'children', (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('workflow_id', h.attributes ->> 'workflow_id',
						'workflow_type', h.attributes ->> 'workflow_type', 'parent_close', h.attributes ->> 'parent_close')) ORDER BY h.seq)
					FROM aion.history_event h WHERE h.run_key = w.run_key AND h.event_type = 'ChildWorkflowStarted'
						AND w.closed_at IS NULL AND NOT EXISTS (SELECT FROM aion.history_event o WHERE o.run_key = h.run_key
							AND o.key = h.key AND o.seq > h.seq AND o.event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed'))),
				'forked_from', (SELECT h.attributes -> 'forked_from'
					FROM aion.history_event h WHERE h.run_key = w.run_key AND h.seq = 1),
				'reopened', (SELECT jsonb_agg(h.attributes || jsonb_build_object('at', h.recorded_at) ORDER BY h.seq)
					FROM aion.history_event h WHERE h.run_key = w.run_key AND h.event_type = 'WorkflowReopened')))
		FROM aion.workflow_run w
		WHERE w.run_key = aion._find_run(describe_workflow.workflow_id, describe_workflow.run_id)
$$;
COMMENT ON FUNCTION aion.describe_workflow(text, uuid) IS 'a run, what it waits for, and its timers, as an object';

CREATE OR REPLACE FUNCTION aion.history(workflow_id text, run_id uuid DEFAULT NULL)
	RETURNS SETOF aion.event LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT h.run_id, h.seq, h.recorded_at, h.event_type, h.key, h.attributes
		FROM aion.history_event h
		WHERE h.run_key = aion._find_run(history.workflow_id, history.run_id)
		ORDER BY h.seq
$$;
COMMENT ON FUNCTION aion.history(text, uuid) IS 'what happened in a run, event by event';

/* The columns of the type, which sql/schema makes. */
COMMENT ON COLUMN aion.event.run_id IS 'run that the event is about';
COMMENT ON COLUMN aion.event.seq IS 'position of the event in the history of its run, from 1 and without gaps';
COMMENT ON COLUMN aion.event.recorded_at IS 'when the event was recorded; never earlier than the event before';
COMMENT ON COLUMN aion.event.event_type IS 'what happened';
COMMENT ON COLUMN aion.event.key IS 'what it happened to within the run: a command, a timer, a signal; null if to the run itself';
COMMENT ON COLUMN aion.event.attributes IS 'what the event says; null for roles that may not see payloads';
