# T29, T30, T36, T40, T108: a server without room for processes, maintenance of the engine's tables under load, table locks,
# publications.
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
	$node->safe_psql('postgres', q{
		CREATE TABLE effect (who text, step int);
		CREATE FUNCTION act(who text, step int) RETURNS int LANGUAGE sql AS $$ INSERT INTO alice.effect VALUES (who, step) RETURNING step $$;
		CREATE FUNCTION steps(n int) RETURNS int LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1..n LOOP
				PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', i));
				PERFORM aion.sleep('1 ms');
			END LOOP;
			RETURN n;
		END $$;
		SELECT aion.register_activity('act', 'act(text, int)');
		SELECT aion.register_workflow('steps', 'steps(int)')}, connstr => $node->connstr('postgres') . ' user=alice');
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
is(failing($none), 'launcher scheduler', 'T30: health() says that there is no process');
$none->safe_psql('postgres', 'CALL aion.drive(); SELECT pg_sleep(0.01); CALL aion.drive()', connstr => $none->connstr('postgres') . ' user=alice');
is($none->safe_psql('postgres', 'SELECT DISTINCT status FROM aion.workflow_run'), 'completed', 'T30: drive() works all the same');

# Room for launcher and scheduler, and for one runner of two owners' runs.
my $few = new_node('few', 'aion.max_runners = 4', 'max_worker_processes = 4');
setup($few);
$few->safe_psql('postgres', "CREATE ROLE bob LOGIN IN ROLE alice; SELECT aion.grant_usage('bob')");
start($few, 10, 3, 'w');
$few->safe_psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 2}', workflow_id => 'of bob')}, connstr => $few->connstr('postgres') . ' user=bob');
wait_until($few, 'T29: all runs end with one runner at a time', q{SELECT count(*) = 11 AND every(status = 'completed') FROM aion.workflow_run});
is($few->safe_psql('postgres', 'SELECT 1'), '1', 'T29: and nobody else is affected');

# Maintenance, locks and publications while runs are executed.
my $node = new_node('main', 'aion.max_runners = 3', 'wal_level = logical');
setup($node);
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
start($node, 20, 60, 'w');
$node->safe_psql('postgres', $_) for
	'VACUUM FULL aion._run', 'VACUUM FULL aion._event', 'VACUUM FULL aion._timer', 'REINDEX TABLE aion._run', 'REINDEX TABLE CONCURRENTLY aion._timer', 'CLUSTER aion._event USING _event_pkey', 'ANALYZE',
	'ALTER TABLE aion._run SET (fillfactor = 70)', 'VACUUM FULL aion._version', 'VACUUM FULL aion._owner', 'VACUUM FULL aion._workflow';
pass('T36: tables are maintained under load');
for my $table (qw(_run _event _timer _owner _version _workflow _activity _adoption))
{
	$node->safe_psql('postgres', "BEGIN; LOCK TABLE aion.$table IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.1); COMMIT");
}
pass('T40: tables are locked under load');
wait_until($node, 'T36, T40, T108: and all runs end', q{SELECT count(*) = 20 AND every(status = 'completed') FROM aion.workflow_run});
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect'), '1200|1200', 'every effect is there once');
is($node->safe_psql('postgres', 'SELECT sum(turn_failures) FROM aion.workflow_run'), '0', 'and nothing failed');
is(failing($node), '', 'health() finds all well');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/deadlock detected|TRAP|PANIC/, 'no deadlock, no crash');

done_testing();
