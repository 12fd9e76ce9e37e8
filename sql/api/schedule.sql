/* Schedules: workflows that are started again and again. */

CREATE OR REPLACE FUNCTION aion.create_schedule(name text, workflow_type text,
	cron text DEFAULT NULL, every interval DEFAULT NULL, input jsonb DEFAULT '{}',
	overlap text DEFAULT 'skip', catch_up text DEFAULT 'one', timezone text DEFAULT 'UTC',
	jitter interval DEFAULT NULL, start_at timestamptz DEFAULT NULL,
	end_at timestamptz DEFAULT NULL, max_runs int DEFAULT NULL, options jsonb DEFAULT NULL)
	RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'aion_create_schedule';
COMMENT ON FUNCTION aion.create_schedule(text, text, text, interval, jsonb, text, text, text,
	interval, timestamptz, timestamptz, int, jsonb)
	IS 'starts a workflow at every tick of a cron expression or an interval, as the owner of the schedule, which is the caller';

CREATE OR REPLACE FUNCTION aion.update_schedule(name text, workflow_type text DEFAULT NULL,
	cron text DEFAULT NULL, every interval DEFAULT NULL, input jsonb DEFAULT NULL,
	overlap text DEFAULT NULL, catch_up text DEFAULT NULL, timezone text DEFAULT NULL,
	jitter interval DEFAULT NULL, start_at timestamptz DEFAULT NULL,
	end_at timestamptz DEFAULT NULL, max_runs int DEFAULT NULL, options jsonb DEFAULT NULL)
	RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'aion_update_schedule';
COMMENT ON FUNCTION aion.update_schedule(text, text, text, interval, jsonb, text, text, text,
	interval, timestamptz, timestamptz, int, jsonb)
	IS 'changes a schedule; null leaves as is, an infinite start_at or end_at, a jitter of 0 and max_runs of 0 take away';

CREATE OR REPLACE FUNCTION aion.pause_schedule(name text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_pause_schedule';
COMMENT ON FUNCTION aion.pause_schedule(text) IS 'holds the ticks of a schedule; returns its state';

CREATE OR REPLACE FUNCTION aion.resume_schedule(name text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_resume_schedule';
COMMENT ON FUNCTION aion.resume_schedule(text)
	IS 'lets a schedule tick again, after what catch_up says about the ticks it has missed; returns its state';

CREATE OR REPLACE FUNCTION aion.delete_schedule(name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_delete_schedule';
COMMENT ON FUNCTION aion.delete_schedule(text) IS 'removes a schedule and its ticks; runs it has started go on';

CREATE OR REPLACE FUNCTION aion.trigger_schedule(name text) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_trigger_schedule';
COMMENT ON FUNCTION aion.trigger_schedule(text)
	IS 'lets a schedule start a run now, whatever else it does; returns the workflow id';

CREATE OR REPLACE FUNCTION aion.backfill_schedule(name text, since timestamptz, until timestamptz)
	RETURNS bigint LANGUAGE c AS 'MODULE_PATHNAME', 'aion_backfill_schedule';
COMMENT ON FUNCTION aion.backfill_schedule(text, timestamptz, timestamptz)
	IS 'lets a schedule start runs for the ticks of a past time that have started none; returns how many';

CREATE OR REPLACE FUNCTION aion.next_ticks(name text, n int DEFAULT 10) RETURNS SETOF timestamptz
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_next_ticks';
COMMENT ON FUNCTION aion.next_ticks(text, int) IS 'the next ticks of a schedule';

CREATE OR REPLACE FUNCTION aion.ring_schedule(name text) RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_ring_schedule';
COMMENT ON FUNCTION aion.ring_schedule(text)
	IS 'lets a schedule look whether a tick is due, which is what pg_cron calls; returns whether one is';

CREATE OR REPLACE FUNCTION aion.repair_schedules() RETURNS bigint
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_repair_schedules';
COMMENT ON FUNCTION aion.repair_schedules()
	IS 'makes the jobs of pg_cron that the caller''s schedules lack, as after a restore; returns how many';

CREATE OR REPLACE FUNCTION aion.scheduled_for() RETURNS timestamptz
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_scheduled_for';
COMMENT ON FUNCTION aion.scheduled_for()
	IS 'in workflow code: the nominal time of the tick that started this run; null if no schedule did';

CREATE OR REPLACE FUNCTION aion._cron_ticks(cron text, timezone text, after timestamptz, n int)
	RETURNS SETOF timestamptz LANGUAGE c AS 'MODULE_PATHNAME', 'aion_cron_ticks';
COMMENT ON FUNCTION aion._cron_ticks(text, text, timestamptz, int)
	IS 'the ticks of a cron expression after a moment';

CREATE OR REPLACE FUNCTION aion._missing_bells(OUT bells bigint, OUT missing bigint, OUT problem text)
	RETURNS SETOF record LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'aion_missing_bells';
COMMENT ON FUNCTION aion._missing_bells()
	IS 'how many schedules that the current user may see want a job of pg_cron, how many of them have none, and what is wrong with pg_cron';

CREATE OR REPLACE VIEW aion.schedule WITH (security_barrier) AS
	SELECT s.name, s.workflow_type, s.state, s.reason, o.name AS owner, s.cron, s.every, s.timezone,
		s.overlap, s.catch_up, s.jitter, s.start_at, s.end_at, s.max_runs,
		CASE WHEN s.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN s.input END AS input,
		CASE WHEN s.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN s.options END AS options,
		s.next_at, s.due_at, s.runs,
		(SELECT max(t.nominal_at) FROM aion._schedule_tick t
			WHERE t.run_key = s.run_key AND t.state = 'started') AS last_started_at,
		s.run_key, (SELECT t.state FROM aion._schedule_tick t
			WHERE t.run_key = s.run_key AND t.state NOT IN ('pending', 'buffered') ORDER BY t.nominal_at DESC LIMIT 1) AS last_tick
	FROM aion._schedule s JOIN aion._owner o ON o.owner_key = s.owner_key
	WHERE s.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.schedule IS 'schedules: what they start and when, their next tick, and why the engine has paused one (quarantined: the server crashed in its ticks)';
COMMENT ON COLUMN aion.schedule.name IS 'name of the schedule';
COMMENT ON COLUMN aion.schedule.workflow_type IS 'workflow that each tick starts';
COMMENT ON COLUMN aion.schedule.state IS 'active, paused or ended';
COMMENT ON COLUMN aion.schedule.reason IS 'why the schedule was paused or ended by the engine';
COMMENT ON COLUMN aion.schedule.owner IS 'role that the schedule and its runs belong to';
COMMENT ON COLUMN aion.schedule.cron IS 'cron expression; null if it ticks by an interval';
COMMENT ON COLUMN aion.schedule.every IS 'interval between ticks; null if it ticks by a cron expression';
COMMENT ON COLUMN aion.schedule.timezone IS 'time zone in which the expression, months and days are read';
COMMENT ON COLUMN aion.schedule.overlap IS 'what a tick does while the run of an earlier tick is open: skip, buffer_one, cancel_previous or allow_all';
COMMENT ON COLUMN aion.schedule.catch_up IS 'what becomes of ticks that were missed: skip, one or all';
COMMENT ON COLUMN aion.schedule.jitter IS 'ticks are delayed by a jitter, up to this';
COMMENT ON COLUMN aion.schedule.start_at IS 'no tick comes before this';
COMMENT ON COLUMN aion.schedule.end_at IS 'no tick comes after this';
COMMENT ON COLUMN aion.schedule.max_runs IS 'the schedule ends when it has started so many runs';
COMMENT ON COLUMN aion.schedule.input IS 'input of the runs; null for roles that may not see payloads';
COMMENT ON COLUMN aion.schedule.options IS 'further arguments of aion.start_workflow(); null for roles that may not see payloads';
COMMENT ON COLUMN aion.schedule.next_at IS 'nominal time of the next tick';
COMMENT ON COLUMN aion.schedule.due_at IS 'when the next tick is decided, jitter included';
COMMENT ON COLUMN aion.schedule.runs IS 'number of runs that the schedule has started';
COMMENT ON COLUMN aion.schedule.last_started_at IS 'nominal time of the latest tick that started a run';
COMMENT ON COLUMN aion.schedule.run_key IS 'number of the schedule in this database, among those of runs';
COMMENT ON COLUMN aion.schedule.last_tick IS 'what became of the latest tick that is decided: started, skipped, missed or failed';

CREATE OR REPLACE VIEW aion.schedule_tick WITH (security_barrier) AS
	SELECT s.name AS schedule, t.nominal_at, t.state, t.workflow_id, t.decided_at, t.until_at,
		CASE WHEN t.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN t.error END AS error
	FROM aion._schedule_tick t JOIN aion._schedule s USING (run_key)
	WHERE t.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.schedule_tick
	IS 'what became of ticks: started, skipped or buffered by overlap, missed (up to until_at) by catch_up, failed, or pending';
COMMENT ON COLUMN aion.schedule_tick.schedule IS 'name of the schedule';
COMMENT ON COLUMN aion.schedule_tick.nominal_at IS 'time of the tick by its expression or interval, without jitter';
COMMENT ON COLUMN aion.schedule_tick.state IS 'pending, buffered, started, skipped, missed or failed';
COMMENT ON COLUMN aion.schedule_tick.workflow_id IS 'workflow id that the tick starts';
COMMENT ON COLUMN aion.schedule_tick.decided_at IS 'when it was decided what becomes of the tick';
COMMENT ON COLUMN aion.schedule_tick.until_at IS 'of missed ticks, the last one that the row stands for';
COMMENT ON COLUMN aion.schedule_tick.error IS 'why the tick could not start its workflow; null for roles that may not see payloads';
