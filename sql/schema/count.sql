/*
 * How many runs there are of each owner, version and status: the sum of the rows that are alike. Each transaction
 * that changes these numbers inserts rows of its own, and the engine replaces many rows by their sums. Rows are
 * short, so there is no TOAST table: a row is inserted where no snapshot is left.
 */

CREATE TABLE aion._run_count (
	owner_key int NOT NULL,
	version_key int NOT NULL,
	status varchar(20) NOT NULL,
	runs bigint NOT NULL
);
COMMENT ON TABLE aion._run_count IS 'by how many the number of runs has changed; summed up, how many there are';
ALTER TABLE aion._run_count REPLICA IDENTITY FULL; -- or a publication of all tables would forbid to remove rows
SELECT pg_extension_config_dump('aion._run_count', '');

ALTER TABLE aion._run_count ENABLE ROW LEVEL SECURITY;
CREATE POLICY visible ON aion._run_count FOR SELECT
	USING (owner_key = ANY ((SELECT aion._visible_owners(true))::int[]));
