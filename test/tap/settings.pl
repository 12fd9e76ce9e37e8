# T51, T105: what is set for a role or a database reaches the code of users and never the engine.
use strict;
use warnings;
use lib 'test/tap/lib';
use AionTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('main', 'aion.max_runners = 2', 'aion.determinism = off'); # workflow code that shows settings
install($node);
my @alice = (connstr => $node->connstr('postgres') . ' user=alice');
my %theirs = (
	'DateStyle' => 'German, DMY',
	'TimeZone' => 'Pacific/Chatham',
	'default_transaction_isolation' => 'serializable',
	'default_transaction_read_only' => 'on',
	'idle_in_transaction_session_timeout' => '1ms',
	'lock_timeout' => '3ms',
	'row_security' => 'off',
	'search_path' => 'hostile, alice, pg_catalog',
	'statement_timeout' => '1ms',
	'synchronous_commit' => 'off');
$node->safe_psql('postgres', q{
	CREATE ROLE carol LOGIN;
	GRANT carol TO alice;
	CREATE SCHEMA hostile AUTHORIZATION carol;
	CREATE TABLE hostile.tripwire (what text);
	GRANT ALL ON hostile.tripwire TO PUBLIC;
	GRANT USAGE ON SCHEMA hostile TO PUBLIC;
	CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE sql AS $$ INSERT INTO hostile.tripwire VALUES ('now'); SELECT timestamptz '2000-01-01' $$;
	CREATE FUNCTION hostile.int8lt(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO hostile.tripwire VALUES ('<'); RETURN true; END $$;
	CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.int8lt);
	CREATE OPERATOR hostile.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = pg_catalog.timestamptz_gt);
	CREATE TABLE hostile._run (run_key bigint)});
my $names = join ', ', map { "'$_'" } sort keys %theirs;
$node->safe_psql('postgres', qq{
	CREATE TABLE effect (what text);
	CREATE FUNCTION look(what text) RETURNS jsonb LANGUAGE plpgsql AS \$\$
	BEGIN
		INSERT INTO alice.effect VALUES (what);
		RETURN (SELECT pg_catalog.jsonb_object_agg(n, pg_catalog.current_setting(n)) FROM pg_catalog.unnest(ARRAY[$names]) n)
			OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('user', current_user, 'session', session_user, 'role', pg_catalog.current_setting('role'));
	END \$\$;
	CREATE FUNCTION watch() RETURNS jsonb LANGUAGE plpgsql AS \$\$
	DECLARE
		first jsonb := aion.run('look', '{"what": "first"}');
	BEGIN
		PERFORM aion.sleep('10 ms');
		BEGIN
			RETURN first OPERATOR(pg_catalog.||) pg_catalog.jsonb_build_object('again', aion.run('look', '{"what": "second"}'),
				'code', pg_catalog.current_setting('lock_timeout'));
		EXCEPTION WHEN division_by_zero THEN
			RETURN NULL;
		END;
	END \$\$;
	SELECT aion.register_activity('look', 'look(text)');
	SELECT aion.register_workflow('watch', 'watch()')}, @alice);

# 11.23: what decides how code reads is that of the registration.
my %seen = %theirs;
$seen{$_} = $node->safe_psql('postgres', "SELECT replace(current_setting('$_'), '\"', '')", @alice) for qw(DateStyle TimeZone search_path);

# Half of them for the role, half for the database.
my $turn = 0;
for my $name (sort keys %theirs)
{
	my $value = $name eq 'search_path' ? $theirs{$name} : "'$theirs{$name}'";
	my $whose = $turn++ % 2 ? 'DATABASE postgres' : 'ROLE alice';
	$node->safe_psql('postgres', "ALTER $whose SET $name = $value", connstr => $node->connstr('postgres') . q{ options='-c statement_timeout=0 -c default_transaction_read_only=off -c search_path=public'});
}
$node->safe_psql('postgres', q{ALTER ROLE alice SET role = 'carol'}, connstr => $node->connstr('postgres') . q{ options='-c statement_timeout=0 -c default_transaction_read_only=off -c search_path=public'});
my @sane = (connstr => $node->connstr('postgres') . q{ options='-c statement_timeout=0 -c default_transaction_read_only=off -c search_path=public -c idle_in_transaction_session_timeout=0'});
$node->safe_psql('postgres', q{SELECT aion.start_workflow('watch', workflow_id => 'w', run_as => 'alice')}, @sane);
my $ended;
for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$ended = $node->safe_psql('postgres', q{SELECT status FROM aion.workflow_run WHERE workflow_id = 'w' AND closed_at IS NOT NULL}, @sane);
	last if $ended ne '';
	select(undef, undef, undef, 0.1);
}
is($ended, 'completed', 'the engine executes whatever is set');
for my $when ('result', "result -> 'again'")
{
	for my $name (sort keys %theirs)
	{
		is($node->safe_psql('postgres', "SELECT replace($when ->> '$name', '\"', '') FROM aion.workflow_run WHERE workflow_id = 'w'", @sane),
			$seen{$name}, "$when: code sees $name");
	}
	is($node->safe_psql('postgres', "SELECT concat_ws(' ', $when ->> 'user', $when ->> 'session', $when ->> 'role') FROM aion.workflow_run WHERE workflow_id = 'w'", @sane),
		'alice alice none', 'and is executed as the owner of the run, and as no other role');
}
is($node->safe_psql('postgres', q{SELECT result ->> 'code' FROM aion.workflow_run WHERE workflow_id = 'w'}, @sane), '3ms', 'so does the workflow itself');
is($node->safe_psql('postgres', 'SELECT count(*) FROM hostile.tripwire', @sane), '0', 'the engine calls nothing of theirs');
is($node->safe_psql('postgres', 'SELECT string_agg(what, $$ $$ ORDER BY what) FROM alice.effect', @sane), 'first second', 'each effect is there once');
is($node->safe_psql('postgres', 'SELECT * FROM aion.check_integrity()', @sane), '', 'nothing is amiss');
unlike(slurp_file($node->logfile), qr/FATAL:.*timeout|ERROR:.*serializ/, 'and no process of the engine was ended by it');

done_testing();
