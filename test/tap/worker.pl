# T84, T85, T87, T88, T91, I11: external activities and the workers of examples/worker, on a real server: that they wait and are
# woken, that one that dies or freezes is replaced and fenced, and that what they write here happens once.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('main', 'aion.max_runners = 2', 'max_connections = 100');
install($node);
my $dsn = $node->connstr('postgres') . ' user=alice';
my @alice = (connstr => $dsn);
$node->safe_psql('postgres', q{
	CREATE TABLE payment (key text, amount numeric);
	CREATE UNIQUE INDEX ON payment (key);
	CREATE FUNCTION pay(amount numeric, card text DEFAULT 'good') RETURNS jsonb LANGUAGE plpgsql AS $$
	BEGIN
		RETURN aion.run('charge', jsonb_build_object('amount', amount, 'card', card));
	END $$;
	SELECT aion.register_activity('charge', mode => 'external', task_queue => 'bank', heartbeat_timeout => '1 s',
		start_to_close_timeout => '1 min', retry => '{"initial_interval": "100 ms", "max_attempts": 5}');
	SELECT aion.register_workflow('pay', 'pay(numeric, text)')}, @alice);

my @workers;
sub start_worker
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		$ENV{HEARTBEAT} = '0.2';
		open STDERR, '>>', $node->basedir . '/workers.log';
		exec 'python3', 'examples/worker/worker.py', $dsn, 'bank' or POSIX::_exit(127);
	}
	push @workers, $pid;
	return $pid;
}
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

# Two workers wait, and are woken.
start_worker() for 1 .. 2;
wait_until($node, 'two workers wait', q{SELECT count(*) = 2 FROM pg_stat_activity WHERE query ~ 'poll_activities' AND wait_event = 'Extension'});
pay(100, 'many');
wait_until($node, 'they do all of it', completed(100, 'many'));
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT key) FROM payment', @alice), '100|100', 'I11: once each');
$node->safe_psql('postgres', q{SELECT aion.start_workflow('pay', '{"amount": 1, "card": "stolen"}', workflow_id => 'stolen')}, @alice);
wait_until($node, 'a failure that is not to be tried again is final', q{SELECT status = 'failed' AND error ->> 'message' = 'the card was declined' FROM aion.workflow_run WHERE workflow_id = 'stolen'});

# T84: a worker dies with a task in its hands. Its successor has it when no heartbeat came.
my $locker = session($node, 'alice');
say_to($locker, "BEGIN; LOCK TABLE payment; SELECT 'locked';\n", qr/locked/);
pay(1, 'dead');
wait_until($node, 'a worker has a task and waits for a lock', q{SELECT count(*) = 1 FROM aion.activity_task t JOIN pg_stat_activity a ON a.wait_event_type = 'Lock' WHERE t.state = 'claimed'});
my $holder = $node->safe_psql('postgres', q{SELECT split_part(worker, ':', 2) FROM aion.activity_task WHERE workflow_id = 'dead1'});
kill 'KILL', $holder;
wait_until($node, 'T84: another has it', "SELECT attempt = 2 AND state = 'claimed' AND worker !~ ':$holder\$' FROM aion.activity_task WHERE workflow_id = 'dead1'");
say_to($locker, "COMMIT; SELECT 'let go';\n", qr/let go/);
wait_until($node, 'and completes it', completed(1, 'dead'));
is($node->safe_psql('postgres', q{SELECT count(*) FROM payment p JOIN aion.workflow_run w ON p.key = w.run_id || '/1' WHERE w.workflow_id = 'dead1'}, @alice), '1', 'with one effect');
waitpid $holder, 0;
start_worker();

# T87: a worker freezes, is thought dead, and comes back. What it says then is refused, and what it did goes with it.
say_to($locker, "BEGIN; LOCK TABLE payment; SELECT 'locked again';\n", qr/locked again/);
pay(1, 'frozen');
wait_until($node, 'a worker has a task', q{SELECT count(*) = 1 FROM aion.activity_task t JOIN pg_stat_activity a ON a.wait_event_type = 'Lock' WHERE t.state = 'claimed' AND workflow_id = 'frozen1'});
$holder = $node->safe_psql('postgres', q{SELECT split_part(worker, ':', 2) FROM aion.activity_task WHERE workflow_id = 'frozen1'});
kill 'STOP', $holder;
wait_until($node, 'T87: another has it', "SELECT attempt = 2 AND state = 'claimed' AND worker !~ ':$holder\$' FROM aion.activity_task WHERE workflow_id = 'frozen1'");
# The frozen one has written and not committed, which the other waits for.
say_to($locker, "COMMIT; SELECT 'let go again';\n", qr/let go again/);
kill 'CONT', $holder;
wait_until($node, 'and completes it', completed(1, 'frozen'));
pay(20, 'after');
wait_until($node, 'the frozen one works on', completed(20, 'after'));
is($node->safe_psql('postgres', q{SELECT count(*), max(result ->> 'attempt') FROM payment p JOIN aion.workflow_run w ON p.key = w.run_id || '/1' WHERE w.workflow_id = 'frozen1'}, @alice), '1|2', 'with one effect, of the second attempt');

# A worker that is told to stop finishes and goes.
my @alive = grep { kill 0, $_ } @workers;
kill 'TERM', @alive;
my $clean = 0;
for my $pid (@alive) { waitpid $pid, 0; $clean += $? == 0; }
is($clean, scalar(@alive), 'workers stop when they are told to');

# T88: fifty pollers, an empty queue, then a burst.
my $poller = $node->basedir . '/poller.sql';
append_to_file($poller, q{
SELECT count(aion.complete_activity(task_token)) FROM aion.poll_activities('{bank}', 'p', 5, '1 s');
});
my @bench = ('pgbench', '-n', '-f', $poller, '-c', '50', '-j', '2', '-T', '4', $dsn);
my ($out, $err) = ('', '');
my $burst = IPC::Run::start(\@bench, '>', \$out, '2>', \$err);
wait_until($node, 'pollers wait', q{SELECT count(*) >= 40 FROM pg_stat_activity WHERE query ~ 'poll_activities' AND wait_event = 'Extension'});
pay(500, 'burst');
wait_until($node, 'T88: the burst is done', completed(500, 'burst'));
$burst->finish;
unlike($err, qr/deadlock|ERROR/, 'without a conflict');

$locker->{run}->kill_kill;
all_sound($node, 'in the end');
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion._task'), '0', 'no task is left');
wait_until($node, 'and no timer', 'SELECT count(*) = 0 FROM aion._timer');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|deadlock/, 'no assertion failed');

done_testing();
