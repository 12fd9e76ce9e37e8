-- A pipeline: documents are cut into chunks here; workers elsewhere embed the chunks, several at once, and summarise the document,
-- page by page. examples/worker has such workers, in Python and in Node. A killed worker loses nothing and does nothing twice; a
-- document that the model refuses is skipped.
-- Run it as a role that has been granted the use of aion: SELECT aion.grant_usage('...').

CREATE TABLE document (doc_id bigint PRIMARY KEY, body text NOT NULL);
CREATE TABLE chunk (doc_id bigint, chunk int, body text NOT NULL, PRIMARY KEY (doc_id, chunk));
-- No unique key on purpose: the row and the completion of the activity are one commit, so there is one row.
CREATE TABLE embedding (doc_id bigint, chunk int, vector int[], idempotency_key text);
CREATE TABLE summary (doc_id bigint, answer jsonb);

-- What is short and only SQL is done by the server itself.
CREATE FUNCTION split_document(doc_id bigint) RETURNS SETOF jsonb LANGUAGE sql AS $$
	INSERT INTO chunk
		SELECT d.doc_id, n, line FROM document d, regexp_split_to_table(d.body, E'\n') WITH ORDINALITY AS x(line, n)
		WHERE d.doc_id = split_document.doc_id
	RETURNING jsonb_build_object('doc_id', doc_id, 'chunk', chunk)
$$;
SELECT aion.register_activity('split_document', 'split_document(bigint)');

CREATE FUNCTION store_summary(doc_id bigint, answer jsonb) RETURNS void LANGUAGE sql AS $$
	INSERT INTO summary VALUES (doc_id, answer)
$$;
SELECT aion.register_activity('store_summary', 'store_summary(bigint, jsonb)');

-- What takes long or reaches beyond the database is done by workers: at most 16 at once, and no more than 50 begun in a second.
SELECT aion.register_activity('embed_chunk', mode => 'external', task_queue => 'gpu', start_to_close_timeout => '2 min');
SELECT aion.register_activity('summarise', mode => 'external', task_queue => 'gpu', heartbeat_timeout => '30 s',
	start_to_close_timeout => '30 min', retry => '{"max_attempts": 8, "initial_interval": "5 s", "non_retryable": ["content_filter"]}');
SELECT aion.configure_task_queue('gpu', max_running => 16, rate => 50);

CREATE FUNCTION ingest_document(doc_id bigint) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
	doc    jsonb := jsonb_build_object('doc_id', doc_id);
	chunks jsonb;
	answer jsonb;
BEGIN
	PERFORM aion.publish('stage', '"splitting"');
	chunks := aion.run('split_document', doc);                           -- [{"doc_id": ..., "chunk": ...}, ...]
	PERFORM aion.publish('stage', '"embedding"');
	PERFORM aion.map('embed_chunk', chunks, '{"concurrency": 8}');
	PERFORM aion.publish('stage', '"summarising"');
	BEGIN
		answer := aion.run('summarise', doc, '{"schedule_to_close_timeout": "2 h"}');
	EXCEPTION WHEN SQLSTATE 'WA000' THEN
		IF aion.failure() ->> 'kind' IS DISTINCT FROM 'content_filter' THEN
			RAISE;
		END IF;
		answer := jsonb_build_object('summary', NULL, 'skipped', SQLERRM);
	END;
	PERFORM aion.run('store_summary', doc || jsonb_build_object('answer', answer));
	PERFORM aion.publish('stage', '"done"');
	RETURN answer;
END $$;
SELECT aion.register_workflow('ingest_document', 'ingest_document(bigint)');

-- INSERT INTO document VALUES (1, E'one page\nand another');
-- SELECT aion.start_workflow('ingest_document', '{"doc_id": 1}', workflow_id => 'doc-1');
-- SELECT aion.query_workflow('doc-1', 'stage', wait => '10 s');
-- SELECT * FROM aion.activity_task;
