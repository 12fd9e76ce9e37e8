/* The schemas of aion. Plain CREATE: an object that exists under one of these names stops the installation. */

CREATE SCHEMA aion;
COMMENT ON SCHEMA aion IS 'durable workflows';

CREATE SCHEMA aion_code;
COMMENT ON SCHEMA aion_code IS 'pinned copies of workflow code; only the engine uses them';

CREATE SCHEMA aion_test;
COMMENT ON SCHEMA aion_test IS 'testing workflows inside one transaction';

CREATE DOMAIN aion.handle AS text;
COMMENT ON DOMAIN aion.handle IS 'names something that workflow code can await';

CREATE DOMAIN aion.scope AS text;
COMMENT ON DOMAIN aion.scope IS 'names a stretch of workflow code that has a deadline';
