/*
 * Activities that are executed outside of a turn. A row exists while its activity may still be executed; the outcome
 * is an arrival in the inbox of the run. look_at says when an attempt may be late. A heartbeat does not move it, so
 * that it changes no index.
 */

CREATE TABLE aion._task (
	run_key bigint NOT NULL,
	ordinal int NOT NULL,
	owner_key int NOT NULL,
	scheduled_seq int NOT NULL,
	activity text NOT NULL,
	background boolean NOT NULL,
	task_queue text NOT NULL,
	key text,
	state text NOT NULL, -- waiting, claimed, cancelled or abandoned; settled only in a dump of 0.1.0
	attempt int NOT NULL,
	failures int NOT NULL DEFAULT 0,
	priority int NOT NULL,
	next_attempt_at timestamptz NOT NULL,
	start_by timestamptz,
	close_by timestamptz,
	attempt_by timestamptz,
	heartbeat_by timestamptz,
	look_at timestamptz,
	cancel_requested boolean NOT NULL DEFAULT false,
	token uuid,
	permit int,
	worker text,
	policy jsonb NOT NULL,
	heartbeat_details jsonb,
	last_error jsonb,
	outcome jsonb, -- only in a dump of 0.1.0
	PRIMARY KEY (run_key, ordinal)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX _task_queue_idx ON aion._task (task_queue, priority DESC, next_attempt_at, run_key, ordinal)
	WHERE state = 'waiting' AND NOT background;
CREATE INDEX _task_background_idx ON aion._task (owner_key, task_queue, priority DESC, next_attempt_at, run_key, ordinal)
	WHERE state = 'waiting' AND background;
CREATE INDEX _task_claimed_idx ON aion._task (task_queue, key, background, owner_key)
	WHERE state IN ('claimed', 'cancelled', 'abandoned') AND (background OR key IS NOT NULL);
CREATE INDEX _task_look_idx ON aion._task (look_at, run_key) WHERE look_at IS NOT NULL;
COMMENT ON TABLE aion._task IS 'activities outside of turns: which workers or executors may execute them when, and which one does';
SELECT pg_extension_config_dump('aion._task', '');

ALTER TABLE aion._task ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._task FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));

CREATE TABLE aion._queue (
	name text PRIMARY KEY,
	paused boolean NOT NULL DEFAULT false,
	max_running int,
	max_per_key int,
	rate real,
	owner_key int
);
COMMENT ON TABLE aion._queue IS 'task queues that were configured, and the owner whose runs that is about; without an owner, about all runs';
SELECT pg_extension_config_dump('aion._queue', '');

/* A claim in a limited queue takes a permit of each kind; it is free again when its task is, or at a moment. */
CREATE TABLE aion._queue_permit (
	name text NOT NULL,
	kind text NOT NULL, -- running or rate
	number int NOT NULL,
	free_at timestamptz NOT NULL DEFAULT '-infinity',
	PRIMARY KEY (name, kind, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE aion._queue_permit IS 'how many more activities of a limited task queue may be claimed, and when';
SELECT pg_extension_config_dump('aion._queue_permit', '');
ALTER TABLE aion._queue_permit ENABLE ROW LEVEL SECURITY;

CREATE TABLE aion._queue_grant (
	name text NOT NULL,
	owner_key int NOT NULL,
	PRIMARY KEY (name, owner_key)
);
COMMENT ON TABLE aion._queue_grant IS 'which roles may claim activities of which task queue';
SELECT pg_extension_config_dump('aion._queue_grant', '');
ALTER TABLE aion._queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE aion._queue_grant ENABLE ROW LEVEL SECURITY;
