/* One event of a run, as users see it. */

CREATE TYPE aion.event AS (
	run_id uuid,
	seq int,
	recorded_at timestamptz,
	event_type text,
	key text,
	attributes jsonb
);
COMMENT ON TYPE aion.event IS 'one event of a run''s history';
