/* What runs answer to queries: for each name the value that their last turn has published, or the state that a handler gets. */

CREATE TABLE aion._published (
	run_key bigint NOT NULL,
	owner_key int NOT NULL,
	name text NOT NULL,
	value jsonb,
	handler text,
	code text,
	copied boolean,
	digest text,
	PRIMARY KEY (run_key, name)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
COMMENT ON TABLE aion._published IS 'what runs answer to queries since their last turn, also after they have ended';
SELECT pg_extension_config_dump('aion._published', '');

ALTER TABLE aion._published ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._published FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
