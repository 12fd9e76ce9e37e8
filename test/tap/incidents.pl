# What operators hear of runs that fail, time out or are blocked, and of activities that are never awaited. 11.24, 11.30
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 3', "log_line_prefix = ''", "log_statement = 'none'");
install($node);
$node->safe_psql('postgres', q{CREATE ROLE noisy LOGIN; SELECT aion.grant_usage('noisy'); GRANT CREATE ON SCHEMA public TO noisy});

sub as { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$role") }

sub all_ended { return $node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM aion._run WHERE closed_at IS NULL}) || die 'runs do not end' }

sub set_system
{
	my ($name, $value) = @_;
	$node->safe_psql('postgres', defined $value ? "ALTER SYSTEM SET $name = $value" : "ALTER SYSTEM RESET $name");
	$node->reload;
	$node->poll_query_until('postgres', "SHOW $name", $value) or die if defined $value;
}

# The lines about incidents since the last call, without their level.
my $read = 0;

sub lines
{
	my ($level) = @_;
	my $log = slurp_file($node->logfile, $read);
	$read += length $log;
	return [map { /^\Q$level\E:  ((?:workflow|schedule) ".*|aion did not log.*)$/ ? $1 : () } split /\n/, $log];
}

as('alice', q{
	CREATE FUNCTION public.charge(card text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'card % is stolen', card; END $$;
	SELECT aion.register_activity('charge', 'public.charge(text)');
	CREATE FUNCTION public.pay(card text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('charge', jsonb_build_object('card', card)); END $$;
	SELECT aion.register_workflow('pay', 'public.pay(text)');
	CREATE FUNCTION public.raises(word text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '%', word; END $$;
	SELECT aion.register_workflow('raises', 'public.raises(text)');
	CREATE FUNCTION public.waits() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.receive('never'); END $$;
	SELECT aion.register_workflow('waits', 'public.waits()');
	CREATE FUNCTION public.asks() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('unknown', '{"card": "4711"}'); END $$;
	SELECT aion.register_workflow('asks', 'public.asks()');
});
lines('LOG');

# One line each, without payloads and messages.
as('alice', q{
	SELECT aion.start_workflow('pay', '{"card": "4711"}', workflow_id => 'pay-1'), aion.start_workflow('raises', '{"word": "4711"}', workflow_id => 'raises-1'),
		aion.start_workflow('asks', workflow_id => 'asks-1'), aion.start_workflow('waits', workflow_id => 'waits-1', timeout => '10 ms'),
		aion.start_workflow('waits', workflow_id => 'waits-2');
});
$node->poll_query_until('postgres', q{SELECT count(*) = 4 FROM aion._run WHERE status IN ('failed', 'timed_out', 'blocked')}) or die;
is_deeply([sort @{lines('LOG')}], ['workflow "asks-1" of type "asks" is blocked: missing code',
	'workflow "pay-1" of type "pay" failed: WA001, activity "charge"', 'workflow "raises-1" of type "raises" failed: P0001',
	'workflow "waits-1" of type "waits" timed out'], 'one line for each run that needs a look');
unlike(slurp_file($node->logfile), qr/4711/, 'no payload and no message of users is in the log');
# A schedule whose ticks start nothing, of which there is no run to look at.
as('alice', q{
	CREATE FUNCTION public.ticked() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_workflow('ticked', 'public.ticked()'), aion.create_schedule('nightly', 'ticked', every => '1 s');
	DROP FUNCTION public.ticked()});
$node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM aion.schedule_tick WHERE state = 'failed'}) or die;
as('alice', q{SELECT aion.delete_schedule('nightly')});
like(lines('LOG')->[0], qr/^schedule "nightly" could not start a run: [0-9A-Z]{5}$/, 'one line for each tick that starts nothing');
as('alice', q{SELECT aion.terminate_workflow('asks-1'), aion.cancel_workflow('waits-2')});
all_ended();
is_deeply(lines('LOG'), [], 'ends that were asked for are no incidents');

# Names make no lines of their own.
as('alice', q{SELECT aion.start_workflow('raises', '{"word": "x"}', workflow_id => E'a\nLOG:  workflow "b" of type "raises" failed: P0001' || repeat('c', 300))});
all_ended();
my $lines = lines('LOG');
is(scalar(@$lines), 1, 'a name with a line break is one line');
like($lines->[0], qr/^workflow "a\\nLOG:  workflow \\"b\\" of type \\"raises\\" failed: P0001c+"\.\.\. of type "raises" failed: P0001$/, '... quoted and cut');

# What was taken back is not told.
as('alice', q{
	BEGIN;
	SELECT aion_test.begin();
	SELECT aion.start_workflow('raises', '{"word": "x"}', workflow_id => 'in test');
	SELECT aion_test.run_until_idle();
	ROLLBACK;
});
is_deeply(lines('LOG'), [], 'what was rolled back is no incident');

# The level can be chosen, and none.
for my $level ('warning', 'off')
{
	$node->safe_psql('postgres', "ALTER ROLE alice SET aion.log_incidents = $level");
	$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM aion.stat_runner});
	as('alice', qq{SELECT aion.start_workflow('raises', '{"word": "x"}', workflow_id => '$level')});
	$node->poll_query_until('postgres', qq{SELECT count(*) = 1 FROM aion._run WHERE workflow_id = '$level' AND closed_at IS NOT NULL}) or die;
	my $at = $read;
	is_deeply(lines('WARNING'), $level eq 'off' ? [] : ['workflow "warning" of type "raises" failed: P0001'], "level $level");
	$read = $at;
	is_deeply(lines('LOG'), [], "... and nothing at another one");
}
$node->safe_psql('postgres', q{ALTER ROLE alice RESET ALL; SELECT pg_terminate_backend(pid) FROM aion.stat_runner});
my ($code, $out, $error) = $node->psql('postgres', q{SET aion.log_incidents = off}, connstr => $node->connstr('postgres') . ' user=alice');
like($error, qr/permission denied to set parameter "aion.log_incidents"/, 'an owner cannot hide what becomes of the runs');

# The limit counts what it drops, and one owner's storm does not hide what others have.
set_system('aion.log_incidents_per_second', '1');
sleep 1; # the second in which alice has had lines is over
as('noisy', q{
	CREATE FUNCTION public.storm() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
	SELECT aion.register_workflow('storm', 'public.storm()');
	SELECT count(*) FROM aion.start_workflows('storm', array_fill('{}'::jsonb, ARRAY[200]));
});
as('alice', q{SELECT aion.start_workflow('raises', '{"word": "x"}', workflow_id => 'beside')});
all_ended();
$lines = lines('LOG');
is(scalar(grep { /"beside"/ } @$lines), 1, 'the line of another owner is there');
my $storm = grep { /"storm" failed/ } @$lines;
my $left_out = $node->safe_psql('postgres', q{SELECT unlogged_incidents FROM aion.stat_engine});
cmp_ok($left_out, '>', 0, 'a storm is limited');
is($storm + $left_out, 200, '... and what is left out is counted');
sleep 1;
as('noisy', q{SELECT aion.start_workflow('storm')});
all_ended();
like(join("\n", @{lines('LOG')}), qr/^aion did not log [1-9]\d* incidents before this one\nworkflow "[^"]*" of type "storm" failed: P0001$/, '... and said with the next line');
set_system('aion.log_incidents_per_second');

# Notifications are off, unless they are wanted; and name nothing that row security hides.
my $listen = q{
	LISTEN aion_incident;
	SELECT aion.start_workflow('raises', '{"word": "x"}', workflow_id => 'heard');
	DO $$ BEGIN CALL aion.await_workflow('heard', NULL); EXCEPTION WHEN OTHERS THEN NULL; END $$;
	SELECT pg_sleep(0.5);
	SELECT 1;
};
unlike(as('alice', $listen), qr/notification/, 'no notification by default');
set_system('aion.notify_incidents', 'on');
$out = as('alice', $listen =~ s/heard/heard too/gr);
my $key = $node->safe_psql('postgres', q{SELECT run_key FROM aion.workflow_run WHERE workflow_id = 'heard too'});
like($out, qr/notification "aion_incident" with payload "\{"run_key": $key, "status": "failed"\}"/, 'a notification if it is on');
set_system('aion.notify_incidents');

# Activities that are never awaited are cancelled with the run: history says so, and the log warns once for each version.
as('alice', q{
	CREATE FUNCTION public.add_one(n int) RETURNS int LANGUAGE sql AS 'SELECT n + 1';
	SELECT aion.register_activity('add_one', 'public.add_one(int)');
	SELECT aion.register_activity('far', mode => 'external', task_queue => 'far', start_to_close_timeout => '1 h');
	CREATE FUNCTION public.forgets() RETURNS void LANGUAGE plpgsql AS $$
	DECLARE raced aion.handle; lost aion.handle;
	BEGIN
		raced := aion.start_activity('add_one', '{"n": 1}');
		lost := aion.start_activity('far', '{"n": 2}');
		PERFORM aion.await_first(ARRAY[raced, lost]), aion.cancel(aion.start_activity('far', '{"n": 3}'));
		PERFORM aion.start_activity('far', '{"n": 4}'), aion.start_activity('add_one', '{"n": 5}');
	END $$;
	SELECT aion.register_workflow('forgets', 'public.forgets()');
	SELECT aion.start_workflow('forgets', workflow_id => 'forgets-' || n) FROM generate_series(1, 20) n;
});
all_ended();
$lines = lines('WARNING');
is(scalar(@$lines), 1, 'one warning for many runs of a version');
like($lines->[0], qr/^workflow "forgets-\d+" of type "forgets" completed and cancelled activity "far", which it has never awaited$/, '... which names the activity');
is(as('alice', q{SELECT string_agg(key, ',' ORDER BY seq) FROM aion.history('forgets-1') WHERE attributes ? 'unawaited'}), '4,5', 'history says which');
is(as('alice', q{SELECT count(*) FROM aion.explain('forgets-1') line WHERE line ~ 'cancelled with the run, which has never awaited it$'}), '2', 'so does explain');
is(as('alice', q{SELECT count(*) FROM aion.explain('forgets-1') line WHERE line ~ 'cancelled'}), '4', 'what was raced or cancelled is not among them');
as('alice', q{
	CREATE OR REPLACE FUNCTION public.forgets() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.start_activity('far', '{"n": 4}'); END $$;
	SELECT aion.start_workflow('forgets', workflow_id => 'forgets-' || n) FROM generate_series(21, 25) n;
});
all_ended();
is(scalar(@{lines('WARNING')}), 1, 'another version gets its own');
all_sound($node, 'after all of it');

$node->stop;
done_testing();
