--
-- What every object of the extension has to keep to, and every function to bear.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
SELECT plan(26);

-- Objects.
CREATE TEMP VIEW routine AS SELECT p.*, n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('aion', 'aion_test');
CREATE TEMP VIEW tables AS SELECT c.* FROM pg_class c WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind = 'r';
SELECT is_empty($$SELECT oid::regprocedure FROM routine WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'every function has a comment');
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'aion'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f') AND obj_description(oid, 'pg_class') IS NULL$$,
	'every table and view has a comment');
-- 11.33 columns without comments: of everything that users may read, so that a new one cannot go without
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE c.relnamespace IN ('aion'::regnamespace, 'aion_test'::regnamespace) AND (c.relkind = 'v' OR c.relname !~ '^_') AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
		AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(col_description(a.attrelid, a.attnum), '') = ''$$, 'every column of a view, a public table and a type has a comment');
SELECT is_empty($$SELECT t.oid::regtype FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid WHERE t.typnamespace = 'aion'::regnamespace AND t.typcategory <> 'A'
	AND (c.oid IS NULL OR c.relkind = 'c') AND obj_description(t.oid, 'pg_type') IS NULL$$, 'every type has a comment');
SELECT is_empty($$SELECT nspname FROM pg_namespace WHERE nspname ~ '^aion' AND obj_description(oid, 'pg_namespace') IS NULL$$, 'every schema has a comment');
SELECT is_empty($$SELECT oid::regprocedure, a FROM routine, unnest(proargnames[1:pronargs]) a WHERE a = '' OR quote_ident(a) <> a
	UNION ALL SELECT oid::regprocedure, NULL FROM routine WHERE pronargs > 0 AND proargnames IS NULL$$, 'every parameter has a name that can be written unquoted');
SELECT is_empty($$SELECT oid::regprocedure FROM routine WHERE prosecdef$$, 'no function is SECURITY DEFINER');
SELECT is_empty($$SELECT p.oid::regprocedure FROM routine p JOIN pg_language l ON l.oid = p.prolang
	WHERE l.lanname <> 'c' AND p.proname <> 'deploy_check' -- it registers under the settings of the session, and qualifies its names
		AND p.prosqlbody IS NULL -- else names were looked up when it was made
		AND coalesce(array_to_string(p.proconfig, ',') !~ 'search_path=pg_catalog, pg_temp', true)$$, 'every function in SQL or plpgsql pins its search path');
SELECT is_empty($$SELECT oid::regclass FROM tables t WHERE NOT relrowsecurity$$, 'every table is row-secured');
SELECT is_empty($$SELECT polrelid::regclass, polname FROM pg_policy p JOIN tables t ON t.oid = polrelid WHERE polcmd <> 'r'$$, 'no policy lets any role write');
SELECT is_empty($$SELECT oid::regclass FROM tables t WHERE NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = t.oid AND i.indisprimary)
	AND (SELECT c.relreplident FROM pg_class c WHERE c.oid = t.oid) <> 'f'$$,
	'every table has a primary key, or says by what its rows are identified, so a publication FOR ALL TABLES stops nothing (T108)');
SELECT is_empty($$SELECT conrelid::regclass FROM pg_constraint c JOIN tables t ON t.oid = conrelid WHERE contype = 'f'$$, 'no table has a foreign key');
SELECT is_empty($$SELECT tgrelid::regclass, tgname FROM pg_trigger g JOIN tables t ON t.oid = tgrelid WHERE NOT tgisinternal AND tgname <> 'guard'$$, 'no table has a trigger but the guard of history');
SELECT is_empty($$SELECT a.attrelid::regclass, a.attname FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid
	WHERE a.atttypid IN ('regproc'::regtype, 'regprocedure'::regtype, 'regclass'::regtype, 'regrole'::regtype, 'regtype'::regtype)$$, 'no table keeps names as oids that upgrades change');
SELECT is_empty($$SELECT c.oid::regclass FROM pg_class c, pg_extension e WHERE e.extname = 'aion' AND c.relnamespace = 'aion'::regnamespace AND c.relkind IN ('r', 'S') AND c.oid <> ALL (e.extconfig)$$,
	'every table and sequence is dumped');
SELECT is_empty($$SELECT 1 FROM aion._adoption$$, 'CREATE EXTENSION writes no row into them');

-- Rights.
SELECT is_empty($$SELECT oid::regprocedure::text FROM routine, aclexplode(coalesce(proacl, acldefault('f', proowner))) a WHERE a.grantee = 0
	UNION ALL SELECT c.oid::regclass::text FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'aion'::regnamespace AND a.grantee = 0
	UNION ALL SELECT nspname FROM pg_namespace, aclexplode(nspacl) a WHERE nspname ~ '^aion' AND a.grantee = 0
	UNION ALL SELECT t.oid::regtype::text FROM pg_type t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
		WHERE t.typnamespace = 'aion'::regnamespace AND a.grantee = 0 AND t.typcategory <> 'A' AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind <> 'c')$$, 'nothing is granted to PUBLIC');
CREATE ROLE contract_user LOGIN;
CREATE ROLE contract_worker LOGIN;
CREATE ROLE contract_monitor LOGIN;
CREATE ROLE contract_admin LOGIN;
CREATE ROLE contract_nobody LOGIN;
SELECT aion.grant_usage('contract_user'), aion.grant_usage('contract_worker', 'worker'), aion.grant_usage('contract_monitor', 'monitor'), aion.grant_usage('contract_admin', 'admin');
SELECT results_eq($$SELECT r, count(*) FILTER (WHERE has_function_privilege(r, oid, 'EXECUTE'))::int = 0, count(*) FILTER (WHERE has_function_privilege(r, oid, 'EXECUTE') AND proname ~ '^(grant|revoke)_usage$')::int,
		bool_or(has_function_privilege(r, oid, 'EXECUTE') AND proname = 'start_workflow'), bool_or(has_function_privilege(r, oid, 'EXECUTE') AND proname = 'adopt_database')
	FROM routine, unnest('{contract_admin,contract_monitor,contract_nobody,contract_user,contract_worker}'::name[]) r GROUP BY r ORDER BY r$$,
	$$VALUES ('contract_admin'::name, false, 0, true, true), ('contract_monitor', false, 0, false, false), ('contract_nobody', true, 0, false, false), ('contract_user', false, 0, true, false), ('contract_worker', false, 0, false, false)$$,
	'each level may execute what it is for');
SELECT is_empty($$SELECT r, c.oid::regclass, p FROM pg_class c, unnest('{contract_admin,contract_monitor,contract_user,contract_worker}'::name[]) r, unnest('{INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) p
	WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege(r, c.oid, p)$$, 'no level may write a table');
SELECT is_empty($$SELECT r, c.oid::regclass FROM pg_class c, unnest('{contract_admin,contract_monitor,contract_user,contract_worker}'::name[]) r
	WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind IN ('r', 'S', 'v') AND c.relname ~ '^_' AND has_table_privilege(r, c.oid, 'SELECT')$$, 'no level may read a private table');
SELECT aion.revoke_usage(r) FROM unnest('{contract_user,contract_worker,contract_monitor,contract_admin}'::name[]) r;
SELECT is_empty($$SELECT r, oid::regprocedure::text FROM routine, unnest('{contract_admin,contract_monitor,contract_user,contract_worker}'::name[]) r WHERE has_function_privilege(r, oid, 'EXECUTE')
	UNION ALL SELECT r, c.oid::regclass::text FROM pg_class c, unnest('{contract_admin,contract_monitor,contract_user,contract_worker}'::name[]) r
		WHERE c.relnamespace = 'aion'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege(r, c.oid, 'SELECT')
	UNION ALL SELECT r, n FROM unnest('{aion,aion_test,aion_code}'::text[]) n, unnest('{contract_admin,contract_monitor,contract_user,contract_worker}'::name[]) r WHERE has_schema_privilege(r, n, 'USAGE')$$,
	'revoke_usage() takes everything back');
SELECT throws_ok($$SELECT aion.grant_usage('contract_user', 'king')$$, 'WF014', NULL, 'a level that does not exist is refused');
SELECT throws_ok($$SELECT aion.grant_usage('nobody at all')$$, '42704', NULL, 'a role that does not exist is refused');

-- T83: every function, called in named notation with nothing and with extremes, answers or fails with a documented SQLSTATE.
SELECT aion.grant_usage('contract_user', 'admin');
CREATE FUNCTION pg_temp.extremes(type oid) RETURNS text[] LANGUAGE sql AS $$
	SELECT CASE format_type(type, NULL)
		WHEN 'text' THEN ARRAY['NULL', '''''', '''x''', 'repeat(''y'', 3000)', '''%s " '''' \''', '''12:34:56''']
		WHEN 'name' THEN ARRAY['NULL', '''contract_user''', '''postgres''', '''nobody''']
		WHEN 'jsonb' THEN ARRAY['NULL', '''null''', '''{}''', '''[]''', '''7''', '''{"a": {"b": [1, null]}}''']
		WHEN 'jsonb[]' THEN ARRAY['NULL', '''{}''', '''{"{}",NULL}''']
		WHEN 'text[]' THEN ARRAY['NULL', '''{}''', '''{a,NULL}''']
		WHEN 'interval' THEN ARRAY['NULL', '''0''', '''-1 day''', '''178000000 years''', '''1 us''']
		WHEN 'timestamp with time zone' THEN ARRAY['NULL', '''infinity''', '''-infinity''', '''294276-12-31''', '''4713-01-01 BC''', '''2026-01-01''']
		WHEN 'integer' THEN ARRAY['NULL', '0', '-1', '2147483647', '-2147483648', '1']
		WHEN 'bigint' THEN ARRAY['NULL', '0', '-1', '9223372036854775807', '-9223372036854775808', '1']
		WHEN 'boolean' THEN ARRAY['NULL', 'true', 'false']
		WHEN 'uuid' THEN ARRAY['NULL', '''00000000-0000-0000-0000-000000000000''']
		WHEN 'regprocedure' THEN ARRAY['NULL', '0', '''pg_sleep(float8)''', '999999999::oid']
		WHEN 'aion.handle' THEN ARRAY['NULL', '''''', '''timer:1:x''', '''timer:99999999999:x''', '''signal:1:x''']
		WHEN 'aion.scope' THEN ARRAY['NULL', '''''', '''scope:1''']
		ELSE ARRAY['NULL'] END
$$;
CREATE TEMP TABLE bad (call text, sqlstate text, message text);
CREATE TEMP TABLE tried (function text, calls int);
GRANT ALL ON bad, tried TO contract_user;
DO $do$
DECLARE
	f record;
	call text;
	calls int;
BEGIN
	FOR f IN SELECT p.oid, n.nspname, proname, prokind, proargnames, proargtypes::oid[] AS types, pronargs FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
			WHERE n.nspname IN ('aion', 'aion_test') AND prokind = 'f' AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)
				AND proname NOT IN ('grant_usage', 'revoke_usage', '_apply_grant', '_functions_of', '_owner_key', '_narrate') LOOP
		calls := 0;
		-- every value of every parameter at least once, the others shifted along
		FOR i IN 0..CASE WHEN f.pronargs = 0 THEN 0 ELSE 17 END LOOP
			SELECT format('SELECT count(*) FROM (SELECT %I.%I(%s)) x', f.nspname, f.proname,
					coalesce(string_agg(format('%I => %s', f.proargnames[n], v[1 + (i / n + i) % cardinality(v)]), ', ' ORDER BY n), ''))
				INTO call FROM generate_series(1, f.pronargs) n, LATERAL pg_temp.extremes(f.types[n - 1]) v;
			BEGIN
				SET LOCAL ROLE contract_user;
				EXECUTE call;
				RAISE EXCEPTION USING ERRCODE = 'XX999';
			EXCEPTION
				WHEN SQLSTATE 'XX999' THEN NULL;
				WHEN OTHERS THEN
					IF SQLSTATE !~ '^(WA|WC|WF|22|42|0A|25)' THEN INSERT INTO bad VALUES (call, SQLSTATE, SQLERRM); END IF;
			END;
			calls := calls + 1;
		END LOOP;
		INSERT INTO tried VALUES (f.proname, calls);
	END LOOP;
END $do$;
SELECT is_empty('SELECT * FROM bad', 'every function bears every value, with an error of a documented class at worst (T83)');
SELECT ok(count(*) >= 35, 'that were ' || sum(calls) || ' calls of ' || count(*) || ' functions') FROM tried;
SELECT is_empty('SELECT * FROM aion.check_integrity()', 'and nothing is left of it');
SELECT * FROM finish();
