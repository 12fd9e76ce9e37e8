/*
 * Last in every script: nothing for PUBLIC, and again what was granted before. In a copy that comes from another server an oid may be
 * another role's, so the name decides.
 */

REVOKE ALL ON ALL ROUTINES IN SCHEMA aion, aion_test FROM PUBLIC;
REVOKE ALL ON TYPE aion.handle, aion.scope, aion.event, aion.event_type FROM PUBLIC;
SELECT aion._apply_grant(r.rolname, g.level)
	FROM aion._grant g JOIN aion._owner o USING (owner_key)
	JOIN pg_roles r ON CASE WHEN EXISTS (SELECT FROM aion._adoption a JOIN pg_control_system() s ON a.system_identifier = s.system_identifier::text)
		THEN r.oid = o.role ELSE r.rolname = o.name END;

DO $$
BEGIN
	IF NOT (SELECT preloaded FROM aion._stat_engine()) THEN
		RAISE WARNING 'aion is not in shared_preload_libraries, so nothing executes workflows by itself'
			USING HINT = 'Add it and restart the server; until then use CALL aion.drive().';
	END IF;
END $$;
