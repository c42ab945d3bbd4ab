-- GROUP BY with grouping sets, ordinals and filters, and the errors of each.
SELECT a, b, grouping__id FROM VALUES (1, 1), (1, 2) AS t(a, b) GROUP BY CUBE (a, b) ORDER BY grouping__id, a, b;
SELECT a, b, grouping_id(b, a) FROM VALUES (1, 1) AS t(a, b) GROUP BY CUBE (a, b);
SELECT * FROM VALUES (1, 2) AS t(a, b) GROUP BY 1, 2;
SELECT sum(a) FILTER (WHERE b) FROM VALUES (1, 2) AS t(a, b);
SELECT max(a) FILTER (WHERE rand() > 2) FROM VALUES (1, 2) AS t(a, b);
SELECT k, sum(v) OVER (ORDER BY k) FROM VALUES (1, 2) AS t(k, v) GROUP BY k, v HAVING sum(v) OVER (ORDER BY k) > 1;
SELECT a AS x, sum(x) FROM VALUES (1) AS t(a) GROUP BY a;
SELECT a AS x, row_number() OVER (ORDER BY x) FROM VALUES (1) AS t(a);
SELECT lag(a) OVER (ORDER BY a), lead(a, 2) OVER (ORDER BY a), +a FROM VALUES (1), (2) AS t(a);
SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM VALUES (1) AS t(a);
-- A column that is constant before grouping is not so after it.
SELECT a, b, count(*) FROM (SELECT s AS a, 1 AS b FROM VALUES ('B'), ('B'), ('A') AS t(s)) GROUP BY GROUPING SETS ((a, b), (b), (a)) ORDER BY 1, 2, 3;
SELECT 'x' AS c, id % 3 AS d, count(*) AS n FROM range(100) GROUP BY CUBE (c, d) ORDER BY c, d, n;
SELECT c, d, count(*) AS n FROM (SELECT 'x' AS c, id % 3 AS d FROM range(100) ORDER BY c, d) GROUP BY GROUPING SETS ((c, d), (c), (d), ()) ORDER BY c, d, n;
