/* The engine itself: its processes, and whether all is well. */

CREATE OR REPLACE FUNCTION aion._stat_engine(OUT library_version text, OUT preloaded boolean,
	OUT launcher_pid int, OUT scheduler_pid int, OUT runners int, OUT max_runners int,
	OUT fence text, OUT execution text, OUT paused boolean) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'aion_stat_engine';
COMMENT ON FUNCTION aion._stat_engine() IS 'the engine''s processes in this database';

CREATE OR REPLACE FUNCTION aion._stat_runner(OUT pid int, OUT owner_key int, OUT state text,
	OUT since timestamptz, OUT queued int, OUT batches bigint, OUT runs bigint)
	RETURNS SETOF record LANGUAGE c ROWS 4 AS 'MODULE_PATHNAME', 'aion_stat_runner';
COMMENT ON FUNCTION aion._stat_runner() IS 'the runners of this database';

CREATE OR REPLACE FUNCTION aion._executing(OUT pid int, OUT run_key bigint)
	RETURNS SETOF record LANGUAGE c ROWS 4 AS 'MODULE_PATHNAME', 'aion_executing';
COMMENT ON FUNCTION aion._executing() IS 'the runs that processes of this database execute';

CREATE OR REPLACE FUNCTION aion._stat_workers(OUT databases int, OUT needed int, OUT available int,
	OUT unserved oid[], OUT unserved_count int, OUT refused boolean) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'aion_stat_workers';
COMMENT ON FUNCTION aion._stat_workers() IS 'how many background workers the engine needs in this server, and the databases that wait for one';

CREATE OR REPLACE FUNCTION aion._incidents(OUT unlogged_incidents bigint, OUT divergences bigint) RETURNS SETOF record
	LANGUAGE c ROWS 1 AS 'MODULE_PATHNAME', 'aion_incidents';
COMMENT ON FUNCTION aion._incidents() IS 'what this server has counted of incidents';

CREATE OR REPLACE VIEW aion.stat_engine AS SELECT e.*, i.unlogged_incidents, i.divergences FROM aion._stat_engine() e, aion._incidents() i;
COMMENT ON VIEW aion.stat_engine IS 'the engine''s processes in this database';
COMMENT ON COLUMN aion.stat_engine.library_version IS 'version of the library that the server has loaded';
COMMENT ON COLUMN aion.stat_engine.preloaded IS 'whether the library is in shared_preload_libraries';
COMMENT ON COLUMN aion.stat_engine.launcher_pid IS 'process of the launcher, one in the server';
COMMENT ON COLUMN aion.stat_engine.scheduler_pid IS 'process of the scheduler of this database';
COMMENT ON COLUMN aion.stat_engine.runners IS 'number of runners and executors in this database';
COMMENT ON COLUMN aion.stat_engine.max_runners IS 'how many of both the server may have at once';
COMMENT ON COLUMN aion.stat_engine.fence IS 'whether this database executes its runs: new (has not yet), adopted (does), copy (does not, since it is a copy of another database) or paused (does not, because of aion.execution); null while library and extension differ in version';
COMMENT ON COLUMN aion.stat_engine.execution IS 'value of aion.execution';
COMMENT ON COLUMN aion.stat_engine.paused IS 'whether aion.pause_engine() holds all execution in this database';
COMMENT ON COLUMN aion.stat_engine.unlogged_incidents IS 'number of messages that aion.log_incidents_per_second has left out in this server since it began';
COMMENT ON COLUMN aion.stat_engine.divergences IS 'how often workflow code has read what differs from one execution to the next in this server since it began, where aion.determinism is warn';

CREATE OR REPLACE VIEW aion.stat_runner WITH (security_barrier) AS
	SELECT s.pid, o.name AS owner, s.state, s.since, s.queued, s.batches, s.runs, r.workflow_id,
		CASE WHEN r.workflow_id IS NOT NULL THEN nullif(pg_catalog.pg_blocking_pids(s.pid), '{}') END AS blocked_by
	FROM aion._stat_runner() s JOIN aion._owner o USING (owner_key)
		LEFT JOIN (aion._executing() x JOIN aion._run r USING (run_key)) ON x.pid = s.pid AND r.owner_key = s.owner_key
	WHERE s.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.stat_runner IS 'the runners of this database: the owners that they serve, and what they have done since they began';
COMMENT ON COLUMN aion.stat_runner.pid IS 'process';
COMMENT ON COLUMN aion.stat_runner.owner IS 'role whose runs it executes';
COMMENT ON COLUMN aion.stat_runner.state IS 'starting, idle (has nothing to do), active (looks for runs), engaged (executes runs), executing (an activity in the background), leaving, or stuck (its code cannot be interrupted, or does not end when it is told to; another process takes its place where that is wanted)';
COMMENT ON COLUMN aion.stat_runner.since IS 'when the runner last began or ended work';
COMMENT ON COLUMN aion.stat_runner.queued IS 'number of runs that it was told of and has not looked at';
COMMENT ON COLUMN aion.stat_runner.batches IS 'number of transactions since it began';
COMMENT ON COLUMN aion.stat_runner.runs IS 'number of turns since it began';
COMMENT ON COLUMN aion.stat_runner.workflow_id IS 'workflow whose turn or activity it executes';
COMMENT ON COLUMN aion.stat_runner.blocked_by IS 'processes that hold, or wait earlier for, a lock that it waits for while it executes that workflow';

CREATE OR REPLACE FUNCTION aion.health(OUT "check" text, OUT ok boolean, OUT detail text, OUT hint text)
	RETURNS SETOF record LANGUAGE sql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
	WITH e AS (SELECT * FROM aion._stat_engine()),
		t AS (SELECT clock_timestamp() - min(t.fire_at) AS late FROM aion.timer t WHERE t.fire_at < (SELECT clock_timestamp())),
		l AS (SELECT clock_timestamp() - least((SELECT min(w.ready_at) FROM aion.workflow_run w WHERE w.ready_at < (SELECT clock_timestamp())),
				(SELECT min(i.sent_at) FROM aion.inbox i JOIN aion.workflow_run w USING (run_key) WHERE w.blocked IS DISTINCT FROM 'quarantined')) AS late),
		q AS (SELECT count(*) FILTER (WHERE NOT q.paused) AS unpolled, count(*) FILTER (WHERE q.paused) AS paused,
				string_agg(quote_ident(q.task_queue), ', ' ORDER BY q.oldest) FILTER (WHERE NOT q.paused) AS unpolled_names,
				string_agg(quote_ident(q.task_queue), ', ' ORDER BY q.oldest) FILTER (WHERE q.paused) AS paused_names
			FROM aion.stat_queue q WHERE CASE WHEN q.paused THEN q.oldest ELSE q.unpolled_since END < clock_timestamp() - interval '1 minute'),
		x AS (SELECT clock_timestamp() - min(t.next_attempt_at) AS late FROM aion.activity_task t JOIN aion.stat_queue s USING (task_queue)
			WHERE t.state = 'waiting' AND t.background AND t.next_attempt_at < clock_timestamp() AND NOT s.paused
				AND s.max_running IS NULL AND s.max_per_key IS NULL AND s.rate IS NULL),
		c AS (SELECT * FROM aion._missing_bells()),
		p AS (SELECT w.*, (SELECT string_agg(quote_ident(d.datname), ', ' ORDER BY d.datname) FROM pg_database d WHERE d.oid = ANY (w.unserved)) AS names
			FROM aion._stat_workers() w),
		d AS (SELECT count(*) AS stuck FROM aion.stat_runner r WHERE r.state = 'stuck'),
		s AS (SELECT count(*) FILTER (WHERE s.reason IS NOT NULL) AS stopped, count(*) FILTER (WHERE s.last_tick = 'failed') AS failing
			FROM aion.schedule s WHERE s.reason IS NOT NULL OR s.state = 'active'),
		b AS (SELECT count(*) AS blocked FROM aion.workflow_run w WHERE w.status = 'blocked')
	SELECT v."check", v.ok, v.detail, CASE WHEN NOT v.ok THEN v.hint END
	FROM e, t, l, q, b, c, d, p, s, x, pg_extension ext, LATERAL (VALUES
		('preload', e.preloaded, CASE WHEN e.preloaded THEN 'the library is preloaded' ELSE 'the library is not preloaded' END,
			'Add aion to shared_preload_libraries and restart the server; until then use CALL aion.drive().'),
		('version', e.library_version = ext.extversion, format('library %s, extension %s', e.library_version, ext.extversion),
			'Use ALTER EXTENSION aion UPDATE, or restart the server if the library is the older one.'),
		('server', NOT pg_is_in_recovery(),
			CASE WHEN pg_is_in_recovery() THEN 'a standby, which executes no workflows' ELSE 'not a standby' END,
			'The primary executes them; this server does after it is promoted.'),
		('launcher', e.launcher_pid IS NOT NULL OR pg_is_in_recovery(), coalesce('process ' || e.launcher_pid, 'no process'),
			CASE WHEN e.max_runners = 0 THEN 'aion.max_runners is 0.' ELSE 'See the server''s log.' END),
		('scheduler', e.scheduler_pid IS NOT NULL OR pg_is_in_recovery(), coalesce('process ' || e.scheduler_pid, 'no process'),
			'See the server''s log; max_worker_processes may be too small.'),
		('runners', e.max_runners > 0 AND d.stuck = 0, concat_ws(', ', format('%s here, at most %s in this server', e.runners, e.max_runners),
				CASE WHEN d.stuck > 0 THEN format('%s in code that cannot be interrupted', d.stuck) END),
			CASE WHEN e.max_runners = 0 THEN 'Set aion.max_runners and restart the server.'
				ELSE 'See which workflows they execute in aion.stat_runner, and give their code an end; meanwhile other processes take their place.' END),
		('workers', p.needed <= p.available AND p.unserved_count = 0 AND NOT p.refused, concat_ws(', ', format('%s of %s needed for databases with aion: %s', p.needed, p.available, p.databases),
				CASE WHEN p.unserved_count > 0 THEN format('%s not served: %s', p.unserved_count, p.names) END,
				CASE WHEN p.refused THEN 'in the last minute there was none for a runner here' END),
			format('Set max_worker_processes to at least %s, more for parallel queries and other extensions, and restart the server.', greatest(p.needed, p.available + p.unserved_count))),
		('fence', e.fence IN ('adopted', 'new'), e.fence || ', aion.execution is ' || e.execution,
			CASE WHEN e.fence = 'copy' THEN 'If the original no longer executes workflows, use SELECT aion.adopt_database().'
				ELSE 'See the setting aion.execution.' END),
		('engine', NOT e.paused, CASE WHEN e.paused THEN 'paused' ELSE 'not paused' END, 'Use SELECT aion.resume_engine().'),
		('timers', coalesce(t.late < '1 minute', true), coalesce('the oldest one that is due waits for ' || t.late, 'none is due'),
			'Look at the runs that are blocked, and at the server''s load.'),
		('turns', coalesce(l.late < '1 minute', true), CASE WHEN l.late > '0' THEN 'the oldest run that is ready waits for ' || l.late ELSE 'none is ready' END,
			'Look at the rows above, at aion.stat_runner, and with aion.explain() at the runs that aion.pending_await shows waiting for a turn.'),
		('background', coalesce(x.late < '1 minute', true), coalesce('the oldest activity that is due waits for ' || x.late, 'none is due'),
			'Activities of others take their time: see aion.stat_runner, increase aion.max_runners, or set aion.max_runners_per_owner for roles with long ones.'),
		('queues', q.unpolled = 0 AND q.paused = 0,
			concat_ws('; ', format('%s with activities that no worker polls for', CASE q.unpolled WHEN 0 THEN 'none' ELSE q.unpolled || ' (' || left(q.unpolled_names, 500) || ')' END),
				CASE WHEN q.paused > 0 THEN format('%s paused with activities that wait (%s)', q.paused, left(q.paused_names, 500)) END),
			concat_ws(' ', CASE WHEN q.unpolled > 0 THEN 'Start workers that use aion.poll_activities() on them, as a role that may claim what waits there: see aion.grant_task_queue().' END,
				CASE WHEN q.paused > 0 THEN 'Use aion.resume_task_queue().' END)),
		('pg_cron', c.missing = 0, CASE c.bells WHEN 0 THEN 'no schedule needs it'
				ELSE concat_ws(', ', format('%s of %s schedules that need it have a job', c.bells - c.missing, c.bells), c.problem) END,
			CASE WHEN c.problem IS NULL THEN 'Use SELECT aion.repair_schedules().'
				ELSE 'Install it as aion.create_schedule() says, then use SELECT aion.repair_schedules().' END),
		('schedules', s.stopped = 0 AND s.failing = 0, concat_ws(', ', s.stopped || ' quarantined', CASE WHEN s.failing > 0 THEN s.failing || ' whose last tick failed' END),
			concat_ws(' ', CASE WHEN s.stopped > 0 THEN 'The server crashed in the ticks of those that are quarantined. Mend what is called by the types and defaults of their workflow''s parameters, then use aion.resume_schedule().' END,
				CASE WHEN s.failing > 0 THEN 'See the column last_tick of aion.schedule, and the column error of aion.schedule_tick.' END)),
		('runs', b.blocked = 0, b.blocked || ' blocked', 'See the column blocked of aion.workflow_run, and aion.explain() of each.')
		) AS v("check", ok, detail, hint)
	WHERE ext.extname = 'aion'
$$;
COMMENT ON FUNCTION aion.health() IS 'whether the engine works here, as far as the current user may see, and what to do if not';
