# T25, T60, T61, T111, C10: dumps are complete, restore in any way, and what was restored executes nothing until it is
# adopted; then everything goes on, for the roles that are there.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $source = new_node('source');
my $dir = PostgreSQL::Test::Utils::tempdir();
install($source);
$source->safe_psql('postgres', q{
	CREATE ROLE bob LOGIN;
	SELECT aion.grant_usage('bob');
	CREATE SCHEMA bob AUTHORIZATION bob;
	CREATE ROLE watcher LOGIN;
	SELECT aion.grant_usage('watcher', 'monitor')});

# Two owners, each with a run in the middle, a run that ended, a due timer, a version that is not the latest.
for my $user (qw(alice bob))
{
	$source->safe_psql('postgres', qq{
		CREATE TABLE $user.effect (what text);
		CREATE FUNCTION $user.act(what text) RETURNS text LANGUAGE sql AS \$\$ INSERT INTO $user.effect VALUES (what) RETURNING what \$\$;
		SELECT aion.register_activity('act of $user', '$user.act(text)');
		CREATE FUNCTION $user.steps(who text) RETURNS text LANGUAGE plpgsql AS \$\$
		BEGIN
			PERFORM aion.run('act of ' || who, '{"what": "first"}');
			PERFORM aion.sleep('1 microsecond');
			PERFORM aion.sleep('1 microsecond');
			PERFORM aion.run('act of ' || who, '{"what": "second"}');
			RETURN 'made by the first version';
		END \$\$;
		SELECT aion.register_workflow('steps of $user', '$user.steps(text)');
		SELECT aion.start_workflow('steps of $user', '{"who": "$user"}', workflow_id => '$user done');
		CALL aion.drive();
		SELECT pg_sleep(0.01);
		CALL aion.drive();
		SELECT pg_sleep(0.01);
		CALL aion.drive();
		SELECT aion.start_workflow('steps of $user', '{"who": "$user"}', workflow_id => '$user open',
			search_attributes => '{"kind": "open"}');
		CALL aion.drive(1);
		CREATE OR REPLACE FUNCTION $user.steps(who text) RETURNS text LANGUAGE sql AS \$\$ SELECT 'made by the second version' \$\$;
		}, connstr => $source->connstr('postgres') . " user=$user");
}

sub look
{
	my ($node, $database) = @_;
	return $node->safe_psql($database, q{
		SELECT w.workflow_id, w.workflow_type, w.version, w.status, w.run_id, w.result, w.search_attributes FROM aion.workflow_run w ORDER BY 1;
		SELECT h.* FROM aion.history_event h ORDER BY run_id, seq;
		SELECT * FROM aion.timer ORDER BY 1;
		SELECT * FROM aion.workflow_version ORDER BY 1, 2;
		SELECT name, handler FROM aion._activity ORDER BY 1;
		SELECT o.name, g.level FROM aion._grant g JOIN aion._owner o USING (owner_key) ORDER BY 1, 2;
		SELECT * FROM alice.effect;
		SELECT * FROM bob.effect});
}
sub effects
{
	my ($node, $database, $user) = @_;
	return $node->safe_psql($database, "SELECT what, count(*) FROM $user.effect GROUP BY 1 ORDER BY 1");
}
sub drive
{
	my ($node, $database, $user) = @_;
	my ($code, $out, $err) = $node->psql($database, 'CALL aion.drive(); SELECT pg_sleep(0.01); CALL aion.drive(); SELECT pg_sleep(0.01); CALL aion.drive()',
		connstr => $node->connstr($database) . " user=$user");
	return $err;
}

my $before = look($source, 'postgres');
like($before, qr/alice open.*running/, 'there is something to dump');
is(effects($source, 'postgres', 'alice'), "first|2\nsecond|1", 'and effects of it');

# With psql, into another server, where the roles are.
my $globals = "$dir/globals.sql";
command_ok([ 'pg_dumpall', '-g', '--no-role-passwords', '-d', $source->connstr('postgres'), '-f', $globals ], 'dump roles');
command_ok([ 'pg_dump', '-d', $source->connstr('postgres'), '-f', "$dir/plain.sql" ], 'dump as a script');
command_ok([ 'pg_dump', '-Fd', '-j2', '-d', $source->connstr('postgres'), '-f', "$dir/parallel" ], 'dump as a directory');

my $target = new_node('target');
$target->psql('postgres', "\\i $globals", on_error_stop => 0);
sub check_copy
{
	my ($database, $how) = @_;
	is(look($target, $database), $before, "$how: everything is there");
	all_sound($target, $how, $database);
	for my $user (qw(alice bob))
	{
		like(drive($target, $database, $user), qr/this database is a copy and has not been adopted/, "$how: $user cannot drive a copy");
	}
	is(look($target, $database), $before, "$how: nothing was executed");
	my ($code, $out, $err) = $target->psql($database, 'SELECT aion.adopt_database()', connstr => $target->connstr($database) . ' user=alice');
	like($err, qr/permission denied/, "$how: alice cannot adopt it");
	is($target->safe_psql($database, q{SELECT aion.start_workflow('steps of alice', '{"who": "alice"}', workflow_id => 'started in the copy')},
		connstr => $target->connstr($database) . ' user=alice'), 'started in the copy', "$how: starts are recorded");
	$target->safe_psql($database, 'SELECT aion.adopt_database()');
	for my $user (qw(alice bob))
	{
		is(drive($target, $database, $user), '', "$how: $user drives what was adopted");
		is(effects($target, $database, $user), "first|2\nsecond|2", "$how: each effect of $user is there once");
	}
	is($target->safe_psql($database, 'SELECT workflow_id, result FROM aion.workflow_run ORDER BY 1'),
		qq{alice done|"made by the first version"
alice open|"made by the first version"
bob done|"made by the first version"
bob open|"made by the first version"
started in the copy|"made by the second version"}, "$how: runs end with the version they began with");
	my ($guarded, $o, $refused) = $target->psql($database, "INSERT INTO aion._event VALUES (1, 100, 1, now(), 'TimerFired')");
	like($refused, qr/history of workflow runs cannot be changed/, "$how: history is guarded again");
	all_sound($target, "$how, adopted", $database);
}

$target->safe_psql('postgres', 'CREATE DATABASE plain');
$target->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $target->connstr('plain'), '-f', "$dir/plain.sql" ], 'psql restores');
check_copy('plain', 'psql');
$target->safe_psql('postgres', 'CREATE DATABASE parallel');
$target->command_ok([ 'pg_restore', '-j4', '--exit-on-error', '-d', $target->connstr('parallel'), "$dir/parallel" ], 'pg_restore restores');
check_copy('parallel', 'pg_restore -j4');

# In the place of the original, which is recognised as well: the row of adoption is about an extension that is gone.
$target->safe_psql('postgres', 'CREATE DATABASE replaced');
$target->command_ok([ 'pg_restore', '--exit-on-error', '-d', $target->connstr('replaced'), "$dir/parallel" ], 'pg_restore once');
$target->safe_psql('replaced', 'SELECT aion.adopt_database()');
command_ok([ 'pg_dump', '-Fc', '-d', $target->connstr('replaced'), '-f', "$dir/replaced" ], 'dump what was adopted');
$target->safe_psql('replaced', 'DROP EXTENSION aion CASCADE; DROP SCHEMA IF EXISTS aion_code CASCADE; DROP OWNED BY alice, bob CASCADE');
$target->psql('postgres', "\\i $globals", on_error_stop => 0);
$target->command_ok([ 'pg_restore', '--exit-on-error', '-d', $target->connstr('replaced'), "$dir/replaced" ], 'and put it back into its own place');
check_copy('replaced', 'pg_restore in place');

# A database made of a template is a copy.
$target->safe_psql('postgres', 'CREATE DATABASE original');
install($target, 'original');
$target->safe_psql('original', q{
	CREATE FUNCTION alice.nothing() RETURNS void LANGUAGE sql AS 'SELECT';
	SELECT aion.register_workflow('nothing', 'alice.nothing()');
	SELECT aion.start_workflow('nothing', workflow_id => 'n')}, connstr => $target->connstr('original') . ' user=alice');
$target->safe_psql('postgres', 'CREATE DATABASE cloned TEMPLATE original');
like(drive($target, 'cloned', 'alice'), qr/has not been adopted/, 'a clone is fenced');
is(drive($target, 'original', 'alice'), '', 'its template is not');

# Copies within the server: an owner is the role that it was, also if another one has its old name by now and the copy does not know it yet.
$target->safe_psql('postgres', 'CREATE DATABASE named; CREATE ROLE ra LOGIN');
install($target, 'named');
$target->safe_psql('named', q{
	SELECT aion.grant_usage('ra');
	CREATE FUNCTION alice.whose() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('go'); RETURN current_user; END $$;
	ALTER FUNCTION alice.whose() OWNER TO ra; GRANT USAGE ON SCHEMA alice TO ra});
$target->safe_psql('named', q{SELECT aion.register_workflow('whose', 'alice.whose()'); SELECT aion.start_workflow('whose', workflow_id => 'ra 1')}, connstr => $target->connstr('named') . ' user=ra');
$target->safe_psql('postgres', q{ALTER ROLE ra RENAME TO ra_old; CREATE ROLE ra LOGIN});
$target->safe_psql('named', q{UPDATE aion._owner SET name = 'ra' WHERE name = 'ra_old'}); # as if the engine had not seen it yet
$target->command_ok([ 'pg_dump', '-Fc', '-d', $target->connstr('named'), '-f', "$dir/named" ], 'dump with the old name');
$target->safe_psql('postgres', 'CREATE DATABASE template_copy TEMPLATE named; CREATE DATABASE dump_copy');
$target->command_ok([ 'pg_restore', '--exit-on-error', '-d', $target->connstr('dump_copy'), "$dir/named" ], 'restore it into the same server');
for my $copy ('template_copy', 'dump_copy')
{
	$target->safe_psql($copy, q{SELECT aion.adopt_database(), aion.grant_usage('ra')});
	is($target->safe_psql($copy, q{SELECT owner FROM aion.workflow_run}), 'ra_old', "$copy: the run is of the role that has started it");
	is($target->safe_psql($copy, q{SELECT count(*) FROM aion.workflow_run}, connstr => $target->connstr($copy) . ' user=ra'), '0', "$copy: the other role does not see it");
	$target->safe_psql($copy, q{SELECT aion.signal_workflow('ra 1', 'go')}, connstr => $target->connstr($copy) . ' user=ra_old');
	is(drive($target, $copy, 'ra_old'), '', "$copy: it goes on");
	is($target->safe_psql($copy, q{SELECT status, result FROM aion.workflow_run}), 'completed|"ra_old"', "$copy: as that role");
}

# Without one of the roles.
my $poorer = new_node('poorer');
$poorer->safe_psql('postgres', 'CREATE ROLE alice LOGIN; CREATE DATABASE restored');
$poorer->command_fails([ 'pg_restore', '-j4', '-d', $poorer->connstr('restored'), "$dir/parallel" ], 'pg_restore complains about the role that is missing');
is(look($poorer, 'restored'), $before, 'a role is missing: everything is there');
$poorer->safe_psql('restored', 'SELECT aion.adopt_database()');
is(drive($poorer, 'restored', 'alice'), '', 'a role is missing: another drives');
is($poorer->safe_psql('restored', 'SELECT workflow_id, status FROM aion.workflow_run ORDER BY 1'),
	"alice done|completed\nalice open|completed\nbob done|completed\nbob open|running", 'a role is missing: its runs wait');
all_sound($poorer, 'a role is missing', 'restored');
$poorer->safe_psql('restored', q{
	CREATE ROLE bob LOGIN;
	SELECT aion.grant_usage('bob');
	ALTER SCHEMA bob OWNER TO bob;
	ALTER TABLE bob.effect OWNER TO bob;
	ALTER FUNCTION bob.act OWNER TO bob});
is(drive($poorer, 'restored', 'bob'), '', 'the role comes back: it drives');
is($poorer->safe_psql('restored', q{SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'bob open'}),
	'completed|"made by the first version"', 'the role comes back: its runs end');
all_sound($poorer, 'the role comes back', 'restored');

done_testing();
