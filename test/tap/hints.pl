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
# Until a process waits where it is held.
sub is_held { for (1 .. 3000) { return if -e $mark; usleep(10_000) } fail('no process has come to where it is held') }
sub completes { wait_until($node, "$_[0] is done", "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$_[0]'") }

# Lets a process wait just before it rests, makes something for it to do, lets it go on, and sees whether it is done.
sub arrives
{
	my ($process, $id, $type) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET aion.crash_point = 'wait at $process about to rest'");
	$node->reload;
	is_held();
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

# A claim says when its attempt may be late.
sub hold { my ($place) = @_; $node->safe_psql('postgres', "ALTER SYSTEM SET aion.crash_point = 'wait at $place'"); $node->reload }
sub end_processes { $node->safe_psql('postgres', "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'aion $_[0]'") }
sub poll { $node->safe_psql('postgres', "SELECT task_token FROM aion.poll_activities('{default}', 'w', 1, '3 s')", @alice) }
sub complete { $node->safe_psql('postgres', "SELECT aion.complete_activity('$_[0]', '1')", @alice) }
$node->safe_psql('postgres', q{
	CREATE FUNCTION asks() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('ext'); EXCEPTION WHEN SQLSTATE 'WA002' THEN RETURN '"late"'; END $$;
	SELECT aion.register_workflow('asks', 'asks()');
	SELECT aion.register_activity('ext', mode => 'external', start_to_close_timeout => '1 s', retry => '{"max_attempts": 1}');
	SELECT aion.start_workflow('asks', workflow_id => 'a claim')}, @alice);
wait_until($node, 'it waits', q{SELECT count(*) = 1 FROM aion.activity_task});
end_processes('scheduler'); # another one has not waited yet
hold('scheduler about to rest');
is_held();
poll();
unlink $mark;
completes('a claim');
is($node->safe_psql('postgres', q{SELECT result FROM aion.workflow_run WHERE workflow_id = 'a claim'}), '"late"', 'the scheduler looks at a claim that was made before it rested');

# The outcome of another activity commits after a share has read its inbox: whatever the turn does about that activity, the outcome is not lost,
# and the activity is neither handed over nor executed again (R07, R14).
$node->safe_psql('postgres', q{
	CREATE FUNCTION two(meanwhile text) RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE
		a aion.handle := aion.start_activity('ext', options => '{"start_to_close_timeout": "1 hour"}');
		b aion.handle := aion.start_activity('ext', options => '{"start_to_close_timeout": "1 hour"}');
	BEGIN
		PERFORM aion.await_first(ARRAY[a, b]);
		CASE meanwhile
			WHEN 'waits' THEN RETURN aion.await_all(ARRAY[a, b]);
			WHEN 'cancels' THEN RETURN to_jsonb(aion.cancel(b));
			WHEN 'returns' THEN RETURN NULL;
		END CASE;
	END $$;
	SELECT aion.register_workflow('two', 'two(text)')}, @alice);
for my $meanwhile (qw(waits cancels returns))
{
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.crash_point');
	$node->reload;
	end_processes('runner');
	$node->safe_psql('postgres', "SELECT aion.start_workflow('two', '{\"meanwhile\": \"$meanwhile\"}', workflow_id => '$meanwhile')", @alice);
	my @tokens = (poll(), poll());
	hold('arrivals recorded');
	complete($tokens[0]);
	is_held();
	complete($tokens[1]);
	unlink $mark;
	completes($meanwhile);
	is($node->safe_psql('postgres', "SELECT string_agg(event_type, ' ' ORDER BY seq) FROM aion.history('$meanwhile') WHERE event_type ~ '^Activity'"),
		'ActivityScheduled ActivityScheduled ActivityCompleted ActivityCompleted', "one that $meanwhile has both outcomes");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM aion.activity_task'), '0', 'and no activity is handed over again');
}
# A worker is about to commit: a session that ends the run waits, and the outcome that is committed first is recorded first (R08, R14).
$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.crash_point');
$node->reload;
$node->safe_psql('postgres', "CREATE TABLE paid (what text); SELECT aion.start_workflow('two', '{\"meanwhile\": \"waits\"}', workflow_id => 'ended')", @alice);
my $token = poll();
my $worker = session($node, 'alice');
my $operator = session($node, 'alice');
hold('completion checked, not committed');
$worker->{in} .= "BEGIN; INSERT INTO paid VALUES ('once'); SELECT aion.complete_activity('$token', '1'); COMMIT;\\echo committed\n";
$worker->{run}->pump_nb;
is_held();
$operator->{in} .= "SELECT aion.terminate_workflow('ended');\n";
$operator->{run}->pump_nb;
wait_until($node, 'the operator waits for the commit', "SELECT wait_event = 'advisory' FROM pg_stat_activity WHERE pid = $operator->{pid}");
unlink $mark;
say_to($worker, '', qr/committed/);
like($worker->{err} . say_to($operator, '', qr/terminated/), qr/^terminated$/m, 'both succeed');
is($node->safe_psql('postgres', q{SELECT string_agg(event_type, ' ' ORDER BY seq), (SELECT count(*) FROM paid) FROM aion.history('ended') WHERE seq > 3}, @alice),
	'ActivityCompleted ActivityCancelled WorkflowTerminated|1', 'what the worker has written is in the history');
$_->{run}->finish for map { $_->{in} .= "\\q\n"; $_ } $worker, $operator;
# An owner ends runs whose tasks a worker has locked, in a transaction that stays open: workers of other owners commit (C13).
$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.crash_point');
$node->reload;
$node->safe_psql('postgres', q{CREATE ROLE bob LOGIN; SELECT aion.grant_usage('bob'); CREATE SCHEMA bob AUTHORIZATION bob; SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION bob.asks() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('of bob') $$;
	SELECT aion.register_activity('of bob', mode => 'external', task_queue => 'bob', start_to_close_timeout => '1 h'), aion.register_workflow('bob asks', 'bob.asks()');
	SELECT aion.start_workflow('bob asks', workflow_id => 'of bob')});
$node->safe_psql('postgres', q{SELECT count(aion.start_workflow('two', '{"meanwhile": "waits"}', workflow_id => 'many ' || i)) FROM generate_series(1, 300) i}, @alice);
wait_until($node, 'all wait for workers', q{SELECT count(*) = 601 FROM aion.activity_task});
$node->safe_psql('postgres', q{CREATE TABLE held AS SELECT task_token FROM aion.poll_activities('{default}', 'w', 1000)}, @alice);
($worker, $operator) = (session($node, 'alice'), session($node, 'alice'));
say_to($worker, "BEGIN; SELECT 'sent', count(aion.complete_activity(task_token)) FROM held;\n", qr/sent\|600/);
say_to($operator, "BEGIN; SELECT 'ended', count(aion.terminate_workflow('many ' || i)) FROM generate_series(1, 300) i;\n", qr/ended\|300/);
is($node->safe_psql('postgres', q{SET lock_timeout = '10 s'; SELECT count(aion.complete_activity(task_token)) FROM aion.poll_activities('{bob}', 'w', 1)}, connstr => $node->connstr('postgres') . ' user=bob'),
	'1', 'the worker of another owner commits');
$_->{run}->finish for map { $_->{in} .= "ROLLBACK;\n\\q\n"; $_ } $operator, $worker;
$node->safe_psql('postgres', q{SELECT count(aion.terminate_workflow('many ' || i)) FROM generate_series(1, 300) i}, @alice);
all_sound($node, 'in the end');
done_testing();
