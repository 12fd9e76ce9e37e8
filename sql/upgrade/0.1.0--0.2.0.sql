/*
 * What 0.2.0 changes in the schema of 0.1.0: the same as what differs in sql/schema. Functions and views that change their
 * parameters or columns are dropped here; the assembled script then replaces all of sql/api.
 */

/* Queues that belong to owners, and the owner of the run of a polled activity. */
ALTER TABLE aion._queue ADD COLUMN owner_key int;
COMMENT ON TABLE aion._queue IS 'task queues that were configured, and whose runs that is about; of administrators, about all runs';
DROP FUNCTION aion.poll_activities(text[], text, int, interval, text[]);

/* Activities registered before keep the settings of the owner's sessions until they are registered again. */
ALTER TABLE aion._activity ADD COLUMN settings jsonb;
