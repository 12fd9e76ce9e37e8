/* Looking at workflow code before it is executed. */

CREATE OR REPLACE FUNCTION aion.lint(handler regprocedure)
	RETURNS TABLE (line int, severity text, code text, message text, hint text, statement text)
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_lint';
COMMENT ON FUNCTION aion.lint(regprocedure)
	IS 'what can be said of workflow code without executing it: error (is refused when it is executed), warning (is wrong in most cases) or notice; a comment -- aion:allow CODE on the line before allows it';

-- After the path is set, no name may be left to be looked up.
CREATE OR REPLACE FUNCTION aion._plpgsql_check(handler regprocedure, path text)
	RETURNS TABLE (line int, level text, message text, hint text)
	LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	statement text := (SELECT format('SELECT c.lineno, c.level, c.message, c.hint FROM %I.plpgsql_check_function_tb($1, fatal_errors => false) c', n.nspname)
		FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace, pg_proc f JOIN pg_language l ON l.oid = f.prolang
		WHERE e.extname = 'plpgsql_check' AND has_schema_privilege(n.oid, 'USAGE') AND f.oid = handler AND l.lanname = 'plpgsql'
			-- Another function of that name might be called in its place.
			AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = n.oid AND p.proname = 'plpgsql_check_function_tb' AND NOT EXISTS
				(SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.refobjid = e.oid AND d.deptype = 'e')));
BEGIN
	IF statement IS NOT NULL THEN
		PERFORM pg_catalog.set_config('search_path', path, true);
		RETURN QUERY EXECUTE statement USING handler;
	END IF;
END $$;
COMMENT ON FUNCTION aion._plpgsql_check(regprocedure, text) IS 'what the extension plpgsql_check says of a function';
