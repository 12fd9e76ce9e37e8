# T01-T09 in part, T27: random faults under load. Whatever is killed, stopped or terminated: what was acknowledged happens,
# once, and every run ends. AION_CYCLES says how many faults (make test: 20), AION_SEED repeats a run.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionFaults;
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $seed = $ENV{AION_SEED} // int(time);
my $cycles = $ENV{AION_CYCLES} // 20;
srand($seed);
note("seed $seed, $cycles cycles");

my $node = new_node('main', 'aion.max_runners = 3', 'restart_after_crash = on', 'fsync = on', 'max_worker_processes = 12');
install($node);
my @connect = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE TABLE acknowledged (id text PRIMARY KEY);
	CREATE TABLE effect (who text, step int, at timestamptz DEFAULT clock_timestamp());
	CREATE FUNCTION act(who text, step int, fail boolean DEFAULT false) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO effect VALUES (who, step);
		IF fail THEN RAISE EXCEPTION 'as told'; END IF;
		RETURN step;
	END $$;
	CREATE FUNCTION work(steps int) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		t aion.handle;
	BEGIN
		FOR i IN 1..steps LOOP
			PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', i));
			IF aion.random() < 0.3 THEN
				PERFORM aion.sleep(make_interval(secs => aion.random_int(0, 200) / 1000.0));
			ELSIF aion.random() < 0.2 THEN
				t := aion.start_timer('t' || i, interval '20 ms');
				IF aion.random() < 0.5 THEN
					PERFORM aion.cancel_timer('t' || i);
				ELSE
					PERFORM aion.await(t);
				END IF;
			ELSIF aion.random() < 0.2 THEN
				BEGIN
					PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', -i, 'fail', true));
				EXCEPTION WHEN SQLSTATE 'WA000' THEN
					NULL;
				END;
			END IF;
		END LOOP;
		RETURN steps || ' steps';
	END $$;
	SELECT aion.register_activity('act', 'act(text, int, boolean)');
	SELECT aion.register_workflow('work', 'work(int)')}, @connect);

my $number = 0;
# Starts a few runs; each that is acknowledged must come to its end.
sub start_some
{
	my $ids = join ', ', map { "('w" . ++$number . "')" } 1 .. 5;
	try_psql($node, qq{
		INSERT INTO acknowledged VALUES $ids;
		SELECT aion.start_workflow('work', jsonb_build_object('steps', 5 + length(id) % 7), workflow_id => id) FROM (VALUES $ids) v(id)},
		@connect, on_error_stop => 1, extra_params => ['-1']);
	return;
}
my %faults = faults($node);
my @names = sort keys %faults;

for my $cycle (1 .. $cycles)
{
	start_some();
	usleep(int rand 150_000);
	start_some() if rand() < 0.5;
	my $name = $names[ rand @names ];
	note("$cycle: $name");
	$faults{$name}->();
	come_back($node) or BAIL_OUT('the server does not come back');
	is($node->safe_psql('postgres', 'SELECT * FROM aion.check_integrity()'), '', "cycle $cycle, $name: nothing is amiss");
}
wait_until($node, 'all runs end', 'SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL');
my $acknowledged = $node->safe_psql('postgres', 'SELECT count(*) FROM alice.acknowledged');
cmp_ok($acknowledged, '>', $cycles, "$acknowledged starts were acknowledged");
is($node->safe_psql('postgres', 'SELECT count(*) FROM alice.acknowledged a FULL JOIN aion.workflow_run w ON w.workflow_id = a.id WHERE a.id IS NULL OR w.workflow_id IS NULL'),
	'0', 'what was acknowledged has a run, and nothing else has');
is($node->safe_psql('postgres', 'SELECT DISTINCT status FROM aion.workflow_run'), 'completed', 'which completed');
is($node->safe_psql('postgres', q{
	SELECT count(*) FROM aion.workflow_run w
	WHERE (SELECT array_agg(step ORDER BY step) FROM alice.effect e WHERE e.who = w.workflow_id)
		IS DISTINCT FROM (SELECT array_agg(i ORDER BY i) FROM generate_series(1, (w.input ->> 'steps')::int) i)}), '0', 'every step of each has its effect once, and none that failed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.history_event f JOIN aion.history_event s ON s.run_key = f.run_key AND s.key = f.key AND s.event_type = 'TimerStarted'
	WHERE f.event_type = 'TimerFired' AND f.recorded_at < (s.attributes ->> 'fire_at')::timestamptz}), '0', 'no timer fired early');
is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run}, @connect), 'ok', 'every history replays');
all_sound($node, 'in the end');
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion.timer'), '0', 'no timer is left');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');

done_testing();
