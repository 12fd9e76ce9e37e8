/*
 * First in every update: locks what the update changes. A session that reads a view has locked the view and waits for the tables,
 * so an update that waited for the view with the tables locked would deadlock with it. The update lets all go instead, and tries again,
 * until the lock_timeout of the session is over.
 */
DO $$
DECLARE
	relations text := (SELECT string_agg(oid::regclass::text, ', ' ORDER BY relkind DESC, oid) FROM pg_class
		WHERE relnamespace = 'aion'::regnamespace AND relkind IN ('r', 'v'));
	usual text := current_setting('lock_timeout');
	until timestamptz := clock_timestamp() + (SELECT nullif(setting::int, 0) FROM pg_settings WHERE name = 'lock_timeout') * interval '1 ms';
BEGIN
	LOOP
		BEGIN
			PERFORM set_config('lock_timeout', '100ms', true);
			EXECUTE 'LOCK TABLE ' || relations || ' IN ACCESS EXCLUSIVE MODE';
			PERFORM set_config('lock_timeout', usual, true);
			EXIT;
		EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
			IF clock_timestamp() > until THEN RAISE; END IF;
			PERFORM pg_sleep(0.05);
		END;
	END LOOP;
END $$;

/* Changes nothing, and tells every session to read the version again: also where the library, which would do that, is not preloaded. */
ALTER TABLE aion._run ENABLE ROW LEVEL SECURITY;
