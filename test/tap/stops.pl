# T05, T06: the server is stopped at once or its postmaster killed, twenty times, while eight clients start runs. What was
# acknowledged to a client happens, once.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $clients = 8;
my $node = new_node('main', 'aion.max_runners = 3', 'fsync = on');
install($node);
add_steps($node);
my $acknowledged = $node->basedir . '/acknowledged';
my @children;
for my $client (1 .. $clients)
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		# Each start is a transaction of its own, and is noted here when the server has said that it is committed.
		open my $log, '>>', "$acknowledged.$client" or POSIX::_exit(1);
		$log->autoflush(1);
		for (my $n = 1;; $n++)
		{
			my $id = "c$client-$n";
			my ($out, $err) = ('', '');
			IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres') . ' user=alice', '-c',
				qq{SELECT aion.start_workflow('steps', '{"n": 2}', workflow_id => '$id')} ], '>', \$out, '2>', \$err);
			print $log "$id\n" if $out eq "$id\n";
			usleep(5_000);
		}
	}
	push @children, $pid;
}
for my $cycle (1 .. 20)
{
	usleep(300_000);
	if ($cycle % 5 == 0)
	{
		my $engine = $node->safe_psql('postgres', q{SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE backend_type ~ '^aion'});
		$node->kill9;
		my $left = 1;
		for (1 .. 50)
		{
			$left = kill 0, split / /, $engine;
			last if $left == 0;
			usleep(100_000);
		}
		is($left, 0, "cycle $cycle: no process of the engine outlives the postmaster");
	}
	else
	{
		$node->stop('immediate');
	}
	$node->start;
}
usleep(300_000);
kill 'KILL', @children;
waitpid $_, 0 for @children;
my @ids = map { split /\n/, slurp_file("$acknowledged.$_") } 1 .. $clients;
cmp_ok(scalar(@ids), '>=', 20, @ids . ' starts were acknowledged');
wait_until($node, 'all runs end', 'SELECT count(*) > 0 AND every(status = $$completed$$) FROM aion.workflow_run');
is($node->safe_psql('postgres', 'SELECT count(*) FROM unnest(string_to_array($$' . join(' ', @ids) . '$$, $$ $$)) id LEFT JOIN aion.workflow_run w ON w.workflow_id = id WHERE w.workflow_id IS NULL'),
	'0', 'none of those that were acknowledged is lost');
is($node->safe_psql('postgres', 'SELECT count(*) FROM (SELECT FROM alice.effect GROUP BY who, step HAVING count(*) > 1) twice'), '0', 'nothing happened twice');
is($node->safe_psql('postgres', 'SELECT count(*) - 2 * (SELECT count(*) FROM aion.workflow_run) FROM alice.effect'), '0', 'and every step happened');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');

done_testing();
