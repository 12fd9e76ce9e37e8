/* Task queues. */

CREATE OR REPLACE FUNCTION aion.configure_task_queue(name text, max_running int DEFAULT NULL,
	max_per_key int DEFAULT NULL, rate real DEFAULT NULL) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_configure_task_queue';
COMMENT ON FUNCTION aion.configure_task_queue(text, int, int, real)
	IS 'limits how many activities of a task queue run at once, in all and with the same key, and how many begin per second; NULL: no limit; a role does it for queues that only its runs use, an administrator for all runs';

CREATE OR REPLACE FUNCTION aion.grant_task_queue(role regrole, name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_grant_task_queue';
COMMENT ON FUNCTION aion.grant_task_queue(regrole, text)
	IS 'lets a role claim activities of a task queue: those of all runs, or of the runs of the queue''s owner';

CREATE OR REPLACE FUNCTION aion.revoke_task_queue(role regrole, name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_revoke_task_queue';
COMMENT ON FUNCTION aion.revoke_task_queue(regrole, text)
	IS 'takes back what aion.grant_task_queue() has granted; what the role has claimed it may still complete';

CREATE OR REPLACE FUNCTION aion.pause_task_queue(name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_pause_task_queue';
COMMENT ON FUNCTION aion.pause_task_queue(text) IS 'holds activities of a task queue until it is resumed';

CREATE OR REPLACE FUNCTION aion.resume_task_queue(name text) RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_resume_task_queue';
COMMENT ON FUNCTION aion.resume_task_queue(text) IS 'lets activities of a task queue be claimed again';

CREATE OR REPLACE FUNCTION aion._queue_pace(OUT owner_key int, OUT task_queue text, OUT started float8, OUT finished float8)
	RETURNS SETOF record LANGUAGE c ROWS 10 AS 'MODULE_PATHNAME', 'aion_queue_pace';
COMMENT ON FUNCTION aion._queue_pace() IS 'how many activities of task queues begin and end per second';

CREATE OR REPLACE VIEW aion.stat_queue WITH (security_barrier) AS
	SELECT q.name AS task_queue, coalesce(c.paused, false) AS paused, c.max_running, c.max_per_key, c.rate,
		coalesce(t.waiting, 0) AS waiting, coalesce(t.delayed, 0) AS delayed, coalesce(t.claimed, 0) AS claimed, t.oldest,
		p.started_per_second, p.finished_per_second, aion._queue_pollers(q.name) AS pollers, u.unpolled_since
	FROM (SELECT name FROM aion._queue WHERE owner_key IS NULL OR owner_key = ANY ((SELECT aion._visible_owners(false))::int[])
			UNION SELECT task_queue FROM aion._queue_pace() UNION SELECT task_queue FROM aion._task
			WHERE owner_key = ANY ((SELECT aion._visible_owners(false))::int[])) q
		LEFT JOIN (SELECT * FROM aion._queue WHERE owner_key IS NULL OR owner_key = ANY ((SELECT aion._visible_owners(false))::int[])) c USING (name)
		LEFT JOIN (SELECT p.task_queue AS name, sum(p.started) AS started_per_second, sum(p.finished) AS finished_per_second
			FROM aion._queue_pace() p GROUP BY 1) p USING (name)
		LEFT JOIN (SELECT t.task_queue AS name,
				count(*) FILTER (WHERE t.state = 'waiting' AND t.next_attempt_at <= clock_timestamp()) AS waiting,
				count(*) FILTER (WHERE t.state = 'waiting' AND t.next_attempt_at > clock_timestamp()) AS delayed,
				count(*) FILTER (WHERE t.state = 'claimed') AS claimed,
				min(t.next_attempt_at) FILTER (WHERE t.state = 'waiting' AND t.next_attempt_at <= clock_timestamp()) AS oldest
			FROM aion._task t
			WHERE t.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]) GROUP BY 1) t USING (name)
		LEFT JOIN (SELECT o.task_queue AS name, min(o.oldest) AS unpolled_since
			FROM (SELECT t.task_queue, t.owner_key, bool_or(t.state = 'claimed') AS executed,
					min(t.next_attempt_at) FILTER (WHERE t.state = 'waiting' AND t.next_attempt_at <= clock_timestamp()) AS oldest
				FROM aion._task t WHERE NOT t.background AND t.owner_key = ANY ((SELECT aion._visible_owners(false))::int[])
				GROUP BY 1, 2 OFFSET 0) o -- the workers are counted once for each owner
			WHERE NOT o.executed AND o.oldest IS NOT NULL AND aion._queue_pollers(o.task_queue, o.owner_key) = 0 GROUP BY 1) u USING (name);
COMMENT ON VIEW aion.stat_queue IS 'task queues: their limits, how much waits, is delayed until a later attempt, and is claimed, and about how much began and ended per second in the last minute';
COMMENT ON COLUMN aion.stat_queue.task_queue IS 'name of the task queue';
COMMENT ON COLUMN aion.stat_queue.paused IS 'whether activities of the queue are held';
COMMENT ON COLUMN aion.stat_queue.max_running IS 'how many activities of the queue may run at once; null: no limit';
COMMENT ON COLUMN aion.stat_queue.max_per_key IS 'how many with the same key may run at once; null: no limit';
COMMENT ON COLUMN aion.stat_queue.rate IS 'how many may begin per second; null: no limit';
COMMENT ON COLUMN aion.stat_queue.waiting IS 'number of activities that may be claimed now';
COMMENT ON COLUMN aion.stat_queue.delayed IS 'number of activities whose next attempt is later';
COMMENT ON COLUMN aion.stat_queue.claimed IS 'number of activities that are being executed';
COMMENT ON COLUMN aion.stat_queue.oldest IS 'since when the oldest of those that may be claimed could be';
COMMENT ON COLUMN aion.stat_queue.started_per_second IS 'about how many began per second in the last minute';
COMMENT ON COLUMN aion.stat_queue.finished_per_second IS 'about how many ended per second in the last minute';
COMMENT ON COLUMN aion.stat_queue.pollers IS 'number of workers that have polled the queue in the last minute; null if the library is not preloaded';
COMMENT ON COLUMN aion.stat_queue.unpolled_since IS 'since when the oldest activity waits for a worker while none that may claim it polls the queue or executes anything from it';
