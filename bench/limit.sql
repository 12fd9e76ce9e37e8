BEGIN;
INSERT INTO pair_a (filler) VALUES (repeat('x', 120));
INSERT INTO pair_b (filler) VALUES (repeat('y', 120));
COMMIT;
