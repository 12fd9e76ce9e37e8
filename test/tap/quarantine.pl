# A run whose turn takes the server down is not executed for ever, nor is a schedule whose ticks do, and those that were merely in flight are not blamed (T05
# in part, 5.3 of the plan). It can be released.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 3', 'restart_after_crash = on');
install($node);
add_steps($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE EXTENSION plpython3u;
	SET SESSION AUTHORIZATION alice;
	CREATE TABLE alice.harmless (what text);
	RESET SESSION AUTHORIZATION;
	CREATE FUNCTION alice.crash() RETURNS text LANGUAGE plpython3u AS $$
import os, signal, time
time.sleep(0.3)
if plpy.execute("SELECT count(*) AS n FROM alice.harmless")[0]["n"] == 0:
    os.kill(os.getpid(), signal.SIGSEGV)
return "harmless now"
$$;
	ALTER FUNCTION alice.crash() OWNER TO alice});
# A run of another owner is in flight each time the bad one crashes the server.
$node->safe_psql('postgres', q{
	CREATE ROLE bob LOGIN;
	SELECT aion.grant_usage('bob');
	CREATE SCHEMA bob AUTHORIZATION bob;
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION bob.nap() RETURNS int LANGUAGE sql AS $$ SELECT pg_sleep(2); SELECT 1 $$;
	CREATE FUNCTION bob.sleepy() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('nap') $$;
	SELECT aion.register_activity('nap', 'bob.nap()');
	SELECT aion.register_workflow('sleepy', 'bob.sleepy()');
	SELECT aion.start_workflow('sleepy', workflow_id => 'nap')});
$node->safe_psql('postgres', q{
	CREATE FUNCTION aside() RETURNS text LANGUAGE sql AS $$ SELECT 'done aside' $$;
	CREATE FUNCTION bad() RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		aside aion.handle := aion.start_activity('aside');
	BEGIN
		PERFORM aion.sleep('1 ms');
		PERFORM aion.run('act', jsonb_build_object('who', 'bad', 'step', 1));
		PERFORM aion.run('crash');
		RETURN aion.await(aside);
	END $$;
	SELECT aion.register_activity('crash', 'crash()'), aion.register_activity('aside', 'aside()', mode => 'background', task_queue => 'held'), aion.pause_task_queue('held');
	SELECT aion.register_workflow('bad', 'bad()');
	SELECT aion.start_workflow('steps', '{"n": 100}', workflow_id => 'w' || i) FROM generate_series(1, 12) i;
	SELECT aion.start_workflow('bad', workflow_id => 'bad')}, @alice);
# The server is down now and then.
sub quarantined
{
	my ($query) = @_;
	my $waited = 0;
	while ($waited++ < 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		my ($code, $out) = eval { $node->psql('postgres', $query) };
		return 1 if ($out // '') eq 'quarantined';
		select(undef, undef, undef, 0.1);
	}
	return 0;
}
ok(quarantined(q{SELECT blocked FROM aion.workflow_run WHERE workflow_id = 'bad'}), 'a run that crashes the server is quarantined');
wait_until($node, 'the others complete', q{SELECT count(*) = 13 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^[wn]'});
like(slurp_file($node->logfile), qr/LOG:  workflow "bad" of type "bad" is quarantined$/m, 'as the log says');
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.history_event WHERE event_type = 'WorkflowBlocked' AND workflow_id <> 'bad'}), '0', 'and none of them was blamed');
is(() = slurp_file($node->logfile) =~ /aion runner.*was terminated by signal 11/g, 3, 'three crashes were enough');
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect}), '1200|1200', 'every effect is there once, and none of the bad one');
like($node->safe_psql('postgres', q{SELECT attributes #>> '{detail,message}' FROM aion.history('bad') WHERE event_type = 'WorkflowBlocked'}), qr/crashed/, 'its history says why');
$node->safe_psql('postgres', q{INSERT INTO alice.harmless VALUES ('x'); SELECT aion.resume_task_queue('held'), aion.register_activity('crash', 'crash()')}, @alice);
$node->safe_psql('postgres', 'SELECT pg_sleep(0.3)');
is($node->safe_psql('postgres', q{SELECT status, (SELECT state FROM aion.activity_task) FROM aion.workflow_run WHERE workflow_id = 'bad'}), 'blocked|waiting', 'it does not go on by itself, nor does its activity');
$node->safe_psql('postgres', q{SELECT aion.set_workflow_version('bad')}, @alice);
wait_until($node, 'but when it is released', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'bad'});

# A schedule whose ticks take the server down is paused: here, by what computes a default of its workflow's input. What it is asked for
# waits as well; resumed, it goes on with all of that.
$node->safe_psql('postgres', q{
	CREATE FUNCTION timed(input text DEFAULT crash()) RETURNS text LANGUAGE sql AS $$ SELECT input $$;
	SELECT aion.register_workflow('timed', 'timed(text)');
	SELECT aion.create_schedule('bad', 'timed', every => '1 hour', start_at => '2020-01-01', catch_up => 'all', overlap => 'allow_all');
	DELETE FROM alice.harmless;
	SELECT aion.trigger_schedule('bad')}, @alice);
ok(quarantined(q{SELECT reason FROM aion.schedule}), 'a schedule that crashes the server is quarantined');
is($node->safe_psql('postgres', q{SELECT state, runs FROM aion.schedule}), 'paused|0', 'which is to say paused');
like(slurp_file($node->logfile), qr/LOG:  schedule "bad" is paused: quarantined$/m, 'as the log says');
is(() = slurp_file($node->logfile) =~ /aion runner.*was terminated by signal 11/g, 6, 'three crashes were enough');
is($node->safe_psql('postgres', q{SELECT ok, detail FROM aion.health() WHERE "check" = 'schedules'}), 'f|1 quarantined', 'health() says so');
$node->safe_psql('postgres', q{SELECT aion.trigger_schedule('bad')}, @alice);
$node->safe_psql('postgres', 'SELECT pg_sleep(0.3)');
is($node->safe_psql('postgres', q{SELECT count(*), count(*) FILTER (WHERE state = 'pending') FROM aion.schedule_tick}), '2|2', 'and starts nothing that it is asked for');
all_sound($node, 'meanwhile');
$node->safe_psql('postgres', q{INSERT INTO alice.harmless VALUES ('x'); SELECT aion.resume_task_queue('held'), aion.resume_schedule('bad')}, @alice);
wait_until($node, 'but when it is resumed', q{SELECT count(*) = 2 FROM aion.workflow_run WHERE workflow_id ~ '^bad/' AND status = 'completed'});
is($node->safe_psql('postgres', q{SELECT state, reason IS NULL, runs FROM aion.schedule}), 'active|t|2', 'and then it is what it was');

# A process that leads the parallel worker which crashes is told to quit like all others, and its run is quarantined all the same.
$node->safe_psql('postgres', q{
	CREATE TABLE alice.many AS SELECT i FROM generate_series(1, 1000) i;
	ALTER TABLE alice.many OWNER TO alice;
	CREATE FUNCTION alice.crash_worker(i int) RETURNS int PARALLEL SAFE LANGUAGE plpython3u AS $$
import os, signal
os.kill(os.getpid(), signal.SIGSEGV)
$$;
	ANALYZE alice.many});
$node->safe_psql('postgres', q{
	CREATE FUNCTION crash_in_parallel() RETURNS int LANGUAGE plpgsql SET parallel_setup_cost = 0 SET parallel_tuple_cost = 0 SET min_parallel_table_scan_size = 0
		SET parallel_leader_participation = off AS $$ BEGIN RETURN (SELECT max(alice.crash_worker(i)) FROM alice.many); END $$;
	CREATE FUNCTION bad_in_parallel() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('crash in parallel') $$;
	SELECT aion.register_activity('crash in parallel', 'crash_in_parallel()'), aion.register_workflow('bad in parallel', 'bad_in_parallel()');
	SELECT aion.start_workflow('bad in parallel', workflow_id => 'bad in parallel')}, @alice);
ok(quarantined(q{SELECT blocked FROM aion.workflow_run WHERE workflow_id = 'bad in parallel'}), 'a run whose parallel worker crashes the server is quarantined');
is(() = slurp_file($node->logfile) =~ /parallel worker.*was terminated by signal 11/g, 3, 'three crashes were enough');

# No run is blamed when the server is stopped, however many processes are in the middle of a run.
$node->append_conf('postgresql.conf', 'aion.max_runners = 6');
$node->restart;
$node->safe_psql('postgres', q{
	CREATE TABLE released (what text);
	CREATE FUNCTION linger() RETURNS int LANGUAGE plpgsql AS $$ BEGIN WHILE NOT EXISTS (SELECT FROM alice.released) LOOP PERFORM pg_sleep(0.05); END LOOP; RETURN 1; END $$;
	CREATE FUNCTION linger_much() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.map('linger', '[{}, {}, {}]') $$;
	SELECT aion.register_activity('linger', 'linger()', mode => 'background');
	SELECT aion.register_workflow('linger_much', 'linger_much()');
	SELECT aion.start_workflow('linger_much', workflow_id => 'linger')}, @alice);
wait_until($node, 'three processes are in the middle of a run', q{SELECT count(*) = 3 FROM pg_stat_activity WHERE backend_type = 'aion executor' AND query ~ 'linger'});
$node->restart;
$node->safe_psql('postgres', q{INSERT INTO alice.released VALUES ('x')}, @alice);
wait_until($node, 'which goes on after a restart', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'linger'});
all_sound($node, 'in the end');

done_testing();
