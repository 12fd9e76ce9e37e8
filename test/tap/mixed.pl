# T55, T56, T104: a library and a schema of different versions. Calls are refused with a hint, views can be read, the engine
# waits and serves the other databases, and all goes on by itself when the versions are the same.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('mixed', 'aion.max_runners = 4', 'aion.retention = -1', 'max_worker_processes = 20', q{log_line_prefix = '%m [%p] %b '});
my $current = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'aion'});
install($node);
add_steps($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');

# What the processes of the engine have said of a kind.
sub said
{
	my ($what) = @_;
	return scalar grep { /$what/ } grep { /^\S+ \S+ \S+ \[\d+\] aion (launcher|scheduler|runner|executor) / } split /\n/, slurp_file($node->logfile);
}

sub starts_and_ends
{
	my ($id, $what) = @_;
	$node->safe_psql('postgres', "SELECT aion.start_workflow('steps', '{\"n\": 3}', workflow_id => '$id')", @alice);
	wait_until($node, $what, "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$id'");
}

# Calls every function of the extension, with arguments that suit most of them, and returns what was not refused because of the version.
my $sweep = q{
	CREATE FUNCTION pg_temp.sweep(OUT called text, OUT state text, OUT message text) RETURNS SETOF record LANGUAGE plpgsql AS $$
	DECLARE
		f record;
		hint text;
	BEGIN
		FOR f IN SELECT p.oid::regproc::text AS name, format('%s %s(%s)', CASE p.prokind WHEN 'p' THEN 'CALL' ELSE 'SELECT' END, p.oid::regproc, (
				SELECT string_agg(coalesce(quote_literal(CASE
					WHEN a.name IN ('if_running') THEN 'error' WHEN a.name = 'if_closed' THEN 'allow' WHEN a.name = 'mode' THEN 'external' WHEN a.name = 'level' THEN 'user'
					WHEN t.typname = 'jsonb' THEN '{}' WHEN t.typname = '_jsonb' THEN '{"{}"}' WHEN t.typname = '_text' THEN '{running}'
					WHEN t.typname IN ('text', 'name', 'regrole') THEN 'alice' WHEN t.typname = 'interval' THEN '1 second'
					WHEN t.typname = 'uuid' THEN '00000000-0000-0000-0000-000000000000' WHEN t.typname = 'timestamptz' THEN '2026-01-01 00:00+00'
					WHEN t.typname IN ('int4', 'int8', 'float4', 'float8') THEN '1' WHEN t.typname = 'bool' THEN 'true' WHEN t.typname = 'regprocedure' THEN 'pg_catalog.now()'
					END), 'NULL') || '::' || format_type(t.oid, NULL), ', ' ORDER BY a.n)
				FROM unnest(p.proargtypes::oid[], p.proargnames) WITH ORDINALITY a(type, name, n) JOIN pg_type t ON t.oid = a.type WHERE a.type IS NOT NULL)) AS call
			FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'aion'
			WHERE p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND p.prokind = 'f' ORDER BY 1
		LOOP
			called := f.name; state := '-'; message := ''; hint := '';
			BEGIN
				EXECUTE f.call;
			EXCEPTION WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
			END;
			IF state <> '55000' OR message !~ 'is version .*, but its library is version' OR hint !~ 'ALTER EXTENSION aion UPDATE|Restart the server' THEN RETURN NEXT; END IF;
		END LOOP;
	END $$;
	BEGIN;
	SELECT called FROM pg_temp.sweep() WHERE state <> 'WF010'; -- "can only be called in workflow code": there is none now
	ROLLBACK};
# They need no table, or read what every version has.
my $harmless = qr/^aion(?:_test)?\.(_abbreviate|_apply_grant|_assert_replay|_clock|_count_changes|_cron_ticks|_explain_\w+|_functions_of|_line|_missing_bells|_narrate|_narrate_briefly|_plpgsql_check|_queue_pace|_queue_pollers|_stat_engine|_stat_runner|_executing|_stat_workers|_incidents|_violations|_visible_owners|health|replay_all|value)$/;

# An older schema: the server was restarted with a new library.
my @released = split /\n/, $node->safe_psql('postgres', qq{SELECT version FROM pg_available_extension_versions WHERE name = 'aion' AND version <> '$current' ORDER BY 1});
for my $version (@released)
{
	my $database = "older_$version";
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	my $file = "test/corpus/release-$version.sql";
	$node->safe_psql('postgres', 'CREATE ROLE bob LOGIN') if $version eq $released[0];
	my ($code, $out, $error) = $node->psql($database, slurp_file($file) =~ s/(CREATE EXTENSION IF NOT EXISTS aion WITH SCHEMA pg_catalog)/$1 VERSION '$version'/r);
	is("$code $error", '0 ', "a dump of $version restores");
	is(join("\n", grep { !/$harmless/ } split /\n/, $node->safe_psql($database, $sweep)), '', "every function of $version is refused, with a hint");
	for my $call ('aion.drive()', "aion.wait_workflow('x')", "aion.run_workflow('x')", "aion.wait_for_tasks('{x}')", "aion.drive(1)")
	{
		($code, $out, $error) = $node->psql($database, "CALL $call", connstr => qq{host='} . $node->host . qq{' port=} . $node->port . qq{ dbname='$database' user=alice});
		like($error, qr/is version \Q$version\E, but its library is version \Q$current\E.*HINT:  Use ALTER EXTENSION aion UPDATE\./s, "so is $call");
	}
	my $views = $node->safe_psql($database, q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'aion'::regnamespace AND relkind = 'v' AND relname !~ '^_' ORDER BY 1});
	my $as_alice = qq{host='} . $node->host . qq{' port=} . $node->port . qq{ dbname='$database' user=alice};
	for my $view (split /\n/, $views)
	{
		($code, $out, $error) = $node->psql($database, "SELECT * FROM $view", connstr => $as_alice);
		is("$code $error", '0 ', "the view $view can be read");
	}
	is($node->safe_psql($database, q{SELECT count(*) FROM aion.workflow_run}, connstr => $as_alice), $node->safe_psql($database, q{SELECT count(*) FROM aion._run}), 'and alice sees her runs in it');
	like($node->safe_psql($database, q{SELECT hint FROM aion.health() WHERE "check" = 'version'}), qr/ALTER EXTENSION aion UPDATE/, 'health() says what to do');
	$node->safe_psql($database, 'CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS $$ SELECT $$; DROP FUNCTION nothing()');
	starts_and_ends("beside $version", 'the other database is served');
	$node->restart;
	ok($node->poll_query_until($database, q{SELECT pid IS NOT NULL FROM aion.stat_engine s, LATERAL (SELECT s.scheduler_pid AS pid) x}), 'a scheduler waits there');
	starts_and_ends("beside $version again", 'the other database is served after a restart');
	my $lines = said(qr/executes nothing in database "\Q$database\E": extension "aion" is version/);
	ok($lines >= 1 && $lines <= 3, "the log has a line about it for each start of a scheduler: $lines");
	is(said(qr/ERROR|WARNING|PANIC/), 0, 'and no errors');
	$node->safe_psql($database, 'ALTER EXTENSION aion UPDATE');
	$node->safe_psql($database, 'SELECT aion.adopt_database()');
	ok($node->poll_query_until($database, q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'sleeping'}), 'after the update it is served, too');
	is($node->safe_psql($database, $sweep =~ s/.*/SELECT count(*) FROM aion.check_integrity()/sr), 0, 'and sound');
}

# A newer schema: the package was updated and the extension, too, but the server still has the older library. Sessions and
# processes that knew the extension before notice.
$node->safe_psql('postgres', q{CREATE DATABASE other; CREATE FUNCTION added() RETURNS void LANGUAGE sql AS 'SELECT'});
install($node, 'other');
my $session = session($node, 'alice');
my $other = session($node, 'postgres', 'other');
say_to($session, "SELECT aion.start_workflow('steps', '{\"n\": 5}', workflow_id => 'before');\n", qr/before/);
wait_until($node, 'a run was executed', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'before'});
say_to($session, "SELECT aion.start_workflow('steps', '{\"n\": 1}', workflow_id => 'delayed', start_at => now() + '3 seconds');\n", qr/delayed/);
my $become = sub {
	my ($version, $verb) = @_;
	$node->safe_psql('postgres', "BEGIN; UPDATE pg_extension SET extversion = '$version' WHERE extname = 'aion'; ALTER EXTENSION aion $verb FUNCTION added(); COMMIT");
};
$become->('0.3.0', 'ADD');
my $delayed = q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'delayed'};
my $status = $node->safe_psql('postgres', $delayed); # "scheduled", unless this machine is slow
$session->{err} = '';
say_to($session, "SELECT aion.start_workflow('steps', '{\"n\": 1}', workflow_id => 'during');\n", qr/HINT.*\n/);
like($session->{err}, qr/ERROR:  extension "aion" is version 0\.3\.0, but its library is version \Q$current\E\s+HINT:  Restart the server/, 'a session that knew the extension is told to restart the server');
is(join("\n", grep { !/$harmless|^added$/ } split /\n/, $node->safe_psql('postgres', $sweep)), '', 'every function is refused');
wait_until($node, 'its runners leave', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'postgres' AND backend_type LIKE 'aion runner%'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run}, @alice), $node->safe_psql('postgres', 'SELECT count(*) FROM aion._run'), 'views can be read');
$node->safe_psql('other', q{
	CREATE FUNCTION alice.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_workflow('one', 'alice.one()'), aion.start_workflow('one', workflow_id => 'one')}, connstr => $node->connstr('other') . ' user=alice');
ok($node->poll_query_until('other', q{SELECT status = 'completed' FROM aion.workflow_run}), 'another database is served');
ok($node->poll_query_until('postgres', q{SELECT count(*) FILTER (WHERE fire_at >= now()) = 0 FROM aion._timer}), 'a timer is due');
is($node->safe_psql('postgres', $delayed), $status, 'and does not fire');
$become->($current, 'DROP');
say_to($session, "SELECT aion.start_workflow('steps', '{\"n\": 1}', workflow_id => 'after');\n", qr/after/);
wait_until($node, 'it fires when the versions are the same', q{SELECT bool_and(status = 'completed') AND count(*) = 2 FROM aion.workflow_run WHERE workflow_id IN ('delayed', 'after')});

# By hand, and nothing tells the sessions: new ones see it, and the scheduler does when it looks again.
$node->safe_psql('postgres', q{UPDATE pg_extension SET extversion = '0.3.0' WHERE extname = 'aion'});
my ($code, $out, $error) = $node->psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 1}')}, @alice);
like($error, qr/Restart the server/, 'a new session is refused');
$node->safe_psql('postgres', "UPDATE pg_extension SET extversion = '$current' WHERE extname = 'aion'");
starts_and_ends('by hand', 'all goes on');

# In a transaction that is rolled back.
$node->safe_psql('postgres', q{
	BEGIN;
	UPDATE pg_extension SET extversion = '0.3.0' WHERE extname = 'aion';
	ALTER EXTENSION aion ADD FUNCTION added();
	DO $$ BEGIN PERFORM aion.cancel_workflow('x'); RAISE 'not refused'; EXCEPTION WHEN object_not_in_prerequisite_state THEN END $$;
	ROLLBACK;
	DO $$ BEGIN PERFORM aion.cancel_workflow('x'); RAISE 'not refused'; EXCEPTION WHEN SQLSTATE 'WF001' THEN END $$;
	DROP FUNCTION added()});
is(said(qr/executes nothing in database "postgres"/), 1, 'the log has one line about it');
is(said(qr/ERROR|WARNING|PANIC/), 0, 'the engine has had no errors');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'and no process has crashed');
all_sound($node, 'in the end');

done_testing();
