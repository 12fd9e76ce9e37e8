# An executor that may not do what waits costs nothing (C11). A run that begins later does so, whatever becomes of its owner meanwhile (C6).
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'aion.runner_idle_timeout = 200ms');
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE FUNCTION quick() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION aside() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('quick') $$;
	SELECT aion.register_activity('quick', 'quick()', mode => 'background', task_queue => 'held'), aion.register_workflow('quick', 'quick()'), aion.register_workflow('aside', 'aside()')}, @alice);
sub completes { my ($what, $id) = @_; wait_until($node, $what, "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$id'") }
sub no_process { wait_until($node, "$_[0]: the processes have ended", q{SELECT count(*) = 0 FROM aion.stat_runner}) }

# An executor has something to do and may not do it: it looks now and then, and not all the time.
$node->safe_psql('postgres', q{SELECT aion.pause_task_queue('held'), aion.start_workflow('aside', workflow_id => 'aside')}, @alice);
wait_until($node, 'an executor waits', q{SELECT count(*) = 1 FROM aion.stat_runner r JOIN pg_stat_activity USING (pid) WHERE backend_type = 'aion executor' AND since < now() - interval '1 s'});
my $commits = q{SELECT pg_stat_force_next_flush(); SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'};
my ($before) = $node->safe_psql('postgres', $commits) =~ /(\d+)\s*$/;
$node->safe_psql('postgres', 'SELECT pg_sleep(3)');
my ($after) = $node->safe_psql('postgres', $commits) =~ /(\d+)\s*$/;
cmp_ok($after - $before, '<', 300, 'it makes no thousands of transactions meanwhile');
$node->safe_psql('postgres', q{SELECT aion.resume_task_queue('held')}, @alice);
completes('it executes the activity when it may', 'aside');
no_process('done');

# What the scheduler keeps does not grow with the number of its looks at the tables.
sub kept
{
	my $from = -s $node->logfile;
	$node->safe_psql('postgres', 'SELECT pg_log_backend_memory_contexts(scheduler_pid) FROM aion.stat_engine');
	$node->wait_for_log(qr/Grand total/, $from);
	my $kept = 0;
	$kept += $_ for slurp_file($node->logfile, $from) =~ /aion scheduler: .* (\d+) used/g;
	return $kept;
}
sub looks { $node->safe_psql('postgres', "CREATE ROLE looks$_; SELECT aion.grant_usage('looks$_'), pg_sleep(0.1)") for $_[0] .. $_[1] }
looks(1, 2);
my $kept = kept();
cmp_ok($kept, '>', 0, 'the scheduler keeps something');
looks(3, 12);
cmp_ok(kept() - $kept, '<', 10_000, 'and no more later');

# The owner of a run that begins in an hour can have no process when something arrives for it, and then can.
$node->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'in an hour', start_at => now() + interval '1 hour')}, @alice);
no_process('scheduled');
$node->safe_psql('postgres', q{REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; SELECT aion.signal_workflow('in an hour', 'hello')});
wait_until($node, 'the signal is recorded', q{SELECT count(*) = 1 FROM aion.history('in an hour') WHERE event_type = 'SignalReceived'});
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC; SELECT pg_sleep(1)');
is($node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'in an hour'}), 'scheduled', 'a run does not begin before its time');
all_sound($node, 'in the end');
done_testing();
