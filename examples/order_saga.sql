-- An order as a saga: stock is reserved here, the payment is taken and the carrier booked by workers elsewhere. If something goes
-- wrong in the middle, or the order is cancelled, what was done or may have been done is taken back.
-- Run it as a role that has been granted the use of aion: SELECT aion.grant_usage('...').

CREATE TABLE stock (item text PRIMARY KEY, available int NOT NULL CHECK (available >= 0));
INSERT INTO stock VALUES ('book', 1000);
CREATE TABLE reservation (order_id bigint PRIMARY KEY, item text NOT NULL);
CREATE TABLE shipment (order_id bigint PRIMARY KEY, receipt jsonb NOT NULL);

-- What is only SQL is done by the server itself. It commits together with the step of the workflow, so it happens once.
CREATE FUNCTION reserve_stock(o jsonb) RETURNS void LANGUAGE sql AS $$
	UPDATE stock SET available = available - 1 WHERE item = 'book';
	INSERT INTO reservation VALUES ((o ->> 'order_id')::bigint, 'book');
$$;
CREATE FUNCTION release_stock(o jsonb) RETURNS void LANGUAGE sql AS $$
	WITH released AS (DELETE FROM reservation r WHERE r.order_id = (o ->> 'order_id')::bigint RETURNING item)
		UPDATE stock s SET available = available + 1 FROM released WHERE s.item = released.item;
$$;
CREATE FUNCTION confirm_order(o jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO shipment VALUES ((o ->> 'order_id')::bigint, o -> 'receipt')
$$;
SELECT aion.register_activity('reserve_stock', 'reserve_stock(jsonb)'), aion.register_activity('release_stock', 'release_stock(jsonb)'),
	aion.register_activity('confirm_order', 'confirm_order(jsonb)');

-- The bank and the carrier are asked by workers. Each order has a key, the same in every attempt: the bank takes one payment for a
-- key, and once it was told to refund a key it gives back what it has taken, if anything, and takes nothing more for it. The carrier
-- does the same with bookings.
SELECT aion.register_activity('take_payment', mode => 'external', task_queue => 'shop', start_to_close_timeout => '30 s',
	retry => '{"max_attempts": 3, "initial_interval": "1 s", "non_retryable": ["declined"]}');
SELECT aion.register_activity('refund', mode => 'external', task_queue => 'shop', start_to_close_timeout => '30 s');
SELECT aion.register_activity('book_carrier', mode => 'external', task_queue => 'shop', start_to_close_timeout => '30 s');
SELECT aion.register_activity('cancel_carrier', mode => 'external', task_queue => 'shop', start_to_close_timeout => '30 s');

CREATE FUNCTION place_order(order_id bigint, amount numeric) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	o    jsonb := jsonb_build_object('order_id', order_id, 'amount', amount, 'key', aion.uuid());
	undo text[] := '{}';                           -- what to take back, newest first; variables survive the exception
	step text;
BEGIN
	PERFORM aion.run('reserve_stock', o);
	undo := array_prepend('release_stock', undo);
	undo := array_prepend('refund', undo);         -- before the call: a payment that timed out may have happened
	o := o || jsonb_build_object('receipt', aion.run('take_payment', o));
	undo := array_prepend('cancel_carrier', undo); -- likewise
	PERFORM aion.run('book_carrier', o);
	PERFORM aion.run('confirm_order', o);
	RETURN jsonb_build_object('status', 'shipped', 'receipt', o -> 'receipt');
EXCEPTION WHEN OTHERS THEN                         -- an activity failed, the order was cancelled, or we have a bug: take back all of it
	PERFORM aion.shield(true);                     -- cancelled from here on, or once more: not before that is done
	FOREACH step IN ARRAY undo LOOP
		PERFORM aion.run(step, o, '{"retry": {"max_attempts": 50, "max_interval": "1 h"}}');
	END LOOP;
	IF SQLSTATE LIKE 'WA%' THEN
		RETURN jsonb_build_object('status', 'rejected', 'because', SQLERRM);
	END IF;
	RAISE;                                         -- WF028: closes as cancelled; anything else: as failed
END $$;
SELECT aion.register_workflow('place_order', 'place_order(bigint, numeric)');

-- A worker in SQL, and a bank and a carrier that are made up, to try it out: each call does one thing that waits to be done.
-- examples/worker has real workers, in Python and in Node.
CREATE TABLE bank (key text PRIMARY KEY, amount numeric NOT NULL, refunded boolean NOT NULL);
CREATE TABLE carrier (key text PRIMARY KEY, order_id bigint NOT NULL, cancelled boolean NOT NULL);
CREATE FUNCTION ask_outside(activity text, input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	IF activity = 'book_carrier' THEN
		INSERT INTO carrier VALUES (input ->> 'key', (input ->> 'order_id')::bigint, false) ON CONFLICT DO NOTHING;
		IF (SELECT cancelled FROM carrier c WHERE c.key = input ->> 'key') THEN
			RAISE EXCEPTION 'booking was cancelled';
		END IF;
	ELSIF activity = 'cancel_carrier' THEN
		INSERT INTO carrier VALUES (input ->> 'key', (input ->> 'order_id')::bigint, true)
			ON CONFLICT (key) DO UPDATE SET cancelled = true;
	ELSIF activity = 'refund' THEN
		INSERT INTO bank VALUES (input ->> 'key', 0, true) ON CONFLICT (key) DO UPDATE SET refunded = true;
	ELSE
		INSERT INTO bank VALUES (input ->> 'key', (input ->> 'amount')::numeric, false) ON CONFLICT DO NOTHING;
		IF (SELECT refunded FROM bank b WHERE b.key = input ->> 'key') THEN
			RAISE EXCEPTION 'payment was refunded';
		END IF;
	END IF;
	RETURN to_jsonb('done for order ' || (input ->> 'order_id'));
END $$;
CREATE FUNCTION work() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	task record;
BEGIN
	SELECT * INTO task FROM aion.poll_activities('{shop}', 'psql');
	IF NOT FOUND THEN
		RETURN NULL;
	END IF;
	BEGIN
		IF task.activity = 'take_payment' AND (task.input ->> 'amount')::numeric > 10000 THEN
			PERFORM aion.fail_activity(task.task_token, 'card declined', kind => 'declined');
		ELSE
			PERFORM aion.complete_activity(task.task_token, ask_outside(task.activity, task.input));
		END IF;
	EXCEPTION WHEN raise_exception THEN
		PERFORM aion.fail_activity(task.task_token, SQLERRM);
	END;
	RETURN task.activity || ' for ' || task.workflow_id;
END $$;

-- SELECT aion.start_workflow('place_order', '{"order_id": 1, "amount": 250}', workflow_id => 'order-1');
-- SELECT work();                                 -- some times; and then
-- SELECT status, result FROM aion.workflow_run WHERE workflow_id = 'order-1';
-- SELECT aion.cancel_workflow('order-1');        -- in the middle
