-- Sums whose frame grows from the start of the partition: NULLs, ties, partitions over several batches, overflow.
SELECT k, v, sum(v) OVER (ORDER BY k) FROM VALUES (1, 10), (2, NULL), (2, 5), (3, NULL), (4, -7) t(k, v) ORDER BY k, v;
SELECT k, sum(v) OVER (PARTITION BY p ORDER BY k ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) FROM VALUES ('a', 1, NULL), ('a', 2, 3), ('b', 1, 4), ('b', 2, NULL), ('b', 3, 1) t(p, k, v) ORDER BY p, k;
SELECT k, sum(v) OVER (ORDER BY k) FROM VALUES (1, 9223372036854775807), (2, 1) t(k, v) ORDER BY k;
SELECT k, try_sum(v) OVER (ORDER BY k) FROM VALUES (1, 9223372036854775807), (2, 1), (3, -5), (4, NULL) t(k, v) ORDER BY k;
SELECT p, k, try_sum(v) OVER (PARTITION BY p ORDER BY k) FROM VALUES (1, 1, 9223372036854775807), (1, 2, 9), (2, 1, 3), (2, 2, 4) t(p, k, v) ORDER BY p, k;
SELECT max(s), min(s), sum(s % 1000), count(s) FROM (SELECT sum(id) OVER (PARTITION BY id % 3 ORDER BY id) AS s FROM range(100000));
SELECT max(s), min(s), sum(s % 1000), count(s) FROM (SELECT sum(IF(id % 5 = 0, NULL, id)) OVER (ORDER BY id DIV 7) AS s FROM range(50000));
SELECT k, sum(v) OVER (ORDER BY k), sum(DISTINCT v) OVER (PARTITION BY k), avg(v) OVER (ORDER BY k) FROM VALUES (1, 1), (1, 1), (2, 3) t(k, v) ORDER BY k;
SELECT k, sum(v) FILTER (WHERE v > 1) OVER (ORDER BY k) FROM VALUES (1, 1), (2, 2), (3, 3) t(k, v) ORDER BY k;
