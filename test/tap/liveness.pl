# C13: what one role does keeps no process of the engine from working for others: code that cannot be interrupted, locks that the
# scheduler meets, ticks that end their process, schedules that are locked.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'aion.turn_timeout = 2s', 'max_worker_processes = 16');
install($node);
my %user = map { $_ => [ connstr => $node->connstr('postgres') . " user=$_" ] } qw(alice bob);
$node->safe_psql('postgres', q{CREATE EXTENSION plperl; CREATE ROLE bob LOGIN; SELECT aion.grant_usage('bob'); CREATE SCHEMA bob AUTHORIZATION bob});
sub as { my ($role, $sql) = @_; return $node->safe_psql('postgres', $sql, @{ $user{$role} }) }
as('bob', q{CREATE FUNCTION quick() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT aion.register_workflow('quick', 'quick()')});
as('alice', q{
	CREATE FUNCTION busy(seconds int) RETURNS int LANGUAGE plperl AS $$ my $end = time + $_[0]; select(undef, undef, undef, 0.1) while time < $end; return 1 $$;
	CREATE FUNCTION is_busy(seconds int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN busy(seconds); END $$;
	CREATE FUNCTION busy_outside(seconds int) RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('busy', jsonb_build_object('seconds', seconds)) $$;
	SELECT aion.register_activity('busy', 'busy(int)', mode => 'background'), aion.register_workflow('busy', 'is_busy(int)'), aion.register_workflow('busy outside', 'busy_outside(int)')});
sub quick_ends
{
	my ($what, $id) = @_;
	as('bob', "SELECT aion.start_workflow('quick', workflow_id => '$id')");
	wait_until($node, $what, "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$id'");
}

# A statement of the scheduler fails since a table is locked: it looks again.
as('bob', "SELECT aion.start_workflow('quick')");
wait_until($node, 'a runner is there', q{SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'aion runner'});
my $admin = session($node, $node->safe_psql('postgres', 'SELECT current_user'));
say_to($admin, "BEGIN; LOCK TABLE aion._schedule; SELECT 'locked';\n", qr/locked/);
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'aion runner'});
wait_until($node, 'it has ended', q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'aion runner'});
$node->safe_psql('postgres', 'SELECT pg_sleep(3)');
as('bob', "SELECT aion.start_workflow('quick', workflow_id => 'behind a lock')");
$node->safe_psql('postgres', 'SELECT pg_sleep(3)');
say_to($admin, "COMMIT; SELECT 'released';\n", qr/released/);
wait_until($node, 'what was started meanwhile is executed when the lock is gone', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'behind a lock'});

# Code that cannot be interrupted takes all processes: others take their place.
$node->safe_psql('postgres', q{SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'aion runner'});
as('alice', q{SELECT aion.start_workflow('busy outside', '{"seconds": 90}')});
wait_until($node, 'an executor is busy', q{SELECT count(*) = 1 FROM aion.activity_task WHERE state = 'claimed'});
as('alice', q{SELECT aion.start_workflow('busy', '{"seconds": 90}')});
wait_until($node, 'both processes are busy', q{SELECT count(*) >= 2 FROM aion.stat_runner WHERE owner = 'alice'});
quick_ends('a run of another role is executed all the same', 'beside');
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run WHERE workflow_type ~ '^busy' AND status = 'running'}), '2', 'while they are busy still');
quick_ends('and so is the next', 'beside too');

# Code that cannot be interrupted holds up the other runs of its owner no longer than others take notice.
my $deaf = new_node('deaf', 'aion.max_runners = 2', 'max_worker_processes = 24');
install($deaf);
$deaf->safe_psql('postgres', q{CREATE EXTENSION plperl;
	CREATE FUNCTION alice.busy() RETURNS int LANGUAGE plperl AS $$ my $end = time + 300; select(undef, undef, undef, 0.1) while time < $end; return 1 $$;
	ALTER FUNCTION alice.busy() OWNER TO alice;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION alice.is_busy() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('busy') $$;
	CREATE FUNCTION alice.quick() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_activity('busy', 'alice.busy()'), aion.register_workflow('busy', 'alice.is_busy()'), aion.register_workflow('quick', 'alice.quick()');
	RESET SESSION AUTHORIZATION;
	CREATE ROLE bob LOGIN; GRANT alice TO bob; SELECT aion.grant_usage('bob'); GRANT USAGE ON SCHEMA alice TO bob});
my @deaf_alice = (connstr => $deaf->connstr('postgres') . ' user=alice');
my @deaf_bob = (connstr => $deaf->connstr('postgres') . ' user=bob');
# The other process is idle, and belongs to another owner.
$deaf->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'of bob')}, @deaf_bob);
wait_until($deaf, 'a process of another owner is idle', q{SELECT count(*) = 1 FROM aion.stat_runner WHERE owner = 'bob' AND state = 'idle'});
$deaf->safe_psql('postgres', q{SELECT aion.start_workflow('busy', workflow_id => 'alice')}, @deaf_alice);
wait_until($deaf, 'what executes such code is called stuck', q{SELECT state = 'stuck' FROM aion.stat_runner WHERE workflow_id = 'alice'});
like($deaf->safe_psql('postgres', q{SELECT detail FROM aion.health() WHERE "check" = 'runners' AND NOT ok}), qr/, 1 in code that cannot be interrupted$/, 'health() says so');
$deaf->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'of alice')}, @deaf_alice);
wait_until($deaf, 'another run of its owner is executed', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'of alice'});
# Nor do several owners with such code together hold up another.
for my $bad (map { "bad$_" } 1 .. 6)
{
	$deaf->safe_psql('postgres', qq{CREATE ROLE $bad LOGIN IN ROLE alice; SELECT aion.grant_usage('$bad'); GRANT USAGE ON SCHEMA alice TO $bad;
		SET SESSION AUTHORIZATION $bad; SELECT aion.start_workflow('busy', workflow_id => '$bad')});
}
$deaf->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'of bob too')}, @deaf_bob);
wait_until($deaf, 'beside six more of other owners, a run of another is executed', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'of bob too'});
is($deaf->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run WHERE workflow_type = 'busy' AND status = 'running'}), '7', 'while they are busy');

# A server with one process: what the owner of such code has to do besides is done by one more. And code that ends is executed to its end,
# though it has not left the first transaction, where others wait, within the time that code may take to let itself be cancelled.
my $one = new_node('one', 'aion.max_runners = 1', 'max_worker_processes = 16');
install($one);
$one->safe_psql('postgres', q{CREATE EXTENSION plperl;
	CREATE FUNCTION alice.busy(seconds int) RETURNS int LANGUAGE plperl AS $$ my $end = time + $_[0]; select(undef, undef, undef, 0.1) while time < $end; return 1 $$;
	ALTER FUNCTION alice.busy(int) OWNER TO alice;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION alice.quick() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_workflow('busy', 'alice.busy(int)'), aion.register_workflow('quick', 'alice.quick()');
	SELECT aion.start_workflow('busy', '{"seconds": 7}', workflow_id => 'ends')});
wait_until($one, 'code that cannot be interrupted for seven seconds completes', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'ends'});
unlike(slurp_file($one->logfile), qr/terminating background worker/, 'and its process is not ended');
$one->safe_psql('postgres', q{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('busy', '{"seconds": 300}', workflow_id => 'long')});
wait_until($one, 'the process is stuck', q{SELECT count(*) = 1 FROM aion.stat_runner WHERE state = 'stuck'});
$one->safe_psql('postgres', q{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('quick', workflow_id => 'beside')});
wait_until($one, 'another run of its owner is executed', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'beside'});

# Far more owners than slots, all with code that swallows each cancel for ever: each has its turn, also an owner that only has a timer, or an activity
# in the background.
my $many = new_node('many', 'aion.max_runners = 4', 'max_worker_processes = 24');
install($many);
$many->safe_psql('postgres', q{
	DO $$
	BEGIN
		FOR i IN 1..12 LOOP
			EXECUTE format('CREATE ROLE many%s LOGIN', i);
			PERFORM aion.grant_usage('many' || i);
			EXECUTE format('CREATE SCHEMA many%1$s AUTHORIZATION many%1$s', i);
		END LOOP;
	END $$;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION alice.nap() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('3 s') $$;
	CREATE FUNCTION alice.work() RETURNS int LANGUAGE sql AS 'SELECT 1';
	CREATE FUNCTION alice.aside() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('work') $$;
	SELECT aion.register_activity('work', 'alice.work()', mode => 'background'), aion.register_workflow('aside', 'alice.aside()'), aion.register_workflow('nap', 'alice.nap()');
	SELECT aion.start_workflow('nap', workflow_id => 'a timer')});
wait_until($many, 'alice waits for a timer', q{SELECT count(*) = 1 FROM aion.pending_await WHERE awaiting = 'timer'});
$many->safe_psql('postgres', qq{
	CREATE FUNCTION many$_.swallows() RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN LOOP BEGIN PERFORM pg_sleep(9); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END \$\$;
	CREATE FUNCTION many$_.holds() RETURNS jsonb LANGUAGE sql AS \$\$ SELECT aion.run('swallows $_') \$\$;
	SELECT aion.register_activity('swallows $_', 'many$_.swallows()'), aion.register_workflow('holds $_', 'many$_.holds()');
	SELECT count(aion.start_workflow('holds $_')) FROM generate_series(1, 30)}, connstr => $many->connstr('postgres') . " user=many$_") for 1 .. 12;
wait_until($many, 'alice has no process any more', q{SELECT count(*) = 0 FROM aion.stat_runner WHERE owner = 'alice'});
$many->safe_psql('postgres', q{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('aside', workflow_id => 'an activity')});
wait_until($many, "$_ of an owner is served among many others", qq{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$_'}) for 'a timer', 'an activity';
is($many->safe_psql('postgres', q{SELECT count(*) > 300 FROM aion.workflow_run WHERE workflow_type ~ '^holds' AND status = 'running'}), 't', 'while those hold on');
$many->stop('immediate');

# As many processes as the server has by default. One role has code that cannot be interrupted, in turns and then in the background:
# it gets no more than half of them.
my $few = new_node('few', 'aion.max_runners = 4', 'max_worker_processes = 8');
install($few);
$few->safe_psql('postgres', q{CREATE EXTENSION plperl; CREATE ROLE bob LOGIN; SELECT aion.grant_usage('bob'); CREATE SCHEMA bob AUTHORIZATION bob;
	CREATE FUNCTION alice.busy() RETURNS int LANGUAGE plperl AS $$ my $end = time + 300; select(undef, undef, undef, 0.1) while time < $end; return 1 $$;
	ALTER FUNCTION alice.busy() OWNER TO alice;
	SET SESSION AUTHORIZATION alice;
	CREATE FUNCTION alice.aside() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('busy') $$;
	SELECT aion.register_activity('busy', 'alice.busy()', mode => 'background'), aion.register_workflow('busy', 'alice.busy()'), aion.register_workflow('aside', 'alice.aside()');
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION bob.quick() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_workflow('quick', 'bob.quick()')});
for my $stuck (1 .. 2)
{
	$few->safe_psql('postgres', q{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('busy')});
	wait_until($few, "stuck: $stuck", "SELECT count(*) >= $stuck FROM aion.stat_runner WHERE state = 'stuck'");
}
$few->safe_psql('postgres', q{SET SESSION AUTHORIZATION alice; SELECT aion.start_workflow('aside') FROM generate_series(1, 6)});
$few->safe_psql('postgres', 'SELECT pg_sleep(3)');
for my $n (1 .. 5)
{
	$few->safe_psql('postgres', qq{SET SESSION AUTHORIZATION bob; SELECT aion.start_workflow('quick', workflow_id => 'q$n')});
	wait_until($few, "a run of another role is executed beside that: $n", "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'q$n'");
	cmp_ok($few->safe_psql('postgres', q{SELECT count(*) FROM aion.stat_runner WHERE owner = 'alice' AND state <> 'idle'}), '<=', 3, 'and half of the processes are left');
	$few->safe_psql('postgres', 'SELECT pg_sleep(1.5)');
}
$few->stop('immediate');

# Owners whose activities end their process need one after the other. An owner whose idle process took its time to leave for them comes in between.
my $slow = new_node('slow', 'aion.max_runners = 2', 'aion.turn_attempts = 1000');
install($slow);
my %slow = map { $_ => [ connstr => $slow->connstr('postgres') . " user=$_" ] } qw(alice bad1 bad2 bad3);
$slow->safe_psql('postgres', q{CREATE FUNCTION quick() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT aion.register_workflow('quick', 'quick()'); SELECT aion.start_workflow('quick')}, @{ $slow{alice} });
wait_until($slow, 'alice has a process', q{SELECT count(*) = 1 FROM aion.stat_runner WHERE owner = 'alice' AND state = 'idle'});
my $slow_pid = $slow->safe_psql('postgres', q{SELECT pid FROM aion.stat_runner WHERE owner = 'alice'});
kill 'STOP', $slow_pid;
for my $bad (grep { /bad/ } sort keys %slow)
{
	$slow->safe_psql('postgres', qq{CREATE ROLE $bad LOGIN; SELECT aion.grant_usage('$bad'); CREATE SCHEMA $bad AUTHORIZATION $bad});
	$slow->safe_psql('postgres', qq{CREATE FUNCTION dies() RETURNS void LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(1)';
		CREATE FUNCTION is_dying() RETURNS jsonb LANGUAGE sql AS \$\$ SELECT aion.run('dies $bad') \$\$;
		SELECT aion.register_activity('dies $bad', 'dies()'), aion.register_workflow('dying $bad', 'is_dying()');
		SELECT count(aion.start_workflow('dying $bad')) FROM generate_series(1, 40)}, @{ $slow{$bad} });
}
$slow->safe_psql('postgres', 'SELECT pg_sleep(2)');
kill 'CONT', $slow_pid;
wait_until($slow, 'it has left', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $slow_pid");
$slow->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'q')}, @{ $slow{alice} });
wait_until($slow, 'alice is served', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'q'});
cmp_ok($slow->safe_psql('postgres', q{SELECT extract(epoch FROM closed_at - started_at)::int FROM aion.workflow_run WHERE workflow_id = 'q'}), '<', 50, 'before the others have come to an end');
$slow->stop('immediate');

# A tick that ends its process counts as a crash: its schedule is paused.
my $ticks = new_node('ticks', 'aion.max_runners = 2');
install($ticks);
my @alice = (connstr => $ticks->connstr('postgres') . ' user=alice');
$ticks->safe_psql('postgres', q{
	CREATE FUNCTION ends_process() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN IF current_setting('application_name') !~ '[.]pl$' THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF; RETURN 1; END $$;
	CREATE FUNCTION ends(n int DEFAULT ends_process()) RETURNS int LANGUAGE sql AS 'SELECT n';
	SELECT aion.register_workflow('ends', 'ends(int)');
	SELECT aion.create_schedule('ends', 'ends', every => '1 s')}, @alice);
wait_until($ticks, 'a schedule whose ticks end their process is paused', q{SELECT state = 'paused' AND reason = 'quarantined' FROM aion.schedule WHERE name = 'ends'});
$ticks->safe_psql('postgres', q{CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT aion.register_workflow('nothing', 'nothing()'), aion.start_workflow('nothing', workflow_id => 'nothing')}, @alice);
wait_until($ticks, 'and its owner has other runs executed', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'nothing'});

# A schedule that is deleted while a run of it ends in an open transaction: the engine removes the timer of that end.
$ticks->safe_psql('postgres', q{
	CREATE FUNCTION waits() RETURNS void LANGUAGE sql AS $$ SELECT aion.sleep('1 h') $$;
	SELECT aion.register_workflow('waits', 'waits()');
	SELECT aion.create_schedule('buffers', 'waits', every => '1 s', overlap => 'buffer_one')}, @alice);
wait_until($ticks, 'a tick is buffered', q{SELECT count(*) = 1 FROM aion.schedule_tick WHERE schedule = 'buffers' AND state = 'buffered'});
my $ends = session($ticks, 'alice');
say_to($ends, "BEGIN; SELECT aion.terminate_workflow(workflow_id) FROM aion.workflow_run WHERE workflow_type = 'waits';\n", qr/terminated/);
$ticks->safe_psql('postgres', q{SELECT aion.delete_schedule('buffers')}, @alice);
say_to($ends, "COMMIT; SELECT 'committed';\n", qr/committed/);
wait_until($ticks, 'no timer of a deleted schedule stays', q{SELECT NOT EXISTS (SELECT FROM aion._timer)});
all_sound($ticks, 'in the end');

$node->stop('immediate');
done_testing();
