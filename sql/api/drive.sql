/* The engine as a function. */

CREATE OR REPLACE PROCEDURE aion.drive(max_turns bigint DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_drive';
COMMENT ON PROCEDURE aion.drive(bigint)
	IS 'executes what is ready and due of the runs that the current user owns, with commits of its own';
