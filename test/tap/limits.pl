# T29, T30, T36, T40, T108: a server without room for processes, maintenance of the engine's tables under load, table locks,
# publications; F22: retention.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub setup
{
	my ($node) = @_;
	install($node);
	add_steps($node);
}
sub start
{
	my ($node, $runs, $steps, $name) = @_;
	$node->safe_psql('postgres', "SELECT aion.start_workflow('steps', '{\"n\": $steps}', workflow_id => '$name ' || i) FROM generate_series(1, $runs) i",
		connstr => $node->connstr('postgres') . ' user=alice');
}
sub failing { return $_[0]->safe_psql('postgres', 'SELECT string_agg("check", $$ $$ ORDER BY "check") FROM aion.health() WHERE NOT ok'); }

# No room for any process of the engine: starts commit, health() says what is wrong, drive() executes.
my $none = new_node('none', 'aion.max_runners = 2', 'max_worker_processes = 0');
setup($none);
start($none, 3, 1, 'w');
is(failing($none), 'launcher scheduler workers', 'T30: health() says that there is no process');
$none->safe_psql('postgres', 'CALL aion.drive(); SELECT pg_sleep(0.01); CALL aion.drive()', connstr => $none->connstr('postgres') . ' user=alice');
is($none->safe_psql('postgres', 'SELECT DISTINCT status FROM aion.workflow_run'), 'completed', 'T30: drive() works all the same');

# Room for launcher and scheduler, and for one runner of two owners' runs.
my $few = new_node('few', 'aion.max_runners = 4', 'max_worker_processes = 4');
setup($few);
$few->safe_psql('postgres', "CREATE ROLE bob LOGIN IN ROLE alice; SELECT aion.grant_usage('bob')");
start($few, 10, 3, 'w');
$few->safe_psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 2}', workflow_id => 'of bob')}, connstr => $few->connstr('postgres') . ' user=bob');
wait_until($few, 'T29: all runs end with one runner at a time', q{SELECT count(*) = 11 AND every(status = 'completed') FROM aion.workflow_run});
is($few->safe_psql('postgres', 'SELECT 1'), '1', 'T29: and no other session is affected');

# 11.19: more databases than there are worker processes for, and than fit into any fixed number: those that can be served are, health() names
# the others wherever it is called, and the log is not filled.
my $many = new_node('many', 'aion.max_runners = 1', 'max_worker_processes = 8', 'autovacuum = off');
install($many);
$many->safe_psql('postgres', "CREATE DATABASE db$_ TEMPLATE postgres") for 2 .. 5;
wait_until($many, 'five databases are served', q{SELECT count(DISTINCT datname) = 5 FROM pg_stat_activity WHERE backend_type = 'aion scheduler'});
is(failing($many), '', 'health() finds all well');
$many->safe_psql('postgres', 'CREATE DATABASE db6; CREATE DATABASE empty7');
my ($code, $out, $err) = $many->psql('db6', 'CREATE EXTENSION aion');
like($err, qr/WARNING:  max_worker_processes is 8, but 9 are needed/, 'CREATE EXTENSION warns where there are too few processes');
my $workers = q{SELECT detail FROM aion.health() WHERE "check" = 'workers' AND NOT ok};
for my $database ('db6', 'postgres', 'db2')
{
	ok($many->poll_query_until($database, "SELECT ($workers) = '9 of 8 needed for databases with aion: 6, 1 not served: db6'"), "health() in $database names the one that is not served");
}
add_steps($many);
start($many, 3, 1, 'w');
wait_until($many, 'there is room for a runner', q{SELECT count(*) = 3 AND every(status = 'completed') FROM aion.workflow_run});
$many->restart;
wait_until($many, 'five databases are served again', q{SELECT count(DISTINCT datname) = 5 FROM pg_stat_activity WHERE backend_type = 'aion scheduler'});
wait_until($many, 'and one is not', "SELECT ($workers) ~ ', 1 not served: '");
my @lines = slurp_file($many->logfile) =~ /could not start aion scheduler/g;
cmp_ok(scalar(@lines), '<=', 4, 'the log says it, and not often');
cmp_ok(scalar(@lines), '>=', 1, 'at least once');
$many->append_conf('postgresql.conf', "max_worker_processes = 45");
$many->restart;
wait_until($many, 'with more processes', q{SELECT count(DISTINCT datname) = 6 FROM pg_stat_activity WHERE backend_type = 'aion scheduler'});
$many->safe_psql('empty7', "CREATE DATABASE db$_ TEMPLATE db6") for 7 .. 35;
wait_until($many, 'many databases are served', q{SELECT count(DISTINCT datname) = 35 FROM pg_stat_activity WHERE backend_type = 'aion scheduler'});
is(failing($many), '', 'and all is well');
$many->stop;

# Maintenance, locks and publications while runs are executed.
my $node = new_node('main', 'aion.max_runners = 3', 'max_worker_processes = 20', 'wal_level = logical');
setup($node);
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
start($node, 20, 60, 'w');
$node->safe_psql('postgres', $_) for
	'VACUUM FULL aion._run', 'VACUUM FULL aion._event', 'VACUUM FULL aion._timer', 'REINDEX TABLE aion._run', 'REINDEX TABLE CONCURRENTLY aion._timer', 'CLUSTER aion._event USING _event_pkey', 'ANALYZE',
	'ALTER TABLE aion._run SET (fillfactor = 70)', 'VACUUM FULL aion._version', 'VACUUM FULL aion._owner', 'VACUUM FULL aion._workflow';
$node->safe_psql('postgres', "REINDEX TABLE $_")
	for split /\n/, $node->safe_psql('postgres', q{SELECT oid::regclass FROM pg_class WHERE relnamespace = 'aion'::regnamespace AND relkind = 'r'});
pass('T36, 11.20: tables are maintained under load');
for my $table (qw(_run _event _timer _owner _version _workflow _activity _adoption))
{
	$node->safe_psql('postgres', "BEGIN; LOCK TABLE aion.$table IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.1); COMMIT");
}
pass('T40: tables are locked under load');
wait_until($node, 'T36, T40, T108: and all runs end', q{SELECT count(*) = 20 AND every(status = 'completed') FROM aion.workflow_run});
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect'), '1200|1200', 'every effect is there once');
is($node->safe_psql('postgres', 'SELECT sum(turn_failures) FROM aion.workflow_run'), '0', 'and nothing failed');
# More timers due at once than the scheduler reads at a time, and a reason to read them all again.
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE FUNCTION naps(until timestamptz) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep_until(until); END $$;
	SELECT aion.register_workflow('naps', 'naps(timestamptz)');
	SELECT count(*) FROM aion.start_workflows('naps', array_fill(jsonb_build_object('until', clock_timestamp() + interval '5 s'), ARRAY[12000]));
	BEGIN; SELECT aion.start_workflow('steps', '{"n": 1}'); PREPARE TRANSACTION 'p'; COMMIT PREPARED 'p'}, @alice);
wait_until($node, '12,000 timers due at once all fire', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});

# A run that ends every process that executes it is tried ever more rarely, and the others go on.
$node->safe_psql('postgres', q{
	CREATE FUNCTION suicide() RETURNS boolean LANGUAGE sql AS $$ SELECT pg_terminate_backend(pg_backend_pid()) $$;
	CREATE FUNCTION dies() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('suicide'); END $$;
	SELECT aion.register_activity('suicide', 'suicide()'), aion.register_workflow('dies', 'dies()');
	SELECT aion.start_workflow('dies', workflow_id => 'dies');
	SELECT aion.start_workflow('steps', '{"n": 20}', workflow_id => 'beside ' || i) FROM generate_series(1, 10) i}, @alice);
wait_until($node, 'runs beside one that ends its process', q{SELECT count(*) = 10 FROM aion.workflow_run WHERE workflow_id ~ '^beside' AND status = 'completed'});
wait_until($node, 'which has failures of its own', q{SELECT turn_failures > 1 FROM aion.workflow_run WHERE workflow_id = 'dies'});
$node->safe_psql('postgres', q{SELECT aion.terminate_workflow('dies')}, @alice);

# Extensions that come to several databases at once.
$node->safe_psql('postgres', "CREATE DATABASE db$_") for 1 .. 5;
my @sessions = map { session($node, 'postgres', "db$_") } 1 .. 5;
say_to($_, "CREATE EXTENSION aion;\n") for @sessions;
wait_until($node, 'each of five databases gets a scheduler', q{SELECT count(DISTINCT datname) = 5 FROM pg_stat_activity WHERE backend_type = 'aion scheduler' AND datname ~ '^db'});
$_->{run}->kill_kill for @sessions;
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'aion launcher'");
wait_until($node, 'with another launcher', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'aion launcher'});
$node->safe_psql('postgres', "DROP DATABASE db$_") for 1 .. 5;
pass('and all can be dropped');

# F22: old runs are removed by themselves, many as they are, and one that ends later when its time has come. A session in the way holds up
# nothing else.
my $keeper = session($node, 'postgres');
say_to($keeper, "BEGIN; LOCK TABLE aion._signal_id IN ACCESS EXCLUSIVE MODE; SELECT 'has ' || 'it';\n", qr/has it/);
$node->safe_psql('postgres', q{ALTER SYSTEM SET aion.retention = '1s'});
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM pg_locks WHERE relation = 'aion._signal_id'::regclass AND NOT granted}), 'old runs cannot be removed for now');
$node->safe_psql('postgres', q{SELECT aion.start_workflow('naps', jsonb_build_object('until', clock_timestamp() + interval '200 ms'), workflow_id => 'meanwhile')}, @alice);
wait_until($node, 'what is due is pointed out all the same', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'meanwhile'});
say_to($keeper, "COMMIT; SELECT 'let ' || 'go';\n", qr/let go/);
wait_until($node, 'then all of them go', q{SELECT count(*) = 0 FROM aion._run});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 1}', workflow_id => 'late')}, @alice);
wait_until($node, 'a run that ends later', q{SELECT count(*) = 1 FROM alice.effect WHERE who = 'late'});
wait_until($node, 'goes, too', q{SELECT count(*) = 0 FROM aion._run});
is($node->safe_psql('postgres', 'SELECT (SELECT count(*) FROM aion._event), (SELECT count(*) FROM aion._timer)'), '0|0', 'with all they had');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.retention');
is(failing($node), '', 'health() finds all well');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/deadlock detected|TRAP|PANIC/, 'no deadlock, no crash');

done_testing();
