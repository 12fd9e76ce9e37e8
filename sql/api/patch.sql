/* Changes of workflow code that open runs can distinguish. */

CREATE OR REPLACE FUNCTION aion.patched(change_id text) RETURNS boolean
	LANGUAGE c AS 'MODULE_PATHNAME', 'aion_patched';
COMMENT ON FUNCTION aion.patched(text)
	IS 'in workflow code: false where this run was made by code without the change, else true; the first answer holds for the whole run';
