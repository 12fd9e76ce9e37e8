# What may befall a server with aion, by name.
package AionFaults;
use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(usleep);

our @EXPORT = qw(faults pids);

sub pids
{
	my ($node, $type) = @_;
	my ($code, $out) = $node->psql('postgres', "SELECT pid FROM pg_stat_activity WHERE backend_type ~ '$type'", on_error_stop => 0);
	return split /\n/, $out // '';
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
