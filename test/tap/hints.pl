# R12, R29: a process has found nothing more to do, and before it rests something arrives for it. In between its latch is reset, as a wait for a
# lock or a buffer does: it must look at the board once more.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use Test::More;
use Time::HiRes qw(usleep);

# Nothing looks by itself for an hour.
my $node = new_node('main', 'aion.max_runners = 2', 'aion.runner_idle_timeout = 1h');
plan skip_all => 'built without -DAION_CRASH_POINTS' if $node->psql('postgres', 'SHOW aion.crash_point') != 0;
install($node);
my $mark = $node->data_dir . '/aion.crashed';
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE FUNCTION quick() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('1 s') $$;
	CREATE FUNCTION aside() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('quick') $$;
	SELECT aion.register_activity('quick', 'quick()', mode => 'background'), aion.register_workflow('quick', 'quick()'),
		aion.register_workflow('nap', 'nap()'), aion.register_workflow('aside', 'aside()')}, @alice);
sub start { my ($type, $id) = @_; $node->safe_psql('postgres', "SELECT aion.start_workflow('$type', workflow_id => '$id')", @alice) }
sub completes { wait_until($node, "$_[0] is done", "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$_[0]'") }

# Lets a process wait just before it rests, makes something for it to do, lets it go on, and sees whether it is done.
sub arrives
{
	my ($process, $id, $type) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET aion.crash_point = 'wait at $process about to rest'");
	$node->reload;
	usleep(10_000) until -e $mark;
	start($type, $id);
	# The runner has told what it told, if it is not the one that waits.
	wait_until($node, "$id waits", "SELECT count(*) = 1 FROM aion.pending_await WHERE workflow_id = '$id'") if $type ne 'quick';
	unlink $mark;
	completes($id);
}

arrives('scheduler', 'a run whose owner has no process', 'quick');
arrives('runner', 'a run', 'quick');
# A second scheduler has not waited yet.
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'aion scheduler'});
arrives('scheduler', 'a timer', 'nap');
start('aside', 'a first activity');
completes('a first activity');
arrives('executor', 'an activity', 'aside');
all_sound($node, 'in the end');
done_testing();
