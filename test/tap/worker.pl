# T85, T88, I11: the protocol of workers on a real server: statements of their own connections, and fifty pollers that wait, are
# woken at once, and do each thing once, also where a snapshot is held. The workers of examples/worker have example_workers.pl.
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

# A heartbeat that fell into a downtime was not missed.
pay(1, 'down');
wait_until($node, 'a task waits again', q{SELECT count(*) = 1 FROM aion.activity_task WHERE state = 'waiting'});
$token = $node->safe_psql('postgres', q{SELECT task_token FROM aion.poll_activities('{bank}', 'by hand')}, @alice);
$node->safe_psql('postgres', 'ALTER SYSTEM SET aion.execution = off');
$node->restart;
$node->safe_psql('postgres', q{UPDATE aion._task SET heartbeat_by = now() - interval '1 h', look_at = now() - interval '1 h'});
$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.execution');
$node->restart;
wait_until($node, 'a worker has time for its next heartbeat', q{SELECT heartbeat_by > now() FROM aion._task});
is($node->safe_psql('postgres', "SELECT aion.heartbeat_activity('$token')", @alice), 'f', 'and sends it');
$node->safe_psql('postgres', "SELECT aion.complete_activity('$token', '{\"paid\": 1}')", @alice);
wait_until($node, 'in its first attempt', q{SELECT count(*) = 1 FROM aion.history('down1') WHERE event_type = 'ActivityCompleted' AND attributes -> 'attempts' IS NULL});

# A worker that has locked a task when the time of its activity is up, and then fails the attempt: no other may have it any more.
$node->safe_psql('postgres', q{
	CREATE FUNCTION hurries() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('charge', '{}', '{"schedule_to_close_timeout": "1 s", "retry": {"initial_interval": "1 ms"}}') $$;
	SELECT aion.register_workflow('hurries', 'hurries()'), aion.start_workflow('hurries', workflow_id => 'hurries')}, @alice);
my $failing = session($node, 'alice');
say_to($failing, "BEGIN; SELECT 'begun';\n", qr/begun/);
$token = $node->safe_psql('postgres', q{SELECT task_token FROM aion.poll_activities('{bank}', 'by hand', 1, '5 s')}, @alice);
say_to($failing, "SELECT aion.fail_activity('$token', 'no'); SELECT 'fai' || 'led';\n", qr/failed/);
wait_until($node, 'its time is up', q{SELECT count(*) = 0 FROM aion._timer WHERE name ~ ' close$'});
say_to($failing, "COMMIT; SELECT 'comm' || 'itted';\n", qr/committed/);
wait_until($node, 'and the activity has failed', q{SELECT error ->> 'sqlstate' = 'WA002' FROM aion.workflow_run WHERE workflow_id = 'hurries'});

# T88: fifty pollers, an empty queue, then a burst.
my $poller = $node->basedir . '/poller.sql';
append_to_file($poller, q{
WITH task AS MATERIALIZED (SELECT * FROM aion.poll_activities('{bank}', 'p', 5, '1 s')),
	paid AS (INSERT INTO payment SELECT idempotency_key, (input ->> 'amount')::numeric FROM task)
	SELECT count(aion.complete_activity(task_token)) FROM task;
});
my @bench = ('pgbench', '-n', '-f', $poller, '-c', '50', '-j', '2', '-T', '300', $dsn);
my ($out, $err) = ('', '');
my $burst = IPC::Run::start(\@bench, '>', \$out, '2>', \$err);
wait_until($node, 'pollers wait', q{SELECT count(*) >= 40 FROM pg_stat_activity WHERE query ~ 'poll_activities' AND wait_event = 'Extension'});
pay(500, 'burst');
wait_until($node, 'T88: the burst is done', completed(500, 'burst'));
$burst->signal('INT');
$burst->finish;
unlike($err, qr/deadlock|ERROR/, 'without a conflict');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT key) FROM payment', @alice), '500|500', 'I11: and each is done once');
is($node->safe_psql('postgres', q{SELECT task_queue, started_per_second > 0 AND started_per_second < 9, finished_per_second > 0 AND finished_per_second < 9 FROM aion.stat_queue}, @alice),
	'bank|t|t', 'about so many per second of the last minute');
$node->safe_psql('postgres', q{CREATE ROLE bob LOGIN; SELECT aion.grant_usage('bob')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion.stat_queue', connstr => $node->connstr('postgres') . ' user=bob'), '0', 'no other role sees that');

# A held snapshot keeps what was claimed in the index. A session that claims notices, and steps over it no more, but over nothing
# that waits: by priority, then in order, as ever.
$node->safe_psql('postgres', q{
	CREATE FUNCTION wide(activity text, n int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT to_jsonb(jsonb_array_length(aion.map(activity, (SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, n))))) $$;
	CREATE FUNCTION deep(priority int) RETURNS jsonb LANGUAGE sql AS $$
		SELECT aion.run('deep', to_jsonb(aion.workflow_id()), jsonb_build_object('priority', priority)) $$;
	CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE TABLE held (id text, token text, n serial);
	SELECT aion.register_activity('deep', mode => 'external', task_queue => 'deep', start_to_close_timeout => '10 min', retry => '{"max_attempts": 5}'),
		aion.register_activity('deep here', 'nothing()', mode => 'background'),
		aion.register_workflow('wide', 'wide(text, int)'), aion.register_workflow('deep', 'deep(int)')}, @alice);
my ($worker, $other, $holder) = map { session($node, 'alice') } 1 .. 3;
my $asked = 0;
sub ask
{
	my ($session, $sql) = @_;
	my $end = 'asked ' . ++$asked;
	$session->{out} = '';
	say_to($session, "$sql;\n\\echo $end\n", qr/^$end$/m);
	return $session->{out} =~ s/\n?^$end\n//mr;
}
sub deep
{
	my ($id, $priority) = @_;
	$node->safe_psql('postgres', "SELECT aion.start_workflow('deep', '{\"priority\": $priority}', workflow_id => '$id')", @alice);
	wait_until($node, "$id waits", "SELECT count(*) = 1 FROM aion.activity_task WHERE workflow_id = '$id' AND state = 'waiting'");
}
my $claim = q{WITH p AS (SELECT * FROM aion.poll_activities('{deep}', 'w', 9)), h AS (INSERT INTO held SELECT workflow_id, task_token FROM p)
	SELECT string_agg(workflow_id, ' ') FROM p};
my $look = q{SELECT count(*) FROM aion.poll_activities('{deep}', 'w', 9, activities => '{none}')};
# What is asked at once after a look is asked while the look is remembered.
sub claimed { my ($what, $expected) = @_; is(ask($worker, "$look;\n$claim"), "0\n$expected", $what) }
sub again { return "SELECT aion.fail_activity(token, 'again', retry_after => '0') FROM (SELECT token FROM held WHERE id = '$_[0]' ORDER BY n DESC LIMIT 1) h" }
ask($holder, 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class');
$node->safe_psql('postgres', q{SELECT aion.start_workflow('wide', '{"activity": "deep", "n": 6000}', workflow_id => 'wide')}, @alice);
wait_until($node, 'six thousand tasks wait', q{SELECT count(*) = 6000 FROM aion.activity_task WHERE task_queue = 'deep'});
ask($worker, q{SELECT count(aion.complete_activity(task_token)) FROM aion.poll_activities('{deep}', 'w', 1000)}) for 1 .. 6;
wait_until($node, 'and are done', completed(1, 'wide'));
is(ask($worker, $claim), '', 'nothing waits');
my ($pages) = sort { $a <=> $b } map { ask($worker, "EXPLAIN (ANALYZE, BUFFERS, COSTS off) $look") =~ /shared hit=(\d+)/ } 1 .. 20;
cmp_ok($pages, '<', 64, 'a claim does not step over what is done');
deep('a', 0), deep('b', 0), deep('urgent', 7), deep('c', 0), deep('lazy', -3);
claimed('by priority, then in order, also such as it has not met', 'urgent a b c lazy');
deep('d', 0);
ask($worker, again($_)) for qw(b a);
deep('e', 0);
claimed('tried again: by the time of the next attempt', 'd b a e');
ask($other, 'BEGIN'); ask($other, again('c'));
ask($other, 'SELECT pg_sleep(1.2)'); # it commits longer after it was due than any worker waits for
ask($worker, $look);
ask($other, 'COMMIT');
my $tries = 0;
until (ask($worker, $claim) eq 'c' || ++$tries > 1000) { }
cmp_ok($tries, '<=', 1000, 'what is committed late is found');
deep('f', 0);
ask($other, "BEGIN;\n$claim");
is(ask($worker, "$look;\n$claim"), "0\n", 'what another has claimed is not waited for');
ask($other, 'ROLLBACK');
claimed('and found when he gives it back', 'f');
ask($worker, 'SELECT count(aion.complete_activity(token)) FROM held h WHERE n = (SELECT max(n) FROM held WHERE id = h.id)');
wait_until($node, 'all are done', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('wide', '{"activity": "deep here", "n": 2000}', workflow_id => 'here')}, @alice);
wait_until($node, 'the same in the background', completed(1, 'here'));
ask($holder, 'COMMIT');

# A run ends while outcomes of more activities have arrived than the server has room for locks.
$node->safe_psql('postgres', q{SELECT aion.register_activity('quiet', mode => 'external', task_queue => 'quiet', start_to_close_timeout => '1 h');
	SELECT aion.start_workflow('wide', '{"activity": "quiet", "n": 15000}', workflow_id => 'arrived')}, @alice);
wait_until($node, 'many wait', q{SELECT count(*) = 15000 FROM aion._task});
$node->safe_psql('postgres', q{CREATE TABLE claimed AS SELECT t.task_token FROM generate_series(1, 15) i, LATERAL (SELECT * FROM aion.poll_activities('{quiet}', 'w' || i, 1000)) t;
	SELECT aion.pause_workflow('arrived')}, @alice);
is($node->safe_psql('postgres', 'SELECT count(aion.complete_activity(task_token)) FROM claimed', @alice), 15000, 'their outcomes arrive');
is($node->safe_psql('postgres', q{SELECT aion.terminate_workflow('arrived')}, @alice), 'terminated', 'the run is terminated');

$node->safe_psql('postgres', 'ANALYZE');
all_sound($node, 'in the end');
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion._task'), '0', 'no task is left');
wait_until($node, 'and no timer', 'SELECT count(*) = 0 FROM aion._timer');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|deadlock/, 'no assertion failed');

done_testing();
