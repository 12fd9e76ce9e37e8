/* Where this database was adopted. No row is written here before the first registration or start. */

CREATE TABLE aion._adoption (
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	system_identifier text NOT NULL,
	database oid NOT NULL,
	extension oid NOT NULL,
	execution text NOT NULL DEFAULT 'on',
	adopted_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE aion._adoption IS 'the place where this database executes its runs';
SELECT pg_extension_config_dump('aion._adoption', '');
ALTER TABLE aion._adoption ENABLE ROW LEVEL SECURITY;

CREATE TABLE aion._pause (
	singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
	paused_by text NOT NULL,
	paused_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE aion._pause IS 'the role that has paused the engine in this database; no row while it is not paused';
SELECT pg_extension_config_dump('aion._pause', '');
ALTER TABLE aion._pause ENABLE ROW LEVEL SECURITY;
