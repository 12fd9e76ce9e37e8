# What must not crash the server: a disk without room for the notes of what is executed (11.10), and an executor that fails when the
# scheduler of its database has left (11.9).
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'restart_after_crash = on', 'aion.max_runners = 3');
install($node);
add_steps($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
sub as_alice { return $node->safe_psql('postgres', $_[0], @alice) }
sub completed { return "SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = '$_[0]'" }
sub crashes { return scalar(() = slurp_file($node->logfile) =~ /was terminated by signal/g) }

# The room is gone while runners note there.
as_alice(q{SELECT aion.start_workflow('steps', '{"n": 3}', workflow_id => 'before')});
wait_until($node, 'a run is executed', completed('before'));
truncate($node->data_dir . '/pg_stat_tmp/aion.inflight', 0) or die $!;
as_alice(q{SELECT aion.start_workflow('steps', '{"n": 3}', workflow_id => 'truncated')});
wait_until($node, 'without room for a note it is executed as well', completed('truncated'));
is(crashes(), 0, 'and the server has not crashed');

# There has been none since the server started: the file is a device on which every write fails.
$node->stop;
unlink($node->data_dir . '/pg_stat_tmp/aion.inflight') or die $!;
symlink('/dev/full', $node->data_dir . '/pg_stat_tmp/aion.inflight') or die $!;
$node->start;
as_alice(q{SELECT aion.start_workflow('steps', '{"n": 3}', workflow_id => 'full')});
wait_until($node, 'nor where there never was any', completed('full'));
like(slurp_file($node->logfile), qr/could not prepare file "pg_stat_tmp\/aion.inflight"/, 'the log says so');
is(crashes(), 0, 'and the server has not crashed');

# The activity goes on when it is told to leave, and the executor waits for a lock when it has ended; its statement is cancelled
# when the scheduler is gone.
as_alice(q{
CREATE TABLE gate (open boolean); INSERT INTO gate VALUES (false);
CREATE FUNCTION stubborn() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	waited int := 0;
BEGIN
	WHILE waited < 1000 AND NOT (SELECT open FROM alice.gate) LOOP
		BEGIN PERFORM pg_sleep(0.02); EXCEPTION WHEN query_canceled THEN NULL; END;
		waited := waited + 1;
	END LOOP;
	RETURN 1;
END $$;
CREATE FUNCTION one() RETURNS int LANGUAGE sql AS $$ SELECT aion.run('stubborn')::int $$;
SELECT aion.register_activity('stubborn', 'stubborn()', mode => 'background'), aion.register_workflow('one', 'one()');
SELECT aion.start_workflow('one', workflow_id => 'one')});
my $executor = q{pg_stat_activity WHERE backend_type = 'aion executor' AND query ~ '^executing activity'};
wait_until($node, 'an executor is at it', "SELECT count(*) = 1 FROM $executor");
my $locker = session($node, 'postgres');
say_to($locker, "BEGIN; SELECT 'locked' FROM aion._task FOR UPDATE;\n", qr/locked/);
my $mover = session($node, 'postgres', 'template1');
$mover->{in} .= "ALTER DATABASE postgres RENAME TO moved;\n";
$mover->{run}->pump_nb;
my $other = sub { return $node->safe_psql('template1', $_[0]) };
ok($node->poll_query_until('template1', "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'aion scheduler'"), 'the scheduler has left');
as_alice('UPDATE gate SET open = true');
ok($node->poll_query_until('template1', "SELECT count(*) = 1 FROM $executor AND wait_event_type = 'Lock'"), 'the executor waits');
for (1 .. 20)
{
	last if $other->("SELECT count(*), count(pg_cancel_backend(pid)) FROM $executor") =~ /^0/;
	select(undef, undef, undef, 0.1);
}
say_to($locker, "ROLLBACK; SELECT 'unlocked';\n", qr/unlocked/);
is(crashes(), 0, 'it failed, and the server has not crashed');
say_to($mover, "SELECT 'renamed';\n", qr/renamed/);
$node->psql('template1', 'ALTER DATABASE moved RENAME TO postgres'); # if it was, in spite of the sessions there
wait_until($node, 'the run goes on', completed('one'));
all_sound($node, 'after all of it');
done_testing();
