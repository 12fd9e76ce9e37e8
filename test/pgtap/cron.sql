--
-- Cron expressions by chance: whatever bytes come, they are understood or refused with WF014; and what is understood ticks when
-- a slow count says, minute by minute, in several zones, where the clocks change and where they do not (invariant 82, T44).
-- The seed is printed; add one that fails to the list of those that are tried every time.
--
\set ON_ERROR_STOP 1
\set QUIET 1
SET client_min_messages = warning;
CREATE TEMP TABLE chance (state bigint);
INSERT INTO chance VALUES (0);
CREATE FUNCTION pg_temp.roll(sides int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	s bigint;
BEGIN
	UPDATE chance SET state = (state * 1103515245 + 12345) % 2147483648 RETURNING state INTO s;
	RETURN (s / 65536) % sides;
END $$;

-- Text that is nearly an expression.
CREATE FUNCTION pg_temp.noise() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text := '';
BEGIN
	FOR i IN 1..pg_temp.roll(16) LOOP
		result := result || CASE pg_temp.roll(3)
			WHEN 0 THEN chr(1 + pg_temp.roll(255))
			ELSE (ARRAY['*', '/', '-', ',', ' ', ' * * *', '7', '0', '59', 'sun', 'DEC', '@', '*/2 ', '99999999999', E'\t'])[1 + pg_temp.roll(15)] END;
	END LOOP;
	RETURN result;
END $$;

-- A field with the values it stands for, made together.
CREATE FUNCTION pg_temp.field(low int, high int, OUT spelled text, OUT allowed int[]) LANGUAGE plpgsql AS $$
DECLARE
	a int;
	b int;
	step int;
BEGIN
	spelled := '';
	allowed := '{}';
	FOR i IN 0..CASE WHEN pg_temp.roll(3) = 0 THEN 2 ELSE 0 END LOOP
		a := low + pg_temp.roll(high - low + 1);
		b := a + pg_temp.roll(high - a + 1);
		step := 1 + pg_temp.roll(7);
		spelled := spelled || CASE WHEN i > 0 THEN ',' ELSE '' END;
		CASE pg_temp.roll(5)
			WHEN 0 THEN spelled := spelled || '*'; allowed := allowed || ARRAY(SELECT generate_series(low, high));
			WHEN 1 THEN spelled := spelled || '*/' || step; allowed := allowed || ARRAY(SELECT generate_series(low, high, step));
			WHEN 2 THEN spelled := spelled || a || '-' || b; allowed := allowed || ARRAY(SELECT generate_series(a, b));
			WHEN 3 THEN spelled := spelled || a || '-' || b || '/' || step; allowed := allowed || ARRAY(SELECT generate_series(a, b, step));
			ELSE spelled := spelled || a; allowed := allowed || a;
		END CASE;
	END LOOP;
END $$;

-- The ticks of a few days, minute by minute: those that the local clock shows and, unless every hour is allowed, for the first time,
-- or that it passes over.
CREATE FUNCTION pg_temp.count_ticks(f text[], minutes int[], hours int[], days int[], months int[], weekdays int[], zone text, since timestamptz, until timestamptz)
	RETURNS timestamptz[] LANGUAGE plpgsql AS $$
DECLARE
	t timestamptz := since - interval '26 hours';
	hourly boolean := hours @> ARRAY(SELECT generate_series(0, 23));
	either boolean := f[3] !~ '^\*' AND f[5] !~ '^\*';
	seen timestamp;
	local timestamp;
	l timestamp;
	result timestamptz[] := '{}';
BEGIN
	WHILE t <= until LOOP
		local := t AT TIME ZONE zone;
		l := CASE WHEN hourly OR seen IS NULL THEN local ELSE seen + interval '1 minute' END;
		WHILE l <= local LOOP
			IF t > since AND extract(minute FROM l)::int = ANY (minutes) AND extract(hour FROM l)::int = ANY (hours) AND extract(month FROM l)::int = ANY (months)
				AND (CASE WHEN either THEN extract(day FROM l)::int = ANY (days) OR extract(dow FROM l)::int = ANY (weekdays)
					ELSE extract(day FROM l)::int = ANY (days) AND extract(dow FROM l)::int = ANY (weekdays) END) THEN
				result := result || t;
				EXIT;
			END IF;
			l := l + interval '1 minute';
		END LOOP;
		seen := greatest(seen, local);
		t := t + interval '1 minute';
	END LOOP;
	RETURN result;
END $$;

CREATE TEMP TABLE failure (seed bigint, what text);
CREATE FUNCTION pg_temp.try(seed bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	zones text[] := '{Europe/Berlin,America/New_York,Australia/Lord_Howe,Asia/Kolkata,America/St_Johns,Pacific/Apia,Africa/Casablanca,UTC}';
	moments timestamptz[] := '{2026-03-28 20:00+00,2026-10-24 20:00+00,2027-03-13 22:00+00,2027-11-06 22:00+00,2026-04-04 06:00+00,2026-10-03 06:00+00,2011-12-28 20:00+00,2024-02-27 12:00+00,2027-12-30 12:00+00,2019-05-04 12:00+00}';
	minutes record;
	hours record;
	days record;
	months record;
	weekdays record;
	expression text;
	zone text;
	since timestamptz;
	until timestamptz;
	slow timestamptz[];
	fast timestamptz[];
BEGIN
	UPDATE chance SET state = seed;
	FOR i IN 1..30 LOOP
		expression := pg_temp.noise();
		BEGIN
			PERFORM aion._cron_ticks(expression, 'UTC', '2026-01-01', 2);
		EXCEPTION
			WHEN SQLSTATE 'WF014' THEN NULL;
			WHEN OTHERS THEN INSERT INTO failure VALUES (seed, format('%L gave %s: %s', expression, SQLSTATE, SQLERRM));
		END;
	END LOOP;
	minutes := pg_temp.field(0, 59);
	hours := pg_temp.field(0, 23);
	IF pg_temp.roll(3) = 0 THEN
		hours.spelled := '*';
		hours.allowed := ARRAY(SELECT generate_series(0, 23));
	END IF;
	days := pg_temp.field(1, 31);
	months := pg_temp.field(1, 12);
	weekdays := pg_temp.field(0, 7);
	-- most days match, or there would be little to compare
	IF pg_temp.roll(4) > 0 THEN
		months.spelled := '*';
		months.allowed := ARRAY(SELECT generate_series(1, 12));
	END IF;
	IF pg_temp.roll(2) > 0 THEN
		days.spelled := '*';
		days.allowed := ARRAY(SELECT generate_series(1, 31));
		weekdays.spelled := '*';
		weekdays.allowed := ARRAY(SELECT generate_series(0, 7));
	END IF;
	IF 7 = ANY (weekdays.allowed) THEN weekdays.allowed := weekdays.allowed || 0; END IF;
	expression := concat_ws(' ', minutes.spelled, hours.spelled, days.spelled, months.spelled, weekdays.spelled);
	FOR i IN 1..3 LOOP
		zone := zones[1 + pg_temp.roll(cardinality(zones))];
		since := moments[1 + pg_temp.roll(cardinality(moments))] + make_interval(mins => pg_temp.roll(600));
		until := since + interval '30 hours';
		slow := pg_temp.count_ticks(ARRAY[minutes.spelled, hours.spelled, days.spelled, months.spelled, weekdays.spelled], minutes.allowed, hours.allowed, days.allowed, months.allowed, weekdays.allowed,
			zone, since, until);
		BEGIN
			fast := ARRAY(SELECT t FROM aion._cron_ticks(expression, zone, since, 2000) t WHERE t <= until ORDER BY t);
		EXCEPTION WHEN SQLSTATE 'WF014' THEN
			fast := '{}'; -- there is no such day
		END;
		UPDATE compared SET ticks = ticks + cardinality(slow), windows = windows + 1;
		IF fast <> slow THEN
			INSERT INTO failure VALUES (seed, format('%s in %s since %s: %s, counted %s', expression, zone, since,
				ARRAY(SELECT unnest(fast) EXCEPT SELECT unnest(slow) LIMIT 5), ARRAY(SELECT unnest(slow) EXCEPT SELECT unnest(fast) LIMIT 5)));
		END IF;
	END LOOP;
END $$;
CREATE TEMP TABLE compared AS SELECT 0 AS ticks, 0 AS windows;

SELECT plan(2);
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint % 1000000 AS seed \gset
SELECT diag('seeds from ' || :seed);
SELECT count(pg_temp.try(s)) AS fixed FROM unnest('{1,2,3,4,5,6,7,8}'::bigint[]) s \gset
SELECT count(pg_temp.try(s)) AS drawn FROM generate_series(:seed, :seed + 59) s \gset
SELECT is_empty('SELECT * FROM failure', 'random expressions tick as counted, and noise is refused (seeds from ' || :seed || ')');
SELECT ok(windows = 3 * (:fixed + :drawn) AND ticks > 1000, format('that were %s ticks in %s windows', ticks, windows)) FROM compared;
SELECT * FROM finish();
