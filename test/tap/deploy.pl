# T09, invariants 83, 84: code is deployed and routed over and over while four clients start runs of it, and the server crashes in
# the middle of deploys, of routes and of turns. Every run ends on the version it began with, and a deploy has happened whole or
# not at all.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('main', 'aion.max_runners = 2', 'fsync = on', 'restart_after_crash = on');
my $alice = $node->connstr('postgres') . ' user=alice';
install($node);
$node->safe_psql('postgres', q{
	CREATE TABLE made (id int PRIMARY KEY);
	CREATE FUNCTION note(what text) RETURNS text LANGUAGE sql AS $$ SELECT what $$;
	SELECT aion.register_activity('note', 'note(text)')}, connstr => $alice);

# What the n-th deploy does: the function says its number before and after a nap, and a row of the same transaction says so, too.
sub deploy_sql
{
	my ($n) = @_;
	return qq{INSERT INTO made VALUES ($n); CREATE OR REPLACE FUNCTION code() RETURNS text LANGUAGE plpgsql AS 'DECLARE said text; BEGIN
		said := aion.run(''note'', ''{"what": "$n"}'') ->> 0; PERFORM aion.sleep(''50 ms''); RETURN said || '' '' || (aion.run(''note'', ''{"what": "$n"}'') ->> 0); END'};
}
$node->safe_psql('postgres', deploy_sql(0) . q{; SELECT aion.register_workflow('code', 'code()')}, connstr => $alice);
my @clients;
for my $client (1 .. 4)
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		for (my $n = 1;; $n++)
		{
			IPC::Run::run([ 'psql', '-XAtq', '-d', $alice, '-c', "SELECT aion.start_workflow('code', workflow_id => 'c$client-$n')" ], '>', '/dev/null', '2>', '/dev/null');
			usleep(10_000);
		}
	}
	push @clients, $pid;
}
END { kill 'KILL', @clients; }

# A server that is just recovering closes psql's pipe, so it is not written to.
sub come_back
{
	for (1 .. 600)
	{
		return if IPC::Run::run([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c', 'SELECT' ], '<', '/dev/null', '>', '/dev/null', '2>', '/dev/null');
		usleep(100_000);
	}
	die 'the server does not come back';
}
my $n = 0;
for my $cycle (1 .. 3)
{
	# Some deploys and routes that commit, then one of each that is killed before it does.
	for (1 .. 3)
	{
		$n++;
		$node->safe_psql('postgres', 'BEGIN; ' . deploy_sql($n) . '; COMMIT', connstr => $alice);
	}
	$node->safe_psql('postgres', q{SELECT aion.route_workflow('code', version) FROM aion.workflow_version WHERE workflow_type = 'code' AND NOT routed ORDER BY registered_at LIMIT 1}, connstr => $alice);
	wait_until($node, "cycle $cycle: there are runs on their way", q{SELECT count(*) > 0 FROM aion.workflow_run WHERE status = 'running'});
	my $session = session($node, 'alice');
	my $what = $cycle == 2 ? q{SELECT aion.route_workflow('code', version) FROM aion.workflow_version WHERE workflow_type = 'code' AND routed} : deploy_sql(1000 + $cycle);
	say_to($session, "BEGIN; $what; SELECT 'in the middle';\n", qr/in the middle/);
	my $victim = $cycle == 3 ? $node->safe_psql('postgres', q{SELECT max(pid) FROM pg_stat_activity WHERE backend_type = 'aion runner'}) || $session->{pid} : $session->{pid};
	kill 'KILL', $victim;
	usleep(100_000) while kill 0, $victim;
	eval { $session->{run}->finish };    # ends when the server has noticed
	come_back();
}
kill 'KILL', @clients;
waitpid $_, 0 for @clients;
@clients = ();
wait_until($node, 'all runs end', q{SELECT count(*) > 0 AND every(status = 'completed') FROM aion.workflow_run});
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run WHERE split_part(result ->> 0, ' ', 1) <> split_part(result ->> 0, ' ', 2)}), '0', 'each by the code it began with (83)');
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT FROM aion.workflow_run GROUP BY version HAVING count(DISTINCT result) > 1) v}), '0', 'which is what its version says');
cmp_ok($node->safe_psql('postgres', 'SELECT count(DISTINCT version) FROM aion.workflow_run'), '>', 2, 'of several versions');
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_version WHERE workflow_type = 'code'}), $n + 1, 'deploys that did not commit have left nothing (84)');
is($node->safe_psql('postgres', q{SELECT count(*) FROM alice.made}), $n + 1, 'and neither have their transactions');
is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(workflow_id, version), 2) FROM aion.workflow_run}, connstr => $alice), 'ok', 'every history replays with its version');
is($node->safe_psql('postgres', q{SELECT count(aion.unregister_workflow('code', version)) FROM aion.workflow_version WHERE NOT routed}, connstr => $alice), $n, 'versions that no run uses can go');
is($node->safe_psql('postgres', q{SELECT aion.start_workflow('code', workflow_id => 'last'); SELECT aion.await_workflow('last', '1 min') IS NOT NULL}, connstr => $alice), "last\nt", 'and what is left goes on');
# A blocked run that is just being tried again is woken as well, and so it is by a rollback.
$node->safe_psql('postgres', q{
	CREATE FUNCTION waits_for_code() RETURNS text LANGUAGE sql AS $$ SELECT aion.run('comes later') #>> '{}' $$;
	SELECT aion.register_workflow('waits', 'waits_for_code()'), aion.start_workflow('waits', workflow_id => 'waits')}, connstr => $alice);
wait_until($node, 'a run is blocked', q{SELECT status = 'blocked' FROM aion.workflow_run WHERE workflow_id = 'waits'});
my $woken = q{SELECT ready_at IS NOT NULL FROM aion._run WHERE workflow_id = 'waits'};
for my $deploy ("SELECT aion.register_workflow('waits', 'waits_for_code()')", "SELECT aion.route_workflow('waits', version) FROM aion.workflow_version WHERE workflow_type = 'waits'")
{
	$node->safe_psql('postgres', 'SELECT aion.pause_engine()');
	$node->safe_psql('postgres', q{UPDATE aion._run SET ready_at = NULL WHERE workflow_id = 'waits'});
	my $holder = session($node, 'postgres');
	say_to($holder, "BEGIN; SELECT 'has ' || status FROM aion._run WHERE workflow_id = 'waits' FOR UPDATE;\n", qr/has blocked/);
	say_to($holder, "SELECT pg_sleep(0.1); COMMIT;\n");
	$node->safe_psql('postgres', $deploy, connstr => $alice);
	is($node->safe_psql('postgres', $woken), 't', 'a deploy wakes the run after that');
	$node->safe_psql('postgres', 'SELECT aion.resume_engine()');
}
is($node->safe_psql('postgres', q{SELECT aion.terminate_workflow('waits')}, connstr => $alice), 'terminated', 'it is still blocked');

# What a commit wakes sees all that it has changed: here runs that go on as new ones, of a workflow whose parameters changed.
my $chain = sub {
	my ($parameters, $input, $result) = @_;
	return "CREATE OR REPLACE FUNCTION chain($parameters) RETURNS int LANGUAGE plpgsql AS \$\$ BEGIN PERFORM aion.receive('go'); PERFORM aion.continue_as_new('$input'); RETURN $result; END \$\$; "
		. "SELECT aion.register_workflow('chain', 'chain(" . ($parameters =~ /text/ ? 'int, text' : 'int') . ")')";
};
my $passing = q{{"n": 1, "c": "x"}};
my $first = $node->safe_psql('postgres', $chain->('n int DEFAULT 0', $passing, 0), connstr => $alice);
my $late = 0;
for my $cycle (1 .. 8)
{
	$node->safe_psql('postgres', $chain->('n int DEFAULT 0, c text DEFAULT NULL', $passing, $cycle) . qq{;
		SELECT count(aion.start_workflow('chain', workflow_id => 'chain $cycle ' || i)) FROM generate_series(1, 5) i;
		SELECT aion.route_workflow('chain', '$first');
		SELECT count(aion.signal_workflow('chain $cycle ' || i, 'go')) FROM generate_series(1, 5) i}, connstr => $alice);
	wait_until($node, "cycle $cycle: runs are blocked", "SELECT count(*) = 5 FROM aion.workflow_run WHERE status = 'blocked' AND workflow_id ~ '^chain $cycle'");
	$node->safe_psql('postgres', "UPDATE aion._run SET failures = 9, retry_at = now() + interval '1 day' WHERE workflow_id ~ '^chain $cycle' AND status = 'blocked'");
	$node->safe_psql('postgres', 'BEGIN; ' . $chain->('n int DEFAULT 0, c text DEFAULT NULL', '{"n": 1}', 100 + $cycle) . q{; SELECT count(*) FROM aion_test.replay_all('chain', closed_runs => 0); COMMIT}, connstr => $alice);
	$node->poll_query_until('postgres', "SELECT every(status <> 'blocked' OR failures > 9) FROM aion._run WHERE workflow_id ~ '^chain $cycle' AND closed_at IS NULL");
	$late += $node->safe_psql('postgres', qq{SELECT count(*) FROM aion._run WHERE workflow_id ~ '^chain $cycle' AND status = 'blocked'});
	$node->safe_psql('postgres', qq{SELECT count(aion.terminate_workflow(workflow_id)) FROM aion.workflow_run WHERE workflow_id ~ '^chain' AND closed_at IS NULL}, connstr => $alice);
}
is($late, 0, 'no run is tried before it can see what has woken it');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');

done_testing();
