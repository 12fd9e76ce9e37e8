# The ledger again, over everything that starts runs: families three levels deep whose children fail, linger, are cancelled and go on
# as new ones, loops of runs that receive signals all the while, and schedules, while processes, senders and the server are killed
# and frozen. AION_CYCLES faults (make test: 12), AION_SEED repeats.
# I2, I4-I15; invariants 61, 63, 66, 67, 68, 70, 82; R03, R16, R17, R20.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionFaults;
use AionTest;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep time);

my $seed = $ENV{AION_SEED} // int(time);
my $cycles = $ENV{AION_CYCLES} // 12;
srand($seed);
note("seed $seed, $cycles cycles");

my $node = new_node('main', 'aion.max_runners = 4', 'restart_after_crash = on', 'fsync = on', 'max_worker_processes = 12', 'timezone = UTC');
install($node);
my $dsn = $node->connstr('postgres') . ' user=alice';
my @alice = (connstr => $dsn, on_error_stop => 1);
$node->safe_psql('postgres', q{
	CREATE TABLE acknowledged (id text PRIMARY KEY);
	CREATE TABLE effect (key text, what text);
	CREATE TABLE heard (n bigserial, who text, dedup_id text, payload jsonb);
	CREATE TABLE ticked (at timestamptz, workflow text);
	CREATE TABLE sent (dedup_id text, who text, answer text);
	CREATE FUNCTION note(what text) RETURNS void LANGUAGE sql AS $$
		INSERT INTO alice.effect VALUES (aion.activity_info() ->> 'idempotency_key', what) $$;
	CREATE FUNCTION hear(who text, dedup_id text, payload jsonb) RETURNS void LANGUAGE sql AS $$
		INSERT INTO alice.heard (who, dedup_id, payload) VALUES (who, dedup_id, payload);
		SELECT alice.note('hears') $$;
	CREATE FUNCTION tick(at timestamptz, workflow text) RETURNS void LANGUAGE sql AS $$
		INSERT INTO alice.ticked VALUES (at, workflow);
		SELECT alice.note('ticks') $$;
	SELECT aion.register_activity('note', 'note(text)'), aion.register_activity('note slowly', 'note(text)', mode => 'background'),
		aion.register_activity('hear', 'hear(text, text, jsonb)'), aion.register_activity('tick', 'tick(timestamptz, text)');

	-- How those that were awaited have ended: the size of a child's family, or the SQLSTATE.
	CREATE FUNCTION ends_of(settled jsonb) RETURNS jsonb LANGUAGE sql AS $$
		SELECT coalesce(jsonb_agg(coalesce(s.value #> '{ok,size}', s.value #> '{error,sqlstate}') ORDER BY s.n), '[]')
		FROM jsonb_array_elements(settled) WITH ORDINALITY s(value, n) $$;
	CREATE FUNCTION kin(depth int, again int DEFAULT 0, mood text DEFAULT 'works') RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE
		children aion.handle[] := '{}';
		slow aion.handle;
		scope aion.scope;
		ends jsonb;
	BEGIN
		PERFORM aion.run('note', '{"what": "begins"}');
		IF again > 0 THEN
			PERFORM aion.start_timer('left behind', '1 h'), aion.start_activity('note slowly', '{"what": "perhaps"}');
			PERFORM aion.continue_as_new(jsonb_build_object('depth', depth, 'again', again - 1, 'mood', mood));
		END IF;
		IF mood = 'fails' THEN RAISE EXCEPTION 'as told'; END IF;
		IF mood = 'lingers' THEN PERFORM aion.sleep('1 h'); END IF;
		FOR i IN 1..CASE depth WHEN 0 THEN 0 ELSE aion.random_int(2, 4) END LOOP
			mood := (ARRAY['works', 'works', 'works', 'fails', 'lingers'])[aion.random_int(1, 5)];
			children := children || aion.start_child('kin', jsonb_build_object('depth', depth - 1, 'again', aion.random_int(0, 2), 'mood', mood),
				parent_close => (ARRAY['abandon', 'request_cancel', 'terminate'])[aion.random_int(1, 3)],
				options => CASE mood WHEN 'lingers' THEN jsonb '{"timeout": "2 s"}' END);
		END LOOP;
		IF depth = 0 THEN RETURN '{"size": 1, "ends": []}'; END IF;
		slow := aion.start_activity('note slowly', '{"what": "waits"}');
		BEGIN
			CASE aion.random_int(1, 5)
				WHEN 1 THEN PERFORM aion.await_first(children, true);
				WHEN 2 THEN PERFORM aion.await_all(children);
				WHEN 3 THEN PERFORM aion.await(children[1], '100 ms');
				WHEN 4 THEN
					scope := aion.begin_timeout('300 ms');
					PERFORM aion.await_settled(children);
					PERFORM aion.end_timeout(scope);
				ELSE PERFORM aion.cancel(children[1]);
			END CASE;
		EXCEPTION
			WHEN SQLSTATE 'WC001' OR SQLSTATE 'WC002' OR SQLSTATE 'WC003' OR SQLSTATE 'WC004' OR SQLSTATE 'WF013' OR SQLSTATE 'WF026' THEN
				PERFORM aion.run('note', jsonb_build_object('what', SQLSTATE));
			WHEN SQLSTATE 'WF028' THEN
				PERFORM aion.run('note', '{"what": "cleans up"}');
				RAISE;
		END;
		PERFORM aion.await(slow);
		IF aion.random() < 0.2 THEN RETURN '{"size": 1}'; END IF;
		ends := alice.ends_of(aion.await_settled(children));
		RETURN jsonb_build_object('ends', ends, 'size', 1 + (SELECT coalesce(sum(e::int), 0) FROM jsonb_array_elements(ends) e WHERE jsonb_typeof(e) = 'number'));
	END $$;

	-- Receives in one run after the other, in all the ways there are, until it is told to stop or has heard enough.
	CREATE FUNCTION listens(enough int, heard int DEFAULT 0) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		given jsonb;
		winner record;
	BEGIN
		FOR i IN 1..aion.random_int(1, 4) LOOP
			CASE aion.random_int(1, 3)
				WHEN 1 THEN given := aion.receive('s', '100 ms');
				WHEN 2 THEN given := aion.try_receive('s'); IF given IS NULL THEN PERFORM aion.sleep('30 ms'); END IF;
				ELSE
					winner := aion.await_first(ARRAY[aion.start_timer('t' || i, '100 ms'), aion.next_signal('s')], true);
					given := CASE winner.index WHEN 2 THEN winner.value END;
			END CASE;
			IF given = '"stop"' THEN RETURN heard; END IF;
			IF given IS NOT NULL THEN
				heard := heard + 1;
				PERFORM aion.run('hear', jsonb_build_object('who', aion.workflow_id(), 'dedup_id', aion.signal_info() -> 'dedup_id', 'payload', given));
			END IF;
			IF heard >= enough THEN RETURN heard; END IF;
		END LOOP;
		PERFORM aion.continue_as_new(jsonb_build_object('enough', enough, 'heard', heard));
	END $$;

	CREATE FUNCTION each_tick(at timestamptz DEFAULT NULL) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		IF at IS NOT NULL THEN RETURN 'went on'; END IF;
		PERFORM aion.run('tick', jsonb_build_object('at', aion.scheduled_for(), 'workflow', aion.workflow_id()));
		IF aion.random() < 0.3 THEN PERFORM aion.continue_as_new(jsonb_build_object('at', aion.scheduled_for())); END IF;
		IF aion.random() < 0.3 THEN PERFORM aion.run_child('kin', '{"depth": 0, "again": 1}'); END IF;
		RETURN 'done';
	END $$;
	CREATE FUNCTION slow_tick() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM aion.run('tick', jsonb_build_object('at', aion.scheduled_for(), 'workflow', aion.workflow_id()));
		PERFORM aion.sleep('1300 ms');
		RETURN 'done';
	END $$;
	SELECT aion.register_workflow('kin', 'kin(int, int, text)'), aion.register_workflow('listens', 'listens(int, int)'),
		aion.register_workflow('each_tick', 'each_tick(timestamptz)'), aion.register_workflow('slow_tick', 'slow_tick()');
	SELECT aion.start_workflow('listens', jsonb_build_object('enough', CASE WHEN i > 3 THEN 10 * i ELSE 1000000 END), workflow_id => 'l' || i) FROM generate_series(1, 5) i;
	SELECT aion.create_schedule('each', 'each_tick', every => '1 s', overlap => 'allow_all', catch_up => 'all');
	SELECT aion.create_schedule(overlap, 'slow_tick', every => '1 s', overlap => overlap, catch_up => 'one')
		FROM unnest('{skip,buffer_one,cancel_previous}'::text[]) overlap}, @alice);

# Senders say what they are about to send, send it, and send it again under its id until they have an answer. Now and then their
# connection is lost on the way, at COMMIT or before or after it.
my $place = PostgreSQL::Test::Utils::tempdir();
my %senders;
for my $sender (1 .. 3)
{
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		srand($seed + $sender);
		open my $log, '>>', "$place/sent.$sender" or POSIX::_exit(1);
		$log->autoflush(1);
		for (my $n = 1; !-e "$place/stop"; $n++)
		{
			my ($id, $who) = ("$sender/$n", 'l' . int(1 + rand 5));
			my $send = qq{psql -XAtq -v VERBOSITY=sqlstate -d "$dsn" -c "SELECT aion.signal_workflow('$who', 's', '[$sender, $n]', '$id')"};
			my ($answer, $doubtful, $tries) = ('', 0, 0);
			while ($answer eq '')
			{
				my $said = rand() < 0.2 ? `timeout -s KILL 0.0@{[ int(10 + rand 30) ]} $send 2>&1` : `$send 2>&1`;
				if ($said =~ /^([tf])$/) { $answer = $1 eq 't' ? 'sent' : 'known' }
				elsif ($said =~ /WF003/) { $answer = $doubtful ? 'doubtful' : 'refused' }
				else { $doubtful = 1; POSIX::_exit(1) if $tries++ > 1000; usleep(20_000) }
			}
			print $log "$id\t$who\t$answer\n";
			usleep(int rand 40_000);
		}
		POSIX::_exit(0);
	}
	$senders{$pid} = 1;
}
END
{
	my $status = $?;
	kill 'KILL', $_ for keys %senders;
	$? = $status;
}

my $number = 0;
# Starts families; some runs of them are cancelled or terminated. All that is acknowledged comes to its end.
sub start_some
{
	my $ids = join ', ', map { "('k" . ++$number . "')" } 1 .. 2;
	try_psql($node, qq{
		INSERT INTO acknowledged VALUES $ids;
		SELECT aion.start_workflow('kin', '{"depth": 2}', workflow_id => id) FROM (VALUES $ids) v(id)}, @alice, extra_params => ['-1']);
	my $end = rand() < 0.5 ? 'cancel' : 'terminate';
	try_psql($node, qq{SELECT aion.${end}_workflow(workflow_id, 'by chance')
		FROM (SELECT workflow_id FROM aion.workflow_run WHERE closed_at IS NULL AND workflow_type = 'kin' ORDER BY random() LIMIT 2) x}, @alice) if rand() < 0.7;
	return;
}
my %faults = (faults($node),
	'terminate clients' => sub { kill 'TERM', $_ for pids($node, 'client backend') },
	'kill a client' => sub { kill 'KILL', $_ for (pids($node, 'client backend'))[0] // () });
my @names = sort keys %faults;
for my $cycle (1 .. $cycles)
{
	start_some();
	usleep(int rand 400_000);
	start_some() if rand() < 0.5;
	my $name = $names[ rand @names ];
	note("$cycle: $name");
	$faults{$name}->();
	come_back($node) or BAIL_OUT('the server does not come back');
	is($node->safe_psql('postgres', 'SELECT * FROM aion.check_integrity()'), '', "cycle $cycle, $name: nothing is amiss (I4-I7)");
}

wait_until($node, 'enough ticks came (I14)', 'SELECT count(*) > 8 FROM alice.ticked');
wait_until($node, 'enough signals were heard (I14)', "SELECT count(*) > 3 * $cycles FROM alice.heard");

# The senders have stopped, nothing ticks, and all comes to its end.
append_to_file("$place/stop", '');
for (keys %senders) { waitpid $_, 0; delete $senders{$_} }
for my $sender (1 .. 3)
{
	my $rows = join ',', map { my @f = split /\t/; "('$f[0]', '$f[1]', '$f[2]')" } split /\n/, slurp_file("$place/sent.$sender");
	$node->safe_psql('postgres', "INSERT INTO sent VALUES $rows", @alice) if $rows;
}
$node->safe_psql('postgres', q{SELECT aion.pause_schedule(name) FROM aion.schedule}, @alice);
$node->safe_psql('postgres', q{SELECT aion.signal_workflow(workflow_id, 's', '"stop"') FROM aion.workflow_run WHERE closed_at IS NULL AND workflow_type = 'listens'}, @alice);
wait_until($node, 'all runs end (I13)', q{SELECT (SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL) + (SELECT count(*) FROM aion.schedule_tick WHERE state = 'pending') = 0})
	or diag($node->safe_psql('postgres', 'SELECT run_key, workflow_id, status, blocked, failures, ready_at, retry_at, awaiting FROM aion._run WHERE closed_at IS NULL'));

sub none { my ($what, $query) = @_; is($node->safe_psql('postgres', $query), '', $what); return }
sub count_of { my ($query) = @_; return $node->safe_psql('postgres', "SELECT count(*) FROM $query") }
note($node->safe_psql('postgres', q{SELECT string_agg(workflow_type || ' ' || status || ' ' || n, ', ' ORDER BY 1) FROM (SELECT workflow_type, status, count(*) AS n FROM aion.workflow_run GROUP BY 1, 2) x}));
cmp_ok(count_of('alice.acknowledged'), '>=', $cycles, 'enough families were begun (I14)');
note('signals: ' . $node->safe_psql('postgres', q{SELECT string_agg(answer || ' ' || n, ', ' ORDER BY answer) FROM (SELECT answer, count(*) AS n FROM alice.sent GROUP BY 1) x}));
cmp_ok(count_of(q{aion.workflow_run WHERE status = 'continued_as_new'}), '>', 5 * $cycles, 'enough runs went on as new ones (I14)');
none('what was acknowledged has a run, and nothing else has (I9)', q{SELECT * FROM alice.acknowledged a FULL JOIN (SELECT workflow_id FROM aion.workflow_run WHERE workflow_id ~ '^k[0-9]+$' AND continues_run_id IS NULL) w
	ON w.workflow_id = a.id WHERE a.id IS NULL OR w.workflow_id IS NULL});
none('what listened and what ticked ended as it should', q{SELECT workflow_id, status, error FROM aion.workflow_run WHERE workflow_type IN ('listens', 'each_tick', 'slow_tick')
	AND status NOT IN ('completed', 'continued_as_new') AND NOT (workflow_id ~ '^cancel_previous/' AND status = 'cancelled')
	AND error ->> 'detail' IS DISTINCT FROM 'by chance'}); # as the child of a tick may end
none('families failed where they were told to only', q{SELECT workflow_id, error FROM aion.workflow_run WHERE workflow_type = 'kin' AND status = 'failed' AND error ->> 'message' <> 'as told'});

my $done = q{WITH asked AS (SELECT r.run_id || '/' || s.key AS key, s.attributes ->> 'activity' AS activity, o.event_type AS outcome
	FROM aion.history_event s JOIN aion.workflow_run r USING (run_key)
	LEFT JOIN aion.history_event o ON o.run_key = s.run_key AND o.key = s.key AND o.event_type IN ('ActivityCompleted', 'ActivityFailed', 'ActivityCancelled')
	WHERE s.event_type = 'ActivityScheduled')};
none('what was completed has happened once, what was not has not (I2)', qq{$done
	SELECT key, a.activity, a.outcome, count(e.key) FROM asked a FULL JOIN alice.effect e USING (key)
	GROUP BY 1, 2, 3 HAVING count(e.key) <> coalesce((a.outcome = 'ActivityCompleted')::int, 0)});

# I8, R03, 70: a signal is consumed by one run of its chain, or listed with the last of it; what was not sent is nowhere.
my $found = q{WITH found AS (SELECT who, dedup_id FROM alice.heard UNION ALL SELECT workflow_id, dedup_id FROM aion.unconsumed_signal WHERE dedup_id IS NOT NULL)};
none('no signal is lost (I8)', qq{$found SELECT who, dedup_id FROM alice.sent WHERE answer IN ('sent', 'known') EXCEPT SELECT * FROM found});
none('none was consumed twice (I8)', qq{$found SELECT who, dedup_id, count(*) FROM found GROUP BY 1, 2 HAVING count(*) > 1});
none('none is there that was refused, or that no sender sent (I8)', qq{$found SELECT * FROM found EXCEPT SELECT who, dedup_id FROM alice.sent WHERE answer <> 'refused'});
none('signals are heard in the order of their sender (I8, R03)', q{SELECT who, dedup_id FROM (SELECT *, (payload ->> 1)::int AS k, lag((payload ->> 1)::int) OVER (PARTITION BY who, payload -> 0 ORDER BY n) AS before FROM alice.heard) x WHERE k <= before});
none('what is heard is what was counted from run to run (67)', q{SELECT workflow_id, result, (SELECT count(*) FROM alice.heard h WHERE h.who = w.workflow_id) FROM aion.workflow_run w
	WHERE workflow_type = 'listens' AND status = 'completed' AND result::int <> (SELECT count(*) FROM alice.heard h WHERE h.who = w.workflow_id)});

# I10, 61, 63: each child is one chain of runs, and its parent was told of its end once, as it was, or had ended before.
$node->safe_psql('postgres', q{
	CREATE VIEW alice.child AS SELECT p.run_key AS parent, p.status AS parent_status, p.closed_at AS parent_closed_at, p.result AS parent_result, s.key::int AS n, s.attributes ->> 'parent_close' AS parent_close,
		(SELECT count(*) FROM aion.history_event o WHERE o.run_key = s.run_key AND o.key = s.key AND o.event_type IN ('ChildWorkflowCompleted', 'ChildWorkflowFailed')) AS told,
		(SELECT count(*) FROM aion.history_event f WHERE f.seq = 1 AND NOT f.attributes ? 'continues' AND f.attributes -> 'parents' @> jsonb_build_array(jsonb_build_object('run_key', p.run_key, 'child', s.key))) AS chains,
		e.run_key AS child, e.status, e.closed_at, CASE e.status WHEN 'completed' THEN e.result -> 'size' WHEN 'failed' THEN e.error -> 'sqlstate' WHEN 'cancelled' THEN '"WC002"' WHEN 'terminated' THEN '"WC003"' WHEN 'timed_out' THEN '"WC004"' END AS ended
	FROM aion.history_event s JOIN aion.workflow_run p USING (run_key)
		LEFT JOIN aion._run c ON c.run_key = (s.attributes ->> 'run_key')::bigint
		LEFT JOIN LATERAL (SELECT w.* FROM aion._run l JOIN aion.workflow_run w USING (run_key) WHERE c.run_key IN (l.run_key, l.chain_key) ORDER BY l.run_key DESC LIMIT 1) e ON true
	WHERE s.event_type = 'ChildWorkflowStarted'});
cmp_ok(count_of('alice.child'), '>', 2 * $cycles, 'enough children were started (I14)');
cmp_ok(count_of(q{alice.child WHERE parent_result ? 'ends'}), '>', $cycles, 'enough of them were awaited to their end (I14)');
none('each child exists once, has come to an end, and it was told at most once (I10, 61)', q{SELECT * FROM alice.child WHERE child IS NULL OR chains <> 1 OR status = 'continued_as_new' OR told > 1});
none('parents have seen what became of their children (63)', q{SELECT * FROM alice.child WHERE parent_result ? 'ends' AND (told <> 1 OR parent_result -> 'ends' -> (n - 1) IS DISTINCT FROM ended)});
none('and of all of them', q{SELECT parent FROM alice.child WHERE parent_result ? 'ends' GROUP BY parent, parent_result HAVING count(*) <> jsonb_array_length(parent_result -> 'ends')});
none('no child is terminated without a request, or a parent that terminates it', q{
	SELECT * FROM alice.child c WHERE status = 'terminated' AND parent_close <> 'terminate'
	AND NOT EXISTS (SELECT FROM aion.history_event h WHERE h.run_key = c.child AND h.event_type = 'WorkflowTerminated' AND h.attributes ->> 'reason' = 'by chance')});

# I10, 82, R20: one run per tick, and no tick of the one that allows all is missing.
none('no tick has two chains of runs (82)', q{SELECT t.schedule, t.nominal_at, count(w.run_key) FROM aion.schedule_tick t LEFT JOIN aion.workflow_run w ON w.workflow_id = t.workflow_id AND w.continues_run_id IS NULL
	GROUP BY 1, 2, t.state HAVING count(w.run_key) <> (t.state = 'started')::int});
none('no run has no tick', q{SELECT w.workflow_id FROM aion.workflow_run w WHERE w.workflow_type IN ('each_tick', 'slow_tick') AND NOT EXISTS (SELECT FROM aion.schedule_tick t WHERE t.workflow_id = w.workflow_id)});
none('every tick of the one that allows all has its effect once', q{SELECT t.nominal_at, t.state, count(e.at) FROM aion.schedule_tick t LEFT JOIN alice.ticked e ON e.workflow = t.workflow_id AND e.at = t.nominal_at
	WHERE t.schedule = 'each' GROUP BY 1, 2 HAVING count(e.at) <> 1});
none('and none is missing', q{SELECT nominal_at FROM (SELECT nominal_at, lag(nominal_at) OVER (ORDER BY nominal_at) AS before FROM aion.schedule_tick WHERE schedule = 'each') x WHERE nominal_at <> before + '1 s'});
none('no effect is of another tick, or came twice', q{SELECT e.workflow, count(*) FROM alice.ticked e LEFT JOIN aion.schedule_tick t ON t.workflow_id = e.workflow AND t.nominal_at = e.at AND t.state = 'started' GROUP BY 1 HAVING count(*) <> count(t.nominal_at) OR count(*) > 1});
none('those that skip and buffer have one run at a time', q{SELECT workflow_id FROM (SELECT workflow_id, started_at, lag(closed_at) OVER (PARTITION BY split_part(workflow_id, '/', 1) ORDER BY run_key) AS before FROM aion.workflow_run
	WHERE workflow_id ~ '^(skip|buffer_one)/') x WHERE started_at < before});

is($node->safe_psql('postgres', q{SELECT DISTINCT left(aion_test.replay(aion.export_history(workflow_id, run_id)), 2) FROM aion.workflow_run}, @alice), 'ok', 'every history replays (I12)');
wait_until($node, 'no task, timer or letter is left (I11)', 'SELECT (SELECT count(*) FROM aion._task) + (SELECT count(*) FROM aion._timer) + (SELECT count(*) FROM aion._inbox) = 0')
	or diag($node->safe_psql('postgres', q{SELECT 'task', t::text FROM aion._task t UNION ALL SELECT 'timer', t::text FROM aion._timer t UNION ALL SELECT 'inbox', i::text FROM aion._inbox i}));
all_sound($node, 'in the end');
if (count_of(q{pg_available_extensions WHERE name = 'amcheck'}) eq '1')
{
	none('the indexes are sound (I15)', q{CREATE EXTENSION amcheck;
		WITH i AS MATERIALIZED (SELECT c.oid FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE c.relkind = 'i' AND a.amname = 'btree' AND c.relnamespace = 'aion'::regnamespace)
		SELECT oid::regclass FROM i WHERE bt_index_parent_check(oid, true)::text <> ''});
}
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|could not .* aion/, 'no assertion failed (I15)');
$node->stop;
done_testing();
