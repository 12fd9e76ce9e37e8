# Many sessions that wait: they hold no snapshot, execute nothing while nothing happens, and are all told, also by COMMIT
# PREPARED, which calls no transaction callbacks (C11, F12). And queries while processes come and go (invariant 20).
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $waiters = 200;
my $node = new_node('main', "max_connections = 260", 'autovacuum = off');
install($node);
my $alice = $node->connstr('postgres') . ' user=alice';
$node->safe_psql('postgres', q{
	CREATE FUNCTION echo(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array(state, args) $$;
	CREATE FUNCTION waits() RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM aion.publish('stage', '"begun"');
		PERFORM aion.on_query('ask', to_regprocedure('echo(jsonb, jsonb)'), '1');
		PERFORM aion.run_sql('SELECT 1');
		PERFORM aion.publish('stage', '"done"');
		RETURN 'waited';
	END $$;
	SELECT aion.register_workflow('waits', 'waits()');
	SELECT aion.start_workflow('waits', workflow_id => 'w' || i) FROM generate_series(0, 9) i}, connstr => $alice);

# Half of them wait for the end of one run, the others for ten.
my @session = map { session($node, 'alice') } 1 .. $waiters;
for my $i (0 .. $waiters - 1)
{
	my $id = 'w' . ($i % 2 ? $i % 10 : 0);
	say_to($session[$i], "CALL aion.wait_workflow('$id');\n");
}
my $waiting = "FROM pg_stat_activity WHERE usename = 'alice' AND wait_event = 'Extension'";
wait_until($node, 'all of them wait', "SELECT count(*) = $waiters $waiting");
is($node->safe_psql('postgres', "SELECT count(backend_xmin), count(backend_xid) $waiting"), '0|0', 'none holds a snapshot');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'alice' AND l.locktype <> 'virtualxid'"), '0', 'or a lock');

# Statistics are reported late, so the same question is asked until two answers some seconds apart are alike but for what the
# asking itself adds. The sessions' own last statement says it too: none has begun a transaction since it began to wait.
my $xacts = q{SELECT string_agg(pid || ' ' || xact_start::text, ', ' ORDER BY pid) FROM pg_stat_activity WHERE usename = 'alice'};
my $before = $node->safe_psql('postgres', $xacts);
my $committed = $node->safe_psql('postgres', q{SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'});
my $cpu = sub {
	my $ticks = 0;
	for my $session (@session)
	{
		my @stat = split ' ', slurp_file("/proc/$session->{pid}/stat");
		$ticks += $stat[13] + $stat[14];
	}
	return $ticks;
};
my $ticks = -r "/proc/$session[0]{pid}/stat" ? $cpu->() : undef;
$node->safe_psql('postgres', 'SELECT pg_sleep(5)');
is($node->safe_psql('postgres', $xacts), $before, 'no session has begun a transaction in five seconds');
cmp_ok($node->safe_psql('postgres', q{SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'}) - $committed, '<', 10,
	'and the transactions of the database are those of this test');
SKIP:
{
	skip 'no /proc', 1 unless defined $ticks;
	# Looking every 10 ms would cost each of them several ticks in five seconds.
	cmp_ok($cpu->() - $ticks, '<', $waiters / 4, 'they do not look again by themselves');
}

# One of the runs ends by a prepared transaction, the others by their code.
my $prepared = session($node, 'alice');
say_to($prepared, "BEGIN; SELECT aion.terminate_workflow('w9'); PREPARE TRANSACTION 'nine'; SELECT 'prepared';\n", qr/prepared\n/);
$node->safe_psql('postgres', 'CALL aion.drive()', connstr => $alice);
wait_until($node, 'sessions that wait for the prepared end wait on', "SELECT count(*) = 20 $waiting");
$node->safe_psql('postgres', "COMMIT PREPARED 'nine'");
wait_until($node, 'no session waits any longer', "SELECT count(*) = 0 $waiting");
my $told = 0;
for my $i (0 .. $waiters - 1)
{
	say_to($session[$i], '', $i % 2 && $i % 10 == 9 ? qr/was terminated/ : qr/"waited"/);
	$told++;
}
is($told, $waiters, 'all are told');

# Waiting for a name: until a turn has published it, or the run has ended, by whatever transaction.
$node->safe_psql('postgres', "SELECT aion.start_workflow('waits', workflow_id => 'n' || i) FROM generate_series(1, 3) i", connstr => $alice);
my @asking = map { session($node, 'alice') } 1 .. 4;
my @questions = ([ 'n1', 'stage' ], [ 'n1', 'ask' ], [ 'n1', 'never' ], [ 'n2', 'never' ]);
say_to($asking[$_], "SELECT 'answer ' || aion.query_workflow('$questions[$_][0]', '$questions[$_][1]', wait => '1 min')::text;\n") for 0 .. 3;
wait_until($node, 'four wait for names', "SELECT count(*) = 4 $waiting");
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'alice' AND mode NOT IN ('AccessShareLock', 'RowExclusiveLock', 'ExclusiveLock')"),
	'0', 'and lock nothing that a turn needs');
say_to($prepared, "BEGIN; SELECT aion.terminate_workflow('n2'); PREPARE TRANSACTION 'n2'; SELECT 'decide later';\n", qr/decide later\n/);
$node->safe_psql('postgres', 'CALL aion.drive()', connstr => $alice);
like(say_to($asking[0], '', qr/answer.*\n/), qr/^answer "(begun|done)"/, 'a value is waited for');
like(say_to($asking[1], '', qr/answer.*\n/), qr/^answer \[1, null\]/, 'a function is waited for');
say_to($asking[2], '', qr/HINT/);
like($asking[2]{err}, qr/does not answer query "never"\n.*It answers: ask, stage/s, 'a name that never comes is waited for until the run has ended');
wait_until($node, 'one waits on', "SELECT count(*) = 1 $waiting");
$node->safe_psql('postgres', "COMMIT PREPARED 'n2'");
say_to($asking[3], '', qr/HINT/);
like($asking[3]{err}, qr/does not answer query "never"\n.*It has published nothing\./s, 'a prepared end is an end');

# The search of an ordinary role uses the index, as its plan says, with as good as nothing in the table.
$node->safe_psql('postgres', q{ALTER ROLE alice SET session_preload_libraries = 'auto_explain'; ALTER ROLE alice SET auto_explain.log_min_duration = 0;
	ALTER ROLE alice SET auto_explain.log_nested_statements = on; ALTER ROLE alice SET auto_explain.log_level = 'notice'});
my ($code, $found, $plan) = $node->psql('postgres', q{SELECT count(*) FROM aion.find_workflows('{"a": 1}')}, connstr => $alice);
like($plan, qr/Bitmap Index Scan on _attribute_search_idx/, 'attributes are searched by their index');
unlike($plan, qr/Seq Scan on _attribute/, 'and not one by one');
$node->safe_psql('postgres', 'ALTER ROLE alice RESET ALL');

# What a session waits for may be gone with the extension.
$node->safe_psql('postgres', "SELECT aion.start_workflow('waits', workflow_id => 'gone')", connstr => $alice);
$session[0]{$_} = '' for qw(out err);
say_to($session[0], "CALL aion.wait_workflow('gone');\n");
wait_until($node, 'one waits', "SELECT count(*) = 1 $waiting");
all_sound($node, 'many waiters');
$node->safe_psql('postgres', 'DROP EXTENSION aion CASCADE');
say_to($session[0], '', qr/ERROR/);
like($session[0]{err}, qr/ERROR:.*(is not installed|does not exist)/, 'a session that waits when the extension is dropped gets an error');
$_->{run}->finish for map { $_->{in} .= "\\q\n"; $_ } @session, $prepared;
done_testing();
