/* What runs can be searched by, and notes about them: not in their rows, which every turn writes. */

CREATE TABLE aion._attribute (
	run_key bigint PRIMARY KEY,
	owner_key int NOT NULL,
	search_attributes jsonb,
	memo jsonb
);
COMMENT ON TABLE aion._attribute IS 'what runs can be searched by, and notes about them';

CREATE INDEX _attribute_search_idx ON aion._attribute USING gin (search_attributes jsonb_path_ops);
SELECT pg_extension_config_dump('aion._attribute', '');

ALTER TABLE aion._attribute ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._attribute FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
