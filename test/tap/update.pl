# T57: ALTER EXTENSION UPDATE from each released version leaves the catalog that CREATE EXTENSION makes, and keeps what there is.
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

my $node = new_node('update');
my ($current) = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'aion'});
my @released = split /\n/, $node->safe_psql('postgres', qq{SELECT version FROM pg_available_extension_versions WHERE name = 'aion' AND version <> '$current' ORDER BY 1});
ok(@released > 0, 'there are released versions');
$node->safe_psql('postgres', 'CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE dave LOGIN; CREATE DATABASE fresh');
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

done_testing();
