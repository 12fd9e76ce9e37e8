# A run whose turn takes the server down is not executed for ever, and those that were merely in flight are not blamed (T05
# in part, 5.3 of the plan). It can be released.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 3', 'restart_after_crash = on');
install($node);
add_steps($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE EXTENSION plpython3u;
	SET SESSION AUTHORIZATION alice;
	CREATE TABLE alice.harmless (what text);
	RESET SESSION AUTHORIZATION;
	CREATE FUNCTION alice.crash() RETURNS text LANGUAGE plpython3u AS $$
import os, signal, time
time.sleep(0.3)
if plpy.execute("SELECT count(*) AS n FROM alice.harmless")[0]["n"] == 0:
    os.kill(os.getpid(), signal.SIGSEGV)
return "harmless now"
$$;
	ALTER FUNCTION alice.crash() OWNER TO alice});
# Somebody else's run is in flight each time the bad one crashes the server.
$node->safe_psql('postgres', q{
	CREATE ROLE bob LOGIN;
	SELECT aion.grant_usage('bob');
	CREATE SCHEMA bob AUTHORIZATION bob;
	SET SESSION AUTHORIZATION bob;
	CREATE FUNCTION bob.nap() RETURNS int LANGUAGE sql AS $$ SELECT pg_sleep(2); SELECT 1 $$;
	CREATE FUNCTION bob.sleepy() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('nap') $$;
	SELECT aion.register_activity('nap', 'bob.nap()');
	SELECT aion.register_workflow('sleepy', 'bob.sleepy()');
	SELECT aion.start_workflow('sleepy', workflow_id => 'nap')});
$node->safe_psql('postgres', q{
	CREATE FUNCTION bad() RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('act', jsonb_build_object('who', 'bad', 'step', 1)); RETURN aion.run('crash'); END $$;
	SELECT aion.register_activity('crash', 'crash()');
	SELECT aion.register_workflow('bad', 'bad()');
	SELECT aion.start_workflow('steps', '{"n": 100}', workflow_id => 'w' || i) FROM generate_series(1, 12) i;
	SELECT aion.start_workflow('bad', workflow_id => 'bad')}, @alice);
sub blocked
{
	my ($code, $out) = $node->psql('postgres', q{SELECT blocked FROM aion.workflow_run WHERE workflow_id = 'bad'});
	return ($out // '') eq 'quarantined';
}
my $waited = 0;
select(undef, undef, undef, 0.1) while !blocked() && $waited++ < 10 * $PostgreSQL::Test::Utils::timeout_default;
ok(blocked(), 'a run that crashes the server is quarantined');
wait_until($node, 'the others complete', q{SELECT count(*) = 13 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^[wn]'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.history_event WHERE event_type = 'WorkflowBlocked' AND workflow_id <> 'bad'}), '0', 'and none of them was blamed');
is(() = slurp_file($node->logfile) =~ /aion runner.*was terminated by signal 11/g, 3, 'three crashes were enough');
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT (who, step)) FROM alice.effect}), '1200|1200', 'every effect is there once, and none of the bad one');
like($node->safe_psql('postgres', q{SELECT attributes #>> '{detail,message}' FROM aion.history('bad') WHERE event_type = 'WorkflowBlocked'}), qr/crashed/, 'its history says why');
$node->safe_psql('postgres', q{INSERT INTO alice.harmless VALUES ('x'); SELECT aion.register_activity('crash', 'crash()')}, @alice);
$node->safe_psql('postgres', 'SELECT pg_sleep(0.3)');
is($node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'bad'}), 'blocked', 'it does not go on by itself');
$node->safe_psql('postgres', q{SELECT aion.set_workflow_version('bad')}, @alice);
wait_until($node, 'but when it is released', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'bad'});
all_sound($node, 'in the end');

done_testing();
