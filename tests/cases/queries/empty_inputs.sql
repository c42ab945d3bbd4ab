-- What a query over nothing gives: an aggregate without groups has a row, and filters above it must not lose that.
SELECT 1 FROM (SELECT 1 AS z, min(a) FROM VALUES (1) AS t(a)) WHERE z != z;
SELECT m FROM (SELECT 1 AS z, max(a) AS m FROM VALUES (1) AS t(a)) WHERE z = 2;
SELECT 1 FROM (SELECT 1 AS z, a, count(*) FROM VALUES (1) AS t(a) GROUP BY ROLLUP (a)) WHERE z != z;
SELECT count(*) FROM VALUES (1) AS t(a) HAVING 1 = 0;
SELECT (SELECT 1 FROM VALUES (1) WHERE 1 = 0);
SELECT CAST((SELECT 1 FROM VALUES (1) WHERE 1 = 0) AS BIGINT), coalesce((SELECT 1 FROM VALUES (1) WHERE 1 = 0), 5);
SELECT (SELECT count(*) FROM VALUES (1) WHERE 1 = 0), (SELECT 7);
SELECT (SELECT col1 FROM VALUES (1), (2));
SELECT a FROM VALUES (1), (2) AS t(a) WHERE a > (SELECT 1 FROM VALUES (1) WHERE 1 = 0);
