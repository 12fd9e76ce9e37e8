# Short activities in the background share a transaction: each happens once, with what it may see and hold, whether it goes on being
# short, fails, waits for a lock, or is cancelled at the moment of the commit. T89; R08, R14, R26; C5.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# What takes less than a quarter of this is short, on a slow machine, too.
my $node = new_node('main', 'aion.max_runners = 8', 'max_worker_processes = 20', 'aion.batch_time = 200ms', 'max_locks_per_transaction = 24');
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
sub as_alice { return $node->safe_psql('postgres', $_[0], @alice) }
as_alice(q{
CREATE TABLE effect (what text, who text, attempt int, transaction bigint DEFAULT txid_current(), n serial);
CREATE TABLE gate (open boolean); INSERT INTO gate VALUES (true);
CREATE TABLE place (name text PRIMARY KEY, visits int DEFAULT 0); INSERT INTO place VALUES ('a'), ('b');
CREATE FUNCTION done(what text) RETURNS int LANGUAGE sql AS $$
	INSERT INTO alice.effect (what, who, attempt) SELECT what, i ->> 'workflow_id', (i ->> 'attempt')::int FROM aion.activity_info() i RETURNING attempt $$;
CREATE FUNCTION quick() RETURNS int LANGUAGE sql AS $$ SELECT alice.done('quick') $$;
CREATE SEQUENCE tries;
CREATE FUNCTION flaky() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM nextval('alice.tries');
	IF alice.done('flaky') < 3 THEN RAISE EXCEPTION 'not yet'; END IF;
	RETURN aion.activity_info() -> 'attempt';
END $$;
CREATE FUNCTION changes() RETURNS int LANGUAGE plpgsql AS $$
DECLARE attempt int := alice.done('changes');
BEGIN
	WHILE NOT (SELECT open FROM alice.gate) LOOP PERFORM pg_sleep(0.01); END LOOP;
	RETURN attempt;
END $$;
CREATE FUNCTION visits(name text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE attempt int := alice.done('visits');
BEGIN
	UPDATE alice.place p SET visits = p.visits + 1 WHERE p.name = visits.name;
	RETURN attempt;
END $$;
-- What it leaves in its transaction and its session would be in the way of the next one.
CREATE FUNCTION untidy() RETURNS text LANGUAGE plpgsql AS $$
DECLARE before text := concat_ws(',', current_setting('work_mem'), nullif(current_setting('alice.note', true), ''), current_setting('search_path'));
BEGIN
	PERFORM set_config('work_mem', '77MB', false), set_config('alice.note', 'x', true), set_config('search_path', 'pg_temp', false);
	CREATE TEMP TABLE same_name (i int) ON COMMIT DROP;
	PERFORM alice.done('untidy');
	RETURN before;
END $$;
CREATE FUNCTION slow() RETURNS int LANGUAGE sql AS $$ SELECT alice.done('slow'); SELECT pg_sleep(0.3); SELECT 1 $$;
CREATE FUNCTION one(activity text, input jsonb DEFAULT '{}', options jsonb DEFAULT NULL) RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run(activity, input, options) $$;
CREATE FUNCTION takes_back() RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE h aion.handle := aion.start_activity('quick');
BEGIN
	PERFORM aion.sleep('0.3 s');
	RETURN to_jsonb(aion.cancel(h));
END $$;
CREATE FUNCTION nap() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0.001)';
CREATE FUNCTION flood() RETURNS int LANGUAGE sql AS $$ SELECT jsonb_array_length(aion.map('nap', (SELECT jsonb_agg('{}'::jsonb) FROM generate_series(1, 20000)))) $$;
SELECT aion.register_workflow('flood', 'flood()'), aion.register_workflow('one', 'one(text,jsonb,jsonb)'), aion.register_workflow('takes_back', 'takes_back()');
SELECT aion.register_activity(name, (name || CASE WHEN name = 'visits' THEN '(text)' ELSE '()' END)::regprocedure, mode => 'background', retry => CASE WHEN name = 'flaky' THEN '{"max_attempts": 5, "initial_interval": "1 ms"}'::jsonb END)
	FROM unnest('{quick,flaky,changes,visits,untidy,slow,nap}'::text[]) name;
});
sub start
{
	my ($activity, $from, $to, $input, $options) = @_;
	as_alice(sprintf(q{SELECT count(aion.start_workflow('one', '{"activity": "%s", "input": %s, "options": %s}', workflow_id => '%s ' || i)) FROM generate_series(%d, %d) i},
		$activity, $input // '{}', $options // 'null', $activity, $from, $to));
	return;
}
sub completed { my ($activity, $n) = @_; wait_until($node, "$n of $activity are done", "SELECT count(*) = $n FROM aion.workflow_run WHERE workflow_id ~ '^$activity ' AND status = 'completed'"); return; }
# All that is started meanwhile waits until an executor can choose from all of it.
sub at_once
{
	my ($count, $what) = @_;
	$node->safe_psql('postgres', q{SELECT aion.pause_task_queue('default')});
	$what->();
	wait_until($node, "$count wait for an executor", "SELECT count(*) = $count FROM aion._task WHERE state = 'waiting'");
	$node->safe_psql('postgres', q{SELECT aion.resume_task_queue('default')});
	return;
}
sub once { my ($what, $n) = @_; is(as_alice("SELECT count(*), count(DISTINCT who) FROM effect WHERE what = '$what'"), "$n|$n", "$what: each has happened once"); return; }

# Many at once.
at_once(400, sub { start('quick', 1, 400) });
completed('quick', 400);
once('quick', 400);
cmp_ok(as_alice(q{SELECT count(DISTINCT transaction) FROM effect WHERE what = 'quick'}), '<', 200, 'in transactions of several');
is(as_alice(q{SELECT DISTINCT attempt FROM effect}), '1', 'and in one attempt');

# Those that fail are tried again, and attempts are counted.
at_once(60, sub { start('flaky', 1, 60) });
completed('flaky', 60);
once('flaky', 60);
is(as_alice(q{SELECT DISTINCT attempt FROM effect WHERE what = 'flaky'}), '3', 'at the third attempt');
is(as_alice(q{SELECT DISTINCT result FROM aion.workflow_run WHERE workflow_id ~ '^flaky '}), '3', 'which it was told');
is(as_alice('SELECT last_value FROM tries'), '180', 'and there were no others');

# Short until now, they take long: others go on, and what was undone happens once.
start('changes', 1, 20);
completed('changes', 20);
as_alice('UPDATE gate SET open = false');
at_once(42, sub { start('changes', 21, 22); start('quick', 401, 440); });
wait_until($node, 'those that take long are executed like all others', q{SELECT count(*) = 2 FROM aion._task WHERE activity = 'changes' AND state = 'claimed'});
completed('quick', 440);
as_alice('UPDATE gate SET open = true');
completed('changes', 22);
once('changes', 22);
is(as_alice(q{SELECT DISTINCT attempt FROM effect WHERE what = 'changes'}), '1', 'and in one attempt');

# One waits for a lock that a session has.
start('visits', 1, 20, '{"name": "a"}');
completed('visits', 20);
my $session = session($node, 'alice');
say_to($session, "BEGIN; UPDATE alice.place SET visits = 0 WHERE name = 'b'; SELECT 'lo' || 'cked';\n", qr/locked/);
at_once(41, sub { start('visits', 21, 21, '{"name": "b"}'); start('visits', 22, 61, '{"name": "a"}'); });
completed('visits', 60);
say_to($session, "COMMIT; SELECT 'un' || 'locked';\n", qr/unlocked/);
completed('visits', 61);
once('visits', 61);
is(as_alice('SELECT name, visits FROM place ORDER BY name'), "a|60\nb|1", 'and the rows were changed as often');

# What one leaves in its transaction.
at_once(40, sub { start('untidy', 1, 40) });
completed('untidy', 40);
once('untidy', 40);
is(as_alice(q{SELECT count(DISTINCT result) FROM aion.workflow_run WHERE workflow_id ~ '^untidy '}), '1', 'settings of one are not those of the next');

# A slow one of higher priority is not passed over.
at_once(401, sub { start('quick', 441, 840); start('slow', 1, 1, '{}', '{"priority": 9}'); });
completed('slow', 1);
completed('quick', 840);
cmp_ok(as_alice(q{SELECT count(*) FROM effect WHERE n > (SELECT n FROM effect WHERE what = 'slow')}), '>=', 100, 'a slow one of higher priority comes before most short ones');

# A queue with limits has its turn, too, while there is always something short in another one for the only executor.
$node->safe_psql('postgres', q{ALTER ROLE alice SET aion.max_runners_per_owner = 1; SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'aion executor'});
$node->safe_psql('postgres', q{SELECT aion.configure_task_queue('limited', max_running => 1)});
as_alice(q{SELECT aion.start_workflow('flood', workflow_id => 'flood')});
wait_until($node, 'there is much to do', q{SELECT count(*) > 1000 FROM aion._task});
as_alice(q{SELECT aion.start_workflow('one', '{"activity": "quick", "options": {"task_queue": "limited"}}', workflow_id => 'in its turn')});
wait_until($node, 'an activity in a queue with limits is done', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'in its turn'});
is(as_alice(q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'flood'}), 'running', 'before all of the others');
$node->safe_psql('postgres', q{ALTER ROLE alice RESET aion.max_runners_per_owner; SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'aion executor'});
# While it is ended outcomes arrive: more than there is room for locks.
wait_until($node, 'several execute', q{SELECT count(*) > 1 FROM pg_stat_activity WHERE backend_type = 'aion executor' AND query ~ '^executing'});
as_alice(q{SELECT aion.terminate_workflow('flood')});

SKIP: {
	skip 'built without -DAION_CRASH_POINTS', 2 if $node->psql('postgres', 'SHOW aion.crash_point') != 0;
	# An executor that is about to commit, and a run that takes the activity back: one of them is the first.
	my $mark = $node->data_dir . '/aion.crashed';
	$node->safe_psql('postgres', "ALTER SYSTEM SET aion.crash_point = 'wait at short activities executed, not committed'");
	$node->reload;
	as_alice(q{SELECT count(aion.start_workflow('takes_back', workflow_id => 'takes_back ' || i)) FROM generate_series(1, 20) i});
	my $held;
	for (1 .. 3000) { last if $held = -e $mark; usleep(10_000) }
	ok($held, 'an executor waits before it commits');
	$node->safe_psql('postgres', 'ALTER SYSTEM RESET aion.crash_point');
	usleep(600_000); # the timers of the runs are due
	unlink $mark;
	completed('takes_back', 20);
}
is(as_alice(q{SELECT count(*) FROM aion.workflow_run r WHERE workflow_id ~ '^takes_back ' AND (result = '"pending"') IS DISTINCT FROM NOT EXISTS (SELECT FROM effect e WHERE e.who = r.workflow_id)}), 0,
	'what was taken back has no effect, and all else has one');
$node->safe_psql('postgres', 'ANALYZE'); # many events of one run: without statistics each is compared with each
all_sound($node, 'after short activities');
is($node->safe_psql('postgres', 'SELECT count(*) FROM aion._task'), 0, 'no task is left');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC/, 'no assertion failed');
$node->stop;
done_testing();
