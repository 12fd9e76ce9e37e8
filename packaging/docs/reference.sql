-- Writes docs/reference.md from the comments and signatures of an installed extension (psql -XAtq -f packaging/docs/reference.sql).
-- A function is in the section of those that may use it.

CREATE TEMP TABLE documented AS
	SELECT p.proname::text AS name, format('%s.%s', p.pronamespace::regnamespace, p.proname) AS full_name, p.oid,
		CASE WHEN p.pronamespace = 'aion_test'::regnamespace THEN 7
			WHEN d.comment ~ '^in workflow code: ' THEN 1
			WHEN d.comment ~ '^in an activity' THEN 2
			WHEN p.oid IN (SELECT aion._functions_of('worker')) AND p.proname <> 'value' THEN 4
			WHEN p.oid IN (SELECT aion._functions_of('user')) THEN 3
			WHEN p.oid IN (SELECT aion._functions_of('admin')) THEN 5 ELSE 6 END AS section,
		regexp_replace(d.comment, '^in (workflow code|an activity|an activity in the background): ', '') AS comment,
		format('%s.%s(%s)%s', p.pronamespace::regnamespace, p.proname, regexp_replace(pg_get_function_arguments(p.oid), '::[a-z_. ]+(\[\])?(?=,|$)', '', 'g'),
			CASE WHEN p.prokind <> 'p' AND p.proargmodes IS NULL OR NOT '{o,b,t}'::"char"[] && p.proargmodes THEN ' → ' || pg_get_function_result(p.oid)
				WHEN p.proretset THEN ' → rows' ELSE '' END) AS signature
	FROM pg_extension e JOIN pg_depend x ON x.refclassid = 'pg_extension'::regclass AND x.refobjid = e.oid AND x.deptype = 'e'
		JOIN pg_proc p ON x.classid = 'pg_proc'::regclass AND p.oid = x.objid
		CROSS JOIN LATERAL (SELECT obj_description(p.oid, 'pg_proc') AS comment) d
	WHERE e.extname = 'aion' AND p.proname !~ '^_';

CREATE FUNCTION pg_temp.sentence(comment text) RETURNS text LANGUAGE sql AS $$
	SELECT replace(upper(left(comment, 1)) || substr(comment, 2) || CASE WHEN comment ~ '\.$' THEN '' ELSE '.' END, '|', '\|') $$;

SELECT $$# Reference

Every function, view, type and setting, from the comments that `\df+ aion.*` and `\d+` show in psql.$$;

SELECT format(E'\n## %s\n\n%s', title, intro) || (
	SELECT string_agg(format(E'\n\n### %s\n\n%s\n\n%s', CASE section WHEN 7 THEN full_name ELSE name END, signatures, comments), '' ORDER BY name)
	FROM (SELECT name, full_name, string_agg(format('`%s`', signature), E'\\\n' ORDER BY signature) AS signatures,
			string_agg(pg_temp.sentence(comment), ' ' ORDER BY signature) AS comments
		FROM documented WHERE section = s.section GROUP BY name, full_name) f)
FROM (VALUES (1, 'In workflow code', 'These functions answer inside of a workflow''s code; elsewhere they raise WF010.'),
	(2, 'In activities', 'These functions answer inside of an activity that the database executes.'),
	(3, 'Deploy, start, control, see', 'A role of level *user* may call these functions; they act on what it owns.'),
	(4, 'External workers', 'A role of level *worker* or *user* may call these functions.'),
	(5, 'Administrators', 'A role of level *admin* may call these functions. The level *monitor* comprises `check_integrity()`.'),
	(6, 'Levels of access', 'The owner of the extension and superusers may call these functions.'),
	(7, 'Tests', 'These functions are for transactions that `aion_test.begin()` has begun and that are rolled back; those that replay are for any session.')) s(section, title, intro)
ORDER BY section;

SELECT E'\n## Views\n\nA role sees the rows of the runs it controls; the levels *monitor* and *admin* see all.';
SELECT format(E'\n### %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n%s', c.relname, pg_temp.sentence(obj_description(c.oid, 'pg_class')),
	(SELECT string_agg(format('| %s | %s | %s |', a.attname, format_type(a.atttypid, NULL), replace(col_description(c.oid, a.attnum), '|', '\|')), E'\n' ORDER BY a.attnum)
		FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_class c WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind = 'v' AND c.relname !~ '^_' ORDER BY c.relname;

SELECT E'\n## Types\n';
SELECT format('- `aion.%s` (%s): %s', t.typname, format_type(t.typbasetype, NULL), obj_description(t.oid, 'pg_type'))
FROM pg_type t WHERE t.typnamespace = 'aion'::regnamespace AND t.typtype = 'd' AND t.typname !~ '^_' ORDER BY t.typname;

SELECT E'\n## Settings\n\n| setting | default | changed by | meaning |\n|---|---|---|---|';
SELECT format('| `%s` | %s | %s | %s |', name, current_setting(name),
	CASE context WHEN 'postmaster' THEN 'a restart' WHEN 'sighup' THEN 'a reload' WHEN 'superuser' THEN 'superusers' ELSE 'all' END, concat_ws(' ', short_desc, extra_desc))
FROM pg_settings WHERE name ~ '^aion\.' AND name <> 'aion.crash_point' ORDER BY name;
