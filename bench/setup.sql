-- What the benchmark executes.
CREATE TABLE pair_a (id bigserial PRIMARY KEY, filler text);
CREATE TABLE pair_b (id bigserial PRIMARY KEY, filler text);
CREATE TABLE effect (id bigserial PRIMARY KEY, what int);
CREATE FUNCTION act(what int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO effect (what) VALUES (act.what); RETURN what; END $$;
CREATE FUNCTION steps(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM aion.run('act', jsonb_build_object('what', i));
	END LOOP;
	RETURN n;
END $$;
CREATE FUNCTION nap(until timestamptz) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM aion.sleep_until(until); END $$;
CREATE FUNCTION handled(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		BEGIN
			PERFORM aion.run('act', jsonb_build_object('what', i));
		EXCEPTION WHEN SQLSTATE 'WA000' THEN
			RETURN i;
		END;
	END LOOP;
	RETURN n;
END $$;
SELECT aion.register_activity('act', 'act(int)'), aion.register_workflow('steps', 'steps(int)'), aion.register_workflow('handled', 'handled(int)'), aion.register_workflow('nap', 'nap(timestamptz)');
CREATE FUNCTION asks() RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run('remote'); END $$;
CREATE FUNCTION fans(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_array_length(aion.map('act', (SELECT jsonb_agg(jsonb_build_object('what', i)) FROM generate_series(1, n) i)));
END $$;
CREATE FUNCTION fans_out(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_array_length(aion.map('remote', (SELECT jsonb_agg(i) FROM generate_series(1, n) i)));
END $$;
SELECT aion.register_activity('remote', mode => 'external', start_to_close_timeout => '10 min');
CREATE FUNCTION rests() RETURNS jsonb LANGUAGE sql AS $$ SELECT aion.run('rest', '{"what": 1}') $$;
SELECT aion.register_activity('rest', 'act(int)', mode => 'background');
SELECT aion.register_workflow('asks', 'asks()'), aion.register_workflow('rests', 'rests()'), aion.register_workflow('fans', 'fans(int)'), aion.register_workflow('fans_out', 'fans_out(int)');
CREATE TABLE latency (ms float8);
CREATE PROCEDURE measure_wake(times int) LANGUAGE plpgsql AS $$
DECLARE
	began timestamptz;
	result jsonb;
BEGIN
	FOR i IN 1..times LOOP
		began := clock_timestamp();
		CALL aion.run_workflow('steps', '{"n": 1}', result);
		INSERT INTO latency VALUES (1000 * extract(epoch FROM clock_timestamp() - began));
		COMMIT;
	END LOOP;
END $$;
-- Children, and runs that go on as new ones.
CREATE FUNCTION quick(i int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN i; END $$;
CREATE FUNCTION delegates() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN aion.run_child('quick', '{"i": 1}'); END $$;
CREATE FUNCTION gathers(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	RETURN jsonb_array_length(aion.await_all(ARRAY(SELECT aion.start_child('quick', jsonb_build_object('i', i)) FROM generate_series(1, n) i)));
END $$;
CREATE FUNCTION loops(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n > 0 THEN PERFORM aion.continue_as_new(jsonb_build_object('n', n - 1)); END IF;
	RETURN n;
END $$;
SELECT aion.register_workflow('quick', 'quick(int)'), aion.register_workflow('delegates', 'delegates()'), aion.register_workflow('gathers', 'gathers(int)'), aion.register_workflow('loops', 'loops(int)');
-- Signals and queries.
CREATE FUNCTION hears(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1..n LOOP
		PERFORM aion.run('act', jsonb_build_object('what', aion.receive('what')));
	END LOOP;
END $$;
CREATE PROCEDURE send_signals() LANGUAGE plpgsql AS $$
DECLARE
	run record;
BEGIN
	FOR run IN SELECT workflow_id, row_number() OVER () AS what FROM aion.workflow_run WHERE workflow_type = 'hears' AND closed_at IS NULL LOOP
		PERFORM aion.signal_workflow(run.workflow_id, 'what', to_jsonb(run.what));
		INSERT INTO sent VALUES (run.what);
		COMMIT;
		PERFORM pg_sleep(0.01);
	END LOOP;
END $$;
CREATE FUNCTION answers(state jsonb, args jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_array(state, args) $$;
CREATE FUNCTION told() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aion.publish('stage', '"packed"');
	PERFORM aion.on_query('ask', 'answers(jsonb, jsonb)', '{"stage": "packed"}');
	PERFORM aion.sleep('1 day');
END $$;
SELECT aion.register_workflow('hears', 'hears(int)'), aion.register_workflow('told', 'told()');
