# T59: pg_upgrade, of the same major version if there is no other. The engine is silent in both servers meanwhile, what was
# upgraded executes nothing until it is adopted, and then everything goes on. AION_OLD_BINDIR names an older server's programs.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_bindir = $ENV{AION_OLD_BINDIR};
my $old = PostgreSQL::Test::Cluster->new('old', $old_bindir ? (install_path => $old_bindir =~ s{/bin$}{}r) : ());
my $new = PostgreSQL::Test::Cluster->new('new');
for my $node ($old, $new)
{
	$node->init;
	$node->append_conf('postgresql.conf', "shared_preload_libraries = 'aion'\naion.max_runners = 2\nfsync = off\n");
}
$old->start;
install($old);
add_steps($old);
my @alice = (connstr => $old->connstr('postgres') . ' user=alice');
$old->safe_psql('postgres', q{
	CREATE FUNCTION waits(n int) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', 1));
		PERFORM aion.sleep(make_interval(secs => n));
		PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', 2));
		RETURN 'waited';
	END $$;
	SELECT aion.register_workflow('waits', 'waits(int)');
	SELECT aion.start_workflow('steps', '{"n": 3}', workflow_id => 'ended');
	SELECT aion.start_workflow('waits', '{"n": 4}', workflow_id => 'soon');
	SELECT aion.start_workflow('waits', '{"n": 4000000}', workflow_id => 'late')}, @alice);
wait_until($old, 'one has ended and two wait', q{SELECT count(*) FILTER (WHERE status = 'completed') = 1 AND count(*) FILTER (WHERE status = 'running' AND history_events > 3) = 2 FROM aion.workflow_run});
my $look = 'SELECT workflow_id, run_id, seq, event_type, attributes FROM aion.history_event ORDER BY run_id, seq';
my $before = $old->safe_psql('postgres', $look);
$old->stop;

my $bindir = $new->config_data('--bindir');
chdir $new->basedir;
command_ok([ 'pg_upgrade', '--no-sync', '-d', $old->data_dir, '-D', $new->data_dir, '-b', $old_bindir // $bindir, '-B', $bindir,
	'-s', $new->host, '-p', $old->port, '-P', $new->port ], 'pg_upgrade succeeds, with a handler pinned and runs open');
my $silent = 0;
for my $log (glob($new->data_dir . '/pg_upgrade_output.d/*/log/*.log'), $new->logfile)
{
	$silent += -e $log ? () = slurp_file($log) =~ /aion (launcher|scheduler|runner)/g : 0;
}
is($silent, 0, 'no process of the engine says a word');
$new->start;
is($new->safe_psql('postgres', $look), $before, 'history is what it was');
select(undef, undef, undef, 4.5);
is($new->safe_psql('postgres', $look), $before, 'and is, though a timer is due: the database is a copy for all that is known');
like($new->safe_psql('postgres', q{SELECT string_agg(hint, ' ') FROM aion.health() WHERE NOT ok}), qr/adopt_database/, 'health() says what to do');
$new->safe_psql('postgres', 'SELECT aion.adopt_database()');
wait_until($new, 'then the timer fires', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'soon'});
@alice = (connstr => $new->connstr('postgres') . ' user=alice');
is($new->safe_psql('postgres', q{SELECT workflow_id || ' ' || left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run ORDER BY 1}, @alice), "ended ok\nlate ok\nsoon ok", 'all histories replay');
is($new->safe_psql('postgres', q{SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect}), '6|6', 'each effect is there once');
is($new->safe_psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 1}', workflow_id => 'later')}, @alice), 'later', 'new runs start');
wait_until($new, 'and end', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'later'});
all_sound($new, 'in the end');

done_testing();
