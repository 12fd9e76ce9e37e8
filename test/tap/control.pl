# R05, R06, R25, T35, invariants 74, 75: runs are paused, resumed, ended and reopened while runners and sessions execute them, and
# the server is killed in between.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = new_node('main', 'aion.max_runners = 3', 'fsync = on', 'restart_after_crash = on', q{aion.turn_timeout = '10 min'}, 'aion.determinism = off'); # workflow code that sleeps
my $alice = $node->connstr('postgres') . ' user=alice';
install($node);
add_steps($node);
$node->safe_psql('postgres', q{SELECT aion.grant_usage('alice', 'admin')});
$node->safe_psql('postgres', q{
	CREATE TABLE marks (who text);
	CREATE FUNCTION nap(who text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO alice.marks VALUES (who); PERFORM pg_sleep(600); RETURN 'slept'; END $$;
	CREATE FUNCTION naps() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('nap', jsonb_build_object('who', aion.workflow_id())) ->> 0; END $$;
	CREATE FUNCTION dozes() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(600); RETURN 'slept'; END $$;
	CREATE FUNCTION waits() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('1 s'); PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', 1)); RETURN 'waited'; END $$;
	SELECT aion.register_activity('nap', 'nap(text)');
	SELECT aion.register_workflow(w, (w || '()')::regprocedure) FROM unnest('{naps,dozes,waits}'::text[]) w}, connstr => $alice);

# A run whose activity, or whose code, sleeps in a runner is ended at once; what else was in its batch completes.
my $asleep = q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'aion runner' AND wait_event = 'PgSleep'};
for my $type ('naps', 'dozes')
{
	$node->safe_psql('postgres', qq{SELECT aion.start_workflow('steps', '{"n": 1}', workflow_id => '$type before'),
		aion.start_workflow('$type', workflow_id => '$type'), aion.start_workflow('steps', '{"n": 1}', workflow_id => '$type after')}, connstr => $alice);
	wait_until($node, "$type: a runner sleeps", $asleep);
	is($node->safe_psql('postgres', qq{SET statement_timeout = '1 min'; SELECT aion.terminate_workflow('$type')}, connstr => $alice), 'terminated', "$type: ended in the middle of its turn");
	wait_until($node, "$type: the others complete", qq{SELECT count(*) = 2 FROM aion.workflow_run WHERE workflow_id ~ '^$type ' AND status = 'completed'});
	is($node->safe_psql('postgres', qq{SELECT status, turn_failures, history_events FROM aion.workflow_run WHERE workflow_id = '$type'}), 'terminated|0|2', "$type: without a failure");
}
is($node->safe_psql('postgres', 'SELECT count(*) FROM alice.marks'), '0', 'and what the turn had done is gone');

# A run in the same batch as one that sleeps is not kept waiting by it: the sleeper goes on, alone.
$node->safe_psql('postgres', q{SELECT aion.pause_engine()});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('naps', workflow_id => 'sleeper')}, connstr => $alice);
$node->safe_psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 1}', workflow_id => 'neighbour ' || n) FROM generate_series(1, 5) n}, connstr => $alice);
$node->safe_psql('postgres', q{SELECT aion.resume_engine()});
wait_until($node, 'the sleeper sleeps', $asleep);
is($node->safe_psql('postgres', q{SET statement_timeout = '1 min'; SELECT DISTINCT aion.terminate_workflow('neighbour ' || n) IN ('terminated', 'completed') FROM generate_series(1, 5) n}, connstr => $alice),
	't', 'the others are ended, or have completed');
wait_until($node, 'the sleeper sleeps again', $asleep);
# A terminate that is rolled back leaves the run as it was, to be executed again.
$node->safe_psql('postgres', q{SET statement_timeout = '1 min'; BEGIN; SELECT aion.terminate_workflow('sleeper'); ROLLBACK}, connstr => $alice);
wait_until($node, 'after a rollback it sleeps again', $asleep);
is($node->safe_psql('postgres', q{SELECT status, turn_failures FROM aion.workflow_run WHERE workflow_id = 'sleeper'}), 'running|0', 'and nothing was counted');
$node->safe_psql('postgres', q{SELECT aion.terminate_workflow('sleeper')}, connstr => $alice);

# The same in a session that drives: its call goes on with other runs and does not fail.
$node->safe_psql('postgres', q{SELECT aion.pause_engine()});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('naps', workflow_id => 'driven'), aion.start_workflow('dozes', workflow_id => 'driven too')}, connstr => $alice);
$node->safe_psql('postgres', q{ALTER SYSTEM SET aion.max_runners = 0});
$node->restart;
$node->safe_psql('postgres', q{SELECT aion.resume_engine()});
my $driver = session($node, 'alice');
say_to($driver, "CALL aion.drive();\nSELECT 'drive has ' || 'returned';\n");
for my $n (1, 2)
{
	my $id;
	wait_until($node, "the session sleeps ($n)", "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $driver->{pid}");
	$id = $n == 1 ? 'driven' : 'driven too';
	is($node->safe_psql('postgres', qq{SET statement_timeout = '1 min'; SELECT aion.terminate_workflow('$id')}, connstr => $alice), 'terminated', "$id: ended while a session drives it");
}
say_to($driver, '', qr/drive has returned/);
is($driver->{err}, '', 'and the call did not fail');
$driver->{run}->kill_kill;
all_sound($node, 'after ending runs');

# A session that is killed while it waits to end a run is forgotten.
$node->safe_psql('postgres', q{SELECT aion.start_workflow('steps', '{"n": 1}', workflow_id => 'locked')}, connstr => $alice);
my $holder = session($node, 'alice');
say_to($holder, "BEGIN; SELECT 'paused: ' || aion.pause_workflow('locked');\n", qr/paused: paused/);
my $killer = session($node, 'alice');
say_to($killer, "SELECT aion.terminate_workflow('locked');\n");
wait_until($node, 'a session waits', "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $killer->{pid}");
$node->safe_psql('postgres', "SELECT pg_terminate_backend($killer->{pid})");
wait_until($node, 'and is gone', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $killer->{pid})");
say_to($holder, "ROLLBACK; SELECT 'rolled ' || 'back';\n", qr/rolled back/);
my $status = '';
for (1 .. 1000)
{
	$node->safe_psql('postgres', q{SET statement_timeout = '1 min'; CALL aion.drive()}, connstr => $alice);
	$status = $node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'locked'});
	last if $status eq 'completed';
}
is($status, 'completed', 'and no session gives way to it');
$_->{run}->kill_kill for $holder, $killer;

# Paused runs survive a restart, are not executed, and go on with what has arrived.
$node->safe_psql('postgres', q{ALTER SYSTEM RESET aion.max_runners});
$node->safe_psql('postgres', q{
	SELECT count(aion.start_workflow('waits', workflow_id => 'paused ' || n)) FROM generate_series(1, 20) n;
	CALL aion.drive()}, connstr => $alice);
$node->safe_psql('postgres', q{SELECT DISTINCT aion.pause_workflow(workflow_id) FROM aion.workflow_run WHERE closed_at IS NULL}, connstr => $alice);
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', q{SELECT aion.start_workflow('waits', workflow_id => 'free')}, connstr => $alice);
wait_until($node, 'others are executed', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'free'});
wait_until($node, 'what was due is recorded', q{SELECT count(*) = 0 FROM aion.timer WHERE workflow_id ~ '^paused'});
is($node->safe_psql('postgres', q{SELECT count(*) > 0, (SELECT count(*) FROM alice.effect e JOIN aion.workflow_run w ON w.workflow_id = e.who WHERE w.status = 'paused') FROM aion.workflow_run WHERE status = 'paused'}), 't|0', 'paused runs are not');
# ... and cost nothing: no session claims them again and again.
my $xids = q{SELECT pg_current_xact_id()::text::bigint};
my $before = $node->safe_psql('postgres', $xids);
$node->safe_psql('postgres', 'SELECT pg_sleep(1)');
cmp_ok($node->safe_psql('postgres', $xids) - $before, '<=', 3, 'nor looked at again and again');
is($node->safe_psql('postgres', q{SELECT DISTINCT aion.resume_workflow(workflow_id) FROM aion.workflow_run WHERE status = 'paused'}, connstr => $alice), 'running', 'they are resumed');
wait_until($node, 'and complete', q{SELECT count(*) = 20 FROM aion.workflow_run WHERE workflow_id ~ '^paused' AND status = 'completed'});
all_sound($node, 'after a restart');

# So does the pause of the engine.
$node->safe_psql('postgres', q{SELECT aion.pause_engine()});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('waits', workflow_id => 'recorded')}, connstr => $alice);
$node->stop('immediate');
$node->start;
wait_until($node, 'the scheduler is there', q{SELECT scheduler_pid IS NOT NULL FROM aion.stat_engine});
is($node->safe_psql('postgres', q{SELECT paused, (SELECT history_events FROM aion.workflow_run WHERE workflow_id = 'recorded') FROM aion.stat_engine}), 't|1', 'the engine is paused');
$node->safe_psql('postgres', q{SELECT aion.resume_engine()});
wait_until($node, 'resumed, it goes on', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'recorded'});
# While it is paused, there are no runners that look for work.
wait_until($node, 'there are runners', 'SELECT runners > 0 FROM aion.stat_engine');
$node->safe_psql('postgres', q{SELECT aion.pause_engine()});
wait_until($node, 'they leave', 'SELECT runners = 0 FROM aion.stat_engine');
$node->safe_psql('postgres', q{SELECT aion.resume_engine()});

# A thousand runs, paused, resumed, ended and reopened under load, with kills in between. Every step happens once.
my ($runs, $steps) = (1000, 4);
$node->safe_psql('postgres', 'TRUNCATE alice.effect');
$node->safe_psql('postgres', qq{SELECT count(aion.start_workflow('steps', '{"n": $steps}', workflow_id => 'load ' || n)) FROM generate_series(1, $runs) n}, connstr => $alice);
my $some = q{(SELECT workflow_id FROM aion.workflow_run WHERE workflow_id ~ '^load' AND %s ORDER BY random() LIMIT 100) r};
my @requests = (
	'SELECT count(aion.pause_workflow(workflow_id)) FROM ' . sprintf($some, 'closed_at IS NULL'),
	'SELECT count(aion.resume_workflow(workflow_id)) FROM ' . sprintf($some, q{status = 'paused'}),
	'SELECT count(aion.terminate_workflow(workflow_id)) FROM ' . sprintf($some, 'closed_at IS NULL'),
	'SELECT count(aion.reopen_workflow(workflow_id)) FROM ' . sprintf($some, q{status = 'terminated'}),
	'BEGIN; SELECT count(aion.pause_workflow(workflow_id)) FROM ' . sprintf($some, 'closed_at IS NULL') . '; ROLLBACK');
srand(7);
# A server that is just recovering closes psql's pipe.
sub attempt
{
	my ($sql) = @_;
	my ($code, $out, $err) = eval { $node->psql('postgres', $sql, connstr => $alice, timeout => 60) };
	diag($err) if $err && $err !~ /deadlock detected|cannot be reopened|server closed|terminating|connection|recovery|shut|starting/;
}
sub wait_for_server
{
	for (1 .. 100)
	{
		return if eval { $node->poll_query_until('postgres', 'SELECT true') };
		usleep(100_000);
	}
	die 'the server does not come back';
}
for my $round (1 .. 40)
{
	attempt($requests[ $round % @requests ]);
	if ($round % 10 == 0)
	{
		my $victim = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'aion runner' ORDER BY random() LIMIT 1});
		kill 'KILL', $victim if $victim;
		usleep(200_000);
		wait_for_server();
	}
	usleep(20_000);
}
for (1 .. 20)
{
	attempt(q{SELECT count(aion.resume_workflow(workflow_id)) FROM aion.workflow_run WHERE status = 'paused'});
	attempt(q{SELECT count(aion.reopen_workflow(workflow_id)) FROM aion.workflow_run WHERE status = 'terminated' AND workflow_id ~ '^load'});
	last if $node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run WHERE status IN ('paused', 'terminated') AND workflow_id ~ '^load'}) eq '0';
}
wait_until($node, 'all complete', qq{SELECT count(*) = $runs FROM aion.workflow_run WHERE workflow_id ~ '^load' AND status = 'completed'});
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect'), $runs * $steps . '|' . $runs * $steps, 'every step happened once');
cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM aion.history_event WHERE event_type = 'WorkflowReopened' AND workflow_id ~ '^load'}), '>', 50, 'and runs were reopened');
is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run WHERE workflow_id ~ '^load'}, connstr => $alice), 'ok', 'every history replays');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');

done_testing();
