--
-- Seeing the engine itself. Here it has no processes: the tests step it by hand.
--
CREATE ROLE health_user LOGIN;
CREATE ROLE health_monitor LOGIN;
SELECT aion.grant_usage('health_user'), aion.grant_usage('health_monitor', 'monitor');
GRANT CREATE ON SCHEMA public TO health_user;
SET SESSION AUTHORIZATION health_monitor;
SELECT "check", ok, regexp_replace(detail, '\d+', 'N', 'g') AS detail, hint FROM aion.health();
SELECT preloaded, launcher_pid, scheduler_pid, runners, max_runners, fence, execution FROM aion.stat_engine;
SELECT * FROM aion.stat_runner;

-- What is wrong is said, as far as one may see.
SET SESSION AUTHORIZATION health_user;
CREATE FUNCTION waits() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('1 microsecond'), aion.run('no such') $$;
SELECT aion.register_workflow('waits', 'waits()') IS NOT NULL AS registered;
SELECT aion.start_workflow('waits', workflow_id => 'w');
CALL aion.drive();
SELECT pg_sleep(0.001);
CALL aion.drive();
SELECT "check", ok, detail, hint FROM aion.health() WHERE "check" = 'runs';

RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY health_user, health_monitor CASCADE;
DROP ROLE health_user, health_monitor;
CREATE EXTENSION aion;
