# T106, T107, R28, C13: runs that share a transaction do not share their troubles: a run that waits for a lock leaves the batch,
# a run that deadlocks is repeated, and no other run is affected.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'aion.batch_time = 100ms');
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
$node->safe_psql('postgres', q{
	CREATE TABLE account (id int PRIMARY KEY, balance int);
	INSERT INTO account SELECT i, 0 FROM generate_series(1, 10) i;
	CREATE TABLE effect (who text);
	CREATE FUNCTION book(id int) RETURNS int LANGUAGE sql AS $$ UPDATE account SET balance = balance + 1 WHERE id = book.id RETURNING balance $$;
	CREATE FUNCTION two_books(a int, b int) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM book(a);
		PERFORM pg_sleep(0.01);
		PERFORM book(b);
	END $$;
	CREATE FUNCTION quick(who text) RETURNS void LANGUAGE sql AS $$ INSERT INTO effect VALUES (who) $$;
	CREATE FUNCTION fails(how text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = how; END $$;
	SELECT aion.register_activity('book', 'book(int)'), aion.register_activity('two_books', 'two_books(int, int)'), aion.register_activity('quick', 'quick(text)'), aion.register_activity('fails', 'fails(text)');
	CREATE FUNCTION books(id int) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('quick', jsonb_build_object('who', aion.workflow_id())); RETURN aion.run('book', jsonb_build_object('id', id)); END $$;
	CREATE FUNCTION transfers(a int, b int) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('two_books', jsonb_build_object('a', a, 'b', b)); END $$;
	CREATE FUNCTION is_quick() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('quick', jsonb_build_object('who', aion.workflow_id())); END $$;
	CREATE FUNCTION trouble(how text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.run('fails', jsonb_build_object('how', how)); RETURN 'unharmed'; EXCEPTION WHEN SQLSTATE 'WA001' THEN RETURN 'failed'; END $$;
	SELECT aion.register_workflow('books', 'books(int)'), aion.register_workflow('transfers', 'transfers(int, int)'), aion.register_workflow('quick', 'is_quick()'), aion.register_workflow('trouble', 'trouble(text)')}, @alice);

# A session idles in a transaction that holds a row which runs want.
my $idler = session($node, 'alice');
say_to($idler, "BEGIN; UPDATE account SET balance = balance WHERE id = 1; SELECT 'idle';\n", qr/idle/);
$node->safe_psql('postgres', q{
	SELECT aion.start_workflow(CASE WHEN i = 10 THEN 'books' ELSE 'quick' END, CASE WHEN i = 10 THEN '{"id": 1}'::jsonb ELSE '{}' END, workflow_id => 'w' || i) FROM generate_series(1, 40) i}, @alice);
wait_until($node, 'R28: the others of the batch complete', q{SELECT count(*) = 39 FROM aion.workflow_run WHERE status = 'completed'});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('quick', workflow_id => 'x' || i) FROM generate_series(1, 40) i}, @alice);
wait_until($node, 'those that come later, too', q{SELECT count(*) = 79 FROM aion.workflow_run WHERE status = 'completed'});
is($node->safe_psql('postgres', q{SELECT status, turn_failures FROM aion.workflow_run WHERE workflow_id = 'w10'}), 'running|0', 'a run that waits has not failed');
is($node->safe_psql('postgres', q{SELECT count(*) FROM alice.effect WHERE who = 'w10'}), '0', 'and nothing of it has happened');
say_to($idler, "COMMIT; SELECT 'let go';\n", qr/let go/);
wait_until($node, 'and goes on when the lock is released', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'w10'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM alice.effect WHERE who = 'w10'}), '1', 'once');

# Transfers in opposite directions deadlock; each is made once.
$node->safe_psql('postgres', 'UPDATE alice.account SET balance = 0');
$node->safe_psql('postgres', q{
	SELECT aion.start_workflow('transfers', jsonb_build_object('a', 1 + i % 3, 'b', 1 + (i + 1 + i % 2) % 3), workflow_id => 't' || i) FROM generate_series(1, 30) i}, @alice);
wait_until($node, 'T107: transfers that deadlock all complete', q{SELECT count(*) = 30 FROM aion.workflow_run WHERE status = 'completed' AND workflow_type = 'transfers'});
is($node->safe_psql('postgres', 'SELECT sum(balance) FROM alice.account'), '60', 'each once');

# Failures of the code and of the machine in the middle of a batch.
$node->safe_psql('postgres', q{
	SELECT aion.start_workflow(CASE WHEN i % 5 = 0 THEN 'trouble' ELSE 'quick' END,
		CASE WHEN i % 5 = 0 THEN jsonb_build_object('how', (ARRAY['P0001', '23505', '53100', 'XX000', '57014', '40001'])[1 + i / 5 % 6]) ELSE '{}' END, workflow_id => 'y' || i)
	FROM generate_series(1, 60) i}, @alice);
wait_until($node, 'T106: failures are those of their runs', q{SELECT count(*) = 48 FROM aion.workflow_run WHERE status = 'completed' AND workflow_id ~ '^y' AND workflow_type = 'quick'});
wait_until($node, 'of the code are told to it', q{SELECT count(*) = 4 AND every(result = '"failed"') FROM aion.workflow_run WHERE status = 'completed' AND workflow_type = 'trouble'});
wait_until($node, 'of the machine are repeated', q{SELECT count(*) = 8 AND every(turn_failures > 1) FROM aion.workflow_run WHERE status = 'running' AND workflow_type = 'trouble'});
is($node->safe_psql('postgres', q{SELECT count(*), count(DISTINCT who) FROM alice.effect WHERE who ~ '^y'}), '48|48', 'every effect is there once');
# T72, 11.4: what an activity leaves in its process (prepared statements, locks, temporary objects) the next one does not meet, be it
# that of a run in the same batch; in runners and in executors.
$node->safe_psql('postgres', q{
	CREATE FUNCTION leaves() RETURNS int LANGUAGE plpgsql AS $$
	BEGIN
		PREPARE left_over AS SELECT 1;
		CREATE TEMP TABLE left_over (a int);
		CREATE FUNCTION pg_temp.left_over() RETURNS int LANGUAGE sql AS 'SELECT 1';
		PERFORM pg_advisory_lock(pg_backend_pid()), set_config('work_mem', '99MB', false);
		RETURN pg_backend_pid();
	END $$;
	CREATE FUNCTION looks() RETURNS jsonb LANGUAGE sql AS $$
		SELECT jsonb_build_object('pid', pg_backend_pid(), 'found', (SELECT array_agg(what) FROM (
			SELECT 'statement ' || name FROM pg_prepared_statements
			UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objsubid = 1
			UNION ALL SELECT 'relation ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
			UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema()
			UNION ALL SELECT 'work_mem' WHERE current_setting('work_mem') = '99MB') f(what))) $$;
	SELECT aion.register_activity('leaves', 'leaves()'), aion.register_activity('looks', 'looks()'),
		aion.register_activity('leaves behind', 'leaves()', mode => 'background'), aion.register_activity('looks behind', 'looks()', mode => 'background');
	CREATE FUNCTION does(what text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run(what); END $$;
	SELECT aion.register_workflow('does', 'does(text)')}, @alice);
foreach my $where ('', ' behind')
{
	$node->safe_psql('postgres', qq{
		SELECT aion.start_workflow('does', jsonb_build_object('what', (ARRAY['leaves', 'looks'])[1 + i / 3 % 2] || '$where'), workflow_id => 'does$where ' || i) FROM generate_series(1, 60) i}, @alice);
	wait_until($node, "T72: all runs complete$where",
		qq{SELECT count(*) = 60 FROM aion.workflow_run WHERE status = 'completed' AND workflow_type = 'does' AND input ->> 'what' ~ '^(leaves|looks)$where\$'});
	is($node->safe_psql('postgres', qq{SELECT string_agg(result ->> 'found', ', ') FROM aion.workflow_run WHERE input ->> 'what' = 'looks$where'}), '',
		"nothing is left over$where");
	is($node->safe_psql('postgres', qq{
		SELECT count(DISTINCT l.result) > 0 FROM aion.workflow_run l, aion.workflow_run k
			WHERE l.input ->> 'what' = 'leaves$where' AND k.input ->> 'what' = 'looks$where' AND k.result -> 'pid' = l.result}), 't',
		"where something was left$where");
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1}), '0', 'no lock is kept');

all_sound($node, 'in the end');
$idler->{run}->kill_kill;

# An activity changes another run, which is in the same batch and was read before.
$node->safe_psql('postgres', q{
	CREATE FUNCTION does(what text, to_id text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN RETURN CASE what WHEN 'terminate' THEN aion.terminate_workflow(to_id) WHEN 'pause' THEN aion.pause_workflow(to_id) ELSE aion.cancel_workflow(to_id) END; END $$;
	SELECT aion.register_activity('does', 'does(text, text)');
	CREATE FUNCTION meddles(what text, to_id text) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('does', jsonb_build_object('what', what, 'to_id', to_id)); END $$;
	SELECT aion.register_workflow('meddles', 'meddles(text, text)');
	SELECT count(aion.start_workflow('meddles', jsonb_build_object('what', what, 'to_id', what || i), workflow_id => what || ' by ' || i)), count(aion.start_workflow('quick', workflow_id => what || i))
		FROM generate_series(1, 15) i, unnest('{terminate,pause,cancel}'::text[]) what}, @alice);
wait_until($node, 'all that meddle with others complete', q{SELECT count(*) = 45 FROM aion.workflow_run WHERE workflow_type = 'meddles' AND status = 'completed'});
wait_until($node, 'and all but the paused ones end', q{SELECT coalesce(every(status = 'paused'), true) FROM aion.workflow_run WHERE closed_at IS NULL AND workflow_id ~ '^(terminate|pause|cancel)'});
is($node->safe_psql('postgres', q{SELECT count(*) FROM aion.workflow_run w JOIN aion.workflow_run m ON m.workflow_id = regexp_replace(w.workflow_id, '(\d+)$', ' by ')
	WHERE m.result #>> '{}' <> w.status AND m.result #>> '{}' IN ('terminated', 'paused')}), '0', 'each is what the activity was told');
all_sound($node, 'a batch that changes itself');
is($node->safe_psql('postgres', q{SELECT count(*) FROM alice.effect e JOIN aion.workflow_run w ON w.workflow_id = e.who WHERE w.status = 'paused'}), '0', 'a paused run does nothing');

# A run whose code takes longer than a batch, and then asks for what does not exist, is blocked all the same, and tried again after a while.
$node->safe_psql('postgres', q{
	CREATE FUNCTION mistaken() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN PERFORM count(*) FROM generate_series(1, 2000000); RETURN aion.run_child('none of the kind'); END $$;
	SELECT aion.register_workflow('mistaken', 'mistaken()');
	SELECT aion.start_workflow('mistaken', workflow_id => 'm' || i) FROM generate_series(1, 3) i}, @alice);
wait_until($node, 'slow code with a mistake is blocked', q{SELECT count(*) = 3 FROM aion._run WHERE workflow_id ~ '^m' AND blocked = 'missing code' AND failures > 2});
all_sound($node, 'while it is tried again');
$node->safe_psql('postgres', q{CREATE FUNCTION here() RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT aion.register_workflow('none of the kind', 'here()')}, @alice);
wait_until($node, 'and goes on when it is mended', q{SELECT count(*) = 3 FROM aion.workflow_run WHERE workflow_type = 'mistaken' AND status = 'completed'});

# More becomes ready at once than there is room for hints, and there is one runner, which is there already.
my $small = new_node('small', 'aion.max_runners = 1');
install($small);
add_steps($small);
@alice = (connstr => $small->connstr('postgres') . ' user=alice');
$small->safe_psql('postgres', q{
	CREATE FUNCTION nothing() RETURNS int LANGUAGE sql AS 'SELECT 1';
	SELECT aion.register_workflow('nothing', 'nothing()');
	SELECT aion.start_workflow('nothing')}, @alice);
wait_until($small, 'the runner is there', q{SELECT every(status = 'completed') FROM aion.workflow_run});
$small->safe_psql('postgres', q{SELECT count(*) FROM aion.start_workflows('nothing', array_fill('{}'::jsonb, ARRAY[10000]))}, @alice);
wait_until($small, 'hints that found no room are made up for', q{SELECT count(*) = 10001 AND every(status = 'completed') FROM aion.workflow_run});

# Much is ready when the server starts: one runner does not do it alone.
my $crowd = new_node('crowd', 'aion.max_runners = 3', 'aion.execution = off');
install($crowd);
@alice = (connstr => $crowd->connstr('postgres') . ' user=alice');
$crowd->safe_psql('postgres', q{
	CREATE FUNCTION slow() RETURNS int LANGUAGE sql AS $$ SELECT pg_sleep(0.02); SELECT 1 $$;
	CREATE FUNCTION is_slow() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('slow') $$;
	SELECT aion.register_activity('slow', 'slow()');
	SELECT aion.register_workflow('slow', 'is_slow()');
	SELECT aion.start_workflow('slow') FROM generate_series(1, 300)}, @alice);
$crowd->append_conf('postgresql.conf', 'aion.execution = on');
$crowd->restart;
wait_until($crowd, 'a scan that finds much asks for another runner', 'SELECT count(*) > 1 FROM aion.stat_runner');
wait_until($crowd, 'and all of it is done', q{SELECT every(status = 'completed') FROM aion.workflow_run});

done_testing();
