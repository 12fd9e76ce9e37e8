/* Last in every script: nothing for PUBLIC, and again what was granted before. */

REVOKE ALL ON ALL ROUTINES IN SCHEMA aion, aion_test FROM PUBLIC;
REVOKE ALL ON TYPE aion.handle, aion.scope, aion.event, aion.event_type FROM PUBLIC;
SELECT aion._apply_grant(r.rolname, g.level)
	FROM aion._grant g JOIN aion._owner o USING (owner_key) JOIN pg_roles r ON r.oid = o.role;

DO $$
BEGIN
	IF NOT (SELECT preloaded FROM aion._stat_engine()) THEN
		RAISE WARNING 'aion is not in shared_preload_libraries, so nothing executes workflows by itself'
			USING HINT = 'Add it and restart the server; until then use CALL aion.drive().';
	END IF;
END $$;
