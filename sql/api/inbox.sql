/* What has been sent to runs and waits to be recorded. */

CREATE OR REPLACE VIEW aion.inbox WITH (security_barrier) AS
	SELECT r.workflow_id, i.kind, i.name,
		CASE WHEN i.owner_key = ANY ((SELECT aion._visible_owners(true))::int[])
			THEN i.payload END AS payload,
		i.sender AS sent_by, i.sent_at, i.dedup_id, r.run_id, i.run_key, i.arrival
	FROM aion._inbox i JOIN aion._run r USING (run_key)
	WHERE i.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.inbox IS 'what has been sent to runs and is not yet part of their history';
COMMENT ON COLUMN aion.inbox.workflow_id IS 'workflow id of the run that it was sent to';
COMMENT ON COLUMN aion.inbox.kind IS 'signal, cancel (a request), child or parent (messages between them), activity (its outcome is known)';
COMMENT ON COLUMN aion.inbox.name IS 'name of a signal; number of a child or an activity';
COMMENT ON COLUMN aion.inbox.payload IS 'what was sent; null for roles that may not see payloads';
COMMENT ON COLUMN aion.inbox.sent_by IS 'role that sent it';
COMMENT ON COLUMN aion.inbox.sent_at IS 'when it was sent';
COMMENT ON COLUMN aion.inbox.dedup_id IS 'id under which a signal is taken only once';
COMMENT ON COLUMN aion.inbox.run_id IS 'run that it was sent to';
COMMENT ON COLUMN aion.inbox.run_key IS 'number of that run in this database';
COMMENT ON COLUMN aion.inbox.arrival IS 'order of arrivals';
