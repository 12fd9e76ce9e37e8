# Processes that rest: what is posted to them wakes them (T89), and nothing else does (C11). A run that begins later does so, whatever
# becomes of its owner meanwhile (C6).
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'aion.runner_idle_timeout = 200ms', 'aion.allow_superuser_workflows = off', 'deadlock_timeout = 10ms');
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{CREATE ROLE bob LOGIN; SELECT aion.grant_usage('bob'); CREATE SCHEMA bob AUTHORIZATION bob});
$node->safe_psql('postgres', q{
	CREATE FUNCTION quick() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION aside() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('quick') $$;
	SELECT aion.register_activity('quick', 'quick()', mode => 'background', task_queue => 'held'), aion.register_workflow('quick', 'quick()'), aion.register_workflow('aside', 'aside()')}, @alice);
$node->safe_psql('postgres', q{
	CREATE FUNCTION fails() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0';
	CREATE FUNCTION waits() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('fails') $$;
	SELECT aion.register_activity('fails', 'fails()', mode => 'background', retry => '{"initial_interval": "1 hour", "max_interval": "1 hour"}');
	SELECT aion.register_workflow('waits', 'waits()');
	SELECT aion.start_workflow('waits')}, connstr => $node->connstr('postgres') . ' user=bob');
sub completes { my ($what, $id) = @_; wait_until($node, $what, "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$id'") }
sub no_process { wait_until($node, "$_[0]: the processes have ended", q{SELECT count(*) = 0 FROM aion.stat_runner}) }

# The scheduler waits for a lock while a timer is posted. It looks up an owner that can have no process, so that none wakes it by its start.
wait_until($node, 'an activity will be tried again in an hour', q{SELECT count(*) = 1 FROM aion.activity_task WHERE state = 'waiting' AND attempt = 1});
my $session = session($node, 'alice');
say_to($session, "SELECT aion.start_workflow('quick', workflow_id => 'first'), 'started';\n", qr/started/);
completes('a run is executed', 'first');
no_process('idle');
$node->safe_psql('postgres', 'ALTER ROLE bob SUPERUSER; ALTER TABLE aion._owner SET (fillfactor = 90)'); # what is remembered of owners is void
say_to($session, "BEGIN; SELECT aion.start_workflow('quick'); ROLLBACK; SELECT 'knows its owner';\n", qr/knows its owner/);
my $admin = session($node, $node->safe_psql('postgres', 'SELECT current_user'));
say_to($admin, "BEGIN; LOCK TABLE aion._owner; SELECT 'locked';\n", qr/locked/);
$node->reload;
wait_until($node, 'the scheduler waits for a lock', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'aion scheduler' AND wait_event_type = 'Lock' AND query = 'starting a process'});
say_to($session, "SELECT aion.start_workflow('quick', workflow_id => 'soon', start_at => clock_timestamp() + '1 s'), 'armed';\n", qr/armed/);
say_to($admin, "COMMIT; SELECT 'released';\n", qr/released/);
completes('a timer that was armed meanwhile fires', 'soon');
$node->safe_psql('postgres', 'ALTER ROLE bob NOSUPERUSER');

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

# The owner of a run that begins in an hour can have no process when something arrives for it, and then can.
$node->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'in an hour', start_at => now() + interval '1 hour')}, @alice);
no_process('scheduled');
$node->safe_psql('postgres', q{REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; SELECT aion.signal_workflow('in an hour', 'hello')});
wait_until($node, 'the signal is recorded', q{SELECT count(*) = 1 FROM aion.history('in an hour') WHERE event_type = 'SignalReceived'});
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC; SELECT pg_sleep(1)');
is($node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'in an hour'}), 'scheduled', 'a run does not begin before its time');
all_sound($node, 'in the end');
done_testing();
