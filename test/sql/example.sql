-- The examples, each with virtual time in transactions that are rolled back. tap/examples.pl and tap/example_workers.pl execute them
-- with processes, on a server where things go wrong.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE ROLE example_owner LOGIN;
CREATE ROLE example_boss LOGIN;
GRANT example_owner TO example_boss;
SELECT aion.grant_usage('example_owner', 'admin'), aion.grant_usage('example_boss');
SELECT current_database() AS database \gset
GRANT CREATE ON DATABASE :"database" TO example_owner;
GRANT ALL ON SCHEMA public TO example_owner;
SET SESSION AUTHORIZATION example_owner;
\set ECHO none
\o /dev/null
\i examples/order_saga.sql
\i examples/approval.sql
\i examples/nightly_load.sql
\i examples/subscription.sql
\o
\set ECHO all
CREATE VIEW run AS SELECT workflow_id, status, coalesce(result, error -> 'message') AS outcome FROM aion.workflow_run ORDER BY run_key;

--
-- Order saga.
--
-- Goes so many steps: a turn, or something that the worker does.
CREATE FUNCTION go_on(steps int DEFAULT 1000) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..steps LOOP
		IF aion_test.run_until_idle(1) = 0 AND work() IS NULL THEN RETURN i - 1; END IF;
	END LOOP;
	RETURN steps;
END $$;
CREATE FUNCTION order_goods(order_id int, amount numeric DEFAULT 10) RETURNS text LANGUAGE sql AS $$
	SELECT aion.start_workflow('place_order', jsonb_build_object('order_id', order_id, 'amount', amount), workflow_id => 'order-' || order_id)
$$;
-- What became of an order, here, at the bank and at the carrier; and of all of them together.
CREATE VIEW order_state AS
	SELECT w.workflow_id, w.status, w.outcome, r.order_id IS NOT NULL AS reserved, b.amount AS taken, b.refunded, coalesce(NOT c.cancelled, false) AS booked,
		s.order_id IS NOT NULL AS shipped
	FROM run w
		CROSS JOIN LATERAL (SELECT attributes -> 'input' ->> 'key' AS key FROM aion.history(w.workflow_id) WHERE event_type = 'ActivityScheduled' LIMIT 1) h
		LEFT JOIN bank b USING (key)
		LEFT JOIN reservation r ON 'order-' || r.order_id = w.workflow_id
		LEFT JOIN carrier c USING (key)
		LEFT JOIN shipment s ON 'order-' || s.order_id = w.workflow_id
	ORDER BY w.workflow_id;
CREATE VIEW wrong_order AS
	SELECT * FROM order_state WHERE CASE
		WHEN outcome ->> 'status' = 'shipped' THEN NOT (reserved AND taken > 0 AND NOT refunded AND booked AND shipped)
		WHEN status IN ('completed', 'cancelled') THEN reserved OR booked OR shipped OR NOT coalesce(refunded, true)
		ELSE true END;

-- One that goes well, and one that the bank declines.
BEGIN;
SELECT aion_test.begin('2030-01-01 09:00 UTC') IS NOT NULL AS begun;
SELECT order_goods(1), go_on();
SELECT order_goods(2, 20000), go_on();
SELECT * FROM order_state;
SELECT event_type, key, attributes ->> 'activity' AS activity, attributes #>> '{error,kind}' AS kind FROM aion.history('order-2');
SELECT available FROM stock;
SELECT aion_test.replay('order-1'), aion_test.replay('order-2');
ROLLBACK;

-- Payments that time out, but have happened: once, and once is enough.
BEGIN;
SELECT aion_test.begin('2030-01-01 09:00 UTC') IS NOT NULL AS begun;
CREATE FUNCTION hang() RETURNS text LANGUAGE sql AS $$
	SELECT ask_outside(activity, input) ->> 0 || ', attempt ' || attempt || ', and nobody hears of it' FROM aion.poll_activities('{shop}', 'slow')
$$;
SELECT order_goods(1), aion_test.run_until_idle();
SELECT hang(), aion_test.advance('31 s');
SELECT go_on();
SELECT order_goods(2), aion_test.run_until_idle();
SELECT hang(), aion_test.advance('31 s');
SELECT hang(), aion_test.advance('32 s');
-- The bank has taken it, and the last worker completes too late.
SELECT task_token FROM aion.poll_activities('{shop}', 'slow') \gset
SELECT aion_test.advance('30 s');
SELECT go_on();
SAVEPOINT too_late;
SELECT aion.complete_activity(:'task_token', '"late"');
ROLLBACK TO too_late;
SELECT * FROM order_state;
SELECT * FROM wrong_order;
SELECT available FROM stock;
SELECT aion_test.replay('order-1'), aion_test.replay('order-2');
ROLLBACK;

-- Cancelled after each step, and while a worker is at it, by steps and by optimistic turns: it takes back what it has done, and the
-- histories and the tables are the same.
CREATE FUNCTION cancel_everywhere() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	steps int;
BEGIN
	PERFORM aion_test.begin('2030-01-01 09:00 UTC');
	PERFORM order_goods(1000);
	steps := go_on();
	FOR n IN 0..steps LOOP
		PERFORM order_goods(n);
		PERFORM go_on(n), aion.cancel_workflow('order-' || n, 'changed their mind'), go_on();
	END LOOP;
	-- Twice, and while it takes back what the bank has declined.
	PERFORM order_goods(1002), go_on(4), aion.cancel_workflow('order-1002'), go_on(1), aion.cancel_workflow('order-1002'), go_on();
	PERFORM order_goods(1003, 20000), go_on(4), aion.cancel_workflow('order-1003'), go_on();
	PERFORM order_goods(1001), aion_test.run_until_idle();
	PERFORM FROM aion.poll_activities('{shop}', 'interrupted');
	PERFORM aion.cancel_workflow('order-1001'), go_on(), aion_test.advance('1 min'), go_on();
	-- Where the others are cancelled depends on how many turns there are.
	RETURN (SELECT string_agg(h::text, E'\n') FROM run CROSS JOIN LATERAL aion.history(workflow_id) h WHERE workflow_id IN ('order-1000', 'order-1001'))
		|| (SELECT string_agg(o::text, E'\n') FROM order_state o WHERE workflow_id IN ('order-1000', 'order-1001'));
END $$;
BEGIN;
SELECT cancel_everywhere() AS optimistic \gset
SELECT workflow_id, status, outcome, taken, refunded, booked FROM order_state;
SELECT * FROM wrong_order;
SELECT available FROM stock;
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM run;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;
BEGIN;
SET LOCAL aion.optimistic_turns = off;
SELECT cancel_everywhere() AS stepwise \gset
SELECT * FROM wrong_order;
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM run;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;
SELECT length(:'optimistic') > 2000 AS much, :'optimistic' = :'stepwise' AS same;

--
-- Approval.
--
CREATE FUNCTION ask_for(id bigint) RETURNS text LANGUAGE sql AS $$
	INSERT INTO expense VALUES (id, 100);
	SELECT aion.start_workflow('approve_expense', jsonb_build_object('expense_id', id, 'approver', 'ann'), workflow_id => 'expense-' || id)
$$;
CREATE VIEW mail_count AS SELECT expense_id, recipient, subject, count(*) FROM mail GROUP BY 1, 2, 3 ORDER BY 1, min(mail.ctid);

-- Approved at once, and after two reminders and a delegation, by the role that is logged in.
BEGIN;
SELECT aion_test.begin('2030-01-01 09:00 UTC') IS NOT NULL AS begun;
SELECT ask_for(1), ask_for(2), aion_test.run_until_idle();
SELECT awaiting, key, until FROM aion.pending_await WHERE workflow_id = 'expense-1' ORDER BY 1, 2;
SET SESSION AUTHORIZATION example_boss;
SELECT aion.signal_workflow('expense-1', 'approve', '{"comment": "fine", "by": "not me"}');
SET SESSION AUTHORIZATION example_owner;
SELECT aion_test.advance('2 days 1 hour');
SELECT aion.signal_workflow('expense-2', 'delegate', '{"to": "bob"}');
SELECT aion_test.advance('1 day 2 hours');
SET SESSION AUTHORIZATION example_boss;
SELECT aion.signal_workflow('expense-2', 'reject');
SET SESSION AUTHORIZATION example_owner;
SELECT aion_test.run_until_idle();
SELECT * FROM run;
SELECT * FROM expense ORDER BY 1;
SELECT * FROM mail_count;
SELECT aion_test.replay('expense-1'), aion_test.replay('expense-2');
SELECT count(*) FROM aion.timer;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- After a week it goes to the board, and waits inside of the handler for months. No reminder is sent.
BEGIN;
SELECT aion_test.begin('2030-01-01 09:00 UTC') IS NOT NULL AS begun;
SELECT ask_for(1), aion_test.advance('7 days') > 0 AS turns;
SELECT * FROM mail_count;
SELECT aion_test.advance('10 months');
SELECT awaiting, key, until FROM aion.pending_await ORDER BY 1, 2;
SELECT count(*) FROM aion.timer;
SELECT aion.signal_workflow('expense-1', 'delegate', '{"to": "nobody"}'), aion_test.run_until_idle(); -- no longer asked for
SELECT aion.signal_workflow('expense-1', 'approve', '"at last"'), aion_test.run_until_idle();
SELECT * FROM run;
SELECT * FROM expense;
SELECT name, payload FROM aion.unconsumed_signal;
SELECT aion_test.replay('expense-1');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Signals race each other, reminders and the deadline: what is recorded first wins, and what loses is not lost. The turns that are
-- counted let the clock stop where several timers are due.
BEGIN;
SELECT aion_test.begin('2030-01-01 09:00 UTC') IS NOT NULL AS begun;
SELECT ask_for(n) FROM generate_series(1, 5) n;
SELECT aion_test.run_until_idle();
SELECT aion.signal_workflow('expense-1', 'delegate', '{"to": "bob"}'), aion.signal_workflow('expense-1', 'approve', '1'), aion.signal_workflow('expense-1', 'reject', '1');
SELECT aion_test.run_until_idle() > 0 AS turns;
SELECT aion_test.advance('1 day', max_turns => 1), aion_test.now();
SELECT aion.signal_workflow('expense-3', 'approve', '3'), aion_test.run_until_idle() > 0 AS turns;
SELECT aion_test.advance('5 days') > 0 AS turns;
SELECT aion_test.advance('1 day', max_turns => 1), aion_test.now();
SELECT aion.signal_workflow('expense-4', 'approve', '4'), aion_test.run_until_idle() > 0 AS turns;
SELECT aion.signal_workflow(workflow_id, 'reject', 'true') FROM run WHERE status = 'running';
SELECT aion_test.run_until_idle() > 0 AS turns;
SELECT seq, recorded_at, event_type, key FROM aion.history('expense-3') WHERE event_type IN ('SignalReceived', 'TimerFired') OR seq = 2;
SELECT seq, recorded_at, event_type, key FROM aion.history('expense-4') WHERE recorded_at > '2030-01-08' AND event_type IN ('SignalReceived', 'TimerFired', 'ActivityScheduled');
SELECT * FROM run;
SELECT * FROM expense ORDER BY 1;
SELECT * FROM mail_count;
SELECT workflow_id, name, payload FROM aion.unconsumed_signal;
SELECT DISTINCT left(aion_test.replay(workflow_id), 2) FROM run;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- With one signal only.
BEGIN;
SELECT aion_test.begin('2030-01-01 09:00 UTC') IS NOT NULL AS begun;
SELECT aion.start_workflow('ask_simply', '{"expense_id": 1, "approver": "ann"}', workflow_id => 'a'), aion.start_workflow('ask_simply', '{"expense_id": 2, "approver": "ann"}', workflow_id => 'b');
SELECT aion_test.advance('50 hours') > 0 AS turns;
SELECT aion.signal_workflow('b', 'decision'), aion_test.advance('20 days') > 0 AS turns;
SELECT workflow_id, status, result, closed_at FROM aion.workflow_run ORDER BY run_key;
SELECT * FROM mail_count;
SELECT aion_test.replay('a'), aion_test.replay('b');
ROLLBACK;

--
-- Nightly load. Partitions at half past two; two are late, one for ever, and one is broken.
--
CREATE FUNCTION deliver(night date, late text DEFAULT '^$') RETURNS bigint LANGUAGE sql AS $$
	WITH delivered AS (INSERT INTO etl.delivery SELECT partition, night, CASE partition WHEN 'shop 007' THEN 'seven' ELSE '10' END
		FROM etl.partition WHERE partition !~ late ON CONFLICT DO NOTHING RETURNING 1) SELECT count(*) FROM delivered
$$;
CREATE VIEW night AS SELECT workflow_id, status, result ->> 'day' AS day, result -> 'partitions' AS partitions, jsonb_path_query_array(result, '$.failed[*].partition') AS failed,
	error -> 'message' AS error, result -> 'shops' AS shops FROM aion.workflow_run ORDER BY run_key;
BEGIN;
SELECT aion_test.begin('2030-03-29 00:00 UTC') IS NOT NULL AS begun;
SELECT aion.create_schedule('nightly', 'nightly_load', cron => '30 2 * * *', timezone => 'Europe/Berlin', catch_up => 'all', overlap => 'buffer_one');
DELETE FROM etl.partition WHERE partition > 'shop 250';
SELECT * FROM aion.next_ticks('nightly', 3); -- at half past two there, but for the 31st, when there is no such time
SELECT deliver('2030-03-28', late => '[12]13');
SELECT aion_test.advance('1 hour 30 min 5 s') > 0 AS turns;
SELECT state, count(*) FROM aion.activity_task GROUP BY 1;
SELECT deliver('2030-03-28', late => '213');
SELECT aion_test.advance('1 hour') > 0 AS turns;
SELECT * FROM night;
SELECT jsonb_path_query(result, '$.failed[*].error') - 'context' AS failed FROM aion.workflow_run;
SELECT aion.query_workflow('nightly/2030-03-29T01:30:00Z', 'progress');
SELECT * FROM etl.published;
SELECT event_type, attributes #>> '{error,attempts}' AS attempts, count(*) FROM aion.history('nightly/2030-03-29T01:30:00Z')
	WHERE event_type IN ('ActivityScheduled', 'ActivityCompleted', 'ActivityFailed') GROUP BY 1, 2 ORDER BY 1, 2;
SELECT aion_test.replay('nightly/2030-03-29T01:30:00Z');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A deploy in the middle of a night: the workflow in flight keeps its code, activities are what they are by then, and the next night is new.
BEGIN;
SELECT aion_test.begin('2030-03-29 00:00 UTC') IS NOT NULL AS begun;
SELECT aion.create_schedule('nightly', 'nightly_load', cron => '30 2 * * *', timezone => 'Europe/Berlin', catch_up => 'all', overlap => 'buffer_one');
DELETE FROM etl.partition WHERE partition > 'shop 030' OR partition = 'shop 007';
SELECT deliver('2030-03-28', late => '003'), deliver('2030-03-29'), deliver('2030-03-30');
SELECT aion_test.advance('1 hour 30 min 5 s') > 0 AS turns;
SELECT replace(pg_get_functiondef('nightly_load'::regproc), $$jsonb_build_object('day', d, 'partitions'$$, $$jsonb_build_object('shops', true, 'day', d, 'partitions'$$) AS deploy \gset
\set ECHO none
:deploy;
\set ECHO all
CREATE OR REPLACE FUNCTION etl.load_partition(partition text, day date) RETURNS numeric LANGUAGE sql AS $$
	INSERT INTO etl.sale VALUES (partition, day, 20) RETURNING amount
$$;
SELECT aion_test.advance('1 day') > 0 AS turns;
-- The schedule is paused for two nights, which are made up for, one after the other.
SELECT aion.pause_schedule('nightly'), aion_test.advance('2 days'), aion.resume_schedule('nightly'), aion_test.run_until_idle() > 0 AS turns;
SELECT * FROM night;
SELECT * FROM etl.published ORDER BY 1;
SELECT count(DISTINCT version) AS versions FROM aion.workflow_run;
SELECT schedule, nominal_at, state FROM aion.schedule_tick ORDER BY 2;
SELECT workflow_id, left(aion_test.replay(workflow_id, version), 2) AS own_code, left(aion_test.replay(workflow_id), 2) AS new_code FROM aion.workflow_run ORDER BY run_key;
ROLLBACK;

-- If more than one of a hundred is broken, the day is not published, and the error says which.
BEGIN;
SELECT aion_test.begin('2030-03-29 00:00 UTC') IS NOT NULL AS begun;
DELETE FROM etl.partition WHERE partition > 'shop 020';
SELECT deliver('2030-03-28');
SELECT aion.start_workflow('nightly_load', '{"day": "2030-03-28"}', workflow_id => 'by hand'), aion_test.run_until_idle() > 0 AS turns;
SELECT status, error ->> 'message' AS message, jsonb_path_query((error ->> 'detail')::jsonb, '$[*].partition') AS failed FROM aion.workflow_run;
SELECT count(*) AS loaded, (SELECT count(*) FROM etl.published) AS published FROM etl.sale;
ROLLBACK;

--
-- Subscription.
--
CREATE FUNCTION subscribe(anchor timestamptz DEFAULT aion_test.now()) RETURNS text LANGUAGE sql AS $$
	INSERT INTO new_subscription VALUES (1, 'basic', anchor) ON CONFLICT DO NOTHING;
	INSERT INTO card VALUES (1, true) ON CONFLICT DO NOTHING;
	SELECT aion.start_workflow('subscription', to_jsonb(s), workflow_id => 'sub-' || s.customer, if_running => 'use_existing') FROM new_subscription s
$$;
CREATE VIEW period AS SELECT input -> 'period' AS period, input ->> 'plan' AS plan, status, started_at, closed_at, result FROM aion.workflow_run ORDER BY run_key;

-- Twelve months from the last of January: each ends where its month ends. Each is a run of its own, of the same workflow.
BEGIN;
SELECT aion_test.begin('2030-01-31 10:00 UTC') IS NOT NULL AS begun;
SELECT subscribe(), aion_test.run_until_idle(), subscribe();
SELECT aion_test.advance('1 year') > 0 AS turns;
SELECT * FROM period;
SELECT count(*), count(DISTINCT period), min(period), max(period) FROM invoice;
SELECT aion.query_workflow('sub-1', 'plan');
SELECT timer, fire_at FROM aion.timer;
-- Three years on, and it is still the last of the month.
SELECT aion_test.advance('3 years') > 0 AS turns;
SELECT aion.query_workflow('sub-1', 'plan'), (SELECT count(*) FROM invoice) AS invoices, (SELECT max(history_events) FROM aion.workflow_run) AS longest;
SELECT aion.signal_workflow('sub-1', 'cancel'), aion_test.run_until_idle();
SELECT * FROM period OFFSET 48;
SELECT * FROM letter;
SELECT aion_test.replay('sub-1');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- The timer of the period goes on while signals win races against it. The plan that was chosen last is the one that is paid for.
BEGIN;
SELECT aion_test.begin('2030-01-31 10:00 UTC') IS NOT NULL AS begun;
SELECT subscribe(), aion_test.advance('10 days');
SELECT aion.signal_workflow('sub-1', 'change_plan', '{"plan": "premium"}'), aion_test.advance('10 days');
SELECT aion.signal_workflow('sub-1', 'change_plan', '{"plan": "family"}'), aion_test.run_until_idle(), aion.query_workflow('sub-1', 'plan');
SELECT event_type, key, recorded_at FROM aion.history('sub-1');
SELECT aion_test.advance('9 days') > 0 AS turns;
SELECT * FROM period;
SELECT * FROM invoice;
ROLLBACK;

-- A declined card: a letter, and another try after three days, or at once when there is a new card. What is sent meanwhile is not for this
-- period: the next one hears of it, in order.
BEGIN;
SELECT aion_test.begin('2030-01-31 10:00 UTC') IS NOT NULL AS begun;
SELECT subscribe(), aion_test.run_until_idle();
UPDATE card SET valid = false;
SELECT aion_test.advance('1 month') > 0 AS turns;
SELECT awaiting, key, until FROM aion.pending_await;
SELECT aion.signal_workflow('sub-1', 'change_plan', '{"plan": "premium"}'), aion_test.advance('4 days') > 0 AS turns;
SELECT * FROM letter;
SELECT aion.signal_workflow('sub-1', 'change_plan', '{"plan": "family"}'), replace_card(1), aion_test.run_until_idle() > 0 AS turns;
SELECT * FROM period;
SELECT * FROM invoice;
SELECT aion.query_workflow('sub-1', 'plan'); -- counted from the anchor, not from when it was paid
SELECT event_type, key, attributes -> 'payload' AS payload FROM aion.history('sub-1') WHERE event_type = 'SignalReceived';
SELECT aion_test.advance('1 month') > 0 AS turns;
SELECT * FROM invoice ORDER BY period;
SELECT * FROM aion.unconsumed_signal;
SELECT aion_test.replay('sub-1');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- No payment succeeds: after four tries in twelve days it is over. The cancel signal came meanwhile, but the code does not look any more.
BEGIN;
SELECT aion_test.begin('2030-01-31 10:00 UTC') IS NOT NULL AS begun;
SELECT subscribe(), aion_test.run_until_idle();
UPDATE card SET valid = false;
SELECT aion_test.advance('1 month') > 0 AS turns, aion.signal_workflow('sub-1', 'cancel'), aion_test.advance('1 month') > 0 AS turns;
SELECT * FROM letter;
SELECT * FROM period;
SELECT count(*) FROM invoice;
SELECT name FROM aion.unconsumed_signal;
SELECT aion_test.replay('sub-1');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Cancelled while the card is asked for: this month is paid, and it was the last.
BEGIN;
SELECT aion_test.begin('2030-01-31 10:00 UTC') IS NOT NULL AS begun;
SELECT subscribe(), aion_test.run_until_idle();
UPDATE card SET valid = false;
SELECT aion_test.advance('1 month') > 0 AS turns, aion.signal_workflow('sub-1', 'cancel'), replace_card(1), aion_test.run_until_idle() > 0 AS turns;
SELECT * FROM period;
SELECT count(*) FROM invoice;
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- A deploy in the middle of a period: it ends as it began, with its timer and what it was told, and the next one is new.
BEGIN;
SELECT aion_test.begin('2030-01-31 10:00 UTC') IS NOT NULL AS begun;
SELECT subscribe(), aion_test.advance('40 days') > 0 AS turns;
SELECT replace(pg_get_functiondef('subscription'::regproc), 'jsonb_build_object(''plan'', plan, ''due'', due)', 'jsonb_build_object(''plan'', plan, ''until'', due)') AS deploy \gset
\set ECHO none
:deploy;
\set ECHO all
SELECT aion.signal_workflow('sub-1', 'change_plan', '{"plan": "premium"}'), aion_test.run_until_idle(), aion.query_workflow('sub-1', 'plan');
SELECT aion_test.advance('1 month') > 0 AS turns, aion.query_workflow('sub-1', 'plan');
SELECT * FROM period;
SELECT count(DISTINCT version) AS versions FROM aion.workflow_run;
SELECT * FROM invoice;
SELECT aion_test.replay('sub-1');
RESET SESSION AUTHORIZATION; SELECT * FROM aion.check_integrity();
ROLLBACK;

-- Names belong to the whole database: the next test begins with none.
RESET SESSION AUTHORIZATION;
SELECT * FROM aion.check_integrity();
DROP EXTENSION aion CASCADE;
DROP OWNED BY example_owner, example_boss CASCADE;
DROP ROLE example_owner, example_boss;
CREATE EXTENSION aion;
