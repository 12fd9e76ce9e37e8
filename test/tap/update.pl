# T57: ALTER EXTENSION UPDATE from each released version leaves the catalog that CREATE EXTENSION makes, and keeps what there is.
# T58: a database of each release, with runs in every state, goes on under this version: restored as it was and then updated,
# or restored into the schema of this version.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What there is of an extension, one line each; columns by name, since an update can only append them.
my $catalog = q{
	SELECT pg_describe_object(classid, objid, 0) || x.detail FROM pg_depend d
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'aion' AND d.deptype = 'e',
	LATERAL (
		SELECT ' is ' || coalesce(obj_description(d.objid, d.classid::regclass::name), '-') AS detail
		UNION ALL SELECT ' acl ' || coalesce(acl::text, '-') FROM (
			SELECT proacl FROM pg_proc WHERE oid = d.objid AND d.classid = 'pg_proc'::regclass
			UNION ALL SELECT relacl FROM pg_class WHERE oid = d.objid AND d.classid = 'pg_class'::regclass
			UNION ALL SELECT typacl FROM pg_type WHERE oid = d.objid AND d.classid = 'pg_type'::regclass
			UNION ALL SELECT nspacl FROM pg_namespace WHERE oid = d.objid AND d.classid = 'pg_namespace'::regclass) a(acl)
		UNION ALL SELECT ' does ' || pg_get_functiondef(d.objid) WHERE d.classid = 'pg_proc'::regclass
		UNION ALL SELECT ' shows ' || pg_get_viewdef(oid) FROM pg_class WHERE oid = d.objid AND d.classid = 'pg_class'::regclass AND relkind = 'v'
		UNION ALL SELECT format(' options %s row security %s', reloptions, relrowsecurity) FROM pg_class WHERE oid = d.objid AND d.classid = 'pg_class'::regclass
		UNION ALL SELECT format(' column %s %s %s %s default %s comment %s', attname, format_type(atttypid, atttypmod), attnotnull, attidentity, pg_get_expr(adbin, adrelid), col_description(attrelid, attnum))
			FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
			WHERE attrelid = d.objid AND d.classid = 'pg_class'::regclass AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT format(' column %s %s comment %s', attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum))
			FROM pg_type t JOIN pg_attribute ON attrelid = t.typrelid WHERE t.oid = d.objid AND d.classid = 'pg_type'::regclass AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT format(' constraint %s %s', conname, pg_get_constraintdef(oid)) FROM pg_constraint WHERE conrelid = d.objid AND d.classid = 'pg_class'::regclass
		UNION ALL SELECT ' index ' || pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = d.objid AND d.classid = 'pg_class'::regclass
		UNION ALL SELECT format(' policy %s %s %s', polname, polcmd, pg_get_expr(polqual, polrelid)) FROM pg_policy WHERE polrelid = d.objid AND d.classid = 'pg_class'::regclass
		UNION ALL SELECT ' trigger ' || pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = d.objid AND d.classid = 'pg_class'::regclass
		UNION ALL SELECT format(' on %s %s %s', evtevent, evttags, evtfoid::regproc) FROM pg_event_trigger WHERE oid = d.objid AND d.classid = 'pg_event_trigger'::regclass
		UNION ALL SELECT ' label ' || string_agg(enumlabel, ' ' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = d.objid AND d.classid = 'pg_type'::regclass
	) x
	UNION ALL SELECT 'dumped ' || c::regclass || ' ' || w FROM pg_extension, unnest(extconfig, extcondition) u(c, w) WHERE extname = 'aion'
	ORDER BY 1};

my $node = new_node('update', 'aion.max_runners = 4', 'aion.runner_idle_timeout = 2s', 'aion.retention = -1', 'max_worker_processes = 20',
	'aion.determinism = warn'); # as the documentation says of an update from 0.1.0
my ($current) = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'aion'});
my @released = split /\n/, $node->safe_psql('postgres', qq{SELECT version FROM pg_available_extension_versions WHERE name = 'aion' AND version <> '$current' ORDER BY 1});
ok(@released > 0, 'there are released versions');
$node->safe_psql('postgres', 'CREATE ROLE carol LOGIN; CREATE ROLE dave LOGIN; CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE DATABASE fresh');
my $grants = q{SELECT aion.grant_usage('alice'), aion.grant_usage('bob', 'worker'), aion.grant_usage('carol', 'monitor'), aion.grant_usage('dave', 'admin')};
$node->safe_psql('fresh', "CREATE EXTENSION aion; $grants");
my $expected = $node->safe_psql('fresh', $catalog);

for my $version (@released)
{
	my $database = "from_$version";
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	$node->safe_psql($database, qq{CREATE EXTENSION aion VERSION '$version'});
	my ($code, $out, $error) = $node->psql($database, $grants);
	like($error, qr/version \Q$version\E, but its library is version \Q$current\E.*HINT:  Use ALTER EXTENSION aion UPDATE/s, "the library refuses the schema of $version, with a hint");
	# 0.1.0 said by a timer that is due at once that an activity is settled.
	$node->safe_psql($database, q{
		INSERT INTO aion._owner (owner_key, name, role) OVERRIDING SYSTEM VALUE VALUES (1000, 'erin', 0);
		INSERT INTO aion._timer (run_key, name, owner_key, fire_at, started_seq) VALUES (7, 'settled:31', 1000, '2026-01-01', 0), (7, 'activity:31 close', 1000, '2026-01-01', 0)}) if $version eq '0.1.0';
	$node->safe_psql($database, "ALTER EXTENSION aion UPDATE; $grants");
	is($node->safe_psql($database, q{SELECT run_key, kind, name, sender, owner_key FROM aion._inbox; SELECT name FROM aion._timer; DELETE FROM aion._inbox; DELETE FROM aion._timer}),
		"7|activity|31|erin|1000\nactivity:31 close", 'outcomes of activities that were not yet recorded are arrivals') if $version eq '0.1.0';
	my $found = $node->safe_psql($database, $catalog);
	my (%found, %expected);
	$found{$_}++ for split /\n/, $found;
	$expected{$_}++ for split /\n/, $expected;
	is(join("\n", grep { !$expected{$_} } sort keys %found), '', "after an update from $version there is nothing that CREATE EXTENSION does not make");
	is(join("\n", grep { !$found{$_} } sort keys %expected), '', "after an update from $version there is all that CREATE EXTENSION makes");
	all_sound($node, "after an update from $version", $database);
}

# The fixture of 0.1.0: its runs, and what becomes of each.
my $fixture = slurp_file('test/corpus/release-0.1.0.sql');
my %ends = map { /^(.*?)\|(.*)$/ ? ($1 => $2) : () } split /\n/, <<'ENDS';
about to time out|timed_out|
cancel requested|cancelled|
cancelled|cancelled|
chain|completed|"counted to 4"
claimed|completed|"claimed"
completed|completed|"slept"
completed outside|completed|"paid"
deadlines|completed|["WF026", "on"]
delayed|completed|"slept"
delayed long|terminated|
differs|completed|"went on"
done in the background|completed|"did it"
failed|failed|
first child|completed|["first", "to the first", "did first"]
forked|completed|[1, "forked"]
lacks a function|failed|
lacks an activity|completed|"did it"
limited 1|completed|"limited 1"
limited 2|completed|"limited 2"
many|completed|["a", "many", null]
mistaken|failed|
newer version|completed|"by the second version"
not begun|completed|"slept"
older version|completed|"by the first version"
origin|completed|[1, 2]
parent|completed|[["first", "to the first", "did first"], "did between", ["second", "to the second", "did second"]]
paused|completed|["while paused"]
published|completed|"published"
reopened|completed|"mended"
retried in the background|completed|"did it"
retried inline|completed|"did it"
second child|completed|["second", "to the second", "did second"]
sleeping|completed|"slept"
sleeping long|cancelled|
terminated|terminated|
tidying|cancelled|
timed out|timed_out|
tried again|completed|"tried again"
waiting in the background|completed|"did it"
waiting|completed|["read", "unread", 3]
ENDS

sub as
{
	my ($role, $database, $sql) = @_;
	return $node->safe_psql($database, $sql, connstr => $node->connstr($database) . " user=$role");
}

# Restores the fixture into a new database; returns the errors that psql reports.
sub restore
{
	my ($database, $dump) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my ($code, $out, $error) = $node->psql($database, $dump, on_error_stop => 0);
	return join "\n", $error =~ /(ERROR:.*)/g;
}

# Lets the restored database go on, and compares what comes of it.
sub go_on
{
	my ($database, $how, $adopted) = @_;
	my $histories = q{SELECT workflow_id, run_id, seq, event_type, key, recorded_at, attributes FROM aion.history_event ORDER BY 2, 3};
	my $before = $node->safe_psql($database, $histories);
	all_sound($node, $how, $database);
	unless ($adopted)
	{
		is($node->safe_psql($database, q{SELECT count(DISTINCT status) FROM aion.workflow_run}), 10, "$how: there are runs in every state");
		is($node->safe_psql($database, q{SELECT fence FROM aion.stat_engine}), 'copy', "$how: it is a copy");
		$node->safe_psql($database, q{SELECT aion.adopt_database()});
	}

	# What needs nothing.
	for my $run ('sleeping', 'delayed', 'about to time out', 'done in the background', 'completed outside', 'waiting in the background', 'retried inline', 'retried in the background', 'not begun')
	{
		ok($node->poll_query_until($database, "SELECT status NOT IN ('running', 'scheduled', 'blocked') FROM aion.workflow_run WHERE workflow_id = '$run'"), "$how: $run ends");
	}
	is(as('alice', $database, q{SELECT aion.query_workflow('published', 'total', '[2]'), aion.query_workflow('published', 'step'), string_agg(workflow_id, ' ' ORDER BY workflow_id) FROM aion.find_workflows('{"tier": "gold"}')}), '42|"waiting"|published', "$how: queries and searches are answered");

	# What needs a client, a worker, a mended program.
	is(as('alice', $database, q{SELECT aion.signal_workflow('waiting', 'go', '"again"', dedup_id => 'd 1'), aion.signal_workflow('waiting', 'go', '"again"', dedup_id => 'd 2')}), 'f|f', "$how: ids of signals are remembered");
	as('alice', $database, q{
		DELETE FROM alice.broken;
		CREATE FUNCTION alice.removed(who text, what text) RETURNS text LANGUAGE sql AS 'SELECT alice.act(who, what)';
		SELECT aion.signal_workflow('waiting', 'go', '3'), aion.signal_workflow('origin', 'go', '2'), aion.signal_workflow('forked', 'go', '"forked"'), aion.signal_workflow('second child', 'go', '"to the second"'),
			aion.signal_workflow('tidying', 'go'), aion.signal_workflow('cancel requested', 'go'), aion.signal_workflow('deadlines', 'go', '"on"'), aion.signal_workflow('published', 'go'), aion.signal_workflow('reopened', 'go'),
			aion.signal_workflow('older version', 'go'), aion.signal_workflow('newer version', 'go'), aion.signal_workflow('many', 'a', '"a"');
		SELECT aion.signal_workflow('chain', 'go') FROM generate_series(1, 3);
		SELECT aion.resume_workflow('paused'), aion.resume_schedule('held'), aion.terminate_workflow('delayed long'), aion.cancel_workflow('sleeping long')});
	as('bob', $database, q{SELECT aion.complete_activity(token, to_jsonb(workflow_id)) FROM bob.token WHERE workflow_id IN ('claimed', 'limited 1')});
	my ($code, $out, $error) = $node->psql($database, q{SELECT aion.complete_activity(token) FROM bob.token WHERE workflow_id = 'tried again'}, connstr => $node->connstr($database) . ' user=bob');
	like($error, qr/WF018|no longer|not claimed|task/, "$how: the token of an attempt that has failed is refused");
	for my $task (1..3)
	{
		my $tries = $PostgreSQL::Test::Utils::timeout_default;
		my $got = '';
		$got = as('bob', $database, q{SELECT workflow_id, aion.complete_activity(task_token, to_jsonb(workflow_id)) FROM aion.poll_activities('{cards,one}', 'bob', 1, '2 seconds')})
			while $got eq '' && $tries-- > 0;
		isnt($got, '', "$how: a worker gets a task, and completes it");
	}
	ok($node->poll_query_until($database, q{SELECT count(*) = 0 FROM aion.workflow_run WHERE status IN ('running', 'scheduled', 'blocked', 'paused')}), "$how: all runs have ended")
		or diag($node->safe_psql($database, q{SELECT workflow_id, status, awaiting, blocked FROM aion.workflow_run WHERE closed_at IS NULL}));

	my %found = map { /^(.*?)\|(.*)$/ ? ($1 => $2) : () } split /\n/, $node->safe_psql($database, q{SELECT workflow_id, status, result FROM aion.workflow_run WHERE workflow_type <> 'ticks' AND status <> 'continued_as_new' AND workflow_id !~ '^client'});
	is_deeply(\%found, \%ends, "$how: each run has ended as it should");
	is($node->safe_psql($database, q{SELECT who, what, count(*) FROM alice.effect GROUP BY 1, 2 HAVING count(*) > 1}), '', "$how: no effect is there twice");
	is($node->safe_psql($database, q{SELECT count(*) FROM alice.effect}), $node->safe_psql($database, q{
		SELECT count(*) FROM aion.history_event c JOIN aion.history_event s USING (run_id, key) JOIN aion._activity a ON a.name = s.attributes ->> 'activity'
			WHERE s.event_type = 'ActivityScheduled' AND c.event_type = 'ActivityCompleted' AND a.mode <> 'external'
				AND NOT (c.workflow_id = 'forked' AND c.seq <= 4) -- copied from the original}), "$how: each effect is there");
	my %after = map { $_ => 1 } split /\n/, $node->safe_psql($database, $histories);
	is(join("\n", grep { !$after{$_} } split /\n/, $before), '', "$how: what was history is history");
	is(as('alice', $database, q{SELECT DISTINCT left(aion_test.replay(aion.export_history(workflow_id, run_id), version), 2) FROM aion.workflow_run}), 'ok', "$how: all histories replay");
	all_sound($node, "$how, in the end", $database);
}

my $error = restore('updated', $fixture =~ s/(CREATE EXTENSION IF NOT EXISTS aion WITH SCHEMA pg_catalog)/$1 VERSION '0.1.0'/r);
is($error, '', 'the dump restores into its own schema');
like($node->safe_psql('updated', q{SELECT name FROM aion._timer}), qr/settled:1/, 'there are outcomes that were not recorded');
$node->safe_psql('updated', 'ALTER EXTENSION aion UPDATE');
is($node->safe_psql('updated', q{SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE NOT rolsuper AND has_schema_privilege(rolname, 'aion', 'usage') AND has_function_privilege(rolname, 'aion.explain(text, uuid, boolean)', 'execute')}),
	'alice bob', 'the roles that have the names get the grants, not those that have the oids');
go_on('updated', 'updated');

$error = restore('moved', $fixture);
# What does not exist any more cannot be granted; adopt_database() grants again what there is.
is($error, join("\n", map { ("ERROR:  function aion.$_ does not exist") x 2 } '_search(jsonb, text, text[], bigint)', 'explain(text, uuid)', 'find_workflows(jsonb, text, text[], bigint)'), 'the dump restores into the schema of this version');
like($node->safe_psql('moved', q{SELECT name FROM aion._timer}), qr/settled:1/, 'there are outcomes that were not recorded, as 0.1.0 said it');
go_on('moved', 'moved');

# In place, while clients call: the server has been restarted with this library. The row of adoption says that it is the same
# server, as if it had executed 0.1.0 before.
$error = restore('busy', $fixture =~ s/(CREATE EXTENSION IF NOT EXISTS aion WITH SCHEMA pg_catalog)/$1 VERSION '0.1.0'/r);
is($error, '', 'restored once more');
$node->safe_psql('busy', q{
	UPDATE aion._owner o SET role = r.oid FROM pg_roles r WHERE r.rolname = o.name;
	UPDATE aion._adoption SET system_identifier = s.system_identifier::text, database = d.oid, extension = e.oid FROM pg_control_system() s, pg_database d, pg_extension e
		WHERE d.datname = current_database() AND e.extname = 'aion'});
sub call
{
	my ($client, $round, $times) = @_;
	say_to($client, join '', map { "SELECT aion.start_workflow('does', '{\"activity\": \"act\"}', workflow_id => 'client $client->{pid} $round.$_');\nSELECT count(*) FROM aion.workflow_run;\nSELECT pg_sleep(0.005);\n" } 1..$times);
}
my @clients = map { session($node, 'alice', 'busy') } 1..3;
call($_, 1, 100) for @clients;
say_to($_, '', qr/HINT:  Use ALTER EXTENSION aion UPDATE/) for @clients;
$node->restart;
eval { $_->{run}->finish } for @clients;
@clients = map { session($node, 'alice', 'busy') } 1..3;
my $worker = session($node, 'bob', 'busy');
call($_, 2, 200) for @clients;
say_to($_, '', qr/HINT:  Use ALTER EXTENSION aion UPDATE/) for @clients;
say_to($worker, "SELECT * FROM aion.poll_activities('{cards}', 'bob');\n", qr/HINT:  Use ALTER EXTENSION aion UPDATE/);
$node->safe_psql('busy', 'ALTER EXTENSION aion UPDATE');
call($_, 3, 20) for @clients;
say_to($worker, "SELECT count(*) FROM aion.poll_activities('{nothing}', 'bob');\n", qr/^0$/m);
my $started = 0;
for my $client (@clients)
{
	say_to($client, "SELECT 'that is all';\n", qr/that is all/);
	my %started = map { $_ => 1 } $client->{out} =~ /^client (\d+ \d\.\d+)$/mg;
	is(scalar(grep { / 3\./ } keys %started), 20, 'a session that was refused before goes on after the update');
	$started += keys %started;
	is(join(' ', grep { !/is version 0\.1\.0, but its library is version/ } $client->{err} =~ /ERROR: (.*)/g), '', 'and was told why');
}
go_on('busy', 'in place', 1);
is($node->safe_psql('busy', q{SELECT count(*) FILTER (WHERE status = 'completed') FROM aion.workflow_run WHERE workflow_id ~ '^client'}), $started, 'what clients have started was executed');
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process has crashed');

done_testing();
