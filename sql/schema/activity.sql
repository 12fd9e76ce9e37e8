/* Registered activities. */

CREATE TABLE aion._activity (
	name text PRIMARY KEY,
	owner_key int NOT NULL,
	handler text,
	mode text NOT NULL CHECK (mode IN ('inline', 'background', 'external')),
	task_queue text NOT NULL,
	policy jsonb NOT NULL DEFAULT '{}',
	settings jsonb
);
COMMENT ON TABLE aion._activity IS 'registered activities: the owner of the name, and the function that it calls';
SELECT pg_extension_config_dump('aion._activity', '');

ALTER TABLE aion._activity ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._activity FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
