TRUNCATE latency;
CALL measure_wake(20);
TRUNCATE latency;
CALL measure_wake(500);
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms), percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) FROM latency;
