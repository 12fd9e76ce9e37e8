--
-- What strangers can make up: exported histories for aion_test.replay(). Each type of event, each of its members: removed, null, of another
-- type, huge; events that are out of order, repeated, misnumbered, unknown. Each ends in a verdict or an error of class WF, and the server stays up (11.7).
-- The types come from aion.event_type and their members from test/corpus, where each type has to occur: so none can be forgotten.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS aion;
CREATE ROLE fuzz_user LOGIN;
SELECT aion.grant_usage('fuzz_user') \g /dev/null
CREATE SCHEMA corpus AUTHORIZATION fuzz_user;
GRANT TEMPORARY ON DATABASE :DBNAME TO fuzz_user;
SET SESSION AUTHORIZATION fuzz_user;
SET search_path = corpus, public;
SET timezone = 'UTC';
\set workflows `cat $(ls test/corpus/*.sql | grep -v /release-)`
\o /dev/null
:workflows
\o
CREATE TEMP TABLE kept (history jsonb);
\copy kept FROM PROGRAM 'for file in test/corpus/*.json; do tr -d "\n" <"$file"; echo; done' WITH (FORMAT csv, DELIMITER E'\x01', QUOTE E'\x02')
-- Replays a history; the SQLSTATE, or "verdict".
CREATE FUNCTION outcome(history jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN aion_test.replay(history) ~ '^(not )?ok - ' THEN 'verdict' ELSE 'no verdict' END;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
CREATE TEMP TABLE value AS SELECT * FROM (VALUES ('null', 'null'::jsonb), ('true', 'true'), ('0', '0'), ('negative', '-1'), ('fraction', '0.5'),
	('large', '1e30'), ('2147483648', '2147483648'), ('empty text', '""'), ('text', '"x"'), ('moment', '"infinity"'), ('array', '[]'), ('object', '{}'),
	('array of nulls', '[null]'), ('array of arrays', '[[[]]]'), ('array of numbers', '[0, 1, 1000000]'), ('object of null', '{"sqlstate": null, "message": null}'),
	('failure', '{"sqlstate": "x", "message": "y"}'), ('deep', (repeat('[', 500) || repeat(']', 500))::jsonb), ('huge', to_jsonb(repeat('x', 1000000)))) v (how, value);
CREATE TEMP TABLE spot AS -- one occurrence of each member of each type, of the event itself and of its attributes
	SELECT DISTINCT ON (type, path[3:]) history, type, path FROM kept, jsonb_array_elements(history -> 'events') WITH ORDINALITY e (event, n),
		LATERAL (SELECT event ->> 'event_type') t (type),
		LATERAL (SELECT ARRAY['events', (n - 1)::text, k] FROM jsonb_object_keys(event) k
			UNION ALL SELECT ARRAY['events', (n - 1)::text, 'attributes', k] FROM jsonb_object_keys(event -> 'attributes') k
			UNION ALL SELECT ARRAY['events', (n - 1)::text, 'attributes', k, l] FROM jsonb_each(event -> 'attributes') a (k, v),
				jsonb_object_keys(CASE jsonb_typeof(v) WHEN 'object' THEN v ELSE '{}' END) l) p (path)
	ORDER BY type, path[3:], history ->> 'workflow_id', n;
CREATE TEMP TABLE result AS
	SELECT type, path, 'removed' AS how, outcome(history #- path) FROM spot
	UNION ALL SELECT type, path, how, outcome(jsonb_set(history, path, value)) FROM spot, value;
INSERT INTO result SELECT h ->> 'workflow_id', ARRAY[k], how, outcome(jsonb_set(h, ARRAY[k], value)) FROM (SELECT history FROM kept LIMIT 1) x (h), jsonb_object_keys(h) k, value;
INSERT INTO result SELECT 'top', NULL, how, outcome(value) FROM value;
-- Events by themselves, with numbers that fit: one removed, two exchanged, one repeated, each type in each place of a short history.
CREATE FUNCTION renumbered(history jsonb, events jsonb[]) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_set(history, '{events}', (SELECT jsonb_agg(e || jsonb_build_object('seq', n, 'recorded_at', timestamptz '2026-01-01 00:00+00') ORDER BY n)
		FROM unnest(events) WITH ORDINALITY u (e, n))) $$;
CREATE TEMP TABLE list AS SELECT history, ARRAY(SELECT e FROM jsonb_array_elements(history -> 'events') e) AS es FROM kept;
INSERT INTO result SELECT es[i] ->> 'event_type', ARRAY[history ->> 'workflow_id', i::text], how, outcome(h) FROM list, generate_series(1, cardinality(es)) i,
	LATERAL (VALUES ('event removed', renumbered(history, es[:i - 1] || es[i + 1:])), ('event repeated', renumbered(history, es[:i] || es[i:])),
		('ended after', renumbered(history, es[:i])), ('exchanged with the next', renumbered(history, es[:i - 1] || es[i + 1:i + 1] || es[i:i] || es[i + 2:])),
		('moved to the end', renumbered(history, es[:i - 1] || es[i + 1:] || es[i:i])),
		('wrong seq', jsonb_set(history, ARRAY['events', (i - 1)::text, 'seq'], to_jsonb(i + 1))),
		('unknown key', jsonb_set(history, ARRAY['events', (i - 1)::text, 'unknown'], '{"a": [1]}')),
		('unknown type', jsonb_set(history, ARRAY['events', (i - 1)::text, 'event_type'], '"Unknown"'))) c (how, h);
INSERT INTO result SELECT foreign_type, ARRAY[history ->> 'workflow_id', i::text], 'put in', outcome(renumbered(history, es[:i] || e || es[i + 1:]))
	FROM list, generate_series(1, least(cardinality(es), 6)) i,
		(SELECT DISTINCT ON (e ->> 'event_type') e ->> 'event_type', e FROM kept, jsonb_array_elements(history -> 'events') e ORDER BY e ->> 'event_type') f (foreign_type, e);
-- Each type without a key or attributes, and with the keys that mean something elsewhere.
INSERT INTO result SELECT label::text, ARRAY[key], 'bare', outcome(renumbered(history, es || (jsonb_build_object('event_type', label) || key::jsonb)))
	FROM (SELECT * FROM list LIMIT 1) l, unnest(enum_range(NULL::aion.event_type)) label,
		unnest(ARRAY['{}', '{"key": ""}', '{"key": "1"}', '{"key": "sleep:1"}', '{"key": "scope:1", "attributes": {}}', '{"key": "-1", "attributes": null}', '{"key": "99999999999", "attributes": []}']) key;
-- What CommandAnswered answers is one more type within a type.
INSERT INTO result SELECT 'CommandAnswered', ARRAY[word], how, outcome(jsonb_set(history, path[:3] || 'command'::text, to_jsonb(word)) #- (path[:3] || how))
	FROM spot, unnest(ARRAY['nothing', 'run', 'sleep', 'start_timer', 'timeout', 'cancel_timer', 'cancel', 'on_query', 'try_receive', 'send_signal', 'upsert_search_attributes',
		'timeout scope', 'request_cancel', 'start_child', 'cancel_child']) word, unnest(ARRAY['answer', 'error', 'input']) how WHERE type = 'CommandAnswered' AND path[3] = 'attributes' AND cardinality(path) = 4;
GRANT SELECT ON result, spot TO PUBLIC;
RESET SESSION AUTHORIZATION;
SELECT plan(4);
SELECT set_eq('SELECT DISTINCT type FROM spot', 'SELECT unnest(enum_range(NULL::aion.event_type))::text', 'each type of event is meddled with');
SELECT cmp_ok((SELECT count(*)::int FROM result), '>', 5000, 'in many ways');
SELECT is_empty($$SELECT type, path, how, left(outcome, 200) FROM result WHERE outcome !~ '^(verdict$|WF)'$$, 'the answer is a verdict or an error of class WF');
SELECT cmp_ok((SELECT count(*)::int FROM result WHERE outcome ~ '^WF'), '>', 500, 'of which there are many');
SELECT * FROM finish();
DROP EXTENSION aion CASCADE;
DROP OWNED BY fuzz_user CASCADE;
DROP ROLE fuzz_user;
CREATE EXTENSION aion;
