/* What has been sent to runs and waits to be recorded. */

CREATE OR REPLACE VIEW aion.inbox WITH (security_barrier) AS
	SELECT r.workflow_id, i.kind, i.name,
		CASE WHEN i.owner_key = ANY ((SELECT aion._visible_owners(true))::int[])
			THEN i.payload END AS payload,
		i.sender AS sent_by, i.sent_at, i.dedup_id, r.run_id, i.run_key, i.arrival
	FROM aion._inbox i JOIN aion._run r USING (run_key)
	WHERE i.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.inbox IS 'what has been sent to runs and is not yet part of their history';
