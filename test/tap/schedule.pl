# Schedules on a server with pg_cron: jobs that ring for real, T45 (down across due ticks, with what catch_up says), R20 with processes
# that die, DROP EXTENSION, and a restored dump whose jobs have to be made again. Each tick starts one run, whatever happens.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'restart_after_crash = on', 'timezone = UTC');
if ($node->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_cron' AND default_version >= '1.4'}) eq '0')
{
	plan skip_all => 'pg_cron 1.4 is not installed here (the package postgresql-NN-cron)';
}
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice', on_error_stop => 1);
$node->safe_psql('postgres', q{
	CREATE TABLE effect (tick timestamptz, workflow text);
	CREATE FUNCTION note(tick timestamptz, workflow text) RETURNS void LANGUAGE sql AS $$ INSERT INTO alice.effect VALUES (tick, workflow) $$;
	CREATE FUNCTION ticked() RETURNS jsonb LANGUAGE sql AS $$
		SELECT aion.run('note', jsonb_build_object('tick', aion.scheduled_for(), 'workflow', aion.workflow_id())) $$;
	SELECT aion.register_activity('note', 'note(timestamptz, text)');
	SELECT aion.register_workflow('ticked', 'ticked()')}, @alice);

sub refused
{
	my ($what, $pattern) = @_;
	my ($result, $out, $err) = $node->psql('postgres', q{SELECT aion.create_schedule('no', 'ticked', cron => '0 0 * * *')}, connstr => $node->connstr('postgres') . ' user=alice');
	like($err, $pattern, $what);
}

# What stands between a cron schedule and pg_cron, one after the other.
refused('without pg_cron a cron schedule is refused', qr/needs pg_cron, which is not preloaded.*HINT:.*shared_preload_libraries.*cron\.database_name to 'postgres'.*CREATE EXTENSION pg_cron/s);
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron,aion'\ncron.use_background_workers = on\ncron.database_name = 'elsewhere'\nmax_worker_processes = 20");
$node->restart;
refused('pg_cron of another database is refused', qr/configured for database "elsewhere".*HINT:.*cron\.database_name/s);
$node->append_conf('postgresql.conf', "cron.database_name = 'postgres'");
$node->restart;
refused('pg_cron without its extension is refused', qr/not installed in this database.*HINT:.*CREATE EXTENSION pg_cron/s);
$node->safe_psql('postgres', q{
	CREATE SCHEMA cron; CREATE TABLE cron.job (); GRANT ALL ON SCHEMA cron TO alice;
	CREATE FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''planted''; END'});
refused('nor is a schema of that name believed', qr/not installed in this database/);
$node->safe_psql('postgres', 'DROP SCHEMA cron CASCADE; CREATE EXTENSION pg_cron');
$node->safe_psql('postgres', 'ALTER EXTENSION pg_cron DROP FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean)'); # which 1.4 brought
refused('a pg_cron that is too old is refused', qr/is too old.*HINT:.*1\.4.*ALTER EXTENSION pg_cron UPDATE/s);
$node->safe_psql('postgres', 'ALTER EXTENSION pg_cron ADD FUNCTION cron.schedule_in_database(text, text, text, text, text, boolean)');

# An ordinary role, without any right on pg_cron, makes a schedule; the job is the engine's, and says when to look, in UTC.
$node->safe_psql('postgres', q{
	SELECT aion.create_schedule('nightly', 'ticked', cron => '30 2 * * *', timezone => 'Europe/Berlin');
	SELECT aion.create_schedule('it''s', 'ticked', cron => '*/20 * * * *', timezone => 'Asia/Kolkata');
	SELECT aion.create_schedule('minute', 'ticked', cron => '* * * * *', timezone => 'Australia/Lord_Howe', overlap => 'allow_all');
	SELECT aion.create_schedule('quick', 'ticked', every => '1 s', catch_up => 'all', overlap => 'allow_all')}, @alice);
is($node->safe_psql('postgres', q{SELECT 'aion:' || s.name, j.schedule, command, database, username, active FROM cron.job j JOIN aion._schedule s ON j.jobname = 'aion:' || s.run_key ORDER BY s.name}),
	join("\n",
		"aion:it's|10,30,50 * * * *|SELECT aion.ring_schedule('it''s')|postgres|" . $node->safe_psql('postgres', 'SELECT current_user') . '|t',
		"aion:minute|* * * * *|SELECT aion.ring_schedule('minute')|postgres|" . $node->safe_psql('postgres', 'SELECT current_user') . '|t',
		"aion:nightly|0,30 0,1 * * *|SELECT aion.ring_schedule('nightly')|postgres|" . $node->safe_psql('postgres', 'SELECT current_user') . '|t'),
	'each cron schedule has a job of pg_cron');
is($node->safe_psql('postgres', q{SELECT has_schema_privilege('alice', 'cron', 'USAGE')}), 'f', 'and needs no right there');
is($node->safe_psql('postgres', q{SELECT ok, detail FROM aion.health() WHERE "check" = 'pg_cron'}), 't|3 of 3 schedules that need it have a job', 'health() says so');

# 11.3 Names that agree in all that the name of a job can hold have a job each, and one that 0.1 has named is replaced.
my $long = 'a' x 60;
$node->safe_psql('postgres', qq{SELECT aion.create_schedule('$long 1', 'ticked', cron => '0 0 1 1 *'), aion.create_schedule('$long 2', 'ticked', cron => '0 0 1 1 *')}, @alice);
is($node->safe_psql('postgres', qq{SELECT count(*) FROM cron.job WHERE command ~ '$long'}), '2', 'a job for each of two long names');
is($node->safe_psql('postgres', q{SELECT ok FROM aion.health() WHERE "check" = 'pg_cron'}), 't', '... which health() finds');
$node->safe_psql('postgres', qq{UPDATE cron.job SET jobname = 'aion:old' WHERE command ~ '$long 1'; SELECT aion.repair_schedules()});
is($node->safe_psql('postgres', qq{SELECT count(*), count(*) FILTER (WHERE jobname = 'aion:old') FROM cron.job WHERE command ~ '$long'}), '2|0', 'a job of an older release is replaced');
$node->safe_psql('postgres', qq{SELECT aion.delete_schedule('$long 1'), aion.delete_schedule('$long 2')}, @alice);
is($node->safe_psql('postgres', qq{SELECT count(*) FROM cron.job WHERE command ~ '$long'}), '0', '... and none is left');

# Pausing takes the job away, resuming brings it back, and a delete that is rolled back leaves it where it is.
$node->safe_psql('postgres', q{SELECT aion.pause_schedule('nightly')}, @alice);
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job WHERE command = 'SELECT aion.ring_schedule(''nightly'')'}), '0', 'a paused schedule has no job');
$node->safe_psql('postgres', q{SELECT aion.resume_schedule('nightly'); BEGIN; SELECT aion.delete_schedule('nightly'); ROLLBACK}, @alice);
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job WHERE command = 'SELECT aion.ring_schedule(''nightly'')'}), '1', 'a resumed one has, and a rollback leaves it');
$node->safe_psql('postgres', q{SELECT aion.update_schedule('nightly', cron => '0 12 * * *', timezone => 'UTC')}, @alice);
is($node->safe_psql('postgres', q{SELECT schedule FROM cron.job WHERE command = 'SELECT aion.ring_schedule(''nightly'')'}), '0 12 * * *', 'the job follows the expression');
$node->safe_psql('postgres', q{SELECT aion.update_schedule('nightly', every => '1 day')}, @alice);
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job WHERE command = 'SELECT aion.ring_schedule(''nightly'')'}), '0', 'an interval needs none');

# pg_cron rings, a runner of alice's starts the run; and a job that a user has made removes old ones.
$node->safe_psql('postgres', q{
	CREATE FUNCTION once() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_workflow('once', 'once()'), aion.start_workflow('once')}, @alice);
$node->safe_psql('postgres', q{SELECT cron.schedule('purge', '* * * * *', $$SELECT aion.purge_workflows('0', 'once')$$)});
wait_until($node, 'pg_cron rings and the tick starts', q{SELECT count(*) > 0 FROM alice.effect WHERE workflow ~ '^minute/'});
wait_until($node, 'pg_cron purges', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE workflow_type = 'once'});
$node->safe_psql('postgres', q{SELECT cron.unschedule('purge')});
wait_until($node, 'an interval ticks through our own timers', q{SELECT count(*) > 3 FROM alice.effect WHERE workflow ~ '^quick/'});
$node->safe_psql('postgres', q{SELECT aion.ring_schedule('minute') FROM generate_series(1, 5)}, @alice);
$node->safe_psql('postgres', q{SELECT aion.ring_schedule('minute') FROM generate_series(1, 5)});

# Processes die in the middle of it, again and again; no tick is lost, none starts twice.
for my $round (1 .. 4)
{
	my $before = $node->safe_psql('postgres', q{SELECT count(*) FROM alice.effect WHERE workflow ~ '^quick/'});
	my $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type IN ('aion runner', 'aion scheduler') ORDER BY random() LIMIT 1});
	PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid) if $pid ne '';
	wait_until($node, "after kill -9, round $round, the ticks go on", qq{SELECT count(*) >= $before + 2 FROM alice.effect WHERE workflow ~ '^quick/'});
}
# What every tick up to now must have come to: one run each, an unbroken row of them.
sub all_ticked
{
	my ($schedule, $step, $what) = @_;
	is($node->safe_psql('postgres', qq{SELECT count(*) - count(DISTINCT nominal_at), count(*) - 1 - round(extract(epoch FROM max(nominal_at) - min(nominal_at)) / $step), count(*) FILTER (WHERE state <> 'started') FROM aion.schedule_tick WHERE schedule = '$schedule'}),
		'0|0|0', "$what: no tick of $schedule is missing, and each has started");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT tick FROM alice.effect WHERE workflow ~ '^} . $schedule . q{/' GROUP BY tick HAVING count(*) > 1) x}), '0', "$what: each had its effect once");
}
$node->safe_psql('postgres', q{SELECT aion.pause_schedule('quick')}, @alice);
wait_until($node, 'all that was started ends', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});
all_ticked('quick', 1, 'crashes');
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.schedule_tick t WHERE NOT EXISTS (SELECT FROM alice.effect e WHERE e.tick = t.nominal_at AND e.workflow = t.workflow_id)}), '0', 'and each had one');
$node->safe_psql('postgres', q{SELECT aion.resume_schedule('quick')}, @alice);

# T45: down across ticks of an interval and of an expression.
$node->safe_psql('postgres', q{
	SELECT aion.create_schedule('one', 'ticked', every => '2 s', catch_up => 'one', overlap => 'allow_all');
	SELECT aion.create_schedule('late', 'ticked', cron => '0 0 1 1 *', catch_up => 'one')}, @alice);
$node->safe_psql('postgres', q{UPDATE aion._schedule SET next_at = now() + '2 s', due_at = now() + '2 s' WHERE name = 'late'});
$node->stop('fast');
sleep 9; # time that passes is what this is about
$node->start;
my $up = $node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()');
wait_until($node, 'a cron tick that was due while the server was down is found without pg_cron', q{SELECT count(*) = 1 FROM alice.effect WHERE workflow ~ '^late/'});
wait_until($node, 'an interval goes on', qq{SELECT count(*) > 1 FROM aion.schedule_tick WHERE schedule = 'one' AND state = 'started' AND decided_at > '$up'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT state, lag(state) OVER (ORDER BY nominal_at) AS before FROM aion.schedule_tick WHERE schedule = 'one') x WHERE state = 'started' AND before = 'missed'}), '1',
	'catch_up one: one tick for all that were missed');
is($node->safe_psql('postgres', qq{SELECT count(*) FROM aion.schedule_tick WHERE schedule = 'one' AND state = 'missed'}), '1', 'which is recorded');
wait_until($node, 'catch_up all catches up', q{SELECT max(nominal_at) > now() - interval '5 s' FROM aion.schedule_tick WHERE schedule = 'quick'});
$node->safe_psql('postgres', q{SELECT aion.pause_schedule(name) FROM aion.schedule}, @alice);
wait_until($node, 'all that was started ends', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});
all_ticked('quick', 1, 'downtime, catch_up all');
all_sound($node, 'downtime');

# An owner that cannot have a process for a while: the ticks are late, and go on by themselves.
$node->safe_psql('postgres', q{SELECT aion.resume_schedule('quick')}, @alice);
$node->safe_psql('postgres', q{REVOKE CONNECT ON DATABASE postgres FROM PUBLIC; SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'aion runner'});
wait_until($node, 'without the right to connect ticks are late', q{SELECT max(nominal_at) < now() - interval '3 s' FROM aion.schedule_tick WHERE schedule = 'quick'});
$node->safe_psql('postgres', 'GRANT CONNECT ON DATABASE postgres TO PUBLIC');
wait_until($node, 'and go on with it', q{SELECT max(nominal_at) > now() - interval '2 s' FROM aion.schedule_tick WHERE schedule = 'quick'});
$node->safe_psql('postgres', q{SELECT aion.pause_schedule('quick')}, @alice);

# R20: all at once: rings, ticks, changes and deaths.
$node->safe_psql('postgres', q{SELECT aion.resume_schedule('quick')}, @alice);
my @sessions = map { session($node, 'alice') } 1 .. 4;
for my $i (0 .. $#sessions)
{
	my $sql = (q{SELECT aion.ring_schedule('quick');}, q{SELECT aion.pause_schedule('quick'); SELECT aion.resume_schedule('quick');}, q{SELECT aion.trigger_schedule('quick');},
		q{SELECT aion.backfill_schedule('quick', now() - interval '1 min', now());})[$i];
	say_to($sessions[$i], join("\n", map { "$sql" } 1 .. 50) . "\nSELECT 'all ' || 'done';\n");
}
say_to($_, '', qr/all done/) for @sessions;
is(join('', map { $_->{err} } @sessions), '', 'no session got an error');
$_->{run}->finish for map { $_->{in} .= "\\q\n"; $_ } @sessions;
$node->safe_psql('postgres', q{SELECT aion.pause_schedule('quick')}, @alice);
wait_until($node, 'all that was started ends', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});
wait_until($node, 'nothing is pending', q{SELECT count(*) = 0 FROM aion.schedule_tick WHERE state = 'pending'});
wait_until($node, 'all that was started ends', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL});
is($node->safe_psql('postgres', q{SELECT count(*) FROM (SELECT workflow FROM alice.effect GROUP BY workflow HAVING count(*) > 1) x}), '0', 'no tick had its effect twice');
is($node->safe_psql('postgres', q{SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT FROM alice.effect e WHERE e.workflow = t.workflow_id)) FROM aion.schedule_tick t WHERE state = 'started'}), '0', 'and each had one');
all_sound($node, 'all at once');

# A dump does not carry the jobs; health() says so, and one function makes them again. So does the schedule's next ring.
$node->safe_psql('postgres', q{SELECT aion.resume_schedule('minute'), aion.resume_schedule('late')}, @alice);
$node->safe_psql('postgres', q{DELETE FROM cron.job});
is($node->safe_psql('postgres', q{SELECT ok, detail, hint FROM aion.health() WHERE "check" = 'pg_cron'}), 'f|0 of 2 schedules that need it have a job|Use SELECT aion.repair_schedules().', 'health() sees that jobs are missing');
$node->safe_psql('postgres', q{SELECT aion.ring_schedule('minute')}, @alice);
is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job}), '1', 'a ring repairs its own');
is($node->safe_psql('postgres', q{SELECT aion.repair_schedules()}), $node->safe_psql('postgres', q{SELECT count(*) - 1 FROM aion.schedule WHERE cron IS NOT NULL AND state = 'active'}), 'and a function all of them');
is($node->safe_psql('postgres', q{SELECT ok FROM aion.health() WHERE "check" = 'pg_cron'}), 't', 'health() is content');
# In a restored copy nothing ticks, whichever role rings, until it is adopted; then what it has missed is caught up.
# Where pg_cron is not, health() says so.
my $dump = $node->basedir . '/schedules.sql';
$node->safe_psql('postgres', q{SELECT aion.resume_schedule('quick'); SELECT aion.update_schedule('quick', catch_up => 'one')}, @alice);
$node->safe_psql('postgres', 'CREATE DATABASE copy');
$node->command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'a dump');
$node->psql('copy', "\\i $dump", on_error_stop => 0); # pg_cron can be in one database only
is($node->safe_psql('copy', q{SELECT ok, detail FROM aion.health() WHERE "check" = 'pg_cron'}), 'f|0 of 2 schedules that need it have a job, pg_cron is configured for database "postgres"', 'a copy has no jobs');
my $ticks = $node->safe_psql('copy', 'SELECT count(*) FROM aion.schedule_tick');
is($node->safe_psql('copy', q{SELECT aion.ring_schedule(name) FROM aion.schedule WHERE name IN ('quick', 'minute')}), "f\nf", 'and does not tick');
is($node->safe_psql('copy', 'SELECT count(*) FROM aion.schedule_tick'), $ticks, 'nor has it');
$node->safe_psql('copy', 'SELECT aion.adopt_database()');
ok($node->poll_query_until('copy', qq{SELECT count(*) >= $ticks + 3 FROM aion.schedule_tick}), 'an adopted one does');
$node->safe_psql('copy', q{SELECT aion.pause_schedule(name) FROM aion.schedule});
ok($node->poll_query_until('copy', q{SELECT count(*) = 0 FROM aion.workflow_run WHERE closed_at IS NULL}), 'all that was started there ends');
all_sound($node, 'a copy', 'copy');
is($node->safe_psql('postgres', q{SELECT aion.pause_schedule('quick')}), 'paused', 'the original is what it was');

$node->safe_psql('postgres', q{SELECT cron.schedule('other', '0 0 1 1 *', 'SELECT 1')});
$node->safe_psql('postgres', 'DROP EXTENSION aion CASCADE');
is($node->safe_psql('postgres', q{SELECT string_agg(jobname, ',') FROM cron.job}), 'other', 'DROP EXTENSION removes its jobs, and no other');
$node->stop;
done_testing();
