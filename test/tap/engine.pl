# T19-T33, T35-T37, T63, T64, C10, C11, C13: the engine's processes: that they work, come and go, leave when told, and cost
# nothing while there is nothing to do.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 3', 'restart_after_crash = on', 'max_worker_processes = 10', 'shared_buffers = 128MB');
sub processes
{
	my ($type, $database) = @_;
	$type = "'aion $type'";
	$database = $database ? "AND datname = '$database'" : '';
	return "SELECT pid FROM pg_stat_activity WHERE backend_type = $type $database ORDER BY pid";
}
sub count_of { my ($n, @what) = @_; return "SELECT count(*) = $n FROM (" . processes(@what) . ') p'; }
sub as { my ($user, $database) = @_; return (connstr => $node->connstr($database // 'postgres') . " user=$user"); }

wait_until($node, 'there is a launcher', count_of(1, 'launcher'));
is($node->safe_psql('postgres', processes('scheduler')), '', 'and no scheduler where there is no extension');

# CREATE EXTENSION, rolled back and not.
$node->safe_psql('postgres', 'BEGIN; CREATE EXTENSION aion; ROLLBACK');
install($node);
wait_until($node, 'a scheduler comes with the extension', count_of(1, 'scheduler', 'postgres'));
my $setup = q{
	CREATE TABLE effect (who text, step int);
	CREATE FUNCTION act(who text, step int) RETURNS text LANGUAGE sql AS $$ INSERT INTO effect VALUES (who, step) RETURNING current_user || ' ' || session_user $$;
	CREATE FUNCTION steps(n int, nap interval DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
	DECLARE
		said jsonb;
	BEGIN
		FOR i IN 1..n LOOP
			said := aion.run(current_user || ' act', jsonb_build_object('who', aion.workflow_id(), 'step', i));
			IF nap IS NOT NULL THEN
				PERFORM aion.sleep(nap);
			END IF;
		END LOOP;
		RETURN said;
	END $$;
	SELECT aion.register_activity(current_user || ' act', 'act(text, int)');
	SELECT aion.register_workflow(current_user || ' steps', 'steps(int, interval)')};
$node->safe_psql('postgres', $setup, as('alice'));
$node->safe_psql('postgres', q{SELECT aion.start_workflow('alice steps', '{"n": 3, "nap": "5 ms"}', workflow_id => 'first')}, as('alice'));
is($node->safe_psql('postgres', q{SELECT aion.await_workflow('first', '1 min')}, as('alice')), '"alice alice"', 'a run is executed as its owner, in a session of his');
is($node->safe_psql('postgres', q{CALL aion.run_workflow('alice steps', '{"n": 1}')}, as('alice')), '"alice alice"', 'run_workflow gets its result');

# T18: preloaded, and the extension is nowhere.
my $bare = new_node('bare', 'aion.max_runners = 3');
$bare->safe_psql('postgres', 'CREATE DATABASE other');
wait_until($bare, 'T18: there is a launcher', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'aion launcher'});
wait_until($bare, 'and soon no other process', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type ~ '^aion'});
sub cpu_of { my ($pid) = @_; return join ' ', (split / /, slurp_file("/proc/$pid/stat"))[ 13, 14 ]; }
my $launcher = $bare->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'aion launcher'});
my $ticks = cpu_of($launcher);
sleep 2;
is(cpu_of($launcher), $ticks, 'which does nothing');
unlike(slurp_file($bare->logfile), qr/ERROR|FATAL|WARNING/, 'and says nothing');
$bare->stop;

# Everything that makes a run ready is noticed.
$node->safe_psql('postgres', q{
	BEGIN; SELECT aion.start_workflow('alice steps', '{"n": 1}', workflow_id => 'prepared'); PREPARE TRANSACTION 'p';
	SELECT pg_sleep(0.05);
	COMMIT PREPARED 'p'}, as('alice'));
wait_until($node, 'COMMIT PREPARED of a start', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'prepared'});
$node->safe_psql('postgres', q{
	SELECT aion.start_workflow('alice steps', '{"n": 1}', workflow_id => 'later', start_at => clock_timestamp() + interval '20 ms');
	BEGIN; SAVEPOINT s; SELECT aion.start_workflow('alice steps', '{"n": 1}', workflow_id => 'rolled back'); ROLLBACK TO s;
	SELECT aion.start_workflow('alice steps', '{"n": 1}', workflow_id => 'kept'); COMMIT;
	SELECT count(*) FROM aion.start_workflows('alice steps', array_fill('{"n": 1}'::jsonb, ARRAY[6000]))}, as('alice'));
wait_until($node, 'starts of all kinds, and more than hints have room for', 'SELECT count(*) = 6005 AND every(status = $$completed$$) FROM aion.workflow_run');
$node->safe_psql('postgres', q{
	CREATE FUNCTION fixable() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('not yet'); END $$;
	SELECT aion.register_workflow('fixable', 'fixable()');
	SELECT aion.start_workflow('fixable', workflow_id => 'fixable')}, as('alice'));
wait_until($node, 'a run is blocked', q{SELECT status = 'blocked' FROM aion.workflow_run WHERE workflow_id = 'fixable'});
$node->safe_psql('postgres', q{CREATE FUNCTION not_yet() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT aion.register_activity('not yet', 'not_yet()')}, as('alice'));
wait_until($node, 'and goes on when that is mended', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'fixable'});
my $locker = session($node, 'postgres');
say_to($locker, "BEGIN; SELECT 'locked' FROM aion._run WHERE workflow_id = 'first' FOR UPDATE;\n", qr/locked/);
$node->safe_psql('postgres', q{SELECT aion.start_workflow('alice steps', '{"n": 2, "nap": "3 s"}', workflow_id => 'locked')}, as('alice'));
wait_until($node, 'a run naps', q{SELECT count(*) = 1 FROM aion.timer WHERE workflow_id = 'locked'});
say_to($locker, "COMMIT; BEGIN; SELECT 'locked again' FROM aion._run WHERE workflow_id = 'locked' FOR UPDATE;\n", qr/locked again/);
$node->safe_psql('postgres', 'SELECT pg_sleep(3.1)');
$node->safe_psql('postgres', q{CALL aion.run_workflow('alice steps', '{"n": 1}')}, as('alice'));
is($node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'locked'}), 'running', 'C13: a session that holds a lock delays that run and no other');
say_to($locker, "COMMIT; SELECT 'let go';\n", qr/let go/);
wait_until($node, 'which goes on when it is released', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'locked'});
$locker->{run}->kill_kill;

# T17: a session ends in the middle of a transaction that has started runs: no process is woken for them.
my $executed = $node->safe_psql('postgres', 'SELECT sum(batches) FROM aion.stat_runner');
my $doomed = session($node, 'alice');
say_to($doomed, q{BEGIN; SELECT count(*) || ' are started' FROM aion.start_workflows('alice steps', array_fill('{"n": 1}'::jsonb, ARRAY[100]));} . "\n", qr/100 are started/);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($doomed->{pid}, 10000), pg_sleep(0.2)");
$doomed->{run}->kill_kill;
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL'), '0', 'T17: what was not committed is not there');
is($node->safe_psql('postgres', 'SELECT sum(batches) FROM aion.stat_runner'), $executed, 'and no runner looked for it');

# C11, T37: idle with many runs that wait, nothing is executed, written or held.
$node->safe_psql('postgres', q{SELECT count(*) FROM aion.start_workflows('alice steps', array_fill('{"n": 2, "nap": "1 day"}'::jsonb, ARRAY[20000]))}, as('alice'));
like($node->safe_psql('postgres', 'SELECT string_agg("check", $$ $$) FROM aion.health() WHERE NOT ok'), qr/^$/, 'health() finds all well');
is($node->safe_psql('postgres', 'SELECT count(*) > 0 AND sum(runs) > 6000 AND every(pid IN (SELECT pid FROM pg_stat_activity)) FROM aion.stat_runner'), 't', 'and stat_runner tells what was done');
wait_until($node, 'all of them wait', 'SELECT count(*) = 20000 FROM aion.timer');
$node->safe_psql('postgres', 'VACUUM ANALYZE aion._run; VACUUM aion._timer; VACUUM aion._event; CHECKPOINT; SELECT pg_sleep(0.2)');
my $quiet = q{SELECT pg_current_wal_insert_lsn() || ' ' || string_agg(pid || ' ' || state_change || ' ' || (backend_xmin IS NULL), ', ' ORDER BY pid) FROM pg_stat_activity WHERE backend_type ~ '^aion'};
my $before = $node->safe_psql('postgres', $quiet);
like($before, qr/true/, 'there are processes');
unlike($before, qr/false/, 'that hold no snapshot');
sleep 2;
my ($lsn_before, $rest_before) = split / /, $before, 2;
my ($lsn_after, $rest_after) = split / /, $node->safe_psql('postgres', $quiet), 2;
is($rest_after, $rest_before, 'and execute nothing');
$node->safe_psql('postgres', q{SELECT aion.terminate_workflow(workflow_id) FROM aion.workflow_run WHERE closed_at IS NULL}, as('alice'));

# aion.execution: off, or another name than the one under which the database was adopted, pauses.
sub execution
{
	my ($value) = @_;
	$node->safe_psql('postgres', "ALTER SYSTEM SET aion.execution = '$value'");
	$node->reload;
	wait_until($node, "aion.execution is $value", "SELECT execution = '$value' FROM aion.stat_engine");
}
execution('off');
like($node->safe_psql('postgres', q{SELECT detail FROM aion.health() WHERE "check" = 'fence' AND NOT ok}), qr/paused/, 'health() says it');
$node->safe_psql('postgres', q{SELECT aion.start_workflow('alice steps', '{"n": 1}', workflow_id => 'paused')}, as('alice'));
my ($paused, $nothing, $refusal) = $node->psql('postgres', 'CALL aion.drive()', as('alice'));
like($refusal, qr/execution is off/, 'so does drive()');
execution('elsewhere');
($paused, $nothing, $refusal) = $node->psql('postgres', 'CALL aion.drive()', as('alice'));
like($refusal, qr/was adopted with aion.execution = "on"/, 'and what is wrong with a name');
is($node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'paused'}), 'running', 'starts are recorded and not executed');
$node->safe_psql('postgres', 'SELECT aion.adopt_database()');
wait_until($node, 'until the database is adopted under that name', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'paused'});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('alice steps', '{"n": 1, "nap": "1 ms"}', workflow_id => 'paused again')}, as('alice'));
execution('on');
$node->safe_psql('postgres', 'SELECT aion.adopt_database()');
wait_until($node, 'back to on', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'paused again'});

# T31: more owners than runners.
for my $i (1 .. 6)
{
	$node->safe_psql('postgres', "CREATE ROLE owner$i LOGIN; SELECT aion.grant_usage('owner$i'); CREATE SCHEMA owner$i AUTHORIZATION owner$i");
	$node->safe_psql('postgres', $setup, as("owner$i"));
}
$node->safe_psql('postgres', "SELECT aion.start_workflow('alice steps', '{\"n\": 300, \"nap\": \"1 ms\"}') FROM generate_series(1, 20)", as('alice'));
$node->safe_psql('postgres', "SELECT aion.start_workflow('owner$_ steps', '{\"n\": 2, \"nap\": \"1 ms\"}', workflow_id => 'of owner$_')", as("owner$_")) for 1 .. 6;
wait_until($node, 'T31: no owner waits for ever', q{SELECT count(*) = 6 AND every(status = 'completed') FROM aion.workflow_run WHERE workflow_id ~ '^of owner'});
is($node->safe_psql('postgres', q{SELECT count(DISTINCT result) FROM aion.workflow_run WHERE workflow_id ~ '^of owner'}), '6', 'each as himself');
wait_until($node, 'and all of the others end', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});

# T32: an owner that cannot have a session.
$node->safe_psql('postgres', 'REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; GRANT CONNECT ON DATABASE postgres TO alice, owner1, owner2');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'aion runner'");
$node->safe_psql('postgres', q{
	GRANT CONNECT ON DATABASE postgres TO owner3;
	SELECT aion.start_workflow('owner3 steps', '{"n": 1}', workflow_id => 'shut out', run_as => 'owner3', start_at => clock_timestamp() + interval '0.3 s');
	REVOKE CONNECT ON DATABASE postgres FROM owner3});
wait_until($node, 'T32: runs of an owner that may not connect are blocked', q{SELECT status = 'blocked' AND blocked = 'missing right' FROM aion.workflow_run WHERE workflow_id = 'shut out'});
like($node->safe_psql('postgres', q{SELECT attributes #>> '{detail,message}' FROM aion.history('shut out') WHERE event_type = 'WorkflowBlocked'}),
	qr/not permitted to connect to this database/, 'with the reason');
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC');
wait_until($node, 'and go on when he may', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'shut out'});

# T27, T28: each process can be terminated and cancelled.
$node->safe_psql('postgres', q{SELECT aion.start_workflow('alice steps', '{"n": 40, "nap": "20 ms"}', workflow_id => 'long')}, as('alice'));
for my $type (qw(runner scheduler launcher))
{
	my ($pid) = split /\n/, $node->safe_psql('postgres', processes($type));
	$node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)");
	$node->safe_psql('postgres', 'SELECT pg_sleep(0.05)');
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE pid = $pid"), '1', "T28: a $type survives a cancel");
	$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	wait_until($node, "T27: a $type that was terminated gets a successor", "SELECT bool_and(pid <> $pid) AND count(*) > 0 FROM (" . processes($type) . ') p');
}
wait_until($node, 'and the runs go on', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'long'});

# T35: settings are reloaded.
$node->safe_psql('postgres', "ALTER SYSTEM SET aion.runner_idle_timeout = '50ms'");
$node->reload;
wait_until($node, 'T35: idle runners leave after a reload', count_of(0, 'runner'));
$node->safe_psql('postgres', q{CALL aion.run_workflow('alice steps', '{"n": 1}')}, as('alice'));
pass('and come back');
$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.runner_idle_timeout');
$node->reload;

# T19-T21: the extension goes and comes, with runs in flight.
$node->safe_psql('postgres', 'CREATE DATABASE other');
install($node, 'other');
$node->safe_psql('other', $setup, as('alice', 'other'));
$node->safe_psql('other', q{SELECT aion.start_workflow('alice steps', '{"n": 1000, "nap": "1 ms"}') FROM generate_series(1, 10)}, as('alice', 'other'));
wait_until($node, 'a second database is served', count_of(1, 'scheduler', 'other'));
$node->safe_psql('other', 'BEGIN; DROP EXTENSION aion CASCADE; ROLLBACK');
is($node->safe_psql('other', 'SELECT count(*) FROM aion.workflow_run WHERE closed_at IS NULL'), '10', 'DROP EXTENSION was rolled back');
wait_until($node, 'and the engine goes on', q{SELECT count(*) >= 1 FROM pg_stat_activity WHERE backend_type = 'aion runner' AND datname = 'other'});
$node->safe_psql('other', 'DROP EXTENSION aion CASCADE');
wait_until($node, 'T19: the engine leaves with the extension', count_of(0, 'scheduler', 'other'));
wait_until($node, 'runners, too', count_of(0, 'runner', 'other'));
install($node, 'other');
wait_until($node, 'T20: and comes again with it', count_of(1, 'scheduler', 'other'));
$node->safe_psql('other', q{SELECT aion.register_activity('alice act', 'alice.act(text, int)'); SELECT aion.register_workflow('alice steps', 'alice.steps(int, interval)')}, as('alice', 'other'));
is($node->safe_psql('other', q{CALL aion.run_workflow('alice steps', '{"n": 1}')}, as('alice', 'other')), '"alice alice"', 'and works');

# T22-T26: databases are copied, renamed, shut and dropped while the engine is in them.
$node->safe_psql('other', q{SELECT aion.start_workflow('alice steps', '{"n": 1000, "nap": "2 ms"}', workflow_id => 'copied')}, as('alice', 'other'));
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE other');
wait_until($node, 'T24: a database can be a template', count_of(1, 'scheduler', 'copy'));
my $copied = q{SELECT history_events FROM aion.workflow_run WHERE workflow_id = 'copied'};
my $events = $node->safe_psql('copy', $copied);
ok($node->poll_query_until('other', qq{SELECT history_events > $events OR closed_at IS NOT NULL FROM aion.workflow_run WHERE workflow_id = 'copied'}), 'the original goes on');
is($node->safe_psql('copy', $copied), $events, 'T25: the copy does not');
$node->safe_psql('copy', 'SELECT aion.adopt_database()');
wait_until($node, 'until it is adopted', count_of(1, 'runner', 'copy'));
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed');
wait_until($node, 'T26: it can be renamed', count_of(1, 'scheduler', 'renamed'));
$node->safe_psql('postgres', 'ALTER DATABASE renamed ALLOW_CONNECTIONS false');
wait_until($node, 'T26: a database that allows no connections has no engine', count_of(0, 'scheduler', 'renamed'));
$node->safe_psql('postgres', 'ALTER DATABASE renamed ALLOW_CONNECTIONS true');
wait_until($node, 'T26: and has one again when it allows them', count_of(1, 'scheduler', 'renamed'));
$node->safe_psql('postgres', 'DROP DATABASE renamed');
pass('T22: a database can be dropped without force');
my ($code, $out, $err) = $node->psql('postgres', 'DROP DATABASE other', as('alice'));
like($err, qr/must be owner of database/, 'but not by a role that does not own it');
is($node->safe_psql('postgres', count_of(1, 'scheduler', 'other')), 't', 'and the attempt does not disturb the engine');
$node->safe_psql('postgres', 'DROP DATABASE other');
all_sound($node, 'after all this');

# T33, T63, T64: stop, standby, promotion.
$node->safe_psql('postgres', q{SELECT aion.start_workflow('alice steps', '{"n": 2, "nap": "3 s"}', workflow_id => 'promoted')}, as('alice'));
wait_until($node, 'a run naps', q{SELECT count(*) = 1 FROM aion.timer});
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ '^aion'}), '0', 'T63: there is no engine on a standby');
is($standby->safe_psql('postgres', q{SELECT string_agg("check" || ': ' || detail, ', ') FROM aion.health() WHERE NOT ok AND "check" IN ('server', 'launcher', 'scheduler')}),
	'server: a standby, which executes no workflows', '11.27: health() on a standby says that it is one');
$node->stop('fast');
pass('T33: a fast stop');
$standby->promote;
ok($standby->poll_query_until('postgres', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'promoted'}), 'T64: after promotion the runs go on');
is($standby->safe_psql('postgres', "SELECT count(*) FROM alice.effect WHERE who = 'promoted'"), '2', 'each effect once');
all_sound($standby, 'promoted');

# T34, 11.16: a fast stop waits for no synchronous standby: neither where a process notes which run it leaves, nor where it removes the
# temporary tables that code has made.
my @local = (connstr => $standby->connstr('postgres') . ' user=alice options=-csynchronous_commit=local');
$standby->safe_psql('postgres', q{ALTER SYSTEM SET aion.turn_timeout = '10min'; SELECT pg_reload_conf()});
$standby->safe_psql('postgres', q{
	CREATE FUNCTION scratch() RETURNS void LANGUAGE sql AS $$ CREATE TEMPORARY TABLE scratch (n int); $$;
	CREATE FUNCTION doze() RETURNS void LANGUAGE sql AS $$ SELECT pg_sleep(600) $$;
	CREATE FUNCTION dozes(activity text, nap interval) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN PERFORM aion.run(activity); PERFORM aion.sleep(nap); PERFORM aion.run('doze'); END $$;
	SELECT aion.register_activity('doze', 'doze()'), aion.register_activity('scratch', 'scratch()'), aion.register_workflow('dozes', 'dozes(text, interval)');
	SELECT aion.register_activity('background scratch', 'scratch()', mode => 'background');
	SELECT aion.start_workflow('dozes', '{"activity": "background scratch", "nap": "1 h"}', workflow_id => 'scratch 1')}, @local);
wait_until($standby, 'a run naps', q{SELECT count(*) = 1 FROM aion.timer WHERE workflow_id = 'scratch 1' AND fire_at > now() + interval '50 min'});
$standby->safe_psql('postgres', q{SELECT aion.start_workflow('dozes', '{"activity": "scratch", "nap": "20 ms"}', workflow_id => 'scratch 2')}, @local);
wait_until($standby, 'another one dozes', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'aion runner' AND wait_event = 'PgSleep'});
$standby->safe_psql('postgres', q{ALTER SYSTEM SET synchronous_standby_names = 'missing'; SELECT pg_reload_conf()});
wait_until($standby, 'a synchronous standby is missing', q{SELECT current_setting('synchronous_standby_names') = 'missing'});
{
	local $ENV{PGCTLTIMEOUT} = 30;
	ok($standby->stop('fast', fail_ok => 1), 'T34: a fast stop all the same') or BAIL_OUT('a process waits for ever');
}
$standby->append_conf('postgresql.auto.conf', "synchronous_standby_names = ''");
$standby->start;
is($standby->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run WHERE workflow_id ~ 'scratch' AND status = 'running'}), '2', 'after which the runs are there');

done_testing();
