/* Copies of databases. */

CREATE OR REPLACE FUNCTION aion.adopt_database() RETURNS void
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_adopt_database';
COMMENT ON FUNCTION aion.adopt_database()
	IS 'lets a copied database execute its runs, which the original no longer does';
