-- An order: the payment is taken once, whatever crashes; a day later the goods are sent.
-- Run it as a role that has been granted the use of aion: SELECT aion.grant_usage('...').

CREATE TABLE charged (order_id bigint, amount numeric, paid_at timestamptz DEFAULT clock_timestamp());
CREATE TABLE delivery (order_id bigint, sent_at timestamptz DEFAULT clock_timestamp());

-- Activities do things. What they write commits together with the step of the workflow.
CREATE FUNCTION charge(order_id bigint, amount numeric) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF amount > 10000 THEN
		RAISE EXCEPTION 'card declined' USING ERRCODE = 'P0402';
	END IF;
	INSERT INTO charged VALUES (order_id, amount);
	RETURN 'receipt ' || order_id;
END $$;
SELECT aion.register_activity('charge', 'charge(bigint, numeric)');

CREATE FUNCTION send_goods(order_id bigint) RETURNS void LANGUAGE sql AS $$
	INSERT INTO delivery VALUES (order_id)
$$;
SELECT aion.register_activity('send_goods', 'send_goods(bigint)');

-- A workflow decides what to do. It may be executed again from its first line at any time; what has been done is not
-- done again.
CREATE FUNCTION deliver(order_id bigint, amount numeric, delay interval DEFAULT '1 day') RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	receipt text;
BEGIN
	BEGIN
		receipt := aion.value(aion.run('charge', jsonb_build_object('order_id', order_id, 'amount', amount)));
	EXCEPTION WHEN SQLSTATE 'WA001' THEN
		RETURN jsonb_build_object('status', 'refused', 'because', aion.failure() ->> 'message');
	END;
	PERFORM aion.sleep(delay);
	PERFORM aion.run('send_goods', jsonb_build_object('order_id', order_id));
	RETURN jsonb_build_object('status', 'delivered', 'receipt', receipt);
END $$;
SELECT aion.register_workflow('deliver', 'deliver(bigint, numeric, interval)');

-- SELECT aion.start_workflow('deliver', '{"order_id": 1, "amount": 120}', workflow_id => 'order-1');
-- SELECT * FROM charged;
