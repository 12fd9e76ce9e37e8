--
-- Languages: workflow code in each tells one error of aion from another, and goes on after it.
--
-- 11.26 PL/Python has no exception of its own for these SQLSTATEs, PL/Perl none at all.
--
\set ON_ERROR_STOP 0
CREATE EXTENSION IF NOT EXISTS plpython3u;
CREATE EXTENSION IF NOT EXISTS plperl;
CREATE EXTENSION IF NOT EXISTS pltcl;
CREATE ROLE language_user LOGIN;
SELECT aion.grant_usage('language_user');
GRANT CREATE ON SCHEMA public TO language_user;
-- Python is for superusers; lent for this test, so that its workflows have an ordinary owner.
UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'plpython3u';
GRANT USAGE ON LANGUAGE plpython3u, plperl, pltcl TO language_user;
SET SESSION AUTHORIZATION language_user;

-- An activity that fails in the turn, and one that a worker does.
CREATE FUNCTION breaks() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0';
SELECT aion.register_activity('breaks', 'breaks()');
SELECT aion.register_activity('slow', mode => 'external', start_to_close_timeout => '1 h', schedule_to_close_timeout => '1 h');
CREATE FUNCTION lost() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'lost'; END $$;
SELECT aion.register_workflow('lost', 'lost()') IS NOT NULL AS registered;
CREATE FUNCTION keep(said text) RETURNS text LANGUAGE sql AS 'SELECT said';
SELECT aion.register_activity('keep', 'keep(text)');

-- Each statement is tried; what its handler is told goes into history, so that a replay compares it.
CREATE FUNCTION statements() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY[
	'SELECT aion.raised()',
	'SELECT aion.run(''breaks'')',
	'SELECT aion.run(''slow'')',
	'SELECT aion.run_child(''lost'')',
	'SELECT aion.run(''breaks'', options => ''{"no": 1}'')',
	'SELECT aion.run(''missing'')',
	'SELECT aion.await(aion.start_timer(''nap'', ''1 day''), ''1 h'')',
	'SELECT aion.begin_timeout(''1 h''), aion.sleep(''1 day'')',
	'SELECT aion.map_settled(''breaks'', ''[{}]'')',
	'SELECT aion.sleep(''1 day'')'] $$;
CREATE FUNCTION tells_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text := '';
	statement text;
BEGIN
	FOREACH statement IN ARRAY statements() LOOP
		BEGIN
			EXECUTE statement;
			said := said || ' -';
		EXCEPTION WHEN OTHERS THEN
			said := said || ' ' || aion.raised();
			IF aion.raised() <> SQLSTATE THEN
				RAISE EXCEPTION '% is told as %', SQLSTATE, aion.raised();
			END IF;
			PERFORM aion.run('keep', jsonb_build_object('said', said));
		END;
	END LOOP;
	RETURN said;
END $$;
CREATE FUNCTION tells_python() RETURNS text LANGUAGE plpython3u AS $$
said = ''
for statement in plpy.execute('SELECT statements() AS s')[0]['s']:
    try:
        plpy.execute(statement)
        said += ' -'
    except plpy.SPIError:
        said += ' ' + plpy.execute('SELECT aion.raised() AS state')[0]['state']
        plpy.execute("SELECT aion.run('keep', jsonb_build_object('said', %s))" % plpy.quote_literal(said))
return said
$$;
CREATE FUNCTION tells_perl() RETURNS text LANGUAGE plperl AS $$
my $said = '';
for my $statement (@{ spi_exec_query('SELECT statements() AS s')->{rows}[0]{s} }) {
	if (eval { spi_exec_query($statement); 1 }) {
		$said .= ' -';
		next;
	}
	$said .= ' ' . spi_exec_query('SELECT aion.raised() AS state')->{rows}[0]{state};
	spi_exec_query("SELECT aion.run('keep', jsonb_build_object('said', " . quote_literal($said) . "))");
}
return $said;
$$;
CREATE FUNCTION tells_tcl() RETURNS text LANGUAGE pltcl AS $$
set said ""
spi_exec -array row "SELECT unnest(statements()) AS s" { lappend todo $row(s) }
foreach statement $todo {
	if {[catch { spi_exec $statement }]} {
		set told [lindex $::errorCode 3]
		spi_exec "SELECT aion.raised() AS state"
		if {$told ne $state} { error "$told is told as $state" }
		append said " $state"
		spi_exec "SELECT aion.run('keep', jsonb_build_object('said', '[quote $said]'))"
	} else {
		append said " -"
	}
}
return $said
$$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT f, aion.register_workflow(f, (f || '()')::regprocedure) IS NOT NULL AS registered, aion.start_workflow(f, workflow_id => f)
	FROM unnest('{tells_plpgsql,tells_python,tells_perl,tells_tcl}'::text[]) f;
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
-- In the last sleep they are asked to cancel.
SELECT workflow_id, blocked, awaiting, key FROM aion.workflow_run LEFT JOIN aion.pending_await USING (workflow_id) WHERE workflow_id LIKE 'tells%' ORDER BY 1;
SELECT aion.cancel_workflow(workflow_id) FROM aion.workflow_run WHERE workflow_id LIKE 'tells%';
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT workflow_id, status, result, error FROM aion.workflow_run WHERE workflow_id LIKE 'tells%' ORDER BY 1;
SELECT workflow_id, aion_test.replay(workflow_id) FROM aion.workflow_run WHERE workflow_id LIKE 'tells%' ORDER BY 1;
ROLLBACK;

-- It is for workflow code.
SELECT aion.raised();
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY language_user CASCADE;
DROP ROLE language_user;
DROP EXTENSION plpython3u, plperl, pltcl;
CREATE EXTENSION aion;
