/* Activities that workers execute, from wherever they are connected. */

CREATE OR REPLACE FUNCTION aion.poll_activities(task_queues text[], worker text, max_tasks int DEFAULT 1,
	wait interval DEFAULT NULL, activities text[] DEFAULT NULL,
	OUT task_token text, OUT workflow_id text, OUT run_id uuid, OUT activity text, OUT input jsonb,
	OUT attempt int, OUT idempotency_key text, OUT heartbeat_details jsonb, OUT deadline timestamptz,
	OUT owner text)
	RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'aion_poll_activities';
COMMENT ON FUNCTION aion.poll_activities(text[], text, int, interval, text[])
	IS 'claims activities for a worker, and says which role owns the run of each; the claim counts when the transaction commits';

CREATE OR REPLACE FUNCTION aion.complete_activity(task_token text, result jsonb DEFAULT 'null') RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_complete_activity';
COMMENT ON FUNCTION aion.complete_activity(text, jsonb)
	IS 'reports the result of a claimed activity; WF018 unless the token holds it';

CREATE OR REPLACE FUNCTION aion.fail_activity(task_token text, message text, kind text DEFAULT NULL,
	retryable boolean DEFAULT true, retry_after interval DEFAULT NULL, details jsonb DEFAULT NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_fail_activity';
COMMENT ON FUNCTION aion.fail_activity(text, text, text, boolean, interval, jsonb)
	IS 'reports that a claimed activity failed; it is retried as its policy says; WF018 unless the token holds it';

CREATE OR REPLACE FUNCTION aion.heartbeat_activity(task_token text, details jsonb DEFAULT NULL) RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_heartbeat_activity';
COMMENT ON FUNCTION aion.heartbeat_activity(text, jsonb)
	IS 'sends a heartbeat of a claimed activity; true if its workflow no longer wants it; WF018 unless the token holds it';

CREATE OR REPLACE PROCEDURE aion.wait_for_tasks(task_queues text[], wait interval DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_wait_for_tasks';
COMMENT ON PROCEDURE aion.wait_for_tasks(text[], interval)
	IS 'waits until a poll may find something, without holding a snapshot';

CREATE OR REPLACE VIEW aion.activity_task WITH (security_barrier) AS
	SELECT r.workflow_id, t.activity, t.task_queue, t.key, t.background, t.state, t.attempt, t.next_attempt_at, t.worker,
		CASE WHEN t.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN t.last_error END AS last_error,
		t.attempt_by, t.heartbeat_by, t.priority, r.run_id, t.run_key, t.ordinal
	FROM aion._task t JOIN aion._run r USING (run_key)
	WHERE t.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.activity_task IS 'activities outside of turns: that wait for a worker or an executor, or are being executed';
COMMENT ON COLUMN aion.activity_task.workflow_id IS 'workflow id of the run that asked for the activity';
COMMENT ON COLUMN aion.activity_task.activity IS 'name of the activity';
COMMENT ON COLUMN aion.activity_task.task_queue IS 'task queue in which the activity waits';
COMMENT ON COLUMN aion.activity_task.key IS 'key of the activity, for the limit max_per_key of its queue';
COMMENT ON COLUMN aion.activity_task.background IS 'whether executors of the engine execute it; else workers that poll';
COMMENT ON COLUMN aion.activity_task.state IS 'waiting, claimed, cancelled, or abandoned';
COMMENT ON COLUMN aion.activity_task.attempt IS 'number of the latest attempt, from 1; 0 before the first';
COMMENT ON COLUMN aion.activity_task.next_attempt_at IS 'when the next attempt may begin';
COMMENT ON COLUMN aion.activity_task.worker IS 'worker or executor that has claimed it';
COMMENT ON COLUMN aion.activity_task.last_error IS 'why the last attempt failed; null for roles that may not see payloads';
COMMENT ON COLUMN aion.activity_task.attempt_by IS 'when the current attempt is given up';
COMMENT ON COLUMN aion.activity_task.heartbeat_by IS 'when the current attempt is given up unless its worker sends a heartbeat';
COMMENT ON COLUMN aion.activity_task.priority IS 'activities of higher priority are claimed first';
COMMENT ON COLUMN aion.activity_task.run_id IS 'run that asked for the activity';
COMMENT ON COLUMN aion.activity_task.run_key IS 'number of the run in this database';
COMMENT ON COLUMN aion.activity_task.ordinal IS 'number of the command within its run';
