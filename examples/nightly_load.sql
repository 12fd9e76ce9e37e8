-- A nightly load: 500 partitions, 20 at a time, each in a transaction of its own; what fails is tried again, what is broken is listed,
-- and if too much is, the day is not published.
-- Run it as a role that has been granted the use of aion, SELECT aion.grant_usage('...'), and CREATE on the database.

CREATE SCHEMA etl;
CREATE TABLE etl.partition AS SELECT 'shop ' || to_char(i, 'FM000') AS partition FROM generate_series(1, 500) AS i;
CREATE TABLE etl.delivery (partition text, day date, amount text, PRIMARY KEY (partition, day));      -- as the shops send it
CREATE TABLE etl.sale (partition text, day date, amount numeric, PRIMARY KEY (partition, day));
CREATE TABLE etl.published (day date PRIMARY KEY, partitions bigint, amount numeric);

CREATE FUNCTION etl.partition_of(day date) RETURNS SETOF etl.partition LANGUAGE sql AS $$
	SELECT * FROM etl.partition
$$;

-- What is missing may come: that is tried again. What is not a number will not become one: 22P02 is not.
CREATE FUNCTION etl.load_partition(partition text, day date) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	delivered text;
	loaded    numeric;
BEGIN
	SELECT d.amount INTO delivered FROM etl.delivery d WHERE (d.partition, d.day) = (load_partition.partition, load_partition.day);
	IF NOT FOUND THEN
		RAISE EXCEPTION 'nothing was delivered by % for %', partition, day;
	END IF;
	INSERT INTO etl.sale VALUES (partition, day, delivered::numeric) RETURNING amount INTO loaded;
	RETURN loaded;
END $$;
SELECT aion.register_activity('load_partition', 'etl.load_partition(text, date)', mode => 'background', task_queue => 'etl',
	start_to_close_timeout => '1 h');
SELECT aion.configure_task_queue('etl', max_running => 20);

CREATE FUNCTION etl.publish_day(day date) RETURNS void LANGUAGE sql AS $$
	INSERT INTO etl.published SELECT publish_day.day, count(*), sum(amount) FROM etl.sale s WHERE s.day = publish_day.day
$$;
SELECT aion.register_activity('publish_day', 'etl.publish_day(date)');

CREATE FUNCTION nightly_load(day date DEFAULT NULL) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	d      date := coalesce(day, (aion.scheduled_for() AT TIME ZONE 'Europe/Berlin')::date - 1);
	parts  jsonb;
	res    jsonb;
	failed jsonb;
BEGIN
	parts := aion.run_sql('SELECT partition, $1::date AS day FROM etl.partition_of($1::date) ORDER BY partition', jsonb_build_array(d));
	res := aion.map_settled('load_partition', parts,
		'{"concurrency": 20, "retry": {"max_attempts": 5, "initial_interval": "10 s", "non_retryable": ["22P02"]}}');
	SELECT coalesce(jsonb_agg(parts -> (n - 1)::int || r ORDER BY n), '[]') INTO failed
		FROM jsonb_array_elements(res) WITH ORDINALITY AS x(r, n) WHERE r ? 'error';
	PERFORM aion.publish('progress',
		jsonb_build_object('day', d, 'partitions', jsonb_array_length(res), 'failed', jsonb_array_length(failed)));
	-- When the data is mended, aion.reopen_workflow() lets the run go on: only the partitions that failed are loaded again.
	IF jsonb_array_length(failed) > jsonb_array_length(res) / 100 THEN
		RAISE EXCEPTION 'too many partitions failed for %', d USING DETAIL = failed::text;
	END IF;
	PERFORM aion.run('publish_day', jsonb_build_object('day', d));
	RETURN jsonb_build_object('day', d, 'partitions', jsonb_array_length(res), 'failed', failed);
END $$;
SELECT aion.register_workflow('nightly_load', 'nightly_load(date)');

-- Every night, whatever the clock does in March and October. Nights that were missed are all made up for; they run beside each other,
-- and the queue limits how many partitions are loaded at once. (Cron expressions need pg_cron, see docs/schedules.md.)
-- SELECT aion.create_schedule('nightly', 'nightly_load', cron => '30 2 * * *', timezone => 'Europe/Berlin', catch_up => 'all',
--   overlap => 'allow_all');
-- SELECT * FROM aion.next_ticks('nightly', 3);

-- By hand:
-- INSERT INTO etl.delivery SELECT partition, current_date - 1, length(partition) * 10 FROM etl.partition;
-- SELECT aion.start_workflow('nightly_load', jsonb_build_object('day', current_date - 1), workflow_id => 'load-by-hand');
-- SELECT state, count(*) FROM aion.activity_task WHERE workflow_id = 'load-by-hand' GROUP BY 1;
-- SELECT jsonb_pretty(result) FROM aion.workflow_run WHERE workflow_id = 'load-by-hand';
