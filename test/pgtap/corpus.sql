--
-- Histories that earlier releases have made, and the functions that made them (test/corpus): every release replays them all (9, 10).
-- With -v play=NAME it plays a workflow in virtual time and prints its history instead.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS aion;
CREATE ROLE corpus_user LOGIN;
SELECT aion.grant_usage('corpus_user') \g /dev/null
CREATE SCHEMA corpus AUTHORIZATION corpus_user;
SET SESSION AUTHORIZATION corpus_user;
SET search_path = corpus, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set workflows `cat $(ls test/corpus/*.sql | grep -v /release-)`
\o /dev/null
:workflows
\o
\if :{?play}
	\set player corpus.play_ :play
	BEGIN;
	SELECT aion_test.begin('2026-01-01 00:00+00') \g /dev/null
	SELECT :player() \g /dev/null
	SELECT format(E'{%s, "events": [\n%s\n]}', trim('{}' FROM (h - 'events')::text), (SELECT string_agg(e::text, E',\n' ORDER BY n) FROM jsonb_array_elements(h -> 'events') WITH ORDINALITY x(e, n)))
		FROM aion.export_history(:'play') h;
	ROLLBACK;
	\q
\endif

CREATE TEMP TABLE kept (history jsonb);
\copy kept FROM PROGRAM 'for file in test/corpus/*.json; do tr -d "\n" <"$file"; echo; done' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
CREATE TEMP TABLE kept_event AS SELECT history ->> 'workflow_id' AS id, e, (e ->> 'seq')::int AS seq FROM kept, jsonb_array_elements(history -> 'events') e;
RESET SESSION AUTHORIZATION;
SELECT plan(count(*)::int + 3) FROM kept;
SET SESSION AUTHORIZATION corpus_user;
CREATE TEMP TABLE verdict AS SELECT history ->> 'workflow_id' AS id, aion_test.replay(history) AS line FROM kept;
GRANT SELECT ON kept, kept_event, verdict TO PUBLIC;
RESET SESSION AUTHORIZATION;
SELECT is(line, format('ok - replay of %s agrees with its history', id), id || ' replays') FROM verdict ORDER BY id;
SET SESSION AUTHORIZATION corpus_user;
-- That says something: a command that is another, or more than there was, is found.
CREATE TEMP TABLE meddled AS
	SELECT id, seq, aion_test.replay(jsonb_set(history, ARRAY['events', (seq - 1)::text, 'attributes', 'activity'], '"another"')) AS line
		FROM kept JOIN kept_event ON id = history ->> 'workflow_id' WHERE e ->> 'event_type' = 'ActivityScheduled';
GRANT SELECT ON meddled TO PUBLIC;
RESET SESSION AUTHORIZATION;
SELECT is_empty($$SELECT id, seq FROM meddled WHERE line ~ '^ok'$$, 'none replays if one of its activities was another');
SELECT cmp_ok((SELECT count(*)::int FROM meddled), '>', 20, 'of which there are many');
-- What a release adds to histories is added here.
SELECT set_eq($$SELECT unnest(enum_range(NULL::aion.event_type))::text EXCEPT SELECT e ->> 'event_type' FROM kept_event$$,
	ARRAY[]::text[], 'every type of event occurs');
SELECT * FROM finish();
-- Names belong to the whole database: the next test begins with none.
DROP EXTENSION aion CASCADE;
DROP OWNED BY corpus_user CASCADE;
DROP ROLE corpus_user;
CREATE EXTENSION aion;
