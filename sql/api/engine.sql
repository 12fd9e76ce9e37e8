/* Copies of databases. */

CREATE OR REPLACE FUNCTION aion.adopt_database() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_adopt_database';
COMMENT ON FUNCTION aion.adopt_database()
	IS 'lets a copied database execute its runs, which the original no longer does';

CREATE OR REPLACE FUNCTION aion.pause_engine() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_pause_engine';
COMMENT ON FUNCTION aion.pause_engine()
	IS 'lets nothing be executed in this database from now on; what is asked for is recorded';

CREATE OR REPLACE FUNCTION aion.resume_engine() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_resume_engine';
COMMENT ON FUNCTION aion.resume_engine() IS 'lets the engine go on where aion.pause_engine() has stopped it';
