# T02, T03, T04, T08, R29: a process dies at each named place in turn, before and after every commit of the engine, among work of every
# kind; nothing that was acknowledged is lost, and nothing happens twice. The places are those of the sources.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my @points = sort map { slurp_file($_) =~ /CRASH_POINT\("([^"]+)"\)/g } glob('src/*/*.c');
my $node = new_node('main', 'aion.max_runners = 2', 'restart_after_crash = on', 'aion.turn_attempts = 1000',
	'aion.allow_superuser_workflows = off');
if ($node->psql('postgres', 'SHOW aion.crash_point') != 0)
{
	plan skip_all => 'built without -DAION_CRASH_POINTS';
}
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice', on_error_stop => 1);
my $mark = $node->data_dir . '/aion.crashed';
$node->safe_psql('postgres', q{
	CREATE TABLE acknowledged (id text PRIMARY KEY);
	CREATE TABLE effect (who text, step int);
	CREATE SEQUENCE trouble;
	CREATE FUNCTION act(who text, step int, fail boolean DEFAULT false) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO alice.effect VALUES (who, step);
		IF fail THEN RAISE EXCEPTION 'as told'; END IF;
		RETURN step;
	END $$;
	-- Now and then it is for a while as if an operator cancelled each statement, whether the run shares its transaction or not.
	CREATE FUNCTION troubled(who text, step int) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		n bigint := nextval('alice.trouble');
	BEGIN
		INSERT INTO alice.effect VALUES (who, step);
		IF n % 20 < 8 THEN PERFORM pg_cancel_backend(pg_backend_pid()), pg_sleep(1); END IF;
		RETURN step;
	END $$;
	CREATE FUNCTION slow(who text, step int) RETURNS int LANGUAGE sql AS $$
		INSERT INTO alice.effect VALUES (who, step); SELECT pg_sleep(0.5); SELECT step $$;
	-- Every second one is too slow to share its transaction.
	CREATE FUNCTION aside(who text, step int) RETURNS int LANGUAGE sql AS $$
		INSERT INTO alice.effect VALUES (who, step); SELECT pg_sleep(0.005 * (hashtext(who) & 1)); SELECT step $$;
	CREATE FUNCTION echo(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT state $$;
	CREATE FUNCTION work(kind text) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
		who text := aion.workflow_id();
	BEGIN
		PERFORM aion.publish('step', '0');
		PERFORM aion.on_query('ask', 'alice.echo(jsonb, jsonb)', '0');
		PERFORM aion.run('act', jsonb_build_object('who', who, 'step', 1));
		PERFORM aion.publish('step', '1');
		PERFORM aion.sleep('5 ms');
		PERFORM aion.run('act', jsonb_build_object('who', who, 'step', 2));
		PERFORM aion.run(kind, jsonb_build_object('who', who, 'step', 3));
		PERFORM aion.run('aside', jsonb_build_object('who', who, 'step', 4));
		PERFORM aion.publish('step', '3');
		PERFORM aion.on_query('ask', 'alice.echo(jsonb, jsonb)', '3');
		BEGIN
			PERFORM aion.run('act', jsonb_build_object('who', who, 'step', -1, 'fail', true));
		EXCEPTION WHEN SQLSTATE 'WA000' THEN
			NULL;
		END;
		RETURN kind;
	END $$;
	-- A parent that goes on as a new run after each child, each of which does the same.
	CREATE FUNCTION relay(who text, n int) RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM aion.run('act', jsonb_build_object('who', who, 'step', n));
		IF n % 10 < 2 THEN PERFORM aion.continue_as_new(jsonb_build_object('who', who, 'n', n + 1)); END IF;
		RETURN n;
	END $$;
	CREATE FUNCTION family(n int DEFAULT 10) RETURNS int LANGUAGE plpgsql AS $$
	DECLARE
		got int := aion.run_child('relay', jsonb_build_object('who', aion.workflow_id(), 'n', n), workflow_id => format('%s kid %s', aion.workflow_id(), n));
	BEGIN
		IF n < 20 THEN PERFORM aion.continue_as_new(jsonb_build_object('n', n + 10)); END IF;
		RETURN got;
	END $$;
	CREATE FUNCTION asks() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('remote', jsonb_build_object('who', aion.workflow_id())) $$;
	SELECT aion.register_activity('remote', mode => 'external', start_to_close_timeout => '1 s', retry => '{"max_attempts": 1000, "initial_interval": "1 ms"}');
	SELECT aion.register_workflow('asks', 'asks()');
	SELECT aion.register_activity('act', 'act(text, int, boolean)');
	SELECT aion.register_activity('troubled', 'troubled(text, int)');
	SELECT aion.register_activity('slow', 'slow(text, int)');
	SELECT aion.register_activity('aside', 'aside(text, int)', 'background');
	SELECT aion.register_workflow('work', 'work(text)'), aion.register_workflow('relay', 'relay(text, int)'), aion.register_workflow('family', 'family(int)')}, @alice);
# Whose code is alice's: they trust each other. While he is a superuser, he cannot have runs; nor without LOGIN, but from 17 on he can.
$node->safe_psql('postgres', q{
	CREATE ROLE bob LOGIN; GRANT alice TO bob; GRANT USAGE ON SCHEMA alice TO bob; SELECT aion.grant_usage('bob')});

$node->safe_psql('postgres', q{SELECT aion.create_schedule('tick', 'work', every => '1000 years', input => '{"kind": "act"}')}, @alice);

my $number = 0;
my @doubtful;
sub start
{
	my ($kind, $count, $user) = @_;
	start_these($kind, $user, map { 'w' . ++$number } 1 .. $count);
	return;
}
# Starts runs, or finds those that an earlier try has started: a client that got no answer tries again (T04).
sub start_these
{
	my ($kind, $user, @ids) = @_;
	my $ids = join ', ', map { "('$_')" } @ids;
	my ($code) = try_psql(qq{BEGIN;
		INSERT INTO alice.acknowledged VALUES $ids ON CONFLICT DO NOTHING;
		SELECT aion.start_workflow('work', '{"kind": "$kind"}', workflow_id => id, if_running => 'use_existing', if_closed => 'use_existing')
			FROM (VALUES $ids) v(id);
		COMMIT}, connstr => $node->connstr('postgres') . " user=$user", on_error_stop => 1);
	push @doubtful, [ $kind, $user, @ids ] if !defined $code || $code != 0;
	return;
}
sub start_again
{
	my @again = splice @doubtful;
	start_these(@$_) for @again;
	return;
}
# A psql that cannot connect ends before it has read what it is told.
sub try_psql
{
	my ($query, @options) = @_;
	return eval { $node->psql('postgres', $query, @options) };
}
sub asked
{
	my ($query) = @_;
	my ($code, $out) = try_psql($query, on_error_stop => 0);
	return $out // '';
}
sub wait_for
{
	my ($what, $seconds) = @_;
	for (1 .. 50 * ($seconds // $PostgreSQL::Test::Utils::timeout_default))
	{
		return 1 if $what->();
		usleep(20_000);
	}
	return 0;
}
sub crashes
{
	return scalar(() = slurp_file($node->logfile) =~ /all server processes terminated/g);
}
# Finds a process in the middle of the slow activity.
sub slow_one
{
	my $pid;
	start('slow', 1, 'alice');
	wait_for(sub { $pid = asked(q{SELECT pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE backend_type = 'aion runner' AND l.relation = 'alice.effect'::regclass AND wait_event = 'PgSleep' LIMIT 1}); $pid }, 2);
	return $pid || 0;
}
# What a worker does: its effect and the outcome are one commit.
sub do_remote
{
	my $task = asked(q{SET SESSION AUTHORIZATION alice; SELECT task_token, input ->> 'who' FROM aion.poll_activities('{default}', 'worker', 1, '1 s')});
	my ($token, $who) = $task =~ /^(.+)\|(.+)$/m or return;
	asked(qq{SET SESSION AUTHORIZATION alice; BEGIN; INSERT INTO alice.effect VALUES ('$who', 1); SELECT aion.complete_activity('$token', '1'); COMMIT});
	return;
}
# Makes some process come by a place. Where that takes good timing it may fail.
sub provoke
{
	my ($point) = @_;
	# The process may die here, and the client with it.
	eval { $node->psql('postgres', q{SELECT aion.start_workflow('family', workflow_id => 'f' || txid_current())}, @alice) };
	start('act', 3, 'alice');
	if ($point =~ /^failure/)
	{
		asked(q{SELECT setval('alice.trouble', 20)});
		start('troubled', 1, 'alice');
	}
	elsif ($point =~ /^completion/)
	{
		asked(q{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('asks', workflow_id => 'e' || txid_current())});
		do_remote();
	}
	elsif ($point =~ /^drive/)
	{
		try_psql('CALL aion.drive()', @alice) for 1 .. 3;
	}
	elsif ($point =~ /^runs blocked/)
	{
		# A runner of bob's that is still there would block the run itself.
		asked(q{ALTER ROLE bob NOSUPERUSER; SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'bob';
			BEGIN; SET LOCAL ROLE bob; SELECT aion.start_workflow('work', '{"kind": "act"}', workflow_id => 'b' || txid_current());
			RESET ROLE; ALTER ROLE bob SUPERUSER; COMMIT});
	}
	elsif ($point =~ /^interruption/)
	{
		asked('SELECT pg_terminate_backend(' . slow_one() . ')');
	}
	elsif ($point =~ /^errand/)
	{
		asked(q{SELECT aion.trigger_schedule('tick')});
	}
	elsif ($point =~ /^old runs/)
	{
		# A run that ended long ago.
		my $old = 'old' . ++$number;
		asked(qq{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('work', '{"kind": "act"}', workflow_id => '$old')});
		wait_for(sub { asked("UPDATE aion._run SET closed_at = '2000-01-01' WHERE workflow_id = '$old' AND closed_at IS NOT NULL RETURNING 'done'") =~ /done/ });
		$node->reload;
	}
	elsif ($point =~ /^counts/)
	{
		# Many rows that change nothing; a reload lets the scheduler look.
		asked(q{INSERT INTO aion._run_count SELECT 1, 1, 'running', 1 - 2 * (n % 2) FROM generate_series(1, 1200) n});
		$node->reload;
	}
	elsif ($point =~ /^crash noted/)
	{
		my $pid = slow_one();
		kill 'KILL', $pid if $pid;
	}
	return;
}

for my $point (@points)
{
	my $crashes = crashes();
	my $dies = 0;
	my $sound;
	# The mark of the last place keeps that one from killing once more before the new one is known.
	$node->safe_psql('postgres', "ALTER SYSTEM SET aion.crash_point = '$point'");
	$node->reload;
	usleep(50_000);
	unlink $mark;
	for (1 .. 8)
	{
		provoke($point);
		$dies = wait_for(sub {
			my $where = -e $mark ? slurp_file($mark) : '';
			unlink $mark if $where ne '' && $where ne $point;
			return $where eq $point;
		}, 4);
		last if $dies;
	}
	ok($dies, "a process dies here: $point");
	ok($dies && wait_for(sub { crashes() > $crashes && asked('SELECT 1') eq '1' }), 'and the server comes back');
	wait_for(sub { asked(q{SELECT count(*) FROM aion._run WHERE closed_at = '2000-01-01'}) eq '0' });
	wait_for(sub { asked('SELECT count(*) < 1000 FROM aion._run_count') eq 't' }) or diag('counts are not summed up') if $point =~ /^counts/;
	start_again();
	start('act', 1, 'alice');
	wait_for(sub { $sound = asked('SELECT count(*) FROM aion.check_integrity()'); $sound ne '' });
	is($sound, '0', 'with nothing amiss');
	$node->psql('postgres', 'ALTER ROLE bob NOSUPERUSER') if $point =~ /^runs blocked/;
}
cmp_ok(scalar(@points), '>=', 20, 'places: ' . @points);
wait_for(sub { start_again(); !@doubtful });
is(scalar(@doubtful), 0, 'every client got an answer in the end');
# A run that was there too often when a process died waits until an operator lets it go on.
asked(q{SELECT aion.set_workflow_version(workflow_id) FROM aion.workflow_run WHERE blocked = 'quarantined'});
wait_for(sub { do_remote(); asked(q{SELECT count(*) FROM aion.workflow_run WHERE workflow_type = 'asks' AND closed_at IS NULL}) eq '0' });
wait_until($node, 'all runs end', 'SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL')
	or diag(asked('SELECT workflow_id, status, blocked, failures, ready_at, retry_at FROM aion._run WHERE closed_at IS NULL'));
cmp_ok(asked('SELECT count(*) FROM alice.acknowledged'), '>', 2 * @points, 'enough starts were acknowledged');
is(asked(q{SELECT count(*) FROM alice.acknowledged a FULL JOIN aion.workflow_run w ON w.workflow_id = a.id AND w.workflow_id ~ '^w'
	WHERE a.id IS NULL OR w.workflow_id IS NULL AND w.workflow_id ~ '^w'}), asked(q{SELECT count(*) FROM aion.workflow_run WHERE workflow_id ~ '^(b|e|f|tick/)'}),
	'what was acknowledged has a run, and nothing else has');
is(asked(q{SELECT count(*) - count(DISTINCT workflow_id) FROM aion.workflow_run WHERE status <> 'continued_as_new'}), '0', 'T04: trying again starts nothing twice');
is(asked(q{SELECT DISTINCT status FROM aion.workflow_run WHERE status <> 'continued_as_new'}), 'completed', 'which completed');
# 61, 63, 67: each family started its two children once, went on once, and was told by each how its chain of runs ended.
cmp_ok(asked(q{SELECT count(*) FROM aion.workflow_run WHERE workflow_type = 'family' AND status = 'completed' AND result = '22'}), '>', @points / 2, 'parents, children, and runs that go on for others');
is(asked(q{SELECT count(*) FROM aion.workflow_run w WHERE workflow_type = 'family' AND status = 'completed' AND (result <> '22'
	OR (SELECT array_agg(step ORDER BY step) FROM alice.effect e WHERE e.who = w.workflow_id) IS DISTINCT FROM '{10,11,12,20,21,22}'
	OR (SELECT array_agg(status ORDER BY k.run_key) FROM aion.workflow_run k WHERE k.parent_workflow_id = w.workflow_id)
		IS DISTINCT FROM '{continued_as_new,continued_as_new,completed,continued_as_new,continued_as_new,completed}')}), '0', 'each with all effects once');
is(asked(q{SELECT count(*) > 0, bool_and((SELECT count(*) FROM alice.effect e WHERE e.who = w.workflow_id) = 1) FROM aion.workflow_run w WHERE workflow_type = 'asks'}),
	't|t', 'what workers write with an outcome is there once');
is(asked(q{SELECT count(*) FROM aion.workflow_run w
	WHERE workflow_type = 'work' AND (SELECT array_agg(step ORDER BY step) FROM alice.effect e WHERE e.who = w.workflow_id) IS DISTINCT FROM '{1,2,3,4}'}), '0', 'every step of each has its effect once');
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run WHERE workflow_id ~ '^w' AND (aion.query_workflow(workflow_id, 'step') <> '3'
	OR aion.query_workflow(workflow_id, 'ask') <> '3' OR aion_test.replay(workflow_id) !~ '^ok')}, @alice), '0', 'each answers what a replay computes');
is(asked(q{SELECT count(*) > 0, count(*) - count(w.run_key), count(*) FILTER (WHERE t.state <> 'started') FROM aion.schedule_tick t LEFT JOIN aion.workflow_run w USING (workflow_id)}),
	't|0|0', 'R20: every tick has its run');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');

done_testing();
