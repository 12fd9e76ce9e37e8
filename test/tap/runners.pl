# C13, 11.13, 11.15: what is slow, or waits for a lock, holds up no other run: neither of its owner nor of another, in turns, in
# activities of the background, and in drive.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_node('main', 'aion.max_runners = 4', 'aion.determinism = off'); # workflow code that sleeps
install($node);
my %who = map { $_ => [ connstr => $node->connstr('postgres') . " user=$_" ] } qw(alice bob carol);
$node->safe_psql('postgres', "CREATE ROLE $_ LOGIN; SELECT aion.grant_usage('$_'); CREATE SCHEMA $_ AUTHORIZATION $_") for qw(bob carol);
sub as { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, @{ $who{$role} }) }
for my $role (qw(alice bob carol))
{
	as($role, qq{
	CREATE TABLE account (id int PRIMARY KEY, balance int);
	INSERT INTO account SELECT i, 0 FROM generate_series(1, 10) i;
	CREATE TABLE effect (who text);
	CREATE FUNCTION nap(s float8) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(s)';
	CREATE FUNCTION quick(who text) RETURNS void LANGUAGE sql AS 'INSERT INTO $role.effect VALUES (who)';
	CREATE FUNCTION book(id int) RETURNS text LANGUAGE plpgsql SET lock_timeout = 0 AS \$\$
	BEGIN
		UPDATE $role.account SET balance = balance + 1 WHERE account.id = book.id;
		RETURN 'booked';
	EXCEPTION WHEN lock_not_available OR query_canceled THEN RETURN 'given up';
	END \$\$;
	CREATE FUNCTION naps(s float8) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN PERFORM aion.run('$role nap', jsonb_build_object('s', s)); END \$\$;
	CREATE FUNCTION sleeps(s float8) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_sleep(s); END \$\$;
	CREATE FUNCTION is_quick() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN PERFORM aion.run('$role quick', jsonb_build_object('who', aion.workflow_id())); END \$\$;
	CREATE FUNCTION books(id int) RETURNS jsonb LANGUAGE plpgsql AS \$\$ BEGIN RETURN aion.run('$role book', jsonb_build_object('id', id)); END \$\$;
	CREATE FUNCTION long() RETURNS void LANGUAGE sql AS \$\$ SELECT aion.run('$role long', '{"s": 1000}') \$\$;
	CREATE FUNCTION short() RETURNS void LANGUAGE sql AS \$\$ SELECT aion.run('$role long', '{"s": 0}') \$\$;
	CREATE FUNCTION parent(child text) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN PERFORM aion.start_child('$role quick', workflow_id => child); END \$\$;
	SELECT aion.register_activity('$role nap', 'nap(float8)'), aion.register_activity('$role quick', 'quick(text)'), aion.register_activity('$role book', 'book(int)'),
		aion.register_activity('$role long', 'nap(float8)', mode => 'background');
	SELECT aion.register_workflow('$role naps', 'naps(float8)'), aion.register_workflow('$role sleeps', 'sleeps(float8)'), aion.register_workflow('$role quick', 'is_quick()'),
		aion.register_workflow('$role books', 'books(int)'), aion.register_workflow('$role long', 'long()'), aion.register_workflow('$role short', 'short()'),
		aion.register_workflow('$role parent', 'parent(text)')});
}

# Starts quick runs of a role and returns how long it takes until all have ended, in seconds.
my $batches = 0;
my $began;
sub quick
{
	my ($role, $count) = @_;
	my $began = time;
	$batches++;
	as($role, qq{SELECT aion.start_workflow('$role quick', workflow_id => 'q$batches-' || i) FROM generate_series(1, $count) i});
	$node->poll_query_until('postgres', qq{SELECT count(*) = $count FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^q$batches-'}) or return 1000;
	return time - $began;
}
sub is_open { return $node->safe_psql('postgres', qq{SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL AND workflow_type ~ '$_[0]'}) }

# Turns that take long: in an activity, and in the code itself.
for my $type ('naps', 'sleeps')
{
	as('alice', qq{SELECT aion.start_workflow('alice $type', '{"s": 7}'); SELECT pg_sleep(0.02)});
	cmp_ok(quick('alice', 20), '<', 4, "$type: a turn of seven seconds holds up no other of its owner");
	is(is_open($type), 1, 'it is still there');
	cmp_ok(quick('alice', 20), '<', 4, 'nor those that come later');
}
# They are started in the middle of others, which share their transaction.
as('alice', q{SELECT aion.start_workflow(CASE WHEN i = 10 THEN 'alice naps' ELSE 'alice quick' END, CASE WHEN i = 10 THEN '{"s": 7}'::jsonb ELSE '{}' END, workflow_id => 'm' || i) FROM generate_series(1, 20) i});
wait_until($node, 'those of the same batch end', q{SELECT count(*) = 19 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^m'});
is($node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'm10'}), 'running', 'before the slow one');
# As many as there are runners, and more.
as('alice', q{SELECT aion.start_workflow('alice naps', '{"s": 4}') FROM generate_series(1, 8)});
cmp_ok(quick('alice', 20), '<', 4, 'one runner stays free for those that are quick');
cmp_ok(quick('bob', 20), '<', 4, 'another owner gets room');
wait_until($node, 'the slow ones end', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});

# As many owners with a turn that takes long as there are runners: another one gets room in the middle of them, and each turn ends.
my @slow = map { "slow$_" } 1 .. 4;
for my $role (@slow)
{
	$node->safe_psql('postgres', "CREATE ROLE $role LOGIN; SELECT aion.grant_usage('$role'); CREATE SCHEMA $role AUTHORIZATION $role");
	$node->safe_psql('postgres', qq{SET SESSION AUTHORIZATION $role;
		CREATE FUNCTION sleeps(s float8) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN PERFORM pg_sleep(s); END \$\$;
		SELECT aion.register_workflow('$role sleeps', 'sleeps(float8)'), aion.start_workflow('$role sleeps', '{"s": 9}', workflow_id => '$role')});
}
wait_until($node, 'each owner has a process', q{SELECT count(DISTINCT owner) = 4 FROM aion.stat_runner WHERE owner ~ 'slow' AND state = 'engaged'});
quick('bob', 1);
is(is_open('slow'), 4, 'four owners with slow turns do not hold up a fifth');
$began = time;
quick('bob', 1) while is_open('slow') > 0 && time - $began < 120;
is(is_open('slow'), 0, 'and they end although it always has something to do');
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename ~ 'slow'});

# A session holds a row.
my $holder = session($node, 'alice');
say_to($holder, "BEGIN; UPDATE account SET balance = balance WHERE id = 1; SELECT 'held';\n", qr/held/);
as('alice', q{SELECT aion.start_workflow('alice books', '{"id": 1}', workflow_id => 'b' || i) FROM generate_series(1, 5) i});
cmp_ok(quick('alice', 100), '<', 5, 'runs that wait for a lock hold up no other of their owner');
cmp_ok(quick('alice', 100), '<', 5, 'nor later ones');
cmp_ok(quick('bob', 20), '<', 5, 'nor those of another owner');
is(is_open('books'), 5, 'the lock is still held');
is($node->safe_psql('postgres', q{SELECT DISTINCT status, turn_failures FROM aion.workflow_run WHERE workflow_id ~ '^b\d$'}), 'running|0', 'a run that waits has not failed');
say_to($holder, "COMMIT; SELECT 'let go';\n", qr/let go/);
wait_until($node, 'they go on when it is released', q{SELECT count(*) = 5 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^b\d$' AND result = '"booked"'});
is(as('alice', 'SELECT balance FROM account WHERE id = 1'), '5', 'each once');

# A session holds workflow ids that children are to have.
say_to($holder, "BEGIN; SELECT count(aion.start_workflow('alice quick', workflow_id => 'c' || i)) FROM generate_series(1, 200) i; SELECT 'started';\n", qr/started/);
as('alice', q{SELECT aion.start_workflow('alice parent', jsonb_build_object('child', 'c' || i), workflow_id => 'p' || i) FROM generate_series(1, 200) i});
cmp_ok(quick('alice', 100), '<', 8, 'starts that a session has not committed hold up no other run');
cmp_ok(quick('bob', 20), '<', 8, 'nor those of another owner');
is(is_open('parent'), 200, 'they are not committed yet');
is($node->safe_psql('postgres', q{SELECT sum(turn_failures) FROM aion.workflow_run WHERE workflow_id ~ '^p\d+$'}), '0', 'and no parent has failed');
say_to($holder, "ROLLBACK; SELECT 'taken back';\n", qr/taken back/);
wait_until($node, 'when they are taken back the children are started', q{SELECT count(*) = 400 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^[pc]\d+$'});

# A single parent that waits so is tried ever more rarely; the runners have looked for the last time at those before it.
my $tried = q{SELECT sum(batches) FROM aion.stat_runner WHERE owner = 'alice'};
for (my $last = -1; (my $now = $node->safe_psql('postgres', $tried)) != $last; $last = $now) { sleep 4 }
say_to($holder, "BEGIN; SELECT aion.start_workflow('alice quick', workflow_id => 'held'); SELECT 'started';\n", qr/started/);
as('alice', q{SELECT aion.start_workflow('alice parent', '{"child": "held"}', workflow_id => 'patient')});
my $tries = $node->poll_query_until('postgres', qq{SELECT ($tried) > 0}) && $node->safe_psql('postgres', $tried);
sleep 4; # the time it takes to see a rate
cmp_ok($node->safe_psql('postgres', $tried) - $tries, '<', 60, 'not all the time');
say_to($holder, "ROLLBACK; SELECT 'taken back';\n", qr/taken back/);
wait_until($node, 'and goes on', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'patient'});

# Activities in the background: long ones of one owner, then those of others.
as('alice', q{SELECT aion.start_workflow('alice long', workflow_id => 'l' || i) FROM generate_series(1, 5) i});
my $executing = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'aion executor' AND query ~ '^executing activity' AND usename = };
wait_until($node, 'long activities of one owner', "SELECT ($executing 'alice') = 2");
sub short
{
	my ($role, $id) = @_;
	as($role, qq{SELECT aion.start_workflow('$role short', workflow_id => '$id')});
	wait_until($node, "leave room for those of $role", qq{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$id'});
}
short('bob', 'short of bob');
as('bob', q{SELECT aion.start_workflow('bob long', workflow_id => 'l of bob')});
wait_until($node, 'one of another', "SELECT ($executing 'bob') = 1");
short('carol', 'short of carol');
is($node->safe_psql('postgres', qq{SELECT ($executing 'alice'), ($executing 'bob')}), '1|1', 'an owner that has two gives one up for it, and each keeps one');
cmp_ok(quick('bob', 20), '<', 5, 'turns have room all the time');
as('alice', q{SELECT aion.terminate_workflow('l' || i) FROM generate_series(1, 5) i});
as('bob', q{SELECT aion.terminate_workflow('l of bob')});

# Operators limit an owner.
$node->safe_psql('postgres', 'ALTER ROLE carol SET aion.max_runners_per_owner = 1');
$node->restart;
as('carol', q{SELECT aion.start_workflow('carol long', workflow_id => 'lc' || i) FROM generate_series(1, 3) i});
as('carol', q{SELECT aion.start_workflow('carol naps', '{"s": 0.1}') FROM generate_series(1, 10) i});
wait_until($node, 'a limited owner executes', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL AND workflow_type = 'carol naps'});
is($node->safe_psql('postgres', q{SELECT string_agg(backend_type, ', ' ORDER BY backend_type) FROM pg_stat_activity WHERE usename = 'carol'}), 'aion executor, aion runner', 'with one process of each kind');
as('carol', q{SELECT aion.terminate_workflow('lc' || i) FROM generate_series(1, 3) i});
my ($code, $out, $err) = $node->psql('postgres', 'SET aion.max_runners_per_owner = 10', @{ $who{carol} });
like($err, qr/permission denied/, 'a limit that he cannot change');

# A process that has had temporary objects ends although a transaction of another role keeps a lock on their schema, as any may.
as('alice', q{
	CREATE FUNCTION temporary() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE passing (i int); DROP TABLE passing; END $$;
	CREATE FUNCTION is_temporary() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('temporary'); END $$;
	SELECT aion.register_activity('temporary', 'temporary()'), aion.register_workflow('temporary', 'is_temporary()'), aion.start_workflow('temporary', workflow_id => 'temporary')});
$node->poll_query_until('postgres', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'temporary'});
my $locker = session($node, 'bob');
say_to($locker, q{BEGIN; SELECT pg_get_object_address('schema', ARRAY[nspname], '{}') FROM pg_namespace WHERE nspname ~ '^pg_temp_'; SELECT 'locked';} . "\n", qr/locked/);
my $runners = q{SELECT count(*) FROM pg_stat_activity WHERE application_name = 'aion runner' AND usename = 'alice'};
cmp_ok($node->safe_psql('postgres', $runners), '>', 0, 'there is such a process');
my $pids = $node->safe_psql('postgres', q{SELECT array_agg(pid), count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'aion runner' AND usename = 'alice'});
$pids =~ s/[|].*//;
ok($node->poll_query_until('postgres', qq{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = ANY ('$pids'))}), 'and it ends when it is told to');
# (Where PostgreSQL gives the new process the same schema, temporary objects wait for the lock.)
as('alice', q{SELECT aion.start_workflow('temporary', workflow_id => 'again'), aion.start_workflow('alice quick', workflow_id => 'quick again')});
wait_until($node, 'another takes its place', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'quick again'});
say_to($locker, "ROLLBACK; SELECT 'released';\n", qr/released/);
wait_until($node, 'and makes temporary objects when it can', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'again'});

# Code that is to be executed when the process ends is not: nothing could end it (11.20).
SKIP:
{
	my ($code) = $node->psql('postgres', 'CREATE EXTENSION plperl');
	skip 'there is no PL/Perl', 2 if $code != 0;
	as('alice', q{
		SET check_function_bodies = off; -- or this session compiles it, and never ends
		CREATE FUNCTION endless() RETURNS int LANGUAGE plperl AS $$ END { 1 while 1; } return 1; $$;
		CREATE FUNCTION is_endless() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('endless'); END $$;
		SELECT aion.register_activity('endless', 'endless()'), aion.register_workflow('endless', 'is_endless()'), aion.start_workflow('endless', workflow_id => 'endless')});
	ok($node->poll_query_until('postgres', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'endless'}), 'an END block');
	my @pids = split /,/, $node->safe_psql('postgres', q{SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE application_name = 'aion runner' AND usename = 'alice'});
	$node->safe_psql('postgres', q{ALTER SYSTEM SET aion.runner_idle_timeout = '100 ms'; SELECT pg_reload_conf()});
	my $end = time + 60;
	sleep 0.1 while time < $end && kill 0, @pids;
	is(scalar(kill(0, @pids)), 0, 'does not keep its process');
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.runner_idle_timeout; SELECT pg_reload_conf()');
}

# A session that drives does not wait for ever either.
my $alone = new_node('alone');
install($alone);
my @alice = (connstr => $alone->connstr('postgres') . ' user=alice');
$alone->safe_psql('postgres', q{
	CREATE TABLE account (id int PRIMARY KEY, balance int); INSERT INTO account VALUES (1, 0), (2, 0);
	CREATE FUNCTION book(id int) RETURNS void LANGUAGE sql AS 'UPDATE alice.account SET balance = balance + 1 WHERE account.id = book.id';
	CREATE FUNCTION books(id int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('book', jsonb_build_object('id', id)); END $$;
	CREATE FUNCTION outside(id int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('outside', jsonb_build_object('id', id)); END $$;
	CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_activity('book', 'book(int)'), aion.register_activity('outside', 'book(int)', mode => 'background'), aion.register_workflow('books', 'books(int)'),
		aion.register_workflow('outside', 'outside(int)'), aion.register_workflow('nothing', 'nothing()');
	SELECT aion.create_schedule(s, 'nothing', every => '1 day', start_at => '2024-01-01') FROM unnest('{one,two}'::text[]) s;
	SELECT aion.start_workflow(type, jsonb_build_object('id', id), workflow_id => type || id) FROM unnest('{books,outside}'::text[]) type, generate_series(1, 2) id}, @alice);
my $tick = $alone->safe_psql('postgres', q{SELECT next_at FROM aion.schedule WHERE name = 'one'});
my $client = session($alone, 'alice');
say_to($client, "BEGIN; UPDATE account SET balance = 0 WHERE id = 1; SELECT aion.start_workflow('nothing', workflow_id => 'one/' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') || 'T00:00:00Z'); SELECT 'held';\n", qr/held/);
$began = time;
$alone->safe_psql('postgres', 'CALL aion.drive()', @alice) for 1 .. 2;
cmp_ok(time - $began, '<', 20, 'drive does not wait until a lock is released');
is($alone->safe_psql('postgres', q{SELECT string_agg(workflow_id, ', ' ORDER BY workflow_id) FROM aion.workflow_run WHERE closed_at IS NULL}), 'books1, outside1', 'but does the rest');
say_to($client, "ROLLBACK; SELECT 'released';\n", qr/released/);
$alone->safe_psql('postgres', 'SELECT pg_sleep(1); CALL aion.drive()', @alice);
is($alone->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE closed_at IS NULL), (SELECT string_agg(balance::text, ' ' ORDER BY id) FROM alice.account) FROM aion.workflow_run}, @alice), '0|2 2', 'and that when it can, each once');

# An owner for whom there is no second process: beside a run that waits for a lock, timers, signals and later starts are served.
my $single = new_node('single', 'aion.max_runners = 1');
install($single);
@alice = (connstr => $single->connstr('postgres') . ' user=alice');
$single->safe_psql('postgres', q{
	CREATE FUNCTION sleeps() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep('0.3 s'); END $$;
	CREATE FUNCTION hears() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.receive('s'); END $$;
	CREATE FUNCTION waits() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run_child('sleeps', workflow_id => 'held'); END $$;
	SELECT aion.register_workflow(w, (w || '()')::regprocedure) FROM unnest('{sleeps,hears,waits}'::text[]) w;
	SELECT aion.start_workflow('hears', workflow_id => 'hears')}, @alice);
my $claims = session($single, 'alice');
say_to($claims, "BEGIN; SELECT aion.start_workflow('sleeps', workflow_id => 'held'); SELECT 'is held';\n", qr/is held/);
$single->safe_psql('postgres', q{SELECT aion.start_workflow('waits', workflow_id => 'waits')}, @alice);
wait_until($single, 'a run waits for a lock', q{SELECT sum(batches) > 5 FROM aion.stat_runner});
wait_until($single, 'and explain() says who holds it', qq{SELECT count(*) = 1 FROM aion.explain('waits') e WHERE e ~ 'in a turn, executed by process [0-9]+, which waits for a lock that process $claims->{pid} of alice holds'});
$single->safe_psql('postgres', q{SELECT aion.start_workflow('sleeps', workflow_id => 'sleeps'), aion.start_workflow('sleeps', workflow_id => 'later', start_at => now() + interval '0.3 s'), aion.signal_workflow('hears', 's')}, @alice);
wait_until($single, 'others of its owner go on', q{SELECT count(*) = 3 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id IN ('sleeps', 'later', 'hears')});
is($single->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'waits'}), 'running', 'while it waits');
say_to($claims, "ROLLBACK; SELECT 'let go';\n", qr/let go/);
wait_until($single, 'and so does it', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});

# What a process keeps of the versions that it has executed does not grow for ever: another takes its place.
$single->append_conf('postgresql.conf', "aion.runner_memory = '16MB'\naion.history_cache = 0");
$single->reload;
my $runner = q{SELECT string_agg(pid::text, ' ') FROM aion.stat_runner};
my $before = $single->safe_psql('postgres', $runner);
$single->safe_psql('postgres', q{
	DO $do$ BEGIN FOR i IN 1 .. 60 LOOP
		EXECUTE format('CREATE OR REPLACE FUNCTION large() RETURNS int LANGUAGE plpgsql AS $f$ DECLARE n int; BEGIN %s RETURN %s; END $f$', repeat('n := 1 + coalesce(n, 0); ', 1000), i);
		PERFORM aion.register_workflow('large', 'large()');
		COMMIT;
		FOR j IN 1 .. 3 LOOP PERFORM aion.start_workflow('large', workflow_id => i || ' ' || j); COMMIT; END LOOP;
	END LOOP; END $do$}, @alice);
wait_until($single, 'runs of many versions end', q{SELECT count(*) = 180 FROM aion.workflow_run WHERE workflow_type = 'large' AND status = 'completed' AND result::text = split_part(workflow_id, ' ', 1)});
# It looks when there is something to do, and not too often.
my $again = 0;
until ($single->safe_psql('postgres', "SELECT ($runner) <> '$before'") eq 't' || ++$again > 60)
{
	$single->safe_psql('postgres', "SELECT aion.start_workflow('large', workflow_id => 'again $again')", @alice);
	select undef, undef, undef, 0.5;
}
ok($again <= 60, 'a process that has become large is replaced');
all_sound($_, 'in the end') for $node, $alone, $single;

done_testing();
