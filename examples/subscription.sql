-- A subscription: paid every month, for years. The plan may be changed and the subscription cancelled at any time; a card that is
-- declined is asked for again. Each period is a run of its own, so no history grows long.
-- Run it as a role that has been granted the use of aion: SELECT aion.grant_usage('...').

CREATE TABLE new_subscription (customer bigint PRIMARY KEY, plan text NOT NULL, anchor timestamptz NOT NULL);
CREATE TABLE card (customer bigint PRIMARY KEY, valid boolean NOT NULL);
CREATE TABLE invoice (customer bigint, plan text, period int, PRIMARY KEY (customer, period));
CREATE TABLE letter (customer bigint, body text);

CREATE FUNCTION charge_invoice(customer bigint, plan text, period int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO invoice VALUES (customer, plan, period);
	IF NOT (SELECT valid FROM card c WHERE c.customer = charge_invoice.customer) THEN
		RAISE EXCEPTION 'card declined';
	END IF;
END $$;
CREATE FUNCTION send_dunning_mail(customer bigint, try int, because text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO letter VALUES (customer, format('try %s: %s', try, because))
$$;
CREATE FUNCTION suspend_account(customer bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO letter VALUES (customer, 'suspended')
$$;
CREATE FUNCTION final_invoice(customer bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO letter VALUES (customer, 'final invoice')
$$;
SELECT aion.register_activity('charge_invoice', 'charge_invoice(bigint, text, int)'),
	aion.register_activity('send_dunning_mail', 'send_dunning_mail(bigint, int, text)'),
	aion.register_activity('suspend_account', 'suspend_account(bigint)'),
	aion.register_activity('final_invoice', 'final_invoice(bigint)');

CREATE FUNCTION subscription(customer bigint, plan text, anchor timestamptz, period int DEFAULT 0) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	due   timestamptz := anchor + (period + 1) * interval '1 month';     -- counted from the anchor: no drift after a short month
	timer aion.handle := aion.start_timer('period', until => due);
	c     jsonb := jsonb_build_object('customer', customer);
	got   record;
	paid  boolean := false;
BEGIN
	LOOP
		PERFORM aion.publish('plan', jsonb_build_object('plan', plan, 'due', due));
		got := aion.await_first(ARRAY[aion.next_signal('cancel'), aion.next_signal('change_plan'), timer]);
		EXIT WHEN got.name = 'period';
		IF got.name = 'cancel' THEN
			PERFORM aion.run('final_invoice', c);
			RETURN jsonb_build_object('ended', aion.now(), 'periods', period);
		END IF;
		plan := got.value ->> 'plan';
	END LOOP;

	FOR try IN 1..4 LOOP
		BEGIN
			PERFORM aion.run('charge_invoice', c || jsonb_build_object('plan', plan, 'period', period));
			paid := true;
			EXIT;
		EXCEPTION WHEN SQLSTATE 'WA000' THEN                             -- any outcome of an activity but success
			PERFORM aion.run('send_dunning_mail', c || jsonb_build_object('try', try, 'because', SQLERRM));
		END;
		PERFORM aion.receive('payment_method', timeout => '3 days');     -- a new card, or simply the next try
	END LOOP;
	IF NOT paid THEN
		PERFORM aion.run('suspend_account', c);
		RETURN '{"ended": "unpaid"}';
	END IF;
	PERFORM aion.continue_as_new(c || jsonb_build_object('plan', plan, 'anchor', anchor, 'period', period + 1));
END $$;
SELECT aion.register_workflow('subscription', 'subscription(bigint, text, timestamptz, int)');

-- A customer's new card: the next try need not wait.
CREATE FUNCTION replace_card(customer bigint) RETURNS boolean LANGUAGE sql AS $$
	INSERT INTO card VALUES (customer, true) ON CONFLICT (customer) DO UPDATE SET valid = true;
	SELECT aion.signal_workflow('sub-' || customer, 'payment_method');
$$;

-- INSERT INTO new_subscription VALUES (1, 'basic', now());
-- INSERT INTO card VALUES (1, true);
-- SELECT aion.start_workflow('subscription', to_jsonb(s), workflow_id => 'sub-' || s.customer, if_running => 'use_existing')
--   FROM new_subscription s;
-- SELECT aion.query_workflow('sub-1', 'plan', wait => '10 s');
-- SELECT aion.signal_workflow('sub-1', 'change_plan', '{"plan": "premium"}');
-- SELECT aion.signal_workflow('sub-1', 'cancel');
