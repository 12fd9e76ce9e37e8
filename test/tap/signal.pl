# T49, C13, R12, R13, 56-58: signals on a real server: a thousand a second to one run, senders that are killed and ask again,
# senders that do not commit, and what a crash leaves in the inbox.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use POSIX ();
use Time::HiRes qw(usleep);

my $node = new_node('main', 'aion.max_runners = 2', 'restart_after_crash = on');
install($node);
my $dsn = $node->connstr('postgres') . ' user=alice';
my @alice = (connstr => $dsn);
sub start { my ($id) = @_; $node->safe_psql('postgres', "SELECT aion.start_workflow('counts', workflow_id => '$id')", @alice); return; }
sub stop_counting { my ($id) = @_; $node->safe_psql('postgres', "SELECT aion.signal_workflow('$id', 'n', '\"stop\"')", @alice); return; }
sub ended { my ($id) = @_; return "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$id'"; }
$node->safe_psql('postgres', q{
	CREATE FUNCTION counts() RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		n int := 0;
	BEGIN
		WHILE aion.receive('n') <> '"stop"' LOOP
			n := n + 1;
		END LOOP;
		RETURN n;
	END $$;
	SELECT aion.register_workflow('counts', 'counts()')}, @alice);

# T49: neither is one lost, nor does the run starve others or itself.
start('flood');
my $script = $node->basedir . '/flood.sql';
PostgreSQL::Test::Utils::append_to_file($script, q{SELECT aion.signal_workflow('flood', 'n', '1');});
my $flood = IPC::Run::start(
	[ $node->installed_command('pgbench'), '-n', '-c', '4', '-j', '2', '-T', '5', '-R', '1000', '-f', $script, '-h', $node->host, '-p', $node->port, '-U', 'alice', 'postgres' ],
	'>', \my $said, '2>', \my $errors);
start('meanwhile');
stop_counting('meanwhile');
wait_until($node, 'T49: another run is served meanwhile', ended('meanwhile'));
$flood->finish;
my ($sent) = $said =~ /number of transactions actually processed: (\d+)/;
stop_counting('flood');
wait_until($node, "T49: a run takes in $sent signals", ended('flood'));
is($node->safe_psql('postgres', q{SELECT result FROM aion.workflow_run WHERE workflow_id = 'flood'}), $sent, 'each of them once');

# Senders are killed with the server; a sender that got no answer asks again under the same id.
start('crash');
my @senders;
for my $sender (1 .. 4)
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		for my $n (1 .. 40)
		{
			my $query = qq{SELECT aion.signal_workflow('crash', 'n', '[$sender, $n]', '$sender/$n')};
			for (1 .. 500) { last if `psql -XAtq -d "$dsn" -c "$query" 2>&1` =~ /^[tf]$/; usleep(20_000) }
		}
		POSIX::_exit(0);
	}
	push @senders, $pid;
}
for my $victim ('aion runner', 'client backend', 'aion scheduler')
{
	usleep(400_000);
	my $pid = `psql -XAtq -d "$dsn" -c "SELECT pid FROM pg_stat_activity WHERE backend_type = '$victim' LIMIT 1" 2>&1`;
	kill 'KILL', $1 if $pid =~ /^(\d+)$/;
}
waitpid $_, 0 for @senders;
wait_until($node, 'the server is there again', 'SELECT true');
stop_counting('crash');
wait_until($node, '56: after three crashes the run ends', ended('crash'));
is($node->safe_psql('postgres', q{SELECT result FROM aion.workflow_run WHERE workflow_id = 'crash'}), '160', '56, 60: with every signal that was acknowledged, once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT (attributes -> 'payload' ->> 1)::int AS n, lag((attributes -> 'payload' ->> 1)::int, 1, 0) OVER (PARTITION BY attributes -> 'payload' -> 0 ORDER BY seq) AS before
	FROM aion.history('crash') WHERE jsonb_typeof(attributes -> 'payload') = 'array') x WHERE n <> before + 1}), '0', '57: those of each sender in the order they were sent');

# C13: a sender that does not commit holds up no run and no other sender.
start('held');
my $idler = session($node, 'alice');
say_to($idler, "BEGIN; SELECT aion.signal_workflow('held', 'n', '1'), 'idle';\n", qr/idle/);
$node->safe_psql('postgres', q{SELECT aion.signal_workflow('held', 'n', '2')}, @alice);
wait_until($node, 'R13: a later one overtakes it', q{SELECT count(*) = 1 FROM aion.history('held') WHERE event_type = 'SignalReceived'});
stop_counting('held');
wait_until($node, 'C13: and the run ends without him', ended('held'));
say_to($idler, "COMMIT; SELECT 'let go';\n", qr/let go/);
wait_until($node, 'R02: what he sent is listed', q{SELECT count(*) = 1 FROM aion.unconsumed_signal WHERE workflow_id = 'held' AND seq IS NULL});
start('gone');
say_to($idler, "BEGIN; SELECT aion.signal_workflow('gone', 'n', '1', dedup_id => 'known'), 'idle again';\n", qr/idle again/);
stop_counting('gone');
wait_until($node, 'another run ends without him', ended('gone'));
$node->safe_psql('postgres', q{SELECT aion.purge_workflows('0')}, @alice);
say_to($idler, "COMMIT; SELECT 'let go again';\n", qr/let go again/);
wait_until($node, 'what was sent to a run that is purged is dropped', 'SELECT count(*) = 0 FROM aion._inbox');
all_sound($node, 'and its id is, too');

# A prepared sender, and a signal that is found after a restart, though no process had a hint of it.
start('prepared');
say_to($idler, "BEGIN; SELECT aion.signal_workflow('prepared', 'n', '\"stop\"'); PREPARE TRANSACTION 'p'; SELECT 'prepared it';\n", qr/prepared it/);
say_to($idler, "COMMIT PREPARED 'p'; SELECT 'decided';\n", qr/decided/);
wait_until($node, 'COMMIT PREPARED wakes the run', ended('prepared'));
$idler->{run}->kill_kill;
start($_) for 'found', 'listed';
wait_until($node, 'two runs wait', q{SELECT count(*) = 2 FROM aion.pending_await WHERE awaiting = 'signal'});
$node->safe_psql('postgres', q{ALTER SYSTEM SET aion.execution = 'off'; SELECT pg_reload_conf()});
wait_until($node, 'the engine is told to rest', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'aion runner'});
stop_counting('found');
$node->stop('immediate');
$node->append_conf('postgresql.auto.conf', "aion.execution = 'on'");
$node->start;
wait_until($node, 'a signal that only the inbox knows of is found after a crash', ended('found'));
all_sound($node, 'in the end');
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion._inbox'), '0', 'nothing is left over');
$node->stop;
done_testing();
