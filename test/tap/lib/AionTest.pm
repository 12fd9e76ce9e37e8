# What the tests of processes and restarts share: a server with aion, and sessions in the background.
package AionTest;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(new_node install add_steps session say_to becomes wait_until all_sound);

# A running server with the settings of test/aion.conf and more, and no extension yet.
sub new_node
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(allows_streaming => 1);
	$node->append_conf('postgresql.conf',
		join("\n", slurp_file('test/aion.conf'), 'max_connections = 40', @settings) . "\n");
	$node->start;
	return $node;
}

# The extension, and a role alice that may use it and owns a schema of the same name.
sub install
{
	my ($node, $database) = @_;
	$node->safe_psql($database // 'postgres', q{
		CREATE EXTENSION IF NOT EXISTS aion;
		DO $$ BEGIN
			IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'alice') THEN CREATE ROLE alice LOGIN; END IF;
		END $$;
		SELECT aion.grant_usage('alice');
		CREATE SCHEMA IF NOT EXISTS alice AUTHORIZATION alice;
		GRANT ALL ON SCHEMA public TO alice});
}

# A workflow of alice's that does as many steps as it is told to, and naps after each.
sub add_steps
{
	my ($node) = @_;
	$node->safe_psql('postgres', q{
		CREATE TABLE effect (who text, step int);
		CREATE FUNCTION act(who text, step int) RETURNS int LANGUAGE sql AS $$ INSERT INTO alice.effect VALUES (who, step) RETURNING step $$;
		CREATE FUNCTION steps(n int) RETURNS int LANGUAGE plpgsql AS $$
		BEGIN
			FOR i IN 1..n LOOP
				PERFORM aion.run('act', jsonb_build_object('who', aion.workflow_id(), 'step', i));
				PERFORM aion.sleep('1 ms');
			END LOOP;
			RETURN n;
		END $$;
		SELECT aion.register_activity('act', 'act(text, int)');
		SELECT aion.register_workflow('steps', 'steps(int)')}, connstr => $node->connstr('postgres') . ' user=alice');
}

# A psql in the background. Its output collects in {out} and {err}.
sub session
{
	my ($node, $user, $database) = @_;
	my $session = { in => '', out => '', err => '' };
	$session->{run} = IPC::Run::start(
		[ $node->installed_command('psql'), '-XAtq', '-d', $node->connstr($database // 'postgres') . " user=$user" ],
		'<', \$session->{in}, '>', \$session->{out}, '2>', \$session->{err},
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	say_to($session, "SELECT 'session is ' || pg_backend_pid();\n", qr/session is (\d+)/);
	($session->{pid}) = $session->{out} =~ /session is (\d+)/;
	$session->{out} = '';
	return $session;
}

# Sends SQL; with a pattern waits until it comes out of psql, on either channel.
sub say_to
{
	my ($session, $sql, $until) = @_;
	$session->{in} .= $sql;
	if (defined $until)
	{
		$session->{run}->pump until "$session->{out}$session->{err}" =~ $until;
	}
	else
	{
		$session->{run}->pump_nb while length $session->{in};
	}
	return $session->{out};
}

# Waits until a query has a result. While the server starts again psql may end before it has read the query: that is no failure.
sub becomes
{
	my ($node, $query, $expected) = @_;
	for (1 .. 100)
	{
		my $became = eval { $node->poll_query_until('postgres', $query, $expected // 't') };
		return $became if $@ eq '';
		die $@ if $@ !~ /Broken pipe/;
		select undef, undef, undef, 0.1;
	}
	return 0;
}

# Waits until a query says so.
sub wait_until
{
	my ($node, $what, $query) = @_;
	ok(becomes($node, $query), $what);
}

# Nothing is amiss in a database.
sub all_sound
{
	my ($node, $what, $database) = @_;
	is($node->safe_psql($database // 'postgres', 'SELECT * FROM aion.check_integrity()'),
		'', "$what: check_integrity() finds nothing");
}

1;
