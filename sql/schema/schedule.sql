/*
 * Schedules. Each has a key among those of runs, under which it has timers; so the processes
 * that execute the runs of its owner find it.
 */

CREATE TABLE aion._schedule (
	run_key bigint PRIMARY KEY,
	name text NOT NULL UNIQUE,
	owner_key int NOT NULL,
	workflow_type text NOT NULL,
	cron text,
	every interval,
	anchor timestamptz NOT NULL,
	timezone text NOT NULL,
	overlap text NOT NULL CHECK (overlap IN ('skip', 'buffer_one', 'cancel_previous', 'allow_all')),
	catch_up text NOT NULL CHECK (catch_up IN ('skip', 'one', 'all')),
	jitter interval,
	start_at timestamptz,
	end_at timestamptz,
	max_runs int,
	input jsonb,
	options jsonb NOT NULL,
	state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'ended')),
	next_at timestamptz,
	due_at timestamptz,
	runs bigint NOT NULL DEFAULT 0,
	crashes int NOT NULL DEFAULT 0,
	reason text CHECK (reason IS NULL OR state <> 'active'),
	CHECK ((cron IS NULL) <> (every IS NULL)),
	CHECK ((next_at IS NULL) = (due_at IS NULL) AND due_at >= next_at)
) WITH (fillfactor = 70);
COMMENT ON TABLE aion._schedule IS 'schedules: what they start, when, and up to which tick that has been decided';

CREATE TABLE aion._schedule_tick (
	run_key bigint NOT NULL,
	nominal_at timestamptz NOT NULL,
	owner_key int NOT NULL,
	state text NOT NULL CHECK (state IN ('pending', 'buffered', 'started', 'skipped', 'missed', 'failed')),
	open boolean NOT NULL DEFAULT false,
	decided_at timestamptz NOT NULL,
	until_at timestamptz CHECK (until_at IS NULL OR state = 'missed'),
	workflow_id text NOT NULL,
	error jsonb CHECK ((error IS NULL) = (state <> 'failed')),
	PRIMARY KEY (run_key, nominal_at)
);
CREATE INDEX _schedule_tick_waiting_idx ON aion._schedule_tick (run_key, state, nominal_at)
	WHERE state IN ('pending', 'buffered');
CREATE INDEX _schedule_tick_open_idx ON aion._schedule_tick (run_key) WHERE open;
COMMENT ON TABLE aion._schedule_tick IS 'ticks of schedules, and what became of each';

SELECT pg_extension_config_dump('aion._schedule', '');
SELECT pg_extension_config_dump('aion._schedule_tick', '');

ALTER TABLE aion._schedule ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._schedule FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
ALTER TABLE aion._schedule_tick ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._schedule_tick FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
