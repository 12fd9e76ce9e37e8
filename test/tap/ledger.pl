# The ledger: money is moved by activities of all three modes, while processes, workers and the server are killed, frozen and
# restarted. What was completed has happened once, what was not has not. AION_CYCLES faults (make test: 35), AION_SEED repeats.
# I1, I2, I3, I9, I11, I12, I13; T84, T87, T89, T91; invariants 43, 47.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionFaults;
use AionTest;
use POSIX ':sys_wait_h';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $seed = $ENV{AION_SEED} // int(time);
my $cycles = $ENV{AION_CYCLES} // 35;
srand($seed);
note("seed $seed, $cycles cycles");

my $node = new_node('main', 'aion.max_runners = 4', 'restart_after_crash = on', 'fsync = on', 'max_worker_processes = 12');
install($node);
my @connect = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE TABLE account (id text PRIMARY KEY, balance int NOT NULL);
	INSERT INTO account SELECT 'a' || i, 1000 FROM generate_series(0, 9) i UNION ALL VALUES ('transit', 0);
	CREATE TABLE ledger (key text, attempt int, from_id text, to_id text, amount int);
	CREATE TABLE fee (key text, attempt int);
	CREATE TABLE seen (n bigserial, key text, attempt int);
	CREATE TABLE acknowledged (id text PRIMARY KEY);
	-- Fails at its first attempts, after it has moved the money.
	CREATE FUNCTION move(from_id text, to_id text, amount int, failures int DEFAULT 0) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		info jsonb := aion.activity_info();
	BEGIN
		PERFORM FROM alice.account a WHERE a.id IN (move.from_id, move.to_id) ORDER BY a.id FOR UPDATE;
		UPDATE alice.account a SET balance = balance - move.amount WHERE a.id = move.from_id;
		UPDATE alice.account a SET balance = balance + move.amount WHERE a.id = move.to_id;
		INSERT INTO alice.ledger VALUES (info ->> 'idempotency_key', (info ->> 'attempt')::int, move.from_id, move.to_id, move.amount);
		PERFORM pg_sleep(0.005);
		IF (info ->> 'attempt')::int <= move.failures THEN RAISE EXCEPTION 'as told'; END IF;
		RETURN (info ->> 'attempt')::int;
	END $$;
	CREATE FUNCTION transfer(from_id text, to_id text, amount int) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		retry jsonb := '{"retry": {"max_attempts": 4, "initial_interval": "10 ms"}}';
		debit jsonb := jsonb_build_object('from_id', from_id, 'to_id', 'transit', 'amount', amount, 'failures', aion.random_int(0, 2));
		credit jsonb := jsonb_build_object('from_id', 'transit', 'to_id', to_id, 'amount', amount, 'failures', aion.random_int(0, 4));
		fee aion.handle;
	BEGIN
		PERFORM aion.run('debit', debit, retry);
		fee := aion.start_activity('fee', to_jsonb(amount));
		IF aion.random() < 0.3 THEN PERFORM aion.sleep('50 ms'); END IF;
		IF aion.random() < 0.1 THEN PERFORM aion.cancel(aion.start_activity('credit', credit)); END IF;
		BEGIN
			PERFORM aion.run('credit', credit, retry);
		EXCEPTION WHEN SQLSTATE 'WA000' THEN
			PERFORM aion.run('credit', jsonb_build_object('from_id', 'transit', 'to_id', from_id, 'amount', amount));
		END;
		IF aion.random() < 0.1 THEN PERFORM aion.cancel(fee); END IF;
		BEGIN
			PERFORM aion.await(fee);
		EXCEPTION WHEN SQLSTATE 'WA000' THEN
			RETURN 'without fee';
		END;
		RETURN 'done';
	END $$;
	SELECT aion.register_activity('debit', 'move(text, text, int, int)'), aion.register_activity('credit', 'move(text, text, int, int)', mode => 'background'),
		aion.register_activity('fee', mode => 'external', task_queue => 'fees', start_to_close_timeout => '300 ms', retry => '{"max_attempts": 6, "initial_interval": "20 ms"}'),
		aion.register_workflow('transfer', 'transfer(text, text, int)')}, @connect);

my %workers;
my $errors = PostgreSQL::Test::Utils::tempdir() . '/workers.err';
my $dsn = $node->connstr('postgres') . ' user=alice';
# Lets there be four workers.
sub staff
{
	for (keys %workers) { delete $workers{$_} if waitpid($_, WNOHANG) == $_ }
	while (keys %workers < 4)
	{
		my @command = ('python3', 'test/tap/lib/ledger_worker.py', $dsn, int rand 1e9);
		my $pid = fork // die "fork: $!";
		if ($pid == 0) { open STDERR, '>>', $errors; exec @command }
		$workers{$pid} = 1;
	}
}
sub any_worker { my @pids = keys %workers; return $pids[ rand @pids ] }
staff();

my $number = 0;
sub start_some
{
	my $ids = join ', ', map { "('t" . ++$number . "')" } 1 .. 8;
	try_psql($node, qq{
		INSERT INTO acknowledged VALUES $ids;
		SELECT aion.start_workflow('transfer', jsonb_build_object('from_id', 'a' || i % 10, 'to_id', 'a' || (i * 7 + 3) % 10, 'amount', i % 50 + 1), workflow_id => id)
			FROM (SELECT id, substr(id, 2)::int AS i FROM (VALUES $ids) v(id)) x},
		@connect, on_error_stop => 1, extra_params => ['-1']);
	try_psql($node, "SELECT aion.terminate_workflow('t" . int(rand $number) . "')", @connect) if rand() < 0.3;
}

my %faults = (faults($node),
	'kill a worker' => sub { kill 'KILL', any_worker() },
	'freeze a worker' => sub { my $pid = any_worker(); kill 'STOP', $pid; usleep(500_000); kill 'CONT', $pid },
	'kill all workers' => sub { kill 'KILL', keys %workers });
my @names = sort keys %faults;
for my $cycle (1 .. $cycles)
{
	for (1 .. 3) { start_some(); usleep(int rand 60_000) }
	my $name = $names[ rand @names ];
	note("$cycle: $name");
	$faults{$name}->();
	come_back($node) or BAIL_OUT('the server does not come back');
	staff();
	is($node->safe_psql('postgres', 'SELECT * FROM aion.check_integrity()'), '', "cycle $cycle, $name: nothing is amiss");
	is($node->safe_psql('postgres', 'SELECT sum(balance) FROM alice.account'), '10000', "cycle $cycle: no money is lost or made (I1)");
}
for (1 .. 600)
{
	last if $node->safe_psql('postgres', 'SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL') eq '0';
	staff();
	usleep(100_000);
}
sub none { my ($what, $query) = @_; is($node->safe_psql('postgres', $query), '', $what) }
none('all runs end (I13)', 'SELECT workflow_id, status FROM aion.workflow_run WHERE closed_at IS NULL');
none('as they should', q{SELECT workflow_id, status, error FROM aion.workflow_run WHERE status NOT IN ('completed', 'terminated')});
none('what was acknowledged has a run, and nothing else has (I9)',
	'SELECT * FROM alice.acknowledged a FULL JOIN aion.workflow_run w ON w.workflow_id = a.id WHERE a.id IS NULL OR w.workflow_id IS NULL');
cmp_ok($number, '>', $cycles, "$number transfers were begun (I14)");
my $done = q{WITH asked AS (SELECT r.run_id || '/' || s.key AS key, s.attributes ->> 'activity' AS activity, o.event_type AS outcome
	FROM aion.history_event s JOIN aion.workflow_run r USING (run_key)
	JOIN aion.history_event o ON o.run_key = s.run_key AND o.key = s.key AND o.event_type IN ('ActivityCompleted', 'ActivityFailed', 'ActivityCancelled')
	WHERE s.event_type = 'ActivityScheduled')};
none('every activity came to one end', "$done SELECT key FROM asked GROUP BY 1 HAVING count(*) <> 1");
none('what was completed in the database has happened once, what was not has not (I2)', qq{$done
	SELECT a.key, a.activity, a.outcome, count(l.key) FROM asked a LEFT JOIN alice.ledger l USING (key) WHERE a.activity IN ('debit', 'credit')
	GROUP BY 1, 2, 3 HAVING count(l.key) <> (outcome = 'ActivityCompleted')::int});
none('balances are what the ledger says (I1)', q{SELECT a.id, a.balance FROM alice.account a WHERE a.balance <> CASE a.id WHEN 'transit' THEN 0 ELSE 1000 END
	+ (SELECT coalesce(sum(amount), 0) FROM alice.ledger WHERE to_id = a.id) - (SELECT coalesce(sum(amount), 0) FROM alice.ledger WHERE from_id = a.id)});
none('fees that were completed are written once, others not at all (I3)', qq{$done
	SELECT a.key, a.outcome, count(f.key) FROM asked a LEFT JOIN alice.fee f USING (key) WHERE a.activity = 'fee'
	GROUP BY 1, 2 HAVING CASE outcome WHEN 'ActivityCompleted' THEN count(f.key) <> 1 WHEN 'ActivityFailed' THEN count(f.key) <> 0 ELSE count(f.key) > 1 END});
none('attempts of workers are told apart, grow, and are no more than allowed (I3)',
	'SELECT key, array_agg(attempt ORDER BY n) FROM alice.seen GROUP BY 1 HAVING count(DISTINCT attempt) <> count(*) OR max(attempt) > 6');
none('attempts in the database are no more than allowed', 'SELECT * FROM alice.ledger WHERE attempt > 4');
isnt($node->safe_psql('postgres', 'SELECT count(DISTINCT attempt) FROM alice.ledger'), '1', 'some were made again');
is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM aion.workflow_run}, @connect), 'ok', 'every history replays (I12)');
kill 'KILL', keys %workers;
wait_until($node, 'no task is left (I11)', 'SELECT count(*) = 0 FROM aion._task');
all_sound($node, 'in the end');
is(-e $errors ? slurp_file($errors) : '', '', 'no worker saw what it should not');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');
done_testing();
