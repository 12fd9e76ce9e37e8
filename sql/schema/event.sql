/*
 * History. The recorder writes it below the executor; the trigger refuses whatever else comes, and
 * fires in every session_replication_role.
 */

CREATE TYPE aion.event_type AS ENUM (
	'WorkflowStarted', 'WorkflowCompleted', 'WorkflowFailed', 'WorkflowCancelled',
	'WorkflowTerminated', 'WorkflowTimedOut', 'WorkflowBlocked', 'WorkflowUnblocked',
	'VersionChanged', 'CommandAnswered',
	'ActivityScheduled', 'ActivityCompleted', 'ActivityFailed', 'ActivityCancelled',
	'TimerStarted', 'TimerFired', 'TimerCancelled',
	'SignalReceived', 'SignalSent', 'WorkflowPaused', 'WorkflowResumed', 'WorkflowReopened',
	'SearchAttributesUpdated', 'VersionMarked',
	'WorkflowCancelRequested', 'CancelRequestSent', 'ActivityCancelRequested',
	'ChildWorkflowStarted', 'ChildWorkflowCompleted', 'ChildWorkflowFailed', 'ChildCancelRequested',
	'WorkflowContinuedAsNew', 'WorkflowWatched');
COMMENT ON TYPE aion.event_type IS 'kinds of events in a history';

CREATE TABLE aion._event (
	run_key bigint NOT NULL,
	seq int NOT NULL,
	owner_key int NOT NULL,
	recorded_at timestamptz NOT NULL,
	event_type aion.event_type NOT NULL,
	key text,
	attributes jsonb,
	PRIMARY KEY (run_key, seq)
);
COMMENT ON TABLE aion._event IS 'history of runs: append-only, without gaps, written by the engine alone';
SELECT pg_extension_config_dump('aion._event', '');

CREATE FUNCTION aion._guard_history() RETURNS trigger
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_guard_history';
COMMENT ON FUNCTION aion._guard_history() IS 'refuses to change history';

CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON aion._event
	FOR EACH STATEMENT EXECUTE FUNCTION aion._guard_history();
ALTER TABLE aion._event ENABLE ALWAYS TRIGGER guard;

ALTER TABLE aion._event ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._event FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
