# What may befall a server with aion, by name.
package AionFaults;
use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(usleep);

our @EXPORT = qw(faults pids try_psql come_back);

sub pids
{
	my ($node, $type) = @_;
	return split /\n/, try_psql($node, "SELECT pid FROM pg_stat_activity WHERE backend_type ~ '$type'");
}

# What psql says, and nothing where the server is just going down.
sub try_psql
{
	my ($node, $sql, @options) = @_;
	my ($code, $out) = eval { $node->psql('postgres', $sql, @options) };
	return $out // '';
}

# Waits for the server to answer; false if it does not.
sub come_back
{
	my ($node) = @_;
	for (1 .. 600) { return 1 if try_psql($node, 'SELECT 1') eq '1'; usleep(100_000) }
	return 0;
}

sub faults
{
	my ($node) = @_;
	return (
	'kill runner' => sub { kill 'KILL', $_ for (pids($node, 'aion runner'))[0] // () },
	'kill an executor' => sub { kill 'KILL', $_ for (pids($node, 'aion executor'))[0] // () },
	'terminate executors' => sub { kill 'TERM', $_ for pids($node, 'aion executor') },
	'freeze an executor' => sub { my ($pid) = pids($node, 'aion executor'); if ($pid) { kill 'STOP', $pid; usleep(300_000); kill 'CONT', $pid; } },
	'kill scheduler' => sub { kill 'KILL', $_ for pids($node, 'aion scheduler') },
	'kill launcher' => sub { kill 'KILL', $_ for pids($node, 'aion launcher') },
	'kill checkpointer' => sub { kill 'KILL', $_ for pids($node, 'checkpointer') },
	'terminate runners' => sub { kill 'TERM', $_ for pids($node, 'aion runner') },
	'terminate scheduler' => sub { kill 'TERM', $_ for pids($node, 'aion scheduler') },
	'terminate launcher' => sub { kill 'TERM', $_ for pids($node, 'aion launcher') },
	'cancel all' => sub { kill 'INT', $_ for pids($node, '^aion') },
	'freeze a runner' => sub { my ($pid) = pids($node, 'aion runner'); if ($pid) { kill 'STOP', $pid; usleep(300_000); kill 'CONT', $pid; } },
	'freeze the scheduler' => sub { my ($pid) = pids($node, 'aion scheduler'); if ($pid) { kill 'STOP', $pid; usleep(300_000); kill 'CONT', $pid; } },
	'stop immediately' => sub { $node->stop('immediate'); $node->start },
	'stop fast' => sub { $node->stop('fast'); $node->start });
}

1;
