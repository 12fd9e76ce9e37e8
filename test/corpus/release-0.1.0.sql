-- A database of release 0.1.0, as pg_dump wrote it, without what only repeats defaults; test/tap/update.pl restores it.
-- Its runs are in every state that 0.1.0 knows; the tokens of tasks that a worker has claimed are in bob.token.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE EXTENSION IF NOT EXISTS aion WITH SCHEMA pg_catalog;
COMMENT ON EXTENSION aion IS 'durable workflows: history, replay, timers, activities';
CREATE SCHEMA aion_code_2;
CREATE SCHEMA alice;
ALTER SCHEMA alice OWNER TO alice;
CREATE SCHEMA bob;
ALTER SCHEMA bob OWNER TO bob;
CREATE FUNCTION aion_code.child(what text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN jsonb_build_array(what, aion.receive('go'), alice.do_it('act', what)); END $$;
ALTER FUNCTION aion_code.child(what text) DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.counts(i integer DEFAULT 1) RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM aion.receive('go'), alice.do_it('act', 'count ' || i);
	IF i < 4 THEN PERFORM aion.continue_as_new(jsonb_build_object('i', i + 1)); END IF;
	RETURN 'counted to ' || i;
END $$;
ALTER FUNCTION aion_code.counts(i integer) DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.differs() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'before');
	IF EXISTS (SELECT FROM alice.broken WHERE what = 'code') THEN PERFORM aion.sleep('1 hour'); END IF;
	PERFORM aion.start_timer('long', '100 years'), aion.receive('go'), alice.do_it('act', 'after');
	RETURN 'went on';
END $$;
ALTER FUNCTION aion_code.differs() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.does(activity text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN alice.do_it(activity, 'it'); END $$;
ALTER FUNCTION aion_code.does(activity text) DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.fails() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'before');
	RAISE EXCEPTION 'as told' USING ERRCODE = 'P0042', DETAIL = 'a detail';
END $$;
ALTER FUNCTION aion_code.fails() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.has_deadlines() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
	said jsonb := '[]';
	outermost aion.scope := aion.begin_timeout('100 years');
BEGIN
	BEGIN
		PERFORM aion.begin_timeout('30 seconds'), aion.receive('never');
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || to_jsonb(SQLSTATE);
	END;
	said := said || aion.receive('go');
	PERFORM aion.end_timeout(outermost), alice.do_it('act', 'in time');
	RETURN said;
END $$;
ALTER FUNCTION aion_code.has_deadlines() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.many() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM aion.start_timer('long', '100 years');
	RETURN aion.await_all(ARRAY[aion.next_signal('a'), aion.start_activity('card', '{"what": "one of many"}'), aion.start_timer('short', '30 seconds')]);
END $$;
ALTER FUNCTION aion_code.many() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.mistaken() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN jsonb_build_array(alice.do_it('act', 'before'), aion.run_child('child', '{"what": "it"}', 'no child', parent_close => 'no such')); END $$;
ALTER FUNCTION aion_code.mistaken() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.naps(duration interval) RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'before'), aion.sleep(duration), alice.do_it('act', 'after');
	RETURN 'slept';
END $$;
ALTER FUNCTION aion_code.naps(duration interval) DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.needs_helper() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM aion.receive('go'); RETURN alice.helper(); END $$;
ALTER FUNCTION aion_code.needs_helper() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.parent() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
	RETURN jsonb_build_array(aion.run_child('child', '{"what": "first"}', 'first child'), alice.do_it('act', 'between'), aion.run_child('child', '{"what": "second"}', 'second child', parent_close => 'request_cancel'));
END $$;
ALTER FUNCTION aion_code.parent() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.publishes() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM aion.on_query('total', 'alice.total(jsonb, jsonb)', '[40]'), aion.publish('step', '"waiting"');
	PERFORM aion.upsert_search_attributes('{"tier": "gold"}'), aion.receive('go'), aion.publish('step', '"over"');
	RETURN 'published';
END $$;
ALTER FUNCTION aion_code.publishes() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.signals(n integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	FOR i IN 1..n LOOP
		said := said || aion.receive('go');
		PERFORM alice.do_it('act', 'signal ' || i);
	END LOOP;
	RETURN said;
END $$;
ALTER FUNCTION aion_code.signals(n integer) DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.ticks() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN alice.do_it('act', 'tick'); END $$;
ALTER FUNCTION aion_code.ticks() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.tidies() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	BEGIN
		PERFORM aion.receive('never');
	EXCEPTION WHEN SQLSTATE 'WF028' THEN
		PERFORM aion.shield(true), aion.receive('go'), alice.do_it('act', 'tidied');
		RAISE;
	END;
	RETURN 'not cancelled';
END $$;
ALTER FUNCTION aion_code.tidies() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.total(state jsonb, args jsonb) RETURNS jsonb
    LANGUAGE sql
    AS $$ SELECT to_jsonb((state ->> 0)::int + (args ->> 0)::int) $$;
ALTER FUNCTION aion_code.total(state jsonb, args jsonb) DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.versions() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM aion.receive('go'); RETURN 'by the first version'; END $$;
ALTER FUNCTION aion_code.versions() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code.works_when_mended() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'fragile'), aion.receive('go'), alice.do_it('act', 'robust');
	RETURN 'mended';
END $$;
ALTER FUNCTION aion_code.works_when_mended() DEPENDS ON EXTENSION aion;
CREATE FUNCTION aion_code_2.versions() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM aion.receive('go'); RETURN 'by the second version'; END $$;
ALTER FUNCTION aion_code_2.versions() DEPENDS ON EXTENSION aion;
CREATE FUNCTION alice.act(who text, what text) RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	IF EXISTS (SELECT FROM alice.broken b WHERE b.what = act.what) THEN RAISE EXCEPTION '% is broken', what; END IF;
	INSERT INTO alice.effect VALUES (who, what);
	RETURN 'did ' || what;
END $$;
ALTER FUNCTION alice.act(who text, what text) OWNER TO alice;
CREATE FUNCTION alice.child(what text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN jsonb_build_array(what, aion.receive('go'), alice.do_it('act', what)); END $$;
ALTER FUNCTION alice.child(what text) OWNER TO alice;
CREATE FUNCTION alice.counts(i integer DEFAULT 1) RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM aion.receive('go'), alice.do_it('act', 'count ' || i);
	IF i < 4 THEN PERFORM aion.continue_as_new(jsonb_build_object('i', i + 1)); END IF;
	RETURN 'counted to ' || i;
END $$;
ALTER FUNCTION alice.counts(i integer) OWNER TO alice;
CREATE FUNCTION alice.differs() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'before');
	IF EXISTS (SELECT FROM alice.broken WHERE what = 'code') THEN PERFORM aion.sleep('1 hour'); END IF;
	PERFORM aion.start_timer('long', '100 years'), aion.receive('go'), alice.do_it('act', 'after');
	RETURN 'went on';
END $$;
ALTER FUNCTION alice.differs() OWNER TO alice;
CREATE FUNCTION alice.do_it(activity text, what text) RETURNS jsonb
    LANGUAGE sql
    AS $$ SELECT aion.run(activity, jsonb_build_object('who', aion.workflow_id(), 'what', what)) $$;
ALTER FUNCTION alice.do_it(activity text, what text) OWNER TO alice;
CREATE FUNCTION alice.does(activity text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN alice.do_it(activity, 'it'); END $$;
ALTER FUNCTION alice.does(activity text) OWNER TO alice;
CREATE FUNCTION alice.fails() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'before');
	RAISE EXCEPTION 'as told' USING ERRCODE = 'P0042', DETAIL = 'a detail';
END $$;
ALTER FUNCTION alice.fails() OWNER TO alice;
CREATE FUNCTION alice.has_deadlines() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
	said jsonb := '[]';
	outermost aion.scope := aion.begin_timeout('100 years');
BEGIN
	BEGIN
		PERFORM aion.begin_timeout('30 seconds'), aion.receive('never');
	EXCEPTION WHEN SQLSTATE 'WF026' THEN
		said := said || to_jsonb(SQLSTATE);
	END;
	said := said || aion.receive('go');
	PERFORM aion.end_timeout(outermost), alice.do_it('act', 'in time');
	RETURN said;
END $$;
ALTER FUNCTION alice.has_deadlines() OWNER TO alice;
CREATE FUNCTION alice.many() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM aion.start_timer('long', '100 years');
	RETURN aion.await_all(ARRAY[aion.next_signal('a'), aion.start_activity('card', '{"what": "one of many"}'), aion.start_timer('short', '30 seconds')]);
END $$;
ALTER FUNCTION alice.many() OWNER TO alice;
CREATE FUNCTION alice.mistaken() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN jsonb_build_array(alice.do_it('act', 'before'), aion.run_child('child', '{"what": "it"}', 'no child', parent_close => 'no such')); END $$;
ALTER FUNCTION alice.mistaken() OWNER TO alice;
CREATE FUNCTION alice.naps(duration interval) RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'before'), aion.sleep(duration), alice.do_it('act', 'after');
	RETURN 'slept';
END $$;
ALTER FUNCTION alice.naps(duration interval) OWNER TO alice;
CREATE FUNCTION alice.needs_helper() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM aion.receive('go'); RETURN alice.helper(); END $$;
ALTER FUNCTION alice.needs_helper() OWNER TO alice;
CREATE FUNCTION alice.parent() RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
BEGIN
	RETURN jsonb_build_array(aion.run_child('child', '{"what": "first"}', 'first child'), alice.do_it('act', 'between'), aion.run_child('child', '{"what": "second"}', 'second child', parent_close => 'request_cancel'));
END $$;
ALTER FUNCTION alice.parent() OWNER TO alice;
CREATE FUNCTION alice.publishes() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM aion.on_query('total', 'alice.total(jsonb, jsonb)', '[40]'), aion.publish('step', '"waiting"');
	PERFORM aion.upsert_search_attributes('{"tier": "gold"}'), aion.receive('go'), aion.publish('step', '"over"');
	RETURN 'published';
END $$;
ALTER FUNCTION alice.publishes() OWNER TO alice;
CREATE FUNCTION alice.signals(n integer) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
	said jsonb := '[]';
BEGIN
	FOR i IN 1..n LOOP
		said := said || aion.receive('go');
		PERFORM alice.do_it('act', 'signal ' || i);
	END LOOP;
	RETURN said;
END $$;
ALTER FUNCTION alice.signals(n integer) OWNER TO alice;
CREATE FUNCTION alice.ticks() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN RETURN alice.do_it('act', 'tick'); END $$;
ALTER FUNCTION alice.ticks() OWNER TO alice;
CREATE FUNCTION alice.tidies() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	BEGIN
		PERFORM aion.receive('never');
	EXCEPTION WHEN SQLSTATE 'WF028' THEN
		PERFORM aion.shield(true), aion.receive('go'), alice.do_it('act', 'tidied');
		RAISE;
	END;
	RETURN 'not cancelled';
END $$;
ALTER FUNCTION alice.tidies() OWNER TO alice;
CREATE FUNCTION alice.total(state jsonb, args jsonb) RETURNS jsonb
    LANGUAGE sql
    AS $$ SELECT to_jsonb((state ->> 0)::int + (args ->> 0)::int) $$;
ALTER FUNCTION alice.total(state jsonb, args jsonb) OWNER TO alice;
CREATE FUNCTION alice.versions() RETURNS text
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM aion.receive('go'); RETURN 'by the second version'; END $$;
ALTER FUNCTION alice.versions() OWNER TO alice;
CREATE FUNCTION alice.works_when_mended() RETURNS text
    LANGUAGE plpgsql
    AS $$
BEGIN
	PERFORM alice.do_it('act', 'fragile'), aion.receive('go'), alice.do_it('act', 'robust');
	RETURN 'mended';
END $$;
ALTER FUNCTION alice.works_when_mended() OWNER TO alice;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE alice.broken (
    what text
);
ALTER TABLE alice.broken OWNER TO alice;
CREATE TABLE alice.effect (
    who text,
    what text
);
ALTER TABLE alice.effect OWNER TO alice;
CREATE TABLE bob.token (
    workflow_id text,
    token text
);
ALTER TABLE bob.token OWNER TO bob;
COPY aion._activity (name, owner_key, handler, mode, task_queue, policy) FROM stdin;
act	1	alice.act(pg_catalog.text,pg_catalog.text)	inline	default	{}
removed	1	alice.removed(pg_catalog.text,pg_catalog.text)	inline	default	{}
back	1	alice.act(pg_catalog.text,pg_catalog.text)	background	default	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}}
again	1	alice.act(pg_catalog.text,pg_catalog.text)	inline	default	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}}
card	1	\N	external	cards	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}, "task_queue": "cards", "start_to_close_timeout": "100 years"}
one	1	\N	external	one	{"task_queue": "one", "start_to_close_timeout": "100 years"}
\.
COPY aion._adoption (singleton, system_identifier, database, extension, execution, adopted_at) FROM stdin;
t	7713693365209946627	16386	16387	on	2024-01-10 20:29:56.676814+00
\.
COPY aion._attribute (run_key, owner_key, search_attributes, memo) FROM stdin;
1	1	{"customer": 7}	"a note"
20	1	{"tier": "gold", "customer": 8}	{"a": 1}
\.
COPY aion._event (run_key, seq, owner_key, recorded_at, event_type, key, attributes) FROM stdin;
1	1	1	2024-01-10 20:29:57.183838+00	WorkflowStarted	\N	{"memo": "a note", "input": {"duration": "1 microsecond"}, "version": "9281215860fd96b6", "started_by": "alice", "workflow_type": "naps", "search_attributes": {"customer": 7}}
2	1	1	2024-01-10 20:29:57.193294+00	WorkflowStarted	\N	{"input": {}, "version": "89aea15724826e8a", "started_by": "alice", "workflow_type": "fails"}
3	1	1	2024-01-10 20:29:57.193515+00	WorkflowStarted	\N	{"input": {"n": 1}, "version": "51cdd6da1d9cf6c2", "started_by": "alice", "workflow_type": "signals"}
4	1	1	2024-01-10 20:29:57.193611+00	WorkflowStarted	\N	{"input": {"n": 1}, "version": "51cdd6da1d9cf6c2", "started_by": "alice", "workflow_type": "signals"}
5	1	1	2024-01-10 20:29:57.193706+00	WorkflowStarted	\N	{"input": {"n": 1}, "version": "51cdd6da1d9cf6c2", "deadline": "2024-01-10T20:29:58.193687+00:00", "started_by": "alice", "workflow_type": "signals"}
5	2	1	2024-01-10 20:29:57.193707+00	TimerStarted	deadline:	{"fire_at": "2024-01-10T20:29:58.193687+00:00"}
6	1	1	2024-01-10 20:29:57.199683+00	WorkflowStarted	\N	{"input": {}, "version": "067e84c0db40e986", "started_by": "alice", "workflow_type": "works_when_mended"}
7	1	1	2024-01-10 20:29:57.199896+00	WorkflowStarted	\N	{"input": {}, "version": "f7ce8aa64ffa9279", "started_by": "alice", "workflow_type": "mistaken"}
1	2	1	2024-01-10 20:29:57.225572+00	ActivityScheduled	1	{"input": {"who": "completed", "what": "before"}, "activity": "act"}
1	3	1	2024-01-10 20:29:57.225773+00	ActivityCompleted	1	{"result": "did before"}
2	2	1	2024-01-10 20:29:57.226588+00	ActivityScheduled	1	{"input": {"who": "failed", "what": "before"}, "activity": "act"}
2	3	1	2024-01-10 20:29:57.226667+00	ActivityCompleted	1	{"result": "did before"}
2	4	1	2024-01-10 20:29:57.226701+00	WorkflowFailed	\N	{"error": {"detail": "a detail", "context": "PL/pgSQL function aion_code.fails() line 4 at RAISE", "message": "as told", "sqlstate": "P0042"}}
6	2	1	2024-01-10 20:29:57.228496+00	ActivityScheduled	1	{"input": {"who": "reopened", "what": "fragile"}, "activity": "act"}
6	3	1	2024-01-10 20:29:57.228567+00	ActivityFailed	1	{"error": {"context": "PL/pgSQL function act(text,text) line 3 at RAISE", "message": "fragile is broken", "activity": "act", "attempts": 1, "sqlstate": "P0001"}}
6	4	1	2024-01-10 20:29:57.228625+00	WorkflowFailed	\N	{"error": {"cause": {"context": "PL/pgSQL function act(text,text) line 3 at RAISE", "message": "fragile is broken", "activity": "act", "attempts": 1, "sqlstate": "P0001"}, "context": "SQL statement \\"SELECT alice.do_it('act', 'fragile'), aion.receive('go'), alice.do_it('act', 'robust')\\"\\nPL/pgSQL function aion_code.works_when_mended() line 3 at PERFORM", "message": "fragile is broken", "sqlstate": "WA001"}, "ended_on": [3]}
7	2	1	2024-01-10 20:29:57.249646+00	ActivityScheduled	1	{"input": {"who": "mistaken", "what": "before"}, "activity": "act"}
7	3	1	2024-01-10 20:29:57.249722+00	ActivityCompleted	1	{"result": "did before"}
1	4	1	2024-01-10 20:29:57.250271+00	TimerStarted	sleep:1	{"fire_at": "2024-01-10T20:29:57.250272+00:00", "duration": "00:00:00.000001"}
1	5	1	2024-01-10 20:29:57.250759+00	TimerFired	sleep:1	\N
1	6	1	2024-01-10 20:29:57.250936+00	ActivityScheduled	2	{"input": {"who": "completed", "what": "after"}, "activity": "act"}
1	7	1	2024-01-10 20:29:57.250986+00	ActivityCompleted	2	{"result": "did after"}
1	8	1	2024-01-10 20:29:57.25104+00	WorkflowCompleted	\N	{"result": "slept"}
7	4	1	2024-01-10 20:29:57.251367+00	WorkflowFailed	\N	{"error": {"hint": "Possible values are: abandon, request_cancel, terminate.", "context": "PL/pgSQL function aion_code.mistaken() line 1 at RETURN", "message": "invalid value for parent_close: \\"no such\\"", "sqlstate": "WF014"}}
4	2	1	2024-01-10 20:29:57.278752+00	WorkflowTerminated	\N	{"by": "alice", "reason": "as told"}
5	3	1	2024-01-10 20:29:58.384166+00	TimerCancelled	deadline:	{"cause": "close"}
5	4	1	2024-01-10 20:29:58.384168+00	WorkflowTimedOut	\N	{"reason": "workflow timeout"}
3	2	1	2024-01-10 20:29:58.386412+00	WorkflowCancelRequested	\N	{"by": "alice", "reason": "no longer wanted"}
3	3	1	2024-01-10 20:29:58.386587+00	WorkflowCancelled	\N	{"by": "alice", "reason": "no longer wanted", "ended_on": [2]}
6	5	1	2024-01-10 20:29:58.388869+00	WorkflowReopened	\N	{"by": "alice", "reason": "mended", "supersedes": [3, 4]}
8	1	1	2024-01-10 20:29:58.397366+00	WorkflowStarted	\N	{"input": {"duration": "4 seconds"}, "version": "9281215860fd96b6", "started_by": "alice", "workflow_type": "naps"}
9	1	1	2024-01-10 20:29:58.397595+00	WorkflowStarted	\N	{"input": {"duration": "100 years"}, "version": "9281215860fd96b6", "started_by": "alice", "workflow_type": "naps"}
10	1	1	2024-01-10 20:29:58.397741+00	WorkflowStarted	\N	{"input": {"duration": "1 microsecond"}, "version": "9281215860fd96b6", "start_at": "2024-01-10T20:30:48.395254+00:00", "started_by": "alice", "workflow_type": "naps"}
10	2	1	2024-01-10 20:29:58.397742+00	TimerStarted	start:	{"fire_at": "2024-01-10T20:30:48.395254+00:00"}
11	1	1	2024-01-10 20:29:58.397878+00	WorkflowStarted	\N	{"input": {"duration": "1 microsecond"}, "version": "9281215860fd96b6", "start_at": "2124-01-10T20:29:58.395254+00:00", "started_by": "alice", "workflow_type": "naps"}
11	2	1	2024-01-10 20:29:58.397878+00	TimerStarted	start:	{"fire_at": "2124-01-10T20:29:58.395254+00:00"}
12	1	1	2024-01-10 20:29:58.398273+00	WorkflowStarted	\N	{"input": {"duration": "100 years"}, "version": "9281215860fd96b6", "deadline": "2024-01-10T20:30:38.398062+00:00", "started_by": "alice", "workflow_type": "naps"}
12	2	1	2024-01-10 20:29:58.398274+00	TimerStarted	deadline:	{"fire_at": "2024-01-10T20:30:38.398062+00:00"}
13	1	1	2024-01-10 20:29:58.398551+00	WorkflowStarted	\N	{"input": {"n": 3}, "version": "51cdd6da1d9cf6c2", "started_by": "alice", "workflow_type": "signals"}
14	1	1	2024-01-10 20:29:58.398714+00	WorkflowStarted	\N	{"input": {"n": 2}, "version": "51cdd6da1d9cf6c2", "started_by": "alice", "workflow_type": "signals"}
15	1	1	2024-01-10 20:29:58.399076+00	WorkflowStarted	\N	{"input": {}, "version": "27bac5d2c410b452", "started_by": "alice", "workflow_type": "parent"}
16	1	1	2024-01-10 20:29:58.399651+00	WorkflowStarted	\N	{"input": {"i": 1}, "version": "bc6a0b6843d49da3", "started_by": "alice", "workflow_type": "counts"}
17	1	1	2024-01-10 20:29:58.399892+00	WorkflowStarted	\N	{"input": {}, "version": "1e2cec193abbf097", "started_by": "alice", "workflow_type": "tidies"}
18	1	1	2024-01-10 20:29:58.400006+00	WorkflowStarted	\N	{"input": {}, "version": "1e2cec193abbf097", "started_by": "alice", "workflow_type": "tidies"}
19	1	1	2024-01-10 20:29:58.4002+00	WorkflowStarted	\N	{"input": {}, "version": "30c6c2e6b9ad2bc7", "started_by": "alice", "workflow_type": "has_deadlines"}
20	1	1	2024-01-10 20:29:58.40067+00	WorkflowStarted	\N	{"memo": {"a": 1}, "input": {}, "version": "0b95f21b0a9253cd", "started_by": "alice", "workflow_type": "publishes", "search_attributes": {"customer": 8}}
21	1	1	2024-01-10 20:29:58.401015+00	WorkflowStarted	\N	{"input": {"activity": "card"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
22	1	1	2024-01-10 20:29:58.401367+00	WorkflowStarted	\N	{"input": {"activity": "card"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
23	1	1	2024-01-10 20:29:58.401495+00	WorkflowStarted	\N	{"input": {"activity": "card"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
24	1	1	2024-01-10 20:29:58.403142+00	WorkflowStarted	\N	{"input": {"activity": "one"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
25	1	1	2024-01-10 20:29:58.403304+00	WorkflowStarted	\N	{"input": {"activity": "one"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
26	1	1	2024-01-10 20:29:58.40352+00	WorkflowStarted	\N	{"input": {}, "version": "f9fb9e15a42fb2de", "started_by": "alice", "workflow_type": "needs_helper"}
27	1	1	2024-01-10 20:29:58.403698+00	WorkflowStarted	\N	{"input": {}, "version": "2f1282f2fe400ac5", "started_by": "alice", "workflow_type": "versions"}
28	1	1	2024-01-10 20:29:58.404086+00	WorkflowStarted	\N	{"input": {"n": 1}, "version": "51cdd6da1d9cf6c2", "started_by": "alice", "workflow_type": "signals"}
29	1	1	2024-01-10 20:29:58.404316+00	WorkflowStarted	\N	{"input": {}, "version": "51bf7cdb03d94fe0", "started_by": "alice", "workflow_type": "many"}
30	1	1	2024-01-10 20:29:58.404504+00	WorkflowStarted	\N	{"input": {}, "version": "aa105125ac3e6f8d", "started_by": "alice", "workflow_type": "differs"}
6	6	1	2024-01-10 20:29:58.406376+00	ActivityCompleted	1	{"result": "did fragile"}
8	2	1	2024-01-10 20:29:58.407036+00	ActivityScheduled	1	{"input": {"who": "sleeping", "what": "before"}, "activity": "act"}
8	3	1	2024-01-10 20:29:58.407082+00	ActivityCompleted	1	{"result": "did before"}
8	4	1	2024-01-10 20:29:58.407105+00	TimerStarted	sleep:1	{"fire_at": "2024-01-10T20:30:02.407105+00:00", "duration": "00:00:04"}
9	2	1	2024-01-10 20:29:58.407508+00	ActivityScheduled	1	{"input": {"who": "sleeping long", "what": "before"}, "activity": "act"}
9	3	1	2024-01-10 20:29:58.407546+00	ActivityCompleted	1	{"result": "did before"}
9	4	1	2024-01-10 20:29:58.407567+00	TimerStarted	sleep:1	{"fire_at": "2124-01-10T20:29:58.407567+00:00", "duration": "100 years"}
12	3	1	2024-01-10 20:29:58.407911+00	ActivityScheduled	1	{"input": {"who": "about to time out", "what": "before"}, "activity": "act"}
12	4	1	2024-01-10 20:29:58.407962+00	ActivityCompleted	1	{"result": "did before"}
12	5	1	2024-01-10 20:29:58.407987+00	TimerStarted	sleep:1	{"fire_at": "2124-01-10T20:29:58.407987+00:00", "duration": "100 years"}
31	1	1	2024-01-10 20:29:58.409488+00	WorkflowStarted	\N	{"input": {"what": "first"}, "parents": [{"child": "1", "run_id": "50d88258-434e-4f63-8561-955fc41da8b6", "run_key": 15, "workflow_id": "parent"}], "version": "323e5e55d1b43f5f", "started_by": "alice", "workflow_type": "child"}
15	2	1	2024-01-10 20:29:58.409595+00	ChildWorkflowStarted	1	{"input": {"what": "first"}, "run_id": "a462467c-1216-47d1-8e33-895de1e31873", "run_key": 31, "version": "323e5e55d1b43f5f", "workflow_id": "first child", "workflow_type": "child"}
19	2	1	2024-01-10 20:29:58.411391+00	TimerStarted	scope:1	{"fire_at": "2124-01-10T20:29:58.411391+00:00", "duration": "100 years"}
19	3	1	2024-01-10 20:29:58.411443+00	TimerStarted	scope:2	{"fire_at": "2024-01-10T20:30:28.411443+00:00", "duration": "00:00:30"}
20	2	1	2024-01-10 20:29:58.412075+00	CommandAnswered	total	{"input": {"digest": "dd7319bb21db3f64d8531570eec549f6330659433eb6311576ef3dfdd54a7025", "handler": "alice.total(pg_catalog.jsonb,pg_catalog.jsonb)"}, "command": "on_query"}
20	3	1	2024-01-10 20:29:58.412078+00	SearchAttributesUpdated	\N	{"search_attributes": {"tier": "gold"}}
21	2	1	2024-01-10 20:29:58.423869+00	ActivityScheduled	1	{"input": {"who": "claimed", "what": "it"}, "activity": "card"}
22	2	1	2024-01-10 20:29:58.42735+00	ActivityScheduled	1	{"input": {"who": "completed outside", "what": "it"}, "activity": "card"}
23	2	1	2024-01-10 20:29:58.427816+00	ActivityScheduled	1	{"input": {"who": "tried again", "what": "it"}, "activity": "card"}
24	2	1	2024-01-10 20:29:58.433376+00	ActivityScheduled	1	{"input": {"who": "limited 1", "what": "it"}, "activity": "one"}
25	2	1	2024-01-10 20:29:58.433789+00	ActivityScheduled	1	{"input": {"who": "limited 2", "what": "it"}, "activity": "one"}
29	2	1	2024-01-10 20:29:58.450909+00	TimerStarted	long	{"fire_at": "2124-01-10T20:29:58.450909+00:00", "duration": "100 years"}
29	3	1	2024-01-10 20:29:58.451011+00	ActivityScheduled	1	{"input": {"what": "one of many"}, "activity": "card"}
29	4	1	2024-01-10 20:29:58.451012+00	TimerStarted	short	{"fire_at": "2024-01-10T20:30:28.451012+00:00", "duration": "00:00:30"}
30	2	1	2024-01-10 20:29:58.452+00	ActivityScheduled	1	{"input": {"who": "differs", "what": "before"}, "activity": "act"}
30	3	1	2024-01-10 20:29:58.452058+00	ActivityCompleted	1	{"result": "did before"}
30	4	1	2024-01-10 20:29:58.452095+00	TimerStarted	long	{"fire_at": "2124-01-10T20:29:58.452095+00:00", "duration": "100 years"}
32	1	1	2024-01-10 20:29:58.494895+00	WorkflowStarted	\N	{"input": {}, "version": "c91054432b27f56e", "started_by": "alice", "workflow_type": "versions"}
33	1	1	2024-01-10 20:29:58.496851+00	WorkflowStarted	\N	{"input": {"activity": "removed"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
13	2	1	2024-01-10 20:29:58.505112+00	SignalReceived	go	{"sender": "alice", "payload": "read", "sent_at": "2024-01-10T20:29:58.457885+00:00", "dedup_id": "d 1"}
13	3	1	2024-01-10 20:29:58.505964+00	ActivityScheduled	1	{"input": {"who": "waiting", "what": "signal 1"}, "activity": "act"}
13	4	1	2024-01-10 20:29:58.506037+00	ActivityCompleted	1	{"result": "did signal 1"}
14	2	1	2024-01-10 20:29:58.507223+00	SignalReceived	go	{"sender": "alice", "payload": 1, "sent_at": "2024-01-10T20:29:58.457295+00:00"}
14	3	1	2024-01-10 20:29:58.507708+00	ActivityScheduled	1	{"input": {"who": "origin", "what": "signal 1"}, "activity": "act"}
14	4	1	2024-01-10 20:29:58.507795+00	ActivityCompleted	1	{"result": "did signal 1"}
33	2	1	2024-01-10 20:29:58.508346+00	ActivityScheduled	1	{"input": {"who": "lacks an activity", "what": "it"}, "activity": "removed"}
33	3	1	2024-01-10 20:29:58.508368+00	WorkflowBlocked	\N	{"detail": {"message": "the function does not exist", "activity": "removed", "function": "alice.removed(pg_catalog.text,pg_catalog.text)"}, "reason": "missing code"}
16	2	1	2024-01-10 20:29:58.510497+00	SignalReceived	go	{"sender": "alice", "payload": 1, "sent_at": "2024-01-10T20:29:58.457385+00:00"}
16	3	1	2024-01-10 20:29:58.511159+00	ActivityScheduled	1	{"input": {"who": "chain", "what": "count 1"}, "activity": "act"}
16	4	1	2024-01-10 20:29:58.511326+00	ActivityCompleted	1	{"result": "did count 1"}
16	5	1	2024-01-10 20:29:58.511589+00	WorkflowContinuedAsNew	\N	{"input": {"i": 2}, "run_id": "b3d219e7-fa26-4ec4-b522-30619a4e963d", "run_key": 34, "version": "bc6a0b6843d49da3", "workflow_type": "counts"}
34	1	1	2024-01-10 20:29:58.511577+00	WorkflowStarted	\N	{"input": {"i": 2}, "version": "bc6a0b6843d49da3", "continues": {"run_id": "5583cf99-b3ba-4f63-8fa1-ea96d63179c6", "run_key": 16, "first_run_key": 16}, "started_by": "alice", "workflow_type": "counts"}
17	2	1	2024-01-10 20:29:58.512854+00	WorkflowCancelRequested	\N	{"by": "alice", "reason": "tidy up"}
26	2	1	2024-01-10 20:29:58.513654+00	SignalReceived	go	{"sender": "alice", "payload": null, "sent_at": "2024-01-10T20:29:58.457529+00:00"}
26	3	1	2024-01-10 20:29:58.513865+00	WorkflowFailed	\N	{"error": {"hint": "No function matches the given name and argument types. You might need to add explicit type casts.", "context": "PL/pgSQL function aion_code.needs_helper() line 1 at RETURN", "message": "function alice.helper() does not exist", "sqlstate": "42883"}}
30	5	1	2024-01-10 20:29:58.514369+00	SignalReceived	go	{"sender": "alice", "payload": null, "sent_at": "2024-01-10T20:29:58.468021+00:00"}
30	6	1	2024-01-10 20:29:58.514697+00	WorkflowBlocked	\N	{"detail": {"event": 4, "found": "sleep \\"sleep:1\\" {\\"duration\\": \\"01:00:00\\"}", "context": "SQL statement \\"SELECT aion.sleep('1 hour')\\"\\nPL/pgSQL function aion_code.differs() line 4 at PERFORM", "expected": "start_timer \\"long\\" {\\"duration\\": \\"100 years\\"}", "difference": "kind"}, "reason": "mismatch"}
31	2	1	2024-01-10 20:29:58.515046+00	SignalReceived	go	{"sender": "alice", "payload": "to the first", "sent_at": "2024-01-10T20:29:58.457491+00:00"}
31	3	1	2024-01-10 20:29:58.515379+00	ActivityScheduled	1	{"input": {"who": "first child", "what": "first"}, "activity": "act"}
31	4	1	2024-01-10 20:29:58.51543+00	ActivityCompleted	1	{"result": "did first"}
31	5	1	2024-01-10 20:29:58.515459+00	WorkflowCompleted	\N	{"result": ["first", "to the first", "did first"]}
15	3	1	2024-01-10 20:29:58.515999+00	ChildWorkflowCompleted	1	{"result": ["first", "to the first", "did first"]}
35	1	1	2024-01-10 20:29:58.51666+00	WorkflowStarted	\N	{"input": {"what": "second"}, "parents": [{"child": "2", "run_id": "50d88258-434e-4f63-8561-955fc41da8b6", "run_key": 15, "workflow_id": "parent"}], "version": "323e5e55d1b43f5f", "started_by": "alice", "workflow_type": "child"}
15	4	1	2024-01-10 20:29:58.516478+00	ActivityScheduled	1	{"input": {"who": "parent", "what": "between"}, "activity": "act"}
15	5	1	2024-01-10 20:29:58.516531+00	ActivityCompleted	1	{"result": "did between"}
15	6	1	2024-01-10 20:29:58.51676+00	ChildWorkflowStarted	2	{"input": {"what": "second"}, "run_id": "881a0435-0aca-4642-b1ea-ca736e7280b2", "run_key": 35, "version": "323e5e55d1b43f5f", "workflow_id": "second child", "parent_close": "request_cancel", "workflow_type": "child"}
28	2	1	2024-01-10 20:29:58.543378+00	WorkflowPaused	\N	{"by": "alice", "reason": "for a while"}
36	1	1	2024-01-10 20:29:58.398714+00	WorkflowStarted	\N	{"input": {"n": 2}, "origins": [{"run_id": "f0d08a71-861b-4a78-bf74-13683004290c", "commands": 1, "workflow_id": "origin"}], "version": "51cdd6da1d9cf6c2", "started_by": "alice", "forked_from": {"seq": 4, "run_id": "f0d08a71-861b-4a78-bf74-13683004290c", "workflow_id": "origin"}, "workflow_type": "signals"}
36	2	1	2024-01-10 20:29:58.507223+00	SignalReceived	go	{"sender": "alice", "payload": 1, "sent_at": "2024-01-10T20:29:58.457295+00:00"}
36	3	1	2024-01-10 20:29:58.507708+00	ActivityScheduled	1	{"input": {"who": "origin", "what": "signal 1"}, "activity": "act"}
36	4	1	2024-01-10 20:29:58.507795+00	ActivityCompleted	1	{"result": "did signal 1"}
28	3	1	2024-01-10 20:29:58.564529+00	SignalReceived	go	{"sender": "alice", "payload": "while paused", "sent_at": "2024-01-10T20:29:58.543513+00:00"}
39	1	1	2024-01-10 20:29:58.589861+00	WorkflowStarted	\N	{"input": {}, "version": "5ccd4ccb438ae85a", "schedule": "tea", "started_by": "alice", "scheduled_for": "2024-01-10T18:29:58+00:00", "workflow_type": "ticks"}
40	1	1	2024-01-10 20:29:58.59039+00	WorkflowStarted	\N	{"input": {}, "version": "5ccd4ccb438ae85a", "schedule": "tea", "started_by": "alice", "scheduled_for": "2024-01-10T19:29:58+00:00", "workflow_type": "ticks"}
39	2	1	2024-01-10 20:29:58.592305+00	ActivityScheduled	1	{"input": {"who": "tea/2024-01-10T18:29:58Z", "what": "tick"}, "activity": "act"}
39	3	1	2024-01-10 20:29:58.59237+00	ActivityCompleted	1	{"result": "did tick"}
39	4	1	2024-01-10 20:29:58.592538+00	WorkflowCompleted	\N	{"result": "\\"did tick\\""}
40	2	1	2024-01-10 20:29:58.592898+00	ActivityScheduled	1	{"input": {"who": "tea/2024-01-10T19:29:58Z", "what": "tick"}, "activity": "act"}
40	3	1	2024-01-10 20:29:58.607593+00	ActivityCompleted	1	{"result": "did tick"}
40	4	1	2024-01-10 20:29:58.607704+00	WorkflowCompleted	\N	{"result": "\\"did tick\\""}
41	1	1	2024-01-10 20:29:58.7326+00	WorkflowStarted	\N	{"input": {"activity": "back"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
42	1	1	2024-01-10 20:29:58.743934+00	WorkflowStarted	\N	{"input": {"activity": "again"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
41	2	1	2024-01-10 20:29:58.777548+00	ActivityScheduled	1	{"input": {"who": "retried in the background", "what": "it"}, "activity": "back"}
42	2	1	2024-01-10 20:29:58.779307+00	ActivityScheduled	1	{"input": {"who": "retried inline", "what": "it"}, "activity": "again"}
43	1	1	2024-01-10 20:29:58.815147+00	WorkflowStarted	\N	{"input": {"activity": "back"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
44	1	1	2024-01-10 20:29:58.815325+00	WorkflowStarted	\N	{"input": {"activity": "back"}, "version": "097fa33510ca5030", "started_by": "alice", "workflow_type": "does"}
43	2	1	2024-01-10 20:29:58.82053+00	ActivityScheduled	1	{"input": {"who": "done in the background", "what": "it"}, "activity": "back"}
44	2	1	2024-01-10 20:29:58.821102+00	ActivityScheduled	1	{"input": {"who": "waiting in the background", "what": "it"}, "activity": "back"}
45	1	1	2024-01-10 20:29:58.895314+00	WorkflowStarted	\N	{"input": {"duration": "1 microsecond"}, "version": "9281215860fd96b6", "started_by": "alice", "workflow_type": "naps"}
\.
COPY aion._grant (owner_key, level) FROM stdin;
1	user
2	worker
2	user
\.
COPY aion._inbox (run_key, arrival, sent_at, owner_key, kind, name, sender, dedup_id, chain_key, payload) FROM stdin;
13	11	2024-01-10 20:29:58.883996+00	1	signal	go	alice	d 2	\N	"unread"
18	12	2024-01-10 20:29:58.884525+00	1	cancel	\N	alice	\N	\N	{"reason": "no use"}
\.
COPY aion._late_signal (run_key, arrival, sent_at, owner_key, name, sender, dedup_id, payload) FROM stdin;
\.
COPY aion._owner (owner_key, name, role) FROM stdin;
1	alice	16384
2	bob	16385
\.
COPY aion._pause (singleton, paused_by, paused_at) FROM stdin;
\.
COPY aion._published (run_key, owner_key, name, value, handler, code, copied, digest) FROM stdin;
20	1	total	[40]	alice.total(pg_catalog.jsonb,pg_catalog.jsonb)	aion_code.total(pg_catalog.jsonb,pg_catalog.jsonb)	t	dd7319bb21db3f64d8531570eec549f6330659433eb6311576ef3dfdd54a7025
20	1	step	"waiting"	\N	\N	\N	\N
\.
COPY aion._queue (name, paused, max_running, max_per_key, rate) FROM stdin;
one	f	1	\N	\N
\.
COPY aion._queue_grant (name, owner_key) FROM stdin;
cards	2
one	2
\.
COPY aion._queue_permit (name, kind, number, free_at) FROM stdin;
one	running	1	infinity
\.
COPY aion._run (run_key, run_id, started_at, closed_at, ready_at, retry_at, awaiting_since, owner_key, version_key, head, seen, failures, crashes, status, chain_key, blocked, workflow_id, awaiting, unread) FROM stdin;
2	f845a26e-e606-4e29-a80c-a4ef3506f036	2024-01-10 20:29:57.193294+00	2024-01-10 20:29:57.226701+00	\N	\N	\N	1	4	4	3	0	0	failed	\N	\N	failed	\N	\N
1	2d97d624-593b-4ed2-aa30-e8395d89340a	2024-01-10 20:29:57.183838+00	2024-01-10 20:29:57.25104+00	\N	\N	\N	1	1	8	5	0	0	completed	\N	\N	completed	\N	\N
7	0b843132-16b3-4a93-baf4-43a6478d417f	2024-01-10 20:29:57.199896+00	2024-01-10 20:29:57.251367+00	\N	\N	\N	1	15	4	3	0	0	failed	\N	\N	mistaken	\N	\N
4	78fa9dcd-9633-447c-a48e-1b83c41fcc32	2024-01-10 20:29:57.193611+00	2024-01-10 20:29:57.278752+00	\N	\N	\N	1	2	2	1	0	0	terminated	\N	\N	terminated	\N	\N
5	574a404c-5b7a-4fca-a0c3-2376a3ddd7aa	2024-01-10 20:29:57.193706+00	2024-01-10 20:29:58.384168+00	\N	\N	\N	1	2	4	2	0	0	timed_out	\N	\N	timed out	\N	\N
3	edfbe0f2-d714-4e02-8207-4c205164568d	2024-01-10 20:29:57.193515+00	2024-01-10 20:29:58.386587+00	\N	\N	\N	1	2	3	2	0	0	cancelled	\N	\N	cancelled	\N	\N
10	bedc9de3-9a19-4c71-871b-c762d5334ec1	2024-01-10 20:29:58.397741+00	\N	\N	\N	\N	1	1	2	0	0	0	scheduled	\N	\N	delayed	\N	\N
11	a42bc0d8-0482-4aab-b279-7da15547c560	2024-01-10 20:29:58.397878+00	\N	\N	\N	\N	1	1	2	0	0	0	scheduled	\N	\N	delayed long	\N	\N
6	117274fc-fbd2-49b9-bb17-83d5f12710d9	2024-01-10 20:29:57.199683+00	\N	\N	\N	2024-01-10 20:29:58.406456+00	1	5	6	6	0	0	running	\N	\N	reopened	[{"key": "go", "awaiting": "signal"}]	\N
8	73c0ff83-0bcb-49a0-8e7e-ef4581e12b10	2024-01-10 20:29:58.397366+00	\N	\N	\N	2024-01-10 20:29:58.40714+00	1	1	4	3	0	0	running	\N	\N	sleeping	[{"key": "sleep:1", "until": "2024-01-10T20:30:02.407105+00:00", "awaiting": "timer"}]	\N
9	c1f35f37-fc64-422d-8f36-87dbfd5d5b5a	2024-01-10 20:29:58.397595+00	\N	\N	\N	2024-01-10 20:29:58.407598+00	1	1	4	3	0	0	running	\N	\N	sleeping long	[{"key": "sleep:1", "until": "2124-01-10T20:29:58.407567+00:00", "awaiting": "timer"}]	\N
12	f9c52419-6af7-4764-aaa7-a0e8e302e2a4	2024-01-10 20:29:58.398273+00	\N	\N	\N	2024-01-10 20:29:58.408019+00	1	1	5	4	0	0	running	\N	\N	about to time out	[{"key": "sleep:1", "until": "2124-01-10T20:29:58.407987+00:00", "awaiting": "timer"}]	\N
18	2ae4278d-c29f-41a1-8a4c-d03a338ffda4	2024-01-10 20:29:58.400006+00	\N	\N	\N	2024-01-10 20:29:58.41066+00	1	9	1	1	0	0	running	\N	\N	cancel requested	[{"key": "never", "awaiting": "signal"}]	\N
19	883f7ed6-ccd3-44cd-a57c-5610bd0ac672	2024-01-10 20:29:58.4002+00	\N	\N	\N	2024-01-10 20:29:58.411463+00	1	10	3	1	0	0	running	\N	\N	deadlines	[{"key": "never", "awaiting": "signal"}]	\N
20	efa2b564-ce5d-4f4c-8cdf-026fc649778f	2024-01-10 20:29:58.40067+00	\N	\N	\N	2024-01-10 20:29:58.412081+00	1	11	3	1	0	0	running	\N	\N	published	[{"key": "go", "awaiting": "signal"}]	\N
21	c373697a-d7cd-44b7-88f7-094ddb2885a2	2024-01-10 20:29:58.401015+00	\N	\N	\N	2024-01-10 20:29:58.423874+00	1	3	2	1	0	0	running	\N	\N	claimed	[{"key": "1", "awaiting": "activity"}]	\N
22	33b2274f-3b2d-4460-9f70-47ff988b90bf	2024-01-10 20:29:58.401367+00	\N	\N	\N	2024-01-10 20:29:58.427357+00	1	3	2	1	0	0	running	\N	\N	completed outside	[{"key": "1", "awaiting": "activity"}]	\N
23	38414a90-a853-44e8-8bad-1e2c2c3f6efc	2024-01-10 20:29:58.401495+00	\N	\N	\N	2024-01-10 20:29:58.427819+00	1	3	2	1	0	0	running	\N	\N	tried again	[{"key": "1", "awaiting": "activity"}]	\N
24	15b51809-ff24-4358-91e9-a7b9ac36cd5e	2024-01-10 20:29:58.403142+00	\N	\N	\N	2024-01-10 20:29:58.43338+00	1	3	2	1	0	0	running	\N	\N	limited 1	[{"key": "1", "awaiting": "activity"}]	\N
25	93c2f602-10c1-47ba-bcd4-f26e6f8fe923	2024-01-10 20:29:58.403304+00	\N	\N	\N	2024-01-10 20:29:58.433792+00	1	3	2	1	0	0	running	\N	\N	limited 2	[{"key": "1", "awaiting": "activity"}]	\N
27	02dc96d4-b9ca-4bd7-b9b3-22bd566ea970	2024-01-10 20:29:58.403698+00	\N	\N	\N	2024-01-10 20:29:58.434575+00	1	13	1	1	0	0	running	\N	\N	older version	[{"key": "go", "awaiting": "signal"}]	\N
29	931c61fc-7bee-4701-9742-76702664dda3	2024-01-10 20:29:58.404316+00	\N	\N	\N	2024-01-10 20:29:58.451047+00	1	17	4	1	0	0	running	\N	\N	many	[{"key": "a", "awaiting": "signal"}, {"key": "1", "awaiting": "activity"}, {"key": "short", "until": "2024-01-10T20:30:28.451012+00:00", "awaiting": "timer"}]	\N
13	cfd8209a-cc5f-43d7-9ea8-6a9773a0368d	2024-01-10 20:29:58.398551+00	\N	\N	\N	2024-01-10 20:29:58.506157+00	1	2	4	4	0	0	running	\N	\N	waiting	[{"key": "go", "awaiting": "signal"}]	\N
32	c9b20169-dac9-4a9d-b6b4-81b45eb646c4	2024-01-10 20:29:58.494895+00	\N	\N	\N	2024-01-10 20:29:58.506911+00	1	18	1	1	0	0	running	\N	\N	newer version	[{"key": "go", "awaiting": "signal"}]	\N
14	f0d08a71-861b-4a78-bf74-13683004290c	2024-01-10 20:29:58.398714+00	\N	\N	\N	2024-01-10 20:29:58.507865+00	1	2	4	4	0	0	running	\N	\N	origin	[{"key": "go", "awaiting": "signal"}]	\N
16	5583cf99-b3ba-4f63-8fa1-ea96d63179c6	2024-01-10 20:29:58.399651+00	2024-01-10 20:29:58.511589+00	\N	\N	\N	1	8	5	4	0	0	continued_as_new	\N	\N	chain	\N	\N
34	b3d219e7-fa26-4ec4-b522-30619a4e963d	2024-01-10 20:29:58.511577+00	\N	\N	\N	2024-01-10 20:29:58.512477+00	1	8	1	1	0	0	running	16	\N	chain	[{"key": "go", "awaiting": "signal"}]	\N
17	2a166701-b833-483e-b6cb-1a132c3b4cb9	2024-01-10 20:29:58.399892+00	\N	\N	\N	2024-01-10 20:29:58.513251+00	1	9	2	2	0	0	running	\N	\N	tidying	[{"key": "go", "awaiting": "signal"}]	\N
26	8b066bb5-7a80-4a71-ac43-2cfaeccfe62c	2024-01-10 20:29:58.40352+00	2024-01-10 20:29:58.513865+00	\N	\N	\N	1	12	3	2	0	0	failed	\N	\N	lacks a function	\N	\N
31	a462467c-1216-47d1-8e33-895de1e31873	2024-01-10 20:29:58.409488+00	2024-01-10 20:29:58.515459+00	\N	\N	\N	1	6	5	2	0	0	completed	\N	\N	first child	\N	\N
15	50d88258-434e-4f63-8561-955fc41da8b6	2024-01-10 20:29:58.399076+00	\N	\N	\N	2024-01-10 20:29:58.516765+00	1	7	6	5	0	0	running	\N	\N	parent	[{"key": "second child", "awaiting": "child"}]	\N
35	881a0435-0aca-4642-b1ea-ca736e7280b2	2024-01-10 20:29:58.51666+00	\N	\N	\N	2024-01-10 20:29:58.520733+00	1	6	1	1	0	0	running	\N	\N	second child	[{"key": "go", "awaiting": "signal"}]	\N
36	e123a4b7-9c00-4a50-9006-23bd0bce6d34	2024-01-10 20:29:58.398714+00	\N	\N	\N	2024-01-10 20:29:58.564871+00	1	2	4	4	0	0	running	\N	\N	forked	[{"key": "go", "awaiting": "signal"}]	\N
33	7d15a23d-bef0-4752-a0d6-ca81365084ac	2024-01-10 20:29:58.496851+00	\N	\N	2024-01-10 20:29:58.95269+00	2024-01-10 20:29:58.508351+00	1	3	3	1	2	0	blocked	\N	missing code	lacks an activity	[{"key": "1", "awaiting": "activity"}]	\N
28	04c11489-2180-4ae0-a589-d8a868a1e0f0	2024-01-10 20:29:58.404086+00	\N	\N	\N	2024-01-10 20:29:58.434865+00	1	2	3	1	0	0	paused	\N	\N	paused	[{"key": "go", "awaiting": "signal"}]	{"go": 3}
39	689fb1fa-338f-489f-af8a-265cdc995221	2024-01-10 20:29:58.589861+00	2024-01-10 20:29:58.592538+00	\N	\N	\N	1	14	4	1	0	0	completed	\N	\N	tea/2024-01-10T18:29:58Z	\N	\N
30	c2b1c8b9-b847-4eb5-8e1d-b425f2f132e1	2024-01-10 20:29:58.404504+00	\N	\N	2024-01-10 20:29:58.978915+00	2024-01-10 20:29:58.452132+00	1	16	6	6	2	0	blocked	\N	mismatch	differs	[{"key": "go", "awaiting": "signal"}]	{"go": 5}
40	30d2df3c-d2da-47e9-9ce0-51258e64bcff	2024-01-10 20:29:58.59039+00	2024-01-10 20:29:58.607704+00	\N	\N	\N	1	14	4	1	0	0	completed	\N	\N	tea/2024-01-10T19:29:58Z	\N	\N
41	60375dbd-e063-4d17-a92e-c93b5a340b77	2024-01-10 20:29:58.7326+00	\N	\N	\N	2024-01-10 20:29:58.777555+00	1	3	2	1	0	0	running	\N	\N	retried in the background	[{"key": "1", "awaiting": "activity"}]	\N
42	a1791b45-d31c-4a03-a6c6-8118dcbcf91c	2024-01-10 20:29:58.743934+00	\N	\N	\N	2024-01-10 20:29:58.779311+00	1	3	2	1	0	0	running	\N	\N	retried inline	[{"key": "1", "awaiting": "activity"}]	\N
43	89d4b3cb-5dae-49e3-94fb-ef95c94fd8f2	2024-01-10 20:29:58.815147+00	\N	\N	\N	2024-01-10 20:29:58.820535+00	1	3	2	1	0	0	running	\N	\N	done in the background	[{"key": "1", "awaiting": "activity"}]	\N
44	32ab715a-ee9e-4692-9d6d-a8588ed2a6ba	2024-01-10 20:29:58.815325+00	\N	\N	\N	2024-01-10 20:29:58.821106+00	1	3	2	1	0	0	running	\N	\N	waiting in the background	[{"key": "1", "awaiting": "activity"}]	\N
45	a1b3917a-35b2-42d2-b421-83895e39f3ea	2024-01-10 20:29:58.895314+00	\N	2024-01-10 20:29:58.895314+00	\N	\N	1	1	1	0	0	0	running	\N	\N	not begun	\N	\N
\.
COPY aion._schedule (run_key, name, owner_key, workflow_type, cron, every, anchor, timezone, overlap, catch_up, jitter, start_at, end_at, max_runs, input, options, state, next_at, due_at, runs, crashes, reason) FROM stdin;
38	held	1	ticks	\N	01:00:00	2024-01-10 20:29:58+00	UTC	skip	one	\N	\N	\N	\N	{}	{}	paused	2024-01-10 21:29:58+00	2024-01-10 21:29:58+00	0	0	\N
37	tea	1	ticks	\N	01:00:00	2024-01-10 20:29:58+00	UTC	skip	one	\N	\N	\N	4	{}	{}	active	2024-01-10 21:29:58+00	2024-01-10 21:29:58+00	2	0	\N
\.
COPY aion._schedule_tick (run_key, nominal_at, owner_key, state, open, decided_at, until_at, workflow_id, error) FROM stdin;
37	2024-01-10 18:29:58+00	1	started	t	2024-01-10 20:29:58.590154+00	\N	tea/2024-01-10T18:29:58Z	\N
37	2024-01-10 19:29:58+00	1	started	t	2024-01-10 20:29:58.591715+00	\N	tea/2024-01-10T19:29:58Z	\N
\.
COPY aion._signal_id (run_key, owner_key, dedup_id) FROM stdin;
13	1	d 1
13	1	d 2
\.
COPY aion._task (run_key, ordinal, owner_key, scheduled_seq, activity, background, task_queue, key, state, attempt, failures, priority, next_attempt_at, start_by, close_by, attempt_by, heartbeat_by, cancel_requested, token, permit, worker, policy, heartbeat_details, last_error, outcome) FROM stdin;
25	1	1	2	one	f	one	\N	waiting	0	0	0	2024-01-10 20:29:58.433804+00	\N	\N	\N	\N	f	\N	\N	\N	{"task_queue": "one", "start_to_close_timeout": "100 years"}	\N	\N	\N
29	1	1	3	card	f	cards	\N	waiting	0	0	0	2024-01-10 20:29:58.451085+00	\N	\N	\N	\N	f	\N	\N	\N	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}, "task_queue": "cards", "start_to_close_timeout": "100 years"}	\N	\N	\N
21	1	1	2	card	f	cards	\N	claimed	1	0	0	2024-01-10 20:29:58.423889+00	\N	\N	2124-01-10 20:29:58.676234+00	\N	f	4c75106c-2d96-461a-84cb-9b50486cc293	\N	bob	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}, "task_queue": "cards", "start_to_close_timeout": "100 years"}	\N	\N	\N
24	1	1	2	one	f	one	\N	claimed	1	0	0	2024-01-10 20:29:58.433394+00	\N	\N	2124-01-10 20:29:58.702041+00	\N	f	0b4e8337-e2ea-4bcb-bf6b-8a34c8e2ddf8	1	bob	{"task_queue": "one", "start_to_close_timeout": "100 years"}	\N	\N	\N
23	1	1	2	card	f	cards	\N	waiting	1	0	0	2024-01-10 20:30:18.194192+00	\N	\N	\N	\N	f	\N	\N	bob	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}, "task_queue": "cards", "start_to_close_timeout": "100 years"}	\N	{"kind": "error", "message": "declined", "activity": "card", "attempts": 1, "sqlstate": "WA001"}	\N
42	1	1	2	again	t	default	\N	waiting	1	0	0	2024-01-10 20:30:16.858769+00	\N	\N	\N	\N	f	\N	\N	\N	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}}	\N	{"context": "PL/pgSQL function act(text,text) line 3 at RAISE", "message": "it is broken", "activity": "again", "attempts": 1, "sqlstate": "P0001"}	\N
41	1	1	2	back	t	default	\N	waiting	1	0	0	2024-01-10 20:30:17.589065+00	\N	\N	\N	\N	f	\N	\N	process 6944	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}}	\N	{"context": "PL/pgSQL function act(text,text) line 3 at RAISE\\nactivity \\"back\\" of workflow \\"retried in the background\\"", "message": "it is broken", "activity": "back", "attempts": 1, "sqlstate": "P0001"}	\N
44	1	1	2	back	t	default	\N	waiting	0	0	0	2024-01-10 20:29:58.82112+00	\N	\N	\N	\N	f	\N	\N	\N	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}}	\N	\N	\N
43	1	1	2	back	t	default	\N	settled	1	0	0	2024-01-10 20:29:58.820553+00	\N	\N	\N	\N	f	c28eb35d-501d-456a-af51-ba7ac094ce07	\N	process 6944	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}}	\N	\N	{"ok": "did it"}
22	1	1	2	card	f	cards	\N	settled	1	0	0	2024-01-10 20:29:58.427404+00	\N	\N	\N	\N	f	36b6f0ef-31d7-4c88-89cd-bf9e975f7e99	\N	bob	{"retry": {"max_attempts": 3, "initial_interval": "20 seconds"}, "task_queue": "cards", "start_to_close_timeout": "100 years"}	\N	\N	{"ok": "paid"}
\.
COPY aion._timer (run_key, fire_at, owner_key, started_seq, name) FROM stdin;
10	2024-01-10 20:30:48.395254+00	1	2	start:
11	2124-01-10 20:29:58.395254+00	1	2	start:
12	2024-01-10 20:30:38.398062+00	1	2	deadline:
8	2024-01-10 20:30:02.407105+00	1	4	sleep:1
9	2124-01-10 20:29:58.407567+00	1	4	sleep:1
12	2124-01-10 20:29:58.407987+00	1	5	sleep:1
19	2124-01-10 20:29:58.411391+00	1	2	scope:1
19	2024-01-10 20:30:28.411443+00	1	3	scope:2
29	2124-01-10 20:29:58.450909+00	1	2	long
29	2024-01-10 20:30:28.451012+00	1	4	short
30	2124-01-10 20:29:58.452095+00	1	4	long
37	2024-01-10 21:29:58+00	1	0	schedule:next
21	2124-01-10 20:29:58.676234+00	1	0	activity:1 attempt 1
22	2124-01-10 20:29:58.6928+00	1	0	activity:1 attempt 1
23	2124-01-10 20:29:58.693126+00	1	0	activity:1 attempt 1
24	2124-01-10 20:29:58.702041+00	1	0	activity:1 attempt 1
33	2024-01-10 20:29:58.95269+00	1	0	retry:
30	2024-01-10 20:29:58.978915+00	1	0	retry:
42	2024-01-10 20:30:16.858769+00	1	0	activity:1 retry 1
41	2024-01-10 20:30:17.589065+00	1	0	activity:1 retry 1
43	2024-01-10 20:29:58.826286+00	1	0	settled:1
22	2024-01-10 20:29:58.855358+00	1	0	settled:1
\.
COPY aion._version (version_key, workflow_type, version, owner_key, handler, code, copied, digest, settings, registered_at, registered) FROM stdin;
1	naps	9281215860fd96b6	1	alice.naps(interval)	aion_code.naps(interval)	t	91a35949600e71f87e2bcb16075ccb07e32613ee95fc222d27079b64e8cba763	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
2	signals	51cdd6da1d9cf6c2	1	alice.signals(integer)	aion_code.signals(integer)	t	a62b0846470aa00dfdfe505f5dececaaa920a19aa7548b72fb501b0de4405bfd	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
3	does	097fa33510ca5030	1	alice.does(pg_catalog.text)	aion_code.does(pg_catalog.text)	t	364c679953467b991f15757f0d236b7e4147571bbf8e773a7f1545a4077832b2	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
4	fails	89aea15724826e8a	1	alice.fails()	aion_code.fails()	t	c4959e3bd18624fce28dc19182f2928bdbf892d34b765038679061602466596f	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
5	works_when_mended	067e84c0db40e986	1	alice.works_when_mended()	aion_code.works_when_mended()	t	76486085a0919a03ff1c33dfb71a1238a110964ba2525caf2c3662ddaf054740	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
6	child	323e5e55d1b43f5f	1	alice.child(pg_catalog.text)	aion_code.child(pg_catalog.text)	t	189d3f64404c94c539452a6533651ea53a30b89d48069ac13de384c62e66dcf3	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
7	parent	27bac5d2c410b452	1	alice.parent()	aion_code.parent()	t	eb5a725843175471ac300179b2bc1ae67aa3c02a86c0bc07d5f95cd2520304ae	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
8	counts	bc6a0b6843d49da3	1	alice.counts(integer)	aion_code.counts(integer)	t	1d6ec00d49a8376a846772e33545509e12eeae0d22f4f37988441d52c4054571	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
9	tidies	1e2cec193abbf097	1	alice.tidies()	aion_code.tidies()	t	c334da71015f3bb4ff0404df4b7949015d32e2e3c11f21e575672ee9066af2b6	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
10	has_deadlines	30c6c2e6b9ad2bc7	1	alice.has_deadlines()	aion_code.has_deadlines()	t	a0eb1ebd09e1359bdc446112db81c79fc3f6d6f76b4f2d628ff5092099713551	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
11	publishes	0b95f21b0a9253cd	1	alice.publishes()	aion_code.publishes()	t	b371f282685898dff2253450fd8335679dab4aac663e9e7c75e529a9cadba166	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
12	needs_helper	f9fb9e15a42fb2de	1	alice.needs_helper()	aion_code.needs_helper()	t	73f8c63fb200c8020f7fc519ceba6db7f620d61dd646a795ac22fa645ff46a0e	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
13	versions	2f1282f2fe400ac5	1	alice.versions()	aion_code.versions()	t	5b926f7d25c4d7eb08d588ef135e33392269339c12ccdca569db44edfcd78f35	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
14	ticks	5ccd4ccb438ae85a	1	alice.ticks()	aion_code.ticks()	t	ac4e60227d61e33ea04a4fd08b6e4cfb2cf257ed96bae3c4d73c2366013104f2	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
15	mistaken	f7ce8aa64ffa9279	1	alice.mistaken()	aion_code.mistaken()	t	af995b075677a675280c30a16cff4b2cb4d83b7afefea0207aa7ccb27b8365f4	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
16	differs	aa105125ac3e6f8d	1	alice.differs()	aion_code.differs()	t	ab809f80b2621e84797397b71a821618f63302cbedb08efc6c22793e47217dfd	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
17	many	51bf7cdb03d94fe0	1	alice.many()	aion_code.many()	t	35598c4e43a3a6e462911b535efd7d43c132df130fae6c851a42024d5c9f95e5	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:57.091845+00	t
18	versions	c91054432b27f56e	1	alice.versions()	aion_code_2.versions()	t	0c67a782931a03bdabc59e0184df13d83792e2ba3486cde81a282dc1c817e2f8	{"TimeZone": "Etc/UTC", "DateStyle": "ISO, MDY", "search_path": "alice", "IntervalStyle": "postgres", "extra_float_digits": "1"}	2024-01-10 20:29:58.477648+00	t
\.
COPY aion._workflow (name, owner_key, handler, digest, version_key, timeout, task_queue) FROM stdin;
naps	1	alice.naps(interval)	91a35949600e71f87e2bcb16075ccb07e32613ee95fc222d27079b64e8cba763	1	\N	default
signals	1	alice.signals(integer)	a62b0846470aa00dfdfe505f5dececaaa920a19aa7548b72fb501b0de4405bfd	2	\N	default
does	1	alice.does(pg_catalog.text)	364c679953467b991f15757f0d236b7e4147571bbf8e773a7f1545a4077832b2	3	\N	default
fails	1	alice.fails()	c4959e3bd18624fce28dc19182f2928bdbf892d34b765038679061602466596f	4	\N	default
works_when_mended	1	alice.works_when_mended()	76486085a0919a03ff1c33dfb71a1238a110964ba2525caf2c3662ddaf054740	5	\N	default
child	1	alice.child(pg_catalog.text)	189d3f64404c94c539452a6533651ea53a30b89d48069ac13de384c62e66dcf3	6	\N	default
parent	1	alice.parent()	eb5a725843175471ac300179b2bc1ae67aa3c02a86c0bc07d5f95cd2520304ae	7	\N	default
counts	1	alice.counts(integer)	1d6ec00d49a8376a846772e33545509e12eeae0d22f4f37988441d52c4054571	8	\N	default
tidies	1	alice.tidies()	c334da71015f3bb4ff0404df4b7949015d32e2e3c11f21e575672ee9066af2b6	9	\N	default
has_deadlines	1	alice.has_deadlines()	a0eb1ebd09e1359bdc446112db81c79fc3f6d6f76b4f2d628ff5092099713551	10	\N	default
publishes	1	alice.publishes()	b371f282685898dff2253450fd8335679dab4aac663e9e7c75e529a9cadba166	11	\N	default
needs_helper	1	alice.needs_helper()	73f8c63fb200c8020f7fc519ceba6db7f620d61dd646a795ac22fa645ff46a0e	12	\N	default
ticks	1	alice.ticks()	ac4e60227d61e33ea04a4fd08b6e4cfb2cf257ed96bae3c4d73c2366013104f2	14	\N	default
mistaken	1	alice.mistaken()	af995b075677a675280c30a16cff4b2cb4d83b7afefea0207aa7ccb27b8365f4	15	\N	default
differs	1	alice.differs()	ab809f80b2621e84797397b71a821618f63302cbedb08efc6c22793e47217dfd	16	\N	default
many	1	alice.many()	35598c4e43a3a6e462911b535efd7d43c132df130fae6c851a42024d5c9f95e5	17	\N	default
versions	1	alice.versions()	0c67a782931a03bdabc59e0184df13d83792e2ba3486cde81a282dc1c817e2f8	18	\N	default
\.
COPY alice.broken (what) FROM stdin;
code
\.
COPY alice.effect (who, what) FROM stdin;
completed	before
failed	before
mistaken	before
completed	after
reopened	fragile
sleeping	before
sleeping long	before
about to time out	before
differs	before
waiting	signal 1
origin	signal 1
chain	count 1
first child	first
parent	between
tea/2024-01-10T18:29:58Z	tick
tea/2024-01-10T19:29:58Z	tick
done in the background	it
\.
COPY bob.token (workflow_id, token) FROM stdin;
claimed	21.1.4c75106c-2d96-461a-84cb-9b50486cc293
completed outside	22.1.36b6f0ef-31d7-4c88-89cd-bf9e975f7e99
tried again	23.1.a16bfc32-b3ad-4d8d-9555-13353d2f1bce
limited 1	24.1.0b4e8337-e2ea-4bcb-bf6b-8a34c8e2ddf8
\.
SELECT pg_catalog.setval('aion._inbox_arrival_seq', 12, true);
SELECT pg_catalog.setval('aion._owner_owner_key_seq', 2, true);
SELECT pg_catalog.setval('aion._run_run_key_seq', 45, true);
SELECT pg_catalog.setval('aion._version_version_key_seq', 18, true);
GRANT USAGE ON SCHEMA aion TO alice;
GRANT USAGE ON SCHEMA aion TO bob;
GRANT USAGE ON SCHEMA aion_test TO alice;
GRANT USAGE ON SCHEMA aion_test TO bob;
GRANT ALL ON TYPE aion.event TO alice;
GRANT ALL ON TYPE aion.event TO bob;
GRANT ALL ON TYPE aion.handle TO alice;
GRANT ALL ON TYPE aion.handle TO bob;
GRANT ALL ON TYPE aion.scope TO alice;
GRANT ALL ON TYPE aion.scope TO bob;
GRANT ALL ON FUNCTION aion._abbreviate(payload jsonb) TO alice;
GRANT ALL ON FUNCTION aion._abbreviate(payload jsonb) TO bob;
GRANT ALL ON FUNCTION aion._cron_ticks(cron text, timezone text, after timestamp with time zone, n integer) TO alice;
GRANT ALL ON FUNCTION aion._cron_ticks(cron text, timezone text, after timestamp with time zone, n integer) TO bob;
GRANT ALL ON FUNCTION aion._find_run(workflow_id text, run_id uuid) TO alice;
GRANT ALL ON FUNCTION aion._find_run(workflow_id text, run_id uuid) TO bob;
GRANT ALL ON FUNCTION aion._missing_bells(OUT bells bigint, OUT missing bigint, OUT problem text) TO alice;
GRANT ALL ON FUNCTION aion._missing_bells(OUT bells bigint, OUT missing bigint, OUT problem text) TO bob;
GRANT ALL ON FUNCTION aion._narrate(event aion.event) TO alice;
GRANT ALL ON FUNCTION aion._narrate(event aion.event) TO bob;
GRANT ALL ON FUNCTION aion._queue_pace(OUT owner_key integer, OUT task_queue text, OUT started double precision, OUT finished double precision) TO alice;
GRANT ALL ON FUNCTION aion._queue_pace(OUT owner_key integer, OUT task_queue text, OUT started double precision, OUT finished double precision) TO bob;
GRANT ALL ON FUNCTION aion._search(filter jsonb, workflow_type text, status text[], max_runs bigint) TO alice;
GRANT ALL ON FUNCTION aion._search(filter jsonb, workflow_type text, status text[], max_runs bigint) TO bob;
GRANT ALL ON FUNCTION aion._stat_engine(OUT library_version text, OUT preloaded boolean, OUT launcher_pid integer, OUT scheduler_pid integer, OUT runners integer, OUT max_runners integer, OUT fence text, OUT execution text, OUT paused boolean) TO alice;
GRANT ALL ON FUNCTION aion._stat_engine(OUT library_version text, OUT preloaded boolean, OUT launcher_pid integer, OUT scheduler_pid integer, OUT runners integer, OUT max_runners integer, OUT fence text, OUT execution text, OUT paused boolean) TO bob;
GRANT ALL ON FUNCTION aion._stat_runner(OUT pid integer, OUT owner_key integer, OUT state text, OUT since timestamp with time zone, OUT queued integer, OUT batches bigint, OUT runs bigint) TO alice;
GRANT ALL ON FUNCTION aion._stat_runner(OUT pid integer, OUT owner_key integer, OUT state text, OUT since timestamp with time zone, OUT queued integer, OUT batches bigint, OUT runs bigint) TO bob;
GRANT ALL ON FUNCTION aion._visible_owners(payloads boolean) TO alice;
GRANT ALL ON FUNCTION aion._visible_owners(payloads boolean) TO bob;
GRANT ALL ON FUNCTION aion.activity_info() TO alice;
GRANT ALL ON FUNCTION aion.activity_info() TO bob;
GRANT ALL ON FUNCTION aion.await(handle aion.handle, timeout interval) TO alice;
GRANT ALL ON FUNCTION aion.await(handle aion.handle, timeout interval) TO bob;
GRANT ALL ON FUNCTION aion.await_all(handles aion.handle[]) TO alice;
GRANT ALL ON FUNCTION aion.await_all(handles aion.handle[]) TO bob;
GRANT ALL ON FUNCTION aion.await_first(handles aion.handle[], cancel_rest boolean, OUT index integer, OUT name text, OUT value jsonb) TO alice;
GRANT ALL ON FUNCTION aion.await_first(handles aion.handle[], cancel_rest boolean, OUT index integer, OUT name text, OUT value jsonb) TO bob;
GRANT ALL ON FUNCTION aion.await_settled(handles aion.handle[]) TO alice;
GRANT ALL ON FUNCTION aion.await_settled(handles aion.handle[]) TO bob;
GRANT ALL ON FUNCTION aion.await_workflow(workflow_id text, timeout interval) TO alice;
GRANT ALL ON FUNCTION aion.await_workflow(workflow_id text, timeout interval) TO bob;
GRANT ALL ON FUNCTION aion.backfill_schedule(name text, since timestamp with time zone, until timestamp with time zone) TO alice;
GRANT ALL ON FUNCTION aion.backfill_schedule(name text, since timestamp with time zone, until timestamp with time zone) TO bob;
GRANT ALL ON FUNCTION aion.begin_timeout(duration interval) TO alice;
GRANT ALL ON FUNCTION aion.begin_timeout(duration interval) TO bob;
GRANT ALL ON FUNCTION aion.cancel(handle aion.handle) TO alice;
GRANT ALL ON FUNCTION aion.cancel(handle aion.handle) TO bob;
GRANT ALL ON FUNCTION aion.cancel_requested() TO alice;
GRANT ALL ON FUNCTION aion.cancel_requested() TO bob;
GRANT ALL ON FUNCTION aion.cancel_timer(name text) TO alice;
GRANT ALL ON FUNCTION aion.cancel_timer(name text) TO bob;
GRANT ALL ON FUNCTION aion.cancel_workflow(workflow_id text, reason text) TO alice;
GRANT ALL ON FUNCTION aion.cancel_workflow(workflow_id text, reason text) TO bob;
GRANT ALL ON FUNCTION aion.complete_activity(task_token text, result jsonb) TO alice;
GRANT ALL ON FUNCTION aion.complete_activity(task_token text, result jsonb) TO bob;
GRANT ALL ON FUNCTION aion.continue_as_new(input jsonb, workflow_type text) TO alice;
GRANT ALL ON FUNCTION aion.continue_as_new(input jsonb, workflow_type text) TO bob;
GRANT ALL ON FUNCTION aion.continue_suggested() TO alice;
GRANT ALL ON FUNCTION aion.continue_suggested() TO bob;
GRANT ALL ON FUNCTION aion.create_schedule(name text, workflow_type text, cron text, every interval, input jsonb, overlap text, catch_up text, timezone text, jitter interval, start_at timestamp with time zone, end_at timestamp with time zone, max_runs integer, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.create_schedule(name text, workflow_type text, cron text, every interval, input jsonb, overlap text, catch_up text, timezone text, jitter interval, start_at timestamp with time zone, end_at timestamp with time zone, max_runs integer, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.delete_schedule(name text) TO alice;
GRANT ALL ON FUNCTION aion.delete_schedule(name text) TO bob;
GRANT ALL ON FUNCTION aion.describe_workflow(workflow_id text, run_id uuid) TO alice;
GRANT ALL ON FUNCTION aion.describe_workflow(workflow_id text, run_id uuid) TO bob;
GRANT ALL ON PROCEDURE aion.drive(IN max_turns bigint) TO alice;
GRANT ALL ON PROCEDURE aion.drive(IN max_turns bigint) TO bob;
GRANT ALL ON FUNCTION aion.end_timeout(scope aion.scope) TO alice;
GRANT ALL ON FUNCTION aion.end_timeout(scope aion.scope) TO bob;
GRANT ALL ON FUNCTION aion.explain(workflow_id text, run_id uuid) TO alice;
GRANT ALL ON FUNCTION aion.explain(workflow_id text, run_id uuid) TO bob;
GRANT ALL ON FUNCTION aion.export_history(workflow_id text, run_id uuid) TO alice;
GRANT ALL ON FUNCTION aion.export_history(workflow_id text, run_id uuid) TO bob;
GRANT ALL ON FUNCTION aion.fail_activity(task_token text, message text, kind text, retryable boolean, retry_after interval, details jsonb) TO alice;
GRANT ALL ON FUNCTION aion.fail_activity(task_token text, message text, kind text, retryable boolean, retry_after interval, details jsonb) TO bob;
GRANT ALL ON FUNCTION aion.failure() TO alice;
GRANT ALL ON FUNCTION aion.failure() TO bob;
GRANT SELECT ON TABLE aion.workflow_run TO alice;
GRANT SELECT ON TABLE aion.workflow_run TO bob;
GRANT ALL ON FUNCTION aion.find_workflows(filter jsonb, workflow_type text, status text[], max_runs bigint) TO alice;
GRANT ALL ON FUNCTION aion.find_workflows(filter jsonb, workflow_type text, status text[], max_runs bigint) TO bob;
GRANT ALL ON FUNCTION aion.fork_workflow(workflow_id text, seq integer, new_workflow_id text, version text) TO alice;
GRANT ALL ON FUNCTION aion.fork_workflow(workflow_id text, seq integer, new_workflow_id text, version text) TO bob;
GRANT ALL ON FUNCTION aion.health(OUT "check" text, OUT ok boolean, OUT detail text, OUT hint text) TO alice;
GRANT ALL ON FUNCTION aion.health(OUT "check" text, OUT ok boolean, OUT detail text, OUT hint text) TO bob;
GRANT ALL ON FUNCTION aion.heartbeat(details jsonb) TO alice;
GRANT ALL ON FUNCTION aion.heartbeat(details jsonb) TO bob;
GRANT ALL ON FUNCTION aion.heartbeat_activity(task_token text, details jsonb) TO alice;
GRANT ALL ON FUNCTION aion.heartbeat_activity(task_token text, details jsonb) TO bob;
GRANT ALL ON FUNCTION aion.history(workflow_id text, run_id uuid) TO alice;
GRANT ALL ON FUNCTION aion.history(workflow_id text, run_id uuid) TO bob;
GRANT ALL ON FUNCTION aion.map(activity text, inputs jsonb, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.map(activity text, inputs jsonb, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.map_settled(activity text, inputs jsonb, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.map_settled(activity text, inputs jsonb, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.next_signal(name text) TO alice;
GRANT ALL ON FUNCTION aion.next_signal(name text) TO bob;
GRANT ALL ON FUNCTION aion.next_ticks(name text, n integer) TO alice;
GRANT ALL ON FUNCTION aion.next_ticks(name text, n integer) TO bob;
GRANT ALL ON FUNCTION aion.now() TO alice;
GRANT ALL ON FUNCTION aion.now() TO bob;
GRANT ALL ON FUNCTION aion.on_query(name text, handler regprocedure, state jsonb) TO alice;
GRANT ALL ON FUNCTION aion.on_query(name text, handler regprocedure, state jsonb) TO bob;
GRANT ALL ON FUNCTION aion.patched(change_id text) TO alice;
GRANT ALL ON FUNCTION aion.patched(change_id text) TO bob;
GRANT ALL ON FUNCTION aion.pause_schedule(name text) TO alice;
GRANT ALL ON FUNCTION aion.pause_schedule(name text) TO bob;
GRANT ALL ON FUNCTION aion.pause_workflow(workflow_id text, reason text) TO alice;
GRANT ALL ON FUNCTION aion.pause_workflow(workflow_id text, reason text) TO bob;
GRANT ALL ON FUNCTION aion.poll_activities(task_queues text[], worker text, max_tasks integer, wait interval, activities text[], OUT task_token text, OUT workflow_id text, OUT run_id uuid, OUT activity text, OUT input jsonb, OUT attempt integer, OUT idempotency_key text, OUT heartbeat_details jsonb, OUT deadline timestamp with time zone) TO alice;
GRANT ALL ON FUNCTION aion.poll_activities(task_queues text[], worker text, max_tasks integer, wait interval, activities text[], OUT task_token text, OUT workflow_id text, OUT run_id uuid, OUT activity text, OUT input jsonb, OUT attempt integer, OUT idempotency_key text, OUT heartbeat_details jsonb, OUT deadline timestamp with time zone) TO bob;
GRANT ALL ON FUNCTION aion.publish(name text, value jsonb) TO alice;
GRANT ALL ON FUNCTION aion.publish(name text, value jsonb) TO bob;
GRANT ALL ON FUNCTION aion.purge_workflows(older_than interval, workflow_type text, status text[], max_runs bigint) TO alice;
GRANT ALL ON FUNCTION aion.purge_workflows(older_than interval, workflow_type text, status text[], max_runs bigint) TO bob;
GRANT ALL ON FUNCTION aion.query_workflow(workflow_id text, name text, args jsonb, wait interval) TO alice;
GRANT ALL ON FUNCTION aion.query_workflow(workflow_id text, name text, args jsonb, wait interval) TO bob;
GRANT ALL ON FUNCTION aion.random() TO alice;
GRANT ALL ON FUNCTION aion.random() TO bob;
GRANT ALL ON FUNCTION aion.random_int(low bigint, high bigint) TO alice;
GRANT ALL ON FUNCTION aion.random_int(low bigint, high bigint) TO bob;
GRANT ALL ON FUNCTION aion.receive(name text, timeout interval, until timestamp with time zone) TO alice;
GRANT ALL ON FUNCTION aion.receive(name text, timeout interval, until timestamp with time zone) TO bob;
GRANT ALL ON FUNCTION aion.register_activity(name text, handler regprocedure, mode text, task_queue text, retry jsonb, start_to_close_timeout interval, schedule_to_start_timeout interval, schedule_to_close_timeout interval, heartbeat_timeout interval, on_cancel text) TO alice;
GRANT ALL ON FUNCTION aion.register_activity(name text, handler regprocedure, mode text, task_queue text, retry jsonb, start_to_close_timeout interval, schedule_to_start_timeout interval, schedule_to_close_timeout interval, heartbeat_timeout interval, on_cancel text) TO bob;
GRANT ALL ON FUNCTION aion.register_workflow(name text, handler regprocedure, timeout interval, task_queue text) TO alice;
GRANT ALL ON FUNCTION aion.register_workflow(name text, handler regprocedure, timeout interval, task_queue text) TO bob;
GRANT ALL ON FUNCTION aion.reopen_workflow(workflow_id text, reason text, version text) TO alice;
GRANT ALL ON FUNCTION aion.reopen_workflow(workflow_id text, reason text, version text) TO bob;
GRANT ALL ON FUNCTION aion.repair_schedules() TO alice;
GRANT ALL ON FUNCTION aion.repair_schedules() TO bob;
GRANT ALL ON FUNCTION aion.request_cancel(workflow_id text, reason text) TO alice;
GRANT ALL ON FUNCTION aion.request_cancel(workflow_id text, reason text) TO bob;
GRANT ALL ON FUNCTION aion.resume_schedule(name text) TO alice;
GRANT ALL ON FUNCTION aion.resume_schedule(name text) TO bob;
GRANT ALL ON FUNCTION aion.resume_workflow(workflow_id text, reason text) TO alice;
GRANT ALL ON FUNCTION aion.resume_workflow(workflow_id text, reason text) TO bob;
GRANT ALL ON FUNCTION aion.ring_schedule(name text) TO alice;
GRANT ALL ON FUNCTION aion.ring_schedule(name text) TO bob;
GRANT ALL ON FUNCTION aion.route_workflow(name text, version text) TO alice;
GRANT ALL ON FUNCTION aion.route_workflow(name text, version text) TO bob;
GRANT ALL ON FUNCTION aion.run(activity text, input jsonb, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.run(activity text, input jsonb, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.run_child(workflow_type text, input jsonb, workflow_id text, parent_close text, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.run_child(workflow_type text, input jsonb, workflow_id text, parent_close text, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.run_id() TO alice;
GRANT ALL ON FUNCTION aion.run_id() TO bob;
GRANT ALL ON FUNCTION aion.run_sql(query text, args jsonb) TO alice;
GRANT ALL ON FUNCTION aion.run_sql(query text, args jsonb) TO bob;
GRANT ALL ON PROCEDURE aion.run_workflow(IN workflow_type text, IN input jsonb, INOUT result jsonb, IN workflow_id text, IN timeout interval) TO alice;
GRANT ALL ON PROCEDURE aion.run_workflow(IN workflow_type text, IN input jsonb, INOUT result jsonb, IN workflow_id text, IN timeout interval) TO bob;
GRANT ALL ON FUNCTION aion.scheduled_for() TO alice;
GRANT ALL ON FUNCTION aion.scheduled_for() TO bob;
GRANT ALL ON FUNCTION aion.send_signal(workflow_id text, name text, payload jsonb) TO alice;
GRANT ALL ON FUNCTION aion.send_signal(workflow_id text, name text, payload jsonb) TO bob;
GRANT ALL ON FUNCTION aion.set_workflow_version(workflow_id text, version text) TO alice;
GRANT ALL ON FUNCTION aion.set_workflow_version(workflow_id text, version text) TO bob;
GRANT ALL ON FUNCTION aion.shield(enabled boolean) TO alice;
GRANT ALL ON FUNCTION aion.shield(enabled boolean) TO bob;
GRANT ALL ON FUNCTION aion.signal_info() TO alice;
GRANT ALL ON FUNCTION aion.signal_info() TO bob;
GRANT ALL ON FUNCTION aion.signal_with_start(workflow_type text, input jsonb, workflow_id text, name text, payload jsonb, dedup_id text, if_running text, if_closed text, start_at timestamp with time zone, timeout interval, task_queue text, search_attributes jsonb, memo jsonb, version text, run_as name) TO alice;
GRANT ALL ON FUNCTION aion.signal_with_start(workflow_type text, input jsonb, workflow_id text, name text, payload jsonb, dedup_id text, if_running text, if_closed text, start_at timestamp with time zone, timeout interval, task_queue text, search_attributes jsonb, memo jsonb, version text, run_as name) TO bob;
GRANT ALL ON FUNCTION aion.signal_workflow(workflow_id text, name text, payload jsonb, dedup_id text) TO alice;
GRANT ALL ON FUNCTION aion.signal_workflow(workflow_id text, name text, payload jsonb, dedup_id text) TO bob;
GRANT ALL ON FUNCTION aion.sleep(duration interval) TO alice;
GRANT ALL ON FUNCTION aion.sleep(duration interval) TO bob;
GRANT ALL ON FUNCTION aion.sleep_until(until timestamp with time zone) TO alice;
GRANT ALL ON FUNCTION aion.sleep_until(until timestamp with time zone) TO bob;
GRANT ALL ON FUNCTION aion.start_activity(activity text, input jsonb, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.start_activity(activity text, input jsonb, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.start_child(workflow_type text, input jsonb, workflow_id text, parent_close text, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.start_child(workflow_type text, input jsonb, workflow_id text, parent_close text, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.start_timer(name text, duration interval, until timestamp with time zone) TO alice;
GRANT ALL ON FUNCTION aion.start_timer(name text, duration interval, until timestamp with time zone) TO bob;
GRANT ALL ON FUNCTION aion.start_workflow(workflow_type text, input jsonb, workflow_id text, if_running text, if_closed text, start_at timestamp with time zone, timeout interval, task_queue text, search_attributes jsonb, memo jsonb, version text, run_as name) TO alice;
GRANT ALL ON FUNCTION aion.start_workflow(workflow_type text, input jsonb, workflow_id text, if_running text, if_closed text, start_at timestamp with time zone, timeout interval, task_queue text, search_attributes jsonb, memo jsonb, version text, run_as name) TO bob;
GRANT ALL ON FUNCTION aion.start_workflows(workflow_type text, inputs jsonb[], workflow_ids text[], if_running text, if_closed text, start_at timestamp with time zone, timeout interval, task_queue text, search_attributes jsonb, memo jsonb, version text, run_as name) TO alice;
GRANT ALL ON FUNCTION aion.start_workflows(workflow_type text, inputs jsonb[], workflow_ids text[], if_running text, if_closed text, start_at timestamp with time zone, timeout interval, task_queue text, search_attributes jsonb, memo jsonb, version text, run_as name) TO bob;
GRANT ALL ON FUNCTION aion.terminate_workflow(workflow_id text, reason text) TO alice;
GRANT ALL ON FUNCTION aion.terminate_workflow(workflow_id text, reason text) TO bob;
GRANT ALL ON FUNCTION aion.trigger_schedule(name text) TO alice;
GRANT ALL ON FUNCTION aion.trigger_schedule(name text) TO bob;
GRANT ALL ON FUNCTION aion.try_receive(name text) TO alice;
GRANT ALL ON FUNCTION aion.try_receive(name text) TO bob;
GRANT ALL ON FUNCTION aion.unregister_workflow(name text, version text) TO alice;
GRANT ALL ON FUNCTION aion.unregister_workflow(name text, version text) TO bob;
GRANT ALL ON FUNCTION aion.update_schedule(name text, workflow_type text, cron text, every interval, input jsonb, overlap text, catch_up text, timezone text, jitter interval, start_at timestamp with time zone, end_at timestamp with time zone, max_runs integer, options jsonb) TO alice;
GRANT ALL ON FUNCTION aion.update_schedule(name text, workflow_type text, cron text, every interval, input jsonb, overlap text, catch_up text, timezone text, jitter interval, start_at timestamp with time zone, end_at timestamp with time zone, max_runs integer, options jsonb) TO bob;
GRANT ALL ON FUNCTION aion.upsert_search_attributes(attributes jsonb) TO alice;
GRANT ALL ON FUNCTION aion.upsert_search_attributes(attributes jsonb) TO bob;
GRANT ALL ON FUNCTION aion.uuid() TO alice;
GRANT ALL ON FUNCTION aion.uuid() TO bob;
GRANT ALL ON FUNCTION aion.value(payload jsonb) TO alice;
GRANT ALL ON FUNCTION aion.value(payload jsonb) TO bob;
GRANT ALL ON PROCEDURE aion.wait_for_tasks(IN task_queues text[], IN wait interval) TO alice;
GRANT ALL ON PROCEDURE aion.wait_for_tasks(IN task_queues text[], IN wait interval) TO bob;
GRANT ALL ON PROCEDURE aion.wait_workflow(IN workflow_id text, INOUT result jsonb, IN timeout interval) TO alice;
GRANT ALL ON PROCEDURE aion.wait_workflow(IN workflow_id text, INOUT result jsonb, IN timeout interval) TO bob;
GRANT ALL ON FUNCTION aion.with_timeout(duration interval, handler regprocedure, input jsonb) TO alice;
GRANT ALL ON FUNCTION aion.with_timeout(duration interval, handler regprocedure, input jsonb) TO bob;
GRANT ALL ON FUNCTION aion.workflow_id() TO alice;
GRANT ALL ON FUNCTION aion.workflow_id() TO bob;
REVOKE ALL ON FUNCTION aion_code.child(what text) FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.counts(i integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.differs() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.does(activity text) FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.fails() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.has_deadlines() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.many() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.mistaken() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.naps(duration interval) FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.needs_helper() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.parent() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.publishes() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.signals(n integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.ticks() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.tidies() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.total(state jsonb, args jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.versions() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code.works_when_mended() FROM PUBLIC;
REVOKE ALL ON FUNCTION aion_code_2.versions() FROM PUBLIC;
GRANT ALL ON FUNCTION aion_test.advance(duration interval, max_turns bigint) TO alice;
GRANT ALL ON FUNCTION aion_test.advance(duration interval, max_turns bigint) TO bob;
GRANT ALL ON FUNCTION aion_test.begin(at timestamp with time zone) TO alice;
GRANT ALL ON FUNCTION aion_test.begin(at timestamp with time zone) TO bob;
GRANT ALL ON FUNCTION aion_test.mock_activity(activity text, result jsonb, error jsonb, results jsonb) TO alice;
GRANT ALL ON FUNCTION aion_test.mock_activity(activity text, result jsonb, error jsonb, results jsonb) TO bob;
GRANT ALL ON FUNCTION aion_test.now() TO alice;
GRANT ALL ON FUNCTION aion_test.now() TO bob;
GRANT ALL ON FUNCTION aion_test.replay(history jsonb, version text) TO alice;
GRANT ALL ON FUNCTION aion_test.replay(history jsonb, version text) TO bob;
GRANT ALL ON FUNCTION aion_test.replay(workflow_id text, version text) TO alice;
GRANT ALL ON FUNCTION aion_test.replay(workflow_id text, version text) TO bob;
GRANT ALL ON FUNCTION aion_test.run_until_idle(max_turns bigint) TO alice;
GRANT ALL ON FUNCTION aion_test.run_until_idle(max_turns bigint) TO bob;
GRANT SELECT ON TABLE aion.activity_task TO alice;
GRANT SELECT ON TABLE aion.activity_task TO bob;
GRANT SELECT ON TABLE aion.history_event TO alice;
GRANT SELECT ON TABLE aion.history_event TO bob;
GRANT SELECT ON TABLE aion.inbox TO alice;
GRANT SELECT ON TABLE aion.inbox TO bob;
GRANT SELECT ON TABLE aion.pending_await TO alice;
GRANT SELECT ON TABLE aion.pending_await TO bob;
GRANT SELECT ON TABLE aion.schedule TO alice;
GRANT SELECT ON TABLE aion.schedule TO bob;
GRANT SELECT ON TABLE aion.schedule_tick TO alice;
GRANT SELECT ON TABLE aion.schedule_tick TO bob;
GRANT SELECT ON TABLE aion.stat_engine TO alice;
GRANT SELECT ON TABLE aion.stat_engine TO bob;
GRANT SELECT ON TABLE aion.stat_queue TO alice;
GRANT SELECT ON TABLE aion.stat_queue TO bob;
GRANT SELECT ON TABLE aion.stat_runner TO alice;
GRANT SELECT ON TABLE aion.stat_runner TO bob;
GRANT SELECT ON TABLE aion.timer TO alice;
GRANT SELECT ON TABLE aion.timer TO bob;
GRANT SELECT ON TABLE aion.unconsumed_signal TO alice;
GRANT SELECT ON TABLE aion.unconsumed_signal TO bob;
GRANT SELECT ON TABLE aion.workflow_version TO alice;
GRANT SELECT ON TABLE aion.workflow_version TO bob;
GRANT SELECT ON TABLE bob.token TO alice;
