# F12, T30: waiting for a workflow from another session: what is held meanwhile, what wakes it, and how
# it is interrupted. And starts that are decided later, by COMMIT PREPARED.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub setup
{
	my ($node) = @_;
	install($node);
	$node->safe_psql('postgres', q{
		CREATE FUNCTION waits(fail boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN
			IF fail THEN RAISE EXCEPTION 'as told' USING ERRCODE = 'AB001'; END IF;
			RETURN 'waited';
		END $$;
		SELECT aion.register_workflow('waits', 'waits(boolean)')}, connstr => $node->connstr('postgres') . ' user=alice');
}

sub everything
{
	my ($node, $how) = @_;
	my $alice = $node->connstr('postgres') . ' user=alice';
	my $watch = sub { return "FROM pg_stat_activity WHERE pid = $_[0]->{pid}" };
	my $begin = sub {
		my ($id, $input) = @_;
		$node->safe_psql('postgres', "SELECT aion.start_workflow('waits', '" . ($input // '{}') . "', workflow_id => '$id')", connstr => $alice);
	};
	my $drive = sub { $node->safe_psql('postgres', 'CALL aion.drive()', connstr => $alice) };

	# The function holds its snapshot, the procedures none.
	my $function = session($node, 'alice');
	my $procedure = session($node, 'alice');
	$begin->('x');
	say_to($function, "SELECT aion.await_workflow('x');\n");
	say_to($procedure, "CALL aion.wait_workflow('x');\n");
	wait_until($node, "$how: both wait", "SELECT count(*) = 2 FROM pg_stat_activity WHERE pid IN ($function->{pid}, $procedure->{pid}) AND wait_event = 'Extension'");
	is($node->safe_psql('postgres', 'SELECT backend_xmin IS NOT NULL, backend_xid IS NULL ' . $watch->($function)), 't|t', "$how: await_workflow holds a snapshot");
	is($node->safe_psql('postgres', 'SELECT backend_xmin IS NULL, backend_xid IS NULL ' . $watch->($procedure)), 't|t', "$how: wait_workflow holds none");
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks WHERE pid = $procedure->{pid} AND locktype = 'relation'"), '0', "$how: and no lock");
	$drive->();
	is(say_to($function, '', qr/"waited"/), qq{"waited"\n}, "$how: await_workflow answers");
	is(say_to($procedure, '', qr/"waited"/), qq{"waited"\n}, "$how: wait_workflow answers");

	# Two that wait for the same and two that wait for others.
	my @waiters = map { session($node, 'alice') } 1 .. 4;
	$begin->($_) for qw(a b c);
	my @ids = qw(a a b c);
	say_to($waiters[$_], "SELECT '$ids[$_] ' || aion.await_workflow('$ids[$_]')::text;\n") for 0 .. 3;
	$drive->();
	is(say_to($waiters[$_], '', qr/"waited"/), qq{$ids[$_] "waited"\n}, "$how: waiter $_ of four is told") for 0 .. 3;

	# A failure comes with its SQLSTATE, a termination with its reason.
	$begin->('f', '{"fail": true}');
	$begin->('t');
	say_to($function, "\\set VERBOSITY verbose\nSELECT aion.await_workflow('f');\n");
	say_to($procedure, "\\set VERBOSITY verbose\nCALL aion.wait_workflow('t');\n");
	$node->safe_psql('postgres', "SELECT aion.terminate_workflow('t', 'no longer wanted')", connstr => $alice);
	$drive->();
	say_to($function, '', qr/LOCATION/);
	like($function->{err}, qr/ERROR:\s+WC001: as told/, "$how: a failure is raised");
	say_to($procedure, '', qr/LOCATION/);
	like($procedure->{err}, qr/workflow "t" was terminated\n.*no longer wanted/s, "$how: a termination is raised");

	# Waiting can be interrupted, and the session goes on.
	for my $waiter ([ $function, "SELECT aion.await_workflow('y')" ], [ $procedure, "CALL aion.wait_workflow('y')" ])
	{
		my ($session, $sql) = @$waiter;
		$begin->('y') if $session == $function;
		$session->{$_} = '' for qw(out err);
		say_to($session, "$sql;\n");
		wait_until($node, "$how: waits", "SELECT wait_event = 'Extension' " . $watch->($session));
		$node->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
		say_to($session, '', qr/canceling statement due to user request/);
		$session->{err} = '';
		say_to($session, "SET statement_timeout = 100;\n$sql;\n", qr/LOCATION/);
		like($session->{err}, qr/canceling statement due to statement timeout/, "$how: statement_timeout ends it: $sql");
		say_to($session, "RESET statement_timeout;\nSELECT 'goes on';\n", qr/goes on/);
	}

	# What is purged is not waited for any longer.
	$begin->('gone');
	for my $waiter ([ $function, "SELECT aion.await_workflow('gone')" ], [ $procedure, "CALL aion.wait_workflow('gone')" ])
	{
		$waiter->[0]->{$_} = '' for qw(out err);
		say_to($waiter->[0], "$waiter->[1];\n");
		wait_until($node, "$how: waits", "SELECT wait_event = 'Extension' " . $watch->($waiter->[0]));
	}
	$node->safe_psql('postgres', "BEGIN; SELECT aion.terminate_workflow('gone'); SELECT pg_sleep(0.01); SELECT aion.purge_workflows('0'); COMMIT", connstr => $alice);
	for my $waiter ($function, $procedure)
	{
		say_to($waiter, '', qr/LOCATION/);
		like($waiter->{err}, qr/WF001: the workflow was purged/, "$how: a purge ends waiting");
		$waiter->{err} = '';
	}

	# A procedure that starts: what it starts is committed before it waits.
	$procedure->{out} = '';
	say_to($procedure, "CALL aion.run_workflow('waits', workflow_id => 'r');\n");
	wait_until($node, "$how: run_workflow has started it", "SELECT count(*) = 1 FROM aion.workflow_run WHERE workflow_id = 'r'");
	is($node->safe_psql('postgres', 'SELECT backend_xmin IS NULL, backend_xid IS NULL ' . $watch->($procedure)), 't|t', "$how: run_workflow holds no snapshot");
	$drive->();
	is(say_to($procedure, '', qr/"waited"/), qq{"waited"\n}, "$how: run_workflow answers");

	# Prepared: nothing is started, or ended, until it is decided.
	$begin->('z');
	my $prepared = session($node, 'alice');
	say_to($prepared, q{
		BEGIN; SELECT aion.start_workflow('waits', workflow_id => 'p'); PREPARE TRANSACTION 'one';
		BEGIN; SELECT aion.start_workflow('waits', workflow_id => 'q'); PREPARE TRANSACTION 'two';
		BEGIN; SELECT aion.terminate_workflow('z'); PREPARE TRANSACTION 'three';
		SELECT 'prepared';
	}, qr/prepared\n/);
	$drive->();
	my $look = q{SELECT workflow_id, status FROM aion.workflow_run WHERE workflow_id IN ('p', 'q', 'z') ORDER BY 1};
	is($node->safe_psql('postgres', $look), 'z|running', "$how: a prepared start has not started, and no session waits for a prepared end");
	$function->{err} = '';
	say_to($function, "SELECT aion.await_workflow('z');\n");
	$node->safe_psql('postgres', "COMMIT PREPARED 'one'");
	$node->safe_psql('postgres', "ROLLBACK PREPARED 'two'");
	$node->safe_psql('postgres', "COMMIT PREPARED 'three'");
	$drive->();
	is($node->safe_psql('postgres', $look), "p|completed\nz|terminated", "$how: COMMIT PREPARED makes it effective");
	say_to($function, '', qr/was terminated/);
	pass("$how: and a waiter is told");

	$_->{run}->finish for map { $_->{in} = "\\q\n"; $_ } $function, $procedure, $prepared, @waiters;
	all_sound($node, $how);
}

my $node = new_node('main');
setup($node);
everything($node, 'preloaded');

# Without shared_preload_libraries there is no shared memory, and everything but speed is the same.
my $late = new_node('late', "shared_preload_libraries = ''");
$late->safe_psql('postgres', 'SELECT 1');
setup($late);
everything($late, 'not preloaded');
$late->safe_psql('postgres', q{
	CREATE FUNCTION misbehaves() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('work_mem', '1MB', false); INSERT INTO nowhere VALUES (1); /* aion:allow change */ END $$;
	SELECT aion.register_workflow('misbehaves', 'misbehaves()');
	SELECT aion.start_workflow('misbehaves', workflow_id => 'm');
	CALL aion.drive()}, connstr => $late->connstr('postgres') . ' user=alice');
like($late->safe_psql('postgres', "SELECT status, error ->> 'sqlstate' FROM aion.workflow_run WHERE workflow_id = 'm'"), qr/failed\|WF0/, 'not preloaded: a body is guarded');

done_testing();
