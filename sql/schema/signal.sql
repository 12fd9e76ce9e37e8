/* Signals beside the inbox and the history: known ids, and what came too late. */

CREATE TABLE aion._signal_id (
	run_key bigint NOT NULL,
	owner_key int NOT NULL,
	dedup_id text NOT NULL,
	PRIMARY KEY (run_key, dedup_id)
);
COMMENT ON TABLE aion._signal_id IS 'ids under which signals were sent to runs, so that none is taken twice';
SELECT pg_extension_config_dump('aion._signal_id', '');

CREATE TABLE aion._late_signal (
	run_key bigint NOT NULL,
	arrival bigint NOT NULL,
	sent_at timestamptz NOT NULL,
	owner_key int NOT NULL,
	name text NOT NULL,
	sender text NOT NULL,
	dedup_id text,
	payload jsonb NOT NULL,
	PRIMARY KEY (run_key, arrival)
);
COMMENT ON TABLE aion._late_signal IS 'signals whose commit came after the end of their run';
SELECT pg_extension_config_dump('aion._late_signal', '');

ALTER TABLE aion._signal_id ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._signal_id FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
ALTER TABLE aion._late_signal ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._late_signal FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
