/* Signals. */

CREATE OR REPLACE FUNCTION aion.signal_workflow(workflow_id text, name text, payload jsonb DEFAULT 'null',
	dedup_id text DEFAULT NULL) RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_signal_workflow';
COMMENT ON FUNCTION aion.signal_workflow(text, text, jsonb, text)
	IS 'sends a signal to an open workflow if and when this transaction commits; false if one of this dedup_id was sent before';

CREATE OR REPLACE FUNCTION aion.signal_with_start(workflow_type text, input jsonb, workflow_id text, name text,
	payload jsonb DEFAULT 'null', dedup_id text DEFAULT NULL, if_running text DEFAULT 'use_existing',
	if_closed text DEFAULT 'allow', start_at timestamptz DEFAULT NULL, timeout interval DEFAULT NULL,
	task_queue text DEFAULT NULL, search_attributes jsonb DEFAULT NULL, memo jsonb DEFAULT NULL,
	version text DEFAULT NULL, run_as name DEFAULT NULL) RETURNS text
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_signal_with_start';
COMMENT ON FUNCTION aion.signal_with_start(text, jsonb, text, text, jsonb, text, text, text, timestamptz,
	interval, text, jsonb, jsonb, text, name)
	IS 'starts a workflow, unless it is open, and sends it a signal, if and when this transaction commits; returns its workflow id';

CREATE OR REPLACE FUNCTION aion.receive(name text, timeout interval DEFAULT NULL,
	until timestamptz DEFAULT NULL) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_receive';
COMMENT ON FUNCTION aion.receive(text, interval, timestamptz)
	IS 'in workflow code: waits for the next signal of a name and returns its payload; SQL NULL only if none came in time';

CREATE OR REPLACE FUNCTION aion.try_receive(name text) RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_try_receive';
COMMENT ON FUNCTION aion.try_receive(text)
	IS 'in workflow code: returns the payload of the next signal of a name; SQL NULL only if there is none';

CREATE OR REPLACE FUNCTION aion.next_signal(name text) RETURNS aion.handle
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_next_signal';
COMMENT ON FUNCTION aion.next_signal(text)
	IS 'in workflow code: a handle for the next signal of a name; awaiting it consumes one, losing a race consumes none';

CREATE OR REPLACE FUNCTION aion.send_signal(workflow_id text, name text, payload jsonb DEFAULT 'null') RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_send_signal';
COMMENT ON FUNCTION aion.send_signal(text, text, jsonb)
	IS 'in workflow code: sends a signal to another workflow, exactly once';

CREATE OR REPLACE FUNCTION aion.signal_info() RETURNS jsonb
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_signal_info';
COMMENT ON FUNCTION aion.signal_info()
	IS 'in workflow code: name, sent_by, sent_at and dedup_id of the signal received last';

CREATE OR REPLACE VIEW aion.unconsumed_signal WITH (security_barrier) AS
	SELECT r.workflow_id, s.name,
		CASE WHEN r.owner_key = ANY ((SELECT aion._visible_owners(true))::int[]) THEN s.payload END AS payload,
		s.sent_by, s.sent_at, s.dedup_id, s.seq, r.run_id, r.run_key
	FROM (
		SELECT e.run_key, e.key AS name, e.attributes -> 'payload' AS payload, e.attributes ->> 'sender' AS sent_by,
			(e.attributes ->> 'sent_at')::timestamptz AS sent_at, e.attributes ->> 'dedup_id' AS dedup_id, e.seq
		FROM aion._run u CROSS JOIN LATERAL jsonb_each_text(u.unread) n
			JOIN aion._event e ON e.run_key = u.run_key AND e.seq >= n.value::int AND e.key = n.key
				AND e.event_type = 'SignalReceived'
		WHERE u.closed_at IS NOT NULL AND u.unread IS NOT NULL
		UNION ALL
		SELECT l.run_key, l.name, l.payload, l.sender, l.sent_at, l.dedup_id, NULL
		FROM aion._late_signal l) s
		JOIN aion._run r USING (run_key)
	WHERE r.owner_key = ANY ((SELECT aion._visible_owners(false))::int[]);
COMMENT ON VIEW aion.unconsumed_signal
	IS 'signals that runs had not consumed when they ended; those without a seq came after the end';
COMMENT ON COLUMN aion.unconsumed_signal.workflow_id IS 'workflow id of the run that has ended without consuming the signal';
COMMENT ON COLUMN aion.unconsumed_signal.name IS 'name of the signal';
COMMENT ON COLUMN aion.unconsumed_signal.payload IS 'what was sent; null for roles that may not see payloads';
COMMENT ON COLUMN aion.unconsumed_signal.sent_by IS 'role that sent it';
COMMENT ON COLUMN aion.unconsumed_signal.sent_at IS 'when it was sent';
COMMENT ON COLUMN aion.unconsumed_signal.dedup_id IS 'id under which the signal is taken only once';
COMMENT ON COLUMN aion.unconsumed_signal.seq IS 'event of the signal in the history of the run; null if the signal was committed after the end of the run';
COMMENT ON COLUMN aion.unconsumed_signal.run_id IS 'run that has ended';
COMMENT ON COLUMN aion.unconsumed_signal.run_key IS 'number of that run in this database';
