# 11.17: the clock is put forward, as it is for a machine that was suspended, and back: what is due by the new time does not wait for the old one.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tempdir = PostgreSQL::Test::Utils::tempdir();
my $ahead = "$tempdir/ahead";
system_or_bail('cc', '-shared', '-fPIC', '-o', "$tempdir/clock.so", 'test/tap/lib/clock.c');
sub set_clock
{
	my ($seconds) = @_;
	open my $file, (-e $ahead ? '+<' : '>'), $ahead or die "$ahead: $!";
	print $file pack('q', $seconds);
	close $file;
}
set_clock(0);
my $node;
{
	local $ENV{LD_PRELOAD} = "$tempdir/clock.so";
	local $ENV{AION_CLOCK} = $ahead;
	$node = new_node('main', 'aion.max_runners = 2', 'autovacuum = off');
}
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
install($node);
$node->safe_psql('postgres', q{
	CREATE FUNCTION naps(nap interval) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep(nap); END $$;
	SELECT aion.register_workflow('naps', 'naps(interval)')}, @alice);
sub start { my ($id, $nap) = @_; $node->safe_psql('postgres', qq{SELECT aion.start_workflow('naps', '{"nap": "$nap"}', workflow_id => '$id')}, @alice); }
start('long', '20 min');
wait_until($node, 'a run waits', q{SELECT count(*) = 1 AND min(fire_at) > clock_timestamp() + interval '19 min' FROM aion.timer});
my $before = $node->safe_psql('postgres', 'SELECT clock_timestamp()');
set_clock(1800);
is($node->safe_psql('postgres', "SELECT clock_timestamp() > '$before'::timestamptz + interval '29 min'"), 't', 'the clock is put forward');
start('new', '1 s');
wait_until($node, 'a new timer fires', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'new'});
wait_until($node, 'and the one that has become due', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'long'});

# And back: nothing waits for a time that now lies far ahead.
set_clock(0);
is($node->safe_psql('postgres', "SELECT clock_timestamp() < '$before'::timestamptz + interval '10 min'"), 't', 'the clock is put back');
start('after', '1 s');
wait_until($node, 'timers fire', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'after'});
all_sound($node, 'in the end');

done_testing();
