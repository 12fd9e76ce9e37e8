# Activities in the background, with processes: they hold up no turn, are stopped when no run wants them, and survive what
# kills them. T18, T89; R26.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'restart_after_crash = on', 'aion.max_runners = 4', 'max_worker_processes = 20');
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
sub as_alice { return $node->safe_psql('postgres', $_[0], @alice) }
sub wait_for { my ($query, $expected, $what) = @_; ok(becomes($node, $query, $expected), $what) }
sub executing { return "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'aion executor' AND query ~ '^executing activity'" }
sub status { return "SELECT status FROM aion.workflow_run WHERE workflow_id = '$_[0]'" }

as_alice(q{
CREATE TABLE effect (what text, at timestamptz DEFAULT clock_timestamp());
CREATE TABLE gate (open boolean); INSERT INTO gate VALUES (false);
CREATE FUNCTION short(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO alice.effect VALUES (what) RETURNING what $$;
CREATE FUNCTION long(what text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO alice.effect VALUES (what);
	WHILE NOT (SELECT open FROM alice.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
	RETURN aion.activity_info() -> 'attempt';
END $$;
CREATE FUNCTION stubborn(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO alice.effect VALUES (what);
	IF aion.activity_info() ->> 'attempt' = '2' THEN RETURN 'second'; END IF;
	LOOP
		BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;
	END LOOP;
END $$;
CREATE FUNCTION one(activity text) RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run(activity, jsonb_build_object('what', aion.workflow_id())) $$;
CREATE FUNCTION race(activity text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h aion.handle := aion.start_activity(activity, jsonb_build_object('what', aion.workflow_id()));
BEGIN
	PERFORM aion.sleep('0.3 s');
	RETURN to_jsonb(aion.cancel(h));
END $$;
CREATE FUNCTION waiting() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h aion.handle := aion.start_activity('long', '{"what": "waiting"}', '{"on_cancel": "wait"}');
BEGIN
	RETURN aion.await(h);
EXCEPTION WHEN SQLSTATE 'WF028' THEN
	RETURN jsonb_build_array(aion.cancel(h), aion.await_settled(ARRAY[h]) #> '{0,error,sqlstate}');
END $$;
CREATE FUNCTION many(n int) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(DISTINCT x) FROM jsonb_array_elements(
	aion.map('short', (SELECT jsonb_agg(jsonb_build_object('what', 'many')) FROM generate_series(1, n)))) AS x $$;
CREATE FUNCTION limited() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('short', '{"what": "limited"}', '{"schedule_to_close_timeout": "0.5 s", "task_queue": "held"}') $$;
SELECT aion.register_workflow('limited', 'limited()'), aion.register_workflow('one', 'one(text)'), aion.register_workflow('race', 'race(text)'), aion.register_workflow('many', 'many(int)'), aion.register_workflow('waiting', 'waiting()');
SELECT aion.register_activity('short', 'short(text)', mode => 'background'), aion.register_activity('long', 'long(text)', mode => 'background'),
	aion.register_activity('inline', 'short(text)'),
	aion.register_activity('stubborn', 'stubborn(text)', mode => 'background', start_to_close_timeout => '0.2 s', retry => '{"max_attempts": 2, "initial_interval": "1 ms"}');
});

# What the server does within a restricted operation of its own, with temporary tables.
as_alice(q{
CREATE MATERIALIZED VIEW alice.seen AS SELECT DISTINCT what FROM alice.effect;
CREATE UNIQUE INDEX ON alice.seen (what);
CREATE FUNCTION refresh(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO alice.effect VALUES (what); REFRESH MATERIALIZED VIEW CONCURRENTLY alice.seen; END $$;
SELECT aion.register_activity('refresh', 'refresh(text)', mode => 'background'), aion.register_activity('refresh inline', 'refresh(text)')});
for my $activity ('refresh', 'refresh inline') # one after the other: two refreshes at once do not see each other's rows
{
	as_alice("SELECT aion.start_workflow('one', '{\"activity\": \"$activity\"}', workflow_id => '$activity')");
	wait_for(status($activity), 'completed', "REFRESH MATERIALIZED VIEW CONCURRENTLY: $activity");
}
is(as_alice('SELECT count(*) FROM alice.seen'), '2', 'both are there');

# Many.
as_alice(q{SELECT aion.start_workflow('many', '{"n": 200}', workflow_id => 'many')});
wait_for(status('many'), 'completed', 'two hundred activities are executed');
is(as_alice(q{SELECT count(*) FROM effect WHERE what = 'many'}), 200, 'each once');

# One that is locked when its time is up is looked at again, if it still waits then.
$node->safe_psql('postgres', q{SELECT aion.pause_task_queue('held')});
my $locker = session($node, 'postgres');
as_alice(q{SELECT aion.start_workflow('limited', workflow_id => 'limited')});
say_to($locker, "BEGIN; DO \$\$ BEGIN LOOP PERFORM FROM aion._task WHERE task_queue = 'held' FOR UPDATE; EXIT WHEN FOUND; PERFORM pg_sleep(0.01); END LOOP; END \$\$; SELECT 'lo' || 'cked';\n", qr/locked/);
wait_for(q{SELECT count(*) FROM aion._timer WHERE name ~ '^activity:1 close'}, '0', 'its time is up');
say_to($locker, "ROLLBACK; SELECT 're' || 'leased';\n", qr/released/);
wait_for(q{SELECT error ->> 'sqlstate' FROM aion.workflow_run WHERE workflow_id = 'limited'}, 'WA002', 'an activity that was locked when its time was up fails');

# A long one holds up nothing: neither other runs of the same owner nor other activities.
as_alice(q{SELECT aion.start_workflow('one', '{"activity": "long"}', workflow_id => 'long')});
wait_for(executing(), '1', 'a long activity is being executed');
as_alice(qq{SELECT aion.start_workflow('one', '{"activity": "$_"}', workflow_id => '$_')}) for qw(short inline);
wait_for(status($_), 'completed', "beside it one of mode $_ is") for qw(short inline);
is(as_alice(q{SELECT state, attempt FROM aion.activity_task}), 'claimed|1', 'other sessions see that it is claimed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_stat_activity a USING (pid)
	WHERE c.relname = '_run' AND a.backend_type = 'aion executor' AND l.mode <> 'AccessShareLock'}), '0', 'it holds no run');

# Its statement is cancelled, or its process is killed: that attempt did not happen.
$node->safe_psql('postgres', q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ '^executing activity'});
wait_for('SELECT failures FROM aion._task', '1', 'a cancelled statement does not count as an attempt');
wait_for(executing(), '1', 'it is executed again');
my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query ~ '^executing activity'});
kill 'KILL', $pid;
wait_for('SELECT 1', '1', 'the server is there again');
wait_for(executing(), '1', 'after a crash it is executed again');
$pid = $node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^executing activity'});
wait_for(executing(), '1', 'and after its process was terminated');
$node->stop('fast');
$node->start;
wait_for(executing(), '1', 'and after a restart');
as_alice(q{UPDATE gate SET open = true});
wait_for(status('long'), 'completed', 'it comes to its end');
is(as_alice(q{SELECT result FROM aion.workflow_run WHERE workflow_id = 'long'}), '1', 'those were no attempts (invariant 46)');
is(as_alice(q{SELECT count(*) FROM effect WHERE what = 'long'}), 1, 'its effect is there once');
as_alice(q{UPDATE gate SET open = false});

# What no run wants any more is stopped, and has not happened.
as_alice(q{SELECT aion.start_workflow('race', '{"activity": "long"}', workflow_id => 'race')});
wait_for(status('race'), 'completed', 'a run cancels its activity');
wait_for(executing(), '0', 'which is stopped');
as_alice(q{SELECT aion.start_workflow('one', '{"activity": "long"}', workflow_id => 'doomed')});
wait_for(executing(), '1', 'another one');
as_alice(q{SELECT aion.terminate_workflow('doomed')});
wait_for(executing(), '0', 'is stopped with its run');
is(as_alice(q{SELECT count(*) FROM effect WHERE what IN ('race', 'doomed')}), 0, 'of both nothing has happened');

# Its workflow is asked to cancel: it is stopped, or told and waited for (on_cancel), and if its process ends meanwhile, that is its end.
as_alice(q{SELECT aion.start_workflow('one', '{"activity": "long"}', workflow_id => 'asked')});
wait_for(executing(), '1', 'one whose workflow will be asked to cancel');
as_alice(q{SELECT aion.cancel_workflow('asked')});
wait_for(status('asked'), 'cancelled', 'it does not hold up its workflow');
wait_for(executing(), '0', 'and is stopped');
as_alice(q{SELECT aion.start_workflow('waiting', workflow_id => 'waiting')});
wait_for(executing(), '1', 'one that is waited for');
as_alice(q{SELECT aion.cancel_workflow('waiting')});
wait_for('SELECT cancel_requested FROM aion._task', 't', 'it is told');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^executing activity'});
wait_for(status('waiting'), 'completed', 'its process has ended, it is not executed again');
is(as_alice(q{SELECT result FROM aion.workflow_run WHERE workflow_id = 'waiting'}), '["failed", "WA003"]', 'and its workflow knows');
is(as_alice(q{SELECT count(*) FROM effect WHERE what IN ('asked', 'waiting')}), 0, 'of both nothing has happened');

# Code that does not let itself be cancelled: the attempt is over, and counted; the next one begins when its process is gone.
as_alice(q{SELECT aion.start_workflow('one', '{"activity": "stubborn"}', workflow_id => 'stubborn')});
wait_for(status('stubborn'), 'completed', 'code that swallows the cancel');
is(as_alice(q{SELECT count(*) FROM effect WHERE what = 'stubborn'}), 1, 'has happened once');

# Nor does such code outlive its run.
as_alice(q{
CREATE FUNCTION immovable(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO alice.effect VALUES (what);
	LOOP
		BEGIN PERFORM pg_sleep(60); EXCEPTION WHEN query_canceled THEN NULL; END;
	END LOOP;
END $$;
SELECT aion.register_activity('immovable', 'immovable(text)', mode => 'background')});
as_alice(q{SELECT aion.start_workflow('one', '{"activity": "immovable"}', workflow_id => 'immovable')});
wait_for(executing(), '1', '11.14 one that will not be cancelled');
as_alice(q{SELECT aion.terminate_workflow('immovable')});
wait_for(executing(), '0', 'its process ends');
is(as_alice(q{SELECT count(*) FROM effect WHERE what = 'immovable'}), 0, 'and nothing has happened');

# Its statement is cancelled when its time is up, and when code cancels it and goes on; the process executes the next one.
as_alice(q{
CREATE FUNCTION short_of_time() RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.run('long', '{"what": "short of time"}', '{"start_to_close_timeout": "3 s", "retry": {"max_attempts": 1}}');
EXCEPTION WHEN SQLSTATE 'WA002' THEN
	RETURN aion.failure() -> 'timeout';
END $$;
CREATE FUNCTION goes_on() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h aion.handle := aion.start_activity('long', '{"what": "goes on"}');
BEGIN
	PERFORM aion.receive('go on');
	RETURN jsonb_build_array(aion.cancel(h), aion.sleep('1 day'));
END $$;
SELECT aion.register_workflow('short of time', 'short_of_time()'), aion.register_workflow('goes on', 'goes_on()')});
as_alice(q{SELECT aion.start_workflow('short of time', workflow_id => 'short of time')});
wait_for(executing(), '1', 'one that has little time');
$pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE query ~ '^executing activity'});
wait_for(status('short of time'), 'completed', 'its time is up');
is(as_alice(q{SELECT result FROM aion.workflow_run WHERE workflow_id = 'short of time'}), '"start_to_close_timeout"', 'its workflow knows');
wait_for(executing(), '0', 'its statement was cancelled');
as_alice(q{SELECT aion.start_workflow('goes on', workflow_id => 'goes on')});
wait_for(executing(), '1', 'one that will be cancelled');
as_alice(q{SELECT aion.signal_workflow('goes on', 'go on')});
wait_for(q{SELECT count(*) FROM aion.history('goes on') WHERE event_type = 'ActivityCancelled'}, '1', 'its workflow cancels it and goes on');
wait_for(executing(), '0', 'its statement was cancelled, too');
is($node->safe_psql('postgres', "SELECT backend_type FROM pg_stat_activity WHERE pid = $pid"), 'aion executor', 'by no more than that: the process is there');
is(as_alice(q{SELECT count(*) FROM effect WHERE what IN ('short of time', 'goes on')}), 0, 'of both nothing has happened');
as_alice(q{SELECT aion.terminate_workflow('goes on')});

# A database with a long activity can be dropped.
$node->safe_psql('postgres', 'CREATE DATABASE other');
install($node, 'other');
$node->safe_psql('other', q{
CREATE FUNCTION long() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(1000) $$;
CREATE FUNCTION one() RETURNS void LANGUAGE sql AS $$ SELECT aion.run('long') $$;
SELECT aion.register_workflow('one', 'one()'), aion.register_activity('long', 'long()', mode => 'background'), aion.start_workflow('one')},
	connstr => $node->connstr('other') . ' user=alice');
wait_for(executing(), '1', 'an activity in another database');
$node->safe_psql('postgres', 'DROP DATABASE other');
pass('the database is dropped');

# An activity that ends its own process is repeated ever more rarely.
as_alice(q{
CREATE FUNCTION dies(what text) RETURNS text LANGUAGE sql AS $$ SELECT pg_terminate_backend(pg_backend_pid())::text $$;
SELECT aion.register_activity('dies', 'dies(text)', mode => 'background'), aion.start_workflow('one', '{"activity": "dies"}', workflow_id => 'dies')});
wait_for(q{SELECT failures >= 4 AND state = 'waiting' AND next_attempt_at > clock_timestamp() FROM aion._task}, 't', 'an activity that ends its process waits for its next attempt');
as_alice(q{SELECT aion.terminate_workflow('dies')});
# In a turn it blocks the run.
$node->append_conf('postgresql.conf', 'aion.turn_attempts = 3');
$node->reload;
as_alice(q{SELECT aion.register_activity('dies inline', 'dies(text)'), aion.start_workflow('one', '{"activity": "dies inline"}', workflow_id => 'dies inline')});
wait_for(q{SELECT blocked FROM aion.workflow_run WHERE workflow_id = 'dies inline'}, 'error', 'a run whose turns end their process is blocked');
as_alice(q{SELECT aion.terminate_workflow('dies inline')});

# 11.13: activities of three owners that have no end leave room for a fourth, whose activity has one. The oldest of them is never interrupted.
$node->append_conf('postgresql.conf', q{aion.turn_timeout = '500 ms'});
$node->reload;
$node->safe_psql('postgres', qq{CREATE ROLE $_ LOGIN IN ROLE alice; SELECT aion.grant_usage('$_')}) for 'endless1', 'endless2', 'endless3', 'fourth';
as_alice(q{CREATE FUNCTION endless(what text) RETURNS text LANGUAGE sql AS $$ SELECT pg_sleep(100000)::text $$;
	GRANT USAGE ON SCHEMA alice TO endless1, endless2, endless3, fourth;
	SELECT aion.register_activity('endless', 'endless(text)', mode => 'background')});
for my $i (1 .. 3)
{
	$node->safe_psql('postgres', qq{SELECT aion.start_workflow('one', '{"activity": "endless"}', workflow_id => 'endless $i')}, connstr => $node->connstr('postgres') . " user=endless$i");
	wait_for(q{SELECT count(*) FROM aion._task WHERE activity = 'endless' AND state = 'claimed'}, $i, "endless activity $i is executed");
}
my $first = $node->safe_psql('postgres', q{SELECT xmin FROM aion._task WHERE activity = 'endless' ORDER BY run_key LIMIT 1});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('one', '{"activity": "short"}', workflow_id => 'fourth')}, connstr => $node->connstr('postgres') . ' user=fourth');
wait_for(status('fourth'), 'completed', 'the activity of a fourth owner is executed');
is($node->safe_psql('postgres', q{SELECT xmin FROM aion._task WHERE activity = 'endless' ORDER BY run_key LIMIT 1}), $first, 'and the one that was begun first goes on');
$node->safe_psql('postgres', q{SELECT count(aion.terminate_workflow('endless ' || i)) FROM generate_series(1, 3) i});
wait_for(executing(), '0', 'all are stopped');

# The executors that one role has in several databases are none of them its last: another role waits for one no longer than if all were in one.
$node->append_conf('postgresql.conf', q{aion.turn_timeout = '1 h'});
$node->reload;
for my $database (map { "copy$_" } 1 .. 3)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	install($node, $database);
	$node->safe_psql($database, q{CREATE FUNCTION endless() RETURNS text LANGUAGE sql AS $$ SELECT pg_sleep(100000)::text $$;
		CREATE FUNCTION one() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('endless') $$;
		SELECT aion.register_activity('endless', 'endless()', mode => 'background'), aion.register_workflow('one', 'one()'), aion.start_workflow('one', workflow_id => 'endless')},
		connstr => $node->connstr($database) . ' user=alice');
	ok($node->poll_query_until($database, q{SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'aion executor' AND wait_event = 'PgSleep'}), "an activity in $database is executed");
}
$node->safe_psql('postgres', q{SELECT aion.start_workflow('one', '{"activity": "short"}', workflow_id => 'beside three')}, connstr => $node->connstr('postgres') . ' user=fourth');
wait_for(status('beside three'), 'completed', 'the activity of another role is executed');
$node->safe_psql($_, q{SELECT aion.terminate_workflow('endless')}) for map { "copy$_" } 1 .. 3;

is($node->safe_psql('postgres', 'SELECT * FROM aion.check_integrity()'), '', 'nothing is amiss');
wait_for('SELECT count(*) FROM aion._task', '0', 'no task is left');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');
$node->stop;
done_testing();
