# 11.12, 11.14: a loop of inline activities commits as it goes and can be ended between any two steps; code that does not let
# itself be suspended or cancelled is ended soon after aion.turn_timeout, and so is what it calls.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'aion.turn_timeout = 2s');
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE TABLE effect (who text, i int);
	CREATE FUNCTION step(who text, i int, seconds float8) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_sleep(seconds);
		INSERT INTO effect VALUES (who, i);
		RETURN i;
	END $$;
	SELECT aion.register_activity('step', 'step(text, int, float8)');
	CREATE FUNCTION steps(n int, seconds float8) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1..n LOOP
			PERFORM aion.run('step', jsonb_build_object('who', aion.workflow_id(), 'i', i, 'seconds', seconds));
		END LOOP;
		RETURN n;
	END $$;
	CREATE FUNCTION in_queries(n int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		c CURSOR FOR SELECT g FROM generate_series(1, n) g;
		r record;
	BEGIN
		OPEN c;
		FOR r IN SELECT g FROM generate_series(1, n) g LOOP
			FETCH c INTO r;
			-- aion:allow call_over_rows
			PERFORM aion.run('step', jsonb_build_object('who', aion.workflow_id(), 'i', r.g, 'seconds', 0.001)) FROM generate_series(1, 1);
		END LOOP;
		-- aion:allow call_over_rows
		FOR r IN SELECT aion.run('step', jsonb_build_object('who', aion.workflow_id(), 'i', -g, 'seconds', 0.001)) FROM generate_series(1, n) g LOOP
		END LOOP;
		CLOSE c;
		BEGIN
			PERFORM aion.sleep('1 ms');
		EXCEPTION WHEN division_by_zero THEN NULL;
		END;
		RETURN n;
	END $$;
	CREATE FUNCTION swallows() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		-- aion:allow endless_history
		LOOP
			BEGIN
				PERFORM aion.sleep('1 hour');
			EXCEPTION WHEN assert_failure OR query_canceled THEN NULL;
			END;
		END LOOP;
	END $$;
	SELECT aion.register_workflow('steps', 'steps(int, float8)'), aion.register_workflow('in_queries', 'in_queries(int)'), aion.register_workflow('swallows', 'swallows()');
	CREATE FUNCTION answers(state jsonb, args jsonb) RETURNS int LANGUAGE sql AS 'SELECT 1'}, @alice);

sub start { my ($id, $type, $input) = @_; $node->safe_psql('postgres', "SELECT aion.start_workflow('$type', '$input', workflow_id => '$id')", @alice); }
sub status { my ($id) = @_; return $node->safe_psql('postgres', "SELECT status FROM aion.workflow_run WHERE workflow_id = '$id'"); }
sub effects { my ($id) = @_; return $node->safe_psql('postgres', "SELECT count(*) FROM alice.effect WHERE who = '$id'"); }
sub recorded { my ($id) = @_; return $node->safe_psql('postgres', "SELECT count(*) FROM aion.history_event h JOIN aion._run r USING (run_key) WHERE r.workflow_id = '$id' AND h.event_type = 'ActivityCompleted'"); }

# 25 steps of 200 ms: each is visible when it is done, and what ends or pauses the run comes between two of them.
for my $end (['cancel', q{SELECT aion.cancel_workflow('cancel')}], ['pause', q{SELECT aion.pause_workflow('pause')}], ['terminate', q{SELECT aion.terminate_workflow('terminate')}]) {
	my ($id, $statement) = @$end;
	start($id, 'steps', '{"n": 25, "seconds": 0.2}');
	wait_until($node, "$id: progress is visible", "SELECT count(*) BETWEEN 2 AND 20 FROM alice.effect WHERE who = '$id'");
	$node->safe_psql('postgres', $statement, @alice);
	wait_until($node, "$id is heard", "SELECT status IN ('cancelled', 'paused', 'terminated') FROM aion.workflow_run WHERE workflow_id = '$id'");
	cmp_ok(effects($id), '<', 24, "$id came in the middle");
	is(effects($id), recorded($id), "what was done until $id is recorded");
}
$node->safe_psql('postgres', q{SELECT aion.resume_workflow('pause')}, @alice);
wait_until($node, 'it goes on', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'pause'});
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT i) FROM alice.effect WHERE who = 'pause'}), '25|25', 'each step once');

# Steps that are fast share transactions, and are not made step by step.
start('fast', 'steps', '{"n": 8000, "seconds": 0}');
wait_until($node, 'fast steps are done', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'fast'});
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT i) FROM alice.effect WHERE who = 'fast'}), '8000|8000', 'each once');
cmp_ok($node->safe_psql('postgres', q{SELECT count(DISTINCT xmin::text) FROM alice.effect WHERE who = 'fast'}), '<', 500, 'many in one transaction');
start('queries', 'in_queries', '{"n": 200}');
wait_until($node, 'code that is left in loops over queries', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'queries'});
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT i) FROM alice.effect WHERE who = 'queries'}), '400|400', 'does each step once');

# 11.14
start('swallows', 'swallows', '{}');
wait_until($node, 'code that swallows suspension and cancel is ended', q{SELECT status = 'blocked' FROM aion.workflow_run WHERE workflow_id = 'swallows'});
$node->safe_psql('postgres', q{
	CREATE FUNCTION asks_and_sleeps() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM aion.query_workflow('asked', 'answer');
		IF (SELECT backend_type <> 'client backend' FROM pg_stat_activity WHERE pid = pg_backend_pid()) THEN
			PERFORM pg_sleep(100);
		END IF;
		RETURN 1;
	END $$;
	CREATE FUNCTION has_default(n int DEFAULT asks_and_sleeps()) RETURNS int LANGUAGE sql AS 'SELECT n';
	CREATE FUNCTION asked() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.on_query('answer', 'answers(jsonb, jsonb)', NULL); END $$;
	SELECT aion.register_workflow('asked', 'asked()'), aion.register_workflow('has_default', 'has_default(int)');
	SELECT aion.start_workflow('asked', workflow_id => 'asked')}, @alice);
wait_until($node, 'there is what can be asked', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'asked'});
$node->safe_psql('postgres', q{
	SELECT aion.create_schedule('asks', 'has_default', every => '1 s')}, @alice);
my $began = time();
wait_until($node, 'a default that asks a workflow and sleeps is ended', q{SELECT EXISTS (SELECT FROM aion.schedule_tick WHERE schedule = 'asks' AND state = 'failed')});
cmp_ok(time() - $began, '<', 50, 'by the limit of the tick that it is part of');
$node->safe_psql('postgres', q{SELECT aion.delete_schedule('asks')}, @alice);
all_sound($node, 'in the end');
my $log = slurp_file($node->logfile);
unlike($log, qr/leak|left non-empty|TRAP|WARNING/, 'nothing was left behind');
done_testing();
