# R14, C3, invariants 1-3, 12, 33, 38: sessions that drive may be killed at any moment, and any number may
# drive at once; each effect is there once, with the event that records it, and all runs end.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $seed = $ENV{AION_SEED} // time;
srand($seed);
note("seed $seed (AION_SEED repeats it)");

my $node = new_node('main', 'restart_after_crash = on', 'aion.batch_time = 2ms', 'aion.determinism = off'); # workflow code that sleeps
install($node);
my $alice = $node->connstr('postgres') . ' user=alice';
$node->safe_psql('postgres', q{
	CREATE TABLE effect (who text, step int, at_event int);
	CREATE FUNCTION act(who text, step int) RETURNS int LANGUAGE sql AS $$
		INSERT INTO effect SELECT who, step, w.history_events FROM aion.workflow_run w WHERE workflow_id = who RETURNING step $$;
	SELECT aion.register_activity('act', 'act(text, int)');
	CREATE FUNCTION many_steps(steps int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		total int := 0;
	BEGIN
		FOR i IN 1..steps LOOP
			IF aion.random() < 0.3 THEN
				PERFORM aion.sleep('1 ms');
			END IF;
			total := total + aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', i))::int;
		END LOOP;
		RETURN total;
	END $$;
	SELECT aion.register_workflow('many steps', 'many_steps(int)')}, connstr => $alice);

my ($runs, $steps) = (0, 25);

sub open_runs { return $node->safe_psql('postgres', 'SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL'); }

# Four at a time, of which one is killed, so that the whole server starts again.
my $kills = 0;
while ($kills < 8)
{
	$node->safe_psql('postgres', qq{
		SELECT aion.start_workflow('many steps', '{"steps": $steps}', workflow_id => 'w' || $runs + i) FROM generate_series(1, 10) i},
		connstr => $alice);
	$runs += 10;
	my @drivers = map { session($node, 'alice') } 1 .. 4;
	say_to($_, "CALL aion.drive();\n") for @drivers;
	usleep(int(rand(60_000)));
	my $victim = $drivers[ rand @drivers ];
	$kills += kill 'KILL', $victim->{pid};
	$_->{run}->kill_kill for @drivers;
	$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
}
is($kills, 8, "killed $kills sessions");
all_sound($node, 'after the kills');

# Then in slices, each of any number of turns, until all is done.
for (1 .. 10000)
{
	last if open_runs() == 0;
	my $turns = 1 + int(rand(60));
	$node->safe_psql('postgres', "CALL aion.drive($turns)", connstr => $alice);
}
is($node->safe_psql('postgres', 'SELECT status, result, count(*) FROM aion.workflow_run GROUP BY 1, 2'),
	'completed|' . $steps * ($steps + 1) / 2 . "|$runs", 'every run completed');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect'),
	$runs * $steps . '|' . $runs * $steps, 'every effect is there once');
is($node->safe_psql('postgres', q{
		SELECT count(*) FROM aion.history_event h WHERE event_type = 'ActivityCompleted'}), $runs * $steps, 'with its event');
is($node->safe_psql('postgres', q{
		SELECT count(*) FROM aion.workflow_run w WHERE (SELECT count(*) FROM aion.history(w.workflow_id)) <> history_events}), '0', 'no history has a gap');
is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(workflow_id), 4) FROM aion.workflow_run}, connstr => $alice),
	'ok -', 'every history replays');
is($node->safe_psql('postgres', 'SELECT count(*) FROM alice.effect'), $runs * $steps, 'which has no effect');
all_sound($node, 'in the end');

# A body that swallows whatever interrupts it does not hold its session for ever.
$node->safe_psql('postgres', q{
	CREATE FUNCTION stubborn() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		LOOP
			BEGIN
				PERFORM pg_sleep(10);
			EXCEPTION WHEN query_canceled THEN
				NULL;
			END;
		END LOOP;
	END $$;
	SELECT aion.register_workflow('stubborn', 'stubborn()');
	SELECT aion.start_workflow('stubborn', workflow_id => 'stubborn')}, connstr => $alice);
my $stubborn = session($node, 'alice');
$node->safe_psql('postgres', "ALTER ROLE alice SET aion.turn_timeout = '50ms'");
$stubborn = session($node, 'alice');
say_to($stubborn, "CALL aion.drive();\n", qr/terminating connection/);
like($stubborn->{err}, qr/terminating connection/, 'a body that cannot be interrupted ends its session');
is($node->safe_psql('postgres', q{SELECT status, history_events FROM aion.workflow_run WHERE workflow_id = 'stubborn'}), 'blocked|2', 'and blocks its run, so that others go on');
is($node->safe_psql('postgres', q{SELECT aion.terminate_workflow('stubborn')}, connstr => $alice), 'terminated', 'which can be terminated');

# A cancel ends the call in every language, is not recorded as an outcome, and delays the run it hit.
$node->safe_psql('postgres', 'CREATE EXTENSION plpython3u');
$node->safe_psql('postgres', q{
	CREATE FUNCTION naps() RETURNS text LANGUAGE plpython3u AS $$
plpy.execute("SELECT pg_sleep(30)")
return "slept"
$$;
	ALTER FUNCTION naps() OWNER TO alice;
	CREATE FUNCTION tired() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('naps'); EXCEPTION WHEN OTHERS THEN RETURN SQLERRM; END $$;
	ALTER FUNCTION tired() OWNER TO alice;
	SET SESSION AUTHORIZATION alice;
	SELECT aion.register_activity('naps', 'naps()');
	SELECT aion.register_workflow('tired', 'tired()');
	SELECT aion.start_workflow('tired', workflow_id => 'tired');});
$node->safe_psql('postgres', 'ALTER ROLE alice RESET aion.turn_timeout');
my $canceled = session($node, 'alice');
say_to($canceled, "CALL aion.drive();\n");
wait_until($node, 'the activity sleeps', "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $canceled->{pid}");
$node->safe_psql('postgres', "SELECT pg_cancel_backend($canceled->{pid})");
say_to($canceled, '', qr/ERROR.*\n/);
like($canceled->{err}, qr/canceling statement due to user request|spiexceptions.QueryCanceled/, 'a cancel ends the call');
is($node->safe_psql('postgres', q{SELECT status, turn_failures, history_events FROM aion.workflow_run WHERE workflow_id = 'tired'}), 'running|1|1', 'and the run is tried again later');
is($node->safe_psql('postgres', q{SELECT aion.terminate_workflow('tired')}, connstr => $alice), 'terminated', 'or ended');

# A turn updates the row that its transaction has locked outside of subtransactions: that takes no multixact.
my $multixacts = q{CHECKPOINT; SELECT next_multixact_id FROM pg_control_checkpoint()};
my $multixacts_before = $node->safe_psql('postgres', $multixacts);
$node->safe_psql('postgres', q{
	SELECT count(*) FROM aion.start_workflows('many steps', array_fill('{"steps": 3}'::jsonb, ARRAY[20]));
	CALL aion.drive(); SELECT pg_sleep(0.01); CALL aion.drive()}, connstr => $alice);
is($node->safe_psql('postgres', $multixacts), $multixacts_before, 'turns take no multixacts');
$runs += 20;

# A standby reads, and does not execute.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', 'SELECT count(*) FROM aion.workflow_run'), $runs + 2, 'a standby shows the runs');
my ($code, $out, $err) = $standby->psql('postgres', 'CALL aion.drive()', connstr => $standby->connstr('postgres') . ' user=alice');
like($err, qr/cannot execute aion.drive\(\) during recovery/, 'and executes none');
($code, $out, $err) = $standby->psql('postgres', q{SELECT aion.start_workflow('many steps', '{"steps": 1}')}, connstr => $standby->connstr('postgres') . ' user=alice');
like($err, qr/cannot execute .* (during recovery|in a read-only transaction)/, 'and starts none');

done_testing();
