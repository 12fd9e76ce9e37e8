# 11.32: README.md is copied from top to bottom into one psql, as a new user would, and each file of examples/ into a database of its own.
# What a comment says that its statement answers (an SQLSTATE, true, false, columns with | between them) is compared.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use File::Basename qw(basename);
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
my $has_cron = -e $node->config_data('--sharedir') . '/extension/pg_cron.control';

# What is not executed, and why.
my @skipped = ([ qr/sudo make install/, 'this server has aion' ], $has_cron ? () : [ qr/\bcron\b/, 'pg_cron is not installed here' ]);

# Blocks that are no statements by themselves: what stands before them, what stands after them, and what that answers.
my @fragments = (
	[ qr/plpy/, q{
		RESET ROLE;
		CREATE EXTENSION plpython3u;
		UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'plpython3u';
		GRANT USAGE ON LANGUAGE plpython3u TO app;
		SET ROLE app;
		CREATE TABLE refunded (refunded boolean);
		CREATE FUNCTION refund() RETURNS void LANGUAGE sql AS 'INSERT INTO refunded VALUES (true)';
		SELECT aion.register_activity('refund', 'refund()');
		SELECT aion.register_activity('charge', mode => 'external', start_to_close_timeout => '1 h');
		CREATE FUNCTION in_python() RETURNS void LANGUAGE plpython3u AS $fragment$}, q{
		$fragment$;
		SELECT aion.register_workflow('in_python', 'in_python()');
		SELECT aion.start_workflow('in_python', workflow_id => 'python');
		CALL begins_to_wait('python');
		SELECT aion.cancel_workflow('python');
		CALL ends('python');
		SELECT status, refunded FROM aion.workflow_run, refunded WHERE workflow_id = 'python';},
		'cancelled | t' ],
	[ qr/start_child/, q{
		CREATE FUNCTION bill(customer text) RETURNS text LANGUAGE plpgsql AS $$
		BEGIN IF customer = 'bob' THEN RAISE 'no money'; END IF; RETURN customer; END $$;
		SELECT aion.register_workflow('bill', 'bill(text)');
		CREATE FUNCTION bill_all(customers jsonb) RETURNS jsonb LANGUAGE plpgsql AS $fragment$
		DECLARE c jsonb; handles aion.handle[]; bills jsonb;
		BEGIN}, q{
		RETURN bills; END $fragment$;
		SELECT aion.register_workflow('bill_all', 'bill_all(jsonb)');
		SELECT aion.start_workflow('bill_all', '["ann", "bob"]', workflow_id => 'bills');
		CALL ends('bills');
		SELECT result -> 0, result -> 1 -> 'error' ?& '{sqlstate,workflow_id}' FROM aion.workflow_run WHERE workflow_id = 'bills';},
		'{"ok": "ann"} | t' ],
	[ qr/patched/, q{
		CREATE FUNCTION ask(order_id bigint) RETURNS bigint LANGUAGE sql AS 'SELECT order_id';
		SELECT aion.register_activity('ask', 'ask(bigint)');
		CREATE FUNCTION asks(order_id bigint) RETURNS void LANGUAGE plpgsql AS $fragment$
		BEGIN}, q{
		END $fragment$;
		SELECT aion.register_workflow('asks', 'asks(bigint)');
		SELECT aion.start_workflow('asks', '{"order_id": 7}', workflow_id => 'asks');
		CALL ends('asks');
		SELECT status, (SELECT count(*) FROM aion.history('asks') WHERE event_type = 'ActivityCompleted') FROM aion.workflow_run WHERE workflow_id = 'asks';},
		'completed | 1' ]);

sub reason_to_skip
{
	my ($text) = @_;
	my ($skip) = grep { $text =~ $_->[0] } @skipped;
	return $skip && $skip->[1];
}

# Executes a file; returns whether psql came to its end, and what it said on both channels.
sub execute
{
	my ($file, $database, $user) = @_;
	my ($out, $err);
	my $whole = IPC::Run::run([ $node->installed_command('psql'), '-XAtq', '-F', ' | ', '-v', 'ON_ERROR_STOP=1',
			'-d', $node->connstr($database) . ($user ? " user=$user" : ''), '-f', $file ],
		'<', \'', '>', \$out, '2>', \$err, IPC::Run::timeout(3 * $PostgreSQL::Test::Utils::timeout_default));
	return ($whole, $out, $err);
}

sub write_file
{
	my ($name, $text) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . "/$name";
	append_to_file($file, $text);
	return $file;
}

# The blocks, by the numbers of their fences.
my @lines = ('', split /\n/, slurp_file('README.md'));
my @blocks;
for my $number (1 .. $#lines)
{
	next unless $lines[$number] =~ /^\s*```(.*)/;
	if (@blocks && !$blocks[-1]{end}) { $blocks[-1]{end} = $number }
	else { push @blocks, { begin => $number, language => $1 } }
}
$_->{text} = join "\n", @lines[ $_->{begin} + 1 .. $_->{end} - 1 ] for @blocks;

# What psql is given has the lines of the README, so that psql names them; outside of blocks they are empty. Braces with the number of a
# line come after what its statement answers, brackets at the end of a block.
my %answer;
sub lines_of_sql
{
	my ($block) = @_;
	my @sql = ('');
	for my $number ($block->{begin} + 1 .. $block->{end} - 1)
	{
		my $line = $lines[$number];
		if ($line =~ /^(.*;)\s*-- (W[ACF]\d{3})\b/)
		{
			(my $statement, $answer{$number}) = ($1, $2);
			$sql[-1] =~ s/\s*--.*|$/ \\set ON_ERROR_STOP off/; # takes effect on the next line
			$line = "$statement \\echo :SQLSTATE \\\\ \\echo {$number} \\\\ \\set ON_ERROR_STOP on";
		}
		elsif ($line =~ /^(.*;)\s*-- (true|false|.* \| .*)/)
		{
			$line = "$1 \\echo {$number}";
			$answer{$number} = $2 =~ s/^(t|f)(rue|alse)$/$1/r;
		}
		push @sql, $line;
	}
	return (@sql, "\\echo [$block->{begin}]");
}

sub lines_of_fragment
{
	my ($block) = @_;
	my ($fragment) = grep { $block->{text} =~ $_->[0] } @fragments;
	ok($fragment, "README.md:$block->{begin}: what stands around this $block->{language} is known") or return;
	my ($before, $after) = map { s/\s*\n\s*/ /gr } @$fragment[ 1, 2 ];
	$answer{ $block->{end} } = $fragment->[3];
	return ($before, split(/\n/, $block->{text}), "$after \\echo {$block->{end}} \\\\ \\echo [$block->{begin}]");
}

# The first block is created where the text asks for it: by the role that the second one creates.
my ($first, $install) = grep { $_->{language} eq 'sql' } @blocks;
like($install->{text}, qr/CREATE EXTENSION aion;.*SET ROLE app;/s, 'the second block of SQL installs aion');

my @script = ('') x @lines;
for my $block (@blocks)
{
	my $name = "README.md:$block->{begin}";
	if ($block->{language} eq 'sh')
	{
		for my $command (split /\n/, $block->{text})
		{
			SKIP:
			{
				my $reason = reason_to_skip($command);
				skip("$name: $reason", 1) if $reason;
				is(system('sh', '-c', 'cd ' . $node->data_dir . " && $command"), 0, "$name: $command");
			}
		}
		next;
	}
	$block->{reason} = reason_to_skip($block->{text}) and next;
	if ($block->{language} eq 'conf') { $node->append_conf('postgresql.conf', $block->{text} =~ s/mydb/postgres/r) }
	elsif ($block->{language} eq 'sql') { @script[ $block->{begin} .. $block->{end} ] = lines_of_sql($block) }
	elsif ($block->{language} =~ /^(plpgsql|python)$/) { @script[ $block->{begin} .. $block->{end} ] = lines_of_fragment($block) }
	else { fail("$name: nothing executes blocks of '$block->{language}'") }
}
my @begun = ('') x @script;
for ($first->{begin} .. $first->{end}) { ($begun[$_], $script[$_]) = ($script[$_], '') }
$script[ $install->{end} ] .= ' \\\\ \\i ' . write_file('first.README.md', join "\n", @begun[ 1 .. $#begun ]);
my $file = write_file('README.md', join "\n", @script[ 1 .. $#script ]);

$node->append_conf('postgresql.conf', 'max_worker_processes = 16'); # there are databases for the examples later
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron') if $has_cron;
$node->safe_psql('postgres', q{
	CREATE PROCEDURE begins_to_wait(id text) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 1800 LOOP
			IF EXISTS (SELECT FROM aion.pending_await WHERE workflow_id = id) THEN RETURN; END IF;
			PERFORM pg_sleep(0.1);
		END LOOP;
		RAISE '% does not wait', id;
	END $$;
	CREATE PROCEDURE ends(id text) LANGUAGE plpgsql AS $$
	BEGIN
		FOR i IN 1 .. 1800 LOOP
			IF EXISTS (SELECT FROM aion.workflow_run WHERE workflow_id = id AND closed_at IS NOT NULL) THEN RETURN; END IF;
			PERFORM pg_sleep(0.1);
		END LOOP;
		RAISE '% does not end', id;
	END $$});
my ($whole, $out, $err) = execute($file, 'postgres');
for my $block (grep { $_->{language} ne 'sh' } @blocks)
{
	SKIP:
	{
		skip("README.md:$block->{begin}: $block->{reason}", 1) if $block->{reason};
		ok($block->{language} eq 'conf' || $out =~ /^\[$block->{begin}\]$/m, "README.md:$block->{begin}: the server takes this $block->{language}");
	}
}
ok($whole, 'psql comes to the end of README.md') or diag($err);
unlike($err, qr/WARNING/, 'and is warned of nothing');
cmp_ok(scalar keys %answer, '>=', @fragments + 3, 'README.md says what some statements answer');
for my $number (sort { $a <=> $b } keys %answer)
{
	my ($said) = $out =~ /^(.*)\n\{$number\}$/m;
	is($said, $answer{$number}, "README.md:$number: the answer");
}

if (!$whole) { done_testing(); exit } # the rest would wait for what has not begun

# What the text around the blocks says.
my @app = (connstr => $node->connstr('postgres') . ' user=app');
wait_until($node, 'order-7 is paid and sleeps for fourteen days', q{SELECT count(*) = 1 FROM aion.timer, payment WHERE workflow_id = 'order-7' AND order_id = 7});
wait_until($node, 'the second attempt of the worker has paid', q{SELECT result = '{"paid": true}' FROM aion.workflow_run WHERE workflow_id = 'pay-1'});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('tidy', workflow_id => 'by-hand')}, @app);
wait_until($node, 'what takes long is done in the background', q{SELECT status = 'completed' FROM aion.workflow_run WHERE workflow_id = 'by-hand'});
$node->safe_psql('postgres', 'INSERT INTO orders VALUES (9, 20)', connstr => $node->connstr('postgres') . ' user=web');
wait_until($node, 'a trigger of another role starts a workflow', q{SELECT owner = 'app' FROM aion.workflow_run JOIN payment ON order_id = 9 WHERE workflow_id = 'order-9'});
SKIP:
{
	skip('pg_cron is not installed here', 1) unless $has_cron;
	is($node->safe_psql('postgres', q{SELECT count(*) FROM cron.job WHERE command ~ 'nightly'}), 1, 'a schedule has its job');
}

# The examples, with the rights that the README gives and what their heads ask for; at their ends they say how to start them.
my $rights = $install->{text} =~ s/.*\b(?:CREATE|SET) ROLE\b.*//gr;
for my $example (sort glob 'examples/*.sql')
{
	my $text = slurp_file($example);
	my ($start) = $text =~ /((?:^-- .*\n)+)\z/m;
	ok($start, "$example says how to start it") or next;
	$start =~ s/^-- (?:.*:$)?//mg;
	$node->safe_psql('postgres', 'CREATE DATABASE example');
	$node->safe_psql('example', $rights);
	$node->safe_psql('example', 'GRANT CREATE ON DATABASE example TO app') if $text =~ /^-- .*CREATE on the database/m;
	($whole, $out, $err) = execute($example, 'example', 'app');
	ok($whole, "$example is for psql") or diag($err);
	($whole, $out, $err) = execute(write_file('start of ' . basename($example), $start), 'example', 'app');
	ok($whole, "$example: so is its end") or diag($err);
	ok($node->poll_query_until('example', q{SELECT count(*) > 0 AND bool_and(r.blocked IS NULL AND h.events > 1)
		FROM aion.workflow_run r CROSS JOIN LATERAL (SELECT count(*) AS events FROM aion.history_event h WHERE h.run_key = r.run_key) h}), "$example: the workflow goes on");
	$node->safe_psql('postgres', 'DROP DATABASE example');
}

all_sound($node, 'README.md');
$node->stop;
done_testing();
