/* Moments at which runs are to be looked at. A row exists exactly while its timer is live. */

CREATE TABLE aion._timer (
	run_key bigint NOT NULL,
	fire_at timestamptz NOT NULL,
	owner_key int NOT NULL,
	started_seq int NOT NULL,
	name text NOT NULL,
	PRIMARY KEY (run_key, name)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX _timer_moment_idx ON aion._timer (fire_at, run_key);
CREATE INDEX _timer_due_idx ON aion._timer (owner_key, fire_at);
COMMENT ON TABLE aion._timer IS 'live timers, and when a run that failed is tried again';
SELECT pg_extension_config_dump('aion._timer', '');

ALTER TABLE aion._timer ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._timer FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
