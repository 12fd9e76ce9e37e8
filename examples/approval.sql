-- An approval: the approver approves, rejects or delegates, and is reminded every day. After a week it goes higher up and waits for as
-- long as it takes. The role that was logged in is recorded with the decision.
-- Run it as a role that has been granted the use of aion: SELECT aion.grant_usage('...').

CREATE TABLE expense (expense_id bigint PRIMARY KEY, amount numeric NOT NULL, decision text, note jsonb, decided_by text);
CREATE TABLE mail (expense_id bigint, recipient text, subject text);

CREATE FUNCTION send_reminder(expense_id bigint, "to" text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO mail VALUES (expense_id, "to", 'please look at it')
$$;
SELECT aion.register_activity('send_reminder', 'send_reminder(bigint, text)');

CREATE FUNCTION escalate(expense_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO mail VALUES (expense_id, 'board', 'nobody has decided')
$$;
SELECT aion.register_activity('escalate', 'escalate(bigint)');

CREATE FUNCTION record_decision(expense_id bigint, decision text, note jsonb, by text) RETURNS void LANGUAGE sql AS $$
	UPDATE expense e SET decision = record_decision.decision, note = record_decision.note, decided_by = by
		WHERE e.expense_id = record_decision.expense_id
$$;
SELECT aion.register_activity('record_decision', 'record_decision(bigint, text, jsonb, text)');

CREATE FUNCTION approve_expense(expense_id bigint, approver text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	e     jsonb := jsonb_build_object('expense_id', expense_id);
	scope aion.scope;
	got   record;
BEGIN
	BEGIN
		scope := aion.begin_timeout('7 days');
		LOOP
			-- What loses the race is not consumed: a signal waits until it is asked for again.
			got := aion.await_first(ARRAY[aion.next_signal('approve'), aion.next_signal('reject'), aion.next_signal('delegate'),
				aion.start_timer('reminder', '1 day')], cancel_rest => true);
			EXIT WHEN got.name IN ('approve', 'reject');
			IF got.name = 'delegate' THEN
				approver := got.value ->> 'to';
			END IF;
			PERFORM aion.run('send_reminder', e || jsonb_build_object('to', approver));
		END LOOP;
		PERFORM aion.end_timeout(scope);
	EXCEPTION WHEN SQLSTATE 'WF026' THEN                     -- the scope ended with its block: what follows is free of it
		PERFORM aion.run('escalate', e);
		got := aion.await_first(ARRAY[aion.next_signal('approve'), aion.next_signal('reject')]);
	END;
	PERFORM aion.run('record_decision',
		e || jsonb_build_object('decision', got.name, 'note', got.value, 'by', aion.signal_info() ->> 'sent_by'));
	RETURN jsonb_build_object('decision', got.name);
END $$;
SELECT aion.register_workflow('approve_expense', 'approve_expense(bigint, text)');

-- With one signal only it is a loop. SQL NULL means that no answer came in time.
CREATE FUNCTION ask_simply(expense_id bigint, approver text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	e        jsonb := jsonb_build_object('expense_id', expense_id, 'to', approver);
	deadline timestamptz := aion.now() + interval '7 days';
	d        jsonb;
BEGIN
	LOOP
		d := aion.receive('decision', until => least(aion.now() + interval '1 day', deadline));
		EXIT WHEN d IS NOT NULL OR aion.now() >= deadline;
		PERFORM aion.run('send_reminder', e);
	END LOOP;
	RETURN coalesce(d, '"nobody has decided"');
END $$;
SELECT aion.register_workflow('ask_simply', 'ask_simply(bigint, text)');

-- INSERT INTO expense VALUES (1, 250);
-- SELECT aion.start_workflow('approve_expense', '{"expense_id": 1, "approver": "ann"}', workflow_id => 'expense-1');
-- SELECT * FROM aion.pending_await WHERE workflow_id = 'expense-1';
-- SELECT aion.signal_workflow('expense-1', 'delegate', '{"to": "bob"}');
-- SELECT aion.signal_workflow('expense-1', 'approve', '{"comment": "fine"}');
-- SELECT * FROM expense;
