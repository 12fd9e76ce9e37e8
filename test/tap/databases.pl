# 11.20: commands that want a database, or all tables of the engine, for themselves: they get it while activities catch that they are cancelled, and those
# that do not want it leave the engine alone.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

my $node = new_node('main', 'aion.max_runners = 3', 'max_worker_processes = 20', 'log_statement = none');
my $setup = q{
	CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(0.2);
			EXCEPTION WHEN query_canceled THEN
				NULL;
			END;
		END LOOP;
	END $$;
	CREATE FUNCTION waits() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('stubborn'); END $$;
	CREATE FUNCTION counts() RETURNS void LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..100000 LOOP PERFORM aion.run('nothing'); PERFORM aion.sleep('1 ms'); END LOOP; END $$;
	CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS $$ SELECT $$;
	SELECT aion.register_activity('stubborn', 'stubborn()', mode => 'background'), aion.register_activity('nothing', 'nothing()');
	SELECT aion.register_workflow('waits', 'waits()'), aion.register_workflow('counts', 'counts()');
	SELECT aion.start_workflow('waits'), aion.start_workflow('counts'), aion.start_workflow('counts')};
sub processes { my ($type, $database) = @_; return "SELECT pid FROM pg_stat_activity WHERE backend_type = 'aion $type' AND datname = '$database'"; }
# The engine at work in a database, with an activity that cannot be cancelled.
sub set_up
{
	my ($database) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database") if $node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = '$database'") eq '0';
	install($node, $database);
	$node->safe_psql($database, $setup, connstr => $node->connstr($database) . ' user=alice');
	at_work($database, 'before');
}
sub at_work
{
	my ($database, $what) = @_;
	wait_until($node, "$what: the engine is at work", "SELECT count(*) >= 1 FROM pg_stat_activity WHERE datname = '$database' AND backend_type = 'aion executor' AND wait_event = 'PgSleep'");
	wait_until($node, "$what: and executes turns", 'SELECT EXISTS (' . processes('runner', $database) . ')');
}
# A command goes through, and does not take long.
sub goes_through
{
	my ($database, $command) = @_;
	my $began = time;
	my ($code, $out, $err) = $node->psql($database, "SET client_min_messages = error; $command", timeout => 60);
	is("$code $err", '0 ', $command =~ s/\s+/ /gr);
	cmp_ok(time - $began, '<', 20, 'before long');
}

set_up('one');
my $scheduler = $node->safe_psql('postgres', processes('scheduler', 'one'));
my $executor = $node->safe_psql('postgres', processes('executor', 'one'));
$node->safe_psql('postgres', $_) for 'ALTER DATABASE one CONNECTION LIMIT 100', 'ALTER DATABASE one ALLOW_CONNECTIONS true', 'ALTER DATABASE one SET work_mem = 8192',
	'BEGIN; ALTER DATABASE one CONNECTION LIMIT 50; SELECT pg_sleep(0.5); ROLLBACK';
is($node->safe_psql('postgres', processes('scheduler', 'one')), $scheduler, 'ALTER DATABASE ... CONNECTION LIMIT leaves the scheduler');
is($node->safe_psql('postgres', processes('executor', 'one')), $executor, 'and what is executed');
my ($code, $out, $err) = $node->psql('one', 'DROP EXTENSION plpgsql', timeout => 60);
like($err, qr/other objects depend on it/, 'a command that would drop the extension is refused');
at_work('one', 'after that');
goes_through('postgres', 'ALTER DATABASE one RENAME TO two');
at_work('two', 'renamed');
goes_through('postgres', 'DROP DATABASE two');

# Whatever locks all tables of the extension: the engine gets out of its way.
for my $command ('DROP EXTENSION plpgsql CASCADE; CREATE EXTENSION plpgsql', 'DROP OWNED BY keeper CASCADE; DROP ROLE keeper', 'DROP EXTENSION aion CASCADE')
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS one');
	$node->safe_psql('postgres', 'CREATE DATABASE one');
	$node->safe_psql('postgres', 'CREATE ROLE keeper SUPERUSER LOGIN') if $command =~ /keeper/;
	$node->safe_psql('one', 'SET ROLE keeper; CREATE EXTENSION aion') if $command =~ /keeper/;
	set_up('one');
	goes_through('one', $command);
	wait_until($node, 'the engine has left', "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'one' AND backend_type ~ '^aion'");
	is($node->safe_psql('one', q{SELECT count(*) FROM pg_extension WHERE extname = 'aion'}), '0', 'with the extension');
}
set_up('three');
$node->safe_psql('three', 'CREATE ROLE heir SUPERUSER; CREATE ROLE testator SUPERUSER; UPDATE pg_extension SET extowner = $$testator$$::regrole WHERE extname = $$aion$$');
goes_through('three', 'REASSIGN OWNED BY testator TO heir');
at_work('three', 'with another owner');
# 11.5: the names of owners follow those of their roles at once and in every database, so that no dump carries a name that means another role by then.
my @databases = ('postgres', 'three');
$node->safe_psql('postgres', 'CREATE EXTENSION IF NOT EXISTS aion; SELECT aion.grant_usage($$alice$$)');
$node->safe_psql('postgres', 'ALTER ROLE alice RENAME TO alice_old; CREATE ROLE alice LOGIN');
ok($node->poll_query_until($_, q{SELECT name FROM aion._owner WHERE role = 'alice_old'::regrole}, 'alice_old'), "renamed in $_") for @databases;

# 11.15: the scheduler does not wait for a transaction that keeps a name that is to be given: timers fall due and runs end meanwhile.
$node->safe_psql('postgres', q{CREATE ROLE kid LOGIN; CREATE ROLE zed LOGIN; CREATE ROLE vic LOGIN; SELECT aion.grant_usage(r) FROM unnest('{kid,zed,vic}'::text[]) r; GRANT vic TO kid; GRANT CREATE ON SCHEMA public TO vic;});
$node->safe_psql('postgres', q{CREATE FUNCTION naps() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('50 ms'); END $$; SELECT aion.register_workflow('naps', 'naps()')},
	connstr => $node->connstr('postgres') . ' user=vic');
$node->safe_psql('postgres', q{DELETE FROM aion._grant g USING aion._owner o WHERE o.owner_key = g.owner_key AND o.name = 'kid'; DELETE FROM aion._owner WHERE name = 'kid'}); # it begins now
my $kid = session($node, 'kid');
say_to($kid, "BEGIN; SELECT aion.start_workflow('naps', workflow_id => 'held', start_at => '2100-01-01'); SELECT 'held';\n", qr/held/);
$node->safe_psql('postgres', 'ALTER ROLE kid RENAME TO kid_old; ALTER ROLE zed RENAME TO kid');
for my $i (1 .. 3)
{
	$node->safe_psql('postgres', "SELECT aion.start_workflow('naps', workflow_id => 'nap $i')", connstr => $node->connstr('postgres') . ' user=vic');
	ok($node->poll_query_until('postgres', "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'nap $i'"), 'a timer fires meanwhile');
}
is($node->safe_psql('postgres', q{SELECT name FROM aion._owner WHERE role = 'kid'::regrole}), 'zed', 'the name is out of date');
say_to($kid, "COMMIT; SELECT 'gone';\n", qr/gone/);
$node->safe_psql('postgres', 'ALTER ROLE alice_old RENAME TO alice_older');
ok($node->poll_query_until('postgres', q{SELECT name FROM aion._owner WHERE role = 'kid'::regrole}, 'kid'), 'and follows afterwards');
unlike(slurp_file($node->logfile), qr/deadlock detected|TRAP|PANIC/, 'no deadlock, no crash');

# A transaction that has locked databases keeps no worker slots: the engine gives up looking into them, and looks again later.
sub serves
{
	my ($database) = @_;
	install($node, $database);
	$node->safe_psql($database, q{
		CREATE FUNCTION nothing() RETURNS void LANGUAGE sql AS $$ SELECT $$;
		SELECT aion.register_workflow('nothing', 'nothing()'), aion.start_workflow('nothing')}, connstr => $node->connstr($database) . ' user=alice');
	ok($node->poll_query_until($database, q{SELECT status = 'completed' FROM aion.workflow_run}), "the engine executes runs of database $database");
}
goes_through('postgres', 'DROP DATABASE three');
$node->safe_psql('postgres', "CREATE DATABASE $_") for 'locked', 'locked_too', 'beside';
my $locks = session($node, 'postgres');
say_to($locks, "BEGIN; ALTER DATABASE locked RENAME TO other; ALTER DATABASE locked_too RENAME TO other_too; SELECT 'renamed';\n", qr/renamed/);
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = $$aion launcher$$');
my $waits = q{SELECT pid FROM pg_locks WHERE locktype = 'object' AND classid = 'pg_database'::regclass AND NOT granted};
wait_until($node, 'a scheduler waits for a locked database', "SELECT EXISTS ($waits)");
serves('beside');
# (A process that an earlier launcher, or autovacuum, has started there waits as long as the lock is held.)
my (%waited, $given_up);
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	my %waiting = map { $_ => 1 } split /\n/, $node->safe_psql('postgres', $waits);
	$given_up = grep { !$waiting{$_} } keys %waited;
	last if $given_up;
	%waited = (%waited, %waiting);
	usleep(100_000);
}
ok($given_up, '... for a while');
say_to($locks, "ROLLBACK; SELECT 'as it was';\n", qr/as it was/);
serves('locked_too');

done_testing();
