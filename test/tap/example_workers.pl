# T84, T85, T87, T89, T90, T91: examples/pipeline.sql with the workers of examples/worker, in Python and in Node, on a real server: they
# are killed, frozen, stopped and told to stop, the server is restarted under them, a pooler stands between, and what they write is
# there once.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use File::Basename;
use IPC::Run ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

# Debian's packages for node, or what test/setup has unpacked of them; `npm install` in examples/worker goes before both.
$ENV{NODE_PATH} = join ':', grep { defined } '/usr/share/nodejs:/usr/local/share/nodejs', $ENV{NODE_PATH};
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
$ENV{PATH} .= ':/usr/sbin:/sbin';
my %command = (py => 'python3', js => 'node');
is(system('python3', '-c', 'import psycopg'), 0, 'Python has psycopg 3') or BAIL_OUT('see test/setup');
is(system('node', '-e', 'require("pg")'), 0, 'Node has pg') or BAIL_OUT('see test/setup');

my $node = new_node('main', 'aion.max_runners = 2', 'max_connections = 100');
install($node);
$node->safe_psql('postgres', q{SELECT aion.grant_usage('alice', 'admin')}); # an administrator may limit a task queue
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql, @alice); }
sub uri { my ($port) = @_; return "postgresql://alice\@localhost:$port/postgres?host=" . $node->host; }
sql(slurp_file('examples/pipeline.sql') . q{
	CREATE FUNCTION wrong_input() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('embed_chunk', '{"doc_id": "none"}') $$;
	SELECT aion.register_workflow('wrong_input', 'wrong_input()')});

# A ledger of every claim that was committed, and of how many there were then.
$node->safe_psql('postgres', q{
	CREATE TABLE claim (run_key bigint, ordinal int, attempt int, worker text, claimed int, at timestamptz);
	CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO public.claim SELECT new.run_key, new.ordinal, new.attempt, new.worker, count(*), pg_catalog.clock_timestamp()
			FROM aion._task WHERE state = 'claimed';
		RETURN NULL;
	END $$;
	CREATE TRIGGER note_claim AFTER UPDATE OF attempt ON aion._task FOR EACH ROW WHEN (new.state = 'claimed') EXECUTE FUNCTION note_claim()});

sub patience
{
	my ($heartbeat) = @_;
	sql(qq{
		SELECT aion.register_activity('embed_chunk', mode => 'external', task_queue => 'gpu', start_to_close_timeout => '2 min',
			heartbeat_timeout => '$heartbeat', retry => '{"max_attempts": 3, "initial_interval": "100 ms"}');
		SELECT aion.register_activity('summarise', mode => 'external', task_queue => 'gpu', start_to_close_timeout => '30 min',
			heartbeat_timeout => '$heartbeat', retry => '{"max_attempts": 8, "initial_interval": "100 ms", "non_retryable": ["content_filter"]}')});
	return;
}

my %workers; # process -> its file of what it says
my $kind;
my $documents = 0;
END { kill 'KILL', keys %workers if %workers; }

sub start_worker
{
	my ($concurrency, $port, $folder, @queues) = @_;
	my $log = $node->basedir . '/' . $kind . scalar(keys %workers) . '.' . time . '.log';
	my $pid = fork // die "fork: $!";
	if ($pid == 0)
	{
		@ENV{qw(HEARTBEAT CONCURRENCY)} = ('0.2', $concurrency);
		open STDERR, '>>', $log;
		exec $command{$kind}, ($folder // 'examples/worker') . "/worker.$kind", uri($port // $node->port), 'gpu', @queues or POSIX::_exit(127);
	}
	$workers{$pid} = $log;
	return $pid;
}
sub said { my ($pid) = @_; return -e $workers{$pid} ? slurp_file($workers{$pid}) : ''; }
sub wait_for_word
{
	my ($what, $pid, $pattern) = @_;
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	usleep(50_000) while said($pid) !~ $pattern && time < $until;
	like(said($pid), $pattern, "$kind: $what");
	return;
}
sub bury { my ($pid) = @_; waitpid $pid, 0; my $status = $?; delete $workers{$pid}; return $status; }
sub stop_workers { my $bad = 0; kill 'TERM', @_; $bad += bury($_) != 0 for @_; return $bad; }

# Starts a run for each document and returns its ids.
sub ingest
{
	my (@bodies) = @_;
	my @ids = map { ++$documents } @bodies;
	for my $i (0 .. $#ids)
	{
		sql("INSERT INTO document VALUES ($ids[$i], E'$bodies[$i]');
			SELECT aion.start_workflow('ingest_document', '{\"doc_id\": $ids[$i]}', workflow_id => 'doc$ids[$i]')");
	}
	return wantarray ? @ids : $ids[0];
}
sub wait_for { my ($what, $query) = @_; return wait_until($node, "$kind: $what", $query); }
sub ended { my ($status, @ids) = @_; return 'SELECT count(*) = ' . @ids . " FROM aion.workflow_run WHERE status = '$status' AND workflow_id IN (" . join(', ', map { "'doc$_'" } @ids) . ')'; }
sub task { my ($id, $condition) = @_; return "SELECT count(*) = 1 FROM aion._task t JOIN aion._run r USING (run_key) WHERE r.workflow_id = 'doc$id' AND $condition"; }
sub holder { my ($id) = @_; return $node->safe_psql('postgres', "SELECT split_part(worker, ':', 2) FROM aion.activity_task WHERE workflow_id = 'doc$id' AND state = 'claimed'"); }
sub result { my ($id, $what) = @_; return sql("SELECT result ->> '$what' FROM aion.workflow_run WHERE workflow_id = 'doc$id'"); }
my $waits_for_lock = q{(SELECT count(*) FROM pg_stat_activity WHERE query ~ 'INTO embedding' AND wait_event_type = 'Lock')};

# What they do when nothing goes wrong, and when the work does.
sub pipeline
{
	my ($port) = @_;
	my @ids = ingest(('red fox\nblue owl\ngrey cat\nbusy bee') x 6);
	my $refused = ingest('red fox\nforbidden fruit');
	wait_for('documents are ingested', ended('completed', @ids, $refused));
	is(result($ids[0], 'summary'), 'rbgb', "$kind: summarised");
	is(sql("SELECT aion.query_workflow('doc$ids[0]', 'stage')"), '"done"', "$kind: and said so");
	is(result($refused, 'skipped'), 'the model refuses this page', "$kind: a failure that is not retryable is final, and its kind is known");
	is($node->safe_psql('postgres', "SELECT count(*) FROM claim JOIN aion._run USING (run_key) WHERE workflow_id = 'doc$refused' AND ordinal = (SELECT max(ordinal) FROM claim c JOIN aion._run USING (run_key) WHERE workflow_id = 'doc$refused')"),
		'1', "$kind: and tried once");
	return;
}

# Six hands, of which the queue lets no more than four be busy, and begin no more than fifteen things in a second: the last of 33 two
# seconds after the first, or later.
sub limited
{
	my $since = $node->safe_psql('postgres', q{SELECT clock_timestamp(); SELECT aion.configure_task_queue('gpu', max_running => 4, rate => 15)});
	chomp $since;
	pipeline();
	my $claims = $node->safe_psql('postgres', qq{SELECT count(*) >= 33, max(claimed) <= 4, max(at) - min(at) > '1 s' FROM claim WHERE at > '$since'});
	is($claims, 't|t|t', "$kind: the limits of the queue are kept");
	$node->safe_psql('postgres', q{SELECT aion.configure_task_queue('gpu', max_running => 16, rate => 50)});
	return;
}

# T84: killed while it writes, and between two pages; the other goes on.
sub killed
{
	my ($locker) = @_;
	say_to($locker, "BEGIN; LOCK TABLE embedding; SELECT 'locked for $kind kill';\n", qr/locked for $kind kill/);
	my $id = ingest('lone page');
	wait_for('a worker writes', task($id, "state = 'claimed' AND $waits_for_lock = 1"));
	my $holder = holder($id);
	kill 'KILL', $holder;
	wait_for('T84: another has it', task($id, "state = 'claimed' AND attempt = 2 AND worker !~ ':$holder\$'"));
	say_to($locker, "COMMIT; SELECT 'let go $kind kill';\n", qr/let go $kind kill/);
	wait_for('and completes it', ended('completed', $id));
	bury($holder);
	start_worker(1);

	$id = ingest('all\nbirds\nslow cows\ndrink');
	wait_for('a worker has told of two pages', task($id, "state = 'claimed' AND heartbeat_details ->> 'pages' = '2'"));
	is(sql("SELECT aion.query_workflow('doc$id', 'stage')"), '"summarising"', "$kind: and the workflow how it stands");
	$holder = holder($id);
	sql("UPDATE chunk SET body = 'cows' WHERE doc_id = $id AND chunk = 3");
	kill 'KILL', $holder;
	wait_for('T84: another completes it', ended('completed', $id));
	is(result($id, 'summary') . result($id, 'skipped'), 'abcd2', "$kind: from where the dead one was");
	bury($holder);
	start_worker(1);
	return;
}

# T87: frozen while it writes, until another has done it.
sub frozen
{
	my ($locker) = @_;
	say_to($locker, "BEGIN; LOCK TABLE embedding; SELECT 'locked for $kind freeze';\n", qr/locked for $kind freeze/);
	my $id = ingest('lone page');
	wait_for('a worker writes', task($id, "state = 'claimed' AND $waits_for_lock = 1"));
	my $holder = holder($id);
	for (1 .. 100) # not in the middle of a heartbeat, which would hold the task for as long
	{
		kill 'STOP', $holder;
		usleep(100_000);
		last if sql(q{SELECT count(*) FROM pg_stat_activity WHERE query ~ 'heartbeat_activity' AND state <> 'idle' AND pid <> pg_backend_pid()}) eq '0';
		kill 'CONT', $holder;
		usleep(50_000);
	}
	wait_for('T87: another has it', task($id, "state = 'claimed' AND attempt = 2 AND worker !~ ':$holder\$'"));
	say_to($locker, "COMMIT; SELECT 'let go $kind freeze';\n", qr/let go $kind freeze/);
	wait_for('and completes it', ended('completed', $id));
	wait_for('while what the frozen one has written is not committed', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND query ~ 'INTO embedding'});
	kill 'CONT', $holder;
	wait_for_word('T87: the frozen one learns that it is not its task any more', $holder, qr/embed_chunk of doc$id, attempt 1: lost/);
	is(sql("SELECT count(*) FROM embedding WHERE doc_id = $id"), '1', "$kind: T91: and its row is gone");
	return;
}

# T89: what kills every worker, and what none understands.
sub poisoned
{
	my $worker = start_worker(1);
	my $deaths = 0;
	my $id = ingest('poison apple');
	my $until = time + $PostgreSQL::Test::Utils::timeout_default;
	while (time < $until && $node->safe_psql('postgres', ended('failed', $id)) ne 't')
	{
		if (waitpid($worker, POSIX::WNOHANG()) > 0)
		{
			$deaths += ($? & 127) == 9;
			delete $workers{$worker};
			$worker = start_worker(1);
		}
		usleep(50_000);
	}
	is($deaths, 3, "$kind: T89: it kills as many workers as it has attempts");
	is(sql("SELECT status, error ->> 'sqlstate' FROM aion.workflow_run WHERE workflow_id = 'doc$id'"), 'failed|WA002', "$kind: then it has failed");
	sql("SELECT aion.start_workflow('wrong_input', workflow_id => 'wrong $kind')");
	wait_for('T89: so has what no worker understands', "SELECT status = 'failed' AND error ->> 'sqlstate' = 'WA001' FROM aion.workflow_run WHERE workflow_id = 'wrong $kind'");
	is($node->safe_psql('postgres', "SELECT count(*) FROM claim JOIN aion._run USING (run_key) WHERE workflow_id = 'wrong $kind'"), '3', "$kind: after as many attempts");
	return $worker;
}

# T90: a worker with one thing to do at a time is told that it is not wanted.
sub unwanted
{
	my ($worker) = @_;
	my $id = ingest('slow page');
	wait_for('a worker is at it', task($id, "state = 'claimed' AND activity = 'summarise'"));
	sql("SELECT aion.terminate_workflow('doc$id')");
	wait_for_word('T90: it hears that no run wants it', $worker, qr/summarise of doc$id, attempt 1: failed: cancelled/);
	my $next = ingest('quick page');
	wait_for('and does other things', ended('completed', $next));
	return;
}

# A worker that is told to stop finishes what it has, and takes nothing else.
sub told_to_stop
{
	my ($locker, $worker) = @_;
	say_to($locker, "BEGIN; LOCK TABLE embedding; SELECT 'locked for $kind stop';\n", qr/locked for $kind stop/);
	my $id = ingest('lone page');
	wait_for('a worker writes', task($id, "state = 'claimed' AND $waits_for_lock = 1"));
	kill 'TERM', $worker;
	my $other = ingest('other page');
	wait_for('there is more to do', task($other, "state = 'waiting'"));
	say_to($locker, "COMMIT; SELECT 'let go $kind stop';\n", qr/let go $kind stop/);
	is(bury($worker), 0, "$kind: a worker that is told to stop goes");
	is(sql("SELECT count(*) FROM embedding WHERE doc_id = $id"), '1', "$kind: after it has done what it had");
	is($node->safe_psql('postgres', "SELECT attempt FROM aion.activity_task WHERE workflow_id = 'doc$other'"), '0', "$kind: and it has taken nothing else");
	$worker = start_worker(1);
	wait_for('another does it', ended('completed', $id, $other));

	# Frozen while it waits, it may be given what it does not know of; another does it, and it is told to stop before it looks.
	kill 'STOP', $worker;
	$id = ingest('late page');
	my $second = start_worker(1);
	wait_for('what a frozen worker may have been given is done by another', ended('completed', $id));
	kill 'TERM', $worker;
	kill 'CONT', $worker;
	is(bury($worker), 0, "$kind: which goes when it is told to");
	is(stop_workers($second), 0, "$kind: and so does the other");
	return;
}

# The server is restarted while workers wait.
sub restarted
{
	my $worker = start_worker(2);
	wait_for('a worker waits', q{SELECT count(*) >= 1 FROM pg_stat_activity WHERE query ~ 'poll_activities' AND wait_event = 'Extension'});
	$node->restart;
	wait_for_word('it has noticed', $worker, qr/again in/);
	my @ids = ingest('a page', 'another page');
	wait_for('after a restart of the server it goes on', ended('completed', @ids));
	is(stop_workers($worker), 0, "$kind: and is the same");
	return;
}

# What was done while the server was away is told when it is back, and what was cancelled is told to a workflow that waits for it.
my %charge = (
	py => 'def charge(task, db, beat):
    if beat.cancelled.wait(3):
        raise Cancelled()
    return "charged"
ACTIVITIES["charge"] = charge
',
	js => 'module.exports.activities.charge = async (task, db, beat) => {
  await wait(3000, null, { signal: beat.cancelled }).catch(() => { throw new Cancelled(); });
  return "charged";
};
');

sub reported
{
	my $folder = PostgreSQL::Test::Utils::tempdir();
	append_to_file("$folder/" . basename($_), slurp_file($_)) for glob 'examples/worker/*.*s examples/worker/*.py';
	append_to_file("$folder/activities.$kind", $charge{$kind});
	sql(q{
		SELECT aion.register_activity('charge', mode => 'external', task_queue => 'bank', start_to_close_timeout => '2 min', on_cancel => 'wait');
		CREATE OR REPLACE FUNCTION pay() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('charge') $$;
		SELECT aion.register_workflow('pay', 'pay()')});
	my $worker = start_worker(1, undef, $folder, 'bank');
	my $claimed = sub { return "SELECT count(*) = 1 FROM aion.activity_task WHERE workflow_id = 'pay $_[0] $kind' AND state = 'claimed'"; };

	sql("SELECT aion.start_workflow('pay', workflow_id => 'pay 1 $kind')");
	wait_for('a worker of two queues works', $claimed->(1));
	$node->stop('fast');
	wait_for_word('it cannot tell what it has done', $worker, qr/charge of pay 1 $kind, attempt 1: reports again in/);
	$node->start;
	wait_for('and tells it to the server that is back',
		"SELECT count(*) = 1 FROM aion.workflow_run WHERE workflow_id = 'pay 1 $kind' AND status = 'completed'");
	wait_for_word('in the same attempt', $worker, qr/charge of pay 1 $kind, attempt 1: done/);

	sql("SELECT aion.start_workflow('pay', workflow_id => 'pay 2 $kind')");
	wait_for('it works again', $claimed->(2));
	sql("SELECT aion.cancel_workflow('pay 2 $kind')");
	wait_for('and tells that it has stopped', "SELECT count(*) = 1 FROM aion.workflow_run WHERE workflow_id = 'pay 2 $kind' AND status = 'cancelled'");
	wait_for_word('which is a failure', $worker, qr/charge of pay 2 $kind, attempt 1: failed: cancelled/);
	is(stop_workers($worker), 0, "$kind: and stops");
	return;
}

# T85: two workers with four tasks each at a time, and three connections to the server.
my $bouncer_port = PostgreSQL::Test::Cluster::get_free_port();
my $bouncer_folder = PostgreSQL::Test::Utils::tempdir();
append_to_file("$bouncer_folder/users", "\"alice\" \"\"\n");
append_to_file("$bouncer_folder/bouncer.ini", join "\n", '[databases]', '* = host=' . $node->host . ' port=' . $node->port,
	'[pgbouncer]', 'pool_mode = transaction', 'default_pool_size = 3', 'listen_addr =', "listen_port = $bouncer_port",
	'unix_socket_dir = ' . $node->host, 'auth_type = trust', "auth_file = $bouncer_folder/users", "logfile = $bouncer_folder/log", '');
sub pooled
{
	my $bouncer = fork // die "fork: $!";
	if ($bouncer == 0)
	{
		open STDERR, '>>', "$bouncer_folder/errors";
		exec 'pgbouncer', "$bouncer_folder/bouncer.ini" or POSIX::_exit(127);
	}
	$workers{$bouncer} = "$bouncer_folder/log";
	patience('20 s');
	my @pooled = map { start_worker(4, $bouncer_port) } 1 .. 2;
	pipeline();
	cmp_ok($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE usename = 'alice' AND backend_type = 'client backend'}), '<=', 3,
		"$kind: T85: over three connections");
	is(stop_workers(@pooled), 0, "$kind: which they leave when they are told to stop");
	my $worker = start_worker(1, $bouncer_port);
	unwanted($worker);
	is(stop_workers($worker), 0, "$kind: and stops");
	kill 'INT', $bouncer;
	bury($bouncer);
	return;
}

for my $which (qw(py js))
{
	$kind = $which;
	patience('2 s');
	my $locker = session($node, 'alice');
	start_worker(3) for 1 .. 2;
	limited();
	is(stop_workers(keys %workers), 0, "$kind: workers with little to do stop");
	start_worker(1) for 1 .. 2; # no spare hand of the same worker takes what it has lost
	killed($locker);
	frozen($locker);
	is(stop_workers(keys %workers), 0, "$kind: workers stop when they are told to");
	my $worker = poisoned();
	unwanted($worker);
	told_to_stop($locker, $worker);
	$locker->{run}->kill_kill;
	restarted();
	reported();
	pooled();
}

# What all of it has come to.
is(sql(q{SELECT count(*) FROM aion.workflow_run WHERE workflow_type = 'ingest_document' AND status = 'running'}), '0', 'every run has ended');
is(sql(q{SELECT e.doc_id, e.chunk FROM embedding e GROUP BY 1, 2 HAVING count(*) > 1}), '', 'T91: no chunk was written twice');
is(sql(q{SELECT c.doc_id, c.chunk FROM chunk c JOIN aion.workflow_run w ON w.workflow_id = 'doc' || c.doc_id AND w.status = 'completed'
	WHERE NOT EXISTS (SELECT FROM embedding e WHERE (e.doc_id, e.chunk) = (c.doc_id, c.chunk)
		AND starts_with(e.idempotency_key, w.run_id || '/'))}), '', 'and none was left out');
is(sql(q{SELECT w.workflow_id, count(s.doc_id) FROM aion.workflow_run w LEFT JOIN summary s ON w.workflow_id = 'doc' || s.doc_id
	WHERE w.workflow_type = 'ingest_document' GROUP BY 1, w.status HAVING count(s.doc_id) <> (w.status = 'completed')::int}), '', 'one summary each');
is($node->safe_psql('postgres', q{SELECT run_key, ordinal FROM claim GROUP BY 1, 2
	HAVING min(attempt) <> 1 OR max(attempt) <> count(*) OR count(DISTINCT attempt) <> count(*)}), '', 'T84: attempts are counted without gaps');
all_sound($node, 'in the end');
unlike(slurp_file($node->logfile), qr/TRAP|PANIC|deadlock/, 'no assertion failed');

done_testing();
