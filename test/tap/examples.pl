# The examples with processes, while these, workers and the server are killed, frozen and restarted: orders are shipped or taken back,
# decisions are made once, partitions are loaded once, months are paid once. AION_CYCLES faults (make test: 6), AION_SEED repeats a run. example_workers.pl has the pipeline.
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
my $cycles = $ENV{AION_CYCLES} // 6;
srand($seed);
note("seed $seed, $cycles cycles");

my $node = new_node('main', 'aion.max_runners = 4', 'restart_after_crash = on', 'fsync = on', 'max_worker_processes = 12');
install($node);
$node->safe_psql('postgres', q{
	SELECT aion.grant_usage('alice', 'admin'); -- an administrator may limit a task queue
	CREATE ROLE boss LOGIN;
	SELECT aion.grant_usage('boss');
	GRANT alice TO boss;
	GRANT CREATE ON DATABASE postgres TO alice});
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
my @boss = (connstr => $node->connstr('postgres') . ' user=boss');

# The examples as they are, but that what takes days takes a moment.
sub load_example
{
	my ($name, %moments) = @_;
	my $example = slurp_file("examples/$name.sql");
	for my $days (keys %moments)
	{
		$example =~ s/\Q$days\E/$moments{$days}/g or die "$name does not say $days";
	}
	$node->safe_psql('postgres', $example, @alice);
	return;
}
load_example('order_saga', "'30 s');" => q{'1 s', retry => '{"initial_interval": "50 ms", "max_interval": "500 ms", "max_attempts": 50}');}, "'30 s',\n" => "'1 s',\n", '"initial_interval": "1 s"' => '"initial_interval": "50 ms"',
	'"max_interval": "1 h"' => '"initial_interval": "50 ms", "max_interval": "200 ms"');
load_example('approval', "'7 days'" => "'2 s'", "'1 day'" => "'500 ms'");
load_example('nightly_load', '"10 s"' => '"50 ms"');
load_example('subscription', "'3 days'" => "'300 ms'");
$node->safe_psql('postgres', q{
	CREATE TABLE acknowledged (id text PRIMARY KEY);
	CREATE TABLE cancelled (order_id int PRIMARY KEY);
	CREATE TABLE chosen (n serial, customer int, plan text)}, @alice);

my %workers;
my $errors = PostgreSQL::Test::Utils::tempdir() . '/workers.err';
END { kill 'KILL', keys %workers if %workers; }
# Lets there be three workers.
sub staff
{
	for (keys %workers) { delete $workers{$_} if waitpid($_, WNOHANG) == $_ }
	while (keys %workers < 3)
	{
		my @command = ('python3', 'test/tap/lib/shop_worker.py', $node->connstr('postgres') . ' user=alice', int rand 1e9);
		my $pid = fork // die "fork: $!";
		if ($pid == 0) { open STDERR, '>>', $errors; exec @command }
		$workers{$pid} = 1;
	}
}
sub any_worker { my @pids = keys %workers; return $pids[ rand @pids ] }
staff();

# Starts a few runs in one transaction; if that is acknowledged, they come to their end.
my $number = 0;
sub start_some
{
	my $first = $number + 1;
	$number += 6;
	try_psql($node, qq{
		INSERT INTO acknowledged SELECT 'order-' || i FROM generate_series($first, $number) i UNION ALL SELECT 'expense-' || i FROM generate_series($first, $number) i UNION ALL VALUES ('sub-$first');
		INSERT INTO new_subscription VALUES ($first, 'basic', now() - interval '1 year 1 day');
		INSERT INTO card VALUES ($first, $first % 4 <> 1);
		SELECT aion.start_workflow('subscription', to_jsonb(s), workflow_id => 'sub-' || s.customer, if_running => 'use_existing') FROM new_subscription s WHERE customer = $first;
		INSERT INTO expense SELECT i, 100 FROM generate_series($first, $number) i;
		SELECT aion.start_workflow('place_order', jsonb_build_object('order_id', i, 'amount', CASE WHEN i % 7 = 0 THEN 20000 ELSE i END), workflow_id => 'order-' || i),
			aion.start_workflow('approve_expense', jsonb_build_object('expense_id', i, 'approver', 'ann'), workflow_id => 'expense-' || i)
			FROM generate_series($first, $number) i}, @alice, on_error_stop => 1, extra_params => ['-1']);
	return;
}

# A customer cancels an order, at most once each; a customer chooses another plan or has a new card; an approver decides.
sub say_something
{
	my $order = 1 + int rand $number;
	try_psql($node, "SELECT aion.cancel_workflow('order-$order') WHERE NOT EXISTS (SELECT FROM cancelled WHERE order_id = $order); INSERT INTO cancelled VALUES ($order)",
		@alice, on_error_stop => 1, extra_params => ['-1']);
	my $customer = 1 + 6 * int rand $number / 6;
	try_psql($node, rand() < 0.5 ? "SELECT replace_card($customer)" : "WITH plan AS (INSERT INTO chosen (customer, plan) VALUES ($customer, 'plan ' || nextval('chosen_n_seq')) RETURNING plan) SELECT aion.signal_workflow('sub-$customer', 'change_plan', jsonb_build_object('plan', plan.plan)) FROM plan",
		@alice);
	my $say = (qw(approve reject delegate))[ rand 3 ];
	try_psql($node, "SELECT aion.signal_workflow('expense-" . (1 + int rand $number) . "', '$say', '{\"to\": \"bob\"}')", @boss);
	return;
}
# Two nights, the first of which is in the middle when its code is replaced. Many partitions fail after they were loaded, some twice.
$node->safe_psql('postgres', q{
	INSERT INTO etl.delivery SELECT partition, day, CASE partition WHEN 'shop 007' THEN 'seven' ELSE '10' END FROM etl.partition, unnest('{2026-03-28,2026-03-29}'::date[]) AS day;
	SELECT aion.pause_task_queue('etl');
	SELECT aion.create_schedule('nightly', 'nightly_load', every => '1 day', start_at => '2026-03-01 02:30 Europe/Berlin', timezone => 'Europe/Berlin', catch_up => 'all', overlap => 'buffer_one');
	SELECT aion.pause_schedule('nightly');
	SELECT aion.backfill_schedule('nightly', '2026-03-29 00:00 Europe/Berlin', '2026-03-30 00:00 Europe/Berlin')}, @alice);
$node->safe_psql('postgres', q{
	CREATE TABLE claimed (n int);
	CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.claimed SELECT count(*) FROM aion._task WHERE state = 'claimed' AND task_queue = 'etl';
		RETURN NULL;
	END $$;
	CREATE TRIGGER note_claim AFTER UPDATE OF attempt ON aion._task FOR EACH ROW WHEN (new.state = 'claimed') EXECUTE FUNCTION note_claim()});
wait_until($node, 'a night has begun', q{SELECT count(*) = 20 FROM aion.activity_task WHERE task_queue = 'etl'});
$node->safe_psql('postgres', q{
	CREATE OR REPLACE FUNCTION etl.load_partition(partition text, day date) RETURNS numeric LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO etl.sale SELECT d.partition, d.day, d.amount::numeric FROM etl.delivery d WHERE (d.partition, d.day) = (load_partition.partition, load_partition.day);
		PERFORM pg_sleep(0.01);
		IF (aion.activity_info() ->> 'attempt')::int <= abs(hashtext(partition)) % 3 THEN RAISE EXCEPTION 'as told'; END IF;
		RETURN 1;
	END $$;
	DO $$ BEGIN EXECUTE replace(pg_get_functiondef('nightly_load'::regproc), '''day'', d, ''partitions''', '''deploy'', 2, ''day'', d, ''partitions'''); END $$;
	SELECT aion.backfill_schedule('nightly', '2026-03-30 00:00 Europe/Berlin', '2026-03-31 00:00 Europe/Berlin');
	SELECT aion.resume_task_queue('etl')}, @alice);

my %faults = (faults($node),
	'kill a client' => sub { kill 'KILL', (pids($node, 'client backend'))[0] // () },
	'kill a worker' => sub { kill 'KILL', any_worker() },
	'freeze a worker' => sub { my $pid = any_worker(); kill 'STOP', $pid; usleep(1_200_000); kill 'CONT', $pid });
my @names = sort keys %faults;
for my $cycle (1 .. $cycles)
{
	# A deploy, which every subscription is on from its next month.
	$node->safe_psql('postgres', q{DO $$ BEGIN EXECUTE replace(pg_get_functiondef('subscription'::regproc), '{"ended": "unpaid"}', '{"ended": "unpaid", "deploy": 2}'); END $$}, @alice) if $cycle == 1 + int($cycles / 2);
	for (1 .. 3) { start_some(); usleep(int rand 100_000); say_something() for 1 .. 2 }
	my $name = $names[ rand @names ];
	note("$cycle: $name");
	$faults{$name}->();
	come_back($node) or BAIL_OUT('the server does not come back');
	staff();
	is($node->safe_psql('postgres', 'SELECT * FROM aion.check_integrity()'), '', "cycle $cycle, $name: nothing is amiss");
}

# What the board has before it is decided in the end.
for (1 .. 600)
{
	staff();
	try_psql($node, q{SELECT aion.signal_workflow(workflow_id, 'approve', '"by the board"') FROM aion.workflow_run
		WHERE status = 'running' AND workflow_type = 'approve_expense' AND EXISTS (SELECT FROM alice.mail m WHERE workflow_id = 'expense-' || expense_id AND recipient = 'board')
			AND NOT EXISTS (SELECT FROM aion.inbox i WHERE i.workflow_id = workflow_run.workflow_id)}, @boss);
	# After twelve paid months the next payment is due in four weeks: the customer cancels before.
	try_psql($node, q{SELECT aion.signal_workflow(workflow_id, 'cancel') FROM aion.workflow_run
		WHERE status = 'running' AND workflow_type = 'subscription' AND input -> 'period' = '12' AND NOT EXISTS (SELECT FROM aion.inbox i WHERE i.workflow_id = workflow_run.workflow_id)}, @alice);
	last if $node->safe_psql('postgres', 'SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL') eq '0';
	usleep(100_000);
}
# Nothing is wrong; or how the first that is came to be so.
sub none
{
	my ($what, $query) = @_;
	my $found = $node->safe_psql('postgres', $query, @alice);
	is($found, '', $what);
	diag($node->safe_psql('postgres', "SELECT aion.explain('$1')", @alice)) if $found =~ /^([\w-]+)\|/;
	return;
}
none('all runs end', 'SELECT workflow_id, status, blocked FROM aion.workflow_run WHERE closed_at IS NULL');
none('what was acknowledged has a run, and nothing else has',
	q{SELECT coalesce(id, workflow_id), id FROM acknowledged a FULL JOIN (SELECT DISTINCT workflow_id FROM aion.workflow_run WHERE workflow_type <> 'nightly_load') w ON w.workflow_id = a.id WHERE a.id IS NULL OR w.workflow_id IS NULL});
note($node->safe_psql('postgres', q{SELECT workflow_type, status, coalesce(result ->> 'status', result ->> 'decision'), count(*) FROM aion.workflow_run GROUP BY 1, 2, 3 ORDER BY 1, 2, 3}));

# Orders.
none('orders end shipped, rejected or cancelled', q{SELECT workflow_id, status, error FROM aion.workflow_run
	WHERE workflow_type = 'place_order' AND status NOT IN ('completed', 'cancelled')});
none('only orders with a request to cancel were cancelled', q{SELECT workflow_id FROM aion.workflow_run WHERE status = 'cancelled'
	EXCEPT SELECT 'order-' || order_id FROM cancelled});
none('those that were shipped were reserved, paid once and booked; all others have no stock, no carrier, and their money back', q{
	SELECT w.workflow_id, w.status, w.result, r, b, s, c
	FROM aion.workflow_run w CROSS JOIN LATERAL (SELECT substr(w.workflow_id, 7)::bigint AS order_id) o
		LEFT JOIN (SELECT DISTINCT h.run_id, h.attributes -> 'input' ->> 'key' AS key FROM aion.history_event h WHERE h.event_type = 'ActivityScheduled') k USING (run_id)
		LEFT JOIN bank b USING (key) LEFT JOIN reservation r USING (order_id) LEFT JOIN shipment s USING (order_id) LEFT JOIN carrier c USING (key)
	WHERE w.workflow_type = 'place_order' AND CASE
		WHEN w.result ->> 'status' = 'shipped' THEN r IS NULL OR b IS NULL OR b.refunded OR b.amount <> (w.input ->> 'amount')::numeric OR NOT coalesce(NOT c.cancelled, false) OR s.receipt IS DISTINCT FROM w.result -> 'receipt'
		ELSE r IS NOT NULL OR s IS NOT NULL OR NOT coalesce(b.refunded, true) OR NOT coalesce(c.cancelled, true) END});
none('what the bank has taken, an order has asked for', q{SELECT key FROM bank EXCEPT SELECT attributes -> 'input' ->> 'key' FROM aion.history_event});
is($node->safe_psql('postgres', q{SELECT 1000 - available = (SELECT count(*) FROM reservation) FROM stock}, @alice), 't', 'stock is what is not reserved');

# Approvals.
none('decisions are those that were received first, from the role that was logged in', q{
	SELECT w.workflow_id, w.status, e.decision, e.decided_by, h FROM aion.workflow_run w JOIN expense e ON w.workflow_id = 'expense-' || e.expense_id
		LEFT JOIN LATERAL (SELECT h.key, h.attributes FROM aion.history(w.workflow_id) h WHERE h.event_type = 'SignalReceived' AND h.key IN ('approve', 'reject') ORDER BY seq LIMIT 1) h ON true
	WHERE w.status <> 'completed' OR (e.decision, e.decided_by, w.result ->> 'decision') IS DISTINCT FROM (h.key, 'boss', e.decision)});
none('each mail was sent once', q{
	(SELECT substr(w.workflow_id, 9)::bigint, coalesce(s.attributes #>> '{input,to}', 'board'), count(*) FROM aion.workflow_run w JOIN aion.history_event s USING (run_id) JOIN aion.history_event c USING (run_id, key)
		WHERE s.event_type = 'ActivityScheduled' AND s.attributes ->> 'activity' IN ('send_reminder', 'escalate') AND c.event_type = 'ActivityCompleted' GROUP BY 1, 2)
	EXCEPT (SELECT expense_id, recipient, count(*) FROM mail GROUP BY 1, 2)});
isnt($node->safe_psql('postgres', q{SELECT count(*) FROM mail WHERE recipient = 'board'}, @alice), '0', 'some went to the board');

# Subscriptions.
none('subscriptions end paid or unpaid', q{SELECT workflow_id, status, error FROM aion.workflow_run WHERE workflow_type = 'subscription' AND status NOT IN ('completed', 'continued_as_new')});
none('every month was paid for once, until it was over', q{
	SELECT w.workflow_id, w.result, w.input, i.periods FROM aion.workflow_run w CROSS JOIN LATERAL (SELECT array_agg(period ORDER BY period) AS periods FROM invoice WHERE 'sub-' || customer = w.workflow_id) i
	WHERE w.workflow_type = 'subscription' AND w.status = 'completed' AND coalesce(i.periods, '{}') <> ARRAY(SELECT generate_series(0, (w.input ->> 'period')::int - 1))});
none('each month is one run, one after the other, and twelve are a year', q{
	SELECT workflow_id, count(*) FROM (SELECT *, (input ->> 'period')::int AS period FROM aion.workflow_run WHERE workflow_type = 'subscription') w GROUP BY 1
	HAVING count(DISTINCT period) <> count(*) OR max(period) <> count(*) - 1 OR array_agg(period ORDER BY run_key) <> array_agg(period ORDER BY period) OR max(input ->> 'anchor') <> min(input ->> 'anchor')
		OR count(*) <> 13 AND NOT bool_or(result ->> 'ended' = 'unpaid') OR count(*) FILTER (WHERE status = 'completed') <> 1});
none('letters were sent once: for each try, and one in the end', q{
	SELECT workflow_id, array_agg(body) FROM letter l JOIN aion.workflow_run w ON 'sub-' || customer = workflow_id AND w.status = 'completed' GROUP BY 1, result
	HAVING count(DISTINCT body) <> count(*) OR array_length(array_agg(body) FILTER (WHERE body IN ('suspended', 'final invoice')), 1) <> 1 OR (count(*) <> 5 AND result ->> 'ended' = 'unpaid')});
none('the plan that was chosen last is had in the end', q{
	SELECT w.workflow_id, c.plan, aion.query_workflow(w.workflow_id, 'plan') FROM aion.workflow_run w
		JOIN LATERAL (SELECT plan FROM chosen WHERE 'sub-' || customer = w.workflow_id ORDER BY n DESC LIMIT 1) c ON true
	WHERE w.status = 'completed' AND w.result ->> 'ended' <> 'unpaid' AND aion.query_workflow(w.workflow_id, 'plan') ->> 'plan' IS DISTINCT FROM c.plan});
is($node->safe_psql('postgres', q{SELECT count(DISTINCT version) FROM aion.workflow_run WHERE workflow_type = 'subscription'}, @alice), '2', 'some months are those of the new code');

# Nights.
is($node->safe_psql('postgres', q{SELECT workflow_id, status, result - 'failed', jsonb_path_query_array(result, '$.failed[*].partition') FROM aion.workflow_run WHERE workflow_type = 'nightly_load' ORDER BY 1}, @alice),
	join("\n", 'nightly/2026-03-29T01:00:00Z|completed|{"day": "2026-03-28", "partitions": 500}|["shop 007"]',
		'nightly/2026-03-30T00:30:00Z|completed|{"day": "2026-03-29", "deploy": 2, "partitions": 500}|["shop 007"]'), 'each night has its day, and its code');
is($node->safe_psql('postgres', 'SELECT * FROM etl.published ORDER BY 1', @alice), "2026-03-28|499|4990\n2026-03-29|499|4990", 'all but the broken partition are loaded, once');
is($node->safe_psql('postgres', 'SELECT count(*) > 1000, max(n) <= 20 FROM claimed'), 't|t', 'no more than twenty at a time');

is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(workflow_id, version), 2) FROM aion.workflow_run}, @alice), 'ok', 'every history replays');
kill 'KILL', keys %workers;
wait_until($node, 'no task is left', 'SELECT count(*) = 0 FROM aion._task');
all_sound($node, 'in the end');
is(-e $errors ? slurp_file($errors) : '', '', 'no worker saw what it should not');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');
done_testing();
