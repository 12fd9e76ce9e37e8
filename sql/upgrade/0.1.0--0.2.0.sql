/*
 * What 0.2.0 changes in the schema of 0.1.0: the same as what differs in sql/schema. Functions and views that change their
 * parameters or columns are dropped here; the assembled script then replaces all of sql/api.
 */

/* Queues that belong to owners, and the owner of the run of a polled activity. */
ALTER TABLE aion._queue ADD COLUMN owner_key int;
COMMENT ON TABLE aion._queue IS 'task queues that were configured, and the owner whose runs that is about; without an owner, about all runs';
DROP FUNCTION aion.poll_activities(text[], text, int, interval, text[]);

/* Activities registered before keep the settings of the owner's sessions until they are registered again. */
ALTER TABLE aion._activity ADD COLUMN settings jsonb;

/* Roles that may start workflows of others. */
CREATE TABLE aion._start_grant (
	workflow_type text NOT NULL,
	owner_key int NOT NULL,
	grantee_key int NOT NULL,
	PRIMARY KEY (workflow_type, owner_key, grantee_key)
);
COMMENT ON TABLE aion._start_grant IS 'which roles may start which workflow as its owner; void where the workflow has another owner now';
SELECT pg_extension_config_dump('aion._start_grant', '');
ALTER TABLE aion._start_grant ENABLE ROW LEVEL SECURITY;

/* Take more parameters. */
DROP FUNCTION aion.check_integrity();
DROP FUNCTION aion.explain(text, uuid);
DROP FUNCTION aion.find_workflows(jsonb, text, text[], bigint);
DROP FUNCTION aion._search(jsonb, text, text[], bigint);

/* Rules about runs are those of a function, which can check some of them. */
DROP VIEW aion._violation, aion._lifecycle, aion._live_timer, aion._standing;

/* A level of access that comprises only what was granted by aion.grant_start(). */
ALTER TABLE aion._grant DROP CONSTRAINT _grant_level_check, ADD CONSTRAINT _grant_level_check CHECK (level IN ('user', 'start', 'worker', 'monitor', 'admin'));

/* The outcome of an activity outside of turns is an arrival, no timer that is due at once, and no part of its task. */
ALTER TABLE aion._inbox DROP CONSTRAINT _inbox_kind_check;
INSERT INTO aion._inbox (run_key, sent_at, owner_key, kind, name, sender, payload)
	SELECT t.run_key, t.fire_at, t.owner_key, 'activity', substr(t.name, 9), o.name,
		(SELECT k.outcome || jsonb_build_object('attempts', k.attempt, 'timers', 2) FROM aion._task k
			WHERE k.run_key = t.run_key AND t.name = 'settled:' || k.ordinal AND k.state = 'settled')
	FROM aion._timer t JOIN aion._owner o USING (owner_key)
	WHERE starts_with(t.name, 'settled:') ORDER BY t.fire_at;
DELETE FROM aion._timer WHERE starts_with(name, 'settled:');
DELETE FROM aion._task WHERE state = 'settled';

/* When an attempt may be late is said by its task, and no timer. */
ALTER TABLE aion._task ADD COLUMN look_at timestamptz;
UPDATE aion._task SET look_at = least(attempt_by, heartbeat_by) WHERE state IN ('claimed', 'cancelled', 'abandoned');
DELETE FROM aion._timer t USING aion._task k
	WHERE k.run_key = t.run_key AND t.name = format('activity:%s attempt %s', k.ordinal, k.attempt) AND k.look_at IS NOT NULL;
CREATE INDEX _task_look_idx ON aion._task (look_at, run_key) WHERE look_at IS NOT NULL;
DROP INDEX aion._task_claimed_idx;
CREATE INDEX _task_claimed_idx ON aion._task (task_queue, key, background, owner_key)
	WHERE state IN ('claimed', 'cancelled', 'abandoned') AND (background OR key IS NOT NULL);

/* Every write of these tables would read its constraints anew. */
ALTER TABLE aion._run DROP CONSTRAINT _run_status_check, DROP CONSTRAINT _run_check;
ALTER TABLE aion._task DROP CONSTRAINT _task_state_check;
ALTER TABLE aion._queue_permit DROP CONSTRAINT _queue_permit_kind_check;

/* Blocked runs are woken owner by owner. */
DROP INDEX aion._run_blocked_idx;
CREATE INDEX _run_blocked_idx ON aion._run (owner_key) WHERE blocked IS NOT NULL;

/* Runs are found in the order of their keys, however many there are. */
CREATE INDEX _run_status_idx ON aion._run (owner_key, status, run_key) WHERE status <> 'completed';
CREATE INDEX _run_version_idx ON aion._run (owner_key, version_key, run_key) WHERE closed_at IS NOT NULL;

/* How many runs there are is kept. */
CREATE TABLE aion._run_count (
	owner_key int NOT NULL,
	version_key int NOT NULL,
	status varchar(20) NOT NULL,
	runs bigint NOT NULL
);
COMMENT ON TABLE aion._run_count IS 'by how many the number of runs has changed; summed up, how many there are';
ALTER TABLE aion._run_count REPLICA IDENTITY FULL;
SELECT pg_extension_config_dump('aion._run_count', '');
ALTER TABLE aion._run_count ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._run_count FOR SELECT USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
INSERT INTO aion._run_count SELECT owner_key, version_key, status, count(*) FROM aion._run GROUP BY 1, 2, 3;

/* Comments that have changed. */
COMMENT ON SCHEMA aion_code IS 'pinned copies of workflow code; only the engine uses them';
COMMENT ON TABLE aion._pause IS 'the role that has paused the engine in this database; no row while it is not paused';
COMMENT ON TABLE aion._workflow IS 'registered names: their owners, and what new starts use';
COMMENT ON TABLE aion._activity IS 'registered activities: the owner of the name, and the function that it calls';
COMMENT ON TABLE aion._task IS 'activities outside of turns: which workers or executors may execute them when, and which one does';
COMMENT ON TABLE aion._queue_grant IS 'which roles may claim activities of which task queue';
