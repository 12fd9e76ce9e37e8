--
-- Languages: workflow code in each tells one error of aion from another, and goes on after it, or ends with it.
--
-- 11.26 PL/Python has no exception of its own for these SQLSTATEs, PL/Perl none at all.
-- 11.22 An error leaves PL/Python with another message, PL/Perl and PL/Tcl with another SQLSTATE too; what it does to a run is the same.
--
\set ON_ERROR_STOP 0
CREATE EXTENSION IF NOT EXISTS plpython3u;
CREATE EXTENSION IF NOT EXISTS plperl;
CREATE EXTENSION IF NOT EXISTS pltcl;
CREATE ROLE language_user LOGIN;
SELECT aion.grant_usage('language_user');
GRANT CREATE ON SCHEMA public TO language_user;
-- Python is for superusers; lent for this test, so that its workflows have an ordinary owner.
UPDATE pg_language SET lanpltrusted = true WHERE lanname = 'plpython3u';
GRANT USAGE ON LANGUAGE plpython3u, plperl, pltcl TO language_user;
SET SESSION AUTHORIZATION language_user;

-- An activity that fails in the turn, and one that a worker does.
CREATE FUNCTION breaks() RETURNS int LANGUAGE sql AS 'SELECT 1 / 0';
SELECT aion.register_activity('breaks', 'breaks()');
SELECT aion.register_activity('slow', mode => 'external', start_to_close_timeout => '1 h', schedule_to_close_timeout => '1 h');
CREATE FUNCTION lost() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'lost'; END $$;
SELECT aion.register_workflow('lost', 'lost()') IS NOT NULL AS registered;
CREATE FUNCTION keep(said text) RETURNS text LANGUAGE sql AS 'SELECT said';
SELECT aion.register_activity('keep', 'keep(text)');

-- Each statement is tried; what its handler is told goes into history, so that a replay compares it.
CREATE FUNCTION statements() RETURNS text[] LANGUAGE sql IMMUTABLE AS $$ SELECT ARRAY[
	'SELECT aion.raised()',
	'SELECT aion.run(''breaks'')',
	'SELECT aion.run(''slow'')',
	'SELECT aion.run_child(''lost'')',
	'SELECT aion.run(''breaks'', options => ''{"no": 1}'')',
	'SELECT aion.run(''missing'')',
	'SELECT aion.await(aion.start_timer(''nap'', ''1 day''), ''1 h'')',
	'SELECT aion.begin_timeout(''1 h''), aion.sleep(''1 day'')',
	'SELECT aion.map_settled(''breaks'', ''[{}]'')',
	'SELECT aion.sleep(''1 day'')'] $$;
CREATE FUNCTION tells_plpgsql() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	said text := '';
	statement text;
BEGIN
	FOREACH statement IN ARRAY statements() LOOP
		BEGIN
			EXECUTE statement;
			said := said || ' -';
		EXCEPTION WHEN OTHERS THEN
			said := said || ' ' || aion.raised();
			IF aion.raised() <> SQLSTATE THEN
				RAISE EXCEPTION '% is told as %', SQLSTATE, aion.raised();
			END IF;
			PERFORM aion.run('keep', jsonb_build_object('said', said));
		END;
	END LOOP;
	RETURN said;
END $$;
CREATE FUNCTION tells_python() RETURNS text LANGUAGE plpython3u AS $$
said = ''
for statement in plpy.execute('SELECT statements() AS s')[0]['s']:
    try:
        plpy.execute(statement)
        said += ' -'
    except plpy.SPIError:
        said += ' ' + plpy.execute('SELECT aion.raised() AS state')[0]['state']
        plpy.execute("SELECT aion.run('keep', jsonb_build_object('said', %s))" % plpy.quote_literal(said))
return said
$$;
CREATE FUNCTION tells_perl() RETURNS text LANGUAGE plperl AS $$
my $said = '';
for my $statement (@{ spi_exec_query('SELECT statements() AS s')->{rows}[0]{s} }) {
	if (eval { spi_exec_query($statement); 1 }) {
		$said .= ' -';
		next;
	}
	$said .= ' ' . spi_exec_query('SELECT aion.raised() AS state')->{rows}[0]{state};
	spi_exec_query("SELECT aion.run('keep', jsonb_build_object('said', " . quote_literal($said) . "))");
}
return $said;
$$;
CREATE FUNCTION tells_tcl() RETURNS text LANGUAGE pltcl AS $$
set said ""
spi_exec -array row "SELECT unnest(statements()) AS s" { lappend todo $row(s) }
foreach statement $todo {
	if {[catch { spi_exec $statement }]} {
		set told [lindex $::errorCode 3]
		spi_exec "SELECT aion.raised() AS state"
		if {$told ne $state} { error "$told is told as $state" }
		append said " $state"
		spi_exec "SELECT aion.run('keep', jsonb_build_object('said', '[quote $said]'))"
	} else {
		append said " -"
	}
}
return $said
$$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT f, aion.register_workflow(f, (f || '()')::regprocedure) IS NOT NULL AS registered, aion.start_workflow(f, workflow_id => f)
	FROM unnest('{tells_plpgsql,tells_python,tells_perl,tells_tcl}'::text[]) f;
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
-- In the last sleep they are asked to cancel.
SELECT workflow_id, blocked, awaiting, key FROM aion.workflow_run LEFT JOIN aion.pending_await USING (workflow_id) WHERE workflow_id LIKE 'tells%' ORDER BY 1;
SELECT aion.cancel_workflow(workflow_id) FROM aion.workflow_run WHERE workflow_id LIKE 'tells%';
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT workflow_id, status, result, error FROM aion.workflow_run WHERE workflow_id LIKE 'tells%' ORDER BY 1;
SELECT workflow_id, aion_test.replay(workflow_id) FROM aion.workflow_run WHERE workflow_id LIKE 'tells%' ORDER BY 1;
ROLLBACK;

-- 11.22: code that ends with an error: it catches none, or raises again what it has caught, also after it has met another one. What it
-- makes of an error itself is its own.
CREATE FUNCTION ends_plpgsql(what text, how text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF how = 'catches none' THEN EXECUTE what; END IF;
	BEGIN
		EXECUTE what;
	EXCEPTION WHEN OTHERS THEN
		IF how = 'meets another' THEN
			BEGIN EXECUTE 'SELECT ''x''::int'; EXCEPTION WHEN OTHERS THEN NULL; END;
		ELSIF how = 'makes its own' THEN
			RAISE EXCEPTION 'sorry: %', SQLERRM;
		ELSIF how = 'adds words' THEN
			RAISE EXCEPTION '%, sorry', SQLERRM;
		END IF;
		RAISE;
	END;
	RETURN 'went on';
END $$;
CREATE FUNCTION ends_python(what text, how text) RETURNS text LANGUAGE plpython3u AS $$
if how == 'catches none':
    plpy.execute(what)
try:
    plpy.execute(what)
except plpy.SPIError as error:
    if how == 'meets another':
        try:
            plpy.execute("SELECT 'x'::int")
        except plpy.SPIError:
            pass
    elif how == 'makes its own':
        raise RuntimeError('sorry: ' + str(error))
    elif how == 'adds words':
        raise RuntimeError(str(error) + ', sorry')
    raise
return 'went on'
$$;
CREATE FUNCTION ends_perl(what text, how text) RETURNS text LANGUAGE plperl AS $$
my ($what, $how) = @_;
spi_exec_query($what) if $how eq 'catches none';
unless (eval { spi_exec_query($what); 1 }) {
	my $error = $@;
	eval { spi_exec_query("SELECT 'x'::int") } if $how eq 'meets another';
	die "sorry: $error" if $how eq 'makes its own';
	die "$error, sorry" if $how eq 'adds words';
	die if $how eq 'raises again'; # with "...propagated at line 7."
	die $error;
}
return 'went on';
$$;
CREATE FUNCTION ends_tcl(what text, how text) RETURNS text LANGUAGE pltcl AS $$
if {$2 eq "catches none"} { spi_exec $1 }
if {[catch { spi_exec $1 } message]} {
	if {$2 eq "meets another"} { catch { spi_exec "SELECT 'x'::int" } }
	if {$2 eq "makes its own"} { error "sorry: $message" }
	if {$2 eq "adds words"} { error "$message, sorry" }
	error $message
}
return "went on"
$$;
CREATE DOMAIN even AS int CHECK (VALUE % 2 = 0);
CREATE FUNCTION picky(n even) RETURNS int LANGUAGE sql AS 'SELECT n::int';
SELECT aion.register_activity('picky', 'picky(even)');
CREATE VIEW ends AS SELECT split_part(workflow_id, ', ', 1) AS how, split_part(workflow_id, ', ', 2) AS what, split_part(workflow_id, ', ', 3) AS language,
	concat_ws(' ', status, blocked, CASE WHEN error ->> 'sqlstate' IN ('P0001', '38000') THEN 'of its own' ELSE error ->> 'sqlstate' END, 'for ' || (error #>> '{cause,sqlstate}'), 'after ' ||
		(SELECT string_agg(e.event_type, ' ' ORDER BY e.seq) FROM aion.history(w.workflow_id) h, aion.history(w.workflow_id) e WHERE h.attributes -> 'ended_on' @> to_jsonb(e.seq))) AS outcome,
	left(aion_test.replay(workflow_id), 2) AS replay FROM aion.workflow_run w WHERE workflow_id ~ ', ';
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT f, aion.register_workflow(f, (f || '(text, text)')::regprocedure) IS NOT NULL AS registered FROM unnest('{ends_plpgsql,ends_python,ends_perl,ends_tcl}'::text[]) f;
SELECT count(aion.start_workflow(f, jsonb_build_object('what', statement, 'how', how), workflow_id => concat_ws(', ', how, what, substr(f, 6))))
	FROM unnest('{ends_plpgsql,ends_python,ends_perl,ends_tcl}'::text[]) f, unnest('{catches none,raises again,meets another,makes its own,adds words}'::text[]) how, (VALUES
		('activity fails', 'SELECT aion.run(''breaks'')'),
		('activity times out', 'SELECT aion.run(''slow'')'),
		('child fails', 'SELECT aion.run_child(''lost'')'),
		('no such activity', 'SELECT aion.run(''missing'')'),
		('no such child', 'SELECT aion.run_child(''missing'')'),
		('no such option', 'SELECT aion.run(''breaks'', options => ''{"no": 1}'')'),
		('input misses', 'SELECT aion.run(''picky'', ''{}'')'),
		('input is odd', 'SELECT aion.run(''picky'', ''{"n": 3}'')'),
		('await times out', 'SELECT aion.await(aion.start_timer(''nap'', ''1 day''), ''1 h'')'),
		('deadline', 'SELECT aion.begin_timeout(''1 h''), aion.sleep(''1 day'')'),
		('asked to cancel', 'SELECT aion.sleep(''1 day'')'),
		('nested', format('SELECT ends_tcl(%L, ''catches none'')', format('SELECT ends_python(%L, ''raises again'')', 'SELECT ends_perl(''SELECT aion.run(''''missing'''')'', ''raises again'')'))),
		('no business of aion', 'SELECT 1 / 0')) s(what, statement)
	WHERE how IN ('catches none', 'raises again') OR what IN ('activity fails', 'no such activity', 'input is odd', 'asked to cancel', 'no business of aion');
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT aion_test.advance('1 h') > 0 AS went_on;
SELECT count(aion.cancel_workflow(workflow_id)) FROM aion.workflow_run WHERE workflow_id ~ 'cancel';
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT how, what, outcome, string_agg(language, ' ' ORDER BY language) AS languages FROM ends GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT * FROM ends WHERE replay <> 'ok' ORDER BY how, what, language;
-- Mended, those that wait go on.
CREATE FUNCTION took(input jsonb) RETURNS text LANGUAGE sql AS 'SELECT ''took it''';
SELECT aion.register_activity('missing', 'took(jsonb)'), aion.register_activity('picky', 'took(jsonb)'), aion.register_workflow('missing', 'took(jsonb)') IS NOT NULL AS registered;
SELECT aion_test.advance('3 h') > 0 AS went_on;
SELECT how, what, outcome, string_agg(language, ' ' ORDER BY language) AS languages FROM ends WHERE outcome ~ '^(completed|running)' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
ROLLBACK;

-- What the machine does fails neither a run nor an activity: it is made again. What code raises by itself does fail it.
CREATE FUNCTION fails_as(state text, message text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING MESSAGE = message, ERRCODE = state, CONSTRAINT = 'beyond', DETAIL = 'In detail.';
END $$;
CREATE FUNCTION does_plpgsql(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF what = 'cries' THEN RAISE EXCEPTION 'boom'; END IF;
	EXECUTE what;
	RETURN 'done';
END $$;
CREATE FUNCTION does_python(what text) RETURNS text LANGUAGE plpython3u AS $$
if what == 'cries':
    plpy.error('boom')
plpy.execute(what)
return 'done'
$$;
CREATE FUNCTION does_perl(what text) RETURNS text LANGUAGE plperl AS $$
elog(ERROR, 'boom') if $_[0] eq 'cries';
spi_exec_query($_[0]);
return 'done';
$$;
CREATE FUNCTION does_tcl(what text) RETURNS text LANGUAGE pltcl AS $$
if {$1 eq "cries"} { elog ERROR boom }
spi_exec $1
return "done"
$$;
CREATE FUNCTION has_done(activity text, what text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN aion.run(activity, jsonb_build_object('what', what), CASE WHEN what ~ '23505' THEN '{"retry": {"max_attempts": 3, "non_retryable": ["23505"]}}'::jsonb END);
EXCEPTION WHEN SQLSTATE 'WA000' THEN
	RETURN aion.failure() - '{context,message,activity}'::text[];
END $$;
CREATE VIEW done AS SELECT split_part(workflow_id, '; ', 1) AS what, split_part(workflow_id, '; ', 2) AS language,
	concat_ws(' ', status, blocked, replace(coalesce(result, error - '{context,message}'::text[])::text, '"38000"', '"P0001"')) AS outcome FROM aion.workflow_run w WHERE workflow_id ~ '; ';
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT f, aion.register_workflow(f, (f || '(text)')::regprocedure) IS NOT NULL AS registered,
	aion.register_activity(f, (f || '(text)')::regprocedure)
	FROM unnest('{does_plpgsql,does_python,does_perl,does_tcl}'::text[]) f;
SELECT aion.register_workflow('has_done', 'has_done(text, text)') IS NOT NULL AS registered;
SELECT count(CASE WHEN how = 'workflow' THEN aion.start_workflow(f, jsonb_build_object('what', statement), workflow_id => concat_ws('; ', how || ': ' || what, substr(f, 6)))
		ELSE aion.start_workflow('has_done', jsonb_build_object('activity', f, 'what', statement), workflow_id => concat_ws('; ', how || ': ' || what, substr(f, 6))) END)
	FROM unnest('{does_plpgsql,does_python,does_perl,does_tcl}'::text[]) f, unnest('{workflow,activity}'::text[]) how, (VALUES
		('contention', 'SELECT fails_as(''40001'', ''out of luck'')'),
		('lock', 'SELECT fails_as(''55P03'', ''out of luck'')'),
		('memory', 'SELECT fails_as(''53200'', ''out of memory'')'),
		('disk', 'SELECT fails_as(''53100'', ''out of luck'')'),
		('internal', 'SELECT fails_as(''XX000'', ''out of luck'')'),
		('twice', 'SELECT fails_as(''23505'', ''out of luck'')'),
		('own', 'cries')) s(what, statement);
SELECT aion_test.run_until_idle() > 0 AS went_on;
SELECT what, outcome, string_agg(language, ' ' ORDER BY language) AS languages FROM done GROUP BY 1, 2 ORDER BY 1, 2;
ROLLBACK;
-- A statement that is cancelled is.
DO $$
DECLARE
	f text;
	how text;
BEGIN
	FOR f, how IN SELECT * FROM unnest('{does_plpgsql,does_python,does_perl,does_tcl}'::text[]) f, unnest('{workflow,activity}'::text[]) how LOOP
		BEGIN
			PERFORM aion_test.begin('2026-01-01 00:00+00'), aion.register_workflow(f, (f || '(text)')::regprocedure),
				aion.register_activity(f, (f || '(text)')::regprocedure), aion.register_workflow('has_done', 'has_done(text, text)');
			PERFORM aion.start_workflow(CASE how WHEN 'workflow' THEN f ELSE 'has_done' END,
				jsonb_build_object('what', 'SELECT fails_as(''57014'', ''enough'')') || CASE how WHEN 'workflow' THEN '{}' ELSE jsonb_build_object('activity', f) END);
			PERFORM aion_test.run_until_idle();
			RAISE NOTICE '%, %: is not cancelled', f, how;
		EXCEPTION WHEN query_canceled THEN
			RAISE NOTICE '%, %: is cancelled', f, how;
		END;
	END LOOP;
END $$;
-- Nor is that an answer to a query.
CREATE FUNCTION says_plpgsql(state jsonb, asked jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM fails_as(asked #>> '{}', 'out of luck');
	RETURN 'said';
END $$;
CREATE FUNCTION says_python(state jsonb, asked jsonb) RETURNS text LANGUAGE plpython3u AS $$
plpy.execute("SELECT fails_as(%s::jsonb #>> '{}', 'out of luck')" % plpy.quote_literal(asked))
$$;
CREATE FUNCTION says_perl(state jsonb, asked jsonb) RETURNS text LANGUAGE plperl AS $$
spi_exec_query("SELECT fails_as(" . quote_literal($_[1]) . "::jsonb #>> '{}', 'out of luck')");
$$;
CREATE FUNCTION says_tcl(state jsonb, asked jsonb) RETURNS text LANGUAGE pltcl AS $$
spi_exec "SELECT fails_as('[quote $2]'::jsonb #>> '{}', 'out of luck')"
$$;
CREATE FUNCTION says() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	f text;
BEGIN
	FOREACH f IN ARRAY '{says_plpgsql,says_python,says_perl,says_tcl}'::text[] LOOP
		PERFORM aion.on_query(f, (f || '(jsonb, jsonb)')::regprocedure, NULL);
	END LOOP;
	PERFORM aion.sleep('1 day');
END $$;
BEGIN;
SELECT aion_test.begin('2026-01-01 00:00+00');
SELECT aion.register_workflow('says', 'says()') IS NOT NULL AS registered, aion.start_workflow('says', workflow_id => 'says');
SELECT aion_test.run_until_idle() > 0 AS went_on;
DO $$
DECLARE
	f text;
	wanted text;
	detail text;
BEGIN
	FOR wanted, f IN SELECT * FROM unnest('{40001,23505}'::text[]) wanted, unnest('{says_plpgsql,says_python,says_perl,says_tcl}'::text[]) f LOOP
		BEGIN
			PERFORM aion.query_workflow('says', f, to_jsonb(wanted));
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
			RAISE NOTICE '%: % %', f, SQLSTATE, substr(detail, strpos(detail, '('));
		END;
	END LOOP;
END $$;
ROLLBACK;

-- R30: these languages call each statement in a subtransaction, and can catch its error. Activities are executed at once all the same, and nothing
-- is kept of a turn in which one fails or a subtransaction with one is rolled back.
CREATE TABLE kept (who text, what text);
CREATE FUNCTION keeps(who text, what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO kept VALUES (who, what);
	IF what = 'fails' THEN RAISE EXCEPTION 'not %', what; END IF;
	RETURN what;
END $$;
SELECT aion.register_activity('keeps', 'keeps(text, text)');
CREATE FUNCTION step(what text) RETURNS text LANGUAGE sql AS $$ SELECT aion.value(aion.run('keeps', jsonb_build_object('who', aion.workflow_id(), 'what', what))) $$;
CREATE FUNCTION at_once_python(failing boolean) RETURNS text LANGUAGE plpython3u AS $$
plpy.execute("SELECT step('a')")
try:
    plpy.execute("SELECT step('fails')" if failing else "SELECT step('b')")
except plpy.SPIError:
    if plpy.execute("SELECT aion.raised() AS r")[0]['r'] != 'WA001': raise
    plpy.execute("SELECT step('instead')")
plpy.execute("SELECT step('c')")
if not failing:
    with plpy.subtransaction():
        plpy.execute("SELECT step('d')")
return 'done'
$$;
CREATE FUNCTION at_once_perl(failing boolean) RETURNS text LANGUAGE plperl AS $$
spi_exec_query("SELECT step('a')");
eval { spi_exec_query($_[0] eq 't' ? "SELECT step('fails')" : "SELECT step('b')") };
if ($@) {
	die $@ if spi_exec_query('SELECT aion.raised() AS r')->{rows}[0]{r} ne 'WA001';
	spi_exec_query("SELECT step('instead')");
}
spi_exec_query("SELECT step('c')");
spi_exec_query("SELECT step('d')") if $_[0] ne 't';
return 'done';
$$;
CREATE FUNCTION at_once_tcl(failing boolean) RETURNS text LANGUAGE pltcl AS $$
spi_exec {SELECT step('a')}
if {[catch {spi_exec [expr {$1 ? "SELECT step('fails')" : "SELECT step('b')"}]} message]} {
	spi_exec {SELECT aion.raised() AS r}
	if {$r ne "WA001"} {error $message}
	spi_exec {SELECT step('instead')}
}
spi_exec {SELECT step('c')}
if {!$1} {spi_exec {SELECT step('d')}}
return done
$$;
CREATE FUNCTION undone_python(failing boolean) RETURNS text LANGUAGE plpython3u AS $$
try:
    with plpy.subtransaction():
        plpy.execute("SELECT step('undone')")
        if failing: plpy.execute("SELECT 1 / 0")
except plpy.SPIError as e:
    if e.sqlstate != '22012': raise
plpy.execute("SELECT step('c')")
return 'done'
$$;
CREATE FUNCTION at_once(w text, optimistic text, failing boolean, OUT turns bigint, OUT history text, OUT kept text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.register_workflow(w, (w || '(boolean)')::regprocedure), set_config('aion.optimistic_turns', optimistic, true), aion_test.begin('2026-01-01 00:00+00');
	PERFORM aion.start_workflow(w, jsonb_build_object('failing', failing), workflow_id => w);
	turns := aion_test.run_until_idle();
	history := (SELECT string_agg(replace(h.event_type, 'Activity', ''), ' ' ORDER BY h.seq) FROM aion.history(w) h WHERE seq > 1);
	kept := (SELECT string_agg(k.what, ' ' ORDER BY k.ctid) FROM kept k WHERE k.who = w);
	RAISE EXCEPTION USING ERRCODE = 'XX999', MESSAGE = jsonb_build_array(turns, history, kept, aion_test.replay(w) ~ '^ok');
EXCEPTION WHEN SQLSTATE 'XX999' THEN
	turns := SQLERRM::jsonb ->> 0; history := SQLERRM::jsonb ->> 1; kept := SQLERRM::jsonb ->> 2 || CASE SQLERRM::jsonb ->> 3 WHEN 'true' THEN ', replays' ELSE '' END;
END $$;
SELECT w, optimistic, failing, t.turns, t.history, t.kept FROM unnest('{at_once_python,at_once_perl,at_once_tcl,undone_python}'::text[]) w, unnest('{off,on}'::text[]) optimistic,
	unnest('{f,t}'::boolean[]) failing, at_once(w, optimistic, failing) t ORDER BY w, failing, optimistic;

-- A function that is given its arguments in another form, by TRANSFORM, is another version.
RESET SESSION AUTHORIZATION;
CREATE EXTENSION jsonb_plperl;
SET SESSION AUTHORIZATION language_user;
CREATE FUNCTION form(given jsonb) RETURNS text LANGUAGE plperl AS $$ return ref($_[0]) ? 'structure' : 'text' $$;
SELECT aion.register_workflow('form', 'form(jsonb)') IS NOT NULL AS registered;
SELECT aion.start_workflow('form', '{"a": 1}', workflow_id => 'form as text');
CREATE OR REPLACE FUNCTION form(given jsonb) RETURNS text TRANSFORM FOR TYPE jsonb LANGUAGE plperl AS $$ return ref($_[0]) ? 'structure' : 'text' $$;
SELECT aion.start_workflow('form', '{"a": 1}', workflow_id => 'form as structure');
CALL aion.drive();
SELECT workflow_id, result FROM aion.workflow_run WHERE workflow_type = 'form' ORDER BY 1;

-- PL/Perl unpins a cursor that it is told to close: loops of the session over queries go on as if it had not.
CREATE FUNCTION closes(cursor text) RETURNS text LANGUAGE plperl AS $$ spi_cursor_close($_[0]); return 'closed'; $$;
CREATE FUNCTION closes_all(state jsonb, arguments jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE refused int := 0;
BEGIN
	FOR i IN 1 .. 200 LOOP
		BEGIN
			PERFORM closes(format('<unnamed portal %s>', i));
		EXCEPTION WHEN OTHERS THEN
			refused := refused + 1;
		END;
	END LOOP;
	RETURN to_jsonb(refused > 0);
END $$;
CREATE FUNCTION answers_by_closing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.on_query('closes', 'closes_all(jsonb, jsonb)', '{}'); PERFORM aion.receive('end'); END $$;
SELECT aion.register_workflow('answers_by_closing', 'answers_by_closing()') IS NOT NULL AS registered;
SELECT aion.start_workflow('answers_by_closing', workflow_id => 'closes');
CALL aion.drive();
RESET SESSION AUTHORIZATION;
CREATE ROLE language_member IN ROLE language_user;
SELECT aion.grant_usage('language_member');
SET SESSION AUTHORIZATION language_member;
DO $$
DECLARE i int; refused jsonb; rounds int := 0;
BEGIN
	FOR i IN SELECT generate_series(1, 200) LOOP
		IF i = 1 THEN refused := aion.query_workflow('closes', 'closes'); END IF;
		COMMIT;
		rounds := rounds + 1;
	END LOOP;
	RAISE NOTICE '% rounds, refused: %', rounds, refused;
END $$;
RESET SESSION AUTHORIZATION;
DROP OWNED BY language_member;
DROP ROLE language_member;

-- aion.raised() is for workflow code.
SELECT aion.raised();
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
-- Names belong to the whole database: the next test begins with none.
SET client_min_messages = warning;
DROP EXTENSION aion CASCADE;
DROP OWNED BY language_user CASCADE;
DROP ROLE language_user;
DROP EXTENSION jsonb_plperl, plpython3u, plperl, pltcl;
CREATE EXTENSION aion;
