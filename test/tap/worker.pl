# T85, T88, I11: the protocol of workers on a real server: statements of their own connections, and fifty pollers that wait, are
# woken at once, and do each thing once. The workers of examples/worker have example_workers.pl.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'max_connections = 100');
install($node);
my $dsn = $node->connstr('postgres') . ' user=alice';
my @alice = (connstr => $dsn);
$node->safe_psql('postgres', q{
	CREATE TABLE payment (key text, amount numeric);
	CREATE FUNCTION pay(amount numeric) RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN
		RETURN aion.run('charge', jsonb_build_object('amount', amount));
	END $$;
	SELECT aion.register_activity('charge', mode => 'external', task_queue => 'bank', heartbeat_timeout => '30 s',
		start_to_close_timeout => '1 min', retry => '{"initial_interval": "100 ms", "max_attempts": 5}');
	SELECT aion.register_workflow('pay', 'pay(numeric)')}, @alice);

sub pay
{
	my ($n, $prefix) = @_;
	$node->safe_psql('postgres', "SELECT aion.start_workflow('pay', jsonb_build_object('amount', i), workflow_id => '$prefix' || i) FROM generate_series(1, $n) i", @alice);
	return;
}
sub completed { my ($n, $prefix) = @_; return "SELECT count(*) = $n FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^$prefix'"; }

# Statements of their own connections: no session is needed between them.
pay(1, 'plain');
wait_until($node, 'a task waits', q{SELECT count(*) = 1 FROM aion.activity_task WHERE state = 'waiting'});
my $token = $node->safe_psql('postgres', q{SELECT task_token FROM aion.poll_activities('{bank}', 'by hand')}, @alice);
is($node->safe_psql('postgres', "SELECT aion.heartbeat_activity('$token')", @alice), 'f', 'T85: heartbeat from another connection');
$node->safe_psql('postgres', "SELECT aion.complete_activity('$token', '{\"paid\": 1}')", @alice);
wait_until($node, 'T85: completed from a third', completed(1, 'plain'));

# T88: fifty pollers, an empty queue, then a burst.
my $poller = $node->basedir . '/poller.sql';
append_to_file($poller, q{
WITH task AS MATERIALIZED (SELECT * FROM aion.poll_activities('{bank}', 'p', 5, '1 s')),
	paid AS (INSERT INTO payment SELECT idempotency_key, (input ->> 'amount')::numeric FROM task)
	SELECT count(aion.complete_activity(task_token)) FROM task;
});
my @bench = ('pgbench', '-n', '-f', $poller, '-c', '50', '-j', '2', '-T', '4', $dsn);
my ($out, $err) = ('', '');
my $burst = IPC::Run::start(\@bench, '>', \$out, '2>', \$err);
wait_until($node, 'pollers wait', q{SELECT count(*) >= 40 FROM pg_stat_activity WHERE query ~ 'poll_activities' AND wait_event = 'Extension'});
pay(500, 'burst');
wait_until($node, 'T88: the burst is done', completed(500, 'burst'));
$burst->finish;
unlike($err, qr/deadlock|ERROR/, 'without a conflict');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT key) FROM payment', @alice), '500|500', 'I11: and each is done once');

all_sound($node, 'in the end');
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion._task'), '0', 'no task is left');
wait_until($node, 'and no timer', 'SELECT count(*) = 0 FROM aion._timer');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|deadlock/, 'no assertion failed');

done_testing();
